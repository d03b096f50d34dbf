/* A finding is a row, the summary another one; for programs the summary is the line without a "kind". */
#include "cli/verify_out.h"

#include <inttypes.h>

static const hv_column finding_columns[] = {
    {.name = "kind", .heading = "FINDING"},
    {.name = "blob"},
    {.name = "hub", .json_only = true},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "partition", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "offset", .type = HV_OUT_NUMBER},
    {.name = "position", .type = HV_OUT_NUMBER, .heading = "AT BYTE"},
    {.name = "expected"},
    {.name = "found"},
    {.name = "meaning", .json_only = true},
    {.name = "advice", .json_only = true},
};

static const hv_column kind_columns[] = {
    {.name = "kind", .heading = "FINDING"},
    {.name = "meaning"},
    {.name = "advice", .heading = "WHAT TO DO"},
};

static const hv_column summary_columns[] = {
    {.name = "findings", .type = HV_OUT_NUMBER},
    {.name = "hubs", .type = HV_OUT_NUMBER},
    {.name = "incarnations", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "cuts", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "blocks", .type = HV_OUT_NUMBER},
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "bytes", .type = HV_OUT_SIZE},
    {.name = "incomplete", .type = HV_OUT_NUMBER},
    {.name = "snapshots", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "unhashed", .type = HV_OUT_NUMBER},
    {.name = "newer", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "unchecked", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "unreported", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "duration", .type = HV_OUT_DURATION, .heading = "TOOK"},
};

static void
text_or_absent(hv_out *out, const char *text)
{
    if (text[0] != '\0')
        hv_out_text(out, text);
    else
        hv_out_absent(out);
}

static void
number_or_absent(hv_out *out, bool there, int64_t number)
{
    if (there)
        hv_out_number(out, number);
    else
        hv_out_absent(out);
}

void
hv_verify_out_start(hv_out *out)
{
    hv_out_table(out, finding_columns, sizeof finding_columns / sizeof *finding_columns);
}

void
hv_verify_out_finding(hv_out *out, const hv_finding *finding)
{
    hv_out_text(out, hv_finding_id(finding->kind));
    text_or_absent(out, finding->blob);
    text_or_absent(out, finding->partition.hub);
    number_or_absent(out, finding->partition.incarnation > 0, finding->partition.incarnation);
    number_or_absent(out, finding->partition.number >= 0, finding->partition.number);
    number_or_absent(out, finding->offset >= 0, finding->offset);
    number_or_absent(out, finding->position >= 0, finding->position);
    hv_out_text(out, finding->expected);
    hv_out_text(out, finding->found);
    hv_out_text(out, hv_finding_meaning(finding->kind));
    hv_out_text(out, hv_finding_advice(finding->kind));
    hv_out_row_end(out);
}

void
hv_verify_out_kinds(hv_out *out)
{
    hv_out_table(out, kind_columns, sizeof kind_columns / sizeof *kind_columns);
    for (hv_finding_kind kind = 0; kind < HV_FINDING_KINDS; kind++) {
        hv_out_text(out, hv_finding_id(kind));
        hv_out_text(out, hv_finding_meaning(kind));
        hv_out_text(out, hv_finding_advice(kind));
        hv_out_row_end(out);
    }
}

void
hv_verify_out_summary(hv_out *out, const hv_verify_facts *facts, int64_t duration_ms)
{
    hv_out_table(out, summary_columns, sizeof summary_columns / sizeof *summary_columns);
    hv_out_number(out, facts->findings);
    hv_out_number(out, facts->hubs);
    hv_out_number(out, facts->incarnations);
    hv_out_number(out, facts->partitions);
    hv_out_number(out, facts->cuts);
    hv_out_number(out, facts->segments);
    hv_out_number(out, facts->blocks);
    hv_out_number(out, facts->events);
    hv_out_number(out, (int64_t)facts->bytes);
    hv_out_number(out, facts->incomplete);
    hv_out_number(out, facts->snapshots);
    hv_out_number(out, facts->unhashed);
    hv_out_number(out, facts->newer);
    hv_out_number(out, facts->unchecked);
    hv_out_number(out, facts->unreported);
    hv_out_number(out, duration_ms);
    hv_out_row_end(out);
    if (facts->unchecked > 0)
        hv_out_say(out, "%" PRId64 " blobs of ledger, policies, schemas or keys were not checked", facts->unchecked);
    for (hv_finding_kind kind = 0; kind < HV_FINDING_KINDS; kind++)
        if (facts->by_kind[kind] > 0)
            hv_out_say(out, "%s: %s", hv_finding_id(kind), hv_finding_advice(kind));
}
