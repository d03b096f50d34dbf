/* The board and its HTTP server, while threads report and others ask. */
#include "server/board.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http_server.h"
#include "server/service_http.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"

enum { REPORTERS = 3, REPORTS = 500, ASKS = 40 };

static hv_options options;
static hv_board *board;
static hv_http_server *server;
static hv_storage *store;
static hv_err err;

static void
set(const char *name, const char *value)
{
    ck_hv_ok(hv_options_set(&options, name, value, &(hv_option_place){.layer = HV_OPTION_FROM_COMMAND, .where = "test"}, &err));
}

static void
setup(void)
{
    hv_storage *inner = NULL;

    hv_options_init(&options);
    set("http.listen", "127.0.0.1:0");
    ck_hv_ok(hv_board_new(&options, NULL, &board, &err));
    ck_hv_ok(hv_service_http_start(board, &options, true, NULL, &server, &err));
    ck_assert_ptr_nonnull(server);
    ck_hv_ok(hv_storage_mem_open(&inner, &err));
    ck_hv_ok(hv_storage_meter_open(inner, &store, &err));
}

static void
teardown(void)
{
    hv_http_server_stop(server);
    hv_storage_close(store);
    hv_board_free(board);
    hv_options_clear(&options);
}

static unsigned
ask(const char *path, char *ret, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[200];
    size_t len = 0;
    unsigned status = 0;

    to.sin_port = htons((in_port_t)strtol(strrchr(hv_http_server_address(server), ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int asked = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    ck_assert_int_eq(send(fd, request, (size_t)asked, 0), asked);
    for (ssize_t got; (got = recv(fd, ret + len, size - 1 - len, 0)) > 0;)
        len += (size_t)got;
    ret[len] = '\0';
    (void)close(fd);
    ck_assert_int_eq(sscanf(ret, "HTTP/1.1 %u", &status), 1);
    return status;
}

static void *
report(void *arg)
{
    hv_partition partition = {.hub = "orders", .number = 1};
    hv_err why;
    hv_slice nothing = hv_slice_text("x");

    (void)arg;
    (void)hv_err_set(&why, HV_UNAVAILABLE, "sig=secret&x=1 is not there");
    for (int i = 0; i < REPORTS; i++) {
        char name[32];
        hv_board_report(board, &(hv_archiver_report){.event = HV_ARCHIVER_TROUBLE, .operation = HV_ARCHIVER_SEAL, .partition = &partition,
            .err = &why});
        hv_board_snapshot_stored(board, i % 2 == 0);
        (void)snprintf(name, sizeof name, "blob-%d", i);
        (void)!store->ops->put_new(store, name, &nothing, 1, &(hv_blob_attributes){.sha256 = {0}}, &why);
        (void)hv_err_set(&why, HV_UNAVAILABLE, "sig=secret&x=1 is not there");
    }
    return NULL;
}

START_TEST(nothing_is_lost_of_what_threads_report_while_others_ask)
{
    HV_AUTO(hv_service_facts_clear) hv_service_facts facts;
    pthread_t threads[REPORTERS];
    static char page[1 << 18];

    hv_board_vault(board, "v", store);
    for (int t = 0; t < REPORTERS; t++)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, report, NULL), 0);
    for (int a = 0; a < ASKS; a++)
        ck_assert_uint_eq(ask(a % 2 == 0 ? "/metrics" : "/status", page, sizeof page), 200);
    for (int t = 0; t < REPORTERS; t++)
        pthread_join(threads[t], NULL);
    ck_hv_ok(hv_service_facts_read(board, &facts, &err));
    ck_assert_uint_eq(facts.trouble.retries[HV_ARCHIVER_SEAL], REPORTERS * REPORTS);
    ck_assert_uint_eq(facts.trouble.errors[HV_UNAVAILABLE], REPORTERS * REPORTS);
    ck_assert_uint_eq(facts.trouble.snapshots_of_groups + facts.trouble.snapshots_of_topics, REPORTERS * REPORTS);
    ck_assert_uint_eq(facts.store.calls[HV_STORAGE_PUT][HV_OK], REPORTS);
    ck_assert_uint_eq(facts.store.calls[HV_STORAGE_PUT][HV_EXISTS], (REPORTERS - 1) * REPORTS);
    ck_assert_uint_eq(facts.store.put.cumulative[HV_HISTOGRAM_BOUNDS], REPORTERS * REPORTS);
    ck_assert_int_eq(facts.store.failing_ms, 0);
    ck_assert_uint_eq(facts.answers[0].count, ASKS);
    ck_assert_str_eq(facts.trouble.last_partition.hub, "orders");
    ck_assert_ptr_null(strstr(facts.trouble.last, "secret"));
}
END_TEST

START_TEST(before_anything_is_open_it_is_alive_and_says_what_it_waits_for)
{
    static char page[1 << 16];

    ck_assert_uint_eq(ask("/healthz", page, sizeof page), 200);
    ck_assert_uint_eq(ask("/readyz", page, sizeof page), 503);
    ck_assert_ptr_nonnull(strstr(page, "starting: sources and vault are being opened"));
    hv_board_phase(board, HV_PHASE_REBUILDING);
    ck_assert_uint_eq(ask("/readyz", page, sizeof page), 503);
    ck_assert_ptr_nonnull(strstr(page, "the index is being rebuilt"));
    ck_assert_uint_eq(ask("/metrics", page, sizeof page), 200);
    ck_assert_ptr_nonnull(strstr(page, "hubvault_ready 0\n"));
}
END_TEST

START_TEST(a_store_that_takes_nothing_shows_since_when)
{
    HV_AUTO(hv_service_facts_clear) hv_service_facts facts;
    HV_AUTO(hv_storage_close) hv_storage *failing = NULL;
    hv_storage *faulty = NULL, *inner = NULL;
    hv_slice one = hv_slice_text("x");

    ck_hv_ok(hv_storage_mem_open(&inner, &err));
    hv_storage_fault_config config = {.inner = inner, .fail_call = 0, .fail_calls = 2, .fail_with = HV_UNAVAILABLE};
    ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
    ck_hv_ok(hv_storage_meter_open(faulty, &failing, &err));
    hv_board_vault(board, "v", failing);
    for (int n = 0; n < 2; n++) {
        ck_assert_int_eq(failing->ops->put_new(failing, "a", &one, 1, &(hv_blob_attributes){.sha256 = {0}}, &err), HV_UNAVAILABLE);
        usleep(2000);
    }
    ck_hv_ok(hv_service_facts_read(board, &facts, &err));
    ck_assert_int_gt(facts.store.failing_ms, 0);
    ck_hv_ok(failing->ops->put_new(failing, "a", &one, 1, &(hv_blob_attributes){.sha256 = {0}}, &err));
    hv_service_facts_clear(&facts);
    ck_hv_ok(hv_service_facts_read(board, &facts, &err));
    ck_assert_int_eq(facts.store.failing_ms, 0);
    hv_board_vault(board, NULL, NULL);
    hv_storage_close(inner);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("board");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 50);
    tcase_add_test(tests, nothing_is_lost_of_what_threads_report_while_others_ask);
    tcase_add_test(tests, before_anything_is_open_it_is_alive_and_says_what_it_waits_for);
    tcase_add_test(tests, a_store_that_takes_nothing_shows_since_when);
    return ck_hv_run("board", tests);
}
