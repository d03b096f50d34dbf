/*
 * The text is cut into chunks of 64 bytes, and each class of bytes (quotes, colons, digits ...) becomes a word with one bit per byte.
 * All questions are then asked of words: which bytes stand inside of strings, where tokens begin, which token follows which. Nothing
 * depends on how long tokens are, so there is no branch that real text makes hard to predict. Only brackets, escapes, control
 * characters and numbers with a sign, point or exponent are looked at one by one.
 *
 * Why the grammar is covered: outside of strings every token stands behind exactly one other token, but for white space. What may
 * stand behind
 *
 *      [ {         a value or a name, or the end of the same bracket
 *      ,           in an array a value, in an object a name
 *      name        a colon. A name is a string behind '{', or behind ',' in an object
 *      value       a comma or an end. Ends are the ends of values themselves; that they fit their beginning is seen to apart
 *      the rest    a value: the rest is the colon, and the beginning of the text
 *
 * "Behind, but for white space" is an addition: a bit added to the lowest of a run of ones carries to the place behind the run. The
 * same addition takes the mark of a name from its opening quote to its closing one.
 *
 * A prefix XOR of the quotes that are not escaped has a one from each opening quote to the byte before the closing one. That bytes are
 * UTF-8 is asked afterwards, and only where one is not ASCII; such bytes outside of strings belong to a bare value, and are refused as
 * part of it.
 */
#include "common/json_wide.h"

#include "common/json_classes.h"
#include "common/json_dense.h"
#include "common/json_odd.h"
#include "common/json_scan.h"

enum { BATCH = 16, LEVELS = 64 };       /* chunks that are sorted at a time: they stay in the nearest cache */

typedef struct wide_state {
    hv_json_place place;
    uint64_t in_string;                 /* all ones: the chunk begins inside of a string */
    uint64_t in_name;                   /* 1: that string may be a name: it stands behind a bracket or comma */
    uint64_t behind_open, behind_comma, behind_name, behind_value;  /* 1: the first token of the chunk stands behind one of these */
    uint64_t in_bare;                   /* 1: the byte before the chunk belongs to a bare value (no quotes, no brackets) */
    uint64_t lone_zero;                 /* 1: that value is, so far, the one digit 0 */
    uint64_t levels;                    /* bit 0: the innermost bracket is '{'; bit 1: the one around it; and so on */
    unsigned depth;
    uint64_t high;                      /* not 0: some byte was not ASCII */
} wide_state;

/* Where tokens begin; of strings and bare values also where they end, or which bytes are theirs. */
typedef struct tokens {
    uint64_t open, close, colon, comma, string, string_end, bare, white;
    uint64_t in_string;                 /* from opening quotes to before the closing ones */
    uint64_t in_object;                 /* the innermost bracket is '{' */
    uint64_t last;                      /* the end of the outermost bracket, if it is here */
} tokens;

typedef enum wide_verdict { GO_ON, COMPLETE, WRONG, TOO_DEEP } wide_verdict;

HV_JSON_HOT static uint64_t
prefix_xor(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    return bits ^ bits << 32;
}

/* The first token at or behind each of `places`. *beyond becomes 1 if that lies in the next chunk. */
HV_JSON_HOT static uint64_t
past_white(uint64_t places, uint64_t white, uint64_t *beyond)
{
    uint64_t sum;

    if (white == 0)
        return places;
    *beyond |= __builtin_add_overflow(places & white, white, &sum);
    return (sum | places) & ~white;
}

/* What stands behind tokens that end at `ends`; *carry takes the answer from chunk to chunk. */
HV_JSON_HOT static uint64_t
behind(uint64_t ends, uint64_t white, uint64_t *carry)
{
    uint64_t places = ends << 1 | *carry;

    *carry = ends >> 63;
    return past_white(places, white, carry);
}

HV_JSON_HOT static wide_verdict
follow_brackets(wide_state *state, tokens *are)
{
    uint64_t in_object = state->depth > 0 && (state->levels & 1) != 0 ? ~UINT64_C(0) : 0;

    are->last = 0;
    for (uint64_t rest = are->open | are->close; rest != 0 && are->last == 0; rest &= rest - 1) {
        uint64_t bit = rest & -rest, above = ~(bit | (bit - 1));
        unsigned char c = state->place.chunk[__builtin_ctzll(rest)];
        if ((are->open & bit) != 0) {
            if (state->depth == LEVELS)
                return TOO_DEEP;
            state->levels = state->levels << 1 | (c == '{');
            state->depth++;
        } else {
            if (state->depth == 0 || (c == '}') != (state->levels & 1))
                return WRONG;
            state->levels >>= 1;
            if (--state->depth == 0)
                are->last = bit;
        }
        in_object = (in_object & ~above) | ((state->levels & 1) != 0 ? above : 0);
    }
    are->in_object = in_object;
    return GO_ON;
}

/* Where nothing but digits is there, it takes a zero in front to be wrong. Else every value is looked at from where it begins. */
static bool
bare_values_hold(wide_state *state, uint64_t bare, const hv_json_classes *is)
{
    uint64_t starts = bare & ~(bare << 1 | state->in_bare), zeros = 0;

    if ((bare & ~is->digit) == 0) {
        zeros = starts & is->zero;
        if (((zeros << 1 | state->lone_zero) & bare) != 0)
            return false;
    } else if (!hv_json_bare_values_hold(&state->place, starts, (state->in_bare & bare) != 0)) {
        return false;
    }
    state->lone_zero = zeros >> 63;
    return true;
}

/* Whether each token may stand behind the one before it. */
HV_JSON_HOT static bool
neighbours_fit(wide_state *state, const tokens *are)
{
    uint64_t shifted_bare = are->bare << 1 | state->in_bare, bare = are->bare & ~shifted_bare, bare_behind = shifted_bare & ~are->bare;
    uint64_t value = are->string | are->open | bare, unnamed = (are->open | bare) & are->in_object, end = are->close | are->comma;
    uint64_t behind_open = behind(are->open, are->white, &state->behind_open);
    uint64_t behind_comma = behind(are->comma, are->white, &state->behind_comma);
    uint64_t names = are->string & (behind_open | behind_comma), sum;

    state->in_name = __builtin_add_overflow(are->in_string, names | state->in_name, &sum);
    uint64_t name_end = sum & are->string_end & are->in_object;
    uint64_t value_end = (are->string_end & ~name_end) | are->close;
    uint64_t behind_name = behind(name_end, are->white, &state->behind_name);
    uint64_t places = value_end << 1 | state->behind_value | bare_behind;
    state->behind_value = value_end >> 63;
    uint64_t behind_value = past_white(places, are->white, &state->behind_value);
    uint64_t behind_rest = (value | end | are->colon) & ~(behind_open | behind_comma | behind_name | behind_value);

    state->in_bare = are->bare >> 63;
    uint64_t wrong = (behind_open & ~(are->close | (value & ~unnamed))) | (behind_comma & ~(value & ~unnamed)) |
                     (behind_name & ~are->colon) | (behind_value & ~end) | (behind_rest & ~value);
    return wrong == 0;
}

HV_JSON_HOT static wide_verdict
judge_chunk(wide_state *state, const hv_json_classes *is)
{
    tokens are;
    uint64_t quotes = is->quote;

    if ((is->backslash != 0 || state->place.escaped) && !hv_json_take_escapes(&state->place, is->backslash, &quotes))
        return WRONG;
    are.in_string = prefix_xor(quotes) ^ state->in_string;
    uint64_t in_name = state->in_string & state->in_name;
    state->in_name = in_name & 1;
    state->in_string = (uint64_t)((int64_t)are.in_string >> 63);
    are.string = quotes & are.in_string;
    are.string_end = quotes & ~are.in_string;
    uint64_t outside = ~(are.in_string | are.string_end);
    if ((is->control & are.in_string) != 0)
        return WRONG;
    are.white = is->space & outside;
    if (is->control != 0)
        are.white |= hv_json_white_controls(&state->place, is->control);
    are.open = is->open & outside;
    are.close = is->close & outside;
    are.colon = is->colon & outside;
    are.comma = is->comma & outside;
    are.bare = outside & ~(are.white | are.open | are.close | are.colon | are.comma);
    state->high |= is->high;
    wide_verdict verdict = follow_brackets(state, &are);
    if (verdict != GO_ON)
        return verdict;
    if (are.last != 0 && (~are.white & ~(are.last | (are.last - 1))) != 0)
        return WRONG;
    if (are.bare != 0 && !bare_values_hold(state, are.bare, is))
        return WRONG;
    if (!neighbours_fit(state, &are))
        return WRONG;
    return are.last != 0 ? COMPLETE : GO_ON;
}

/* Behind the outermost bracket. */
static bool
only_white(wide_state *state, const unsigned char *at)
{
    for (; at < state->place.end; at++) {
        if (*at == '\n' || *at == '\r')
            state->place.newline = true;
        else if (*at != ' ' && *at != '\t')
            return false;
    }
    return true;
}

static wide_verdict
judge(wide_state *state, hv_json_classify *classify)
{
    hv_json_classes classes[BATCH];
    wide_verdict verdict = GO_ON;

    while (verdict == GO_ON && state->place.chunk < state->place.end) {
        size_t left = (size_t)(state->place.end - state->place.chunk), count = left / HV_JSON_CHUNK;
        if (count == 0) {
            unsigned char padded[HV_JSON_CHUNK];
            memset(padded, ' ', sizeof padded);
            memcpy(padded, state->place.chunk, left);
            classify(padded, 1, classes);
            count = 1;
        } else {
            count = count < BATCH ? count : BATCH;
            classify(state->place.chunk, count, classes);
        }
        for (size_t i = 0; i < count && verdict == GO_ON; i++) {
            verdict = judge_chunk(state, &classes[i]);
            state->place.chunk += HV_JSON_CHUNK;
        }
    }
    return verdict;
}

static hv_json_judgement
judge_wide(hv_slice bytes, hv_json_classify *classify, bool *has_newline)
{
    wide_state state = {.place = {.text = bytes.data, .chunk = bytes.data}};

    state.place.end = state.place.text + bytes.len;
    wide_verdict verdict = judge(&state, classify);
    if (verdict == TOO_DEEP)
        return HV_JSON_OPEN;
    if (verdict != COMPLETE || (state.place.chunk < state.place.end && !only_white(&state, state.place.chunk)) ||
        (state.high != 0 && !hv_utf8_valid(bytes)))
        return HV_JSON_INVALID;
    *has_newline = state.place.newline;
    return HV_JSON_VALID;
}

static bool
begins_with_bracket(hv_slice bytes)
{
    const unsigned char *at = bytes.data, *end = at + bytes.len;

    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at < end && (*at == '{' || *at == '[');
}

hv_json_way
hv_json_best_way(void)
{
    return hv_json_dense_works() ? HV_JSON_DENSE : hv_json_classifier(HV_JSON_AVX512) != NULL ? HV_JSON_AVX512 :
           hv_json_classifier(HV_JSON_AVX2) != NULL ? HV_JSON_AVX2 : HV_JSON_BYTES;
}

hv_json_judgement
hv_json_judge_wide(hv_json_way way, hv_slice bytes, bool *has_newline)
{
    if (way == HV_JSON_BYTES || bytes.len < HV_JSON_CHUNK || !begins_with_bracket(bytes))
        return HV_JSON_OPEN;
    return way == HV_JSON_DENSE ? hv_json_judge_dense(bytes, has_newline) : judge_wide(bytes, hv_json_classifier(way), has_newline);
}
