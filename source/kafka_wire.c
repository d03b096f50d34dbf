/* Every read checks what is left before it moves, and a failed reader stands at its end, so no later read can go anywhere. */
#include "source/kafka_wire.h"

hv_wire_reader
hv_wire_reader_of(hv_slice bytes)
{
    const unsigned char *data = bytes.data;

    return (hv_wire_reader){.at = data, .end = data != NULL ? data + bytes.len : NULL};
}

hv_slice
hv_wire_bytes(hv_wire_reader *reader, size_t count)
{
    if (reader->failed || (size_t)(reader->end - reader->at) < count) {
        reader->failed = true;
        reader->at = reader->end;
        return HV_SLICE_NULL;
    }
    hv_slice bytes = hv_slice_of(reader->at, count);
    reader->at += count;
    return bytes;
}

/* Big-endian. */
static uint32_t
fixed(hv_wire_reader *reader, size_t size)
{
    hv_slice bytes = hv_wire_bytes(reader, size);
    const unsigned char *data = bytes.data;
    uint32_t value = 0;

    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | data[i];
    return value;
}

int16_t
hv_wire_i16(hv_wire_reader *reader)
{
    return (int16_t)(uint16_t)fixed(reader, 2);
}

int32_t
hv_wire_i32(hv_wire_reader *reader)
{
    return (int32_t)fixed(reader, 4);
}

bool
hv_wire_bool(hv_wire_reader *reader)
{
    return fixed(reader, 1) != 0;
}

uint32_t
hv_wire_varint(hv_wire_reader *reader)
{
    uint32_t value = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint32_t byte = fixed(reader, 1);
        if (shift == 28 && byte > 0x0f)
            break;                      /* more than 32 bits */
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return reader->failed ? 0 : value;
    }
    (void)hv_wire_bytes(reader, SIZE_MAX);
    return 0;
}

hv_slice
hv_wire_string(hv_wire_reader *reader)
{
    int16_t len = hv_wire_i16(reader);

    return len < 0 ? HV_SLICE_NULL : hv_wire_bytes(reader, (size_t)len);
}

hv_slice
hv_wire_compact_string(hv_wire_reader *reader)
{
    uint32_t len = hv_wire_varint(reader);

    return len == 0 ? HV_SLICE_NULL : hv_wire_bytes(reader, len - 1);
}

static uint32_t
checked_count(hv_wire_reader *reader, uint32_t count, size_t least_size)
{
    if (count <= (size_t)(reader->end - reader->at) / least_size)
        return count;
    (void)hv_wire_bytes(reader, SIZE_MAX);
    return 0;
}

uint32_t
hv_wire_array(hv_wire_reader *reader, size_t least_size)
{
    int32_t count = hv_wire_i32(reader);

    return count <= 0 ? 0 : checked_count(reader, (uint32_t)count, least_size);
}

uint32_t
hv_wire_compact_array(hv_wire_reader *reader, size_t least_size)
{
    uint32_t count = hv_wire_varint(reader);

    return count == 0 ? 0 : checked_count(reader, count - 1, least_size);
}

void
hv_wire_skip_tags(hv_wire_reader *reader)
{
    for (uint32_t left = hv_wire_varint(reader); left > 0 && !reader->failed; left--) {
        (void)hv_wire_varint(reader);
        (void)hv_wire_bytes(reader, hv_wire_varint(reader));
    }
}

void
hv_wire_put_i16(hv_buf *to, int16_t value)
{
    hv_buf_put_byte(to, (unsigned char)((uint16_t)value >> 8));
    hv_buf_put_byte(to, (unsigned char)value);
}

void
hv_wire_put_i32(hv_buf *to, int32_t value)
{
    hv_wire_put_i16(to, (int16_t)((uint32_t)value >> 16));
    hv_wire_put_i16(to, (int16_t)value);
}

void
hv_wire_put_varint(hv_buf *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        hv_buf_put_byte(to, (unsigned char)(value | 0x80));
    hv_buf_put_byte(to, (unsigned char)value);
}

void
hv_wire_put_string(hv_buf *to, const char *text)
{
    hv_wire_put_i16(to, (int16_t)strlen(text));
    hv_buf_put_text(to, text);
}

void
hv_wire_put_compact_string(hv_buf *to, const char *text)
{
    hv_wire_put_varint(to, (uint32_t)strlen(text) + 1);
    hv_buf_put_text(to, text);
}
