/*
 * One HTTP request at a time, over libcurl: for tokens, registries and health checks. Nothing is taken from the environment, no
 * redirect is followed, and no answer is larger than its limit.
 *
 * Any thread. Messages name the method, scheme, host and path of a request; never its query, headers or body, nor those of the
 * answer.
 */
#ifndef HV_COMMON_HTTP_H
#define HV_COMMON_HTTP_H

#include "common/buf.h"

typedef struct hv_http_request {
    const char *method;                 /* "GET", "POST" */
    const char *url;                    /* http or https */
    const char *const *headers;         /* "Name: value" */
    size_t header_count;
    hv_slice body;                      /* null: none */
    int timeout_ms;                     /* of everything; above 0 */
    const char *ca_file;                /* NULL: the system's */
    const char *proxy;                  /* NULL: none. Never used for hosts that are loopback or link-local */
} hv_http_request;

typedef struct hv_http_response {
    int status;
    int64_t retry_after_ms;             /* -1: the server did not say */
    hv_buf body;                        /* made by the caller with the limit it wants; wiped and emptied before use */
} hv_http_response;

#define HV_HTTP_RESPONSE_INIT(limit) {.retry_after_ms = -1, .body = HV_BUF_INIT(limit)}

/* Wipes the body: it may hold a token. */
void hv_http_response_clear(hv_http_response *response);
HV_DEFINE_AUTO_VALUE(hv_http_response, hv_http_response_clear);

/* Prepares libcurl, once per process; hv_http_send does so by itself. For whoever uses libcurl directly. */
hv_rc hv_http_init(hv_err *err) HV_MUST_USE;

/* HV_OK whenever an answer came, whatever its status. HV_USAGE: the URL is none. HV_UNAVAILABLE: no connection, no trust in the
 * server's certificate, no answer in time. HV_LIMIT: the answer is larger than the buffer may be. HV_NOMEM. */
hv_rc hv_http_send(const hv_http_request *request, hv_http_response *ret, hv_err *err) HV_MUST_USE;

/* Whether the URL's host is this machine (localhost, 127.0.0.0/8, [::1]) or link-local (169.254.0.0/16, [fe80::]). */
bool hv_http_is_near(const char *url);

/* Percent-encoded, everything but letters, digits and -._~ (RFC 3986 section 2.3). */
void hv_http_put_escaped(hv_buf *to, const char *text);

#endif
