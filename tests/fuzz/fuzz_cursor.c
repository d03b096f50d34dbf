/*
 * Any text as a cursor, any bytes as what stands in a cursor with a right checksum, any text as positions in a Kafka commit: what
 * is taken is written in a form that is taken again and says the same.
 */
#include <assert.h>

#include "common/base64.h"
#include "common/sha256.h"
#include "replay/cursor.h"
#include "replay/kafka_positions.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 4096 };

static void
check_cursor(hv_slice text)
{
    HV_AUTO(hv_cursor_clear) hv_cursor cursor = {.patterns = NULL}, again = {.patterns = NULL};
    HV_AUTO(hv_buf_free) hv_buf first = HV_BUF_INIT(HV_CURSOR_MAX_TEXT), second = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    hv_err err;

    if (hv_cursor_parse(text, &cursor, &err) != HV_OK)
        return;
    assert(hv_cursor_write(&cursor, &first, &err) == HV_OK);
    assert(hv_cursor_parse(hv_buf_slice(&first), &again, &err) == HV_OK);
    assert(hv_cursor_write(&again, &second, &err) == HV_OK);
    assert(hv_slice_equal(hv_buf_slice(&first), hv_buf_slice(&second)));
    for (size_t i = 0; i < cursor.position_count; i++) {
        const hv_cursor_position *position = &cursor.positions[i];
        hv_partition partition = {.incarnation = position->incarnation, .number = position->partition};
        memcpy(partition.hub, cursor.hubs[position->hub].name, sizeof partition.hub);
        assert(hv_cursor_next(&cursor, &partition, -1) == position->next);
    }
}

static void
check_content(hv_slice content)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(2 * MOST), text = HV_BUF_INIT(4 * MOST);
    unsigned char hash[HV_SHA256_SIZE];

    hv_sha256(&content, 1, hash);
    hv_buf_put(&bytes, content.data, content.len);
    hv_buf_put(&bytes, hash, 8);
    hv_buf_put_text(&text, "hv1.");
    hv_base64_encode(HV_BASE64_URL, hv_buf_slice(&bytes), &text);
    check_cursor(hv_buf_slice(&text));
}

static void
check_positions(hv_slice text)
{
    HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions positions = {.positions = NULL}, again = {.positions = NULL};
    HV_AUTO(hv_buf_free) hv_buf written = HV_BUF_INIT(4 * HV_KAFKA_POSITIONS_MAX);
    hv_err err;

    if (hv_kafka_positions_parse(text, &positions, &err) != HV_OK)
        return;
    assert(hv_kafka_positions_write(&positions, &written, &err) == HV_OK);      /* leading zeros are gone, so it is not longer */
    assert(hv_kafka_positions_parse(hv_buf_slice(&written), &again, &err) == HV_OK);
    assert(again.count == positions.count && again.events == positions.events);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hv_slice input = hv_slice_of(size > 0 ? (const void *)data : "", size);

    if (size > MOST)
        return 0;
    check_cursor(input);
    check_content(input);
    check_positions(input);
    return 0;
}
