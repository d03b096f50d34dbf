/*
 * What the source delivers for one partition, and what it proves.
 *
 * Rule 10: an offset is taken for absent only when the same assignment has delivered a later one, or the end at a higher one, or when
 * the start of the log lies above it; and the first of them only when it was so twice (capture_doubt.c). Absent offsets wait in `pending` until an event follows: a cut ends behind its last event (rule 11).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/capture.h"
#include "archiver/probe.h"
#include "archiver/scout.h"
#include "common/array.h"
#include "common/clock.h"
#include "common/random.h"
#include "segment/vault_marker.h"

enum { ASK_AGAIN_MS = 2000, FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 30000 };

static hv_gap_cause
cause_of_hole(const hv_captured *captured)
{
    switch (captured->hub->policy.cleanup) {
    case HV_SOURCE_CLEANUP_DELETE:
        return HV_GAP_TRANSACTION;
    case HV_SOURCE_CLEANUP_COMPACT:
        return HV_GAP_COMPACTION;
    case HV_SOURCE_CLEANUP_UNKNOWN:
        return HV_GAP_UNKNOWN;
    }
    return HV_GAP_UNKNOWN;
}

/* Offsets next .. end - 1 are absent. */
static hv_rc
note_absent(hv_captured *captured, int64_t end, hv_gap_cause cause, hv_err *err)
{
    if (end <= captured->next)
        return HV_OK;
    if (!hv_array_room(&captured->pending, captured->pending_count, &captured->pending_room, sizeof *captured->pending))
        return hv_err_set(err, HV_NOMEM, "no memory for a gap");
    if (captured->pending_count == 0)
        captured->pending_since_boot_ms = hv_clock_boot_ms();
    captured->pending[captured->pending_count++] = (hv_gap){.range = {captured->next, end}, .cause = cause};
    captured->next = end;
    return HV_OK;
}

/* Where the next cut begins: behind what is being sealed, else at the position. */
static int64_t
next_cut_first(const hv_captured *captured)
{
    const hv_cut *before = captured->sealing == NULL ? NULL : captured->sealing->cut;

    if (before == NULL)
        return captured->position;
    return before->count > 0 ? before->end : before->gaps[before->gap_count - 1].range.end;
}

static void
check_once(hv_captured *captured)
{
    if (captured->next >= captured->once_target)
        captured->once_done = true;
}

/* once: a partition that is through is let go and sealed now. To the end it would be named in every request, and its cut would take memory. */
static void
leave_if_done(hv_captured *captured)
{
    if (!captured->once_done || captured->state != HV_CAPTURED_READING || !hv_engine_config(captured->capture->engine)->once)
        return;
    hv_captured_unassign(captured);
    if (hv_captured_may_close(captured))
        hv_captured_close_cut(captured);
}

static const char *
class_for(const hv_captured *captured, const hv_event *event)
{
    const hv_archiver_config *config = hv_engine_config(captured->capture->engine);

    return config->classify == NULL ? HV_CLASS_DEFAULT : config->classify(config->classify_arg, &captured->id, event);
}

static hv_rc
keep_event(hv_captured *captured, const hv_event *event, hv_err *err)
{
    hv_engine *engine = captured->capture->engine;
    bool first = captured->open == NULL || captured->open->count == 0;
    hv_rc rc = HV_OK;

    if (captured->open == NULL)
        rc = hv_cut_new(hv_engine_cut_config(engine), &captured->id, next_cut_first(captured), hv_clock_boot_ms(), &captured->open, err);
    if (rc == HV_OK)
        rc = hv_cut_add(captured->open, class_for(captured, event), event, captured->pending, captured->pending_count, err);
    if (rc != HV_OK)
        return rc;
    captured->pending_count = 0;
    captured->next = event->offset + 1;
    if (first)
        captured->oldest_open_ms = event->timestamp_ms < 0 ? 0 : event->timestamp_ms;
    if (captured->oldest_unsealed_ms < 0)
        captured->oldest_unsealed_ms = captured->oldest_open_ms;
    return HV_OK;
}

/* The pause grows with the time for which nothing but failures came. What there is too little room for is not given up by `once`. */
void
hv_captured_assign_later(hv_captured *captured, hv_rc rc, const hv_err *err)
{
    const hv_archiver_config *config = hv_engine_config(captured->capture->engine);
    int64_t now = hv_clock_boot_ms(), first_ms = config->retry_ms > 0 ? config->retry_ms : FIRST_PAUSE_MS;

    if (captured->failing_since_boot_ms == 0)
        captured->failing_since_boot_ms = now;
    int64_t pause_ms = now - captured->failing_since_boot_ms;
    bool too_long = config->once && pause_ms > config->give_up_ms && rc != HV_NOMEM && rc != HV_LIMIT;
    if (too_long || !hv_engine_may_pass(rc)) {
        hv_captured_fail(captured, rc, err);
        return;
    }
    hv_capture_trouble(captured->capture, captured, err);
    hv_captured_unassign(captured);
    pause_ms = pause_ms < first_ms ? first_ms : pause_ms > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause_ms;
    captured->assign_at_boot_ms = now + hv_random_jitter(pause_ms);
}

void
hv_captured_assign_again(hv_captured *captured)
{
    bool probing = captured->state == HV_CAPTURED_PROBING;
    hv_err err;

    captured->assign_at_boot_ms = 0;
    if (captured->state == HV_CAPTURED_FILLING) {
        hv_captured_fill_read(captured);
        return;
    }
    if (!probing && captured->state != HV_CAPTURED_READING)
        return;
    hv_rc rc = hv_captured_assign(captured, probing ? captured->probe_offset : captured->next, &err);
    if (rc != HV_OK)
        hv_captured_assign_later(captured, rc, &err);
}

/* An event could not be kept: it stays in the hub, and is asked for again once there is room. */
static void
read_again(hv_captured *captured, hv_rc rc, const hv_err *why)
{
    if (rc == HV_LIMIT && (captured->open == NULL || captured->open->count == 0)) {     /* not even alone */
        hv_captured_fail(captured, rc, why);
        return;
    }
    if (captured->open != NULL && captured->open->count > 0 && hv_captured_may_close(captured))
        hv_captured_close_cut(captured);
    hv_captured_assign_later(captured, rc, why);
}

static void
read_event(hv_captured *captured, const hv_event *event)
{
    hv_engine_totals *totals = hv_engine_totals_of(captured->capture->engine);
    hv_err err;

    if (event->offset < captured->next)
        return;                         /* asked for again, and delivered already */
    if (hv_captured_doubts(captured, event->offset, true))
        return;                         /* it comes again */
    hv_rc rc = note_absent(captured, event->offset, cause_of_hole(captured), &err);
    if (rc == HV_OK)
        rc = keep_event(captured, event, &err);
    if (rc != HV_OK) {
        read_again(captured, rc, &err);
        return;
    }
    captured->failing_since_boot_ms = 0;
    atomic_fetch_add_explicit(&totals->events, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&totals->bytes_in, event->key.len + event->value.len, memory_order_relaxed);
    captured->hub->counters.read_events++;
    captured->hub->counters.read_bytes += (int64_t)(event->key.len + event->value.len);
    if (!captured->once_done)
        check_once(captured);
    leave_if_done(captured);
}

static void
read_end(hv_captured *captured, int64_t offset)
{
    hv_err err;

    if (hv_captured_doubts(captured, offset, false))
        return;                         /* it is told again */
    hv_rc rc = note_absent(captured, offset, cause_of_hole(captured), &err);
    if (rc != HV_OK) {
        hv_captured_assign_later(captured, rc, &err);   /* and the end is told again */
        return;
    }
    captured->failing_since_boot_ms = 0;
    if (captured->high < offset)
        captured->high = offset;
    captured->once_done = true;         /* nothing more can be read now: an open transaction may hide the rest */
    leave_if_done(captured);
}

void
hv_captured_ask(hv_captured *captured)
{
    captured->ask_at_boot_ms = hv_clock_boot_ms() + ASK_AGAIN_MS * 5;   /* should the answer get lost */
    hv_scout_watermarks(captured->capture->scout, captured->id.hub, captured->id.number);
}

/* The last event that we hold, read again. */
static void
probe_event(hv_captured *captured, const hv_event *event)
{
    hv_capture *capture = captured->capture;
    const hv_archiver_config *config = hv_engine_config(capture->engine);
    hv_chain chain = {.storage = config->storage, .vault = config->vault};
    bool equal = true;
    hv_err err;

    hv_rc rc = HV_OK;
    if (event->offset == captured->probe_offset)
        rc = hv_probe_equal(&chain, config->index, capture->coder, &captured->id, event, &equal, &err);
    if (rc == HV_NOT_FOUND)             /* it was a gap for us: says nothing */
        rc = HV_OK;
    if (rc != HV_OK) {
        hv_captured_assign_later(captured, rc, &err);
        return;
    }
    if (!equal) {
        hv_captured_other_hub(captured, HV_INCARNATION_DIFFERS);
        return;
    }
    captured->state = HV_CAPTURED_READING;
    read_event(captured, event);        /* ignored, unless it lies at or behind our position */
}

static void
probe_end(hv_captured *captured, int64_t offset)
{
    if (offset < captured->position) {
        hv_captured_other_hub(captured, HV_INCARNATION_SHORTER);
        return;
    }
    captured->state = HV_CAPTURED_READING;
    read_end(captured, offset);
}

static void
refused(hv_captured *captured, const hv_err *err)
{
    if (hv_engine_config(captured->capture->engine)->once)
        hv_captured_fail(captured, err->rc, err);
    else
        hv_capture_trouble(captured->capture, captured, err);
}

void
hv_captured_item(hv_captured *captured, const hv_source_item *item)
{
    bool probing = captured->state == HV_CAPTURED_PROBING, reading = captured->state == HV_CAPTURED_READING;

    switch (item->kind) {
    case HV_SOURCE_EVENT:
    case HV_SOURCE_END:
        if (captured->state == HV_CAPTURED_FILLING)
            hv_captured_fill_item(captured, item);
        else if (item->kind == HV_SOURCE_EVENT && reading)
            read_event(captured, &item->event);
        else if (item->kind == HV_SOURCE_EVENT && probing)
            probe_event(captured, &item->event);
        else if (reading)
            read_end(captured, item->offset);
        else if (probing)
            probe_end(captured, item->offset);
        break;
    case HV_SOURCE_OUT_OF_RANGE:
        hv_captured_ask(captured);
        break;
    case HV_SOURCE_GONE:
        hv_captured_gone(captured);
        break;
    case HV_SOURCE_REFUSED:
        refused(captured, &item->err);
        break;
    case HV_SOURCE_TROUBLE:
        hv_capture_trouble(captured->capture, captured, &item->err);
        break;
    case HV_SOURCE_NOTHING:
        break;
    }
}

void
hv_captured_start_reading(hv_captured *captured, int64_t offset)
{
    bool probe = captured->position > 0 && offset == captured->position && captured->open == NULL;
    hv_err err;

    captured->next = offset;
    captured->probe_offset = captured->position - 1;
    captured->state = probe ? HV_CAPTURED_PROBING : HV_CAPTURED_READING;
    if (captured->once_target < 0)
        captured->once_target = captured->high;
    captured->once_done = !probe && captured->once_target >= 0 && captured->next >= captured->once_target;
    if (!hv_captured_takes_turn(captured))
        return;
    hv_rc rc = hv_captured_assign(captured, probe ? captured->probe_offset : offset, &err);
    if (rc != HV_OK)
        hv_captured_assign_later(captured, rc, &err);
}

/* The position lies outside the log: expired, or the log is another one. */
static void
outside(hv_captured *captured, const hv_admitted *answer)
{
    hv_err err;

    if (answer->high < captured->next) {
        hv_captured_other_hub(captured, HV_INCARNATION_SHORTER);
        return;
    }
    if (note_absent(captured, answer->low, HV_GAP_RETENTION, &err) != HV_OK) {
        captured->ask_at_boot_ms = hv_clock_boot_ms() + ASK_AGAIN_MS;
        return;
    }
    captured->state = HV_CAPTURED_READING;
    check_once(captured);
    hv_rc rc = hv_captured_assign(captured, captured->next, &err);
    if (rc != HV_OK)
        hv_captured_assign_later(captured, rc, &err);
}

void
hv_captured_watermarks(hv_captured *captured, const hv_admitted *answer)
{
    bool waiting = captured->state == HV_CAPTURED_READING || captured->state == HV_CAPTURED_PROBING ||
                   captured->state == HV_CAPTURED_FILLING;

    if (!waiting || captured->ask_at_boot_ms == 0)
        return;
    captured->ask_at_boot_ms = 0;
    if (answer->rc == HV_NOT_FOUND) {
        hv_captured_gone(captured);
        return;
    }
    if (answer->rc != HV_OK) {
        hv_capture_trouble(captured->capture, captured, &answer->err);
        captured->ask_at_boot_ms = hv_clock_boot_ms() + ASK_AGAIN_MS;
        return;
    }
    captured->low = answer->low;
    captured->high = answer->high;
    if (captured->state == HV_CAPTURED_FILLING)
        hv_captured_fill_watermarks(captured, answer);
    else
        outside(captured, answer);
}
