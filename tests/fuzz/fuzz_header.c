/* Stored text as a header, a vault marker and an incarnation record. Each has one spelling, so what is accepted is written again to the
 * very same bytes. */
#include <assert.h>
#include <stdlib.h>

#include "segment/vault_marker.h"
#include "tests/fuzz/fuzz_target.h"

enum { ROOM = 1 << 24 };

static void
assert_written(hv_buf *text, hv_slice input)
{
    hv_err err;

    assert(hv_buf_check(text, &err) == HV_OK);
    assert(hv_slice_equal(hv_buf_slice(text), input));
    hv_buf_clear(text);
}

static void
check_own(const hv_segment_header *header)
{
    hv_err err;
    hv_range *own = NULL;
    size_t count = 0;
    int64_t offsets = 0;

    assert(hv_segment_header_own(header, &own, &count, &err) == HV_OK);
    for (size_t i = 0; i < count; i++) {
        assert(own[i].first < own[i].end && own[i].first >= header->cut.first && own[i].end <= header->cut.end);
        assert(i == 0 || own[i - 1].end <= own[i].first);
        offsets += own[i].end - own[i].first;
    }
    assert(offsets == header->count);
    free(own);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hv_err err;
    hv_slice input = hv_slice_of(data, size);
    hv_vault_marker marker;
    hv_incarnation_record record;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *header = NULL;

    if (hv_segment_header_parse(input, HV_CODEC_NULL, &header, &err) == HV_OK) {
        hv_segment_header_write(header, &text);
        assert_written(&text, input);
        check_own(header);
    }
    if (hv_vault_marker_parse(input, &marker, &err) == HV_OK) {
        hv_vault_marker_write(&marker, &text);
        assert_written(&text, input);
    }
    if (hv_incarnation_record_parse(input, &record, &err) == HV_OK) {
        hv_incarnation_record_write(&record, &text);
        assert_written(&text, input);
    }
    return 0;
}
