/*
 * One block of a segment: compress and hash on the way in, verify and decompress on the way out.
 */
#ifndef HV_SEGMENT_BLOCK_H
#define HV_SEGMENT_BLOCK_H

#include "segment/header.h"

enum {
    HV_SYNC_SIZE = 16,
    HV_BLOCK_MAX_RAW = 512 << 20,       /* a block holds at least one event, whatever its size; the reader accepts no more */
};

/* A block as it will be stored. ref.position is set when the segment is put together. Owns `stored`. */
typedef struct hv_block {
    hv_block_ref ref;
    int64_t last_offset;
    unsigned char *stored;              /* ref.length bytes: count, size, data, sync marker */
} hv_block;

/* Leaves the block empty; accepts an empty one. */
void hv_block_free(hv_block *block);
HV_DEFINE_AUTO_VALUE(hv_block, hv_block_free);

/* Compression contexts, reused from block to block. One per thread. */
typedef struct hv_block_coder hv_block_coder;

hv_rc hv_block_coder_new(hv_block_coder **ret, hv_err *err) HV_MUST_USE;
void hv_block_coder_free(hv_block_coder *coder);
HV_DEFINE_AUTO(hv_block_coder, hv_block_coder_free);

/* What the maker of the raw bytes knows about them. */
typedef struct hv_block_facts {
    int64_t first_offset, last_offset;
    int32_t count;
    int64_t min_timestamp_ms, max_timestamp_ms;
} hv_block_facts;

typedef struct hv_block_format {
    hv_codec codec;
    int level;                          /* zstandard 1..19, deflate 1..12 */
    unsigned char sync[HV_SYNC_SIZE];
} hv_block_format;

/* Compress, frame and hash. `raw` holds facts->count encoded events. On HV_OK *ret owns its bytes. HV_NOMEM, HV_LIMIT. */
hv_rc hv_block_seal(hv_block_coder *coder, const hv_block_format *format, const hv_block_facts *facts, hv_slice raw, hv_block *ret,
                    hv_err *err) HV_MUST_USE;

/*
 * Verify (length, SHA-256, count, sync marker) and decompress into ret, which is cleared first and whose limit bounds the size.
 * HV_CORRUPT with what differs. `sync` may be NULL: not checked then. Survives any bytes: a block that would need more than the
 * limit of ret is HV_CORRUPT, before memory is spent.
 */
hv_rc hv_block_open(hv_block_coder *coder, hv_codec codec, const unsigned char *sync, const hv_block_ref *ref, hv_slice stored,
                    hv_buf *ret, hv_err *err) HV_MUST_USE;

#endif
