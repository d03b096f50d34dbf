/*
 * Capture of one source: the thread that polls it, and the state of every partition it captures (inside the archiver folder).
 *
 * All of hv_capture and hv_captured is owned by the capture thread, except what stands under `locked` and the atomics. Other threads (scout, uploaders,
 * index writer) speak to it through hv_capture_tell().
 */
#ifndef HV_ARCHIVER_CAPTURE_H
#define HV_ARCHIVER_CAPTURE_H

#include <pthread.h>

#include "archiver/engine.h"
#include "archiver/published.h"

typedef struct hv_capture hv_capture;
typedef struct hv_captured hv_captured;
typedef struct hv_captured_hub hv_captured_hub;
typedef struct hv_scout hv_scout;

enum { HV_ADMITTERS = 16 };            /* threads that ask the store about partitions to be admitted, at most */

typedef enum hv_captured_state {
    HV_CAPTURED_WAITING,                /* an answer of the scout is under way */
    HV_CAPTURED_PROBING,                /* reading the last event that we hold again: is it still the same hub? */
    HV_CAPTURED_READING,
    HV_CAPTURED_FILL_WAIT,              /* an incomplete cut of somebody else: left alone until wait_until */
    HV_CAPTURED_FILLING,                /* reading what its siblings were promised */
    HV_CAPTURED_FILL_SEALING,
    HV_CAPTURED_GONE,                   /* the hub does not exist now */
    HV_CAPTURED_STOPPED,                /* until an operator acts */
    HV_CAPTURED_RELEASING,              /* the group wants it back: what was read is being sealed, nothing more is read */
    HV_CAPTURED_FOREIGN,                /* not ours. `sealing` may be a job that was abandoned and has not come back yet */
} hv_captured_state;

/* A cut that lacks siblings, and what has been found of the promised events. */
typedef struct hv_capture_fill {
    hv_chain_cut cut;
    hv_cut *found;                      /* by class; becomes the job */
    hv_cut *memory;                     /* events that we had read before the cut was adopted; NULL: none */
    hv_cut_reader *memory_reader;
    hv_event memory_event;              /* next of memory, if has_memory_event */
    bool has_memory_event;
    int64_t need, end;                  /* next offset to ask for; behind the last promised one */
    bool abandoned;                     /* the hub that promised is gone: nothing more is read */
    hv_gap_cause missing_cause;
} hv_capture_fill;

/* One partition. */
struct hv_captured {
    hv_capture *capture;
    hv_captured_hub *hub;
    hv_partition id;
    hv_captured_state state;
    uint64_t generation;                /* of the assignment at the source; older items are stale */
    bool assigned;
    bool owned;                         /* ours: always, unless there is a group */
    uint64_t ownership;                 /* grows with each assignment by the group: tells an answer to an earlier one */
    bool admission_asked;               /* the scout was asked to admit it, under this ownership */
    int64_t position;                   /* end of the chain as indexed */
    int64_t next;                       /* everything below has been delivered, or is proven absent */
    int64_t low, high;                  /* watermarks as last heard; -1: never */
    hv_cut *open;                       /* NULL: nothing since the last cut */
    hv_seal_job *sealing;               /* NULL: none under way */
    bool sealing_in_engine;             /* false while it waits for retry_at */
    hv_gap *pending;                    /* absent offsets behind the last event */
    size_t pending_count, pending_room;
    int64_t pending_since_boot_ms;
    int64_t doubted_first, doubted_end; /* a hole that is being looked at again; 0, 0: none */
    bool doubted_event;                 /* there is an event at its end */
    uint64_t holes;                     /* believed, since one was none */
    int64_t last_look_boot_ms;
    int64_t retry_at_boot_ms, wait_until_boot_ms;
    int64_t assign_at_boot_ms;          /* when to assign again after a failure that may pass; 0: no need */
    int64_t failing_since_boot_ms;      /* the first of such failures without progress between; 0: none */
    int64_t ask_at_boot_ms;             /* when to ask for the watermarks again; 0: no need */
    int64_t oldest_unsealed_ms;         /* time stamp of the first event behind position; -1: none read */
    int64_t oldest_open_ms;             /* that of the first event of `open`; stays behind when the cut is gone */
    int64_t headroom_said_boot_ms;
    int64_t once_target;                /* once: the high watermark to reach */
    bool once_done;                     /* once: reached, or nothing more can be read */
    int64_t probe_offset;
    bool has_turn, waits_for_turn;      /* see capture_turns.c */
    int64_t turn_target;                /* the high watermark when its turn began */
    int64_t next_at_ask;                /* `next` when the identities of the hubs were asked for last */
    int64_t verified_end;               /* everything below was read while the hub was known to be the same */
    uint64_t identity_wanted;           /* `sealing` waits for the answer to that question, or a later one; 0: for none */
    hv_capture_fill *fill;
};

struct hv_captured_hub {
    char name[HV_HUB_SIZE];
    char identity[128];
    uint32_t incarnation;
    hv_source_hub_policy policy;
    hv_captured **partitions;           /* by number; owned */
    int32_t partition_count;
    int64_t admit_again_boot_ms;        /* group: after a failure, not before */
    hv_hub_counters counters;
    bool gone;                          /* told GONE, not yet seen again */
    bool leaving;                       /* a new incarnation is due as soon as everything read is sealed */
    bool claim_asked;
    int leaving_cause;                  /* hv_incarnation_cause */
};

/* What the scout found out about one partition that it was asked to admit. */
typedef struct hv_admitted {
    int32_t number;
    uint64_t ownership;                 /* as asked */
    int64_t position;
    bool has_incomplete;
    hv_chain_cut incomplete;
    int64_t low, high;                  /* -1: the source did not say */
    hv_rc rc;                           /* not HV_OK: the partition cannot be captured, err says why */
    hv_err err;
} hv_admitted;

typedef enum hv_tell_kind {
    HV_TELL_SEALED,                     /* job, rc, err */
    HV_TELL_ADMITTED,                   /* hub, identity, incarnation, policy, partitions; claimed; or rc, err and the numbers only */
    HV_TELL_MEMBERSHIP,                 /* change, with partitions of its own */
    HV_TELL_RETURNED,                   /* hub, partitions with low and high only: a hub that was gone is there again */
    HV_TELL_POLICY,                     /* hub, policy */
    HV_TELL_OTHER,                      /* hub, identity: it is listed under another identity now */
    HV_TELL_WATERMARKS,                 /* hub, one partition with low, high, rc */
    HV_TELL_IDENTITIES,                 /* hubs, rc, err: the answer to hv_scout_identities() */
    HV_TELL_DISCOVERED,                 /* a look at the hubs is over; first_done */
    HV_TELL_STOP,
} hv_tell_kind;

typedef struct hv_tell {
    struct hv_tell *next;
    hv_tell_kind kind;
    hv_seal_job *job;
    hv_rc rc;
    hv_err err;
    char hub[HV_HUB_SIZE];
    char identity[128];
    uint32_t incarnation;
    hv_source_hub_policy policy;
    hv_admitted *partitions;
    size_t partition_count;
    bool claimed;                       /* the answer to hv_scout_claim() */
    hv_source_hub *hubs;
    size_t hub_count;
    hv_membership_change change;
    hv_member_partition *members;       /* of the change; owned */
} hv_tell;

void hv_tell_free(hv_tell *tell);

struct hv_capture {
    hv_engine *engine;
    hv_source *source;
    hv_membership *membership;          /* NULL: everything is ours */
    hv_scout *scout;
    hv_block_coder *coder;
    pthread_t thread;

    hv_captured_hub **hubs;
    size_t hub_count, hub_room;
    size_t sealing_count;               /* jobs out of our hands */
    bool stopping;                      /* no more polling; seal what is open */
    bool finishing;                     /* the last cuts are being sealed */
    bool discovered;                    /* the first look at the hubs is over */
    bool discovery_failed;              /* the last one */
    int64_t discovered_wall_ms;         /* when the last one ended well */
    size_t turns;                       /* partitions that have one */
    int64_t turn_boot_ms;               /* when the last one was given */
    bool quiet;                         /* nothing came since the last look at all partitions, and none waits for a time */
    int64_t started_boot_ms, checked_boot_ms, watermarks_boot_ms;
    int64_t raw_seen_used;              /* of the budget, when the raw bytes of all open cuts were last added up */
    int64_t budget_changed_boot_ms;     /* since when it is used up, or not any more, other than was reported; 0: as was reported */
    bool pause_reported;
    uint64_t next_generation;
    uint64_t identity_asked;            /* number of the last question for identities */
    int64_t identity_asked_boot_ms;
    bool identity_open;                 /* it has no answer yet */
    int64_t identity_again_boot_ms;     /* after a failure: not before */
    int64_t admit_boot_ms;              /* group: when to ask for admissions again */
    struct {                            /* what the group wants back now */
        bool active;
        uint64_t revocation;
        int64_t by_boot_ms;
        size_t count, abandoned;        /* partitions; cuts */
    } release;
    hv_rc rc;                           /* first failure; read after the thread was joined */
    hv_err err;
    bool refused;                       /* the source was told that our credentials are wrong */
    hv_err refused_err;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        hv_tell *first, **last;
    } locked;
    _Atomic bool told;                  /* something is in locked.first */
    _Atomic bool ended;
    _Atomic int64_t behind;
    hv_heart heart, scout_heart, admitter_hearts[HV_ADMITTERS];
    hv_published published;             /* what others may see of us, renewed now and then */
};

/* membership NULL: every partition of the source is ours. It is started, and left at the end, by the capture. */
hv_rc hv_capture_start(hv_engine *engine, hv_source *source, hv_membership *membership, hv_capture **ret, hv_err *err) HV_MUST_USE;
void hv_capture_stop(hv_capture *capture);
bool hv_capture_ended(hv_capture *capture);
/* Waits for the thread and frees everything. */
hv_rc hv_capture_join(hv_capture *capture, hv_err *err) HV_MUST_USE;

/* Any thread. Takes ownership of tell (made by malloc). Never blocks. */
void hv_capture_tell(hv_capture *capture, hv_tell *tell);

/* ---- between the files of the capture ---- */

void hv_captured_fail(hv_captured *captured, hv_rc rc, const hv_err *err);     /* stop this partition, loudly */
void hv_captured_report(hv_captured *captured, hv_archiver_event event, const hv_archiver_report *more);
void hv_capture_trouble(hv_capture *capture, const hv_captured *captured, const hv_err *err);
hv_rc hv_captured_assign(hv_captured *captured, int64_t offset, hv_err *err) HV_MUST_USE;
void hv_captured_unassign(hv_captured *captured);
/* Reading cannot go on now: not at all if the failure is no passing one, else from where it stands, a little later. */
void hv_captured_assign_later(hv_captured *captured, hv_rc rc, const hv_err *err);
hv_captured_hub *hv_capture_find_hub(hv_capture *capture, const char *name);

/* capture_check.c: ages, memory, the end. */
void hv_capture_for_each(hv_capture *capture, void (*fn)(hv_captured *captured, void *arg), void *arg);
void hv_capture_check(hv_capture *capture);     /* does something a few times a second only */
void hv_capture_relieve_memory(hv_capture *capture);
bool hv_capture_once_is_done(hv_capture *capture);

/* Until the hub deletes the oldest event that is not sealed. False where nobody can tell. */
bool hv_captured_headroom(const hv_captured *captured, int64_t *ret_ms);

/* capture_publish.c: for whoever watches; `now`, or if it is time. */
void hv_capture_publish(hv_capture *capture, bool now);

/* capture_turns.c: whether it may begin to read now; else it is begun when its turn comes. */
bool hv_captured_takes_turn(hv_captured *captured);
void hv_capture_give_turns(hv_capture *capture, int64_t now_boot_ms);

/* capture_read.c: what the source delivers. */
void hv_captured_item(hv_captured *captured, const hv_source_item *item);
void hv_captured_start_reading(hv_captured *captured, int64_t offset);
void hv_captured_ask(hv_captured *captured);
void hv_captured_assign_again(hv_captured *captured);
void hv_captured_watermarks(hv_captured *captured, const hv_admitted *answer);

/* capture_doubt.c: an event or the end has come at `offset`. True if what it leaves out has to be seen a second time before it is believed: then
 * everything from `next` on is on its way again. */
bool hv_captured_doubts(hv_captured *captured, int64_t offset, bool is_event);

/* capture_seal.c: closing cuts, and what comes of it. */
void hv_captured_close_cut(hv_captured *captured);
bool hv_captured_may_close(const hv_captured *captured);
void hv_captured_sealed(hv_captured *captured, hv_seal_job *job, hv_rc rc, const hv_err *err);
void hv_captured_retry_seal(hv_captured *captured);
void hv_captured_gap_lead(hv_captured *captured);
bool hv_captured_owes_gap_lead(const hv_captured *captured);     /* events were lost at the end, and nothing says so yet */
void hv_captured_drop_memory(hv_captured *captured);    /* the open cut, and what is pending */

typedef struct hv_captured_parts {
    hv_range keep;                      /* offsets outside are left out; the new cut begins at its first */
    hv_cut *older, *newer;              /* either may be NULL */
} hv_captured_parts;

hv_rc hv_captured_rebuild(hv_captured *captured, const hv_captured_parts *parts, hv_cut **ret, hv_err *err) HV_MUST_USE;
void hv_captured_send(hv_captured *captured);   /* what is in `sealing` goes to the engine */
/* Takes ownership of found and of what cut points to. */
void hv_captured_send_fill(hv_captured *captured, hv_cut *found, hv_chain_cut *cut, hv_gap_cause missing_cause);

/* Keep only what was read while the hub was known to be the same: the rest may be of the next incarnation. */
void hv_captured_drop_unverified(hv_captured *captured);

/* capture_identity.c: is it still the same hub, before what was read of it is sealed? */
bool hv_captured_wait_for_identity(hv_captured *captured);     /* false: no need */
void hv_capture_identities(hv_capture *capture, const hv_tell *tell);
void hv_capture_check_identities(hv_capture *capture);

/* capture_fill.c: completing a cut that lacks siblings. */
void hv_captured_fill_begin(hv_captured *captured, hv_chain_cut *incomplete, hv_cut *memory);
void hv_captured_fill_read(hv_captured *captured);
void hv_captured_fill_item(hv_captured *captured, const hv_source_item *item);
void hv_captured_fill_watermarks(hv_captured *captured, const hv_admitted *answer);
void hv_captured_fill_abandon(hv_captured *captured);
void hv_captured_filled(hv_captured *captured, hv_seal_job *job);
void hv_capture_fill_free(hv_capture_fill *fill);

/* capture_hub.c: hubs that appear, grow, vanish and come back as others. */
void hv_capture_admitted(hv_capture *capture, hv_tell *tell);
void hv_capture_returned(hv_capture *capture, hv_tell *tell);
void hv_capture_other(hv_capture *capture, const hv_tell *tell);
void hv_capture_hub_is_other(hv_captured_hub *hub);
void hv_captured_gone(hv_captured *captured);
void hv_captured_other_hub(hv_captured *captured, int cause);
void hv_capture_claim_if_clean(hv_captured_hub *hub);
void hv_capture_hub_free(hv_captured_hub *hub);
hv_captured_hub *hv_capture_add_hub(hv_capture *capture, const char *name);     /* or the one there is */
hv_captured *hv_capture_add_partition(hv_capture *capture, hv_captured_hub *hub, int32_t number);      /* the same */
void hv_captured_begin(hv_captured *captured, uint32_t incarnation, hv_admitted *admitted);

/* capture_group.c: partitions that come and go with a group. */
hv_rc hv_capture_join_group(hv_capture *capture, hv_err *err) HV_MUST_USE;
void hv_capture_membership(hv_capture *capture, hv_tell *tell);
void hv_capture_group_admitted(hv_capture *capture, hv_tell *tell);
void hv_capture_check_group(hv_capture *capture);

#endif
