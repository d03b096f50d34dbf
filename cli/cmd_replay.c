/* hubvault replay [HUB...]: any stretch of history, exactly as it went in. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/groups_cli.h"
#include "cli/replay_cli.h"
#include "cli/stop_signals.h"
#include "server/vault.h"

enum { THREADS = 2 };

static hv_rc
replay_or_follow(const hv_cli *cli, hv_replay *replay, hv_sink *sink, hv_err *err)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    size_t count;

    if (!hv_args_has(cli->args, "--follow"))
        return hv_replay_run(replay, sink, err);
    hv_rc rc = hv_sources_open(cli->options, &sources, err);
    if (rc != HV_OK)
        return rc;
    hv_source *const *all = hv_sources_all(sources, &count);
    return hv_replay_follow(replay, all, count, sink, err);
}

static hv_rc
run(hv_replay_report *report, hv_replay *replay, const hv_replay_target *target, hv_err *err)
{
    hv_err second;

    hv_rc rc = replay_or_follow(report->cli, replay, target->sink, err);
    if (rc == HV_OK)
        rc = hv_replay_target_sync(target, err);
    if (rc == HV_OK && target->map != NULL && hv_replay_facts_of(replay)->finished)
        rc = hv_offset_map_finish(target->map, err);
    hv_rc told = hv_replay_report_end(report, replay, target, &second);
    if (rc == HV_OK && told != HV_OK) {
        *err = second;
        rc = told;
    }
    const hv_replay_facts *facts = hv_replay_facts_of(replay);
    if (rc == HV_OK && facts->damaged_blocks > 0)
        return hv_err_set(err, HV_GAP, "%" PRId64 " damaged blocks with up to %" PRId64 " events were skipped",
                          facts->damaged_blocks,
                          facts->damaged_events);
    if (rc == HV_OK && facts->lost_offsets > 0)
        return hv_err_set(err, HV_GAP, "%" PRId64 " offsets expired in the hub before they could be read", facts->lost_offsets);
    return rc;
}

/* What goes on after a replay into a service that came to its end. */
static hv_rc
translate_groups(const hv_cli *cli, const hv_vault *vault, const hv_replay *replay, const hv_replay_target *target, hv_err *err)
{
    hv_groups_task task = {.cli = cli, .vault = vault, .target = &target->broker, .map_path = hv_args_text(cli->args, "--offset-map"),
                           .at_ms = INT64_MAX};
    size_t count = 0;

    while (hv_args_each(cli->args, "--translate-groups", (int)count) != NULL)
        count++;
    if (count == 0)
        return HV_OK;
    if (!hv_replay_facts_of(replay)->finished)
        return hv_err_set(err, HV_GAP, "no consumer group is moved, for the replay did not come to its end");
    const char **globs = calloc(count, sizeof *globs);
    if (globs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the names of groups");
    for (size_t i = 0; i < count; i++)
        globs[i] = hv_args_each(cli->args, "--translate-groups", (int)i);
    task.globs = globs;
    task.glob_count = count;
    hv_rc rc = hv_groups_translate(&task, err);
    free(globs);
    return rc;
}

/* From the index alone, but for topics that would be made: the target says which are there. */
static hv_rc
dry_run(const hv_cli *cli, const hv_vault *vault, hv_replay *replay, hv_replay_target *target, hv_err *err)
{
    hv_replay_forecast forecast;
    hv_rc rc = hv_replay_dry_run(replay, &forecast, err);

    if (rc == HV_OK)
        hv_replay_report_forecast(cli, &forecast);
    if (rc != HV_OK || !hv_args_has(cli->args, "--create-topics"))
        return rc;
    rc = hv_replay_target_kafka_describe(cli, target, err);
    return rc == HV_OK ? hv_replay_create_topics(cli, vault, replay, target, true, err) : rc;
}

/* A bar would write over events that go to the same terminal. */
static bool
bar_is_welcome(const hv_cli *cli)
{
    const char *sink = hv_args_text(cli->args, "--sink");
    bool elsewhere = hv_args_has(cli->args, "--out") || (sink != NULL && strcmp(sink, "kafka") == 0);

    return cli->terminal && (elsewhere || !isatty(fileno(cli->to)));
}

hv_rc
hv_cmd_replay(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_stop_signals_end) hv_stop_signals *signals = NULL;
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_replay_words_clear) hv_replay_words words = {.hubs = NULL};
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    HV_AUTO(hv_replay_target_close) hv_replay_target target;
    hv_replay_report report = {.cli = cli, .progress = hv_progress_begin(cli)};

    hv_replay_target_init(&target);
    hv_rc rc = hv_replay_check_kafka_flags(cli, err);
    if (rc == HV_OK)
        rc = hv_replay_words_read(cli, &words, err);
    if (rc == HV_OK)
        rc = hv_stop_signals_start(HV_HANGUP_AS_EVER, &signals, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, 0, &vault, err);
    if (rc != HV_OK)
        return rc;
    report.progress.wanted = bar_is_welcome(cli);
    report.stop = hv_stop_signals_flag(signals);
    hv_replay_config config = {.index = vault->index, .storage = vault->storage, .vault = vault->marker.vault, .threads = THREADS,
                               .observer = hv_replay_report_observer(&report)};
    rc = hv_replay_open(&config, &words.request, &replay, err);
    if (rc == HV_OK && hv_args_has(cli->args, "--dry-run"))
        return dry_run(cli, vault, replay, &target, err);
    if (rc == HV_OK)
        rc = hv_replay_target_open(cli, &target, err);
    if (rc == HV_OK)
        rc = hv_replay_create_topics(cli, vault, replay, &target, false, err);
    if (rc == HV_OK)
        rc = run(&report, replay, &target, err);
    return rc == HV_OK ? translate_groups(cli, vault, replay, &target, err) : rc;
}
