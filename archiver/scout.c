/*
 * One thread, one list of questions. Whatever fails is asked again: a hub that could not be admitted is met again by the next
 * discovery, because only what was admitted is remembered.
 */
#include "archiver/scout_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "archiver/index_follower.h"
#include "archiver/insist.h"
#include "common/clock.h"
#include "segment/vault_marker.h"

enum { ASK_MS = 10000, FIRST_DISCOVERY_AGAIN_MS = 500 };

typedef enum question_kind { ASK_WATERMARKS, ASK_IDENTITIES, EXPECT_HUB, CLAIM_NEXT, ADMIT } question_kind;

typedef struct scout_question {
    struct scout_question *next;
    question_kind kind;
    char hub[HV_HUB_SIZE];
    int32_t partition;
    uint32_t after;
    int cause;
    hv_scout_places places;             /* owned; of CLAIM_NEXT (none: all partitions) and ADMIT */
} question;

static void
question_free(question *what)
{
    if (what == NULL)
        return;
    hv_scout_places_clear(&what->places);
    free(what);
}

/* Takes over the places. */
static void
ask(hv_scout *scout, question *what)
{
    question *copy = hv_insist(sizeof *copy);           /* somebody waits for the answer */

    *copy = *what;
    what->places = (hv_scout_places){0};
    copy->next = NULL;
    pthread_mutex_lock(&scout->lock);
    *scout->locked.last = copy;
    scout->locked.last = &copy->next;
    pthread_cond_signal(&scout->changed);
    pthread_mutex_unlock(&scout->lock);
}

void
hv_scout_watermarks(hv_scout *scout, const char *hub, int32_t partition)
{
    question what = {.kind = ASK_WATERMARKS, .partition = partition};

    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_identities(hv_scout *scout)
{
    question what = {.kind = ASK_IDENTITIES};

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
    question what = {.kind = EXPECT_HUB};

    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_claim(hv_scout *scout, const char *hub, uint32_t after, int cause, hv_scout_places *places)
{
    question what = {.kind = CLAIM_NEXT, .after = after, .cause = cause, .places = *places};

    *places = (hv_scout_places){0};
    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_admit(hv_scout *scout, const char *hub, hv_scout_places *places)
{
    question what = {.kind = ADMIT, .places = *places};

    *places = (hv_scout_places){0};
    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

static void
tell_returned(hv_scout *scout, hv_scout_hub *known, const hv_source_hub *hub)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_RETURNED, known->name, (size_t)hub->partitions);

    (void)snprintf(tell->identity, sizeof tell->identity, "%s", hub->identity);
    for (int32_t p = 0; p < hub->partitions; p++)
        tell->partitions[p].number = p;
    hv_scout_fill_watermarks(scout, tell, true);
    for (size_t p = 0; p < tell->partition_count; p++)
        if (tell->partitions[p].rc != HV_OK) {          /* not really back yet */
            hv_tell_free(tell);
            return;
        }
    known->expected = false;
    hv_capture_tell(scout->capture, tell);
}

static void
tell_other(hv_scout *scout, const hv_scout_hub *known, const hv_source_hub *hub)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_OTHER, known->name, 0);

    (void)snprintf(tell->identity, sizeof tell->identity, "%s", hub->identity);
    hv_capture_tell(scout->capture, tell);
}

static void
tell_policy(hv_scout *scout, hv_scout_hub *known)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_POLICY, known->name, 0);

    hv_scout_ask_policy(scout, known, &tell->policy);
    hv_capture_tell(scout->capture, tell);
}

static hv_rc
meet(hv_scout *scout, const hv_source_hub *hub, hv_err *err)
{
    hv_scout_hub *known = hv_scout_add_known(scout, hub->name);

    if (known == NULL)
        return hv_scout_no_memory(err);
    if (known->expected)
        tell_returned(scout, known, hub);
    else if (known->identity[0] != '\0' && strcmp(known->identity, hub->identity) != 0) {
        tell_other(scout, known, hub);
        return HV_OK;
    }
    if (known->incarnation != 0 && !known->policy_known)
        tell_policy(scout, known);
    if (hub->partitions <= known->admitted || scout->capture->membership != NULL)
        return HV_OK;                   /* with a group, what it gives us is admitted, and nothing else */
    hv_scout_admission of = {.identity = hub->identity, .from = known->admitted, .to = hub->partitions, .places = &(hv_scout_places){0},
        .claim_cause = HV_INCARNATION_FIRST};
    return hv_scout_admit_hub(scout, known, &of, err);
}

/* The group shares out exactly the hubs that we would capture if we were alone. */
static hv_rc
subscribe(hv_scout *scout, const hv_source_hub *hubs, size_t count, hv_err *err)
{
    hv_membership *membership = scout->capture->membership;
    size_t wanted = 0;

    if (membership == NULL)
        return HV_OK;
    const char **names = calloc(count + 1, sizeof *names);
    if (names == NULL)
        return hv_scout_no_memory(err);
    for (size_t h = 0; h < count; h++)
        if (hubs[h].partitions > 0)
            names[wanted++] = hubs[h].name;
    hv_rc rc = membership->ops->subscribe(membership, names, wanted, err);
    free(names);
    return rc;
}

static void
discover(hv_scout *scout)
{
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_tell *tell = hv_scout_new_tell(HV_TELL_DISCOVERED, "", 0);
    hv_err err, last_err;

    tell->rc = source->ops->hubs(source, ASK_MS, &hubs, &count, &last_err);
    if (tell->rc == HV_OK)
        hv_index_follower_hubs(hv_engine_follower(scout->capture->engine), hubs, count);
    if (tell->rc == HV_OK)
        tell->rc = subscribe(scout, hubs, count, &last_err);
    for (size_t h = 0; tell->rc == HV_OK && h < count && !hv_scout_is_stopping(scout); h++) {
        hv_heart_beat(&scout->capture->scout_heart);
        hv_rc rc = meet(scout, &hubs[h], &err);
        if (rc != HV_OK) {
            tell->rc = rc;
            last_err = err;
            (void)hv_err_prefix(&last_err, "hub '%s'", hubs[h].name);
        }
    }
    free(hubs);
    hv_past_settle(&scout->past, scout->capture->engine);
    if (tell->rc != HV_OK)
        tell->err = last_err;
    bool soon = tell->rc != HV_OK;
    for (size_t h = 0; h < scout->hub_count; h++)
        soon = soon || scout->hubs[h].expected;
    int64_t pause_ms = hv_engine_tuned_of(scout->capture->engine)->discovery_ms;
    scout->next_discovery_boot_ms = hv_clock_boot_ms() + (soon && pause_ms > FIRST_DISCOVERY_AGAIN_MS ? FIRST_DISCOVERY_AGAIN_MS : pause_ms);
    hv_capture_tell(scout->capture, tell);
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

    tell->rc = source->ops->hubs(source, ASK_MS, &tell->hubs, &tell->hub_count, &tell->err);
    hv_capture_tell(scout->capture, tell);
}

static const hv_source_hub *
find_listed(const hv_source_hub *hubs, size_t count, const char *name)
{
    for (size_t h = 0; h < count; h++)
        if (strcmp(hubs[h].name, name) == 0 && hubs[h].partitions > 0)
            return &hubs[h];
    return NULL;
}

static void
claim(hv_scout *scout, question *what)
{
    hv_scout_hub *known = hv_scout_add_known(scout, what->hub);
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_err err;

    hv_rc rc = known == NULL ? hv_scout_no_memory(&err) : source->ops->hubs(source, ASK_MS, &hubs, &count, &err);
    const hv_source_hub *hub = rc == HV_OK ? find_listed(hubs, count, what->hub) : NULL;
    if (rc == HV_OK && hub == NULL)
        rc = hv_err_set(&err, HV_UNAVAILABLE, "the hub is not listed now");
    if (rc == HV_OK) {
        bool moved = known->incarnation > what->after;  /* an hv_scout_admission has come upon the next incarnation, or made it */
        hv_scout_admission of = {.identity = hub->identity, .to = hub->partitions, .places = &what->places,
            .claim_cause = moved ? HV_INCARNATION_FIRST : what->cause, .claimed = true};
        rc = hv_scout_admit_hub(scout, known, &of, &err);
    }
    free(hubs);
    if (rc == HV_OK)
        return;
    (void)hv_err_prefix(&err, "next incarnation of hub '%s'", what->hub);
    hv_capture_trouble(scout->capture, NULL, &err);
    (void)nanosleep(&(struct timespec){.tv_nsec = FIRST_DISCOVERY_AGAIN_MS * 1000000L}, NULL);
    if (!hv_scout_is_stopping(scout))
        ask(scout, what);
}

/* The next question, or NULL when it is time for a discovery. *stopping when the end is near. */
static question *
next_question(hv_scout *scout, bool *stopping)
{
    question *what = NULL;

    hv_heart_rest(&scout->capture->scout_heart);
    pthread_mutex_lock(&scout->lock);
    while (!scout->locked.stopping && scout->locked.first == NULL) {
        int64_t wait_ms = scout->next_discovery_boot_ms - hv_clock_boot_ms();
        struct timespec until;
        if (wait_ms <= 0 || scout->locked.discover)
            break;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += wait_ms / 1000;
        until.tv_nsec += wait_ms % 1000 * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&scout->changed, &scout->lock, &until);
    }
    *stopping = scout->locked.stopping;
    if (scout->locked.first != NULL) {
        what = scout->locked.first;
        scout->locked.first = what->next;
        if (scout->locked.first == NULL)
            scout->locked.last = &scout->locked.first;
    }
    if (what == NULL)
        scout->locked.discover = false;
    pthread_mutex_unlock(&scout->lock);
    hv_heart_beat(&scout->capture->scout_heart);
    return what;
}

static hv_rc
admit_places(hv_scout *scout, const question *what, const hv_source_hub *hubs, size_t count, hv_err *err)
{
    hv_scout_hub *known = hv_scout_add_known(scout, what->hub);
    const hv_source_hub *hub = find_listed(hubs, count, what->hub);

    if (known == NULL)
        return hv_scout_no_memory(err);
    if (hub == NULL)
        return hv_err_set(err, HV_UNAVAILABLE, "the hub is not listed now");
    hv_scout_admission of = {.identity = hub->identity, .to = hub->partitions, .places = &what->places, .claim_cause = HV_INCARNATION_FIRST};
    return hv_scout_admit_hub(scout, known, &of, err);
}

static void
tell_not_admitted(hv_scout *scout, const question *what, hv_rc rc, const hv_err *err)
{
    hv_scout_admission of = {.places = &what->places};
    hv_tell *tell = hv_scout_new_admitted(what->hub, &of);

    tell->rc = rc;
    tell->err = *err;
    (void)hv_err_prefix(&tell->err, "hub '%s'", what->hub);
    hv_capture_tell(scout->capture, tell);
}

static bool
next_is_admit(hv_scout *scout)
{
    pthread_mutex_lock(&scout->lock);
    bool is = !scout->locked.stopping && scout->locked.first != NULL && scout->locked.first->kind == ADMIT;
    pthread_mutex_unlock(&scout->lock);
    return is;
}

/* This question and those of its kind right behind it: a rebalance concerns many hubs, and one listing serves them all. */
static void
answer_admits(hv_scout *scout, const question *first)
{
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    question *what = NULL;
    bool stopping = false;
    hv_err listing_err, err;

    hv_rc listed = source->ops->hubs(source, ASK_MS, &hubs, &count, &listing_err);
    for (const question *at = first; at != NULL && !stopping; at = what) {
        err = listing_err;
        hv_rc rc = listed != HV_OK ? listed : admit_places(scout, at, hubs, count, &err);
        if (rc != HV_OK)
            tell_not_admitted(scout, at, rc, &err);
        question_free(what);
        what = next_is_admit(scout) ? next_question(scout, &stopping) : NULL;
    }
    question_free(what);
    free(hubs);
}

static void
answer(hv_scout *scout, question *what)
{
    hv_scout_hub *known;

    switch (what->kind) {
    case ASK_WATERMARKS:
        answer_watermarks(scout, what);
        break;
    case ASK_IDENTITIES:
        answer_identities(scout);
        break;
    case EXPECT_HUB:
        known = hv_scout_find_known(scout, what->hub);
        if (known != NULL)
            known->expected = true;
        scout->next_discovery_boot_ms = hv_clock_boot_ms() + FIRST_DISCOVERY_AGAIN_MS;
        break;
    case CLAIM_NEXT:
        claim(scout, what);
        break;
    case ADMIT:
        answer_admits(scout, what);
        break;
    }
}

static void *
run(void *arg)
{
    hv_scout *scout = arg;
    bool stopping = false;

    while (!stopping) {
        question *what = next_question(scout, &stopping);
        if (what != NULL && !stopping)
            answer(scout, what);
        else if (!stopping)
            discover(scout);
        question_free(what);
    }
    hv_heart_rest(&scout->capture->scout_heart);
    return NULL;
}

static void
scout_free(hv_scout *scout)
{
    for (question *what = scout->locked.first, *next; what != NULL; what = next) {
        next = what->next;
        question_free(what);
    }
    free(scout->hubs);
    hv_past_clear(&scout->past);
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
    scout->chain = (hv_chain){.storage = config->storage, .vault = config->vault};
    scout->locked.last = &scout->locked.first;
    pthread_mutex_init(&scout->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scout->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret = scout;                       /* the thread may tell, and be asked, at once */
    if (pthread_create(&scout->thread, NULL, run, scout) != 0) {
        *ret = NULL;
        scout_free(scout);
        return hv_err_set(err, HV_IO, "cannot start the scout thread");
    }
    return HV_OK;
}

void
hv_scout_stop(hv_scout *scout)
{
    if (scout == NULL)
        return;
    pthread_mutex_lock(&scout->lock);
    scout->locked.stopping = true;
    pthread_cond_signal(&scout->changed);
    pthread_mutex_unlock(&scout->lock);
    pthread_join(scout->thread, NULL);
    scout_free(scout);
}
