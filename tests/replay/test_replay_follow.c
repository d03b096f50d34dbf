/*
 * From the archive onto the live hub. The scripted source and the vault hold the same events; a script, called between any two
 * steps of the replay, plays producers, the archiver and retention.
 */
#include <stdio.h>

#include "common/clock.h"
#include "replay/replay.h"
#include "source/source_drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static vault_builder vault;
static hv_source *source;
static keeping_sink sink;
static kept_events all;                 /* everything that was ever appended, in that order */
static int64_t started_ms;

static void
open_all(void)
{
    vault_open(&vault);
    ck_hv_ok(hv_source_scripted_open(&source, &err));
    sink = keeping_sink_make();
    all = (kept_events){.items = NULL};
    started_ms = hv_clock_boot_ms();
}

static void
close_all(void)
{
    kept_clear(&all);
    keeping_sink_clear(&sink);
    hv_source_close(source);
    vault_close(&vault);
}

static void
create(const char *hub, int32_t partitions, uint32_t incarnation, const char *identity, bool claim)
{
    hv_scripted_hub(source, hub, partitions, identity);
    if (claim)
        vault_incarnation(&vault, hub, incarnation, identity);
}

static void
append(const char *hub, uint32_t incarnation, int32_t number, int64_t timestamp_ms)
{
    hv_partition partition = vault_partition(hub, incarnation, number);
    char text[400];

    (void)snprintf(text, sizeof text, "%s %u %d %zu", hub, incarnation, number, all.count);
    hv_event event = {.timestamp_ms = timestamp_ms, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text(text)};
    event.offset = hv_scripted_append(source, hub, number, &event);
    kept_add(&all, &partition, &event, NULL);
}

static void
append_many(const char *hub, int32_t number, int count)
{
    for (int i = 0; i < count; i++)
        append(hub, 1, number, 1000 + i);
}

/* What the archiver does: everything appended so far becomes a cut. */
static void
seal(const char *hub, uint32_t incarnation, int32_t number)
{
    hv_partition partition = vault_partition(hub, incarnation, number);
    int64_t position;
    bool any = false;

    ck_hv_ok(hv_index_position(vault.index, &partition, &position, &err));
    for (size_t i = 0; i < all.count; i++)
        if (hv_partition_compare(&all.items[i].partition, &partition) == 0 && all.items[i].event.offset >= position) {
            vault_add(&vault, &partition, &all.items[i].event, NULL);
            any = true;
        }
    if (any)
        vault_seal(&vault, &partition, &(vault_seal_config){.events_per_block = 4});
}

/* ---- running ---- */

typedef struct play {
    void (*script)(void);               /* called again and again */
    size_t stop_at;                     /* stop when so many events have come */
    bool fake_clock;                    /* time stands still unless the script moves fake_ms */
    int lost_calls;
    hv_gap lost;
} play;

static int64_t fake_ms;

static int64_t
read_fake_clock(void)
{
    return fake_ms;
}

static bool
play_on(void *arg)
{
    play *now = arg;

    if (now->script != NULL)
        now->script();
    return sink.events.count >= now->stop_at
           || hv_clock_boot_ms() - started_ms > 10000;
}

static void
note_lost(void *arg, const hv_partition *partition, const hv_gap *gap)
{
    play *now = arg;

    (void)partition;
    now->lost_calls++;
    now->lost = *gap;
}

static const char *const orders_only[] = {"orders"};
static const char *const any_hub[] = {"*"};

static hv_replay *
open_follow(play *now, const hv_replay_request *request)
{
    hv_replay_config config = {.index = vault.index, .storage = vault.storage, .vault = TEST_VAULT, .threads = 1,
                               .patience_ms = 300,
                               .discovery_ms = 30, .now_ms = now->fake_clock ? read_fake_clock : NULL,
                               .observer = {.arg = now, .stopped = play_on, .lost = note_lost}};
    hv_replay *replay = NULL;

    ck_hv_ok(hv_replay_open(&config, request, &replay, &err));
    return replay;
}

static hv_rc
follow(play *now, const hv_replay_request *request)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(now, request);

    return hv_replay_follow(replay, &source, 1, &sink.base, &err);
}

static hv_replay_request
request_of(const char *const *hubs)
{
    return (hv_replay_request){.hubs = hubs, .hub_count = 1, .follow = true};
}

/* Each event that was appended came once, those of a partition in order. */
static void
expect_everything(void)
{
    bool *seen = calloc(all.count + 1, sizeof *seen);

    ck_assert_ptr_nonnull(seen);
    for (size_t i = 0; i < sink.events.count; i++) {
        const kept_event *got = &sink.events.items[i];
        size_t at = 0;
        while (at < all.count && (hv_partition_compare(&all.items[at].partition, &got->partition) != 0
                                  || all.items[at].event.offset != got->event.offset))
            at++;
        ck_assert_msg(at < all.count, "%s/%u/%d %lld was never appended", got->partition.hub, got->partition.incarnation,
                      got->partition.number, (long long)got->event.offset);
        ck_assert_msg(!seen[at], "%s/%u/%d %lld came twice", got->partition.hub, got->partition.incarnation, got->partition.number,
                      (long long)got->event.offset);
        ck_assert(hv_event_equal(&all.items[at].event, &got->event));
        for (size_t before = 0; before < at; before++)
            ck_assert(seen[before] || hv_partition_compare(&all.items[before].partition, &got->partition) != 0);
        seen[at] = true;
    }
    ck_assert_uint_eq(sink.events.count, all.count);
    free(seen);
}

START_TEST(live_events_follow_the_archive_without_gap_or_duplicate)
{
    create("orders", 2, 1, "id", true);
    append_many("orders", 0, 10);
    append_many("orders", 1, 7);
    seal("orders", 1, 0);
    append_many("orders", 0, 5);        /* not captured yet */
    play now = {.stop_at = 22};
    hv_replay_request request = request_of(orders_only);
    ck_hv_ok(follow(&now, &request));
    expect_everything();
    ck_assert_int_eq(sink.ends, 1);
}
END_TEST

static void
append_and_seal_at_the_seam(void)
{
    static size_t done;

    if (sink.events.count == 5 && done < 5) {   /* while the archive is read */
        append_many("orders", 0, 5);
        seal("orders", 1, 0);
        done = 5;
    }
    if (sink.events.count == 17 && done < 17) { /* live */
        append_many("orders", 0, 3);
        done = 17;
    }
}

START_TEST(what_is_sealed_while_the_archive_is_read_comes_once)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 12);
    seal("orders", 1, 0);
    play now = {.stop_at = 20, .script = append_and_seal_at_the_seam};
    hv_replay_request request = request_of(orders_only);
    ck_hv_ok(follow(&now, &request));
    expect_everything();
}
END_TEST

static void
expire_then_seal(void)
{
    static bool expired, sealed;

    if (!expired && sink.events.count == 10) {
        append_many("orders", 0, 10);
        hv_scripted_expire(source, "orders", 0, 16);
        expired = true;
    }
    if (expired && !sealed && hv_clock_boot_ms() - started_ms > 150) {
        seal("orders", 1, 0);
        sealed = true;
    }
}

START_TEST(what_the_hub_expired_comes_from_the_archive_once_that_has_it)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 10);
    seal("orders", 1, 0);
    play now = {.stop_at = 20, .script = expire_then_seal};
    hv_replay_request request = request_of(orders_only);
    ck_hv_ok(follow(&now, &request));
    expect_everything();
    ck_assert_int_eq(now.lost_calls, 0);
}
END_TEST

START_TEST(what_neither_hub_nor_archive_has_is_reported_as_lost_and_the_rest_follows)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 10);
    seal("orders", 1, 0);
    append_many("orders", 0, 10);
    hv_scripted_expire(source, "orders", 0, 16);
    play now = {.stop_at = 14};
    hv_replay_request request = request_of(orders_only);
    HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(&now, &request);
    ck_hv_ok(hv_replay_follow(replay, &source, 1, &sink.base, &err));
    ck_assert_int_eq(now.lost_calls, 1);
    ck_assert_int_eq(now.lost.range.first, 10);
    ck_assert_int_eq(now.lost.range.end, 16);
    ck_assert_int_eq(hv_replay_facts_of(replay)->lost_offsets, 6);
    ck_assert_uint_eq(sink.events.count, 14);
    ck_assert_int_eq(sink.events.items[10].event.offset, 16);
}
END_TEST

static void
grow(void)
{
    static int step;

    if (step == 0 && sink.events.count == 3) {
        hv_scripted_hub(source, "orders", 3, "id");
        append("orders", 1, 2, 1);
        step = 1;
    }
    if (step == 1 && sink.events.count == 4) {
        create("account", 1, 1, "other id", true);      /* sorts before the partitions that are there */
        append("account", 1, 0, 1);
        step = 2;
    }
    if (step == 2 && sink.events.count == 5) {
        append("orders", 1, 0, 1);
        append("orders", 1, 2, 1);
        step = 3;
    }
}

START_TEST(new_partitions_and_new_hubs_join_in)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 3);
    play now = {.stop_at = 7, .script = grow};
    hv_replay_request request = request_of(any_hub);
    ck_hv_ok(follow(&now, &request));
    expect_everything();
}
END_TEST

static int64_t
elapsed_ms(void)
{
    return hv_clock_boot_ms() - started_ms;
}

static void
recreate(void)
{
    static int step;

    if (step == 0 && elapsed_ms() > 150) {      /* what was delivered is confirmed by now */
        append_many("orders", 0, 2);    /* the archiver still reads these, we may not */
        seal("orders", 1, 0);
        hv_scripted_delete(source, "orders");
        step = 1;
    }
    if (step == 1 && elapsed_ms() > 350) {
        hv_scripted_hub(source, "orders", 1, "second");
        for (int i = 0; i < 9; i++)
            append("orders", 2, 0, i);
        step = 2;
    }
    if (step == 2 && elapsed_ms() > 500) {
        vault_incarnation(&vault, "orders", 2, "second");
        step = 3;
    }
}

START_TEST(a_hub_that_is_created_again_is_finished_first_and_its_new_life_follows)
{
    create("orders", 1, 1, "first", true);
    append_many("orders", 0, 6);
    play now = {.stop_at = 17, .script = recreate};
    hv_replay_request request = request_of(orders_only);
    ck_hv_ok(follow(&now, &request));
    expect_everything();
}
END_TEST

static void
recreate_without_claim(void)
{
    static bool done;

    if (!done && elapsed_ms() > 150) {
        hv_scripted_hub(source, "orders", 1, "second");
        append("orders", 2, 0, 1);
        done = true;
    }
}

/* A look at the hubs confirms three events; then the hub is another one, and a look comes only when six of its events are out. */
static void
recreate_and_outgrow(void)
{
    static int step;

    if (step == 0 && sink.events.count == 3) {
        fake_ms += 1000;
        step = 1;
    } else if (step == 1 && sink.flushes >= 2) {
        hv_scripted_hub(source, "orders", 1, "second");
        for (int i = 0; i < 9; i++)
            append("orders", 2, 0, i);
        step = 2;
    } else if (step == 2 && sink.events.count == 9) {
        fake_ms += 1000;
        step = 3;
    }
}

START_TEST(events_that_may_be_of_another_life_are_said_so_and_the_cursor_stands_before_them)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    HV_AUTO(hv_cursor_clear) hv_cursor cursor = {.patterns = NULL};
    hv_partition orders = vault_partition("orders", 1, 0);
    play now = {.stop_at = 100, .script = recreate_and_outgrow, .fake_clock = true};
    hv_replay_request request = request_of(orders_only);

    create("orders", 1, 1, "first", true);
    append_many("orders", 0, 3);
    HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(&now, &request);
    ck_hv_fails(HV_GAP, hv_replay_follow(replay, &source, 1, &sink.base, &err));
    ck_assert_msg(strstr(err.msg, "from offset 3 on") != NULL, "%s", err.msg);
    ck_assert_uint_eq(sink.events.count, 9);    /* 3 of the old life, 6 of the new one by mistake */
    ck_assert(hv_replay_facts_of(replay)->flushed);
    ck_hv_ok(hv_replay_cursor(replay, &text, &err));
    ck_hv_ok(hv_cursor_parse(hv_buf_slice(&text), &cursor, &err));
    ck_assert_int_eq(hv_cursor_next(&cursor, &orders, -1), 3);
}
END_TEST

START_TEST(a_new_life_that_no_archiver_claims_ends_the_replay_and_is_never_taken_for_the_old_one)
{
    create("orders", 1, 1, "first", true);
    append_many("orders", 0, 3);
    play now = {.stop_at = 100, .script = recreate_without_claim};
    hv_replay_request request = request_of(orders_only);
    ck_hv_fails(HV_GAP, follow(&now, &request));
    ck_assert_uint_eq(sink.events.count, 3);
    ck_assert_int_eq(sink.ends, 0);
    ck_assert_int_ge(sink.flushes, 1);
}
END_TEST

START_TEST(a_hub_that_was_truncated_below_the_archive_ends_the_replay)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 10);
    seal("orders", 1, 0);
    hv_scripted_truncate(source, "orders", 0, 8);
    play now = {.stop_at = 100};
    hv_replay_request request = request_of(orders_only);
    ck_hv_fails(HV_GAP, follow(&now, &request));
    ck_assert_ptr_nonnull(strstr(err.msg, "truncated"));
    ck_assert_uint_eq(sink.events.count, 10);
}
END_TEST

START_TEST(a_named_hub_that_nobody_captures_is_not_found)
{
    create("orders", 1, 1, "id", false);
    append_many("orders", 0, 3);
    play now = {.stop_at = 100};
    hv_replay_request request = request_of(orders_only);
    ck_hv_fails(HV_NOT_FOUND, follow(&now, &request));
    ck_assert_uint_eq(sink.events.count, 0);
}
END_TEST

START_TEST(a_refused_hub_ends_the_replay)
{
    create("orders", 1, 1, "id", true);
    hv_scripted_trouble(source, "orders", HV_SOURCE_REFUSED);
    play now = {.stop_at = 100};
    hv_replay_request request = request_of(orders_only);
    ck_hv_fails(HV_AUTH, follow(&now, &request));
}
END_TEST

static void
answer_again(void)
{
    if (hv_clock_boot_ms() - started_ms > 300)
        hv_scripted_questions_fail(source, HV_OK);
}

START_TEST(a_source_that_cannot_be_asked_yet_is_asked_again_and_the_archive_comes_meanwhile)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 4);
    seal("orders", 1, 0);
    append_many("orders", 0, 2);
    hv_scripted_questions_fail(source, HV_UNAVAILABLE);
    play now = {.stop_at = 6, .script = answer_again};
    hv_replay_request request = request_of(orders_only);
    ck_hv_ok(follow(&now, &request));
    expect_everything();
}
END_TEST

START_TEST(stopping_anywhere_and_following_on_from_the_cursor_gives_each_event_once)
{
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    hv_replay_request request = request_of(orders_only);

    create("orders", 2, 1, "id", true);
    append_many("orders", 0, 8);
    append_many("orders", 1, 3);
    seal("orders", 1, 0);
    append_many("orders", 0, 4);
    hv_scripted_skip(source, "orders", 0, 2);
    append_many("orders", 0, 2);
    for (size_t stop = (size_t)_i, last = 0; last < 17; stop += 5) {
        last = stop < 17 ? stop : 17;
        play now = {.stop_at = last};
        HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(&now, &request);
        ck_hv_ok(hv_replay_follow(replay, &source, 1, &sink.base, &err));
        ck_assert(hv_replay_facts_of(replay)->flushed);
        hv_buf_clear(&cursor);
        ck_hv_ok(hv_replay_cursor(replay, &cursor, &err));
        request.cursor = hv_buf_slice(&cursor);
    }
    expect_everything();
}
END_TEST

START_TEST(a_limit_counts_live_events_too)
{
    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 4);
    seal("orders", 1, 0);
    append_many("orders", 0, 20);
    play now = {.stop_at = 100};
    hv_replay_request request = request_of(orders_only);
    request.limit = 9;
    HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(&now, &request);
    ck_hv_ok(hv_replay_follow(replay, &source, 1, &sink.base, &err));
    ck_assert_uint_eq(sink.events.count, 9);
    ck_assert_int_eq(hv_replay_facts_of(replay)->live_events, 5);
    ck_assert(!hv_replay_facts_of(replay)->finished);
}
END_TEST

START_TEST(filters_hold_for_live_events_too)
{
    create("orders", 1, 1, "id", true);
    for (int i = 0; i < 30; i++) {
        append("orders", 1, 0, i);
        if (i == 14)
            seal("orders", 1, 0);
    }
    play now = {.stop_at = 20};
    hv_replay_request request = request_of(orders_only);
    request.from_time = (hv_cursor_bound){.set = true, .value = 10};
    ck_hv_ok(follow(&now, &request));
    ck_assert_uint_eq(sink.events.count, 20);
    ck_assert_int_eq(sink.events.items[0].event.offset, 10);
}
END_TEST

START_TEST(a_hub_belongs_to_the_first_source_that_lists_it)
{
    hv_source *second = NULL;
    hv_source *sources[2];
    play now = {.stop_at = 6};
    hv_replay_request request = request_of(any_hub);

    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 4);
    ck_hv_ok(hv_source_scripted_open(&second, &err));
    hv_scripted_hub(second, "orders", 1, "id");
    hv_scripted_hub(second, "sale", 1, "id of sale");
    vault_incarnation(&vault, "sale", 1, "id of sale");
    for (int i = 0; i < 2; i++) {
        hv_partition sale = vault_partition("sale", 1, 0);
        hv_event event = {.timestamp_ms = i, .value = hv_slice_text("x")};
        event.offset = hv_scripted_append(second, "sale", 0, &event);
        kept_add(&all, &sale, &event, NULL);
    }
    sources[0] = source;
    sources[1] = second;
    HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(&now, &request);
    ck_hv_ok(hv_replay_follow(replay, sources, 2, &sink.base, &err));
    expect_everything();
    hv_source_close(second);
}
END_TEST

/* Between any two items of the real source: an event of an earlier assignment, and one that was delivered already. */
typedef struct stale_source {
    hv_source base;
    hv_source *inner;
    hv_source_item last;
    int stale;                          /* how many have been put in since the last real item */
} stale_source;

static hv_rc
poll_with_stale_items(hv_source *base, int timeout_ms, hv_source_item *ret, hv_err *e)
{
    stale_source *stale = (stale_source *)base;

    if (stale->last.kind == HV_SOURCE_EVENT && stale->stale < 2) {
        *ret = stale->last;
        ret->generation -= stale->stale == 0 ? 1 : 0;
        ret->event.offset += stale->stale == 0 ? 3 : 0;
        stale->stale++;
        return HV_OK;
    }
    hv_rc rc = stale->inner->ops->poll(stale->inner, timeout_ms, ret, e);
    stale->last = *ret;
    stale->stale = 0;
    return rc;
}

static hv_rc
stale_hubs(hv_source *base, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *e)
{
    hv_source *inner = ((stale_source *)base)->inner;

    return inner->ops->hubs(inner, timeout_ms, ret, count, e);
}

static hv_rc
stale_assign(hv_source *base, const hv_source_assignment *assignments, size_t count, hv_err *e)
{
    hv_source *inner = ((stale_source *)base)->inner;

    return inner->ops->assign(inner, assignments, count, e);
}

static hv_rc
stale_unassign(hv_source *base, const char *hub, int32_t partition, hv_err *e)
{
    hv_source *inner = ((stale_source *)base)->inner;

    return inner->ops->unassign(inner, hub, partition, e);
}

START_TEST(items_of_an_earlier_assignment_and_repeated_ones_are_ignored)
{
    static const hv_source_ops ops = {.driver = "stale", .hubs = stale_hubs, .assign = stale_assign, .unassign = stale_unassign,
                                      .poll = poll_with_stale_items};
    stale_source stale = {.base = {.ops = &ops}, .inner = source};
    hv_source *sources[] = {&stale.base};
    play now = {.stop_at = 12};
    hv_replay_request request = request_of(orders_only);

    create("orders", 1, 1, "id", true);
    append_many("orders", 0, 12);
    HV_AUTO(hv_replay_close) hv_replay *replay = open_follow(&now, &request);
    ck_hv_ok(hv_replay_follow(replay, sources, 1, &sink.base, &err));
    expect_everything();
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_follow");

    tcase_add_checked_fixture(tests, open_all, close_all);
    tcase_add_test(tests, live_events_follow_the_archive_without_gap_or_duplicate);
    tcase_add_test(tests, what_is_sealed_while_the_archive_is_read_comes_once);
    tcase_add_test(tests, what_the_hub_expired_comes_from_the_archive_once_that_has_it);
    tcase_add_test(tests, what_neither_hub_nor_archive_has_is_reported_as_lost_and_the_rest_follows);
    tcase_add_test(tests, new_partitions_and_new_hubs_join_in);
    tcase_add_test(tests, a_hub_that_is_created_again_is_finished_first_and_its_new_life_follows);
    tcase_add_test(tests, events_that_may_be_of_another_life_are_said_so_and_the_cursor_stands_before_them);
    tcase_add_test(tests, a_new_life_that_no_archiver_claims_ends_the_replay_and_is_never_taken_for_the_old_one);
    tcase_add_test(tests, a_hub_that_was_truncated_below_the_archive_ends_the_replay);
    tcase_add_test(tests, a_named_hub_that_nobody_captures_is_not_found);
    tcase_add_test(tests, a_refused_hub_ends_the_replay);
    tcase_add_test(tests, a_source_that_cannot_be_asked_yet_is_asked_again_and_the_archive_comes_meanwhile);
    tcase_add_loop_test(tests, stopping_anywhere_and_following_on_from_the_cursor_gives_each_event_once, 1, 6);
    tcase_add_test(tests, a_limit_counts_live_events_too);
    tcase_add_test(tests, filters_hold_for_live_events_too);
    tcase_add_test(tests, items_of_an_earlier_assignment_and_repeated_ones_are_ignored);
    tcase_add_test(tests, a_hub_belongs_to_the_first_source_that_lists_it);
    return ck_hv_run("replay_follow", tests);
}
