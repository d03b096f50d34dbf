/*
 * An archiver on a bench: scripted hubs, a store, an index, and a verifier that reads everything back.
 *
 * The content of an event follows from a salt, its partition and its offset alone, so the verifier needs no list of what was
 * produced: it makes each event again and compares. What the test says of an offset is kept per partition: 'e' an event, 'g' a gap.
 */
#ifndef HV_TESTS_ARCHIVER_RIG_H
#define HV_TESTS_ARCHIVER_RIG_H

#include "archiver/archiver.h"
#include "source/source_drivers.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

enum { RIG_PARTITIONS = 4, RIG_OFFSETS = 20000 };

typedef struct rig_log {
    int salt;                           /* of the incarnation */
    int64_t end;
    char what[RIG_OFFSETS];             /* per offset: 'e' event, 'g' gap of any cause, or the first letter of the cause wanted */
} rig_log;

typedef struct rig {
    scratch_dir dir;
    hv_storage *storage;                /* mem */
    hv_index *index;
    hv_source *source;
    hv_archiver_config config;
    rig_log log[3][RIG_PARTITIONS];     /* by incarnation - 1, and partition, of the hub "orders" */
    _Atomic int reports[HV_ARCHIVER_RESUMED + 1];      /* how many of each; archivers of all threads report */
    char last_text[1024];               /* of the last report that had an error; while the archiver runs see rig_has_said() */
} rig;

#define RIG_HUB "orders"
#define RIG_VAULT "11111111-2222-4333-8444-555555555555"

/* Whether the last error that was reported has this text in it; any time. */
bool rig_has_said(rig *r, const char *text);
void rig_forget_what_was_said(rig *r);

void rig_setup(rig *r);
void rig_teardown(rig *r);

/* Throw the index away and begin a new one. */
void rig_lose_disk(rig *r);
/* Close and open it: what a restart does. */
void rig_reopen_index(rig *r);

/* `count` events of incarnation 1.., to a partition of RIG_HUB. */
void rig_produce(rig *r, uint32_t incarnation, int32_t partition, int count);
/* One after the other, each at the same instant in all of them: a source that is behind what another one has led into the store would look
 * like a hub that lost its end. */
void rig_produce_everywhere(rig *const *rigs, int rig_count, uint32_t incarnation, int32_t partition, int count);
/* The hub is deleted and created again, as its incarnation 2 with `count` events in partition 0, and one more in each further one. */
void rig_recreate_everywhere(rig *const *rigs, int rig_count, int32_t partitions, const char *identity, int count);
/* Offsets that will hold nothing. */
void rig_skip(rig *r, uint32_t incarnation, int32_t partition, int count, char what);
void rig_mark(rig *r, uint32_t incarnation, int32_t partition, int64_t first, int64_t end, char what);

/* run --once on the store given (NULL: that of the rig). The code of join; err tells why. */
hv_rc rig_run_once(rig *r, hv_storage *storage, hv_err *err);

/* A capture that goes on, until rig_end() stops it. */
hv_archiver *rig_begin(rig *r, int64_t max_age_ms);
void rig_end(hv_archiver *archiver);
/* Fails the test if the position is not reached, or passed. */
void rig_wait_position(rig *r, uint32_t incarnation, int32_t partition, int64_t position);
/* Until such a report was made; fails the test if none comes. */
void rig_wait_report(rig *r, int kind);

/*
 * The invariant: from 0 to the position of every partition, each offset is there exactly once, as the event that was produced or as
 * a gap, and where the test said 'e' or a cause, as that. The index equals the store.
 */
void rig_check(rig *r);

/* rig_check(), and everything that was produced is captured, apart from gaps at the very end. */
void rig_check_all_captured(rig *r);

int64_t rig_position(rig *r, uint32_t incarnation, int32_t partition);

/* A classifier: "red", "green" or "default" by offset. */
const char *rig_three_classes(void *arg, const hv_partition *partition, const hv_event *event);

#endif
