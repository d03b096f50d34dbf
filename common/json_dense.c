/*
 * As json_wide.c, with the white space and the insides of tokens taken out before tokens are compared with their neighbours: of each
 * chunk of 64 bytes the first bytes of its tokens are moved together (VPCOMPRESSB), and one byte tells what a token is. The grammar is
 * then asked of 64 tokens at a time, which are several chunks of text; and as a token stands directly behind the one before, a shift
 * takes the place of an addition. What may stand behind what: see json_wide.c.
 *
 * What tokens look like inside is judged while the text is at hand: escapes, control characters in strings, and bare values. Whether two
 * bare values or strings touch shows in the tokens, since no value may follow a value.
 */
#include "common/json_dense.h"

#if defined __x86_64__

#include <immintrin.h>

#include "common/json_odd.h"
#include "common/json_scan.h"

#define DENSE __attribute__((target("avx512bw,avx512vbmi,avx512vbmi2,bmi,pclmul,popcnt")))
#define DENSE_HOT DENSE __attribute__((always_inline)) inline

enum { BATCH = 32, LEVELS = 64, ALL = 64 };     /* chunks that are cut into tokens at a time; brackets in brackets; tokens of a word */

/* What one chunk of text leaves to the next. */
typedef struct carried {
    uint64_t in_string;                 /* all ones: the chunk begins inside of a string */
    uint64_t in_bare;                   /* 1: the byte before the chunk belongs to a bare value */
    uint64_t lone_zero;                 /* 1: that value is, so far, the one digit 0 */
    __m512i seen;                       /* all bytes so far, one over the other: its high bits tell whether all were ASCII */
} carried;

/* What tokens leave to those behind. */
typedef struct grammar {
    uint64_t behind_open, behind_comma, behind_name, behind_value;  /* 1: the first token stands behind one of these */
    uint64_t levels;                    /* bit 0: the innermost bracket is '{'; bit 1: the one around it; and so on */
    unsigned depth;
    bool complete;                      /* the outermost bracket was closed */
} grammar;

typedef enum dense_verdict { GO_ON, WRONG, TOO_DEEP } dense_verdict;

/* 0x80 for what is a token by itself: brackets, colon, comma. By the low seven bits of a byte. */
static const unsigned char structural[2][64] __attribute__((aligned(64))) = {
    {[':'] = 0x80, [','] = 0x80},
    {['[' - 64] = 0x80, [']' - 64] = 0x80, ['{' - 64] = 0x80, ['}' - 64] = 0x80},
};

/* Bit n: whether an odd number of the bits 0 to n is set. */
DENSE_HOT static uint64_t
prefix_xor(uint64_t bits)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)bits), _mm_set1_epi8(-1), 0));
}

/* The chunk at place; behind the end of the text there are blanks. */
DENSE_HOT static __m512i
load_chunk(const hv_json_place *place)
{
    size_t left = (size_t)(place->end - place->chunk);

    if (left >= HV_JSON_CHUNK)
        return _mm512_loadu_si512((const void *)place->chunk);
    return _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), (UINT64_C(1) << left) - 1, (const void *)place->chunk);
}

/* Where bare values begin. False if one is none. Where nothing but digits is there, it takes a zero in front to be wrong; else every value
 * is looked at from where it begins. */
DENSE_HOT static bool
take_bare_values(const hv_json_place *place, carried *from, __m512i chunk, uint64_t bare, uint64_t *ret)
{
    const __m512i zero = _mm512_set1_epi8('0');
    uint64_t starts = bare & ~(bare << 1 | from->in_bare);
    uint64_t no_digit = _mm512_cmpge_epu8_mask(_mm512_sub_epi8(chunk, zero), _mm512_set1_epi8(10));
    uint64_t zeros = starts & _mm512_cmpeq_epi8_mask(chunk, zero);

    if ((bare & (no_digit | zeros << 1 | from->lone_zero)) != 0) {
        if ((bare & no_digit) == 0 || !hv_json_bare_values_hold(place, starts, (bare & from->in_bare) != 0))
            return false;
        zeros = 0;
    }
    from->lone_zero = zeros >> 63;
    from->in_bare = bare >> 63;
    *ret = starts;
    return true;
}

/* Where tokens begin in the chunk at place. False if one is wrong in itself. */
DENSE_HOT static bool
find_tokens(hv_json_place *place, carried *from, __m512i chunk, uint64_t *ret)
{
    const __m512i blank = _mm512_set1_epi8(' ');
    uint64_t quotes = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8('"'));
    uint64_t backslashes = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8('\\'));
    uint64_t controls = _mm512_cmplt_epu8_mask(chunk, blank), white = _mm512_cmpeq_epi8_mask(chunk, blank), starts;

    from->seen = _mm512_or_si512(from->seen, chunk);
    if ((backslashes != 0 || place->escaped) && !hv_json_take_escapes(place, backslashes, &quotes))
        return false;
    uint64_t in_string = prefix_xor(quotes) ^ from->in_string;
    from->in_string = (uint64_t)((int64_t)in_string >> 63);
    if ((controls & in_string) != 0)
        return false;
    if (controls != 0)
        white |= hv_json_white_controls(place, controls);
    uint64_t outside = ~(in_string | quotes);
    __m512i classes = _mm512_permutex2var_epi8(_mm512_load_si512(structural[0]), chunk, _mm512_load_si512(structural[1]));
    uint64_t by_itself = _mm512_movepi8_mask(_mm512_andnot_si512(chunk, classes)) & outside;
    if (!take_bare_values(place, from, chunk, outside & ~(by_itself | white), &starts))
        return false;
    *ret = by_itself | (quotes & in_string) | starts;
    return true;
}

/* Levels are entered and left; *in_object: the tokens whose innermost bracket is '{'. The first of all tokens enters one, and nothing may
 * stand behind the one that leaves the last, so there always is one to leave. */
DENSE_HOT static dense_verdict
follow_brackets(grammar *state, uint64_t open, uint64_t close, uint64_t curly, uint64_t tokens, uint64_t *in_object)
{
    uint64_t inside = state->depth > 0 ? -(state->levels & 1) : 0;

    for (uint64_t rest = open | close; rest != 0; rest &= rest - 1) {
        uint64_t bit = rest & -rest, above = -(bit << 1), is_curly = (curly & bit) != 0;
        if ((open & bit) != 0) {
            if (state->depth == LEVELS)
                return TOO_DEEP;
            state->levels = state->levels << 1 | is_curly;
            state->depth++;
        } else {
            if (is_curly != (state->levels & 1))
                return WRONG;
            state->levels >>= 1;
            state->complete = --state->depth == 0;
            if (state->complete && (tokens & above) != 0)
                return WRONG;
        }
        inside = (inside & ~above) | (-(state->levels & 1) & above);
    }
    *in_object = inside;
    return GO_ON;
}

/* Whether each of the first `count` tokens may stand behind the one before it. At least one. */
DENSE_HOT static dense_verdict
judge_tokens(grammar *state, const unsigned char *first, unsigned count)
{
    const __m512i case_bit = _mm512_set1_epi8(0x20);
    __m512i bytes = _mm512_loadu_si512((const void *)first), folded = _mm512_or_si512(bytes, case_bit);
    uint64_t tokens = ~UINT64_C(0) >> (ALL - count), in_object;
    uint64_t open = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('{')) & tokens;
    uint64_t close = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('}')) & tokens;
    uint64_t colon = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(':')) & tokens;
    uint64_t comma = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(',')) & tokens;
    uint64_t string = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('"')) & tokens;
    uint64_t bare = tokens & ~(open | close | colon | comma | string);

    if (state->complete)
        return WRONG;
    dense_verdict verdict = follow_brackets(state, open, close, _mm512_test_epi8_mask(bytes, case_bit), tokens, &in_object);
    if (verdict != GO_ON)
        return verdict;
    uint64_t behind_open = open << 1 | state->behind_open, behind_comma = comma << 1 | state->behind_comma;
    uint64_t name = string & (behind_open | behind_comma) & in_object, value_end = (string & ~name) | bare | close;
    uint64_t behind_name = name << 1 | state->behind_name, behind_value = value_end << 1 | state->behind_value;
    uint64_t behind_rest = ~(behind_open | behind_comma | behind_name | behind_value);
    uint64_t begins = string | ((open | bare) & ~in_object);
    uint64_t wrong = (behind_open & ~(close | begins)) | (behind_comma & ~begins) | (behind_name & ~colon) |
                     (behind_value & ~(close | comma)) | (behind_rest & ~(string | open | bare));

    state->behind_open = open >> (count - 1);
    state->behind_comma = comma >> (count - 1);
    state->behind_name = name >> (count - 1);
    state->behind_value = value_end >> (count - 1);
    return (wrong & tokens) == 0 ? GO_ON : WRONG;
}

/* The tokens of the next chunks behind the `count` that are there; SIZE_MAX if one is wrong in itself. */
DENSE_HOT static size_t
cut_into_tokens(hv_json_place *place, carried *from, unsigned char *tokens, size_t count)
{
    for (unsigned left = BATCH; left > 0 && place->chunk < place->end; left--) {
        __m512i chunk = load_chunk(place);
        uint64_t starts;
        if (!find_tokens(place, from, chunk, &starts))
            return SIZE_MAX;
        _mm512_storeu_si512((void *)(tokens + count), _mm512_maskz_compress_epi8(starts, chunk));
        count += (size_t)__builtin_popcountll(starts);
        place->chunk += HV_JSON_CHUNK;
    }
    return count;
}

DENSE static dense_verdict
judge(hv_json_place *place, bool *all_ascii)
{
    unsigned char tokens[(BATCH + 1) * ALL];    /* up to ALL - 1 are left over, then come those of BATCH chunks, ALL written at a time */
    carried from = {.in_string = 0};
    grammar state = {.depth = 0};
    size_t count = 0;

    while (place->chunk < place->end) {
        size_t judged = 0;
        count = cut_into_tokens(place, &from, tokens, count);
        if (count == SIZE_MAX)
            return WRONG;
        for (; count - judged >= ALL; judged += ALL) {
            dense_verdict verdict = judge_tokens(&state, tokens + judged, ALL);
            if (verdict != GO_ON)
                return verdict;
        }
        count -= judged;
        _mm512_storeu_si512((void *)tokens, _mm512_loadu_si512((const void *)(tokens + judged)));
    }
    dense_verdict verdict = count > 0 ? judge_tokens(&state, tokens, (unsigned)count) : GO_ON;
    *all_ascii = _mm512_movepi8_mask(from.seen) == 0;
    return verdict == GO_ON && !state.complete ? WRONG : verdict;
}

hv_json_judgement
hv_json_judge_dense(hv_slice bytes, bool *has_newline)
{
    hv_json_place place = {.text = bytes.data, .chunk = bytes.data};
    bool all_ascii = true;

    place.end = place.text + bytes.len;
    dense_verdict verdict = judge(&place, &all_ascii);
    if (verdict == TOO_DEEP)
        return HV_JSON_OPEN;
    if (verdict != GO_ON || (!all_ascii && !hv_utf8_valid(bytes)))
        return HV_JSON_INVALID;
    *has_newline = place.newline;
    return HV_JSON_VALID;
}

bool
hv_json_dense_works(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("popcnt");
}

#else

bool
hv_json_dense_works(void)
{
    return false;
}

hv_json_judgement
hv_json_judge_dense(hv_slice bytes, bool *has_newline)
{
    (void)bytes;
    (void)has_newline;
    return HV_JSON_OPEN;
}

#endif
