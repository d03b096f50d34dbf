/* verify, index rebuild, index stats, index dump. */
#include <stdio.h>
#include <string.h>

#include "segment/names.h"
#include "server/lock_file.h"
#include "tests/archiver/vault_maker.h"
#include "tests/cli/cli_run.h"

static vault_maker maker;
static char config[400];
static hv_partition orders0;

static void
setup(void)
{
    cli_setenv(NULL, NULL);
    maker_setup(&maker, true);
    orders0 = maker_partition("orders", 1, 0);
    maker_claim(&maker, "orders", 1);
    for (int64_t at = 0; at < 18; at += 6)
        maker_cut(&maker, &orders0, at, "ddrrdd");
    hv_index_close(HV_TAKE(maker.index));       /* commands open it themselves */
    snprintf(config, sizeof config, "%s", cli_write_file(&maker.dir, "hubvault.conf", "store.dir = vault\nindex.dir = index\n"));
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

static hv_blob_name
lead_at(int64_t first)
{
    return hv_name_of_lead(&orders0, first);
}

START_TEST(verify_of_a_clean_vault_is_one_row_and_success)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "verify");
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "verify", "--quick", "--output", "json");

    ck_assert_int_eq(table.status, 0);
    ck_assert_str_eq(table.notes, "");
    cli_expect_like(table.out, "FINDINGS  HUBS  PARTITIONS  SEGMENTS  BLOCKS  EVENTS");
    ck_assert_int_eq(json.status, 0);
    cli_expect_like(json.out, "{\"findings\":0,\"hubs\":1,\"incarnations\":1,\"partitions\":1,\"cuts\":3,\"segments\":6,\"blocks\":6,"
                              "\"events\":18,\"bytes\":");
    ck_assert_ptr_eq(strchr(json.out, '\n'), json.out + strlen(json.out) - 1);
}
END_TEST

START_TEST(verify_prints_each_finding_and_ends_with_15)
{
    hv_blob_name name = lead_at(6);

    maker_put(&maker, "notes", "x");
    maker_drop(&maker, name.text);
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "verify");
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "verify", "--output", "json", "--threads", "2");
    ck_assert_int_eq(table.status, 15);
    ck_assert_str_eq(table.notes, "hubvault: verification found 2 faults\n");
    cli_expect_like(table.out, "FINDING       BLOB ");
    cli_expect_like(table.out, "missing-lead  segments/hub=orders/incarnation=1/partition=0/00000000000000000006.avro");
    ck_assert_int_eq(json.status, 15);
    cli_expect_like(json.out, "{\"kind\":\"foreign-name\",\"blob\":\"notes\",\"hub\":null,\"incarnation\":null,\"partition\":null,\"offset\":null,"
                              "\"position\":null,\"expected\":");
    cli_expect_like(json.out, "{\"kind\":\"missing-lead\",\"blob\":\"segments/hub=orders/incarnation=1/partition=0/00000000000000000006.avro\","
                              "\"hub\":\"orders\",\"incarnation\":1,\"partition\":0,\"offset\":6,\"position\":null,");
    cli_expect_like(json.out, "\n{\"findings\":2,");
}
END_TEST

START_TEST(verify_of_a_hub_that_does_not_exist_ends_with_3)
{
    HV_AUTO(cli_result_clear) cli_result known = cli_run("--config", config, "verify", "orders");
    HV_AUTO(cli_result_clear) cli_result unknown = cli_run("--config", config, "verify", "order");

    ck_assert_int_eq(known.status, 0);
    cli_expect(unknown, 3, "", "hubvault: there is no hub 'order' in the vault\n");
}
END_TEST

START_TEST(verify_wants_an_index_unless_told_not_to)
{
    HV_AUTO(cli_result_clear) cli_result without = cli_run("--config", config, "--index", "/nonexistent", "verify");
    HV_AUTO(cli_result_clear) cli_result no_index = cli_run("--config", config, "--index", "/nonexistent", "verify", "--no-index");

    ck_assert_int_eq(without.status, 3);
    cli_expect_like(without.notes, "index rebuild");
    ck_assert_int_eq(no_index.status, 0);
}
END_TEST

START_TEST(index_rebuild_makes_the_same_index_again)
{
    HV_AUTO(cli_result_clear) cli_result before = cli_run("--config", config, "index", "dump");
    HV_AUTO(cli_result_clear) cli_result rebuild = cli_run("--config", config, "index", "rebuild", "--output", "json");
    HV_AUTO(cli_result_clear) cli_result after = cli_run("--config", config, "index", "dump");
    HV_AUTO(cli_result_clear) cli_result stats = cli_run("--config", config, "index", "stats", "--output", "json");

    ck_assert_int_eq(before.status, 0);
    cli_expect_like(before.out, "cuts orders/1/0 12 end=18");
    ck_assert_int_eq(rebuild.status, 0);
    ck_assert_str_eq(rebuild.notes, "");
    cli_expect_like(rebuild.out, "{\"replaced\":true,\"hubs\":1,\"incarnations\":1,\"partitions\":1,\"cuts\":3,\"segments\":6,\"events\":18,");
    ck_assert_str_eq(after.out, before.out);
    cli_expect_like(stats.out, "{\"cuts\":3,\"segments\":6,\"entries\":");
}
END_TEST

START_TEST(index_rebuild_makes_an_index_where_there_is_none)
{
    char other[320];

    snprintf(other, sizeof other, "%s/new/index", maker.dir.path);
    HV_AUTO(cli_result_clear) cli_result rebuild = cli_run("--config", config, "--index", other, "index", "rebuild");
    HV_AUTO(cli_result_clear) cli_result one = cli_run("--config", config, "index", "dump");
    HV_AUTO(cli_result_clear) cli_result two = cli_run("--config", config, "--index", other, "index", "dump");
    ck_assert_int_eq(rebuild.status, 0);
    ck_assert_str_eq(two.out, one.out);
}
END_TEST

START_TEST(index_rebuild_into_a_folder_leaves_the_index_alone_and_takes_only_a_free_one)
{
    char other[320];

    snprintf(other, sizeof other, "%s/other", maker.dir.path);
    HV_AUTO(cli_result_clear) cli_result rebuild = cli_run("--config", config, "index", "rebuild", "--into", other);
    HV_AUTO(cli_result_clear) cli_result again = cli_run("--config", config, "index", "rebuild", "--into", other);
    HV_AUTO(cli_result_clear) cli_result one = cli_run("--config", config, "index", "dump");
    HV_AUTO(cli_result_clear) cli_result two = cli_run("--config", config, "--index", other, "index", "dump");
    ck_assert_int_eq(rebuild.status, 0);
    cli_expect_like(rebuild.out, "\nno ");
    ck_assert_int_eq(again.status, 4);
    ck_assert_str_eq(two.out, one.out);
}
END_TEST

START_TEST(an_index_that_a_problem_cuts_short_replaces_the_old_one_only_when_told)
{
    HV_AUTO(cli_result_clear) cli_result before = cli_run("--config", config, "index", "dump");
    hv_blob_name name = lead_at(6);

    maker_drop(&maker, name.text);
    HV_AUTO(cli_result_clear) cli_result refused = cli_run("--config", config, "index", "rebuild");
    HV_AUTO(cli_result_clear) cli_result same = cli_run("--config", config, "index", "dump");
    HV_AUTO(cli_result_clear) cli_result taken = cli_run("--config", config, "index", "rebuild", "--partial");
    HV_AUTO(cli_result_clear) cli_result shorter = cli_run("--config", config, "index", "dump");
    ck_assert_int_eq(refused.status, 15);
    cli_expect_like(refused.notes, "problem: partition 0 of 'orders' (incarnation 1): there is a sibling");
    cli_expect_like(refused.notes, "hubvault: the old index stays");
    ck_assert_str_eq(same.out, before.out);
    ck_assert_int_eq(taken.status, 15);
    cli_expect_like(taken.out, "\nyes ");
    ck_assert_ptr_null(strstr(shorter.out, "cuts orders/1/0 6 "));
    cli_expect_like(shorter.out, "cuts orders/1/0 0 end=6");
}
END_TEST

START_TEST(index_rebuild_does_not_touch_a_vault_that_an_archiver_is_using)
{
    HV_AUTO(hv_lock_file_release) hv_lock_file *lock = NULL;
    char path[320];
    hv_err err;

    snprintf(path, sizeof path, "%s/index/archiver.lock", maker.dir.path);
    ck_hv_ok(hv_lock_file_take(path, &lock, &err));
    HV_AUTO(cli_result_clear) cli_result rebuild = cli_run("--config", config, "index", "rebuild");
    ck_assert_int_eq(rebuild.status, 13);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, verify_of_a_clean_vault_is_one_row_and_success);
    tcase_add_test(tests, verify_prints_each_finding_and_ends_with_15);
    tcase_add_test(tests, verify_of_a_hub_that_does_not_exist_ends_with_3);
    tcase_add_test(tests, verify_wants_an_index_unless_told_not_to);
    tcase_add_test(tests, index_rebuild_makes_the_same_index_again);
    tcase_add_test(tests, index_rebuild_makes_an_index_where_there_is_none);
    tcase_add_test(tests, index_rebuild_into_a_folder_leaves_the_index_alone_and_takes_only_a_free_one);
    tcase_add_test(tests, an_index_that_a_problem_cuts_short_replaces_the_old_one_only_when_told);
    tcase_add_test(tests, index_rebuild_does_not_touch_a_vault_that_an_archiver_is_using);
    return ck_hv_run("cmd verify", tests);
}
