/*
 * The two small JSON records that are not segments: the marker of a vault, and the claim of an incarnation. Both are put once,
 * create-only. docs/FORMAT.md is normative.
 */
#ifndef HV_SEGMENT_VAULT_MARKER_H
#define HV_SEGMENT_VAULT_MARKER_H

#include "segment/header.h"

enum { HV_RECORD_MAX = 64 << 10 };      /* longest such record */

/* vault.json at the root of the store. */
typedef struct hv_vault_marker {
    char vault[HV_VAULT_ID_SIZE];
    int64_t created_ms;
} hv_vault_marker;

/* A new random (version 4) id. HV_IO if the system has no randomness. */
hv_rc hv_vault_id_make(char ret[HV_VAULT_ID_SIZE], hv_err *err) HV_MUST_USE;

void hv_vault_marker_write(const hv_vault_marker *marker, hv_buf *to);
/* HV_CORRUPT; HV_VERSION, naming both versions, for a layout that is newer than ours. */
hv_rc hv_vault_marker_parse(hv_slice json, hv_vault_marker *ret, hv_err *err) HV_MUST_USE;

typedef enum hv_incarnation_cause {
    HV_INCARNATION_FIRST,               /* the hub was seen for the first time */
    HV_INCARNATION_IDENTITY,            /* the source reports another identity */
    HV_INCARNATION_SHORTER,             /* the high watermark lies below our position */
    HV_INCARNATION_DIFFERS,             /* an offset that we hold has other content now */
} hv_incarnation_cause;

enum { HV_HUB_IDENTITY_SIZE = 128 };

/* incarnation.json beside the partitions. */
typedef struct hv_incarnation_record {
    char vault[HV_VAULT_ID_SIZE];
    char hub[HV_HUB_SIZE];
    uint32_t incarnation;
    hv_incarnation_cause cause;
    char identity[HV_HUB_IDENTITY_SIZE];        /* topic id or creation time as the source gives it; empty if it gives none */
    int64_t created_ms;
} hv_incarnation_record;

const char *hv_incarnation_cause_text(hv_incarnation_cause cause);
void hv_incarnation_record_write(const hv_incarnation_record *record, hv_buf *to);
hv_rc hv_incarnation_record_parse(hv_slice json, hv_incarnation_record *ret, hv_err *err) HV_MUST_USE;

#endif
