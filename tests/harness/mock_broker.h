/*
 * A Kafka broker inside the test process: librdkafka's mock cluster, and a producer for it. It has no TLS, no SASL, no control
 * records and no Admin API, makes any topic that is asked for, answers a fetch with one batch per partition, and keeps at most 5
 * MiB or 100,000 batches per partition; older ones expire. Everything here fails the test when it cannot.
 *
 * Start it inside a test or a checked fixture, never before Check forks.
 */
#ifndef HV_TESTS_HARNESS_MOCK_BROKER_H
#define HV_TESTS_HARNESS_MOCK_BROKER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/event.h"

typedef struct mock_broker mock_broker;

/* Numbers of requests, for mock_broker_push_errors (Kafka protocol, API keys). */
enum {
    MOCK_FETCH = 1,
    MOCK_LIST_OFFSETS = 2,
    MOCK_METADATA = 3,
    MOCK_OFFSET_COMMIT = 8,
    MOCK_FIND_COORDINATOR = 10,
    MOCK_JOIN_GROUP = 11,
};

mock_broker *mock_broker_start(int brokers);
/* Accepts NULL. */
void mock_broker_stop(mock_broker *broker);
/* "host:port[,...]" */
const char *mock_broker_bootstrap(const mock_broker *broker);
rd_kafka_mock_cluster_t *mock_broker_cluster(mock_broker *broker);

void mock_broker_topic(mock_broker *broker, const char *topic, int partitions);

/* Sends one event; offset and timestamp type are ignored, and a timestamp of 0 becomes the present time. */
void mock_broker_produce(mock_broker *broker, const char *topic, int32_t partition, const hv_event *event);
/* Waits until everything produced is in the log; the offset of the last one. */
int64_t mock_broker_flush(mock_broker *broker);
/* Sends `count` events of `bytes` each, their value begins with "<number> "; then waits. */
void mock_broker_fill(mock_broker *broker, const char *topic, int32_t partition, int count, size_t bytes);

/* Brokers count from 1. */
void mock_broker_set_up(mock_broker *broker, int32_t number, bool up);
void mock_broker_push_errors(mock_broker *broker, int16_t request, size_t count, rd_kafka_resp_err_t error);
/* What metadata says about a topic: an error, or RD_KAFKA_RESP_ERR_NO_ERROR. */
void mock_broker_topic_error(mock_broker *broker, const char *topic, rd_kafka_resp_err_t error);

#endif
