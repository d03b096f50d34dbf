/*
 * The pieces of JSON text that both ways of checking it (json_valid.c, json_wide.c) take byte by byte. Private to common.
 *
 * Strings are most of what is walked. A byte needs a closer look if it is a control character, '"', '\' or not ASCII; eight are tested
 * at once in one word, by the usual has-zero trick on w, w ^ '"', w ^ '\'. A borrow can raise a false alarm only in a byte above a true
 * one, so the lowest alarm is true.
 */
#ifndef HV_COMMON_JSON_SCAN_H
#define HV_COMMON_JSON_SCAN_H

#include <string.h>

#include "common/json_out.h"

/* Tokens are a few bytes long: without the calls between these small functions the validator is a fifth faster. */
#define HV_JSON_HOT __attribute__((always_inline)) inline

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The first of eight bytes that needs a closer look; 8 if none does. */
HV_JSON_HOT static size_t
plain_of_eight(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
/* A value without quotes or brackets around it. */
HV_JSON_HOT static bool
take_bare(scanner *scan)
{
    if (scan->at == scan->end)
        return false;
    switch (*scan->at) {
    case 't': return take_word(scan, "true", 4);
    case 'f': return take_word(scan, "false", 5);
    case 'n': return take_word(scan, "null", 4);
    default: return take_number(scan);
    }
}

#endif
    uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\');
    uint64_t special = ((word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1)) | word) & EACH(0x80);
    return special == 0 ? 8 : (size_t)__builtin_ctzll(special) / 8;
}

/* First byte from `at` on that is a control character, '"', '\' or not ASCII; end if none is. */
HV_JSON_HOT static const unsigned char *
skip_plain(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8) {
        size_t plain = plain_of_eight(at);
        at += plain;
        if (plain < 8)
            return at;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static inline bool
is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the one character at `at`, which is not ASCII; 0 if it is not UTF-8. The bounds of the second byte are the table of
 * RFC 3629 section 4. */
static inline size_t
character_len(const unsigned char *at, const unsigned char *end)
{
    ptrdiff_t room = end - at;

    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        return room >= 2 && is_continuation(at[1]) ? 2 : 0;
    if (at[0] >= 0xe0 && at[0] <= 0xef) {
        unsigned char low = at[0] == 0xe0 ? 0xa0 : 0x80, high = at[0] == 0xed ? 0x9f : 0xbf;
        return room >= 3 && at[1] >= low && at[1] <= high && is_continuation(at[2]) ? 3 : 0;
    }
    if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        unsigned char low = at[0] == 0xf0 ? 0x90 : 0x80, high = at[0] == 0xf4 ? 0x8f : 0xbf;
        return room >= 4 && at[1] >= low && at[1] <= high && is_continuation(at[2]) && is_continuation(at[3]) ? 4 : 0;
    }
    return 0;
}

/* Where a walk is. Every byte is compared before it is used, and `at` never passes `end`: what lies behind the text is never read. */
typedef struct scanner {
    const unsigned char *at, *end;
} scanner;

HV_JSON_HOT static bool
take(scanner *scan, char wanted)
{
    if (scan->at == scan->end || *scan->at != (unsigned char)wanted)
        return false;
    scan->at++;
    return true;
}

HV_JSON_HOT static bool
take_word(scanner *scan, const char *word, size_t len)
{
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

/* The four digits of a \u escape. */
static inline bool
take_hex(scanner *scan, unsigned *ret)
{
    unsigned code = 0;

    if (scan->end - scan->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned c = *scan->at++, letter = c | 0x20;
        if (c >= '0' && c <= '9')
            code = code << 4 | (c - '0');
        else if (letter >= 'a' && letter <= 'f')
            code = code << 4 | (letter - 'a' + 10);
        else
            return false;
    }
    *ret = code;
    return true;
}

/* Behind the backslash. */
static inline bool
take_escape(scanner *scan)
{
    unsigned code, low;

    if (scan->at == scan->end)
        return false;
    switch (*scan->at++) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return true;
    case 'u':
        if (!take_hex(scan, &code) || (code >= 0xdc00 && code <= 0xdfff))
            return false;
        if (code < 0xd800 || code > 0xdbff)
            return true;
        return take_word(scan, "\\u", 2) && take_hex(scan, &low) && low >= 0xdc00 && low <= 0xdfff;
    default:
        return false;
    }
}

HV_JSON_HOT static bool
take_digits(scanner *scan)
{
    const unsigned char *first = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > first;
}

HV_JSON_HOT static bool
take_number(scanner *scan)
{
    (void)take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan))
        return false;
    if (take(scan, '.') && !take_digits(scan))
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            (void)take(scan, '-');
        return take_digits(scan);
    }
    return true;
}

/* A value without quotes or brackets around it. */
HV_JSON_HOT static bool
take_bare(scanner *scan)
{
    if (scan->at == scan->end)
        return false;
    switch (*scan->at) {
    case 't': return take_word(scan, "true", 4);
    case 'f': return take_word(scan, "false", 5);
    case 'n': return take_word(scan, "null", 4);
    default: return take_number(scan);
    }
}

#endif
