#include "tests/archiver/index_tamper.h"

#include "tests/harness/check_hv.h"

static hv_rc
tamper(hv_ix_txn *txn, void *arg, hv_err *ret_err)
{
    const index_tampering *how = arg;
    hv_ix_key partition, key;
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cursor = {.mdb = NULL};
    hv_slice stored;
    bool found;
    hv_err err;

    ck_hv_ok(hv_ix_partition_find(txn, &how->partition, &found, &partition, &err));
    ck_assert(found);
    key = how->first >= 0 ? hv_ix_key_cut(&partition, (uint64_t)how->first) : partition;
    ck_hv_ok(hv_ix_cursor_open(txn, how->db, &cursor, &err));
    ck_hv_ok(hv_ix_cursor_seek(&cursor, &key, NULL, &found, &err));
    ck_assert(found);
    memcpy(key.bytes, cursor.key.data, cursor.key.len);         /* that of a segment has a class behind it */
    key.len = cursor.key.len;
    if (how->change == NULL && !how->damage) {
        MDB_val mdb_key = {.mv_size = key.len, .mv_data = key.bytes};
        ck_assert_int_eq(mdb_del(txn->mdb, txn->index->mapped.dbi[how->db], &mdb_key, NULL), 0);
        return HV_OK;
    }
    ck_hv_ok(hv_ix_get_raw(txn, how->db, &key, &found, &stored, &err));
    hv_buf_put(&value, stored.data, stored.len);
    if (how->damage) {
        value.data[0] ^= 1;
    } else {
        value.len -= 4;
        how->change(&value);
        hv_ix_seal(how->db, hv_slice_of(key.bytes, key.len), &value);
    }
    return hv_ix_put(txn, how->db, &key, &value, ret_err);
}

void
index_tamper(hv_index *index, const index_tampering *how)
{
    index_tampering copy = *how;
    hv_err err;

    ck_hv_ok(hv_ix_write(index, tamper, &copy, &err));
}
