/*
 * A stream walks its parts cut by cut. A cut has one lane per segment; each lane walks the wanted runs of its segment block by
 * block. The events of a cut are the lanes merged by offset.
 *
 * Every lane has a key, a lower bound for the offset of its next event: known exactly once that event is decoded, before that the
 * first offset of its next block. The lane with the smallest key goes next, and only then is its block waited for; so a damaged
 * block stops the replay exactly where its events would begin, and everything before has been delivered.
 *
 * Reading ahead: the runs of a cut are lent to the fetcher in the order in which they will be needed, cut after cut, as long as
 * there is room. A run that is waited for is lent in any case: with lanes of different pace the budget may be full of runs that are
 * needed later, and waiting for these to be used would be waiting for ourselves.
 *
 * What the index says about a block was verified by hash; that its events ascend, lie in their cut, are as many as they should be
 * and come once is checked again here, since they come from elsewhere.
 */
#include "replay/replay_reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "segment/event_codec.h"
#include "segment/names.h"

#define NO_RUN SIZE_MAX

typedef struct run {
    size_t lane, first_block, block_count;
    size_t next;                        /* of the same lane, in the order of need; NO_RUN */
    hv_fetch *fetch;                    /* once it is lent */
} run;

typedef struct lane {
    hv_blob_name name;
    const hv_index_segment *segment;
    size_t run, block;                  /* where it stands: a run, and a block of it */
    size_t next_run;
    hv_event_reader reader;
    int32_t left;                       /* events of the block that are not decoded yet */
    int64_t key;
    bool has_event;
    hv_event event;                     /* its offset is the key */
} lane;

typedef struct loaded_cut {
    struct loaded_cut *next;
    hv_index_cut cut;
    size_t part;
    lane *lanes;
    size_t lane_count;
    run *runs;                          /* in the order of need */
    size_t run_count, run_room, lent;   /* the first `lent` were given to the fetcher, in order or before their turn */
} loaded_cut;

struct hv_stream {
    hv_stream_config config;
    size_t plan_part, done_part;        /* part of the next cut to load; parts before done_part are finished */
    int64_t plan_at;
    loaded_cut *first, *last;
    loaded_cut *ahead;                  /* first cut that may have runs which are not lent; NULL: load one */
    size_t lent;                        /* runs in the hands of the fetcher, or being used */
    hv_fetch **spare;
    size_t spare_count, spare_room;
    lane *given;                        /* whose event the caller has */
    hv_buf scratch;
};

/* ---- making and freeing ---- */

hv_rc
hv_stream_new(const hv_stream_config *config, hv_stream **ret, hv_err *err)
{
    assert(config->runs_ahead > 0 && config->run_bytes > 0);
    hv_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for reading");
    stream->config = *config;
    stream->scratch = (hv_buf)HV_BUF_INIT(HV_EVENT_MAX_BYTES);
    if (config->part_count > 0)
        stream->plan_at = config->parts[0].from;
    *ret = stream;
    return HV_OK;
}

static void
free_fetch(hv_fetch *fetch)
{
    hv_fetch_free(fetch);
    free(fetch);
}

static void
free_cut(hv_stream *stream, loaded_cut *loaded)
{
    for (size_t i = 0; i < loaded->run_count; i++)
        if (loaded->runs[i].fetch != NULL) {
            hv_fetcher_cancel(stream->config.fetcher, loaded->runs[i].fetch);
            free_fetch(loaded->runs[i].fetch);
        }
    for (size_t i = 0; i < loaded->lane_count; i++)
        hv_event_reader_free(&loaded->lanes[i].reader);
    free(loaded->lanes);
    free(loaded->runs);
    hv_index_cut_clear(&loaded->cut);
    free(loaded);
}

void
hv_stream_free(hv_stream *stream)
{
    if (stream == NULL)
        return;
    while (stream->first != NULL) {
        loaded_cut *loaded = stream->first;
        stream->first = loaded->next;
        free_cut(stream, loaded);
    }
    for (size_t i = 0; i < stream->spare_count; i++)
        free_fetch(stream->spare[i]);
    free(stream->spare);
    hv_buf_free(&stream->scratch);
    free(stream);
}

/* A stream has at most one fetch more than it ever lent at once, so this keeps few. */
static hv_rc
take_spare(hv_stream *stream, hv_fetch **ret, hv_err *err)
{
    if (stream->spare_count > 0) {
        *ret = stream->spare[--stream->spare_count];
        return HV_OK;
    }
    *ret = calloc(1, sizeof **ret);
    return *ret != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for reading ahead");
}

static void
keep_spare(hv_stream *stream, hv_fetch *fetch)
{
    if (stream->spare_count == stream->spare_room) {
        size_t room = stream->spare_room * 2 + 8;
        hv_fetch **moved = reallocarray(stream->spare, room, sizeof *moved);
        if (moved == NULL) {
            free_fetch(fetch);
            return;
        }
        stream->spare = moved;
        stream->spare_room = room;
    }
    stream->spare[stream->spare_count++] = fetch;
}

/* ---- loading cuts ---- */

static hv_rc
add_run(loaded_cut *to, size_t of_lane, size_t first_block, size_t block_count, hv_err *err)
{
    if (to->run_count == to->run_room) {
        size_t room = to->run_room * 2 + 8;
        run *moved = reallocarray(to->runs, room, sizeof *moved);
        if (moved == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory to plan %zu reads", room);
        to->runs = moved;
        to->run_room = room;
    }
    to->runs[to->run_count++] = (run){.lane = of_lane, .first_block = first_block, .block_count = block_count, .next = NO_RUN};
    return HV_OK;
}

static int
compare_runs(const void *a, const void *b, void *arg)
{
    const run *x = a, *y = b;
    const loaded_cut *cut = arg;
    int64_t first_x = cut->lanes[x->lane].segment->blocks[x->first_block].first_offset;
    int64_t first_y = cut->lanes[y->lane].segment->blocks[y->first_block].first_offset;

    if (first_x != first_y)
        return first_x < first_y ? -1 : 1;
    return x->lane < y->lane ? -1 : x->lane > y->lane ? 1 : 0;
}

static void
link_runs(loaded_cut *loaded)
{
    if (loaded->lane_count > 1 && loaded->run_count > 1)
        qsort_r(loaded->runs, loaded->run_count, sizeof *loaded->runs, compare_runs, loaded);
    for (size_t i = loaded->run_count; i-- > 0;) {
        lane *of = &loaded->lanes[loaded->runs[i].lane];
        loaded->runs[i].next = of->next_run;
        of->next_run = i;
        of->key = of->segment->blocks[loaded->runs[i].first_block].first_offset;
    }
}

static hv_rc
make_lanes(hv_stream *stream, loaded_cut *loaded, hv_err *err)
{
    const hv_replay_part *part = &stream->config.parts[loaded->part];
    const hv_index_cut *cut = &loaded->cut;

    loaded->lanes = calloc(cut->segment_count + 1, sizeof *loaded->lanes);
    if (loaded->lanes == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to read %zu segments", cut->segment_count);
    for (size_t i = 0; i < cut->segment_count; i++) {
        const hv_index_segment *segment = &cut->segments[i];
        lane *to = &loaded->lanes[loaded->lane_count++];
        *to = (lane){.segment = segment, .run = NO_RUN, .next_run = NO_RUN, .key = INT64_MAX};
        to->name = segment->is_lead ? hv_name_of_lead(&part->partition, cut->range.first)
                                    : hv_name_of_sibling(&part->partition, cut->range.first, segment->class_name);
        for (size_t block = 0; block < segment->block_count;) {
            size_t count = hv_replay_run_length(part, stream->config.window, cut, segment, block, stream->config.run_bytes);
            hv_rc rc = count > 0 ? add_run(loaded, i, block, count, err) : HV_OK;
            if (rc != HV_OK)
                return rc;
            block += count > 0 ? count : 1;
        }
    }
    link_runs(loaded);
    return HV_OK;
}

static void
note_seen(hv_replay_part *part, hv_range cut)
{
    if (part->seen.end == part->seen.first)
        part->seen.first = cut.first > part->from ? cut.first : part->from;
    part->seen.end = cut.end < part->end ? cut.end : part->end;
}

/* One step of the plan: *ret is NULL if there was nothing to read in it. */
static hv_rc
load_one(hv_stream *stream, loaded_cut **ret, hv_err *err)
{
    hv_replay_part *part = &stream->config.parts[stream->plan_part];
    hv_index_cut cut;

    hv_rc rc = hv_replay_next_cut(stream->config.index, part, stream->config.window, stream->plan_at, &cut, err);
    if (rc == HV_NOT_FOUND) {
        if (++stream->plan_part < stream->config.part_count)
            stream->plan_at = stream->config.parts[stream->plan_part].from;
        return HV_OK;
    }
    if (rc != HV_OK)
        return rc;
    loaded_cut *loaded = calloc(1, sizeof *loaded);
    if (loaded == NULL) {
        hv_index_cut_clear(&cut);
        return hv_err_set(err, HV_NOMEM, "no memory to read a cut");
    }
    *loaded = (loaded_cut){.cut = cut, .part = stream->plan_part};
    rc = make_lanes(stream, loaded, err);
    if (rc == HV_OK) {
        stream->plan_at = cut.range.end;
        note_seen(part, cut.range);
    }
    if (rc == HV_OK && loaded->run_count > 0)
        *ret = loaded;
    else
        free_cut(stream, loaded);
    return rc;
}

/* The next cut of the plan with something to read, put behind the last one. *ret is NULL at the end of the plan. */
static hv_rc
load_cut(hv_stream *stream, loaded_cut **ret, hv_err *err)
{
    *ret = NULL;
    while (*ret == NULL && stream->plan_part < stream->config.part_count) {
        hv_rc rc = load_one(stream, ret, err);
        if (rc != HV_OK)
            return rc;
    }
    if (*ret == NULL)
        return HV_OK;
    if (stream->last != NULL)
        stream->last->next = *ret;
    else
        stream->first = *ret;
    stream->last = *ret;
    return HV_OK;
}

/* ---- reading ahead ---- */

static hv_rc
lend(hv_stream *stream, loaded_cut *loaded, run *wanted, hv_err *err)
{
    const lane *of = &loaded->lanes[wanted->lane];
    hv_fetch *fetch;

    hv_rc rc = take_spare(stream, &fetch, err);
    if (rc != HV_OK)
        return rc;
    fetch->segment = of->name.text;
    fetch->codec = of->segment->codec;
    fetch->blocks = &of->segment->blocks[wanted->first_block];
    fetch->block_count = wanted->block_count;
    rc = hv_fetcher_submit(stream->config.fetcher, fetch, err);
    if (rc != HV_OK) {
        keep_spare(stream, fetch);
        return rc;
    }
    wanted->fetch = fetch;
    stream->lent++;
    return HV_OK;
}

/* Lend what is needed next, as far as there is room. */
static hv_rc
read_ahead(hv_stream *stream, hv_err *err)
{
    while (stream->lent < stream->config.runs_ahead && (stream->lent == 0 || hv_fetcher_has_room(stream->config.fetcher))) {
        loaded_cut *at = stream->ahead;
        hv_rc rc = HV_OK;
        if (at == NULL) {
            rc = load_cut(stream, &at, err);
            stream->ahead = at;
        } else if (at->lent == at->run_count) {
            stream->ahead = at->next;
        } else {
            run *next = &at->runs[at->lent++];
            if (next->fetch == NULL && next->block_count > 0)
                rc = lend(stream, at, next, err);
        }
        if (rc != HV_OK || at == NULL)
            return rc;
    }
    return HV_OK;
}

hv_rc
hv_stream_prime(hv_stream *stream, hv_err *err)
{
    return read_ahead(stream, err);
}

/* ---- events ---- */

static void
give_back(hv_stream *stream, run *used)
{
    hv_fetcher_release(stream->config.fetcher, used->fetch);
    keep_spare(stream, used->fetch);
    used->fetch = NULL;
    used->block_count = 0;              /* so that reading ahead does not lend it again */
    stream->lent--;
}

static hv_rc
damaged(hv_stream *stream, lane *of, int32_t lost, hv_err *err)
{
    of->left = 0;
    if (!stream->config.skip_damaged)
        return HV_CORRUPT;
    stream->config.facts->damaged_blocks++;
    stream->config.facts->damaged_events += lost;
    stream->config.damaged(stream->config.arg, err->msg);
    return HV_OK;
}

/* On to the next run of the lane, waiting until it is there. */
static hv_rc
enter_run(hv_stream *stream, loaded_cut *loaded, lane *of, hv_err *err)
{
    hv_replay_facts *facts = stream->config.facts;
    run *entered = &loaded->runs[of->next_run];

    if (entered->fetch == NULL) {
        hv_rc rc = lend(stream, loaded, entered, err);
        if (rc != HV_OK)
            return rc;
    }
    hv_rc rc = read_ahead(stream, err);
    if (rc != HV_OK)
        return rc;
    hv_fetcher_wait(stream->config.fetcher, entered->fetch);
    if (entered->fetch->rc != HV_OK) {
        *err = entered->fetch->err;
        return entered->fetch->rc;
    }
    facts->segments += of->run == NO_RUN ? 1 : 0;
    for (size_t i = 0; i < entered->block_count; i++)
        facts->bytes_read += of->segment->blocks[entered->first_block + i].length;
    of->run = of->next_run;
    of->next_run = entered->next;
    of->block = 0;
    return HV_OK;
}

/* On to the next block. The lane is used up afterwards if its key is INT64_MAX. */
static hv_rc
enter_block(hv_stream *stream, loaded_cut *loaded, lane *of, hv_err *err)
{
    hv_rc rc = HV_OK;

    if (!stream->config.tick(stream->config.arg))
        return hv_err_set(err, HV_CLOSED, "stopped");
    if (of->run != NO_RUN && ++of->block >= loaded->runs[of->run].block_count) {
        give_back(stream, &loaded->runs[of->run]);
        if (of->next_run == NO_RUN) {
            of->run = NO_RUN;
            of->key = INT64_MAX;
            return HV_OK;
        }
        rc = enter_run(stream, loaded, of, err);
    } else if (of->run == NO_RUN) {
        rc = enter_run(stream, loaded, of, err);
    }
    if (rc != HV_OK)
        return rc;
    const run *in = &loaded->runs[of->run];
    const hv_index_block *block = &of->segment->blocks[in->first_block + of->block];
    hv_fetched_block *result = &in->fetch->results[of->block];
    stream->config.facts->blocks++;
    of->key = block->first_offset;
    if (result->rc != HV_OK) {
        *err = result->err;
        return damaged(stream, of, block->count, err);
    }
    hv_event_reader_reset(&of->reader, hv_buf_slice(&result->raw));
    of->left = block->count;
    return HV_OK;
}

static hv_rc
check_event(const loaded_cut *loaded, const lane *of, const hv_event *event, hv_err *err)
{
    const hv_index_block *block = &of->segment->blocks[loaded->runs[of->run].first_block + of->block];

    if (event->offset < of->key || event->offset >= loaded->cut.range.end
        || (of->left == block->count && event->offset != block->first_offset))
        return hv_err_set(err, HV_CORRUPT, "offset %" PRId64 " is out of place", event->offset);
    if (of->left == 1 && hv_event_reader_more(&of->reader))
        return hv_err_set(err, HV_CORRUPT, "bytes behind the last event");
    return HV_OK;
}

static hv_rc
name_damage(const loaded_cut *loaded, const lane *of, hv_err *err)
{
    const hv_index_block *block = &of->segment->blocks[loaded->runs[of->run].first_block + of->block];

    return hv_err_prefix(err, "segment '%s', block at byte %" PRIu64 ", which begins with offset %" PRId64, of->name.text,
                         block->position, block->first_offset);
}

/* Decode until an event is wanted or the block ends. */
static hv_rc
find_in_block(hv_stream *stream, loaded_cut *loaded, lane *of, hv_err *err)
{
    const hv_stream_config *config = &stream->config;
    const hv_replay_part *part = &config->parts[loaded->part];
    bool everything = hv_event_filter_is_empty(config->filter);

    while (of->left > 0) {
        bool wanted = true;
        hv_rc rc = hv_event_reader_next(&of->reader, &of->event, err);
        if (rc == HV_OK)
            rc = check_event(loaded, of, &of->event, err);
        if (rc == HV_CORRUPT) {
            (void)name_damage(loaded, of, err);
            return damaged(stream, of, of->left, err);
        }
        if (rc != HV_OK)
            return rc;
        of->left--;
        of->key = of->event.offset + 1;
        if (of->event.offset < part->from || of->event.offset >= part->end
            || !hv_time_window_has(config->window, of->event.timestamp_ms))
            continue;
        config->facts->events_read++;
        if (!everything)
            rc = hv_event_filter_match(config->filter, &of->event, &stream->scratch, &wanted, err);
        if (rc != HV_OK)
            return rc;
        if (wanted) {
            of->has_event = true;
            of->key = of->event.offset;
            return HV_OK;
        }
    }
    return HV_OK;
}

/* The lane whose next event comes first; NULL if all are used up. */
static lane *
first_lane(loaded_cut *loaded)
{
    lane *first = &loaded->lanes[0];

    for (size_t i = 1; i < loaded->lane_count; i++)
        if (loaded->lanes[i].key < first->key)
            first = &loaded->lanes[i];
    return first->key == INT64_MAX ? NULL : first;
}

static void
finish_parts(hv_stream *stream, size_t before)
{
    for (; stream->done_part < before; stream->done_part++)
        stream->config.parts[stream->done_part].next = stream->config.parts[stream->done_part].end;
}

static void
drop_first_cut(hv_stream *stream)
{
    loaded_cut *done = stream->first;
    hv_replay_part *part = &stream->config.parts[done->part];

    part->next = done->cut.range.end < part->end ? done->cut.range.end : part->end;
    stream->first = done->next;
    if (stream->first == NULL)
        stream->last = NULL;
    if (stream->ahead == done)
        stream->ahead = done->next;
    free_cut(stream, done);
}

/* A cut to read from; stream->first is NULL at the end. */
static hv_rc
need_cut(hv_stream *stream, hv_err *err)
{
    if (stream->first == NULL) {
        loaded_cut *loaded;
        hv_rc rc = load_cut(stream, &loaded, err);
        if (rc != HV_OK)
            return rc;
        stream->ahead = loaded;
    }
    finish_parts(stream, stream->first != NULL ? stream->first->part : stream->config.part_count);
    return HV_OK;
}

static hv_rc
give_event(hv_stream *stream, lane *of, hv_replay_part **part, hv_event *ret, hv_err *err)
{
    hv_replay_part *from = &stream->config.parts[stream->first->part];

    if (of->event.offset < from->next) {
        (void)hv_err_set(err, HV_CORRUPT, "offset %" PRId64 " is stored twice", of->event.offset);
        return name_damage(stream->first, of, err);
    }
    from->next = of->event.offset;
    stream->given = of;
    *part = from;
    *ret = of->event;
    return HV_OK;
}

hv_rc
hv_stream_next(hv_stream *stream, hv_replay_part **part, hv_event *ret, hv_err *err)
{
    hv_rc rc = HV_OK;

    if (stream->given != NULL) {
        stream->given->has_event = false;
        stream->given->key++;
        stream->config.parts[stream->first->part].next = stream->given->key;
        stream->given = NULL;
    }
    while (rc == HV_OK) {
        rc = need_cut(stream, err);
        if (rc != HV_OK)
            break;
        if (stream->first == NULL)
            return hv_err_set(err, HV_NOT_FOUND, "the end of the replay");
        lane *of = first_lane(stream->first);
        if (of == NULL)
            drop_first_cut(stream);
        else if (of->has_event)
            return give_event(stream, of, part, ret, err);
        else if (of->left > 0)
            rc = find_in_block(stream, stream->first, of, err);
        else
            rc = enter_block(stream, stream->first, of, err);
    }
    return rc;
}
