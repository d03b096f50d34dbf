/*
 * How far capture is, per partition: what the index holds against what the hubs have now.
 */
#ifndef HV_SERVER_CAPTURE_STATUS_H
#define HV_SERVER_CAPTURE_STATUS_H

#include "index/index.h"
#include "source/source.h"

#define HV_CAPTURE_STATE_LIST(X) \
    X(NOT_ASKED,  "not asked",   "the hub was not asked") \
    X(COMPLETE,   "complete",    "everything the hub has is sealed") \
    X(BEHIND,     "behind",      "the hub has more") \
    X(AT_RISK,    "at risk",     "the hub deletes unsealed events within the time of archiver.headroom-warning") \
    X(LOSING,     "losing",      "the hub has already deleted events that were not sealed") \
    X(NEW,        "new",         "nothing was captured yet") \
    X(RECREATED,  "re-created",  "the hub was deleted and created again; the next run begins a new incarnation") \
    X(ABSENT,     "absent",      "the source does not offer this hub or partition any more") \
    X(UNREADABLE, "unreadable",  "the hub could not be asked")

typedef enum hv_capture_state {
#define HV_CAPTURE_STATE_NAME(name, text, meaning) HV_CAPTURE_##name,
    HV_CAPTURE_STATE_LIST(HV_CAPTURE_STATE_NAME)
#undef HV_CAPTURE_STATE_NAME
} hv_capture_state;

const char *hv_capture_state_text(hv_capture_state state);

typedef struct hv_partition_status {
    hv_index_partition_facts facts;     /* all zero but the partition where nothing was captured */
    hv_capture_state state;
    bool has_watermarks;
    int64_t low, high;                  /* of the hub */
    int64_t lag;                        /* offsets that the hub has and that are not sealed */
    bool has_headroom;                  /* where the hub says how long it keeps events, and lag is not 0 */
    int64_t headroom_ms;                /* until it deletes the oldest one that is not sealed; below 0: it may at any moment */
} hv_partition_status;

typedef struct hv_capture_status {
    hv_partition_status *partitions;    /* by hub, incarnation, number; the newest incarnation of each hub only */
    size_t count;
} hv_capture_status;

void hv_capture_status_clear(hv_capture_status *status);
HV_DEFINE_AUTO_VALUE(hv_capture_status, hv_capture_status_clear);

/* What the index alone knows; every state is NOT_ASKED. */
hv_rc hv_capture_status_read(hv_index *index, hv_capture_status *ret, hv_err *err) HV_MUST_USE;

typedef struct hv_capture_question {
    hv_source *const *sources;          /* borrowed; nobody polls them, and what was assigned is not assigned afterwards */
    size_t source_count;
    int timeout_ms;                     /* of each question, and of reading the oldest unsealed events */
    int64_t headroom_warning_ms;
} hv_capture_question;

/*
 * Ask the hubs, and add partitions that the index does not know. HV_UNAVAILABLE, HV_AUTH and so on if a source does not say which hubs it
 * has; status then holds what is known without it. A single hub that does not answer is UNREADABLE.
 */
hv_rc hv_capture_status_ask(hv_capture_status *status, hv_index *index, const hv_capture_question *question, hv_err *err) HV_MUST_USE;

#endif
