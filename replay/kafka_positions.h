/*
 * How far a replay into a Kafka topic has come: the text that travels as metadata of a committed offset, in the same transaction as
 * the events. docs/REPLAY.md "Resuming".
 */
#ifndef HV_REPLAY_KAFKA_POSITIONS_H
#define HV_REPLAY_KAFKA_POSITIONS_H

#include "common/buf.h"
#include "common/partition.h"

enum {
    HV_KAFKA_POSITIONS_MAX = 4096,      /* offset.metadata.max.bytes of a broker, unless somebody changed it */
    HV_KAFKA_REQUEST_SIZE = 8,
};

/* One source partition; everything of it below `next` is in the topic. */
typedef struct hv_kafka_position {
    hv_partition from;
    int64_t next;
} hv_kafka_position;

typedef struct hv_kafka_positions {
    unsigned char request[HV_KAFKA_REQUEST_SIZE];       /* what was asked for */
    int64_t events;                     /* sent by all runs together, when this was committed */
    hv_kafka_position *positions;
    size_t count;
} hv_kafka_positions;

void hv_kafka_positions_clear(hv_kafka_positions *positions);
HV_DEFINE_AUTO_VALUE(hv_kafka_positions, hv_kafka_positions_clear);

/* Append. HV_LIMIT if it does not fit HV_KAFKA_POSITIONS_MAX. */
hv_rc hv_kafka_positions_write(const hv_kafka_positions *positions, hv_buf *to, hv_err *err) HV_MUST_USE;

/* HV_USAGE for anything that is not such a text. Survives any bytes. */
hv_rc hv_kafka_positions_parse(hv_slice text, hv_kafka_positions *ret, hv_err *err) HV_MUST_USE;

#endif
