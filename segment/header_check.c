/*
 * What a header claims, checked against itself. The cut is tiled by the own offsets of each of its segments and by the gaps: the
 * class map and the gaps are laid side by side, must not overlap, and what they leave over belongs to the lead. Events stand in a
 * segment in order of offset, so block i begins at the own offset whose rank is the number of events before it: the first offsets
 * of all blocks follow from the ranges and the counts, and are compared, not trusted.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "segment/header.h"

enum { BLOCK_MIN_LENGTH = 1 + 1 + 1 + 16 };     /* count, size, one byte of data, sync marker */

typedef struct ranges {
    hv_range *at;
    size_t count;
} ranges;

static void
ranges_free(ranges *r)
{
    free(r->at);
}
HV_DEFINE_AUTO_VALUE(ranges, ranges_free);

static hv_rc
bad(hv_err *err, const char *what, hv_range range)
{
    return hv_err_set(err, HV_CORRUPT, "segment header: %s: %" PRId64 " to %" PRId64, what, range.first, range.end);
}

static bool
inside(hv_range range, hv_range outer)
{
    return range.first < range.end && range.first >= outer.first && range.end <= outer.end;
}

bool
hv_vault_id_valid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (form[i] == 'x' ? !hex : text[i] != '-')
            return false;
    }
    return text[sizeof form - 1] == '\0';
}

static hv_rc
check_names(const hv_segment_header *header, hv_err *err)
{
    const hv_partition *partition = &header->partition;
    hv_err why;

    if (!hv_vault_id_valid(header->vault))
        return hv_err_set(err, HV_CORRUPT, "segment header: the id of a vault is a UUID in lower case, not '%s'", header->vault);
    if (hv_hub_name_check(partition->hub, &why) != HV_OK || hv_class_name_check(header->class_name, &why) != HV_OK)
        return hv_err_set(err, HV_CORRUPT, "segment header: %s", why.msg);
    if (partition->incarnation < 1 || partition->number < 0)
        return hv_err_set(err, HV_CORRUPT, "segment header: there is no incarnation %" PRIu32 " with a partition %" PRId32,
                          partition->incarnation, partition->number);
    if ((unsigned)header->codec >= HV_CODECS)
        return hv_err_set(err, HV_CORRUPT, "segment header: unknown codec");
    return HV_OK;
}

static hv_rc
check_gaps(const hv_gap *gaps, size_t count, hv_range outer, const char *what, hv_err *err)
{
    if (count > HV_SEGMENT_MAX_GAPS)
        return hv_err_set(err, HV_CORRUPT, "segment header: %zu %ss, more than %d", count, what, HV_SEGMENT_MAX_GAPS);
    for (size_t i = 0; i < count; i++) {
        const hv_gap *gap = &gaps[i], *before = i > 0 ? gap - 1 : NULL;
        if (!inside(gap->range, outer) || (unsigned)gap->cause >= HV_GAP_CAUSES)
            return bad(err, "empty, outside of the cut, or without a cause", gap->range);
        if (before != NULL && before->range.end > gap->range.first)
            return bad(err, "not behind the one before", gap->range);
        if (before != NULL && before->range.end == gap->range.first && before->cause == gap->cause)
            return bad(err, "the same as the one before, so they are one", gap->range);
    }
    return HV_OK;
}

static hv_rc
check_class_map(const hv_class_map *map, hv_range cut, hv_err *err)
{
    hv_err why;

    if (hv_class_name_check(map->class_name, &why) != HV_OK)
        return hv_err_set(err, HV_CORRUPT, "segment header: class map: %s", why.msg);
    if (strcmp(map->class_name, HV_CLASS_NONE) == 0 || map->range_count == 0 || map->range_count > HV_SEGMENT_MAX_GAPS)
        return hv_err_set(err, HV_CORRUPT, "segment header: class '%s' cannot have %zu ranges", map->class_name, map->range_count);
    for (size_t i = 0; i < map->range_count; i++) {
        if (!inside(map->ranges[i], cut))
            return bad(err, "range of a class is empty or outside of the cut", map->ranges[i]);
        if (i > 0 && map->ranges[i - 1].end >= map->ranges[i].first)
            return bad(err, "range of a class is not apart from the one before", map->ranges[i]);
    }
    return HV_OK;
}

static hv_rc
check_classes(const hv_segment_header *header, hv_err *err)
{
    if (header->class_count > HV_SEGMENT_MAX_CLASSES)
        return hv_err_set(err, HV_CORRUPT, "segment header: %zu classes, more than %d", header->class_count, HV_SEGMENT_MAX_CLASSES);
    for (size_t i = 0; i < header->class_count; i++) {
        hv_rc rc = check_class_map(&header->classes[i], header->cut, err);
        if (rc != HV_OK)
            return rc;
        if (i > 0 && strcmp(header->classes[i - 1].class_name, header->classes[i].class_name) >= 0)
            return hv_err_set(err, HV_CORRUPT, "segment header: class '%s' is not behind the one before in the order of names",
                              header->classes[i].class_name);
    }
    return HV_OK;
}

static int
by_first(const void *a, const void *b)
{
    const hv_range *x = a, *y = b;

    return x->first == y->first ? 0 : x->first < y->first ? -1 : 1;
}

/* The class map and the gaps, in order. */
static hv_rc
collect_taken(const hv_segment_header *header, ranges *ret, hv_err *err)
{
    size_t total = header->gap_count, used = 0;

    for (size_t i = 0; i < header->class_count; i++)
        total += header->classes[i].range_count;
    ret->at = malloc((total + 1) * sizeof *ret->at);
    if (ret->at == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu ranges of a segment header", total);
    for (size_t i = 0; i < header->gap_count; i++)
        ret->at[used++] = header->gaps[i].range;
    for (size_t i = 0; i < header->class_count; i++)
        for (size_t j = 0; j < header->classes[i].range_count; j++)
            ret->at[used++] = header->classes[i].ranges[j];
    ret->count = used;
    qsort(ret->at, used, sizeof *ret->at, by_first);
    return HV_OK;
}

static hv_rc
check_disjoint(const ranges *taken, hv_err *err)
{
    for (size_t i = 1; i < taken->count; i++)
        if (taken->at[i - 1].end > taken->at[i].first)
            return bad(err, "in two classes, or in a class and a gap", taken->at[i]);
    return HV_OK;
}

/* What `holes`, ascending and disjoint, leave of `whole`, appended to own. */
typedef struct hole_list {
    const hv_range *ranges;
    const hv_gap *gaps;                 /* used if ranges is NULL */
    size_t count, next;                 /* next: the first hole that may reach into what comes */
} hole_list;

static hv_range
hole_at(const hole_list *holes, size_t i)
{
    return holes->ranges != NULL ? holes->ranges[i] : holes->gaps[i].range;
}

static void
append_rest(hv_range whole, hole_list *holes, ranges *own)
{
    for (; holes->next < holes->count && hole_at(holes, holes->next).first < whole.end; holes->next++) {
        hv_range hole = hole_at(holes, holes->next);
        if (hole.first > whole.first)
            own->at[own->count++] = (hv_range){.first = whole.first, .end = hole.first};
        if (hole.end > whole.first)
            whole.first = hole.end;
    }
    if (whole.first < whole.end)
        own->at[own->count++] = whole;
}

static const hv_class_map *
find_class(const hv_segment_header *header)
{
    for (size_t i = 0; i < header->class_count; i++)
        if (strcmp(header->classes[i].class_name, header->class_name) == 0)
            return &header->classes[i];
    return NULL;
}

static hv_rc
own_of_sibling(const hv_segment_header *header, ranges *own, hv_err *err)
{
    const hv_class_map *map = find_class(header);
    hole_list holes = {.gaps = header->missing, .count = header->missing_count};
    size_t promised = map != NULL ? map->range_count : 0;

    own->at = malloc((promised + header->missing_count + 1) * sizeof *own->at);
    if (own->at == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu ranges of a segment header", promised);
    for (size_t i = 0; i < promised; i++)
        append_rest(map->ranges[i], &holes, own);
    return HV_OK;
}

static hv_rc
own_of_lead(const hv_segment_header *header, ranges *own, hv_err *err)
{
    HV_AUTO(ranges_free) ranges taken = {0};
    hv_rc rc = collect_taken(header, &taken, err);

    if (rc != HV_OK)
        return rc;
    own->at = malloc((taken.count + 1) * sizeof *own->at);
    if (own->at == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu ranges of a segment header", taken.count);
    append_rest(header->cut, &(hole_list){.ranges = taken.at, .count = taken.count}, own);
    return HV_OK;
}

hv_rc
hv_segment_header_own(const hv_segment_header *header, hv_range **ret, size_t *count, hv_err *err)
{
    HV_AUTO(ranges_free) ranges own = {0};
    hv_rc rc = header->is_sibling ? own_of_sibling(header, &own, err) : own_of_lead(header, &own, err);

    if (rc != HV_OK)
        return rc;
    *count = own.count;
    *ret = HV_TAKE(own.at);
    return HV_OK;
}

/* A lead holds events, or is of class "none" and declares nothing but gaps; only a sibling can miss what was promised. */
static hv_rc
check_role(const hv_segment_header *header, hv_err *err)
{
    bool is_none = strcmp(header->class_name, HV_CLASS_NONE) == 0;

    if (header->is_sibling && find_class(header) == NULL)
        return hv_err_set(err, HV_CORRUPT, "segment header: a sibling of class '%s', which the class map does not have",
                          header->class_name);
    if (header->is_sibling)
        return HV_OK;
    if (find_class(header) != NULL || header->missing_count > 0)
        return hv_err_set(err, HV_CORRUPT, "segment header: a lead has no class in its own class map, and nothing missing");
    if (is_none != (header->count == 0) || (is_none && header->class_count > 0))
        return hv_err_set(err, HV_CORRUPT, "segment header: a lead of class '%s' with %" PRId64 " events and %zu further classes",
                          header->class_name, header->count, header->class_count);
    return HV_OK;
}

/* Each missing range lies in one range of the class map. Both ascend, so one walk finds them all. */
static hv_rc
check_missing(const hv_segment_header *header, hv_err *err)
{
    const hv_class_map *map = find_class(header);

    for (size_t i = 0, j = 0; i < header->missing_count; i++) {
        hv_range missing = header->missing[i].range;
        while (j < map->range_count && map->ranges[j].end <= missing.first)
            j++;
        if (j == map->range_count || !inside(missing, map->ranges[j]))
            return bad(err, "missing, but never promised", missing);
    }
    return HV_OK;
}

/* Walks through own offsets by rank. */
typedef struct walk {
    const ranges *own;
    size_t range;
    int64_t into;                       /* offsets of that range which lie behind us */
} walk;

/* The own offset that comes next; -1 behind the last one. */
static int64_t
walk_next(const walk *w)
{
    return w->range < w->own->count ? w->own->at[w->range].first + w->into : -1;
}

static void
walk_skip(walk *w, int64_t count)
{
    while (count > 0 && w->range < w->own->count) {
        int64_t left = w->own->at[w->range].end - w->own->at[w->range].first - w->into;
        if (count < left) {
            w->into += count;
            return;
        }
        count -= left;
        w->range++;
        w->into = 0;
    }
}

static hv_rc
check_block(const hv_segment_header *header, size_t i, uint64_t position, int64_t first, hv_err *err)
{
    const hv_block_ref *block = &header->blocks[i];

    if (block->position != position || block->length < BLOCK_MIN_LENGTH)
        return hv_err_set(err, HV_CORRUPT, "segment header: block %zu of %" PRIu32 " bytes at %" PRIu64 ", not at %" PRIu64, i,
                          block->length, block->position, position);
    if (block->count < 1 || block->first_offset != first)
        return hv_err_set(err, HV_CORRUPT, "segment header: block %zu of %" PRId32 " events begins at offset %" PRId64 ", not %" PRId64,
                          i, block->count, block->first_offset, first);
    if (block->min_timestamp_ms > block->max_timestamp_ms || block->min_timestamp_ms < header->min_timestamp_ms ||
        block->max_timestamp_ms > header->max_timestamp_ms)
        return hv_err_set(err, HV_CORRUPT, "segment header: the timestamps of block %zu lie outside of those of the segment", i);
    return HV_OK;
}

static hv_rc
check_blocks(const hv_segment_header *header, const ranges *own, hv_err *err)
{
    walk w = {.own = own};
    uint64_t position = 0;
    int64_t count = 0, min = INT64_MAX, max = INT64_MIN;

    for (size_t i = 0; i < header->block_count; i++) {
        const hv_block_ref *block = &header->blocks[i];
        hv_rc rc = check_block(header, i, position, walk_next(&w), err);
        if (rc != HV_OK)
            return rc;
        walk_skip(&w, block->count);
        position += block->length;
        count += block->count;
        min = block->min_timestamp_ms < min ? block->min_timestamp_ms : min;
        max = block->max_timestamp_ms > max ? block->max_timestamp_ms : max;
    }
    if (count != header->count || position != header->blocks_bytes)
        return hv_err_set(err, HV_CORRUPT, "segment header: the blocks have %" PRId64 " events in %" PRIu64 " bytes, not %" PRId64
                          " in %" PRIu64, count, position, header->count, header->blocks_bytes);
    if (header->block_count == 0)
        min = max = 0;
    if (min != header->min_timestamp_ms || max != header->max_timestamp_ms)
        return hv_err_set(err, HV_CORRUPT, "segment header: the blocks span %" PRId64 " to %" PRId64 " ms, not %" PRId64 " to %" PRId64,
                          min, max, header->min_timestamp_ms, header->max_timestamp_ms);
    return HV_OK;
}

static hv_rc
check_merkle(const hv_segment_header *header, hv_err *err)
{
    unsigned char root[HV_SHA256_SIZE], (*leaves)[HV_SHA256_SIZE] = malloc((header->block_count + 1) * sizeof *leaves);

    if (leaves == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the hashes of %zu blocks", header->block_count);
    for (size_t i = 0; i < header->block_count; i++)
        memcpy(leaves[i], header->blocks[i].sha256, sizeof leaves[i]);
    hv_merkle_root(leaves, header->block_count, root);
    free(leaves);
    if (memcmp(root, header->merkle_root, sizeof root) != 0)
        return hv_err_set(err, HV_CORRUPT, "segment header: the Merkle root does not follow from the hashes of the blocks");
    return HV_OK;
}

static hv_rc
check_schemas(const hv_segment_header *header, hv_err *err)
{
    if (header->schema_count > HV_SEGMENT_MAX_SCHEMAS)
        return hv_err_set(err, HV_CORRUPT, "segment header: %zu schemas, more than %d", header->schema_count, HV_SEGMENT_MAX_SCHEMAS);
    for (size_t i = 1; i < header->schema_count; i++)
        if (memcmp(header->schemas[i - 1], header->schemas[i], HV_SHA256_SIZE) >= 0)
            return hv_err_set(err, HV_CORRUPT, "segment header: schema %zu is not behind the one before in the order of hashes", i);
    return HV_OK;
}

static hv_rc
check_own(const hv_segment_header *header, hv_err *err)
{
    HV_AUTO(ranges_free) ranges own = {0};
    int64_t count = 0;

    hv_rc rc = hv_segment_header_own(header, &own.at, &own.count, err);
    if (rc != HV_OK)
        return rc;
    for (size_t i = 0; i < own.count; i++)
        count += own.at[i].end - own.at[i].first;
    if (count != header->count)
        return hv_err_set(err, HV_CORRUPT, "segment header: %" PRId64 " events for %" PRId64 " offsets", header->count, count);
    return check_blocks(header, &own, err);
}

static hv_rc
check_ranges(const hv_segment_header *header, hv_err *err)
{
    HV_AUTO(ranges_free) ranges taken = {0};

    if (header->cut.first < 0 || header->cut.first >= header->cut.end)
        return bad(err, "not a cut", header->cut);
    hv_rc rc = check_classes(header, err);
    if (rc == HV_OK)
        rc = check_gaps(header->gaps, header->gap_count, header->cut, "gap", err);
    if (rc == HV_OK)
        rc = check_gaps(header->missing, header->missing_count, header->cut, "missing range", err);
    if (rc == HV_OK)
        rc = collect_taken(header, &taken, err);
    if (rc == HV_OK)
        rc = check_disjoint(&taken, err);
    return rc;
}

hv_rc
hv_segment_header_check(const hv_segment_header *header, hv_err *err)
{
    hv_rc rc = check_names(header, err);

    if (header->block_count > HV_SEGMENT_MAX_BLOCKS)
        return hv_err_set(err, HV_CORRUPT, "segment header: %zu blocks, more than %d", header->block_count, HV_SEGMENT_MAX_BLOCKS);
    if (rc == HV_OK)
        rc = check_ranges(header, err);
    if (rc == HV_OK)
        rc = check_role(header, err);
    if (rc == HV_OK)
        rc = check_missing(header, err);
    if (rc == HV_OK)
        rc = check_schemas(header, err);
    if (rc == HV_OK)
        rc = check_own(header, err);
    if (rc == HV_OK)
        rc = check_merkle(header, err);
    return rc;
}
