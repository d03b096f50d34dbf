/* run --once against a broker in the test process: what it captures, what it says, and how it begins when its disk was lost. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/cli/cli_run.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"

enum { EVENTS = 40 };

static scratch_dir dir;
static mock_broker *broker;
static char config[400];

static void
setup(void)
{
    char text[600];

    cli_setenv(NULL, NULL);
    dir = scratch_dir_make();
    broker = mock_broker_start(1);
    mock_broker_topic(broker, "orders", 2);
    mock_broker_fill(broker, "orders", 0, EVENTS, 100);
    snprintf(text, sizeof text, "store.dir = vault\nindex.dir = index\nsource.bootstrap = %s\nsource.timeout = 10s\n",
             mock_broker_bootstrap(broker));
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", text));
}

static void
teardown(void)
{
    mock_broker_stop(broker);
    scratch_dir_remove(&dir);
}

static void
expect_events(int count)
{
    char want[40];
    HV_AUTO(cli_result_clear) cli_result hubs = cli_run("--config", config, "--output", "json", "hubs");

    ck_assert_msg(hubs.status == 0, "%s", hubs.notes);
    snprintf(want, sizeof want, "\"events\":%d,", count);
    cli_expect_like(hubs.out, want);
}

START_TEST(a_run_captures_what_there_is_and_says_what_it_sealed)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "run", "--once");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    cli_expect_like(result.notes, "event=cut-sealed");
    cli_expect_like(result.notes, "hub=orders");
    expect_events(EVENTS);
}
END_TEST

START_TEST(a_run_whose_index_was_lost_makes_it_from_the_vault_and_goes_on)
{
    char path[400];
    HV_AUTO(cli_result_clear) cli_result first = cli_run("--config", config, "run", "--once");

    ck_assert_msg(first.status == 0, "%s", first.notes);
    snprintf(path, sizeof path, "%s/index/data.mdb", dir.path);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/index/lock.mdb", dir.path);
    ck_assert_int_eq(unlink(path), 0);
    mock_broker_fill(broker, "orders", 0, 5, 100);
    HV_AUTO(cli_result_clear) cli_result second = cli_run("--config", config, "run", "--once");
    ck_assert_msg(second.status == 0, "%s", second.notes);
    cli_expect_like(second.notes, "event=index-rebuild");
    cli_expect_like(second.notes, "event=index-rebuilt");
    expect_events(EVENTS + 5);
}
END_TEST

START_TEST(a_log_in_json_is_json)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "--set", "log.format=json", "--set", "log.level=debug", "run",
                                                          "--once");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    cli_expect_like(result.notes, "\"event\":\"cut-sealed\"");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("cmd_run");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_run_captures_what_there_is_and_says_what_it_sealed);
    tcase_add_test(tests, a_run_whose_index_was_lost_makes_it_from_the_vault_and_goes_on);
    tcase_add_test(tests, a_log_in_json_is_json);
    return ck_hv_run("cmd_run", tests);
}
