/*
 * Which events a replay delivers, beyond hub, partition and range. Pure functions of filter and event.
 *
 * Several values for keys or types are alternatives; several headers must all match; different kinds must all match.
 */
#ifndef HV_REPLAY_REPLAY_FILTER_H
#define HV_REPLAY_REPLAY_FILTER_H

#include "common/event.h"
#include "common/sha256.h"

enum { HV_FILTER_MAX = 256 };           /* most values of one kind */

typedef struct hv_key_filter {
    bool is_glob;
    hv_slice bytes;                     /* of the key; a null key matches nothing */
} hv_key_filter;

typedef struct hv_header_filter {
    hv_slice name;
    bool has_value;                     /* else it is enough that a header of that name is there */
    hv_slice value;                     /* any of the headers of that name may have it; null is not empty */
} hv_header_filter;

typedef struct hv_event_filter {        /* all zero: everything passes */
    const hv_key_filter *keys;
    size_t key_count;
    const hv_header_filter *headers;
    size_t header_count;
    const hv_slice *types;              /* globs over the CloudEvents type; an event without one does not match */
    size_t type_count;
} hv_event_filter;

/* HV_USAGE for more values than allowed. */
hv_rc hv_event_filter_check(const hv_event_filter *filter, hv_err *err) HV_MUST_USE;

/* `scratch` is memory for the unescaped type of structured events, kept from call to call. HV_OK: *ret says it. HV_NOMEM. */
hv_rc hv_event_filter_match(const hv_event_filter *filter, const hv_event *event, hv_buf *scratch, bool *ret,
                            hv_err *err) HV_MUST_USE;

/* Append an unambiguous form, for telling filters apart by hash. */
void hv_event_filter_write(const hv_event_filter *filter, hv_buf *to);

static inline bool
hv_event_filter_is_empty(const hv_event_filter *filter)
{
    return filter->key_count == 0 && filter->header_count == 0 && filter->type_count == 0;
}

#endif
