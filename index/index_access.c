/*
 * Checked access to entries: every value that comes out of here had the right checksum.
 *
 * LMDB's errors become ours at this line, so that the files above see hv_rc only; a full map is also noted in the transaction, for
 * the retry in index_env.c.
 */
#include <assert.h>
#include <inttypes.h>

#include "index/index_internal.h"

static hv_slice
slice_of(MDB_val value)
{
    return hv_slice_of(value.mv_data, value.mv_size);
}

/* LMDB wants a pointer to what it will not change. */
static MDB_val
val_of(const hv_ix_key *key)
{
    union {
        const unsigned char *ours;
        void *lmdbs;
    } bytes = {.ours = key->bytes};

    return (MDB_val){.mv_size = key->len, .mv_data = bytes.lmdbs};
}

static hv_rc
failed(hv_ix_txn *txn, int mdb_rc, const char *doing, hv_ix_db db, hv_err *err)
{
    txn->full = mdb_rc == MDB_MAP_FULL;
    (void)hv_ix_failed(txn->index, mdb_rc, doing, err);
    return hv_err_prefix(err, "'%s'", hv_ix_db_name(db));
}

hv_rc
hv_ix_get_raw(hv_ix_txn *txn, hv_ix_db db, const hv_ix_key *key, bool *found, hv_slice *ret, hv_err *err)
{
    MDB_val name = val_of(key), value;

    int mdb_rc = mdb_get(txn->mdb, txn->index->mapped.dbi[db], &name, &value);
    *found = mdb_rc == 0;
    if (mdb_rc == 0)
        *ret = slice_of(value);
    return mdb_rc == 0 || mdb_rc == MDB_NOTFOUND ? HV_OK : failed(txn, mdb_rc, "read", db, err);
}

hv_rc
hv_ix_get(hv_ix_txn *txn, hv_ix_db db, const hv_ix_key *key, bool *found, hv_ix_reader *ret, hv_err *err)
{
    hv_slice value;
    hv_rc rc = hv_ix_get_raw(txn, db, key, found, &value, err);

    if (rc != HV_OK || !*found)
        return rc;
    return hv_ix_unseal(db, hv_slice_of(key->bytes, key->len), value, ret, err);
}

hv_rc
hv_ix_put(hv_ix_txn *txn, hv_ix_db db, const hv_ix_key *key, const hv_buf *value, hv_err *err)
{
    MDB_val name = val_of(key), data = {.mv_size = value->len, .mv_data = value->data};
    hv_rc rc = hv_buf_check(value, err);

    if (rc != HV_OK)
        return rc;
    int mdb_rc = mdb_put(txn->mdb, txn->index->mapped.dbi[db], &name, &data, 0);
    return mdb_rc == 0 ? HV_OK : failed(txn, mdb_rc, "write", db, err);
}

hv_rc
hv_ix_count(hv_ix_txn *txn, hv_ix_db db, int64_t *ret, hv_err *err)
{
    MDB_stat stat;

    int mdb_rc = mdb_stat(txn->mdb, txn->index->mapped.dbi[db], &stat);
    if (mdb_rc != 0)
        return failed(txn, mdb_rc, "count", db, err);
    *ret = (int64_t)stat.ms_entries;
    return HV_OK;
}

/* ---- cursors ---- */

hv_rc
hv_ix_cursor_open(hv_ix_txn *txn, hv_ix_db db, hv_ix_cursor *ret, hv_err *err)
{
    MDB_cursor *mdb;

    int mdb_rc = mdb_cursor_open(txn->mdb, txn->index->mapped.dbi[db], &mdb);
    if (mdb_rc != 0)
        return failed(txn, mdb_rc, "open a cursor", db, err);
    *ret = (hv_ix_cursor){.txn = txn, .db = db, .mdb = mdb};
    return HV_OK;
}

void
hv_ix_cursor_close(hv_ix_cursor *cursor)
{
    if (cursor->mdb != NULL)
        mdb_cursor_close(cursor->mdb);
    cursor->mdb = NULL;
}

static hv_rc
arrive(hv_ix_cursor *cursor, int mdb_rc, MDB_val key, MDB_val value, const hv_ix_key *within, bool *found, hv_err *err)
{
    if (mdb_rc != 0 && mdb_rc != MDB_NOTFOUND)
        return failed(cursor->txn, mdb_rc, "read", cursor->db, err);
    *found = mdb_rc == 0 && (within == NULL || hv_ix_begins_with(slice_of(key), within));
    if (!*found)
        return HV_OK;
    cursor->key = slice_of(key);
    return hv_ix_unseal(cursor->db, cursor->key, slice_of(value), &cursor->value, err);
}

hv_rc
hv_ix_cursor_seek(hv_ix_cursor *cursor, const hv_ix_key *key, const hv_ix_key *within, bool *found, hv_err *err)
{
    MDB_val at = val_of(key), value = {.mv_size = 0};

    int mdb_rc = mdb_cursor_get(cursor->mdb, &at, &value, MDB_SET_RANGE);
    return arrive(cursor, mdb_rc, at, value, within, found, err);
}

hv_rc
hv_ix_cursor_seek_before(hv_ix_cursor *cursor, const hv_ix_key *key, const hv_ix_key *within, bool *found, hv_err *err)
{
    MDB_val at = val_of(key), value = {.mv_size = 0};

    int mdb_rc = mdb_cursor_get(cursor->mdb, &at, &value, MDB_SET_RANGE);
    if (mdb_rc == 0)
        mdb_rc = mdb_cursor_get(cursor->mdb, &at, &value, MDB_PREV);
    else if (mdb_rc == MDB_NOTFOUND)
        mdb_rc = mdb_cursor_get(cursor->mdb, &at, &value, MDB_LAST);
    return arrive(cursor, mdb_rc, at, value, within, found, err);
}

hv_rc
hv_ix_cursor_next(hv_ix_cursor *cursor, const hv_ix_key *within, bool *found, hv_err *err)
{
    MDB_val at, value;

    int mdb_rc = mdb_cursor_get(cursor->mdb, &at, &value, MDB_NEXT);
    return arrive(cursor, mdb_rc, at, value, within, found, err);
}

bool
hv_ix_begins_with(hv_slice key, const hv_ix_key *prefix)
{
    return key.len >= prefix->len && memcmp(key.data, prefix->bytes, prefix->len) == 0;
}

/* ---- hubs ---- */

static hv_rc
read_hub_id(hv_ix_reader *value, uint32_t *ret, hv_err *err)
{
    *ret = (uint32_t)hv_ix_read_number(value, 4);
    return hv_ix_reader_end(value, HV_IX_HUBS, err);
}

hv_rc
hv_ix_hub_find(hv_ix_txn *txn, const char *hub, bool *found, uint32_t *ret, hv_err *err)
{
    hv_ix_key key = hv_ix_key_text(hub);
    hv_ix_reader value;
    hv_rc rc = hv_ix_get(txn, HV_IX_HUBS, &key, found, &value, err);

    return rc == HV_OK && *found ? read_hub_id(&value, ret, err) : rc;
}

hv_rc
hv_ix_partition_find(hv_ix_txn *txn, const hv_partition *partition, bool *found, hv_ix_key *ret, hv_err *err)
{
    uint32_t hub_id = 0;
    hv_rc rc = hv_ix_hub_find(txn, partition->hub, found, &hub_id, err);

    if (rc == HV_OK && *found)
        *ret = hv_ix_key_partition(hub_id, partition);
    return rc;
}

/* ---- scans ---- */

hv_rc
hv_ix_scan_open(hv_ix_txn *txn, hv_ix_db db, const char *hub, hv_ix_scan *ret, hv_err *err)
{
    hv_ix_scan scan = {.one_hub = hub != NULL, .hub_start = hv_ix_key_text(hub != NULL ? hub : "\1")};      /* no key is empty */
    hv_rc rc = hv_ix_cursor_open(txn, HV_IX_HUBS, &scan.hubs, err);

    if (rc == HV_OK)
        rc = hv_ix_cursor_open(txn, db, &scan.entries, err);
    if (rc != HV_OK) {
        hv_ix_scan_close(&scan);
        return rc;
    }
    *ret = scan;
    return HV_OK;
}

void
hv_ix_scan_close(hv_ix_scan *scan)
{
    hv_ix_cursor_close(&scan->entries);
    hv_ix_cursor_close(&scan->hubs);
}

/* To the first or next hub. */
static hv_rc
next_hub(hv_ix_scan *scan, bool *found, hv_err *err)
{
    bool first = scan->prefix.len == 0;
    uint32_t hub_id;
    hv_rc rc = first ? hv_ix_cursor_seek(&scan->hubs, &scan->hub_start, NULL, found, err)
                     : hv_ix_cursor_next(&scan->hubs, NULL, found, err);

    if (rc != HV_OK || !*found)
        return rc;
    hv_slice name = scan->hubs.key;
    if (scan->one_hub && (!first || name.len != scan->hub_start.len || !hv_ix_begins_with(name, &scan->hub_start))) {
        *found = false;
        return HV_OK;
    }
    rc = read_hub_id(&scan->hubs.value, &hub_id, err);
    if (rc == HV_OK && name.len >= sizeof scan->hub)
        rc = hv_err_set(err, HV_CORRUPT, "a hub in the index has a name of %zu bytes: rebuild the index", name.len);
    if (rc != HV_OK)
        return rc;
    memcpy(scan->hub, name.data, name.len);
    scan->hub[name.len] = '\0';
    scan->prefix = hv_ix_key_hub(hub_id);
    scan->last.len = 0;
    return HV_OK;
}

/* The order of LMDB: as bytes, and the shorter one first. */
static hv_rc
check_order(hv_ix_scan *scan, hv_err *err)
{
    hv_slice key = scan->entries.key;
    size_t common = key.len < scan->last.len ? key.len : scan->last.len;
    int order = memcmp(scan->last.bytes, key.data, common);

    if (order > 0 || (order == 0 && scan->last.len >= key.len) || key.len > sizeof scan->last.bytes)
        return hv_err_set(err, HV_CORRUPT, "entries of '%s' are out of order: rebuild the index", hv_ix_db_name(scan->entries.db));
    memcpy(scan->last.bytes, key.data, key.len);
    scan->last.len = key.len;
    return HV_OK;
}

hv_rc
hv_ix_scan_next(hv_ix_scan *scan, bool *found, hv_err *err)
{
    bool in_hub = scan->started;
    hv_rc rc = in_hub ? hv_ix_cursor_next(&scan->entries, &scan->prefix, found, err) : HV_OK;

    while (rc == HV_OK && !(in_hub && *found)) {
        rc = next_hub(scan, found, err);
        if (rc != HV_OK || !*found)
            return rc;
        in_hub = scan->started = true;
        bool here = scan->start.len > 0 && hv_ix_begins_with(hv_slice_of(scan->start.bytes, scan->start.len), &scan->prefix);
        rc = hv_ix_cursor_seek(&scan->entries, here ? &scan->start : &scan->prefix, &scan->prefix, found, err);
    }
    return rc == HV_OK ? check_order(scan, err) : rc;
}

hv_rc
hv_ix_scan_partition(const hv_ix_scan *scan, hv_partition *ret, hv_err *err)
{
    const unsigned char *key = scan->entries.key.data;

    if (scan->entries.key.len < HV_IX_PARTITION_BYTES)
        return hv_err_set(err, HV_CORRUPT, "a key in '%s' is too short: rebuild the index", hv_ix_db_name(scan->entries.db));
    *ret = (hv_partition){.incarnation = (uint32_t)hv_ix_number(key + 4, 4), .number = (int32_t)hv_ix_number(key + 8, 4)};
    memcpy(ret->hub, scan->hub, sizeof ret->hub);
    return HV_OK;
}
