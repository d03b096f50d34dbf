/* Block bytes as events: every slice lies inside the input, and each event that is read comes back when written again. */
#include <assert.h>

#include "segment/event_codec.h"
#include "tests/fuzz/fuzz_target.h"

enum { ROOM = 1 << 24 };

static void
assert_inside(hv_slice slice, hv_slice all)
{
    const char *from = slice.data, *start = all.data;

    if (from != NULL)
        assert(from >= start && from + slice.len <= start + all.len);
}

static void
assert_equal(const hv_event *a, const hv_event *b)
{
    assert(a->offset == b->offset && a->timestamp_ms == b->timestamp_ms && a->timestamp_type == b->timestamp_type);
    assert(hv_slice_equal(a->key, b->key) && hv_slice_equal(a->value, b->value) && a->header_count == b->header_count);
    for (size_t i = 0; i < a->header_count; i++)
        assert(hv_slice_equal(a->headers[i].name, b->headers[i].name) && hv_slice_equal(a->headers[i].value, b->headers[i].value));
}

static void
check_event(const hv_event *event, hv_slice all)
{
    hv_err err;
    hv_event again;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    assert_inside(event->key, all);
    assert_inside(event->value, all);
    for (size_t i = 0; i < event->header_count; i++) {
        assert(event->headers[i].name.data != NULL);
        assert_inside(event->headers[i].name, all);
        assert_inside(event->headers[i].value, all);
    }
    hv_event_encode(event, &bytes);
    assert(hv_buf_check(&bytes, &err) == HV_OK && bytes.len <= hv_event_encoded_max(event));
    hv_event_reader_reset(&reader, hv_buf_slice(&bytes));
    assert(hv_event_reader_next(&reader, &again, &err) == HV_OK && !hv_event_reader_more(&reader));
    assert_equal(event, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hv_err err;
    hv_event event;
    hv_slice all = hv_slice_of(data, size);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    if (size > ROOM / 32)
        return 0;
    hv_event_reader_reset(&reader, all);
    while (hv_event_reader_more(&reader)) {
        const unsigned char *before = reader.at;
        if (hv_event_reader_next(&reader, &event, &err) != HV_OK) {
            assert(reader.at == before);
            break;
        }
        assert(reader.at > before);
        check_event(&event, all);
    }
    return 0;
}
