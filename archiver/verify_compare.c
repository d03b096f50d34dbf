/* The facts of a cut as its segments have them against those of the index, field by field; the first difference is described. */
#include <inttypes.h>

#include "archiver/verify_internal.h"

typedef struct comparison {
    hv_finding *finding;
    const char *of;                     /* whose fields these are: "lead", a class */
    bool differ;
} comparison;

static void
number(comparison *c, const char *field, int64_t stored, int64_t indexed)
{
    if (c->differ || stored == indexed)
        return;
    c->differ = true;
    hv_finding_expect(c->finding, "%s%s%s %" PRId64, c->of, c->of[0] != '\0' ? ": " : "", field, stored);
    hv_finding_find(c->finding, "%" PRId64, indexed);
}

static void
text(comparison *c, const char *field, const char *stored, const char *indexed)
{
    if (c->differ || strcmp(stored, indexed) == 0)
        return;
    c->differ = true;
    hv_finding_expect(c->finding, "%s: %s %s", c->of, field, stored);
    hv_finding_find(c->finding, "%s", indexed);
}

static void
hash(comparison *c, const char *field, const unsigned char *stored, const unsigned char *indexed)
{
    char of_stored[HV_SHA256_TEXT_SIZE], of_indexed[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(stored, of_stored);
    hv_sha256_text(indexed, of_indexed);
    text(c, field, of_stored, of_indexed);
}

static void
gaps(comparison *c, const char *what, const hv_gap *stored, size_t stored_count, const hv_gap *indexed, size_t indexed_count)
{
    number(c, what, (int64_t)stored_count, (int64_t)indexed_count);
    for (size_t g = 0; !c->differ && g < stored_count; g++) {
        number(c, "begin of a gap", stored[g].range.first, indexed[g].range.first);
        number(c, "end of a gap", stored[g].range.end, indexed[g].range.end);
        text(c, "cause of a gap", hv_gap_cause_text(stored[g].cause), hv_gap_cause_text(indexed[g].cause));
    }
}

static void
block(comparison *c, const hv_index_block *stored, const hv_index_block *indexed)
{
    number(c, "position of a block", (int64_t)stored->position, (int64_t)indexed->position);
    number(c, "length of a block", stored->length, indexed->length);
    number(c, "first offset of a block", stored->first_offset, indexed->first_offset);
    number(c, "events in a block", stored->count, indexed->count);
    number(c, "least timestamp of a block", stored->min_timestamp_ms, indexed->min_timestamp_ms);
    number(c, "greatest timestamp of a block", stored->max_timestamp_ms, indexed->max_timestamp_ms);
    if (memcmp(stored->sha256, indexed->sha256, HV_SHA256_SIZE) != 0)
        hash(c, "SHA-256 of a block", stored->sha256, indexed->sha256);
}

static void
segment(comparison *c, const hv_index_segment *stored, bool hash_known, const hv_index_segment *indexed)
{
    c->of = stored->is_lead ? "lead" : stored->class_name;
    text(c, "class", stored->class_name, indexed->class_name);
    number(c, "is the lead", stored->is_lead, indexed->is_lead);
    number(c, "codec", stored->codec, indexed->codec);
    number(c, "size", (int64_t)stored->size, (int64_t)indexed->size);
    number(c, "begin of the blocks", (int64_t)stored->data_start, (int64_t)indexed->data_start);
    if (hash_known)
        hash(c, "SHA-256", stored->sha256, indexed->sha256);
    hash(c, "Merkle root", stored->merkle_root, indexed->merkle_root);
    number(c, "has a policy", stored->has_policy, indexed->has_policy);
    if (stored->has_policy && indexed->has_policy)
        hash(c, "policy", stored->policy, indexed->policy);
    number(c, "time of making", stored->created_ms, indexed->created_ms);
    number(c, "events", stored->count, indexed->count);
    number(c, "least timestamp", stored->min_timestamp_ms, indexed->min_timestamp_ms);
    number(c, "greatest timestamp", stored->max_timestamp_ms, indexed->max_timestamp_ms);
    gaps(c, "missing ranges", stored->missing, stored->missing_count, indexed->missing, indexed->missing_count);
    number(c, "blocks", (int64_t)stored->block_count, (int64_t)indexed->block_count);
    for (size_t b = 0; !c->differ && b < stored->block_count; b++)
        block(c, &stored->blocks[b], &indexed->blocks[b]);
}

bool
hv_verify_facts_differ(const hv_index_cut *stored, const bool *hash_known, const hv_index_cut *indexed, hv_finding *finding)
{
    comparison c = {.finding = finding, .of = "cut"};

    number(&c, "begin", stored->range.first, indexed->range.first);
    number(&c, "end", stored->range.end, indexed->range.end);
    gaps(&c, "gaps", stored->gaps, stored->gap_count, indexed->gaps, indexed->gap_count);
    number(&c, "segments", (int64_t)stored->segment_count, (int64_t)indexed->segment_count);
    for (size_t s = 0; !c.differ && s < stored->segment_count; s++)
        segment(&c, &stored->segments[s], hash_known == NULL || hash_known[s], &indexed->segments[s]);
    return c.differ;
}

bool
hv_verify_sums_differ(const hv_index_partition_facts *stored, const hv_index_partition_facts *indexed, hv_finding *finding)
{
    comparison c = {.finding = finding, .of = ""};

    number(&c, "begin", stored->range.first, indexed->range.first);
    number(&c, "position", stored->range.end, indexed->range.end);
    number(&c, "cuts", stored->cuts, indexed->cuts);
    number(&c, "segments", stored->segments, indexed->segments);
    number(&c, "events", stored->count, indexed->count);
    number(&c, "bytes", (int64_t)stored->bytes, (int64_t)indexed->bytes);
    number(&c, "offsets without an event", stored->gap_offsets, indexed->gap_offsets);
    number(&c, "least timestamp", stored->min_timestamp_ms, indexed->min_timestamp_ms);
    number(&c, "greatest timestamp", stored->max_timestamp_ms, indexed->max_timestamp_ms);
    number(&c, "time of the newest segment", stored->last_created_ms, indexed->last_created_ms);
    return c.differ;
}
