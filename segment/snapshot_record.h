/*
 * What stood beside the events of a hub at some time: how its topic was configured, and how far a consumer group had read it. Canonical
 * JSON records, put once, create-only. docs/FORMAT.md section 15 is normative.
 */
#ifndef HV_SEGMENT_SNAPSHOT_RECORD_H
#define HV_SEGMENT_SNAPSHOT_RECORD_H

#include "segment/header.h"

enum {
    HV_SNAPSHOT_MAX = 64 << 20,         /* longest such record */
    HV_SNAPSHOT_TEXT_MAX = 32767,       /* bytes of a name or value in it: what a string of the Kafka protocol can hold */
    HV_SNAPSHOT_MAX_ENTRIES = 1 << 20,
};

/* What every snapshot says about itself. */
typedef struct hv_snapshot_head {
    char vault[HV_VAULT_ID_SIZE];
    char hub[HV_HUB_SIZE];
    int64_t number;                     /* from 1; the next one differs in its content */
    int64_t taken_ms;                   /* clock of the machine that took it */
    uint32_t incarnation;               /* of the hub, then */
} hv_snapshot_head;

typedef struct hv_topic_setting {
    char *name, *value;
    bool own;                           /* set for this topic; else what the service does by default */
} hv_topic_setting;

typedef struct hv_topic_snapshot {
    hv_snapshot_head head;
    int32_t partitions;
    int32_t replication;                /* replicas of each partition; 0: not known */
    bool told;                          /* the service tells settings; else there are none here */
    hv_topic_setting *settings;         /* ascending by name, each once */
    size_t count;
} hv_topic_snapshot;

typedef struct hv_group_position {
    int32_t partition;
    int64_t offset;                     /* committed: the next one to be read */
    char *metadata;                     /* NULL where it has no bytes */
    size_t metadata_len;
} hv_group_position;

typedef struct hv_group_snapshot {
    hv_snapshot_head head;
    char *group;
    hv_group_position *positions;       /* ascending by partition, each once; at least one */
    size_t count;
} hv_group_snapshot;

void hv_topic_snapshot_clear(hv_topic_snapshot *snapshot);
HV_DEFINE_AUTO_VALUE(hv_topic_snapshot, hv_topic_snapshot_clear);
void hv_group_snapshot_clear(hv_group_snapshot *snapshot);
HV_DEFINE_AUTO_VALUE(hv_group_snapshot, hv_group_snapshot_clear);

/* Add in any order; sort before writing. HV_NOMEM, HV_LIMIT. */
hv_rc hv_topic_snapshot_add(hv_topic_snapshot *snapshot, const char *name, const char *value, bool own, hv_err *err) HV_MUST_USE;
void hv_topic_snapshot_sort(hv_topic_snapshot *snapshot);
hv_rc hv_group_snapshot_add(hv_group_snapshot *snapshot, int32_t partition, int64_t offset, hv_slice metadata, hv_err *err) HV_MUST_USE;
void hv_group_snapshot_sort(hv_group_snapshot *snapshot);

/* The whole record. */
void hv_topic_snapshot_write(const hv_topic_snapshot *snapshot, hv_buf *to);
void hv_group_snapshot_write(const hv_group_snapshot *snapshot, hv_buf *to);

/* Only what it says about the hub, without vault, number and time: two snapshots of the same state have the same content. */
void hv_topic_snapshot_write_content(const hv_topic_snapshot *snapshot, hv_buf *to);
void hv_group_snapshot_write_content(const hv_group_snapshot *snapshot, hv_buf *to);

/* HV_CORRUPT; HV_VERSION, naming both versions, for a layout that is newer than ours. Survives any bytes. */
hv_rc hv_topic_snapshot_parse(hv_slice json, hv_topic_snapshot *ret, hv_err *err) HV_MUST_USE;
hv_rc hv_group_snapshot_parse(hv_slice json, hv_group_snapshot *ret, hv_err *err) HV_MUST_USE;

#endif
