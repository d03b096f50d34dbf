/*
 * Names of hubs, partitions and classes: plain values, checked once where they enter the program.
 */
#ifndef HV_COMMON_PARTITION_H
#define HV_COMMON_PARTITION_H

#include <stdint.h>

#include "common/err.h"

enum {
    HV_HUB_SIZE = 250,                  /* longest name of a Kafka topic, 249 bytes, and its NUL */
    HV_CLASS_SIZE = 65,                 /* longest name of a data class and its NUL */
};

/* One partition of one incarnation of a hub. Incarnations count from 1; 0 means "not known yet". */
typedef struct hv_partition {
    char hub[HV_HUB_SIZE];
    uint32_t incarnation;
    int32_t number;
} hv_partition;

/* HV_USAGE unless the name has 1 to 249 of [A-Za-z0-9._-] and is neither "." nor "..": Kafka's rule (kafka
 * clients/.../internals/Topic.java), which Event Hubs keeps to as well. */
hv_rc hv_hub_name_check(const char *hub, hv_err *err) HV_MUST_USE;

/* HV_USAGE as above, or for a negative number. */
hv_rc hv_partition_make(const char *hub, uint32_t incarnation, int32_t number, hv_partition *ret, hv_err *err) HV_MUST_USE;

/* By hub, incarnation, number. */
int hv_partition_compare(const hv_partition *a, const hv_partition *b);

/* HV_USAGE unless the name has 1 to 64 of [a-z0-9-] and begins with a letter. */
hv_rc hv_class_name_check(const char *class_name, hv_err *err) HV_MUST_USE;

#define HV_CLASS_DEFAULT "default"
#define HV_CLASS_NONE "none"            /* of a lead that holds no event and only declares a gap */

/* Why offsets hold no event. The names are part of the segment format and of the index. */
#define HV_GAP_CAUSE_LIST(X) \
    X(RETENTION,   "retention",   "the hub had deleted them before they were read: expired, or cut off by an administrator") \
    X(COMPACTION,  "compaction",  "a later event of the same key replaced them") \
    X(TRANSACTION, "transaction", "control records and events of aborted transactions") \
    X(TRUNCATION,  "truncation",  "the hub lost them itself") \
    X(RECREATED,   "re-created",  "promised by a cut, but the hub was deleted and created again before they could be read") \
    X(UNKNOWN,     "unknown",     "the hub does not say why")

typedef enum hv_gap_cause {
#define HV_GAP_CAUSE_NAME(name, text, meaning) HV_GAP_##name,
    HV_GAP_CAUSE_LIST(HV_GAP_CAUSE_NAME)
#undef HV_GAP_CAUSE_NAME
    HV_GAP_CAUSES
} hv_gap_cause;

const char *hv_gap_cause_text(hv_gap_cause cause);
/* False if text is none of them. */
bool hv_gap_cause_parse(const char *text, hv_gap_cause *ret);

/* Offsets first .. end - 1. */
typedef struct hv_range {
    int64_t first, end;
} hv_range;

typedef struct hv_gap {
    hv_range range;
    hv_gap_cause cause;
} hv_gap;

#endif
