/*
 * For clients of a Kafka service that are no sources: the same brokers, TLS and credentials as hv_source_kafka_open() would use.
 */
#ifndef HV_SOURCE_KAFKA_CLIENT_H
#define HV_SOURCE_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "source/kafka_config.h"

/* Which handle, and what it needs beyond the connection. */
typedef struct hv_kafka_client_config {
    const hv_kafka_config *broker;      /* bootstrap, authentication, TLS, `extra`; must outlive the handle */
    rd_kafka_type_t type;
    const char *const *properties;      /* of librdkafka, name and value alternating; set before those of broker->extra */
    size_t property_count;              /* names and values together */
    void (*delivered)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg);    /* of a producer; NULL: none */
    rd_kafka_interceptor_f_on_send_t *on_send;          /* sees what is produced before anybody else; NULL: none */
    /* Of a consumer that joins a group, called by whoever polls it: rd_kafka_conf_set_rebalance_cb(). NULL: none */
    void (*rebalance)(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *arg);
    void *arg;                          /* for these three */
} hv_kafka_client_config;

typedef struct hv_kafka_client {
    rd_kafka_t *rk;
    hv_kafka_client_config config;
} hv_kafka_client;

/* A handle that connects in the background. HV_USAGE: librdkafka refuses a property. HV_NOT_FOUND, HV_IO: the file of a secret.
 * HV_NOMEM. */
hv_rc hv_kafka_client_open(const hv_kafka_client_config *config, hv_kafka_client **ret, hv_err *err) HV_MUST_USE;
/* Accepts NULL. What a producer has not delivered yet is thrown away. Does not leave a group: see rd_kafka_consumer_close(). */
void hv_kafka_client_close(hv_kafka_client *client);
HV_DEFINE_AUTO(hv_kafka_client, hv_kafka_client_close);

/* The secret that is in its file now is what the next login uses; connections that are there stay. Nothing happens where none is shown, or
 * where tokens are. Any thread. HV_NOT_FOUND, HV_IO, HV_USAGE: the file; the old secret stays in use. HV_NOMEM. */
hv_rc hv_kafka_client_refresh(hv_kafka_client *client, hv_err *err) HV_MUST_USE;

/* The code that fits an error of librdkafka. */
hv_rc hv_kafka_client_rc(rd_kafka_resp_err_t code);

#endif
