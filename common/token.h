/*
 * Bearer tokens of Microsoft Entra ID, for everything in the process that needs one: one provider, one cache.
 *
 * A token is fetched when it is first asked for and renewed early; at any time at most one request per resource is under way, and
 * everybody else gets the old token or waits for that one. Any thread. Nothing is read from the environment: what Azure puts there
 * (AZURE_TENANT_ID, IDENTITY_ENDPOINT and so on) comes by the config.
 */
#ifndef HV_COMMON_TOKEN_H
#define HV_COMMON_TOKEN_H

#include <stdint.h>

#include "common/auto.h"
#include "common/err.h"

typedef enum hv_token_kind {
    HV_TOKEN_CLIENT_SECRET,             /* tenant, client_id, client_secret_file */
    HV_TOKEN_WORKLOAD_IDENTITY,         /* tenant, client_id, federated_token_file */
    HV_TOKEN_MANAGED_IDENTITY,          /* of a virtual machine; client_id for one that is user-assigned */
    HV_TOKEN_APP_SERVICE,               /* identity_endpoint, identity_header; client_id likewise */
} hv_token_kind;

typedef struct hv_token_config {
    hv_token_kind kind;
    const char *tenant, *client_id;
    const char *client_secret_file;     /* both files are read anew at each request */
    const char *federated_token_file;
    const char *authority;              /* NULL: https://login.microsoftonline.com */
    const char *imds;                   /* NULL: http://169.254.169.254 */
    const char *identity_endpoint, *identity_header;
    const char *ca_file, *proxy;        /* as in common/http.h */
    int timeout_ms;                     /* of one request; 0: 20000 */
    int retry_ms;                       /* the first pause between tries, the others grow with it; 0: 1000 */
} hv_token_config;

typedef struct hv_token_provider hv_token_provider;

/* Owned by whoever asked: wipe and free with hv_token_clear. */
typedef struct hv_token {
    char *token;                        /* malloc() */
    int64_t expires_ms;                 /* by the wall clock as it went when the token was handed out */
} hv_token;

void hv_token_clear(hv_token *token);
HV_DEFINE_AUTO_VALUE(hv_token, hv_token_clear);

/* Copies the config; asks nobody. HV_USAGE for what is missing, and for an authority without TLS that is not on this machine. */
hv_rc hv_token_provider_open(const hv_token_config *config, hv_token_provider **ret, hv_err *err) HV_MUST_USE;

/* A token for a resource ("https://storage.azure.com", "https://<namespace>.servicebus.windows.net") that lives for some time
 * yet. May take as long as all tries together, two minutes at worst. HV_AUTH: refused. HV_UNAVAILABLE: no answer, or a busy one,
 * after all tries, or a token that was over when it came. HV_CORRUPT: an answer that is none. HV_LIMIT: more than 64 resources.
 * HV_CLOSED: stopped. HV_NOT_FOUND, HV_USAGE, HV_IO: a file. */
hv_rc hv_token_get(hv_token_provider *provider, const char *resource, hv_token *ret, hv_err *err) HV_MUST_USE;

/* A provider and a resource, as the argument of callbacks that want a token. */
typedef struct hv_token_for {
    hv_token_provider *provider;
    const char *resource;
} hv_token_for;

hv_rc hv_token_for_get(void *token_for, hv_token *ret, hv_err *err) HV_MUST_USE;

/* Whoever waits or comes later gets HV_CLOSED. */
void hv_token_provider_stop(hv_token_provider *provider);

/* When nobody uses it any more. Accepts NULL. */
void hv_token_provider_close(hv_token_provider *provider);
HV_DEFINE_AUTO(hv_token_provider, hv_token_provider_close);

#endif
