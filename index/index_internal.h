/*
 * What the files of index/ share: the handle, transactions that survive a change of the map, checked access to entries.
 */
#ifndef HV_INDEX_INDEX_INTERNAL_H
#define HV_INDEX_INDEX_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>

#include "index/index.h"
#include "index/index_layout.h"

enum { HV_IX_VAULT_SIZE = 128 };

struct hv_index {
    char *dir;
    uint64_t map_bytes;                 /* asked for when the environment is opened; 0: as large as it is */
    bool read_only;
    char vault[HV_IX_VAULT_SIZE];       /* "" while the first opening has not read it */

    pthread_rwlock_t map_lock;          /* shared: a transaction is open; exclusive: the map moves */
    struct {                            /* written only while holding map_lock exclusively */
        MDB_env *env;                   /* NULL after the map was lost; the next transaction opens it again */
        MDB_dbi dbi[HV_IX_DBS];
    } mapped;
};

/* ---- transactions ---- */

typedef struct hv_ix_txn {
    hv_index *index;                    /* NULL: none is open */
    MDB_txn *mdb;
    bool full;                          /* failed because the map is too small */
} hv_ix_txn;

/* Begin reading; a writer goes through hv_ix_write(). Between begin and end the map cannot move. */
hv_rc hv_ix_read(hv_index *index, hv_ix_txn *ret, hv_err *err) HV_MUST_USE;
void hv_ix_end(hv_ix_txn *txn);
HV_DEFINE_AUTO_VALUE(hv_ix_txn, hv_ix_end);

/* Run change() in a write transaction and commit, again with a larger map as often as it takes. HV_OK: durable. Any other code: not
 * recorded, except that a failure of the disk in the very last step may leave it recorded. */
hv_rc hv_ix_write(hv_index *index, hv_rc (*change)(hv_ix_txn *txn, void *arg, hv_err *err), void *arg, hv_err *err) HV_MUST_USE;

/* The message of a failed call of LMDB, and the code that it means here. */
hv_rc hv_ix_failed(const hv_index *index, int mdb_rc, const char *doing, hv_err *err);

/* ---- entries ---- */

/* *found is false if there is none. What *ret points to is LMDB's and gone with the transaction, or with the next write. */
hv_rc hv_ix_get(hv_ix_txn *txn, hv_ix_db db, const hv_ix_key *key, bool *found, hv_ix_reader *ret, hv_err *err) HV_MUST_USE;

/* As it is stored, with its checksum and unchecked. */
hv_rc hv_ix_get_raw(hv_ix_txn *txn, hv_ix_db db, const hv_ix_key *key, bool *found, hv_slice *ret, hv_err *err) HV_MUST_USE;

/* Store a sealed value, over what is there. */
hv_rc hv_ix_put(hv_ix_txn *txn, hv_ix_db db, const hv_ix_key *key, const hv_buf *value, hv_err *err) HV_MUST_USE;

hv_rc hv_ix_count(hv_ix_txn *txn, hv_ix_db db, int64_t *ret, hv_err *err) HV_MUST_USE;

typedef struct hv_ix_cursor {
    hv_ix_txn *txn;
    hv_ix_db db;
    MDB_cursor *mdb;
    hv_slice key;                       /* of the entry it stands on */
    hv_ix_reader value;
} hv_ix_cursor;

hv_rc hv_ix_cursor_open(hv_ix_txn *txn, hv_ix_db db, hv_ix_cursor *ret, hv_err *err) HV_MUST_USE;
/* Before its transaction ends. */
void hv_ix_cursor_close(hv_ix_cursor *cursor);
HV_DEFINE_AUTO_VALUE(hv_ix_cursor, hv_ix_cursor_close);

/* The following: *found is false for an entry whose key does not begin with `within` (NULL: any), and its value is not looked at: damage
 * of a neighbour is none of ours. */

/* To the first entry at or behind key. */
hv_rc hv_ix_cursor_seek(hv_ix_cursor *cursor, const hv_ix_key *key, const hv_ix_key *within, bool *found, hv_err *err) HV_MUST_USE;
/* To the last entry before key. */
hv_rc hv_ix_cursor_seek_before(hv_ix_cursor *cursor, const hv_ix_key *key, const hv_ix_key *within, bool *found,
                               hv_err *err) HV_MUST_USE;
hv_rc hv_ix_cursor_next(hv_ix_cursor *cursor, const hv_ix_key *within, bool *found, hv_err *err) HV_MUST_USE;

bool hv_ix_begins_with(hv_slice key, const hv_ix_key *prefix);

/* ---- hubs, and entries by the name of their hub ---- */

hv_rc hv_ix_hub_find(hv_ix_txn *txn, const char *hub, bool *found, uint32_t *ret, hv_err *err) HV_MUST_USE;

/* As key of hv_ix_key_partition(); *found is false if the hub is not known. */
hv_rc hv_ix_partition_find(hv_ix_txn *txn, const hv_partition *partition, bool *found, hv_ix_key *ret, hv_err *err) HV_MUST_USE;

/* Entries of one database whose keys begin with a hub: hub by hub in the order of names, then in the order of keys. */
typedef struct hv_ix_scan {
    hv_ix_cursor hubs, entries;
    char hub[HV_HUB_SIZE];              /* of the entry it stands on */
    hv_ix_key prefix;                   /* of the hub; empty while there is none */
    hv_ix_key hub_start;                /* name to begin with */
    hv_ix_key start;                    /* of the entry to begin with, if its hub is the first one; else empty */
    hv_ix_key last;                     /* of the entry it stands on; empty before the first one of a hub */
    bool one_hub, started;
} hv_ix_scan;

/* hub NULL: all. */
hv_rc hv_ix_scan_open(hv_ix_txn *txn, hv_ix_db db, const char *hub, hv_ix_scan *ret, hv_err *err) HV_MUST_USE;
void hv_ix_scan_close(hv_ix_scan *scan);
HV_DEFINE_AUTO_VALUE(hv_ix_scan, hv_ix_scan_close);

/* To the first or next entry. HV_CORRUPT if it does not sort behind the one before: pages that lead in a circle would never end. */
hv_rc hv_ix_scan_next(hv_ix_scan *scan, bool *found, hv_err *err) HV_MUST_USE;

/* The partition of the entry: for databases whose keys have one. */
hv_rc hv_ix_scan_partition(const hv_ix_scan *scan, hv_partition *ret, hv_err *err) HV_MUST_USE;

/* ---- block tables in pieces ---- */

size_t hv_ix_piece_count(size_t table_len);
void hv_ix_write_piece(hv_buf *to, hv_slice table, size_t number);

/* A table while its pieces are put together. */
typedef struct hv_ix_table {
    hv_ix_key segment;                  /* whose it is */
    hv_buf bytes;
    uint64_t added, left;               /* pieces that are there, and that have to follow */
} hv_ix_table;

#define HV_IX_TABLE_INIT {.bytes = HV_BUF_INIT(HV_IX_MAX_VALUE)}

/* The piece that the cursor over "blocks" stands on: the next one, or the first one of a table when the one before is whole. It is whole
 * when none is left. HV_CORRUPT for any other. */
hv_rc hv_ix_table_add(hv_ix_table *table, hv_ix_cursor *piece, hv_err *err) HV_MUST_USE;

/* The blocks of a table that is whole; `ret->blocks` is allocated. */
hv_rc hv_ix_table_end(hv_ix_table *table, hv_index_segment *ret, hv_err *err) HV_MUST_USE;

/* ---- cuts ---- */

/* HV_CORRUPT unless the cut is complete in itself. The sorted list of all its gaps is allocated. */
hv_rc hv_ix_cut_check(const hv_index_cut *cut, hv_ix_gap **ret, size_t *count, hv_err *err) HV_MUST_USE;

/* The cut that the cursor over "cuts" stands on. */
hv_rc hv_ix_cut_here(hv_ix_cursor *cursor, hv_ix_cut *ret, hv_err *err) HV_MUST_USE;

/* The last cut that begins before offset `before`. */
hv_rc hv_ix_cut_before(hv_ix_cursor *cuts, const hv_ix_key *partition, uint64_t before, bool *found, hv_ix_cut *ret,
                       hv_err *err) HV_MUST_USE;

/* The last cut. HV_CORRUPT if the facts of the partition tell another end: then a damaged key hides cuts, and what would be taken
 * for the position lies too low. */
hv_rc hv_ix_last_cut(hv_ix_cursor *cuts, const hv_ix_key *partition, bool *found, hv_ix_cut *ret, hv_err *err) HV_MUST_USE;

/* The first cut that ends behind offset: it contains it or lies behind. */
hv_rc hv_ix_cut_at(hv_ix_cursor *cuts, const hv_ix_key *partition, int64_t offset, bool *found, hv_ix_cut *ret,
                   hv_err *err) HV_MUST_USE;

/* Everything that is stored of a cut. */
hv_rc hv_ix_cut_load(hv_ix_txn *txn, const hv_ix_key *partition, const hv_ix_cut *cut, hv_index_cut *ret, hv_err *err) HV_MUST_USE;

/* ---- times ---- */

enum { HV_IX_TIME_LEVELS = 10 };

/* Bits of an offset below the number of a node of this level. */
unsigned hv_ix_time_shift(unsigned level);

/* Half open; an end of INT64_MAX is no end. */
typedef struct hv_ix_window {
    int64_t from, to;
} hv_ix_window;

/* Take a cut that was appended behind `before` (NULL: it is the first one) into the summaries of its partition. */
hv_rc hv_ix_times_add(hv_ix_txn *txn, const hv_ix_key *partition, const hv_ix_cut *before, const hv_ix_cut *cut, hv_buf *scratch,
                      hv_err *err) HV_MUST_USE;

/* The first cut that ends behind offset `from` and has a segment in the window. */
hv_rc hv_ix_times_find(hv_ix_txn *txn, const hv_ix_key *partition, int64_t from, hv_ix_window window, bool *found, hv_ix_cut *ret,
                       hv_err *err) HV_MUST_USE;

/* Where the nodes of a partition do not follow from its cuts. */
hv_rc hv_ix_times_check(hv_ix_txn *txn, const hv_ix_key *partition, hv_index_times_fault *ret, hv_err *err) HV_MUST_USE;

#endif
