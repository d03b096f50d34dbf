/*
 * The offsets that events of the open transaction get, on their way into an offset map. Used by one thread, that of the sink.
 */
#ifndef HV_REPLAY_KAFKA_MAPPING_H
#define HV_REPLAY_KAFKA_MAPPING_H

#include "replay/kafka_targets.h"
#include "replay/offset_map.h"

typedef struct hv_kafka_sent {
    uint32_t source;                    /* of the map */
    int64_t old_offset, new_offset;     /* new -1: not delivered yet, or the service did not say */
} hv_kafka_sent;

typedef struct hv_kafka_mapping {
    hv_offset_map *map;                 /* borrowed; NULL: nothing is mapped, and nothing below is called */
    hv_kafka_sent *sent;                /* of the open transaction, in the order of sending */
    size_t count, room;
} hv_kafka_mapping;

void hv_kafka_mapping_clear(hv_kafka_mapping *mapping);

/* Begin the map, or go on with it where the targets are committed. Asks the service where they end. `next` of the sources must not have
 * been raised yet. */
hv_rc hv_kafka_mapping_begin(hv_kafka_mapping *mapping, hv_kafka_targets *targets, hv_kafka_client *group, const hv_sink_start *start,
                             const char *id, bool exact, int timeout_ms, hv_err *err) HV_MUST_USE;

/* An event is about to be sent; *ret is its number, to be given to delivered(). */
hv_rc hv_kafka_mapping_sending(hv_kafka_mapping *mapping, const hv_partition *from, const hv_kafka_target *target, int64_t old_offset,
                               size_t *ret, hv_err *err) HV_MUST_USE;

/* All of them were delivered: what they got is durable in the map. HV_UNAVAILABLE: the service did not say of one. */
hv_rc hv_kafka_mapping_write(hv_kafka_mapping *mapping, hv_err *err) HV_MUST_USE;

#endif
