/*
 * The type of a CloudEvent as it travels over Kafka (CloudEvents 1.0.2, Kafka protocol binding).
 */
#ifndef HV_REPLAY_CLOUD_EVENT_H
#define HV_REPLAY_CLOUD_EVENT_H

#include "common/event.h"

/*
 * Structured mode (content-type begins with application/cloudevents): the member "type" of the JSON object; in the Avro form, and
 * in anything else, we do not look: no type. Otherwise binary mode: the header ce_type. Of several headers or members the last one
 * counts, as it does for most readers of JSON.
 *
 * True if there is one: *ret borrows from the event or from scratch, which is cleared. A lack of memory is kept in scratch.
 */
bool hv_cloud_event_type(const hv_event *event, hv_buf *scratch, hv_slice *ret);

/* The string member `name` of a JSON object, unescaped into `to`, which is cleared first. False if the text is no valid JSON
 * object, has no such member, or it is no string. */
bool hv_json_string_member(hv_slice json, const char *name, hv_buf *to);

#endif
