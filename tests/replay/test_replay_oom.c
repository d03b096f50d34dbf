/*
 * Let the n-th allocation fail, for n = 0, 1, 2 ... until a whole replay needs fewer than n: it ends with HV_NOMEM, and what the
 * sink got is the beginning of what it should get. The linker's --wrap replaces the allocation functions for our own code only.
 * Leaks on these paths are found by the sanitizer build of this test.
 */
#include <fcntl.h>
#include <unistd.h>

#include "replay/kafka_positions.h"
#include "replay/replay.h"
#include "replay/sinks.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static vault_builder vault;
static hv_partition orders0, orders1;

/* Two partitions, two classes, structured cloud events, a gap. */
static void
make_vault(void)
{
    const hv_header headers[] = {{.name = hv_slice_text("content-type"), .value = hv_slice_text("application/cloudevents+json")},
                                 {.name = hv_slice_text("x\xff"), .value = HV_SLICE_NULL}};

    vault_open(&vault);
    orders0 = vault_partition("orders", 1, 0);
    orders1 = vault_partition("orders", 1, 1);
    vault_incarnation(&vault, "orders", 1, "");
    for (int64_t offset = 0; offset < 12; offset++) {
        hv_event event = {.offset = offset, .timestamp_ms = offset, .key = hv_slice_text("\xff"), .headers = headers,
                          .header_count = 2,
                          .value = hv_slice_text("{\"ty\\u0070e\":\"a\\u0062\"}")};
        vault_add(&vault, &orders0, &event, offset % 3 == 0 ? "personal" : NULL);
        vault_add(&vault, &orders1, &event, NULL);
    }
    vault_gap(&vault, &orders1, (hv_gap){.range = {.first = 12, .end = 14}, .cause = HV_GAP_RETENTION});
    vault_seal(&vault, &orders0, &(vault_seal_config){.events_per_block = 2});
    vault_seal(&vault, &orders1, &(vault_seal_config){.events_per_block = 5});
}

static void
close_vault(void)
{
    vault_close(&vault);
}

/* Counts, and remembers nothing, so that it needs no memory itself. */
typedef struct counting_sink {
    hv_sink base;
    hv_sink *inner;
    int64_t next[2], events;
    bool in_order;
} counting_sink;

static hv_rc
count_begin(hv_sink *sink, hv_sink_start *start, hv_err *err)
{
    hv_sink *inner = ((counting_sink *)sink)->inner;

    return inner->ops->begin(inner, start, err);
}

static hv_rc
count_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err)
{
    counting_sink *counting = (counting_sink *)sink;

    counting->in_order = counting->in_order && event->offset == counting->next[from->number];
    counting->next[from->number] = event->offset + 1;
    counting->events++;
    return counting->inner->ops->event(counting->inner, from, event, err);
}

static hv_rc
count_flush(hv_sink *sink, hv_err *err)
{
    hv_sink *inner = ((counting_sink *)sink)->inner;

    return inner->ops->flush(inner, err);
}

static hv_rc
open_sink(int kind, int fd, hv_sink **ret, hv_err *err)
{
    hv_sink_file to = {.fd = fd, .name = "out"};

    return kind == 0   ? hv_sink_jsonl_open(&(hv_sink_jsonl_config){.to = to}, ret, err)
           : kind == 1 ? hv_sink_avro_open(&(hv_sink_avro_config){.to = to}, ret, err)
                       : hv_sink_raw_open(&(hv_sink_raw_config){.to = to, .separator = hv_slice_text("\n")}, ret, err);
}

static hv_rc
replay_everything(int kind, int fd, counting_sink *counting, hv_err *err)
{
    static const char *const hubs[] = {"*"};
    static const hv_sink_ops ops = {.name = "counting", .begin = count_begin, .event = count_event, .flush = count_flush,
                                    .end = count_flush};
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    HV_AUTO(hv_sink_close) hv_sink *sink = NULL;
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    hv_slice type = hv_slice_text("a*");
    hv_replay_config config = {.index = vault.index, .storage = vault.storage, .vault = TEST_VAULT, .run_bytes = 200};
    hv_replay_request request = {.hubs = hubs, .hub_count = 1, .order = kind == 0 ? HV_REPLAY_BY_TIME : HV_REPLAY_BY_OFFSET,
                                 .filter = {.types = &type, .type_count = 1}};
    hv_replay_forecast forecast;

    *counting = (counting_sink){.base = {.ops = &ops}, .in_order = true};
    hv_rc rc = hv_replay_open(&config, &request, &replay, err);
    if (rc == HV_OK)
        rc = hv_replay_dry_run(replay, &forecast, err);
    if (rc == HV_OK)
        rc = open_sink(kind, fd, &sink, err);
    counting->inner = sink;
    if (rc == HV_OK)
        rc = hv_replay_run(replay, &counting->base, err);
    if (rc == HV_OK)
        rc = hv_replay_cursor(replay, &cursor, err);
    if (rc != HV_OK)
        return rc;
    request.cursor = hv_buf_slice(&cursor);
    HV_AUTO(hv_replay_close) hv_replay *rest = NULL;
    return hv_replay_open(&config, &request, &rest, err);
}

START_TEST(running_out_of_memory_anywhere_is_reported_and_nothing_is_skipped)
{
    hv_err err = {0};
    hv_rc rc = HV_NOMEM;
    counting_sink counting;
    long n;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    for (n = 0; rc != HV_OK; n++) {
        ck_assert_msg(n < 5000, "still failing after %ld allocations", n);
        oom_begin(OOM_ALL_THREADS, n, 1);
        rc = replay_everything(_i, fd, &counting, &err);
        (void)oom_end();
        ck_assert_msg(rc == HV_OK || rc == HV_NOMEM, "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
        ck_assert_msg(counting.in_order, "allocation %ld: an event was skipped", n);
    }
    ck_assert_int_eq(counting.events, 24);
    ck_assert_int_gt(n, 60);            /* or the wrapping does not work, and nothing was tested */
    (void)close(fd);
}
END_TEST

START_TEST(running_out_of_memory_while_one_event_is_shown_is_reported)
{
    hv_err err = {0};
    hv_rc rc = HV_NOMEM;
    long n;

    for (n = 0; rc != HV_OK; n++) {
        HV_AUTO(hv_show_clear) hv_show show = {.headers = NULL};
        ck_assert_int_lt(n, 1000);
        oom_begin(OOM_ALL_THREADS, n, 1);
        rc = hv_replay_show(vault.index, vault.storage, &orders0, 6, &show, &err);
        (void)oom_end();
        ck_assert_msg(rc == HV_OK || rc == HV_NOMEM, "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
    }
    ck_assert_int_gt(n, 10);
}
END_TEST

START_TEST(running_out_of_memory_over_positions_is_reported)
{
    hv_slice text = hv_slice_text("hv1 0001feff00000000 1 orders/1/0=1");
    hv_err err = {0};
    hv_rc rc = HV_NOMEM;
    long n;

    for (n = 0; rc != HV_OK; n++) {
        HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions back = {.positions = NULL};
        HV_AUTO(hv_buf_free) hv_buf again = HV_BUF_INIT(8192);
        oom_begin(OOM_ALL_THREADS, n, 1);
        rc = hv_kafka_positions_parse(text, &back, &err);
        if (rc == HV_OK)
            rc = hv_kafka_positions_write(&back, &again, &err);
        (void)oom_end();
        ck_assert_msg(rc == HV_OK || rc == HV_NOMEM, "%s: %s", hv_rc_name(rc), err.msg);
    }
    ck_assert_int_gt(n, 1);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_oom");

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_vault, close_vault);
    tcase_add_loop_test(tests, running_out_of_memory_anywhere_is_reported_and_nothing_is_skipped, 0, 3);
    tcase_add_test(tests, running_out_of_memory_while_one_event_is_shown_is_reported);
    tcase_add_test(tests, running_out_of_memory_over_positions_is_reported);
    return ck_hv_run("replay_oom", tests);
}
