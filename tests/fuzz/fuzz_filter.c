/*
 * Which events a replay selects: a pattern and a text, separated by a NUL, as a glob; and as filter and event, where the type comes out of
 * a header or out of a JSON body. Globs are judged by fnmatch() where the two mean the same, and by a plain recursive matcher.
 */
#include <assert.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdlib.h>

#include "common/glob.h"
#include "common/json_out.h"
#include "replay/replay_filter.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 4096, MOST_GLOB = 24 };

/* ---- globs ---- */

/* The rule of glob.h, read aloud: one element of the pattern takes c, and *next is where the pattern goes on. */
static bool
takes(const char *p, const char *end, char c, const char **next)
{
    bool negated = p + 1 < end && (p[1] == '!' || p[1] == '^'), found = false;
    const char *first = p + (negated ? 2 : 1), *close = first + 1;

    *next = p + 1;
    if (*p == '?')
        return true;
    while (close < end && *close != ']')
        close++;
    if (*p != '[' || close >= end)
        return *p == c;
    for (const char *at = first; at < close; at++) {
        bool is_range = at + 2 < close && at[1] == '-';
        unsigned char low = (unsigned char)at[0], high = (unsigned char)at[is_range ? 2 : 0];
        found = found || ((unsigned char)c >= low && (unsigned char)c <= high);
        at += is_range ? 2 : 0;
    }
    *next = close + 1;
    return found != negated;
}

static bool
matches(const char *p, const char *p_end, const char *t, const char *t_end)
{
    const char *next;

    if (p == p_end)
        return t == t_end;
    if (*p == '*')
        return matches(p + 1, p_end, t, t_end) || (t < t_end && matches(p, p_end, t + 1, t_end));
    return t < t_end && takes(p, p_end, *t, &next) && matches(next, p_end, t + 1, t_end);
}

static void
check_glob(hv_slice pattern, hv_slice text)
{
    bool is_match = hv_glob_match(pattern, text);
    char p[MOST + 1], t[MOST + 1];

    if (!hv_glob_is_pattern(pattern))
        assert(is_match == hv_slice_equal(pattern, text));
    size_t stars = 0;
    for (size_t i = 0; i < pattern.len; i++)
        stars += ((const char *)pattern.data)[i] == '*' ? 1 : 0;
    if (pattern.len <= MOST_GLOB && text.len <= MOST_GLOB && stars <= 5)
        assert(is_match == matches(pattern.data, (const char *)pattern.data + pattern.len, text.data,
                                   (const char *)text.data + text.len));
    if (memchr(pattern.data, '[', pattern.len) != NULL || memchr(pattern.data, '\\', pattern.len) != NULL || stars > 5 ||
        memchr(text.data, '\0', text.len) != NULL)
        return;                         /* sets that are never closed differ, and we have no escapes */
    memcpy(p, pattern.data, pattern.len);
    memcpy(t, text.data, text.len);
    p[pattern.len] = t[text.len] = '\0';
    assert(is_match == (fnmatch(p, t, FNM_NOESCAPE) == 0));
}

/* ---- events ---- */

static bool
type_of(hv_slice body, hv_slice *ret, json_t **owner)
{
    json_t *object = json_loadb(body.data, body.len, JSON_ALLOW_NUL, NULL), *member = json_object_get(object, "type");

    *owner = object;
    if (!json_is_string(member))
        return false;
    *ret = hv_slice_of(json_string_value(member), json_string_length(member));
    return true;
}

static bool
selects(const hv_event_filter *filter, const hv_event *event)
{
    HV_AUTO(hv_buf_free) hv_buf scratch = HV_BUF_INIT(MOST);
    bool selected = false;
    hv_err err;

    assert(hv_event_filter_check(filter, &err) == HV_OK);
    assert(hv_event_filter_match(filter, event, &scratch, &selected, &err) == HV_OK);
    return selected;
}

static void
check_filters(hv_slice wanted, hv_slice given)
{
    const hv_header structured[] = {{hv_slice_text("Content-Type"), hv_slice_text("application/cloudevents+json; charset=utf-8")}};
    const hv_header binary[] = {{hv_slice_text("CE_TYPE"), given}, {given, wanted}};
    const hv_key_filter key = {.bytes = wanted}, key_glob = {.is_glob = true, .bytes = wanted};
    const hv_header_filter by_name = {.name = wanted}, by_value = {.name = given, .has_value = true, .value = wanted};
    const hv_event event = {.key = given, .value = given, .headers = binary, .header_count = 2};
    const hv_event body = {.key = HV_SLICE_NULL, .value = given, .headers = structured, .header_count = 1};
    hv_event_filter types = {.types = &wanted, .type_count = 1};
    json_t *object = NULL;
    hv_slice type = HV_SLICE_NULL;
    bool newline;

    assert(selects(&(hv_event_filter){.keys = &key, .key_count = 1}, &event) == hv_slice_equal(wanted, given));
    assert(selects(&(hv_event_filter){.keys = &key_glob, .key_count = 1}, &event) == hv_glob_match(wanted, given));
    assert(!selects(&(hv_event_filter){.keys = &key_glob, .key_count = 1}, &body));
    assert(selects(&(hv_event_filter){.headers = &by_value, .header_count = 1}, &event));
    assert(selects(&(hv_event_filter){.headers = &by_name, .header_count = 1}, &event) ==
           (hv_slice_equal(wanted, given) || hv_slice_equal(wanted, hv_slice_text("CE_TYPE"))));
    if (given.len != strlen("content-type") && given.len != strlen("ce_type"))
        assert(selects(&types, &event) == hv_glob_match(wanted, given));
    bool has_type = type_of(given, &type, &object);
    if (hv_json_valid(given, &newline) && object != NULL)
        assert(selects(&types, &body) == (has_type && hv_glob_match(wanted, type)));
    else if (!hv_json_valid(given, &newline))
        assert(!selects(&types, &body));
    json_decref(object);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *middle = size > 0 ? memchr(data, '\0', size) : NULL;

    if (middle == NULL || size > MOST)
        return 0;
    hv_slice pattern = hv_slice_of(data, (size_t)(middle - data)), text = hv_slice_of(middle + 1, size - pattern.len - 1);
    check_glob(pattern, text);
    check_filters(pattern, text);
    return 0;
}
