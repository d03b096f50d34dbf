/* libcurl connects and does TLS (CURLOPT_CONNECT_ONLY), with its checks of certificate and host name; the bytes are the caller's. */
#include "common/dial.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/http.h"

struct hv_dial {
    CURL *easy;
    curl_socket_t fd;
    int64_t until_boot_ms;
    char address[300];
    char text[CURL_ERROR_SIZE];
};

void
hv_dial_close(hv_dial *dial)
{
    if (dial == NULL)
        return;
    curl_easy_cleanup(dial->easy);      /* accepts NULL */
    free(dial);
}

static int
time_left(const hv_dial *dial)
{
    int64_t left = dial->until_boot_ms - hv_clock_boot_ms();

    return left > 0 ? (int)(left < INT32_MAX ? left : INT32_MAX) : 0;
}

static hv_rc
broken(const hv_dial *dial, const char *why, hv_err *err)
{
    return hv_err_set(err, HV_UNAVAILABLE, "%s: %s", dial->address, why);
}

static hv_rc
connect_to(hv_dial *dial, bool tls, const char *ca_file, hv_err *err)
{
    char url[sizeof dial->address + 16];

    (void)snprintf(url, sizeof url, "%s://%s/", tls ? "https" : "http", dial->address);
    (void)curl_easy_setopt(dial->easy, CURLOPT_ERRORBUFFER, dial->text);
    (void)curl_easy_setopt(dial->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(dial->easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(dial->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    (void)curl_easy_setopt(dial->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(dial->easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(dial->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(time_left(dial) + 1));
    if (ca_file != NULL)
        (void)curl_easy_setopt(dial->easy, CURLOPT_CAINFO, ca_file);
    CURLcode code = curl_easy_perform(dial->easy);
    if (code != CURLE_OK)
        return broken(dial, dial->text[0] != '\0' ? dial->text : curl_easy_strerror(code), err);
    code = curl_easy_getinfo(dial->easy, CURLINFO_ACTIVESOCKET, &dial->fd);
    return code == CURLE_OK && dial->fd != CURL_SOCKET_BAD ? HV_OK : broken(dial, "no connection", err);
}

hv_rc
hv_dial_open(const char *address, bool tls, const char *ca_file, int64_t until_boot_ms, hv_dial **ret, hv_err *err)
{
    hv_rc rc = hv_http_init(err);

    if (rc != HV_OK)
        return rc;
    HV_AUTO(hv_dial_close) hv_dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL || (dial->easy = curl_easy_init()) == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a connection");
    dial->until_boot_ms = until_boot_ms;
    (void)snprintf(dial->address, sizeof dial->address, "%s", address);
    rc = connect_to(dial, tls, ca_file, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(dial);
    return rc;
}

/* Until there is something to read or room to write. */
static hv_rc
wait_for(hv_dial *dial, short what, hv_err *err)
{
    struct pollfd fd = {.fd = dial->fd, .events = what};

    return poll(&fd, 1, time_left(dial)) > 0 ? HV_OK : broken(dial, "no answer in time", err);
}

hv_rc
hv_dial_send(hv_dial *dial, hv_slice bytes, hv_err *err)
{
    const char *data = bytes.data;
    hv_rc rc = HV_OK;

    for (size_t sent = 0; sent < bytes.len && rc == HV_OK;) {
        size_t done = 0;
        CURLcode code = curl_easy_send(dial->easy, data + sent, bytes.len - sent, &done);
        sent += done;
        if (code == CURLE_AGAIN)
            rc = wait_for(dial, POLLOUT, err);
        else if (code != CURLE_OK)
            rc = broken(dial, curl_easy_strerror(code), err);
    }
    return rc;
}

hv_rc
hv_dial_receive(hv_dial *dial, char *to, size_t len, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t got = 0; got < len && rc == HV_OK;) {
        size_t done = 0;
        CURLcode code = curl_easy_recv(dial->easy, to + got, len - got, &done);
        got += done;
        if (code == CURLE_AGAIN)
            rc = wait_for(dial, POLLIN, err);
        else if (code != CURLE_OK || done == 0)
            rc = broken(dial, code != CURLE_OK ? curl_easy_strerror(code) : "the connection was closed", err);
    }
    return rc;
}
