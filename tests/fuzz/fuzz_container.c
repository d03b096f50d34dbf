/*
 * The framing of an Avro object container file: the input says how the metadata of a good segment are cut into parts, ordered, counted,
 * repeated, mixed with foreign entries and broken. Whether that is the front of a segment is known from how it was made, so the reader
 * is held against it: it takes all of the right ones, and none of the others, whole or cut off anywhere.
 */
#include <assert.h>

#include "segment/segment_file.h"
#include "segment/varint.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 4096, ROOM = 1 << 20, ENTRIES = 4, MOST_PARTS = 6 };

static const char *const names[ENTRIES] = {"avro.codec", "avro.schema", "hubvault.segment", "hubvault.check"};
static const unsigned char sync_marker[HV_SYNC_SIZE] = "sixteen bytes !";

typedef struct maker {
    const uint8_t *at, *end;            /* of the input */
    hv_slice values[ENTRIES];           /* right ones */
    char header[2048], check[HV_SHA256_TEXT_SIZE];
    hv_buf made;
    unsigned seen[ENTRIES];
    bool wrong;                         /* what was made so far cannot be right any more */
} maker;

static unsigned
next(maker *m)
{
    return m->at < m->end ? *m->at++ : 0;
}

static hv_slice
next_bytes(maker *m, size_t most)
{
    size_t len = next(m) % (most + 1), left = (size_t)(m->end - m->at);
    hv_slice bytes = hv_slice_of(m->at, len < left ? len : left);

    m->at += bytes.len;
    return bytes;
}

/* Now and then longer than it has to be, which Avro does not forbid. */
static void
put_number(maker *m, int64_t value, unsigned padding, hv_buf *to)
{
    unsigned char bytes[HV_VARINT_MAX + 4];
    size_t len = (size_t)(hv_varint_put(bytes, value) - bytes);

    (void)m;
    for (; padding > 0 && len < HV_VARINT_MAX; padding--) {
        bytes[len - 1] |= 0x80;
        bytes[len++] = 0;
    }
    hv_buf_put(to, bytes, len);
}

static void
put_counted(maker *m, hv_slice bytes, hv_buf *to)
{
    put_number(m, (int64_t)bytes.len, 0, to);
    hv_buf_put(to, bytes.data, bytes.len);
}

static void
put_entry(maker *m, hv_buf *to)
{
    unsigned what = next(m);
    size_t which = what % (ENTRIES + 1);

    hv_slice name = which == ENTRIES ? next_bytes(m, 40) : HV_SLICE_NULL;
    for (size_t i = 0; i < ENTRIES && which == ENTRIES; i++)
        which = hv_slice_equal(name, hv_slice_text(names[i])) ? i : which;
    if (which == ENTRIES) {             /* none of ours */
        put_counted(m, name, to);
        put_counted(m, next_bytes(m, 200), to);
        m->wrong = true;
        return;
    }
    hv_slice value = (what & 0x80) != 0 ? next_bytes(m, 255) : m->values[which];
    put_counted(m, hv_slice_text(names[which]), to);
    put_counted(m, value, to);
    if (m->seen[which]++ > 0 || !hv_slice_equal(value, m->values[which]))
        m->wrong = true;
}

static void
put_part(maker *m)
{
    HV_AUTO(hv_buf_free) hv_buf part = HV_BUF_INIT(ROOM);
    unsigned how = next(m), entries = 1 + how % 5, stated = entries + ((how & 0x80) != 0 ? next(m) % 3 : 1) - 1;

    for (unsigned i = 0; i < entries; i++)
        put_entry(m, &part);
    if (stated == 0)
        stated = entries;
    if (stated != entries)
        m->wrong = true;
    if ((how & 8) != 0) {               /* a negative count is followed by the size */
        int64_t size = (int64_t)part.len;
        if ((how & 16) != 0) {
            size += (int64_t)next(m) - 128;
            m->wrong = m->wrong || size != (int64_t)part.len;
        }
        put_number(m, -(int64_t)stated, (how & 32) != 0 ? 1 : 0, &m->made);
        put_number(m, size, (how & 64) != 0 ? 2 : 0, &m->made);
    } else {
        put_number(m, (int64_t)stated, (how & 32) != 0 ? 3 : 0, &m->made);
    }
    hv_buf_put(&m->made, part.data, part.len);
}

/* A segment without events. The codec is chosen by the input. */
static void
make_values(maker *m)
{
    hv_codec codec = (hv_codec)(next(m) % HV_CODECS);
    hv_gap gap = {.range = {.first = 7, .end = 9}, .cause = HV_GAP_RETENTION};
    hv_segment_header header = {.vault = "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10", .partition = {.hub = "orders", .incarnation = 1},
        .class_name = HV_CLASS_NONE, .codec = codec, .cut = {7, 9}, .gaps = &gap, .gap_count = 1};
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(sizeof m->header);
    unsigned char hash[HV_SHA256_SIZE];

    hv_merkle_root(NULL, 0, header.merkle_root);
    hv_segment_header_write(&header, &json);
    assert(json.failed == HV_OK);
    memcpy(m->header, json.data, json.len);
    m->values[0] = hv_slice_text(hv_codec_name(codec));
    m->values[1] = hv_slice_text(hv_event_schema);
    m->values[2] = hv_slice_of(m->header, json.len);
    const hv_slice parts[] = {m->values[0], m->values[1], m->values[2], hv_slice_of(sync_marker, HV_SYNC_SIZE)};
    hv_sha256(parts, 4, hash);
    hv_sha256_text(hash, m->check);
    m->values[3] = hv_slice_text(m->check);
}

static void
expect(hv_slice bytes, bool right, size_t data_start)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    size_t needed = 0;
    hv_err err;
    hv_rc rc = hv_segment_front_parse(bytes, &front, &needed, &err);

    assert((rc == HV_OK) == right && (front.header != NULL) == right);
    if (right)
        assert(front.data_start == data_start && memcmp(front.sync, sync_marker, HV_SYNC_SIZE) == 0);
    else
        assert(rc == HV_CORRUPT || rc == HV_VERSION || (rc == HV_LIMIT && needed > bytes.len && needed <= HV_SEGMENT_MAX_FRONT));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maker m = {.at = data, .end = data + size, .made = HV_BUF_INIT(ROOM)};

    if (size == 0 || size > MOST)
        return 0;
    make_values(&m);
    unsigned tail = next(&m), cut = next(&m) | next(&m) << 8;
    hv_buf_put(&m.made, "Obj\001", 4);
    for (unsigned parts = 0; m.at < m.end && parts < MOST_PARTS; parts++)
        put_part(&m);
    put_number(&m, 0, tail % 3, &m.made);
    hv_buf_put(&m.made, sync_marker, HV_SYNC_SIZE);
    size_t data_start = m.made.len;
    bool right = !m.wrong;
    for (size_t i = 0; i < ENTRIES; i++)
        right = right && m.seen[i] == 1;
    hv_buf_put(&m.made, "and what lies behind", tail % 20);
    assert(m.made.failed == HV_OK);
    expect(hv_buf_slice(&m.made), right, data_start);
    cut %= (unsigned)data_start;
    expect(hv_slice_of(m.made.data, cut), false, 0);
    hv_buf_free(&m.made);
    return 0;
}
