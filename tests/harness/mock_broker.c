#include "tests/harness/mock_broker.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct mock_broker {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    int64_t last_offset;
    int failed;
};

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    mock_broker *broker = opaque;

    (void)rk;
    broker->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    broker->last_offset = message->offset;
}

static void
ignore_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk, (void)code, (void)reason, (void)opaque;
}

static void
ignore_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    ck_assert_msg(rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK, "%s: %s", name, text);
}

mock_broker *
mock_broker_start(int brokers)
{
    char number[16], text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    mock_broker *broker = calloc(1, sizeof *broker);

    ck_assert_ptr_nonnull(broker);
    (void)snprintf(number, sizeof number, "%d", brokers);
    set(conf, "test.mock.num.brokers", number);
    set(conf, "linger.ms", "2");
    set(conf, "max.in.flight", "1");            /* order */
    set(conf, "message.max.bytes", "20000000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, ignore_error);
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    rd_kafka_conf_set_opaque(conf, broker);
    broker->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    ck_assert_msg(broker->producer != NULL, "%s", text);
    broker->cluster = rd_kafka_handle_mock_cluster(broker->producer);
    ck_assert_ptr_nonnull(broker->cluster);
    return broker;
}

void
mock_broker_stop(mock_broker *broker)
{
    if (broker == NULL)
        return;
    rd_kafka_destroy(broker->producer);
    free(broker);
}

const char *
mock_broker_bootstrap(const mock_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

rd_kafka_mock_cluster_t *
mock_broker_cluster(mock_broker *broker)
{
    return broker->cluster;
}

void
mock_broker_topic(mock_broker *broker, const char *topic, int partitions)
{
    ck_assert_int_eq(rd_kafka_mock_topic_create(broker->cluster, topic, partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static rd_kafka_headers_t *
headers_of(const hv_event *event)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(event->header_count);

    for (size_t i = 0; i < event->header_count; i++) {
        const hv_header *header = &event->headers[i];
        ck_assert_int_eq(rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.len, header->value.data,
                                             (ssize_t)header->value.len), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    return headers;
}

static void *
bytes_of(hv_slice slice)
{
    union { const void *read_only; void *plain; } data = {.read_only = slice.data};     /* librdkafka copies, but takes void * */

    return data.plain;
}

/* On success the headers belong to librdkafka. */
static rd_kafka_resp_err_t
try_produce(mock_broker *broker, const char *topic, int32_t partition, const hv_event *event, rd_kafka_headers_t *headers)
{
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = bytes_of(event->key), .size = event->key.len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = bytes_of(event->value), .size = event->value.len}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = event->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(broker->producer, parts, sizeof parts / sizeof parts[0]);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);

    if (error != NULL)
        rd_kafka_error_destroy(error);
    return code;
}

void
mock_broker_produce(mock_broker *broker, const char *topic, int32_t partition, const hv_event *event)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;

    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_headers_t *headers = headers_of(event);
        code = try_produce(broker, topic, partition, event, headers);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_headers_destroy(headers);
        (void)rd_kafka_poll(broker->producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 10 : 0);
    }
    ck_assert_msg(code == RD_KAFKA_RESP_ERR_NO_ERROR, "produce: %s", rd_kafka_err2str(code));
}

int64_t
mock_broker_flush(mock_broker *broker)
{
    ck_assert_int_eq(rd_kafka_flush(broker->producer, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
    ck_assert_int_eq(broker->failed, 0);
    return broker->last_offset;
}

void
mock_broker_fill(mock_broker *broker, const char *topic, int32_t partition, int count, size_t bytes)
{
    char *value = calloc(1, bytes + 32);

    ck_assert_ptr_nonnull(value);
    memset(value, '.', bytes);
    for (int i = 0; i < count; i++) {
        int used = snprintf(value, 32, "%d ", i);
        value[used] = '.';
        hv_event event = {.timestamp_ms = 1700000000000 + i, .value = hv_slice_of(value, bytes)};
        mock_broker_produce(broker, topic, partition, &event);
    }
    (void)mock_broker_flush(broker);
    free(value);
}

void
mock_broker_set_up(mock_broker *broker, int32_t number, bool up)
{
    rd_kafka_resp_err_t code = up ? rd_kafka_mock_broker_set_up(broker->cluster, number)
                                  : rd_kafka_mock_broker_set_down(broker->cluster, number);

    ck_assert_int_eq(code, RD_KAFKA_RESP_ERR_NO_ERROR);
}

void
mock_broker_push_errors(mock_broker *broker, int16_t request, size_t count, rd_kafka_resp_err_t error)
{
    rd_kafka_resp_err_t *errors = calloc(count, sizeof *errors);

    ck_assert_ptr_nonnull(errors);
    for (size_t i = 0; i < count; i++)
        errors[i] = error;
    rd_kafka_mock_push_request_errors_array(broker->cluster, request, count, errors);
    free(errors);
}

void
mock_broker_topic_error(mock_broker *broker, const char *topic, rd_kafka_resp_err_t error)
{
    rd_kafka_mock_topic_set_error(broker->cluster, topic, error);
}
