/*
 * One blob, read once from front to back in large pieces, hashed on the way.
 */
#ifndef HV_ARCHIVER_BLOB_STREAM_H
#define HV_ARCHIVER_BLOB_STREAM_H

#include "common/sha256.h"
#include "storage/storage.h"

enum {
    HV_BLOB_WANT_MAX = 3 << 28,         /* most bytes wanted at once */
    HV_BLOB_WINDOW_MAX = 1 << 30,       /* the limit that the window needs */
};

typedef struct hv_blob_stream {
    hv_storage *storage;
    const char *name;
    size_t piece;                       /* least number of bytes to ask the store for at once */
    hv_buf *window;                     /* borrowed, so that its memory serves one blob after the other; cleared before the first use */
    hv_sha256_run *hash;                /* borrowed and started; NULL: do not hash */
    uint64_t start;                     /* position of the window in the blob; what lies before is passed */
    bool ended;                         /* the window reaches to the end of the blob */
} hv_blob_stream;

/* `len` bytes from `position` on, fewer only where the blob ends. Positions never go back. *ret is valid until the next call. Codes are
 * those of get_range. */
hv_rc hv_blob_stream_want(hv_blob_stream *stream, uint64_t position, size_t len, hv_slice *ret, hv_err *err) HV_MUST_USE;

/* Read what is left; the length of the blob, and its hash. */
hv_rc hv_blob_stream_end(hv_blob_stream *stream, uint64_t *size, unsigned char sha256[HV_SHA256_SIZE], hv_err *err) HV_MUST_USE;

#endif
