/*
 * From librdkafka's records and errors to items.
 *
 * A record costs no allocation here but for its headers, which librdkafka parses when they are asked for. Their names come as C
 * strings whose length it does not tell: a name with a NUL byte in it ends there.
 *
 * Errors reach us in two ways. Those with a record's place come as messages in the order of the queue. Those of topics and brokers
 * come by the error callback, which librdkafka calls inside consumer_poll and while it fills a batch; a partition is then named by the
 * text alone (rd_kafka_toppar_enq_error, the same from 2.0.2 to 2.10.0).
 */
#include <stdio.h>
#include <stdlib.h>

#include "source/source_kafka.h"

enum {
    LOG_TRUNCATION = -139,              /* RD_KAFKA_RESP_ERR__LOG_TRUNCATION, from 2.1.0 on */
    MAX_HEADERS = 1 << 20,
};

/* ---- events ---- */

static hv_rc
room_for_headers(hv_kafka *k, size_t count, hv_err *err)
{
    if (count <= k->poll.header_room)
        return HV_OK;
    if (count > MAX_HEADERS)
        return hv_err_set(err, HV_CORRUPT, "%zu headers, %d are possible", count, MAX_HEADERS);
    size_t room = count < 16 ? 16 : count * 2;
    hv_header *grown = realloc(k->poll.headers, room * sizeof *grown);
    if (grown == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu headers", room);
    k->poll.headers = grown;
    k->poll.header_room = room;
    return HV_OK;
}

static hv_rc
convert_headers(hv_kafka *k, const rd_kafka_message_t *message, hv_event *ret, hv_err *err)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t code = rd_kafka_message_headers(message, &headers);

    ret->headers = NULL;
    ret->header_count = 0;
    if (code == RD_KAFKA_RESP_ERR__NOENT)
        return HV_OK;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return hv_err_set(err, HV_CORRUPT, "the headers cannot be read: %s", rd_kafka_err2str(code));
    size_t count = rd_kafka_header_cnt(headers);
    hv_rc rc = room_for_headers(k, count, err);
    for (size_t i = 0; i < count && rc == HV_OK; i++) {
        hv_header *to = &k->poll.headers[i];
        const char *name = NULL;
        const void *value = NULL;
        size_t len = 0;
        (void)rd_kafka_header_get_all(headers, i, &name, &value, &len);     /* fails behind the last one only */
        to->name = hv_slice_text(name);
        to->value = hv_slice_of(value, value != NULL ? len : 0);
    }
    if (rc == HV_OK) {
        ret->headers = k->poll.headers;
        ret->header_count = count;
    }
    return rc;
}

hv_rc
hv_kafka_event_of(hv_kafka *k, const rd_kafka_message_t *message, hv_event *ret, hv_err *err)
{
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    int64_t timestamp = rd_kafka_message_timestamp(message, &type);

    ret->offset = message->offset;
    ret->timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp;
    ret->timestamp_type = type == RD_KAFKA_TIMESTAMP_CREATE_TIME       ? HV_TIMESTAMP_CREATE
                          : type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? HV_TIMESTAMP_APPEND
                                                                       : HV_TIMESTAMP_NONE;
    ret->key = hv_slice_of(message->key, message->key != NULL ? message->key_len : 0);
    ret->value = hv_slice_of(message->payload, message->payload != NULL ? message->len : 0);
    return convert_headers(k, message, ret, err);
}

/* ---- what errors mean ---- */

hv_source_kind
hv_kafka_classify(rd_kafka_resp_err_t code, hv_rc *rc)
{
    *rc = hv_kafka_rc(code);
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case LOG_TRUNCATION:
        return HV_SOURCE_OUT_OF_RANGE;
    default:
        return *rc == HV_NOT_FOUND ? HV_SOURCE_GONE : *rc == HV_AUTH ? HV_SOURCE_REFUSED : HV_SOURCE_TROUBLE;
    }
}

hv_rc
hv_kafka_rc(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return HV_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case LOG_TRUNCATION:
        return HV_GAP;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return HV_NOT_FOUND;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        return HV_AUTH;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        return HV_CORRUPT;
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return HV_VERSION;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return HV_LIMIT;
    default:
        return HV_UNAVAILABLE;
    }
}

/* ---- errors without a record ---- */

bool
hv_kafka_parse_partition(const char *text, char *hub, size_t size, int32_t *partition)
{
    const char *bracket = strstr(text, " [");
    char *end;

    if (bracket == NULL || bracket == text || (size_t)(bracket - text) >= size)
        return false;
    if (bracket[2] < '0' || bracket[2] > '9')
        return false;
    long number = strtol(bracket + 2, &end, 10);
    if (strncmp(end, "]:", 2) != 0 || number > INT32_MAX)
        return false;
    memcpy(hub, text, (size_t)(bracket - text));
    hub[bracket - text] = '\0';
    *partition = (int32_t)number;
    return true;
}

void
hv_kafka_keep_error(hv_kafka *k, rd_kafka_resp_err_t code, const char *reason)
{
    if (k->poll.error_count == HV_KAFKA_ERROR_RING)
        return;
    struct hv_kafka_error *to = &k->poll.errors[(k->poll.error_head + k->poll.error_count++) % HV_KAFKA_ERROR_RING];
    hv_rc rc;
    to->kind = hv_kafka_classify(code, &rc);
    (void)hv_err_set(&to->err, rc, "%s: %s", rd_kafka_err2name(code), reason);
    hv_secret_redact(&k->locked.conn->credentials.password, to->err.msg);
    k->poll.auth_failed |= rc == HV_AUTH;
}

/* Called in the poll thread. To yield makes consumer_poll return, so that the error is told now. It is not asked for while a batch is
 * filled, which does not wait: after a callback has yielded, rd_kafka_q_serve_rkmessages (2.0.2) takes the next record out of the queue
 * and drops it. */
void
hv_kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *owner)
{
    hv_kafka *k = hv_kafka_of_owner(owner);
    char hub[HV_HUB_SIZE];
    int32_t partition;

    if (k == NULL)
        return;
    if (!hv_kafka_parse_partition(reason, hub, sizeof hub, &partition)) {
        hv_kafka_keep_error(k, (rd_kafka_resp_err_t)code, reason);
    } else {
        hv_kafka_entry *entry = hv_kafka_find_entry(k, hub, partition);
        if (entry != NULL && entry->state == HV_KAFKA_RUNNING)
            hv_kafka_set_error(k, entry, (rd_kafka_resp_err_t)code);
    }
    if (!k->poll.fills_batch)
        rd_kafka_yield(rk);
}

/* ---- versions ---- */

const char *
hv_kafka_version_warning(int version, bool oauth)
{
    if (version < 0x02000000)
        return "librdkafka is older than 2.0.0, with which hubvault is not tested";
    /* librdkafka issue 4903, fixed in 2.6.1 */
    if (oauth && (version & 0x7fffff00) == 0x02060000)
        return "librdkafka 2.6.0 cannot log in to Event Hubs with OAuth: install 2.6.1 or newer, or an older one";
    return NULL;
}
