/*
 * Lists over many partitions. Keys sort by the number of a hub, lists by its name, so each list walks the hubs by name and for each
 * of them a stretch of keys (hv_ix_scan).
 */
#include <assert.h>
#include <stdlib.h>

#include "index/index_internal.h"

enum { FIRST_ROOM = 16 };

/* An array that grows. */
typedef struct item_list {
    void *items;
    size_t count, room, item_size;
} item_list;

static void
free_list(item_list *list)
{
    free(list->items);
}
HV_DEFINE_AUTO_VALUE(item_list, free_list);

/* Room for one more, zeroed; NULL without memory. */
static void *
add_item(item_list *list)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? FIRST_ROOM : list->room * 2;
        void *moved = reallocarray(list->items, room, list->item_size);
        if (moved == NULL)
            return NULL;
        list->items = moved;
        list->room = room;
    }
    char *item = (char *)list->items + list->count++ * list->item_size;
    return memset(item, 0, list->item_size);
}

static hv_rc
no_memory(const item_list *list, hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for a list of %zu entries", list->count + 1);
}

/* Fills in the item of the entry that the scan stands on. */
typedef hv_rc take_entry(hv_ix_scan *scan, void *item, hv_err *err);

/* One item for each entry of a database. */
static hv_rc
list_entries(hv_index *index, hv_ix_db db, const char *hub, take_entry *take, item_list *all, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    HV_AUTO(hv_ix_scan_close) hv_ix_scan scan = {.started = false};
    bool found = false;

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK)
        rc = hv_ix_scan_open(&txn, db, hub, &scan, err);
    if (rc == HV_OK)
        rc = hv_ix_scan_next(&scan, &found, err);
    while (rc == HV_OK && found) {
        void *item = add_item(all);
        if (item == NULL)
            return no_memory(all, err);
        rc = take(&scan, item, err);
        if (rc == HV_OK)
            rc = hv_ix_scan_next(&scan, &found, err);
    }
    return rc;
}

static hv_rc
take_incarnation(hv_ix_scan *scan, void *item, hv_err *err)
{
    hv_index_incarnation *incarnation = item;

    memcpy(incarnation->hub, scan->hub, sizeof incarnation->hub);
    incarnation->incarnation = (uint32_t)hv_ix_number((const unsigned char *)scan->entries.key.data + 4, 4);
    return hv_ix_read_incarnation(&scan->entries.value, incarnation, err);
}

hv_rc
hv_index_incarnations(hv_index *index, hv_index_incarnation **ret, size_t *count, hv_err *err)
{
    HV_AUTO(free_list) item_list all = {.item_size = sizeof **ret};
    hv_rc rc = list_entries(index, HV_IX_INCARNATIONS, NULL, take_incarnation, &all, err);

    if (rc != HV_OK)
        return rc;
    *count = all.count;
    *ret = HV_TAKE(all.items);
    return HV_OK;
}

static hv_rc
take_facts(hv_ix_scan *scan, void *item, hv_err *err)
{
    hv_index_partition_facts *facts = item;
    hv_rc rc = hv_ix_scan_partition(scan, &facts->partition, err);

    return rc == HV_OK ? hv_ix_read_facts(&scan->entries.value, facts, err) : rc;
}

hv_rc
hv_index_partitions(hv_index *index, const char *hub, hv_index_partition_facts **ret, size_t *count, hv_err *err)
{
    HV_AUTO(free_list) item_list all = {.item_size = sizeof **ret};
    hv_rc rc = list_entries(index, HV_IX_PARTITIONS, hub, take_facts, &all, err);

    if (rc != HV_OK)
        return rc;
    *count = all.count;
    *ret = HV_TAKE(all.items);
    return HV_OK;
}

/* ---- gaps ---- */

static bool
lies_behind(const hv_partition *partition, const hv_gap *gap, const hv_index_gap *after)
{
    if (after == NULL)
        return true;
    int order = hv_partition_compare(partition, &after->partition);
    return order != 0 ? order > 0 : gap->range.first > after->gap.range.first;
}

/* Gaps of the entry the scan stands on, up to max in all. */
static hv_rc
add_gaps(hv_ix_scan *scan, const hv_partition *partition, const hv_index_gap *after, size_t max, item_list *all, hv_err *err)
{
    hv_ix_gap *gaps = NULL;
    size_t count = 0;

    if (scan->entries.key.len != HV_IX_CUT_BYTES)
        return hv_err_set(err, HV_CORRUPT, "a key in 'gaps' has %zu bytes: rebuild the index", scan->entries.key.len);
    int64_t first = (int64_t)hv_ix_number((const unsigned char *)scan->entries.key.data + HV_IX_PARTITION_BYTES, 8);
    hv_rc rc = hv_ix_read_gaps(&scan->entries.value, first, &gaps, &count, err);
    for (size_t i = 0; rc == HV_OK && i < count && all->count < max; i++) {
        if (!lies_behind(partition, &gaps[i].gap, after))
            continue;
        hv_index_gap *item = add_item(all);
        if (item == NULL)
            rc = no_memory(all, err);
        else
            *item = (hv_index_gap){.partition = *partition, .gap = gaps[i].gap};
    }
    free(gaps);
    return rc;
}

/* Where to begin: at the cut that holds `after`, or where the partition begins. */
static hv_rc
find_start(hv_ix_txn *txn, const hv_partition *partition, const hv_index_gap *after, hv_ix_key *ret, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    hv_ix_cut cut = {.range = {.first = 0}};
    hv_ix_key key;
    bool found;

    hv_rc rc = hv_ix_partition_find(txn, partition, &found, &key, err);
    if (rc != HV_OK || !found)
        return rc;
    if (after != NULL && hv_partition_compare(partition, &after->partition) == 0 && after->gap.range.first > 0) {
        rc = hv_ix_cursor_open(txn, HV_IX_CUTS, &cuts, err);
        if (rc == HV_OK)
            rc = hv_ix_cut_before(&cuts, &key, (uint64_t)after->gap.range.first + 1, &found, &cut, err);
        if (rc != HV_OK)
            return rc;
    }
    *ret = hv_ix_key_cut(&key, found ? (uint64_t)cut.range.first : 0);
    return HV_OK;
}

static hv_rc
scan_gaps(hv_ix_scan *scan, const hv_partition *only, const hv_index_gap *after, size_t max, item_list *all, hv_err *err)
{
    hv_partition partition;
    bool found;

    while (all->count < max) {
        hv_rc rc = hv_ix_scan_next(scan, &found, err);
        if (rc != HV_OK || !found)
            return rc;
        rc = hv_ix_scan_partition(scan, &partition, err);
        if (rc != HV_OK)
            return rc;
        if (only != NULL && hv_partition_compare(&partition, only) > 0)
            return HV_OK;
        rc = add_gaps(scan, &partition, after, max, all, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

hv_rc
hv_index_gaps(hv_index *index, const hv_partition *partition, const hv_index_gap *after, size_t max, hv_index_gap **ret,
              size_t *count, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    HV_AUTO(hv_ix_scan_close) hv_ix_scan scan = {.started = false};
    HV_AUTO(free_list) item_list all = {.item_size = sizeof **ret};
    const hv_partition *start = partition != NULL ? partition : after != NULL ? &after->partition : NULL;

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK)
        rc = hv_ix_scan_open(&txn, HV_IX_GAPS, partition != NULL ? partition->hub : NULL, &scan, err);
    if (rc == HV_OK && start != NULL) {
        scan.hub_start = hv_ix_key_text(start->hub);
        rc = find_start(&txn, start, after, &scan.start, err);
    }
    if (rc == HV_OK)
        rc = scan_gaps(&scan, partition, after, max, &all, err);
    if (rc != HV_OK)
        return rc;
    *count = all.count;
    *ret = HV_TAKE(all.items);
    return HV_OK;
}
