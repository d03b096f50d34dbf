/*
 * Keeps snapshots of what stands beside the events: how the topics are configured, how far the consumer groups have read them.
 *
 * Nothing is put when nothing changed since the newest snapshot in the store, whoever put that. Whatever goes wrong here is told and
 * tried again with the next round; capture knows nothing of it: other thread, other connection, and no lock that capture waits for.
 */
#ifndef HV_ARCHIVER_SNAPSHOT_H
#define HV_ARCHIVER_SNAPSHOT_H

#include "common/heartbeat.h"
#include "index/index.h"
#include "source/admin.h"
#include "source/source.h"
#include "storage/storage.h"

typedef struct hv_snapshotter hv_snapshotter;

/* What is asked, and who is asked about its groups and settings. */
typedef struct hv_snapshot_source {
    hv_source *source;
    hv_admin *admin;                    /* used by the snapshotter only */
} hv_snapshot_source;

typedef struct hv_snapshot_config {     /* everything borrowed */
    const hv_snapshot_source *sources;
    size_t source_count;
    hv_storage *storage;
    hv_index *index;                    /* which incarnation a hub is in */
    const char *vault;
    const char *own_group;              /* of courtesy commits: follows from the vault, so it is not kept; NULL: none */
    int64_t interval_ms;                /* between two rounds, and between two snapshots of the same thing, whoever takes them */
    int64_t topics_ms;                  /* between two looks at the settings of a hub that keeps its partitions; 0: ten intervals */
    int64_t (*boot_ms)(void);           /* NULL: hv_clock_boot_ms; for tests */
    int64_t (*wall_ms)(void);           /* NULL: hv_clock_wall_ms; for tests */
    /* From the thread of the snapshotter. A failure that goes on is told once. NULL: silence. */
    void (*trouble)(void *arg, const hv_err *err);
    void (*stored)(void *arg, const char *hub, const char *group, int64_t number);      /* group NULL: of the topic */
    void *arg;
} hv_snapshot_config;

/* HV_NOMEM. */
hv_rc hv_snapshotter_new(const hv_snapshot_config *config, hv_snapshotter **ret, hv_err *err) HV_MUST_USE;

/* One round in the caller's thread: ask, compare, put what changed. The first failure; the rest of the round was done all the same. */
hv_rc hv_snapshotter_round(hv_snapshotter *snapshotter, hv_err *err) HV_MUST_USE;

/* A thread that makes rounds: the first at once, the next an interval behind it. HV_IO: no thread. */
hv_rc hv_snapshotter_start(hv_snapshotter *snapshotter, hv_err *err) HV_MUST_USE;

/* Whether a round gets on; lives as long as the snapshotter. Any thread. */
const hv_heart *hv_snapshotter_heart(const hv_snapshotter *snapshotter);

/* Ends the thread; a question under way is waited for, which is a few seconds at most. Accepts NULL. */
void hv_snapshotter_free(hv_snapshotter *snapshotter);
HV_DEFINE_AUTO(hv_snapshotter, hv_snapshotter_free);

#endif
