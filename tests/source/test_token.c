#include "common/token.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/token_answer.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/source/loopback_http.h"

#define ANSWER(token, more) "{\"token_type\":\"Bearer\",\"access_token\":\"" token "\"," more "}"
#define SECRET "s3cr3t+/=&x"

static hv_err err;
static loopback_http *http;
static scratch_dir dir;
static char secret_file[400];
static hv_token_provider *provider;

static void
write_secret(const char *text)
{
    FILE *file = fopen(secret_file, "w");

    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void
start(void)
{
    http = loopback_http_start();
    dir = scratch_dir_make();
    (void)snprintf(secret_file, sizeof secret_file, "%s/secret", dir.path);
    write_secret(SECRET "\n");
}

static void
stop(void)
{
    hv_token_provider_close(provider);
    loopback_http_stop(http);
    scratch_dir_remove(&dir);
}

static void
open_provider(hv_token_kind kind)
{
    hv_token_config config = {
        .kind = kind,
        .tenant = "tenant-1",
        .client_id = "client 1",
        .client_secret_file = secret_file,
        .federated_token_file = secret_file,
        .authority = loopback_http_url(http),
        .imds = loopback_http_url(http),
        .identity_endpoint = loopback_http_url(http),
        .identity_header = "header-1",
        .retry_ms = 10,
        .timeout_ms = 5000,
    };

    ck_hv_ok(hv_token_provider_open(&config, &provider, &err));
}

static hv_rc
get(char *to, size_t size)
{
    HV_AUTO(hv_token_clear) hv_token token = {0};
    hv_rc rc = hv_token_get(provider, "https://r.example", &token, &err);

    if (rc == HV_OK && to != NULL)
        (void)snprintf(to, size, "%s", token.token);
    return rc;
}

static void
expect_token(const char *want)
{
    char got[100];

    ck_hv_ok(get(got, sizeof got));
    ck_assert_str_eq(got, want);
}

static void
expect_asked(int n, const char *part)
{
    ck_assert_msg(loopback_http_asked(http, n) != NULL && strstr(loopback_http_asked(http, n), part) != NULL,
                  "no '%s' in: %s", part, loopback_http_asked(http, n));
}

/* ---- the four kinds ---- */

START_TEST(a_client_secret_is_sent_to_the_authority_once_and_the_token_is_kept)
{
    open_provider(HV_TOKEN_CLIENT_SECRET);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":3600"), 0);
    expect_token("t1");
    expect_token("t1");
    ck_assert_int_eq(loopback_http_count(http), 1);
    expect_asked(0, "POST /tenant-1/oauth2/v2.0/token HTTP/1.1\r\n");
    expect_asked(0, "\r\n\r\ngrant_type=client_credentials&client_id=client%201&scope=https%3A%2F%2Fr.example%2F.default"
                    "&client_secret=s3cr3t%2B%2F%3D%26x");
}
END_TEST

START_TEST(a_federated_token_is_read_from_its_file_at_each_request)
{
    open_provider(HV_TOKEN_WORKLOAD_IDENTITY);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":1"), 0);
    loopback_http_answer(http, 200, "", ANSWER("t2", "\"expires_in\":3600"), 0);
    expect_token("t1");
    write_secret("rotated");
    usleep(1000000);
    expect_token("t2");
    expect_asked(0, "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
                    "&client_assertion=s3cr3t");
    expect_asked(1, "&client_assertion=rotated");
}
END_TEST

START_TEST(a_virtual_machine_asks_its_metadata_service)
{
    open_provider(HV_TOKEN_MANAGED_IDENTITY);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":\"3600\",\"expires_on\":\"1\""), 0);
    expect_token("t1");
    expect_asked(0, "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fr.example"
                    "&client_id=client%201 ");
    expect_asked(0, "\r\nMetadata: true\r\n");
}
END_TEST

START_TEST(an_app_service_asks_its_endpoint_with_its_header)
{
    char answer[200];

    open_provider(HV_TOKEN_APP_SERVICE);
    (void)snprintf(answer, sizeof answer, ANSWER("t1", "\"expires_on\":\"%lld\""), (long long)(hv_clock_wall_ms() / 1000 + 3600));
    loopback_http_answer(http, 200, "", answer, 0);
    expect_token("t1");
    expect_asked(0, "GET /?api-version=2019-08-01&resource=https%3A%2F%2Fr.example&client_id=client%201 ");
    expect_asked(0, "\r\nX-IDENTITY-HEADER: header-1\r\n");
}
END_TEST

START_TEST(each_resource_has_its_own_token)
{
    hv_token other = {0};

    open_provider(HV_TOKEN_MANAGED_IDENTITY);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":3600"), 0);
    loopback_http_answer(http, 200, "", ANSWER("t2", "\"expires_in\":3600"), 0);
    expect_token("t1");
    hv_token_for wanted = {.provider = provider, .resource = "https://other.example"};
    ck_hv_ok(hv_token_for_get(&wanted, &other, &err));
    ck_assert_str_eq(other.token, "t2");
    ck_assert_int_gt(other.expires_ms, hv_clock_wall_ms() + 3500 * 1000);
    hv_token_clear(&other);
    expect_token("t1");
    ck_assert_int_eq(loopback_http_count(http), 2);
}
END_TEST

/* ---- renewal ---- */

START_TEST(a_token_is_renewed_before_it_ends)
{
    open_provider(HV_TOKEN_MANAGED_IDENTITY);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":4"), 0);
    loopback_http_answer(http, 200, "", ANSWER("t2", "\"expires_in\":3600"), 0);
    expect_token("t1");
    usleep(3100000);                    /* a quarter of its life is left: alive, but due */
    expect_token("t2");
}
END_TEST

START_TEST(a_renewal_that_the_server_wants_earlier_comes_earlier)
{
    open_provider(HV_TOKEN_MANAGED_IDENTITY);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":3600,\"refresh_in\":\"1\""), 0);
    loopback_http_answer(http, 200, "", ANSWER("t2", "\"expires_in\":3600,\"refresh_in\":1800"), 0);
    expect_token("t1");
    usleep(1100000);
    expect_token("t2");
    expect_token("t2");
}
END_TEST

START_TEST(a_failed_renewal_leaves_the_old_token_in_use_and_is_not_repeated_at_once)
{
    open_provider(HV_TOKEN_MANAGED_IDENTITY);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":3600,\"refresh_in\":1"), 0);
    loopback_http_answer(http, 500, "", "", 0);
    expect_token("t1");
    usleep(1100000);
    expect_token("t1");
    expect_token("t1");
    ck_assert_int_eq(loopback_http_count(http), 2);
}
END_TEST

/* ---- many threads ---- */

enum { THREADS = 16 };

static void *
get_in_thread(void *arg)
{
    hv_rc *rc = arg;
    hv_err mine;
    HV_AUTO(hv_token_clear) hv_token token = {0};

    *rc = hv_token_get(provider, "https://r.example", &token, &mine);
    if (*rc == HV_OK && strcmp(token.token, "t1") != 0)
        *rc = HV_CORRUPT;
    return NULL;
}

static void
get_in_threads(hv_rc want)
{
    pthread_t threads[THREADS];
    hv_rc rcs[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, get_in_thread, &rcs[i]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(rcs[i], want);
}

START_TEST(sixteen_threads_cost_one_request)
{
    open_provider(HV_TOKEN_CLIENT_SECRET);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":3600"), 300);
    get_in_threads(HV_OK);
    ck_assert_int_eq(loopback_http_count(http), 1);
}
END_TEST

START_TEST(a_refusal_is_told_to_all_who_waited_and_asked_for_once)
{
    open_provider(HV_TOKEN_CLIENT_SECRET);
    loopback_http_answer(http, 401, "", "{\"error\":\"invalid_client\"}", 500);
    get_in_threads(HV_AUTH);
    ck_assert_int_eq(loopback_http_count(http), 1);
}
END_TEST

START_TEST(stopping_wakes_whoever_waits)
{
    pthread_t thread;
    hv_rc rc = HV_OK;
    hv_token_config config = {.kind = HV_TOKEN_MANAGED_IDENTITY, .imds = loopback_http_url(http), .retry_ms = 60000};

    ck_hv_ok(hv_token_provider_open(&config, &provider, &err));
    loopback_http_answer(http, 503, "", "", 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, get_in_thread, &rc), 0);
    while (loopback_http_count(http) == 0)
        usleep(10000);
    hv_token_provider_stop(provider);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(rc, HV_CLOSED);
    ck_hv_fails(HV_CLOSED, get(NULL, 0));
}
END_TEST

/* ---- refusals and tries ---- */

START_TEST(a_busy_server_is_asked_again_when_it_wants)
{
    open_provider(HV_TOKEN_CLIENT_SECRET);
    loopback_http_answer(http, 429, "Retry-After: 1\r\n", "", 0);
    loopback_http_answer(http, 503, "", "", 0);
    loopback_http_answer(http, 200, "", ANSWER("t1", "\"expires_in\":3600"), 0);
    int64_t before = hv_clock_boot_ms();
    expect_token("t1");
    ck_assert_int_ge(hv_clock_boot_ms() - before, 990);
    ck_assert_int_eq(loopback_http_count(http), 3);
}
END_TEST

static void
expect_tries(hv_token_kind kind, int status, int tries, hv_rc want)
{
    open_provider(kind);
    loopback_http_answer(http, status, "", "{}", 0);
    ck_hv_fails(want, get(NULL, 0));
    ck_assert_msg(loopback_http_count(http) == tries, "status %d: %d tries, not %d", status, loopback_http_count(http), tries);
}

START_TEST(some_statuses_are_worth_another_try_and_others_are_not)
{
    static const struct {
        hv_token_kind kind;
        int status, tries;
        hv_rc rc;
    } cases[] = {
        {HV_TOKEN_CLIENT_SECRET, 500, 4, HV_UNAVAILABLE},    {HV_TOKEN_CLIENT_SECRET, 408, 4, HV_UNAVAILABLE},
        {HV_TOKEN_CLIENT_SECRET, 400, 1, HV_AUTH},           {HV_TOKEN_CLIENT_SECRET, 404, 1, HV_AUTH},
        {HV_TOKEN_CLIENT_SECRET, 410, 1, HV_AUTH},           {HV_TOKEN_CLIENT_SECRET, 302, 1, HV_AUTH},
        {HV_TOKEN_MANAGED_IDENTITY, 404, 4, HV_UNAVAILABLE}, {HV_TOKEN_MANAGED_IDENTITY, 410, 8, HV_UNAVAILABLE},
        {HV_TOKEN_MANAGED_IDENTITY, 400, 1, HV_AUTH},        {HV_TOKEN_MANAGED_IDENTITY, 403, 1, HV_AUTH},
    };

    expect_tries(cases[_i].kind, cases[_i].status, cases[_i].tries, cases[_i].rc);
}
END_TEST

START_TEST(a_server_that_cannot_be_reached_is_tried_again_and_then_unavailable)
{
    hv_token_config config = {.kind = HV_TOKEN_MANAGED_IDENTITY, .imds = "http://127.0.0.1:1", .retry_ms = 20};

    ck_hv_ok(hv_token_provider_open(&config, &provider, &err));
    int64_t before = hv_clock_boot_ms();
    ck_hv_fails(HV_UNAVAILABLE, get(NULL, 0));
    ck_assert_int_ge(hv_clock_boot_ms() - before, 70);      /* 20 + 40 + 80, less a quarter each */
}
END_TEST

START_TEST(a_refusal_says_why_in_one_line_without_the_secret)
{
    open_provider(HV_TOKEN_CLIENT_SECRET);
    loopback_http_answer(http, 401, "", "{\"error\":\"invalid_client\",\"error_description\":"
                         "\"AADSTS7000215: no such secret: " SECRET "\\r\\nTrace ID: 1\"}", 0);
    ck_hv_fails(HV_AUTH, get(NULL, 0));
    ck_assert_ptr_nonnull(strstr(err.msg, "invalid_client: AADSTS7000215"));
    ck_assert_ptr_null(strstr(err.msg, SECRET));
    ck_assert_ptr_null(strstr(err.msg, "Trace"));
    ck_assert_ptr_null(strchr(err.msg, '\n'));
}
END_TEST

START_TEST(a_secret_file_that_is_missing_or_odd_is_named)
{
    open_provider(HV_TOKEN_CLIENT_SECRET);
    ck_assert_int_eq(unlink(secret_file), 0);
    ck_hv_fails(HV_NOT_FOUND, get(NULL, 0));
    ck_assert_ptr_nonnull(strstr(err.msg, secret_file));
    write_secret("two\nlines\n");
    ck_hv_fails(HV_USAGE, get(NULL, 0));
    write_secret("");
    ck_hv_fails(HV_USAGE, get(NULL, 0));
    ck_assert_int_eq(loopback_http_count(http), 0);
}
END_TEST

START_TEST(a_config_that_lacks_something_or_would_send_secrets_in_the_clear_is_refused)
{
    hv_token_config config = {.kind = HV_TOKEN_CLIENT_SECRET, .tenant = "t", .client_id = "c"};

    ck_hv_fails(HV_USAGE, hv_token_provider_open(&config, &provider, &err));
    config.client_secret_file = secret_file;
    config.authority = "http://login.example";
    ck_hv_fails(HV_USAGE, hv_token_provider_open(&config, &provider, &err));
    config.authority = "https://login.example/";
    ck_hv_ok(hv_token_provider_open(&config, &provider, &err));
}
END_TEST

START_TEST(there_is_a_limit_to_resources)
{
    char resource[32];
    hv_rc rc = HV_OK;

    open_provider(HV_TOKEN_MANAGED_IDENTITY);
    loopback_http_answer(http, 400, "", "{}", 0);
    for (int i = 0; i < 70 && rc != HV_LIMIT; i++) {
        hv_token token = {0};
        (void)snprintf(resource, sizeof resource, "r%d", i);
        rc = hv_token_get(provider, resource, &token, &err);
    }
    ck_assert_int_eq(rc, HV_LIMIT);
}
END_TEST

/* ---- answers ---- */

START_TEST(answers_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "", "[]", "{", "null", "{}", ANSWER("", "\"expires_in\":1"), ANSWER("a b", "\"expires_in\":1"),
        ANSWER("a\\r\\nX: y", "\"expires_in\":1"), ANSWER("a\\u0000b", "\"expires_in\":1"), ANSWER("t", "\"x\":1"),
        ANSWER("t", "\"expires_in\":0"), ANSWER("t", "\"expires_in\":-5"), ANSWER("t", "\"expires_in\":\"1h\""),
        ANSWER("t", "\"expires_in\":99999999999"), ANSWER("t", "\"expires_in\":\"99999999999999999999\""),
        ANSWER("t", "\"expires_in\":1.5"), ANSWER("t", "\"expires_on\":\"5\""), ANSWER("t", "\"expires_on\":-9223372036854775808"),
        ANSWER("t", "\"expires_in\":null"), "{\"access_token\":5,\"expires_in\":1}",
        ANSWER("t", "\"expires_in\":1,\"access_token\":\"u\""),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        HV_AUTO(hv_secret_wipe) hv_secret none = {0};
        hv_token_answer answer = {.token = none};
        ck_assert_msg(hv_token_answer_parse(hv_slice_text(bad[i]), 1700000000000, &answer, &err) == HV_CORRUPT, "%s", bad[i]);
        ck_assert_ptr_null(answer.token.text);
    }
}
END_TEST

START_TEST(lifetimes_may_be_numbers_or_strings_and_relative_wins)
{
    static const struct {
        const char *text;
        int64_t lifetime_ms, refresh_ms;
    } good[] = {
        {ANSWER("t", "\"expires_in\":86399"), 86399000, -1},
        {ANSWER("t", "\"expires_in\":\"86399\""), 86399000, -1},
        {ANSWER("t", "\"expires_on\":\"1700000060\""), 60000, -1},
        {ANSWER("t", "\"expires_in\":30,\"expires_on\":1700000060"), 30000, -1},
        {ANSWER("t", "\"expires_in\":30,\"refresh_in\":\"20\""), 30000, 20000},
        {ANSWER("t", "\"expires_in\":30,\"refresh_in\":40"), 30000, -1},
        {ANSWER("t", "\"expires_in\":30,\"refresh_in\":\"soon\""), 30000, -1},
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        hv_token_answer answer = {0};
        ck_hv_ok(hv_token_answer_parse(hv_slice_text(good[i].text), 1700000000000, &answer, &err));
        ck_assert_int_eq(answer.lifetime_ms, good[i].lifetime_ms);
        ck_assert_int_eq(answer.refresh_ms, good[i].refresh_ms);
        hv_secret_wipe(&answer.token);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("token");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_client_secret_is_sent_to_the_authority_once_and_the_token_is_kept);
    tcase_add_test(tests, a_federated_token_is_read_from_its_file_at_each_request);
    tcase_add_test(tests, a_virtual_machine_asks_its_metadata_service);
    tcase_add_test(tests, an_app_service_asks_its_endpoint_with_its_header);
    tcase_add_test(tests, each_resource_has_its_own_token);
    tcase_add_test(tests, a_token_is_renewed_before_it_ends);
    tcase_add_test(tests, a_renewal_that_the_server_wants_earlier_comes_earlier);
    tcase_add_test(tests, a_failed_renewal_leaves_the_old_token_in_use_and_is_not_repeated_at_once);
    tcase_add_test(tests, sixteen_threads_cost_one_request);
    tcase_add_test(tests, a_refusal_is_told_to_all_who_waited_and_asked_for_once);
    tcase_add_test(tests, stopping_wakes_whoever_waits);
    tcase_add_test(tests, a_busy_server_is_asked_again_when_it_wants);
    tcase_add_loop_test(tests, some_statuses_are_worth_another_try_and_others_are_not, 0, 10);
    tcase_add_test(tests, a_server_that_cannot_be_reached_is_tried_again_and_then_unavailable);
    tcase_add_test(tests, a_refusal_says_why_in_one_line_without_the_secret);
    tcase_add_test(tests, a_secret_file_that_is_missing_or_odd_is_named);
    tcase_add_test(tests, a_config_that_lacks_something_or_would_send_secrets_in_the_clear_is_refused);
    tcase_add_test(tests, there_is_a_limit_to_resources);
    tcase_add_test(tests, answers_that_are_none_are_refused);
    tcase_add_test(tests, lifetimes_may_be_numbers_or_strings_and_relative_wins);
    return ck_hv_run("token", tests);
}
