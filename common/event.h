/*
 * One event as it comes from a hub and goes back to one. Plain borrowed data: whoever makes an hv_event says how long it lasts.
 */
#ifndef HV_COMMON_EVENT_H
#define HV_COMMON_EVENT_H

#include "common/buf.h"

typedef enum hv_timestamp_type {
    HV_TIMESTAMP_NONE,                  /* the record format of the broker had none; timestamp_ms is then -1 */
    HV_TIMESTAMP_CREATE,                /* set by the producer */
    HV_TIMESTAMP_APPEND,                /* set by the broker */
} hv_timestamp_type;

/* Headers are an ordered multi-map: order, duplicates and null values count. */
typedef struct hv_header {
    hv_slice name;                      /* never null, may be empty; Kafka means UTF-8 but nobody enforces it */
    hv_slice value;                     /* null is not empty */
} hv_header;

typedef struct hv_event {
    int64_t offset;
    int64_t timestamp_ms;               /* since 1970, any value a producer may choose, negative ones too */
    hv_timestamp_type timestamp_type;
    hv_slice key;                       /* null is not empty */
    hv_slice value;                     /* null: a tombstone */
    const hv_header *headers;
    size_t header_count;
} hv_event;

/* Equal in everything that a hub keeps: offset, timestamp and its type, key, value, headers in their order. */
bool hv_event_equal(const hv_event *a, const hv_event *b);

#endif
