/*
 * A replay freezes at hv_replay_open() which offsets of which partitions it will deliver; what follows is reading them in order and
 * handing them on.
 *
 * The cursor is never a number of its own: it is written from `next` of the parts, and that moves when the sink has taken an event.
 * So the same run that was stopped anywhere and goes on from its cursor hands the sink the same events as one that was not stopped:
 * the order of what is left depends on nothing but what is left.
 */
#include "replay/replay_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"

enum {
    PROGRESS_MS = 250,
    RUNS_AHEAD = 16,
    DEFAULT_MEMORY = 64 << 20,
    DEFAULT_RUN = 1 << 20,
    DEFAULT_PATIENCE_MS = 30000,
    DEFAULT_DISCOVERY_MS = 30000,
    GET_TRIES = 6,
    FIRST_WAIT_MS = 100,
    SLEEP_SLICE_MS = 50,
    FLUSH_MS = 10000,
    FLUSH_BEFORE_MS = 200,
                     /* before a longer pause the sink is flushed, so that nobody waits for what is already due */
};

static void
sleep_really(int64_t ms)
{
    struct timespec rest = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&rest, NULL);       /* woken early: the caller looks at the clock again */
}

/* ---- open, close ---- */

static void
fill_defaults(hv_replay *replay)
{
    hv_replay_config *config = &replay->config;

    config->memory_bytes = config->memory_bytes > 0 ? config->memory_bytes : DEFAULT_MEMORY;
    config->run_bytes = config->run_bytes > 0 ? config->run_bytes : DEFAULT_RUN;
    config->patience_ms = config->patience_ms > 0 ? config->patience_ms : DEFAULT_PATIENCE_MS;
    config->discovery_ms = config->discovery_ms > 0 ? config->discovery_ms : DEFAULT_DISCOVERY_MS;
    config->now_ms = config->now_ms != NULL ? config->now_ms : hv_clock_boot_ms;
    config->sleep_ms = config->sleep_ms != NULL ? config->sleep_ms : sleep_really;
    replay->pacer = (hv_pacer){
        .events_per_second = replay->request.events_per_second,
        .speed = replay->request.speed,
        .longest_pause_ms = replay->request.longest_pause_ms > 0 ? replay->request.longest_pause_ms : HV_REPLAY_LONGEST_PAUSE_MS,
    };
    replay->scratch = (hv_buf)HV_BUF_INIT(256 << 20);
}

/* What is asked for, without where it stands: the cursor of a replay that has not begun. */
static hv_rc
hash_request(hv_replay *replay, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    unsigned char hash[HV_SHA256_SIZE];
    const hv_replay_selection *selection = &replay->selection;
    hv_cursor asked = {
        .by_time = selection->order == HV_REPLAY_BY_TIME, .incarnation = selection->incarnation,
        .from_offset = selection->from_offset, .to_offset = selection->to_offset, .from_time = selection->from_time,
        .to_time = selection->to_time, .patterns = selection->patterns, .pattern_count = selection->pattern_count,
    };

    memcpy(asked.vault, replay->vault, sizeof asked.vault);
    memcpy(asked.filters, selection->filters, sizeof asked.filters);
    hv_rc rc = hv_cursor_write(&asked, &text, err);
    if (rc != HV_OK)
        return rc;
    hv_slice all = hv_buf_slice(&text);
    hv_sha256(&all, 1, hash);
    memcpy(replay->request_hash, hash, sizeof replay->request_hash);
    return HV_OK;
}

static void
count_asked(hv_replay *replay)
{
    const hv_replay_selection *selection = &replay->selection;

    replay->facts.partitions = (int64_t)selection->part_count;
    for (size_t i = 0; i < selection->part_count; i++) {
        replay->facts.total += selection->parts[i].end - selection->parts[i].from;
        if (selection->to_offset.set && selection->parts[i].position < selection->to_offset.value)
            replay->facts.uncaptured++;
    }
}

hv_rc
hv_replay_open(const hv_replay_config *config, const hv_replay_request *request, hv_replay **ret, hv_err *err)
{
    HV_AUTO(hv_replay_close) hv_replay *replay = calloc(1, sizeof *replay);

    assert(strlen(config->vault) < HV_VAULT_ID_SIZE);
    if (replay == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a replay");
    replay->config = *config;
    replay->request = *request;
    memcpy(replay->vault, config->vault, strlen(config->vault));
    fill_defaults(replay);
    hv_rc rc = hv_replay_select(config->index, replay->vault, request, &replay->selection, err);
    if (rc == HV_OK)
        rc = hash_request(replay, err);
    if (rc != HV_OK)
        return rc;
    count_asked(replay);
    *ret = HV_TAKE(replay);
    return HV_OK;
}

void
hv_replay_close(hv_replay *replay)
{
    if (replay == NULL)
        return;
    hv_fetcher_free(replay->fetcher);
    hv_replay_selection_clear(&replay->selection);
    hv_buf_free(&replay->scratch);
    free(replay);
}

size_t
hv_replay_hub_count(const hv_replay *replay)
{
    return replay->selection.hub_count;
}

const char *
hv_replay_hub(const hv_replay *replay, size_t at, int32_t *partitions)
{
    const char *hub = replay->selection.hubs[at].name;

    *partitions = 0;
    for (size_t i = 0; i < replay->selection.part_count; i++) {
        const hv_partition *partition = &replay->selection.parts[i].partition;
        if (strcmp(partition->hub, hub) == 0 && partition->number >= *partitions)
            *partitions = partition->number + 1;
    }
    return hub;
}

bool
hv_replay_time_end(const hv_replay *replay, int64_t *ret)
{
    *ret = replay->selection.to_time.value;
    return replay->selection.to_time.set;
}

const hv_replay_facts *
hv_replay_facts_of(const hv_replay *replay)
{
    return &replay->facts;
}

hv_rc
hv_replay_dry_run(hv_replay *replay, hv_replay_forecast *ret, hv_err *err)
{
    const hv_replay_selection *selection = &replay->selection;
    bool filtered = !hv_event_filter_is_empty(&replay->request.filter);
    hv_replay_forecast sum = {.partitions = 0};
    int64_t limit = replay->request.limit;

    for (size_t i = 0; i < selection->part_count; i++) {
        hv_rc rc = hv_replay_forecast_part(replay->config.index, &selection->parts[i], &selection->window, replay->config.run_bytes,
                                           filtered, &sum, err);
        if (rc != HV_OK)
            return rc;
    }
    if (limit > 0 && sum.events_max > limit)
        sum.events_max = limit;
    if (limit > 0 && sum.events_min > limit)
        sum.events_min = limit;
    *ret = sum;
    return HV_OK;
}

/* ---- cursor ---- */

static hv_rc
fill_positions(const hv_replay_selection *selection, hv_cursor *cursor, hv_err *err)
{
    size_t hub = 0;

    cursor->positions = calloc(selection->part_count + 1, sizeof *cursor->positions);
    if (cursor->positions == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a cursor over %zu partitions", selection->part_count);
    for (size_t i = 0; i < selection->part_count; i++) {
        const hv_replay_part *part = &selection->parts[i];
        while (strcmp(selection->hubs[hub].name, part->partition.hub) != 0)
            hub++;                      /* both are sorted, and each part has its hub */
        if (part->next > 0)
            cursor->positions[cursor->position_count++] = (hv_cursor_position){
                .hub = hub, .incarnation = part->partition.incarnation, .partition = part->partition.number, .next = part->next};
    }
    return HV_OK;
}

hv_rc
hv_replay_cursor(const hv_replay *replay, hv_buf *to, hv_err *err)
{
    const hv_replay_selection *selection = &replay->selection;
    hv_cursor cursor = {
        .by_time = selection->order == HV_REPLAY_BY_TIME, .incarnation = selection->incarnation,
        .from_offset = selection->from_offset, .to_offset = selection->to_offset, .from_time = selection->from_time,
        .to_time = selection->to_time, .patterns = selection->patterns, .pattern_count = selection->pattern_count,
        .hubs = selection->hubs, .hub_count = selection->hub_count,
    };

    memcpy(cursor.vault, replay->vault, sizeof cursor.vault);
    memcpy(cursor.filters, selection->filters, sizeof cursor.filters);
    hv_rc rc = fill_positions(selection, &cursor, err);
    if (rc == HV_OK)
        rc = hv_cursor_write(&cursor, to, err);
    free(cursor.positions);             /* the rest is borrowed */
    return rc;
}

/* ---- running ---- */

/* What the callbacks of a stream get. */
typedef struct replaying {
    hv_replay *replay;
    hv_sink *sink;
    hv_rc flush_rc;
    hv_err flush_err;
} replaying;

static void
count_done(hv_replay *replay)
{
    int64_t done = 0;

    for (size_t i = 0; i < replay->selection.part_count; i++)
        done += replay->selection.parts[i].next - replay->selection.parts[i].from;
    replay->facts.done = replay->done_before + done;
}

bool
hv_replay_must_stop(hv_replay *replay)
{
    const hv_replay_observer *observer = &replay->config.observer;
    int64_t now = replay->config.now_ms();

    if (observer->progress != NULL && now - replay->last_progress_ms >= PROGRESS_MS) {
        replay->last_progress_ms = now;
        count_done(replay);
        observer->progress(observer->arg, &replay->facts);
    }
    return replay->at_limit || (observer->stopped != NULL && observer->stopped(observer->arg));
}

bool
hv_replay_sleep(hv_replay *replay, int64_t ms)
{
    int64_t until = replay->config.now_ms() + ms, left = ms;

    for (; left > 0; left = until - replay->config.now_ms()) {
        if (hv_replay_must_stop(replay))
            return false;
        replay->config.sleep_ms(left < SLEEP_SLICE_MS ? left : SLEEP_SLICE_MS);
    }
    return true;
}

hv_rc
hv_replay_flush(hv_replay *replay, hv_sink *sink, hv_err *err)
{
    hv_rc rc = sink->ops->flush(sink, err);

    replay->sink_failed = rc != HV_OK;
    replay->unflushed = false;
    replay->flushed_ms = replay->config.now_ms();
    return rc;
}

static hv_rc
wait_for_turn(hv_replay *replay, hv_sink *sink, const hv_event *event, bool *stopped, hv_err *err)
{
    int64_t wait_ms = hv_pacer_wait_ms(&replay->pacer, event->timestamp_ms, replay->config.now_ms());
    hv_rc rc = wait_ms > FLUSH_BEFORE_MS ? hv_replay_flush(replay, sink, err) : HV_OK;

    if (rc == HV_OK && wait_ms > 0)
        *stopped = !hv_replay_sleep(replay, wait_ms);
    return rc;
}

/* The limit is that of all runs under one id together. */
static void
note_limit(hv_replay *replay)
{
    replay->at_limit = replay->request.limit > 0 && replay->facts.sent_before + replay->facts.events_sent >= replay->request.limit;
}

hv_rc
hv_replay_deliver(hv_replay *replay, hv_sink *sink, hv_replay_part *part, const hv_event *event, bool *stopped, hv_err *err)
{
    const hv_replay_observer *observer = &replay->config.observer;
    hv_rc rc = HV_OK;

    *stopped = observer->stopped != NULL && observer->stopped(observer->arg);
    if (!*stopped && (replay->pacer.events_per_second > 0 || replay->pacer.speed > 0))
        rc = wait_for_turn(replay, sink, event, stopped, err);
    if (rc != HV_OK || *stopped)
        return rc;
    rc = sink->ops->event(sink, &part->partition, event, err);
    replay->sink_failed = rc != HV_OK;
    if (rc != HV_OK)
        return rc;
    part->next = event->offset + 1;
    replay->facts.events_sent++;
    replay->unflushed = true;
    note_limit(replay);
    return HV_OK;
}

/* While nothing matches for a long time, what did match must not wait: a transaction of a sink would time out. */
static bool
go_on(void *arg)
{
    replaying *now = arg;
    hv_replay *replay = now->replay;

    if (replay->unflushed && replay->config.now_ms() - replay->flushed_ms >= FLUSH_MS)
        now->flush_rc = hv_replay_flush(replay, now->sink, &now->flush_err);
    return now->flush_rc == HV_OK && !hv_replay_must_stop(replay);
}

static void
report_damage(void *arg, const char *message)
{
    const hv_replay_observer *observer = &((replaying *)arg)->replay->config.observer;

    if (observer->damaged != NULL)
        observer->damaged(observer->arg, message);
}

static hv_rc
need_fetcher(hv_replay *replay, hv_err *err)
{
    hv_fetcher_config config = {
        .storage = replay->config.storage, .threads = replay->config.threads, .memory_bytes = replay->config.memory_bytes,
        .tries = GET_TRIES, .first_wait_ms = FIRST_WAIT_MS,
    };

    return replay->fetcher != NULL ? HV_OK : hv_fetcher_new(&config, &replay->fetcher, err);
}

static hv_rc
count_gaps(hv_replay *replay, const hv_replay_part *parts, size_t count, hv_err *err)
{
    for (size_t i = 0; i < count; i++) {
        hv_range range = replay->selection.window.limited ? parts[i].seen : (hv_range){.first = parts[i].from,
                                                                                       .end = parts[i].next};
        if (range.end > parts[i].next)
            range.end = parts[i].next;
        hv_rc rc = hv_replay_count_gaps(replay->config.index, &parts[i].partition, range, &replay->facts.gaps,
                                        &replay->facts.gap_offsets, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

/* HV_NOT_FOUND at the end, HV_OK when stopped. */
static hv_rc
deliver_all(replaying *now, hv_merge *merge, hv_err *err)
{
    hv_replay *replay = now->replay;

    while (!replay->at_limit) {
        hv_replay_part *part;
        hv_event event;
        bool stopped;
        hv_rc rc = hv_merge_next(merge, &part, &event, err);
        if (rc == HV_CLOSED) {
            *err = now->flush_err;
            return now->flush_rc;
        }
        if (rc == HV_OK)
            rc = hv_replay_deliver(replay, now->sink, part, &event, &stopped, err);
        if (rc != HV_OK || stopped)
            return rc;
    }
    return HV_OK;
}

hv_rc
hv_replay_run_parts(hv_replay *replay, hv_replay_part *parts, size_t count, hv_sink *sink, hv_err *err)
{
    HV_AUTO(hv_merge_free) hv_merge *merge = NULL;
    replaying now = {.replay = replay, .sink = sink};
    hv_err second;

    hv_rc rc = need_fetcher(replay, err);
    if (rc != HV_OK)
        return rc;
    hv_stream_config streams = {
        .index = replay->config.index, .fetcher = replay->fetcher, .window = &replay->selection.window,
        .filter = &replay->request.filter, .parts = parts, .part_count = count, .run_bytes = replay->config.run_bytes,
        .runs_ahead = RUNS_AHEAD, .skip_damaged = replay->request.skip_damaged, .facts = &replay->facts, .arg = &now,
        .tick = go_on, .damaged = report_damage,
    };
    rc = hv_merge_new(&streams, replay->selection.order == HV_REPLAY_BY_TIME, replay->config.memory_bytes, &merge, err);
    if (rc == HV_OK)
        rc = deliver_all(&now, merge, err);
    replay->facts.finished = rc == HV_NOT_FOUND;
    if (rc == HV_OK || rc == HV_NOT_FOUND)
        return count_gaps(replay, parts, count, err);
    (void)count_gaps(replay, parts, count, &second);    /* of what came before the failure, which counts more */
    return rc;
}

/* The sink may know from an earlier run under the same name how far it came. */
static hv_rc
begin_sink(hv_replay *replay, hv_sink *sink, hv_err *err)
{
    hv_replay_part *parts = replay->selection.parts;
    size_t count = replay->selection.part_count;
    hv_sink_source *sources = calloc(count + 1, sizeof *sources);

    if (sources == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", count);
    for (size_t i = 0; i < count; i++)
        sources[i] = (hv_sink_source){.partition = parts[i].partition, .next = parts[i].next, .end = parts[i].end,
                                       .empty = parts[i].empty};
    hv_sink_start start = {.vault = replay->vault, .request = replay->request_hash, .live = replay->request.follow,
                           .sources = sources, .source_count = count};
    hv_rc rc = sink->ops->begin(sink, &start, err);
    replay->sink_failed = rc != HV_OK;
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        if (sources[i].next > parts[i].next) {
            replay->done_before += sources[i].next - parts[i].from;
            parts[i].from = parts[i].next = sources[i].next;
            parts[i].end = parts[i].end > parts[i].next ? parts[i].end : parts[i].next;
        }
    free(sources);
    replay->facts.sent_before = start.sent_before;
    note_limit(replay);
    return rc;
}

hv_rc
hv_replay_run_archive(hv_replay *replay, hv_sink *sink, hv_err *err)
{
    assert(!replay->ran);
    replay->ran = true;
    replay->flushed_ms = replay->config.now_ms();
    hv_rc rc = begin_sink(replay, sink, err);
    if (rc == HV_OK)
        rc = hv_replay_run_parts(replay, replay->selection.parts, replay->selection.part_count, sink, err);
    return rc;
}

hv_rc
hv_replay_finish(hv_replay *replay, hv_sink *sink, hv_rc rc, hv_err *err)
{
    count_done(replay);
    if (rc == HV_OK) {
        rc = sink->ops->end(sink, err);
        replay->facts.flushed = rc == HV_OK;
        return rc;
    }
    if (replay->sink_failed)
        return rc;
    hv_err second;
    replay->facts.flushed = sink->ops->flush(sink, &second) == HV_OK;
    if (!replay->facts.flushed)
        (void)hv_err_prefix(err, "%s; and before that", second.msg);
    return rc;
}

hv_rc
hv_replay_run(hv_replay *replay, hv_sink *sink, hv_err *err)
{
    assert(!replay->request.follow);
    hv_rc rc = hv_replay_run_archive(replay, sink, err);
    return hv_replay_finish(replay, sink, rc, err);
}
