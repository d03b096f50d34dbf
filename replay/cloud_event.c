/*
 * The search for a member walks over text that hv_json_valid() has accepted, so it may trust the grammar: it only has to know where
 * strings end and how deep it stands. Names and values are compared after unescaping, because "ty\u0070e" is the same name.
 */
#include "replay/cloud_event.h"

#include <strings.h>

#include "common/json_out.h"

enum { LONGEST_ESCAPE = 6 };            /* \u0041 */

typedef struct walker {
    const unsigned char *at, *end;
} walker;

/* Stands on the opening quote; leaves behind the closing one. The contents with their escapes. */
static hv_slice
walk_string(walker *walk)
{
    const unsigned char *first = ++walk->at;

    while (*walk->at != '"')
        walk->at += *walk->at == '\\' ? 2 : 1;
    return hv_slice_of(first, (size_t)(walk->at++ - first));
}

static void
walk_blanks(walker *walk)
{
    while (walk->at < walk->end && (*walk->at == ' ' || *walk->at == '\t' || *walk->at == '\n' || *walk->at == '\r'))
        walk->at++;
}

/* Any value; stands on its first byte, leaves behind it. */
static void
walk_value(walker *walk)
{
    unsigned depth = 0;

    do {
        unsigned char c = *walk->at;
        if (c == '"') {
            (void)walk_string(walk);
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        walk->at++;
    } while (walk->at < walk->end && (depth > 0 || (*walk->at != ',' && *walk->at != '}')));
}

static unsigned
hex_of(const unsigned char *at)
{
    unsigned code = 0;

    for (int i = 0; i < 4; i++)
        code = code << 4 | (unsigned)(at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
    return code;
}

static void
put_utf8(hv_buf *to, unsigned code)
{
    if (code < 0x80) {
        hv_buf_put_byte(to, (unsigned char)code);
        return;
    }
    int rest = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    hv_buf_put_byte(to, (unsigned char)((rest == 1 ? 0xc0 : rest == 2 ? 0xe0 : 0xf0) | code >> (6 * rest)));
    while (rest-- > 0)
        hv_buf_put_byte(to, (unsigned char)(0x80 | (code >> (6 * rest) & 0x3f)));
}

/* Contents of a valid JSON string. */
static void
unescape(hv_slice text, hv_buf *to)
{
    const unsigned char *at = text.data, *end = at + text.len;

    while (at < end) {
        const unsigned char *escape = memchr(at, '\\', (size_t)(end - at)), *plain_end = escape != NULL ? escape : end;
        hv_buf_put(to, at, (size_t)(plain_end - at));
        if (escape == NULL)
            return;
        at = escape + 2;
        switch (escape[1]) {
        case 'b': hv_buf_put_byte(to, '\b'); break;
        case 'f': hv_buf_put_byte(to, '\f'); break;
        case 'n': hv_buf_put_byte(to, '\n'); break;
        case 'r': hv_buf_put_byte(to, '\r'); break;
        case 't': hv_buf_put_byte(to, '\t'); break;
        case 'u': {
            unsigned code = hex_of(at);
            at += 4;
            if (code >= 0xd800 && code <= 0xdbff) {     /* its partner follows: checked by hv_json_valid() */
                code = 0x10000 + ((code - 0xd800) << 10) + (hex_of(at + 2) - 0xdc00);
                at += 6;
            }
            put_utf8(to, code);
            break;
        }
        default: hv_buf_put_byte(to, escape[1]);
        }
    }
}

static bool
is_name(hv_slice escaped, const char *name, hv_buf *scratch)
{
    if (memchr(escaped.data, '\\', escaped.len) == NULL || escaped.len > LONGEST_ESCAPE * strlen(name))
        return hv_slice_equal(escaped, hv_slice_text(name));
    hv_buf_clear(scratch);
    unescape(escaped, scratch);
    return hv_slice_equal(hv_buf_slice(scratch), hv_slice_text(name));
}

/* Stands behind the opening brace. The contents of the last member of that name, or null. */
static hv_slice
find_member(walker *walk, const char *name, hv_buf *scratch)
{
    hv_slice found = HV_SLICE_NULL;

    for (;;) {
        walk_blanks(walk);
        if (*walk->at == '}' || scratch->failed != HV_OK)
            return found;
        bool wanted = is_name(walk_string(walk), name, scratch);
        walk_blanks(walk);
        walk->at++;                     /* the colon */
        walk_blanks(walk);
        hv_slice text = HV_SLICE_NULL;
        if (*walk->at == '"')
            text = walk_string(walk);
        else
            walk_value(walk);
        if (wanted)
            found = text;
        walk_blanks(walk);
        if (*walk->at == ',')
            walk->at++;
    }
}

bool
hv_json_string_member(hv_slice json, const char *name, hv_buf *to)
{
    walker walk = {.at = json.data};
    bool has_newline;

    hv_buf_clear(to);
    if (!hv_json_valid(json, &has_newline))
        return false;
    walk.end = walk.at + json.len;
    walk_blanks(&walk);
    if (*walk.at++ != '{')
        return false;
    hv_slice value = find_member(&walk, name, to);
    if (value.data == NULL || to->failed != HV_OK)
        return false;
    hv_buf_clear(to);
    unescape(value, to);
    return true;
}

static bool
is_header(const hv_header *header, const char *name)
{
    return header->name.len == strlen(name) && strncasecmp(header->name.data, name, header->name.len) == 0;
}

static const hv_header *
last_header(const hv_event *event, const char *name)
{
    for (size_t i = event->header_count; i-- > 0;)
        if (is_header(&event->headers[i], name) && event->headers[i].value.data != NULL)
            return &event->headers[i];
    return NULL;
}

static bool
begins_with(hv_slice text, const char *start)
{
    return text.len >= strlen(start) && strncasecmp(text.data, start, strlen(start)) == 0;
}

bool
hv_cloud_event_type(const hv_event *event, hv_buf *scratch, hv_slice *ret)
{
    const hv_header *content = last_header(event, "content-type"), *type = last_header(event, "ce_type");

    if (content != NULL && begins_with(content->value, "application/cloudevents")) {
        if (!begins_with(content->value, "application/cloudevents+json") || event->value.data == NULL
            || !hv_json_string_member(event->value, "type", scratch))
            return false;
        *ret = hv_buf_slice(scratch);
        return true;
    }
    if (type == NULL)
        return false;
    *ret = type->value;
    return true;
}
