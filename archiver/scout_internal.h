/*
 * Inside of the scout: what its files share. All of it belongs to the thread of the scout, but for what stands under `locked`, the atomics
 * and the jobs that are out of its hands.
 */
#ifndef HV_ARCHIVER_SCOUT_INTERNAL_H
#define HV_ARCHIVER_SCOUT_INTERNAL_H

#include "archiver/past.h"
#include "archiver/scout.h"

enum { HV_SCOUT_ASK_MS = 10000, HV_SCOUT_AGAIN_MS = 500 };

/* What the scout remembers of a hub. */
typedef struct hv_scout_hub {
    char name[HV_HUB_SIZE];
    int32_t admitted;                   /* partitions told so far */
    uint32_t incarnation;
    char identity[128];                 /* when it was admitted; empty: the source has none */
    bool policy_known;                  /* the source has answered, if only that it does not say */
    bool expected;                      /* vanished; tell when it is back */
    unsigned expectations;              /* how often that was asked for */
    bool busy;                          /* a job is about it: another one waits until that is done */
} hv_scout_hub;

typedef enum hv_scout_question_kind { HV_ASK_WATERMARKS, HV_ASK_IDENTITIES, HV_ASK_EXPECT, HV_ASK_CLAIM, HV_ASK_ADMIT } hv_scout_question_kind;

typedef struct hv_scout_question {
    struct hv_scout_question *next;
    int64_t due_boot_ms;                /* put off until then */
    hv_scout_question_kind kind;
    char hub[HV_HUB_SIZE];
    int32_t partition;
    uint32_t after;
    int cause;
    hv_scout_places places;             /* owned; of HV_ASK_CLAIM (none: all partitions) and HV_ASK_ADMIT */
} hv_scout_question;

typedef enum hv_scout_job_kind {
    HV_JOB_MEET,                        /* a discovery found partitions: admit them */
    HV_JOB_ADMIT,                       /* hv_scout_admit() */
    HV_JOB_CLAIM,                       /* hv_scout_claim() */
    HV_JOB_SETTLE,                      /* past incarnations */
} hv_scout_job_kind;

/*
 * Something for the store, done by the admitters. Between hv_scout_begin_job() and the end it belongs to them: what stands above the
 * line is not changed any more, what stands below is theirs.
 */
typedef struct hv_scout_job {
    struct hv_scout_job *next;
    hv_scout_job_kind kind;
    char hub[HV_HUB_SIZE];
    char identity[128];                 /* of the hub as it was listed */
    int32_t from, to;                   /* partitions from .. to - 1, unless there are places */
    hv_scout_places places;             /* owned */
    uint32_t known;                     /* incarnation when it began; 0: none */
    unsigned expectations;              /* of the hub when it began */
    uint32_t after;                     /* HV_JOB_CLAIM: as asked, for asking again */
    int cause;
    int claim_cause;                    /* HV_INCARNATION_FIRST: the incarnation that is there is right */
    /* ---- */
    bool begun;                         /* the hub itself is being asked about, or has been */
    size_t next_partition, running;     /* to be walked; being walked */
    bool policy_known;
    hv_past past;                       /* HV_JOB_SETTLE: what is left of it */
    hv_tell *tell;                      /* the answer; NULL: there is none yet */
    hv_rc rc;
    hv_err err;
} hv_scout_job;

typedef enum hv_admitter_state { HV_ADMITTER_NONE, HV_ADMITTER_RUNS, HV_ADMITTER_ENDED } hv_admitter_state;

typedef struct hv_admitter {
    hv_scout *scout;
    pthread_t thread;
    hv_heart *heart;
} hv_admitter;

struct hv_scout {
    hv_capture *capture;
    hv_chain chain;                     /* stops with `cancelled` */
    pthread_t thread;
    hv_scout_hub *hubs;
    size_t hub_count, hub_room;
    hv_past past;
    struct {                            /* a look at the hubs that is not over: jobs of it are under way */
        hv_tell *tell;                  /* NULL: none */
        size_t jobs;
        bool settling;
    } discovery;
    hv_scout_question *put_off;         /* until a time, or until the hub is not busy any more */
    int64_t next_discovery_boot_ms;
    _Atomic int64_t ask_policy_boot_ms; /* a service that has no such question may let it run into its time: not asked before */
    atomic_bool cancelled;              /* admissions end as soon as they can, and none begins */
    hv_admitter admitters[HV_ADMITTERS];

    pthread_mutex_t lock;
    pthread_cond_t changed;             /* for the thread of the scout */
    pthread_cond_t work;                /* for the admitters */
    struct {                            /* touched only while holding `lock` */
        hv_scout_question *first, **last;
        bool stopping;
        bool discover;                  /* now */
        hv_scout_job *waiting;          /* something of it may be begun */
        hv_scout_job *done, **done_last;
        size_t unfinished;              /* jobs */
        size_t steps;                   /* that they consist of, at most: how many admitters can be of use */
        size_t working, ended;          /* admitters that run; that have to be joined */
        hv_admitter_state states[HV_ADMITTERS];
    } locked;
};

/* ---- scout.c ---- */

/* Takes it over. It is asked again then, unless the hub is busy: then as soon as it is not. */
void hv_scout_put_off(hv_scout *scout, hv_scout_question *what, int64_t due_boot_ms);

/* ---- scout_hubs.c: what is known of the hubs ---- */

bool hv_scout_is_busy(hv_scout *scout, const char *hub);
void hv_scout_look_for_hubs(hv_scout *scout);
void hv_scout_expect_hub(hv_scout *scout, const char *hub);
/* What these ask for begins, or is put off or told to have failed. They may take the places. */
void hv_scout_claim_next(hv_scout *scout, hv_scout_question *what);
void hv_scout_admit_places(hv_scout *scout, hv_scout_question *what, const hv_source_hub *hubs, size_t count);
void hv_scout_refuse_places(hv_scout *scout, const hv_scout_question *what, hv_rc rc, const hv_err *err);
/* Takes it over. */
void hv_scout_job_done(hv_scout *scout, hv_scout_job *job);

/* ---- scout_admit.c: what has to be known before a partition is read ---- */

/* Partitions have no numbers yet, or those of the job. */
hv_tell *hv_scout_new_tell(hv_tell_kind kind, const char *hub, size_t partitions);
hv_tell *hv_scout_new_admitted(const hv_scout_job *job);
hv_rc hv_scout_no_memory(hv_err *err);

/* Low and high of the partitions of a tell; what the source does not say stays -1, and is an error of that partition if `required`. */
void hv_scout_fill_watermarks(hv_scout *scout, hv_tell *tell, bool required);
/* What the hub does with old events. Unknown is good enough to begin with: the next discoveries ask again. *known if it was answered. */
void hv_scout_ask_policy(hv_scout *scout, const char *hub, bool *known, hv_source_hub_policy *ret);

/* Any thread. First the hub of a job, or all of one that settles; then each partition of job->tell, in any order and at the same time. */
hv_rc hv_scout_ask_hub(hv_scout *scout, hv_scout_job *job, hv_err *err) HV_MUST_USE;
hv_rc hv_scout_ask_partition(hv_scout *scout, hv_scout_job *job, size_t partition, hv_heart *heart, hv_err *err) HV_MUST_USE;

/* ---- scout_jobs.c: several at the same time ---- */

/* Takes the job over. It comes back in locked.done. */
void hv_scout_begin_job(hv_scout *scout, hv_scout_job *job);
void hv_scout_job_free(hv_scout_job *job);
/* Takes back the threads that have ended; all of them if `wait`. */
void hv_scout_join_admitters(hv_scout *scout, bool wait);

#endif
