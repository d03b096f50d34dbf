/* What moves with the data: topics that a replay makes at a service, and consumer groups that go on there. */
#include <stdio.h>
#include <string.h>

#include "archiver/snapshot_store.h"
#include "replay/offset_map.h"
#include "tests/archiver/vault_maker.h"
#include "tests/cli/cli_run.h"
#include "tests/harness/admin_broker.h"

enum { UNKNOWN_MEMBER = 25, TOPIC_REFUSED = 29, MAPPED = 10 };

static vault_maker maker;
static admin_broker *broker;
static char config[400], map[400], target[64];

static void
put_topic(void)
{
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot made = {
        .head = {.vault = MAKER_VAULT, .hub = "orders", .number = 1, .incarnation = 1, .taken_ms = 1700000000000}, .partitions = 3,
        .replication = 1, .told = true};
    hv_snapshots store = {.storage = maker.storage, .vault = MAKER_VAULT};
    hv_err err;

    ck_hv_ok(hv_topic_snapshot_add(&made, "cleanup.policy", "delete", true, &err));
    ck_hv_ok(hv_topic_snapshot_add(&made, "max.message.bytes", "1048588", false, &err));
    hv_topic_snapshot_sort(&made);
    ck_hv_ok(hv_snapshots_put_topic(&store, &made, &err));
}

static void
put_group(const char *group, int64_t offset)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = {
        .head = {.vault = MAKER_VAULT, .hub = "orders", .number = 1, .incarnation = 1, .taken_ms = 1700000000000}, .group = strdup(group)};
    hv_snapshots store = {.storage = maker.storage, .vault = MAKER_VAULT};
    hv_err err;

    ck_hv_ok(hv_group_snapshot_add(&made, 0, offset, hv_slice_text("meta"), &err));
    ck_hv_ok(hv_group_snapshot_add(&made, 1, offset, HV_SLICE_NULL, &err));
    ck_hv_ok(hv_snapshots_put_group(&store, &made, &err));
}

/* Offsets 0 .. 9 of partition p got 100 * (p + 1) and so on in partition p of the topic "copy". */
static void
make_map(void)
{
    hv_offset_map_head head = {.vault = MAKER_VAULT, .id = "r"};
    hv_mapped_source sources[2];
    const int64_t next[2] = {0};
    hv_offset_map *writing = NULL;
    hv_err err;

    for (int32_t p = 0; p < 2; p++)
        sources[p] = (hv_mapped_source){.from = maker_partition("orders", 1, p), .topic = "copy", .to = p, .begin = 100 * (p + 1)};
    ck_hv_ok(hv_offset_map_open(map, &writing, &err));
    ck_hv_ok(hv_offset_map_begin(writing, &head, sources, next, 2, 0, true, &err));
    for (uint32_t p = 0; p < 2; p++)
        for (int64_t i = 0; i < MAPPED; i++)
            ck_hv_ok(hv_offset_map_add(writing, p, i, 100 * (p + 1) + i, &err));
    ck_hv_ok(hv_offset_map_write(writing, &err));
    ck_hv_ok(hv_offset_map_finish(writing, &err));
    hv_offset_map_close(writing);
}

static void
setup(void)
{
    cli_setenv(NULL, NULL);
    maker_setup(&maker, true);
    maker_claim(&maker, "orders", 1);
    for (int32_t p = 0; p < 2; p++) {
        hv_partition partition = maker_partition("orders", 1, p);
        maker_plain_cut(&maker, &partition, 0, MAPPED);
    }
    put_topic();
    put_group("billing", MAPPED);
    hv_index_close(HV_TAKE(maker.index));       /* commands open it themselves */
    snprintf(config, sizeof config, "%s", cli_write_file(&maker.dir, "hubvault.conf", "store.dir = vault\nindex.dir = index\n"));
    snprintf(map, sizeof map, "%s/map", maker.dir.path);
    make_map();
    broker = admin_broker_start();
    snprintf(target, sizeof target, "%s", admin_broker_bootstrap(broker));
}

static void
teardown(void)
{
    admin_broker_stop(broker);
    maker_teardown(&maker);
}

/* ---- topics ---- */

#define dry_replay(...) \
    cli_run("--config", config, "replay", "orders", "--sink", "kafka", "--bootstrap", target, "--dry-run", "--create-topics", __VA_ARGS__)

START_TEST(a_dry_run_shows_the_topic_that_would_be_made_as_it_was_and_makes_none)
{
    HV_AUTO(cli_result_clear) cli_result result = dry_replay("--topic", "copy", "--output", "json");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    cli_expect_like(result.out, "{\"topic\":\"copy\",\"hub\":\"orders\",\"action\":\"create\",\"partitions\":3,\"replication\":1,"
                    "\"settings\":\"cleanup.policy=delete\"}\n");
    cli_expect_like(result.notes, "topic 'copy' deletes events by age");
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_CREATE_TOPICS), 0);
}
END_TEST

START_TEST(settings_that_are_wished_stand_beside_those_that_were_and_keep_old_events)
{
    HV_AUTO(cli_result_clear) cli_result result = dry_replay("--topic", "copy", "--replication", "default", "--topic-config",
                                                             "retention.ms=-1", "--topic-config", "cleanup.policy=compact,delete",
                                                             "--output", "json");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    cli_expect_like(result.out, "\"replication\":null,\"settings\":\"cleanup.policy=compact,delete retention.ms=-1\"}\n");
    ck_assert_ptr_null(strstr(result.notes, "deletes events by age"));
}
END_TEST

START_TEST(a_topic_that_is_there_is_left_as_it_is)
{
    admin_broker_topic(broker, "copy", 3);
    HV_AUTO(cli_result_clear) cli_result result = dry_replay("--topic", "copy", "--output", "json");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    cli_expect_like(result.out, "\"action\":\"exists\"");
    ck_assert_ptr_null(strstr(result.notes, "deletes events by age"));
}
END_TEST

START_TEST(a_wish_that_is_none_is_refused)
{
    HV_AUTO(cli_result_clear) cli_result pair = dry_replay("--topic-config", "=x");
    HV_AUTO(cli_result_clear) cli_result number = dry_replay("--replication", "0");

    ck_assert_int_eq(pair.status, 2);
    cli_expect_like(pair.notes, "--topic-config takes NAME=VALUE, not '=x'");
    ck_assert_int_eq(number.status, 2);
    cli_expect_like(number.notes, "--replication");
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_METADATA), 0);
}
END_TEST

START_TEST(a_service_that_refuses_to_make_the_topic_ends_the_replay_before_anything_is_sent)
{
    admin_broker_refuse(broker, ADMIN_CREATE_TOPICS, TOPIC_REFUSED);
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "replay", "orders", "--sink", "kafka", "--bootstrap", target,
                                                          "--create-topics", "--topic", "copy");

    ck_assert_msg(result.status == 7, "%d %s", result.status, result.notes);
    cli_expect_like(result.notes, "topic 'copy': create it: said by the broker");
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_CREATE_TOPICS), 1);
}
END_TEST

/* ---- groups ---- */

#define translate(...) \
    cli_run("--config", config, "groups", "translate", "--bootstrap", target, "--offset-map", map, "--output", "json", __VA_ARGS__)

START_TEST(a_group_goes_on_behind_what_was_replayed)
{
    HV_AUTO(cli_result_clear) cli_result result = translate("billing");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    ck_assert_int_eq(admin_broker_committed(broker, "billing", "copy", 0), 110);
    ck_assert_int_eq(admin_broker_committed(broker, "billing", "copy", 1), 210);
    cli_expect_like(result.out, "\"group\":\"billing\"");
    cli_expect_like(result.out, "\"committed\":10,\"topic\":\"copy\",\"to_partition\":1,\"offset\":210");
    ck_assert_ptr_null(strstr(result.out, "\"done\":false"));
    HV_AUTO(cli_result_clear) cli_result again = translate("bill*");
    ck_assert_msg(again.status == 0, "%s", again.notes);
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_OFFSET_COMMIT), 1);       /* it was there already */
}
END_TEST

START_TEST(a_dry_run_of_a_move_commits_nothing)
{
    HV_AUTO(cli_result_clear) cli_result result = translate("billing", "--dry-run");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    cli_expect_like(result.out, "\"offset\":110");
    cli_expect_like(result.out, "\"done\":false");
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_OFFSET_COMMIT), 0);
}
END_TEST

START_TEST(a_group_that_somebody_has_joined_meanwhile_is_not_moved_and_said)
{
    admin_broker_refuse(broker, ADMIN_OFFSET_COMMIT, UNKNOWN_MEMBER);
    HV_AUTO(cli_result_clear) cli_result result = translate("billing");

    ck_assert_int_eq(result.status, 15);
    cli_expect_like(result.notes, "group 'billing' is not moved: ");
    cli_expect_like(result.notes, "1 of 1 consumer groups are not moved");
    ck_assert_int_eq(admin_broker_committed(broker, "billing", "copy", 0), -1);
}
END_TEST

START_TEST(a_group_that_has_gone_on_by_itself_is_left_alone_unless_told_otherwise)
{
    admin_broker_commit(broker, "billing", "copy", 0, 107, "");
    HV_AUTO(cli_result_clear) cli_result refused = translate("billing", "--dry-run");
    ck_assert_int_eq(refused.status, 15);
    cli_expect_like(refused.notes, "1 of 1 consumer groups would not be moved");
    HV_AUTO(cli_result_clear) cli_result moved = translate("billing", "--overwrite");
    ck_assert_msg(moved.status == 0, "%s", moved.notes);
    ck_assert_int_eq(admin_broker_committed(broker, "billing", "copy", 0), 110);
}
END_TEST

START_TEST(a_group_that_the_vault_does_not_know_ends_with_3)
{
    HV_AUTO(cli_result_clear) cli_result result = translate("nobody");

    ck_assert_int_eq(result.status, 3);
    cli_expect_like(result.notes, "no snapshot of such a consumer group");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("cli, moves");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_dry_run_shows_the_topic_that_would_be_made_as_it_was_and_makes_none);
    tcase_add_test(tests, settings_that_are_wished_stand_beside_those_that_were_and_keep_old_events);
    tcase_add_test(tests, a_topic_that_is_there_is_left_as_it_is);
    tcase_add_test(tests, a_wish_that_is_none_is_refused);
    tcase_add_test(tests, a_service_that_refuses_to_make_the_topic_ends_the_replay_before_anything_is_sent);
    tcase_add_test(tests, a_group_goes_on_behind_what_was_replayed);
    tcase_add_test(tests, a_dry_run_of_a_move_commits_nothing);
    tcase_add_test(tests, a_group_that_somebody_has_joined_meanwhile_is_not_moved_and_said);
    tcase_add_test(tests, a_group_that_has_gone_on_by_itself_is_left_alone_unless_told_otherwise);
    tcase_add_test(tests, a_group_that_the_vault_does_not_know_ends_with_3);
    return ck_hv_run("cli, moves", tests);
}
