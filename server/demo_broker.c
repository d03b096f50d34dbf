#include "server/demo_broker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

enum { FLUSH_MS = 20000 };

struct hv_demo_broker {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    int64_t failed;                     /* deliveries; served in hv_demo_broker_flush() */
};

static void
delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    ((hv_demo_broker *)opaque)->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
say_nothing(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
    (void)producer, (void)level, (void)facility, (void)text;
}

void
hv_demo_broker_stop(hv_demo_broker *broker)
{
    if (broker == NULL)
        return;
    if (broker->cluster != NULL)
        rd_kafka_mock_cluster_destroy(broker->cluster);
    if (broker->producer != NULL)
        rd_kafka_destroy(broker->producer);
    free(broker);
}

/* The cluster has to be there before its address is, and needs a handle to live in: one without brokers, that gets them afterwards. */
hv_rc
hv_demo_broker_start(hv_demo_broker **ret, hv_err *err)
{
    HV_AUTO(hv_demo_broker_stop) hv_demo_broker *broker = calloc(1, sizeof *broker);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256] = "";

    if (broker == NULL) {
        rd_kafka_conf_destroy(conf);
        return hv_err_set(err, HV_NOMEM, "no memory for the embedded broker");
    }
    rd_kafka_conf_set_opaque(conf, broker);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_log_cb(conf, say_nothing);
    if (rd_kafka_conf_set(conf, "linger.ms", "5", text, sizeof text) == RD_KAFKA_CONF_OK)
        broker->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (broker->producer == NULL) {
        rd_kafka_conf_destroy(conf);
        return hv_err_set(err, HV_IO, "cannot start the embedded broker: %s", text);
    }
    broker->cluster = rd_kafka_mock_cluster_new(broker->producer, 1);
    if (broker->cluster == NULL || rd_kafka_brokers_add(broker->producer, rd_kafka_mock_cluster_bootstraps(broker->cluster)) < 1)
        return hv_err_set(err, HV_IO, "cannot start the embedded broker");
    *ret = HV_TAKE(broker);
    return HV_OK;
}

const char *
hv_demo_broker_address(const hv_demo_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

hv_rc
hv_demo_broker_create(hv_demo_broker *broker, const char *hub, int partitions, hv_err *err)
{
    rd_kafka_resp_err_t failure = rd_kafka_mock_topic_create(broker->cluster, hub, partitions, 1);

    if (failure != RD_KAFKA_RESP_ERR_NO_ERROR)
        return hv_err_set(err, HV_IO, "cannot create hub '%s': %s", hub, rd_kafka_err2str(failure));
    return HV_OK;
}

static void *
bytes_of(hv_slice slice)
{
    union {
        const void *in;
        void *out;
    } same = {.in = slice.data};        /* the client library takes what it only reads as not const */

    return same.out;
}

hv_rc
hv_demo_broker_send(hv_demo_broker *broker, const char *hub, int32_t partition, const hv_event *event, hv_err *err)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(event->header_count);

    for (size_t h = 0; h < event->header_count; h++)
        (void)rd_kafka_header_add(headers, event->headers[h].name.data, (ssize_t)event->headers[h].name.len,
                                  event->headers[h].value.data, (ssize_t)event->headers[h].value.len);
    rd_kafka_resp_err_t failure = rd_kafka_producev(broker->producer, RD_KAFKA_V_TOPIC(hub), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY(bytes_of(event->key), event->key.len), RD_KAFKA_V_VALUE(bytes_of(event->value), event->value.len),
        RD_KAFKA_V_TIMESTAMP(event->timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_END);
    if (failure == RD_KAFKA_RESP_ERR_NO_ERROR)
        return HV_OK;
    rd_kafka_headers_destroy(headers);
    return hv_err_set(err, HV_IO, "cannot send to hub '%s': %s", hub, rd_kafka_err2str(failure));
}

hv_rc
hv_demo_broker_flush(hv_demo_broker *broker, hv_err *err)
{
    rd_kafka_resp_err_t failure = rd_kafka_flush(broker->producer, FLUSH_MS);

    if (failure != RD_KAFKA_RESP_ERR_NO_ERROR || broker->failed > 0)
        return hv_err_set(err, HV_IO, "the embedded broker did not take everything: %s, %lld refused", rd_kafka_err2str(failure),
                          (long long)broker->failed);
    return HV_OK;
}
