/* Stored text as a snapshot of a topic or of a group. Each has one spelling, so what is accepted is written again to the very same
 * bytes. */
#include <assert.h>

#include "segment/snapshot_record.h"
#include "tests/fuzz/fuzz_target.h"

static void
assert_written(hv_buf *text, hv_slice input)
{
    hv_err err;

    assert(hv_buf_check(text, &err) == HV_OK);
    assert(hv_slice_equal(hv_buf_slice(text), input));
    hv_buf_clear(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hv_err err;
    hv_slice input = hv_slice_of(data, size);
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot topic = {.partitions = 0};
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = {.group = NULL};

    if (hv_topic_snapshot_parse(input, &topic, &err) == HV_OK) {
        hv_topic_snapshot_write(&topic, &text);
        assert_written(&text, input);
    }
    if (hv_group_snapshot_parse(input, &group, &err) == HV_OK) {
        assert(group.count > 0 && group.group != NULL);
        hv_group_snapshot_write(&group, &text);
        assert_written(&text, input);
    }
    return 0;
}
