/*
 * One pass over the map, whatever the number of groups. Per move the smallest replayed offset at or behind what is committed is kept; per
 * source the last new offset, for those who have read everything.
 *
 * Who has read everything goes on right behind the last event of its source and not at the end of the topic: what producers have added
 * there since is new to it. Where several partitions went into one, a group gets the lowest of their offsets: events come again then, but none is
 * passed over.
 */
#include "replay/group_moves.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/array.h"
#include "replay/offset_map.h"

const char *
hv_move_state_text(hv_move_state state)
{
    static const char *const texts[] = {[HV_MOVE_EVENT] = "event", [HV_MOVE_END] = "end", [HV_MOVE_BEFORE] = "before",
                                        [HV_MOVE_LATER] = "later", [HV_MOVE_UNMAPPED] = "unmapped"};

    return texts[state];
}

const char *
hv_move_verdict_text(hv_move_verdict verdict)
{
    static const char *const texts[] = {
        [HV_GROUP_MOVES] = "moves", [HV_GROUP_IS_THERE] = "there", [HV_GROUP_ACTIVE] = "active", [HV_GROUP_HAS_OTHER] = "has-other",
        [HV_GROUP_WOULD_SKIP] = "would-skip", [HV_GROUP_TOO_EARLY] = "too-early", [HV_GROUP_UNMAPPED] = "unmapped",
    };

    return texts[verdict];
}

void
hv_group_moves_clear(hv_group_moves *moves)
{
    for (size_t i = 0; i < moves->count; i++) {
        free(moves->moves[i].group);
        free(moves->moves[i].metadata);
    }
    free(moves->moves);
    *moves = (hv_group_moves){.moves = NULL};
}

/* What the map says of a source, and who has committed something of it. */
typedef struct planned_source {
    hv_mapped_source is;
    int64_t last_new;                   /* -1: no event of it is mapped */
    size_t first, count;                /* in `order` of the planning */
} planned_source;

typedef struct planning {
    hv_group_moves *moves;
    size_t *order;                      /* moves by partition */
    planned_source *sources;
    size_t source_count, source_room;
} planning;

/* ---- moves from snapshots ---- */

static hv_rc
no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory to move consumer groups");
}

static hv_rc
add_moves(hv_group_moves *moves, const hv_group_snapshot *snapshot, hv_err *err)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const hv_group_position *position = &snapshot->positions[i];
        hv_group_move *move = &moves->moves[moves->count];
        *move = (hv_group_move){.committed = position->offset, .state = HV_MOVE_UNMAPPED, .offset = -1, .event = -1, .there = -1};
        hv_rc rc = hv_partition_make(snapshot->head.hub, snapshot->head.incarnation, position->partition, &move->from, err);
        if (rc != HV_OK)
            return rc;
        moves->count++;
        move->group = strdup(snapshot->group);
        move->metadata = malloc(position->metadata_len + 1);
        if (move->group == NULL || move->metadata == NULL)
            return no_memory(err);
        move->metadata_len = position->metadata_len;
        if (position->metadata_len > 0)
            memcpy(move->metadata, position->metadata, position->metadata_len);
    }
    return HV_OK;
}

static int
by_group(const void *a, const void *b)
{
    const hv_group_move *x = a, *y = b;
    int order = strcmp(x->group, y->group);

    return order != 0 ? order : hv_partition_compare(&x->from, &y->from);
}

static hv_rc
make_moves(const hv_group_snapshot *snapshots, size_t count, hv_group_moves *moves, hv_err *err)
{
    size_t total = 0;
    hv_rc rc = HV_OK;

    for (size_t i = 0; i < count; i++)
        total += snapshots[i].count;
    moves->moves = calloc(total + 1, sizeof *moves->moves);
    if (moves->moves == NULL)
        return no_memory(err);
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        rc = add_moves(moves, &snapshots[i], err);
    if (rc == HV_OK && moves->count > 0)
        qsort(moves->moves, moves->count, sizeof *moves->moves, by_group);
    return rc;
}

static int
by_partition(const void *a, const void *b, void *arg)
{
    const hv_group_move *moves = arg;

    return hv_partition_compare(&moves[*(const size_t *)a].from, &moves[*(const size_t *)b].from);
}

static hv_rc
sort_moves(planning *plan, hv_err *err)
{
    size_t count = plan->moves->count;

    plan->order = malloc((count + 1) * sizeof *plan->order);
    if (plan->order == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        plan->order[i] = i;
    if (count > 0)
        qsort_r(plan->order, count, sizeof *plan->order, by_partition, plan->moves->moves);
    return HV_OK;
}

/* ---- what the map says ---- */

/* The first place in `order` whose partition is not below. */
static size_t
place_of(const planning *plan, const hv_partition *from)
{
    size_t low = 0, high = plan->moves->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hv_partition_compare(&plan->moves->moves[plan->order[middle]].from, from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static hv_rc
meet_source(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *err)
{
    planning *plan = arg;
    planned_source met = {.is = *source, .last_new = -1, .first = place_of(plan, &source->from)};

    (void)number;
    if (!hv_array_room(&plan->sources, plan->source_count, &plan->source_room, sizeof *plan->sources))
        return no_memory(err);
    for (size_t i = met.first; i < plan->moves->count; i++, met.count++) {
        hv_group_move *move = &plan->moves->moves[plan->order[i]];
        if (hv_partition_compare(&move->from, &source->from) != 0)
            break;
        memcpy(move->topic, source->topic, sizeof move->topic);
        move->to = source->to;
        move->state = HV_MOVE_LATER;
    }
    plan->sources[plan->source_count++] = met;
    return HV_OK;
}

static hv_rc
meet_run(void *arg, uint32_t number, int64_t old_first, int64_t new_first, int64_t count, hv_err *err)
{
    planning *plan = arg;
    planned_source *source = &plan->sources[number];

    (void)err;
    if (new_first + count - 1 > source->last_new)
        source->last_new = new_first + count - 1;
    for (size_t i = source->first; i < source->first + source->count; i++) {
        hv_group_move *move = &plan->moves->moves[plan->order[i]];
        int64_t event = move->committed > old_first ? move->committed : old_first;
        if (event >= old_first + count || (move->state == HV_MOVE_EVENT && move->event <= event))
            continue;
        move->state = HV_MOVE_EVENT;
        move->event = event;
        move->offset = new_first + (event - old_first);
    }
    return HV_OK;
}

/* Behind the whole map: who would pass something over, and who has read all. */
static void
settle(planning *plan, bool finished)
{
    for (size_t s = 0; s < plan->source_count; s++) {
        const planned_source *source = &plan->sources[s];
        for (size_t i = source->first; i < source->first + source->count; i++) {
            hv_group_move *move = &plan->moves->moves[plan->order[i]];
            if (move->state == HV_MOVE_EVENT && move->committed < source->is.first)
                move->state = HV_MOVE_BEFORE;
            if (move->state == HV_MOVE_LATER && finished) {
                move->state = HV_MOVE_END;
                move->offset = source->last_new >= 0 ? source->last_new + 1 : source->is.begin;
            }
        }
    }
}

/* One offset per partition of the target, of the moves of one group. */
static void
lower(hv_group_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            hv_group_move *one = &moves[i];
            const hv_group_move *other = &moves[j];
            if (one->to != other->to || one->offset < 0 || other->offset < 0 || other->offset >= one->offset
                || strcmp(one->topic, other->topic) != 0)
                continue;
            one->offset = other->offset;
            one->lowered = true;
        }
}

static void
lower_all(hv_group_moves *moves)
{
    for (size_t first = 0, end; first < moves->count; first = end) {
        for (end = first + 1; end < moves->count && strcmp(moves->moves[end].group, moves->moves[first].group) == 0; end++)
            ;
        lower(&moves->moves[first], end - first);
    }
}

hv_rc
hv_group_moves_plan(const char *map_path, const char *vault, const hv_group_snapshot *snapshots, size_t count, hv_group_moves *ret,
                    hv_err *err)
{
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = {.moves = NULL};
    planning plan = {.moves = &moves};
    hv_offset_map_visitor visitor = {.arg = &plan, .source = meet_source, .run = meet_run};
    hv_offset_map_head head;

    hv_rc rc = make_moves(snapshots, count, &moves, err);
    if (rc == HV_OK)
        rc = sort_moves(&plan, err);
    if (rc == HV_OK)
        rc = hv_offset_map_walk(map_path, &visitor, &head, err);
    if (rc == HV_OK && strcmp(head.vault, vault) != 0)
        rc = hv_err_set(err, HV_USAGE, "offset map '%s' is of a replay of vault %s, not %s", map_path, head.vault, vault);
    if (rc == HV_OK) {
        settle(&plan, head.finished);
        lower_all(&moves);
        *ret = moves;
        moves = (hv_group_moves){.moves = NULL};
    }
    free(plan.order);
    free(plan.sources);
    return rc;
}
