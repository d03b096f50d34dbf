/*
 * The validator walks the bytes once. It keeps one bit per level, object or array, in a bit string of fixed size, instead of calling
 * itself: no input can exhaust the stack. A state says what may come next; every byte is compared before it is used, and `at`
 * never passes `end`, so what lies behind the text is never read.
 *
 * Strings are most of what is walked. A byte needs a closer look if it is a control character, '"', '\' or not ASCII; eight are tested
 * at once in one word, by the usual has-zero trick on w, w ^ '"', w ^ '\'. A borrow can raise a false alarm only in a byte above a true
 * one, so the lowest alarm is true.
 */
#include "common/json_out.h"

/* Tokens are a few bytes long: without the calls between these small functions the validator is a fifth faster. */
#define HOT __attribute__((always_inline)) inline

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The first of eight bytes that needs a closer look; 8 if none does. */
static size_t
plain_of_eight(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\');
    uint64_t special = ((word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1)) | word) & EACH(0x80);
    return special == 0 ? 8 : (size_t)__builtin_ctzll(special) / 8;
}

/* First byte from `at` on that is a control character, '"', '\' or not ASCII; end if none is. */
HOT static const unsigned char *
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

static bool
is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the one character at `at`, which is not ASCII; 0 if it is not UTF-8. The bounds of the second byte are the table of
 * RFC 3629 section 4. */
static size_t
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

static void
put_escaped(hv_buf *to, unsigned char c)
{
    switch (c) {
    case '"': hv_buf_put(to, "\\\"", 2); break;
    case '\\': hv_buf_put(to, "\\\\", 2); break;
    case '\n': hv_buf_put(to, "\\n", 2); break;
    case '\r': hv_buf_put(to, "\\r", 2); break;
    case '\t': hv_buf_put(to, "\\t", 2); break;
    default: hv_buf_printf(to, "\\u%04x", c);
    }
}

static bool
put_string(hv_buf *to, hv_slice text, bool lossy)
{
    const unsigned char *at = text.data, *end = text.len > 0 ? at + text.len : at;
    size_t before = to->len;

    hv_buf_put_byte(to, '"');
    while (at < end) {
        const unsigned char *plain = at;
        size_t len = 1;
        at = skip_plain(at, end);
        while (at < end && *at >= 0x80 && (len = character_len(at, end)) > 0)
            at = skip_plain(at + len, end);
        hv_buf_put(to, plain, (size_t)(at - plain));
        if (len == 0 && !lossy) {
            if (to->data != NULL)
                to->data[to->len = before] = '\0';
            return false;
        }
        if (at < end && len == 0)
            hv_buf_put_text(to, "\xef\xbf\xbd");
        else if (at < end)
            put_escaped(to, *at);
        if (at < end)
            at++;
    }
    hv_buf_put_byte(to, '"');
    return true;
}

bool
hv_json_put_string(hv_buf *to, hv_slice text)
{
    return put_string(to, text, false);
}

void
hv_json_put_lossy(hv_buf *to, hv_slice text)
{
    (void)put_string(to, text, true);
}

typedef struct scanner {
    const unsigned char *at, *end;
    bool newline;
    unsigned depth;
    uint64_t objects[HV_JSON_MAX_DEPTH / 64];   /* bit n: level n is an object */
} scanner;

HOT static void
skip_blanks(scanner *scan)
{
    for (; scan->at < scan->end; scan->at++) {
        if (*scan->at == '\n' || *scan->at == '\r')
            scan->newline = true;
        else if (*scan->at != ' ' && *scan->at != '\t')
            return;
    }
}

HOT static bool
take(scanner *scan, char wanted)
{
    if (scan->at == scan->end || *scan->at != (unsigned char)wanted)
        return false;
    scan->at++;
    return true;
}

HOT static bool
take_word(scanner *scan, const char *word, size_t len)
{
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

/* The four digits of a \u escape. */
static bool
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
static bool
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

/* Behind the opening quote. */
HOT static bool
take_string_rest(scanner *scan)
{
    for (;;) {
        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end || *scan->at < 0x20)
            return false;
        if (*scan->at >= 0x80) {
            size_t len = character_len(scan->at, scan->end);
            if (len == 0)
                return false;
            scan->at += len;
            continue;
        }
        if (*scan->at++ == '"')
            return true;
        if (!take_escape(scan))
            return false;
    }
}

HOT static bool
take_digits(scanner *scan)
{
    const unsigned char *first = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > first;
}

HOT static bool
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

HOT static bool
take_name(scanner *scan)
{
    skip_blanks(scan);
    if (!take(scan, '"') || !take_string_rest(scan))
        return false;
    skip_blanks(scan);
    return take(scan, ':');
}

/* Behind '[' or '{'. *empty: it was closed at once; else a value has to follow. */
HOT static bool
enter(scanner *scan, bool object, bool *empty)
{
    skip_blanks(scan);
    *empty = take(scan, object ? '}' : ']');
    if (*empty)
        return true;
    if (scan->depth == HV_JSON_MAX_DEPTH)
        return false;
    uint64_t bit = UINT64_C(1) << (scan->depth % 64), *word = &scan->objects[scan->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    scan->depth++;
    return !object || take_name(scan);
}

HOT static bool
take_value(scanner *scan, bool *complete)
{
    *complete = true;
    skip_blanks(scan);
    if (scan->at == scan->end)
        return false;
    switch (*scan->at) {
    case '"':
        scan->at++;
        return take_string_rest(scan);
    case '{': case '[':
        return enter(scan, *scan->at++ == '{', complete);
    case 't':
        return take_word(scan, "true", 4);
    case 'f':
        return take_word(scan, "false", 5);
    case 'n':
        return take_word(scan, "null", 4);
    default:
        return take_number(scan);
    }
}

/* Behind a complete value inside of an array or object: closes levels until one wants a further value, or none is left. */
HOT static bool
after_value(scanner *scan)
{
    while (scan->depth > 0) {
        unsigned level = scan->depth - 1;
        bool object = (scan->objects[level / 64] >> (level % 64) & 1) != 0;
        skip_blanks(scan);
        if (take(scan, ','))
            return !object || take_name(scan);
        if (!take(scan, object ? '}' : ']'))
            return false;
        scan->depth--;
    }
    return true;
}

bool
hv_json_valid(hv_slice bytes, bool *has_newline)
{
    scanner scan = {.at = bytes.data};
    bool complete;

    if (bytes.len == 0)
        return false;
    scan.end = scan.at + bytes.len;
    do {
        if (!take_value(&scan, &complete) || (complete && !after_value(&scan)))
            return false;
    } while (scan.depth > 0);
    skip_blanks(&scan);
    if (scan.at != scan.end)
        return false;
    *has_newline = scan.newline;
    return true;
}
