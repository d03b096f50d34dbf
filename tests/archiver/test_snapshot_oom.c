/*
 * Let the n-th allocation fail, for n = 0, 1, 2 ... until taking, finding and checking snapshots needs fewer than n: each run says HV_NOMEM
 * or works, and what was not kept then is kept by the next one. The linker's --wrap replaces the allocation functions for our own code only.
 * Leaks on these paths are found by the sanitizer build of this test.
 */
#include <stdio.h>

#include "archiver/snapshot.h"
#include "archiver/snapshot_store.h"
#include "tests/archiver/rig.h"
#include "tests/harness/oom.h"
#include "tests/harness/scripted_admin.h"

static rig r;
static hv_admin *admin;
static hv_snapshot_source asked;

static void
setup(void)
{
    hv_index_incarnation entry = {.hub = "orders", .incarnation = 1, .created_ms = 1, .cause = "first", .identity = "id-1"};
    hv_err err;

    rig_setup(&r);
    admin = scripted_admin_new();
    asked = (hv_snapshot_source){.source = r.source, .admin = admin};
    hv_scripted_hub(r.source, "orders", 4, "id-1");
    scripted_admin_topic(admin, "orders", 4, 3, true);
    for (int i = 0; i < 10; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "s%d", i);
        scripted_admin_setting(admin, "orders", name, "v", i % 2 == 0);
    }
    for (int32_t p = 0; p < 9; p++)
        scripted_admin_commit(admin, p % 2 == 0 ? "billing" : "audit", "orders", p, p, "metadata");
    ck_hv_ok(hv_index_add_incarnation(r.index, &entry, &err));
}

static void
teardown(void)
{
    hv_admin_close(admin);
    rig_teardown(&r);
}


static hv_rc
nothing(void *arg, const char *hub, const char *key, hv_err *err)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot found = {.group = NULL};

    return hv_snapshots_group(arg, hub, key, 0, &found, err) == HV_NOT_FOUND ? HV_OK
                                                                             : hv_snapshots_group(arg, hub, key, INT64_MAX, &found, err);
}

static hv_rc
take_and_find(hv_err *err)
{
    hv_snapshot_config config = {.sources = &asked, .source_count = 1, .storage = r.storage, .index = r.index, .vault = RIG_VAULT,
        .interval_ms = 60000};
    hv_snapshots store = {.storage = r.storage, .vault = RIG_VAULT};
    hv_rc rc = HV_OK;

    for (int life = 0; rc == HV_OK && life < 2; life++) {
        HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = NULL;
        rc = hv_snapshotter_new(&config, &snapshotter, err);
        if (rc == HV_OK)
            rc = hv_snapshotter_round(snapshotter, err);
    }
    return rc == HV_OK ? hv_snapshots_each_group(&store, NULL, nothing, &store, err) : rc;
}

START_TEST(running_out_of_memory_anywhere_loses_no_snapshot_and_leaves_nothing_behind)
{
    hv_err err = {0};
    bool starved = true;
    int64_t number = 0;
    long n;

    for (n = 0; starved; n++) {
        ck_assert_int_lt(n, 2000);
        if (_i == 1) {                  /* every time from an empty store */
            teardown();
            setup();
        }
        oom_begin(OOM_THIS_THREAD, n, 1);
        hv_rc rc = take_and_find(&err);
        starved = oom_end();
        ck_assert_msg(rc == HV_OK || (starved && rc == HV_NOMEM), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
    }
    ck_assert_int_gt(n, 50);
    hv_snapshots store = {.storage = r.storage, .vault = RIG_VAULT};
    char key[HV_GROUP_KEY_SIZE];
    hv_group_key("billing", key);
    ck_hv_ok(hv_snapshots_newest_number(&store, "orders", key, &number, &err));
    ck_assert_int_eq(number, 1);
    ck_hv_ok(hv_snapshots_newest_number(&store, "orders", NULL, &number, &err));
    ck_assert_int_eq(number, 1);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("snapshot, out of memory");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, running_out_of_memory_anywhere_loses_no_snapshot_and_leaves_nothing_behind, 0, 2);
    return ck_hv_run("snapshot, out of memory", tests);
}
