/* groups ls, and what groups translate and replay refuse before they ask anybody. */
#include <stdio.h>
#include <string.h>

#include "archiver/snapshot_store.h"
#include "tests/archiver/vault_maker.h"
#include "tests/cli/cli_run.h"

static vault_maker maker;
static char config[400];

/* Partition 0 and 2 of a hub, at a minute of 2023-11-14. */
static void
put_group(const char *group, const char *hub, int64_t number, int64_t minute, int64_t offset)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = {
        .head = {.vault = MAKER_VAULT, .number = number, .taken_ms = INT64_C(1700000000000) + minute * 60000, .incarnation = 1},
        .group = strdup(group)};
    hv_snapshots store = {.storage = maker.storage, .vault = MAKER_VAULT};
    hv_err err;

    (void)snprintf(made.head.hub, sizeof made.head.hub, "%s", hub);
    ck_hv_ok(hv_group_snapshot_add(&made, 0, offset, HV_SLICE_NULL, &err));
    ck_hv_ok(hv_group_snapshot_add(&made, 2, offset + 1, HV_SLICE_NULL, &err));
    ck_hv_ok(hv_snapshots_put_group(&store, &made, &err));
}

static void
setup(void)
{
    cli_setenv(NULL, NULL);
    maker_setup(&maker, true);
    put_group("billing", "orders", 1, 0, 10);
    put_group("billing", "orders", 2, 10, 20);
    put_group("billing", "sales", 1, 5, 7);
    put_group("audit", "orders", 1, 20, 99);
    hv_index_close(HV_TAKE(maker.index));       /* commands open it themselves */
    snprintf(config, sizeof config, "%s", cli_write_file(&maker.dir, "hubvault.conf",
                                                         "store.dir = vault\nindex.dir = index\nsource.bootstrap = 127.0.0.1:1\n"));
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

START_TEST(groups_are_listed_as_they_are_now_by_name_and_hub)
{
    HV_AUTO(cli_result_clear) cli_result all = cli_run("--config", config, "groups", "ls", "--output", "json");
    HV_AUTO(cli_result_clear) cli_result some = cli_run("--config", config, "groups", "ls", "bill*", "--hub", "orders");

    cli_expect(all, 0,
        "{\"group\":\"audit\",\"hub\":\"orders\",\"incarnation\":1,\"partitions\":2,\"taken\":\"2023-11-14T22:33:20.000Z\",\"number\":1}\n"
        "{\"group\":\"billing\",\"hub\":\"orders\",\"incarnation\":1,\"partitions\":2,\"taken\":\"2023-11-14T22:23:20.000Z\",\"number\":2}\n"
        "{\"group\":\"billing\",\"hub\":\"sales\",\"incarnation\":1,\"partitions\":2,\"taken\":\"2023-11-14T22:18:20.000Z\",\"number\":1}\n",
        "");
    ck_assert_int_eq(some.status, 0);
    ck_assert_ptr_null(strstr(some.out, "audit"));
    ck_assert_ptr_null(strstr(some.out, "sales"));
    cli_expect_like(some.out, "billing");
}
END_TEST

START_TEST(groups_are_listed_as_they_were_at_a_time)
{
    HV_AUTO(cli_result_clear) cli_result then = cli_run("--config", config, "groups", "ls", "--at", "2023-11-14T22:20:00Z", "--partitions",
                                                        "--hub", "orders", "--output", "json");
    HV_AUTO(cli_result_clear) cli_result before = cli_run("--config", config, "groups", "ls", "--at", "2023-11-14T22:13:19Z", "--output", "json");

    cli_expect(then, 0,
        "{\"group\":\"billing\",\"hub\":\"orders\",\"incarnation\":1,\"partition\":0,\"offset\":10,\"taken\":\"2023-11-14T22:13:20.000Z\"}\n"
        "{\"group\":\"billing\",\"hub\":\"orders\",\"incarnation\":1,\"partition\":2,\"offset\":11,\"taken\":\"2023-11-14T22:13:20.000Z\"}\n",
        "");
    cli_expect(before, 0, "", "");
}
END_TEST

START_TEST(a_damaged_snapshot_ends_with_6_and_is_named)
{
    char key[HV_GROUP_KEY_SIZE];

    hv_group_key("audit", key);
    hv_blob_name name = hv_name_of_snapshot("orders", key, 1);
    maker_flip(&maker, name.text, 20);
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "groups", "ls");
    ck_assert_int_eq(result.status, 6);
    cli_expect_like(result.notes, name.text);
}
END_TEST

static const struct refused {
    const char *words[8];
    int status;
    const char *says;
} refused[] = {
    {{"groups", "translate", "billing"}, 2, "hubvault: --offset-map names the file that tells the new offsets\n"},
    {{"replay", "--offset-map", "x"}, 2, "hubvault: --offset-map goes with --sink kafka only\n"},
    {{"replay", "--sink", "kafka", "--replication", "3"}, 2, "hubvault: --replication goes with --create-topics only\n"},
    {{"replay", "--sink", "kafka", "--translate-groups", "g"}, 2,
     "hubvault: --translate-groups needs --offset-map, which tells the new offsets\n"},
};

START_TEST(what_does_not_go_together_is_refused_in_one_line)
{
    const char *words[12] = {"--config", config};

    for (int i = 0; i < 8 && refused[_i].words[i] != NULL; i++)
        words[2 + i] = refused[_i].words[i];
    HV_AUTO(cli_result_clear) cli_result result = cli_run_words(words);
    cli_expect(result, refused[_i].status, "", refused[_i].says);
}
END_TEST

START_TEST(an_offset_map_that_is_not_there_ends_with_3)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "groups", "translate", "billing", "--offset-map", "/nowhere/map");

    ck_assert_int_eq(result.status, 3);
    cli_expect_like(result.notes, "/nowhere/map");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("cli, groups");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, groups_are_listed_as_they_are_now_by_name_and_hub);
    tcase_add_test(tests, groups_are_listed_as_they_were_at_a_time);
    tcase_add_test(tests, a_damaged_snapshot_ends_with_6_and_is_named);
    tcase_add_loop_test(tests, what_does_not_go_together_is_refused_in_one_line, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tests, an_offset_map_that_is_not_there_ends_with_3);
    return ck_hv_run("cli, groups", tests);
}
