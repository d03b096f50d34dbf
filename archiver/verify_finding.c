/* Kinds, their texts, and lists of findings. */
#include "archiver/verify_finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/array.h"
#include "common/sha256.h"

static const struct {
    const char *id, *meaning, *advice;
} kinds[] = {
#define KIND(name, id_, meaning_, advice_) [HV_FINDING_##name] = {.id = id_, .meaning = meaning_, .advice = advice_},
    HV_FINDING_LIST(KIND)
#undef KIND
};

const char *
hv_finding_id(hv_finding_kind kind)
{
    return kinds[kind].id;
}

const char *
hv_finding_meaning(hv_finding_kind kind)
{
    return kinds[kind].meaning;
}

const char *
hv_finding_advice(hv_finding_kind kind)
{
    return kinds[kind].advice;
}

hv_finding
hv_finding_make(hv_finding_kind kind, const char *blob, const hv_partition *partition)
{
    hv_finding finding = {.kind = kind, .offset = -1, .position = -1, .partition = {.number = -1}};

    if (blob != NULL)
        (void)snprintf(finding.blob, sizeof finding.blob, "%s", blob);
    if (partition != NULL)
        finding.partition = *partition;
    return finding;
}

static void print_line(char *to, const char *fmt, va_list args) HV_PRINTF(2, 0);

static void
print_line(char *to, const char *fmt, va_list args)
{
    (void)vsnprintf(to, HV_FINDING_TEXT, fmt, args);
}

void
hv_finding_expect(hv_finding *finding, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_line(finding->expected, fmt, args);
    va_end(args);
}

void
hv_finding_find(hv_finding *finding, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_line(finding->found, fmt, args);
    va_end(args);
}

void
hv_finding_hashes(hv_finding *finding, const unsigned char *expected, const unsigned char *found)
{
    char text[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(expected, text);
    hv_finding_expect(finding, "SHA-256 %s", text);
    hv_sha256_text(found, text);
    hv_finding_find(finding, "%s", text);
}

void
hv_findings_clear(hv_findings *findings)
{
    free(findings->at);
    *findings = (hv_findings){.count = 0};
}

hv_rc
hv_findings_add(hv_findings *findings, const hv_finding *finding, hv_err *err)
{
    findings->total++;
    if (findings->count == HV_FINDINGS_KEPT) {
        findings->more[finding->kind]++;
        return HV_OK;
    }
    if (!hv_array_room(&findings->at, findings->count, &findings->room, sizeof *findings->at))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu findings", findings->count + 1);
    findings->at[findings->count++] = *finding;
    return HV_OK;
}
