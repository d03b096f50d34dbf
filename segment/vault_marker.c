/*
 * Both records begin with their format, so that a newer layout is told apart from damage before anything else is looked at.
 */
#include "segment/vault_marker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "segment/canonical_json.h"

enum { RECORD_FORMAT = 1 };

static const char *const cause_texts[] = {
    [HV_INCARNATION_FIRST] = "first",
    [HV_INCARNATION_IDENTITY] = "identity",
    [HV_INCARNATION_SHORTER] = "shorter",
    [HV_INCARNATION_DIFFERS] = "differs",
};

enum { CAUSES = sizeof cause_texts / sizeof cause_texts[0] };

/* RFC 9562 section 5.4: 122 random bits, version 4, variant 10. */
hv_rc
hv_vault_id_make(char ret[HV_VAULT_ID_SIZE], hv_err *err)
{
    unsigned char b[16];
    ssize_t got = getrandom(b, sizeof b, 0);

    if (got != (ssize_t)sizeof b)
        return hv_err_set(err, HV_IO, "no random bytes for the id of a vault: %s", strerror(errno));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(ret, HV_VAULT_ID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
                   b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return HV_OK;
}

const char *
hv_incarnation_cause_text(hv_incarnation_cause cause)
{
    return cause_texts[cause];
}

/* The record ends in a line feed, so that it reads well on a terminal. */
static hv_rc
end_record(hv_json_scan *scan, const char *what)
{
    hv_json_scan_literal(scan, "}\n");
    return hv_json_scan_end(scan) == HV_OK ? HV_OK : hv_err_prefix(scan->err, "%s", what);
}

static hv_rc
start_record(hv_json_scan *scan, const char *what, hv_slice json, hv_err *err)
{
    if (json.len > HV_RECORD_MAX)
        return hv_err_set(err, HV_CORRUPT, "%s: %zu bytes, more than %d", what, json.len, HV_RECORD_MAX);
    *scan = hv_json_scan_make(json, err);
    int64_t format = hv_json_scan_int_after(scan, "{\"format\":", 1, INT64_MAX);
    if (scan->rc != HV_OK)
        return hv_err_prefix(err, "%s", what);
    if (format > RECORD_FORMAT)
        return hv_err_set(err, HV_VERSION, "%s: format %" PRId64 " is newer than %d, the newest this program knows", what, format,
                          RECORD_FORMAT);
    return HV_OK;
}

void
hv_vault_marker_write(const hv_vault_marker *marker, hv_buf *to)
{
    hv_json_put_int_after(to, "{\"format\":", RECORD_FORMAT);
    hv_json_put_text_after(to, ",\"vault\":", marker->vault);
    hv_json_put_int_after(to, ",\"created\":", marker->created_ms);
    hv_buf_put_text(to, "}\n");
}

hv_rc
hv_vault_marker_parse(hv_slice json, hv_vault_marker *ret, hv_err *err)
{
    static const char what[] = "vault marker";
    hv_vault_marker marker;
    hv_json_scan scan;
    hv_rc rc = start_record(&scan, what, json, err);

    if (rc != HV_OK)
        return rc;
    hv_json_scan_text_after(&scan, ",\"vault\":", marker.vault, sizeof marker.vault);
    marker.created_ms = hv_json_scan_int_after(&scan, ",\"created\":", INT64_MIN, INT64_MAX);
    rc = end_record(&scan, what);
    if (rc != HV_OK)
        return rc;
    if (!hv_vault_id_valid(marker.vault))
        return hv_err_set(err, HV_CORRUPT, "%s: the id of a vault is a UUID in lower case, not '%s'", what, marker.vault);
    *ret = marker;
    return HV_OK;
}

void
hv_incarnation_record_write(const hv_incarnation_record *record, hv_buf *to)
{
    hv_json_put_int_after(to, "{\"format\":", RECORD_FORMAT);
    hv_json_put_text_after(to, ",\"vault\":", record->vault);
    hv_json_put_text_after(to, ",\"hub\":", record->hub);
    hv_json_put_int_after(to, ",\"incarnation\":", record->incarnation);
    hv_json_put_text_after(to, ",\"cause\":", hv_incarnation_cause_text(record->cause));
    hv_json_put_text_after(to, ",\"identity\":", record->identity);
    hv_json_put_int_after(to, ",\"created\":", record->created_ms);
    hv_buf_put_text(to, "}\n");
}

static void
scan_cause(hv_json_scan *scan, hv_incarnation_cause *ret)
{
    char text[16];

    hv_json_scan_text_after(scan, ",\"cause\":", text, sizeof text);
    for (unsigned cause = 0; cause < CAUSES; cause++)
        if (strcmp(text, cause_texts[cause]) == 0) {
            *ret = (hv_incarnation_cause)cause;
            return;
        }
    (void)hv_json_scan_fail(scan, "the cause of an incarnation before this");
}

hv_rc
hv_incarnation_record_parse(hv_slice json, hv_incarnation_record *ret, hv_err *err)
{
    static const char what[] = "incarnation record";
    hv_incarnation_record record;
    hv_json_scan scan;
    hv_err why;
    hv_rc rc = start_record(&scan, what, json, err);

    if (rc != HV_OK)
        return rc;
    hv_json_scan_text_after(&scan, ",\"vault\":", record.vault, sizeof record.vault);
    hv_json_scan_text_after(&scan, ",\"hub\":", record.hub, sizeof record.hub);
    record.incarnation = (uint32_t)hv_json_scan_int_after(&scan, ",\"incarnation\":", 1, UINT32_MAX);
    scan_cause(&scan, &record.cause);
    hv_json_scan_text_after(&scan, ",\"identity\":", record.identity, sizeof record.identity);
    record.created_ms = hv_json_scan_int_after(&scan, ",\"created\":", INT64_MIN, INT64_MAX);
    rc = end_record(&scan, what);
    if (rc != HV_OK)
        return rc;
    if (!hv_vault_id_valid(record.vault))
        return hv_err_set(err, HV_CORRUPT, "%s: the id of a vault is a UUID in lower case, not '%s'", what, record.vault);
    if (hv_hub_name_check(record.hub, &why) != HV_OK)
        return hv_err_set(err, HV_CORRUPT, "%s: %s", what, why.msg);
    *ret = record;
    return HV_OK;
}
