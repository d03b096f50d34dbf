/*
 * A body that is one JSON value goes into the line as it is. Two exceptions keep the envelope unambiguous: the value `null` goes
 * out as base64, because "value":null says that there is no value; and line feeds and carriage returns become blanks, because a
 * line has to stay a line (in valid JSON they stand between tokens only, so the value does not change). Whatever is not JSON is
 * base64.
 */
#include "replay/json_envelope.h"

#include "common/base64.h"
#include "common/json_out.h"
#include "common/time_text.h"

enum {
    NUMBER_MAX = 20,                    /* of INT64_MIN */
    SHORT = 256,                        /* bytes of a text that goes the short way */
    FIXED_MAX = 256,                    /* more than all literal text, the number and the time of one envelope */
};

#define PUT_LITERAL(at, text) (memcpy((at), "" text, sizeof text - 1), (at) + sizeof text - 1)

static char *
put_number(char *at, int64_t number)
{
    char digits[NUMBER_MAX];
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    int count = 0;

    if (number < 0)
        *at++ = '-';
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *
put_time(char *at, const hv_event *event)
{
    static const char *const types[] = {
        [HV_TIMESTAMP_NONE] = "none", [HV_TIMESTAMP_CREATE] = "create", [HV_TIMESTAMP_APPEND] = "append",
    };

    if (hv_time_has_date(event->timestamp_ms)) {
        hv_time_text text = hv_time_format(event->timestamp_ms);
        size_t len = strlen(text.text);
        *at++ = '"';
        memcpy(at, text.text, len);
        at += len;
        *at++ = '"';
    } else {
        at = put_number(at, event->timestamp_ms);
    }
    at = PUT_LITERAL(at, ",\"timestampType\":\"");
    size_t len = strlen(types[event->timestamp_type]);
    memcpy(at, types[event->timestamp_type], len);
    at += len;
    *at++ = '"';
    return at;
}

static void
put_base64_member(hv_buf *to, const char *name, hv_slice bytes)
{
    hv_buf_put_byte(to, '"');
    hv_buf_put_text(to, name);
    hv_buf_put_text(to, "_base64\":\"");
    hv_base64_encode(HV_BASE64_STANDARD, bytes, to);
    hv_buf_put_byte(to, '"');
}

/* "name":"text", or "name_base64":"..." for what is not UTF-8. */
static void
put_text_member(hv_buf *to, const char *name, hv_slice bytes)
{
    size_t before = to->len;

    hv_buf_put_byte(to, '"');
    hv_buf_put_text(to, name);
    hv_buf_put(to, "\":", 2);
    if (!hv_json_put_string(to, bytes)) {
        to->len = before;
        put_base64_member(to, name, bytes);
    }
}

/* Whether the text is ASCII that needs no escape: nearly all keys and headers are. */
static bool
is_plain(const char *at, size_t len)
{
    bool plain = true;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)at[i];
        plain = plain && c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    }
    return plain;
}

/* The same, and "name":null. Short plain text, which nearly all is, goes the short way: one reservation and no escapes. */
static inline void
put_member(hv_buf *to, const char *name, size_t name_len, hv_slice bytes)
{
    char *start, *at;

    if (bytes.data != NULL && (bytes.len > SHORT || !is_plain(bytes.data, bytes.len))) {
        put_text_member(to, name, bytes);
        return;
    }
    start = at = hv_buf_reserve(to, name_len + SHORT + 8);
    if (at == NULL)
        return;
    *at++ = '"';
    memcpy(at, name, name_len);
    at += name_len;
    at = PUT_LITERAL(at, "\":");
    if (bytes.data == NULL) {
        at = PUT_LITERAL(at, "null");
    } else {
        *at++ = '"';
        memcpy(at, bytes.data, bytes.len);
        at += bytes.len;
        *at++ = '"';
    }
    to->len += (size_t)(at - start);
}

#define PUT_MEMBER(to, name, bytes) put_member((to), "" name, sizeof name - 1, (bytes))

static void
put_headers(hv_buf *to, const hv_event *event)
{
    hv_buf_put(to, ",\"headers\":[", 12);
    for (size_t i = 0; i < event->header_count; i++) {
        if (i > 0)
            hv_buf_put_byte(to, ',');
        hv_buf_put_byte(to, '{');
        PUT_MEMBER(to, "name", event->headers[i].name);
        hv_buf_put_byte(to, ',');
        PUT_MEMBER(to, "value", event->headers[i].value);
        hv_buf_put_byte(to, '}');
    }
    hv_buf_put(to, "],", 2);
}

/* Of valid JSON: whether it is the literal null, with blanks around it. */
static bool
is_literal_null(hv_slice json)
{
    const char *at = json.data, *end = at + json.len;

    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return *at == 'n';
}

static void
put_on_one_line(hv_buf *to, hv_slice json)
{
    char *copy = hv_buf_reserve(to, json.len);

    if (copy == NULL)
        return;
    memcpy(copy, json.data, json.len);
    for (size_t i = 0; i < json.len; i++)
        if (copy[i] == '\n' || copy[i] == '\r')
            copy[i] = ' ';
    to->len += json.len;
}

static void
put_body(hv_buf *to, hv_slice body, bool always_base64)
{
    bool has_newline = false;

    if (body.data == NULL) {
        hv_buf_put_text(to, "\"value\":null");
    } else if (always_base64 || !hv_json_valid(body, &has_newline) || is_literal_null(body)) {
        put_base64_member(to, "value", body);
    } else {
        hv_buf_put(to, "\"value\":", 8);
        if (has_newline)
            put_on_one_line(to, body);
        else
            hv_buf_put(to, body.data, body.len);
    }
}

void
hv_json_put_opening(hv_buf *to, const hv_partition *from)
{
    hv_buf_printf(to, "{\"hub\":\"%s\",\"incarnation\":%u,\"partition\":%d,\"offset\":", from->hub, (unsigned)from->incarnation,
                  (int)from->number);   /* nothing to escape in the name of a hub */
}

void
hv_json_put_event(hv_buf *to, hv_slice opening, const hv_event *event, bool body_base64)
{
    hv_buf_put(to, opening.data, opening.len);
    char *start = hv_buf_reserve(to, FIXED_MAX), *at = start;
    if (start != NULL) {
        at = put_number(at, event->offset);
        at = PUT_LITERAL(at, ",\"timestamp\":");
        at = put_time(at, event);
        *at++ = ',';
        to->len += (size_t)(at - start);
    }
    PUT_MEMBER(to, "key", event->key);
    put_headers(to, event);
    put_body(to, event->value, body_base64);
    hv_buf_put_byte(to, '}');
}
