/*
 * Let the n-th allocation fail, for n = 0, 1, 2 ... until writing a map, going on with it, planning groups and topics, and moving them needs
 * fewer than n: each says HV_NOMEM or works. Leaks on these paths are found by the sanitizer build of this test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replay/group_moves.h"
#include "replay/kafka_topics.h"
#include "replay/offset_map.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"
#include "tests/harness/scratch_dir.h"
#include "tests/harness/scripted_admin.h"
#include "tests/segment/segment_builder.h"

static scratch_dir dir;
static char path[4096];
static hv_admin *admin;
static hv_group_snapshot group;
static hv_topic_snapshot topic;

enum { SOURCES = 9, TIMEOUT_MS = 5000 };

static void
setup(void)
{
    hv_err err;

    dir = scratch_dir_make();
    (void)snprintf(path, sizeof path, "%s/map", dir.path);
    admin = scripted_admin_new();
    group = (hv_group_snapshot){.head = {.vault = TEST_VAULT, .hub = "orders", .number = 1, .incarnation = 1}, .group = strdup("g")};
    for (int32_t p = 0; p < SOURCES; p++)
        ck_hv_ok(hv_group_snapshot_add(&group, p, 3, hv_slice_text("m"), &err));
    topic = (hv_topic_snapshot){.partitions = SOURCES, .replication = 1, .told = true};
    ck_hv_ok(hv_topic_snapshot_add(&topic, "retention.ms", "1000", true, &err));
}

static void
teardown(void)
{
    hv_group_snapshot_clear(&group);
    hv_topic_snapshot_clear(&topic);
    hv_admin_close(admin);
    scratch_dir_remove(&dir);
}

static hv_rc
map_some(int64_t first, int64_t end, hv_err *err)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = NULL;
    hv_offset_map_head head = {.vault = TEST_VAULT, .id = "r"};
    hv_mapped_source sources[SOURCES];
    int64_t next[SOURCES];

    for (int32_t p = 0; p < SOURCES; p++) {
        sources[p] = (hv_mapped_source){.from = {.hub = "orders", .incarnation = 1, .number = p}, .topic = "copy", .to = p};
        next[p] = first;
    }
    hv_rc rc = hv_offset_map_open(path, &map, err);
    if (rc == HV_OK)
        rc = hv_offset_map_begin(map, &head, sources, next, SOURCES, first * SOURCES, true, err);
    for (int64_t old = first; rc == HV_OK && old < end; old++)
        for (uint32_t p = 0; rc == HV_OK && p < SOURCES; p++)
            rc = hv_offset_map_add(map, p, old, 2 * old, err);
    if (rc == HV_OK)
        rc = hv_offset_map_write(map, err);
    return rc == HV_OK ? hv_offset_map_finish(map, err) : rc;
}

static hv_rc
move_group(hv_err *err)
{
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = {.moves = NULL};
    static const hv_move_rules rules = {.overwrite = true};
    hv_move_group *groups = NULL;
    size_t count = 0;

    hv_rc rc = hv_group_moves_plan(path, TEST_VAULT, &group, 1, &moves, err);
    if (rc == HV_OK)
        rc = hv_group_moves_judge(&moves, admin, &rules, TIMEOUT_MS, &groups, &count, err);
    if (rc == HV_OK && groups[0].verdict == HV_GROUP_MOVES)
        rc = hv_group_moves_commit(&moves, &groups[0], admin, TIMEOUT_MS, err);
    if (rc == HV_OK)
        rc = hv_group_moves_check(&moves, &groups[0], admin, TIMEOUT_MS, err);
    free(groups);
    return rc;
}

static hv_rc
make_topics(hv_err *err)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    hv_sink_kafka_config config = {.id = "a", .topic = "copy"};
    char name[] = "a", value[] = "b";
    hv_topic_setting setting = {.name = name, .value = value};
    hv_topic_wish wish = {.settings = &setting, .count = 1};
    const hv_topic_was was[] = {{.hub = "orders", .partitions = 1, .snapshot = &topic}, {.hub = "sales", .partitions = 1, .snapshot = &topic}};

    return hv_kafka_topics_plan(&config, was, 2, &wish, admin, TIMEOUT_MS, &plans, err);
}

/* The map first without, then with what is there. */
static hv_rc
work(int kind, hv_err *err)
{
    hv_rc rc;

    switch (kind) {
    case 0:
        (void)unlink(path);
        rc = map_some(0, 5, err);
        return rc == HV_OK ? map_some(5, 9, err) : rc;
    case 1:
        return move_group(err);
    default:
        return make_topics(err);
    }
}

START_TEST(running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind)
{
    hv_err err = {0};
    bool starved = true;
    long n;

    ck_hv_ok(map_some(0, 9, &err));
    for (n = 0; starved; n++) {
        ck_assert_int_lt(n, 1000);
        oom_begin(OOM_THIS_THREAD, n, 1);
        hv_rc rc = work(_i, &err);
        starved = oom_end();
        ck_assert_msg(rc == HV_OK || (starved && rc == HV_NOMEM), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
    }
    ck_assert_int_gt(n, 8);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("moves, out of memory");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind, 0, 3);
    return ck_hv_run("moves, out of memory", tests);
}
