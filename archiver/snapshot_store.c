/*
 * Names count down, so a listing of one place begins with its newest snapshot. A time is looked for by halving the numbers: each look
 * reads one small blob. Numbers that are gone, because somebody destroyed old snapshots, count as too old.
 */
#include "archiver/snapshot_store.h"

#include <inttypes.h>
#include <stdio.h>

#include "storage/listing.h"

enum { PAGE = 16 };

/* Either of the two, with what both have. */
typedef struct any_snapshot {
    bool is_group;
    hv_topic_snapshot topic;
    hv_group_snapshot group;
} any_snapshot;

static void
any_clear(any_snapshot *any)
{
    hv_topic_snapshot_clear(&any->topic);
    hv_group_snapshot_clear(&any->group);
}
HV_DEFINE_AUTO_VALUE(any_snapshot, any_clear);

static const hv_snapshot_head *
head_of(const any_snapshot *any)
{
    return any->is_group ? &any->group.head : &any->topic.head;
}

/* Moves *from to *to, whose content is freed. */
static void
any_move(any_snapshot *to, any_snapshot *from)
{
    any_clear(to);
    *to = *from;
    *from = (any_snapshot){.is_group = to->is_group};
}

/* ---- reading ---- */

static hv_rc
check_place(const hv_snapshots *snapshots, const any_snapshot *any, const char *hub, const char *key, int64_t number, hv_err *err)
{
    const hv_snapshot_head *head = head_of(any);
    char group_key[HV_GROUP_KEY_SIZE];

    if (strcmp(head->vault, snapshots->vault) != 0)
        return hv_err_set(err, HV_CORRUPT, "belongs to vault %s", head->vault);
    if (strcmp(head->hub, hub) != 0 || head->number != number)
        return hv_err_set(err, HV_CORRUPT, "is number %" PRId64 " of hub '%s'", head->number, head->hub);
    if (!any->is_group)
        return HV_OK;
    hv_group_key(any->group.group, group_key);
    return strcmp(group_key, key) == 0 ? HV_OK : hv_err_set(err, HV_CORRUPT, "is of a group whose key is %s", group_key);
}

static hv_rc
parse(const hv_snapshots *snapshots, hv_slice json, const char *hub, const char *key, int64_t number, any_snapshot *ret, hv_err *err)
{
    HV_AUTO(any_clear) any_snapshot any = {.is_group = key != NULL};

    hv_rc rc = any.is_group ? hv_group_snapshot_parse(json, &any.group, err) : hv_topic_snapshot_parse(json, &any.topic, err);
    if (rc == HV_OK)
        rc = check_place(snapshots, &any, hub, key, number, err);
    if (rc == HV_OK)
        any_move(ret, &any);
    return rc;
}

static hv_rc
read_one(const hv_snapshots *snapshots, const char *hub, const char *key, int64_t number, any_snapshot *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    hv_blob_name name = hv_name_of_snapshot(hub, key, number);

    hv_rc rc = hv_storage_get(snapshots->storage, name.text, &json, err);
    if (rc == HV_NOT_FOUND)
        return rc;
    if (rc == HV_LIMIT)
        rc = hv_err_set(err, HV_CORRUPT, "longer than a snapshot is");
    if (rc == HV_OK)
        rc = parse(snapshots, hv_buf_slice(&json), hub, key, number, ret, err);
    return rc == HV_OK ? rc : hv_err_prefix(err, "'%s'", name.text);
}

/* Names that are none of ours may lie between. */
hv_rc
hv_snapshots_newest_number(const hv_snapshots *snapshots, const char *hub, const char *key, int64_t *ret, hv_err *err)
{
    hv_blob_name prefix = hv_prefix_of_snapshots(hub, key);
    hv_list_request request = {.prefix = prefix.text, .max = PAGE};
    HV_AUTO(hv_listing_end) hv_listing listing = hv_listing_of(snapshots->storage, &request);
    const struct hv_blob_entry *entry = NULL;
    hv_rc rc;

    while ((rc = hv_listing_next(&listing, &entry, err)) == HV_OK && entry != NULL) {
        hv_name_parts parts = hv_name_parse(entry->name);
        if (parts.kind == (key != NULL ? HV_NAME_GROUP_SNAPSHOT : HV_NAME_TOPIC_SNAPSHOT)) {
            *ret = parts.number;
            return HV_OK;
        }
    }
    return rc == HV_OK ? hv_err_set(err, HV_NOT_FOUND, "there is no snapshot below '%s'", prefix.text) : rc;
}

static hv_rc
find(const hv_snapshots *snapshots, const char *hub, const char *key, int64_t at_ms, any_snapshot *ret, hv_err *err)
{
    HV_AUTO(any_clear) any_snapshot best = {.is_group = key != NULL};
    HV_AUTO(any_clear) any_snapshot seen = {.is_group = key != NULL};
    int64_t low = 1, high, number = 0;

    hv_rc rc = hv_snapshots_newest_number(snapshots, hub, key, &high, err);
    if (rc == HV_OK)
        rc = read_one(snapshots, hub, key, high, &seen, err);
    if (rc != HV_OK)
        return rc;
    if (head_of(&seen)->taken_ms <= at_ms) {
        any_move(ret, &seen);
        return HV_OK;
    }
    while (low < high) {                /* `high` was taken later, `number` not later, what lies below `low` does not matter */
        int64_t middle = low + (high - low) / 2;
        rc = read_one(snapshots, hub, key, middle, &seen, err);
        if (rc != HV_OK && rc != HV_NOT_FOUND)
            return rc;
        if (rc == HV_OK && head_of(&seen)->taken_ms > at_ms) {
            high = middle;
            continue;
        }
        low = middle + 1;
        if (rc == HV_OK) {
            number = middle;
            any_move(&best, &seen);
        }
    }
    if (number == 0)
        return hv_err_set(err, HV_NOT_FOUND, "there is no snapshot below '%s' of that time or before",
                          hv_prefix_of_snapshots(hub, key).text);
    any_move(ret, &best);
    return HV_OK;
}

hv_rc
hv_snapshots_topic(const hv_snapshots *snapshots, const char *hub, int64_t at_ms, hv_topic_snapshot *ret, hv_err *err)
{
    any_snapshot found = {.is_group = false};
    hv_rc rc = find(snapshots, hub, NULL, at_ms, &found, err);

    if (rc == HV_OK)
        *ret = found.topic;
    return rc;
}

hv_rc
hv_snapshots_group(const hv_snapshots *snapshots, const char *hub, const char *key, int64_t at_ms, hv_group_snapshot *ret, hv_err *err)
{
    any_snapshot found = {.is_group = true};
    hv_rc rc = find(snapshots, hub, key, at_ms, &found, err);

    if (rc == HV_OK)
        *ret = found.group;
    return rc;
}

hv_rc
hv_snapshots_check(const hv_snapshots *snapshots, const hv_name_parts *name, hv_slice json, hv_err *err)
{
    HV_AUTO(any_clear) any_snapshot any = {.is_group = false};

    return parse(snapshots, json, name->partition.hub, name->kind == HV_NAME_GROUP_SNAPSHOT ? name->group_key : NULL, name->number, &any,
                 err);
}

/* ---- putting ---- */

static hv_rc
put(const hv_snapshots *snapshots, const char *name, const hv_buf *json, hv_err *err)
{
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_slice all = hv_buf_slice(json);

    hv_rc rc = hv_buf_check(json, err);
    if (rc == HV_LIMIT)
        return hv_err_set(err, HV_LIMIT, "'%s' would be longer than %d bytes", name, HV_SNAPSHOT_MAX);
    if (rc != HV_OK)
        return rc;
    hv_sha256(&all, 1, attributes.sha256);
    rc = snapshots->storage->ops->put_new(snapshots->storage, name, &all, 1, &attributes, err);
    return rc == HV_OK || rc == HV_EXISTS ? rc : hv_err_prefix(err, "put '%s'", name);
}

hv_rc
hv_snapshots_put_topic(const hv_snapshots *snapshots, const hv_topic_snapshot *snapshot, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    const hv_snapshot_head *head = &snapshot->head;

    hv_topic_snapshot_write(snapshot, &json);
    return put(snapshots, hv_name_of_snapshot(head->hub, NULL, head->number).text, &json, err);
}

hv_rc
hv_snapshots_put_group(const hv_snapshots *snapshots, const hv_group_snapshot *snapshot, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    const hv_snapshot_head *head = &snapshot->head;
    char key[HV_GROUP_KEY_SIZE];

    hv_group_key(snapshot->group, key);
    hv_group_snapshot_write(snapshot, &json);
    return put(snapshots, hv_name_of_snapshot(head->hub, key, head->number).text, &json, err);
}

/* ---- all groups ---- */

/* Behind everything of that group: '0' is the byte after '/'. */
static void
skip_group(const hv_name_parts *parts, char ret[HV_STORAGE_NAME_SIZE])
{
    hv_blob_name prefix = hv_prefix_of_snapshots(parts->partition.hub, parts->group_key);

    (void)snprintf(ret, HV_STORAGE_NAME_SIZE, "%.*s0", (int)strlen(prefix.text) - 1, prefix.text);
}

hv_rc
hv_snapshots_each_group(const hv_snapshots *snapshots, const char *hub, hv_rc (*place)(void *arg, const char *hub, const char *key,
                        hv_err *err), void *arg, hv_err *err)
{
    hv_blob_name prefix = hv_prefix_of_group_snapshots(hub);
    char from[HV_STORAGE_NAME_SIZE] = "";
    bool after = false;

    for (;;) {
        char name[HV_STORAGE_NAME_SIZE];
        hv_list_request request = {.prefix = prefix.text, .from = from[0] != '\0' ? from : NULL, .after = after};
        hv_rc rc = hv_listing_first(snapshots->storage, &request, name, err);
        if (rc != HV_OK)
            return rc == HV_NOT_FOUND ? HV_OK : rc;
        hv_name_parts parts = hv_name_parse(name);
        after = parts.kind != HV_NAME_GROUP_SNAPSHOT;
        if (after) {
            memcpy(from, name, sizeof from);
            continue;
        }
        rc = place(arg, parts.partition.hub, parts.group_key, err);
        if (rc != HV_OK)
            return rc;
        skip_group(&parts, from);
    }
}
