/*
 * Two ways lead to the same answer. json_wide.c judges 64 bytes at a time and takes nearly every object and array of some length; what it
 * leaves open, and all that is short, is walked here token by token.
 *
 * The walk keeps one bit per level, object or array, in a bit string of fixed size, instead of calling itself: no input can exhaust the
 * stack.
 */
#include "common/json_scan.h"
#include "common/json_wide.h"

bool
hv_utf8_valid(hv_slice bytes)
{
    if (bytes.len == 0)
        return true;
    const unsigned char *at = bytes.data, *end = at + bytes.len;
    while (at < end) {
        uint64_t word = EACH(0x80);
        if (end - at >= 8)
            memcpy(&word, at, sizeof word);
        if ((word & EACH(0x80)) == 0) {
            at += 8;
            continue;
        }
        size_t len = *at < 0x80 ? 1 : character_len(at, end);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

typedef struct json_walk {
    scanner text;
    bool newline;
    unsigned depth;
    uint64_t objects[HV_JSON_MAX_DEPTH / 64];   /* bit n: level n is an object */
} json_walk;

HV_JSON_HOT static void
skip_blanks(json_walk *walk)
{
    for (; walk->text.at < walk->text.end; walk->text.at++) {
        if (*walk->text.at == '\n' || *walk->text.at == '\r')
            walk->newline = true;
        else if (*walk->text.at != ' ' && *walk->text.at != '\t')
            return;
    }
}

/* Behind the opening quote. */
HV_JSON_HOT static bool
take_string_rest(json_walk *walk)
{
    for (;;) {
        walk->text.at = skip_plain(walk->text.at, walk->text.end);
        if (walk->text.at == walk->text.end || *walk->text.at < 0x20)
            return false;
        if (*walk->text.at >= 0x80) {
            size_t len = character_len(walk->text.at, walk->text.end);
            if (len == 0)
                return false;
            walk->text.at += len;
            continue;
        }
        if (*walk->text.at++ == '"')
            return true;
        if (!take_escape(&walk->text))
            return false;
    }
}

HV_JSON_HOT static bool
take_name(json_walk *walk)
{
    skip_blanks(walk);
    if (!take(&walk->text, '"') || !take_string_rest(walk))
        return false;
    skip_blanks(walk);
    return take(&walk->text, ':');
}

/* Behind '[' or '{'. *empty: it was closed at once; else a value has to follow. */
HV_JSON_HOT static bool
enter(json_walk *walk, bool object, bool *empty)
{
    skip_blanks(walk);
    *empty = take(&walk->text, object ? '}' : ']');
    if (*empty)
        return true;
    if (walk->depth == HV_JSON_MAX_DEPTH)
        return false;
    uint64_t bit = UINT64_C(1) << (walk->depth % 64), *word = &walk->objects[walk->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    walk->depth++;
    return !object || take_name(walk);
}

HV_JSON_HOT static bool
take_value(json_walk *walk, bool *complete)
{
    *complete = true;
    skip_blanks(walk);
    if (walk->text.at == walk->text.end)
        return false;
    switch (*walk->text.at) {
    case '"':
        walk->text.at++;
        return take_string_rest(walk);
    case '{': case '[':
        return enter(walk, *walk->text.at++ == '{', complete);
    default:
        return take_bare(&walk->text);
    }
}

/* Behind a complete value inside of an array or object: closes levels until one wants a further value, or none is left. */
HV_JSON_HOT static bool
after_value(json_walk *walk)
{
    while (walk->depth > 0) {
        unsigned level = walk->depth - 1;
        bool object = (walk->objects[level / 64] >> (level % 64) & 1) != 0;
        skip_blanks(walk);
        if (take(&walk->text, ','))
            return !object || take_name(walk);
        if (!take(&walk->text, object ? '}' : ']'))
            return false;
        walk->depth--;
    }
    return true;
}

static bool
walk_text(hv_slice bytes, bool *has_newline)
{
    json_walk walk = {.text = {.at = bytes.data}};
    bool complete;

    walk.text.end = walk.text.at + bytes.len;
    do {
        if (!take_value(&walk, &complete) || (complete && !after_value(&walk)))
            return false;
    } while (walk.depth > 0);
    skip_blanks(&walk);
    if (walk.text.at != walk.text.end)
        return false;
    *has_newline = walk.newline;
    return true;
}

bool
hv_json_valid_by(hv_json_way way, hv_slice bytes, bool *has_newline)
{
    hv_json_judgement judgement = hv_json_judge_wide(way, bytes, has_newline);

    if (judgement == HV_JSON_OPEN)
        return bytes.len > 0 && walk_text(bytes, has_newline);
    return judgement == HV_JSON_VALID;
}

bool
hv_json_valid(hv_slice bytes, bool *has_newline)
{
    return hv_json_valid_by(hv_json_best_way(), bytes, has_newline);
}
