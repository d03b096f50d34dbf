/* Transcripts of the commands that read a vault (hubs, segments, status), and of vaults, brokers and credentials that cannot be used. */
#include <string.h>
#include <unistd.h>

#include "server/vault.h"
#include "tests/cli/cli_run.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"

static scratch_dir dir;
static char config[400];

static void
setup(void)
{
    dir = scratch_dir_make();
    cli_setenv(NULL, NULL);
    cli_make_vault(&dir);
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", "store.dir = vault\nindex.dir = index\n"));
}

static void
teardown(void)
{
    scratch_dir_remove(&dir);
}

START_TEST(hubs_is_a_row_per_incarnation)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "hubs");
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "hubs", "orders", "--output", "json");

    cli_expect(table, 0,
               "HUB     INC.  PARTITIONS  EVENTS  SEGMENTS   STORED  GAPS  OLDEST                    NEWEST                    LAST SEAL\n"
               "orders     1           1       7         1  1.6 KiB     0  1970-01-01T00:00:01.000Z  1970-01-01T00:00:07.000Z  2026-11-24T09:00:01.000Z\n"
               "orders     2           2      15         4  6.6 KiB     3  2026-11-24T09:00:00.000Z  2026-11-24T09:02:01.000Z  2026-11-24T09:01:10.000Z\n"
               "sales      1           0       0         0      0 B     0  -                         -                         -\n", "");
    cli_expect(json, 0,
               "{\"hub\":\"orders\",\"incarnation\":1,\"partitions\":1,\"events\":7,\"segments\":1,\"stored_bytes\":1700,\"gap_offsets\":0,"
               "\"oldest\":\"1970-01-01T00:00:01.000Z\",\"newest\":\"1970-01-01T00:00:07.000Z\",\"last_seal\":\"2026-11-24T09:00:01.000Z\","
               "\"cause\":\"first\",\"identity\":\"id-1\",\"since\":\"2026-11-24T09:00:00.000Z\"}\n"
               "{\"hub\":\"orders\",\"incarnation\":2,\"partitions\":2,\"events\":15,\"segments\":4,\"stored_bytes\":6800,\"gap_offsets\":3,"
               "\"oldest\":\"2026-11-24T09:00:00.000Z\",\"newest\":\"2026-11-24T09:02:01.000Z\",\"last_seal\":\"2026-11-24T09:01:10.000Z\","
               "\"cause\":\"identity\",\"identity\":\"id-2\",\"since\":\"2026-11-24T09:00:00.000Z\"}\n", "");
}
END_TEST

START_TEST(hubs_by_partition_is_a_row_per_partition)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "hubs", "--partitions");

    cli_expect(table, 0,
               "HUB     INC.  PARTITION  FIRST  END  EVENTS  SEGMENTS   STORED  GAPS  OLDEST                    NEWEST                    LAST SEAL\n"
               "orders     1          0      0    7       7         1  1.6 KiB     0  1970-01-01T00:00:01.000Z  1970-01-01T00:00:07.000Z  2026-11-24T09:00:01.000Z\n"
               "orders     2          0      0   13      10         3  4.9 KiB     3  2026-11-24T09:00:00.000Z  2026-11-24T09:02:01.000Z  2026-11-24T09:01:10.000Z\n"
               "orders     2          1      0    5       5         1  1.6 KiB     0  2026-11-24T09:00:00.500Z  2026-11-24T09:00:04.500Z  2026-11-24T09:00:20.000Z\n",
               "");
}
END_TEST

START_TEST(a_hub_that_is_not_there_is_told_the_nearest_name)
{
    HV_AUTO(cli_result_clear) cli_result near = cli_run("--config", config, "hubs", "ordres");
    HV_AUTO(cli_result_clear) cli_result far = cli_run("--config", config, "segments", "zzzzzzzz");

    cli_expect(near, 3, "", "hubvault: there is no hub 'ordres' in the vault; did you mean 'orders'?\n");
    cli_expect(far, 3, "", "hubvault: there is no hub 'zzzzzzzz' in the vault; 'hubvault hubs' lists all\n");
}
END_TEST

START_TEST(segments_are_those_of_the_newest_incarnation_in_order)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "segments", "orders");

    cli_expect(table, 0,
               "PART.  FIRST  END  CLASS     EVENTS  GAPS   STORED  BLOCKS  OLDEST                    NEWEST                    SEALED\n"
               "    0      0    3  default        3     0  1.6 KiB       1  2026-11-24T09:00:00.000Z  2026-11-24T09:00:02.000Z  2026-11-24T09:00:10.000Z\n"
               "    0      3   13  default        5     2  1.6 KiB       1  2026-11-24T09:01:00.000Z  2026-11-24T09:01:04.000Z  2026-11-24T09:01:10.000Z\n"
               "    0      3   13  personal       2     1  1.6 KiB       1  2026-11-24T09:02:00.000Z  2026-11-24T09:02:01.000Z  2026-11-24T09:01:10.000Z\n"
               "    1      0    5  default        5     0  1.6 KiB       1  2026-11-24T09:00:00.500Z  2026-11-24T09:00:04.500Z  2026-11-24T09:00:20.000Z\n",
               "");
}
END_TEST

START_TEST(segments_as_json_name_their_blobs_and_hashes)
{
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "segments", "orders", "0", "--from-offset", "4", "--output", "json");

    cli_expect_like(json.out, "{\"hub\":\"orders\",\"incarnation\":2,\"partition\":0,\"first_offset\":3,\"end_offset\":13,\"class\":\"default\",\"events\":5,"
                    "\"gap_offsets\":2,\"stored_bytes\":1700,\"blocks\":1,\"codec\":\"zstandard\",");
    cli_expect_like(json.out, "\"name\":\"segments/hub=orders/incarnation=2/partition=0/00000000000000000003.avro\"}\n");
    cli_expect_like(json.out, "\"name\":\"segments/hub=orders/incarnation=2/partition=0/00000000000000000003.personal.avro\"}\n");
    cli_expect_like(json.out, "\"sha256\":\"abababababababababababababababababababababababababababababababab\"");
    ck_assert_ptr_null(strstr(json.out, "\"first_offset\":0,"));
}
END_TEST

static unsigned
lines(const char *text)
{
    unsigned count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static const struct selection {
    const char *words[6];
    unsigned rows;
} selections[] = {
    {{"0"}, 3},
    {{"1"}, 1},
    {{"--incarnation", "1"}, 1},
    {{"0", "--to-offset", "3"}, 1},
    {{"0", "--to-offset", "4"}, 3},
    {{"0", "--from-offset", "13"}, 0},
    {{"--from", "2026-11-24T09:01:05Z"}, 1},
    {{"--from", "2026-11-24T09:01:05Z", "--to", "2026-11-24T09:02:00Z"}, 0},
    {{"--from", "2026-11-24T09:00:02Z", "--to", "2026-11-24T09:00:02.001Z"}, 2},
    {{"--to", "2026-11-24"}, 0},
    {{"--to", "2026-11-25"}, 4},
};

START_TEST(segments_are_selected_by_partition_offset_and_time)
{
    const char *words[12] = {"--config", config, "--output", "json", "segments", "orders"};

    for (int i = 0; i < 6 && selections[_i].words[i] != NULL; i++)
        words[6 + i] = selections[_i].words[i];
    HV_AUTO(cli_result_clear) cli_result result = cli_run_words(words);
    ck_assert_msg(result.status == 0, "%s", result.notes);
    ck_assert_uint_eq(lines(result.out), selections[_i].rows);
}
END_TEST

static const struct refused {
    const char *words[4];
    int status;
    const char *says;
} refused[] = {
    {{"x"}, 2, "hubvault: PARTITION is a number from 0 to 2147483647, not 'x'\n"},
    {{"7"}, 3, "hubvault: nothing of partition 7 of hub 'orders' is in the vault\n"},
    {{"--incarnation", "3"}, 3, "hubvault: hub 'orders' has incarnations 1 to 2, not 3\n"},
    {{"--from-offset", "-1"}, 2, "hubvault: --from-offset is a number from 0 to 9223372036854775807, not '-1'\n"},
    {{"--from", "soon"}, 2, "hubvault: --from: a time is written 2026-11-24T09:00:00Z (or +01:00 for Z), 2026-11-24, @milliseconds, now or "
     "now-2h, not 'soon'\n"},
};

START_TEST(a_bad_selection_is_refused_in_one_line)
{
    const char *words[12] = {"--config", config, "segments", "orders"};

    for (int i = 0; i < 4 && refused[_i].words[i] != NULL; i++)
        words[4 + i] = refused[_i].words[i];
    HV_AUTO(cli_result_clear) cli_result result = cli_run_words(words);
    ck_assert_int_eq(result.status, refused[_i].status);
    ck_assert_str_eq(result.notes, refused[_i].says);
}
END_TEST

START_TEST(status_without_a_source_is_what_the_index_knows)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "status");
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "status", "--output=json");

    cli_expect(table, 0,
               "HUB     PART.  STATE      POSITION  HIGH  LAG  HEADROOM  LAST SEAL                 GAPS\n"
               "orders      0  not asked        13     -    -         -  2026-11-24T09:01:10.000Z     3\n"
               "orders      1  not asked         5     -    -         -  2026-11-24T09:00:20.000Z     0\n", "");
    cli_expect_like(json.out, "{\"hub\":\"orders\",\"incarnation\":2,\"partition\":1,\"state\":\"not asked\",\"position\":5,\"low\":null,\"high\":null,"
                    "\"lag\":null,\"headroom_ms\":null,\"last_seal\":\"2026-11-24T09:00:20.000Z\",\"gap_offsets\":0}\n");
}
END_TEST

START_TEST(gaps_are_listed_with_their_causes)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "status", "--gaps");

    cli_expect(table, 0,
               "HUB     INC.  PART.  FIRST  END  OFFSETS  CAUSE\n"
               "orders     2      0      3    5        2  retention\n"
               "orders     2      0     12   13        1  compaction\n", "");
}
END_TEST

START_TEST(a_source_that_cannot_be_reached_is_a_note_and_the_index_is_shown)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "status", "--set", "source.bootstrap=127.0.0.1:1", "--set",
                                                          "source.timeout=1s");

    ck_assert_int_eq(result.status, 0);
    cli_expect_like(result.out, "orders      0  not asked        13     -    -");
    ck_assert_int_eq(strncmp(result.notes, "hubvault: lag and headroom are not known: ", 42), 0);
    cli_expect_like(result.notes, "127.0.0.1:1");
    ck_assert_uint_eq(lines(result.notes), 1);
}
END_TEST

START_TEST(offline_nobody_is_asked)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "status", "--set", "source.bootstrap=127.0.0.1:1", "--offline");

    ck_assert_int_eq(result.status, 0);
    ck_assert_str_eq(result.notes, "");
}
END_TEST

START_TEST(with_a_source_lag_is_known)
{
    mock_broker *broker = mock_broker_start(1);
    char bootstrap[200];

    mock_broker_topic(broker, "invoices", 1);
    mock_broker_fill(broker, "invoices", 0, 4, 10);
    snprintf(bootstrap, sizeof bootstrap, "source.bootstrap=%s", mock_broker_bootstrap(broker));
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "status", "--set", bootstrap, "--set", "source.timeout=3s");
    ck_assert_msg(result.status == 0, "%s", result.notes);
    ck_assert_str_eq(result.notes, "");
    cli_expect_like(result.out, "invoices      0  new            0     4    4         -  -                            0\n");
    cli_expect_like(result.out, "orders        0  absent        13     -    -         -  2026-11-24T09:01:10.000Z     3\n");
    cli_expect_like(result.out, "\n3 partitions, 4 events not sealed yet\n");
    mock_broker_stop(broker);
}
END_TEST

/* ---- vaults that cannot be used ---- */

START_TEST(a_vault_of_another_format_version_ends_with_14)
{
    char path[400];

    snprintf(path, sizeof path, "%s/vault/vault.json", dir.path);
    ck_assert_int_eq(unlink(path), 0);
    (void)cli_write_file(&dir, "vault/vault.json", "{\"format\":2,\"more\":1}\n");
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "hubs");
    ck_assert_int_eq(result.status, 14);
    cli_expect_like(result.notes, "'vault.json'");
    ck_assert_uint_eq(lines(result.notes), 1);
}
END_TEST

START_TEST(a_vault_without_its_index_says_how_to_get_one)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "hubs", "--index", "/nowhere");

    cli_expect(result, 3, "", "hubvault: there is no index in '/nowhere'; 'hubvault index rebuild' makes it from the vault\n");
}
END_TEST

/* The message comes last; in front of it stands the log. */
static void
expect_failed_run(const cli_result *result, int status, const char *want)
{
    const char *said = strstr(result->notes, "hubvault: ");

    ck_assert_msg(said != NULL && strcmp(said, want) == 0, "%s", result->notes);
    ck_assert_int_eq(result->status, status);
    ck_assert_str_eq(result->out, "");
}

START_TEST(a_vault_in_use_ends_with_13_for_a_second_archiver_and_is_readable)
{
    char path[400], want[600];
    hv_lock_file *lock = NULL;
    hv_err err;

    snprintf(path, sizeof path, "%s/index/archiver.lock", dir.path);
    ck_hv_ok(hv_lock_file_take(path, &lock, &err));
    HV_AUTO(cli_result_clear) cli_result writer = cli_run("--config", config, "run", "--once", "--set", "source.bootstrap=127.0.0.1:1");
    HV_AUTO(cli_result_clear) cli_result reader = cli_run("--config", config, "hubs");
    snprintf(want, sizeof want, "hubvault: the vault is in use: process %ld is using it (it holds '%s')\n", (long)getpid(), path);
    expect_failed_run(&writer, 13, want);
    ck_assert_int_eq(reader.status, 0);
    hv_lock_file_release(lock);
}
END_TEST

START_TEST(a_broker_that_is_not_there_ends_a_run_with_8_and_one_line)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "run", "--once", "--set", "source.bootstrap=127.0.0.1:1", "--set",
                                                          "source.timeout=1s", "--set", "log.level=error");

    ck_assert_int_eq(result.status, 8);
    ck_assert_str_eq(result.out, "");
    cli_expect_like(result.notes, "hubvault: ask kafka:127.0.0.1:1 for its hubs: ");
    ck_assert_uint_eq(lines(result.notes), 1);
}
END_TEST

static const struct credential {
    const char *text;                   /* NULL: there is no such file */
    int status;
    const char *before, *behind;        /* the path in the message */
} credentials[] = {
    {NULL, 3, "hubvault: cannot read the password file '", "/secret': No such file or directory\n"},
    {"", 2, "hubvault: the password file '", "/secret' is empty\n"},
};

START_TEST(a_credential_that_cannot_be_read_is_named_and_leaves_no_vault_behind)
{
    char store[400], secret[400], want[800];

    snprintf(store, sizeof store, "%s/fresh", dir.path);
    snprintf(secret, sizeof secret, "source.password-file=%s/secret", dir.path);
    if (credentials[_i].text != NULL)
        (void)cli_write_file(&dir, "secret", credentials[_i].text);
    HV_AUTO(cli_result_clear) cli_result result = cli_run("run", "--once", "--store", store, "--set", "source.bootstrap=127.0.0.1:1", "--set",
                                                          "source.auth=plain", "--set", "source.user=u", "--set", secret);
    snprintf(want, sizeof want, "%s%s%s", credentials[_i].before, dir.path, credentials[_i].behind);
    expect_failed_run(&result, credentials[_i].status, want);
    ck_assert_int_ne(access(store, F_OK), 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("reading commands");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, hubs_is_a_row_per_incarnation);
    tcase_add_test(tests, hubs_by_partition_is_a_row_per_partition);
    tcase_add_test(tests, a_hub_that_is_not_there_is_told_the_nearest_name);
    tcase_add_test(tests, segments_are_those_of_the_newest_incarnation_in_order);
    tcase_add_test(tests, segments_as_json_name_their_blobs_and_hashes);
    tcase_add_loop_test(tests, segments_are_selected_by_partition_offset_and_time, 0, sizeof selections / sizeof *selections);
    tcase_add_loop_test(tests, a_bad_selection_is_refused_in_one_line, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tests, status_without_a_source_is_what_the_index_knows);
    tcase_add_test(tests, gaps_are_listed_with_their_causes);
    tcase_add_test(tests, a_source_that_cannot_be_reached_is_a_note_and_the_index_is_shown);
    tcase_add_test(tests, offline_nobody_is_asked);
    tcase_add_test(tests, with_a_source_lag_is_known);
    tcase_add_test(tests, a_vault_of_another_format_version_ends_with_14);
    tcase_add_test(tests, a_vault_without_its_index_says_how_to_get_one);
    tcase_add_test(tests, a_vault_in_use_ends_with_13_for_a_second_archiver_and_is_readable);
    tcase_add_test(tests, a_broker_that_is_not_there_ends_a_run_with_8_and_one_line);
    tcase_add_loop_test(tests, a_credential_that_cannot_be_read_is_named_and_leaves_no_vault_behind, 0, 2);
    return ck_hv_run("reading commands", tests);
}
