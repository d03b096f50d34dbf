/* What only the scripted source can do; the promises of every source are in test_source_contract.c. */
#include <pthread.h>
#include <stdio.h>

#include "source/source_drivers.h"
#include "tests/harness/check_hv.h"

static hv_err err;
static hv_source *source;

static void
open_source(void)
{
    ck_hv_ok(hv_source_scripted_open(&source, &err));
    hv_scripted_hub(source, "orders", 2, "id-1");
}

static void
close_source(void)
{
    hv_source_close(source);
}

static void
append_text(int32_t partition, const char *text)
{
    hv_event event = {.timestamp_ms = 7, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text(text)};

    (void)hv_scripted_append(source, "orders", partition, &event);
}

static void
assign_at(int32_t partition, int64_t offset, uint64_t generation)
{
    static char tags[2];
    hv_source_assignment wanted = {.hub = "orders", .partition = partition, .offset = offset, .tag = &tags[partition],
                                   .generation = generation};

    ck_hv_ok(source->ops->assign(source, &wanted, 1, &err));
}

static hv_source_item
poll_now(void)
{
    hv_source_item item;

    ck_hv_ok(source->ops->poll(source, 0, &item, &err));
    return item;
}

static void
expect_event(int64_t offset)
{
    hv_source_item item = poll_now();

    ck_assert_int_eq(item.kind, HV_SOURCE_EVENT);
    ck_assert_int_eq(item.event.offset, offset);
}

static void
expect(hv_source_kind kind)
{
    ck_assert_int_eq(poll_now().kind, kind);
}

START_TEST(control_records_and_compacted_events_are_holes)
{
    append_text(0, "a");
    hv_scripted_skip(source, "orders", 0, 3);
    append_text(0, "b");
    append_text(0, "c");
    hv_scripted_skip(source, "orders", 0, 2);
    hv_scripted_compact(source, "orders", 0, 4);
    assign_at(0, 0, 1);
    expect_event(0);
    expect_event(5);
    hv_source_item end = poll_now();
    ck_assert_int_eq(end.kind, HV_SOURCE_END);
    ck_assert_int_eq(end.offset, 8);
    expect(HV_SOURCE_NOTHING);
}
END_TEST

START_TEST(an_expired_position_is_out_of_range_once_and_silent_until_assigned_anew)
{
    append_text(0, "a");
    append_text(0, "b");
    hv_scripted_expire(source, "orders", 0, 1);
    assign_at(0, 0, 1);
    expect(HV_SOURCE_OUT_OF_RANGE);
    append_text(0, "c");
    expect(HV_SOURCE_NOTHING);
    assign_at(0, 1, 2);
    expect_event(1);
    expect_event(2);
}
END_TEST

START_TEST(an_event_that_expires_while_lent_stays_readable)
{
    append_text(0, "a");
    assign_at(0, 0, 1);
    hv_source_item item = poll_now();
    hv_scripted_expire(source, "orders", 0, 1);
    ck_assert(hv_slice_equal(item.event.value, hv_slice_text("a")));
}
END_TEST

START_TEST(a_truncated_log_puts_a_reader_behind_its_end_out_of_range)
{
    append_text(0, "a");
    append_text(0, "b");
    assign_at(0, 0, 1);
    expect_event(0);
    expect_event(1);
    hv_scripted_truncate(source, "orders", 0, 1);
    expect(HV_SOURCE_OUT_OF_RANGE);
    assign_at(0, 1, 2);
    append_text(0, "other");
    hv_source_item item = poll_now();
    ck_assert_int_eq(item.event.offset, 1);
    ck_assert(hv_slice_equal(item.event.value, hv_slice_text("other")));
}
END_TEST

START_TEST(a_hub_created_again_has_another_identity_and_begins_at_zero)
{
    hv_source_hub *hubs;
    size_t count;

    append_text(0, "old");
    assign_at(0, 1, 1);
    expect(HV_SOURCE_END);
    hv_scripted_delete(source, "orders");
    expect(HV_SOURCE_GONE);
    expect(HV_SOURCE_NOTHING);
    ck_hv_ok(source->ops->hubs(source, 0, &hubs, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(hubs);
    hv_scripted_hub(source, "orders", 1, "id-2");
    append_text(0, "new");
    append_text(0, "newer");
    expect(HV_SOURCE_NOTHING);
    assign_at(0, 0, 2);
    expect_event(0);
    ck_hv_ok(source->ops->hubs(source, 0, &hubs, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(hubs[0].identity, "id-2");
    ck_assert_int_eq(hubs[0].partitions, 1);
    free(hubs);
}
END_TEST

START_TEST(troubles_come_as_asked_for_partition_0_only_and_reading_goes_on)
{
    append_text(0, "a");
    append_text(1, "b");
    hv_scripted_trouble(source, "orders", HV_SOURCE_REFUSED);
    assign_at(1, 0, 1);
    expect_event(0);
    expect(HV_SOURCE_END);
    assign_at(0, 0, 1);
    hv_source_item item = poll_now();
    while (item.kind == HV_SOURCE_NOTHING || item.kind == HV_SOURCE_END)
        item = poll_now();
    ck_assert_int_eq(item.kind, HV_SOURCE_REFUSED);
    ck_assert_int_eq(item.err.rc, HV_AUTH);
    expect_event(0);
}
END_TEST

START_TEST(a_broken_source_and_unanswered_questions_say_so)
{
    hv_source_item item;
    hv_source_hub *hubs;
    size_t count;

    hv_scripted_questions_fail(source, HV_UNAVAILABLE);
    ck_hv_fails(HV_UNAVAILABLE, source->ops->hubs(source, 0, &hubs, &count, &err));
    hv_scripted_break(source, HV_AUTH);
    ck_hv_fails(HV_AUTH, source->ops->poll(source, 1000, &item, &err));
}
END_TEST

START_TEST(commits_are_remembered_per_partition)
{
    ck_assert_int_eq(hv_scripted_committed(source, "orders", 1), -1);
    source->ops->commit(source, "orders", 1, 42);
    ck_assert_int_eq(hv_scripted_committed(source, "orders", 1), 42);
    ck_assert_int_eq(hv_scripted_committed(source, "orders", 0), -1);
}
END_TEST

enum { MANY = 5000 };

static void *
append_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        append_text(1, "x");
        if (i % 100 == 50)
            hv_scripted_skip(source, "orders", 1, 1);
    }
    return NULL;
}

START_TEST(a_poll_that_waits_is_woken_by_another_threads_append)
{
    pthread_t producer;
    int got = 0;

    assign_at(1, 0, 1);
    ck_assert_int_eq(pthread_create(&producer, NULL, append_many, NULL), 0);
    while (got < MANY) {
        hv_source_item item;
        ck_hv_ok(source->ops->poll(source, 10000, &item, &err));
        ck_assert_int_ne(item.kind, HV_SOURCE_NOTHING);
        got += item.kind == HV_SOURCE_EVENT;
    }
    pthread_join(producer, NULL);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("scripted source");
    tcase_add_checked_fixture(tests, open_source, close_source);
    tcase_add_test(tests, control_records_and_compacted_events_are_holes);
    tcase_add_test(tests, an_expired_position_is_out_of_range_once_and_silent_until_assigned_anew);
    tcase_add_test(tests, an_event_that_expires_while_lent_stays_readable);
    tcase_add_test(tests, a_truncated_log_puts_a_reader_behind_its_end_out_of_range);
    tcase_add_test(tests, a_hub_created_again_has_another_identity_and_begins_at_zero);
    tcase_add_test(tests, troubles_come_as_asked_for_partition_0_only_and_reading_goes_on);
    tcase_add_test(tests, a_broken_source_and_unanswered_questions_say_so);
    tcase_add_test(tests, commits_are_remembered_per_partition);
    tcase_add_test(tests, a_poll_that_waits_is_woken_by_another_threads_append);
    return ck_hv_run("scripted source", tests);
}
