/*
 * A frame is a length of four bytes, a header with a correlation id, and a body. Login is SaslHandshake (17) version 1, then
 * SaslAuthenticate (36) version 0, with PLAIN (RFC 4616) or OAUTHBEARER (RFC 7628).
 */
#include "source/kafka_line.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/dial.h"
#include "source/kafka_wire.h"

enum {
    SASL_HANDSHAKE = 17,
    API_VERSIONS = 18,
    SASL_AUTHENTICATE = 36,
    HIGHEST_API_KEY = 100,
    SMALL_ANSWER = 65536,
};

struct hv_kafka_line {
    hv_dial *dial;
    int32_t correlation;
    int16_t versions[HIGHEST_API_KEY + 1];      /* highest known ones; -1: none */
    char address[300];
};

void
hv_kafka_line_close(hv_kafka_line *line)
{
    if (line == NULL)
        return;
    hv_dial_close(line->dial);
    free(line);
}

int
hv_kafka_line_version(const hv_kafka_line *line, int16_t api_key)
{
    return api_key >= 0 && api_key <= HIGHEST_API_KEY ? line->versions[api_key] : -1;
}

/* ---- frames ---- */

static void
wipe(hv_buf *buf)
{
    if (buf->data != NULL)
        explicit_bzero(buf->data, buf->allocated);
    hv_buf_free(buf);
}
HV_DEFINE_AUTO_VALUE(hv_buf, wipe);

static hv_rc
send_frame(hv_kafka_line *line, int16_t api_key, int16_t version, bool flexible, hv_slice body, hv_err *err)
{
    HV_AUTO(wipe) hv_buf frame = HV_BUF_INIT(body.len + 64);

    (void)hv_buf_reserve(&frame, body.len + 64);
    hv_wire_put_i32(&frame, (int32_t)(body.len + 2 + 2 + 4 + 2 + strlen("hubvault") + flexible));
    hv_wire_put_i16(&frame, api_key);
    hv_wire_put_i16(&frame, version);
    hv_wire_put_i32(&frame, ++line->correlation);
    hv_wire_put_string(&frame, "hubvault");
    if (flexible)
        hv_wire_put_varint(&frame, 0);
    hv_buf_put(&frame, body.data, body.len);
    hv_rc rc = hv_buf_check(&frame, err);
    return rc == HV_OK ? hv_dial_send(line->dial, hv_buf_slice(&frame), err) : rc;
}

hv_rc
hv_kafka_line_ask(hv_kafka_line *line, int16_t api_key, int16_t version, bool flexible, hv_slice body, hv_buf *answer, hv_err *err)
{
    char head[9];
    size_t head_len = 8;
    hv_rc rc = send_frame(line, api_key, version, flexible, body, err);

    if (rc == HV_OK)
        rc = hv_dial_receive(line->dial, head, head_len, err);
    if (rc != HV_OK)
        return rc;
    hv_wire_reader reader = hv_wire_reader_of(hv_slice_of(head, head_len));
    int32_t len = hv_wire_i32(&reader), correlation = hv_wire_i32(&reader);
    if (len < 4 || correlation != line->correlation)
        return hv_err_set(err, HV_UNAVAILABLE, "%s: what it answers is no Kafka", line->address);
    hv_buf_clear(answer);
    size_t rest = (size_t)len - 4;
    char *to = hv_buf_reserve(answer, rest);
    rc = hv_buf_check(answer, err);
    if (rc == HV_OK)
        rc = hv_dial_receive(line->dial, to, rest, err);
    if (rc != HV_OK)
        return rc;
    answer->len += rest;
    answer->data[answer->len] = '\0';
    return HV_OK;
}

/* ---- login ---- */

static hv_rc
learn_versions(hv_kafka_line *line, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf answer = HV_BUF_INIT(SMALL_ANSWER);
    hv_rc rc = hv_kafka_line_ask(line, API_VERSIONS, 0, false, hv_slice_text(""), &answer, err);

    if (rc != HV_OK)
        return rc;
    hv_wire_reader reader = hv_wire_reader_of(hv_buf_slice(&answer));
    int16_t error = hv_wire_i16(&reader);
    for (uint32_t left = hv_wire_array(&reader, 6); left > 0; left--) {
        int16_t api_key = hv_wire_i16(&reader);
        (void)hv_wire_i16(&reader);     /* lowest version */
        int16_t highest = hv_wire_i16(&reader);
        if (api_key >= 0 && api_key <= HIGHEST_API_KEY)
            line->versions[api_key] = highest;
    }
    if (error != 0 || reader.failed)
        return hv_err_set(err, HV_VERSION, "%s does not tell which requests it knows", line->address);
    return HV_OK;
}

static hv_rc
choose_mechanism(hv_kafka_line *line, const char *mechanism, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf body = HV_BUF_INIT(64), answer = HV_BUF_INIT(SMALL_ANSWER);

    hv_wire_put_string(&body, mechanism);
    hv_rc rc = hv_buf_check(&body, err);
    if (rc == HV_OK)
        rc = hv_kafka_line_ask(line, SASL_HANDSHAKE, 1, false, hv_buf_slice(&body), &answer, err);
    if (rc != HV_OK)
        return rc;
    hv_wire_reader reader = hv_wire_reader_of(hv_buf_slice(&answer));
    int16_t error = hv_wire_i16(&reader);
    if (error != 0 || reader.failed)
        return hv_err_set(err, HV_AUTH, "%s does not take %s", line->address, mechanism);
    return HV_OK;
}

/* What SASL wants to hear first: the only secret in here, so it is wiped. */
static hv_rc
make_first_message(const hv_kafka_settings *settings, hv_buf *to, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    HV_AUTO(hv_token_clear) hv_token token = {0};
    hv_rc rc = HV_OK;

    (void)hv_buf_reserve(to, to->max_len);
    if (settings->auth == HV_KAFKA_AUTH_OAUTH) {
        rc = settings->token(settings->token_arg, &token, err);
        if (rc == HV_OK)
            hv_buf_printf(to, "n,,\001auth=Bearer %s\001\001", token.token);
    } else {
        rc = hv_kafka_credentials_read(settings, &credentials, err);
        if (rc == HV_OK) {
            hv_buf_put_byte(to, 0);
            hv_buf_put_text(to, credentials.user);
            hv_buf_put_byte(to, 0);
            hv_buf_put_text(to, credentials.password.text);
        }
    }
    return rc == HV_OK ? hv_buf_check(to, err) : rc;
}

static hv_rc
log_in(hv_kafka_line *line, const hv_kafka_settings *settings, hv_err *err)
{
    HV_AUTO(wipe) hv_buf first = HV_BUF_INIT(HV_SECRET_MAX + 1024), body = HV_BUF_INIT(HV_SECRET_MAX + 1100);
    HV_AUTO(hv_buf_free) hv_buf answer = HV_BUF_INIT(SMALL_ANSWER);

    if (settings->auth == HV_KAFKA_AUTH_NONE)
        return HV_OK;
    hv_rc rc = make_first_message(settings, &first, err);
    if (rc == HV_OK)
        rc = choose_mechanism(line, settings->auth == HV_KAFKA_AUTH_OAUTH ? "OAUTHBEARER" : "PLAIN", err);
    if (rc != HV_OK)
        return rc;
    (void)hv_buf_reserve(&body, first.len + 4);
    hv_wire_put_i32(&body, (int32_t)first.len);
    hv_buf_put(&body, first.data, first.len);
    rc = hv_buf_check(&body, err);
    if (rc == HV_OK)
        rc = hv_kafka_line_ask(line, SASL_AUTHENTICATE, 0, false, hv_buf_slice(&body), &answer, err);
    if (rc != HV_OK)
        return rc;
    hv_wire_reader reader = hv_wire_reader_of(hv_buf_slice(&answer));
    int16_t error = hv_wire_i16(&reader);
    (void)hv_wire_string(&reader);
    /* A server that refuses a bearer token answers with a reason instead of nothing (RFC 7628 section 3.2.2). */
    hv_slice said = hv_wire_bytes(&reader, (size_t)(uint32_t)hv_wire_i32(&reader));
    if (error != 0 || reader.failed || (settings->auth == HV_KAFKA_AUTH_OAUTH && said.len > 0))
        return hv_err_set(err, HV_AUTH, "%s refuses our credentials", line->address);
    return HV_OK;
}

/* ---- connect ---- */

static hv_rc
open_one(const hv_kafka_settings *settings, const char *address, size_t address_len, bool tls, int64_t until_ms,
         hv_kafka_line **ret, hv_err *err)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = calloc(1, sizeof *line);

    if (line == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a connection");
    memset(line->versions, -1, sizeof line->versions);
    (void)snprintf(line->address, sizeof line->address, "%.*s", (int)address_len, address);
    hv_rc rc = hv_dial_open(line->address, tls, settings->ca_file, until_ms, &line->dial, err);
    if (rc == HV_OK)
        rc = learn_versions(line, err);
    if (rc == HV_OK)
        rc = log_in(line, settings, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(line);
    return rc;
}

hv_rc
hv_kafka_line_open(const hv_kafka_settings *settings, int timeout_ms, hv_kafka_line **ret, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    char brokers[4096];
    int64_t until_ms = hv_clock_boot_ms() + timeout_ms;
    hv_rc rc = hv_kafka_credentials_read(settings, &credentials, err);

    if (rc == HV_OK)
        rc = hv_kafka_bootstrap(settings, &credentials, brokers, sizeof brokers, err);
    if (rc != HV_OK)
        return rc;
    bool tls = hv_kafka_speaks_tls(settings, &credentials);
    rc = hv_err_set(err, HV_UNAVAILABLE, "no broker in '%s'", brokers);
    for (const char *at = brokers; *at != '\0' && rc == HV_UNAVAILABLE;) {
        size_t len = strcspn(at, ",");
        if (len > 0)
            rc = open_one(settings, at, len, tls, until_ms, ret, err);
        at += len + (at[len] == ',');
    }
    return rc;
}
