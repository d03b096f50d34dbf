/*
 * What `hubvault groups` and `hubvault replay --translate-groups` share: snapshots of groups from a vault, and moving groups.
 */
#ifndef HV_CLI_GROUPS_CLI_H
#define HV_CLI_GROUPS_CLI_H

#include "cli/cli.h"
#include "replay/group_moves.h"
#include "server/vault.h"
#include "source/kafka_config.h"

extern const hv_flag hv_groups_ls_flags[];
extern const hv_flag hv_groups_translate_flags[];

typedef struct hv_group_list {
    hv_group_snapshot *at;              /* by group, then by hub */
    size_t count, room;
} hv_group_list;

void hv_group_list_clear(hv_group_list *list);
HV_DEFINE_AUTO_VALUE(hv_group_list, hv_group_list_clear);

/* Adds those on one hub (NULL: on all) whose name matches one of the globs; at_ms as for hv_snapshots_group(). Sort when all are there. */
hv_rc hv_group_list_read(hv_group_list *list, const hv_vault *vault, const char *hub, const char *const *globs, size_t glob_count,
                         int64_t at_ms, hv_err *err) HV_MUST_USE;
void hv_group_list_sort(hv_group_list *list);

typedef struct hv_groups_task {
    const hv_cli *cli;
    const hv_vault *vault;
    const hv_kafka_config *target;
    const char *map_path;
    const char *const *globs;
    size_t glob_count;
    int64_t at_ms;
    hv_move_rules rules;
    bool dry_run;
} hv_groups_task;

/* Plan, compare, commit, check; one row per partition. HV_NOT_FOUND: no such group. HV_GAP: not all of them could be moved. */
hv_rc hv_groups_translate(const hv_groups_task *task, hv_err *err) HV_MUST_USE;

#endif
