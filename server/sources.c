/*
 * One handle per credential, because a handle of the client library costs threads and connections, and not one per hub. The memory for
 * fetched events is a quarter of the budget of the archiver, shared out between the handles.
 */
#include "server/sources.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/token.h"
#include "source/source_drivers.h"

enum {
    GROUP_NAME_SIZE = 300,              /* the options allow 256 */
    /* Each answer and each request names all partitions (librdkafka 2.0.2 has no fetch sessions), so few and large ones are cheap. */
    UNHURRIED_WAIT_MS = 1000,
    UNHURRIED_LEAST_BYTES = 64 * 1024,
};

struct hv_sources {
    hv_source **sources;
    hv_membership **memberships;        /* of source i; NULL: they are members of nothing */
    char **hubs;                        /* of source i: the hub of its credential; NULL: every other */
    hv_kafka_config *configs;           /* of source i; they point into the options, and here */
    size_t count;
    hv_token_provider *tokens;          /* NULL without OAuth */
    char *resource;                     /* what the tokens are for */
    char **extra;                       /* further properties of librdkafka, names and values in turn */
    size_t extra_count;
};

void
hv_sources_close(hv_sources *sources)
{
    if (sources == NULL)
        return;
    if (sources->tokens != NULL)
        hv_token_provider_stop(sources->tokens);        /* or a close would wait for a token under way */
    for (size_t s = 0; s < sources->count; s++) {
        if (sources->memberships != NULL)
            hv_membership_close(sources->memberships[s]);
        hv_source_close(sources->sources[s]);
        free(sources->hubs[s]);
    }
    free(sources->memberships);
    hv_token_provider_close(sources->tokens);
    for (size_t i = 0; i < sources->extra_count; i++)
        free(sources->extra[i]);
    free(sources->extra);
    free(sources->resource);
    free(sources->sources);
    free(sources->configs);
    free(sources->hubs);
    free(sources);
}

static hv_rc
kafka_token(void *arg, hv_kafka_token *ret, hv_err *err)
{
    hv_sources *sources = arg;
    hv_token token = {0};

    hv_rc rc = hv_token_get(sources->tokens, sources->resource, &token, err);
    if (rc == HV_OK)
        *ret = (hv_kafka_token){.token = token.token, .expires_ms = token.expires_ms};
    return rc;
}

/* The scope names the resource, with "/.default" behind it; without one it is the namespace of the first broker. */
static hv_rc
token_resource(const hv_options *options, char **ret, hv_err *err)
{
    static const char suffix[] = "/.default";
    char *resource = NULL;
    int len;

    if (options->oauth_scope != NULL) {
        size_t scope_len = strlen(options->oauth_scope), suffix_len = sizeof suffix - 1;
        if (scope_len > suffix_len && strcmp(options->oauth_scope + scope_len - suffix_len, suffix) == 0)
            scope_len -= suffix_len;
        len = asprintf(&resource, "%.*s", (int)scope_len, options->oauth_scope);
    } else {
        len = asprintf(&resource, "https://%.*s", (int)strcspn(options->source_bootstrap, ":,"), options->source_bootstrap);
    }
    if (len < 0)
        return hv_err_set(err, HV_NOMEM, "no memory for the name of a resource");
    *ret = resource;
    return HV_OK;
}

static hv_rc
open_tokens(const hv_options *options, hv_sources *sources, hv_err *err)
{
    static const hv_token_kind kinds[] = {
        [HV_OAUTH_CLIENT_SECRET] = HV_TOKEN_CLIENT_SECRET,
        [HV_OAUTH_WORKLOAD_IDENTITY] = HV_TOKEN_WORKLOAD_IDENTITY,
        [HV_OAUTH_MANAGED_IDENTITY] = HV_TOKEN_MANAGED_IDENTITY,
    };
    hv_token_config config = {.kind = kinds[options->oauth_method], .tenant = options->oauth_tenant,
        .client_id = options->oauth_client_id, .client_secret_file = options->oauth_client_secret_file,
        .federated_token_file = options->oauth_token_file, .authority = options->oauth_authority,
        .imds = options->oauth_imds_endpoint};

    hv_rc rc = token_resource(options, &sources->resource, err);
    return rc == HV_OK ? hv_token_provider_open(&config, &sources->tokens, err) : rc;
}

/* "name=value" of source.rdkafka, as the driver wants them: names and values in turn. */
static hv_rc
split_extra(const hv_texts *pairs, char ***ret, size_t *count, hv_err *err)
{
    char **extra = calloc(pairs->count * 2 + 1, sizeof *extra);

    for (size_t p = 0; extra != NULL && p < pairs->count; p++) {
        const char *equals = strchr(pairs->items[p], '=');
        size_t name_len = equals == NULL ? strlen(pairs->items[p]) : (size_t)(equals - pairs->items[p]);
        extra[2 * p] = strndup(pairs->items[p], name_len);
        extra[2 * p + 1] = strdup(equals == NULL ? "" : equals + 1);
        if (extra[2 * p] == NULL || extra[2 * p + 1] == NULL) {
            for (size_t i = 0; i < 2 * p + 2; i++)
                free(extra[i]);
            free(extra);
            extra = NULL;
        }
    }
    if (extra == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for source.rdkafka");
    *ret = extra;
    *count = pairs->count * 2;
    return HV_OK;
}

static hv_kafka_config
kafka_config(const hv_options *options, hv_sources *sources, size_t handles)
{
    static const hv_kafka_auth auths[] = {
        [HV_AUTH_NONE] = HV_KAFKA_AUTH_NONE,
        [HV_AUTH_PLAIN] = HV_KAFKA_AUTH_PLAIN,
        [HV_AUTH_CONNECTION_STRING] = HV_KAFKA_AUTH_CONNECTION_STRING,
        [HV_AUTH_OAUTH] = HV_KAFKA_AUTH_OAUTH,
    };

    return (hv_kafka_config){.bootstrap = options->source_bootstrap, .auth = auths[options->source_auth], .tls = options->source_tls,
        .ca_file = options->source_ca_file, .user = options->source_user, .password_file = options->source_password_file,
        .connection_string_file = options->source_connection_string_file, .token = kafka_token, .token_arg = sources,
        .include = options->source_include.items, .include_count = options->source_include.count,
        .exclude = options->source_exclude.items, .exclude_count = options->source_exclude.count,
        .hubs = options->source_hubs.items, .hub_count = options->source_hubs.count, .group = options->source_group,
        .extra = (const char *const *)sources->extra, .extra_count = sources->extra_count,
        .queue_bytes = (uint64_t)options->archiver_memory / 4 / handles};
}

/* Source i, for one hub with a credential file of its own if hub is not NULL. */
static hv_rc
open_one(hv_sources *sources, hv_kafka_config *config, const char *hub, const char *credential_file, hv_err *err)
{
    size_t at = sources->count;

    if (hub != NULL) {
        sources->hubs[at] = strdup(hub);
        if (sources->hubs[at] == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for the name of a hub");
        config->auth = HV_KAFKA_AUTH_CONNECTION_STRING;
        config->connection_string_file = credential_file;
        config->hubs = (const char *const *)&sources->hubs[at];
        config->hub_count = 1;
        config->include_count = config->exclude_count = 0;
    }
    hv_rc rc = hv_source_kafka_open(config, &sources->sources[at], err);
    if (rc != HV_OK) {
        free(sources->hubs[at]);
        sources->hubs[at] = NULL;
        return hub == NULL ? rc : hv_err_prefix(err, "hub '%s'", hub);
    }
    sources->configs[at] = *config;
    sources->count++;
    return HV_OK;
}

static hv_rc
open_all(const hv_options *options, bool hurried, hv_sources *sources, hv_err *err)
{
    const hv_texts *credentials = &options->source_hub_credentials;
    bool shared = credentials->count == 0 || options->source_hubs.count > 0 || options->source_connection_string_file != NULL;
    size_t handles = credentials->count + shared;
    hv_rc rc = HV_OK;

    sources->sources = calloc(handles, sizeof(hv_source *));
    sources->hubs = calloc(handles, sizeof(char *));
    sources->configs = calloc(handles, sizeof *sources->configs);
    if (sources->sources == NULL || sources->hubs == NULL || sources->configs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu sources", handles);
    hv_kafka_config config = kafka_config(options, sources, handles);
    if (!hurried) {
        config.fetch_wait_ms = UNHURRIED_WAIT_MS;
        config.fetch_least_bytes = UNHURRIED_LEAST_BYTES;
    }
    for (size_t c = 0; rc == HV_OK && c < credentials->count; c++) {
        char hub[HV_HUB_SIZE];
        hv_kafka_config own = config;
        size_t len = strcspn(credentials->items[c], "=");
        (void)snprintf(hub, sizeof hub, "%.*s", (int)len, credentials->items[c]);
        rc = open_one(sources, &own, hub, credentials->items[c] + len + 1, err);
    }
    if (rc == HV_OK && shared)
        rc = open_one(sources, &config, NULL, NULL, err);
    return rc;
}

static hv_rc
prepare(const hv_options *options, hv_sources *sources, hv_err *err)
{
    if (!hv_options_have_source(options))
        return hv_err_set(err, HV_USAGE, "no source is configured: set source.bootstrap, or a connection string");
    hv_rc rc = options->source_auth == HV_AUTH_OAUTH ? open_tokens(options, sources, err) : HV_OK;
    return rc == HV_OK ? split_extra(&options->source_rdkafka, &sources->extra, &sources->extra_count, err) : rc;
}

static hv_rc
open_sources(const hv_options *options, bool hurried, hv_sources **ret, hv_err *err)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = calloc(1, sizeof *sources);

    if (sources == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for sources");
    hv_rc rc = prepare(options, sources, err);
    if (rc == HV_OK)
        rc = open_all(options, hurried, sources, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(sources);
    return rc;
}

hv_rc
hv_sources_open(const hv_options *options, hv_sources **ret, hv_err *err)
{
    return open_sources(options, true, ret, err);
}

hv_rc
hv_sources_open_unhurried(const hv_options *options, hv_sources **ret, hv_err *err)
{
    return open_sources(options, false, ret, err);
}

/* One member per source: each subscribes to the hubs of its own credential only. */
static hv_rc
join(hv_sources *sources, const hv_options *options, const char *group, size_t at, hv_err *err)
{
    char instance[GROUP_NAME_SIZE];
    bool named = options->source_assignment_instance != NULL;
    hv_kafka_group_config config = {.broker = &sources->configs[at], .group = group, .instance = named ? instance : NULL,
        .session_ms = options->source_session_timeout_ms, .release_ms = options->source_release_timeout_ms,
        .refresh_ms = options->source_discovery_interval_ms};

    if (named && sources->count == 1)
        (void)snprintf(instance, sizeof instance, "%s", options->source_assignment_instance);
    else if (named)
        (void)snprintf(instance, sizeof instance, "%s-%zu", options->source_assignment_instance, at + 1);
    return hv_membership_kafka_open(&config, &sources->memberships[at], err);
}

hv_rc
hv_sources_join(hv_sources *sources, const hv_options *options, const char *vault, hv_membership *const **ret, hv_err *err)
{
    char own[GROUP_NAME_SIZE];
    const char *group = options->source_assignment_group;
    hv_rc rc = HV_OK;

    if (options->source_assignment != HV_ASSIGNMENT_GROUP) {
        *ret = NULL;
        return HV_OK;
    }
    (void)snprintf(own, sizeof own, "hubvault-%s", vault);
    sources->memberships = calloc(sources->count + 1, sizeof(hv_membership *));
    if (sources->memberships == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu memberships", sources->count);
    for (size_t s = 0; rc == HV_OK && s < sources->count; s++)
        rc = join(sources, options, group != NULL ? group : own, s, err);
    if (rc == HV_OK)
        *ret = sources->memberships;
    return rc;
}

hv_rc
hv_sources_describe(const hv_options *options, hv_sources **ret, hv_kafka_config *config, hv_err *err)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = calloc(1, sizeof *sources);

    if (sources == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for sources");
    hv_rc rc = prepare(options, sources, err);
    if (rc != HV_OK)
        return rc;
    *config = kafka_config(options, sources, 1);
    *ret = HV_TAKE(sources);
    return HV_OK;
}

hv_source *const *
hv_sources_all(const hv_sources *sources, size_t *count)
{
    *count = sources->count;
    return sources->sources;
}

hv_rc
hv_sources_open_admin(const hv_sources *sources, size_t at, hv_admin **ret, hv_err *err)
{
    return hv_admin_kafka_open(&sources->configs[at], ret, err);
}

hv_source *
hv_sources_for_hub(const hv_sources *sources, const char *hub)
{
    for (size_t s = 0; s < sources->count; s++)
        if (sources->hubs[s] != NULL && strcmp(sources->hubs[s], hub) == 0)
            return sources->sources[s];
    return sources->sources[sources->count - 1];
}

hv_rc
hv_sources_reload(const hv_sources *sources, const hv_options *options, hv_err *err)
{
    const hv_texts *include = &options->source_include, *exclude = &options->source_exclude;
    hv_rc rc = HV_OK;

    for (size_t s = 0; rc == HV_OK && s < sources->count; s++)
        if (sources->hubs[s] == NULL)   /* else the hub of its credential is the only one */
            rc = hv_source_kafka_filter(sources->sources[s], include->items, include->count, exclude->items, exclude->count, err);
    return rc;
}

static void
keep_first(hv_rc got, const hv_err *got_err, hv_rc *rc, hv_err *err)
{
    if (*rc != HV_OK || got == HV_OK)
        return;
    *rc = got;
    *err = *got_err;
}

hv_rc
hv_sources_refresh(const hv_sources *sources, hv_err *err)
{
    hv_rc rc = HV_OK;
    hv_err got;

    for (size_t s = 0; s < sources->count; s++) {
        keep_first(hv_source_kafka_refresh(sources->sources[s], &got), &got, &rc, err);
        if (sources->memberships != NULL)
            keep_first(hv_membership_kafka_refresh(sources->memberships[s], &got), &got, &rc, err);
    }
    return rc;
}
