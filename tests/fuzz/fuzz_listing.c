/*
 * The names that a store lists, in pages of any size: taken apart and put together again, walked as cuts, asked for the next lead, looked
 * at, verified. The input is the size of the pages, then names, one a line; "@" stands for the folder of a partition. What a walk tells is
 * held against the sorted list of names.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "archiver/vault_walk.h"
#include "archiver/verify.h"
#include "storage/storage_driver.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 16 << 10, MOST_NAMES = 600 };

static const char folder[] = "segments/hub=orders/incarnation=1/partition=0/";

/* ---- a store that has names, and nothing behind them ---- */

typedef struct names_only {
    hv_storage base;
    char *names[MOST_NAMES];
    size_t count, page;
} names_only;

static hv_rc
list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    const names_only *store = (const names_only *)storage;
    hv_blob_list page = {.count = 0};
    size_t most = request->max < store->page ? request->max : store->page;

    assert(hv_storage_prefix_check(request->prefix, err) == HV_OK);
    for (size_t i = 0; i < store->count; i++) {
        int order = request->from != NULL ? strcmp(store->names[i], request->from) : 1;
        if (order < 0 || (order == 0 && request->after) || !hv_storage_begins(store->names[i], request->prefix))
            continue;
        if (page.count == most) {
            page.more = true;
            break;
        }
        assert(hv_blob_list_add(&page, store->names[i], i, err) == HV_OK);
    }
    *ret = page;
    return HV_OK;
}

static bool
is_there(const names_only *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->names[i], name) == 0)
            return true;
    return false;
}

static hv_rc
get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    (void)position, (void)len, (void)ret;
    return is_there((names_only *)storage, name) ? HV_OK : hv_err_set(err, HV_NOT_FOUND, "no '%s'", name);
}

static hv_rc
properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    *ret = (hv_blob_properties){.size = 0};
    return is_there((names_only *)storage, name) ? HV_OK : hv_err_set(err, HV_NOT_FOUND, "no '%s'", name);
}

static const hv_storage_ops ops = {.driver = "names", .list = list, .get_range = get_range, .properties = properties};

static int
by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
take_line(names_only *store, const char *line, size_t len)
{
    char name[HV_STORAGE_NAME_SIZE + sizeof folder];
    hv_err err;

    if (len == 0 || len >= HV_STORAGE_NAME_SIZE || store->count == MOST_NAMES || memchr(line, '\0', len) != NULL)
        return;
    bool short_form = line[0] == '@';
    (void)snprintf(name, sizeof name, "%s%.*s", short_form ? folder : "", (int)len - short_form, line + short_form);
    if (hv_storage_name_check(name, &err) != HV_OK || is_there(store, name))
        return;                         /* no driver lists those */
    store->names[store->count] = strdup(name);
    assert(store->names[store->count++] != NULL);
}

/* ---- what a walk has to tell ---- */

typedef struct teller {
    names_only *store;
    size_t told;                        /* names that were accounted for */
    hv_partition partition;             /* of the last cut */
    int64_t first;
    bool any;
    hv_blob_name snapshots;             /* of whom the last snapshot was, and its number */
    int64_t snapshot;
} teller;

static size_t
names_with(const names_only *store, const char *prefix)
{
    size_t count = 0;

    for (size_t i = 0; i < store->count; i++)
        count += hv_storage_begins(store->names[i], prefix) ? 1 : 0;
    return count;
}

static void
check_looks(const teller *t, const hv_walked_cut *cut)
{
    hv_chain chain = {.storage = &t->store->base, .vault = "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10"};
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut found = {0};
    int64_t next = -1;
    hv_err err;

    assert(hv_chain_look_on(&chain, &cut->partition, cut->first, &found, &next, &err) == HV_CORRUPT);
    assert(hv_chain_look(&chain, &cut->partition, cut->first, &found, &err) == HV_CORRUPT);     /* for its blobs are empty */
}

static hv_rc
tell_cut(void *arg, hv_walked_cut *cut, hv_err *err)
{
    teller *t = arg;
    hv_blob_name prefix = hv_prefix_of_cut(&cut->partition, cut->first);
    const hv_chain_names *names = &cut->names;

    (void)err;
    if (t->any) {
        int order = hv_partition_compare(&t->partition, &cut->partition);
        assert(order != 0 || cut->first > t->first);
    }
    t->any = true;
    t->partition = cut->partition;
    t->first = cut->first;
    assert(names->has_lead == is_there(t->store, hv_name_of_lead(&cut->partition, cut->first).text));
    for (size_t i = 0; i < names->class_count; i++)
        assert(is_there(t->store, hv_name_of_sibling(&cut->partition, cut->first, names->classes[i]).text));
    size_t own = names->class_count + (names->has_lead ? 1 : 0), all = names_with(t->store, prefix.text);
    assert(own <= all && (own < all) == (names->stranger != NULL));
    if (names->stranger != NULL)
        assert(hv_storage_begins(names->stranger, prefix.text) && is_there(t->store, names->stranger));
    t->told += own;
    check_looks(t, cut);
    return HV_OK;
}

static hv_rc
tell_incarnation(void *arg, const char *hub, uint32_t incarnation, hv_err *err)
{
    teller *t = arg;

    (void)err;
    assert(is_there(t->store, hv_name_of_incarnation(hub, incarnation).text));
    t->told++;
    return HV_OK;
}

/* The newest first, so that whoever wants the newest reads one. */
static hv_rc
tell_snapshot(void *arg, const hv_name_parts *name, hv_err *err)
{
    teller *t = arg;
    const char *key = name->kind == HV_NAME_GROUP_SNAPSHOT ? name->group_key : NULL;
    hv_blob_name prefix = hv_prefix_of_snapshots(name->partition.hub, key);

    (void)err;
    assert(is_there(t->store, hv_name_of_snapshot(name->partition.hub, key, name->number).text));
    if (strcmp(prefix.text, t->snapshots.text) == 0)
        assert(name->number < t->snapshot);
    t->snapshots = prefix;
    t->snapshot = name->number;
    t->told++;
    return HV_OK;
}

static hv_rc
tell_foreign(void *arg, const char *name, hv_err *err)
{
    teller *t = arg;

    (void)err;
    assert(is_there(t->store, name) && hv_name_parse(name).kind == HV_NAME_FOREIGN);
    t->told++;
    return HV_OK;
}

static void
check_parts(const char *name)
{
    hv_name_parts parts = hv_name_parse(name);
    hv_blob_name again = {.text = ""};
    hv_err err;

    if (parts.kind == HV_NAME_LEAD)
        again = hv_name_of_lead(&parts.partition, parts.first);
    else if (parts.kind == HV_NAME_SIBLING)
        again = hv_name_of_sibling(&parts.partition, parts.first, parts.class_name);
    else if (parts.kind == HV_NAME_INCARNATION)
        again = hv_name_of_incarnation(parts.partition.hub, parts.partition.incarnation);
    else if (parts.kind == HV_NAME_TOPIC_SNAPSHOT || parts.kind == HV_NAME_GROUP_SNAPSHOT)
        again = hv_name_of_snapshot(parts.partition.hub, parts.kind == HV_NAME_GROUP_SNAPSHOT ? parts.group_key : NULL, parts.number);
    else
        return;
    assert(strcmp(again.text, name) == 0 && hv_hub_name_check(parts.partition.hub, &err) == HV_OK);
    bool of_segments = parts.kind == HV_NAME_LEAD || parts.kind == HV_NAME_SIBLING;
    assert(parts.first >= 0 && parts.partition.number >= 0 && (!of_segments || parts.partition.incarnation >= 1));
}

static void
report(void *arg, const hv_finding *finding)
{
    (void)arg;
    assert(strpbrk(finding->expected, "\r\n") == NULL && strpbrk(finding->found, "\r\n") == NULL);
}

static void
check_store(names_only *store)
{
    teller t = {.store = store};
    const hv_vault_visitor visitor = {.arg = &t, .cut = tell_cut, .incarnation = tell_incarnation,
        .snapshot = tell_snapshot, .foreign = tell_foreign};
    hv_verify_config config = {.storage = &store->base, .vault = "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10", .threads = 1, .report = report};
    hv_verify_facts facts;
    hv_err err;

    assert(hv_vault_walk(&store->base, "", &visitor, &err) == HV_OK);
    /* One sibling more than a cut can have is a stranger, though its name is one of ours. */
    bool crowded = store->count > HV_SEGMENT_MAX_CLASSES;
    assert(crowded || t.told + (is_there(store, HV_VAULT_MARKER_NAME) ? 1 : 0) == store->count);
    assert(hv_verify(&config, &facts, &err) == HV_GAP);         /* there is no marker, or an empty one */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    names_only store = {.base = {.ops = &ops}};

    if (size < 2 || size > MOST)
        return 0;
    store.page = 1 + data[0] % 16u * 40u;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        take_line(&store, at, (size_t)((stop != NULL ? stop : end) - at));
        at = stop != NULL ? stop + 1 : end;
    }
    qsort(store.names, store.count, sizeof *store.names, by_bytes);
    for (size_t i = 0; i < store.count; i++)
        check_parts(store.names[i]);
    check_store(&store);
    for (size_t i = 0; i < store.count; i++)
        free(store.names[i]);
    return 0;
}
