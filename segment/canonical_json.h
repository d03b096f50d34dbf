/*
 * The small part of JSON that stored records are written in: one line, fixed order of fields, no blanks. Because a record has
 * exactly one spelling, reading it is matching that spelling: a missing, repeated, unknown or wrongly typed field cannot match.
 */
#ifndef HV_SEGMENT_CANONICAL_JSON_H
#define HV_SEGMENT_CANONICAL_JSON_H

#include "common/buf.h"
#include "common/sha256.h"

void hv_json_put_int(hv_buf *to, int64_t value);

/* Quoted. Bytes outside of 0x20..0x7e, quotes and backslashes become \u00xx: any bytes give JSON, and come back as they were. */
void hv_json_put_text(hv_buf *to, const char *text);

/* The same for bytes that may hold NUL bytes. */
void hv_json_put_bytes(hv_buf *to, hv_slice bytes);

/* Quoted, 64 digits. */
void hv_json_put_sha256(hv_buf *to, const unsigned char hash[HV_SHA256_SIZE]);

/* Keeps its first failure: chain the calls, then ask with hv_json_scan_end(). Loops have to end when rc is not HV_OK. */
typedef struct hv_json_scan {
    const char *start, *at, *end;
    hv_rc rc;
    hv_err *err;                        /* explains rc */
} hv_json_scan;

hv_json_scan hv_json_scan_make(hv_slice json, hv_err *err);

/* Exactly these bytes. */
void hv_json_scan_literal(hv_json_scan *scan, const char *literal);

/* 0 after a failure. */
int64_t hv_json_scan_int(hv_json_scan *scan, int64_t min, int64_t max);

/* A string of at most size - 1 bytes without NUL; the empty string after a failure. */
void hv_json_scan_text(hv_json_scan *scan, char *ret, size_t size);

/* A string of at most `max` bytes, NUL bytes included, appended to `to`. */
void hv_json_scan_bytes(hv_json_scan *scan, size_t max, hv_buf *to);

/* A quoted hash; ret stays as it was after a failure. */
void hv_json_scan_sha256(hv_json_scan *scan, unsigned char ret[HV_SHA256_SIZE]);

/* Skips "null" if it stands here. */
bool hv_json_scan_null(hv_json_scan *scan);

/* Behind the '[' of an array and behind each element: whether element number `index` follows. False at the ']', which is skipped,
 * and after a failure. */
bool hv_json_scan_more(hv_json_scan *scan, size_t index);

/* Room for one more element behind `count` in an array with `*room`; returns the array, which may have moved. NULL, with the failure
 * kept (HV_CORRUPT at max elements, HV_NOMEM), if there is none: the old array stays valid. */
void *hv_json_scan_grow(hv_json_scan *scan, void *array, size_t count, size_t *room, size_t item, size_t max);

/* HV_CORRUPT with place and wrong value. */
hv_rc hv_json_scan_fail(hv_json_scan *scan, const char *wanted);

/* What failed first, or HV_CORRUPT if bytes are left. */
hv_rc hv_json_scan_end(hv_json_scan *scan) HV_MUST_USE;

/* A field of a record whose text before the value is known: `before` is that text, from the end of the field before it. */
static inline void
hv_json_put_text_after(hv_buf *to, const char *before, const char *text)
{
    hv_buf_put_text(to, before);
    hv_json_put_text(to, text);
}

static inline void
hv_json_put_int_after(hv_buf *to, const char *before, int64_t value)
{
    hv_buf_put_text(to, before);
    hv_json_put_int(to, value);
}

static inline void
hv_json_scan_text_after(hv_json_scan *scan, const char *before, char *ret, size_t size)
{
    hv_json_scan_literal(scan, before);
    hv_json_scan_text(scan, ret, size);
}

static inline int64_t
hv_json_scan_int_after(hv_json_scan *scan, const char *before, int64_t min, int64_t max)
{
    hv_json_scan_literal(scan, before);
    return hv_json_scan_int(scan, min, max);
}

#endif
