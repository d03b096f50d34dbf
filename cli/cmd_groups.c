/* hubvault groups ls, hubvault groups translate: how far consumer groups had read, and letting them go on elsewhere. */
#include <stdlib.h>

#include "archiver/snapshot_store.h"
#include "cli/groups_cli.h"
#include "cli/replay_cli.h"
#include "common/clock.h"

const hv_flag hv_groups_ls_flags[] = {
    {.name = "--at", .value = "TIME", .help = "As it was at this time: 2026-11-24T09:00:00Z, now-2h. Else the newest."},
    {.name = "--hub", .value = "HUB", .help = "Only of this hub."},
    {.name = "--partitions", .help = "One row per partition, with the committed offset."},
    {.name = NULL},
};

const hv_flag hv_groups_translate_flags[] = {
    {.name = "--offset-map", .value = "FILE", .help = "Of the replay that filled the topics: hubvault replay --offset-map FILE."},
    {.name = "--bootstrap", .value = "HOST:PORT", .help = "The service with the topics, without login. Else the source of the configuration."},
    {.name = "--target", .value = "FILE", .help = "The source of this configuration is the service with the topics."},
    {.name = "--at", .value = "TIME", .help = "From where the groups stood at this time. Else the newest snapshot."},
    {.name = "--dry-run", .help = "Say what would be committed, compare the events, and commit nothing."},
    {.name = "--overwrite", .help = "Also where a group has committed something else in the new topics."},
    {.name = "--allow-gap", .help = "Also where a group would pass over events that the replay left out at the beginning."},
    {.name = NULL},
};

static const hv_column group_columns[] = {
    {.name = "group"},
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "taken", .type = HV_OUT_TIME},
    {.name = "number", .type = HV_OUT_NUMBER, .json_only = true},
};

static const hv_column partition_columns[] = {
    {.name = "group"},
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER},
    {.name = "partition", .type = HV_OUT_NUMBER},
    {.name = "offset", .type = HV_OUT_NUMBER},
    {.name = "taken", .type = HV_OUT_TIME},
};

static void
show_partitions(hv_out *out, const hv_group_snapshot *group)
{
    for (size_t i = 0; i < group->count; i++) {
        hv_out_text(out, group->group);
        hv_out_text(out, group->head.hub);
        hv_out_number(out, group->head.incarnation);
        hv_out_number(out, group->positions[i].partition);
        hv_out_number(out, group->positions[i].offset);
        hv_out_number(out, group->head.taken_ms);
        hv_out_row_end(out);
    }
}

static void
show_group(hv_out *out, const hv_group_snapshot *group)
{
    hv_out_text(out, group->group);
    hv_out_text(out, group->head.hub);
    hv_out_number(out, group->head.incarnation);
    hv_out_number(out, (int64_t)group->count);
    hv_out_number(out, group->head.taken_ms);
    hv_out_number(out, group->head.number);
    hv_out_row_end(out);
}

/* The values of the command line; without one, all. free() *ret. */
static hv_rc
read_globs(const hv_cli *cli, const char ***ret, size_t *count, hv_err *err)
{
    const char **globs = calloc((size_t)hv_args_count(cli->args) + 2, sizeof *globs);

    if (globs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the names of groups");
    *count = 0;
    for (int i = 0; i < hv_args_count(cli->args); i++)
        globs[(*count)++] = hv_args_value(cli->args, i);
    if (*count == 0)
        globs[(*count)++] = "*";
    *ret = globs;
    return HV_OK;
}

hv_rc
hv_cmd_groups_ls(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_group_list_clear) hv_group_list list = {.at = NULL};
    bool each = hv_args_has(cli->args, "--partitions");
    int64_t at_ms = HV_SNAPSHOT_NEWEST;
    const char **globs = NULL;
    size_t glob_count = 0;

    hv_rc rc = hv_args_time(cli->args, "--at", hv_clock_wall_ms(), &at_ms, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, HV_VAULT_NO_INDEX, &vault, err);
    if (rc == HV_OK)
        rc = read_globs(cli, &globs, &glob_count, err);
    if (rc == HV_OK)
        rc = hv_group_list_read(&list, vault, hv_args_text(cli->args, "--hub"), globs, glob_count, at_ms, err);
    free(globs);
    if (rc != HV_OK)
        return rc;
    hv_group_list_sort(&list);
    if (each)
        hv_out_table(cli->out, partition_columns, sizeof partition_columns / sizeof *partition_columns);
    else
        hv_out_table(cli->out, group_columns, sizeof group_columns / sizeof *group_columns);
    for (size_t i = 0; i < list.count; i++)
        (each ? show_partitions : show_group)(cli->out, &list.at[i]);
    return HV_OK;
}

hv_rc
hv_cmd_groups_translate(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_replay_target_close) hv_replay_target target;
    const char **globs = NULL;
    hv_groups_task task = {.cli = cli, .map_path = hv_args_text(cli->args, "--offset-map"), .at_ms = HV_SNAPSHOT_NEWEST,
                           .rules = {.overwrite = hv_args_has(cli->args, "--overwrite"), .allow_gap = hv_args_has(cli->args, "--allow-gap")},
                           .dry_run = hv_args_has(cli->args, "--dry-run")};

    hv_replay_target_init(&target);
    if (task.map_path == NULL)
        return hv_err_set(err, HV_USAGE, "--offset-map names the file that tells the new offsets");
    hv_rc rc = hv_args_time(cli->args, "--at", hv_clock_wall_ms(), &task.at_ms, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, 0, &vault, err);
    if (rc == HV_OK)
        rc = hv_replay_target_broker(cli, &target, err);
    if (rc == HV_OK)
        rc = read_globs(cli, &globs, &task.glob_count, err);
    task.vault = vault;
    task.target = &target.broker;
    task.globs = globs;
    if (rc == HV_OK)
        rc = hv_groups_translate(&task, err);
    free(globs);
    return rc;
}
