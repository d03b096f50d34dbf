#include "server/report_log.h"

#include <stdio.h>

#include "segment/names.h"
#include "server/log_events.h"

enum { MOST_FIELDS = 16, SLOW_MS = 10000 };

typedef struct log_fields {
    hv_log_field all[MOST_FIELDS];
    size_t count;
} log_fields;

static void
add_number(log_fields *fields, const char *name, int64_t number)
{
    fields->all[fields->count++] = HV_LOG_N(name, number);
}

static void
add_text(log_fields *fields, const char *name, const char *text)
{
    fields->all[fields->count++] = HV_LOG_T(name, text);
}

static void
add_range(log_fields *fields, const hv_archiver_report *report)
{
    add_number(fields, "first", report->range.first);
    add_number(fields, "end", report->range.end);
}

static hv_log_event_id
event_of(const hv_archiver_report *report)
{
    switch (report->event) {
    case HV_ARCHIVER_HUB:
        return HV_LINE_HUB_CAPTURED;
    case HV_ARCHIVER_SEALED:
        return HV_LINE_CUT_SEALED;
    case HV_ARCHIVER_ADOPTED:
        return HV_LINE_CUT_ADOPTED;
    case HV_ARCHIVER_GAP:
        return HV_LINE_GAP_DECLARED;
    case HV_ARCHIVER_INCARNATION:
        return HV_LINE_HUB_RE_CREATED;
    case HV_ARCHIVER_TROUBLE:
        return report->attempts > 0 ? HV_LINE_RETRY : HV_LINE_TROUBLE;
    case HV_ARCHIVER_STOPPED:
        return HV_LINE_PARTITION_STOPPED;
    case HV_ARCHIVER_ASSIGNED:
        return HV_LINE_PARTITIONS_ASSIGNED;
    case HV_ARCHIVER_REVOKED:
        return HV_LINE_PARTITIONS_REVOKED;
    case HV_ARCHIVER_LOST:
        return HV_LINE_PARTITIONS_LOST;
    case HV_ARCHIVER_FOLLOWED:
        return HV_LINE_CUT_FOLLOWED;
    case HV_ARCHIVER_HEADROOM:
        return HV_LINE_HEADROOM;
    case HV_ARCHIVER_CONNECTED:
        return HV_LINE_SOURCE_CONNECTED;
    case HV_ARCHIVER_GONE:
        return HV_LINE_HUB_GONE;
    case HV_ARCHIVER_PAUSED:
        return HV_LINE_POLLING_PAUSED;
    case HV_ARCHIVER_RESUMED:
        return HV_LINE_POLLING_RESUMED;
    }
    return HV_LINE_TROUBLE;            /* not reached: the compiler counts the cases */
}

/* Names that join the line to the store: of the lead, whose siblings lie beside it. */
static void
add_cut(log_fields *fields, const hv_archiver_report *report, const hv_blob_name *segment, char sha256[HV_SHA256_TEXT_SIZE])
{
    add_text(fields, "segment", segment->text);
    if (report->cut != NULL) {
        hv_sha256_text(report->cut->segments[0].sha256, sha256);
        add_text(fields, "sha256", sha256);
        add_number(fields, "segments", (int64_t)report->cut->segment_count);
    }
    add_range(fields, report);
    add_number(fields, "events", report->count);
    add_number(fields, "bytes", (int64_t)report->bytes);
    if (report->event == HV_ARCHIVER_SEALED)
        add_number(fields, "put_ms", report->put_ms);
}

static void
add_place(log_fields *fields, const hv_archiver_report *report, bool about_hub)
{
    if (report->partition == NULL)
        return;
    add_text(fields, "hub", report->partition->hub);
    add_number(fields, "incarnation", report->partition->incarnation);
    if (!about_hub)
        add_number(fields, "partition", report->partition->number);
}

static const char *
name_of_text(hv_archiver_event event)
{
    return event == HV_ARCHIVER_REVOKED ? "note" : event == HV_ARCHIVER_CONNECTED ? "source" : "cause";
}

/* A store that takes long is a reason to look at it, while nothing has failed yet. */
static void
tell_slow(hv_log *log, const hv_archiver_report *report, const hv_blob_name *segment)
{
    HV_LINE(log, STORE_SLOW, HV_LOG_T("segment", segment->text), HV_LOG_N("bytes", (int64_t)report->bytes), HV_LOG_N("put_ms", report->put_ms));
}

void
hv_log_report(void *log, const hv_archiver_report *report)
{
    hv_archiver_event event = report->event;
    hv_log_event_id id = event_of(report);
    bool about_hub = event == HV_ARCHIVER_HUB || event == HV_ARCHIVER_INCARNATION || event == HV_ARCHIVER_GONE;
    bool about_cut = event == HV_ARCHIVER_SEALED || event == HV_ARCHIVER_ADOPTED || event == HV_ARCHIVER_FOLLOWED;
    char sha256[HV_SHA256_TEXT_SIZE];
    log_fields fields = {.count = 0};
    hv_blob_name segment;

    if (!hv_log_wants(log, HV_LOG_WARNING) && !hv_log_wants(log, hv_log_event_of(id)->level))
        return;
    add_place(&fields, report, about_hub);
    if (about_hub || event == HV_ARCHIVER_ASSIGNED || event == HV_ARCHIVER_REVOKED || event == HV_ARCHIVER_LOST)
        add_number(&fields, "partitions", report->count);
    if (about_cut) {
        segment = hv_name_of_lead(report->partition, report->range.first);
        add_cut(&fields, report, &segment, sha256);
    }
    if (event == HV_ARCHIVER_GAP) {
        add_range(&fields, report);
        add_text(&fields, "cause", hv_gap_cause_text(report->cause));
    }
    if (event == HV_ARCHIVER_HEADROOM)
        add_number(&fields, "headroom_ms", report->headroom_ms);
    if (event == HV_ARCHIVER_PAUSED || event == HV_ARCHIVER_RESUMED)
        add_number(&fields, "memory_bytes", (int64_t)report->bytes);
    if (id == HV_LINE_RETRY) {
        add_number(&fields, "attempts", report->attempts);
        add_number(&fields, "retry_ms", report->retry_ms);
    }
    if (report->text != NULL)
        add_text(&fields, name_of_text(event), report->text);
    if (report->err != NULL)
        add_text(&fields, "error", report->err->msg);
    hv_log_event_write(log, id, fields.all, fields.count);
    if (event == HV_ARCHIVER_SEALED && report->put_ms >= SLOW_MS)
        tell_slow(log, report, &segment);
}
