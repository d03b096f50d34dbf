/*
 * A small HTTP server for reading: what the service shows of itself, over libmicrohttpd.
 *
 * GET and HEAD only, no bodies taken, few connections, short time-outs, one thread that sleeps when nobody asks. There is no
 * authentication: it listens on loopback unless told otherwise, and there answers only to names of loopback, so that a page in somebody's
 * browser that has its own name point here (DNS rebinding) learns nothing.
 */
#ifndef HV_SERVER_HTTP_SERVER_H
#define HV_SERVER_HTTP_SERVER_H

#include "common/buf.h"

typedef struct hv_http_server hv_http_server;

enum {
    HV_HTTP_CONNECTIONS = 64,           /* more are refused */
    HV_HTTP_TIMEOUT_S = 10,             /* of a connection on which nothing happens */
    HV_HTTP_BODY_MAX = 64 << 20,
};

typedef struct hv_http_reply {
    unsigned status;                    /* 200 if not set */
    const char *type;                   /* Content-Type, a literal; "text/plain; charset=utf-8" if not set */
    hv_buf *body;                       /* empty */
} hv_http_reply;

typedef struct hv_http_server_config {
    const char *listen;                 /* "127.0.0.1:9464", "[::1]:0": a number, not a name; port 0: any that is free */
    /* Of the thread of the server. False: there is no such path. */
    bool (*answer)(void *arg, const char *path, hv_http_reply *reply);
    /* After each answer, ours too (404, 405, 421, 500). NULL: nobody wants to know. */
    void (*answered)(void *arg, unsigned status);
    void *arg;
} hv_http_server_config;

/* HV_BUSY: somebody else listens there. HV_USAGE: not an address, or none of this machine. HV_IO, HV_NOMEM. */
hv_rc hv_http_server_start(const hv_http_server_config *config, hv_http_server **ret, hv_err *err) HV_MUST_USE;

/* Where it listens: "127.0.0.1:9464". Lives as long as the server. */
const char *hv_http_server_address(const hv_http_server *server);

/* Waits for the answer under way. Accepts NULL. */
void hv_http_server_stop(hv_http_server *server);
HV_DEFINE_AUTO(hv_http_server, hv_http_server_stop);

#endif
