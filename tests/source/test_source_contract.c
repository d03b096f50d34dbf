/* Every promise of source.h that both drivers can be asked to keep, against the scripted source and against Kafka's mock broker. */
#include "common/clock.h"
#include "source/source_drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"

enum { SCRIPTED, KAFKA, DRIVERS, KAFKA_PATIENT = DRIVERS, DRIVERS_THAT_ARE_ASKED };      /* patient: questions have a connection of their own */
enum { PATIENCE_MS = 60000 };

static hv_err err;
static hv_source *source;
static mock_broker *broker;             /* NULL: scripted */

static int stall_ms;                    /* of the Kafka driver; 0: its default */

static void
open_driver(int driver)
{
    if (driver == SCRIPTED) {
        ck_hv_ok(hv_source_scripted_open(&source, &err));
        return;
    }
    broker = mock_broker_start(1);
    /* A partition that does not exist is noticed with the next look at the topic, which is usually a minute away. */
    hv_kafka_config config = {.bootstrap = mock_broker_bootstrap(broker),
                              .extra = (const char *const[]){"topic.metadata.refresh.interval.ms", "1000"}, .extra_count = 2,
                              .stall_ms = stall_ms, .fetch_wait_ms = driver == KAFKA_PATIENT ? 500 : 0,
                              .fetch_least_bytes = driver == KAFKA_PATIENT ? 65536 : 0};
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
}

static void
close_driver(void)
{
    hv_source_close(source);
    mock_broker_stop(broker);
}

static void
make_hub(const char *hub, int32_t partitions)
{
    if (broker != NULL)
        mock_broker_topic(broker, hub, partitions);
    else
        hv_scripted_hub(source, hub, partitions, "id");
}

static void
append(const char *hub, int32_t partition, const hv_event *event)
{
    if (broker != NULL)
        mock_broker_produce(broker, hub, partition, event);
    else
        (void)hv_scripted_append(source, hub, partition, event);
}

static void
flush(void)
{
    if (broker != NULL)
        (void)mock_broker_flush(broker);
}

static void
append_texts(const char *hub, int32_t partition, int count)
{
    for (int i = 0; i < count; i++) {
        hv_event event = {.timestamp_ms = 1000 + i, .value = hv_slice_text("text")};
        append(hub, partition, &event);
    }
    flush();
}

static void
assign(const char *hub, int32_t partition, int64_t offset, void *tag, uint64_t generation)
{
    hv_source_assignment wanted = {.hub = hub, .partition = partition, .offset = offset, .tag = tag, .generation = generation};

    ck_hv_ok(source->ops->assign(source, &wanted, 1, &err));
}

/* The next item that is more than NOTHING or TROUBLE. */
static hv_source_item
next_item(void)
{
    int64_t until = hv_clock_boot_ms() + PATIENCE_MS;
    static hv_source_item item;

    do {
        ck_hv_ok(source->ops->poll(source, 1000, &item, &err));
    } while ((item.kind == HV_SOURCE_NOTHING || item.kind == HV_SOURCE_TROUBLE) && hv_clock_boot_ms() < until);
    return item;
}

static void
expect_silence(int ms)
{
    hv_source_item item;
    int64_t until = hv_clock_boot_ms() + ms;

    while (hv_clock_boot_ms() < until) {
        ck_hv_ok(source->ops->poll(source, 50, &item, &err));
        ck_assert_int_eq(item.kind, HV_SOURCE_NOTHING);
        ck_assert_ptr_null(item.tag);
    }
}

static void
expect_event(int64_t offset, void *tag, uint64_t generation)
{
    hv_source_item item = next_item();

    ck_assert_int_eq(item.kind, HV_SOURCE_EVENT);
    ck_assert_int_eq(item.event.offset, offset);
    ck_assert_ptr_eq(item.tag, tag);
    ck_assert_uint_eq(item.generation, generation);
}

static void
expect_end(int64_t offset, void *tag)
{
    hv_source_item item = next_item();

    ck_assert_int_eq(item.kind, HV_SOURCE_END);
    ck_assert_int_eq(item.offset, offset);
    ck_assert_ptr_eq(item.tag, tag);
}

/* ---- what comes is what went in ---- */

static void
check_same(const hv_event *got, const hv_event *want)
{
    ck_assert(hv_slice_equal(got->key, want->key));
    ck_assert(hv_slice_equal(got->value, want->value));
    ck_assert_int_eq(got->timestamp_ms, want->timestamp_ms);
    ck_assert_int_eq(got->timestamp_type, HV_TIMESTAMP_CREATE);
    ck_assert_uint_eq(got->header_count, want->header_count);
    for (size_t i = 0; i < want->header_count; i++) {
        ck_assert(hv_slice_equal(got->headers[i].name, want->headers[i].name));
        ck_assert(hv_slice_equal(got->headers[i].value, want->headers[i].value));
    }
}

static void
check_round_trip(const hv_event *events, size_t count)
{
    make_hub("h", 1);
    for (size_t i = 0; i < count; i++)
        append("h", 0, &events[i]);
    flush();
    assign("h", 0, 0, &source, 1);
    for (size_t i = 0; i < count; i++) {
        hv_source_item item = next_item();
        ck_assert_int_eq(item.kind, HV_SOURCE_EVENT);
        ck_assert_int_eq(item.event.offset, (int64_t)i);
        check_same(&item.event, &events[i]);
    }
}

START_TEST(null_and_empty_keys_and_values_stay_apart)
{
    open_driver(_i);
    const hv_slice none = HV_SLICE_NULL, empty = hv_slice_text("");
    const hv_event events[] = {
        {.timestamp_ms = 1, .timestamp_type = HV_TIMESTAMP_CREATE, .key = none, .value = none},
        {.timestamp_ms = 2, .timestamp_type = HV_TIMESTAMP_CREATE, .key = empty, .value = none},
        {.timestamp_ms = 3, .timestamp_type = HV_TIMESTAMP_CREATE, .key = none, .value = empty},
        {.timestamp_ms = 4, .timestamp_type = HV_TIMESTAMP_CREATE, .key = empty, .value = empty},
        {.timestamp_ms = 5, .timestamp_type = HV_TIMESTAMP_CREATE, .key = hv_slice_of("k\0y", 3),
         .value = hv_slice_of("\0\xff", 2)},
    };
    check_round_trip(events, sizeof events / sizeof events[0]);
}
END_TEST

START_TEST(headers_keep_order_duplicates_nulls_empties_and_odd_names)
{
    open_driver(_i);
    const hv_header odd[] = {
        {.name = hv_slice_text("b"), .value = hv_slice_text("1")},
        {.name = hv_slice_text("a"), .value = HV_SLICE_NULL},
        {.name = hv_slice_text("b"), .value = hv_slice_text("")},
        {.name = hv_slice_text(""), .value = hv_slice_text("no name")},
        {.name = hv_slice_text("gr\xc3\xb6\xc3\x9f"
                               "e"), .value = hv_slice_of("\0\x01\xff", 3)},
        {.name = hv_slice_text("b"), .value = hv_slice_text("1")},
    };
    const hv_header empty_last[] = {
        {.name = hv_slice_text("a"), .value = HV_SLICE_NULL},
        {.name = hv_slice_text("b"), .value = hv_slice_text("")},
    };
    const hv_header null_last[] = {
        {.name = hv_slice_text("b"), .value = hv_slice_text("")},
        {.name = hv_slice_text(""), .value = HV_SLICE_NULL},
    };
    hv_header many[300];
    for (size_t i = 0; i < 300; i++)
        many[i] = (hv_header){.name = hv_slice_text("many"), .value = hv_slice_of("0123456789", i % 10)};
    const hv_event events[] = {
        {.timestamp_ms = 1, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text("v"), .headers = odd, .header_count = 6},
        {.timestamp_ms = 2, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text("none")},
        {.timestamp_ms = 3, .timestamp_type = HV_TIMESTAMP_CREATE, .headers = many, .header_count = 300},
        {.timestamp_ms = 4, .timestamp_type = HV_TIMESTAMP_CREATE, .headers = odd, .header_count = 1},
        {.timestamp_ms = 5, .timestamp_type = HV_TIMESTAMP_CREATE, .headers = empty_last, .header_count = 2},
        {.timestamp_ms = 6, .timestamp_type = HV_TIMESTAMP_CREATE, .headers = empty_last + 1, .header_count = 1},
        {.timestamp_ms = 7, .timestamp_type = HV_TIMESTAMP_CREATE, .headers = null_last, .header_count = 2},
        {.timestamp_ms = 8, .timestamp_type = HV_TIMESTAMP_CREATE, .headers = null_last + 1, .header_count = 1},
    };
    check_round_trip(events, 8);
}
END_TEST

START_TEST(timestamps_may_run_backwards_be_negative_or_far_in_the_future)
{
    open_driver(_i);
    const int64_t times[] = {1700000000000, 5, -1, -62135596800000, 253402300799999, 1};
    hv_event events[6];
    for (size_t i = 0; i < 6; i++)
        events[i] = (hv_event){.timestamp_ms = times[i], .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text("t")};
    check_round_trip(events, 6);
}
END_TEST

START_TEST(a_large_event_comes_whole)
{
    open_driver(_i);
    size_t size = 3 << 20;
    char *bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 255);
    const hv_event event = {.timestamp_ms = 1, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_of(bytes, size)};
    check_round_trip(&event, 1);
    free(bytes);
}
END_TEST

/* ---- positions ---- */

START_TEST(reading_begins_at_the_assigned_offset_and_the_end_is_told_each_time_it_is_reached)
{
    open_driver(_i);
    make_hub("h", 1);
    append_texts("h", 0, 5);
    assign("h", 0, 3, &err, 7);
    expect_event(3, &err, 7);
    expect_event(4, &err, 7);
    expect_end(5, &err);
    append_texts("h", 0, 1);
    expect_event(5, &err, 7);
    expect_end(6, &err);
    expect_silence(200);
}
END_TEST

START_TEST(an_empty_partition_ends_at_its_beginning)
{
    open_driver(_i);
    make_hub("h", 1);
    assign("h", 0, 0, &err, 1);
    expect_end(0, &err);
}
END_TEST

START_TEST(a_poll_waits_as_long_as_it_was_told_and_not_longer)
{
    open_driver(_i);
    hv_source_item item;
    make_hub("h", 1);
    assign("h", 0, 0, &err, 1);
    expect_end(0, &err);
    int64_t before = hv_clock_boot_ms();
    ck_hv_ok(source->ops->poll(source, 300, &item, &err));
    int64_t waited = hv_clock_boot_ms() - before;
    ck_assert_int_eq(item.kind, HV_SOURCE_NOTHING);
    ck_assert_int_ge(waited, 295);
    ck_assert_int_lt(waited, 1500);
    before = hv_clock_boot_ms();
    ck_hv_ok(source->ops->poll(source, 0, &item, &err));
    ck_assert_int_lt(hv_clock_boot_ms() - before, 200);
}
END_TEST

START_TEST(a_position_behind_the_end_is_out_of_range_once_and_can_be_assigned_anew)
{
    open_driver(_i);
    make_hub("h", 2);
    append_texts("h", 1, 5);
    assign("h", 1, 9, &err, 4);
    hv_source_item item = next_item();
    ck_assert_int_eq(item.kind, HV_SOURCE_OUT_OF_RANGE);
    ck_assert_ptr_eq(item.tag, &err);
    ck_assert_uint_eq(item.generation, 4);
    ck_assert_int_eq(item.err.rc, HV_GAP);
    ck_assert(item.err.msg[0] != '\0');
    expect_silence(300);
    assign("h", 1, 4, &err, 5);
    expect_event(4, &err, 5);
}
END_TEST

START_TEST(a_partition_that_does_not_exist_is_gone_and_the_others_go_on)
{
    stall_ms = 2000;                    /* at the latest the watch of the driver finds out */
    open_driver(_i);
    make_hub("h", 2);
    append_texts("h", 0, 2);
    assign("h", 7, 0, &source, 1);
    assign("h", 0, 0, &err, 2);
    bool gone = false;
    int events = 0;
    while (!gone || events < 2) {
        hv_source_item item = next_item();
        ck_assert_int_ne(item.kind, HV_SOURCE_NOTHING);
        if (item.kind == HV_SOURCE_GONE) {
            ck_assert_ptr_eq(item.tag, &source);
            ck_assert_uint_eq(item.generation, 1);
            ck_assert_int_eq(item.err.rc, HV_NOT_FOUND);
            gone = true;
        } else if (item.kind == HV_SOURCE_EVENT) {
            ck_assert_ptr_eq(item.tag, &err);
            events++;
        }
    }
}
END_TEST

START_TEST(a_moved_partition_delivers_from_its_new_place_with_its_new_generation)
{
    open_driver(_i);
    make_hub("h", 1);
    append_texts("h", 0, 2000);
    assign("h", 0, 0, &source, 1);
    for (int64_t i = 0; i < 10; i++)
        expect_event(i, &source, 1);
    assign("h", 0, 1500, &err, 2);
    for (int64_t i = 1500; i < 1510; i++)
        expect_event(i, &err, 2);
    assign("h", 0, 100, &source, 3);
    for (int64_t i = 100; i < 2000; i++)
        expect_event(i, &source, 3);
    expect_end(2000, &source);
}
END_TEST

START_TEST(an_unassigned_partition_falls_silent_at_once_and_its_neighbour_does_not)
{
    open_driver(_i);
    make_hub("h", 2);
    append_texts("h", 0, 1000);
    append_texts("h", 1, 1000);
    assign("h", 0, 0, &source, 1);
    assign("h", 1, 0, &err, 2);
    (void)next_item();
    ck_hv_ok(source->ops->unassign(source, "h", 0, &err));
    ck_hv_ok(source->ops->unassign(source, "h", 0, &err));
    ck_hv_ok(source->ops->unassign(source, "unknown", 0, &err));
    for (hv_source_item item = next_item(); item.kind != HV_SOURCE_END; item = next_item())
        ck_assert_uint_eq(item.generation, 2);
    expect_silence(300);
    assign("h", 0, 998, &source, 3);
    expect_event(998, &source, 3);
}
END_TEST

START_TEST(many_partitions_of_many_hubs_each_come_complete_under_their_own_tag)
{
    enum { HUBS = 5, PARTITIONS = 7, EVENTS = 40 };
    static const char *const names[HUBS] = {"a", "b.b", "c-c", "d_d", "E"};
    static int64_t next[HUBS][PARTITIONS];
    hv_source_assignment wanted[HUBS * PARTITIONS];
    size_t count = 0;

    open_driver(_i);
    for (int h = 0; h < HUBS; h++) {
        make_hub(names[h], PARTITIONS);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            append_texts(names[h], p, EVENTS);
            wanted[count++] = (hv_source_assignment){.hub = names[h], .partition = p, .tag = &next[h][p],
                                                     .generation = (uint64_t)p};
        }
    }
    ck_hv_ok(source->ops->assign(source, wanted, count, &err));
    for (size_t ends = 0; ends < count;) {
        hv_source_item item = next_item();
        ck_assert(item.kind == HV_SOURCE_EVENT || item.kind == HV_SOURCE_END);
        int64_t *at = item.tag;
        ck_assert_uint_eq(item.generation, (uint64_t)((at - &next[0][0]) % PARTITIONS));
        if (item.kind == HV_SOURCE_EVENT)
            ck_assert_int_eq(item.event.offset, (*at)++);
        ends += item.kind == HV_SOURCE_END;
    }
    for (int h = 0; h < HUBS; h++)
        for (int p = 0; p < PARTITIONS; p++)
            ck_assert_int_eq(next[h][p], EVENTS);
}
END_TEST

/* ---- questions ---- */

START_TEST(hubs_lists_names_and_partitions)
{
    open_driver(_i);
    hv_source_hub *hubs = NULL;
    size_t count = 0, found = 0;
    make_hub("one", 1);
    make_hub("three", 3);
    ck_hv_ok(source->ops->hubs(source, PATIENCE_MS, &hubs, &count, &err));
    for (size_t i = 0; i < count; i++)
        found += (strcmp(hubs[i].name, "one") == 0 && hubs[i].partitions == 1) ||
                 (strcmp(hubs[i].name, "three") == 0 && hubs[i].partitions == 3);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(found, 2);
    free(hubs);
}
END_TEST

START_TEST(watermarks_answer_for_each_partition_and_say_which_does_not_exist)
{
    open_driver(_i);
    make_hub("h", 3);
    append_texts("h", 1, 4);
    append_texts("h", 2, 1);
    hv_source_watermarks asked[] = {
        {.hub = "h", .partition = 2}, {.hub = "h", .partition = 0}, {.hub = "h", .partition = 9}, {.hub = "h", .partition = 1}};
    ck_hv_ok(source->ops->watermarks(source, asked, 4, PATIENCE_MS, &err));
    ck_assert_int_eq(asked[0].rc, HV_OK);
    ck_assert_int_eq(asked[0].high, 1);
    ck_assert_int_eq(asked[1].rc, HV_OK);
    ck_assert_int_eq(asked[1].low, 0);
    ck_assert_int_eq(asked[1].high, 0);
    ck_assert_int_eq(asked[2].rc, HV_NOT_FOUND);
    ck_assert_int_eq(asked[3].rc, HV_OK);
    ck_assert_int_eq(asked[3].low, 0);
    ck_assert_int_eq(asked[3].high, 4);
}
END_TEST

START_TEST(watermarks_of_nothing_but_unknown_partitions_still_answers)
{
    open_driver(_i);
    make_hub("h", 1);
    hv_source_watermarks asked = {.hub = "h", .partition = 5};
    ck_hv_ok(source->ops->watermarks(source, &asked, 1, PATIENCE_MS, &err));
    ck_assert_int_eq(asked.rc, HV_NOT_FOUND);
}
END_TEST

START_TEST(known_watermarks_are_known_after_reading_and_for_assigned_partitions_only)
{
    open_driver(_i);
    int64_t low = -7, high = -7;
    make_hub("h", 2);
    append_texts("h", 0, 3);
    ck_assert(!source->ops->known_watermarks(source, "h", 0, &low, &high));
    ck_assert_int_eq(low, -7);
    assign("h", 0, 0, &err, 1);
    for (int64_t i = 0; i < 3; i++)
        expect_event(i, &err, 1);
    ck_assert(source->ops->known_watermarks(source, "h", 0, &low, &high));
    ck_assert_int_eq(low, 0);
    ck_assert_int_eq(high, 3);
    ck_assert(!source->ops->known_watermarks(source, "h", 1, &low, &high));
}
END_TEST

START_TEST(a_commit_does_not_disturb_reading)
{
    open_driver(_i);
    make_hub("h", 1);
    append_texts("h", 0, 3);
    assign("h", 0, 0, &err, 1);
    expect_event(0, &err, 1);
    source->ops->commit(source, "h", 0, 1);
    source->ops->commit(source, "unknown", 0, 1);
    expect_event(1, &err, 1);
    expect_event(2, &err, 1);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("source contract");
    tcase_add_checked_fixture(tests, NULL, close_driver);
    tcase_set_timeout(tests, 100);
    tcase_add_loop_test(tests, null_and_empty_keys_and_values_stay_apart, 0, DRIVERS);
    tcase_add_loop_test(tests, headers_keep_order_duplicates_nulls_empties_and_odd_names, 0, DRIVERS);
    tcase_add_loop_test(tests, timestamps_may_run_backwards_be_negative_or_far_in_the_future, 0, DRIVERS);
    tcase_add_loop_test(tests, a_large_event_comes_whole, 0, DRIVERS);
    tcase_add_loop_test(tests, reading_begins_at_the_assigned_offset_and_the_end_is_told_each_time_it_is_reached, 0, DRIVERS);
    tcase_add_loop_test(tests, an_empty_partition_ends_at_its_beginning, 0, DRIVERS);
    tcase_add_loop_test(tests, a_poll_waits_as_long_as_it_was_told_and_not_longer, 0, DRIVERS);
    tcase_add_loop_test(tests, a_position_behind_the_end_is_out_of_range_once_and_can_be_assigned_anew, 0, DRIVERS);
    tcase_add_loop_test(tests, a_partition_that_does_not_exist_is_gone_and_the_others_go_on, 0, DRIVERS);
    tcase_add_loop_test(tests, a_moved_partition_delivers_from_its_new_place_with_its_new_generation, 0, DRIVERS);
    tcase_add_loop_test(tests, an_unassigned_partition_falls_silent_at_once_and_its_neighbour_does_not, 0, DRIVERS);
    tcase_add_loop_test(tests, many_partitions_of_many_hubs_each_come_complete_under_their_own_tag, 0, DRIVERS_THAT_ARE_ASKED);
    tcase_add_loop_test(tests, hubs_lists_names_and_partitions, 0, DRIVERS_THAT_ARE_ASKED);
    tcase_add_loop_test(tests, watermarks_answer_for_each_partition_and_say_which_does_not_exist, 0, DRIVERS_THAT_ARE_ASKED);
    tcase_add_loop_test(tests, watermarks_of_nothing_but_unknown_partitions_still_answers, 0, DRIVERS_THAT_ARE_ASKED);
    tcase_add_loop_test(tests, known_watermarks_are_known_after_reading_and_for_assigned_partitions_only, 0, DRIVERS_THAT_ARE_ASKED);
    tcase_add_loop_test(tests, a_commit_does_not_disturb_reading, 0, DRIVERS_THAT_ARE_ASKED);
    return ck_hv_run("source contract", tests);
}
