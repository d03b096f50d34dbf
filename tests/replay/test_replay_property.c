/*
 * Random vaults, random requests: what a replay delivers equals what a filter over the list of all events says, in content and
 * order.
 */
#include <stdio.h>

#include "replay/replay.h"
#include "tests/harness/check_hv.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

enum { VAULTS = 12, REQUESTS = 60, MAX_OFFSETS = 120 };

static hv_err err;

static const char *const hubs[] = {"contact", "sale", "sale.v2"};
static const char *const classes[] = {"default", "personal", "audit"};

static void
fill_partition(vault_builder *vault, test_random *random, const hv_partition *partition)
{
    static test_event event;
    int64_t end = 1 + (int64_t)test_random_below(random, MAX_OFFSETS), in_cut = 0;
    size_t class_count = 1 + test_random_below(random, 3);

    for (int64_t offset = 0; offset < end;) {
        if (test_random_below(random, 12) == 0) {
            int64_t gap_end = offset + 1 + (int64_t)test_random_below(random, 4);
            vault_gap(vault, partition, (hv_gap){.range = {.first = offset, .end = gap_end}, .cause = HV_GAP_COMPACTION});
            offset = gap_end;
        }
        test_event_fill(&event, random, offset++);
        vault_add(vault, partition, &event.event, classes[test_random_below(random, class_count)]);
        in_cut++;
        if (offset >= end || test_random_below(random, 15) == 0) {
            vault_seal(vault, partition, &(vault_seal_config){.events_per_block = 1 + test_random_below(random, 6),
                                                              .codec = (hv_codec)test_random_below(random, HV_CODECS)});
            in_cut = 0;
        }
    }
    ck_assert_int_eq(in_cut, 0);
}

static void
fill_vault(vault_builder *vault, test_random *random)
{
    for (size_t h = 0; h < sizeof hubs / sizeof *hubs; h++)
        for (uint32_t incarnation = 1; incarnation <= 1 + test_random_below(random, 2); incarnation++)
            for (int32_t number = 0; number < 1 + (int32_t)test_random_below(random, 3); number++) {
                hv_partition partition = vault_partition(hubs[h], incarnation, number);
                if (number == 0)
                    vault_incarnation(vault, hubs[h], incarnation, "");
                fill_partition(vault, random, &partition);
            }
}

/* ---- the oracle ---- */

static uint32_t
newest(const vault_builder *vault, const char *hub)
{
    uint32_t incarnation = 0;

    for (size_t i = 0; i < vault->events.count; i++)
        if (strcmp(vault->events.items[i].partition.hub, hub) == 0 && vault->events.items[i].partition.incarnation > incarnation)
            incarnation = vault->events.items[i].partition.incarnation;
    return incarnation;
}

static bool
hub_is_asked_for(const hv_replay_request *request, const char *hub)
{
    for (size_t i = 0; i < request->hub_count; i++)
        if (strcmp(request->hubs[i], "*") == 0 || strcmp(request->hubs[i], hub) == 0
            || (strcmp(request->hubs[i], "sale*") == 0 && strncmp(hub, "sale", 4) == 0))
            return true;
    return false;
}

static bool
header_is_there(const hv_header_filter *wanted, const hv_event *event)
{
    for (size_t i = 0; i < event->header_count; i++)
        if (hv_slice_equal(event->headers[i].name, wanted->name)
            && (!wanted->has_value || hv_slice_equal(event->headers[i].value, wanted->value)))
            return true;
    return false;
}

static bool
is_wanted(const vault_builder *vault, const hv_replay_request *request, const kept_event *kept)
{
    const hv_event *event = &kept->event;
    bool number = request->partition_count == 0, key = request->filter.key_count == 0;

    if (!hub_is_asked_for(request, kept->partition.hub)
        || (request->incarnation == HV_REPLAY_NEWEST && kept->partition.incarnation != newest(vault, kept->partition.hub))
        || (request->from_offset.set && event->offset < request->from_offset.value)
        || (request->to_offset.set && event->offset >= request->to_offset.value)
        || (request->from_time.set && event->timestamp_ms < request->from_time.value)
        || (request->to_time.set && event->timestamp_ms >= request->to_time.value))
        return false;
    for (size_t i = 0; i < request->partition_count; i++)
        number = number || request->partitions[i] == kept->partition.number;
    for (size_t i = 0; i < request->filter.key_count; i++)
        key = key || hv_slice_equal(request->filter.keys[i].bytes, event->key);
    for (size_t i = 0; i < request->filter.header_count; i++)
        if (!header_is_there(&request->filter.headers[i], event))
            return false;
    return number && key;
}

static int
by_offset(const kept_event *a, const kept_event *b)
{
    int order = hv_partition_compare(&a->partition, &b->partition);

    return order != 0 ? order : a->event.offset < b->event.offset ? -1 : 1;
}

static void
add_in_order(kept_events *to, const kept_event *kept)
{
    kept_add(to, &kept->partition, &kept->event, NULL);
    for (size_t i = to->count - 1; i > 0 && by_offset(&to->items[i], &to->items[i - 1]) < 0; i--) {
        kept_event moved = to->items[i];
        to->items[i] = to->items[i - 1];
        to->items[i - 1] = moved;
    }
}

/* Again and again the front with the least timestamp: quadratic and obviously right. */
static kept_events
merged_by_time(const kept_events *sorted)
{
    kept_events merged = {.items = NULL};
    bool *used = calloc(sorted->count + 1, sizeof *used);

    ck_assert_ptr_nonnull(used);
    for (size_t round = 0; round < sorted->count; round++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < sorted->count; i++) {
            bool is_front = !used[i]
                            && (i == 0 || used[i - 1]
                                || hv_partition_compare(&sorted->items[i - 1].partition, &sorted->items[i].partition) != 0);
            if (is_front && (best == SIZE_MAX || sorted->items[i].event.timestamp_ms < sorted->items[best].event.timestamp_ms))
                best = i;
        }
        used[best] = true;
        kept_add(&merged, &sorted->items[best].partition, &sorted->items[best].event, NULL);
    }
    free(used);
    return merged;
}

static kept_events
brute_force(const vault_builder *vault, const hv_replay_request *request)
{
    kept_events sorted = {.items = NULL};

    for (size_t i = 0; i < vault->events.count; i++)
        if (is_wanted(vault, request, &vault->events.items[i]))
            add_in_order(&sorted, &vault->events.items[i]);
    if (request->order != HV_REPLAY_BY_TIME)
        return sorted;
    kept_events merged = merged_by_time(&sorted);
    kept_clear(&sorted);
    return merged;
}

/* ---- requests ---- */

typedef struct random_request {
    hv_replay_request request;
    const char *patterns[2];
    int32_t partition;
    hv_key_filter key;
    hv_header_filter header;
} random_request;

static const kept_event *
any_event(const vault_builder *vault, test_random *random)
{
    return &vault->events.items[test_random_below(random, vault->events.count)];
}

static hv_cursor_bound
some_bound(test_random *random, int64_t value)
{
    return (hv_cursor_bound){.set = test_random_below(random, 2) == 0, .value = value};
}

static void
order_bounds(hv_cursor_bound *from, hv_cursor_bound *to)
{
    if (!from->set || !to->set || from->value < to->value)
        return;
    int64_t kept = from->value;
    from->value = to->value;
    to->value = kept;
    to->set = from->value < to->value;
}

static void
fill_request(const vault_builder *vault, test_random *random, random_request *to)
{
    static const char *const patterns[] = {"*", "contact", "sale*", "sale"};
    hv_replay_request *request = &to->request;
    const kept_event *example = any_event(vault, random);

    *to = (random_request){.patterns = {patterns[test_random_below(random, 4)], "contact"}};
    request->hubs = to->patterns;
    request->hub_count = 1 + test_random_below(random, 2);
    request->incarnation = test_random_below(random, 2) == 0 ? HV_REPLAY_NEWEST : HV_REPLAY_ALL_INCARNATIONS;
    request->order = test_random_below(random, 2) == 0 ? HV_REPLAY_BY_OFFSET : HV_REPLAY_BY_TIME;
    if (test_random_below(random, 2) == 0) {
        request->from_offset = some_bound(random, (int64_t)test_random_below(random, MAX_OFFSETS));
        request->to_offset = some_bound(random, 1 + (int64_t)test_random_below(random, MAX_OFFSETS + 20));
        order_bounds(&request->from_offset, &request->to_offset);
    }
    if (test_random_below(random, 2) == 0) {
        request->from_time = some_bound(random, any_event(vault, random)->event.timestamp_ms);
        request->to_time = some_bound(random, any_event(vault, random)->event.timestamp_ms);
        order_bounds(&request->from_time, &request->to_time);
        if (request->to_time.value == INT64_MIN)
            request->to_time.set = false;
    }
    if (test_random_below(random, 4) == 0) {
        to->partition = 0;              /* each hub has it */
        request->partitions = &to->partition;
        request->partition_count = 1;
    }
    if (test_random_below(random, 4) == 0 && example->event.key.data != NULL) {
        to->key = (hv_key_filter){.bytes = example->event.key};
        request->filter.keys = &to->key;
        request->filter.key_count = 1;
    }
    if (test_random_below(random, 4) == 0 && example->event.header_count > 0) {
        to->header = (hv_header_filter){.name = example->event.headers[0].name, .has_value = test_random_below(random, 2) == 0,
                                        .value = example->event.headers[0].value};
        request->filter.headers = &to->header;
        request->filter.header_count = 1;
    }
}

static hv_replay_config
some_config(const vault_builder *vault, test_random *random)
{
    return (hv_replay_config){.index = vault->index, .storage = vault->storage, .vault = TEST_VAULT,
                              .threads = (unsigned)test_random_below(random, 3), .memory_bytes = 1 + test_random_below(random,
                                                                                                                       100000),
                              .run_bytes = 1 + test_random_below(random, 5000)};
}

static void
check_request(const vault_builder *vault, test_random *random)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    hv_replay_config config = some_config(vault, random);
    keeping_sink sink = keeping_sink_make();
    hv_replay_forecast forecast;
    random_request asked;

    fill_request(vault, random, &asked);
    kept_events want = brute_force(vault, &asked.request);
    ck_hv_ok(hv_replay_open(&config, &asked.request, &replay, &err));
    ck_hv_ok(hv_replay_dry_run(replay, &forecast, &err));
    ck_hv_ok(hv_replay_run(replay, &sink.base, &err));
    kept_expect_equal(&sink.events, &want);

    const hv_replay_facts *facts = hv_replay_facts_of(replay);
    int64_t sent = (int64_t)want.count;
    ck_assert(facts->finished && facts->flushed);
    ck_assert_int_eq(facts->events_sent, sent);
    ck_assert_int_eq(facts->done, facts->total);
    ck_assert_msg(forecast.events_min <= sent && sent <= forecast.events_max, "%lld of %lld..%lld", (long long)sent,
                  (long long)forecast.events_min, (long long)forecast.events_max);
    ck_assert_uint_eq(forecast.bytes, facts->bytes_read);
    ck_assert_int_eq(forecast.blocks, facts->blocks);
    ck_assert_int_eq(forecast.segments, facts->segments);
    ck_assert_int_eq(forecast.gaps, facts->gaps);
    ck_assert_int_eq(forecast.gap_offsets, facts->gap_offsets);
    kept_clear(&want);
    keeping_sink_clear(&sink);
}

START_TEST(any_request_delivers_what_a_filter_over_all_events_says)
{
    test_random random = test_random_make((uint64_t)_i + 1);
    vault_builder vault;

    vault_open(&vault);
    fill_vault(&vault, &random);
    for (int i = 0; i < REQUESTS; i++)
        check_request(&vault, &random);
    vault_close(&vault);
}
END_TEST

/* ---- resuming ---- */

static void
run_from(const vault_builder *vault, const hv_replay_config *config, const random_request *asked, const hv_buf *cursor,
         int64_t limit,
         keeping_sink *sink, hv_buf *ret_cursor)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    hv_replay_request request = asked->request;

    (void)vault;
    if (cursor != NULL) {
        request.cursor = hv_buf_slice(cursor);
        request.hub_count = 0;
        request.order = HV_REPLAY_ORDER_DEFAULT;
        request.incarnation = HV_REPLAY_NEWEST;
        request.from_offset.set = request.to_offset.set = request.from_time.set = request.to_time.set = false;
    }
    request.limit = limit;
    ck_hv_ok(hv_replay_open(config, &request, &replay, &err));
    ck_hv_ok(hv_replay_run(replay, &sink->base, &err));
    if (ret_cursor == NULL)
        return;
    hv_buf_clear(ret_cursor);
    ck_hv_ok(hv_replay_cursor(replay, ret_cursor, &err));
}

START_TEST(stopping_anywhere_and_going_on_from_the_cursor_equals_the_whole)
{
    test_random random = test_random_make((uint64_t)_i + 1000);
    vault_builder vault;

    vault_open(&vault);
    fill_vault(&vault, &random);
    for (int i = 0; i < 6; i++) {
        HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT), end = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
        hv_replay_config config = some_config(&vault, &random);
        keeping_sink none = keeping_sink_make();
        random_request asked;
        fill_request(&vault, &random, &asked);
        kept_events want = brute_force(&vault, &asked.request);
        for (int64_t stop = 1; stop <= (int64_t)want.count; stop += 1 + (int64_t)want.count / 12) {
            keeping_sink sink = keeping_sink_make();
            run_from(&vault, &config, &asked, NULL, stop, &sink, &cursor);
            run_from(&vault, &config, &asked, &cursor, 0, &sink, &end);
            kept_expect_equal(&sink.events, &want);
            keeping_sink_clear(&sink);
        }
        if (want.count > 0) {           /* behind the end there is nothing more */
            run_from(&vault, &config, &asked, &end, 0, &none, NULL);
            ck_assert_uint_eq(none.events.count, 0);
        }
        kept_clear(&want);
    }
    vault_close(&vault);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_property");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, any_request_delivers_what_a_filter_over_all_events_says, 0, VAULTS);
    tcase_add_loop_test(tests, stopping_anywhere_and_going_on_from_the_cursor_equals_the_whole, 0, VAULTS);
    return ck_hv_run("replay_property", tests);
}
