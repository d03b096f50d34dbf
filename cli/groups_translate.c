/* Moving consumer groups: what is said about it, and the order of steps. */
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/snapshot_store.h"
#include "cli/groups_cli.h"
#include "common/array.h"
#include "common/glob.h"
#include "replay/offset_map.h"
#include "source/source_drivers.h"

enum { TIMEOUT_MS = 30000 };

/* ---- snapshots ---- */

void
hv_group_list_clear(hv_group_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hv_group_snapshot_clear(&list->at[i]);
    free(list->at);
    *list = (hv_group_list){.at = NULL};
}

typedef struct reading {
    hv_group_list *list;
    hv_snapshots store;
    const char *const *globs;
    size_t glob_count;
    int64_t at_ms;
} reading;

static hv_rc
read_place(void *arg, const char *hub, const char *key, hv_err *err)
{
    reading *r = arg;
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot found = {.group = NULL};

    hv_rc rc = hv_snapshots_group(&r->store, hub, key, r->at_ms, &found, err);
    if (rc == HV_NOT_FOUND || (rc == HV_OK && !hv_glob_match_any(r->globs, r->glob_count, found.group)))
        return HV_OK;
    if (rc == HV_OK && !hv_array_room(&r->list->at, r->list->count, &r->list->room, sizeof *r->list->at))
        rc = hv_err_set(err, HV_NOMEM, "no memory for %zu groups", r->list->count + 1);
    if (rc != HV_OK)
        return rc;
    r->list->at[r->list->count++] = found;
    found = (hv_group_snapshot){.group = NULL};
    return HV_OK;
}

hv_rc
hv_group_list_read(hv_group_list *list, const hv_vault *vault, const char *hub, const char *const *globs, size_t glob_count, int64_t at_ms,
                   hv_err *err)
{
    reading r = {.list = list, .store = {.storage = vault->storage, .vault = vault->marker.vault}, .globs = globs, .glob_count = glob_count,
                 .at_ms = at_ms};

    return hv_snapshots_each_group(&r.store, hub, read_place, &r, err);
}

static int
by_name(const void *a, const void *b)
{
    const hv_group_snapshot *x = a, *y = b;
    int order = strcmp(x->group, y->group);

    return order != 0 ? order : strcmp(x->head.hub, y->head.hub);
}

void
hv_group_list_sort(hv_group_list *list)
{
    if (list->count > 0)
        qsort(list->at, list->count, sizeof *list->at, by_name);
}

/* ---- hubs of a map ---- */

typedef struct hub_names {
    char (*at)[HV_HUB_SIZE];
    size_t count, room;
} hub_names;

static hv_rc
meet_source(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *err)
{
    hub_names *names = arg;

    (void)number;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i], source->from.hub) == 0)
            return HV_OK;
    if (!hv_array_room(&names->at, names->count, &names->room, sizeof *names->at))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", names->count + 1);
    memcpy(names->at[names->count++], source->from.hub, HV_HUB_SIZE);
    return HV_OK;
}

static hv_rc
meet_run(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *err)
{
    (void)arg, (void)source, (void)old_first, (void)new_first, (void)count, (void)err;
    return HV_OK;
}

static hv_rc
read_groups(const hv_groups_task *task, hv_group_list *list, hv_err *err)
{
    hub_names names = {.at = NULL};
    hv_offset_map_visitor visitor = {.arg = &names, .source = meet_source, .run = meet_run};
    hv_offset_map_head head;

    hv_rc rc = hv_offset_map_walk(task->map_path, &visitor, &head, err);
    for (size_t i = 0; rc == HV_OK && i < names.count; i++)
        rc = hv_group_list_read(list, task->vault, names.at[i], task->globs, task->glob_count, task->at_ms, err);
    free(names.at);
    if (rc == HV_OK && list->count == 0)
        return hv_err_set(err, HV_NOT_FOUND, "the vault holds no snapshot of such a consumer group on the hubs that were replayed");
    hv_group_list_sort(list);
    return rc;
}

/* ---- steps ---- */

static bool
is_moved(const hv_move_group *group)
{
    return group->verdict == HV_GROUP_MOVES || group->verdict == HV_GROUP_IS_THERE;
}

static hv_rc
move_group(const hv_groups_task *task, hv_group_moves *moves, const hv_move_group *group, hv_admin *admin, hv_source *source, hv_err *err)
{
    hv_rc rc = hv_group_moves_compare(moves, group, source, task->vault->index, task->vault->storage, TIMEOUT_MS, err);

    if (rc == HV_OK && !task->dry_run && group->verdict == HV_GROUP_MOVES)
        rc = hv_group_moves_commit(moves, group, admin, TIMEOUT_MS, err);
    if (rc == HV_OK && !task->dry_run)
        rc = hv_group_moves_check(moves, group, admin, TIMEOUT_MS, err);
    return rc;
}

/* One that fails does not hold up the others. */
static size_t
move_all(const hv_groups_task *task, hv_group_moves *moves, hv_move_group *groups, size_t count, hv_admin *admin, hv_source *source)
{
    size_t failed = 0;
    hv_err one;

    for (size_t g = 0; g < count; g++) {
        const char *name = moves->moves[groups[g].first].group;
        if (!is_moved(&groups[g])) {
            failed++;
            continue;
        }
        hv_rc rc = move_group(task, moves, &groups[g], admin, source, &one);
        if (rc == HV_OK)
            continue;
        fprintf(task->cli->notes, "group '%s' is not moved: %s\n", name, one.msg);
        if (rc == HV_BUSY)
            groups[g].verdict = HV_GROUP_ACTIVE;
        failed++;
    }
    return failed;
}

static const hv_column columns[] = {
    {.name = "group"},
    {.name = "verdict"},
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "partition", .type = HV_OUT_NUMBER},
    {.name = "committed", .type = HV_OUT_NUMBER},
    {.name = "topic"},
    {.name = "to_partition", .type = HV_OUT_NUMBER, .heading = "TO"},
    {.name = "offset", .type = HV_OUT_NUMBER},
    {.name = "at", .heading = "AT"},
    {.name = "event", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "before", .type = HV_OUT_NUMBER},
    {.name = "lowered", .type = HV_OUT_YES_NO, .json_only = true},
    {.name = "done", .type = HV_OUT_YES_NO},
};

static void
number_or_absent(hv_out *out, int64_t number)
{
    if (number >= 0)
        hv_out_number(out, number);
    else
        hv_out_absent(out);
}

static void
show_move(hv_out *out, const hv_group_move *move, hv_move_verdict verdict)
{
    hv_out_text(out, move->group);
    hv_out_text(out, hv_move_verdict_text(verdict));
    hv_out_text(out, move->from.hub);
    hv_out_number(out, move->from.incarnation);
    hv_out_number(out, move->from.number);
    hv_out_number(out, move->committed);
    if (move->state != HV_MOVE_UNMAPPED) {
        hv_out_text(out, move->topic);
        hv_out_number(out, move->to);
    } else {
        hv_out_absent(out);
        hv_out_absent(out);
    }
    number_or_absent(out, move->offset);
    hv_out_text(out, hv_move_state_text(move->state));
    number_or_absent(out, move->event);
    number_or_absent(out, move->there);
    hv_out_number(out, move->lowered);
    hv_out_number(out, move->done);
    hv_out_row_end(out);
}

hv_rc
hv_groups_translate(const hv_groups_task *task, hv_err *err)
{
    HV_AUTO(hv_group_list_clear) hv_group_list list = {.at = NULL};
    HV_AUTO(hv_group_moves_clear) hv_group_moves moves = {.moves = NULL};
    HV_AUTO(hv_admin_close) hv_admin *admin = NULL;
    HV_AUTO(hv_source_close) hv_source *source = NULL;
    hv_move_group *groups = NULL;
    size_t count = 0;

    hv_rc rc = read_groups(task, &list, err);
    if (rc == HV_OK)
        rc = hv_group_moves_plan(task->map_path, task->vault->marker.vault, list.at, list.count, &moves, err);
    if (rc == HV_OK)
        rc = hv_admin_kafka_open(task->target, &admin, err);
    if (rc == HV_OK)
        rc = hv_source_kafka_open(task->target, &source, err);
    if (rc == HV_OK)
        rc = hv_group_moves_judge(&moves, admin, &task->rules, TIMEOUT_MS, &groups, &count, err);
    if (rc != HV_OK)
        return rc;
    size_t failed = move_all(task, &moves, groups, count, admin, source);
    hv_out_table(task->cli->out, columns, sizeof columns / sizeof *columns);
    for (size_t g = 0; g < count; g++)
        for (size_t i = groups[g].first; i < groups[g].first + groups[g].count; i++)
            show_move(task->cli->out, &moves.moves[i], groups[g].verdict);
    free(groups);
    if (failed == 0)
        return HV_OK;
    return hv_err_set(err, HV_GAP, "%zu of %zu consumer groups %s", failed, count, task->dry_run ? "would not be moved" : "are not moved");
}
