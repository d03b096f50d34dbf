/*
 * Incarnations: records of the store against entries of the index. Records come in the order of names, "10" before "2", so they are kept until
 * the walk is over; there are few.
 */
#include <stdlib.h>

#include "archiver/verify_internal.h"
#include "common/array.h"

typedef struct seen_record {
    hv_index_incarnation entry;
    bool known;                         /* it could be read; else only hub and number are */
} seen_record;

typedef struct missing_records {
    char hub[HV_HUB_SIZE];
    uint32_t from, to;
} missing_records;

struct hv_verify_incarnations {
    hv_verify_run *run;
    seen_record *records;
    size_t record_count, record_room;
    missing_records *missing;
    size_t missing_count, missing_room;
};

hv_rc
hv_verify_incarnations_new(hv_verify_run *run, hv_verify_incarnations **ret, hv_err *err)
{
    *ret = calloc(1, sizeof **ret);
    if (*ret == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to verify incarnations");
    (*ret)->run = run;
    return HV_OK;
}

void
hv_verify_incarnations_free(hv_verify_incarnations *all)
{
    if (all == NULL)
        return;
    free(all->records);
    free(all->missing);
    free(all);
}

hv_rc
hv_verify_incarnations_add(hv_verify_incarnations *all, const hv_verify_item *item, hv_err *err)
{
    if (all == NULL)
        return HV_OK;
    if (!hv_array_room(&all->records, all->record_count, &all->record_room, sizeof *all->records))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu incarnations", all->record_count + 1);
    seen_record *seen = &all->records[all->record_count++];
    *seen = (seen_record){.entry = item->record, .known = item->has_record};
    memcpy(seen->entry.hub, item->walked.partition.hub, sizeof seen->entry.hub);
    seen->entry.incarnation = item->walked.partition.incarnation;
    return HV_OK;
}

hv_rc
hv_verify_incarnations_missing(hv_verify_incarnations *all, const char *hub, uint32_t from, uint32_t to, hv_err *err)
{
    if (all == NULL)
        return HV_OK;
    if (!hv_array_room(&all->missing, all->missing_count, &all->missing_room, sizeof *all->missing))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu missing incarnations", all->missing_count + 1);
    missing_records *told = &all->missing[all->missing_count++];
    *told = (missing_records){.from = from, .to = to};
    memcpy(told->hub, hub, strlen(hub) + 1);
    return HV_OK;
}

static bool
is_told_missing(const hv_verify_incarnations *all, const hv_index_incarnation *entry)
{
    for (size_t i = 0; i < all->missing_count; i++) {
        const missing_records *told = &all->missing[i];
        if (strcmp(told->hub, entry->hub) == 0 && entry->incarnation >= told->from && entry->incarnation <= told->to)
            return true;
    }
    return false;
}

static int
compare_incarnations(const hv_index_incarnation *a, const hv_index_incarnation *b)
{
    int by_hub = strcmp(a->hub, b->hub);

    return by_hub != 0 ? by_hub : a->incarnation < b->incarnation ? -1 : a->incarnation > b->incarnation;
}

static int
by_incarnation(const void *a, const void *b)
{
    return compare_incarnations(&((const seen_record *)a)->entry, &((const seen_record *)b)->entry);
}

static void
tell_incarnation(hv_verify_incarnations *all, const hv_index_incarnation *entry, const char *expected, const char *found)
{
    hv_finding finding = hv_finding_make(HV_FINDING_INDEX_INCARNATION, hv_name_of_incarnation(entry->hub, entry->incarnation).text, NULL);

    memcpy(finding.partition.hub, entry->hub, sizeof finding.partition.hub);
    finding.partition.incarnation = entry->incarnation;
    hv_finding_expect(&finding, "%s", expected);
    hv_finding_find(&finding, "%s", found);
    hv_verify_tell(all->run, &finding);
}

/* Was it claimed while we ran? */
static hv_rc
check_extra_incarnation(hv_verify_incarnations *all, const hv_index_incarnation *entry, hv_err *err)
{
    hv_storage *storage = hv_verify_config_of(all->run)->storage;
    hv_blob_properties properties;

    if (is_told_missing(all, entry))
        return HV_OK;
    hv_rc rc = storage->ops->properties(storage, hv_name_of_incarnation(entry->hub, entry->incarnation).text, &properties, err);

    if (rc != HV_NOT_FOUND)
        return rc;
    tell_incarnation(all, entry, "a record in the store", "only the index has the incarnation");
    return HV_OK;
}

static hv_rc
check_incarnation(hv_verify_incarnations *all, const hv_index_incarnation *indexed, size_t *matched, hv_err *err)
{
    seen_record key = {.entry = *indexed};
    const seen_record *stored = all->record_count == 0 ? NULL
                                : bsearch(&key, all->records, all->record_count, sizeof *all->records, by_incarnation);

    if (stored == NULL)
        return check_extra_incarnation(all, indexed, err);
    ++*matched;
    if (stored->known && (stored->entry.created_ms != indexed->created_ms || strcmp(stored->entry.cause, indexed->cause) != 0 ||
                          strcmp(stored->entry.identity, indexed->identity) != 0))
        tell_incarnation(all, indexed, "what the record says", "another time, cause or identity");
    return HV_OK;
}

/* Both lists are sorted: which of the store's has no partner? */
static void
tell_missing_incarnations(hv_verify_incarnations *all, const hv_index_incarnation *indexed, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < all->record_count; i++) {
        const seen_record *stored = &all->records[i];
        while (at < count && compare_incarnations(&indexed[at], &stored->entry) < 0)
            at++;
        bool there = at < count && compare_incarnations(&indexed[at], &stored->entry) == 0;
        if (!there && stored->known)
            tell_incarnation(all, &stored->entry, "the incarnation in the index", "no entry");
    }
}

hv_rc
hv_verify_incarnations_end(hv_verify_incarnations *all, hv_err *err)
{
    hv_index_incarnation *indexed = NULL;
    size_t count = 0, matched = 0;

    if (all == NULL)
        return HV_OK;
    hv_rc rc = hv_index_incarnations(hv_verify_config_of(all->run)->index, &indexed, &count, err);
    if (rc == HV_CORRUPT)
        hv_verify_tell_index_damaged(all->run, NULL, -1, err);
    if (rc != HV_OK)
        return rc == HV_CORRUPT ? HV_OK : rc;
    if (all->record_count > 0)
        qsort(all->records, all->record_count, sizeof *all->records, by_incarnation);
    const char *hub = hv_verify_config_of(all->run)->hub;
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        if (hub == NULL || strcmp(hub, indexed[i].hub) == 0)
            rc = check_incarnation(all, &indexed[i], &matched, err);
    if (rc == HV_OK && matched < all->record_count)
        tell_missing_incarnations(all, indexed, count);
    free(indexed);
    return rc;
}
