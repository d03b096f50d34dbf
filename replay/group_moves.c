/*
 * A group is moved as a whole or not at all, by one request: a consumer that finds half of its partitions moved would read the others from
 * wherever its reset policy says.
 *
 * Who owns the commits of a group with members are the members: the service refuses ours. That is asked before, for the plan, and is answered
 * again by the request itself, for somebody may join between.
 */
#include "replay/group_moves.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replay/replay.h"

/* ---- how groups stand at the target ---- */

static hv_rc
find_groups(const hv_group_moves *moves, hv_move_group **ret, size_t *count, hv_err *err)
{
    hv_move_group *groups = calloc(moves->count + 1, sizeof *groups);

    if (groups == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu groups", moves->count);
    *count = 0;
    for (size_t i = 0; i < moves->count; i++) {
        if (i == 0 || strcmp(moves->moves[i].group, moves->moves[i - 1].group) != 0)
            groups[(*count)++] = (hv_move_group){.first = i};
        groups[*count - 1].count++;
    }
    *ret = groups;
    return HV_OK;
}

static bool
is_active(const hv_admin_groups *listed, const char *group)
{
    for (size_t i = 0; i < listed->count; i++)
        if (strcmp(listed->at[i].name, group) == 0)
            return listed->at[i].active;
    return false;
}

static bool
is_committed(const hv_group_move *move)
{
    return move->state == HV_MOVE_EVENT || move->state == HV_MOVE_END || move->state == HV_MOVE_BEFORE;
}

static hv_move_verdict
judge(const hv_group_moves *moves, const hv_move_group *group, const hv_move_rules *rules)
{
    size_t mapped = 0, same = 0;
    bool later = false, before = false, other = false;

    for (size_t i = group->first; i < group->first + group->count; i++) {
        const hv_group_move *move = &moves->moves[i];
        later = later || move->state == HV_MOVE_LATER;
        before = before || move->state == HV_MOVE_BEFORE;
        mapped += is_committed(move);
        same += is_committed(move) && move->there == move->offset;
        other = other || (is_committed(move) && move->there >= 0 && move->there != move->offset);
    }
    if (later)
        return HV_GROUP_TOO_EARLY;
    if (mapped == 0)
        return HV_GROUP_UNMAPPED;
    if (before && !rules->allow_gap)
        return HV_GROUP_WOULD_SKIP;
    if (same == mapped)
        return HV_GROUP_IS_THERE;
    if (group->active)
        return HV_GROUP_ACTIVE;
    return other && !rules->overwrite ? HV_GROUP_HAS_OTHER : HV_GROUP_MOVES;
}

static hv_rc
look(hv_group_moves *moves, const hv_move_group *group, hv_admin *target, int timeout_ms, hv_err *err)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};

    hv_rc rc = target->ops->commits(target, moves->moves[group->first].group, timeout_ms, &commits, err);
    for (size_t i = group->first; rc == HV_OK && i < group->first + group->count; i++) {
        hv_group_move *move = &moves->moves[i];
        const hv_admin_commit *there = move->topic[0] != '\0' ? hv_admin_commits_find(&commits, move->topic, move->to) : NULL;
        move->there = there != NULL ? there->offset : -1;
    }
    return rc;
}

hv_rc
hv_group_moves_judge(hv_group_moves *moves, hv_admin *target, const hv_move_rules *rules, int timeout_ms, hv_move_group **ret,
                     size_t *count, hv_err *err)
{
    HV_AUTO(hv_admin_groups_clear) hv_admin_groups listed = {.at = NULL};
    hv_move_group *groups = NULL;

    hv_rc rc = find_groups(moves, &groups, count, err);
    if (rc == HV_OK) {
        rc = target->ops->groups(target, timeout_ms, &listed, err);
        if (rc == HV_VERSION)           /* it does not say; the commit will be refused where somebody is active */
            rc = HV_OK;
    }
    for (size_t g = 0; rc == HV_OK && g < *count; g++) {
        groups[g].active = is_active(&listed, moves->moves[groups[g].first].group);
        rc = look(moves, &groups[g], target, timeout_ms, err);
        groups[g].verdict = judge(moves, &groups[g], rules);
    }
    if (rc != HV_OK) {
        free(groups);
        return rc;
    }
    *ret = groups;
    return HV_OK;
}

/* ---- moving ---- */

hv_rc
hv_group_moves_commit(hv_group_moves *moves, const hv_move_group *group, hv_admin *target, int timeout_ms, hv_err *err)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};
    hv_rc rc = HV_OK;

    for (size_t i = group->first; rc == HV_OK && i < group->first + group->count; i++) {
        const hv_group_move *move = &moves->moves[i];
        if (!is_committed(move))
            continue;
        bool given = false;             /* several partitions of the source went to this one: all have the same offset by now */
        for (size_t c = 0; c < commits.count; c++)
            given = given || (commits.at[c].partition == move->to && strcmp(commits.at[c].topic, move->topic) == 0);
        if (!given)
            rc = hv_admin_commits_add(&commits, move->topic, move->to, move->offset, hv_slice_of(move->metadata, move->metadata_len), err);
    }
    hv_admin_commits_sort(&commits);
    return rc == HV_OK ? target->ops->set_commits(target, moves->moves[group->first].group, &commits, timeout_ms, err) : rc;
}

hv_rc
hv_group_moves_check(hv_group_moves *moves, const hv_move_group *group, hv_admin *target, int timeout_ms, hv_err *err)
{
    hv_rc rc = look(moves, group, target, timeout_ms, err), found = HV_OK;

    for (size_t i = group->first; rc == HV_OK && i < group->first + group->count; i++) {
        hv_group_move *move = &moves->moves[i];
        move->done = is_committed(move) && move->there == move->offset;
        if (is_committed(move) && !move->done)
            found = hv_err_set(err, HV_GAP, "consumer group '%.200s' should have committed %" PRId64 " for partition %" PRId32
                               " of topic '%s', but the target says %" PRId64, move->group, move->offset, move->to, move->topic, move->there);
    }
    return rc == HV_OK ? found : rc;
}

/* ---- comparing events ---- */

static bool
same_content(const hv_event *a, hv_event b)
{
    b.offset = a->offset;
    b.timestamp_ms = a->timestamp_ms;   /* the topic may be one whose broker sets them */
    b.timestamp_type = a->timestamp_type;
    return hv_event_equal(a, &b);
}

/* The first event at or behind the offset. */
static hv_rc
next_event(hv_source *target, const hv_group_move *move, uint64_t generation, int timeout_ms, hv_source_item *item, hv_err *err)
{
    hv_source_assignment wanted = {.hub = move->topic, .partition = move->to, .offset = move->offset, .tag = target, .generation = generation};

    hv_rc rc = target->ops->assign(target, &wanted, 1, err);
    for (int rounds = 0; rc == HV_OK; rounds++) {
        rc = target->ops->poll(target, timeout_ms, item, err);
        if (rc != HV_OK)
            return rc;
        if (item->kind == HV_SOURCE_TROUBLE && rounds < 100)
            continue;
        if (item->kind == HV_SOURCE_EVENT && item->generation != generation)
            continue;
        break;
    }
    return rc;
}

static hv_rc
compare_one(const hv_group_move *move, const hv_source_item *item, hv_index *index, hv_storage *storage, hv_err *err)
{
    HV_AUTO(hv_show_clear) hv_show archived = {.kind = HV_SHOW_EVENT};

    if (item->kind != HV_SOURCE_EVENT || item->event.offset != move->offset)
        return hv_err_set(err, HV_GAP, "partition %" PRId32 " of topic '%s' has no event at offset %" PRId64 ", which the map has for offset %"
                          PRId64 " of '%s'", move->to, move->topic, move->offset, move->event, move->from.hub);
    hv_rc rc = hv_replay_show(index, storage, &move->from, move->event, &archived, err);
    if (rc != HV_OK)
        return rc;
    if (archived.kind == HV_SHOW_EVENT && same_content(&archived.event, item->event))
        return HV_OK;
    return hv_err_set(err, HV_GAP, "offset %" PRId64 " of partition %" PRId32 " of topic '%s' holds another event than offset %" PRId64
                      " of '%s' in the vault: was the topic made anew since?", move->offset, move->to, move->topic, move->event, move->from.hub);
}

hv_rc
hv_group_moves_compare(const hv_group_moves *moves, const hv_move_group *group, hv_source *target, hv_index *index, hv_storage *storage,
                       int timeout_ms, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t i = group->first; rc == HV_OK && i < group->first + group->count; i++) {
        const hv_group_move *move = &moves->moves[i];
        hv_source_item item = {.kind = HV_SOURCE_NOTHING};
        if ((move->state != HV_MOVE_EVENT && move->state != HV_MOVE_BEFORE) || move->lowered)
            continue;
        rc = next_event(target, move, i + 1, timeout_ms, &item, err);
        if (rc == HV_OK)
            rc = compare_one(move, &item, index, storage, err);
        hv_err ignored;
        (void)!target->ops->unassign(target, move->topic, move->to, &ignored);
    }
    return rc;
}
