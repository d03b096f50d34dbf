/*
 * Only what had been set for a topic itself is set for the new one: what a service did by default says how that service was run, and not what
 * the topic was meant to be. Settings that name brokers of the old cluster are left out.
 */
#include "replay/kafka_topics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replay/kafka_targets.h"

void
hv_topic_plans_clear(hv_topic_plans *plans)
{
    for (size_t i = 0; i < plans->count; i++) {
        for (size_t s = 0; s < plans->at[i].count; s++) {
            free(plans->at[i].settings[s].name);
            free(plans->at[i].settings[s].value);
        }
        free(plans->at[i].settings);
    }
    free(plans->at);
    *plans = (hv_topic_plans){.at = NULL};
}

const char *
hv_topic_plan_setting(const hv_topic_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->settings[i].name, name) == 0)
            return plan->settings[i].value;
    return NULL;
}

/* "leader.replication.throttled.replicas" and its like list replicas as partition:broker (Kafka documentation, topic configs). */
static bool
is_about_brokers(const char *name)
{
    static const char suffix[] = ".replication.throttled.replicas";
    size_t len = strlen(name);

    return len >= sizeof suffix - 1 && strcmp(name + len - (sizeof suffix - 1), suffix) == 0;
}

static hv_rc
no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for the settings of topics");
}

/* There is room. One of that name is replaced. */
static hv_rc
set(hv_topic_plan *plan, const char *name, const char *value, hv_err *err)
{
    hv_admin_setting made = {.name = strdup(name), .value = strdup(value), .own = true};

    if (made.name == NULL || made.value == NULL) {
        free(made.name);
        free(made.value);
        return no_memory(err);
    }
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->settings[i].name, name) == 0) {
            free(plan->settings[i].name);
            free(plan->settings[i].value);
            plan->settings[i] = made;
            return HV_OK;
        }
    plan->settings[plan->count++] = made;
    return HV_OK;
}

static int32_t
partitions_of(const hv_sink_kafka_config *config, const hv_topic_was *was)
{
    int32_t wanted = was->snapshot != NULL && was->snapshot->partitions > was->partitions ? was->snapshot->partitions : was->partitions;
    int32_t most = 0;

    for (int32_t p = 0; p < wanted; p++) {
        int32_t to = hv_kafka_topic_partition(config, p);
        most = to + 1 > most ? to + 1 : most;
    }
    return most > 0 ? most : 1;
}

static hv_rc
fill(const hv_sink_kafka_config *config, const hv_topic_was *was, const hv_topic_wish *wish, hv_topic_plan *plan, hv_err *err)
{
    const hv_topic_snapshot *snapshot = was->snapshot;
    size_t most = (snapshot != NULL ? snapshot->count : 0) + wish->count;
    hv_rc rc = HV_OK;

    plan->partitions = partitions_of(config, was);
    plan->replication = wish->replication != 0 ? wish->replication
                        : snapshot != NULL && snapshot->replication > 0 ? snapshot->replication : -1;
    memcpy(plan->hub, was->hub, strlen(was->hub) + 1);
    plan->settings = calloc(most + 1, sizeof *plan->settings);
    if (plan->settings == NULL)
        return no_memory(err);
    for (size_t i = 0; rc == HV_OK && snapshot != NULL && i < snapshot->count; i++)
        if (snapshot->settings[i].own && !is_about_brokers(snapshot->settings[i].name))
            rc = set(plan, snapshot->settings[i].name, snapshot->settings[i].value, err);
    for (size_t i = 0; rc == HV_OK && i < wish->count; i++)
        rc = set(plan, wish->settings[i].name, wish->settings[i].value, err);
    return rc;
}

/* A second hub that goes into the same topic. */
static hv_rc
merge(hv_topic_plan *plan, hv_topic_plan *more, hv_err *err)
{
    bool same = plan->count == more->count;

    for (size_t i = 0; same && i < plan->count; i++) {
        const char *value = hv_topic_plan_setting(more, plan->settings[i].name);
        same = value != NULL && strcmp(value, plan->settings[i].value) == 0;
    }
    if (!same)
        return hv_err_set(err, HV_USAGE, "hubs '%s' and '%s' go into topic '%s', but were configured differently; make it yourself",
                          plan->hub, more->hub, plan->topic);
    plan->partitions = more->partitions > plan->partitions ? more->partitions : plan->partitions;
    plan->replication = more->replication > plan->replication ? more->replication : plan->replication;
    return HV_OK;
}

static hv_topic_plan *
find(const hv_topic_plans *plans, const char *topic)
{
    for (size_t i = 0; i < plans->count; i++)
        if (strcmp(plans->at[i].topic, topic) == 0)
            return &plans->at[i];
    return NULL;
}

/* What is there is left as it is, however it is configured: somebody meant it so. */
static hv_rc
look(hv_topic_plan *plan, hv_admin *target, int timeout_ms, hv_err *err)
{
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic there = {.partitions = 0};
    hv_rc rc = target->ops->topic(target, plan->topic, timeout_ms, &there, err);

    plan->there = rc == HV_OK;
    if (rc == HV_OK && there.partitions < plan->partitions)
        return hv_err_set(err, HV_USAGE, "topic '%s' is there with %" PRId32 " partitions, but %" PRId32 " are needed", plan->topic,
                          there.partitions, plan->partitions);
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

static hv_rc
add(const hv_sink_kafka_config *config, const hv_topic_was *was, const hv_topic_wish *wish, hv_admin *target, int timeout_ms,
    hv_topic_plans *plans, hv_err *err)
{
    hv_topic_plans one = {.at = calloc(1, sizeof *one.at), .count = 1};
    bool known;

    if (one.at == NULL)
        return no_memory(err);
    hv_rc rc = hv_kafka_topic_name(config, was->hub, one.at->topic, err);
    if (rc == HV_OK)
        rc = fill(config, was, wish, one.at, err);
    hv_topic_plan *before = rc == HV_OK ? find(plans, one.at->topic) : NULL;
    known = before != NULL;
    if (rc == HV_OK)
        rc = known ? merge(before, one.at, err) : look(one.at, target, timeout_ms, err);
    if (rc == HV_OK && was->snapshot == NULL && !(known ? before : one.at)->there)
        rc = hv_err_set(err, HV_NOT_FOUND,
                        "topic '%s' is not there, and the vault holds no snapshot that says how the topic of hub '%s' was; make it yourself",
                        one.at->topic, was->hub);
    if (rc == HV_OK && !known) {
        plans->at[plans->count++] = *one.at;
        *one.at = (hv_topic_plan){.count = 0};
    }
    hv_topic_plans_clear(&one);
    return rc;
}

hv_rc
hv_kafka_topics_plan(const hv_sink_kafka_config *config, const hv_topic_was *was, size_t count, const hv_topic_wish *wish, hv_admin *target,
                     int timeout_ms, hv_topic_plans *ret, hv_err *err)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = calloc(count + 1, sizeof *plans.at)};
    hv_rc rc = plans.at != NULL ? HV_OK : no_memory(err);

    for (size_t i = 0; rc == HV_OK && i < count; i++)
        rc = add(config, &was[i], wish, target, timeout_ms, &plans, err);
    if (rc != HV_OK)
        return rc;
    *ret = plans;
    plans = (hv_topic_plans){.at = NULL};
    return HV_OK;
}

hv_rc
hv_kafka_topics_make(hv_topic_plans *plans, hv_admin *target, int timeout_ms, hv_err *err)
{
    for (size_t i = 0; i < plans->count; i++) {
        hv_topic_plan *plan = &plans->at[i];
        hv_admin_new_topic wanted = {.name = plan->topic, .partitions = plan->partitions, .replication = plan->replication,
                                     .settings = plan->settings, .count = plan->count};
        if (plan->there)
            continue;
        hv_rc rc = target->ops->create_topic(target, &wanted, timeout_ms, err);
        if (rc != HV_OK && rc != HV_EXISTS)
            return rc;
        plan->made = rc == HV_OK;
        plan->there = true;
    }
    return HV_OK;
}
