/*
 * Topics for a replay into Kafka, made as those of the hubs were.
 */
#ifndef HV_REPLAY_KAFKA_TOPICS_H
#define HV_REPLAY_KAFKA_TOPICS_H

#include "replay/sinks.h"
#include "segment/snapshot_record.h"
#include "source/admin.h"

/* A hub, and how its topic was. */
typedef struct hv_topic_was {
    const char *hub;
    int32_t partitions;                 /* that the replay may send to */
    const hv_topic_snapshot *snapshot;  /* NULL: the vault does not know */
} hv_topic_was;

typedef struct hv_topic_wish {
    int32_t replication;                /* 0: as it was; -1: as the target does by default */
    const hv_topic_setting *settings;   /* besides and instead of those that it had; `own` does not matter */
    size_t count;
} hv_topic_wish;

/* One topic of the target. */
typedef struct hv_topic_plan {
    char topic[HV_HUB_SIZE];
    char hub[HV_HUB_SIZE];              /* whose settings it gets */
    int32_t partitions, replication;
    hv_admin_setting *settings;         /* only what was set for the topic itself, and what is wished */
    size_t count;
    bool there;                         /* it exists: nothing is made, and nothing changed */
    bool made;
} hv_topic_plan;

typedef struct hv_topic_plans {
    hv_topic_plan *at;
    size_t count;
} hv_topic_plans;

void hv_topic_plans_clear(hv_topic_plans *plans);
HV_DEFINE_AUTO_VALUE(hv_topic_plans, hv_topic_plans_clear);

/*
 * What is there at the target and what is to be made. HV_NOT_FOUND: a topic is not there, and the vault does not know how it was. HV_USAGE: two
 * hubs that go into one topic were configured differently, or a topic that is there has too few partitions.
 */
hv_rc hv_kafka_topics_plan(const hv_sink_kafka_config *config, const hv_topic_was *was, size_t count, const hv_topic_wish *wish,
                           hv_admin *target, int timeout_ms, hv_topic_plans *ret, hv_err *err) HV_MUST_USE;

/* Make those that are not there. One that somebody makes meanwhile counts as there. */
hv_rc hv_kafka_topics_make(hv_topic_plans *plans, hv_admin *target, int timeout_ms, hv_err *err) HV_MUST_USE;

/* The value that a topic will have; NULL: whatever the target does by default. */
const char *hv_topic_plan_setting(const hv_topic_plan *plan, const char *name);

#endif
