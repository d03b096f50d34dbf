/* From what groups had committed to what they have to commit: against brute force, a scripted service, and a scripted hub as the target. */
#include <stdio.h>
#include <stdlib.h>

#include "replay/group_moves.h"
#include "replay/offset_map.h"
#include "source/source_drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/harness/scripted_admin.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static scratch_dir dir;
static char path[4096];
static hv_admin *admin;
static const hv_move_rules careful;

enum { PARTITIONS = 3, TIMEOUT_MS = 5000 };

static void
setup(void)
{
    dir = scratch_dir_make();
    (void)snprintf(path, sizeof path, "%s/map", dir.path);
    admin = scripted_admin_new();
}

static void
teardown(void)
{
    hv_admin_close(admin);
    scratch_dir_remove(&dir);
}

/* ---- a map ---- */

static hv_offset_map *
begin_map(int64_t first, const int32_t to[PARTITIONS])
{
    hv_offset_map_head head = {.vault = TEST_VAULT, .id = "r"};
    hv_mapped_source sources[PARTITIONS];
    const int64_t next[PARTITIONS] = {0};
    hv_offset_map *map = NULL;

    for (int32_t p = 0; p < PARTITIONS; p++)
        sources[p] = (hv_mapped_source){.from = vault_partition("orders", 1, p), .topic = "copy", .to = to[p], .first = first, .begin = 7};
    ck_hv_ok(hv_offset_map_open(path, &map, &err));
    ck_hv_ok(hv_offset_map_begin(map, &head, sources, next, PARTITIONS, 0, true, &err));
    return map;
}

static const int32_t straight[PARTITIONS] = {0, 1, 2};

static void
end_map(hv_offset_map *map, bool finished)
{
    ck_hv_ok(hv_offset_map_write(map, &err));
    if (finished)
        ck_hv_ok(hv_offset_map_finish(map, &err));
    hv_offset_map_close(map);
}

/* Old offsets 0, 2, 4, ... 18 of partition 0 at new ones 100, 101, 102, 103, 105, ...: a control record behind the fourth. */
static void
make_map(bool finished)
{
    hv_offset_map *map = begin_map(0, straight);

    for (int i = 0; i < 10; i++)
        ck_hv_ok(hv_offset_map_add(map, 0, 2 * i, 100 + i + (i > 3), &err));
    end_map(map, finished);
}

/* ---- a group ---- */

static hv_group_snapshot
group_at(const char *name, int64_t first, int64_t second)
{
    hv_group_snapshot made = {.head = {.vault = TEST_VAULT, .hub = "orders", .number = 1, .incarnation = 1}, .group = strdup(name)};

    if (first >= 0)
        ck_hv_ok(hv_group_snapshot_add(&made, 0, first, hv_slice_text("meta"), &err));
    if (second >= 0)
        ck_hv_ok(hv_group_snapshot_add(&made, 1, second, HV_SLICE_NULL, &err));
    return made;
}

static hv_group_moves
plan(const char *name, int64_t first, int64_t second)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = group_at(name, first, second);
    hv_group_moves moves = {.moves = NULL};

    ck_hv_ok(hv_group_moves_plan(path, TEST_VAULT, &group, 1, &moves, &err));
    return moves;
}

/* The move of partition 0. */
static void
expect_move(int64_t committed, hv_move_state state, int64_t event, int64_t offset)
{
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", committed, -1);

    ck_assert_uint_eq(moves.count, 1);
    ck_assert_msg(moves.moves[0].state == state, "%lld: %s", (long long)committed, hv_move_state_text(moves.moves[0].state));
    ck_assert_int_eq(moves.moves[0].event, event);
    ck_assert_int_eq(moves.moves[0].offset, offset);
}

START_TEST(a_group_goes_on_at_the_first_event_at_or_behind_what_it_committed)
{
    make_map(true);
    expect_move(0, HV_MOVE_EVENT, 0, 100);
    expect_move(1, HV_MOVE_EVENT, 2, 101);      /* in a hole */
    expect_move(6, HV_MOVE_EVENT, 6, 103);
    expect_move(7, HV_MOVE_EVENT, 8, 105);      /* behind the control record */
    expect_move(18, HV_MOVE_EVENT, 18, 110);
}
END_TEST

START_TEST(who_has_read_everything_goes_on_right_behind_the_last_event)
{
    make_map(true);
    expect_move(19, HV_MOVE_END, -1, 111);
    expect_move(5000, HV_MOVE_END, -1, 111);
}
END_TEST

START_TEST(where_nothing_was_replayed_it_goes_on_where_the_target_ended_before)
{
    make_map(true);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", -1, 0);
    ck_assert_int_eq(moves.moves[0].state, HV_MOVE_END);
    ck_assert_int_eq(moves.moves[0].offset, 7);
}
END_TEST

START_TEST(behind_an_unfinished_replay_nobody_is_moved)
{
    make_map(false);
    expect_move(18, HV_MOVE_EVENT, 18, 110);
    expect_move(19, HV_MOVE_LATER, -1, -1);
}
END_TEST

START_TEST(events_before_what_was_replayed_are_told)
{
    hv_offset_map *map = begin_map(50, straight);

    ck_hv_ok(hv_offset_map_add(map, 0, 51, 0, &err));
    end_map(map, true);
    expect_move(49, HV_MOVE_BEFORE, 51, 0);
    expect_move(50, HV_MOVE_EVENT, 51, 0);
}
END_TEST

START_TEST(another_incarnation_is_not_mapped)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = group_at("g", 3, -1);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = {.moves = NULL};

    make_map(true);
    group.head.incarnation = 2;
    ck_hv_ok(hv_group_moves_plan(path, TEST_VAULT, &group, 1, &moves, &err));
    ck_assert_int_eq(moves.moves[0].state, HV_MOVE_UNMAPPED);
}
END_TEST

START_TEST(partitions_that_went_into_one_give_the_lowest_offset)
{
    static const int32_t together[PARTITIONS] = {5, 5, 6};
    hv_offset_map *map = begin_map(0, together);

    for (int i = 0; i < 10; i++) {
        ck_hv_ok(hv_offset_map_add(map, 0, i, 2 * i, &err));
        ck_hv_ok(hv_offset_map_add(map, 1, i, 2 * i + 1, &err));
    }
    end_map(map, true);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", 8, 3);
    ck_assert_int_eq(moves.moves[0].offset, 7);
    ck_assert(moves.moves[0].lowered);
    ck_assert_int_eq(moves.moves[1].offset, 7);
    ck_assert(!moves.moves[1].lowered);
}
END_TEST

START_TEST(the_map_of_another_vault_is_refused)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = group_at("g", 3, -1);
    hv_group_moves moves;

    make_map(true);
    ck_hv_fails(HV_USAGE, hv_group_moves_plan(path, "ffffffff-2222-4333-8444-555555555555", &group, 1, &moves, &err));
}
END_TEST

/* Random maps, every position, several groups at once: as brute force says. */
START_TEST(plans_are_those_of_brute_force)
{
    enum { OFFSETS = 300 };
    static int64_t new_of[PARTITIONS][OFFSETS + 1];
    test_random random = test_random_make((uint64_t)_i + 1);
    hv_offset_map *map = begin_map(0, straight);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = {.moves = NULL};
    hv_group_snapshot groups[OFFSETS + 1];
    int64_t next[PARTITIONS] = {0};

    for (int64_t old = 0; old < OFFSETS; old++)
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            new_of[p][old] = -1;
            if (test_random_below(&random, 4) == 0)
                continue;               /* a hole */
            next[p] += test_random_below(&random, 10) == 0 ? 1 + (int64_t)test_random_below(&random, 5) : 0;
            new_of[p][old] = next[p]++;
            ck_hv_ok(hv_offset_map_add(map, p, old, new_of[p][old], &err));
            if (test_random_below(&random, 50) == 0)
                ck_hv_ok(hv_offset_map_write(map, &err));
        }
    end_map(map, true);
    for (int64_t at = 0; at <= OFFSETS; at++) {
        char name[16];
        (void)snprintf(name, sizeof name, "g%03d", (int)at);
        groups[at] = group_at(name, at, OFFSETS - at);
    }
    ck_hv_ok(hv_group_moves_plan(path, TEST_VAULT, groups, OFFSETS + 1, &moves, &err));
    ck_assert_uint_eq(moves.count, 2 * (OFFSETS + 1));
    for (size_t i = 0; i < moves.count; i++) {
        const hv_group_move *move = &moves.moves[i];
        int64_t old = move->committed, want;
        while (old < OFFSETS && new_of[move->from.number][old] < 0)
            old++;
        want = old < OFFSETS ? new_of[move->from.number][old] : next[move->from.number];
        ck_assert_int_eq(move->state, old < OFFSETS ? HV_MOVE_EVENT : HV_MOVE_END);
        ck_assert_int_eq(move->offset, want);
    }
    for (int64_t at = 0; at <= OFFSETS; at++)
        hv_group_snapshot_clear(&groups[at]);
}
END_TEST

/* ---- the target ---- */

static hv_move_verdict
judged(hv_group_moves *moves, hv_move_rules rules, hv_move_group *ret)
{
    hv_move_group *groups = NULL;
    size_t count = 0;

    ck_hv_ok(hv_group_moves_judge(moves, admin, &rules, TIMEOUT_MS, &groups, &count, &err));
    ck_assert_uint_eq(count, 1);
    *ret = groups[0];
    free(groups);
    return ret->verdict;
}

/* What the group has for partition 0 of the topic; -1: nothing. */
static int64_t
there(const char *group)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};

    ck_hv_ok(admin->ops->commits(admin, group, TIMEOUT_MS, &commits, &err));
    const hv_admin_commit *found = hv_admin_commits_find(&commits, "copy", 0);
    return found == NULL ? -1 : found->offset;
}

START_TEST(what_is_planned_is_committed_and_read_back_and_a_second_time_changes_nothing)
{
    hv_move_group group;

    make_map(true);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", 7, 0);
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_MOVES);
    ck_assert_int_eq(there("g"), -1);   /* judging commits nothing */
    ck_hv_fails(HV_GAP, hv_group_moves_check(&moves, &group, admin, TIMEOUT_MS, &err));
    ck_hv_ok(hv_group_moves_commit(&moves, &group, admin, TIMEOUT_MS, &err));
    ck_hv_ok(hv_group_moves_check(&moves, &group, admin, TIMEOUT_MS, &err));
    ck_assert(moves.moves[0].done && moves.moves[1].done);
    ck_assert_int_eq(there("g"), 105);
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_IS_THERE);
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};
    ck_hv_ok(admin->ops->commits(admin, "g", TIMEOUT_MS, &commits, &err));
    ck_assert_uint_eq(commits.at[0].metadata_len, 4);
    ck_assert_mem_eq(commits.at[0].metadata, "meta", 4);
}
END_TEST

START_TEST(an_active_group_is_left_alone_even_if_somebody_joins_late)
{
    hv_move_group group;

    make_map(true);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", 7, -1);
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_MOVES);
    scripted_admin_active(admin, "g", true);
    ck_hv_fails(HV_BUSY, hv_group_moves_commit(&moves, &group, admin, TIMEOUT_MS, &err));
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_ACTIVE);
    ck_assert_int_eq(there("g"), -1);
}
END_TEST

START_TEST(what_a_group_has_committed_there_is_overwritten_on_demand_only)
{
    hv_move_group group;

    make_map(true);
    scripted_admin_commit(admin, "g", "copy", 0, _i == 0 ? 3 : 300, "");       /* behind or ahead */
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", 7, -1);
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_HAS_OTHER);
    ck_assert_int_eq(judged(&moves, (hv_move_rules){.overwrite = true}, &group), HV_GROUP_MOVES);
    ck_hv_ok(hv_group_moves_commit(&moves, &group, admin, TIMEOUT_MS, &err));
    ck_assert_int_eq(there("g"), 105);
}
END_TEST

START_TEST(a_group_that_would_pass_events_over_or_is_ahead_of_the_replay_is_not_moved)
{
    hv_move_group group;
    hv_offset_map *map = begin_map(50, straight);

    ck_hv_ok(hv_offset_map_add(map, 0, 51, 0, &err));
    end_map(map, false);
    HV_AUTO(hv_group_moves_clear) hv_group_moves before = plan("g", 3, -1);
    ck_assert_int_eq(judged(&before, careful, &group), HV_GROUP_WOULD_SKIP);
    ck_assert_int_eq(judged(&before, (hv_move_rules){.allow_gap = true}, &group), HV_GROUP_MOVES);
    HV_AUTO(hv_group_moves_clear) hv_group_moves later = plan("g", 50, 60);
    ck_assert_int_eq(judged(&later, (hv_move_rules){.allow_gap = true, .overwrite = true}, &group), HV_GROUP_TOO_EARLY);
}
END_TEST

START_TEST(a_service_that_does_not_list_groups_is_asked_by_the_commit)
{
    hv_move_group group;

    make_map(true);
    scripted_admin_fail(admin, "groups", HV_VERSION);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", 7, -1);
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_MOVES);
}
END_TEST

/* ---- comparing events ---- */

static void
append_text(hv_source *target, const char *value)
{
    hv_event event = {.timestamp_ms = 9, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text(value)};

    (void)hv_scripted_append(target, "copy", 0, &event);
}

START_TEST(the_event_at_the_new_offset_has_to_be_the_archived_one)
{
    static vault_builder vault;
    HV_AUTO(hv_source_close) hv_source *target = NULL;
    hv_partition orders = vault_partition("orders", 1, 0);
    hv_move_group group;

    vault_open(&vault);
    vault_incarnation(&vault, "orders", 1, "");
    for (int i = 0; i < 3; i++)
        vault_add_text(&vault, &orders, i, 5, i == 0 ? "zero" : i == 1 ? "one" : "two");
    vault_seal(&vault, &orders, &(vault_seal_config){.events_per_block = 7});
    ck_hv_ok(hv_source_scripted_open(&target, &err));
    hv_scripted_hub(target, "copy", 3, "");
    append_text(target, "zero");
    hv_scripted_skip(target, "copy", 0, 1);
    append_text(target, _i == 1 ? "another" : "one");
    hv_offset_map *map = begin_map(0, straight);
    ck_hv_ok(hv_offset_map_add(map, 0, 0, 0, &err));
    ck_hv_ok(hv_offset_map_add(map, 0, 1, _i == 2 ? 1 : 2, &err));     /* 2: the map says a control record */
    end_map(map, true);
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = plan("g", 1, 0);
    ck_assert_int_eq(judged(&moves, careful, &group), HV_GROUP_MOVES);
    hv_rc rc = hv_group_moves_compare(&moves, &group, target, vault.index, vault.storage, TIMEOUT_MS, &err);
    ck_assert_msg(rc == (_i == 0 ? HV_OK : HV_GAP), "%s: %s", hv_rc_name(rc), rc == HV_OK ? "" : err.msg);
    vault_close(&vault);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("group moves");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_group_goes_on_at_the_first_event_at_or_behind_what_it_committed);
    tcase_add_test(tests, who_has_read_everything_goes_on_right_behind_the_last_event);
    tcase_add_test(tests, where_nothing_was_replayed_it_goes_on_where_the_target_ended_before);
    tcase_add_test(tests, behind_an_unfinished_replay_nobody_is_moved);
    tcase_add_test(tests, events_before_what_was_replayed_are_told);
    tcase_add_test(tests, another_incarnation_is_not_mapped);
    tcase_add_test(tests, partitions_that_went_into_one_give_the_lowest_offset);
    tcase_add_test(tests, the_map_of_another_vault_is_refused);
    tcase_add_loop_test(tests, plans_are_those_of_brute_force, 0, 10);
    tcase_add_test(tests, what_is_planned_is_committed_and_read_back_and_a_second_time_changes_nothing);
    tcase_add_test(tests, an_active_group_is_left_alone_even_if_somebody_joins_late);
    tcase_add_loop_test(tests, what_a_group_has_committed_there_is_overwritten_on_demand_only, 0, 2);
    tcase_add_test(tests, a_group_that_would_pass_events_over_or_is_ahead_of_the_replay_is_not_moved);
    tcase_add_test(tests, a_service_that_does_not_list_groups_is_asked_by_the_commit);
    tcase_add_loop_test(tests, the_event_at_the_new_offset_has_to_be_the_archived_one, 0, 3);
    return ck_hv_run("group moves", tests);
}
