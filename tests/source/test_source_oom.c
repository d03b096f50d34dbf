/*
 * Let the n-th allocation fail, for n = 0, 1, 2 ... until a run needs fewer than n. The linker replaces the allocation functions
 * for our own code only (librdkafka, which ends the process where memory ends, keeps its own). Leaks on these paths are found by
 * the sanitizer build.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/http.h"
#include "common/token.h"
#include "common/token_answer.h"
#include "source/connection_string.h"
#include "source/source_kafka.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"
#include "tests/harness/scratch_dir.h"
#include "tests/source/loopback_http.h"

static hv_err err;

/* Runs work until no allocation of it fails any more; fails unless at least `least` did. */
static void
starve(hv_rc (*work)(void), long least)
{
    hv_rc rc = HV_NOMEM;
    long n;

    for (n = 0; rc != HV_OK; n++) {
        ck_assert_int_lt(n, 1000);
        oom_begin(OOM_THIS_THREAD, n, 1);
        rc = work();
        bool starved = oom_end();
        ck_assert_msg(rc == (starved ? HV_NOMEM : HV_OK), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
    }
    ck_assert_int_gt(n, least);
}

static hv_rc
parse_connection_string(void)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string string = {0};

    return hv_connection_string_parse("Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=k=;EntityPath=orders", &string, &err);
}

static hv_rc
parse_answer(void)
{
    HV_AUTO(hv_secret_wipe) hv_secret taken = {0};
    hv_token_answer answer = {0};
    hv_rc rc = hv_token_answer_parse(hv_slice_text("{\"access_token\":\"t\",\"expires_in\":60}"), 0, &answer, &err);

    taken = answer.token;
    return rc;
}

static hv_rc
copy_settings(void)
{
    static const char *const texts[] = {"a", "b"};
    hv_kafka_config config = {
        .bootstrap = "h:1", .ca_file = "f", .user = "u", .password_file = "p", .auth = HV_KAFKA_AUTH_PLAIN, .include = texts,
        .include_count = 2, .exclude = texts, .exclude_count = 2, .hubs = texts, .hub_count = 2, .extra = texts, .extra_count = 2};
    hv_kafka_settings settings = {0};
    hv_rc rc = hv_kafka_settings_copy(&config, &settings, &err);

    hv_kafka_settings_clear(&settings);
    return rc;
}

static char secret_file[400];
static hv_source *source;               /* without an asker */

static hv_rc
open_asker(void)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *asker = NULL;

    return hv_kafka_asker_hold((hv_kafka *)source, &asker, &err);
}

static hv_rc
read_secret(void)
{
    HV_AUTO(hv_secret_wipe) hv_secret secret = {0};

    return hv_secret_read(secret_file, "test", &secret, &err);
}

static const char *server_url;

static hv_rc
get_token(void)
{
    HV_AUTO(hv_token_provider_close) hv_token_provider *provider = NULL;
    HV_AUTO(hv_token_clear) hv_token token = {0};
    hv_token_config config = {.kind = HV_TOKEN_CLIENT_SECRET, .tenant = "t", .client_id = "c", .client_secret_file = secret_file,
                              .authority = server_url, .retry_ms = 1};
    hv_rc rc = hv_token_provider_open(&config, &provider, &err);

    return rc == HV_OK ? hv_token_get(provider, "r", &token, &err) : rc;
}

START_TEST(running_out_of_memory_while_parsing_is_reported_and_leaves_nothing_behind)
{
    scratch_dir dir = scratch_dir_make();

    (void)snprintf(secret_file, sizeof secret_file, "%s/secret", dir.path);
    FILE *file = fopen(secret_file, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs("secret", file);
    (void)fclose(file);
    starve(parse_connection_string, 1);
    starve(parse_answer, 1);
    starve(copy_settings, 10);
    starve(read_secret, 2);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(running_out_of_memory_while_opening_the_second_connection_is_not_taken_for_an_answer)
{
    hv_kafka_config config = {.bootstrap = "127.0.0.1:1"};

    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    starve(open_asker, 0);
    hv_source_close(source);
}
END_TEST

START_TEST(running_out_of_memory_while_getting_a_token_is_reported_and_leaves_nothing_behind)
{
    scratch_dir dir = scratch_dir_make();
    loopback_http *http = loopback_http_start();

    (void)snprintf(secret_file, sizeof secret_file, "%s/secret", dir.path);
    FILE *file = fopen(secret_file, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs("secret", file);
    (void)fclose(file);
    server_url = loopback_http_url(http);
    loopback_http_answer(http, 200, "", "{\"access_token\":\"t\",\"expires_in\":60}", 0);
    starve(get_token, 10);
    loopback_http_stop(http);
    scratch_dir_remove(&dir);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("source out of memory");
    tcase_add_test(tests, running_out_of_memory_while_parsing_is_reported_and_leaves_nothing_behind);
    tcase_add_test(tests, running_out_of_memory_while_opening_the_second_connection_is_not_taken_for_an_answer);
    tcase_add_test(tests, running_out_of_memory_while_getting_a_token_is_reported_and_leaves_nothing_behind);
    return ck_hv_run("source out of memory", tests);
}
