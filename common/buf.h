/*
 * Borrowed bytes, and a byte buffer that grows up to a limit which its maker must state.
 *
 * Whatever fills a buffer (a broker, a store, a file) must not choose how much memory we spend, hence the limit. A buffer keeps
 * its first failure: chain the appends and ask once, with hv_buf_check().
 */
#ifndef HV_COMMON_BUF_H
#define HV_COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/auto.h"
#include "common/err.h"

/* Borrowed. Where "null" and "empty" differ (keys, values, header values), data is NULL for null and not NULL for empty. */
typedef struct hv_slice {
    const void *data;
    size_t len;
} hv_slice;

#define HV_SLICE_NULL ((hv_slice){.data = NULL, .len = 0})

static inline hv_slice
hv_slice_of(const void *data, size_t len)
{
    return (hv_slice){.data = data, .len = len};
}

static inline hv_slice
hv_slice_text(const char *text)
{
    return (hv_slice){.data = text, .len = strlen(text)};
}

/* The same bytes; null equals null only. */
static inline bool
hv_slice_equal(hv_slice a, hv_slice b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

typedef struct hv_buf {
    char *data;                         /* NULL until the first append; then a NUL stands behind data[len - 1] */
    size_t len;
    size_t max_len;                     /* below SIZE_MAX / 2 */
    size_t allocated;
    hv_rc failed;                       /* HV_OK while nothing failed */
} hv_buf;

#define HV_BUF_INIT(limit) {.max_len = (limit)}

/* Leaves an empty buffer of the same limit. */
void hv_buf_free(hv_buf *buf);
HV_DEFINE_AUTO_VALUE(hv_buf, hv_buf_free);

/* Forgets the contents and the failure, keeps the memory. */
void hv_buf_clear(hv_buf *buf);

/* hv_buf_reserve() where memory, or a look at the limit, is needed. */
char *hv_buf_grow(hv_buf *buf, size_t more);

/* Room for `more` further bytes at data + len, for writing in place; the writer then adds what it wrote to len. NULL, with the
 * failure kept, if there is none. */
static inline char *
hv_buf_reserve(hv_buf *buf, size_t more)
{
    /* What is allocated never passes the limit and the NUL. */
    return buf->failed == HV_OK && more < buf->allocated - buf->len ? buf->data + buf->len : hv_buf_grow(buf, more);
}

static inline void
hv_buf_put(hv_buf *buf, const void *data, size_t len)
{
    char *to = hv_buf_reserve(buf, len);

    if (to == NULL)
        return;
    if (len > 0)
        memcpy(to, data, len);
    buf->len += len;
    to[len] = '\0';
}

static inline void
hv_buf_put_text(hv_buf *buf, const char *text)
{
    hv_buf_put(buf, text, strlen(text));
}

static inline void
hv_buf_put_byte(hv_buf *buf, unsigned char byte)
{
    hv_buf_put(buf, &byte, 1);
}

void hv_buf_printf(hv_buf *buf, const char *fmt, ...) HV_PRINTF(2, 3);

/* HV_LIMIT or HV_NOMEM if an append failed; the buffer holds what came before. */
hv_rc hv_buf_check(const hv_buf *buf, hv_err *err) HV_MUST_USE;

/* Valid until the buffer changes; never null, an empty buffer gives an empty slice. */
static inline hv_slice
hv_buf_slice(const hv_buf *buf)
{
    return (hv_slice){.data = buf->data != NULL ? buf->data : "", .len = buf->len};
}

#endif
