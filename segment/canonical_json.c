/*
 * The scanner never looks past `end`, keeps `at` where it was when something does not match, and does nothing more after its first
 * failure, so a chain of calls over any bytes ends after one pass.
 */
#include "segment/canonical_json.h"

#include <stdlib.h>

enum { INT_MAX_TEXT = 20, SHOWN = 24 };

/* Digits from the end, so that the most negative number needs no case of its own. Returns where the text begins in buffer. */
static char *
int_text(int64_t value, char buffer[INT_MAX_TEXT])
{
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *at = buffer + INT_MAX_TEXT;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    return at;
}

void
hv_json_put_int(hv_buf *to, int64_t value)
{
    char buffer[INT_MAX_TEXT];
    const char *text = int_text(value, buffer);

    hv_buf_put(to, text, (size_t)(buffer + INT_MAX_TEXT - text));
}

static bool
is_plain(unsigned char c)
{
    return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';
}

void
hv_json_put_text(hv_buf *to, const char *text)
{
    hv_json_put_bytes(to, hv_slice_text(text));
}

void
hv_json_put_bytes(hv_buf *to, hv_slice bytes)
{
    hv_buf_put_byte(to, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = ((const unsigned char *)bytes.data)[i];
        if (is_plain(c))
            hv_buf_put_byte(to, c);
        else
            hv_buf_printf(to, "\\u%04x", c);
    }
    hv_buf_put_byte(to, '"');
}

void
hv_json_put_sha256(hv_buf *to, const unsigned char hash[HV_SHA256_SIZE])
{
    char text[HV_SHA256_TEXT_SIZE + 2] = "\"";

    hv_sha256_text(hash, text + 1);
    text[HV_SHA256_TEXT_SIZE] = '"';
    hv_buf_put(to, text, HV_SHA256_TEXT_SIZE + 1);
}

hv_json_scan
hv_json_scan_make(hv_slice json, hv_err *err)
{
    const char *start = json.data;

    return (hv_json_scan){.start = start, .at = start, .end = start + json.len, .rc = HV_OK, .err = err};
}

/* Whatever stands here, made harmless for a line of text. */
static void
show(const hv_json_scan *scan, char shown[SHOWN + 1])
{
    size_t len = 0;

    for (; len < SHOWN && scan->at + len < scan->end; len++) {
        unsigned char c = (unsigned char)scan->at[len];
        shown[len] = (char)(c >= 0x20 && c <= 0x7e ? c : '?');
    }
    shown[len] = '\0';
}

hv_rc
hv_json_scan_fail(hv_json_scan *scan, const char *wanted)
{
    char shown[SHOWN + 1];

    if (scan->rc != HV_OK)
        return scan->rc;
    show(scan, shown);
    scan->rc = hv_err_set(scan->err, HV_CORRUPT, "byte %td: wanted %s, not '%s'", scan->at - scan->start, wanted, shown);
    return scan->rc;
}

void
hv_json_scan_literal(hv_json_scan *scan, const char *literal)
{
    size_t len = strlen(literal);

    if (scan->rc != HV_OK)
        return;
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, literal, len) != 0)
        (void)hv_json_scan_fail(scan, literal);
    else
        scan->at += len;
}

/* One spelling per number: no plus, no leading zero, no minus zero. */
int64_t
hv_json_scan_int(hv_json_scan *scan, int64_t min, int64_t max)
{
    const char *at = scan->at;
    bool negative = at < scan->end && *at == '-';
    uint64_t value = 0, limit = negative ? (uint64_t)1 << 63 : INT64_MAX;

    if (scan->rc != HV_OK)
        return 0;
    const char *digits = at += negative;
    for (; at < scan->end && *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (value > (limit - digit) / 10)
            goto wrong;
        value = value * 10 + digit;
    }
    if (at == digits || (*digits == '0' && (at - digits > 1 || negative)))
        goto wrong;
    int64_t result = (int64_t)(negative ? 0 - value : value);
    if (result < min || result > max)
        goto wrong;
    scan->at = at;
    return result;
wrong:
    (void)hv_json_scan_fail(scan, min < 0 ? "an integer" : "an integer in range");
    return 0;
}

static int
hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Of \u00xx, for a byte that would not stand plain; -1 for anything else. */
static int
escaped_byte(const char *at, const char *end)
{
    if (end - at < 6 || memcmp(at, "\\u00", 4) != 0)
        return -1;
    int high = hex_value(at[4]), low = hex_value(at[5]), byte = high * 16 + low;
    return high < 0 || low < 0 || is_plain((unsigned char)byte) ? -1 : byte;
}

/* Behind the mark that a string begins with; NULL if there is none, or nothing is scanned any more. */
static const char *
begin_string(hv_json_scan *scan)
{
    if (scan->rc == HV_OK && (scan->at == scan->end || *scan->at != '"'))
        (void)hv_json_scan_fail(scan, "a string");
    return scan->rc == HV_OK ? scan->at + 1 : NULL;
}

void
hv_json_scan_text(hv_json_scan *scan, char *ret, size_t size)
{
    const char *at = begin_string(scan);
    size_t len = 0;

    ret[0] = '\0';
    if (at == NULL)
        return;
    while (at < scan->end && *at != '"') {
        bool plain = is_plain((unsigned char)*at);
        int byte = plain ? (unsigned char)*at : escaped_byte(at, scan->end);
        if (byte <= 0 || len + 1 >= size)
            break;
        ret[len++] = (char)byte;
        at += plain ? 1 : 6;
    }
    ret[len] = '\0';
    if (at < scan->end && *at == '"') {
        scan->at = at + 1;
        return;
    }
    ret[0] = '\0';
    (void)hv_json_scan_fail(scan, "a string that ends, is not too long and has one spelling");
}

void
hv_json_scan_bytes(hv_json_scan *scan, size_t max, hv_buf *to)
{
    const char *at = begin_string(scan);
    size_t before = to->len;

    if (at == NULL)
        return;
    while (at < scan->end && *at != '"') {
        bool plain = is_plain((unsigned char)*at);
        int byte = plain ? (unsigned char)*at : escaped_byte(at, scan->end);
        if (byte < 0 || to->len - before >= max)
            break;
        hv_buf_put_byte(to, (unsigned char)byte);
        at += plain ? 1 : 6;
    }
    if (to->failed != HV_OK)
        scan->rc = hv_buf_check(to, scan->err);
    else if (at < scan->end && *at == '"')
        scan->at = at + 1;
    else
        (void)hv_json_scan_fail(scan, "a string that ends, is not too long and has one spelling");
}

void
hv_json_scan_sha256(hv_json_scan *scan, unsigned char ret[HV_SHA256_SIZE])
{
    char text[HV_SHA256_TEXT_SIZE];
    const char *at = scan->at;

    if (scan->rc != HV_OK)
        return;
    if (scan->end - at >= HV_SHA256_TEXT_SIZE + 1 && at[0] == '"' && at[HV_SHA256_TEXT_SIZE] == '"') {
        memcpy(text, at + 1, HV_SHA256_TEXT_SIZE - 1);
        text[HV_SHA256_TEXT_SIZE - 1] = '\0';
        if (hv_sha256_parse(text, ret)) {
            scan->at += HV_SHA256_TEXT_SIZE + 1;
            return;
        }
    }
    (void)hv_json_scan_fail(scan, "a SHA-256 in 64 lower-case digits");
}

bool
hv_json_scan_null(hv_json_scan *scan)
{
    if (scan->rc != HV_OK || scan->end - scan->at < 4 || memcmp(scan->at, "null", 4) != 0)
        return false;
    scan->at += 4;
    return true;
}

bool
hv_json_scan_more(hv_json_scan *scan, size_t index)
{
    char c = scan->at < scan->end ? *scan->at : '\0';

    if (scan->rc != HV_OK)
        return false;
    if (c == ']') {
        scan->at++;
        return false;
    }
    if (index == 0)
        return true;
    hv_json_scan_literal(scan, ",");
    return scan->rc == HV_OK;
}

void *
hv_json_scan_grow(hv_json_scan *scan, void *array, size_t count, size_t *room, size_t item, size_t max)
{
    if (count < *room)
        return array;
    if (count == max) {
        (void)hv_json_scan_fail(scan, "no more elements than are allowed");
        return NULL;
    }
    size_t wanted = *room < 8 ? 8 : *room * 2;
    void *moved = realloc(array, wanted * item);
    if (moved == NULL)
        scan->rc = hv_err_set(scan->err, HV_NOMEM, "no memory for %zu elements of a stored record", wanted);
    else
        *room = wanted;
    return moved;
}

hv_rc
hv_json_scan_end(hv_json_scan *scan)
{
    if (scan->rc == HV_OK && scan->at != scan->end)
        return hv_json_scan_fail(scan, "the end");
    return scan->rc;
}
