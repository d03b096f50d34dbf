/*
 * A block as the Avro specification lays it out ("Object Container Files"): count, size, data, sync marker. SHA-256 is taken over all
 * four, so nothing in a block is uncovered.
 *
 * Opening is safe over any bytes because of its order: the length and the hash come first, then the frame must fill the bytes
 * exactly, then the codec may write into memory whose size is bounded twice: by the limit of the caller's buffer, and by what the
 * codec can make of that many bytes at all (a zstandard block of 3 bytes or more gives at most 128 KiB, RFC 8878 section 3.1.1.2; deflate
 * gives at most 258 bytes for 2 bits, RFC 1951 section 3.2.5). A short block that promises much is refused before memory is spent.
 */
#include "segment/block.h"

#include <assert.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "segment/event_codec.h"
#include "segment/varint.h"

enum {
    ZSTD_MAX_LEVEL = 19,
    DEFLATE_MAX_LEVEL = 12,
    FASTEST_HASH_LOG = 12,
    FASTEST_MIN_MATCH = 6,
    ZSTD_BLOCK_MIN = 3,
    ZSTD_BLOCK_MAX_RAW = 128 << 10,
    DEFLATE_MAX_RATIO = 1032,
    GUESSED_RATIO = 8,                  /* of data that do not say how much they are; too low costs a second attempt */
    SMALLEST_GUESS = 256 << 10,
    SCRATCH_KEEP = 8 << 20,             /* a block larger than this is rare: its memory is given back */
};

struct hv_block_coder {
    ZSTD_CCtx *zstd_in;
    ZSTD_DCtx *zstd_out;
    struct libdeflate_compressor *deflate_in;   /* made when first needed, of deflate_level */
    int deflate_level;
    struct libdeflate_decompressor *deflate_out;
    hv_buf scratch;                     /* compressed data before its size is known */
};

void
hv_block_free(hv_block *block)
{
    free(block->stored);
    *block = (hv_block){.stored = NULL};
}

hv_rc
hv_block_coder_new(hv_block_coder **ret, hv_err *err)
{
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = calloc(1, sizeof *coder);

    if (coder == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a block coder");
    coder->scratch = (hv_buf)HV_BUF_INIT(SIZE_MAX / 4);
    coder->zstd_in = ZSTD_createCCtx();
    coder->zstd_out = ZSTD_createDCtx();
    coder->deflate_out = libdeflate_alloc_decompressor();
    if (coder->zstd_in == NULL || coder->zstd_out == NULL || coder->deflate_out == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for compression contexts");
    *ret = HV_TAKE(coder);
    return HV_OK;
}

void
hv_block_coder_free(hv_block_coder *coder)
{
    if (coder == NULL)
        return;
    ZSTD_freeCCtx(coder->zstd_in);
    ZSTD_freeDCtx(coder->zstd_out);
    if (coder->deflate_in != NULL)
        libdeflate_free_compressor(coder->deflate_in);
    if (coder->deflate_out != NULL)
        libdeflate_free_decompressor(coder->deflate_out);
    hv_buf_free(&coder->scratch);
    free(coder);
}

/* ---- sealing ---- */

static hv_rc
zstd_failed(size_t code, hv_err *err)
{
    hv_rc rc = ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? HV_NOMEM : HV_INTERNAL;

    return hv_err_set(err, rc, "zstandard: %s", ZSTD_getErrorName(code));
}

/* Level 1 is for speed, and 2^14 entries of its match table are more than the first level cache of a core holds beside the data. With
 * 2^12 and matches from 6 bytes on, blocks of events compress 12 to 19 % faster to the same size (docs/PERFORMANCE.md, also for text
 * that is no event). 0 is what zstandard takes for the level.
 *
 * The frame states its content size, so that readers can bound their memory; it has no checksum of its own, SHA-256 covers it. */
static hv_rc
zstd_compress(hv_block_coder *coder, int level, hv_slice raw, hv_err *err)
{
    hv_buf *to = &coder->scratch;
    size_t room = ZSTD_compressBound(raw.len);

    if (hv_buf_reserve(to, room) == NULL)
        return hv_buf_check(to, err);
    size_t code = ZSTD_CCtx_setParameter(coder->zstd_in, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(code))
        code = ZSTD_CCtx_setParameter(coder->zstd_in, ZSTD_c_checksumFlag, 0);
    if (!ZSTD_isError(code))
        code = ZSTD_CCtx_setParameter(coder->zstd_in, ZSTD_c_hashLog, level == 1 ? FASTEST_HASH_LOG : 0);
    if (!ZSTD_isError(code))
        code = ZSTD_CCtx_setParameter(coder->zstd_in, ZSTD_c_minMatch, level == 1 ? FASTEST_MIN_MATCH : 0);
    if (!ZSTD_isError(code))
        code = ZSTD_compress2(coder->zstd_in, to->data, room, raw.data, raw.len);
    if (ZSTD_isError(code))
        return zstd_failed(code, err);
    to->len = code;
    return HV_OK;
}

static hv_rc
prepare_deflate(hv_block_coder *coder, int level, hv_err *err)
{
    if (coder->deflate_in != NULL && coder->deflate_level == level)
        return HV_OK;
    if (coder->deflate_in != NULL)
        libdeflate_free_compressor(coder->deflate_in);
    coder->deflate_in = libdeflate_alloc_compressor(level);
    coder->deflate_level = level;
    return coder->deflate_in != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for a deflate compressor");
}

static hv_rc
deflate_compress(hv_block_coder *coder, int level, hv_slice raw, hv_err *err)
{
    hv_buf *to = &coder->scratch;
    hv_rc rc = prepare_deflate(coder, level, err);

    if (rc != HV_OK)
        return rc;
    size_t room = libdeflate_deflate_compress_bound(coder->deflate_in, raw.len);
    if (hv_buf_reserve(to, room) == NULL)
        return hv_buf_check(to, err);
    to->len = libdeflate_deflate_compress(coder->deflate_in, raw.data, raw.len, to->data, room);
    return to->len > 0 ? HV_OK : hv_err_set(err, HV_INTERNAL, "deflate: more than its own bound of %zu bytes", room);
}

static hv_rc
compress(hv_block_coder *coder, const hv_block_format *format, hv_slice raw, hv_slice *ret, hv_err *err)
{
    hv_rc rc;

    hv_buf_clear(&coder->scratch);
    switch (format->codec) {
    case HV_CODEC_ZSTANDARD:
        assert(format->level >= 1 && format->level <= ZSTD_MAX_LEVEL);
        rc = zstd_compress(coder, format->level, raw, err);
        break;
    case HV_CODEC_DEFLATE:
        assert(format->level >= 1 && format->level <= DEFLATE_MAX_LEVEL);
        rc = deflate_compress(coder, format->level, raw, err);
        break;
    default:
        assert(format->codec == HV_CODEC_NULL);
        *ret = raw;
        return HV_OK;
    }
    if (rc == HV_OK)
        *ret = hv_buf_slice(&coder->scratch);
    return rc;
}

static hv_rc
frame(const hv_block_format *format, const hv_block_facts *facts, hv_slice data, hv_block *ret, hv_err *err)
{
    unsigned char start[2 * HV_VARINT_MAX];
    size_t start_len = (size_t)(hv_varint_put(hv_varint_put(start, facts->count), (int64_t)data.len) - start);
    size_t length = start_len + data.len + HV_SYNC_SIZE;

    assert(length <= UINT32_MAX);       /* no codec doubles HV_BLOCK_MAX_RAW */
    unsigned char *stored = malloc(length);
    if (stored == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a block of %zu bytes", length);
    memcpy(stored, start, start_len);
    memcpy(stored + start_len, data.data, data.len);
    memcpy(stored + start_len + data.len, format->sync, HV_SYNC_SIZE);
    *ret = (hv_block){
        .stored = stored,
        .last_offset = facts->last_offset,
        .ref = {
            .length = (uint32_t)length,
            .first_offset = facts->first_offset,
            .count = facts->count,
            .min_timestamp_ms = facts->min_timestamp_ms,
            .max_timestamp_ms = facts->max_timestamp_ms,
        },
    };
    hv_sha256(&(hv_slice){.data = stored, .len = length}, 1, ret->ref.sha256);
    return HV_OK;
}

hv_rc
hv_block_seal(hv_block_coder *coder, const hv_block_format *format, const hv_block_facts *facts, hv_slice raw, hv_block *ret,
              hv_err *err)
{
    hv_slice data;

    assert(facts->count >= 1 && raw.len / HV_EVENT_MIN_ENCODED >= (size_t)facts->count && facts->first_offset <= facts->last_offset);
    if (raw.len > HV_BLOCK_MAX_RAW)
        return hv_err_set(err, HV_LIMIT, "a block of %zu bytes, more than %d", raw.len, HV_BLOCK_MAX_RAW);
    hv_rc rc = compress(coder, format, raw, &data, err);
    if (rc == HV_OK)
        rc = frame(format, facts, data, ret, err);
    if (coder->scratch.allocated > SCRATCH_KEEP)
        hv_buf_free(&coder->scratch);
    return rc;
}

/* ---- opening ---- */

static hv_rc
check_stored(const hv_block_ref *ref, hv_slice stored, hv_err *err)
{
    unsigned char sha256[HV_SHA256_SIZE];
    char is[HV_SHA256_TEXT_SIZE], should[HV_SHA256_TEXT_SIZE];

    if (stored.len != ref->length)
        return hv_err_set(err, HV_CORRUPT, "a block has %zu bytes, not %" PRIu32, stored.len, ref->length);
    hv_sha256(&stored, 1, sha256);
    if (memcmp(sha256, ref->sha256, sizeof sha256) == 0)
        return HV_OK;
    hv_sha256_text(sha256, is);
    hv_sha256_text(ref->sha256, should);
    return hv_err_set(err, HV_CORRUPT, "SHA-256 of a block is %s, not %s", is, should);
}

static hv_rc
unframe(const unsigned char *sync, const hv_block_ref *ref, hv_slice stored, hv_slice *ret, hv_err *err)
{
    const unsigned char *at = stored.data, *end = at + stored.len;
    int64_t count, size;

    if (!hv_varint_get(&at, end, &count) || !hv_varint_get(&at, end, &size))
        return hv_err_set(err, HV_CORRUPT, "a block does not begin with its count and size");
    if (count != ref->count)
        return hv_err_set(err, HV_CORRUPT, "a block holds %" PRId64 " events, not %" PRId32, count, ref->count);
    if (size < 0 || end - at < HV_SYNC_SIZE || size != end - at - HV_SYNC_SIZE)
        return hv_err_set(err, HV_CORRUPT, "a block says that it has %" PRId64 " bytes of data, with %td left", size, end - at);
    if (sync != NULL && memcmp(end - HV_SYNC_SIZE, sync, HV_SYNC_SIZE) != 0)
        return hv_err_set(err, HV_CORRUPT, "a block does not end in the sync marker of its file");
    *ret = hv_slice_of(at, (size_t)size);
    return HV_OK;
}

/* One attempt. HV_OK and *len; HV_LIMIT if `room` is too small; HV_CORRUPT; HV_NOMEM. */
typedef hv_rc (*decompressor)(hv_block_coder *coder, hv_slice data, void *to, size_t room, size_t *len, hv_err *err);

static hv_rc
zstd_decompress(hv_block_coder *coder, hv_slice data, void *to, size_t room, size_t *len, hv_err *err)
{
    size_t code = ZSTD_decompressDCtx(coder->zstd_out, to, room, data.data, data.len);

    if (!ZSTD_isError(code)) {
        *len = code;
        return HV_OK;
    }
    ZSTD_ErrorCode why = ZSTD_getErrorCode(code);
    hv_rc rc = why == ZSTD_error_dstSize_tooSmall ? HV_LIMIT : why == ZSTD_error_memory_allocation ? HV_NOMEM : HV_CORRUPT;
    return hv_err_set(err, rc, "zstandard: %s", ZSTD_getErrorName(code));
}

static hv_rc
deflate_decompress(hv_block_coder *coder, hv_slice data, void *to, size_t room, size_t *len, hv_err *err)
{
    size_t used;

    switch (libdeflate_deflate_decompress_ex(coder->deflate_out, data.data, data.len, to, room, &used, len)) {
    case LIBDEFLATE_SUCCESS:
        return used == data.len ? HV_OK : hv_err_set(err, HV_CORRUPT, "deflate: %zu bytes behind the end", data.len - used);
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return hv_err_set(err, HV_LIMIT, "deflate: no room");
    default:
        return hv_err_set(err, HV_CORRUPT, "deflate: invalid data");
    }
}

/* For data that do not say: what blocks usually are, or what the buffer has room for anyway. */
static size_t
guess_size(hv_slice data, const hv_buf *ret)
{
    size_t guess = SMALLEST_GUESS + GUESSED_RATIO * data.len;

    return guess < ret->allocated ? ret->allocated : guess;
}

/* Try with `guess` bytes and then with twice as many each, never more than `most`, which is at most the limit of ret. */
static hv_rc
decompress_growing(hv_block_coder *coder, decompressor decompress, hv_slice data, size_t guess, size_t most, hv_buf *ret, hv_err *err)
{
    size_t room = guess < most ? guess : most, len = 0;

    for (;;) {
        char *to = hv_buf_reserve(ret, room);
        if (to == NULL)
            return hv_buf_check(ret, err);
        hv_rc rc = decompress(coder, data, to, room, &len, err);
        if (rc == HV_LIMIT && room == most)
            return hv_err_set(err, HV_CORRUPT, "a block of %zu bytes needs more than %zu when decompressed", data.len, most);
        if (rc == HV_OK) {
            ret->len = len;
            ret->data[len] = '\0';
        }
        if (rc != HV_LIMIT)
            return rc;
        room = room > most / 2 ? most : room * 2;
    }
}

static hv_rc
open_zstd(hv_block_coder *coder, hv_slice data, hv_buf *ret, hv_err *err)
{
    unsigned long long stated = ZSTD_getFrameContentSize(data.data, data.len);
    size_t possible = (data.len / ZSTD_BLOCK_MIN + 1) * ZSTD_BLOCK_MAX_RAW, most = possible < ret->max_len ? possible : ret->max_len;

    if (stated == ZSTD_CONTENTSIZE_ERROR || ZSTD_findFrameCompressedSize(data.data, data.len) != data.len)
        return hv_err_set(err, HV_CORRUPT, "zstandard: the data of a block is not one whole frame");
    if (stated == ZSTD_CONTENTSIZE_UNKNOWN)
        return decompress_growing(coder, zstd_decompress, data, guess_size(data, ret), most, ret, err);
    if (stated > most)
        return hv_err_set(err, HV_CORRUPT, "a block of %zu bytes says it has %llu, more than %zu", data.len, stated, most);
    return decompress_growing(coder, zstd_decompress, data, (size_t)stated, (size_t)stated, ret, err);
}

static hv_rc
open_deflate(hv_block_coder *coder, hv_slice data, hv_buf *ret, hv_err *err)
{
    size_t possible = (data.len + 1) * DEFLATE_MAX_RATIO, most = possible < ret->max_len ? possible : ret->max_len;

    return decompress_growing(coder, deflate_decompress, data, guess_size(data, ret), most, ret, err);
}

static hv_rc
open_null(hv_slice data, hv_buf *ret, hv_err *err)
{
    if (data.len > ret->max_len)
        return hv_err_set(err, HV_CORRUPT, "a block of %zu bytes, more than %zu", data.len, ret->max_len);
    hv_buf_put(ret, data.data, data.len);
    return hv_buf_check(ret, err);
}

hv_rc
hv_block_open(hv_block_coder *coder, hv_codec codec, const unsigned char *sync, const hv_block_ref *ref, hv_slice stored, hv_buf *ret,
              hv_err *err)
{
    hv_slice data;

    hv_buf_clear(ret);
    hv_rc rc = check_stored(ref, stored, err);
    if (rc == HV_OK)
        rc = unframe(sync, ref, stored, &data, err);
    if (rc != HV_OK)
        return rc;
    switch (codec) {
    case HV_CODEC_ZSTANDARD:
        rc = open_zstd(coder, data, ret, err);
        break;
    case HV_CODEC_DEFLATE:
        rc = open_deflate(coder, data, ret, err);
        break;
    default:
        assert(codec == HV_CODEC_NULL);
        rc = open_null(data, ret, err);
    }
    if (rc == HV_OK && (size_t)ref->count > ret->len / HV_EVENT_MIN_ENCODED)
        return hv_err_set(err, HV_CORRUPT, "a block of %" PRId32 " events has %zu bytes only", ref->count, ret->len);
    return rc;
}
