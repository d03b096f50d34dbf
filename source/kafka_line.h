/*
 * A connection to a Kafka broker that we speak ourselves, for the few questions that librdkafka has no call for: connected, over
 * TLS and logged in as the settings say, one question at a time. One thread.
 */
#ifndef HV_SOURCE_KAFKA_LINE_H
#define HV_SOURCE_KAFKA_LINE_H

#include "source/source_kafka.h"

typedef struct hv_kafka_line hv_kafka_line;

/* To the first broker of the list that answers, within timeout_ms for everything that is done over it. HV_UNAVAILABLE, HV_AUTH;
 * HV_VERSION where the broker is older than what is spoken here; what reading secrets and tokens fails with. */
hv_rc hv_kafka_line_open(const hv_kafka_settings *settings, int timeout_ms, hv_kafka_line **ret, hv_err *err) HV_MUST_USE;

/* Accepts NULL. */
void hv_kafka_line_close(hv_kafka_line *line);
HV_DEFINE_AUTO(hv_kafka_line, hv_kafka_line_close);

/* The highest version of a request that the broker knows; -1: none. */
int hv_kafka_line_version(const hv_kafka_line *line, int16_t api_key);

/* Sends a request and reads its answer, without the header, into `answer`, whose limit is that of the answer. Flexible requests
 * have tags behind their header, and so have their answers. */
hv_rc hv_kafka_line_ask(hv_kafka_line *line, int16_t api_key, int16_t version, bool flexible, hv_slice body, hv_buf *answer,
                        hv_err *err) HV_MUST_USE;

#endif
