/*
 * Tokens under clocks that jump. The wall clock jumps both ways, the boot clock ahead, as after a sleep; the linker puts both,
 * and the server, in the hands of the test (--wrap).
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/token.h"
#include "tests/harness/check_hv.h"

#define DAY_MS INT64_C(86400000)

enum { STEPS = 20000, LIFETIME_MS = 3600 * 1000, RENEWED_AFTER_MS = 40 * 60 * 1000 };

static int64_t boot_ms, wall_ms, answer_takes_ms, asked_ms;
static int asked, lifetime_s, failures;         /* so many answers to come are refusals to answer */

int64_t __wrap_hv_clock_boot_ms(void);
int64_t __wrap_hv_clock_wall_ms(void);
hv_rc __wrap_hv_http_send(const hv_http_request *request, hv_http_response *response, hv_err *err);

int64_t
__wrap_hv_clock_boot_ms(void)
{
    return boot_ms;
}

int64_t
__wrap_hv_clock_wall_ms(void)
{
    return wall_ms;
}

/* The token is made when the question arrives, and named after it. */
hv_rc
__wrap_hv_http_send(const hv_http_request *request, hv_http_response *response, hv_err *err)
{
    (void)request;
    asked++;
    asked_ms = boot_ms;
    response->status = 503;
    if (failures > 0) {                 /* at once: an old token does not end meanwhile */
        failures--;
        return HV_OK;
    }
    response->status = 200;
    boot_ms += answer_takes_ms;
    wall_ms += answer_takes_ms;
    hv_buf_printf(&response->body, "{\"access_token\":\"%lld\",\"expires_in\":%d}", (long long)asked_ms, lifetime_s);
    return hv_buf_check(&response->body, err);
}

static hv_token_provider *provider;
static hv_err err;

static void
setup(void)
{
    hv_token_config config = {.kind = HV_TOKEN_MANAGED_IDENTITY, .retry_ms = 1};

    boot_ms = 5000;
    wall_ms = INT64_C(1700000000000);
    asked = failures = 0;
    answer_takes_ms = 0;
    lifetime_s = LIFETIME_MS / 1000;
    ck_hv_ok(hv_token_provider_open(&config, &provider, &err));
}

static void
teardown(void)
{
    hv_token_provider_close(provider);
}

/* Must be alive, and say so by the wall clock of this moment. When it was asked for. */
static int64_t
get(void)
{
    HV_AUTO(hv_token_clear) hv_token token = {0};

    ck_hv_ok(hv_token_get(provider, "https://r.example", &token, &err));
    int64_t made_ms = strtoll(token.token, NULL, 10), left_ms = made_ms + (int64_t)lifetime_s * 1000 - boot_ms;
    ck_assert_int_gt(left_ms, 0);
    ck_assert_int_eq(token.expires_ms, wall_ms + left_ms);
    return made_ms;
}

static int64_t
below(int64_t limit)
{
    return random() % limit;
}

START_TEST(jumps_of_the_wall_clock_neither_age_a_token_nor_keep_it_alive)
{
    int64_t began_ms = boot_ms;

    srandom(20261125);
    for (int i = 0; i < STEPS; i++) {
        int64_t step_ms = below(60000);
        boot_ms += step_ms;
        wall_ms += step_ms;
        if (below(3) == 0)
            wall_ms += below(800 * DAY_MS) - 400 * DAY_MS;
        if (below(500) == 0)
            boot_ms += below(2 * LIFETIME_MS);          /* the machine slept */
        if (below(200) == 0)
            failures = 1;
        if (i % 1000 == 0)
            answer_takes_ms = below(20000);
        (void)get();
        ck_assert_int_le(asked, 1 + (boot_ms - began_ms) / RENEWED_AFTER_MS + i / 40);
    }
    ck_assert_int_ge(asked, 100);
}
END_TEST

START_TEST(a_token_lives_from_when_it_was_asked_for_and_not_from_when_it_came)
{
    lifetime_s = 60;
    answer_takes_ms = 20000;
    int64_t first = get();
    boot_ms = first + 51000;            /* within the margin of ten seconds: not the first one any more */
    ck_assert_int_ne(get(), first);
}
END_TEST

START_TEST(a_token_that_ended_before_it_came_is_an_error_and_not_asked_for_again_and_again)
{
    hv_token token = {0};

    lifetime_s = 10;
    answer_takes_ms = 15000;
    ck_hv_fails(HV_UNAVAILABLE, hv_token_get(provider, "https://r.example", &token, &err));
    ck_assert_int_eq(asked, 1);
    ck_assert_ptr_nonnull(strstr(err.msg, "ended before"));
    answer_takes_ms = 0;
    (void)get();
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("token clock");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, jumps_of_the_wall_clock_neither_age_a_token_nor_keep_it_alive);
    tcase_add_test(tests, a_token_lives_from_when_it_was_asked_for_and_not_from_when_it_came);
    tcase_add_test(tests, a_token_that_ended_before_it_came_is_an_error_and_not_asked_for_again_and_again);
    return ck_hv_run("token clock", tests);
}
