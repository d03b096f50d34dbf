/*
 * Three archivers of one vault on the bench: each has its own hub with the same events, its own index, its own membership, and its own
 * way to the one store, through a gate. The test deals out the partitions.
 */
#ifndef HV_TESTS_ARCHIVER_CREW_H
#define HV_TESTS_ARCHIVER_CREW_H

#include "tests/archiver/gate_storage.h"
#include "tests/archiver/rig.h"

enum { CREW = 3, CREW_WAIT_MS = 60000 };

typedef struct crew {
    rig *rigs[CREW];
    hv_storage *store;                  /* that of rigs[0] */
    hv_storage *gates[CREW];
    hv_membership *memberships[CREW];
    hv_archiver *archivers[CREW];       /* NULL: not running */
} crew;

/* The hub has `partitions`, and the identity "topic-1". */
crew *crew_make(int32_t partitions);
void crew_free(crew *c);

/* Starts archiver `who` as a member of the group, with nothing assigned. */
void crew_start(crew *c, int who);
/* Ask for its end and wait for it; its membership is a new one afterwards. */
hv_rc crew_stop(crew *c, int who, hv_err *err);

/* The same events to the hubs of all. */
void crew_produce(crew *c, int32_t partition, int count);

hv_archiver_totals crew_totals(crew *c, int who);
/* These fail the test when it takes too long. */
void crew_wait_read(crew *c, int who, int64_t events);
void crew_wait_position(crew *c, int who, uint32_t incarnation, int32_t partition, int64_t position);
void crew_wait_released(crew *c, int who, uint64_t revocation);
/* The group takes partition 0 of the hub back, and waits so long at most; it is given up. */
void crew_take_back(crew *c, int who, int64_t release_ms);

/* Whoever runs is stopped; then everything is captured by one, and every index has every event exactly once, and is like the others.
 * `settle`: archivers that have not followed to the end do so first. */
void crew_check(crew *c, bool settle);
/* Whether both indexes hold the same. */
bool crew_equal(crew *c, int a, int b);

#endif
