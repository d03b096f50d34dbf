#include "server/report_log.h"

#include <stdio.h>

#include "segment/names.h"
#include "server/log_events.h"

enum { MOST_FIELDS = 16 };

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

static hv_log_event_id
event_of(hv_archiver_event event)
{
    switch (event) {
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
        return HV_LINE_TROUBLE;
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
    }
    return HV_LINE_TROUBLE;            /* not reached: the compiler counts the cases */
}

void
hv_log_report(void *log, const hv_archiver_report *report)
{
    hv_archiver_event event = report->event;
    hv_log_event_id id = event_of(event);
    bool about_hub = event == HV_ARCHIVER_HUB || event == HV_ARCHIVER_INCARNATION;
    bool about_cut = event == HV_ARCHIVER_SEALED || event == HV_ARCHIVER_ADOPTED || event == HV_ARCHIVER_FOLLOWED;
    log_fields fields = {.count = 0};
    hv_blob_name segment;

    if (!hv_log_wants(log, hv_log_event_of(id)->level))
        return;
    if (report->partition != NULL) {
        add_text(&fields, "hub", report->partition->hub);
        add_number(&fields, "incarnation", report->partition->incarnation);
        if (!about_hub)
            add_number(&fields, "partition", report->partition->number);
    }
    if (about_hub || event == HV_ARCHIVER_ASSIGNED || event == HV_ARCHIVER_REVOKED || event == HV_ARCHIVER_LOST)
        add_number(&fields, "partitions", report->count);
    if (about_cut) {
        segment = hv_name_of_lead(report->partition, report->range.first);
        add_text(&fields, "segment", segment.text);
    }
    if (about_cut || event == HV_ARCHIVER_GAP) {
        add_number(&fields, "first", report->range.first);
        add_number(&fields, "end", report->range.end);
    }
    if (about_cut) {
        add_number(&fields, "events", report->count);
        add_number(&fields, "bytes", (int64_t)report->bytes);
    }
    if (event == HV_ARCHIVER_GAP)
        add_text(&fields, "cause", hv_gap_cause_text(report->cause));
    if (event == HV_ARCHIVER_HEADROOM)
        add_number(&fields, "headroom_ms", report->headroom_ms);
    if (report->text != NULL)
        add_text(&fields, event == HV_ARCHIVER_REVOKED ? "note" : "cause", report->text);
    if (report->err != NULL)
        add_text(&fields, "error", report->err->msg);
    hv_log_event_write(log, id, fields.all, fields.count);
}
