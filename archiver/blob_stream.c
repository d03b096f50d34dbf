/* The window holds what was read and not passed yet. Every byte is hashed when it enters, so the hash is that of the whole blob
 * whatever was wanted of it. */
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
    if (stream->hash != NULL)
        hv_sha256_add(stream->hash, (const char *)hv_buf_slice(window).data + had, window->len - had);
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
    pass(stream, position);
    if (window->len < len && !stream->ended) {
        hv_rc rc = read_more(stream, len - window->len, err);
        if (rc != HV_OK)
            return rc;
    }
    *ret = hv_slice_of(hv_buf_slice(window).data, window->len < len ? window->len : len);
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
