/*
 * Which partition of which topic each source partition goes to, and how far an earlier run under the same id has come.
 */
#ifndef HV_REPLAY_KAFKA_TARGETS_H
#define HV_REPLAY_KAFKA_TARGETS_H

#include "replay/kafka_positions.h"
#include "replay/sinks.h"
#include "source/kafka_client.h"

typedef struct hv_kafka_targets hv_kafka_targets;

/* What the configuration says: the topic of a hub, HV_USAGE if that is no name of a topic; and where a partition goes. */
hv_rc hv_kafka_topic_name(const hv_sink_kafka_config *config, const char *hub, char ret[HV_HUB_SIZE], hv_err *err) HV_MUST_USE;
int32_t hv_kafka_topic_partition(const hv_sink_kafka_config *config, int32_t from);

/* A target partition. */
typedef struct hv_kafka_target {
    char topic[HV_HUB_SIZE];
    rd_kafka_topic_t *handle;           /* of the producer; belongs to the targets */
    int32_t partition;
    bool changed;                       /* events went to it since the last commit */
} hv_kafka_target;

typedef struct hv_kafka_targets_config {
    const hv_sink_kafka_config *sink;   /* borrowed */
    hv_kafka_client *group;             /* borrowed: a consumer of the group that holds the positions; asks for metadata, too */
    hv_kafka_client *producer;          /* borrowed; must outlive the targets */
    unsigned char request[HV_KAFKA_REQUEST_SIZE];
} hv_kafka_targets_config;

hv_rc hv_kafka_targets_new(const hv_kafka_targets_config *config, hv_kafka_targets **ret, hv_err *err) HV_MUST_USE;
void hv_kafka_targets_free(hv_kafka_targets *targets);
HV_DEFINE_AUTO(hv_kafka_targets, hv_kafka_targets_free);

/*
 * Find the targets of these partitions, empty ones only if asked for: their topics must exist and have those partitions. HV_NOT_FOUND: no
 * such topic. HV_USAGE: a topic with too few partitions, or a name that no topic can have. HV_UNAVAILABLE, HV_AUTH. After a failure only
 * free may follow.
 */
hv_rc hv_kafka_targets_add(hv_kafka_targets *targets, const hv_sink_source *sources, size_t count, bool also_empty,
                           hv_err *err) HV_MUST_USE;

/*
 * What the group knows about all that were added. With transactions, only after rd_kafka_init_transactions(): before that an earlier
 * producer of this id can still commit, and what was read is then too old. HV_USAGE: the group belongs to another request.
 * HV_UNAVAILABLE, HV_AUTH. After a failure only free may follow.
 */
hv_rc hv_kafka_targets_read(hv_kafka_targets *targets, hv_err *err) HV_MUST_USE;

/* The target of a partition, which is added and read if it is not known. *next is the first offset that is not in the topic yet. Pointers live
 * until the next call. */
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
