/*
 * Why this is safe (capture protocol sections 2 and 4): a lead extends the chain by compare-and-set, because its name says where it
 * begins. Only "created" lets us believe that our bytes are stored. After any other answer the store is asked, and what is there
 * wins: if its SHA-256 is ours, an earlier try of ours landed; else the cut is somebody else's, or of a life of ours that we do not
 * remember, and is adopted as it stands. Siblings are put only when the lead is known to be there. Nothing is reported as found
 * before it is complete.
 */
#include "archiver/sealer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "archiver/sealer_build.h"
#include "common/array.h"
#include "segment/names.h"

enum { LOOK_IS_OLD_MS = 10 * 60 * 1000 };       /* rule 13 */

static hv_rc
keep_found(hv_seal_job *job, hv_index_cut *cut, hv_err *err)
{
    if (!hv_array_room(&job->found, job->found_count, &job->found_room, sizeof *job->found))
        return hv_err_set(err, HV_NOMEM, "no memory for what was found in the store");
    job->found[job->found_count++] = *cut;
    job->position = cut->range.end;
    *cut = (hv_index_cut){0};
    return HV_OK;
}

static void
note_look(const hv_sealer *sealer, const hv_seal_job *job)
{
    *job->last_look_boot_ms = sealer->boot_ms();
}

static hv_rc
differs(const hv_seal_job *job, int64_t offset, hv_err *err)
{
    return hv_err_set(err, HV_CORRUPT,
                      "offset %" PRId64 " of %s/%d is in the store with other content than the hub gave us: another incarnation of the "
                      "hub, a truncated log, or tampering", offset, job->partition.hub, (int)job->partition.number);
}

/* Rule 15: a record of theirs that we hold too must be the same. `ours` stands before the first of our events not yet passed. */
static hv_rc
compare_block(const hv_seal_job *job, hv_cut_reader *ours, hv_event *mine, bool *have_mine, hv_slice raw, hv_err *err)
{
    HV_AUTO(hv_event_reader_free) hv_event_reader theirs = hv_event_reader_make(raw);
    const char *class_name;
    hv_event event;

    while (hv_event_reader_more(&theirs)) {
        hv_rc rc = hv_event_reader_next(&theirs, &event, err);
        while (rc == HV_OK && *have_mine && mine->offset < event.offset) {
            rc = hv_cut_reader_next(ours, mine, &class_name, err);
            *have_mine = rc == HV_OK;
            rc = rc == HV_NOT_FOUND ? HV_OK : rc;
        }
        if (rc != HV_OK)
            return rc;
        if (*have_mine && mine->offset == event.offset && !hv_event_equal(mine, &event))
            return differs(job, event.offset, err);
    }
    return HV_OK;
}

static hv_rc
compare_segment(const hv_sealer *sealer, const hv_seal_job *job, const hv_index_segment *segment, const char *name, hv_err *err)
{
    HV_AUTO(hv_cut_reader_free) hv_cut_reader *ours = NULL;
    HV_AUTO(hv_buf_free) hv_buf stored = HV_BUF_INIT(HV_BLOCK_MAX_RAW), raw = HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    hv_storage *storage = sealer->chain.storage;
    const char *class_name;
    hv_event mine;

    hv_rc rc = hv_cut_reader_new(job->cut, sealer->coder, &ours, err);
    if (rc == HV_OK)
        rc = hv_cut_reader_next(ours, &mine, &class_name, err);
    bool have_mine = rc == HV_OK;
    for (size_t b = 0; rc == HV_OK && have_mine && b < segment->block_count; b++) {
        const hv_index_block *block = &segment->blocks[b];
        hv_block_ref ref = {.length = block->length, .first_offset = block->first_offset, .count = block->count,
            .min_timestamp_ms = block->min_timestamp_ms, .max_timestamp_ms = block->max_timestamp_ms};
        memcpy(ref.sha256, block->sha256, sizeof ref.sha256);
        hv_buf_clear(&stored);
        rc = storage->ops->get_range(storage, name, block->position, block->length, &stored, err);
        if (rc == HV_OK)
            rc = hv_block_open(sealer->coder, (hv_codec)segment->codec, NULL, &ref, hv_buf_slice(&stored), &raw, err);
        if (rc == HV_OK)
            rc = compare_block(job, ours, &mine, &have_mine, hv_buf_slice(&raw), err);
    }
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

static hv_rc
compare_with_ours(const hv_sealer *sealer, const hv_seal_job *job, const hv_chain_cut *theirs, hv_err *err)
{
    for (size_t s = 0; s < theirs->facts.segment_count; s++) {
        const hv_index_segment *segment = &theirs->facts.segments[s];
        hv_blob_name name = segment->is_lead ? hv_name_of_lead(&job->partition, theirs->facts.range.first)
                                             : hv_name_of_sibling(&job->partition, theirs->facts.range.first, segment->class_name);
        hv_rc rc = compare_segment(sealer, job, segment, name.text, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

/* Adopt cut after cut from `first` on, until there is none, or one that is not complete. */
static hv_rc
adopt_from(const hv_sealer *sealer, hv_seal_job *job, int64_t first, hv_err *err)
{
    for (;;) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut theirs = {0};
        hv_rc rc = hv_chain_look(&sealer->chain, &job->partition, first, &theirs, err);
        if (rc == HV_NOT_FOUND) {
            note_look(sealer, job);
            return HV_OK;
        }
        if (rc == HV_OK)
            rc = compare_with_ours(sealer, job, &theirs, err);
        if (rc != HV_OK)
            return rc;
        job->adopted = true;
        job->position = first;
        if (!theirs.complete) {
            job->incomplete = theirs;
            theirs = (hv_chain_cut){0};
            return HV_OK;
        }
        first = theirs.facts.range.end;
        rc = keep_found(job, &theirs.facts, err);
        if (rc != HV_OK)
            return rc;
    }
}

/* What is under the name of a segment that we put: HV_NOT_FOUND nothing, HV_OK our bytes, HV_EXISTS something else. */
static hv_rc
look_at_name(const hv_sealer *sealer, const hv_seal_segment *segment, const char *name, hv_err *err)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    hv_index_segment facts;

    hv_rc rc = hv_chain_read_segment(&sealer->chain, name, &front, &facts, err);
    if (rc != HV_OK)
        return rc;
    bool ours = memcmp(facts.sha256, segment->attributes.sha256, HV_SHA256_SIZE) == 0;
    free(facts.blocks);
    free(facts.missing);
    return ours ? HV_OK : hv_err_set(err, HV_EXISTS, "blob '%s' holds other bytes than ours", name);
}

/* HV_OK: our bytes are stored. HV_EXISTS: others are. Else nothing is known to be stored, and the job may run again. */
static hv_rc
put_segment(const hv_sealer *sealer, hv_seal_job *job, hv_seal_segment *segment, const char *name, hv_err *err)
{
    hv_storage *storage = sealer->chain.storage;
    hv_rc put = HV_OK;

    if (atomic_load(&job->abandoned))   /* who does not own the partition does not put */
        return hv_err_set(err, HV_CLOSED, "the partition is not ours any more");
    if (!job->must_look) {
        put = storage->ops->put_new(storage, name, segment->parts, segment->part_count, &segment->attributes, err);
        if (put != HV_OK && put != HV_EXISTS && !hv_rc_retriable(put) && put != HV_NOMEM)
            return put;                 /* refused: no blob */
    }
    if (put != HV_OK || job->must_look) {
        hv_err put_err = *err;
        job->must_look = true;          /* until a look has told */
        hv_rc rc = look_at_name(sealer, segment, name, err);
        if (rc == HV_OK || rc == HV_EXISTS || rc == HV_NOT_FOUND)
            job->must_look = false;
        if (rc == HV_NOT_FOUND && put != HV_OK) {
            *err = put_err;             /* absent: the same bytes again, later */
            return put == HV_EXISTS ? hv_err_set(err, HV_UNAVAILABLE, "'%s' was said to exist and is not there", name) : put;
        }
        if (rc == HV_NOT_FOUND)
            return put_segment(sealer, job, segment, name, err);
        if (rc != HV_OK)
            return rc;
    }
    segment->state = HV_SEAL_CREATED;
    job->stored_bytes += segment->front.len + segment->header->blocks_bytes;
    return HV_OK;
}

/* The cut is complete and every byte of it is ours: its facts are those in memory (rule 6). */
static hv_rc
found_ours(hv_seal_job *job, hv_err *err)
{
    const hv_segment_header *lead = job->segments[0].header;
    hv_index_cut cut = {.range = lead->cut, .gap_count = lead->gap_count};

    cut.segments = calloc(job->segment_count, sizeof *cut.segments);
    cut.segment_count = cut.segments == NULL ? 0 : job->segment_count;
    cut.gaps = malloc(lead->gap_count * sizeof *cut.gaps + 1);
    hv_rc rc = cut.segments == NULL || cut.gaps == NULL ? hv_err_set(err, HV_NOMEM, "no memory for the facts of a cut") : HV_OK;
    if (rc == HV_OK && lead->gap_count > 0)
        memcpy(cut.gaps, lead->gaps, lead->gap_count * sizeof *cut.gaps);
    for (size_t s = 0; rc == HV_OK && s < job->segment_count; s++) {
        const hv_seal_segment *segment = &job->segments[s];
        rc = hv_chain_facts(segment->header, segment->front.len, segment->attributes.sha256, &cut.segments[s], err);
    }
    if (rc == HV_OK)
        rc = keep_found(job, &cut, err);
    if (rc != HV_OK)
        hv_index_cut_clear(&cut);
    return rc;
}

/* FILL: put what is missing of the siblings. *all_ours stays true if every put was answered "created". */
static hv_rc
put_siblings(const hv_sealer *sealer, hv_seal_job *job, int64_t first, size_t from, bool *all_ours, hv_err *err)
{
    for (size_t s = from; s < job->segment_count; s++) {
        hv_seal_segment *segment = &job->segments[s];
        if (segment->state == HV_SEAL_CREATED)
            continue;
        hv_blob_name name = hv_name_of_sibling(&job->partition, first, segment->header->class_name);
        hv_rc rc = put_segment(sealer, job, segment, name.text, err);
        if (rc == HV_EXISTS)            /* somebody else completes the cut, too: what is there is checked against the lead below */
            *all_ours = false;
        else if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

/* The cut at `first` should be complete now. Take its facts from the headers in the store, and go on behind it. */
static hv_rc
take_from_store(const hv_sealer *sealer, hv_seal_job *job, int64_t first, hv_err *err)
{
    hv_rc rc = adopt_from(sealer, job, first, err);

    if (rc == HV_OK && (job->found_count == 0 || job->incomplete.lead != NULL))
        return hv_err_set(err, HV_UNAVAILABLE, "the cut at %" PRId64 " of %s/%d is not complete yet", first, job->partition.hub,
                          (int)job->partition.number);
    return rc;
}

static hv_rc
seal_new(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    int64_t first = job->cut->first;
    hv_blob_name name = hv_name_of_lead(&job->partition, first);
    bool all_ours = true;

    if (job->segments[0].state != HV_SEAL_CREATED) {
        if (sealer->boot_ms() - *job->last_look_boot_ms > LOOK_IS_OLD_MS)
            job->must_look = true;
        hv_rc rc = put_segment(sealer, job, &job->segments[0], name.text, err);
        if (rc == HV_EXISTS)
            return adopt_from(sealer, job, first, err);
        if (rc != HV_OK)
            return rc;
    }
    note_look(sealer, job);
    hv_rc rc = put_siblings(sealer, job, first, 1, &all_ours, err);
    if (rc != HV_OK)
        return rc;
    return all_ours ? found_ours(job, err) : take_from_store(sealer, job, first, err);
}

static hv_rc
seal_fill(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    bool all_ours = true;
    int64_t first = job->fill.lead->cut.first;

    hv_rc rc = put_siblings(sealer, job, first, 0, &all_ours, err);
    return rc != HV_OK ? rc : take_from_store(sealer, job, first, err);
}

static void
forget_results(hv_seal_job *job)
{
    for (size_t f = 0; f < job->found_count; f++)
        hv_index_cut_clear(&job->found[f]);
    job->found_count = 0;
    hv_chain_cut_clear(&job->incomplete);
    job->adopted = false;
}

hv_rc
hv_sealer_run(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    hv_rc rc = HV_OK;

    forget_results(job);
    if (job->segments == NULL)
        rc = hv_sealer_build(sealer, job, err);
    if (rc == HV_OK)
        rc = job->fill.lead != NULL ? seal_fill(sealer, job, err) : seal_new(sealer, job, err);
    if (rc == HV_OK)
        return HV_OK;
    job->attempts++;
    forget_results(job);
    return hv_err_prefix(err, "seal %s/%d from offset %" PRId64, job->partition.hub, (int)job->partition.number, job->cut->first);
}
