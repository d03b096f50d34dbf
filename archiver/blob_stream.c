/* The window holds what was read and not passed yet, and what was passed since the last reading: moving the rest down is left until there is
 * to be read, or a window of many small pieces would be moved once for each. Every byte is hashed when it enters, so the hash is that of the
 * whole blob whatever was wanted of it. */
#include "archiver/blob_stream.h"

#include <assert.h>

/* What lies before `position` leaves the window. */
static void
pass(hv_blob_stream *stream, uint64_t position)
{
    hv_buf *window = stream->window;
    size_t passed = (size_t)(position - stream->start);

    assert(position >= stream->start && passed <= window->len);
    if (passed == 0)
        return;
    memmove(window->data, window->data + passed, window->len - passed);
    window->len -= passed;
    window->data[window->len] = '\0';
    stream->start = position;
}

static hv_rc
read_more(hv_blob_stream *stream, size_t wanted, hv_err *err)
{
    hv_buf *window = stream->window;
    size_t had = window->len, len = wanted > stream->piece ? wanted : stream->piece;

    hv_rc rc = stream->storage->ops->get_range(stream->storage, stream->name, stream->start + had, len, window, err);
    if (rc != HV_OK)
        return rc;
    stream->ended = window->len - had < len;
    if (stream->hash != NULL && window->len > had)
        hv_sha256_add(stream->hash, window->data + had, window->len - had);
    return HV_OK;
}

hv_rc
hv_blob_stream_want(hv_blob_stream *stream, uint64_t position, size_t len, hv_slice *ret, hv_err *err)
{
    hv_buf *window = stream->window;
    uint64_t end = stream->start + window->len;

    assert(len <= HV_BLOB_WANT_MAX);
    if (position > end && stream->ended)
        position = end;
    if (position > end || (end - position < len && !stream->ended)) {
        pass(stream, position);
        hv_rc rc = read_more(stream, len - window->len, err);
        if (rc != HV_OK)
            return rc;
    }
    size_t into = (size_t)(position - stream->start), there = window->len - into;
    *ret = hv_slice_of((const char *)hv_buf_slice(window).data + into, there < len ? there : len);
    return HV_OK;
}

hv_rc
hv_blob_stream_end(hv_blob_stream *stream, uint64_t *size, unsigned char sha256[HV_SHA256_SIZE], hv_err *err)
{
    while (!stream->ended) {
        pass(stream, stream->start + stream->window->len);
        hv_rc rc = read_more(stream, 1, err);
        if (rc != HV_OK)
            return rc;
    }
    *size = stream->start + stream->window->len;
    hv_sha256_end(stream->hash, sha256);
    return HV_OK;
}
