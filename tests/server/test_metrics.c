/* What /metrics, /status and /healthz say of facts that are made up. */
#include "server/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "server/health.h"
#include "server/metric_table.h"
#include "server/status_json.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"

enum { HUBS = 3, PARTITIONS = 4 };

static hv_options options;
static hv_service_facts facts;
static hv_buf page = HV_BUF_INIT(1 << 20);
static hv_err err;

/* "orders" comes from two sources; "quiet" does not tell how long it keeps events. */
static void
make_facts(void)
{
    static const char *const hubs[HUBS] = {"orders", "quiet", "orders"};
    hv_hub_state *hub = calloc(HUBS, sizeof *hub);
    hv_partition_state *partition = calloc(PARTITIONS, sizeof *partition);

    ck_assert(hub != NULL && partition != NULL);
    hv_options_init(&options);
    ck_hv_ok(hv_options_set(&options, "metrics.teams", "a\\\"b=ord*,late=orders", &(hv_option_place){.layer = HV_OPTION_FROM_COMMAND, .where = "test"}, &err));
    facts = (hv_service_facts){.options = &options, .phase = HV_PHASE_CAPTURING, .met = true, .ready = true, .has_archiver = true, .has_store = true,
        .vault = "v", .now_wall_ms = 10000, .state = {.hubs = hub, .hub_count = HUBS, .partitions = partition, .partition_count = PARTITIONS,
            .discovered = true, .discovered_wall_ms = 9500},
        .totals = {.hubs = 2, .assigned = 4, .memory_bytes = 7, .memory_limit = 70}, .thread_count = 1, .answer_count = 1};
    for (int h = 0; h < HUBS; h++) {
        memcpy(hub[h].name, hubs[h], strlen(hubs[h]));
        hub[h].first = (size_t)h;
        hub[h].count = h == 2 ? 2 : 1;
        hub[h].counters = (hv_hub_counters){.events = 10 + h, .gap_offsets = {[HV_GAP_RETENTION] = h}};
    }
    for (int p = 0; p < PARTITIONS; p++)
        partition[p] = (hv_partition_state){.hub = p < 2 ? (size_t)p : 2, .number = p < 2 ? 0 : p - 2, .state = p == 3 ? "stopped" : "reading",
            .stopped = p == 3, .owned = true, .open = p != 1, .open_age_ms = 100 * p, .open_bytes = 5, .lag = p, .position = 40 + p,
            .has_headroom = p != 1, .headroom_ms = p == 0 ? -1500 : 60000};
    facts.threads[0] = (hv_archiver_thread){.name = "uploader-0", .silent_ms = 1250};
    facts.answers[0].status = 200;
    facts.answers[0].count = 3;
    facts.store.calls[HV_STORAGE_PUT][HV_NOT_FOUND] = 2;
    facts.store.put = (hv_histogram_facts){.cumulative = {[0] = 1, [HV_HISTOGRAM_BOUNDS] = 2}, .sum_us = 1500001};
    facts.trouble = (hv_trouble_facts){.last_wall_ms = 8000, .last_rc = HV_UNAVAILABLE, .last = "a \"b\"", .retries = {[HV_ARCHIVER_SEAL] = 4}};
}

static void
clear_facts(void)
{
    (void)oom_end();
    hv_service_facts_clear(&facts);
    hv_options_clear(&options);
    hv_buf_free(&page);
    page = (hv_buf)HV_BUF_INIT(1 << 20);
}

static void
expect(const char *line)
{
    char text[512];

    (void)snprintf(text, sizeof text, "\n%s\n", line);
    ck_assert_msg(strstr(page.data, text) != NULL, "there is no line '%s' in\n%s", line, page.data);
}

static bool
has_family(hv_metric_id id)
{
    char text[200];

    (void)snprintf(text, sizeof text, "\n# TYPE %s %s\n", hv_metric_of(id)->name, hv_metric_type_text(hv_metric_of(id)->type));
    return strstr(page.data, text) != NULL;
}

START_TEST(every_metric_of_the_table_is_there_once_its_facts_are)
{
    options.metrics_partitions = true;
    ck_hv_ok(hv_metrics_render(&facts, &page, &err));
    for (int id = 0; id < HV_METRICS; id++)
        ck_assert_msg(has_family((hv_metric_id)id), "%s is missing", hv_metric_of((hv_metric_id)id)->name);
}
END_TEST

START_TEST(what_is_not_known_is_absent)
{
    facts.has_archiver = facts.has_store = false;
    facts.trouble.last_wall_ms = 0;
    facts.vault[0] = '\0';
    ck_hv_ok(hv_metrics_render(&facts, &page, &err));
    ck_assert(!has_family(HV_METRIC_ID_LAG) && !has_family(HV_METRIC_ID_STORE_PUT) && !has_family(HV_METRIC_ID_VAULT_INFO));
    ck_assert(!has_family(HV_METRIC_ID_LAST_ERROR_TIMESTAMP) && !has_family(HV_METRIC_ID_PARTITION_LAG));
    ck_assert(has_family(HV_METRIC_ID_BUILD_INFO) && has_family(HV_METRIC_ID_CPU));
}
END_TEST

START_TEST(a_hub_has_sums_over_its_sources_and_its_worst_partition)
{
    ck_hv_ok(hv_metrics_render(&facts, &page, &err));
    expect("hubvault_hub_partitions{hub=\"orders\",team=\"a\\\\\\\"b\"} 3");
    expect("hubvault_hub_partitions{hub=\"quiet\",team=\"\"} 1");
    expect("hubvault_lag_events{hub=\"orders\",team=\"a\\\\\\\"b\"} 5");
    expect("hubvault_lag_worst_partition_events{hub=\"orders\",team=\"a\\\\\\\"b\"} 3");
    expect("hubvault_stopped_partitions{hub=\"orders\",team=\"a\\\\\\\"b\"} 1");
    expect("hubvault_sealed_events_total{hub=\"orders\",team=\"a\\\\\\\"b\"} 22");
    expect("hubvault_gap_offsets_total{hub=\"orders\",team=\"a\\\\\\\"b\",cause=\"retention\"} 2");
    expect("hubvault_oldest_open_cut_age_seconds{hub=\"orders\",team=\"a\\\\\\\"b\"} 0.300");
    expect("hubvault_partitions{activity=\"reading\"} 3");
    expect("hubvault_partitions{activity=\"stopped\"} 1");
}
END_TEST

START_TEST(headroom_may_be_negative_and_is_absent_where_nobody_knows)
{
    ck_hv_ok(hv_metrics_render(&facts, &page, &err));
    expect("hubvault_headroom_seconds{hub=\"orders\",team=\"a\\\\\\\"b\"} -1.500");
    ck_assert_ptr_null(strstr(page.data, "hubvault_headroom_seconds{hub=\"quiet\""));
}
END_TEST

START_TEST(partitions_of_others_are_in_no_sum_and_in_no_series)
{
    facts.state.partitions[0].owned = false;
    options.metrics_partitions = true;
    ck_hv_ok(hv_metrics_render(&facts, &page, &err));
    expect("hubvault_hub_partitions{hub=\"orders\",team=\"a\\\\\\\"b\"} 2");
    expect("hubvault_headroom_seconds{hub=\"orders\",team=\"a\\\\\\\"b\"} 60.000");
    expect("hubvault_partition_position{hub=\"quiet\",team=\"\",partition=\"0\"} 41");
    ck_assert_ptr_null(strstr(page.data, "} 40\n"));
}
END_TEST

START_TEST(a_histogram_ends_with_all_and_seconds_are_the_unit)
{
    ck_hv_ok(hv_metrics_render(&facts, &page, &err));
    expect("hubvault_store_put_duration_seconds_bucket{le=\"+Inf\"} 2");
    expect("hubvault_store_put_duration_seconds_sum 1.500001");
    expect("hubvault_store_put_duration_seconds_count 2");
    expect("hubvault_thread_silent_seconds{thread=\"uploader-0\"} 1.250");
    expect("hubvault_store_operations_total{operation=\"put\",result=\"not_found\"} 2");
    expect("hubvault_retries_total{operation=\"seal\"} 4");
    expect("hubvault_last_error_timestamp_seconds 8.000");
}
END_TEST

START_TEST(status_names_what_is_wrong_and_keeps_to_json)
{
    bool newline;

    facts.store.failing_ms = 61000;
    ck_hv_ok(hv_status_json(&facts, &page, &err));
    ck_assert(hv_json_valid(hv_buf_slice(&page), &newline));
    ck_assert_ptr_nonnull(strstr(page.data, "\"not_ready_because\":[\"no put into the store has got through for 61 s\"]"));
    ck_assert_ptr_nonnull(strstr(page.data, "\"last_error\":{\"time\":\"1970-01-01T00:00:08.000Z\",\"kind\":\"unavailable\",\"text\":\"a \\\"b\\\"\"}"));
    facts.has_archiver = facts.has_store = false;
    hv_buf_clear(&page);
    ck_hv_ok(hv_status_json(&facts, &page, &err));
    ck_assert(hv_json_valid(hv_buf_slice(&page), &newline));
}
END_TEST

static const struct unready {
    hv_service_phase phase;
    bool met;
    int64_t failing_ms, stopped, discovered_wall_ms;
    const char *reason;
} unready[] = {
    {HV_PHASE_STARTING, false, 0, 0, 9500, "starting: sources and vault are being opened"},
    {HV_PHASE_REBUILDING, false, 0, 0, 9500, "the index is being rebuilt from the segments"},
    {HV_PHASE_STOPPING, true, 0, 0, 9500, "stopping: what is open is being sealed"},
    {HV_PHASE_CAPTURING, false, 0, 0, 9500, "waiting for the source to tell its hubs"},
    {HV_PHASE_CAPTURING, true, 60001, 0, 9500, "no put into the store has got through for 60 s"},
    {HV_PHASE_CAPTURING, true, 0, 4, 9500, "all of our 4 partitions are stopped"},
    {HV_PHASE_CAPTURING, true, 0, 0, 1, "the source has not told its hubs for 999 s"},
};

START_TEST(each_reason_not_to_be_ready_is_told_alone)
{
    const struct unready *row = &unready[_i];

    ck_assert(hv_health_is_ready(&facts));
    facts.phase = row->phase;
    facts.met = row->met;
    facts.store.failing_ms = row->failing_ms;
    facts.totals.stopped = row->stopped;
    facts.state.discovered_wall_ms = row->discovered_wall_ms;
    if (row->discovered_wall_ms == 1)
        facts.now_wall_ms = 1000000;
    hv_health_reasons reasons = hv_health_reasons_of(&facts);
    ck_assert_uint_eq(reasons.count, 1);
    ck_assert_str_eq(reasons.texts[0], row->reason);
    ck_assert(!hv_health_ready(&facts, &page));
    ck_assert_ptr_nonnull(strstr(page.data, row->reason));
}
END_TEST

START_TEST(a_capture_that_has_ended_by_itself_is_not_ready)
{
    facts.has_archiver = false;
    hv_health_reasons reasons = hv_health_reasons_of(&facts);
    ck_assert_uint_eq(reasons.count, 1);
    ck_assert_str_eq(reasons.texts[0], "capture has ended");
}
END_TEST

START_TEST(without_memory_they_say_so)
{
    unsigned failed = 0;

    for (long n = 0;; n++) {
        hv_buf out = HV_BUF_INIT(1 << 20);
        oom_begin(OOM_THIS_THREAD, n, 1);
        hv_rc rc = hv_metrics_render(&facts, &out, &err);
        if (rc == HV_OK)
            rc = hv_status_json(&facts, &out, &err);
        bool fired = oom_end();
        hv_buf_free(&out);
        if (!fired)
            break;
        ck_assert_int_eq(rc, HV_NOMEM);
        failed++;
    }
    ck_assert_uint_gt(failed, 3);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("metrics");

    tcase_add_checked_fixture(tests, make_facts, clear_facts);
    tcase_add_test(tests, every_metric_of_the_table_is_there_once_its_facts_are);
    tcase_add_test(tests, what_is_not_known_is_absent);
    tcase_add_test(tests, a_hub_has_sums_over_its_sources_and_its_worst_partition);
    tcase_add_test(tests, headroom_may_be_negative_and_is_absent_where_nobody_knows);
    tcase_add_test(tests, partitions_of_others_are_in_no_sum_and_in_no_series);
    tcase_add_test(tests, a_histogram_ends_with_all_and_seconds_are_the_unit);
    tcase_add_test(tests, status_names_what_is_wrong_and_keeps_to_json);
    tcase_add_loop_test(tests, each_reason_not_to_be_ready_is_told_alone, 0, sizeof unready / sizeof *unready);
    tcase_add_test(tests, a_capture_that_has_ended_by_itself_is_not_ready);
    tcase_add_test(tests, without_memory_they_say_so);
    return ck_hv_run("metrics", tests);
}
