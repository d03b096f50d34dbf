/* Whoever creates the record first has decided; everybody else reads it. After an answer that leaves things open the store is asked. */
#include "archiver/incarnation.h"

#include <stdio.h>

#include "segment/names.h"

hv_rc
hv_incarnation_read(const hv_chain *chain, const char *hub, uint32_t incarnation, hv_incarnation_record *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_name name = hv_name_of_incarnation(hub, incarnation);
    hv_incarnation_record record;
    hv_blob_properties properties;

    /* Properties promise that the record is durable, which reading does not: the next number must not be claimed over one that a loss of
     * power can still take away from whoever died before its put was answered. */
    hv_rc rc = hv_chain_may_ask(chain, err);
    if (rc == HV_OK)
        rc = chain->storage->ops->properties(chain->storage, name.text, &properties, err);
    if (rc == HV_OK)
        rc = hv_chain_may_ask(chain, err);
    if (rc == HV_OK)
        rc = hv_storage_get(chain->storage, name.text, &json, err);
    if (rc == HV_OK)
        rc = hv_incarnation_record_parse(hv_buf_slice(&json), &record, err);
    if (rc == HV_OK && (strcmp(record.vault, chain->vault) != 0 || strcmp(record.hub, hub) != 0 || record.incarnation != incarnation))
        rc = hv_err_set(err, HV_CORRUPT, "is the record of incarnation %u of hub '%s' in vault %s", record.incarnation, record.hub,
                        record.vault);
    if (rc != HV_OK)
        return rc == HV_NOT_FOUND ? rc : hv_err_prefix(err, "'%s'", name.text);
    *ret = record;
    return HV_OK;
}

hv_rc
hv_incarnation_newest(const hv_chain *chain, const char *hub, uint32_t from, hv_incarnation_record *ret, hv_err *err)
{
    bool found = false;

    for (uint32_t number = from;; number++) {
        hv_rc rc = hv_incarnation_read(chain, hub, number, ret, err);
        if (rc == HV_NOT_FOUND && found)
            return HV_OK;
        if (rc != HV_OK)
            return rc;
        found = true;
    }
}

hv_rc
hv_incarnation_claim(const hv_chain *chain, hv_incarnation_record *record, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_name name = hv_name_of_incarnation(record->hub, record->incarnation);
    hv_blob_attributes attributes = {.has_sha256 = true};

    hv_incarnation_record_write(record, &json);
    hv_rc rc = hv_buf_check(&json, err);
    if (rc != HV_OK)
        return rc;
    hv_slice part = hv_buf_slice(&json);
    hv_sha256(&part, 1, attributes.sha256);
    rc = hv_chain_may_ask(chain, err);
    if (rc != HV_OK)
        return rc;
    rc = chain->storage->ops->put_new(chain->storage, name.text, &part, 1, &attributes, err);
    if (rc == HV_EXISTS)
        return hv_incarnation_read(chain, record->hub, record->incarnation, record, err);
    return rc == HV_OK ? rc : hv_err_prefix(err, "claim incarnation %u of hub '%s'", record->incarnation, record->hub);
}

hv_index_incarnation
hv_incarnation_entry(const hv_incarnation_record *record)
{
    hv_index_incarnation entry = {.incarnation = record->incarnation, .created_ms = record->created_ms};

    (void)snprintf(entry.hub, sizeof entry.hub, "%s", record->hub);
    (void)snprintf(entry.cause, sizeof entry.cause, "%s", hv_incarnation_cause_text(record->cause));
    (void)snprintf(entry.identity, sizeof entry.identity, "%s", record->identity);
    return entry;
}
