/*
 * The class with most events becomes the lead, so that the class map, which lists the others, stays short. A cut without events has
 * a lead of class "none" that only declares its gaps (rule 11).
 *
 * The blocks stay where they are: a segment is put as its front followed by the blocks, without copying them together.
 */
#include <assert.h>
#include <stdlib.h>

#include "archiver/sealer_build.h"
#include "common/clock.h"
#include "common/random.h"

static int
by_class_name(const void *a, const void *b)
{
    return strcmp(((const hv_class_map *)a)->class_name, ((const hv_class_map *)b)->class_name);
}

static hv_rc
copy_gaps(const hv_gap *from, size_t count, hv_gap **ret, size_t *ret_count, hv_err *err)
{
    hv_gap *copy = malloc(count * sizeof *copy + 1);

    if (copy == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu gaps", count);
    if (count > 0)
        memcpy(copy, from, count * sizeof *copy);
    *ret = copy;
    *ret_count = count;
    return HV_OK;
}

static hv_rc
copy_map(const hv_class_map *from, hv_class_map *to, hv_err *err)
{
    memcpy(to->class_name, from->class_name, sizeof to->class_name);
    to->ranges = malloc(from->range_count * sizeof *to->ranges + 1);
    if (to->ranges == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a class map");
    if (from->range_count > 0)
        memcpy(to->ranges, from->ranges, from->range_count * sizeof *to->ranges);
    to->range_count = from->range_count;
    return HV_OK;
}

static hv_rc
copy_maps(const hv_class_map *from, size_t count, hv_segment_header *to, hv_err *err)
{
    to->classes = calloc(count + 1, sizeof *to->classes);
    if (to->classes == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a class map");
    for (; to->class_count < count; to->class_count++) {
        hv_rc rc = copy_map(&from[to->class_count], &to->classes[to->class_count], err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

/* What all segments of the cut have in common. */
static hv_rc
common_header(const hv_sealer *sealer, const hv_seal_job *job, hv_segment_header *header, hv_err *err)
{
    header->partition = job->partition;
    (void)memcpy(header->vault, sealer->chain.vault, strlen(sealer->chain.vault));
    header->created_ms = hv_clock_wall_ms();
    header->codec = job->cut->config->codec;
    if (job->fill.lead != NULL) {
        const hv_segment_header *lead = job->fill.lead;
        header->cut = lead->cut;
        header->has_policy = lead->has_policy;
        memcpy(header->policy, lead->policy, sizeof header->policy);
        hv_rc rc = copy_gaps(lead->gaps, lead->gap_count, &header->gaps, &header->gap_count, err);
        return rc != HV_OK ? rc : copy_maps(lead->classes, lead->class_count, header, err);
    }
    header->cut = (hv_range){job->cut->first, job->cut->end};
    if (job->cut->count == 0)
        header->cut.end = job->cut->gaps[job->cut->gap_count - 1].range.end;
    return copy_gaps(job->cut->gaps, job->cut->gap_count, &header->gaps, &header->gap_count, err);
}

static const hv_cut_class *
largest_class(const hv_cut *cut)
{
    const hv_cut_class *largest = NULL;

    for (size_t c = 0; c < cut->class_count; c++)
        if (largest == NULL || cut->classes[c].count > largest->count)
            largest = &cut->classes[c];
    return largest;
}

/* The class map of a new cut: every class but that of the lead. */
static hv_rc
new_class_map(const hv_cut *cut, const hv_cut_class *lead, hv_segment_header *header, hv_err *err)
{
    header->classes = calloc(cut->class_count + 1, sizeof *header->classes);
    if (header->classes == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a class map");
    for (size_t c = 0; c < cut->class_count; c++) {
        const hv_cut_class *class = &cut->classes[c];
        if (class == lead || class->count == 0)
            continue;
        hv_class_map from = {.ranges = class->ranges, .range_count = class->range_count};
        memcpy(from.class_name, class->name, sizeof from.class_name);
        hv_rc rc = copy_map(&from, &header->classes[header->class_count], err);
        if (rc != HV_OK)
            return rc;
        header->class_count++;
    }
    qsort(header->classes, header->class_count, sizeof *header->classes, by_class_name);
    return HV_OK;
}

static hv_block *
blocks_of(const hv_cut_class *class)
{
    hv_block *blocks = calloc(class == NULL ? 1 : class->job_count + 1, sizeof *blocks);

    for (size_t j = 0; blocks != NULL && class != NULL && j < class->job_count; j++)
        blocks[j] = class->jobs[j]->block;      /* borrows the stored bytes */
    return blocks;
}

static hv_rc
list_parts(hv_seal_segment *segment, const hv_block *blocks, size_t count, hv_err *err)
{
    segment->parts = calloc(count + 1, sizeof *segment->parts);
    if (segment->parts == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the parts of a segment");
    segment->parts[0] = hv_buf_slice(&segment->front);
    for (size_t b = 0; b < count; b++)
        segment->parts[b + 1] = hv_slice_of(blocks[b].stored, blocks[b].ref.length);
    segment->part_count = count + 1;
    return HV_OK;
}

/* class NULL: a segment without events. The header comes without what the blocks decide. */
static hv_rc
assemble(hv_seal_segment *segment, const hv_cut_class *class, hv_err *err)
{
    static const unsigned char no_sync[HV_SYNC_SIZE];
    hv_block *blocks = blocks_of(class);
    size_t count = class == NULL ? 0 : class->job_count;

    if (blocks == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the block table of a segment");
    segment->front = (hv_buf)HV_BUF_INIT(HV_SEGMENT_MAX_FRONT);
    hv_rc rc = hv_segment_assemble(segment->header, blocks, count, class == NULL ? no_sync : class->format.sync, &segment->front,
                                   segment->attributes.sha256, err);
    segment->attributes.has_sha256 = true;
    if (rc == HV_OK)
        rc = list_parts(segment, blocks, count, err);
    free(blocks);
    if (rc == HV_OK)
        rc = hv_random_fill(segment->attributes.nonce, sizeof segment->attributes.nonce, err);
    segment->attributes.has_nonce = rc == HV_OK;
    return rc;
}

/* The pieces of `promised` that the class does not hold. */
static hv_rc
missing_of(const hv_class_map *promised, const hv_cut_class *class, hv_gap_cause cause, hv_segment_header *header, hv_err *err)
{
    size_t room = promised->range_count + (class == NULL ? 0 : class->range_count) + 1, h = 0;

    header->missing = calloc(room, sizeof *header->missing);
    if (header->missing == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for missing offsets");
    for (size_t p = 0; p < promised->range_count; p++) {
        int64_t at = promised->ranges[p].first, end = promised->ranges[p].end;
        for (; class != NULL && h < class->range_count && class->ranges[h].first < end; h++) {
            if (class->ranges[h].first > at)
                header->missing[header->missing_count++] = (hv_gap){.range = {at, class->ranges[h].first}, .cause = cause};
            at = class->ranges[h].end;
        }
        if (at < end)
            header->missing[header->missing_count++] = (hv_gap){.range = {at, end}, .cause = cause};
    }
    return HV_OK;
}

static const hv_cut_class *
class_named(const hv_cut *cut, const char *name)
{
    for (size_t c = 0; c < cut->class_count; c++)
        if (strcmp(cut->classes[c].name, name) == 0 && cut->classes[c].count > 0)
            return &cut->classes[c];
    return NULL;
}

static hv_rc
new_segment(const hv_sealer *sealer, hv_seal_job *job, const char *class_name, hv_seal_segment **ret, hv_err *err)
{
    hv_seal_segment *segment = &job->segments[job->segment_count];

    *segment = (hv_seal_segment){.header = calloc(1, sizeof *segment->header)};
    if (segment->header == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a segment header");
    job->segment_count++;
    memcpy(segment->header->class_name, class_name, strlen(class_name));
    *ret = segment;
    return common_header(sealer, job, segment->header, err);
}

static hv_rc
build_lead(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    const hv_cut_class *class = largest_class(job->cut);
    hv_seal_segment *segment;

    bool no_events = class == NULL || class->count == 0;
    hv_rc rc = new_segment(sealer, job, no_events ? HV_CLASS_NONE : class->name, &segment, err);
    if (rc == HV_OK && !no_events)
        rc = new_class_map(job->cut, class, segment->header, err);
    return rc != HV_OK ? rc : assemble(segment, no_events ? NULL : class, err);
}

static hv_rc
build_sibling(const hv_sealer *sealer, hv_seal_job *job, const hv_segment_header *lead, const unsigned char *lead_sha256, size_t map,
              hv_err *err)
{
    const hv_class_map *promised = &lead->classes[map];
    const hv_cut_class *class = class_named(job->cut, promised->class_name);
    hv_seal_segment *segment;

    hv_rc rc = new_segment(sealer, job, promised->class_name, &segment, err);
    if (rc == HV_OK && segment->header->classes == NULL)
        rc = copy_maps(lead->classes, lead->class_count, segment->header, err);
    if (rc == HV_OK)
        rc = missing_of(promised, class, job->missing_cause, segment->header, err);
    if (rc != HV_OK)
        return rc;
    segment->header->is_sibling = true;
    memcpy(segment->header->lead_sha256, lead_sha256, HV_SHA256_SIZE);
    return assemble(segment, class, err);
}

static hv_rc
build(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    const hv_segment_header *lead = job->fill.lead;
    const unsigned char *lead_sha256 = job->fill.lead_sha256;
    size_t most = (lead != NULL ? lead->class_count : job->cut->class_count) + 1;

    hv_rc rc = hv_cut_finish_blocks(job->cut, sealer->coder, err);
    if (rc != HV_OK)
        return rc;
    job->segments = calloc(most, sizeof *job->segments);
    if (job->segments == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu segments", most);
    if (lead == NULL) {
        rc = build_lead(sealer, job, err);
        if (rc != HV_OK)
            return rc;
        lead = job->segments[0].header;
        lead_sha256 = job->segments[0].attributes.sha256;
    }
    for (size_t map = 0; rc == HV_OK && map < lead->class_count; map++)
        if (job->fill.lead == NULL || !hv_chain_cut_has(&job->fill, lead->classes[map].class_name))
            rc = build_sibling(sealer, job, lead, lead_sha256, map, err);
    return rc;
}

static void
drop_segments(hv_seal_job *job)
{
    for (size_t s = 0; s < job->segment_count; s++) {
        hv_seal_segment *segment = &job->segments[s];
        hv_segment_header_free(segment->header);
        if (segment->front.max_len > 0)
            hv_buf_free(&segment->front);
        free(segment->parts);
    }
    free(job->segments);
    job->segments = NULL;
    job->segment_count = 0;
}

hv_rc
hv_sealer_build(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    assert(job->segments == NULL);
    hv_rc rc = build(sealer, job, err);
    if (rc != HV_OK)
        drop_segments(job);
    return rc;
}

void
hv_seal_job_free(hv_seal_job *job)
{
    if (job == NULL)
        return;
    drop_segments(job);
    if (job->cut != NULL)
        hv_cut_wait(job->cut);
    hv_cut_free(job->cut);
    hv_chain_cut_clear(&job->fill);
    hv_chain_cut_clear(&job->incomplete);
    for (size_t f = 0; f < job->found_count; f++)
        hv_index_cut_clear(&job->found[f]);
    free(job->found);
    free(job);
}
