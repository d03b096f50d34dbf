/*
 * One thread, one list of questions. What the store has to be asked for is a job of the admitters (scout_jobs.c), so that what is urgent,
 * the identities above all, without which nothing is sealed, does not wait for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "archiver/insist.h"
#include "archiver/scout_internal.h"
#include "common/clock.h"

typedef hv_scout_question question;

static void
question_free(question *what)
{
    if (what == NULL)
        return;
    hv_scout_places_clear(&what->places);
    free(what);
}

static void
append(hv_scout *scout, question *what)
{
    what->next = NULL;
    pthread_mutex_lock(&scout->lock);
    *scout->locked.last = what;
    scout->locked.last = &what->next;
    pthread_cond_signal(&scout->changed);
    pthread_mutex_unlock(&scout->lock);
}

/* Takes over the places. */
static void
ask(hv_scout *scout, question *what)
{
    question *copy = hv_insist(sizeof *copy);           /* somebody waits for the answer */

    *copy = *what;
    what->places = (hv_scout_places){0};
    append(scout, copy);
}

void
hv_scout_watermarks(hv_scout *scout, const char *hub, int32_t partition)
{
    question what = {.kind = HV_ASK_WATERMARKS, .partition = partition};

    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_identities(hv_scout *scout)
{
    question what = {.kind = HV_ASK_IDENTITIES};

    ask(scout, &what);
}

void
hv_scout_discover(hv_scout *scout)
{
    pthread_mutex_lock(&scout->lock);
    scout->locked.discover = true;
    pthread_cond_signal(&scout->changed);
    pthread_mutex_unlock(&scout->lock);
}

void
hv_scout_expect(hv_scout *scout, const char *hub)
{
    question what = {.kind = HV_ASK_EXPECT};

    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_claim(hv_scout *scout, const char *hub, uint32_t after, int cause, hv_scout_places *places)
{
    question what = {.kind = HV_ASK_CLAIM, .after = after, .cause = cause, .places = *places};

    *places = (hv_scout_places){0};
    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_admit(hv_scout *scout, const char *hub, hv_scout_places *places)
{
    question what = {.kind = HV_ASK_ADMIT, .places = *places};

    *places = (hv_scout_places){0};
    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_put_off(hv_scout *scout, question *what, int64_t due_boot_ms)
{
    question **last = &scout->put_off;

    while (*last != NULL)
        last = &(*last)->next;
    *last = what;
    what->next = NULL;
    what->due_boot_ms = due_boot_ms;
}

/* Those whose time has come, back into the list; in their order. */
static void
take_up(hv_scout *scout)
{
    int64_t now = hv_clock_boot_ms();

    for (question **at = &scout->put_off; *at != NULL;) {
        question *what = *at;
        if (now < what->due_boot_ms || hv_scout_is_busy(scout, what->hub)) {
            at = &what->next;
            continue;
        }
        *at = what->next;
        append(scout, what);
    }
}

static void
answer_watermarks(hv_scout *scout, const question *what)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_WATERMARKS, what->hub, 1);

    tell->partitions[0].number = what->partition;
    hv_scout_fill_watermarks(scout, tell, true);
    hv_capture_tell(scout->capture, tell);
}

static void
answer_identities(hv_scout *scout)
{
    hv_source *source = scout->capture->source;
    hv_tell *tell = hv_scout_new_tell(HV_TELL_IDENTITIES, "", 0);

    tell->rc = source->ops->hubs(source, HV_SCOUT_ASK_MS, &tell->hubs, &tell->hub_count, &tell->err);
    hv_capture_tell(scout->capture, tell);
}

/* ---- what is next ---- */

typedef struct turn {
    question *what;
    hv_scout_job *done;
    bool discover;                      /* it is time for a discovery */
    bool stopping;
} turn;

/* When something has to be done that nobody will wake us for. */
static int64_t
due_boot_ms(const hv_scout *scout)
{
    int64_t now = hv_clock_boot_ms(), due = scout->discovery.tell == NULL ? scout->next_discovery_boot_ms : INT64_MAX;

    for (const question *what = scout->put_off; what != NULL; what = what->next)
        if (what->due_boot_ms > now && what->due_boot_ms < due)
            due = what->due_boot_ms;
    return due;
}

/* While holding the lock: until somebody wakes us, or that time has come. */
static void
wait_until(hv_scout *scout, int64_t due)
{
    struct timespec until;

    if (due == INT64_MAX) {
        (void)pthread_cond_wait(&scout->changed, &scout->lock);
        return;
    }
    int64_t wait_ms = due - hv_clock_boot_ms();
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_cond_timedwait(&scout->changed, &scout->lock, &until);
}

static question *
take_question(hv_scout *scout)
{
    question *what = scout->locked.first;

    if (what == NULL)
        return NULL;
    scout->locked.first = what->next;
    if (scout->locked.first == NULL)
        scout->locked.last = &scout->locked.first;
    return what;
}

static hv_scout_job *
take_done(hv_scout *scout)
{
    hv_scout_job *job = scout->locked.done;

    if (job == NULL)
        return NULL;
    scout->locked.done = job->next;
    if (scout->locked.done == NULL)
        scout->locked.done_last = &scout->locked.done;
    return job;
}

/* Questions first, they are urgent. Nothing at all: threads have ended, or the time of what was put off has come. */
static turn
next_turn(hv_scout *scout)
{
    turn next = {0};

    hv_heart_rest(&scout->capture->scout_heart);
    pthread_mutex_lock(&scout->lock);
    for (;;) {
        bool cancelled = atomic_load(&scout->cancelled);
        int64_t due = cancelled ? INT64_MAX : due_boot_ms(scout);
        bool discover = !cancelled && scout->discovery.tell == NULL && scout->locked.discover;
        next.stopping = scout->locked.stopping;
        if (next.stopping || (next.what = take_question(scout)) != NULL || (next.done = take_done(scout)) != NULL)
            break;
        if (discover || hv_clock_boot_ms() >= due || scout->locked.ended > 0) {
            next.discover = discover || (scout->discovery.tell == NULL && !cancelled && hv_clock_boot_ms() >= scout->next_discovery_boot_ms);
            scout->locked.discover = scout->locked.discover && !next.discover;
            break;
        }
        wait_until(scout, due);
    }
    pthread_mutex_unlock(&scout->lock);
    hv_heart_beat(&scout->capture->scout_heart);
    return next;
}

/* ---- answers ---- */

/* The next one, if it asks for an admission, too. */
static question *
take_admit(hv_scout *scout)
{
    question *what = NULL;

    pthread_mutex_lock(&scout->lock);
    if (!scout->locked.stopping && scout->locked.first != NULL && scout->locked.first->kind == HV_ASK_ADMIT)
        what = take_question(scout);
    pthread_mutex_unlock(&scout->lock);
    return what;
}

/* This question and those of its kind right behind it: a rebalance concerns many hubs, and one listing serves them all. */
static void
answer_admits(hv_scout *scout, question *what)
{
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_err err;

    hv_rc listed = source->ops->hubs(source, HV_SCOUT_ASK_MS, &hubs, &count, &err);
    for (; what != NULL; what = take_admit(scout)) {
        if (hv_scout_is_busy(scout, what->hub)) {
            hv_scout_put_off(scout, what, 0);
            continue;
        }
        if (listed != HV_OK)
            hv_scout_refuse_places(scout, what, listed, &err);
        else
            hv_scout_admit_places(scout, what, hubs, count);
        question_free(what);
    }
    free(hubs);
}

static void
answer_claim(hv_scout *scout, question *what)
{
    if (hv_scout_is_busy(scout, what->hub)) {
        hv_scout_put_off(scout, what, 0);
        return;
    }
    hv_scout_claim_next(scout, what);
    question_free(what);
}

/* Takes it over. */
static void
answer(hv_scout *scout, question *what)
{
    bool cancelled = atomic_load(&scout->cancelled);

    switch (what->kind) {
    case HV_ASK_WATERMARKS:
        answer_watermarks(scout, what);
        break;
    case HV_ASK_IDENTITIES:
        answer_identities(scout);
        break;
    case HV_ASK_EXPECT:
        hv_scout_expect_hub(scout, what->hub);
        break;
    case HV_ASK_CLAIM:
        if (!cancelled)
            answer_claim(scout, HV_TAKE(what));
        break;
    case HV_ASK_ADMIT:
        if (!cancelled)
            answer_admits(scout, HV_TAKE(what));
        break;
    }
    question_free(what);
}

static void *
run(void *arg)
{
    hv_scout *scout = arg;

    for (;;) {
        turn next = next_turn(scout);
        if (next.stopping)
            break;
        hv_scout_join_admitters(scout, false);
        if (next.what != NULL)
            answer(scout, next.what);
        else if (next.done != NULL)
            hv_scout_job_done(scout, next.done);
        else if (next.discover)
            hv_scout_look_for_hubs(scout);
        take_up(scout);
    }
    hv_heart_rest(&scout->capture->scout_heart);
    return NULL;
}

static void
free_questions(question *first)
{
    for (question *what = first, *next; what != NULL; what = next) {
        next = what->next;
        question_free(what);
    }
}

static void
free_jobs(hv_scout_job *first)
{
    for (hv_scout_job *job = first, *next; job != NULL; job = next) {
        next = job->next;
        hv_scout_job_free(job);
    }
}

static void
scout_free(hv_scout *scout)
{
    free_questions(scout->locked.first);
    free_questions(scout->put_off);
    free_jobs(scout->locked.done);
    hv_tell_free(scout->discovery.tell);
    free(scout->hubs);
    hv_past_clear(&scout->past);
    pthread_cond_destroy(&scout->work);
    pthread_cond_destroy(&scout->changed);
    pthread_mutex_destroy(&scout->lock);
    free(scout);
}

hv_rc
hv_scout_start(hv_capture *capture, hv_scout **ret, hv_err *err)
{
    const hv_archiver_config *config = hv_engine_config(capture->engine);
    hv_scout *scout = calloc(1, sizeof *scout);
    pthread_condattr_t monotonic;

    if (scout == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a scout");
    scout->capture = capture;
    scout->chain = (hv_chain){.storage = config->storage, .vault = config->vault, .stop = &scout->cancelled};
    scout->locked.last = &scout->locked.first;
    scout->locked.done_last = &scout->locked.done;
    pthread_mutex_init(&scout->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scout->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&scout->work, NULL);
    *ret = scout;                       /* the thread may tell, and be asked, at once */
    if (pthread_create(&scout->thread, NULL, run, scout) != 0) {
        *ret = NULL;
        scout_free(scout);
        return hv_err_set(err, HV_IO, "cannot start the scout thread");
    }
    return HV_OK;
}

void
hv_scout_wind_up(hv_scout *scout)
{
    pthread_mutex_lock(&scout->lock);
    atomic_store(&scout->cancelled, true);
    pthread_cond_signal(&scout->changed);
    pthread_mutex_unlock(&scout->lock);
}

void
hv_scout_stop(hv_scout *scout)
{
    if (scout == NULL)
        return;
    pthread_mutex_lock(&scout->lock);
    atomic_store(&scout->cancelled, true);
    scout->locked.stopping = true;
    pthread_cond_signal(&scout->changed);
    pthread_mutex_unlock(&scout->lock);
    pthread_join(scout->thread, NULL);
    hv_scout_join_admitters(scout, true);
    scout_free(scout);
}
