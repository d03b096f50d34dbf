/*
 * How options fit together: what follows from others, what has to be there, what has no effect.
 *
 * An option that has no effect is refused, since whoever wrote it believes something that is not so: a password file without
 * source.auth = plain, for example. One that came from the environment was not written for us and may stay.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/options.h"

static const hv_option *
option_named(const char *name)
{
    const hv_option *option = hv_option_find(name);

    assert(option != NULL);
    return option;
}

static bool
is_set(const hv_options *options, const char *name)
{
    return options->origins[option_named(name) - hv_option_table].layer != HV_OPTION_DEFAULT;
}

static hv_rc
require(const hv_options *options, const char *name, const char *with, hv_err *err)
{
    if (is_set(options, name))
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "option '%s' is needed%s%s and not set; for example: %s = %s", name, *with != '\0' ? " with " : "", with,
                      name, option_named(name)->example);
}

/* Only of use when an enumeration has this value; needed: must then be set. */
static const struct condition {
    const char *name, *of;
    unsigned values;                    /* a bit for each value with which it has an effect */
    bool needed;
} conditions[] = {
    {"source.user", "source.auth", 1 << HV_AUTH_PLAIN, true},
    {"source.password-file", "source.auth", 1 << HV_AUTH_PLAIN, true},
    {"source.connection-string-file", "source.auth", 1 << HV_AUTH_CONNECTION_STRING, false},
    {"source.hub-credential", "source.auth", 1 << HV_AUTH_CONNECTION_STRING, false},
    {"oauth.method", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.tenant", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.client-id", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.client-secret-file", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.token-file", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.authority", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.scope", "source.auth", 1 << HV_AUTH_OAUTH, false},
    {"oauth.imds-endpoint", "source.auth", 1 << HV_AUTH_OAUTH, false},
};

static const struct condition oauth_conditions[] = {
    {"oauth.tenant", "oauth.method", 1 << HV_OAUTH_CLIENT_SECRET | 1 << HV_OAUTH_WORKLOAD_IDENTITY, true},
    {"oauth.client-id", "oauth.method", 1 << HV_OAUTH_CLIENT_SECRET | 1 << HV_OAUTH_WORKLOAD_IDENTITY, true},
    {"oauth.client-secret-file", "oauth.method", 1 << HV_OAUTH_CLIENT_SECRET, true},
    {"oauth.token-file", "oauth.method", 1 << HV_OAUTH_WORKLOAD_IDENTITY, true},
    {"oauth.authority", "oauth.method", 1 << HV_OAUTH_CLIENT_SECRET | 1 << HV_OAUTH_WORKLOAD_IDENTITY, false},
    {"oauth.imds-endpoint", "oauth.method", 1 << HV_OAUTH_MANAGED_IDENTITY, false},
};

enum { HAVE_EFFECT = 1, ARE_NEEDED = 2 };

static hv_rc
check_condition(const hv_options *options, const struct condition *condition, unsigned what, hv_err *err)
{
    const hv_option *of = option_named(condition->of);
    hv_option_layer layer = options->origins[option_named(condition->name) - hv_option_table].layer;
    int64_t value = *(const int64_t *)(const void *)((const char *)options + of->offset);
    bool applies = (condition->values >> value & 1) != 0;
    char with[100];

    (void)snprintf(with, sizeof with, "%s = %s", condition->of, of->words[value]);
    if ((what & HAVE_EFFECT) != 0 && !applies && layer > HV_OPTION_FROM_ENVIRONMENT)
        return hv_err_set(err, HV_USAGE, "%s: '%s' has no effect with %s", options->origins[option_named(condition->name) - hv_option_table].where,
                          condition->name, with);
    if ((what & ARE_NEEDED) != 0 && applies && condition->needed)
        return require(options, condition->name, with, err);
    return HV_OK;
}

static hv_rc
check_conditions(const hv_options *options, unsigned what, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t i = 0; i < sizeof conditions / sizeof *conditions && rc == HV_OK; i++)
        rc = check_condition(options, &conditions[i], what, err);
    if (options->source_auth == HV_AUTH_OAUTH)
        for (size_t i = 0; i < sizeof oauth_conditions / sizeof *oauth_conditions && rc == HV_OK; i++)
            /* managed-identity may be told which identity; an application is not told for a machine */
            if (!(options->oauth_method == HV_OAUTH_MANAGED_IDENTITY && strcmp(oauth_conditions[i].name, "oauth.client-id") == 0))
                rc = check_condition(options, &oauth_conditions[i], what, err);
    return rc;
}

bool
hv_options_have_source(const hv_options *options)
{
    return is_set(options, "source.bootstrap") || is_set(options, "source.connection-string-file") || is_set(options, "source.hub-credential");
}

static hv_rc
check_hub_credentials(const hv_options *options, hv_err *err)
{
    if (!is_set(options, "source.hub-credential"))
        return HV_OK;
    if (is_set(options, "source.connection-string-file") || is_set(options, "source.hubs"))
        return hv_err_set(err, HV_USAGE, "'source.hub-credential' names hubs and their credentials, so '%s' cannot be set as well",
                          is_set(options, "source.hubs") ? "source.hubs" : "source.connection-string-file");
    for (size_t i = 1; i < options->source_hub_credentials.count; i++) {
        const char *pair = options->source_hub_credentials.items[i];
        size_t len = (size_t)(strchr(pair, '=') - pair) + 1;
        for (size_t j = 0; j < i; j++)
            if (strncmp(options->source_hub_credentials.items[j], pair, len) == 0)
                return hv_err_set(err, HV_USAGE, "'source.hub-credential' names hub '%.*s' twice", (int)len - 1, pair);
    }
    return HV_OK;
}

static hv_rc
need_source(const hv_options *options, hv_err *err)
{
    if (options->source_auth != HV_AUTH_CONNECTION_STRING)
        return require(options, "source.bootstrap", "", err);
    if (!is_set(options, "source.connection-string-file") && !is_set(options, "source.hub-credential"))
        return require(options, "source.connection-string-file", "source.auth = connection-string", err);
    return HV_OK;
}

/* "vault/" has the index "vault.index" as well. */
static hv_rc
derive_index_dir(hv_options *options, hv_err *err)
{
    hv_option_origin *origin = &options->origins[option_named("index.dir") - hv_option_table];
    size_t len = strlen(options->store_dir);

    while (len > 1 && options->store_dir[len - 1] == '/')
        len--;
    if (asprintf(&origin->text, "%.*s.index", (int)len, options->store_dir) < 0) {
        origin->text = NULL;
        return hv_err_set(err, HV_NOMEM, "no memory for the value of 'index.dir'");
    }
    options->index_dir = origin->text;
    return HV_OK;
}

hv_rc
hv_options_complete(hv_options *options, unsigned needs, hv_err *err)
{
    hv_rc rc = check_conditions(options, HAVE_EFFECT, err);

    if (rc == HV_OK)
        rc = check_hub_credentials(options, err);
    if (rc == HV_OK && options->segment_codec == HV_OPTION_CODEC_DEFLATE && options->segment_level > 12)
        rc = hv_err_set(err, HV_USAGE, "'segment.level' is from 1 to 12 with segment.codec = deflate, not %d", (int)options->segment_level);
    if (rc == HV_OK && (needs & HV_NEED_STORE) != 0)
        rc = require(options, "store.dir", "", err);
    if (rc == HV_OK && (needs & HV_NEED_INDEX) != 0 && options->index_dir == NULL)
        rc = require(options, "store.dir", "", err);
    if (rc == HV_OK && (needs & HV_NEED_SOURCE) != 0) {
        rc = need_source(options, err);
        if (rc == HV_OK)
            rc = check_conditions(options, ARE_NEEDED, err);
    }
    if (rc != HV_OK)
        return rc;
    if (!is_set(options, "source.tls"))
        options->source_tls = options->source_auth != HV_AUTH_NONE;
    return options->index_dir == NULL && options->store_dir != NULL ? derive_index_dir(options, err) : HV_OK;
}
