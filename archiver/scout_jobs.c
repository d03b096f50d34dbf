/*
 * Admitters: threads that ask the store about hubs and partitions, many at a time, while the scout answers what is urgent.
 *
 * A job is one step for its hub, and then one for each partition. Whoever is free takes the next step of the first job that has one; a
 * job whose hub is known goes to the front, so that few are begun at a time. A failure ends the job when the steps that are under way
 * are over. Threads are started for the work that is there, by the thread of the scout alone, and end when nothing is left.
 *
 * Why it is safe: a step of a partition touches job->tell->partitions[its own], and nothing else of the job without the lock. Which
 * partition is whose is no question of admission: each is looked at in the store once per job, jobs of one hub come one after the other,
 * and what they find is told by the thread of the scout when all of it is there.
 */
#include <assert.h>
#include <stdlib.h>

#include "archiver/scout_internal.h"

/* A thread that walks needs some dozens of KiB: names and a transaction of the index. Sanitizers multiply that. */
enum { STACK_BYTES = 256 << 10 };

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

void
hv_scout_job_free(hv_scout_job *job)
{
    if (job == NULL)
        return;
    hv_scout_places_clear(&job->places);
    hv_past_clear(&job->past);
    hv_tell_free(job->tell);
    free(job);
}

static size_t
steps_of(const hv_scout_job *job)
{
    size_t partitions = job->places.count > 0 ? job->places.count : (size_t)(job->to - job->from);

    return partitions > 0 ? partitions : 1;
}

/* ---- while holding the lock ---- */

static void
put_first(hv_scout *scout, hv_scout_job *job)
{
    job->next = scout->locked.waiting;
    scout->locked.waiting = job;
}

static void
put_last(hv_scout *scout, hv_scout_job *job)
{
    hv_scout_job **last = &scout->locked.waiting;

    while (*last != NULL)
        last = &(*last)->next;
    job->next = NULL;
    *last = job;
}

static void
take_out(hv_scout *scout, const hv_scout_job *job)
{
    hv_scout_job **at = &scout->locked.waiting;

    while (*at != NULL && *at != job)
        at = &(*at)->next;
    if (*at != NULL)
        *at = job->next;
}

static void
finish(hv_scout *scout, hv_scout_job *job)
{
    job->next = NULL;
    *scout->locked.done_last = job;
    scout->locked.done_last = &job->next;
    scout->locked.unfinished--;
    scout->locked.steps -= steps_of(job);
    must(pthread_cond_signal(&scout->changed));
    if (scout->locked.unfinished == 0)
        must(pthread_cond_broadcast(&scout->work));
}

static void
fail(hv_scout_job *job, hv_rc rc, const hv_err *err)
{
    if (job->rc != HV_OK)
        return;
    job->rc = rc;
    job->err = *err;
}

/* Gives the lock away meanwhile. */
static void
do_hub(hv_scout *scout, hv_scout_job *job)
{
    hv_err err;

    job->begun = true;
    take_out(scout, job);
    must(pthread_mutex_unlock(&scout->lock));
    hv_rc rc = hv_scout_ask_hub(scout, job, &err);
    must(pthread_mutex_lock(&scout->lock));
    if (rc != HV_OK)
        fail(job, rc, &err);
    if (rc != HV_OK || job->tell == NULL || job->tell->partition_count == 0) {
        finish(scout, job);
        return;
    }
    put_first(scout, job);
    must(pthread_cond_broadcast(&scout->work));
}

static void
do_partition(hv_scout *scout, hv_scout_job *job, hv_heart *heart)
{
    size_t mine = job->next_partition++, count = job->tell->partition_count;
    hv_err err;

    if (job->next_partition == count)
        take_out(scout, job);
    job->running++;
    must(pthread_mutex_unlock(&scout->lock));
    hv_rc rc = hv_scout_ask_partition(scout, job, mine, heart, &err);
    must(pthread_mutex_lock(&scout->lock));
    job->running--;
    if (rc != HV_OK && job->next_partition < count) {
        take_out(scout, job);
        job->next_partition = count;
    }
    if (rc != HV_OK)
        fail(job, rc, &err);
    if (job->running == 0 && job->next_partition == count)
        finish(scout, job);
}

static void *
admit(void *arg)
{
    hv_admitter *admitter = arg;
    hv_scout *scout = admitter->scout;

    must(pthread_mutex_lock(&scout->lock));
    while (scout->locked.unfinished > 0) {
        hv_scout_job *job = scout->locked.waiting;
        if (job == NULL) {
            hv_heart_rest(admitter->heart);
            must(pthread_cond_wait(&scout->work, &scout->lock));
            continue;
        }
        hv_heart_beat(admitter->heart);
        if (job->begun)
            do_partition(scout, job, admitter->heart);
        else
            do_hub(scout, job);
    }
    hv_heart_rest(admitter->heart);
    scout->locked.states[admitter - scout->admitters] = HV_ADMITTER_ENDED;
    scout->locked.working--;
    scout->locked.ended++;
    must(pthread_cond_signal(&scout->changed));
    must(pthread_mutex_unlock(&scout->lock));
    return NULL;
}

/* ---- the thread of the scout ---- */

static bool
start_one(hv_admitter *admitter)
{
    pthread_attr_t small;

    must(pthread_attr_init(&small));
    must(pthread_attr_setstacksize(&small, STACK_BYTES));
    bool started = pthread_create(&admitter->thread, &small, admit, admitter) == 0;
    must(pthread_attr_destroy(&small));
    return started;
}

/* As many as can be of use; false if there is none at all. */
static bool
start_admitters(hv_scout *scout)
{
    bool started = true;

    must(pthread_mutex_lock(&scout->lock));
    for (size_t a = 0; a < HV_ADMITTERS && started; a++) {
        hv_admitter *admitter = &scout->admitters[a];
        if (scout->locked.states[a] != HV_ADMITTER_NONE || scout->locked.working >= scout->locked.steps)
            continue;
        scout->locked.states[a] = HV_ADMITTER_RUNS;
        scout->locked.working++;
        must(pthread_mutex_unlock(&scout->lock));
        *admitter = (hv_admitter){.scout = scout, .heart = &scout->capture->admitter_hearts[a]};
        started = start_one(admitter);
        must(pthread_mutex_lock(&scout->lock));
        if (!started) {
            scout->locked.states[a] = HV_ADMITTER_NONE;
            scout->locked.working--;
        }
    }
    bool any = scout->locked.working > 0 || scout->locked.unfinished == 0;
    must(pthread_mutex_unlock(&scout->lock));
    return any;
}

void
hv_scout_begin_job(hv_scout *scout, hv_scout_job *job)
{
    hv_err err;

    hv_scout_join_admitters(scout, false);
    must(pthread_mutex_lock(&scout->lock));
    put_last(scout, job);
    scout->locked.unfinished++;
    scout->locked.steps += steps_of(job);
    must(pthread_cond_broadcast(&scout->work));
    must(pthread_mutex_unlock(&scout->lock));
    if (start_admitters(scout))
        return;
    (void)hv_err_set(&err, HV_NOMEM, "cannot start a thread that admits partitions");
    must(pthread_mutex_lock(&scout->lock));
    take_out(scout, job);               /* nobody runs, so nobody has it */
    fail(job, HV_NOMEM, &err);
    finish(scout, job);
    must(pthread_mutex_unlock(&scout->lock));
}

void
hv_scout_join_admitters(hv_scout *scout, bool wait)
{
    for (size_t a = 0; a < HV_ADMITTERS; a++) {
        must(pthread_mutex_lock(&scout->lock));
        hv_admitter_state state = scout->locked.states[a];
        must(pthread_mutex_unlock(&scout->lock));
        if (state == HV_ADMITTER_NONE || (state == HV_ADMITTER_RUNS && !wait))
            continue;
        must(pthread_join(scout->admitters[a].thread, NULL));
        must(pthread_mutex_lock(&scout->lock));
        scout->locked.states[a] = HV_ADMITTER_NONE;
        scout->locked.ended--;
        must(pthread_mutex_unlock(&scout->lock));
    }
}
