/*
 * Avro int and long: zigzag, then seven bits per byte, low ones first (Avro specification, "Binary encoding").
 */
#ifndef HV_SEGMENT_VARINT_H
#define HV_SEGMENT_VARINT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

enum { HV_VARINT_MAX = 10 };            /* bytes of the longest one */

/* Writes up to HV_VARINT_MAX bytes; returns the place behind them. */
static inline unsigned char *
hv_varint_put(unsigned char *at, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);

    for (; zigzag >= 0x80; zigzag >>= 7)
        *at++ = (unsigned char)(zigzag | 0x80);
    *at++ = (unsigned char)zigzag;
    return at;
}

static inline void
hv_varint_append(hv_buf *to, int64_t value)
{
    unsigned char bytes[HV_VARINT_MAX];

    hv_buf_put(to, bytes, (size_t)(hv_varint_put(bytes, value) - bytes));
}

/* Avro bytes or string: how many, and they themselves. */
static inline void
hv_varint_append_counted(hv_buf *to, hv_slice bytes)
{
    hv_varint_append(to, (int64_t)bytes.len);
    hv_buf_put(to, bytes.data, bytes.len);
}

/* False, with *at unchanged, if the bytes end inside or the number needs more than 64 bits. */
static inline bool
hv_varint_get(const unsigned char **at, const unsigned char *end, int64_t *ret)
{
    const unsigned char *from = *at;
    uint64_t zigzag = 0;

    if (from < end && *from < 0x80) {   /* most are: lengths, counts, branches */
        *ret = (int64_t)(*from >> 1) ^ -(int64_t)(*from & 1);
        *at = from + 1;
        return true;
    }
    for (unsigned shift = 0; shift < 64 && from < end; shift += 7) {
        uint64_t byte = *from++;
        if (shift == 63 && byte > 1)
            return false;
        zigzag |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            *at = from;
            return true;
        }
    }
    return false;
}

#endif
