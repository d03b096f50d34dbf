/*
 * A fresh easy handle per request: requests are minutes apart, and a handle that was kept would hold a connection that Azure closes
 * after four minutes of silence.
 */
#include "common/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#include "common/redact.h"

enum { MAX_RETRY_AFTER_S = 3600 };

static pthread_once_t initialised = PTHREAD_ONCE_INIT;
static CURLcode init_result;

static void
init_curl(void)
{
    init_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void
free_easy(CURL *easy)
{
    curl_easy_cleanup(easy);            /* accepts NULL */
}
HV_DEFINE_AUTO(CURL, free_easy);

static void
free_headers(struct curl_slist *headers)
{
    curl_slist_free_all(headers);       /* accepts NULL */
}
HV_DEFINE_AUTO(struct curl_slist, free_headers);

void
hv_http_response_clear(hv_http_response *response)
{
    if (response->body.data != NULL)
        explicit_bzero(response->body.data, response->body.allocated);
    hv_buf_free(&response->body);
    response->status = 0;
    response->retry_after_ms = -1;
}

static size_t
take_body(char *bytes, size_t one, size_t count, void *body)
{
    hv_buf *to = body;

    (void)one;                          /* always 1 */
    hv_buf_put(to, bytes, count);
    return to->failed == HV_OK ? count : 0;
}

/* ---- URLs ---- */

static void
free_url(CURLU *url)
{
    curl_url_cleanup(url);              /* accepts NULL */
}
HV_DEFINE_AUTO(CURLU, free_url);

/* Read by libcurl, because that is where it will go, whatever the text looks like. NULL if it takes no such URL; else for curl_free(). */
static char *
host_of(const char *url)
{
    HV_AUTO(free_url) CURLU *parsed = curl_url();
    char *host = NULL;

    if (parsed == NULL || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK)
        return NULL;
    return curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK ? host : NULL;
}

static bool
begins_with(hv_slice text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && strncasecmp(text.data, prefix, len) == 0;
}

/* Digits and dots only: "127.example.com" is far away. */
static bool
is_ipv4(hv_slice host)
{
    const char *bytes = host.data;

    for (size_t i = 0; i < host.len; i++)
        if ((bytes[i] < '0' || bytes[i] > '9') && bytes[i] != '.')
            return false;
    return host.len > 0;
}

static bool
is_near(hv_slice host)
{
    if (host.len == strlen("localhost") && begins_with(host, "localhost"))
        return true;
    if (host.len == strlen("[::1]") && begins_with(host, "[::1]"))
        return true;
    return (is_ipv4(host) && (begins_with(host, "127.") || begins_with(host, "169.254."))) || begins_with(host, "[fe80:");
}

bool
hv_http_is_near(const char *url)
{
    char *host = host_of(url);
    bool near = host != NULL && is_near(hv_slice_text(host));

    curl_free(host);
    return near;
}

void
hv_http_put_escaped(hv_buf *to, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text != '\0'; text++)
        if (strchr(plain, *text) != NULL)
            hv_buf_put_byte(to, (unsigned char)*text);
        else
            hv_buf_printf(to, "%%%02X", (unsigned)(unsigned char)*text);
}

/* ---- the request ---- */

static bool
make_headers(const hv_http_request *request, struct curl_slist **ret)
{
    /* Without the first one curl waits a second for a "100 Continue" that some servers never send. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    for (size_t i = 0; i < request->header_count && list != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
        if (longer == NULL)
            curl_slist_free_all(list);
        list = longer;
    }
    *ret = list;
    return list != NULL;
}

static void
set_options(CURL *easy, const hv_http_request *request, const struct curl_slist *headers, hv_buf *body, char *text)
{
    const char *proxy = request->proxy != NULL && !hv_http_is_near(request->url) ? request->proxy : "";

    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
    (void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "hubvault/" HUBVAULT_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);             /* we have threads */
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, proxy);             /* "" also keeps curl from asking the environment */
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
    if (request->ca_file != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    if (request->body.data != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    } else if (strcmp(request->method, "GET") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
}

static hv_rc
rc_of(CURLcode code, const hv_buf *body)
{
    switch (code) {
    case CURLE_WRITE_ERROR:
        return body->failed != HV_OK ? body->failed : HV_UNAVAILABLE;
    case CURLE_OUT_OF_MEMORY:
        return HV_NOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return HV_USAGE;
    default:
        return HV_UNAVAILABLE;
    }
}

static hv_rc
failure(const hv_http_request *request, CURLcode code, const char *text, const hv_buf *body, hv_err *err)
{
    hv_rc rc = rc_of(code, body);
    int len = (int)strcspn(request->url, "?#");

    if (rc == HV_LIMIT)
        return hv_err_set(err, rc, "%s %.*s: the answer has more than %zu bytes", request->method, len, request->url,
                          body->max_len);
    (void)hv_err_set(err, rc, "%s %.*s: %s", request->method, len, request->url, text[0] != '\0' ? text : curl_easy_strerror(code));
    hv_redact(err->msg);
    return rc;
}

hv_rc
hv_http_init(hv_err *err)
{
    (void)pthread_once(&initialised, init_curl);
    return init_result == CURLE_OK ? HV_OK : hv_err_set(err, HV_INTERNAL, "libcurl: %s", curl_easy_strerror(init_result));
}

hv_rc
hv_http_send(const hv_http_request *request, hv_http_response *ret, hv_err *err)
{
    char text[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_off_t retry_after = 0;
    hv_http_response response = HV_HTTP_RESPONSE_INIT(ret->body.max_len);

    assert(request->timeout_ms > 0);
    hv_http_response_clear(ret);
    hv_rc rc = hv_http_init(err);
    if (rc != HV_OK)
        return rc;
    HV_AUTO(free_easy) CURL *easy = curl_easy_init();
    HV_AUTO(free_headers) struct curl_slist *headers = NULL;
    if (easy == NULL || !make_headers(request, &headers))
        return hv_err_set(err, HV_NOMEM, "no memory for a request");
    set_options(easy, request, headers, &response.body, text);
    CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK) {
        (void)failure(request, code, text, &response.body, err);
        hv_http_response_clear(&response);
        return err->rc;
    }
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
    response.status = (int)status;
    if (retry_after > 0)
        response.retry_after_ms = (retry_after < MAX_RETRY_AFTER_S ? retry_after : MAX_RETRY_AFTER_S) * 1000;
    *ret = response;
    return HV_OK;
}
