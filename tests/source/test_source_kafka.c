/* What the Kafka driver adds to the contract: moves under load, errors of the broker, damage on the way, discovery, commits,
 * stalls. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "source/source_kafka.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"
#include "tests/harness/scratch_dir.h"
#include "tests/source/broker_proxy.h"

enum { PATIENCE_MS = 60000 };

static hv_err err;
static hv_source *source;
static mock_broker *broker;
static broker_proxy *proxy;
static scratch_dir dir;
static char secret_file[400];

static void
start(void)
{
    broker = mock_broker_start(1);
    proxy = broker_proxy_start(mock_broker_bootstrap(broker));
    dir = scratch_dir_make();
    (void)snprintf(secret_file, sizeof secret_file, "%s/secret", dir.path);
}

static void
stop(void)
{
    hv_source_close(source);
    broker_proxy_stop(proxy);
    mock_broker_stop(broker);
    scratch_dir_remove(&dir);
}

static void
open_with(hv_kafka_config config)
{
    config.bootstrap = broker_proxy_address(proxy);
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
}

static void
open_plain(void)
{
    open_with((hv_kafka_config){0});
}

static void
assign(int32_t partition, int64_t offset, uint64_t generation)
{
    hv_source_assignment wanted = {.hub = "h", .partition = partition, .offset = offset, .tag = (char *)&source + partition,
                                   .generation = generation};

    ck_hv_ok(source->ops->assign(source, &wanted, 1, &err));
}

/* The next item that is something; `troubles`, unless NULL, counts the troubles on the way. */
static const hv_source_item *
next_item(int *troubles)
{
    static hv_source_item item;
    int64_t until = hv_clock_boot_ms() + PATIENCE_MS;

    for (;;) {
        ck_hv_ok(source->ops->poll(source, 500, &item, &err));
        if (item.kind == HV_SOURCE_TROUBLE && troubles != NULL)
            ++*troubles;
        else if (item.kind != HV_SOURCE_NOTHING && item.kind != HV_SOURCE_TROUBLE)
            return &item;
        ck_assert_msg(hv_clock_boot_ms() < until, "nothing came");
    }
}

static void
expect_event(int64_t offset)
{
    const hv_source_item *item = next_item(NULL);

    ck_assert_msg(item->kind == HV_SOURCE_EVENT, "kind %d: %s", (int)item->kind, item->err.msg);
    ck_assert_int_eq(item->event.offset, offset);
}

static void
expect_kind(hv_source_kind kind, uint64_t generation)
{
    const hv_source_item *item = next_item(NULL);

    ck_assert_msg(item->kind == kind, "kind %d, not %d: %s", (int)item->kind, (int)kind,
                  item->kind > HV_SOURCE_END ? item->err.msg : "");
    ck_assert_uint_eq(item->generation, generation);
}

static void
expect_silence(int ms)
{
    hv_source_item item;
    int64_t until = hv_clock_boot_ms() + ms;

    while (hv_clock_boot_ms() < until) {
        ck_hv_ok(source->ops->poll(source, 50, &item, &err));
        ck_assert_int_eq(item.kind, HV_SOURCE_NOTHING);
    }
}

/* Reads everything up to `end`, in order from `first` on. */
static void
expect_all(int64_t first, int64_t end, int *troubles)
{
    for (int64_t offset = first; offset < end;) {
        const hv_source_item *item = next_item(troubles);
        if (item->kind == HV_SOURCE_END)
            continue;
        ck_assert_int_eq(item->kind, HV_SOURCE_EVENT);
        ck_assert_int_eq(item->event.offset, offset++);
    }
}

/* ---- moves ---- */

START_TEST(partitions_moved_at_random_under_load_never_deliver_anything_old)
{
    enum { PARTITIONS = 4, EVENTS = 3000, MOVES = 300 };
    static struct { uint64_t generation; int64_t next; } want[PARTITIONS];
    unsigned seed = 4711;
    long delivered = 0;

    open_with((hv_kafka_config){.queue_bytes = 4 << 20});
    mock_broker_topic(broker, "h", PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++)
        mock_broker_fill(broker, "h", p, EVENTS, 100);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assign(p, 0, 0);
    for (int moves = 0; moves < MOVES;) {
        const hv_source_item *item = next_item(NULL);
        long p = (char *)item->tag - (char *)&source;
        ck_assert_uint_eq(item->generation, want[p].generation);
        if (item->kind == HV_SOURCE_EVENT)
            ck_assert_int_eq(item->event.offset, want[p].next++);
        else
            ck_assert_int_eq(item->kind, HV_SOURCE_END);
        if (item->kind == HV_SOURCE_EVENT && ++delivered % 37 != 0)
            continue;
        int32_t moved = rand_r(&seed) % PARTITIONS;
        want[moved].generation++;
        want[moved].next = rand_r(&seed) % EVENTS;
        assign(moved, want[moved].next, want[moved].generation);
        moves++;
        if (moves % 10 == 0)
            usleep((useconds_t)(rand_r(&seed) % 20000));    /* let fetches of the old place arrive */
    }
    ck_assert_int_gt(delivered, MOVES);
}
END_TEST

START_TEST(an_out_of_range_error_of_an_earlier_assignment_neither_shows_nor_stops_the_new_one)
{
    unsigned seed = 99;

    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 50, 10);
    assign(0, 0, 0);
    expect_event(0);
    for (uint64_t round = 1; round < 60; round++) {
        int64_t place = rand_r(&seed) % 40;
        assign(0, 100000 + (int64_t)round, 2 * round);
        if (round % 3 != 0)
            usleep((useconds_t)(rand_r(&seed) % 4000));     /* from "not fetched yet" to "the error waits in the queue" */
        assign(0, place, 2 * round + 1);
        const hv_source_item *item = next_item(NULL);
        ck_assert_msg(item->kind == HV_SOURCE_EVENT, "round %d: %s", (int)round, item->err.msg);
        ck_assert_int_eq(item->event.offset, place);
        ck_assert_uint_eq(item->generation, 2 * round + 1);
    }
}
END_TEST

/* Hands the driver an error or record as librdkafka would; for what it does at moments that cannot be hit from outside. */
static bool
inject(rd_kafka_resp_err_t code, int64_t offset, hv_source_item *item)
{
    static char text[] = "injected";
    hv_kafka *k = (hv_kafka *)source;
    rd_kafka_message_t message = {.err = code, .rkt = hv_kafka_find_hub(k, "h")->topic, .offset = offset, .payload = text,
                                  .len = sizeof text - 1};

    ck_assert_ptr_null(k->poll.current);
    bool made = hv_kafka_make_item(k, &message, item, &err);
    k->poll.current = NULL;             /* not made by librdkafka, so not to be freed by it */
    return made;
}

START_TEST(an_out_of_range_error_counts_for_the_present_position_only_but_always_starts_reading_again)
{
    hv_source_item item;

    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 50, 10);
    assign(0, 20, 1);
    ck_assert(!inject(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 100000, &item));
    ck_assert_int_eq(hv_kafka_find_entry((hv_kafka *)source, "h", 0)->state, HV_KAFKA_WAITING);
    expect_all(20, 50, NULL);
    expect_kind(HV_SOURCE_END, 1);
    ck_assert_int_eq(source->ops->poll(source, 0, &item, &err), HV_OK);
    ck_assert(inject(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 50, &item));
    ck_assert_int_eq(item.kind, HV_SOURCE_OUT_OF_RANGE);
    ck_assert_uint_eq(item.generation, 1);
    ck_assert(!inject(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 50, &item));    /* told once */
}
END_TEST

START_TEST(what_librdkafka_would_pass_over_is_read_again_and_nothing_behind_it_is_delivered_before)
{
    static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR__BAD_COMPRESSION,
                                                RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
    hv_source_item item;

    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 50, 10);
    assign(0, 0, 1);
    expect_all(0, 10, NULL);
    ck_assert_int_eq(source->ops->poll(source, 0, &item, &err), HV_OK);     /* event 10, or nothing yet */
    int64_t next = item.kind == HV_SOURCE_EVENT ? 11 : 10;
    hv_kafka *k = (hv_kafka *)source;
    rd_kafka_message_t *lent = k->poll.current;
    k->poll.current = NULL;
    ck_assert(inject(codes[_i], 12, &item));
    ck_assert_int_eq(item.kind, HV_SOURCE_TROUBLE);
    ck_assert_ptr_eq(item.tag, &source);
    ck_assert(!inject(RD_KAFKA_RESP_ERR__PARTITION_EOF, 50, &item));
    ck_assert_int_eq(atomic_load(&hv_kafka_find_entry(k, "h", 0)->next), next);
    k->poll.current = lent;
    expect_all(next, 50, NULL);
}
END_TEST

START_TEST(a_new_connection_goes_on_where_the_old_one_was)
{
    open_plain();
    mock_broker_topic(broker, "h", 2);
    mock_broker_fill(broker, "h", 0, 2000, 100);
    assign(1, 7, 1);
    expect_kind(HV_SOURCE_OUT_OF_RANGE, 1);     /* partition 1 is empty: it has to stay silent */
    assign(0, 0, 1);
    for (int64_t offset = 0; offset < 2000; offset++) {
        if (offset % 300 == 100)        /* what the watch thread does */
            atomic_store(&((hv_kafka *)source)->reconnect, true);
        expect_event(offset);
    }
    expect_kind(HV_SOURCE_END, 1);
    expect_silence(300);
}
END_TEST

START_TEST(a_queue_that_is_full_again_and_again_does_not_cost_speed)
{
    enum { PARTITIONS = 4, EVENTS = 4500 };
    int64_t next[PARTITIONS] = {0};

    open_with((hv_kafka_config){.queue_bytes = 4 << 20});   /* 1 MiB of values: it fills up a dozen times */
    mock_broker_topic(broker, "h", PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        mock_broker_fill(broker, "h", p, EVENTS, 1000);
        assign(p, 0, 1);
    }
    usleep(300000);                     /* the queue is full now and the fetch thread asleep, before 2.2.0 for a second */
    int64_t before = hv_clock_boot_ms();
    for (int ends = 0; ends < PARTITIONS;) {
        const hv_source_item *item = next_item(NULL);
        long p = (char *)item->tag - (char *)&source;
        ends += item->kind == HV_SOURCE_END;
        if (item->kind == HV_SOURCE_EVENT)
            ck_assert_int_eq(item->event.offset, next[p]++);
    }
    ck_assert_int_lt(hv_clock_boot_ms() - before, 5000);
}
END_TEST

/* ---- the log moves ---- */

START_TEST(an_expired_position_is_out_of_range_and_the_low_watermark_can_be_read)
{
    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 800, 10000);           /* the mock broker keeps 5 MiB */
    assign(0, 0, 1);
    expect_kind(HV_SOURCE_OUT_OF_RANGE, 1);
    hv_source_watermarks asked = {.hub = "h"};
    ck_hv_ok(source->ops->watermarks(source, &asked, 1, PATIENCE_MS, &err));
    ck_assert_int_eq(asked.high, 800);
    ck_assert_int_gt(asked.low, 0);
    assign(0, asked.low, 2);
    expect_all(asked.low, 800, NULL);
    expect_kind(HV_SOURCE_END, 2);
}
END_TEST

/* ---- errors of the broker ---- */

START_TEST(a_broker_that_goes_down_is_trouble_with_its_name_and_nothing_is_lost_when_it_is_back)
{
    hv_source_item item = {.kind = HV_SOURCE_NOTHING};
    hv_kafka_config config = {.bootstrap = mock_broker_bootstrap(broker)};

    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 100, 10);
    assign(0, 0, 1);
    expect_all(0, 100, NULL);
    mock_broker_set_up(broker, 1, false);
    for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; item.kind != HV_SOURCE_TROUBLE && hv_clock_boot_ms() < until;)
        ck_hv_ok(source->ops->poll(source, 500, &item, &err));
    ck_assert_int_eq(item.kind, HV_SOURCE_TROUBLE);
    ck_assert_int_eq(item.err.rc, HV_UNAVAILABLE);
    ck_assert_msg(strstr(item.err.msg, mock_broker_bootstrap(broker)) != NULL ||
                  strstr(item.err.msg, "brokers are down") != NULL, "%s", item.err.msg);
    hv_source_watermarks asked = {.hub = "h"};
    ck_hv_fails(HV_UNAVAILABLE, source->ops->watermarks(source, &asked, 1, 300, &err));
    ck_assert_int_eq(asked.rc, HV_UNAVAILABLE);
    mock_broker_set_up(broker, 1, true);
    mock_broker_fill(broker, "h", 0, 50, 10);
    expect_all(100, 150, NULL);
}
END_TEST

START_TEST(errors_that_pass_cost_no_event)
{
    static const rd_kafka_resp_err_t passing[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_UNKNOWN,
        RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
    };

    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 20, 10);
    mock_broker_push_errors(broker, MOCK_FETCH, 2, passing[_i]);
    assign(0, 0, 1);
    expect_all(0, 20, NULL);
    mock_broker_push_errors(broker, MOCK_FETCH, 1, passing[_i]);
    mock_broker_fill(broker, "h", 0, 20, 10);
    expect_all(20, 40, NULL);
}
END_TEST

START_TEST(a_missing_right_is_told_for_its_partition_and_reading_goes_on_when_it_is_there)
{
    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 3, 10);
    mock_broker_push_errors(broker, MOCK_FETCH, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assign(0, 0, 6);
    const hv_source_item *item = next_item(NULL);
    ck_assert_int_eq(item->kind, HV_SOURCE_REFUSED);
    ck_assert_ptr_eq(item->tag, &source);
    ck_assert_uint_eq(item->generation, 6);
    ck_assert_int_eq(item->err.rc, HV_AUTH);
    ck_assert_ptr_nonnull(strstr(item->err.msg, "partition 0 of hub 'h'"));
    expect_all(0, 3, NULL);
}
END_TEST

START_TEST(a_hub_that_vanishes_is_gone_once_and_stays_silent_until_assigned_anew)
{
    open_with((hv_kafka_config){.extra = (const char *const[]){"topic.metadata.refresh.interval.ms", "200"}, .extra_count = 2});
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 5, 10);
    assign(0, 0, 3);
    expect_all(0, 5, NULL);
    expect_kind(HV_SOURCE_END, 3);
    mock_broker_topic_error(broker, "h", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    expect_kind(HV_SOURCE_GONE, 3);
    mock_broker_topic_error(broker, "h", RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_fill(broker, "h", 0, 5, 10);
    expect_silence(1500);
    assign(0, 5, 4);
    expect_all(5, 10, NULL);
}
END_TEST

START_TEST(closing_does_not_wait_for_a_connection_that_never_ends)
{
    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 5, 10);
    assign(0, 0, 1);
    expect_event(0);
    hv_kafka *k = (hv_kafka *)source;
    rd_kafka_t *rk = k->locked.conn->rk;
    rd_kafka_message_t *held = rd_kafka_consumer_poll(rk, 5000);    /* as good as librdkafka's own leak: it keeps a broker thread */
    ck_assert_ptr_nonnull(held);
    int64_t before = hv_clock_boot_ms();
    hv_source_close(source);
    source = NULL;
    ck_assert_int_ge(hv_clock_boot_ms() - before, 1900);
    ck_assert_int_lt(hv_clock_boot_ms() - before, 6000);
    rd_kafka_message_destroy(held);
}
END_TEST

/* ---- damage on the way ---- */

START_TEST(a_batch_whose_checksum_fails_is_read_again_and_never_passed_over)
{
    int troubles = 0;

    open_plain();
    mock_broker_topic(broker, "h", 1);
    for (int i = 0; i < 30; i++) {                          /* one batch each */
        hv_event event = {.timestamp_ms = 1, .value = hv_slice_text(i == 11 ? "a victim" : "another")};
        mock_broker_produce(broker, "h", 0, &event);
        (void)mock_broker_flush(broker);
    }
    broker_proxy_damage(proxy, "victim", 2);
    assign(0, 0, 1);
    expect_all(0, 30, &troubles);
    ck_assert_int_eq(broker_proxy_damaged(proxy), 2);
    ck_assert_int_ge(troubles, 2);
}
END_TEST

/* ---- what is asked, and what is not ---- */

START_TEST(no_group_is_joined_and_no_offsets_are_asked_for)
{
    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 5, 10);
    assign(0, 0, 1);
    expect_all(0, 5, NULL);
    expect_kind(HV_SOURCE_END, 1);
    expect_silence(1000);
    ck_assert_int_gt(broker_proxy_count(proxy, MOCK_FETCH), 0);
    ck_assert_int_eq(broker_proxy_count(proxy, MOCK_JOIN_GROUP), 0);
    ck_assert_int_eq(broker_proxy_count(proxy, 9), 0);      /* OffsetFetch */
    ck_assert_int_eq(broker_proxy_count(proxy, MOCK_LIST_OFFSETS), 0);
    ck_assert_int_eq(broker_proxy_count(proxy, MOCK_OFFSET_COMMIT), 0);
}
END_TEST

static hv_source_hub *hubs;
static size_t hub_count;

static void
ask_hubs(void)
{
    free(hubs);
    hubs = NULL;
    ck_hv_ok(source->ops->hubs(source, PATIENCE_MS, &hubs, &hub_count, &err));
}

static void
make_topics(void)
{
    static const char *const names[] = {"orders", "orders-dlq", "payments", "__consumer_offsets", "__transaction_state", "temp1",
                                        "temp2"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        mock_broker_topic(broker, names[i], (int)i + 1);
}

START_TEST(globs_choose_hubs_and_internal_topics_never_count)
{
    open_with((hv_kafka_config){.include = (const char *const[]){"o*", "*[12]", "__*"}, .include_count = 3,
                                .exclude = (const char *const[]){"*-dlq", "temp2"}, .exclude_count = 2});
    make_topics();
    ask_hubs();
    ck_assert_uint_eq(hub_count, 2);
    ck_assert_str_eq(hubs[0].name, "orders");
    ck_assert_int_eq(hubs[0].partitions, 1);
    ck_assert_str_eq(hubs[1].name, "temp1");
    ck_assert_int_eq(hubs[1].partitions, 6);
    ck_assert_int_gt(broker_proxy_all_topics(proxy), 0);    /* so that the next test can trust this counter */
    free(hubs);
}
END_TEST

START_TEST(a_static_list_never_asks_for_all_topics_and_tells_what_is_missing)
{
    open_with((hv_kafka_config){.hubs = (const char *const[]){"payments", "nowhere", "orders"}, .hub_count = 3});
    make_topics();
    mock_broker_topic(broker, "nowhere", 1);
    mock_broker_topic_error(broker, "nowhere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    hv_source_assignment wanted = {.hub = "orders", .partition = 0, .offset = 0};
    ck_hv_ok(source->ops->assign(source, &wanted, 1, &err));
    ask_hubs();
    ck_assert_uint_eq(hub_count, 3);
    ck_assert_str_eq(hubs[0].name, "payments");
    ck_assert_int_eq(hubs[0].partitions, 3);
    ck_assert_str_eq(hubs[1].name, "nowhere");
    ck_assert_int_eq(hubs[1].partitions, 0);
    ck_assert_int_eq(hubs[2].partitions, 1);
    expect_kind(HV_SOURCE_END, 0);
    ck_assert_int_gt(broker_proxy_count(proxy, MOCK_METADATA), 0);
    ck_assert_int_eq(broker_proxy_all_topics(proxy), 0);
    free(hubs);
}
END_TEST

START_TEST(a_policy_that_the_broker_does_not_tell_is_unknown)
{
    hv_source_hub_policy policy = {.cleanup = HV_SOURCE_CLEANUP_COMPACT, .retention_ms = 5};

    open_plain();
    mock_broker_topic(broker, "h", 1);
    ck_hv_ok(source->ops->hub_policy(source, "h", PATIENCE_MS, &policy, &err));     /* the mock broker has no DescribeConfigs */
    ck_assert_int_eq(policy.cleanup, HV_SOURCE_CLEANUP_UNKNOWN);
    ck_assert_int_eq(policy.retention_ms, -1);
}
END_TEST

static void *
ask_all_the_time(void *arg)
{
    _Atomic bool *done = arg;
    int answers = 0;

    while (!atomic_load(done) || answers == 0) {
        hv_err mine;
        int64_t low, high;
        hv_source_hub *found = NULL;
        size_t count;
        hv_source_watermarks asked[4] = {{.hub = "h"}, {.hub = "h", .partition = 1}, {.hub = "h", .partition = 2}, {.hub = "x"}};
        answers += source->ops->watermarks(source, asked, 4, 5000, &mine) == HV_OK && asked[0].high == 500;
        if (source->ops->hubs(source, 5000, &found, &count, &mine) == HV_OK)
            free(found);
        (void)source->ops->known_watermarks(source, "h", 0, &low, &high);
    }
    return NULL;
}

START_TEST(questions_from_other_threads_survive_new_connections)
{
    open_plain();
    mock_broker_topic(broker, "h", 4);
    mock_broker_fill(broker, "h", 0, 500, 10);
    assign(0, 0, 1);
    pthread_t threads[3];
    _Atomic bool done = false;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_all_the_time, &done), 0);
    for (int64_t offset = 0; offset < 500; offset++) {
        if (offset % 100 == 50)
            atomic_store(&((hv_kafka *)source)->reconnect, true);
        expect_event(offset);
    }
    atomic_store(&done, true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

/* ---- commits ---- */

static int64_t
committed_offset(const char *group)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)rd_kafka_conf_set(conf, "bootstrap.servers", mock_broker_bootstrap(broker), text, sizeof text);
    (void)rd_kafka_conf_set(conf, "group.id", group, text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    ck_assert_ptr_nonnull(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "h", 0);
    ck_assert_int_eq(rd_kafka_committed(rk, list, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}

START_TEST(the_last_commit_reaches_the_group_at_the_latest_when_the_source_is_closed)
{
    open_with((hv_kafka_config){.group = "courtesy"});
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 5, 10);
    assign(0, 0, 1);
    expect_all(0, 5, NULL);
    for (int64_t next = 1; next <= 4; next++)
        source->ops->commit(source, "h", 0, next);
    expect_kind(HV_SOURCE_END, 1);
    expect_silence(300);
    source->ops->commit(source, "h", 0, 5);
    hv_source_close(source);
    source = NULL;
    ck_assert_int_eq(committed_offset("courtesy"), 5);
    ck_assert_int_le(broker_proxy_count(proxy, MOCK_OFFSET_COMMIT), 2);     /* collected, not one by one */
    ck_assert_int_eq(broker_proxy_count(proxy, MOCK_JOIN_GROUP), 0);
}
END_TEST

START_TEST(an_empty_group_name_means_no_commits)
{
    open_with((hv_kafka_config){.group = ""});
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 5, 10);
    assign(0, 0, 1);
    expect_all(0, 5, NULL);
    source->ops->commit(source, "h", 0, 5);
    expect_kind(HV_SOURCE_END, 1);
    expect_silence(200);
    hv_source_close(source);
    source = NULL;
    ck_assert_int_eq(broker_proxy_count(proxy, MOCK_OFFSET_COMMIT), 0);
}
END_TEST

START_TEST(a_commit_that_finds_no_coordinator_does_not_keep_new_partitions_waiting)
{
    mock_broker_push_errors(broker, MOCK_FIND_COORDINATOR, 1000, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    open_plain();
    mock_broker_topic(broker, "h", 2);
    mock_broker_fill(broker, "h", 0, 1, 10);
    mock_broker_fill(broker, "h", 1, 1, 10);
    assign(0, 0, 1);
    expect_event(0);
    source->ops->commit(source, "h", 0, 1);
    expect_kind(HV_SOURCE_END, 1);
    expect_silence(500);
    int64_t before = hv_clock_boot_ms();
    assign(1, 0, 2);
    expect_event(0);
    ck_assert_int_lt(hv_clock_boot_ms() - before, 5000);
}
END_TEST

/* Until so many things wait in librdkafka's queue, and nobody takes any. */
static void
await_queue(rd_kafka_queue_t *queue, size_t length)
{
    for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; rd_kafka_queue_length(queue) < length; usleep(1000))
        ck_assert_msg(hv_clock_boot_ms() < until, "only %zu came", rd_kafka_queue_length(queue));
}

/* ---- stalls ---- */

START_TEST(fetching_that_has_stalled_is_noticed_and_goes_on_over_a_new_connection)
{
    hv_source_item item = {.kind = HV_SOURCE_NOTHING};

    open_with((hv_kafka_config){.stall_ms = 400});
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 10, 10);
    assign(0, 0, 1);
    expect_all(0, 10, NULL);
    expect_kind(HV_SOURCE_END, 1);
    expect_silence(1500);                                   /* idle is no stall */
    broker_proxy_swallow(proxy, MOCK_FETCH);
    mock_broker_fill(broker, "h", 0, 10, 10);
    for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; item.kind != HV_SOURCE_TROUBLE && hv_clock_boot_ms() < until;)
        ck_hv_ok(source->ops->poll(source, 200, &item, &err));
    ck_assert_int_eq(item.kind, HV_SOURCE_TROUBLE);
    ck_assert_ptr_nonnull(strstr(item.err.msg, "stalled"));
    broker_proxy_swallow(proxy, -1);
    expect_all(10, 20, NULL);
}
END_TEST

START_TEST(a_reader_that_does_not_poll_is_not_taken_for_a_stall)
{
    open_with((hv_kafka_config){.stall_ms = 200});
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 100, 10);
    assign(0, 0, 1);
    expect_event(0);
    usleep(1500000);
    ck_assert(!atomic_load(&((hv_kafka *)source)->reconnect));
    int troubles = 0;
    expect_all(1, 100, &troubles);
    ck_assert_int_eq(troubles, 0);
}
END_TEST

/* librdkafka tells it only when it learns the number of partitions anew. */
START_TEST(a_partition_that_a_known_hub_does_not_have_is_gone_and_nothing_is_connected_anew_for_it)
{
    int troubles = 0;

    open_with((hv_kafka_config){.stall_ms = 400});
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 10, 10);
    assign(0, 0, 1);
    expect_all(0, 10, NULL);
    expect_kind(HV_SOURCE_END, 1);
    assign(7, 0, 2);
    const hv_source_item *item = next_item(&troubles);
    ck_assert_msg(item->kind == HV_SOURCE_GONE, "kind %d: %s", (int)item->kind, item->err.msg);
    ck_assert_uint_eq(item->generation, 2);
    ck_assert_ptr_nonnull(strstr(item->err.msg, "partition 7 of hub 'h'"));
    ck_assert_int_eq(troubles, 0);
    mock_broker_fill(broker, "h", 0, 10, 10);
    expect_all(10, 20, NULL);
    expect_kind(HV_SOURCE_END, 1);                          /* it is told once */
}
END_TEST

/* librdkafka calls back for the error while it fills a batch, and loses the next record if the callback asks it to yield there. */
START_TEST(an_error_in_front_of_events_in_the_queue_costs_none_of_them)
{
    enum { PER_PARTITION = 2 };                             /* librdkafka's own marks of a new assignment */

    open_plain();
    mock_broker_topic(broker, "h", 1);
    mock_broker_fill(broker, "h", 0, 10, 10);
    rd_kafka_queue_t *queue = ((hv_kafka *)source)->locked.conn->queue;
    broker_proxy_hold(proxy, MOCK_METADATA);                /* it tells of partition 7 only if it was wanted before the hub was known */
    assign(7, 0, 2);
    assign(0, 0, 1);
    broker_proxy_hold(proxy, -1);
    await_queue(queue, 2 * PER_PARTITION + 1 + 10);
    for (int next = 0, gone = 0; next < 10 || gone == 0;) {
        const hv_source_item *item = next_item(NULL);
        gone += item->kind == HV_SOURCE_GONE;
        if (item->kind == HV_SOURCE_EVENT)
            ck_assert_int_eq(item->event.offset, next++);
        else
            ck_assert(item->kind == HV_SOURCE_GONE || item->kind == HV_SOURCE_END);
    }
}
END_TEST

/* ---- credentials and configuration ---- */

static void
write_secret(const char *text)
{
    FILE *file = fopen(secret_file, "w");

    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void
open_with_password(void)
{
    write_secret("pass/w0rd=");
    hv_kafka_config config = {.bootstrap = "127.0.0.1:1", .auth = HV_KAFKA_AUTH_PLAIN, .user = "u", .password_file = secret_file};
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
}

START_TEST(a_secret_in_librdkafkas_words_does_not_reach_anybody)
{
    hv_source_item item;

    open_with_password();
    hv_kafka *k = (hv_kafka *)source;
    hv_kafka_on_error(k->locked.conn->rk, RD_KAFKA_RESP_ERR__AUTHENTICATION, "login with pass/w0rd= failed, pass/w0rd=", k->owner);
    ck_hv_ok(source->ops->poll(source, 1000, &item, &err));
    ck_assert_int_eq(item.kind, HV_SOURCE_REFUSED);
    ck_assert_int_eq(item.err.rc, HV_AUTH);
    ck_assert_ptr_null(item.tag);
    ck_assert_ptr_null(strstr(item.err.msg, "w0rd"));
    ck_assert_ptr_nonnull(strstr(item.err.msg, "login with **********"));
}
END_TEST

START_TEST(a_password_changed_in_its_file_is_taken_over_on_demand_and_a_file_that_is_gone_is_told)
{
    hv_source_item item;

    open_with_password();
    hv_kafka *k = (hv_kafka *)source;
    write_secret("rotated\n");
    ck_hv_ok(hv_source_kafka_refresh(source, &err));
    do {
        ck_hv_ok(source->ops->poll(source, 300, &item, &err));
    } while (item.kind != HV_SOURCE_NOTHING);
    ck_assert_str_eq(k->locked.conn->credentials.password.text, "rotated");
    ck_assert_int_eq(unlink(secret_file), 0);
    ck_hv_fails(HV_NOT_FOUND, hv_source_kafka_refresh(source, &err));
    ck_assert(!atomic_load(&k->refresh));
    ck_assert_str_eq(k->locked.conn->credentials.password.text, "rotated");
}
END_TEST

START_TEST(other_globs_count_for_the_next_list_of_hubs)
{
    static const char *const include[] = {"sales*"}, *const exclude[] = {"sales-test"};
    hv_source_hub *listed = NULL;
    size_t count = 0;

    mock_broker_topic(broker, "globs-orders", 1);
    mock_broker_topic(broker, "sales", 1);
    mock_broker_topic(broker, "sales-test", 1);
    open_with((hv_kafka_config){.include = (const char *const[]){"globs-*"}, .include_count = 1});
    ck_hv_ok(source->ops->hubs(source, 5000, &listed, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(listed[0].name, "globs-orders");
    free(listed);
    ck_hv_ok(hv_source_kafka_filter(source, include, 1, exclude, 1, &err));
    ck_hv_ok(source->ops->hubs(source, 5000, &listed, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(listed[0].name, "sales");
    free(listed);
}
END_TEST

START_TEST(a_password_changed_in_its_file_is_taken_over_after_a_refusal)
{
    hv_source_item item;

    open_with_password();
    hv_kafka *k = (hv_kafka *)source;
    write_secret("rotated\n");
    hv_kafka_on_error(k->locked.conn->rk, RD_KAFKA_RESP_ERR__AUTHENTICATION, "refused", k->owner);
    do {
        ck_hv_ok(source->ops->poll(source, 300, &item, &err));
    } while (item.kind != HV_SOURCE_NOTHING);
    ck_assert_str_eq(k->locked.conn->credentials.password.text, "rotated");
    ck_assert(!hv_kafka_refresh_credentials(k));
    ck_assert_int_eq(unlink(secret_file), 0);
    ck_assert(!hv_kafka_refresh_credentials(k));
    ck_assert_str_eq(k->locked.conn->credentials.password.text, "rotated");
}
END_TEST

static hv_rc
open_with_string(const char *string, const char *const *listed, size_t listed_count)
{
    hv_kafka_config config = {.auth = HV_KAFKA_AUTH_CONNECTION_STRING, .connection_string_file = secret_file, .hubs = listed,
                              .hub_count = listed_count};

    write_secret(string);
    return hv_source_kafka_open(&config, &source, &err);
}

#define STRING "Endpoint=sb://ns.example.invalid/;SharedAccessKeyName=reader;SharedAccessKey=c2VjcmV0"

START_TEST(a_connection_string_tells_where_to_connect_how_and_for_which_hub)
{
    rd_kafka_conf_t *conf = NULL;
    char value[512];
    size_t size = sizeof value;

    ck_hv_ok(open_with_string(STRING ";EntityPath=orders\n", NULL, 0));
    ck_assert_str_eq(source->ops->location(source), "kafka:ns.example.invalid:9093");
    hv_kafka *k = (hv_kafka *)source;
    ck_assert_str_eq(k->only_hub, "orders");
    ck_hv_ok(hv_kafka_conf_make(&k->settings, &k->locked.conn->credentials, &conf, &err));
    ck_assert_int_eq(rd_kafka_conf_get(conf, "security.protocol", value, &size), RD_KAFKA_CONF_OK);
    ck_assert_str_eq(value, "sasl_ssl");
    size = sizeof value;
    ck_assert_int_eq(rd_kafka_conf_get(conf, "sasl.username", value, &size), RD_KAFKA_CONF_OK);
    ck_assert_str_eq(value, "$ConnectionString");
    size = sizeof value;
    ck_assert_int_eq(rd_kafka_conf_get(conf, "sasl.password", value, &size), RD_KAFKA_CONF_OK);
    ck_assert_str_eq(value, STRING ";EntityPath=orders");
    rd_kafka_conf_destroy(conf);
}
END_TEST

START_TEST(a_connection_string_for_one_hub_is_not_used_for_others)
{
    static const char *const fitting[] = {"orders"}, *const other[] = {"orders", "payments"};

    ck_hv_ok(open_with_string(STRING ";EntityPath=orders", fitting, 1));
    hv_source_close(source);
    source = NULL;
    ck_hv_fails(HV_USAGE, open_with_string(STRING ";EntityPath=orders", other, 2));
    ck_assert_ptr_nonnull(strstr(err.msg, "payments"));
    ck_hv_ok(open_with_string(STRING, other, 2));
}
END_TEST

START_TEST(a_bad_connection_string_is_refused_with_its_file_and_without_its_content)
{
    ck_hv_fails(HV_USAGE, open_with_string("Endpoint=sb://ns/;SharedAccessKeyName=quiet;quiet", NULL, 0));
    ck_assert_ptr_nonnull(strstr(err.msg, secret_file));
    ck_assert_ptr_null(strstr(err.msg, "quiet"));
}
END_TEST

START_TEST(contradictions_in_the_configuration_are_refused)
{
    static const char *const odd[] = {"name"}, *const unknown[] = {"no.such.property", "1"}, *const bad_hub[] = {"a b"};
    const hv_kafka_config bad[] = {
        {0},
        {.bootstrap = "h:1", .auth = HV_KAFKA_AUTH_PLAIN},
        {.bootstrap = "h:1", .auth = HV_KAFKA_AUTH_PLAIN, .user = "u"},
        {.auth = HV_KAFKA_AUTH_CONNECTION_STRING},
        {.bootstrap = "h:1", .auth = HV_KAFKA_AUTH_OAUTH},
        {.bootstrap = "h:1", .extra = odd, .extra_count = 1},
        {.bootstrap = "h:1", .extra = unknown, .extra_count = 2},
        {.bootstrap = "h:1", .hubs = bad_hub, .hub_count = 1},
        {.bootstrap = "h:1", .ca_file = "/nonexistent/ca.pem"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_hv_fails(HV_USAGE, hv_source_kafka_open(&bad[i], &source, &err));
    hv_kafka_config no_file = {.bootstrap = "h:1", .auth = HV_KAFKA_AUTH_PLAIN, .user = "u", .password_file = "/nonexistent/x"};
    ck_hv_fails(HV_NOT_FOUND, hv_source_kafka_open(&no_file, &source, &err));
    ck_assert_ptr_null(source);
}
END_TEST

static hv_rc
give_token(void *arg, hv_kafka_token *ret, hv_err *token_err)
{
    _Atomic int *asked = arg;

    if (atomic_fetch_add(asked, 1) == 0)
        return hv_err_set(token_err, HV_UNAVAILABLE, "the provider is busy");
    *ret = (hv_kafka_token){.token = strdup("t0ken"), .expires_ms = hv_clock_wall_ms() + 3600000};
    return HV_OK;
}

START_TEST(a_token_is_asked_for_while_nobody_polls_and_again_after_a_failure)
{
    _Atomic int asked = 0;
    hv_kafka_config config = {.bootstrap = "127.0.0.1:1", .auth = HV_KAFKA_AUTH_OAUTH, .tls = true, .token = give_token,
                              .token_arg = &asked};
    hv_source_item item;
    bool told = false;

    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; atomic_load(&asked) < 2 && hv_clock_boot_ms() < until;)
        usleep(20000);
    ck_assert_int_ge(atomic_load(&asked), 2);
    for (int i = 0; i < 50 && !told; i++) {
        ck_hv_ok(source->ops->poll(source, 100, &item, &err));
        told = item.kind == HV_SOURCE_REFUSED && strstr(item.err.msg, "the provider is busy") != NULL;
    }
    ck_assert(told);
    hv_source_close(source);            /* its thread reports to `asked` */
    source = NULL;
}
END_TEST

START_TEST(the_partition_is_found_in_librdkafkas_text_or_nowhere)
{
    char hub[HV_HUB_SIZE], long_text[400];
    int32_t partition = -1;

    ck_assert(hv_kafka_parse_partition("a.b-c [12]: topic does not exist (x)", hub, sizeof hub, &partition));
    ck_assert_str_eq(hub, "a.b-c");
    ck_assert_int_eq(partition, 12);
    ck_assert(!hv_kafka_parse_partition("", hub, sizeof hub, &partition));
    ck_assert(!hv_kafka_parse_partition("a [b]: c", hub, sizeof hub, &partition));
    ck_assert(!hv_kafka_parse_partition("a [-1]: c", hub, sizeof hub, &partition));
    ck_assert(!hv_kafka_parse_partition("a [99999999999]: c", hub, sizeof hub, &partition));
    ck_assert(!hv_kafka_parse_partition("a [1", hub, sizeof hub, &partition));
    ck_assert(!hv_kafka_parse_partition(" [1]: c", hub, sizeof hub, &partition));
    ck_assert(!hv_kafka_parse_partition("127.0.0.1:9092/bootstrap: Connect failed", hub, sizeof hub, &partition));
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text + 300, " [1]: c", 8);
    ck_assert(!hv_kafka_parse_partition(long_text, hub, sizeof hub, &partition));
}
END_TEST

START_TEST(the_version_with_the_broken_login_is_warned_of_when_it_matters)
{
    ck_assert_ptr_null(hv_kafka_version_warning(0x020002ff, true));
    ck_assert_ptr_nonnull(hv_kafka_version_warning(0x020600ff, true));
    ck_assert_ptr_null(hv_kafka_version_warning(0x020600ff, false));
    ck_assert_ptr_null(hv_kafka_version_warning(0x020601ff, true));
    ck_assert_ptr_nonnull(hv_kafka_version_warning(0x010902ff, false));
    ck_assert_ptr_null(hv_source_kafka_version_warning(false));
}
END_TEST

START_TEST(memory_is_shared_out_within_librdkafkas_limits)
{
    static const uint64_t sizes[] = {1, 1 << 20, 64 << 20, UINT64_C(1) << 40};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        hv_kafka_budget budget = hv_kafka_budget_of(sizes[i]);
        ck_assert_int_ge(budget.queue_kbytes, 1024);
        ck_assert_int_le(budget.queue_kbytes, 2097151);
        ck_assert_int_ge(budget.queue_messages, 1);
        ck_assert_int_le(budget.queue_messages, 10000000);
        ck_assert_int_ge(budget.fetch_bytes, 1 << 20);
        ck_assert_int_le(budget.fetch_bytes, 8 << 20);
        ck_assert_uint_gt(budget.wake_bytes, 0);
        ck_assert_uint_le(budget.wake_bytes, (uint64_t)budget.queue_kbytes * 1024);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("source kafka");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, partitions_moved_at_random_under_load_never_deliver_anything_old);
    tcase_add_test(tests, an_out_of_range_error_of_an_earlier_assignment_neither_shows_nor_stops_the_new_one);
    tcase_add_test(tests, an_out_of_range_error_counts_for_the_present_position_only_but_always_starts_reading_again);
    tcase_add_loop_test(tests, what_librdkafka_would_pass_over_is_read_again_and_nothing_behind_it_is_delivered_before, 0, 4);
    tcase_add_test(tests, a_new_connection_goes_on_where_the_old_one_was);
    tcase_add_test(tests, a_queue_that_is_full_again_and_again_does_not_cost_speed);
    tcase_add_test(tests, an_expired_position_is_out_of_range_and_the_low_watermark_can_be_read);
    tcase_add_test(tests, a_broker_that_goes_down_is_trouble_with_its_name_and_nothing_is_lost_when_it_is_back);
    tcase_add_loop_test(tests, errors_that_pass_cost_no_event, 0, 8);
    tcase_add_test(tests, a_missing_right_is_told_for_its_partition_and_reading_goes_on_when_it_is_there);
    tcase_add_test(tests, a_hub_that_vanishes_is_gone_once_and_stays_silent_until_assigned_anew);
    tcase_add_test(tests, closing_does_not_wait_for_a_connection_that_never_ends);
    tcase_add_test(tests, a_batch_whose_checksum_fails_is_read_again_and_never_passed_over);
    tcase_add_test(tests, no_group_is_joined_and_no_offsets_are_asked_for);
    tcase_add_test(tests, globs_choose_hubs_and_internal_topics_never_count);
    tcase_add_test(tests, a_static_list_never_asks_for_all_topics_and_tells_what_is_missing);
    tcase_add_test(tests, a_policy_that_the_broker_does_not_tell_is_unknown);
    tcase_add_test(tests, questions_from_other_threads_survive_new_connections);
    tcase_add_test(tests, the_last_commit_reaches_the_group_at_the_latest_when_the_source_is_closed);
    tcase_add_test(tests, an_empty_group_name_means_no_commits);
    tcase_add_test(tests, a_commit_that_finds_no_coordinator_does_not_keep_new_partitions_waiting);
    tcase_add_test(tests, fetching_that_has_stalled_is_noticed_and_goes_on_over_a_new_connection);
    tcase_add_test(tests, a_reader_that_does_not_poll_is_not_taken_for_a_stall);
    tcase_add_test(tests, an_error_in_front_of_events_in_the_queue_costs_none_of_them);
    tcase_add_test(tests, a_partition_that_a_known_hub_does_not_have_is_gone_and_nothing_is_connected_anew_for_it);
    tcase_add_test(tests, a_secret_in_librdkafkas_words_does_not_reach_anybody);
    tcase_add_test(tests, a_password_changed_in_its_file_is_taken_over_on_demand_and_a_file_that_is_gone_is_told);
    tcase_add_test(tests, other_globs_count_for_the_next_list_of_hubs);
    tcase_add_test(tests, a_password_changed_in_its_file_is_taken_over_after_a_refusal);
    tcase_add_test(tests, a_connection_string_tells_where_to_connect_how_and_for_which_hub);
    tcase_add_test(tests, a_connection_string_for_one_hub_is_not_used_for_others);
    tcase_add_test(tests, a_bad_connection_string_is_refused_with_its_file_and_without_its_content);
    tcase_add_test(tests, contradictions_in_the_configuration_are_refused);
    tcase_add_test(tests, a_token_is_asked_for_while_nobody_polls_and_again_after_a_failure);
    tcase_add_test(tests, the_partition_is_found_in_librdkafkas_text_or_nowhere);
    tcase_add_test(tests, the_version_with_the_broken_login_is_warned_of_when_it_matters);
    tcase_add_test(tests, memory_is_shared_out_within_librdkafkas_limits);
    return ck_hv_run("source kafka", tests);
}
