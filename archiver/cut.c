/*
 * Events are encoded straight into the open block of their class by the capture thread: one copy of the bytes, after which the
 * client library gets its message back. Only full blocks cross to another thread, so the price of handing over is paid once per
 * 256 KiB and not once per event.
 *
 * Why the counters are safe: `with_workers` counts blocks handed out and not returned. finished() runs exactly once: in the step that
 * finds the cut closed and nobody working, and that is either hv_cut_close() or the last hv_cut_work(), decided under the lock.
 */
#include "archiver/cut.h"

#include <assert.h>
#include <stdlib.h>

#include "common/array.h"
#include "common/random.h"

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

static void
charge(hv_cut *cut, int64_t bytes)
{
    atomic_fetch_add(&cut->memory, bytes);
    atomic_fetch_add(&cut->config->budget->used, bytes);
}

hv_rc
hv_cut_new(const hv_cut_config *config, const hv_partition *partition, int64_t first, int64_t now_boot_ms, hv_cut **ret, hv_err *err)
{
    hv_cut *cut = calloc(1, sizeof *cut);

    if (cut == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a cut");
    cut->config = config;
    cut->partition = *partition;
    cut->first = cut->end = first;
    cut->opened_boot_ms = now_boot_ms;
    must(pthread_mutex_init(&cut->lock, NULL));
    must(pthread_cond_init(&cut->changed, NULL));
    *ret = cut;
    return HV_OK;
}

static void
job_free(hv_block_job *job)
{
    if (job == NULL)
        return;
    hv_buf_free(&job->raw);
    hv_block_free(&job->block);
    free(job);
}

void
hv_cut_free(hv_cut *cut)
{
    if (cut == NULL)
        return;
    assert(cut->locked.with_workers == 0);
    for (size_t c = 0; c < cut->class_count; c++) {
        for (size_t j = 0; j < cut->classes[c].job_count; j++)
            job_free(cut->classes[c].jobs[j]);
        free(cut->classes[c].jobs);
        free(cut->classes[c].ranges);
    }
    charge(cut, -atomic_load(&cut->memory));
    free(cut->classes);
    free(cut->gaps);
    must(pthread_cond_destroy(&cut->changed));
    must(pthread_mutex_destroy(&cut->lock));
    free(cut);
}

/* So that append_gap() cannot fail afterwards. */
static hv_rc
reserve_gaps(hv_cut *cut, size_t more, hv_err *err)
{
    if (cut->gap_count + more > HV_SEGMENT_MAX_GAPS)
        return hv_err_set(err, HV_LIMIT, "more than %d gaps in one cut", HV_SEGMENT_MAX_GAPS);
    for (size_t count = cut->gap_count; count < cut->gap_count + more; count++)
        if (!hv_array_room(&cut->gaps, count, &cut->gap_room, sizeof *cut->gaps))
            return hv_err_set(err, HV_NOMEM, "no memory for gap %zu of a cut", count + 1);
    return HV_OK;
}

static void
append_gap(hv_cut *cut, const hv_gap *gap)
{
    hv_gap *last = cut->gap_count > 0 ? &cut->gaps[cut->gap_count - 1] : NULL;

    assert(gap->range.end > gap->range.first);
    if (last != NULL && last->range.end == gap->range.first && last->cause == gap->cause)
        last->range.end = gap->range.end;
    else
        cut->gaps[cut->gap_count++] = *gap;
}

hv_rc
hv_cut_add_gaps(hv_cut *cut, const hv_gap *gaps, size_t count, hv_err *err)
{
    hv_rc rc = reserve_gaps(cut, count, err);

    for (size_t g = 0; rc == HV_OK && g < count; g++)
        append_gap(cut, &gaps[g]);
    return rc;
}

static hv_rc
add_class(hv_cut *cut, const char *name, hv_cut_class **ret, hv_err *err)
{
    size_t room = cut->class_count;

    if (cut->class_count >= HV_SEGMENT_MAX_CLASSES)
        return hv_err_set(err, HV_LIMIT, "more than %d classes in one cut", HV_SEGMENT_MAX_CLASSES);
    hv_cut_class *classes = realloc(cut->classes, (room + 1) * sizeof *classes);
    if (classes == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for class '%s' of a cut", name);
    cut->classes = classes;
    hv_cut_class *class = &classes[room];
    *class = (hv_cut_class){.format = {.codec = cut->config->codec, .level = cut->config->level}};
    memcpy(class->name, name, strlen(name));
    hv_rc rc = hv_random_fill(class->format.sync, sizeof class->format.sync, err);
    if (rc != HV_OK)
        return rc;
    cut->class_count++;
    *ret = class;
    return HV_OK;
}

static hv_rc
class_of(hv_cut *cut, const char *name, hv_cut_class **ret, hv_err *err)
{
    for (size_t c = 0; c < cut->class_count; c++)
        if (strcmp(cut->classes[c].name, name) == 0) {
            *ret = &cut->classes[c];
            return HV_OK;
        }
    return add_class(cut, name, ret, err);
}

/* Jobs keep no pointer into the array of classes, which moves when one is added: each has a copy of its format. */
typedef struct job_with_format {
    hv_block_job job;
    hv_block_format format;
} job_with_format;

static hv_rc
open_block(hv_cut *cut, hv_cut_class *class, hv_err *err)
{
    if (class->open != NULL)
        return HV_OK;
    if (class->job_count >= HV_SEGMENT_MAX_BLOCKS)
        return hv_err_set(err, HV_LIMIT, "more than %d blocks in one segment", HV_SEGMENT_MAX_BLOCKS);
    if (!hv_array_room(&class->jobs, class->job_count, &class->job_room, sizeof(hv_block_job *)))
        return hv_err_set(err, HV_NOMEM, "no memory for block %zu of a cut", class->job_count + 1);
    job_with_format *made = calloc(1, sizeof *made);
    if (made == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a block");
    made->format = class->format;
    made->job = (hv_block_job){.cut = cut, .format = &made->format, .raw = HV_BUF_INIT(HV_BLOCK_MAX_RAW)};
    if (cut->last_block_raw > 0)
        (void)hv_buf_reserve(&made->job.raw, cut->last_block_raw);
    made->job.raw.failed = HV_OK;       /* the reservation is a wish: what cannot be had now is asked for event by event */
    charge(cut, (int64_t)made->job.raw.allocated);
    class->open = class->jobs[class->job_count++] = &made->job;
    return HV_OK;
}

static hv_rc
note_offset(hv_cut_class *class, int64_t offset, hv_err *err)
{
    hv_range *last = class->range_count > 0 ? &class->ranges[class->range_count - 1] : NULL;

    if (last != NULL && last->end == offset) {
        last->end++;
        return HV_OK;
    }
    if (class->range_count >= HV_SEGMENT_MAX_GAPS)
        return hv_err_set(err, HV_LIMIT, "class '%s' of one cut is in more than %d pieces", class->name, HV_SEGMENT_MAX_GAPS);
    if (!hv_array_room(&class->ranges, class->range_count, &class->range_room, sizeof *class->ranges))
        return hv_err_set(err, HV_NOMEM, "no memory for a class map");
    class->ranges[class->range_count++] = (hv_range){offset, offset + 1};
    return HV_OK;
}

static void
note_facts(hv_block_facts *facts, const hv_event *event)
{
    if (facts->count == 0) {
        facts->first_offset = event->offset;
        facts->min_timestamp_ms = facts->max_timestamp_ms = event->timestamp_ms;
    }
    if (event->timestamp_ms < facts->min_timestamp_ms)
        facts->min_timestamp_ms = event->timestamp_ms;
    if (event->timestamp_ms > facts->max_timestamp_ms)
        facts->max_timestamp_ms = event->timestamp_ms;
    facts->last_offset = event->offset;
    facts->count++;
}

static void
hand_over(hv_cut *cut, hv_cut_class *class)
{
    hv_block_job *job = HV_TAKE(class->open);

    must(pthread_mutex_lock(&cut->lock));
    cut->locked.with_workers++;
    must(pthread_mutex_unlock(&cut->lock));
    if (cut->config->submit(cut->config->arg, job) == HV_OK)
        return;
    must(pthread_mutex_lock(&cut->lock));
    cut->locked.with_workers--;
    must(pthread_mutex_unlock(&cut->lock));
}

hv_rc
hv_cut_add(hv_cut *cut, const char *class_name, const hv_event *event, const hv_gap *gaps, size_t gap_count, hv_err *err)
{
    hv_cut_class *class = NULL;

    assert(event->offset >= cut->end);
    hv_rc rc = class_of(cut, class_name, &class, err);
    if (rc == HV_OK && gap_count > 0)
        rc = reserve_gaps(cut, gap_count, err);
    if (rc == HV_OK)
        rc = open_block(cut, class, err);
    if (rc != HV_OK)
        return rc;

    hv_buf *raw = &class->open->raw;
    size_t len_before = raw->len, allocated_before = raw->allocated;
    if (hv_buf_reserve(raw, hv_event_encoded_max(event)) != NULL)
        hv_event_encode(event, raw);
    if (raw->allocated != allocated_before)     /* an atomic addition that all threads see is not for each event */
        charge(cut, (int64_t)(raw->allocated - allocated_before));
    rc = hv_buf_check(raw, err);
    if (rc == HV_OK)
        rc = note_offset(class, event->offset, err);
    if (rc != HV_OK) {
        raw->len = len_before;
        raw->failed = HV_OK;
        return hv_err_prefix(err, "event %lld of %s/%d", (long long)event->offset, cut->partition.hub, (int)cut->partition.number);
    }
    for (size_t g = 0; g < gap_count; g++)
        append_gap(cut, &gaps[g]);
    note_facts(&class->open->facts, event);
    class->count++;
    cut->count++;
    cut->end = event->offset + 1;
    if (raw->len >= cut->config->block_bytes || class->open->facts.count == INT32_MAX) {
        cut->last_block_raw = raw->allocated - 1;
        hand_over(cut, class);
    }
    return HV_OK;
}

size_t
hv_cut_raw_bytes(const hv_cut *cut)
{
    size_t bytes = 0;

    for (size_t c = 0; c < cut->class_count; c++)
        if (cut->classes[c].open != NULL)
            bytes += cut->classes[c].open->raw.len;
    return bytes;
}

void
hv_cut_end_blocks(hv_cut *cut, size_t least_bytes)
{
    for (size_t c = 0; c < cut->class_count; c++) {
        const hv_block_job *open = cut->classes[c].open;
        if (open != NULL && open->facts.count > 0 && open->raw.len >= least_bytes) {
            cut->last_block_raw = 0;    /* memory is short: the next one grows as it is filled */
            hand_over(cut, &cut->classes[c]);
        }
    }
}

/* Whether this step is the one after which nothing is left to do. */
static bool
is_finished(const hv_cut *cut)
{
    return cut->locked.closed && cut->locked.with_workers == 0;
}

void
hv_cut_close(hv_cut *cut)
{
    for (size_t c = 0; c < cut->class_count; c++)
        if (cut->classes[c].open != NULL && cut->classes[c].open->facts.count > 0)
            hand_over(cut, &cut->classes[c]);
        else if (cut->classes[c].open != NULL) {        /* its first event could not be added */
            charge(cut, -(int64_t)cut->classes[c].open->raw.allocated);
            job_free(HV_TAKE(cut->classes[c].open));
            cut->classes[c].job_count--;
        }
    must(pthread_mutex_lock(&cut->lock));
    cut->locked.closed = true;
    bool finished = is_finished(cut);
    must(pthread_mutex_unlock(&cut->lock));
    if (finished)
        cut->config->finished(cut->config->arg, cut);
}

/* Raw bytes out, stored bytes in. On failure the raw bytes stay: nothing is lost, the sealer tries again. */
static hv_rc
compress(hv_block_coder *coder, hv_block_job *job, hv_err *err)
{
    hv_rc rc = hv_block_seal(coder, job->format, &job->facts, hv_buf_slice(&job->raw), &job->block, err);

    if (rc != HV_OK)
        return rc;
    charge(job->cut, (int64_t)job->block.ref.length - (int64_t)job->raw.allocated);
    atomic_fetch_add(&job->cut->stored_bytes, job->block.ref.length);
    hv_buf_free(&job->raw);
    return HV_OK;
}

void
hv_cut_work(hv_block_coder *coder, hv_block_job *job)
{
    hv_cut *cut = job->cut;
    hv_err unreported;

    if (coder != NULL)
        (void)compress(coder, job, &unreported);
    must(pthread_mutex_lock(&cut->lock));
    cut->locked.with_workers--;
    bool finished = is_finished(cut);
    must(pthread_cond_broadcast(&cut->changed));
    must(pthread_mutex_unlock(&cut->lock));
    if (finished)
        cut->config->finished(cut->config->arg, cut);
}

void
hv_cut_wait(hv_cut *cut)
{
    must(pthread_mutex_lock(&cut->lock));
    while (cut->locked.with_workers > 0)
        must(pthread_cond_wait(&cut->changed, &cut->lock));
    must(pthread_mutex_unlock(&cut->lock));
}

hv_rc
hv_cut_finish_blocks(hv_cut *cut, hv_block_coder *coder, hv_err *err)
{
    for (size_t c = 0; c < cut->class_count; c++)
        for (size_t j = 0; j < cut->classes[c].job_count; j++)
            if (cut->classes[c].jobs[j]->block.stored == NULL) {
                hv_rc rc = compress(coder, cut->classes[c].jobs[j], err);
                if (rc != HV_OK)
                    return rc;
            }
    return HV_OK;
}
