#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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
}

static void
teardown(void)
{
    scratch_dir_remove(&dir);
}

static cli_result
examine(const char *text)
{
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", text));
    return cli_run("--config", config, "doctor", "--output", "json");
}

/* The result of the first check of this name; fails if there is none. */
static const char *
result_of(const cli_result *result, const char *check, char room[32])
{
    char start[64];

    snprintf(start, sizeof start, "{\"check\":\"%s\",\"result\":\"", check);
    const char *at = strstr(result->out, start);
    ck_assert_msg(at != NULL, "no check '%s' in:\n%s%s", check, result->out, result->notes);
    at += strlen(start);
    snprintf(room, 32, "%.*s", (int)strcspn(at, "\""), at);
    return room;
}

#define expect_check(result, check, want) \
    do { \
        char room_[32]; \
        ck_assert_msg(strcmp(result_of(&(result), check, room_), want) == 0, "%s is %s, not %s:\n%s", check, room_, want, (result).out); \
    } while (0)

#define STORE "store.dir = vault\nindex.dir = index\n"
#define KEY "Endpoint=sb://example.servicebus.windows.net/;SharedAccessKeyName=reader;SharedAccessKey=c2VjcmV0LXNlY3JldA=="
#define ROOT_KEY "Endpoint=sb://example.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=c2VjcmV0"

START_TEST(a_healthy_vault_without_a_source_passes_and_is_left_as_it_was)
{
    char left[400];
    HV_AUTO(cli_result_clear) cli_result result = examine(STORE);

    ck_assert_msg(result.status == 0, "%s%s", result.out, result.notes);
    expect_check(result, "configuration", "ok");
    expect_check(result, "vault", "ok");
    expect_check(result, "index", "ok");
    expect_check(result, "source", "skipped");
    cli_expect_like(result.out, "creates without overwriting, keeps and gives back");
    snprintf(left, sizeof left, "%s/vault/.tmp/doctor-%ld", dir.path, (long)getpid());
    ck_assert_int_ne(access(left, F_OK), 0);
}
END_TEST

START_TEST(for_eyes_the_way_out_stands_below_the_finding)
{
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", STORE "source.bootstrap = 127.0.0.1:1\nsource.timeout = 1s\n"));
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "doctor");

    ck_assert_int_eq(result.status, 15);
    cli_expect_like(result.out, "CHECK          RESULT   FINDING\n");
    cli_expect_like(result.out, "\nsource         failed   ");
    cli_expect_like(result.out, "-> check source.bootstrap, source.tls, the network and the firewall\n");
    cli_expect_like(result.notes, "hubvault: 1 of ");
}
END_TEST

START_TEST(a_broker_that_answers_passes_and_without_hubs_is_a_warning)
{
    mock_broker *broker = mock_broker_start(1);
    char text[400];

    snprintf(text, sizeof text, STORE "source.bootstrap = %s\n", mock_broker_bootstrap(broker));
    HV_AUTO(cli_result_clear) cli_result none = examine(text);
    expect_check(none, "source", "warning");
    mock_broker_topic(broker, "orders", 3);
    HV_AUTO(cli_result_clear) cli_result some = examine(text);
    ck_assert_msg(some.status == 0, "%s%s", some.out, some.notes);
    expect_check(some, "source", "ok");
    expect_check(some, "hubs", "ok");
    cli_expect_like(some.out, "1 hub with 3 partitions can be asked");
    mock_broker_stop(broker);
}
END_TEST

static const struct credential {
    const char *settings, *file_text;
    mode_t mode;
    const char *check, *want, *says;
} credentials[] = {
    {"source.auth = plain\nsource.user = u\nsource.password-file = secret\nsource.bootstrap = a:1\n", "secret", 0600, "source.password-file", "ok",
     "for its owner only"},
    {"source.auth = plain\nsource.user = u\nsource.password-file = secret\nsource.bootstrap = a:1\n", "secret", 0640, "source.password-file",
     "warning", "(mode 0640)"},
    {"source.auth = plain\nsource.user = u\nsource.password-file = secret\nsource.bootstrap = a:1\n", "secret", 0644, "source.password-file",
     "failed", "open to everybody"},
    {"source.auth = plain\nsource.user = u\nsource.password-file = secret\nsource.bootstrap = a:1\n", "", 0600, "source.password-file", "failed",
     "secret"},
    {"source.auth = plain\nsource.user = u\nsource.password-file = nowhere\nsource.bootstrap = a:1\n", "", 0600, "source.password-file", "failed",
     "No such file"},
    {"source.auth = plain\nsource.user = u\nsource.password-file = vault\nsource.bootstrap = a:1\n", "", 0600, "source.password-file", "failed",
     "is not a file"},
    {"source.auth = plain\nsource.user = u\nsource.password-file = secret\nsource.bootstrap = a:1\nsource.tls = no\n", "secret", 0600,
     "source.tls", "warning", "crosses the network in clear"},
    {"source.auth = connection-string\nsource.connection-string-file = secret\n", KEY, 0600, "source.connection-string-file", "ok",
     "key 'reader' of example.servicebus.windows.net, all hubs"},
    {"source.auth = connection-string\nsource.connection-string-file = secret\n", ROOT_KEY, 0600, "source.connection-string-file", "warning",
     "RootManageSharedAccessKey"},
    {"source.auth = connection-string\nsource.connection-string-file = secret\n", "Endpoint=sb://x", 0600, "source.connection-string-file",
     "failed", ""},
    {"source.auth = connection-string\nsource.hub-credential = orders=secret\n", KEY ";EntityPath=orders", 0600, "source.hub-credential", "ok",
     "hub orders"},
    {"source.auth = connection-string\nsource.hub-credential = orders=secret\n", KEY ";EntityPath=sales", 0600, "source.hub-credential", "failed",
     "is for hub 'sales', not 'orders'"},
};

START_TEST(a_file_with_a_secret_is_judged_by_mode_and_content_and_never_shown)
{
    const struct credential *tried = &credentials[_i];
    char text[800];

    const char *path = cli_write_file(&dir, "secret", tried->file_text);
    ck_assert_int_eq(chmod(path, tried->mode), 0);
    snprintf(text, sizeof text, STORE "%s", tried->settings);
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", text));
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "doctor", "--output", "json", "--offline");
    expect_check(result, tried->check, tried->want);
    cli_expect_like(result.out, tried->says);
    ck_assert_int_eq(result.status, strcmp(tried->want, "failed") == 0 ? 15 : 0);
    ck_assert_ptr_null(strstr(result.out, "c2VjcmV0"));
}
END_TEST

START_TEST(a_store_that_is_no_vault_is_told_apart_from_one_that_is_not_there_yet)
{
    HV_AUTO(cli_result_clear) cli_result absent = examine("store.dir = other\n");
    expect_check(absent, "store", "ok");
    ck_assert_int_eq(absent.status, 0);
    char path[400];
    snprintf(path, sizeof path, "%s/other", dir.path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    HV_AUTO(cli_result_clear) cli_result empty = examine("store.dir = other\n");
    expect_check(empty, "vault", "ok");
    (void)cli_write_file(&dir, "other/thesis.txt", "x");
    HV_AUTO(cli_result_clear) cli_result foreign = examine("store.dir = other\n");
    expect_check(foreign, "vault", "failed");
    ck_assert_int_eq(foreign.status, 15);
}
END_TEST

START_TEST(a_missing_index_is_a_warning_and_one_of_another_vault_a_failure)
{
    char other[400];

    HV_AUTO(cli_result_clear) cli_result missing = examine("store.dir = vault\nindex.dir = nowhere\n");
    expect_check(missing, "index", "warning");
    ck_assert_int_eq(missing.status, 0);
    scratch_dir second = scratch_dir_make();
    cli_make_vault(&second);
    snprintf(other, sizeof other, "store.dir = vault\nindex.dir = %s/index\n", second.path);
    HV_AUTO(cli_result_clear) cli_result foreign = examine(other);
    expect_check(foreign, "index", "failed");
    scratch_dir_remove(&second);
}
END_TEST

START_TEST(a_configuration_that_everybody_can_change_fails)
{
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", STORE));
    ck_assert_int_eq(chmod(config, 0666), 0);
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "doctor", "--output", "json");
    expect_check(result, "configuration", "failed");
    ck_assert_int_eq(result.status, 15);
}
END_TEST

static const struct file_limit {
    rlim_t files;
    const char *want;
} file_limits[] = {{100, "failed"}, {600, "warning"}, {1024, "ok"}};

START_TEST(too_few_open_files_are_found)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = file_limits[_i].files;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    HV_AUTO(cli_result_clear) cli_result result = examine(STORE);
    expect_check(result, "open files", file_limits[_i].want);
}
END_TEST

START_TEST(a_memory_budget_beyond_the_machine_fails)
{
    FILE *facts = fopen("/proc/meminfo", "r");
    unsigned long total_kib = 0;

    ck_assert_ptr_nonnull(facts);
    ck_assert_int_eq(fscanf(facts, "MemTotal: %lu", &total_kib), 1);
    fclose(facts);
    HV_AUTO(cli_result_clear) cli_result result = examine(STORE "archiver.memory = 64G\n");
    if (total_kib < 64UL << 20)
        expect_check(result, "memory", "failed");
    else if (total_kib < 128UL << 20)
        expect_check(result, "memory", "warning");
    HV_AUTO(cli_result_clear) cli_result small = examine(STORE "archiver.memory = 16M\n");
    expect_check(small, "memory", "ok");
}
END_TEST

/* The sanitizers map terabytes of address space themselves and do not live under a limit. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#ifndef SANITIZED
START_TEST(a_limit_of_address_space_below_the_index_fails)
{
    HV_AUTO(cli_result_clear) cli_result fine = examine(STORE);
    ck_assert_ptr_null(strstr(fine.out, "address space"));
    struct rlimit limit = {.rlim_cur = (rlim_t)512 << 30, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    HV_AUTO(cli_result_clear) cli_result tight = examine("store.dir = nowhere\nindex.map-size = 1T\n");
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    expect_check(tight, "address space", "failed");
}
END_TEST
#endif

START_TEST(a_clock_before_the_newest_segment_fails)
{
    scratch_dir future = scratch_dir_make();
    char text[700];

    cli_make_vault_sealed_at(&future, 4102444799000);   /* the last second of 2099 */
    snprintf(text, sizeof text, "store.dir = %s/vault\nindex.dir = %s/index\n", future.path, future.path);
    HV_AUTO(cli_result_clear) cli_result result = examine(text);
    expect_check(result, "clock", "failed");
    cli_expect_like(result.out, "before the newest segment was sealed");
    scratch_dir_remove(&future);
}
END_TEST

START_TEST(without_a_vault_named_the_doctor_says_so)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("doctor", "--output", "json");

    expect_check(result, "store", "failed");
    ck_assert_int_eq(result.status, 15);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("doctor");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_healthy_vault_without_a_source_passes_and_is_left_as_it_was);
    tcase_add_test(tests, for_eyes_the_way_out_stands_below_the_finding);
    tcase_add_test(tests, a_broker_that_answers_passes_and_without_hubs_is_a_warning);
    tcase_add_loop_test(tests, a_file_with_a_secret_is_judged_by_mode_and_content_and_never_shown, 0, sizeof credentials / sizeof *credentials);
    tcase_add_test(tests, a_store_that_is_no_vault_is_told_apart_from_one_that_is_not_there_yet);
    tcase_add_test(tests, a_missing_index_is_a_warning_and_one_of_another_vault_a_failure);
    tcase_add_test(tests, a_configuration_that_everybody_can_change_fails);
    tcase_add_loop_test(tests, too_few_open_files_are_found, 0, sizeof file_limits / sizeof *file_limits);
    tcase_add_test(tests, a_memory_budget_beyond_the_machine_fails);
#ifndef SANITIZED
    tcase_add_test(tests, a_limit_of_address_space_below_the_index_fails);
#endif
    tcase_add_test(tests, a_clock_before_the_newest_segment_fails);
    tcase_add_test(tests, without_a_vault_named_the_doctor_says_so);
    return ck_hv_run("doctor", tests);
}
