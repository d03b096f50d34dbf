/*
 * A small table of resources under one lock. Whoever finds that a token is due for renewal, and that nobody is renewing it, marks
 * the entry and goes to ask without the lock; the others take the old token as long as it lives, or wait for the end of that
 * attempt and take what it brought, success or failure. So sixteen threads cost one request, and a server that says no is asked
 * once, not sixteen times (blobfuse issues 1008 and 377 show what happens otherwise).
 *
 * Ages are measured by CLOCK_BOOTTIME, since the wall clock may jump, and from when a token was asked for: nobody says how old it
 * was when it came.
 */
#include "common/token.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/random.h"
#include "common/token_request.h"

enum {
    MAX_RESOURCES = 64,
    EARLY_MS = 5 * 60 * 1000,           /* renewed so long before the end, if the lifetime allows */
    MARGIN_MS = 10 * 1000,              /* not handed out for the last moment of its life, or its last quarter if that is shorter */
    QUIET_MS = 60 * 1000,               /* after a failed renewal while the old token lives */
    TRIES = 4,                          /* pauses of 1, 2, 4 times retry_ms */
    UPGRADE_TRIES = 8,                  /* pauses of 10 times retry_ms: 70 s */
    LONGEST_PAUSE_MS = 30 * 1000,
};

typedef struct entry {
    char *resource;
    hv_secret token;                    /* none: nothing yet */
    int64_t expires_boot_ms, renew_boot_ms, margin_ms;
    bool renewing;
    uint64_t attempts;                  /* finished ones */
    hv_err failure;                     /* of the last attempt, if it failed */
    bool failed;
} entry;

struct hv_token_provider {
    hv_token_config config;             /* with strings of our own */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock`, except in open and close */
        entry entries[MAX_RESOURCES];
        size_t count;
        bool stopped;
    } locked;
};

void
hv_token_clear(hv_token *token)
{
    if (token->token != NULL)
        explicit_bzero(token->token, strlen(token->token));
    free(token->token);
    *token = (hv_token){0};
}

/* ---- config ---- */

typedef struct text_field {
    const char **at;
    const char *fallback;               /* NULL: none */
    unsigned needed_by;                 /* bits of kinds */
    const char *name;
} text_field;

#define BIT(kind) (1u << (kind))

static hv_rc
copy_config(const hv_token_config *config, hv_token_config *to, hv_err *err)
{
    const unsigned authority = BIT(HV_TOKEN_CLIENT_SECRET) | BIT(HV_TOKEN_WORKLOAD_IDENTITY);

    *to = *config;
    const text_field fields[] = {
        {&to->tenant, NULL, authority, "tenant"},
        {&to->client_id, NULL, authority, "client id"},
        {&to->client_secret_file, NULL, BIT(HV_TOKEN_CLIENT_SECRET), "client secret file"},
        {&to->federated_token_file, NULL, BIT(HV_TOKEN_WORKLOAD_IDENTITY), "federated token file"},
        {&to->authority, "https://login.microsoftonline.com", 0, "authority"},
        {&to->imds, "http://169.254.169.254", 0, "metadata host"},
        {&to->identity_endpoint, NULL, BIT(HV_TOKEN_APP_SERVICE), "identity endpoint"},
        {&to->identity_header, NULL, BIT(HV_TOKEN_APP_SERVICE), "identity header"},
        {&to->ca_file, NULL, 0, "CA file"},
        {&to->proxy, NULL, 0, "proxy"},
    };
    hv_rc rc = HV_OK;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {     /* all of them: afterwards each is ours or NULL */
        const char *text = *fields[i].at != NULL ? *fields[i].at : fields[i].fallback;
        *fields[i].at = text != NULL ? strdup(text) : NULL;
        if (text != NULL && *fields[i].at == NULL)
            rc = hv_err_set(err, HV_NOMEM, "no memory for the configuration of tokens");
        else if (text == NULL && (fields[i].needed_by & BIT(config->kind)) != 0)
            rc = hv_err_set(err, HV_USAGE, "a token of this kind needs a %s", fields[i].name);
    }
    to->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : 20000;
    to->retry_ms = config->retry_ms > 0 ? config->retry_ms : 1000;
    if (rc == HV_OK && strncmp(to->authority, "https://", 8) != 0 && !hv_http_is_near(to->authority))
        rc = hv_err_set(err, HV_USAGE, "the authority '%s' has to be reached by https://: secrets go there", to->authority);
    return rc;
}

static void
free_config(hv_token_config *config)
{
    const char **texts[] = {&config->tenant,    &config->client_id, &config->client_secret_file, &config->federated_token_file,
                            &config->authority, &config->imds,      &config->identity_endpoint,  &config->identity_header,
                            &config->ca_file,   &config->proxy};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        union { const char *lent; char *ours; } text = {.lent = *texts[i]};
        free(text.ours);
    }
}

hv_rc
hv_token_provider_open(const hv_token_config *config, hv_token_provider **ret, hv_err *err)
{
    pthread_condattr_t attributes;
    hv_token_provider *provider = calloc(1, sizeof *provider);

    if (provider == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for tokens");
    hv_rc rc = copy_config(config, &provider->config, err);
    if (rc != HV_OK) {
        free_config(&provider->config);
        free(provider);
        return rc;
    }
    (void)pthread_mutex_init(&provider->lock, NULL);        /* neither fails on Linux */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&provider->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    *ret = provider;
    return HV_OK;
}

void
hv_token_provider_stop(hv_token_provider *provider)
{
    (void)pthread_mutex_lock(&provider->lock);
    provider->locked.stopped = true;
    (void)pthread_cond_broadcast(&provider->changed);
    (void)pthread_mutex_unlock(&provider->lock);
}

void
hv_token_provider_close(hv_token_provider *provider)
{
    if (provider == NULL)
        return;
    for (size_t i = 0; i < provider->locked.count; i++) {
        free(provider->locked.entries[i].resource);
        hv_secret_wipe(&provider->locked.entries[i].token);
    }
    (void)pthread_cond_destroy(&provider->changed);
    (void)pthread_mutex_destroy(&provider->lock);
    free_config(&provider->config);
    free(provider);
}

/* ---- asking, without the lock ---- */

static hv_rc
stopped(hv_err *err)
{
    return hv_err_set(err, HV_CLOSED, "no more tokens: stopping");
}

/* Sleeps unless stopped. */
static hv_rc
pause_for(hv_token_provider *provider, int64_t ms, hv_err *err)
{
    struct timespec until;
    int waited = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&provider->lock);
    while (!provider->locked.stopped && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&provider->changed, &provider->lock, &until);
    bool closed = provider->locked.stopped;
    (void)pthread_mutex_unlock(&provider->lock);
    return closed ? stopped(err) : HV_OK;
}

/* *began_ms is when the question that got the answer was asked. */
static hv_rc
fetch(hv_token_provider *provider, const char *resource, bool patient, hv_token_answer *ret, int64_t *began_ms, hv_err *err)
{
    const int64_t unit_ms = provider->config.retry_ms;
    int tries = 0, upgrade_tries = 0;

    for (;;) {
        int64_t asked_ms;
        *began_ms = hv_clock_boot_ms();
        hv_token_outcome outcome = hv_token_request(&provider->config, resource, ret, &asked_ms, err);
        if (outcome == HV_TOKEN_GOT)
            return HV_OK;
        if (outcome == HV_TOKEN_REFUSED)
            return err->rc;
        bool last = outcome == HV_TOKEN_UPGRADING ? ++upgrade_tries == UPGRADE_TRIES : ++tries == TRIES;
        if (last || !patient)
            return err->rc;
        int64_t pause_ms = outcome == HV_TOKEN_UPGRADING ? 10 * unit_ms : hv_random_jitter(unit_ms << (tries - 1));
        if (asked_ms > pause_ms)
            pause_ms = asked_ms < LONGEST_PAUSE_MS ? asked_ms : LONGEST_PAUSE_MS;
        hv_rc rc = pause_for(provider, pause_ms, err);
        if (rc != HV_OK)
            return rc;
    }
}

/* ---- the table, holding the lock ---- */

static hv_rc
find_entry(hv_token_provider *provider, const char *resource, entry **ret, hv_err *err)
{
    for (size_t i = 0; i < provider->locked.count; i++)
        if (strcmp(provider->locked.entries[i].resource, resource) == 0) {
            *ret = &provider->locked.entries[i];
            return HV_OK;
        }
    if (provider->locked.count == MAX_RESOURCES)
        return hv_err_set(err, HV_LIMIT, "tokens for more than %d resources", MAX_RESOURCES);
    char *copy = strdup(resource);
    if (copy == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a token");
    *ret = &provider->locked.entries[provider->locked.count++];
    (*ret)->resource = copy;
    return HV_OK;
}

/* How long after it was got a token is renewed. */
static int64_t
renew_after(const hv_token_answer *answer)
{
    int64_t early_ms = answer->lifetime_ms >= 4 * EARLY_MS ? EARLY_MS + hv_random_jitter(EARLY_MS / 2) : answer->lifetime_ms / 4;
    int64_t latest_ms = answer->lifetime_ms - early_ms;

    return answer->refresh_ms >= 0 && answer->refresh_ms < latest_ms ? answer->refresh_ms - answer->refresh_ms / 20 : latest_ms;
}

static void
store(entry *at, hv_token_answer *answer, int64_t began_ms)
{
    hv_secret_wipe(&at->token);
    at->token = answer->token;
    answer->token = (hv_secret){0};
    at->expires_boot_ms = began_ms + answer->lifetime_ms;
    at->renew_boot_ms = began_ms + renew_after(answer);
    at->margin_ms = answer->lifetime_ms / 4 < MARGIN_MS ? answer->lifetime_ms / 4 : MARGIN_MS;
}

static bool
lives(const entry *at)
{
    return at->token.text != NULL && hv_clock_boot_ms() + at->margin_ms < at->expires_boot_ms;
}

/* The lock is free while asking. As long as the old token lives, one try is enough for now. */
static void
renew(hv_token_provider *provider, entry *at)
{
    hv_token_answer answer = {0};
    hv_err err;
    int64_t began_ms;
    bool patient = !lives(at);

    at->renewing = true;
    (void)pthread_mutex_unlock(&provider->lock);
    hv_rc rc = fetch(provider, at->resource, patient, &answer, &began_ms, &err);
    (void)pthread_mutex_lock(&provider->lock);
    at->renewing = false;
    at->attempts++;
    if (rc == HV_OK) {
        store(at, &answer, began_ms);
        if (!lives(at))                 /* the next one may be no better: who wants it decides when to ask again */
            rc = hv_err_set(&err, HV_UNAVAILABLE, "the token for '%s' ended before it came", at->resource);
    }
    at->failed = rc != HV_OK;
    if (at->failed) {
        at->failure = err;
        at->renew_boot_ms = hv_clock_boot_ms() + QUIET_MS;      /* counts only while there is an old token */
    }
    (void)pthread_cond_broadcast(&provider->changed);
}

static hv_rc
hand_out(const entry *at, hv_token *ret, hv_err *err)
{
    char *copy = strdup(at->token.text);

    if (copy == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a token");
    *ret = (hv_token){.token = copy, .expires_ms = hv_clock_wall_ms() + at->expires_boot_ms - hv_clock_boot_ms()};
    return HV_OK;
}

static hv_rc
get_locked(hv_token_provider *provider, const char *resource, hv_token *ret, hv_err *err)
{
    entry *at = NULL;
    hv_rc rc = find_entry(provider, resource, &at, err);

    if (rc != HV_OK)
        return rc;
    uint64_t attempts = at->attempts;
    while (!provider->locked.stopped) {
        if (lives(at) && (at->renewing || hv_clock_boot_ms() < at->renew_boot_ms))
            return hand_out(at, ret, err);
        if (at->attempts != attempts && at->failed) {
            *err = at->failure;
            return err->rc;
        }
        if (at->renewing)
            (void)pthread_cond_wait(&provider->changed, &provider->lock);
        else
            renew(provider, at);
    }
    return stopped(err);
}

hv_rc
hv_token_get(hv_token_provider *provider, const char *resource, hv_token *ret, hv_err *err)
{
    (void)pthread_mutex_lock(&provider->lock);
    hv_rc rc = get_locked(provider, resource, ret, err);
    (void)pthread_mutex_unlock(&provider->lock);
    return rc;
}

hv_rc
hv_token_for_get(void *token_for, hv_token *ret, hv_err *err)
{
    const hv_token_for *wanted = token_for;

    return hv_token_get(wanted->provider, wanted->resource, ret, err);
}
