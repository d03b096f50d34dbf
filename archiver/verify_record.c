/* The two kinds of small records: the marker of the vault, and the claim of an incarnation. Their bytes are compared with the SHA-256 that
 * the store keeps beside them, too: a record may well be readable and still not be the one that was put. */
#include <inttypes.h>
#include <stdio.h>

#include "archiver/incarnation.h"
#include "archiver/verify_internal.h"

/* Where a record lies, for findings about it. */
typedef struct record_place {
    const hv_verify_config *config;
    const char *name;
    const hv_partition *of;             /* hub and incarnation; NULL: the marker */
    hv_finding_kind damaged;
    hv_findings *findings;
} record_place;

/* What lies under the name. Findings: gone, or too long (`damaged`). *there: `to` holds it. */
static hv_rc
read_record(const record_place *place, hv_finding_kind gone, hv_buf *to, hv_blob_properties *properties, bool *there, hv_err *err)
{
    hv_storage *storage = place->config->storage;
    hv_rc rc = storage->ops->properties(storage, place->name, properties, err);

    if (rc == HV_OK)
        rc = hv_storage_get(storage, place->name, to, err);
    *there = rc == HV_OK;
    if (rc != HV_NOT_FOUND && rc != HV_LIMIT)
        return rc;
    hv_finding finding = hv_finding_make(rc == HV_NOT_FOUND ? gone : place->damaged, place->name, place->of);
    hv_finding_expect(&finding, "a record of at most %d bytes", HV_RECORD_MAX);
    hv_finding_find(&finding, "%.250s", rc == HV_NOT_FOUND ? "no such blob" : err->msg);
    return hv_findings_add(place->findings, &finding, err);
}

static hv_rc
check_hash(const record_place *place, hv_slice json, const hv_blob_attributes *attributes, hv_err *err)
{
    hv_finding finding = hv_finding_make(HV_FINDING_WRONG_HASH, place->name, place->of);
    unsigned char sha256[HV_SHA256_SIZE];

    hv_sha256(&json, 1, sha256);
    if (!attributes->has_sha256 || memcmp(attributes->sha256, sha256, sizeof sha256) == 0)
        return HV_OK;
    hv_finding_hashes(&finding, attributes->sha256, sha256);
    return hv_findings_add(place->findings, &finding, err);
}

static hv_rc
tell_unread(const record_place *place, hv_rc rc, hv_err *err)
{
    hv_finding finding = hv_finding_make(rc == HV_VERSION ? HV_FINDING_UNKNOWN_VERSION : place->damaged, place->name, place->of);

    hv_finding_expect(&finding, "a record");
    hv_finding_find(&finding, "%.250s", err->msg);
    return hv_findings_add(place->findings, &finding, err);
}

static hv_rc
tell_other_vault(const record_place *place, const char *vault, hv_err *err)
{
    hv_finding finding = hv_finding_make(HV_FINDING_OTHER_VAULT, place->name, place->of);

    hv_finding_expect(&finding, "vault %s", place->config->vault);
    hv_finding_find(&finding, "%s", vault);
    return hv_findings_add(place->findings, &finding, err);
}

hv_rc
hv_verify_marker(const hv_verify_config *config, hv_findings *findings, hv_err *err)
{
    record_place place = {.config = config, .name = HV_VAULT_MARKER_NAME, .damaged = HV_FINDING_DAMAGED_MARKER, .findings = findings};
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_properties properties;
    hv_vault_marker marker;
    bool there;

    hv_rc rc = read_record(&place, HV_FINDING_MISSING_MARKER, &json, &properties, &there, err);
    if (rc != HV_OK || !there)
        return rc;
    rc = hv_vault_marker_parse(hv_buf_slice(&json), &marker, err);
    if (hv_verify_about_content(rc))
        return tell_unread(&place, rc, err);
    if (rc != HV_OK)
        return rc;
    if (strcmp(marker.vault, config->vault) != 0)
        return tell_other_vault(&place, marker.vault, err);
    return check_hash(&place, hv_buf_slice(&json), &properties.attributes, err);
}

/* *fits stays false where the record is not one of this hub and number. */
static hv_rc
check_place(const record_place *place, const hv_incarnation_record *record, bool *fits, hv_err *err)
{
    const hv_partition *named = place->of;

    if (strcmp(record->vault, place->config->vault) != 0)
        return tell_other_vault(place, record->vault, err);
    *fits = strcmp(record->hub, named->hub) == 0 && record->incarnation == named->incarnation;
    if (*fits)
        return HV_OK;
    hv_finding finding = hv_finding_make(HV_FINDING_WRONG_PLACE, place->name, place->of);
    hv_finding_expect(&finding, "incarnation %" PRIu32 " of %.200s", named->incarnation, named->hub);
    hv_finding_find(&finding, "incarnation %" PRIu32 " of %.200s", record->incarnation, record->hub);
    return hv_findings_add(place->findings, &finding, err);
}

hv_rc
hv_verify_incarnation(hv_verify_tools *tools, hv_verify_item *item, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_name name = hv_name_of_incarnation(item->walked.partition.hub, item->walked.partition.incarnation);
    record_place place = {.config = tools->config, .name = name.text, .of = &item->walked.partition,
        .damaged = HV_FINDING_DAMAGED_INCARNATION, .findings = &item->findings};
    hv_blob_properties properties;
    hv_incarnation_record record;
    bool there, fits = false;

    hv_rc rc = read_record(&place, HV_FINDING_BLOB_GONE, &json, &properties, &there, err);
    if (rc != HV_OK || !there)
        return rc;
    rc = hv_incarnation_record_parse(hv_buf_slice(&json), &record, err);
    if (hv_verify_about_content(rc))
        return tell_unread(&place, rc, err);
    if (rc == HV_OK)
        rc = check_place(&place, &record, &fits, err);
    if (rc != HV_OK || !fits)
        return rc;
    rc = check_hash(&place, hv_buf_slice(&json), &properties.attributes, err);
    item->has_record = item->findings.total == 0;
    item->record = hv_incarnation_entry(&record);
    return rc;
}
