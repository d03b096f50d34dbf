/*
 * Let the n-th allocation fail, for n = 0, 1, 2 ... until a run needs fewer than n. The linker's --wrap replaces the allocation functions
 * for our own code only, and the functions of zstd and libdeflate that allocate. Leaks on these paths are found by the sanitizer build of
 * this test.
 */
#include <libdeflate.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "segment/segment_file.h"
#include "segment/vault_marker.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"

ZSTD_CCtx *__real_ZSTD_createCCtx(void);
ZSTD_DCtx *__real_ZSTD_createDCtx(void);
size_t __real_ZSTD_compress2(ZSTD_CCtx *context, void *to, size_t room, const void *from, size_t len);
size_t __real_ZSTD_decompressDCtx(ZSTD_DCtx *context, void *to, size_t room, const void *from, size_t len);
struct libdeflate_compressor *__real_libdeflate_alloc_compressor(int level);
struct libdeflate_decompressor *__real_libdeflate_alloc_decompressor(void);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);
size_t __wrap_ZSTD_compress2(ZSTD_CCtx *context, void *to, size_t room, const void *from, size_t len);
size_t __wrap_ZSTD_decompressDCtx(ZSTD_DCtx *context, void *to, size_t room, const void *from, size_t len);
struct libdeflate_compressor *__wrap_libdeflate_alloc_compressor(int level);
struct libdeflate_decompressor *__wrap_libdeflate_alloc_decompressor(void);

/* zstd reports errors as the size -code (zstd_errors.h). */
static const size_t no_zstd_memory = (size_t)-ZSTD_error_memory_allocation;

ZSTD_CCtx *
__wrap_ZSTD_createCCtx(void)
{
    return oom_strikes() ? NULL : __real_ZSTD_createCCtx();
}

ZSTD_DCtx *
__wrap_ZSTD_createDCtx(void)
{
    return oom_strikes() ? NULL : __real_ZSTD_createDCtx();
}

size_t
__wrap_ZSTD_compress2(ZSTD_CCtx *context, void *to, size_t room, const void *from, size_t len)
{
    return oom_strikes() ? no_zstd_memory : __real_ZSTD_compress2(context, to, room, from, len);
}

size_t
__wrap_ZSTD_decompressDCtx(ZSTD_DCtx *context, void *to, size_t room, const void *from, size_t len)
{
    return oom_strikes() ? no_zstd_memory : __real_ZSTD_decompressDCtx(context, to, room, from, len);
}

struct libdeflate_compressor *
__wrap_libdeflate_alloc_compressor(int level)
{
    return oom_strikes() ? NULL : __real_libdeflate_alloc_compressor(level);
}

struct libdeflate_decompressor *
__wrap_libdeflate_alloc_decompressor(void)
{
    return oom_strikes() ? NULL : __real_libdeflate_alloc_decompressor();
}

enum { ROOM = 1 << 20 };

static const unsigned char sync_marker[HV_SYNC_SIZE] = "0123456789abcde";

static hv_rc
seal_one(hv_block_coder *coder, hv_codec codec, hv_block *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(ROOM);
    const hv_header headers[] = {{.name = hv_slice_text("a"), .value = HV_SLICE_NULL}, {.name = hv_slice_text("b"), .value = hv_slice_text("c")}};
    hv_event event = {.offset = 1, .timestamp_ms = 5, .value = hv_slice_text("body body body body"), .headers = headers, .header_count = 2};
    hv_block_format format = {.codec = codec, .level = 1};
    hv_block_facts facts = {.first_offset = 1, .last_offset = 1, .count = 1, .min_timestamp_ms = 5, .max_timestamp_ms = 5};

    memcpy(format.sync, sync_marker, sizeof format.sync);
    hv_event_encode(&event, &raw);
    hv_rc rc = hv_buf_check(&raw, err);
    return rc == HV_OK ? hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), ret, err) : rc;
}

/* A cut of a gap, and one event each of two segments: of a lead, or of a sibling that misses one. */
static hv_rc
assemble_one(hv_codec codec, bool is_sibling, hv_block *block, hv_buf *blob, hv_err *err)
{
    unsigned char schema[1][HV_SHA256_SIZE] = {{1}};
    hv_gap missing = {.range = {.first = 2, .end = 3}, .cause = HV_GAP_RETENTION};
    hv_gap gap = {.range = {.first = 0, .end = 1}, .cause = HV_GAP_UNKNOWN};
    hv_range promised = {.first = is_sibling ? 1 : 2, .end = 3};
    hv_class_map map = {.class_name = "pii", .ranges = &promised, .range_count = 1};
    unsigned char sha256[HV_SHA256_SIZE];
    hv_segment_header header = {.vault = "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10", .partition = {.hub = "orders", .incarnation = 1},
                                .class_name = HV_CLASS_DEFAULT, .codec = codec, .cut = {.first = 0, .end = 3}, .classes = &map,
                                .class_count = 1, .gaps = &gap, .gap_count = 1, .schemas = schema, .schema_count = 1,
                                .is_sibling = is_sibling, .missing = &missing, .missing_count = is_sibling};

    if (is_sibling)
        memcpy(header.class_name, map.class_name, sizeof header.class_name);
    hv_rc rc = hv_segment_assemble(&header, block, 1, sync_marker, blob, sha256, err);
    free(header.blocks);
    return rc;
}

static hv_rc
read_one(hv_block_coder *coder, const hv_block *block, hv_slice front_bytes, hv_err *err)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    size_t needed, own_count = 0;
    hv_range *own = NULL;
    hv_event event;

    hv_rc rc = hv_segment_front_parse(front_bytes, &front, &needed, err);
    if (rc == HV_OK)
        rc = hv_segment_header_own(front.header, &own, &own_count, err);
    free(own);
    if (rc == HV_OK)
        rc = hv_block_open(coder, front.header->codec, front.sync, &front.header->blocks[0],
                           hv_slice_of(block->stored, block->ref.length), &raw, err);
    if (rc == HV_OK) {
        hv_event_reader_reset(&reader, hv_buf_slice(&raw));
        rc = hv_event_reader_next(&reader, &event, err);
    }
    return rc;
}

/* Everything the library allocates for, once. */
static hv_rc
write_and_read_a_segment(hv_codec codec, bool is_sibling, hv_err *err)
{
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_block_free) hv_block block = {0};
    HV_AUTO(hv_buf_free) hv_buf front = HV_BUF_INIT(ROOM);

    hv_rc rc = hv_block_coder_new(&coder, err);
    if (rc == HV_OK)
        rc = seal_one(coder, codec, &block, err);
    if (rc == HV_OK)
        rc = assemble_one(codec, is_sibling, &block, &front, err);
    if (rc == HV_OK)
        rc = read_one(coder, &block, hv_buf_slice(&front), err);
    return rc;
}

START_TEST(running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind)
{
    hv_err err = {0};
    hv_rc rc = HV_NOMEM;
    long n;

    for (n = 0; rc != HV_OK; n++) {
        ck_assert_msg(n < 1000, "still failing after %ld allocations", n);
        oom_begin(OOM_THIS_THREAD, n, 1);
        rc = write_and_read_a_segment((hv_codec)(_i / 2), _i % 2 == 1, &err);
        bool starved = oom_end();
        ck_assert_msg(rc == (starved ? HV_NOMEM : HV_OK), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
    }
    ck_assert_int_gt(n, 20);            /* or the wrapping does not work, and nothing was tested */
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("segment, out of memory");
    tcase_add_loop_test(tests, running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind, 0, 2 * HV_CODECS);
    return ck_hv_run("segment, out of memory", tests);
}
