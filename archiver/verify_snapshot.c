/* Snapshots of topics and groups: each by itself, and the numbers of one place against each other. */
#include <inttypes.h>

#include "archiver/snapshot_store.h"
#include "archiver/verify_internal.h"

static hv_finding
finding_of(hv_finding_kind kind, const hv_name_parts *name)
{
    const char *key = name->kind == HV_NAME_GROUP_SNAPSHOT ? name->group_key : NULL;
    hv_finding finding = hv_finding_make(kind, hv_name_of_snapshot(name->partition.hub, key, name->number).text, NULL);

    memcpy(finding.partition.hub, name->partition.hub, sizeof finding.partition.hub);
    finding.partition.number = -1;
    return finding;
}

void
hv_verify_snapshot_order(const hv_name_parts *before, const hv_name_parts *name, hv_finding *ret, bool *missing)
{
    *missing = before->kind == name->kind && strcmp(before->partition.hub, name->partition.hub) == 0
               && strcmp(before->group_key, name->group_key) == 0 && before->number > name->number + 1;
    if (!*missing)
        return;
    *ret = finding_of(HV_FINDING_MISSING_SNAPSHOT, name);
    hv_finding_expect(ret, "number %" PRId64 " behind this one", name->number + 1);
    hv_finding_find(ret, "number %" PRId64, before->number);
}

static hv_rc
tell(hv_verify_item *item, hv_finding_kind kind, const char *expected, const char *found, hv_err *err)
{
    hv_finding finding = finding_of(kind, &item->snapshot);

    hv_finding_expect(&finding, "%.250s", expected);
    hv_finding_find(&finding, "%.250s", found);
    return hv_findings_add(&item->findings, &finding, err);
}

static hv_rc
check_bytes(const hv_verify_config *config, hv_verify_item *item, hv_slice json, const hv_blob_attributes *attributes, hv_err *err)
{
    hv_snapshots snapshots = {.storage = config->storage, .vault = config->vault};
    unsigned char sha256[HV_SHA256_SIZE];
    char is[HV_SHA256_TEXT_SIZE], should[HV_SHA256_TEXT_SIZE];

    hv_rc rc = hv_snapshots_check(&snapshots, &item->snapshot, json, err);
    if (hv_verify_about_content(rc))
        return tell(item, rc == HV_VERSION ? HV_FINDING_UNKNOWN_VERSION : HV_FINDING_DAMAGED_SNAPSHOT, "a snapshot", err->msg, err);
    hv_sha256(&json, 1, sha256);
    if (rc != HV_OK || !attributes->has_sha256 || memcmp(attributes->sha256, sha256, sizeof sha256) == 0)
        return rc;
    hv_sha256_text(sha256, is);
    hv_sha256_text(attributes->sha256, should);
    return tell(item, HV_FINDING_WRONG_HASH, should, is, err);
}

hv_rc
hv_verify_snapshot(hv_verify_tools *tools, hv_verify_item *item, hv_err *err)
{
    const hv_verify_config *config = tools->config;
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    const char *key = item->snapshot.kind == HV_NAME_GROUP_SNAPSHOT ? item->snapshot.group_key : NULL;
    hv_blob_name name = hv_name_of_snapshot(item->snapshot.partition.hub, key, item->snapshot.number);
    hv_blob_properties properties;

    hv_rc rc = config->storage->ops->properties(config->storage, name.text, &properties, err);
    if (rc == HV_OK)
        rc = hv_storage_get(config->storage, name.text, &json, err);
    if (rc == HV_NOT_FOUND)
        return tell(item, HV_FINDING_BLOB_GONE, "a snapshot", "no such blob", err);
    if (rc == HV_LIMIT)
        return tell(item, HV_FINDING_DAMAGED_SNAPSHOT, "a snapshot", err->msg, err);
    return rc == HV_OK ? check_bytes(config, item, hv_buf_slice(&json), &properties.attributes, err) : rc;
}
