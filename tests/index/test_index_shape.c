/*
 * Values with a right checksum and a wrong shape: of a program with a bug, or of somebody who means harm. They are written past the
 * index, through LMDB itself. Reading them is HV_CORRUPT or another answer, never a crash; the sanitizer build looks closer.
 */
#include <lmdb.h>
#include <stdlib.h>

#include "index/index_layout.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { MUTATIONS = 600, MAX_VALUE = 4096 };

static scratch_dir dir;
static hv_partition orders;
static hv_index_cut first, second;

static void
set_up(void)
{
    hv_index_incarnation one = {.hub = "orders", .incarnation = 1, .cause = "first sight", .identity = "x"};
    hv_err err;

    dir = scratch_dir_make();
    orders = sample_partition("orders", 1, 0);
    first = sample_full_cut(0, 1000);
    second = sample_full_cut(10, 3000);
    hv_index *index = sample_open(dir.path, 1 << 20);
    ck_hv_ok(hv_index_add_incarnation(index, &one, &err));
    sample_add(index, &orders, &first);
    sample_add(index, &orders, &second);
    hv_index_close(index);
}

static void
tear_down(void)
{
    hv_index_cut_clear(&first);
    hv_index_cut_clear(&second);
    scratch_dir_remove(&dir);
}

/* ---- past the index ---- */

typedef struct raw_access {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
} raw_access;

static raw_access
raw_begin(hv_ix_db db)
{
    raw_access raw;

    ck_assert_int_eq(mdb_env_create(&raw.env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(raw.env, 1), 0);
    ck_assert_int_eq(mdb_env_open(raw.env, dir.path, MDB_NOSYNC, 0640), 0);
    ck_assert_int_eq(mdb_txn_begin(raw.env, NULL, 0, &raw.txn), 0);
    ck_assert_int_eq(mdb_dbi_open(raw.txn, hv_ix_db_name(db), 0, &raw.dbi), 0);
    return raw;
}

static void
raw_end(raw_access *raw)
{
    ck_assert_int_eq(mdb_txn_commit(raw->txn), 0);
    mdb_env_close(raw->env);
}

/* Entry number n of a database, its value without the checksum; false if there are fewer. */
static bool
raw_entry(hv_ix_db db, size_t n, hv_buf *key, hv_buf *value)
{
    raw_access raw = raw_begin(db);
    MDB_cursor *cursor;
    MDB_val name, data;

    ck_assert_int_eq(mdb_cursor_open(raw.txn, raw.dbi, &cursor), 0);
    int mdb_rc = mdb_cursor_get(cursor, &name, &data, MDB_FIRST);
    for (; mdb_rc == 0 && n > 0; n--)
        mdb_rc = mdb_cursor_get(cursor, &name, &data, MDB_NEXT);
    if (mdb_rc == 0) {
        hv_buf_clear(key);
        hv_buf_clear(value);
        hv_buf_put(key, name.mv_data, name.mv_size);
        hv_buf_put(value, data.mv_data, data.mv_size - 4);
    }
    mdb_cursor_close(cursor);
    raw_end(&raw);
    return mdb_rc == 0;
}

static void
raw_put(hv_ix_db db, const hv_buf *key, const void *bytes, size_t len)
{
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(MAX_VALUE);
    raw_access raw = raw_begin(db);

    hv_buf_put(&value, bytes, len);
    hv_ix_seal(db, hv_buf_slice(key), &value);
    MDB_val name = {.mv_size = key->len, .mv_data = key->data}, data = {.mv_size = value.len, .mv_data = value.data};
    ck_assert_int_eq(mdb_put(raw.txn, raw.dbi, &name, &data, 0), 0);
    raw_end(&raw);
}

static void
raw_delete(hv_ix_db db, const hv_buf *key)
{
    raw_access raw = raw_begin(db);
    MDB_val name = {.mv_size = key->len, .mv_data = key->data};

    ck_assert_int_eq(mdb_del(raw.txn, raw.dbi, &name, NULL), 0);
    raw_end(&raw);
}

/* ---- reading all of it ---- */

static void
drop_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

/* HV_CORRUPT if any answer is. */
static hv_rc
ask_cuts(hv_index *index, hv_err *err)
{
    int64_t position;
    bool corrupt = hv_index_position(index, &orders, &position, err) == HV_CORRUPT;

    for (int64_t at = 0; at < 20; at += 10) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut got = {.segment_count = 0}, later = {.segment_count = 0};
        corrupt |= hv_index_find_offset(index, &orders, at, &got, err) == HV_CORRUPT;
        corrupt |= hv_index_find_time(index, &orders, at, INT64_MIN, INT64_MAX, &later, err) == HV_CORRUPT;
    }
    return corrupt ? HV_CORRUPT : HV_OK;
}

static hv_rc
ask_lists(hv_index *index, hv_err *err)
{
    hv_index_partition_facts *facts = NULL;
    hv_index_incarnation *incarnations = NULL;
    hv_index_gap *gaps = NULL;
    size_t count;

    hv_rc rc = hv_index_partitions(index, NULL, &facts, &count, err);
    if (rc == HV_OK)
        rc = hv_index_incarnations(index, &incarnations, &count, err);
    if (rc == HV_OK)
        rc = hv_index_gaps(index, NULL, NULL, 100, &gaps, &count, err);
    free(facts);
    free(incarnations);
    free(gaps);
    return rc;
}

/* The dump, and everything else besides for what it does to memory. */
static hv_rc
read_all(hv_err *err)
{
    hv_index_config config = {.dir = dir.path, .read_only = true};
    HV_AUTO(hv_index_close) hv_index *index = NULL;
    hv_err other;

    hv_rc rc = hv_index_open(&config, &index, err);
    if (rc != HV_OK)
        return rc;
    (void)ask_cuts(index, &other);
    (void)ask_lists(index, &other);
    return hv_index_dump(index, drop_line, NULL, err);
}

START_TEST(a_value_that_is_shorter_or_longer_than_its_kind_is_reported)
{
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE), value = HV_BUF_INIT(MAX_VALUE);
    hv_ix_db db = (hv_ix_db)_i;
    hv_err err;
    size_t n;

    for (n = 0; raw_entry(db, n, &key, &value); n++) {
        for (size_t len = 0; len < value.len; len += 1 + value.len / 20) {
            raw_put(db, &key, value.data, len);
            hv_rc rc = read_all(&err);
            ck_assert_msg(rc == HV_CORRUPT || (db == HV_IX_META && rc == HV_VERSION), "%s, %zu of %zu bytes: %s", hv_ix_db_name(db),
                          len, value.len, hv_rc_name(rc));
            ck_assert_ptr_nonnull(strstr(err.msg, "rebuild"));
        }
        if (db == HV_IX_META && strncmp(key.data, "layout", key.len) == 0)
            hv_buf_put_byte(&value, 0), value.len--;    /* later layouts may add to this one */
        else {
            hv_buf_put_byte(&value, 0);
            raw_put(db, &key, value.data, value.len--);
            ck_hv_fails(HV_CORRUPT, read_all(&err));
        }
        raw_put(db, &key, value.data, value.len);
        ck_hv_ok(read_all(&err));
    }
    ck_assert_uint_gt(n, 0);
}
END_TEST

START_TEST(random_bytes_in_a_value_are_never_a_crash)
{
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE), value = HV_BUF_INIT(MAX_VALUE);
    sample_rng rng = {.state = (uint64_t)_i};
    int refused = 0;
    hv_err err;

    for (int i = 0; i < MUTATIONS; i++) {
        hv_ix_db db = (hv_ix_db)(HV_IX_HUBS + sample_below(&rng, HV_IX_DBS - HV_IX_HUBS));
        if (!raw_entry(db, (size_t)sample_below(&rng, 5), &key, &value))
            continue;
        char *changed = malloc(value.len);
        ck_assert_ptr_nonnull(changed);
        memcpy(changed, value.data, value.len);
        for (int64_t changes = 1 + sample_below(&rng, 4); changes > 0; changes--)
            changed[sample_below(&rng, (int64_t)value.len)] = (char)(sample_below(&rng, 3) == 0 ? -1 : sample_below(&rng, 256));
        raw_put(db, &key, changed, value.len);
        refused += read_all(&err) == HV_OK ? 0 : 1;
        raw_put(db, &key, value.data, value.len);
        free(changed);
    }
    ck_hv_ok(read_all(&err));
    ck_assert_int_gt(refused, MUTATIONS / 100);
}
END_TEST

START_TEST(an_entry_that_is_gone_is_noticed)
{
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE), value = HV_BUF_INIT(MAX_VALUE);
    hv_ix_db db = (hv_ix_db)_i;
    hv_err err;
    size_t n;

    for (n = 0; raw_entry(db, n, &key, &value); n++) {
        raw_delete(db, &key);
        hv_index_config config = {.dir = dir.path, .read_only = true};
        hv_index *index;
        ck_hv_ok(hv_index_open(&config, &index, &err));
        hv_rc rc = ask_cuts(index, &err);
        if (db == HV_IX_HUBS)           /* nobody can find what is of an unknown hub, but that something is there can be seen */
            rc = hv_index_dump(index, drop_line, NULL, &err);
        bool hidden = db == HV_IX_CUTS && n == 0;       /* a hole in the middle: for verify to find */
        ck_assert_msg(rc == HV_CORRUPT || hidden, "%s, entry %zu: %s", hv_ix_db_name(db), n, hv_rc_name(rc));
        hv_index_close(index);
        raw_put(db, &key, value.data, value.len);
        ck_hv_ok(read_all(&err));
    }
    ck_assert_uint_gt(n, 0);
}
END_TEST

START_TEST(without_its_last_cut_a_partition_does_not_claim_to_end_there)
{
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE), value = HV_BUF_INIT(MAX_VALUE);
    hv_index_config config = {.dir = dir.path, .read_only = true};
    hv_index *index;
    hv_index_cut got;
    hv_err err;

    ck_assert(raw_entry(HV_IX_CUTS, 1, &key, &value));
    raw_delete(HV_IX_CUTS, &key);
    ck_hv_ok(hv_index_open(&config, &index, &err));
    ck_hv_fails(HV_CORRUPT, hv_index_find_offset(index, &orders, 12, &got, &err));
    ck_hv_fails(HV_CORRUPT, hv_index_find_time(index, &orders, 12, INT64_MIN, INT64_MAX, &got, &err));
    hv_index_close(index);
}
END_TEST

START_TEST(a_key_of_the_wrong_length_is_reported)
{
    static const hv_ix_db dbs[] = {HV_IX_PARTITIONS, HV_IX_CUTS, HV_IX_SEGMENTS, HV_IX_BLOCKS, HV_IX_GAPS, HV_IX_TIMES};
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE), value = HV_BUF_INIT(MAX_VALUE);
    hv_err err;

    for (size_t i = 0; i < sizeof dbs / sizeof dbs[0]; i++) {
        ck_assert(raw_entry(dbs[i], 0, &key, &value));
        size_t len = key.len;
        key.len = 5;
        raw_put(dbs[i], &key, value.data, value.len);
        ck_hv_fails(HV_CORRUPT, read_all(&err));
        raw_delete(dbs[i], &key);
        key.len = len;
        while (key.len < HV_IX_CUT_BYTES + 2 + HV_CLASS_SIZE)
            hv_buf_put_byte(&key, 'x');
        raw_put(dbs[i], &key, value.data, value.len);
        ck_hv_fails(HV_CORRUPT, read_all(&err));
        raw_delete(dbs[i], &key);
        ck_hv_ok(read_all(&err));
    }
}
END_TEST

START_TEST(a_hub_with_a_name_that_is_too_long_is_reported)
{
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE);
    static const unsigned char id[4] = {0, 0, 0, 9};
    hv_err err;

    while (key.len < HV_HUB_SIZE)
        hv_buf_put_byte(&key, 'x');
    raw_put(HV_IX_HUBS, &key, id, sizeof id);
    ck_hv_fails(HV_CORRUPT, read_all(&err));
}
END_TEST

START_TEST(an_index_that_does_not_name_its_vault_is_damaged)
{
    HV_AUTO(hv_buf_free) hv_buf key = HV_BUF_INIT(MAX_VALUE);
    hv_err err;

    hv_buf_put_text(&key, "vault");
    raw_delete(HV_IX_META, &key);
    ck_hv_fails(HV_CORRUPT, read_all(&err));
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index shape");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_value_that_is_shorter_or_longer_than_its_kind_is_reported, 0, HV_IX_DBS);
    tcase_add_loop_test(tests, random_bytes_in_a_value_are_never_a_crash, 0, 2);
    tcase_add_loop_test(tests, an_entry_that_is_gone_is_noticed, HV_IX_HUBS, HV_IX_HUBS + 1);
    tcase_add_loop_test(tests, an_entry_that_is_gone_is_noticed, HV_IX_PARTITIONS, HV_IX_TIMES);
    tcase_add_test(tests, without_its_last_cut_a_partition_does_not_claim_to_end_there);
    tcase_add_test(tests, a_key_of_the_wrong_length_is_reported);
    tcase_add_test(tests, a_hub_with_a_name_that_is_too_long_is_reported);
    tcase_add_test(tests, an_index_that_does_not_name_its_vault_is_damaged);
    return ck_hv_run("index shape", tests);
}
