/*
 * Snapshots in the vault: how topics were configured and how far consumer groups had read, as they changed.
 *
 * The snapshots of one topic, or of one group on one hub, are numbered from 1. The name of number n depends on nothing but place and n,
 * and n is put only by somebody who has read n - 1 and has something else to say: so of any number of archivers one puts it, and two
 * neighbours always differ. Reading functions may be called from any thread.
 */
#ifndef HV_ARCHIVER_SNAPSHOT_STORE_H
#define HV_ARCHIVER_SNAPSHOT_STORE_H

#include "segment/names.h"
#include "segment/snapshot_record.h"
#include "storage/storage.h"

typedef struct hv_snapshots {
    hv_storage *storage;
    const char *vault;
} hv_snapshots;

#define HV_SNAPSHOT_NEWEST INT64_MAX    /* for at_ms */

/*
 * The last one that was taken at or before at_ms. HV_NOT_FOUND: there is none. HV_CORRUPT, HV_VERSION: one that had to be read is damaged,
 * or newer than this program. Where a clock ran backwards, one behind which a later one follows.
 */
hv_rc hv_snapshots_topic(const hv_snapshots *snapshots, const char *hub, int64_t at_ms, hv_topic_snapshot *ret, hv_err *err) HV_MUST_USE;
hv_rc hv_snapshots_group(const hv_snapshots *snapshots, const char *hub, const char *key, int64_t at_ms, hv_group_snapshot *ret,
                         hv_err *err) HV_MUST_USE;

/* The highest number there is, whether that snapshot can be read or not. HV_NOT_FOUND: none. `key` NULL: of the topic. */
hv_rc hv_snapshots_newest_number(const hv_snapshots *snapshots, const char *hub, const char *key, int64_t *ret, hv_err *err) HV_MUST_USE;

/* Put it under the number in its head. HV_EXISTS: the number is taken, perhaps by an earlier try of ours. After HV_OK and HV_EXISTS it is
 * durable, after the others it is not known. */
hv_rc hv_snapshots_put_topic(const hv_snapshots *snapshots, const hv_topic_snapshot *snapshot, hv_err *err) HV_MUST_USE;
hv_rc hv_snapshots_put_group(const hv_snapshots *snapshots, const hv_group_snapshot *snapshot, hv_err *err) HV_MUST_USE;

/* Calls place() for every hub and key of which there are snapshots of groups, by hub; keys are not sorted by group. Only of this hub, if it
 * is not NULL. What place() returns other than HV_OK ends the walk and is returned. */
hv_rc hv_snapshots_each_group(const hv_snapshots *snapshots, const char *hub, hv_rc (*place)(void *arg, const char *hub, const char *key,
                              hv_err *err), void *arg, hv_err *err) HV_MUST_USE;

/* One blob of that name, held against its name and the vault: for verification. */
hv_rc hv_snapshots_check(const hv_snapshots *snapshots, const hv_name_parts *name, hv_slice json, hv_err *err) HV_MUST_USE;

#endif
