/*
 * What a capture may meet when it begins; so many places from which faults are let loose.
 */
#ifndef HV_TESTS_ARCHIVER_MEETINGS_H
#define HV_TESTS_ARCHIVER_MEETINGS_H

#include "tests/archiver/late_store.h"
#include "tests/archiver/rig.h"

typedef enum meeting {
    MEET_NEW_HUB,                       /* three classes, a gap, two partitions */
    MEET_INCOMPLETE_CUT,                /* the last cut lacks a sibling, as if its archiver had died between two puts; no index */
    MEET_RIVAL,                         /* cuts of another archiver, seen only when ours is put: they end elsewhere */
    MEET_LATER_EVENTS,                  /* an index, and new events: the last archived one is read again first */
    MEETINGS,
} meeting;

/* A rig set up for it; *late is used for MEET_RIVAL, and lives as long as the rig. The store that the capture is to be given. */
hv_storage *meeting_setup(rig *r, meeting which, late_store *late);

/* A capture that goes on: it waits until all is captured, which must come within some seconds, and lets `meanwhile` do something and waits
 * again unless that is NULL. Then end_faults() is called, the capture is stopped and must end well, with no partition stopped. `what` says
 * in a failure which fault it was. */
void meeting_run_on(rig *r, hv_storage *store, void (*meanwhile)(rig *r), void (*end_faults)(void), const char *what);

/* With healthy parts: what is there is right, a run completes it, and one more without the local disk finds the same. */
void meeting_finish(rig *r);

#endif
