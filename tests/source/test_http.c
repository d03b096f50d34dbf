#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/http.h"
#include "tests/harness/check_hv.h"
#include "tests/source/loopback_http.h"

static hv_err err;
static loopback_http *http;
static char url[128];

static void
start(void)
{
    http = loopback_http_start();
    (void)snprintf(url, sizeof url, "%s/some/path?secret=quiet", loopback_http_url(http));
}

static void
stop(void)
{
    loopback_http_stop(http);
}

START_TEST(a_request_arrives_as_it_was_made_and_the_answer_comes_back)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);
    const char *const headers[] = {"X-One: 1", "Content-Type: text/odd"};
    hv_http_request request = {.method = "POST", .url = url, .headers = headers, .header_count = 2, .body = hv_slice_of("a\0b", 3),
                               .timeout_ms = 5000};

    loopback_http_answer(http, 201, "", "made", 0);
    ck_hv_ok(hv_http_send(&request, &response, &err));
    ck_assert_int_eq(response.status, 201);
    ck_assert_str_eq(response.body.data, "made");
    ck_assert_int_eq(response.retry_after_ms, -1);
    const char *asked = loopback_http_asked(http, 0);
    ck_assert(strncmp(asked, "POST /some/path?secret=quiet HTTP/1.1\r\n", 39) == 0);
    ck_assert_ptr_nonnull(strstr(asked, "\r\nX-One: 1\r\n"));
    ck_assert_ptr_nonnull(strstr(asked, "\r\nContent-Type: text/odd\r\n"));
    ck_assert_ptr_nonnull(strstr(asked, "\r\nContent-Length: 3\r\n"));
    ck_assert_ptr_null(strstr(asked, "Expect"));
    ck_assert(memcmp(strstr(asked, "\r\n\r\n") + 4, "a\0b", 3) == 0);
}
END_TEST

static hv_rc
get(size_t limit, int timeout_ms, hv_http_response *response)
{
    hv_http_request request = {.method = "GET", .url = url, .timeout_ms = timeout_ms};

    response->body.max_len = limit;
    return hv_http_send(&request, response, &err);
}

START_TEST(an_error_status_is_an_answer_too)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);

    loopback_http_answer(http, 429, "Retry-After: 7\r\n", "slow down", 0);
    ck_hv_ok(get(1000, 5000, &response));
    ck_assert_int_eq(response.status, 429);
    ck_assert_int_eq(response.retry_after_ms, 7000);
}
END_TEST

START_TEST(a_redirect_is_not_followed)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);

    loopback_http_answer(http, 302, "Location: /elsewhere\r\n", "", 0);
    ck_hv_ok(get(1000, 5000, &response));
    ck_assert_int_eq(response.status, 302);
    ck_assert_int_eq(loopback_http_count(http), 1);
}
END_TEST

START_TEST(an_answer_may_fill_its_limit_but_not_pass_it)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(10);

    loopback_http_answer(http, 200, "", "0123456789", 0);
    ck_hv_ok(get(10, 5000, &response));
    ck_assert_uint_eq(response.body.len, 10);
    ck_hv_fails(HV_LIMIT, get(9, 5000, &response));
    ck_assert_uint_eq(response.body.len, 0);
}
END_TEST

START_TEST(a_silent_server_costs_no_more_than_the_timeout)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);

    loopback_http_answer(http, 200, "", "late", 1500);
    int64_t before = hv_clock_boot_ms();
    ck_hv_fails(HV_UNAVAILABLE, get(1000, 200, &response));
    ck_assert_int_lt(hv_clock_boot_ms() - before, 1200);
}
END_TEST

START_TEST(a_failure_names_the_address_but_not_the_query)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);

    (void)snprintf(url, sizeof url, "http://127.0.0.1:1/some/path?secret=quiet");
    ck_hv_fails(HV_UNAVAILABLE, get(1000, 2000, &response));
    ck_assert_ptr_nonnull(strstr(err.msg, "GET http://127.0.0.1:1/some/path: "));
    ck_assert_ptr_null(strstr(err.msg, "quiet"));
}
END_TEST

START_TEST(what_is_no_web_address_is_refused)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);

    (void)snprintf(url, sizeof url, "ftp://127.0.0.1/x");
    ck_hv_fails(HV_USAGE, get(1000, 2000, &response));
    (void)snprintf(url, sizeof url, "file:///etc/passwd");
    ck_hv_fails(HV_USAGE, get(1000, 2000, &response));
    (void)snprintf(url, sizeof url, "http://");
    ck_hv_fails(HV_USAGE, get(1000, 2000, &response));
}
END_TEST

START_TEST(a_proxy_in_the_environment_is_ignored_and_a_configured_one_is_not_used_for_this_machine)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(1000);
    hv_http_request request = {.method = "GET", .url = url, .timeout_ms = 5000, .proxy = "http://127.0.0.1:1"};

    loopback_http_answer(http, 200, "", "direct", 0);
    ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    ck_hv_ok(get(1000, 5000, &response));
    ck_hv_ok(hv_http_send(&request, &response, &err));
    /* Red if the proxy is never used at all. */
    request.url = "http://far.invalid/";
    request.proxy = loopback_http_url(http);
    ck_hv_ok(hv_http_send(&request, &response, &err));
    ck_assert(strncmp(loopback_http_asked(http, 2), "GET http://far.invalid/", 23) == 0);
}
END_TEST

START_TEST(near_hosts_are_told_from_far_ones_that_look_like_them)
{
    ck_assert(hv_http_is_near("http://127.0.0.1:80/x"));
    ck_assert(hv_http_is_near("http://LOCALHOST/"));
    ck_assert(hv_http_is_near("http://169.254.169.254/metadata"));
    ck_assert(hv_http_is_near("http://[::1]:80/"));
    ck_assert(hv_http_is_near("http://[fe80::1]/"));
    ck_assert(!hv_http_is_near("http://127.example.com/"));
    ck_assert(!hv_http_is_near("http://169.254.example.com/"));
    ck_assert(!hv_http_is_near("http://127.0.0.1@example.com/"));
    ck_assert(!hv_http_is_near("http://localhost.example.com/"));
    ck_assert(!hv_http_is_near("https://example.com/?http://127.0.0.1"));
    ck_assert(!hv_http_is_near("127.0.0.1"));
    ck_assert(!hv_http_is_near("http:/example.com://127.0.0.1/"));      /* libcurl takes one slash for two, and goes to example.com */
}
END_TEST

START_TEST(escaping_leaves_only_what_a_form_may_hold)
{
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(200);

    hv_http_put_escaped(&buf, "aZ0-._~ /+=&%\xc3\xa4");
    ck_assert_str_eq(buf.data, "aZ0-._~%20%2F%2B%3D%26%25%C3%A4");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("http");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_request_arrives_as_it_was_made_and_the_answer_comes_back);
    tcase_add_test(tests, an_error_status_is_an_answer_too);
    tcase_add_test(tests, a_redirect_is_not_followed);
    tcase_add_test(tests, an_answer_may_fill_its_limit_but_not_pass_it);
    tcase_add_test(tests, a_silent_server_costs_no_more_than_the_timeout);
    tcase_add_test(tests, a_failure_names_the_address_but_not_the_query);
    tcase_add_test(tests, what_is_no_web_address_is_refused);
    tcase_add_test(tests, a_proxy_in_the_environment_is_ignored_and_a_configured_one_is_not_used_for_this_machine);
    tcase_add_test(tests, near_hosts_are_told_from_far_ones_that_look_like_them);
    tcase_add_test(tests, escaping_leaves_only_what_a_form_may_hold);
    return ck_hv_run("http", tests);
}
