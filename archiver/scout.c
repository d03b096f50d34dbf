/*
 * One thread, one list of questions. Whatever fails is asked again: a hub that could not be admitted is met again by the next
 * discovery, because only what was admitted is remembered.
 */
#include "archiver/scout.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "archiver/incarnation.h"
#include "archiver/insist.h"
#include "common/array.h"
#include "common/clock.h"

enum { ASK_MS = 10000, ASK_POLICY_MS = 1500, POLICY_AGAIN_MS = 10 * 60 * 1000, FIRST_DISCOVERY_AGAIN_MS = 500 };

typedef enum question_kind { ASK_WATERMARKS, ASK_IDENTITIES, EXPECT_HUB, CLAIM_NEXT } question_kind;

typedef struct question {
    struct question *next;
    question_kind kind;
    char hub[HV_HUB_SIZE];
    int32_t partition;
    uint32_t after;
    int cause;
} question;

/* What the scout remembers of a hub. */
typedef struct known_hub {
    char name[HV_HUB_SIZE];
    int32_t admitted;                   /* partitions told so far */
    uint32_t incarnation;
    char identity[128];                 /* when it was admitted; empty: the source has none */
    bool policy_known;                  /* the source has answered, if only that it does not say */
    bool expected;                      /* vanished; tell when it is back */
} known_hub;

struct hv_scout {
    hv_capture *capture;
    hv_chain chain;
    pthread_t thread;
    known_hub *hubs;
    size_t hub_count, hub_room;
    int64_t next_discovery_boot_ms;
    int64_t ask_policy_boot_ms;         /* a service that has no such question may let it run into its time: not asked before */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        question *first, **last;
        bool stopping;
    } locked;
};

static void
ask(hv_scout *scout, const question *what)
{
    question *copy = hv_insist(sizeof *copy);        /* somebody waits for the answer */

    *copy = *what;
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
hv_scout_expect(hv_scout *scout, const char *hub)
{
    question what = {.kind = EXPECT_HUB};

    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

void
hv_scout_claim(hv_scout *scout, const char *hub, uint32_t after, int cause)
{
    question what = {.kind = CLAIM_NEXT, .after = after, .cause = cause};

    (void)snprintf(what.hub, sizeof what.hub, "%s", hub);
    ask(scout, &what);
}

static hv_tell *
new_tell(hv_tell_kind kind, const char *hub, size_t partitions)
{
    hv_tell *tell = hv_insist(sizeof *tell);

    tell->kind = kind;
    (void)snprintf(tell->hub, sizeof tell->hub, "%s", hub);
    tell->partitions = hv_insist((partitions + 1) * sizeof *tell->partitions);
    tell->partition_count = partitions;
    return tell;
}

static hv_rc
no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for what was found out about a hub");
}

/* Low and high of the partitions of a tell; what the source does not say stays -1. */
static void
fill_watermarks(hv_scout *scout, hv_tell *tell, bool required)
{
    hv_source *source = scout->capture->source;
    hv_source_watermarks *asked = calloc(tell->partition_count + 1, sizeof *asked);
    hv_err err;

    hv_rc rc = asked == NULL ? no_memory(&err) : HV_OK;
    for (size_t p = 0; asked != NULL && p < tell->partition_count; p++)
        asked[p] = (hv_source_watermarks){.hub = tell->hub, .partition = tell->partitions[p].number};
    if (rc == HV_OK)
        rc = source->ops->watermarks(source, asked, tell->partition_count, ASK_MS, &err);
    for (size_t p = 0; p < tell->partition_count; p++) {
        hv_admitted *partition = &tell->partitions[p];
        hv_rc one = rc != HV_OK ? rc : asked[p].rc;
        partition->low = one == HV_OK ? asked[p].low : -1;
        partition->high = one == HV_OK ? asked[p].high : -1;
        if (one != HV_OK && required) {
            partition->rc = one;
            if (rc != HV_OK)
                partition->err = err;
            else
                (void)hv_err_set(&partition->err, one, "the watermarks of %s/%d: %s", tell->hub, (int)partition->number, hv_rc_meaning(one));
        }
    }
    free(asked);
}

/* Walk the chain from our position, indexing what is complete, to its end (rule 12). */
static hv_rc
walk(hv_scout *scout, const hv_partition *partition, hv_admitted *ret, hv_err *err)
{
    hv_engine *engine = scout->capture->engine;
    int64_t later;

    hv_rc rc = hv_index_position(hv_engine_config(engine)->index, partition, &ret->position, err);
    while (rc == HV_OK) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
        rc = hv_chain_look(&scout->chain, partition, ret->position, &cut, err);
        if (rc == HV_NOT_FOUND)
            break;
        if (rc == HV_OK && !cut.complete) {
            ret->incomplete = cut;
            ret->has_incomplete = true;
            cut = (hv_chain_cut){0};
            return HV_OK;
        }
        if (rc == HV_OK)
            rc = hv_engine_record(engine, partition, &cut.facts, 1, err);
        if (rc == HV_OK)
            ret->position = cut.facts.range.end;
    }
    if (rc != HV_NOT_FOUND)
        return rc;
    rc = hv_chain_next_lead(&scout->chain, partition, ret->position, &later, err);
    if (rc == HV_OK)
        return hv_err_set(err, HV_CORRUPT,
                          "the chain of %s/%d ends at offset %lld, but the store has a cut at %lld: the index is an old copy, or segments "
                          "were taken away; run 'hubvault index rebuild' and 'hubvault verify'",
                          partition->hub, (int)partition->number, (long long)ret->position, (long long)later);
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

/* The incarnation that is captured now: as claimed in the store, else a new claim. */
static hv_rc
settle_incarnation(hv_scout *scout, const char *hub, const char *identity, uint32_t known, int claim_cause, hv_incarnation_record *ret,
                   hv_err *err)
{
    bool claim_next = claim_cause != HV_INCARNATION_FIRST;
    uint32_t number = known + 1;

    hv_rc rc = hv_incarnation_newest(&scout->chain, hub, known == 0 ? 1 : known, ret, err);
    if (rc == HV_OK && ret->incarnation > known && known != 0)
        claim_next = false;             /* another archiver was faster */
    if (rc == HV_OK && !claim_next) {
        bool other = identity[0] != '\0' && ret->identity[0] != '\0' && strcmp(identity, ret->identity) != 0;
        if (!other)
            return HV_OK;
        number = ret->incarnation + 1;
        claim_cause = HV_INCARNATION_IDENTITY;
    }
    if (rc != HV_OK && rc != HV_NOT_FOUND)
        return rc;
    hv_incarnation_record record = {.incarnation = number, .cause = (hv_incarnation_cause)claim_cause, .created_ms = hv_clock_wall_ms()};
    (void)snprintf(record.vault, sizeof record.vault, "%s", scout->chain.vault);
    (void)snprintf(record.hub, sizeof record.hub, "%s", hub);
    (void)snprintf(record.identity, sizeof record.identity, "%s", identity);
    rc = hv_incarnation_claim(&scout->chain, &record, err);
    if (rc == HV_OK)
        *ret = record;
    return rc;
}

/* Every incarnation of the hub that the store knows gets into the index, oldest first. */
static hv_rc
record_incarnations(hv_scout *scout, const char *hub, uint32_t newest, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (uint32_t number = 1; rc == HV_OK && number <= newest; number++) {
        hv_incarnation_record record;
        rc = hv_incarnation_read(&scout->chain, hub, number, &record, err);
        hv_index_incarnation entry = rc == HV_OK ? hv_incarnation_entry(&record) : (hv_index_incarnation){0};
        if (rc == HV_OK)
            rc = hv_engine_record_incarnation(scout->capture->engine, &entry, err);
    }
    return rc;
}

/* What the hub does with old events. Unknown is good enough to begin with: the next discoveries ask again. */
static void
ask_policy(hv_scout *scout, known_hub *known, hv_source_hub_policy *ret)
{
    hv_source *source = scout->capture->source;
    hv_err err;

    *ret = (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_UNKNOWN, .retention_ms = -1};
    if (hv_clock_boot_ms() < scout->ask_policy_boot_ms)
        return;
    known->policy_known = source->ops->hub_policy(source, known->name, ASK_POLICY_MS, ret, &err) == HV_OK;
    if (!known->policy_known)
        scout->ask_policy_boot_ms = hv_clock_boot_ms() + POLICY_AGAIN_MS;
}

/* Tell the capture everything it needs to read partitions from .. to - 1 of the hub. */
static hv_rc
admit(hv_scout *scout, known_hub *known, const char *identity, int32_t from, int32_t to, int claim_cause, hv_err *err)
{
    hv_incarnation_record record;

    hv_rc rc = settle_incarnation(scout, known->name, identity, known->incarnation, claim_cause, &record, err);
    if (rc == HV_OK)
        rc = record_incarnations(scout, known->name, record.incarnation, err);
    if (rc != HV_OK)
        return rc;
    hv_tell *tell = new_tell(HV_TELL_ADMITTED, known->name, (size_t)(to - from));
    tell->incarnation = record.incarnation;
    (void)snprintf(tell->identity, sizeof tell->identity, "%s", identity);
    ask_policy(scout, known, &tell->policy);
    for (int32_t p = from; p < to; p++)
        tell->partitions[p - from].number = p;
    fill_watermarks(scout, tell, hv_engine_config(scout->capture->engine)->once);
    for (int32_t p = from; rc == HV_OK && p < to; p++) {
        hv_partition partition;
        hv_admitted *one = &tell->partitions[p - from];
        rc = hv_partition_make(known->name, record.incarnation, p, &partition, err);
        if (rc == HV_OK && (hv_rc_retriable(one->rc) || one->rc == HV_NOMEM)) {         /* a leader that is not there yet: the whole hub is asked again */
            rc = one->rc;
            *err = one->err;
        }
        if (rc != HV_OK || one->rc != HV_OK)
            continue;
        rc = walk(scout, &partition, one, err);
        if (rc != HV_OK && !hv_engine_may_pass(rc)) {   /* that partition stops; the others go on */
            one->rc = rc;
            one->err = *err;
            rc = HV_OK;
        }
    }
    if (rc != HV_OK) {
        hv_tell_free(tell);
        return rc;
    }
    known->incarnation = record.incarnation;
    (void)snprintf(known->identity, sizeof known->identity, "%s", identity);
    known->admitted = to;
    known->expected = false;
    hv_capture_tell(scout->capture, tell);
    return HV_OK;
}

static known_hub *
find_known(hv_scout *scout, const char *name)
{
    for (size_t h = 0; h < scout->hub_count; h++)
        if (strcmp(scout->hubs[h].name, name) == 0)
            return &scout->hubs[h];
    return NULL;
}

static known_hub *
find_or_add_known(hv_scout *scout, const char *name)
{
    known_hub *known = find_known(scout, name);

    if (known != NULL)
        return known;
    if (!hv_array_room(&scout->hubs, scout->hub_count, &scout->hub_room, sizeof *scout->hubs))
        return NULL;
    known = &scout->hubs[scout->hub_count++];
    *known = (known_hub){0};
    (void)snprintf(known->name, sizeof known->name, "%s", name);
    return known;
}

static void
tell_returned(hv_scout *scout, known_hub *known, const hv_source_hub *hub)
{
    hv_tell *tell = new_tell(HV_TELL_RETURNED, known->name, (size_t)hub->partitions);

    (void)snprintf(tell->identity, sizeof tell->identity, "%s", hub->identity);
    for (int32_t p = 0; p < hub->partitions; p++)
        tell->partitions[p].number = p;
    fill_watermarks(scout, tell, true);
    for (size_t p = 0; p < tell->partition_count; p++)
        if (tell->partitions[p].rc != HV_OK) {          /* not really back yet */
            hv_tell_free(tell);
            return;
        }
    known->expected = false;
    hv_capture_tell(scout->capture, tell);
}

static void
tell_other(hv_scout *scout, const known_hub *known, const hv_source_hub *hub)
{
    hv_tell *tell = new_tell(HV_TELL_OTHER, known->name, 0);

    (void)snprintf(tell->identity, sizeof tell->identity, "%s", hub->identity);
    hv_capture_tell(scout->capture, tell);
}

static void
tell_policy(hv_scout *scout, known_hub *known)
{
    hv_tell *tell = new_tell(HV_TELL_POLICY, known->name, 0);

    ask_policy(scout, known, &tell->policy);
    hv_capture_tell(scout->capture, tell);
}

static hv_rc
meet(hv_scout *scout, const hv_source_hub *hub, hv_err *err)
{
    known_hub *known = find_or_add_known(scout, hub->name);

    if (known == NULL)
        return no_memory(err);
    if (known->expected)
        tell_returned(scout, known, hub);
    else if (known->identity[0] != '\0' && strcmp(known->identity, hub->identity) != 0) {
        tell_other(scout, known, hub);
        return HV_OK;
    }
    if (known->admitted > 0 && !known->policy_known)
        tell_policy(scout, known);
    if (hub->partitions > known->admitted)
        return admit(scout, known, hub->identity, known->admitted, hub->partitions, HV_INCARNATION_FIRST, err);
    return HV_OK;
}

static bool
is_stopping(hv_scout *scout)
{
    pthread_mutex_lock(&scout->lock);
    bool stopping = scout->locked.stopping;
    pthread_mutex_unlock(&scout->lock);
    return stopping;
}

static void
discover(hv_scout *scout)
{
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_tell *tell = new_tell(HV_TELL_DISCOVERED, "", 0);
    hv_err err, last_err;

    tell->rc = source->ops->hubs(source, ASK_MS, &hubs, &count, &last_err);
    for (size_t h = 0; tell->rc == HV_OK && h < count && !is_stopping(scout); h++) {
        hv_rc rc = meet(scout, &hubs[h], &err);
        if (rc != HV_OK) {
            tell->rc = rc;
            last_err = err;
            (void)hv_err_prefix(&last_err, "hub '%s'", hubs[h].name);
        }
    }
    free(hubs);
    if (tell->rc != HV_OK)
        tell->err = last_err;
    bool soon = tell->rc != HV_OK;
    for (size_t h = 0; h < scout->hub_count; h++)
        soon = soon || scout->hubs[h].expected;
    int64_t pause_ms = hv_engine_config(scout->capture->engine)->discovery_ms;
    scout->next_discovery_boot_ms = hv_clock_boot_ms() + (soon && pause_ms > FIRST_DISCOVERY_AGAIN_MS ? FIRST_DISCOVERY_AGAIN_MS : pause_ms);
    hv_capture_tell(scout->capture, tell);
}

static void
answer_watermarks(hv_scout *scout, const question *what)
{
    hv_tell *tell = new_tell(HV_TELL_WATERMARKS, what->hub, 1);

    tell->partitions[0].number = what->partition;
    fill_watermarks(scout, tell, true);
    hv_capture_tell(scout->capture, tell);
}

static void
answer_identities(hv_scout *scout)
{
    hv_source *source = scout->capture->source;
    hv_tell *tell = new_tell(HV_TELL_IDENTITIES, "", 0);

    tell->rc = source->ops->hubs(source, ASK_MS, &tell->hubs, &tell->hub_count, &tell->err);
    hv_capture_tell(scout->capture, tell);
}

static void
claim(hv_scout *scout, const question *what)
{
    known_hub *known = find_or_add_known(scout, what->hub);
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_err err;

    hv_rc rc = known == NULL ? no_memory(&err) : source->ops->hubs(source, ASK_MS, &hubs, &count, &err);
    const hv_source_hub *hub = NULL;
    for (size_t h = 0; rc == HV_OK && h < count; h++)
        if (strcmp(hubs[h].name, what->hub) == 0)
            hub = &hubs[h];
    if (rc == HV_OK && hub == NULL)
        rc = hv_err_set(&err, HV_UNAVAILABLE, "the hub is not listed now");
    if (rc == HV_OK)
        rc = admit(scout, known, hub->identity, 0, hub->partitions, what->cause, &err);
    free(hubs);
    if (rc == HV_OK)
        return;
    (void)hv_err_prefix(&err, "next incarnation of hub '%s'", what->hub);
    hv_capture_trouble(scout->capture, NULL, &err);
    (void)nanosleep(&(struct timespec){.tv_nsec = FIRST_DISCOVERY_AGAIN_MS * 1000000L}, NULL);
    if (!is_stopping(scout))
        ask(scout, what);
}

static void
answer(hv_scout *scout, const question *what)
{
    known_hub *known;

    switch (what->kind) {
    case ASK_WATERMARKS:
        answer_watermarks(scout, what);
        break;
    case ASK_IDENTITIES:
        answer_identities(scout);
        break;
    case EXPECT_HUB:
        known = find_known(scout, what->hub);
        if (known != NULL)
            known->expected = true;
        scout->next_discovery_boot_ms = hv_clock_boot_ms() + FIRST_DISCOVERY_AGAIN_MS;
        break;
    case CLAIM_NEXT:
        claim(scout, what);
        break;
    }
}

/* The next question, or NULL when it is time for a discovery. *stopping when the end is near. */
static question *
next_question(hv_scout *scout, bool *stopping)
{
    question *what = NULL;

    pthread_mutex_lock(&scout->lock);
    while (!scout->locked.stopping && scout->locked.first == NULL) {
        int64_t wait_ms = scout->next_discovery_boot_ms - hv_clock_boot_ms();
        struct timespec until;
        if (wait_ms <= 0)
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
    pthread_mutex_unlock(&scout->lock);
    return what;
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
        free(what);
    }
    return NULL;
}

static void
scout_free(hv_scout *scout)
{
    for (question *what = scout->locked.first, *next; what != NULL; what = next) {
        next = what->next;
        free(what);
    }
    free(scout->hubs);
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
