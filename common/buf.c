/* Capacity at least doubles, so a chain of appends is linear; it never passes max_len + 1, the one for the NUL. */
#include "common/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST = 64 };

void
hv_buf_free(hv_buf *buf)
{
    free(buf->data);
    *buf = (hv_buf)HV_BUF_INIT(buf->max_len);
}

void
hv_buf_clear(hv_buf *buf)
{
    buf->len = 0;
    buf->failed = HV_OK;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

static bool
grow(hv_buf *buf, size_t needed)
{
    size_t wanted = buf->allocated < SMALLEST / 2 ? SMALLEST : buf->allocated * 2;

    if (wanted < needed)
        wanted = needed;
    if (wanted > buf->max_len + 1)
        wanted = buf->max_len + 1;
    char *moved = realloc(buf->data, wanted);
    if (moved == NULL) {
        buf->failed = HV_NOMEM;
        return false;
    }
    buf->data = moved;
    buf->allocated = wanted;
    return true;
}

char *
hv_buf_grow(hv_buf *buf, size_t more)
{
    assert(buf->max_len < SIZE_MAX / 2);
    if (buf->failed != HV_OK)
        return NULL;
    if (more > buf->max_len - buf->len) {
        buf->failed = HV_LIMIT;
        return NULL;
    }
    size_t needed = buf->len + more + 1;
    if (needed > buf->allocated && !grow(buf, needed))
        return NULL;
    return buf->data + buf->len;
}

void
hv_buf_printf(hv_buf *buf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int needed = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(needed >= 0);                /* negative for a wrong format only */
    char *to = hv_buf_reserve(buf, (size_t)needed);
    if (to == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(to, (size_t)needed + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)needed;
}

hv_rc
hv_buf_check(const hv_buf *buf, hv_err *err)
{
    if (buf->failed == HV_OK)
        return HV_OK;
    if (buf->failed == HV_LIMIT)
        return hv_err_set(err, HV_LIMIT, "more than the %zu bytes allowed here", buf->max_len);
    return hv_err_set(err, buf->failed, "no memory to grow a buffer of %zu bytes", buf->allocated);
}
