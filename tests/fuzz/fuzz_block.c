/*
 * A stored block of any bytes whose hash is right: the first byte chooses the codec. What opens stays within the limit, and opens again
 * to the same when sealed again.
 */
#include <assert.h>

#include "segment/block.h"
#include "segment/event_codec.h"
#include "segment/varint.h"
#include "tests/fuzz/fuzz_target.h"

enum { LIMIT = 1 << 20 };

static void
check_again(hv_block_coder *coder, const hv_block_format *format, int32_t count, hv_slice raw)
{
    hv_err err;
    HV_AUTO(hv_block_free) hv_block block = {0};
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(LIMIT);
    hv_block_facts facts = {.count = count};

    assert(hv_block_seal(coder, format, &facts, raw, &block, &err) == HV_OK);
    assert(hv_block_open(coder, format->codec, format->sync, &block.ref, hv_slice_of(block.stored, block.ref.length), &opened, &err) ==
           HV_OK);
    assert(hv_slice_equal(hv_buf_slice(&opened), raw));
}

static void
read_events(hv_slice raw)
{
    hv_err err;
    hv_event event;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    hv_event_reader_reset(&reader, raw);
    while (hv_event_reader_more(&reader) && hv_event_reader_next(&reader, &event, &err) == HV_OK)
        continue;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static hv_block_coder *coder;
    hv_err err;
    int64_t count = 0;
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(LIMIT);

    if (size < 1 || size > LIMIT)
        return 0;
    if (coder == NULL)
        assert(hv_block_coder_new(&coder, &err) == HV_OK);
    hv_slice stored = hv_slice_of(data + 1, size - 1);
    hv_block_format format = {.codec = (hv_codec)(data[0] % HV_CODECS), .level = 1};
    hv_block_ref ref = {.length = (uint32_t)stored.len, .count = 1};
    const unsigned char *at = stored.data;
    if (hv_varint_get(&at, at + stored.len, &count) && count >= 1 && count <= INT32_MAX)
        ref.count = (int32_t)count;
    hv_sha256(&stored, 1, ref.sha256);
    hv_rc rc = hv_block_open(coder, format.codec, NULL, &ref, stored, &opened, &err);
    assert(opened.len <= LIMIT && opened.allocated <= LIMIT + 1);
    assert(rc == HV_OK || rc == HV_CORRUPT);
    if (rc == HV_OK) {
        read_events(hv_buf_slice(&opened));
        check_again(coder, &format, ref.count, hv_buf_slice(&opened));
    }
    return 0;
}
