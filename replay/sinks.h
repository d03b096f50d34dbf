/*
 * The sinks, by name. Only the place where a program is put together, and tests, include this.
 */
#ifndef HV_REPLAY_SINKS_H
#define HV_REPLAY_SINKS_H

#include "replay/offset_map.h"
#include "replay/sink.h"
#include "segment/header.h"
#include "source/kafka_config.h"

/* ---- files, pipes, standard output ---- */

typedef struct hv_sink_file {
    int fd;                             /* borrowed; written to from where it stands */
    const char *name;                   /* for messages; borrowed */
} hv_sink_file;

typedef struct hv_sink_jsonl_config {
    hv_sink_file to;
    bool body_base64;                   /* every body as base64, so that it comes out byte for byte; else JSON stays JSON */
} hv_sink_jsonl_config;

/* One JSON object per line, docs/REPLAY.md "JSON lines". */
hv_rc hv_sink_jsonl_open(const hv_sink_jsonl_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

typedef struct hv_sink_raw_config {
    hv_sink_file to;
    bool length_prefix;                 /* 4 bytes, big-endian, before each value, instead of a separator behind it */
    hv_slice separator;                 /* may be empty; copied, at most HV_RAW_SEPARATOR_MAX bytes */
} hv_sink_raw_config;

enum { HV_RAW_SEPARATOR_MAX = 64 };

/* Values alone. Tombstones cannot be told from empty values there and are left out, and counted. */
hv_rc hv_sink_raw_open(const hv_sink_raw_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

typedef struct hv_sink_avro_config {
    hv_sink_file to;
    hv_codec codec;
    int level;                          /* 0: a good one for the codec */
} hv_sink_avro_config;

/* One Avro object container file of hubvault.v1.ReplayedEvent: the record of the segments, behind hub, incarnation and
 * partition. */
hv_rc hv_sink_avro_open(const hv_sink_avro_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

/* ---- a Kafka service ---- */

typedef struct hv_kafka_topic_map {
    const char *hub, *topic;
} hv_kafka_topic_map;

typedef struct hv_kafka_partition_map {
    int32_t from, to;                   /* from -1: every one that is not mapped otherwise */
} hv_kafka_partition_map;

typedef struct hv_sink_kafka_config {
    const hv_kafka_config *broker;      /* where, and with which credentials. All pointers in here must outlive the sink. */
    const char *id;                     /* of this replay, 1 to 100 of [A-Za-z0-9._-]: a run under the same id goes on where the
                                           last one stopped. Transactional id and consumer group are "hubvault-replay-<id>". */
    const char *topic;                  /* "{hub}" in it stands for the name of the hub; NULL: "{hub}" */
    const hv_kafka_topic_map *topics;   /* exceptions from that */
    size_t topic_count;
    const hv_kafka_partition_map *partitions;   /* else each partition goes to the one of the same number */
    size_t partition_count;
    bool no_transactions;               /* for services without them: after a crash up to a transaction's events may come twice */
    /* What ends a transaction; 0: 2,000,000, 512 MiB, 2 s. Without transactions: after what positions are committed; 0: 500,000, 128 MiB,
     * 2 s. */
    int64_t transaction_events, transaction_bytes, transaction_ms;
    int64_t queue_bytes;                /* of events that wait to be sent, besides one; 0: 32 MiB, and 64 KiB for each partition, and 128 MiB at
                                           most */
    int timeout_ms;                     /* of one exchange with the service; 0: 60 s */
    hv_offset_map *map;                 /* gets every event that is committed, and no other; NULL: none is kept. Partitions without an
                                           event then need a target, too */
} hv_sink_kafka_config;

/*
 * Events with partition, key, value, headers and timestamp as they were; offsets are given by the service. HV_USAGE, HV_NOMEM;
 * whether secrets can be read, the service is there and the topics fit shows in begin.
 */
hv_rc hv_sink_kafka_open(const hv_sink_kafka_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

#endif
