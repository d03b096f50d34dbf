/*
 * Every call that verification and rebuild make to the store and to LMDB fails in turn, and every allocation: then they say so with that
 * code, and never that the vault is fine.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>

#include "archiver/rebuild.h"
#include "segment/names.h"
#include "tests/archiver/verify_checks.h"
#include "tests/harness/lmdb_faults.h"
#include "tests/harness/oom.h"

static vault_maker maker;

static void
setup(void)
{
    hv_partition lagging = maker_partition("zebra", 1, 0), ahead = maker_partition("yak", 1, 0);

    maker_setup(&maker, false);
    make_three_cuts(&maker);
    maker.index_too = true;
    maker_claim(&maker, "yak", 1);
    maker_plain_cut(&maker, &ahead, 0, 3);
    maker_claim(&maker, "zebra", 1);
    maker_cut(&maker, &lagging, 0, "dd-Rdrr");
}

static void
teardown(void)
{
    (void)lmdb_faults_end();
    (void)oom_end();
    maker_teardown(&maker);
}

/* A vault in which every path is walked: the index lags in one partition, and has a cut too many in another. */
static void
make_unequal(void)
{
    hv_partition lagging = maker_partition("zebra", 1, 0), ahead = maker_partition("yak", 1, 0);

    maker_drop(&maker, "segments/hub=yak/incarnation=1/partition=0/00000000000000000000.avro");
    (void)ahead;
    maker.index_too = false;
    maker_plain_cut(&maker, &lagging, 7, 3);
    maker_claim(&maker, "zebra", 2);
}

static void
fail_each_store_call(bool quick, hv_rc healthy)
{
    static const hv_rc codes[] = {HV_IO, HV_UNAVAILABLE, HV_AUTH, HV_NOMEM, HV_LIMIT, HV_INTERNAL};
    hv_storage *healthy_store = maker.storage;
    hv_verify_facts facts;
    unsigned fail = 0;
    hv_err err;

    for (;; fail++) {
        hv_rc code = codes[fail % (sizeof codes / sizeof codes[0])];
        hv_storage_fault_config config = {.inner = healthy_store, .fail_call = fail, .fail_with = code};
        ck_hv_ok(hv_storage_fault_open(&config, &maker.storage, &err));
        hv_rc rc = verify_vault(&maker, quick, &facts, &err);
        bool fired = hv_storage_fault_fired(maker.storage);
        hv_storage_close(maker.storage);
        maker.storage = healthy_store;
        if (!fired) {
            ck_assert_int_eq(rc, healthy);
            break;
        }
        /* A record that does not fit into what a record may have is a fault of the record. */
        ck_assert_msg(rc == code || (code == HV_LIMIT && rc == HV_GAP), "call %u with %s gave %s", fail, hv_rc_name(code), hv_rc_name(rc));
    }
    ck_assert_uint_gt(fail, 25);
}

START_TEST(each_failing_call_of_the_store_is_told_with_its_code)
{
    fail_each_store_call(false, HV_OK);
    fail_each_store_call(true, HV_OK);
}
END_TEST

START_TEST(each_failing_call_of_the_store_is_told_when_there_are_findings_too)
{
    make_unequal();
    fail_each_store_call(false, HV_GAP);
}
END_TEST

static void
fail_each_lmdb_call(int error, hv_rc wanted, hv_rc healthy)
{
    hv_verify_facts facts;
    long fail = 0;
    hv_err err;

    for (;; fail++) {
        lmdb_faults_begin(LMDB_ALL_THREADS, fail, error, false);
        hv_rc rc = verify_vault(&maker, false, &facts, &err);
        if (!lmdb_faults_end()) {
            ck_assert_int_eq(rc, healthy);
            break;
        }
        ck_assert_msg(rc == wanted, "call %ld of LMDB gave %s", fail, hv_rc_name(rc));
    }
    ck_assert_int_gt(fail, 50);
}

START_TEST(each_failing_call_of_lmdb_is_told)
{
    fail_each_lmdb_call(EIO, HV_IO, HV_OK);
    make_unequal();
    fail_each_lmdb_call(EIO, HV_IO, HV_GAP);
}
END_TEST

START_TEST(each_damaged_page_of_lmdb_is_a_finding)
{
    fail_each_lmdb_call(MDB_CORRUPTED, HV_GAP, HV_OK);
}
END_TEST

START_TEST(verify_says_so_when_there_is_no_memory)
{
    hv_verify_facts facts;
    long fail = 0;
    hv_err err;

    make_unequal();
    for (;; fail++) {
        oom_begin(OOM_ALL_THREADS, fail, 1);
        hv_rc rc = verify_vault(&maker, false, &facts, &err);
        if (!oom_end()) {
            ck_assert_int_eq(rc, HV_GAP);
            break;
        }
        ck_assert_msg(rc == HV_NOMEM, "allocation %ld: %s", fail, hv_rc_name(rc));
    }
    ck_assert_int_gt(fail, 200);
}
END_TEST

static hv_rc
rebuild(hv_index *index, hv_rebuild_facts *facts, hv_err *err)
{
    hv_rebuild_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = index, .threads = 2};

    return hv_rebuild(&config, facts, err);
}

START_TEST(rebuild_says_so_when_there_is_no_memory_and_a_second_run_finishes)
{
    hv_rebuild_facts facts = {0};
    long fail = 0;
    hv_err err;

    for (;; fail++) {
        char folder[32];
        (void)snprintf(folder, sizeof folder, "rebuilt-%ld", fail);
        HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, folder);
        oom_begin(OOM_ALL_THREADS, fail, 1);
        hv_rc rc = rebuild(rebuilt, &facts, &err);
        if (!oom_end()) {
            ck_hv_ok(rc);
            break;
        }
        ck_assert_msg(rc == HV_NOMEM, "allocation %ld: %s", fail, hv_rc_name(rc));
        if (fail % 16 == 0) {
            ck_hv_ok(rebuild(rebuilt, &facts, &err));
            ck_assert_int_eq(facts.cuts, 5);
        }
    }
    ck_assert_int_gt(fail, 100);
}
END_TEST

/* ---- rebuild over an LMDB that fails ---- */

static void
put_line(void *arg, const char *line)
{
    hv_buf_printf(arg, "%s\n", line);
}

static void
dump(hv_index *index, hv_buf *to)
{
    hv_err err;

    hv_buf_clear(to);
    ck_hv_ok(hv_index_dump(index, put_line, to, &err));
    ck_hv_ok(hv_buf_check(to, &err));
}

static size_t
incarnations_in(hv_index *index)
{
    hv_index_incarnation *incarnations = NULL;
    size_t count = 0;
    hv_err err;

    ck_hv_ok(hv_index_incarnations(index, &incarnations, &count, &err));
    free(incarnations);
    return count;
}

static const struct lmdb_way {
    int error;
    hv_rc code, or_code;
    bool takes_effect, passes;          /* the index enlarges its map and tries again; of many cuts it tries each */
} ways[] = {
    {.error = EIO, .code = HV_IO, .or_code = HV_IO},
    {.error = EIO, .code = HV_IO, .or_code = HV_IO, .takes_effect = true},
    {.error = ENOSPC, .code = HV_LIMIT, .or_code = HV_LIMIT},
    {.error = MDB_MAP_FULL, .code = HV_LIMIT, .or_code = HV_LIMIT, .passes = true},
    {.error = MDB_CORRUPTED, .code = HV_GAP, .or_code = HV_CORRUPT, .passes = true},
};
enum { WAYS = sizeof ways / sizeof *ways };

/* What may be said of an index that a rebuild has left: whole, or known not to be. */
static void
check_left(hv_index *rebuilt, hv_rc rc, bool takes_effect, const hv_buf *whole)
{
    HV_AUTO(hv_buf_free) hv_buf left = HV_BUF_INIT(64 << 20);

    dump(rebuilt, &left);
    if (rc == HV_OK)
        ck_assert_str_eq(left.data, whole->data);
    else if (rc == HV_GAP)
        ck_assert_int_lt((int)left.len, (int)whole->len);
    else if (incarnations_in(rebuilt) > 0) {            /* whoever finds it takes it for whole: that must be true */
        ck_assert(takes_effect);
        ck_assert_str_eq(left.data, whole->data);
    }
}

static hv_rc
copy_blob(void *arg, const char *name, uint64_t size, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_blob_properties properties;
    hv_storage *to = arg;

    (void)size;
    maker_read(&maker, name, &bytes);
    hv_rc rc = maker.storage->ops->properties(maker.storage, name, &properties, err);
    if (rc != HV_OK)
        return rc;
    hv_slice all = hv_buf_slice(&bytes);
    return to->ops->put_new(to, name, &all, 1, &properties.attributes, err);
}

/* The cuts of "zebra", as a rebuild that was killed leaves them: without an incarnation. */
static void
record_a_part(hv_index *index)
{
    HV_AUTO(hv_storage_close) hv_storage *part = NULL;
    hv_rebuild_config config = {.vault = MAKER_VAULT, .index = index};
    hv_rebuild_facts facts;
    hv_err err;

    ck_hv_ok(hv_storage_mem_open(&part, &err));
    ck_hv_ok(hv_storage_walk(maker.storage, "segments/hub=zebra/incarnation=1/partition", copy_blob, part, &err));
    config.storage = part;
    ck_hv_fails(HV_GAP, hv_rebuild(&config, &facts, &err));
    ck_assert_int_eq(facts.cuts, 1);
    ck_assert_uint_eq(incarnations_in(index), 0);
}

/* Into a new index, or over one that knows a part. */
static void
rebuild_with_each_fault(const struct lmdb_way *way, bool knows_a_part)
{
    HV_AUTO(hv_buf_free) hv_buf whole = HV_BUF_INIT(64 << 20), left = HV_BUF_INIT(64 << 20);
    hv_rebuild_facts facts = {0};
    hv_err err;
    long call;

    dump(maker.index, &whole);
    for (call = 0;; call++) {
        char folder[40];
        (void)snprintf(folder, sizeof folder, "rebuilt-%d-%ld", (int)knows_a_part, call);
        HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, folder);
        if (knows_a_part)
            record_a_part(rebuilt);
        lmdb_faults_begin(LMDB_ALL_THREADS, call, way->error, way->takes_effect);
        hv_rc rc = rebuild(rebuilt, &facts, &err);
        bool fired = lmdb_faults_end();
        check_left(rebuilt, rc, way->takes_effect, &whole);
        if (!fired) {
            ck_hv_ok(rc);
            break;
        }
        ck_assert_msg(rc == way->code || rc == way->or_code || (rc == HV_OK && way->passes), "call %ld gave %s", call, hv_rc_name(rc));
        ck_hv_ok(rebuild(rebuilt, &facts, &err));
        dump(rebuilt, &left);
        ck_assert_str_eq(left.data, whole.data);
        ck_assert_int_lt(call, 2000);
    }
    ck_assert_int_gt(call, 60);
}

START_TEST(each_failing_call_of_lmdb_ends_the_rebuild_or_is_got_over_and_no_part_is_taken_for_the_whole)
{
    rebuild_with_each_fault(&ways[_i], false);
    rebuild_with_each_fault(&ways[_i], true);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify faults");

    scratch_dir_use_memory();
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_failing_call_of_the_store_is_told_with_its_code);
    tcase_add_test(tests, each_failing_call_of_the_store_is_told_when_there_are_findings_too);
    tcase_add_test(tests, each_failing_call_of_lmdb_is_told);
    tcase_add_test(tests, each_damaged_page_of_lmdb_is_a_finding);
    tcase_add_test(tests, verify_says_so_when_there_is_no_memory);
    tcase_add_test(tests, rebuild_says_so_when_there_is_no_memory_and_a_second_run_finishes);
    tcase_add_loop_test(tests, each_failing_call_of_lmdb_ends_the_rebuild_or_is_got_over_and_no_part_is_taken_for_the_whole, 0, WAYS);
    tcase_set_timeout(tests, 120);
    return ck_hv_run("verify faults", tests);
}
