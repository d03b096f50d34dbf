/*
 * Closing cuts, and what comes of it. One cut of a partition is being sealed at a time (rule 4); the next one is read, encoded and
 * hashed meanwhile. When the store turns out to hold another cut at our position, that one counts: what lies below its end is dropped
 * from memory, the rest is rebuilt into a new cut (rule 5).
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/capture.h"
#include "archiver/insist.h"
#include "common/array.h"
#include "common/clock.h"
#include "common/random.h"

enum { FIRST_RETRY_MS = 100, LONGEST_RETRY_MS = 30000, REBUILD_TRIES = 200 };

bool
hv_captured_may_close(const hv_captured *captured)
{
    bool with_events = captured->state == HV_CAPTURED_READING || captured->state == HV_CAPTURED_GONE ||
                       captured->state == HV_CAPTURED_WAITING || captured->state == HV_CAPTURED_PROBING ||
                       captured->state == HV_CAPTURED_RELEASING;

    return captured->sealing == NULL && captured->open != NULL && captured->open->count > 0 && with_events;
}

/* Called by an uploader or the index writer. */
static void
job_done(void *arg, hv_seal_job *job, hv_rc rc, const hv_err *err)
{
    hv_captured *captured = arg;
    hv_tell *tell = hv_insist(sizeof *tell);

    tell->kind = HV_TELL_SEALED;
    tell->job = job;
    tell->rc = rc;
    if (rc != HV_OK)
        tell->err = *err;
    hv_capture_tell(captured->capture, tell);
}

void
hv_captured_send(hv_captured *captured)
{
    captured->identity_wanted = 0;
    captured->sealing_in_engine = true;
    captured->capture->sealing_count++;
    hv_engine_seal(captured->capture->engine, captured->sealing, job_done, captured);
}

static void
send(hv_captured *captured, hv_seal_job *job)
{
    captured->sealing = job;
    captured->sealing_in_engine = false;
    if (!hv_captured_wait_for_identity(captured))
        hv_captured_send(captured);
}

static hv_seal_job *
new_job(hv_captured *captured)
{
    hv_seal_job *job = hv_insist(sizeof *job);

    job->partition = captured->id;
    job->last_look_boot_ms = &captured->last_look_boot_ms;
    job->owner = captured;
    job->missing_cause = HV_GAP_UNKNOWN;
    return job;
}

void
hv_captured_close_cut(hv_captured *captured)
{
    assert(hv_captured_may_close(captured));
    hv_seal_job *job = new_job(captured);
    job->cut = HV_TAKE(captured->open);
    if (captured->oldest_unsealed_ms < 0)
        captured->oldest_unsealed_ms = captured->oldest_open_ms;
    send(captured, job);
}

bool
hv_captured_owes_gap_lead(const hv_captured *captured)
{
    if (captured->state != HV_CAPTURED_READING || captured->open != NULL || captured->sealing != NULL)
        return false;
    for (size_t g = 0; g < captured->pending_count; g++)
        if (captured->pending[g].cause == HV_GAP_RETENTION || captured->pending[g].cause == HV_GAP_TRUNCATION)
            return true;
    return false;
}

/* Rule 11: events were lost and none follows; a lead without events says so. */
void
hv_captured_gap_lead(hv_captured *captured)
{
    hv_seal_job *job = new_job(captured);
    hv_err err;

    assert(captured->sealing == NULL && captured->open == NULL && captured->pending_count > 0);
    hv_rc rc = hv_cut_new(hv_engine_cut_config(captured->capture->engine), &captured->id, captured->position, hv_clock_boot_ms(),
                          &job->cut, &err);
    if (rc == HV_OK)
        rc = hv_cut_add_gaps(job->cut, captured->pending, captured->pending_count, &err);
    if (rc != HV_OK) {                  /* the next look at ages tries again */
        hv_seal_job_free(job);
        return;
    }
    captured->pending_count = 0;
    send(captured, job);
}

void
hv_captured_retry_seal(hv_captured *captured)
{
    captured->sealing_in_engine = true;
    captured->capture->sealing_count++;
    hv_engine_seal_again(captured->capture->engine, captured->sealing);
}

void
hv_captured_send_fill(hv_captured *captured, hv_cut *found, hv_chain_cut *cut, hv_gap_cause missing_cause)
{
    hv_seal_job *job = new_job(captured);

    job->cut = found;
    job->fill = *cut;
    *cut = (hv_chain_cut){0};
    job->missing_cause = missing_cause;
    captured->state = HV_CAPTURED_FILL_SEALING;
    send(captured, job);
}

static void
retry_later(hv_captured *captured, const hv_seal_job *job, const hv_err *err)
{
    unsigned doublings = job->attempts < 9 ? job->attempts : 9;
    int64_t first_ms = hv_engine_config(captured->capture->engine)->retry_ms;
    int64_t delay_ms = (first_ms > 0 ? first_ms : FIRST_RETRY_MS) << doublings;

    captured->sealing_in_engine = false;
    delay_ms = hv_random_jitter(delay_ms > LONGEST_RETRY_MS ? LONGEST_RETRY_MS : delay_ms);
    captured->retry_at_boot_ms = hv_clock_boot_ms() + delay_ms;
    hv_captured_report(captured, HV_ARCHIVER_TROUBLE,
                       &(hv_archiver_report){.err = err, .operation = HV_ARCHIVER_SEAL, .attempts = job->attempts, .retry_ms = delay_ms});
}

static void
report_found(hv_captured *captured, const hv_seal_job *job)
{
    hv_engine_totals *totals = hv_engine_totals_of(captured->capture->engine);
    hv_hub_counters *counters = &captured->hub->counters;

    for (size_t f = 0; f < job->found_count; f++) {
        const hv_index_cut *cut = &job->found[f];
        hv_archiver_report report = {.range = cut->range, .cut = cut, .put_ms = job->run_ms};
        for (size_t s = 0; s < cut->segment_count; s++) {
            report.count += cut->segments[s].count;
            report.bytes += cut->segments[s].size;
        }
        atomic_fetch_add(&totals->cuts, 1);
        atomic_fetch_add(&totals->segments, (int64_t)cut->segment_count);
        atomic_fetch_add(&totals->bytes_stored, report.bytes);
        if (job->adopted)
            atomic_fetch_add(&totals->adopted, 1);
        counters->events += report.count;
        counters->stored_bytes += (int64_t)report.bytes;
        counters->cuts++;
        counters->segments += (int64_t)cut->segment_count;
        counters->adopted += job->adopted;
        hv_captured_report(captured, job->adopted ? HV_ARCHIVER_ADOPTED : HV_ARCHIVER_SEALED, &report);
        for (size_t g = 0; g < cut->gap_count; g++) {
            atomic_fetch_add(&totals->gap_offsets, cut->gaps[g].range.end - cut->gaps[g].range.first);
            counters->gap_offsets[cut->gaps[g].cause] += cut->gaps[g].range.end - cut->gaps[g].range.first;
            hv_captured_report(captured, HV_ARCHIVER_GAP, &(hv_archiver_report){.range = cut->gaps[g].range, .cause = cut->gaps[g].cause});
        }
    }
}

/* Gaps of a cut, from `*at` on, that lie before `offset` and at or behind `from`: what has to go in before the event at that offset. */
static hv_rc
add_with_gaps(hv_cut *to, const hv_cut *from, size_t *at, const char *class_name, const hv_event *event, hv_err *err)
{
    hv_gap *gaps = malloc((from->gap_count + 1) * sizeof *gaps);
    size_t count = 0;

    if (gaps == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for gaps");
    for (; *at < from->gap_count && from->gaps[*at].range.first < event->offset; ++*at) {
        hv_gap gap = from->gaps[*at];
        if (gap.range.first < to->end)
            gap.range.first = to->end;
        if (gap.range.end > gap.range.first)
            gaps[count++] = gap;
    }
    hv_rc rc = hv_cut_add(to, class_name, event, gaps, count, err);
    free(gaps);
    return rc;
}

static hv_rc
copy_events(const hv_cut *from, hv_block_coder *coder, int64_t end, hv_cut *to, hv_err *err)
{
    HV_AUTO(hv_cut_reader_free) hv_cut_reader *reader = NULL;
    const char *class_name;
    hv_event event;
    size_t gap = 0;

    hv_rc rc = hv_cut_reader_new(from, coder, &reader, err);
    while (rc == HV_OK && (rc = hv_cut_reader_next(reader, &event, &class_name, err)) == HV_OK)
        if (event.offset >= to->first && event.offset < end)
            rc = add_with_gaps(to, from, &gap, class_name, &event, err);
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

static hv_rc
rebuild_once(hv_captured *captured, const hv_captured_parts *parts, hv_cut **ret, hv_err *err)
{
    HV_AUTO(hv_cut_free) hv_cut *cut = NULL;
    hv_block_coder *coder = captured->capture->coder;

    hv_rc rc = hv_cut_new(hv_engine_cut_config(captured->capture->engine), &captured->id, parts->keep.first, hv_clock_boot_ms(), &cut, err);
    if (rc == HV_OK && parts->older != NULL) {
        hv_cut_wait(parts->older);
        rc = copy_events(parts->older, coder, parts->keep.end, cut, err);
    }
    if (rc == HV_OK && parts->newer != NULL) {
        hv_cut_wait(parts->newer);
        rc = copy_events(parts->newer, coder, parts->keep.end, cut, err);
    }
    if (cut != NULL)
        hv_cut_wait(cut);               /* its full blocks went to the workers while it grew */
    if (rc != HV_OK)
        return rc;
    if (cut->count > 0)
        *ret = HV_TAKE(cut);
    else
        *ret = NULL;
    return HV_OK;
}

/* One open cut from the events and gaps of up to two older ones. *ret is NULL if no event is left. For want of memory it tries again for a
 * while: what it cannot copy is given up, and the hub may not have it any more. */
hv_rc
hv_captured_rebuild(hv_captured *captured, const hv_captured_parts *parts, hv_cut **ret, hv_err *err)
{
    hv_rc rc = rebuild_once(captured, parts, ret, err);

    for (int tries = 1; rc == HV_NOMEM && tries < REBUILD_TRIES; tries++) {
        hv_insist_pause();
        rc = rebuild_once(captured, parts, ret, err);
    }
    return rc;
}

/* Pending gaps below the new position are somebody else's now. */
static void
clip_pending(hv_captured *captured, int64_t position)
{
    size_t kept = 0;

    for (size_t g = 0; g < captured->pending_count; g++) {
        hv_gap gap = captured->pending[g];
        if (gap.range.first < position)
            gap.range.first = position;
        if (gap.range.end > gap.range.first)
            captured->pending[kept++] = gap;
    }
    captured->pending_count = kept;
}

/* What is in the store ends elsewhere than what we meant to put. */
static void
go_on_elsewhere(hv_captured *captured, hv_seal_job *job)
{
    hv_cut *open = HV_TAKE(captured->open), *rest = NULL;
    bool incomplete = job->incomplete.lead != NULL;
    hv_err err;

    hv_captured_parts parts = {.keep = {captured->position, INT64_MAX}, .older = job->cut, .newer = open};
    hv_rc rc = hv_captured_rebuild(captured, &parts, &rest, &err);
    if (open != NULL)
        hv_cut_wait(open);
    hv_cut_free(open);
    if (rc != HV_OK) {                  /* then everything behind the position is read again */
        hv_capture_trouble(captured->capture, captured, &err);
        captured->pending_count = 0;
        captured->next = captured->position;
    }
    captured->oldest_unsealed_ms = rest == NULL ? -1 : captured->oldest_unsealed_ms;
    clip_pending(captured, captured->position);
    if (incomplete) {
        hv_captured_fill_begin(captured, &job->incomplete, rest);
        return;
    }
    captured->open = rest;
    bool behind = captured->next < captured->position;
    if (behind || rc != HV_OK)
        hv_captured_start_reading(captured, captured->position);
}

/* The fill has nothing to go by but the hub that is gone: its siblings get gaps. */
static void
empty_fill(hv_captured *captured, hv_seal_job *job)
{
    hv_cut *nothing = NULL;
    hv_err err;

    while (hv_cut_new(hv_engine_cut_config(captured->capture->engine), &captured->id, job->cut->first, hv_clock_boot_ms(), &nothing, &err) !=
           HV_OK)
        hv_insist_pause();
    hv_cut_wait(job->cut);
    hv_cut_free(job->cut);
    job->cut = nothing;
    job->missing_cause = HV_GAP_RECREATED;
    hv_captured_send(captured);
}

void
hv_captured_drop_unverified(hv_captured *captured)
{
    bool waits = captured->identity_wanted != 0;
    hv_seal_job *job = waits ? captured->sealing : NULL;
    hv_cut *open = captured->open, *rest = NULL;
    hv_err err;

    captured->pending_count = 0;
    if (job != NULL && job->fill.lead != NULL) {
        empty_fill(captured, job);
        return;
    }
    if (job == NULL && open == NULL)
        return;
    hv_captured_parts parts = {.keep = {job != NULL ? job->cut->first : open->first, captured->verified_end},
        .older = job != NULL ? job->cut : NULL, .newer = open};
    if (hv_captured_rebuild(captured, &parts, &rest, &err) != HV_OK)
        hv_capture_trouble(captured->capture, captured, &err);
    if (job != NULL) {
        captured->sealing = NULL;
        captured->identity_wanted = 0;
        hv_seal_job_free(job);
    }
    if (open != NULL)
        hv_cut_wait(open);
    hv_cut_free(open);
    captured->open = rest;
}

static void
done(hv_captured *captured, hv_seal_job *job)
{
    hv_source *source = captured->capture->source;
    bool was_fill = job->fill.lead != NULL;

    captured->sealing = NULL;
    report_found(captured, job);
    if (job->found_count > 0)
        captured->position = job->position;
    captured->oldest_unsealed_ms = captured->open == NULL || captured->open->count == 0 ? -1 : captured->oldest_open_ms;
    if (hv_engine_config(captured->capture->engine)->commit)
        source->ops->commit(source, captured->id.hub, captured->id.number, captured->position);
    if (captured->state == HV_CAPTURED_RELEASING) {     /* where the chain goes on elsewhere, the next owner finds it */
        hv_capture_fill_free(captured->fill);
        captured->fill = NULL;
        if (was_fill || job->adopted)
            hv_captured_drop_memory(captured);
    } else if (was_fill)
        hv_captured_filled(captured, job);
    else if (job->adopted)
        go_on_elsewhere(captured, job);
}

void
hv_captured_drop_memory(hv_captured *captured)
{
    if (captured->open != NULL)
        hv_cut_wait(captured->open);
    hv_cut_free(captured->open);
    captured->open = NULL;
    captured->pending_count = 0;
}

void
hv_captured_sealed(hv_captured *captured, hv_seal_job *job, hv_rc rc, const hv_err *err)
{
    if (atomic_load(&job->abandoned)) { /* of an ownership that has ended: what it put is in the index, nothing follows from it */
        captured->sealing = NULL;
        if (rc == HV_OK)
            report_found(captured, job);
        hv_seal_job_free(job);
        return;
    }
    if (rc != HV_OK && hv_engine_may_pass(rc) && captured->state != HV_CAPTURED_STOPPED) {
        retry_later(captured, job, err);
        return;
    }
    if (rc == HV_OK)
        done(captured, job);
    else
        hv_captured_fail(captured, rc, err);
    if (captured->state == HV_CAPTURED_STOPPED) {
        captured->sealing = NULL;
        hv_captured_drop_memory(captured);
    }
    hv_seal_job_free(job);
}
