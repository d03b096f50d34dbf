/* What a replay does when something is wrong, missing, stopped or slow. */
#include <stdio.h>

#include "replay/replay.h"
#include "segment/names.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static vault_builder vault;
static hv_partition orders0, orders1, sale0;
static keeping_sink sink;

enum { EVENTS = 40 };

/* orders/0 and orders/1 with 40 events each in cuts of 20 and blocks of 5, sale/0 with 40 in one cut. */
static void
make_vault(void)
{
    vault_open(&vault);
    orders0 = vault_partition("orders", 1, 0);
    orders1 = vault_partition("orders", 1, 1);
    sale0 = vault_partition("sale", 1, 0);
    vault_incarnation(&vault, "orders", 1, "");
    vault_incarnation(&vault, "sale", 1, "");
    for (int64_t offset = 0; offset < EVENTS; offset++) {
        const hv_partition *const all[] = {&orders0, &orders1, &sale0};
        for (int64_t i = 0; i < 3; i++) {
            char text[300];
            (void)snprintf(text, sizeof text, "%s %d %lld", all[i]->hub, (int)all[i]->number, (long long)offset);
            vault_add_text(&vault, all[i], offset, 1000 * offset + i, text);
            if (offset + 1 == EVENTS || (i < 2 && offset + 1 == EVENTS / 2))
                vault_seal(&vault, all[i], &(vault_seal_config){.events_per_block = 5});
        }
    }
    sink = keeping_sink_make();
}

static void
close_vault(void)
{
    keeping_sink_clear(&sink);
    vault_close(&vault);
}

static const char *const all_hubs[] = {"*"};

static hv_replay_request
everything(void)
{
    return (hv_replay_request){.hubs = all_hubs, .hub_count = 1};
}

static hv_replay_config
config_of(hv_storage *storage)
{
    return (hv_replay_config){.index = vault.index, .storage = storage, .vault = TEST_VAULT, .threads = 2, .run_bytes = 1};
}

/* In the order of offsets. */
static kept_events
whole(void)
{
    kept_events all = {.items = NULL};
    const hv_partition *const order[] = {&orders0, &orders1, &sale0};

    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < vault.events.count; i++)
            if (hv_partition_compare(&vault.events.items[i].partition, order[p]) == 0)
                kept_add(&all, order[p], &vault.events.items[i].event, NULL);
    return all;
}

static hv_replay *
open_replay(hv_storage *storage, const hv_replay_request *request)
{
    hv_replay_config config = config_of(storage);
    hv_replay *replay = NULL;

    ck_hv_ok(hv_replay_open(&config, request, &replay, &err));
    return replay;
}

/* The rest, from the cursor of a replay, and that both together are the whole. */
static void
expect_rest_from(const hv_replay *replay, const hv_replay_request *request)
{
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    HV_AUTO(hv_replay_close) hv_replay *rest = NULL;
    hv_replay_request again = *request;

    ck_hv_ok(hv_replay_cursor(replay, &cursor, &err));
    again.cursor = hv_buf_slice(&cursor);
    again.limit = 0;
    rest = open_replay(vault.storage, &again);
    ck_hv_ok(hv_replay_run(rest, &sink.base, &err));
    kept_events want = whole();
    kept_expect_equal(&sink.events, &want);
    kept_clear(&want);
}

/* ---- damage ---- */

/* Third block of the second cut of orders/0: offsets 30 to 34. */
static hv_storage *
damage_block_30(char name[HV_STORAGE_NAME_SIZE])
{
    HV_AUTO(hv_show_clear) hv_show show = {.headers = NULL};

    ck_hv_ok(hv_replay_show(vault.index, vault.storage, &orders0, 32, &show, &err));
    memcpy(name, show.segment, HV_STORAGE_NAME_SIZE);
    return vault_damaged_copy(&vault, show.segment, (int64_t)show.block_position + show.block_length / 2, -1);
}

START_TEST(a_damaged_block_stops_the_replay_and_is_named_after_everything_before_was_delivered)
{
    char name[HV_STORAGE_NAME_SIZE];
    HV_AUTO(hv_storage_close) hv_storage *damaged = damage_block_30(name);
    hv_replay_request request = everything();
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(damaged, &request);

    ck_hv_fails(HV_CORRUPT, hv_replay_run(replay, &sink.base, &err));
    ck_assert_msg(strstr(err.msg, name) != NULL && strstr(err.msg, "begins with offset 30") != NULL, "%s", err.msg);
    ck_assert_uint_eq(sink.events.count, 30);
    ck_assert_int_eq(sink.ends, 0);
    ck_assert(hv_replay_facts_of(replay)->flushed && !hv_replay_facts_of(replay)->finished);
    expect_rest_from(replay, &request);
}
END_TEST

static void
keep_message(void *arg, const char *message)
{
    (void)snprintf(arg, 1024, "%s", message);
}

START_TEST(a_damaged_block_is_skipped_only_if_asked_for_and_then_reported_and_counted)
{
    char name[HV_STORAGE_NAME_SIZE], message[1024] = "";
    HV_AUTO(hv_storage_close) hv_storage *damaged = damage_block_30(name);
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    hv_replay_request request = everything();
    hv_replay_config config = config_of(damaged);

    request.skip_damaged = true;
    config.observer = (hv_replay_observer){.arg = message, .damaged = keep_message};
    ck_hv_ok(hv_replay_open(&config, &request, &replay, &err));
    ck_hv_ok(hv_replay_run(replay, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, 3 * EVENTS - 5);
    ck_assert_int_eq(hv_replay_facts_of(replay)->damaged_blocks, 1);
    ck_assert_int_eq(hv_replay_facts_of(replay)->damaged_events, 5);
    ck_assert_ptr_nonnull(strstr(message, name));
    for (size_t i = 0; i < sink.events.count; i++)
        ck_assert(hv_partition_compare(&sink.events.items[i].partition, &orders0) != 0 || sink.events.items[i].event.offset < 30
                  || sink.events.items[i].event.offset > 34);
}
END_TEST

START_TEST(a_segment_that_is_missing_from_the_store_is_damage)
{
    hv_blob_name name = hv_name_of_lead(&orders1, 0);
    HV_AUTO(hv_storage_close) hv_storage *damaged = vault_damaged_copy(&vault, name.text, -1, 0);
    hv_replay_request request = everything();
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(damaged, &request);

    ck_hv_fails(HV_CORRUPT, hv_replay_run(replay, &sink.base, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, name.text));
    ck_assert_uint_eq(sink.events.count, EVENTS);
    expect_rest_from(replay, &request);
}
END_TEST

START_TEST(a_segment_that_was_cut_off_is_damage_from_there_on)
{
    HV_AUTO(hv_show_clear) hv_show show = {.headers = NULL};
    hv_replay_request request = everything();

    ck_hv_ok(hv_replay_show(vault.index, vault.storage, &orders0, 12, &show, &err));
    HV_AUTO(hv_storage_close) hv_storage *damaged =
        vault_damaged_copy(&vault, show.segment, -1, (int64_t)show.block_position + show.block_length - 1);
    hv_replay_config config = config_of(damaged);
    config.run_bytes = 1 << 20;         /* one get for all blocks: those that are whole are still good */
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    ck_hv_ok(hv_replay_open(&config, &request, &replay, &err));
    ck_hv_fails(HV_CORRUPT, hv_replay_run(replay, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, 10);
    expect_rest_from(replay, &request);
}
END_TEST

START_TEST(by_time_a_damaged_block_stops_the_replay_and_the_cursor_holds)
{
    char name[HV_STORAGE_NAME_SIZE];
    HV_AUTO(hv_storage_close) hv_storage *damaged = damage_block_30(name);
    hv_replay_request request = everything();
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    keeping_sink undamaged = keeping_sink_make();

    request.order = HV_REPLAY_BY_TIME;
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(damaged, &request), *want = open_replay(vault.storage, &request);
    ck_hv_fails(HV_CORRUPT, hv_replay_run(replay, &sink.base, &err));
    ck_assert_uint_ge(sink.events.count, 3 * 29);
    ck_hv_ok(hv_replay_cursor(replay, &cursor, &err));
    request.cursor = hv_buf_slice(&cursor);
    HV_AUTO(hv_replay_close) hv_replay *rest = open_replay(vault.storage, &request);
    ck_hv_ok(hv_replay_run(rest, &sink.base, &err));
    ck_hv_ok(hv_replay_run(want, &undamaged.base, &err));
    kept_expect_equal(&sink.events, &undamaged.events);
    keeping_sink_clear(&undamaged);
}
END_TEST

/* ---- storage that fails ---- */

static unsigned
calls_of_a_whole_replay(void)
{
    HV_AUTO(hv_storage_close) hv_storage *fault = NULL;
    hv_storage_fault_config counting = {.inner = vault.storage, .fail_call = UINT32_MAX, .fail_with = HV_IO};
    hv_replay_request request = everything();
    keeping_sink ignored = keeping_sink_make();

    ck_hv_ok(hv_storage_fault_open(&counting, &fault, &err));
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(fault, &request);
    ck_hv_ok(hv_replay_run(replay, &ignored.base, &err));
    keeping_sink_clear(&ignored);
    return hv_storage_fault_calls(fault);
}

START_TEST(a_get_that_fails_and_may_be_repeated_is_repeated)
{
    unsigned calls = calls_of_a_whole_replay();

    ck_assert_uint_ge(calls, 24);
    for (unsigned call = 0; call < calls; call++) {
        HV_AUTO(hv_storage_close) hv_storage *fault = NULL;
        hv_storage_fault_config failing = {.inner = vault.storage, .fail_call = call, .fail_with = HV_UNAVAILABLE};
        hv_replay_request request = everything();
        keeping_sink taken = keeping_sink_make();
        ck_hv_ok(hv_storage_fault_open(&failing, &fault, &err));
        HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(fault, &request);
        ck_hv_ok(hv_replay_run(replay, &taken.base, &err));
        ck_assert(hv_storage_fault_fired(fault));
        kept_events want = whole();
        kept_expect_equal(&taken.events, &want);
        kept_clear(&want);
        keeping_sink_clear(&taken);
    }
}
END_TEST

START_TEST(a_get_that_is_refused_ends_the_replay_at_once_with_a_cursor_that_holds)
{
    unsigned calls = calls_of_a_whole_replay();

    for (unsigned call = 0; call < calls; call += 5) {
        HV_AUTO(hv_storage_close) hv_storage *fault = NULL;
        hv_storage_fault_config failing = {.inner = vault.storage, .fail_call = call, .fail_calls = UINT32_MAX,
                                           .fail_with = HV_AUTH};
        hv_replay_request request = everything();
        ck_hv_ok(hv_storage_fault_open(&failing, &fault, &err));
        HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(fault, &request);
        ck_hv_fails(HV_AUTH, hv_replay_run(replay, &sink.base, &err));
        ck_assert(hv_storage_fault_fired(fault));
        ck_assert(hv_replay_facts_of(replay)->flushed);
        expect_rest_from(replay, &request);
        keeping_sink_clear(&sink);
        sink = keeping_sink_make();
    }
}
END_TEST

/* ---- sinks that fail, stopping ---- */

START_TEST(a_sink_that_fails_ends_the_replay_and_nothing_is_promised)
{
    hv_replay_request request = everything();
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(vault.storage, &request);

    sink.fail_at = 55;
    ck_hv_fails(HV_IO, hv_replay_run(replay, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, 55);
    ck_assert_int_eq(sink.flushes, 0);
    ck_assert_int_eq(sink.ends, 0);
    ck_assert(!hv_replay_facts_of(replay)->flushed);
}
END_TEST

static bool
stop_at(void *arg)
{
    return sink.events.count >= *(size_t *)arg;
}

START_TEST(a_replay_that_is_stopped_ends_well_and_goes_on_from_its_cursor)
{
    size_t at = (size_t)_i;
    hv_replay_request request = everything();
    hv_replay_config config = config_of(vault.storage);
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;

    config.observer = (hv_replay_observer){.arg = &at, .stopped = stop_at};
    ck_hv_ok(hv_replay_open(&config, &request, &replay, &err));
    ck_hv_ok(hv_replay_run(replay, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, at);
    ck_assert_int_eq(sink.ends, 1);
    ck_assert(!hv_replay_facts_of(replay)->finished);
    expect_rest_from(replay, &request);
}
END_TEST

START_TEST(a_replay_sees_the_vault_as_it_was_when_it_was_opened)
{
    hv_replay_request request = everything();
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(vault.storage, &request);
    kept_events want = whole();

    vault_add_text(&vault, &orders0, EVENTS, 5, "later");
    vault_seal(&vault, &orders0, &(vault_seal_config){.end = 0});
    ck_hv_ok(hv_replay_run(replay, &sink.base, &err));
    kept_expect_equal(&sink.events, &want);
    kept_clear(&want);
    want = whole();
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    ck_hv_ok(hv_replay_cursor(replay, &cursor, &err));
    request.cursor = hv_buf_slice(&cursor);
    HV_AUTO(hv_replay_close) hv_replay *next = open_replay(vault.storage, &request);
    ck_hv_ok(hv_replay_run(next, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, want.count);       /* only what is new */
    ck_assert_int_eq(sink.events.items[want.count - 1].event.offset, EVENTS);
    kept_clear(&want);
}
END_TEST

/* ---- requests that cannot be ---- */

static hv_rc
try_request(const hv_replay_request *request)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    hv_replay_config config = config_of(vault.storage);

    return hv_replay_open(&config, request, &replay, &err);
}

START_TEST(hubs_partitions_and_incarnations_that_are_not_there_are_named)
{
    const char *const unknown[] = {"orders", "ordres"}, *const no_match[] = {"x*"};
    int32_t numbers[] = {0, 9};

    ck_hv_fails(HV_NOT_FOUND, try_request(&(hv_replay_request){.hubs = unknown, .hub_count = 2}));
    ck_assert_ptr_nonnull(strstr(err.msg, "'ordres'"));
    ck_hv_fails(HV_NOT_FOUND, try_request(&(hv_replay_request){.hubs = no_match, .hub_count = 1}));
    ck_assert_ptr_nonnull(strstr(err.msg, "'x*'"));
    ck_hv_fails(HV_NOT_FOUND,
                try_request(&(hv_replay_request){.hubs = all_hubs, .hub_count = 1, .partitions = numbers, .partition_count = 2}));
    ck_assert_ptr_nonnull(strstr(err.msg, "9"));
    ck_hv_fails(HV_NOT_FOUND, try_request(&(hv_replay_request){.hubs = all_hubs, .hub_count = 1, .incarnation = 7}));
}
END_TEST

START_TEST(requests_that_make_no_sense_are_refused)
{
    const char *const bad_name[] = {"a/b"};
    hv_cursor_bound five = {.set = true, .value = 5}, minus = {.set = true, .value = -1};

    ck_hv_fails(HV_USAGE, try_request(&(hv_replay_request){.hubs = NULL}));
    ck_hv_fails(HV_USAGE, try_request(&(hv_replay_request){.hubs = bad_name, .hub_count = 1}));
    hv_replay_request request = everything();
    request.from_offset = request.to_offset = five;
    ck_hv_fails(HV_USAGE, try_request(&request));
    request = everything();
    request.from_offset = minus;
    ck_hv_fails(HV_USAGE, try_request(&request));
    request = everything();
    request.from_time = request.to_time = five;
    ck_hv_fails(HV_USAGE, try_request(&request));
    request = everything();
    request.limit = -1;
    ck_hv_fails(HV_USAGE, try_request(&request));
    request = everything();
    request.follow = true;
    request.to_offset = five;
    ck_hv_fails(HV_USAGE, try_request(&request));
    request = everything();
    request.cursor = hv_slice_text("hv1.rubbish");
    ck_hv_fails(HV_USAGE, try_request(&request));
}
END_TEST

START_TEST(a_cursor_of_another_vault_is_refused_and_both_are_named)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    hv_cursor foreign = {.vault = "11111111-2222-4333-8444-555555555555"};
    hv_replay_request request = everything();

    ck_hv_ok(hv_cursor_write(&foreign, &text, &err));
    request.cursor = hv_buf_slice(&text);
    ck_hv_fails(HV_USAGE, try_request(&request));
    ck_assert(strstr(err.msg, foreign.vault) != NULL && strstr(err.msg, TEST_VAULT) != NULL);
}
END_TEST

START_TEST(a_cursor_is_refused_for_another_request)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    const char *const other[] = {"orders"};
    hv_key_filter key = {.bytes = hv_slice_text("k")};
    int32_t number = 0;
    hv_replay_request request = everything();
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(vault.storage, &request);

    ck_hv_ok(hv_replay_cursor(replay, &text, &err));
    request.cursor = hv_buf_slice(&text);
    hv_replay_request wrong = request;
    wrong.hubs = other;
    ck_hv_fails(HV_USAGE, try_request(&wrong));
    wrong = request;
    wrong.order = HV_REPLAY_BY_TIME;
    ck_hv_fails(HV_USAGE, try_request(&wrong));
    wrong = request;
    wrong.incarnation = 1;
    ck_hv_fails(HV_USAGE, try_request(&wrong));
    wrong = request;
    wrong.from_time = (hv_cursor_bound){.set = true, .value = 1};
    ck_hv_fails(HV_USAGE, try_request(&wrong));
    wrong = request;
    wrong.partitions = &number;
    wrong.partition_count = 1;
    ck_hv_fails(HV_USAGE, try_request(&wrong));
    wrong = request;
    wrong.filter = (hv_event_filter){.keys = &key, .key_count = 1};
    ck_hv_fails(HV_USAGE, try_request(&wrong));
    ck_hv_ok(try_request(&request));
}
END_TEST

/* ---- what is said about it ---- */

START_TEST(a_range_beyond_what_was_captured_is_said_so)
{
    hv_replay_request request = everything();

    request.to_offset = (hv_cursor_bound){.set = true, .value = EVENTS + 1};
    HV_AUTO(hv_replay_close) hv_replay *beyond = open_replay(vault.storage, &request);
    ck_assert_int_eq(hv_replay_facts_of(beyond)->uncaptured, 3);
    request.to_offset.value = EVENTS;
    HV_AUTO(hv_replay_close) hv_replay *within = open_replay(vault.storage, &request);
    ck_assert_int_eq(hv_replay_facts_of(within)->uncaptured, 0);
}
END_TEST

START_TEST(only_the_blocks_that_are_needed_are_read)
{
    hv_replay_request request = everything();
    int32_t number = 0;
    const char *const only[] = {"orders"};

    request.hubs = only;
    request.partitions = &number;
    request.partition_count = 1;
    request.from_offset = (hv_cursor_bound){.set = true, .value = 23};
    request.to_offset = (hv_cursor_bound){.set = true, .value = 24};
    HV_AUTO(hv_replay_close) hv_replay *one = open_replay(vault.storage, &request);
    ck_hv_ok(hv_replay_run(one, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, 1);
    ck_assert_int_eq(hv_replay_facts_of(one)->blocks, 1);
    ck_assert_int_eq(hv_replay_facts_of(one)->segments, 1);
    ck_assert_uint_lt(hv_replay_facts_of(one)->bytes_read, 300);
}
END_TEST

START_TEST(a_dry_run_knows_exactly_what_offsets_will_send)
{
    hv_replay_forecast forecast;
    hv_replay_request request = everything();

    request.from_offset = (hv_cursor_bound){.set = true, .value = 7};
    request.to_offset = (hv_cursor_bound){.set = true, .value = 33};
    HV_AUTO(hv_replay_close) hv_replay *replay = open_replay(vault.storage, &request);
    ck_hv_ok(hv_replay_dry_run(replay, &forecast, &err));
    ck_assert_int_eq(forecast.events_min, 3 * 26);
    ck_assert_int_eq(forecast.events_max, 3 * 26);
    ck_assert_int_eq(forecast.partitions, 3);
    ck_assert_int_eq(forecast.segments, 5);
    ck_assert_int_eq(forecast.blocks, 18);
}
END_TEST

/* ---- pace ---- */

static int64_t fake_now;

static int64_t
read_fake_clock(void)
{
    return fake_now;
}

static void
sleep_on_fake_clock(int64_t ms)
{
    fake_now += ms;
}

static int64_t
time_taken(hv_replay_request request)
{
    hv_replay_config config = config_of(vault.storage);
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;

    fake_now = 1000000;
    config.now_ms = read_fake_clock;
    config.sleep_ms = sleep_on_fake_clock;
    ck_hv_ok(hv_replay_open(&config, &request, &replay, &err));
    ck_hv_ok(hv_replay_run(replay, &sink.base, &err));
    return fake_now - 1000000;
}

START_TEST(a_rate_bounds_events_per_second)
{
    hv_replay_request request = everything();

    request.events_per_second = 10;
    int64_t taken = time_taken(request);        /* 120 events */
    ck_assert_msg(taken >= 11800 && taken <= 12000, "%lld ms", (long long)taken);
}
END_TEST

START_TEST(a_speed_of_ten_is_ten_times_as_fast_as_it_was)
{
    hv_replay_request request = everything();

    request.order = HV_REPLAY_BY_TIME;
    request.speed = 10;
    int64_t taken = time_taken(request);        /* 39 seconds */
    ck_assert_msg(taken >= 3850 && taken <= 3950, "%lld ms", (long long)taken);
    ck_assert_int_eq(sink.flushes, 0);          /* no pause is long enough */
    request.speed = 1;
    taken = time_taken(request);
    ck_assert_msg(taken >= 38900 && taken <= 39100, "%lld ms", (long long)taken);
    ck_assert_int_ge(sink.flushes, 39);         /* what is due is out before each pause */
}
END_TEST

START_TEST(a_long_pause_is_cut)
{
    hv_replay_request request = everything();

    request.order = HV_REPLAY_BY_TIME;
    request.speed = 1;
    request.longest_pause_ms = 100;
    int64_t taken = time_taken(request);
    ck_assert_msg(taken >= 3900 && taken <= 4100, "%lld ms", (long long)taken);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_run");

    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, make_vault, close_vault);
    tcase_add_test(tests, a_damaged_block_stops_the_replay_and_is_named_after_everything_before_was_delivered);
    tcase_add_test(tests, a_damaged_block_is_skipped_only_if_asked_for_and_then_reported_and_counted);
    tcase_add_test(tests, a_segment_that_is_missing_from_the_store_is_damage);
    tcase_add_test(tests, a_segment_that_was_cut_off_is_damage_from_there_on);
    tcase_add_test(tests, by_time_a_damaged_block_stops_the_replay_and_the_cursor_holds);
    tcase_add_test(tests, a_get_that_fails_and_may_be_repeated_is_repeated);
    tcase_add_test(tests, a_get_that_is_refused_ends_the_replay_at_once_with_a_cursor_that_holds);
    tcase_add_test(tests, a_sink_that_fails_ends_the_replay_and_nothing_is_promised);
    tcase_add_loop_test(tests, a_replay_that_is_stopped_ends_well_and_goes_on_from_its_cursor, 0, 3 * EVENTS);
    tcase_add_test(tests, a_replay_sees_the_vault_as_it_was_when_it_was_opened);
    tcase_add_test(tests, hubs_partitions_and_incarnations_that_are_not_there_are_named);
    tcase_add_test(tests, requests_that_make_no_sense_are_refused);
    tcase_add_test(tests, a_cursor_of_another_vault_is_refused_and_both_are_named);
    tcase_add_test(tests, a_cursor_is_refused_for_another_request);
    tcase_add_test(tests, a_range_beyond_what_was_captured_is_said_so);
    tcase_add_test(tests, only_the_blocks_that_are_needed_are_read);
    tcase_add_test(tests, a_dry_run_knows_exactly_what_offsets_will_send);
    tcase_add_test(tests, a_rate_bounds_events_per_second);
    tcase_add_test(tests, a_speed_of_ten_is_ten_times_as_fast_as_it_was);
    tcase_add_test(tests, a_long_pause_is_cut);
    return ck_hv_run("replay_run", tests);
}
