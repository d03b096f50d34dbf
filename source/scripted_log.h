/*
 * The log of one partition of the scripted source. Not thread safe; memory that runs out ends the process, since only tests use it.
 */
#ifndef HV_SOURCE_SCRIPTED_LOG_H
#define HV_SOURCE_SCRIPTED_LOG_H

#include <stddef.h>

#include "common/event.h"

/* An event that owns its bytes, shared by the log and by whoever was handed it last. */
typedef struct hv_scripted_record hv_scripted_record;

const hv_event *hv_scripted_record_event(const hv_scripted_record *record);
hv_scripted_record *hv_scripted_record_keep(hv_scripted_record *record);
/* Accepts NULL. */
void hv_scripted_record_drop(hv_scripted_record *record);

/* All zero: an empty log that starts at 0. */
typedef struct hv_scripted_log {
    int64_t low, high;
    hv_scripted_record **records;       /* by offset; control records and compacted events are simply missing */
    size_t count, allocated;
} hv_scripted_log;

int64_t hv_scripted_log_append(hv_scripted_log *log, const hv_event *event);
/* Forget events below new_low, from new_high on, or at one offset. */
void hv_scripted_log_expire(hv_scripted_log *log, int64_t new_low);
void hv_scripted_log_truncate(hv_scripted_log *log, int64_t new_high);
void hv_scripted_log_compact(hv_scripted_log *log, int64_t offset);
/* The first event at or behind offset; NULL if there is none. */
hv_scripted_record *hv_scripted_log_find(const hv_scripted_log *log, int64_t offset);
void hv_scripted_log_clear(hv_scripted_log *log);

#endif
