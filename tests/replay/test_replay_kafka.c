/*
 * Into a topic of librdkafka's mock cluster, and what comes out of it again. The mock forgets offsets that are committed in a
 * transaction, and shows events of aborted ones like any others. So resuming is tested here without transactions, which differs in
 * the one call that commits; with transactions, against a real broker, it is tested in tests/real.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "replay/kafka_positions.h"
#include "replay/replay.h"
#include "replay/sinks.h"
#include "source/source_drivers.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/lmdb_faults.h"
#include "tests/harness/mock_broker.h"
#include "tests/harness/scratch_dir.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static vault_builder vault;
static mock_broker *broker;
static hv_kafka_config to_broker;
static hv_partition orders0, orders1;

enum { EVENTS = 60, PRODUCE = 0, END_TXN = 26 };

static void
make_all(void)
{
    static test_event event;
    test_random random = test_random_make(3);

    vault_open(&vault);
    broker = mock_broker_start(1);
    to_broker = (hv_kafka_config){.bootstrap = mock_broker_bootstrap(broker)};
    mock_broker_topic(broker, "orders", 2);
    orders0 = vault_partition("orders", 1, 0);
    orders1 = vault_partition("orders", 1, 1);
    vault_incarnation(&vault, "orders", 1, "");
    for (int64_t offset = 0; offset < EVENTS; offset++) {
        test_event_fill(&event, &random, offset);
        if (offset % 20 == 3)
            event.event.timestamp_ms = 0;       /* which librdkafka would make the present time */
        event.event.timestamp_type = HV_TIMESTAMP_CREATE;
        vault_add(&vault, &orders0, &event.event, NULL);
        event.event.timestamp_ms = 5;
        vault_add(&vault, &orders1, &event.event, NULL);
    }
    vault_seal(&vault, &orders0, &(vault_seal_config){.events_per_block = 7});
    vault_seal(&vault, &orders1, &(vault_seal_config){.events_per_block = 7});
}

static void
close_all(void)
{
    mock_broker_stop(broker);
    vault_close(&vault);
}

static const char *const all_hubs[] = {"*"};

static hv_sink *
open_sink(const hv_sink_kafka_config *config)
{
    hv_sink *sink = NULL;
    hv_sink_kafka_config complete = *config;

    complete.broker = &to_broker;
    complete.timeout_ms = 8000;
    ck_hv_ok(hv_sink_kafka_open(&complete, &sink, &err));
    return sink;
}

static hv_rc
run_into(hv_sink *sink, const hv_replay_request *request, hv_replay_facts *facts)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    hv_replay_config config = {.index = vault.index, .storage = vault.storage, .vault = TEST_VAULT};
    hv_replay_request complete = *request;

    complete.hubs = all_hubs;
    complete.hub_count = 1;
    ck_hv_ok(hv_replay_open(&config, &complete, &replay, &err));
    hv_rc rc = hv_replay_run(replay, sink, &err);
    if (facts != NULL)
        *facts = *hv_replay_facts_of(replay);
    return rc;
}

static hv_rc
run(const hv_sink_kafka_config *config, const hv_replay_request *request)
{
    HV_AUTO(hv_sink_close) hv_sink *sink = open_sink(config);

    return run_into(sink, request, NULL);
}

/* Everything in one partition of a topic. */
static kept_events
read_topic(const char *topic, int32_t number)
{
    HV_AUTO(hv_source_close) hv_source *source = NULL;
    kept_events all = {.items = NULL};
    hv_partition partition = vault_partition(topic, 1, number);
    char tag;
    hv_source_assignment wanted = {.hub = topic, .partition = number, .tag = &tag};
    hv_source_item item = {.kind = HV_SOURCE_NOTHING};

    ck_hv_ok(hv_source_kafka_open(&to_broker, &source, &err));
    ck_hv_ok(source->ops->assign(source, &wanted, 1, &err));
    for (int round = 0; item.kind != HV_SOURCE_END; round++) {
        ck_assert_int_lt(round, 2000);
        ck_hv_ok(source->ops->poll(source, 1000, &item, &err));
        if (item.kind == HV_SOURCE_EVENT)
            kept_add(&all, &partition, &item.event, NULL);
    }
    return all;
}

/* Everything but the offset is as it was. */
static void
expect_same(const kept_events *got, const hv_partition *from, int64_t first, int64_t end)
{
    size_t at = 0;

    for (size_t i = 0; i < vault.events.count; i++) {
        const kept_event *want = &vault.events.items[i];
        if (hv_partition_compare(&want->partition, from) != 0 || want->event.offset < first || want->event.offset >= end)
            continue;
        ck_assert_uint_lt(at, got->count);
        hv_event event = got->items[at++].event;
        event.offset = want->event.offset;
        ck_assert_msg(hv_event_equal(&event, &want->event), "offset %lld differs", (long long)event.offset);
    }
    ck_assert_uint_eq(at, got->count);
}

static void
expect_topic(const char *topic, int32_t number, const hv_partition *from, int64_t first, int64_t end)
{
    kept_events got = read_topic(topic, number);

    expect_same(&got, from, first, end);
    kept_clear(&got);
}

START_TEST(events_arrive_with_partition_key_value_headers_and_timestamp)
{
    hv_sink_kafka_config config = {.id = "a", .no_transactions = _i == 1, .transaction_events = 25};

    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 0}));
    expect_topic("orders", 0, &orders0, 0, EVENTS);
    expect_topic("orders", 1, &orders1, 0, EVENTS);
}
END_TEST

START_TEST(a_topic_can_be_renamed_and_partitions_mapped)
{
    hv_kafka_partition_map partitions[] = {{.from = 1, .to = 3}, {.from = -1, .to = 2}};
    hv_sink_kafka_config config = {.id = "a", .topic = "copy-of.{hub}_{hub}", .partitions = partitions, .partition_count = 2};

    mock_broker_topic(broker, "copy-of.orders_orders", 4);
    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 0}));
    expect_topic("copy-of.orders_orders", 2, &orders0, 0, EVENTS);
    expect_topic("copy-of.orders_orders", 3, &orders1, 0, EVENTS);
}
END_TEST

START_TEST(a_single_hub_can_have_a_topic_of_its_own)
{
    hv_kafka_topic_map topics[] = {{.hub = "sale", .topic = "no"}, {.hub = "orders", .topic = "chosen"}};
    hv_sink_kafka_config config = {.id = "a", .topics = topics, .topic_count = 2};

    mock_broker_topic(broker, "chosen", 2);
    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 0}));
    expect_topic("chosen", 1, &orders1, 0, EVENTS);
}
END_TEST

START_TEST(a_topic_with_too_few_partitions_is_refused_before_anything_is_sent)
{
    hv_sink_kafka_config config = {.id = "a", .topic = "small"};

    mock_broker_topic(broker, "small", 1);
    ck_hv_fails(HV_USAGE, run(&config, &(hv_replay_request){.limit = 0}));
    ck_assert_msg(strstr(err.msg, "'small'") != NULL && strstr(err.msg, "partition 1") != NULL, "%s", err.msg);
    kept_events got = read_topic("small", 0);
    ck_assert_uint_eq(got.count, 0);
}
END_TEST

START_TEST(a_topic_that_is_not_there_is_named)
{
    hv_sink_kafka_config config = {.id = "a", .topic = "missing"};

    mock_broker_topic(broker, "missing", 2);
    mock_broker_topic_error(broker, "missing", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    ck_hv_fails(HV_NOT_FOUND, run(&config, &(hv_replay_request){.limit = 0}));
    ck_assert_ptr_nonnull(strstr(err.msg, "'missing'"));
}
END_TEST

START_TEST(a_name_that_no_topic_can_have_is_refused)
{
    hv_sink_kafka_config config = {.id = "a", .topic = "a/{hub}"};

    ck_hv_fails(HV_USAGE, run(&config, &(hv_replay_request){.limit = 0}));
}
END_TEST

/* ---- resuming ---- */

START_TEST(a_run_under_the_same_id_goes_on_where_the_last_one_committed)
{
    hv_sink_kafka_config config = {.id = "again", .no_transactions = true, .transaction_events = 10};
    hv_replay_facts facts;

    for (int64_t limit = 33; limit < 2 * EVENTS + 33; limit += 33)
        ck_hv_ok(run(&config, &(hv_replay_request){.limit = limit}));
    expect_topic("orders", 0, &orders0, 0, EVENTS);
    expect_topic("orders", 1, &orders1, 0, EVENTS);
    HV_AUTO(hv_sink_close) hv_sink *sink = open_sink(&config);
    ck_hv_ok(run_into(sink, &(hv_replay_request){.limit = 0}, &facts));
    ck_assert_int_eq(facts.events_sent, 0);
    ck_assert_int_eq(facts.sent_before, 2 * EVENTS);
    ck_assert(facts.finished);
}
END_TEST

START_TEST(the_limit_is_that_of_all_runs_under_one_id_together)
{
    hv_sink_kafka_config config = {.id = "again", .no_transactions = true};

    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 20}));
    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 20}));
    expect_topic("orders", 0, &orders0, 0, 20);
}
END_TEST

START_TEST(another_id_begins_from_the_start)
{
    hv_sink_kafka_config config = {.id = "one", .no_transactions = true}, other = {.id = "two", .no_transactions = true};

    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 5}));
    ck_hv_ok(run(&other, &(hv_replay_request){.limit = 5}));
    kept_events got = read_topic("orders", 0);
    ck_assert_uint_eq(got.count, 10);
    kept_clear(&got);
}
END_TEST

START_TEST(an_id_that_belongs_to_another_request_is_refused)
{
    hv_sink_kafka_config config = {.id = "again", .no_transactions = true};
    hv_replay_request other = {.from_offset = {.set = true, .value = 3}};

    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 5}));
    ck_hv_fails(HV_USAGE, run(&config, &other));
    ck_assert_ptr_nonnull(strstr(err.msg, "'again'"));
}
END_TEST

START_TEST(many_partitions_can_go_into_one_and_still_resume)
{
    hv_kafka_partition_map partitions[] = {{.from = -1, .to = 0}};
    hv_sink_kafka_config config = {.id = "a", .topic = "one", .partitions = partitions, .partition_count = 1,
                                   .no_transactions = true,
                                   .transaction_events = 4};
    hv_replay_request request = {.order = HV_REPLAY_BY_TIME};

    mock_broker_topic(broker, "one", 1);
    for (request.limit = 31; request.limit < 2 * EVENTS + 31; request.limit += 31)
        ck_hv_ok(run(&config, &request));
    kept_events got = read_topic("one", 0);
    ck_assert_uint_eq(got.count, 2 * EVENTS);
    kept_events each[2] = {{.items = NULL}, {.items = NULL}};
    int64_t next[2] = {0, 0};
    for (size_t i = 0; i < got.count; i++)      /* both partitions in their own order: orders/1 has timestamps of 5 throughout */
        for (size_t j = 0; j < vault.events.count; j++) {
            const kept_event *want = &vault.events.items[j];
            size_t p = (size_t)want->partition.number;
            hv_event event = got.items[i].event;
            event.offset = want->event.offset;
            if (want->event.offset == next[p] && hv_event_equal(&event, &want->event)) {
                kept_add(&each[p], &want->partition, &want->event, NULL);
                next[p]++;
                break;
            }
        }
    ck_assert_int_eq(next[0] + next[1], 2 * EVENTS);
    kept_clear(&each[0]);
    kept_clear(&each[1]);
    kept_clear(&got);
}
END_TEST

/* A sink that dies: after so many events nothing more reaches the one behind it, not even its end. */
typedef struct dying_sink {
    hv_sink base;
    hv_sink *inner;
    int64_t left;
} dying_sink;

static hv_rc
dying_begin(hv_sink *sink, hv_sink_start *start, hv_err *e)
{
    hv_sink *inner = ((dying_sink *)sink)->inner;

    return inner->ops->begin(inner, start, e);
}

static hv_rc
dying_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *e)
{
    dying_sink *dying = (dying_sink *)sink;

    if (dying->left-- == 0)
        return hv_err_set(e, HV_IO, "dead");
    return dying->inner->ops->event(dying->inner, from, event, e);
}

START_TEST(what_a_killed_run_had_not_committed_is_sent_again_and_nothing_else)
{
    hv_sink_kafka_config config = {.id = "killed", .no_transactions = true, .transaction_events = 10, .transaction_ms = 600000};
    static const hv_sink_ops ops = {.name = "dying", .begin = dying_begin, .event = dying_event};
    dying_sink dying = {.base = {.ops = &ops}, .inner = open_sink(&config), .left = 37};
    hv_replay_facts facts;

    ck_hv_fails(HV_IO, run_into(&dying.base, &(hv_replay_request){.limit = 0}, NULL));
    HV_AUTO(hv_sink_close) hv_sink *next = open_sink(&config);          /* the old producer still lives */
    ck_hv_ok(run_into(next, &(hv_replay_request){.limit = 0}, &facts));
    ck_assert_int_eq(facts.sent_before, 30);
    ck_assert_int_eq(facts.events_sent, 2 * EVENTS - 30);
    expect_topic("orders", 1, &orders1, 0, EVENTS);
    kept_events got = read_topic("orders", 0);
    ck_assert_uint_ge(got.count, EVENTS);       /* and up to 7 that were sent but not committed */
    ck_assert_uint_le(got.count, EVENTS + 7);
    kept_clear(&got);
    hv_sink_close(dying.inner);
}
END_TEST

/* ---- what goes wrong ---- */

static hv_rc
run_over(hv_storage *storage, hv_sink *sink)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    hv_replay_config config = {.index = vault.index, .storage = storage, .vault = TEST_VAULT, .threads = 2, .run_bytes = 1};
    hv_replay_request request = {.hubs = all_hubs, .hub_count = 1};

    hv_rc rc = hv_replay_open(&config, &request, &replay, &err);
    return rc == HV_OK ? hv_replay_run(replay, sink, &err) : rc;
}

/* The second run goes on with healthy parts: nothing twice, nothing left out. */
static void
finish_into(const hv_sink_kafka_config *config, const char *topic)
{
    HV_AUTO(hv_sink_close) hv_sink *sink = open_sink(config);

    ck_hv_ok(run_over(vault.storage, sink));
    expect_topic(topic, 0, &orders0, 0, EVENTS);
    expect_topic(topic, 1, &orders1, 0, EVENTS);
}

START_TEST(a_store_or_index_that_fails_leaves_positions_behind_exactly_what_has_arrived)
{
    enum { STEP = 5, LMDB_STEP = 23 };
    unsigned fired = 0;

    for (unsigned n = 0; fired == n; n++) {
        char name[32];
        hv_storage_fault_config failing = {.inner = vault.storage, .fail_call = n * STEP + 1, .fail_calls = UINT32_MAX, .fail_with = HV_AUTH};
        HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
        (void)snprintf(name, sizeof name, "target-%d-%u", _i, n);
        mock_broker_topic(broker, name, 2);
        hv_sink_kafka_config config = {.id = name, .topic = name, .no_transactions = true};
        HV_AUTO(hv_sink_close) hv_sink *sink = open_sink(&config);
        ck_hv_ok(hv_storage_fault_open(&failing, &faulty, &err));
        if (_i == 1)
            lmdb_faults_begin(LMDB_ALL_THREADS, n * LMDB_STEP, EIO, false);
        hv_rc rc = run_over(_i == 0 ? faulty : vault.storage, sink);
        bool struck = _i == 0 ? hv_storage_fault_fired(faulty) : lmdb_faults_end();
        ck_assert_msg(rc == (!struck ? HV_OK : _i == 0 ? HV_AUTH : HV_IO), "%s: %s", name, hv_rc_name(rc));
        hv_sink_close(HV_TAKE(sink));
        finish_into(&config, name);
        fired += struck;
    }
    ck_assert_uint_ge(fired, 3);
}
END_TEST

START_TEST(an_event_that_the_service_refuses_is_named)
{
    hv_sink_kafka_config config = {.id = "a", .no_transactions = _i == 1};

    mock_broker_push_errors(broker, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
    ck_assert_int_ne(run(&config, &(hv_replay_request){.limit = 3}), HV_OK);
    ck_assert_msg(strstr(err.msg, "offset 0") != NULL && strstr(err.msg, "'orders'") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(trouble_that_passes_is_waited_for)
{
    hv_sink_kafka_config config = {.id = "a"};

    mock_broker_push_errors(broker, PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 0}));
    expect_topic("orders", 0, &orders0, 0, EVENTS);
    expect_topic("orders", 1, &orders1, 0, EVENTS);
}
END_TEST

/* Whoever begins under the same id later fences the one before (KIP-98). */
START_TEST(a_replay_whose_id_somebody_else_goes_on_with_ends_and_says_so)
{
    hv_sink_kafka_config config = {.id = "a"};

    mock_broker_push_errors(broker, END_TXN, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    ck_hv_fails(HV_BUSY, run(&config, &(hv_replay_request){.limit = 0}));
    ck_assert_msg(strstr(err.msg, "another replay with the id 'a' has taken over") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(positions_that_the_service_does_not_keep_end_the_replay)
{
    hv_sink_kafka_config config = {.id = "a", .no_transactions = true};

    mock_broker_push_errors(broker, MOCK_OFFSET_COMMIT, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    ck_assert_int_ne(run(&config, &(hv_replay_request){.limit = 0}), HV_OK);
    ck_assert_msg(strstr(err.msg, "commit how far replay 'a' has come") != NULL, "%s", err.msg);
    ck_assert_msg(strstr(err.msg, "can go on under the same id") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(a_map_to_a_partition_that_cannot_be_is_refused)
{
    static const hv_kafka_partition_map maps[] = {{.from = 0, .to = -1}, {.from = -2, .to = 0}};
    hv_sink *sink = NULL;

    for (size_t i = 0; i < 2; i++)
        ck_hv_fails(HV_USAGE, hv_sink_kafka_open(&(hv_sink_kafka_config){.broker = &to_broker, .id = "a", .partitions = &maps[i],
                                                                         .partition_count = 1}, &sink, &err));
    ck_assert_ptr_null(sink);
}
END_TEST

START_TEST(an_id_is_checked)
{
    hv_sink *sink = NULL;

    ck_hv_fails(HV_USAGE, hv_sink_kafka_open(&(hv_sink_kafka_config){.broker = &to_broker}, &sink, &err));
    ck_hv_fails(HV_USAGE, hv_sink_kafka_open(&(hv_sink_kafka_config){.broker = &to_broker, .id = "a b"}, &sink, &err));
}
END_TEST

START_TEST(a_service_that_cannot_be_reached_is_said_so_in_time)
{
    hv_sink *sink = NULL;
    hv_kafka_config nowhere = {.bootstrap = "127.0.0.1:9"};
    hv_sink_kafka_config config = {.broker = &nowhere, .id = "a", .timeout_ms = 1000};

    ck_hv_ok(hv_sink_kafka_open(&config, &sink, &err));
    ck_hv_fails(HV_UNAVAILABLE, run_into(sink, &(hv_replay_request){.limit = 0}, NULL));
    hv_sink_close(sink);
}
END_TEST

/* ---- positions as text ---- */

/* ---- exchanges ---- */

/* What the debug log of all handles tells; each line is written before the call that it belongs to returns. */
typedef struct exchanges {
    atomic_int offset_fetches, metadata_wanted, producer_ids, commits;
    atomic_int first_fetch_after_ids, first_produce_after_metadata;     /* how many there were by then; -1: not sent yet */
} exchanges;

static exchanges seen;

static void
note_first(atomic_int *first, int value)
{
    int none = -1;

    (void)atomic_compare_exchange_strong(first, &none, value);
}

static void
note_exchange(void *arg, int level, const char *text)
{
    (void)arg;
    (void)level;
    if (strstr(text, "Sent OffsetFetchRequest") != NULL) {
        atomic_fetch_add(&seen.offset_fetches, 1);
        note_first(&seen.first_fetch_after_ids, atomic_load(&seen.producer_ids));
    }
    if (strstr(text, "Received InitProducerIdResponse") != NULL)
        atomic_fetch_add(&seen.producer_ids, 1);
    if (strstr(text, "Request metadata for") != NULL && strstr(text, "application requested") != NULL)
        atomic_fetch_add(&seen.metadata_wanted, 1);
    if (strstr(text, "Sent EndTxnRequest") != NULL)
        atomic_fetch_add(&seen.commits, 1);
    if (strstr(text, "Sent ProduceRequest") != NULL)
        note_first(&seen.first_produce_after_metadata, atomic_load(&seen.metadata_wanted));
}

static void
watch(void)
{
    static const char *const debug[] = {"debug", "protocol,metadata"};

    atomic_store(&seen.first_fetch_after_ids, -1);
    atomic_store(&seen.first_produce_after_metadata, -1);
    to_broker.log = note_exchange;
    to_broker.extra = debug;
    to_broker.extra_count = 2;
}

static void
run_and_watch(const hv_sink_kafka_config *config)
{
    watch();
    ck_hv_ok(run(config, &(hv_replay_request){.limit = 0}));
}

START_TEST(positions_of_all_partitions_are_read_in_one_exchange)
{
    run_and_watch(&(hv_sink_kafka_config){.id = "a", .no_transactions = true});
    ck_assert_int_eq(atomic_load(&seen.offset_fetches), 1);
}
END_TEST

/* Else an earlier producer of the same id could commit behind the back of what was read. */
START_TEST(positions_are_read_only_when_an_earlier_producer_is_fenced)
{
    run_and_watch(&(hv_sink_kafka_config){.id = "a"});
    ck_assert_int_eq(atomic_load(&seen.first_fetch_after_ids), 1);
}
END_TEST

/* The consumer asks whether the topic is there, the producer where its partitions are: librdkafka by itself would after up to a second. */
START_TEST(the_producer_knows_its_leaders_before_the_first_event)
{
    run_and_watch(&(hv_sink_kafka_config){.id = "a", .no_transactions = _i == 1});
    ck_assert_int_eq(atomic_load(&seen.first_produce_after_metadata), 2);
}
END_TEST

START_TEST(a_transaction_ends_by_its_events_or_its_bytes_and_else_holds_everything)
{
    static const struct {
        int64_t events, bytes;
        int least, most;
    } cases[] = {
        {.events = 25, .least = (2 * EVENTS + 24) / 25, .most = (2 * EVENTS + 24) / 25},
        {.bytes = 2000, .least = 2, .most = EVENTS},
        {.least = 1, .most = 1},
    };

    run_and_watch(&(hv_sink_kafka_config){.id = "a", .transaction_events = cases[_i].events, .transaction_bytes = cases[_i].bytes,
                                          .transaction_ms = 600000});
    ck_assert_int_ge(atomic_load(&seen.commits), cases[_i].least);
    ck_assert_int_le(atomic_load(&seen.commits), cases[_i].most);
}
END_TEST

START_TEST(an_event_larger_than_all_that_may_wait_is_sent_all_the_same)
{
    hv_sink_kafka_config config = {.id = "a", .queue_bytes = 1, .no_transactions = _i == 1};

    ck_hv_ok(run(&config, &(hv_replay_request){.limit = 15}));
    expect_topic("orders", 0, &orders0, 0, 15);
}
END_TEST

/* Whoever runs under that id goes on undisturbed. */
START_TEST(a_topic_that_does_not_fit_fences_nobody)
{
    hv_sink_kafka_config config = {.id = "a", .topic = "small"};

    mock_broker_topic(broker, "small", 1);
    watch();
    ck_hv_fails(HV_USAGE, run(&config, &(hv_replay_request){.limit = 0}));
    ck_assert_int_eq(atomic_load(&seen.producer_ids), 0);
}
END_TEST

/* ---- the map of offsets ---- */

typedef struct map_check {
    hv_partition from[4];
    int32_t to[4];
    int64_t events;
    const kept_events *topics[2];       /* what is in the target partitions */
} map_check;

static hv_rc
check_source(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *unused)
{
    map_check *check = arg;

    (void)unused;
    check->from[number] = source->from;
    check->to[number] = source->to;
    return HV_OK;
}

static hv_rc
check_run(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *unused)
{
    map_check *check = arg;
    const kept_events *topic = check->topics[check->to[source]];

    (void)unused;
    for (int64_t i = 0; i < count; i++, check->events++) {
        hv_event got = {.offset = -1};
        for (size_t e = 0; e < topic->count; e++)
            if (topic->items[e].event.offset == new_first + i)
                got = topic->items[e].event;
        ck_assert_int_eq(got.offset, new_first + i);
        got.offset = old_first + i;
        bool found = false;
        for (size_t e = 0; e < vault.events.count; e++)
            found = found || (hv_partition_compare(&vault.events.items[e].partition, &check->from[source]) == 0
                              && hv_event_equal(&vault.events.items[e].event, &got));
        ck_assert_msg(found, "old offset %lld got another event", (long long)(old_first + i));
    }
    return HV_OK;
}

/* Every event of the map is where the map says; how many they are. */
static int64_t
check_map(const char *path, bool *finished)
{
    kept_events first = read_topic("orders", 0), second = read_topic("orders", 1);
    map_check check = {.topics = {&first, &second}};
    hv_offset_map_visitor visitor = {.arg = &check, .source = check_source, .run = check_run};
    hv_offset_map_head head;

    ck_hv_ok(hv_offset_map_walk(path, &visitor, &head, &err));
    *finished = head.finished;
    kept_clear(&first);
    kept_clear(&second);
    return check.events;
}

static hv_rc
run_with_map(hv_sink_kafka_config config, const char *path, int64_t limit)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = NULL;

    ck_hv_ok(hv_offset_map_open(path, &map, &err));
    config.map = map;
    hv_rc rc = run(&config, &(hv_replay_request){.limit = limit});
    return rc == HV_OK && limit == 0 ? hv_offset_map_finish(map, &err) : rc;
}

START_TEST(the_map_says_which_offset_each_event_got)
{
    scratch_dir dir = scratch_dir_make();
    char path[4096];
    bool finished;

    (void)snprintf(path, sizeof path, "%s/map", dir.path);
    ck_hv_ok(run_with_map((hv_sink_kafka_config){.id = "a", .no_transactions = _i == 1, .transaction_events = 25}, path, 0));
    ck_assert_int_eq(check_map(path, &finished), 2 * EVENTS);
    ck_assert(finished);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(a_run_that_goes_on_completes_the_map_and_one_without_the_file_is_refused)
{
    scratch_dir dir = scratch_dir_make();
    hv_sink_kafka_config config = {.id = "a", .no_transactions = true, .transaction_events = 10};
    char path[4096], other[4096];
    bool finished;

    (void)snprintf(path, sizeof path, "%s/map", dir.path);
    (void)snprintf(other, sizeof other, "%s/other", dir.path);
    ck_hv_ok(run_with_map(config, path, 35));
    ck_assert_int_eq(check_map(path, &finished), 35);
    ck_assert(!finished);
    ck_hv_fails(HV_USAGE, run_with_map(config, other, 0));
    ck_hv_ok(run_with_map(config, path, 0));
    ck_assert_int_eq(check_map(path, &finished), 2 * EVENTS);
    ck_assert(finished);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(positions_come_back_as_they_were_written)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(8192);
    HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions back = {.positions = NULL};
    hv_kafka_position positions[] = {{.from = orders0, .next = 0}, {.from = orders1, .next = INT64_MAX}};
    hv_kafka_positions want = {.request = {0, 1, 0xfe, 255}, .events = 12345, .positions = positions, .count = 2};

    ck_hv_ok(hv_kafka_positions_write(&want, &text, &err));
    ck_assert_str_eq(text.data, "hv1 0001feff00000000 12345 orders/1/0=0 orders/1/1=9223372036854775807");
    ck_hv_ok(hv_kafka_positions_parse(hv_buf_slice(&text), &back, &err));
    ck_assert_int_eq(back.events, 12345);
    ck_assert_uint_eq(back.count, 2);
    ck_assert_int_eq(back.positions[1].next, INT64_MAX);
    ck_assert_int_eq(back.positions[1].from.number, 1);
    ck_assert_mem_eq(back.request, want.request, sizeof want.request);
}
END_TEST

START_TEST(what_is_no_text_of_positions_is_refused)
{
    static const char *const texts[] = {
        "", "hv1", "hv1 ", "hv1 0001feff00000000", "hv1 0001feff0000000 1", "hv1 0001FEFF00000000 1", "hv1 0001feff00000000 1 ",
        "hv1 0001feff00000000 1 orders/1/0", "hv1 0001feff00000000 1 orders/1/0=", "hv1 0001feff00000000 1 /1/0=1",
        "hv1 0001feff00000000 1 orders/1/0=9223372036854775808", "hv1 0001feff00000000 1 orders/1/2147483648=1",
        "hv1 0001feff00000000 1 orders/1/0=1x", "hv1 0001feff00000000 1  orders/1/0=1", "something else",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions back = {.positions = NULL};
        ck_hv_fails(HV_USAGE, hv_kafka_positions_parse(hv_slice_text(texts[i]), &back, &err));
    }
}
END_TEST

START_TEST(more_positions_than_a_commit_can_hold_are_a_limit)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(100000);
    static hv_kafka_position many[500];

    for (int i = 0; i < 500; i++)
        many[i] = (hv_kafka_position){.from = vault_partition("orders", 1, i), .next = 1};
    ck_hv_fails(HV_LIMIT, hv_kafka_positions_write(&(hv_kafka_positions){.positions = many, .count = 500}, &text, &err));
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_kafka");

    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, make_all, close_all);
    tcase_add_loop_test(tests, events_arrive_with_partition_key_value_headers_and_timestamp, 0, 2);
    tcase_add_test(tests, a_topic_can_be_renamed_and_partitions_mapped);
    tcase_add_test(tests, a_single_hub_can_have_a_topic_of_its_own);
    tcase_add_test(tests, a_topic_with_too_few_partitions_is_refused_before_anything_is_sent);
    tcase_add_test(tests, a_topic_that_is_not_there_is_named);
    tcase_add_test(tests, a_name_that_no_topic_can_have_is_refused);
    tcase_add_test(tests, a_run_under_the_same_id_goes_on_where_the_last_one_committed);
    tcase_add_test(tests, the_limit_is_that_of_all_runs_under_one_id_together);
    tcase_add_test(tests, another_id_begins_from_the_start);
    tcase_add_test(tests, an_id_that_belongs_to_another_request_is_refused);
    tcase_add_test(tests, many_partitions_can_go_into_one_and_still_resume);
    tcase_add_test(tests, what_a_killed_run_had_not_committed_is_sent_again_and_nothing_else);
    tcase_add_loop_test(tests, a_store_or_index_that_fails_leaves_positions_behind_exactly_what_has_arrived, 0, 2);
    tcase_add_loop_test(tests, an_event_that_the_service_refuses_is_named, 0, 2);
    tcase_add_test(tests, trouble_that_passes_is_waited_for);
    tcase_add_test(tests, a_replay_whose_id_somebody_else_goes_on_with_ends_and_says_so);
    tcase_add_test(tests, positions_that_the_service_does_not_keep_end_the_replay);
    tcase_add_test(tests, a_map_to_a_partition_that_cannot_be_is_refused);
    tcase_add_test(tests, an_id_is_checked);
    tcase_add_test(tests, a_service_that_cannot_be_reached_is_said_so_in_time);
    tcase_add_test(tests, positions_of_all_partitions_are_read_in_one_exchange);
    tcase_add_test(tests, positions_are_read_only_when_an_earlier_producer_is_fenced);
    tcase_add_loop_test(tests, the_producer_knows_its_leaders_before_the_first_event, 0, 2);
    tcase_add_loop_test(tests, a_transaction_ends_by_its_events_or_its_bytes_and_else_holds_everything, 0, 3);
    tcase_add_loop_test(tests, an_event_larger_than_all_that_may_wait_is_sent_all_the_same, 0, 2);
    tcase_add_test(tests, a_topic_that_does_not_fit_fences_nobody);
    tcase_add_loop_test(tests, the_map_says_which_offset_each_event_got, 0, 2);
    tcase_add_test(tests, a_run_that_goes_on_completes_the_map_and_one_without_the_file_is_refused);
    tcase_add_test(tests, positions_come_back_as_they_were_written);
    tcase_add_test(tests, what_is_no_text_of_positions_is_refused);
    tcase_add_test(tests, more_positions_than_a_commit_can_hold_are_a_limit);
    return ck_hv_run("replay_kafka", tests);
}
