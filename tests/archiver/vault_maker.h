/*
 * Vaults for tests: cuts written as text, put through the sealer, recorded in an index; and the hands that damage them.
 *
 * A cut is written as one letter per offset: a small letter is an event of the class that begins with it (d default, r red, g green,
 * b blue, a a, x red-x), '-' a gap of cause retention, '~' one of cause compaction; a capital is an event that was promised to its class and is
 * missing in its sibling. "dddrr-d" from offset 100 is the cut [100, 107). The content of an event follows from its offset.
 */
#ifndef HV_TESTS_ARCHIVER_VAULT_MAKER_H
#define HV_TESTS_ARCHIVER_VAULT_MAKER_H

#include "archiver/sealer.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

#define MAKER_VAULT "11111111-2222-4333-8444-555555555555"
#define MAKER_OTHER_VAULT "99999999-2222-4333-8444-555555555555"

typedef struct vault_maker {
    scratch_dir dir;                    /* of the index, and of the store if it is a folder */
    hv_storage *storage;
    hv_index *index;
    const char *vault;                  /* that cuts are made for */
    hv_codec codec;
    size_t block_bytes;
    bool index_too;                     /* record cuts and incarnations */
    hv_block_coder *coder;
} vault_maker;

/* An empty vault with its marker. */
void maker_setup(vault_maker *m, bool in_folder);
void maker_teardown(vault_maker *m);

/* A second index, in a folder of its own below the first. */
hv_index *maker_open_index(vault_maker *m, const char *name);

/* The record of an incarnation. */
void maker_claim(vault_maker *m, const char *hub, uint32_t incarnation);

/* A whole cut; its end is returned. */
int64_t maker_cut(vault_maker *m, const hv_partition *partition, int64_t first, const char *text);

/* One event per offset, all of class default. */
int64_t maker_plain_cut(vault_maker *m, const hv_partition *partition, int64_t first, int64_t count);

/* Only the lead. */
void maker_lead(vault_maker *m, const hv_partition *partition, int64_t first, const char *text);

/* Two hubs, one of them with two incarnations, several partitions, codecs and classes, gaps, a lead of gaps, missing offsets, a last
 * cut that lacks a sibling; everything that is complete is in the index. */
void maker_rich_vault(vault_maker *m);

hv_partition maker_partition(const char *hub, uint32_t incarnation, int32_t number);

/* ---- damage ---- */

void maker_read(vault_maker *m, const char *name, hv_buf *to);
/* Other bytes under the same name; attributes NULL: those that it had. */
void maker_replace(vault_maker *m, const char *name, hv_slice bytes, const hv_blob_attributes *attributes);
void maker_flip(vault_maker *m, const char *name, uint64_t position);
void maker_drop(vault_maker *m, const char *name);
void maker_put(vault_maker *m, const char *name, const char *text);
/* Bytes and attributes of two blobs change places. */
void maker_swap(vault_maker *m, const char *a, const char *b);

#endif
