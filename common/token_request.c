/*
 * The four ways to ask, and what an answer means.
 *
 * Client secret and workload identity: OAuth 2.0 client credentials at the authority (learn.microsoft.com, "Microsoft identity
 * platform and the OAuth 2.0 client credentials flow"); the federated token may be replaced in its file at any time, so the file is
 * read for each request. Virtual machine: the instance metadata service. App Service: the local identity endpoint, version
 * 2019-08-01. Which statuses are worth another try follows azure-docs "how-to-use-vm-token".
 */
#include "common/token_request.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/http.h"

enum {
    MAX_ANSWER = 256 * 1024,
    MAX_REQUEST = 2 * HV_SECRET_MAX * 3,    /* percent-encoding triples */
};

/* Form fields and URLs that may hold a secret. */
static void
wipe_buf(hv_buf *buf)
{
    if (buf->data != NULL)
        explicit_bzero(buf->data, buf->allocated);
    hv_buf_free(buf);
}
HV_DEFINE_AUTO_VALUE(hv_buf, wipe_buf);

static void
put_field(hv_buf *to, const char *name, const char *value)
{
    if (to->len > 0 && to->data[to->len - 1] != '?')
        hv_buf_put_byte(to, '&');
    hv_buf_printf(to, "%s=", name);
    hv_http_put_escaped(to, value);
}

/* An address without the slashes that some configurations end it with. */
static void
put_base(hv_buf *to, const char *address)
{
    size_t len = strlen(address);

    while (len > 0 && address[len - 1] == '/')
        len--;
    hv_buf_put(to, address, len);
}

static hv_rc
ask_authority(const hv_token_config *config, const char *resource, const hv_secret *proof, hv_http_response *response, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf url = HV_BUF_INIT(2048), scope = HV_BUF_INIT(2048);
    HV_AUTO(wipe_buf) hv_buf form = HV_BUF_INIT(MAX_REQUEST);
    bool federated = config->kind == HV_TOKEN_WORKLOAD_IDENTITY;

    (void)hv_buf_reserve(&form, proof->len * 3 + 2048);     /* at once: growing would leave copies behind */
    put_base(&url, config->authority);
    hv_buf_put_byte(&url, '/');
    hv_http_put_escaped(&url, config->tenant);
    hv_buf_put_text(&url, "/oauth2/v2.0/token");
    hv_buf_printf(&scope, "%s/.default", resource);
    put_field(&form, "grant_type", "client_credentials");
    put_field(&form, "client_id", config->client_id);
    put_field(&form, "scope", scope.data != NULL ? scope.data : "");
    if (federated)
        put_field(&form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    put_field(&form, federated ? "client_assertion" : "client_secret", proof->text);
    hv_rc rc = hv_buf_check(&url, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&scope, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&form, err);
    if (rc != HV_OK)
        return rc;
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"};
    hv_http_request request = {.method = "POST", .url = url.data, .headers = headers, .header_count = 2,
                               .body = hv_buf_slice(&form), .timeout_ms = config->timeout_ms, .ca_file = config->ca_file,
                               .proxy = config->proxy};
    return hv_http_send(&request, response, err);
}

static hv_rc
ask_this_machine(const hv_token_config *config, const char *resource, hv_http_response *response, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf url = HV_BUF_INIT(4096);
    HV_AUTO(wipe_buf) hv_buf header = HV_BUF_INIT(4096);
    bool virtual_machine = config->kind == HV_TOKEN_MANAGED_IDENTITY;

    put_base(&url, virtual_machine ? config->imds : config->identity_endpoint);
    hv_buf_put_text(&url, virtual_machine ? "/metadata/identity/oauth2/token?" : "?");
    put_field(&url, "api-version", virtual_machine ? "2018-02-01" : "2019-08-01");
    put_field(&url, "resource", resource);
    if (config->client_id != NULL)
        put_field(&url, "client_id", config->client_id);
    if (virtual_machine)
        hv_buf_put_text(&header, "Metadata: true");
    else
        hv_buf_printf(&header, "X-IDENTITY-HEADER: %s", config->identity_header);
    hv_rc rc = hv_buf_check(&url, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&header, err);
    if (rc != HV_OK)
        return rc;
    const char *headers[] = {header.data};
    hv_http_request request = {.method = "GET", .url = url.data, .headers = headers, .header_count = 1,
                               .timeout_ms = config->timeout_ms};   /* never through a proxy */
    return hv_http_send(&request, response, err);
}

static hv_rc
send(const hv_token_config *config, const char *resource, hv_secret *proof, hv_http_response *response, hv_err *err)
{
    hv_rc rc = HV_OK;

    if (config->kind == HV_TOKEN_CLIENT_SECRET)
        rc = hv_secret_read(config->client_secret_file, "client secret", proof, err);
    else if (config->kind == HV_TOKEN_WORKLOAD_IDENTITY)
        rc = hv_secret_read(config->federated_token_file, "federated token", proof, err);
    else
        return ask_this_machine(config, resource, response, err);
    return rc == HV_OK ? ask_authority(config, resource, proof, response, err) : rc;
}

static hv_token_outcome
outcome_of(const hv_token_config *config, int status)
{
    bool this_machine = config->kind == HV_TOKEN_MANAGED_IDENTITY || config->kind == HV_TOKEN_APP_SERVICE;

    if (status == 200)
        return HV_TOKEN_GOT;
    if (status == 410 && this_machine)
        return HV_TOKEN_UPGRADING;
    if (status == 408 || status == 429 || status >= 500 || (status == 404 && this_machine))
        return HV_TOKEN_BUSY;
    return HV_TOKEN_REFUSED;
}

hv_token_outcome
hv_token_request(const hv_token_config *config, const char *resource, hv_token_answer *ret, int64_t *retry_after_ms, hv_err *err)
{
    HV_AUTO(hv_http_response_clear) hv_http_response response = HV_HTTP_RESPONSE_INIT(MAX_ANSWER);
    HV_AUTO(hv_secret_wipe) hv_secret proof = {0};
    char why[400];
    hv_rc rc = send(config, resource, &proof, &response, err);

    *retry_after_ms = response.retry_after_ms;
    if (rc == HV_UNAVAILABLE)
        return HV_TOKEN_BUSY;
    if (rc != HV_OK)
        return HV_TOKEN_REFUSED;
    hv_token_outcome outcome = outcome_of(config, response.status);
    if (outcome != HV_TOKEN_GOT) {
        hv_token_error_text(hv_buf_slice(&response.body), why, sizeof why);
        (void)hv_err_set(err, outcome == HV_TOKEN_REFUSED ? HV_AUTH : HV_UNAVAILABLE, "no token for '%s': status %d: %s", resource,
                         response.status, why);
    } else if (hv_token_answer_parse(hv_buf_slice(&response.body), hv_clock_wall_ms(), ret, err) != HV_OK) {
        (void)hv_err_prefix(err, "token for '%s'", resource);
        outcome = HV_TOKEN_REFUSED;
    }
    hv_secret_redact(&proof, err->msg);
    return outcome;
}
