/*
 * What the index stores: its databases, keys and values, and the codecs between them and the types of index.h.
 *
 * Every value ends in a CRC-32 over the number of its database, its key and what stands before, because LMDB itself has no
 * checksums. Nothing in here knows LMDB.
 */
#ifndef HV_INDEX_INDEX_LAYOUT_H
#define HV_INDEX_INDEX_LAYOUT_H

#include "common/buf.h"
#include "index/index.h"

enum {
    HV_IX_LAYOUT = 2,                   /* raise it with every change of a key or value */
    HV_IX_PARTITION_BYTES = 12,         /* hub id, incarnation, partition */
    HV_IX_CUT_BYTES = 20,               /* and the first offset of a cut */
    HV_IX_CHECKSUM_BYTES = 4,           /* at the end of every value */
    HV_IX_MAX_SEGMENTS = UINT16_MAX,    /* of one cut; a program has far fewer classes */
    HV_IX_MAX_VALUE = 512 << 20,        /* 2^18 blocks or 2^20 gaps are far below */
};

/* Databases, in the order of the dump. Their numbers go into the checksums, so a new one goes to the end. */
#define HV_IX_DB_LIST(X) \
    X(META, "meta") \
    X(HUBS, "hubs") \
    X(INCARNATIONS, "incarnations") \
    X(PARTITIONS, "partitions") \
    X(CUTS, "cuts") \
    X(SEGMENTS, "segments") \
    X(BLOCKS, "blocks") \
    X(GAPS, "gaps") \
    X(TIMES, "times")

typedef enum hv_ix_db {
#define HV_IX_DB_NAME(name, text) HV_IX_##name,
    HV_IX_DB_LIST(HV_IX_DB_NAME)
#undef HV_IX_DB_NAME
    HV_IX_DBS
} hv_ix_db;

const char *hv_ix_db_name(hv_ix_db db);

/* ---- keys: bytes that sort as what they mean ---- */

typedef struct hv_ix_key {
    unsigned char bytes[HV_HUB_SIZE + 6];
    size_t len;
} hv_ix_key;

hv_ix_key hv_ix_key_text(const char *text);
hv_ix_key hv_ix_key_hub(uint32_t hub_id);
hv_ix_key hv_ix_key_incarnation(uint32_t hub_id, uint32_t incarnation);
hv_ix_key hv_ix_key_partition(uint32_t hub_id, const hv_partition *partition);
/* The following begin with a key of hv_ix_key_partition(). */
hv_ix_key hv_ix_key_cut(const hv_ix_key *partition, uint64_t first);
hv_ix_key hv_ix_key_segment(const hv_ix_key *partition, int64_t first, const hv_index_segment *segment);
/* Of a piece of its block table; `segment` is the key of the segment. */
hv_ix_key hv_ix_key_piece(const hv_ix_key *segment, size_t number);
hv_ix_key hv_ix_key_times(const hv_ix_key *partition, unsigned level, uint64_t node);

/* Big-endian number of `bytes` bytes. */
uint64_t hv_ix_number(const void *from, size_t bytes);

/* ---- values ---- */

/* Bytes of a value while they are taken apart; the first read past the end makes it fail, and all further ones. */
typedef struct hv_ix_reader {
    const unsigned char *at;
    size_t left;
    bool failed;
} hv_ix_reader;

/* Append the checksum: the last step of writing a value. */
void hv_ix_seal(hv_ix_db db, hv_slice key, hv_buf *value);

/* The value without its checksum. HV_CORRUPT if that is wrong. */
hv_rc hv_ix_unseal(hv_ix_db db, hv_slice key, hv_slice value, hv_ix_reader *ret, hv_err *err) HV_MUST_USE;

/* HV_CORRUPT unless exactly everything was read. */
hv_rc hv_ix_reader_end(const hv_ix_reader *from, hv_ix_db db, hv_err *err) HV_MUST_USE;

/* Plain numbers and text, for the values that need no codec of their own. */
void hv_ix_write_number(hv_buf *to, uint64_t value, size_t bytes);
uint64_t hv_ix_read_number(hv_ix_reader *from, size_t bytes);
void hv_ix_write_text(hv_buf *to, const char *text);
void hv_ix_read_text(hv_ix_reader *from, char *ret, size_t size);

/* Least and greatest timestamp of something; min > max if it has none. */
typedef struct hv_ix_times {
    int64_t min, max;
} hv_ix_times;

#define HV_IX_NO_TIMES ((hv_ix_times){.min = INT64_MAX, .max = INT64_MIN})

hv_ix_times hv_ix_times_union(hv_ix_times a, hv_ix_times b);
void hv_ix_write_times(hv_buf *to, hv_ix_times times);
hv_ix_times hv_ix_read_times(hv_ix_reader *from);

/* What the database "cuts" knows of a cut. */
typedef struct hv_ix_cut {
    hv_range range;
    uint32_t segment_count;
    bool has_gaps;
    hv_ix_times times;                  /* of all its segments */
} hv_ix_cut;

void hv_ix_write_cut(hv_buf *to, const hv_ix_cut *cut);
/* Its range is not empty, and its number of segments possible, or HV_CORRUPT. */
hv_rc hv_ix_read_cut(hv_ix_reader *from, int64_t first, hv_ix_cut *ret, hv_err *err) HV_MUST_USE;

/* A segment without its blocks and missing offsets, and its block table, which is stored in pieces (index_blocks.c); `ret->blocks` is
 * allocated. */
void hv_ix_write_segment(hv_buf *to, const hv_index_segment *segment);
hv_rc hv_ix_read_segment(hv_ix_reader *from, hv_index_segment *ret, hv_err *err) HV_MUST_USE;
void hv_ix_write_blocks(hv_buf *to, const hv_index_segment *segment);
hv_rc hv_ix_read_blocks(hv_ix_reader *from, hv_index_segment *ret, hv_err *err) HV_MUST_USE;

/* A gap and whose it is: 0 of the cut, else missing in segment number owner - 1. */
typedef struct hv_ix_gap {
    hv_gap gap;
    uint32_t owner;
} hv_ix_gap;

/* All gaps of one cut by offset. Reading allocates *ret. */
void hv_ix_write_gaps(hv_buf *to, int64_t first, const hv_ix_gap *gaps, size_t count);
hv_rc hv_ix_read_gaps(hv_ix_reader *from, int64_t first, hv_ix_gap **ret, size_t *count, hv_err *err) HV_MUST_USE;

/* Without hub and incarnation, and without the partition: these are in the key. */
void hv_ix_write_incarnation(hv_buf *to, const hv_index_incarnation *incarnation);
hv_rc hv_ix_read_incarnation(hv_ix_reader *from, hv_index_incarnation *ret, hv_err *err) HV_MUST_USE;
void hv_ix_write_facts(hv_buf *to, const hv_index_partition_facts *facts);
hv_rc hv_ix_read_facts(hv_ix_reader *from, hv_index_partition_facts *ret, hv_err *err) HV_MUST_USE;

#endif
