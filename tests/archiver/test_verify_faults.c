/*
 * Every call that verification and rebuild make to the store and to LMDB fails in turn, and every allocation: then they say so with that
 * code, and never that the vault is fine.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>

#include "archiver/rebuild.h"
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
    atomic_store(&lmdb_fault.left, -1);
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
        lmdb_fault.error = error;
        atomic_store(&lmdb_fault.fired, false);
        atomic_store(&lmdb_fault.left, fail);
        hv_rc rc = verify_vault(&maker, false, &facts, &err);
        atomic_store(&lmdb_fault.left, -1);
        if (!atomic_load(&lmdb_fault.fired)) {
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

int
main(void)
{
    TCase *tests = tcase_create("verify faults");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_failing_call_of_the_store_is_told_with_its_code);
    tcase_add_test(tests, each_failing_call_of_the_store_is_told_when_there_are_findings_too);
    tcase_add_test(tests, each_failing_call_of_lmdb_is_told);
    tcase_add_test(tests, each_damaged_page_of_lmdb_is_a_finding);
    tcase_add_test(tests, verify_says_so_when_there_is_no_memory);
    tcase_add_test(tests, rebuild_says_so_when_there_is_no_memory_and_a_second_run_finishes);
    tcase_set_timeout(tests, 120);
    return ck_hv_run("verify faults", tests);
}
