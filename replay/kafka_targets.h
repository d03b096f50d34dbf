/*
 * Which partition of which topic each source partition goes to, and how far an earlier run under the same id has come.
 */
#ifndef HV_REPLAY_KAFKA_TARGETS_H
#define HV_REPLAY_KAFKA_TARGETS_H

#include "replay/kafka_positions.h"
#include "replay/sinks.h"
#include "source/kafka_client.h"

typedef struct hv_kafka_targets hv_kafka_targets;

/* A target partition. */
typedef struct hv_kafka_target {
    char topic[HV_HUB_SIZE];
    int32_t partition;
    bool changed;                       /* events went to it since the last commit */
} hv_kafka_target;

typedef struct hv_kafka_targets_config {
    const hv_sink_kafka_config *sink;   /* borrowed */
    hv_kafka_client *group;             /* borrowed: a consumer of the group that holds the positions; asks for metadata, too */
    unsigned char request[HV_KAFKA_REQUEST_SIZE];
} hv_kafka_targets_config;

hv_rc hv_kafka_targets_new(const hv_kafka_targets_config *config, hv_kafka_targets **ret, hv_err *err) HV_MUST_USE;
void hv_kafka_targets_free(hv_kafka_targets *targets);
HV_DEFINE_AUTO(hv_kafka_targets, hv_kafka_targets_free);

/*
 * The target of a source partition, found out when it is asked for the first time: its topic must exist and have that partition,
 * and what the group knows about it is read. *next is the first offset that is not in the topic yet. Pointers live until the next
 * call. HV_NOT_FOUND: no such topic. HV_USAGE: a topic with too few partitions, a name that no topic can have, or a group that
 * belongs to another request. HV_UNAVAILABLE, HV_AUTH.
 */
hv_rc hv_kafka_targets_find(hv_kafka_targets *targets, const hv_partition *from, hv_kafka_target **ret, int64_t *next,
                            hv_err *err) HV_MUST_USE;

/* An event of `from` is on its way: its source is now at `next`. */
void hv_kafka_targets_advance(hv_kafka_targets *targets, const hv_partition *from, int64_t next);

/* How many events all earlier runs sent, as far as the targets asked for know. */
int64_t hv_kafka_targets_sent_before(const hv_kafka_targets *targets);

/* The offsets to commit: every target that changed, with the positions of all its sources. */
hv_rc hv_kafka_targets_offsets(hv_kafka_targets *targets, int64_t events, rd_kafka_topic_partition_list_t **ret,
                               hv_err *err) HV_MUST_USE;
void hv_kafka_targets_committed(hv_kafka_targets *targets);

#endif
