/*
 * An incomplete cut: its lead is there, siblings of its class map are not. What the map promises is looked for in memory, then in the
 * hub; what neither has becomes a gap of the sibling (rule 8), and a sibling is put even if nothing is left for it (rule 9).
 *
 * The events come by offset: before an event of the hub is taken, the events that memory holds below it are. An event that both have
 * is taken once, from the hub.
 */
#include <stdlib.h>

#include "archiver/capture.h"
#include "archiver/insist.h"
#include "archiver/scout.h"
#include "common/clock.h"
#include "segment/vault_marker.h"

void
hv_capture_fill_free(hv_capture_fill *fill)
{
    if (fill == NULL)
        return;
    hv_chain_cut_clear(&fill->cut);
    hv_cut_reader_free(fill->memory_reader);
    if (fill->found != NULL)
        hv_cut_wait(fill->found);
    hv_cut_free(fill->found);
    hv_cut_free(fill->memory);
    free(fill);
}

static bool
in_map(const hv_class_map *map, int64_t offset)
{
    for (size_t r = 0; r < map->range_count; r++)
        if (offset >= map->ranges[r].first && offset < map->ranges[r].end)
            return true;
    return false;
}

/* The class of a missing sibling that was promised this offset; NULL: none. */
static const char *
promised_class(const hv_capture_fill *fill, int64_t offset)
{
    const hv_segment_header *lead = fill->cut.lead;

    for (size_t c = 0; c < lead->class_count; c++)
        if (!hv_chain_cut_has(&fill->cut, lead->classes[c].class_name) && in_map(&lead->classes[c], offset))
            return lead->classes[c].class_name;
    return NULL;
}

static void
find_bounds(hv_capture_fill *fill)
{
    const hv_segment_header *lead = fill->cut.lead;

    fill->need = INT64_MAX;
    for (size_t c = 0; c < lead->class_count; c++) {
        const hv_class_map *map = &lead->classes[c];
        if (hv_chain_cut_has(&fill->cut, map->class_name))
            continue;
        if (map->ranges[0].first < fill->need)
            fill->need = map->ranges[0].first;
        if (map->ranges[map->range_count - 1].end > fill->end)
            fill->end = map->ranges[map->range_count - 1].end;
    }
}

static hv_rc
next_memory_event(hv_capture_fill *fill, hv_err *err)
{
    const char *class_name;

    fill->has_memory_event = false;
    if (fill->memory_reader == NULL)
        return HV_OK;
    hv_rc rc = hv_cut_reader_next(fill->memory_reader, &fill->memory_event, &class_name, err);
    fill->has_memory_event = rc == HV_OK;
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

/* Events of memory below `offset` that were promised. One at `offset` itself is passed over: the hub gave it. */
static hv_rc
take_from_memory(hv_capture_fill *fill, int64_t offset, hv_err *err)
{
    hv_rc rc = HV_OK;

    while (rc == HV_OK && fill->has_memory_event && fill->memory_event.offset <= offset) {
        const char *class_name = promised_class(fill, fill->memory_event.offset);
        if (class_name != NULL && fill->memory_event.offset < offset)
            rc = hv_cut_add(fill->found, class_name, &fill->memory_event, NULL, 0, err);
        if (rc == HV_OK)
            rc = next_memory_event(fill, err);
    }
    return rc;
}

static hv_rc
prepare(hv_captured *captured, hv_capture_fill *fill, hv_err *err)
{
    find_bounds(fill);
    hv_rc rc = hv_cut_new(hv_engine_cut_config(captured->capture->engine), &captured->id, fill->cut.lead->cut.first,
                          hv_clock_boot_ms(), &fill->found, err);
    if (rc == HV_OK && fill->memory != NULL)
        rc = hv_cut_reader_new(fill->memory, captured->capture->coder, &fill->memory_reader, err);
    return rc == HV_OK ? next_memory_event(fill, err) : rc;
}

/* From the beginning, a little later. */
static void
fill_again(hv_captured *captured, hv_rc rc, const hv_err *err)
{
    hv_capture_fill *fill = captured->fill;

    hv_cut_reader_free(HV_TAKE(fill->memory_reader));
    fill->has_memory_event = false;
    if (fill->found != NULL)
        hv_cut_wait(fill->found);
    hv_cut_free(HV_TAKE(fill->found));
    hv_captured_assign_later(captured, rc, err);
}

void
hv_captured_fill_begin(hv_captured *captured, hv_chain_cut *incomplete, hv_cut *memory)
{
    const hv_archiver_config *config = hv_engine_config(captured->capture->engine);
    hv_capture_fill *fill = hv_insist(sizeof *fill);

    hv_captured_unassign(captured);
    captured->fill = fill;
    fill->cut = *incomplete;
    *incomplete = (hv_chain_cut){0};
    fill->memory = memory;
    fill->missing_cause = HV_GAP_UNKNOWN;
    int64_t age_ms = hv_clock_wall_ms() - fill->cut.lead->created_ms;
    int64_t wait_ms = age_ms < 0 || age_ms > config->foreign_wait_ms ? 0 : config->foreign_wait_ms - age_ms;
    captured->state = HV_CAPTURED_FILL_WAIT;
    captured->wait_until_boot_ms = hv_clock_boot_ms() + wait_ms;
}

/* Nothing more comes from the hub: the rest of memory, then the put. */
static void
finish(hv_captured *captured)
{
    hv_capture_fill *fill = captured->fill;
    hv_err err;

    hv_captured_unassign(captured);
    hv_rc rc = fill->found == NULL ? prepare(captured, fill, &err) : HV_OK;
    if (rc == HV_OK)
        rc = take_from_memory(fill, INT64_MAX, &err);
    if (rc != HV_OK) {
        fill_again(captured, rc, &err);
        return;
    }
    captured->failing_since_boot_ms = 0;
    hv_captured_send_fill(captured, HV_TAKE(fill->found), &fill->cut, fill->missing_cause);
}

void
hv_captured_fill_read(hv_captured *captured)
{
    hv_capture_fill *fill = captured->fill;
    hv_err err;

    captured->state = HV_CAPTURED_FILLING;
    if (fill->abandoned) {
        finish(captured);
        return;
    }
    hv_rc rc = fill->found == NULL ? prepare(captured, fill, &err) : HV_OK;
    if (rc == HV_OK)
        rc = hv_captured_assign(captured, fill->need, &err);
    if (rc != HV_OK)
        fill_again(captured, rc, &err);
}

void
hv_captured_fill_item(hv_captured *captured, const hv_source_item *item)
{
    hv_capture_fill *fill = captured->fill;
    hv_rc rc = HV_OK;
    hv_err err;

    if (item->kind == HV_SOURCE_EVENT && item->event.offset < fill->end) {
        const char *class_name = promised_class(fill, item->event.offset);
        rc = take_from_memory(fill, item->event.offset, &err);
        if (rc == HV_OK && class_name != NULL)
            rc = hv_cut_add(fill->found, class_name, &item->event, NULL, 0, &err);
        fill->need = item->event.offset + 1;
    } else if (item->kind == HV_SOURCE_END && item->offset < fill->end) {
        fill->missing_cause = HV_GAP_TRUNCATION;        /* the log ends before what a lead once read */
    }
    if (rc != HV_OK)
        fill_again(captured, rc, &err);
    else if (item->kind == HV_SOURCE_END || fill->need >= fill->end || item->event.offset >= fill->end)
        finish(captured);
}

void
hv_captured_fill_watermarks(hv_captured *captured, const hv_admitted *answer)
{
    hv_capture_fill *fill = captured->fill;

    if (answer->high < fill->need)
        fill->missing_cause = HV_GAP_RECREATED;
    else
        fill->missing_cause = HV_GAP_RETENTION;
    if (answer->high < fill->need || answer->low >= fill->end) {
        finish(captured);
        return;
    }
    if (answer->low > fill->need)
        fill->need = answer->low;
    hv_captured_fill_read(captured);
}

/* The hub that promised is gone for good. */
void
hv_captured_fill_abandon(hv_captured *captured)
{
    captured->fill->missing_cause = HV_GAP_RECREATED;
    captured->fill->abandoned = true;
    captured->state = HV_CAPTURED_FILLING;
    finish(captured);
}

/* The cut is complete now. What was in memory behind it becomes the open cut, and reading goes on behind that. */
void
hv_captured_filled(hv_captured *captured, hv_seal_job *job)
{
    hv_capture_fill *fill = HV_TAKE(captured->fill);
    hv_err err;

    (void)job;
    hv_captured_parts parts = {.keep = {captured->position, INT64_MAX}, .older = fill->memory};
    if (fill->memory != NULL && hv_captured_rebuild(captured, &parts, &captured->open, &err) != HV_OK)
        hv_capture_trouble(captured->capture, captured, &err);          /* read again, then */
    hv_capture_fill_free(fill);
    int64_t known = captured->open != NULL ? captured->open->end : captured->position;
    for (size_t g = 0; g < captured->pending_count; g++)
        if (captured->pending[g].range.end > known)
            known = captured->pending[g].range.end;
    if (captured->hub->leaving)
        captured->state = HV_CAPTURED_WAITING;
    else
        hv_captured_start_reading(captured, known);
}
