#include "server/capture_status.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "source/source_drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static scratch_dir dir;
static hv_index *index_;
static hv_source *source;
static hv_capture_status status;
static hv_err err;

static void
setup(void)
{
    dir = scratch_dir_make();
    index_ = sample_open(dir.path, 1 << 20);
    ck_hv_ok(hv_source_scripted_open(&source, &err));
    status = (hv_capture_status){0};
}

static void
teardown(void)
{
    hv_capture_status_clear(&status);
    hv_source_close(source);
    hv_index_close(index_);
    scratch_dir_remove(&dir);
}

static void
know_hub(const char *hub, uint32_t incarnation, const char *identity)
{
    hv_index_incarnation facts = {.incarnation = incarnation, .created_ms = 5};

    snprintf(facts.hub, sizeof facts.hub, "%s", hub);
    snprintf(facts.cause, sizeof facts.cause, "first");
    snprintf(facts.identity, sizeof facts.identity, "%s", identity);
    ck_hv_ok(hv_index_add_incarnation(index_, &facts, &err));
}

static void
captured(const char *hub, uint32_t incarnation, int32_t number, int64_t count)
{
    hv_partition partition = sample_partition(hub, incarnation, number);
    hv_index_cut cut = sample_plain_cut(0, count, 1000);

    sample_add(index_, &partition, &cut);
    hv_index_cut_clear(&cut);
}

static void
produce(const char *hub, int32_t number, int count, int64_t timestamp_ms)
{
    hv_event event = {.timestamp_ms = timestamp_ms, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text("x")};

    for (int i = 0; i < count; i++)
        (void)hv_scripted_append(source, hub, number, &event);
}

static hv_rc
ask(void)
{
    hv_capture_question question = {.sources = &source, .source_count = 1, .timeout_ms = 300, .headroom_warning_ms = 3600000};

    ck_hv_ok(hv_capture_status_read(index_, &status, &err));
    return hv_capture_status_ask(&status, index_, &question, &err);
}

static const hv_partition_status *
partition(const char *hub, int32_t number)
{
    for (size_t i = 0; i < status.count; i++)
        if (strcmp(status.partitions[i].facts.partition.hub, hub) == 0 && status.partitions[i].facts.partition.number == number)
            return &status.partitions[i];
    ck_abort_msg("no partition %d of %s", (int)number, hub);
}

START_TEST(without_asking_the_newest_incarnation_of_each_hub_is_what_the_index_knows)
{
    know_hub("orders", 1, "a");
    know_hub("orders", 2, "b");
    captured("orders", 1, 0, 10);
    captured("orders", 1, 1, 10);
    captured("orders", 2, 0, 3);
    captured("sales", 1, 0, 5);
    ck_hv_ok(hv_capture_status_read(index_, &status, &err));
    ck_assert_uint_eq(status.count, 2);
    ck_assert_uint_eq(partition("orders", 0)->facts.partition.incarnation, 2);
    ck_assert_int_eq(partition("orders", 0)->facts.range.end, 3);
    ck_assert_int_eq(partition("sales", 0)->state, HV_CAPTURE_NOT_ASKED);
}
END_TEST

START_TEST(lag_is_what_the_hub_has_and_nobody_sealed)
{
    know_hub("orders", 1, "a");
    captured("orders", 1, 0, 10);
    captured("orders", 1, 1, 10);
    hv_scripted_hub(source, "orders", 3, "a");
    produce("orders", 0, 10, 1000);
    produce("orders", 1, 14, 1000);
    produce("orders", 2, 2, 1000);
    ck_hv_ok(ask());
    ck_assert_uint_eq(status.count, 3);
    ck_assert_int_eq(partition("orders", 0)->state, HV_CAPTURE_COMPLETE);
    ck_assert_int_eq(partition("orders", 0)->lag, 0);
    ck_assert_int_eq(partition("orders", 1)->state, HV_CAPTURE_BEHIND);
    ck_assert_int_eq(partition("orders", 1)->lag, 4);
    ck_assert_int_eq(partition("orders", 2)->state, HV_CAPTURE_NEW);
    ck_assert_int_eq(partition("orders", 2)->lag, 2);
    ck_assert(!partition("orders", 1)->has_headroom);
}
END_TEST

START_TEST(a_hub_that_nobody_captured_is_new_and_stands_in_its_order)
{
    know_hub("orders", 1, "a");
    captured("orders", 1, 0, 1);
    hv_scripted_hub(source, "accounts", 12, "x");
    hv_scripted_hub(source, "orders", 1, "a");
    produce("orders", 0, 1, 1);
    ck_hv_ok(ask());
    ck_assert_uint_eq(status.count, 13);
    for (int32_t i = 0; i < 12; i++) {
        ck_assert_str_eq(status.partitions[i].facts.partition.hub, "accounts");
        ck_assert_int_eq(status.partitions[i].facts.partition.number, i);
        ck_assert_int_eq(status.partitions[i].state, HV_CAPTURE_COMPLETE);
    }
}
END_TEST

START_TEST(headroom_is_the_time_until_the_oldest_unsealed_event_expires)
{
    int64_t now = hv_clock_wall_ms();

    captured("orders", 1, 0, 2);
    captured("orders", 1, 1, 2);
    captured("orders", 1, 2, 2);
    hv_scripted_hub(source, "orders", 3, "");
    hv_scripted_policy(source, "orders", (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = 7200000});
    produce("orders", 0, 2, now - 6000000);
    produce("orders", 0, 1, now - 60000);
    produce("orders", 1, 2, now - 60000);
    produce("orders", 1, 2, now - 6000000);
    produce("orders", 2, 2, now - 6000000);
    ck_hv_ok(ask());
    ck_assert(partition("orders", 0)->has_headroom);
    ck_assert_int_ge(partition("orders", 0)->headroom_ms, 7100000);
    ck_assert_int_le(partition("orders", 0)->headroom_ms, 7140000);
    ck_assert_int_eq(partition("orders", 0)->state, HV_CAPTURE_BEHIND);
    ck_assert_int_le(partition("orders", 1)->headroom_ms, 1200000);
    ck_assert_int_eq(partition("orders", 1)->state, HV_CAPTURE_AT_RISK);
    ck_assert(!partition("orders", 2)->has_headroom);
    ck_assert_int_eq(partition("orders", 2)->state, HV_CAPTURE_COMPLETE);
}
END_TEST

START_TEST(events_that_the_hub_deleted_before_they_were_sealed_are_told_as_loss)
{
    captured("orders", 1, 0, 2);
    hv_scripted_hub(source, "orders", 1, "");
    produce("orders", 0, 10, 1000);
    hv_scripted_expire(source, "orders", 0, 5);
    ck_hv_ok(ask());
    ck_assert_int_eq(partition("orders", 0)->state, HV_CAPTURE_LOSING);
    ck_assert_int_eq(partition("orders", 0)->lag, 5);
}
END_TEST

START_TEST(a_hub_of_another_identity_or_a_shorter_one_was_created_again)
{
    know_hub("orders", 1, "a");
    captured("orders", 1, 0, 2);
    captured("sales", 1, 0, 5);
    hv_scripted_hub(source, "orders", 1, "b");
    hv_scripted_hub(source, "sales", 1, "");
    produce("orders", 0, 9, 1000);
    produce("sales", 0, 4, 1000);
    ck_hv_ok(ask());
    ck_assert_int_eq(partition("orders", 0)->state, HV_CAPTURE_RECREATED);
    ck_assert_int_eq(partition("sales", 0)->state, HV_CAPTURE_RECREATED);
    ck_assert_int_eq(partition("sales", 0)->lag, 0);
}
END_TEST

START_TEST(what_the_source_does_not_offer_is_absent)
{
    captured("orders", 1, 0, 2);
    ck_hv_ok(ask());
    ck_assert_int_eq(partition("orders", 0)->state, HV_CAPTURE_ABSENT);
}
END_TEST

START_TEST(a_source_that_does_not_answer_leaves_what_the_index_knows)
{
    captured("orders", 1, 0, 2);
    hv_scripted_questions_fail(source, HV_UNAVAILABLE);
    ck_hv_fails(HV_UNAVAILABLE, ask());
    ck_assert_uint_eq(status.count, 1);
    ck_assert_int_eq(partition("orders", 0)->state, HV_CAPTURE_NOT_ASKED);
    ck_assert(!partition("orders", 0)->has_watermarks);
}
END_TEST

START_TEST(a_source_that_breaks_while_the_oldest_events_are_read_is_a_failure_and_watermarks_stay)
{
    captured("orders", 1, 0, 2);
    hv_scripted_hub(source, "orders", 1, "");
    hv_scripted_policy(source, "orders", (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = 7200000});
    produce("orders", 0, 4, 1000);
    hv_scripted_break(source, HV_AUTH);
    ck_hv_fails(HV_AUTH, ask());
    ck_assert_int_eq(partition("orders", 0)->lag, 2);
    ck_assert(!partition("orders", 0)->has_headroom);
}
END_TEST

START_TEST(an_oldest_event_that_never_comes_costs_no_more_than_the_timeout)
{
    int64_t begun = hv_clock_boot_ms();

    captured("orders", 1, 0, 2);
    hv_scripted_hub(source, "orders", 1, "");
    hv_scripted_policy(source, "orders", (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = 7200000});
    hv_scripted_skip(source, "orders", 0, 10);          /* control records: behind, but no event */
    ck_hv_ok(ask());
    ck_assert_int_eq(partition("orders", 0)->lag, 8);
    ck_assert(!partition("orders", 0)->has_headroom);
    ck_assert_int_lt(hv_clock_boot_ms() - begun, 5000);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture status");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, without_asking_the_newest_incarnation_of_each_hub_is_what_the_index_knows);
    tcase_add_test(tests, lag_is_what_the_hub_has_and_nobody_sealed);
    tcase_add_test(tests, a_hub_that_nobody_captured_is_new_and_stands_in_its_order);
    tcase_add_test(tests, headroom_is_the_time_until_the_oldest_unsealed_event_expires);
    tcase_add_test(tests, events_that_the_hub_deleted_before_they_were_sealed_are_told_as_loss);
    tcase_add_test(tests, a_hub_of_another_identity_or_a_shorter_one_was_created_again);
    tcase_add_test(tests, what_the_source_does_not_offer_is_absent);
    tcase_add_test(tests, a_source_that_does_not_answer_leaves_what_the_index_knows);
    tcase_add_test(tests, a_source_that_breaks_while_the_oldest_events_are_read_is_a_failure_and_watermarks_stay);
    tcase_add_test(tests, an_oldest_event_that_never_comes_costs_no_more_than_the_timeout);
    return ck_hv_run("capture status", tests);
}
