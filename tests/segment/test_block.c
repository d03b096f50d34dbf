#include <libdeflate.h>
#include <zstd.h>

#include "segment/block.h"
#include "segment/event_codec.h"
#include "segment/varint.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 24, COUNT = 1000 };

static hv_block_coder *coder;
static hv_buf raw = HV_BUF_INIT(ROOM);

static void
make_raw(void)
{
    hv_err err;
    test_random random = test_random_make(11);
    test_event event;

    ck_hv_ok(hv_block_coder_new(&coder, &err));
    for (int64_t i = 0; i < COUNT; i++) {
        test_event_fill(&event, &random, i);
        hv_event_encode(&event.event, &raw);
    }
    ck_hv_ok(hv_buf_check(&raw, &err));
}

static void
free_raw(void)
{
    hv_block_coder_free(coder);
    hv_buf_free(&raw);
}

static const hv_block_facts facts = {.first_offset = 0, .last_offset = COUNT - 1, .count = COUNT, .min_timestamp_ms = -5,
                                     .max_timestamp_ms = 5};

static hv_block_format
format_make(hv_codec codec, int level)
{
    hv_block_format format = {.codec = codec, .level = level};

    memcpy(format.sync, test_sync, sizeof format.sync);
    return format;
}

static hv_slice
stored_slice(const hv_block *block)
{
    return hv_slice_of(block->stored, block->ref.length);
}

/* A block around any data, with a hash that is right. */
static hv_block
block_around(int64_t count, int64_t size, hv_slice data)
{
    unsigned char start[2 * HV_VARINT_MAX];
    size_t start_len = (size_t)(hv_varint_put(hv_varint_put(start, count), size) - start);
    hv_block block = {.stored = malloc(start_len + data.len + HV_SYNC_SIZE), .ref = {.count = 1}};

    ck_assert_ptr_nonnull(block.stored);
    memcpy(block.stored, start, start_len);
    if (data.len > 0)
        memcpy(block.stored + start_len, data.data, data.len);
    memcpy(block.stored + start_len + data.len, test_sync, HV_SYNC_SIZE);
    block.ref.length = (uint32_t)(start_len + data.len + HV_SYNC_SIZE);
    hv_slice stored = stored_slice(&block);
    hv_sha256(&stored, 1, block.ref.sha256);
    return block;
}

static hv_rc
open_data(hv_codec codec, hv_slice data, hv_buf *to, hv_err *err)
{
    HV_AUTO(hv_block_free) hv_block block = block_around(1, (int64_t)data.len, data);

    return hv_block_open(coder, codec, test_sync, &block.ref, stored_slice(&block), to, err);
}

static const struct level_row {
    hv_codec codec;
    int level;
} levels[] = {{HV_CODEC_ZSTANDARD, 1}, {HV_CODEC_ZSTANDARD, 3}, {HV_CODEC_ZSTANDARD, 19}, {HV_CODEC_DEFLATE, 1},
              {HV_CODEC_DEFLATE, 6}, {HV_CODEC_DEFLATE, 12}, {HV_CODEC_NULL, 1}};

START_TEST(a_sealed_block_opens_to_the_same_bytes)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block block = {0};
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    hv_block_format format = format_make(levels[_i].codec, levels[_i].level);

    for (int again = 0; again < 2; again++) {       /* contexts are reused */
        hv_block_free(&block);
        ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), &block, &err));
        ck_hv_ok(hv_block_open(coder, format.codec, test_sync, &block.ref, stored_slice(&block), &opened, &err));
        ck_assert(hv_slice_equal(hv_buf_slice(&opened), hv_buf_slice(&raw)));
    }
    ck_assert_int_eq(block.ref.count, COUNT);
    ck_assert_int_eq(block.last_offset, COUNT - 1);
    ck_assert_int_eq(block.ref.min_timestamp_ms, -5);
}
END_TEST

START_TEST(the_same_bytes_give_the_same_block)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block first = {0}, second = {0};
    HV_AUTO(hv_block_coder_free) hv_block_coder *fresh = NULL;
    hv_block_format format = format_make(levels[_i].codec, levels[_i].level);

    ck_hv_ok(hv_block_coder_new(&fresh, &err));
    ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), &first, &err));
    ck_hv_ok(hv_block_seal(fresh, &format, &facts, hv_buf_slice(&raw), &second, &err));
    ck_assert(hv_slice_equal(stored_slice(&first), stored_slice(&second)));
}
END_TEST

START_TEST(a_block_opens_into_a_buffer_of_exactly_its_size_and_not_into_a_smaller_one)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block block = {0};
    HV_AUTO(hv_buf_free) hv_buf exact = HV_BUF_INIT(raw.len), small = HV_BUF_INIT(raw.len - 1);
    hv_block_format format = format_make(levels[_i].codec, levels[_i].level);

    ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), &block, &err));
    ck_hv_ok(hv_block_open(coder, format.codec, test_sync, &block.ref, stored_slice(&block), &exact, &err));
    ck_assert(hv_slice_equal(hv_buf_slice(&exact), hv_buf_slice(&raw)));
    ck_hv_fails(HV_CORRUPT, hv_block_open(coder, format.codec, test_sync, &block.ref, stored_slice(&block), &small, &err));
    ck_assert_uint_le(small.allocated, raw.len);
}
END_TEST

START_TEST(every_flipped_bit_of_a_block_is_noticed)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block block = {0};
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    hv_block_format format = format_make(HV_CODEC_NULL, 1);
    hv_block_facts one = {.count = 1};

    ck_hv_ok(hv_block_seal(coder, &format, &one, hv_slice_of(raw.data, 20), &block, &err));
    for (size_t bit = 0; bit < 8 * (size_t)block.ref.length; bit++) {
        block.stored[bit / 8] ^= (unsigned char)(1 << bit % 8);
        ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, test_sync, &block.ref, stored_slice(&block), &opened, &err));
        block.stored[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    ck_hv_ok(hv_block_open(coder, HV_CODEC_NULL, test_sync, &block.ref, stored_slice(&block), &opened, &err));
}
END_TEST

START_TEST(a_block_of_another_length_count_or_marker_is_corrupt)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block block = {0};
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    hv_block_format format = format_make(HV_CODEC_NULL, 1);
    unsigned char other_sync[HV_SYNC_SIZE] = {0};

    ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), &block, &err));
    hv_block_ref longer = block.ref, more = block.ref;
    longer.length++;
    more.count++;
    ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, test_sync, &longer, stored_slice(&block), &opened, &err));
    ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, test_sync, &more, stored_slice(&block), &opened, &err));
    ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, other_sync, &block.ref, stored_slice(&block), &opened, &err));
    ck_hv_ok(hv_block_open(coder, HV_CODEC_NULL, NULL, &block.ref, stored_slice(&block), &opened, &err));
}
END_TEST

START_TEST(a_size_that_does_not_fill_the_block_is_corrupt)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    static const int64_t wrong[] = {-1, 0, 19, 21, INT64_MAX, INT64_MIN};
    hv_slice data = hv_slice_of(raw.data, 20);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        HV_AUTO(hv_block_free) hv_block block = block_around(1, wrong[i], data);
        ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, test_sync, &block.ref, stored_slice(&block), &opened, &err));
    }
    ck_hv_ok(open_data(HV_CODEC_NULL, data, &opened, &err));
}
END_TEST

START_TEST(a_block_with_fewer_bytes_than_its_events_need_is_corrupt)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_block_free) hv_block block = block_around(3, 20, hv_slice_of(raw.data, 20));

    block.ref.count = 3;
    ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, test_sync, &block.ref, stored_slice(&block), &opened, &err));
}
END_TEST

/* A frame without its content size: what a streaming compressor makes. */
static size_t
compress_streaming(hv_slice data, char *to, size_t room)
{
    ZSTD_CStream *stream = ZSTD_createCStream();
    ZSTD_inBuffer in = {.src = data.data, .size = data.len};
    ZSTD_outBuffer out = {.dst = to, .size = room};

    ck_assert_ptr_nonnull(stream);
    ck_assert(!ZSTD_isError(ZSTD_compressStream2(stream, &out, &in, ZSTD_e_continue)));
    ck_assert_uint_eq(ZSTD_compressStream2(stream, &out, &in, ZSTD_e_end), 0);
    ZSTD_freeCStream(stream);
    ck_assert_uint_eq(ZSTD_getFrameContentSize(to, out.pos), ZSTD_CONTENTSIZE_UNKNOWN);
    return out.pos;
}

START_TEST(a_zstandard_frame_of_unknown_size_opens_within_the_limit_only)
{
    hv_err err;
    enum { ZEROS = 3 << 20 };
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ZEROS), small = HV_BUF_INIT(ZEROS - 1);
    char *zeros = calloc(1, ZEROS), packed[4096];

    ck_assert_ptr_nonnull(zeros);
    size_t len = compress_streaming(hv_slice_of(zeros, ZEROS), packed, sizeof packed);
    ck_hv_ok(open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len), &opened, &err));
    ck_assert(hv_slice_equal(hv_buf_slice(&opened), hv_slice_of(zeros, ZEROS)));
    ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len), &small, &err));
    free(zeros);
}
END_TEST

START_TEST(a_short_frame_that_promises_much_is_refused_before_memory_is_spent)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    /* magic; single segment, 4-byte content size of 512 MiB; one empty last raw block (RFC 8878 section 3.1.1) */
    static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x20, 0x01, 0, 0};

    ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_ZSTANDARD, hv_slice_of(frame, sizeof frame), &opened, &err));
    ck_assert_uint_eq(opened.allocated, 0);
}
END_TEST

START_TEST(a_frame_whose_content_is_shorter_or_longer_than_stated_is_corrupt)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    char packed[256];
    static const char text[] = "some text to compress";

    size_t len = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    ck_assert(!ZSTD_isError(len));
    ck_hv_ok(open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len), &opened, &err));
    for (int wrong = -1; wrong <= 1; wrong += 2) {
        packed[5] = (char)(packed[5] + wrong);          /* content size, one byte in a frame as short as this */
        ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len), &opened, &err));
        packed[5] = (char)(packed[5] - wrong);
    }
}
END_TEST

START_TEST(bytes_behind_the_compressed_data_are_corrupt)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    char packed[256] = {0};
    static const char text[] = "some text to compress";
    struct libdeflate_compressor *deflate = libdeflate_alloc_compressor(6);

    ck_assert_ptr_nonnull(deflate);
    size_t len = libdeflate_deflate_compress(deflate, text, sizeof text, packed, sizeof packed);
    libdeflate_free_compressor(deflate);
    ck_hv_ok(open_data(HV_CODEC_DEFLATE, hv_slice_of(packed, len), &opened, &err));
    ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_DEFLATE, hv_slice_of(packed, len + 1), &opened, &err));
    ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_DEFLATE, hv_slice_of(packed, len - 1), &opened, &err));
    len = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    size_t empty = ZSTD_compress(packed + len, sizeof packed - len, text, 0, 1);
    ck_assert(!ZSTD_isError(len) && !ZSTD_isError(empty));
    ck_hv_ok(open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len), &opened, &err));
    ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len + empty), &opened, &err));
    ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_ZSTANDARD, hv_slice_of(packed, len - 1), &opened, &err));
}
END_TEST

START_TEST(twenty_megabytes_of_zeros_in_deflate_come_back)
{
    hv_err err;
    enum { ZEROS = 20 << 20 };
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ZEROS);
    HV_AUTO(hv_block_free) hv_block block = {0};
    char *zeros = calloc(1, ZEROS);
    hv_block_format format = format_make(HV_CODEC_DEFLATE, 6);
    hv_block_facts one = {.count = 1};

    ck_assert_ptr_nonnull(zeros);
    ck_hv_ok(hv_block_seal(coder, &format, &one, hv_slice_of(zeros, ZEROS), &block, &err));
    ck_hv_ok(hv_block_open(coder, HV_CODEC_DEFLATE, NULL, &block.ref, stored_slice(&block), &opened, &err));
    ck_assert(hv_slice_equal(hv_buf_slice(&opened), hv_slice_of(zeros, ZEROS)));
    free(zeros);
}
END_TEST

START_TEST(a_coder_changes_its_codec_and_level_from_block_to_block)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);

    for (size_t i = 0; i < 2 * sizeof levels / sizeof levels[0]; i++) {
        HV_AUTO(hv_block_free) hv_block block = {0}, fresh = {0};
        HV_AUTO(hv_block_coder_free) hv_block_coder *other = NULL;
        const struct level_row *row = &levels[(5 * i) % (sizeof levels / sizeof levels[0])];
        hv_block_format format = format_make(row->codec, row->level);
        ck_hv_ok(hv_block_coder_new(&other, &err));
        ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), &block, &err));
        ck_hv_ok(hv_block_seal(other, &format, &facts, hv_buf_slice(&raw), &fresh, &err));
        ck_assert(hv_slice_equal(stored_slice(&block), stored_slice(&fresh)));
        ck_hv_ok(hv_block_open(coder, row->codec, test_sync, &block.ref, stored_slice(&block), &opened, &err));
        ck_assert(hv_slice_equal(hv_buf_slice(&opened), hv_buf_slice(&raw)));
    }
}
END_TEST

START_TEST(a_block_too_short_for_count_size_and_marker_is_corrupt_even_if_its_hash_is_right)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    static const unsigned char bytes[] = {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

    for (size_t len = 0; len <= sizeof bytes; len++) {
        hv_slice stored = hv_slice_of(bytes, len);
        hv_block_ref ref = {.length = (uint32_t)len, .count = 1};
        hv_sha256(&stored, 1, ref.sha256);
        ck_hv_fails(HV_CORRUPT, hv_block_open(coder, HV_CODEC_NULL, NULL, &ref, stored, &opened, &err));
    }
}
END_TEST

START_TEST(random_data_behind_a_right_hash_is_corrupt_in_both_compressing_codecs)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    test_random random = test_random_make(5);

    for (int i = 0; i < 2000; i++) {
        unsigned char data[64];
        for (size_t j = 0; j < sizeof data; j++)
            data[j] = (unsigned char)test_random_next(&random);
        data[0] = (unsigned char)((data[0] & 0xf8) | 7);        /* deflate: last block, of the reserved type (RFC 1951 section 3.2.3) */
        ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_ZSTANDARD, hv_slice_of(data, sizeof data), &opened, &err));
        ck_hv_fails(HV_CORRUPT, open_data(HV_CODEC_DEFLATE, hv_slice_of(data, sizeof data), &opened, &err));
    }
}
END_TEST

START_TEST(more_raw_bytes_than_the_reader_accepts_are_not_sealed)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block block = {0};
    hv_block_format format = format_make(HV_CODEC_NULL, 1);

    ck_hv_fails(HV_LIMIT, hv_block_seal(coder, &format, &facts, hv_slice_of(raw.data, (size_t)HV_BLOCK_MAX_RAW + 1), &block, &err));
    ck_assert_ptr_null(block.stored);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("block");
    int level_count = (int)(sizeof levels / sizeof levels[0]);

    tcase_add_checked_fixture(tests, make_raw, free_raw);
    tcase_add_loop_test(tests, a_sealed_block_opens_to_the_same_bytes, 0, level_count);
    tcase_add_loop_test(tests, the_same_bytes_give_the_same_block, 0, level_count);
    tcase_add_loop_test(tests, a_block_opens_into_a_buffer_of_exactly_its_size_and_not_into_a_smaller_one, 0, level_count);
    tcase_add_test(tests, every_flipped_bit_of_a_block_is_noticed);
    tcase_add_test(tests, a_block_of_another_length_count_or_marker_is_corrupt);
    tcase_add_test(tests, a_size_that_does_not_fill_the_block_is_corrupt);
    tcase_add_test(tests, a_block_with_fewer_bytes_than_its_events_need_is_corrupt);
    tcase_add_test(tests, a_zstandard_frame_of_unknown_size_opens_within_the_limit_only);
    tcase_add_test(tests, a_short_frame_that_promises_much_is_refused_before_memory_is_spent);
    tcase_add_test(tests, a_frame_whose_content_is_shorter_or_longer_than_stated_is_corrupt);
    tcase_add_test(tests, bytes_behind_the_compressed_data_are_corrupt);
    tcase_add_test(tests, twenty_megabytes_of_zeros_in_deflate_come_back);
    tcase_add_test(tests, a_coder_changes_its_codec_and_level_from_block_to_block);
    tcase_add_test(tests, a_block_too_short_for_count_size_and_marker_is_corrupt_even_if_its_hash_is_right);
    tcase_add_test(tests, random_data_behind_a_right_hash_is_corrupt_in_both_compressing_codecs);
    tcase_add_test(tests, more_raw_bytes_than_the_reader_accepts_are_not_sealed);
    return ck_hv_run("block", tests);
}
