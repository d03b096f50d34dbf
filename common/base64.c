/* Whole groups of three bytes and four characters first, then the rest by hand. */
#include "common/base64.h"

#include <stdint.h>

static const char alphabets[2][65] = {
    [HV_BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [HV_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void
hv_base64_encode(hv_base64_alphabet alphabet, hv_slice bytes, hv_buf *to)
{
    const char *digits = alphabets[alphabet];
    const unsigned char *from = bytes.data;
    size_t whole = bytes.len / 3, rest = bytes.len % 3;

    if (whole > (SIZE_MAX - 8) / 4) {
        to->failed = to->failed != HV_OK ? to->failed : HV_LIMIT;
        return;
    }
    char *at = hv_buf_reserve(to, whole * 4 + (rest > 0 ? 4 : 0));
    if (at == NULL)
        return;
    char *start = at;
    for (size_t i = 0; i < whole; i++, from += 3, at += 4) {
        uint32_t group = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        at[0] = digits[group >> 18];
        at[1] = digits[group >> 12 & 63];
        at[2] = digits[group >> 6 & 63];
        at[3] = digits[group & 63];
    }
    if (rest > 0) {
        uint32_t group = (uint32_t)from[0] << 16 | (rest == 2 ? (uint32_t)from[1] << 8 : 0);
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        if (rest == 2)
            *at++ = digits[group >> 6 & 63];
        for (size_t i = rest; i < 3 && alphabet == HV_BASE64_STANDARD; i++)
            *at++ = '=';
    }
    to->len += (size_t)(at - start);
    to->data[to->len] = '\0';
}

/* 0 to 63, or 64 for what is no digit. */
static uint32_t
digit_value(hv_base64_alphabet alphabet, unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 0U;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26U;
    if (c >= '0' && c <= '9')
        return c - '0' + 52U;
    if (c == (unsigned char)alphabets[alphabet][62])
        return 62;
    return c == (unsigned char)alphabets[alphabet][63] ? 63 : 64;
}

/* Number of digits without padding; false if the padding is not as it must be. */
static bool
strip_padding(hv_base64_alphabet alphabet, hv_slice text, size_t *digits)
{
    const unsigned char *chars = text.data;

    *digits = text.len;
    if (alphabet == HV_BASE64_URL)
        return text.len % 4 != 1;
    if (text.len % 4 != 0)
        return false;
    for (int i = 0; i < 2 && *digits > 0 && chars[*digits - 1] == '='; i++)
        --*digits;
    return true;
}

/* Writes the bytes to `at` unless that is NULL. False if a character is no digit, or unused bits are set. */
static bool
decode_digits(hv_base64_alphabet alphabet, const unsigned char *chars, size_t digits, unsigned char *at)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < digits; i++) {
        uint32_t value = digit_value(alphabet, chars[i]);
        if (value == 64)
            return false;
        bits = bits << 6 | value;
        if (at != NULL && i % 4 != 0)
            *at++ = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    return digits % 4 == 2 ? (bits & 15) == 0 : digits % 4 != 3 || (bits & 3) == 0;
}

bool
hv_base64_decode(hv_base64_alphabet alphabet, hv_slice text, hv_buf *to)
{
    size_t digits;

    if (!strip_padding(alphabet, text, &digits))
        return false;
    size_t len = digits / 4 * 3 + digits % 4 * 3 / 4;
    char *at = hv_buf_reserve(to, len);
    bool valid = decode_digits(alphabet, text.data, digits, (unsigned char *)at);
    if (at != NULL) {
        to->len += valid ? len : 0;
        to->data[to->len] = '\0';
    }
    return valid;
}
