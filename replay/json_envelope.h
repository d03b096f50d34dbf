/*
 * The JSON object that stands for an event, docs/REPLAY.md "JSON lines". Always one line.
 */
#ifndef HV_REPLAY_JSON_ENVELOPE_H
#define HV_REPLAY_JSON_ENVELOPE_H

#include "common/event.h"
#include "common/partition.h"

/* What is the same for all events of a partition: the beginning of the object. */
void hv_json_put_opening(hv_buf *to, const hv_partition *from);

/* The whole object. With body_base64 a body comes out byte for byte, whatever it is; else JSON stays JSON. */
void hv_json_put_event(hv_buf *to, hv_slice opening, const hv_event *event, bool body_base64);

#endif
