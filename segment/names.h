/*
 * Names of blobs under one vault. A name is a function of hub, incarnation, partition and first offset of a cut (and, for a
 * sibling, its class), and of nothing else: design rule 2 of the capture protocol, docs/FORMAT.md section "Names".
 *
 *   vault.json                                                                            the marker, see vault_marker.h
 *   segments/hub=<hub>/incarnation=<n>/incarnation.json                                   the claim, see incarnation_record.h
 *   segments/hub=<hub>/incarnation=<n>/partition=<p>/<first, 20 digits>.avro              a lead
 *   segments/hub=<hub>/incarnation=<n>/partition=<p>/<first, 20 digits>.<class>.avro      a sibling
 *   snapshots/topics/hub=<hub>/<10^10 - number, 10 digits>.json                           how a topic was configured
 *   snapshots/groups/hub=<hub>/group=<key>/<10^10 - number, 10 digits>.json               how far a consumer group had read
 */
#ifndef HV_SEGMENT_NAMES_H
#define HV_SEGMENT_NAMES_H

#include "common/partition.h"

enum { HV_BLOB_NAME_SIZE = 512 };       /* longest name and its NUL, with room to spare */

#define HV_VAULT_MARKER_NAME "vault.json"
#define HV_SEGMENTS_PREFIX "segments/"
#define HV_TOPIC_SNAPSHOTS_PREFIX "snapshots/topics/"
#define HV_GROUP_SNAPSHOTS_PREFIX "snapshots/groups/"

enum { HV_GROUP_KEY_SIZE = 33 };        /* 32 digits and a NUL */
#define HV_SNAPSHOT_NUMBER_MAX INT64_C(9999999999)

typedef struct hv_blob_name {
    char text[HV_BLOB_NAME_SIZE];
} hv_blob_name;

hv_blob_name hv_name_of_lead(const hv_partition *partition, int64_t first);
hv_blob_name hv_name_of_sibling(const hv_partition *partition, int64_t first, const char *class_name);
hv_blob_name hv_name_of_incarnation(const char *hub, uint32_t incarnation);

/* Prefixes for listing. That of a cut ends in "<first>.", so one listing shows the whole cut. */
hv_blob_name hv_prefix_of_hub(const char *hub);
hv_blob_name hv_prefix_of_partition(const hv_partition *partition);
hv_blob_name hv_prefix_of_cut(const hv_partition *partition, int64_t first);

/* What stands for the name of a consumer group in the name of a blob: the first half of its SHA-256. */
void hv_group_key(const char *group, char ret[HV_GROUP_KEY_SIZE]);

/* Numbers count from 1 to HV_SNAPSHOT_NUMBER_MAX and stand in names counted down, so that a listing begins with the newest. `key` of
 * hv_group_key(); NULL: the snapshots of the topic itself. */
hv_blob_name hv_name_of_snapshot(const char *hub, const char *key, int64_t number);
/* Of all snapshots of one topic, or of one group on that hub. */
hv_blob_name hv_prefix_of_snapshots(const char *hub, const char *key);
/* Of all snapshots of groups; NULL: on all hubs. */
hv_blob_name hv_prefix_of_group_snapshots(const char *hub);

typedef enum hv_name_kind {
    HV_NAME_MARKER,
    HV_NAME_INCARNATION,
    HV_NAME_LEAD,
    HV_NAME_SIBLING,
    HV_NAME_TOPIC_SNAPSHOT,
    HV_NAME_GROUP_SNAPSHOT,
    HV_NAME_FOREIGN,                    /* none of ours: not of the exact form that the functions above make */
} hv_name_kind;

typedef struct hv_name_parts {
    hv_name_kind kind;
    hv_partition partition;             /* hub and incarnation for HV_NAME_INCARNATION too; of snapshots the hub */
    int64_t first;                      /* of leads and siblings */
    char class_name[HV_CLASS_SIZE];     /* of siblings */
    int64_t number;                     /* of snapshots */
    char group_key[HV_GROUP_KEY_SIZE];  /* of snapshots of groups */
} hv_name_parts;

/* Never fails: what is not ours is HV_NAME_FOREIGN. Parsing and making are inverse. */
hv_name_parts hv_name_parse(const char *name);

#endif
