/* --create-topics: from what the vault knows about the topics of the hubs to topics at the target. */
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/snapshot_store.h"
#include "cli/replay_cli.h"
#include "common/clock.h"
#include "replay/kafka_topics.h"
#include "source/source_drivers.h"

enum { TIMEOUT_MS = 30000 };

/* What is known of each hub of the replay. */
typedef struct known_topics {
    hv_topic_was *was;
    hv_topic_snapshot *snapshots;
    size_t count;
} known_topics;

static void
known_topics_clear(known_topics *known)
{
    for (size_t i = 0; i < known->count; i++)
        hv_topic_snapshot_clear(&known->snapshots[i]);
    free(known->was);
    free(known->snapshots);
}
HV_DEFINE_AUTO_VALUE(known_topics, known_topics_clear);

/* As it was when the range ends; where snapshots begin later, the newest. */
static hv_rc
find_snapshot(const hv_snapshots *store, const char *hub, int64_t at_ms, hv_topic_snapshot *ret, bool *known, hv_err *err)
{
    hv_rc rc = hv_snapshots_topic(store, hub, at_ms, ret, err);

    if (rc == HV_NOT_FOUND && at_ms != HV_SNAPSHOT_NEWEST)
        rc = hv_snapshots_topic(store, hub, HV_SNAPSHOT_NEWEST, ret, err);
    *known = rc == HV_OK;
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

static hv_rc
read_known(const hv_vault *vault, const hv_replay *replay, known_topics *ret, hv_err *err)
{
    hv_snapshots store = {.storage = vault->storage, .vault = vault->marker.vault};
    size_t count = hv_replay_hub_count(replay);
    int64_t at_ms;
    hv_rc rc = HV_OK;

    if (!hv_replay_time_end(replay, &at_ms))
        at_ms = HV_SNAPSHOT_NEWEST;
    ret->was = calloc(count + 1, sizeof *ret->was);
    ret->snapshots = calloc(count + 1, sizeof *ret->snapshots);
    if (ret->was == NULL || ret->snapshots == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu topics", count);
    for (size_t i = 0; rc == HV_OK && i < count; i++) {
        bool known = false;
        hv_topic_was *was = &ret->was[i];
        was->hub = hv_replay_hub(replay, i, &was->partitions);
        rc = find_snapshot(&store, was->hub, at_ms, &ret->snapshots[i], &known, err);
        was->snapshot = known ? &ret->snapshots[i] : NULL;
        ret->count = i + 1;
    }
    return rc;
}

static void
wish_clear(hv_topic_setting **settings)
{
    for (hv_topic_setting *at = *settings; at != NULL && at->name != NULL; at++)
        free(at->name);
    free(*settings);
}
HV_DEFINE_AUTO_VALUE(hv_topic_setting *, wish_clear);

/* NAME=VALUE in one piece: the value begins behind the '=', which becomes a NUL. */
static hv_rc
read_wish(const hv_cli *cli, hv_topic_wish *ret, hv_topic_setting **settings, hv_err *err)
{
    const char *text = hv_args_text(cli->args, "--replication");
    int64_t replication = 0;
    size_t count = 0;

    if (text != NULL && strcmp(text, "default") == 0)
        replication = -1;
    else if (text != NULL && hv_args_parse_number(text, "--replication", 1, INT16_MAX, &replication, err) != HV_OK)
        return err->rc;
    while (hv_args_each(cli->args, "--topic-config", (int)count) != NULL)
        count++;
    *settings = calloc(count + 1, sizeof **settings);
    if (*settings == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for settings");
    for (size_t i = 0; i < count; i++) {
        const char *pair = hv_args_each(cli->args, "--topic-config", (int)i), *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair)
            return hv_err_set(err, HV_USAGE, "--topic-config takes NAME=VALUE, not '%.200s'", pair);
        char *copy = strdup(pair);
        if (copy == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for settings");
        copy[equals - pair] = '\0';
        (*settings)[i] = (hv_topic_setting){.name = copy, .value = copy + (equals - pair) + 1, .own = true};
    }
    *ret = (hv_topic_wish){.replication = (int32_t)replication, .settings = *settings, .count = count};
    return HV_OK;
}

static const hv_column columns[] = {
    {.name = "topic"},
    {.name = "hub"},
    {.name = "action"},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "replication", .type = HV_OUT_NUMBER},
    {.name = "settings"},
};

static hv_rc
show(const hv_cli *cli, const hv_topic_plans *plans, hv_err *err)
{
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < plans->count; i++) {
        const hv_topic_plan *plan = &plans->at[i];
        HV_AUTO(hv_buf_free) hv_buf settings = HV_BUF_INIT(1 << 20);
        for (size_t s = 0; s < plan->count; s++)
            hv_buf_printf(&settings, "%s%s=%s", s > 0 ? " " : "", plan->settings[s].name, plan->settings[s].value);
        hv_rc rc = hv_buf_check(&settings, err);
        if (rc != HV_OK)
            return rc;
        hv_out_text(cli->out, plan->topic);
        hv_out_text(cli->out, plan->hub);
        hv_out_text(cli->out, plan->made ? "created" : plan->there ? "exists" : "create");
        hv_out_number(cli->out, plan->partitions);
        if (plan->replication > 0)
            hv_out_number(cli->out, plan->replication);
        else
            hv_out_absent(cli->out);
        hv_out_text(cli->out, settings.len > 0 ? settings.data : "");
        hv_out_row_end(cli->out);
    }
    return HV_OK;
}

/* A broker deletes by the time of events, which are old: what expired at the source expires at the target at once. */
static void
warn_of_retention(const hv_cli *cli, const hv_topic_plans *plans)
{
    for (size_t i = 0; i < plans->count; i++) {
        const char *policy = hv_topic_plan_setting(&plans->at[i], "cleanup.policy");
        const char *retention = hv_topic_plan_setting(&plans->at[i], "retention.ms");
        bool keeps = (policy != NULL && strstr(policy, "delete") == NULL) || (retention != NULL && strcmp(retention, "-1") == 0);
        if (!keeps && !plans->at[i].there)
            fprintf(cli->notes, "topic '%s' deletes events by age: what is older than its retention vanishes soon after it was sent; "
                    "--topic-config retention.ms=-1 keeps all\n", plans->at[i].topic);
    }
}

hv_rc
hv_replay_create_topics(const hv_cli *cli, const hv_vault *vault, const hv_replay *replay, const hv_replay_target *target, bool dry_run,
                        hv_err *err)
{
    HV_AUTO(known_topics_clear) known_topics known = {.was = NULL};
    HV_AUTO(wish_clear) hv_topic_setting *settings = NULL;
    HV_AUTO(hv_admin_close) hv_admin *admin = NULL;
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    hv_topic_wish wish;

    if (!hv_args_has(cli->args, "--create-topics"))
        return HV_OK;
    hv_rc rc = read_wish(cli, &wish, &settings, err);
    if (rc == HV_OK)
        rc = read_known(vault, replay, &known, err);
    if (rc == HV_OK)
        rc = hv_admin_kafka_open(&target->broker, &admin, err);
    if (rc == HV_OK)
        rc = hv_kafka_topics_plan(&target->kafka, known.was, known.count, &wish, admin, TIMEOUT_MS, &plans, err);
    if (rc == HV_OK)
        warn_of_retention(cli, &plans);
    if (rc == HV_OK && !dry_run)
        rc = hv_kafka_topics_make(&plans, admin, TIMEOUT_MS, err);
    return rc == HV_OK ? show(cli, &plans, err) : rc;
}

hv_rc
hv_replay_check_kafka_flags(const hv_cli *cli, hv_err *err)
{
    static const char *const flags[] = {"--create-topics", "--replication", "--topic-config", "--offset-map", "--translate-groups"};
    const char *sink = hv_args_text(cli->args, "--sink");

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (hv_args_has(cli->args, flags[i]) && (sink == NULL || strcmp(sink, "kafka") != 0))
            return hv_err_set(err, HV_USAGE, "%s goes with --sink kafka only", flags[i]);
    for (size_t i = 1; i < 3; i++)
        if (hv_args_has(cli->args, flags[i]) && !hv_args_has(cli->args, "--create-topics"))
            return hv_err_set(err, HV_USAGE, "%s goes with --create-topics only", flags[i]);
    if (hv_args_has(cli->args, "--translate-groups") && !hv_args_has(cli->args, "--offset-map"))
        return hv_err_set(err, HV_USAGE, "--translate-groups needs --offset-map, which tells the new offsets");
    if (hv_args_has(cli->args, "--translate-groups") && hv_args_has(cli->args, "--follow"))
        return hv_err_set(err, HV_USAGE, "--translate-groups needs a replay that ends; 'hubvault groups translate' does it for one that follows");
    return HV_OK;
}
