/*
 * Parsing takes a name apart loosely and then makes it again: only if the made name is the very same text it is ours. So parsing and
 * making cannot drift apart, and odd spellings (leading zeros, signs, other letter case) need no rules of their own.
 */
#include "segment/names.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sha256.h"

static hv_blob_name make(const char *fmt, ...) HV_PRINTF(1, 2);

static hv_blob_name
make(const char *fmt, ...)
{
    hv_blob_name name;
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(name.text, sizeof name.text, fmt, args);
    va_end(args);
    assert(len > 0 && len < (int)sizeof name.text);
    return name;
}

hv_blob_name
hv_name_of_lead(const hv_partition *partition, int64_t first)
{
    assert(first >= 0);
    return make("%s%020" PRId64 ".avro", hv_prefix_of_partition(partition).text, first);
}

hv_blob_name
hv_name_of_sibling(const hv_partition *partition, int64_t first, const char *class_name)
{
    assert(first >= 0);
    return make("%s%020" PRId64 ".%s.avro", hv_prefix_of_partition(partition).text, first, class_name);
}

hv_blob_name
hv_name_of_incarnation(const char *hub, uint32_t incarnation)
{
    assert(incarnation >= 1);
    return make("%sincarnation=%" PRIu32 "/incarnation.json", hv_prefix_of_hub(hub).text, incarnation);
}

hv_blob_name
hv_prefix_of_hub(const char *hub)
{
    return make(HV_SEGMENTS_PREFIX "hub=%s/", hub);
}

hv_blob_name
hv_prefix_of_partition(const hv_partition *partition)
{
    assert(partition->incarnation >= 1 && partition->number >= 0);
    return make("%sincarnation=%" PRIu32 "/partition=%" PRId32 "/", hv_prefix_of_hub(partition->hub).text, partition->incarnation,
                partition->number);
}

hv_blob_name
hv_prefix_of_cut(const hv_partition *partition, int64_t first)
{
    assert(first >= 0);
    return make("%s%020" PRId64 ".", hv_prefix_of_partition(partition).text, first);
}

void
hv_group_key(const char *group, char ret[HV_GROUP_KEY_SIZE])
{
    unsigned char hash[HV_SHA256_SIZE];
    char text[HV_SHA256_TEXT_SIZE];
    hv_slice all = hv_slice_text(group);

    hv_sha256(&all, 1, hash);
    hv_sha256_text(hash, text);
    memcpy(ret, text, HV_GROUP_KEY_SIZE - 1);
    ret[HV_GROUP_KEY_SIZE - 1] = '\0';
}

hv_blob_name
hv_prefix_of_snapshots(const char *hub, const char *key)
{
    return key == NULL ? make(HV_TOPIC_SNAPSHOTS_PREFIX "hub=%s/", hub) : make(HV_GROUP_SNAPSHOTS_PREFIX "hub=%s/group=%s/", hub, key);
}

hv_blob_name
hv_prefix_of_group_snapshots(const char *hub)
{
    return hub == NULL ? make(HV_GROUP_SNAPSHOTS_PREFIX) : make(HV_GROUP_SNAPSHOTS_PREFIX "hub=%s/", hub);
}

hv_blob_name
hv_name_of_snapshot(const char *hub, const char *key, int64_t number)
{
    assert(number >= 1 && number <= HV_SNAPSHOT_NUMBER_MAX);
    return make("%s%010" PRId64 ".json", hv_prefix_of_snapshots(hub, key).text, HV_SNAPSHOT_NUMBER_MAX + 1 - number);
}

static bool
skip(const char **at, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

/* Up to the first `stop`, which is skipped. */
static bool
take_until(const char **at, char stop, char *ret, size_t size)
{
    const char *found = strchr(*at, stop);

    if (found == NULL || (size_t)(found - *at) >= size)
        return false;
    memcpy(ret, *at, (size_t)(found - *at));
    ret[found - *at] = '\0';
    *at = found + 1;
    return true;
}

static bool
take_number(const char **at, char stop, int64_t min, int64_t max, int64_t *ret)
{
    char digits[24];

    if (!take_until(at, stop, digits, sizeof digits) || digits[0] < '0' || digits[0] > '9')
        return false;
    uint64_t value = strtoull(digits, NULL, 10);        /* UINT64_MAX when it does not fit */
    if (value > (uint64_t)max || (int64_t)value < min)
        return false;
    *ret = (int64_t)value;
    return true;
}

/* The part behind the folders: "<first>.avro" or "<first>.<class>.avro". */
static hv_name_kind
parse_file(const char *at, hv_name_parts *parts)
{
    hv_err err;

    if (!take_number(&at, '.', 0, INT64_MAX, &parts->first))
        return HV_NAME_FOREIGN;
    if (strcmp(at, "avro") == 0)
        return HV_NAME_LEAD;
    if (!take_until(&at, '.', parts->class_name, sizeof parts->class_name) || hv_class_name_check(parts->class_name, &err) != HV_OK)
        return HV_NAME_FOREIGN;
    return HV_NAME_SIBLING;
}

static hv_name_kind
parse_below_segments(const char *at, hv_name_parts *parts)
{
    hv_partition *partition = &parts->partition;
    int64_t number;
    hv_err err;

    if (!skip(&at, "hub=") || !take_until(&at, '/', partition->hub, sizeof partition->hub) ||
        hv_hub_name_check(partition->hub, &err) != HV_OK)
        return HV_NAME_FOREIGN;
    if (!skip(&at, "incarnation=") || !take_number(&at, '/', 1, UINT32_MAX, &number))
        return HV_NAME_FOREIGN;
    partition->incarnation = (uint32_t)number;
    if (strcmp(at, "incarnation.json") == 0)
        return HV_NAME_INCARNATION;
    if (!skip(&at, "partition=") || !take_number(&at, '/', 0, INT32_MAX, &number))
        return HV_NAME_FOREIGN;
    partition->number = (int32_t)number;
    return parse_file(at, parts);
}

static bool
is_group_key(const char *text)
{
    return strlen(text) == HV_GROUP_KEY_SIZE - 1 && strspn(text, "0123456789abcdef") == HV_GROUP_KEY_SIZE - 1;
}

static hv_name_kind
parse_snapshot(const char *at, hv_name_kind kind, hv_name_parts *parts)
{
    hv_partition *partition = &parts->partition;
    hv_err err;

    if (!skip(&at, "hub=") || !take_until(&at, '/', partition->hub, sizeof partition->hub) ||
        hv_hub_name_check(partition->hub, &err) != HV_OK)
        return HV_NAME_FOREIGN;
    if (kind == HV_NAME_GROUP_SNAPSHOT && (!skip(&at, "group=") || !take_until(&at, '/', parts->group_key, sizeof parts->group_key) ||
                                           !is_group_key(parts->group_key)))
        return HV_NAME_FOREIGN;
    if (!take_number(&at, '.', 1, HV_SNAPSHOT_NUMBER_MAX, &parts->number))
        return HV_NAME_FOREIGN;
    parts->number = HV_SNAPSHOT_NUMBER_MAX + 1 - parts->number;
    return kind;
}

static hv_blob_name
make_again(const hv_name_parts *parts)
{
    if (parts->kind == HV_NAME_TOPIC_SNAPSHOT || parts->kind == HV_NAME_GROUP_SNAPSHOT)
        return hv_name_of_snapshot(parts->partition.hub, parts->kind == HV_NAME_GROUP_SNAPSHOT ? parts->group_key : NULL, parts->number);
    if (parts->kind == HV_NAME_INCARNATION)
        return hv_name_of_incarnation(parts->partition.hub, parts->partition.incarnation);
    if (parts->kind == HV_NAME_LEAD)
        return hv_name_of_lead(&parts->partition, parts->first);
    return hv_name_of_sibling(&parts->partition, parts->first, parts->class_name);
}

hv_name_parts
hv_name_parse(const char *name)
{
    const char *at = name;
    hv_name_parts parts = {.kind = HV_NAME_FOREIGN};

    if (strcmp(name, HV_VAULT_MARKER_NAME) == 0)
        return (hv_name_parts){.kind = HV_NAME_MARKER};
    if (skip(&at, HV_SEGMENTS_PREFIX))
        parts.kind = parse_below_segments(at, &parts);
    else if (skip(&at, HV_TOPIC_SNAPSHOTS_PREFIX))
        parts.kind = parse_snapshot(at, HV_NAME_TOPIC_SNAPSHOT, &parts);
    else if (skip(&at, HV_GROUP_SNAPSHOTS_PREFIX))
        parts.kind = parse_snapshot(at, HV_NAME_GROUP_SNAPSHOT, &parts);
    if (parts.kind == HV_NAME_FOREIGN || strcmp(make_again(&parts).text, name) != 0)
        return (hv_name_parts){.kind = HV_NAME_FOREIGN};
    return parts;
}
