/*
 * Into a Kafka service.
 *
 * With transactions, each one holds a run of events and the positions of their sources behind them, committed for the consumer
 * group of the replay. Both become visible or neither does. A replay that is killed leaves at most one open transaction; the next
 * one under the same id takes over the transactional id, which makes the service abort what was open and refuse the old producer if
 * it still lives, and then reads the committed positions. So each event is once in the topic for those who read committed.
 *
 * Without transactions, events are flushed first and positions committed afterwards: killed in between, the events of that stretch
 * come twice. One request in flight per connection keeps their order when the producer repeats one.
 *
 * Either way an event below the position of its source is not sent again, whoever delivers it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/partition.h"
#include "replay/kafka_mapping.h"

enum {
    ID_MAX = 100,
    DEFAULT_TIMEOUT_MS = 60000,
    QUEUE_BYTES = 32 << 20,             /* of events that wait to be sent: several requests for each of some brokers */
    QUEUE_BYTES_EACH = 64 << 10,        /* more for each partition, so that requests stay large when many take turns */
    QUEUE_BYTES_MOST = 128 << 20,
    POLL_EVERY = 64,                    /* events between two looks at delivery reports */
    SLICE_MS = 500,
    SEARCHED_BYTES = 64,
};

/* At a commit everything stands still, and the next transaction waits at the service until the last one is written out. So a transaction
 * holds what can be sent in its time, where the network is not faster than 256 MiB/s. */
enum { TRANSACTION_EVENTS = 2000000, TRANSACTION_BYTES = 512 << 20, TRANSACTION_MS = 2000 };

/* Without transactions this much comes twice after a crash, and nothing waits for the stretch before. */
enum { STRETCH_EVENTS = 500000, STRETCH_BYTES = 128 << 20 };

#define ZERO_MARK INT64_C(0x2b5e0a7c19d3f481)   /* no time that an event has: in 98 million years */

typedef struct kafka_sink {
    hv_sink base;
    hv_sink_kafka_config config;
    char name[ID_MAX + 32];             /* transactional id, and group of the positions */
    hv_kafka_client *producer, *group;
    rd_kafka_consumer_group_metadata_t *group_metadata;
    hv_kafka_targets *targets;
    hv_kafka_mapping mapping;
    bool open;                          /* something was sent since the last commit; with transactions, one is open */
    int64_t open_events, open_bytes, opened_ms;
    int64_t waiting_bytes;              /* handed to librdkafka, and not reported on */
    bool wants_zero, got_zero;          /* of the event that is being handed over, see set_zero() */
    rd_kafka_resp_err_t failed;         /* of the first event that could not be delivered */
    int64_t failed_offset;
    char failed_topic[HV_HUB_SIZE];
    int32_t failed_partition;
} kafka_sink;

/* ---- errors ---- */

/* Takes the error. */
static hv_rc
explain(const kafka_sink *kafka, rd_kafka_error_t *error, const char *what, hv_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    bool fenced = code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
                  || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED;

    if (fenced)
        (void)hv_err_set(err, HV_BUSY, "another replay with the id '%s' has taken over", kafka->config.id);
    else
        (void)hv_err_set(err, hv_kafka_client_rc(code), "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return err->rc;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    kafka_sink *kafka = arg;

    hv_kafka_sent *sent = kafka->mapping.map != NULL ? &kafka->mapping.sent[(size_t)(uintptr_t)message->_private] : NULL;

    (void)rk;
    kafka->waiting_bytes -= (int64_t)(message->key_len + message->len);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && sent != NULL)
        sent->new_offset = message->offset;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || kafka->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    kafka->failed = message->err;
    kafka->failed_offset = sent != NULL ? sent->old_offset : (int64_t)(intptr_t)message->_private;
    kafka->failed_partition = message->partition;
    (void)snprintf(kafka->failed_topic, sizeof kafka->failed_topic, "%s", rd_kafka_topic_name(message->rkt));
}

static hv_rc
check_delivery(const kafka_sink *kafka, hv_err *err)
{
    if (kafka->failed == RD_KAFKA_RESP_ERR_NO_ERROR)
        return HV_OK;
    return hv_err_set(err, hv_kafka_client_rc(kafka->failed), "deliver the event of offset %" PRId64 " to partition %" PRId32
                      " of topic '%s': %s", kafka->failed_offset, kafka->failed_partition, kafka->failed_topic,
                      rd_kafka_err2str(kafka->failed));
}

/* ---- begin ---- */

/*
 * librdkafka takes a timestamp of 0 for "now", and there is no other way in. So such an event is handed over with a mark as its
 * timestamp, and this interceptor, which librdkafka calls with its own message before anybody else sees it, looks for the mark
 * behind the public part of the message and puts 0 in its place. rd_kafka_message_timestamp() says whether that was the timestamp;
 * if not, everything is as before and the event is refused. (A message is always longer than the stretch that is searched: it has
 * links, times and counters there in all versions.)
 */
static rd_kafka_resp_err_t
set_zero(rd_kafka_t *rk, rd_kafka_message_t *message, void *arg)
{
    static const int64_t mark = ZERO_MARK, zero = 0;
    kafka_sink *kafka = arg;
    char *end_of_public = (char *)message + sizeof *message;
    rd_kafka_timestamp_type_t type;

    (void)rk;
    for (size_t at = 0; kafka->wants_zero && !kafka->got_zero && at < SEARCHED_BYTES; at += sizeof mark) {
        if (memcmp(end_of_public + at, &mark, sizeof mark) != 0)
            continue;
        memcpy(end_of_public + at, &zero, sizeof zero);
        kafka->got_zero = rd_kafka_message_timestamp(message, &type) == 0;
        if (!kafka->got_zero)
            memcpy(end_of_public + at, &mark, sizeof mark);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static hv_rc
open_producer(kafka_sink *kafka, hv_err *err)
{
    const char *with[] = {"enable.idempotence", "true", "transactional.id", kafka->name, "transaction.timeout.ms", "300000",
                          "linger.ms", "20", "message.max.bytes", "1000000000"};
    const char *without[] = {"acks", "all", "max.in.flight.requests.per.connection", "1",
                             "linger.ms", "20", "message.max.bytes", "1000000000"};
    bool transactions = !kafka->config.no_transactions;
    hv_kafka_client_config config = {
        .broker = kafka->config.broker, .type = RD_KAFKA_PRODUCER, .properties = transactions ? with : without,
        .property_count = transactions ? sizeof with / sizeof *with : sizeof without / sizeof *without, .delivered = on_delivery,
        .on_send = set_zero, .arg = kafka,
    };

    return hv_kafka_client_open(&config, &kafka->producer, err);
}

static hv_rc
open_group(kafka_sink *kafka, hv_err *err)
{
    const char *properties[] = {"group.id", kafka->name, "enable.auto.commit", "false", "isolation.level", "read_committed",
                                "allow.auto.create.topics", "false"};
    hv_kafka_client_config config = {.broker = kafka->config.broker, .type = RD_KAFKA_CONSUMER, .properties = properties,
                                     .property_count = sizeof properties / sizeof *properties};

    hv_rc rc = hv_kafka_client_open(&config, &kafka->group, err);
    if (rc != HV_OK)
        return rc;
    kafka->group_metadata = rd_kafka_consumer_group_metadata_new(kafka->name);
    return kafka->group_metadata != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for a consumer group");
}

/* Fences an earlier producer of this id and ends what it left open. */
static hv_rc
take_over(kafka_sink *kafka, hv_err *err)
{
    int64_t until = hv_clock_boot_ms() + kafka->config.timeout_ms;
    rd_kafka_error_t *error;

    if (kafka->config.no_transactions)
        return HV_OK;
    while ((error = rd_kafka_init_transactions(kafka->producer->rk, kafka->config.timeout_ms)) != NULL) {
        if (!rd_kafka_error_is_retriable(error) || hv_clock_boot_ms() >= until)
            return explain(kafka, error, "begin transactions", err);
        rd_kafka_error_destroy(error);
    }
    return HV_OK;
}

static void
set_queue(hv_sink_kafka_config *config, size_t partitions)
{
    int64_t wanted = QUEUE_BYTES + QUEUE_BYTES_EACH * (int64_t)partitions;

    if (config->queue_bytes <= 0)
        config->queue_bytes = wanted < QUEUE_BYTES_MOST ? wanted : QUEUE_BYTES_MOST;
}

static hv_rc
kafka_begin(hv_sink *sink, hv_sink_start *start, hv_err *err)
{
    kafka_sink *kafka = (kafka_sink *)sink;
    hv_kafka_targets_config config = {.sink = &kafka->config};

    memcpy(config.request, start->request, sizeof config.request);
    set_queue(&kafka->config, start->source_count);
    hv_rc rc = open_producer(kafka, err);
    if (rc == HV_OK)
        rc = open_group(kafka, err);
    config.group = kafka->group;
    config.producer = kafka->producer;
    if (rc == HV_OK)
        rc = hv_kafka_targets_new(&config, &kafka->targets, err);
    if (rc == HV_OK)
        rc = hv_kafka_targets_add(kafka->targets, start->sources, start->source_count, start->live || kafka->mapping.map != NULL, err);
    if (rc == HV_OK)
        rc = take_over(kafka, err);     /* not before: a topic that does not fit ends nobody's replay */
    if (rc == HV_OK)
        rc = hv_kafka_targets_read(kafka->targets, err);
    if (rc == HV_OK && kafka->mapping.map != NULL)
        rc = hv_kafka_mapping_begin(&kafka->mapping, kafka->targets, kafka->group, start, kafka->config.id, !kafka->config.no_transactions,
                                    kafka->config.timeout_ms, err);
    for (size_t i = 0; rc == HV_OK && i < start->source_count; i++) {
        hv_kafka_target *target;
        int64_t next;
        if (start->sources[i].empty && !start->live)
            continue;                   /* nothing of it will come, so it needs no target */
        rc = hv_kafka_targets_find(kafka->targets, &start->sources[i].partition, &target, &next, err);
        if (rc == HV_OK && next > start->sources[i].next)
            start->sources[i].next = next;
    }
    if (rc == HV_OK)
        start->sent_before = hv_kafka_targets_sent_before(kafka->targets);
    return rc;
}

/* ---- commit ---- */

static void
abort_open(kafka_sink *kafka)
{
    rd_kafka_error_t *error;

    if (!kafka->open || kafka->config.no_transactions)
        return;
    kafka->open = false;
    (void)rd_kafka_purge(kafka->producer->rk, RD_KAFKA_PURGE_F_QUEUE);
    error = rd_kafka_abort_transaction(kafka->producer->rk, 5000);      /* else the next run ends it */
    if (error != NULL)
        rd_kafka_error_destroy(error);
}

/* Everything that was handed to librdkafka is delivered, or has failed. */
static hv_rc
drain(kafka_sink *kafka, hv_err *err)
{
    while (rd_kafka_flush(kafka->producer->rk, SLICE_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT
           && kafka->failed == RD_KAFKA_RESP_ERR_NO_ERROR)
        continue;                       /* ends by message.timeout.ms, which makes what is stuck fail */
    return check_delivery(kafka, err);
}

static hv_rc
commit_transaction(kafka_sink *kafka, const rd_kafka_topic_partition_list_t *offsets, hv_err *err)
{
    rd_kafka_t *rk = kafka->producer->rk;
    int64_t until = hv_clock_boot_ms() + kafka->config.timeout_ms;
    bool offsets_sent = false;

    for (;;) {
        rd_kafka_error_t *error = offsets_sent ? NULL
            : rd_kafka_send_offsets_to_transaction(rk, offsets, kafka->group_metadata, kafka->config.timeout_ms);
        offsets_sent = offsets_sent || error == NULL;
        if (error == NULL)
            error = rd_kafka_commit_transaction(rk, kafka->config.timeout_ms);
        if (error == NULL)
            return HV_OK;
        if (!rd_kafka_error_is_retriable(error) || hv_clock_boot_ms() >= until)
            return explain(kafka, error, "commit a transaction", err);
        rd_kafka_error_destroy(error);
    }
}

static hv_rc
commit_positions(kafka_sink *kafka, const rd_kafka_topic_partition_list_t *offsets, hv_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_commit(kafka->group->rk, offsets, 0);

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return HV_OK;
    return hv_err_set(err, hv_kafka_client_rc(code), "commit how far replay '%s' has come: %s", kafka->config.id,
                      rd_kafka_err2str(code));
}

static hv_rc
kafka_flush(hv_sink *sink, hv_err *err)
{
    kafka_sink *kafka = (kafka_sink *)sink;
    rd_kafka_topic_partition_list_t *offsets = NULL;

    if (!kafka->open)
        return HV_OK;
    hv_rc rc = drain(kafka, err);
    if (rc == HV_OK && kafka->mapping.map != NULL)
        rc = hv_kafka_mapping_write(&kafka->mapping, err);      /* before the commit: what it tells is complete below what is committed */
    if (rc == HV_OK)
        rc = hv_kafka_targets_offsets(kafka->targets, hv_kafka_targets_sent_before(kafka->targets) + sink->facts.events, &offsets,
                                      err);
    if (rc == HV_OK)
        rc = kafka->config.no_transactions ? commit_positions(kafka, offsets, err) : commit_transaction(kafka, offsets, err);
    if (offsets != NULL)
        rd_kafka_topic_partition_list_destroy(offsets);
    if (rc != HV_OK) {
        abort_open(kafka);
        return hv_err_prefix(err, "replay '%s' can go on under the same id where it was committed last", kafka->config.id);
    }
    kafka->open = false;
    hv_kafka_targets_committed(kafka->targets);
    return HV_OK;
}

/* ---- events ---- */

static hv_rc
open_if_needed(kafka_sink *kafka, hv_err *err)
{
    if (kafka->open)
        return HV_OK;
    rd_kafka_error_t *error = kafka->config.no_transactions ? NULL : rd_kafka_begin_transaction(kafka->producer->rk);
    if (error != NULL)
        return explain(kafka, error, "begin a transaction", err);
    kafka->open = true;
    kafka->open_events = kafka->open_bytes = 0;
    kafka->opened_ms = hv_clock_boot_ms();
    return HV_OK;
}

static rd_kafka_headers_t *
headers_of(const hv_event *event)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(event->header_count);

    for (size_t i = 0; headers != NULL && i < event->header_count; i++) {
        const hv_header *header = &event->headers[i];
        if (rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.len, header->value.data,
                                (ssize_t)header->value.len)
            != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_headers_destroy(headers);
            return NULL;
        }
    }
    return headers;
}

/* librdkafka copies the value, but takes a pointer to what it could change. */
static void *
changeable(hv_slice slice)
{
    union {
        const void *borrowed;
        void *plain;
    } pointer = {.borrowed = slice.data};

    return pointer.plain;
}

static rd_kafka_resp_err_t
produce(kafka_sink *kafka, const hv_kafka_target *target, const hv_event *event, void *mark)
{
    int64_t timestamp_ms = event->timestamp_ms != 0 ? event->timestamp_ms : ZERO_MARK;
    rd_kafka_headers_t *headers = NULL;

    kafka->wants_zero = event->timestamp_ms == 0;
    kafka->got_zero = false;
    if (event->header_count > 0 && (headers = headers_of(event)) == NULL)
        return RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        kafka->producer->rk, RD_KAFKA_V_RKT(target->handle), RD_KAFKA_V_PARTITION(target->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(changeable(event->key), event->key.len),
        RD_KAFKA_V_VALUE(changeable(event->value), event->value.len), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
        RD_KAFKA_V_OPAQUE(mark), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
        rd_kafka_headers_destroy(headers);
    return code;
}

/* The limit is not librdkafka's, which an event that is larger by itself would never get past. */
static bool
has_room(const kafka_sink *kafka)
{
    return kafka->waiting_bytes < kafka->config.queue_bytes;
}

static hv_rc
send_event(kafka_sink *kafka, const hv_partition *from, const hv_kafka_target *target, const hv_event *event, hv_err *err)
{
    void *mark = (void *)(intptr_t)event->offset;       /* comes back with the delivery report */
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    size_t number;

    if (kafka->mapping.map != NULL) {
        hv_rc rc = hv_kafka_mapping_sending(&kafka->mapping, from, target, event->offset, &number, err);
        if (rc != HV_OK)
            return rc;
        mark = (void *)(uintptr_t)number;
    }
    while (!has_room(kafka) || (code = produce(kafka, target, event, mark)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        (void)rd_kafka_poll(kafka->producer->rk, SLICE_MS);
        hv_rc rc = check_delivery(kafka, err);
        if (rc != HV_OK)
            return rc;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && kafka->wants_zero && !kafka->got_zero)
        return hv_err_set(err, HV_VERSION,
                          "offset %" PRId64 " of partition %" PRId32 " of hub '%s' has the timestamp 0, which this librdkafka (%s) "
                          "cannot send", event->offset, from->number, from->hub, rd_kafka_version_str());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->waiting_bytes += (int64_t)(event->key.len + event->value.len);
        return HV_OK;
    }
    if (code == RD_KAFKA_RESP_ERR__FAIL)
        return hv_err_set(err, HV_NOMEM, "no memory for the headers of an event");
    return hv_err_set(err, hv_kafka_client_rc(code),
                      "send offset %" PRId64 " of partition %" PRId32 " of hub '%s' to topic '%s': %s",
                      event->offset, from->number, from->hub, target->topic, rd_kafka_err2str(code));
}

static bool
is_time_to_commit(const kafka_sink *kafka)
{
    const hv_sink_kafka_config *config = &kafka->config;

    return kafka->open_events >= config->transaction_events || kafka->open_bytes >= config->transaction_bytes
           || (kafka->open_events % POLL_EVERY == 0 && hv_clock_boot_ms() - kafka->opened_ms >= config->transaction_ms);
}

static hv_rc
kafka_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err)
{
    kafka_sink *kafka = (kafka_sink *)sink;
    hv_kafka_target *target;
    int64_t next;

    hv_rc rc = hv_kafka_targets_find(kafka->targets, from, &target, &next, err);
    if (rc != HV_OK || event->offset < next)
        return rc;
    rc = open_if_needed(kafka, err);
    if (rc == HV_OK)
        rc = send_event(kafka, from, target, event, err);
    if (rc != HV_OK)
        return rc;
    hv_kafka_targets_advance(kafka->targets, from, event->offset + 1);
    sink->facts.events++;
    sink->facts.bytes += event->key.len + event->value.len;
    kafka->open_events++;
    kafka->open_bytes += (int64_t)(event->key.len + event->value.len);
    if (kafka->open_events % POLL_EVERY == 0) {
        (void)rd_kafka_poll(kafka->producer->rk, 0);
        rc = check_delivery(kafka, err);
    }
    return rc == HV_OK && is_time_to_commit(kafka) ? kafka_flush(sink, err) : rc;
}

/* ---- open, close ---- */

static void
kafka_close(hv_sink *sink)
{
    kafka_sink *kafka = (kafka_sink *)sink;

    if (kafka->producer != NULL)
        abort_open(kafka);
    hv_kafka_targets_free(kafka->targets);
    if (kafka->group_metadata != NULL)
        rd_kafka_consumer_group_metadata_destroy(kafka->group_metadata);
    hv_kafka_client_close(kafka->group);
    hv_kafka_client_close(kafka->producer);
    hv_kafka_mapping_clear(&kafka->mapping);
    free(kafka);
}

static const hv_sink_ops kafka_ops = {
    .name = "kafka", .begin = kafka_begin, .event = kafka_event, .flush = kafka_flush, .end = kafka_flush, .close = kafka_close,
};

static hv_rc
check_config(const hv_sink_kafka_config *config, hv_err *err)
{
    hv_err ignored;

    if (config->id == NULL || strlen(config->id) > ID_MAX || hv_hub_name_check(config->id, &ignored) != HV_OK)
        return hv_err_set(err, HV_USAGE, "the id of a replay has 1 to %d letters, digits, '.', '_' and '-', not '%.200s'", ID_MAX,
                          config->id != NULL ? config->id : "");
    for (size_t i = 0; i < config->partition_count; i++)
        if (config->partitions[i].to < 0 || config->partitions[i].from < -1)
            return hv_err_set(err, HV_USAGE, "a partition is mapped from one number to another, not from %" PRId32 " to %" PRId32,
                              config->partitions[i].from, config->partitions[i].to);
    return HV_OK;
}

static void
set_limits(hv_sink_kafka_config *config)
{
    bool plain = config->no_transactions;

    if (config->transaction_events <= 0)
        config->transaction_events = plain ? STRETCH_EVENTS : TRANSACTION_EVENTS;
    if (config->transaction_bytes <= 0)
        config->transaction_bytes = plain ? STRETCH_BYTES : TRANSACTION_BYTES;
    if (config->transaction_ms <= 0)
        config->transaction_ms = TRANSACTION_MS;
}

hv_rc
hv_sink_kafka_open(const hv_sink_kafka_config *config, hv_sink **ret, hv_err *err)
{
    hv_rc rc = check_config(config, err);

    if (rc != HV_OK)
        return rc;
    kafka_sink *kafka = calloc(1, sizeof *kafka);
    if (kafka == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the output");
    kafka->base.ops = &kafka_ops;
    kafka->config = *config;
    kafka->mapping.map = config->map;
    set_limits(&kafka->config);
    kafka->config.timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : DEFAULT_TIMEOUT_MS;
    (void)snprintf(kafka->name, sizeof kafka->name, "hubvault-replay-%s", config->id);
    *ret = &kafka->base;
    return HV_OK;
}
