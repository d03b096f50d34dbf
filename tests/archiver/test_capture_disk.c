/*
 * Disks that are full, full again, or read-only under a capture that goes on: the vault's, the index's, or one that holds both. It says
 * so, drops nothing, and goes on by itself when there is room. See harness/small_disk.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/archiver/rig.h"
#include "tests/harness/small_disk.h"

enum { DISK_BYTES = 1 << 20, FULL_TIMES = 3 };

static rig *r;
static scratch_dir disk;                /* the small one; folders "vault" and "index", as far as they lie on it */
static bool with_vault, with_index;
static hv_archiver *archiver;

static void
folder_on_disk(const char *name, char to[300])
{
    ck_assert_int_lt(snprintf(to, 300, "%s/%s", disk.path, name), 300);
    ck_assert_int_eq(mkdir(to, 0700), 0);
}

static void
setup(bool vault_too, bool index_too)
{
    char path[300];
    hv_err err;

    with_vault = vault_too;
    with_index = index_too;
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    disk = scratch_dir_make();
    ck_assert(small_disk_mount(disk.path, DISK_BYTES));
    rig_setup(r);
    if (with_vault) {
        folder_on_disk("vault", path);
        hv_storage_close(r->storage);
        ck_hv_ok(hv_storage_dir_open(path, true, &r->storage, &err));
    }
    if (with_index) {
        folder_on_disk("index", path);
        hv_index_close(r->index);
        scratch_dir_remove(&r->dir);
        ck_assert_int_lt(snprintf(r->dir.path, sizeof r->dir.path, "%s/index", disk.path), (int)sizeof r->dir.path);
        r->index = NULL;
        rig_reopen_index(r);
    }
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    r->config.sources = &r->source;
    r->config.storage = r->storage;
    r->config.max_age_ms = 200;
    r->config.discovery_ms = 50;
    r->config.patience_ms = 3000;
    r->config.classify = rig_three_classes;
}

static void
teardown(void)
{
    rig_teardown(r);
    free(r);
    small_disk_unmount(disk.path);
    scratch_dir_remove(&disk);
}

static void setup_vault(void) { setup(true, false); }
static void setup_index(void) { setup(false, true); }
static void setup_both(void) { setup(true, true); }

static void
start(void)
{
    hv_err err;

    r->config.once = false;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
}

static hv_rc
stop(hv_err *err)
{
    hv_archiver_stop(archiver);
    return hv_archiver_join(HV_TAKE(archiver), NULL, err);
}

static void
produce(int count)
{
    rig_produce(r, 1, 0, count);
    rig_produce(r, 1, 1, count / 2);
}

static bool
is_captured(void)
{
    return rig_position(r, 1, 0) == r->log[0][0].end && rig_position(r, 1, 1) == r->log[0][1].end;
}

static void
wait_until_captured(void)
{
    for (int i = 0; i < 6000 && !is_captured(); i++)
        usleep(5000);
    ck_assert_msg(is_captured(), "it did not go on: %s", r->last_text);
}

/* Events come in until the disk has no room for them, and then some more. */
static void
produce_until_it_complains(const char *complaint)
{
    rig_forget_what_was_said(r);
    for (int i = 0; i < 6000 && !rig_has_said(r, complaint); i++) {
        produce(8);
        usleep(20000);
    }
    ck_assert_msg(rig_has_said(r, complaint), "nobody complained of '%s'", complaint);
    produce(50);
    usleep(100000);
    ck_assert(!is_captured());
}

static void
check_the_end(void)
{
    hv_err err;

    ck_hv_ok(stop(&err));
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 0);
    rig_check_all_captured(r);
    rig_reopen_index(r);
    rig_check_all_captured(r);
}

START_TEST(a_full_disk_is_waited_for_and_capture_goes_on_by_itself_and_so_the_next_time)
{
    start();
    produce(20);
    wait_until_captured();
    for (int time = 0; time < FULL_TIMES; time++) {
        small_disk_fill(disk.path, 4096 * time);
        produce_until_it_complains("o space left");
        small_disk_empty(disk.path);
        wait_until_captured();
    }
    check_the_end();
}
END_TEST

START_TEST(a_capture_that_begins_on_a_full_disk_goes_on_when_there_is_room)
{
    hv_err err;

    start();
    produce(20);
    wait_until_captured();
    ck_hv_ok(stop(&err));
    small_disk_fill(disk.path, 0);
    start();
    produce_until_it_complains("o space left");
    small_disk_empty(disk.path);
    wait_until_captured();
    check_the_end();
}
END_TEST

START_TEST(a_stop_on_a_full_disk_ends_in_time_and_says_what_is_not_sealed)
{
    hv_err err;

    start();
    produce(20);
    wait_until_captured();
    small_disk_fill(disk.path, 0);
    produce_until_it_complains("o space left");
    ck_hv_fails(HV_UNAVAILABLE, stop(&err));
    ck_assert_ptr_nonnull(strstr(err.msg, "could not be sealed"));
    small_disk_empty(disk.path);
    rig_reopen_index(r);
    rig_check(r);
    start();
    wait_until_captured();
    check_the_end();
}
END_TEST

START_TEST(a_vault_that_became_read_only_is_waited_for)
{
    char segments[300];

    (void)snprintf(segments, sizeof segments, "%s/vault/segments", disk.path);
    start();
    produce(20);
    wait_until_captured();
    small_disk_read_only(segments, true);
    produce_until_it_complains("Read-only file system");
    small_disk_read_only(segments, false);
    wait_until_captured();
    check_the_end();
}
END_TEST

static TCase *
tests_with(const char *name, void (*set_up)(void))
{
    TCase *tests = tcase_create(name);

    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, teardown);
    tcase_add_test(tests, a_full_disk_is_waited_for_and_capture_goes_on_by_itself_and_so_the_next_time);
    tcase_add_test(tests, a_capture_that_begins_on_a_full_disk_goes_on_when_there_is_room);
    tcase_add_test(tests, a_stop_on_a_full_disk_ends_in_time_and_says_what_is_not_sealed);
    return tests;
}

int
main(void)
{
    int missing = small_disk_missing();

    if (missing != 0)
        return missing;
    TCase *vault = tests_with("the vault's disk", setup_vault);
    tcase_add_test(vault, a_vault_that_became_read_only_is_waited_for);
    int failed = ck_hv_run("capture on a small disk", vault);
    failed |= ck_hv_run("capture with its index on a small disk", tests_with("the index's disk", setup_index));
    return failed | ck_hv_run("capture with all on one small disk", tests_with("one disk", setup_both));
}
