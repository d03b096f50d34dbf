/*
 * The little of the Kafka protocol that we speak ourselves: whole numbers, strings and arrays of both encodings
 * (kafka.apache.org/protocol, "Protocol primitive types"; the compact ones are KIP-482).
 */
#ifndef HV_SOURCE_KAFKA_WIRE_H
#define HV_SOURCE_KAFKA_WIRE_H

#include "common/buf.h"

/* Reads from borrowed bytes. Once something does not fit, everything reads as 0 or null and `failed` stays true: ask once, at
 * the end. */
typedef struct hv_wire_reader {
    const unsigned char *at, *end;
    bool failed;
} hv_wire_reader;

hv_wire_reader hv_wire_reader_of(hv_slice bytes);

int16_t hv_wire_i16(hv_wire_reader *reader);
int32_t hv_wire_i32(hv_wire_reader *reader);
bool hv_wire_bool(hv_wire_reader *reader);
uint32_t hv_wire_varint(hv_wire_reader *reader);
/* Null where there are less. */
hv_slice hv_wire_bytes(hv_wire_reader *reader, size_t count);
/* A length of two bytes; -1 is null. */
hv_slice hv_wire_string(hv_wire_reader *reader);
/* A varint that is one more than the length; 0 is null. */
hv_slice hv_wire_compact_string(hv_wire_reader *reader);
/* How many elements follow; null counts as none. Fails where so many of at least least_size bytes cannot follow. */
uint32_t hv_wire_array(hv_wire_reader *reader, size_t least_size);
uint32_t hv_wire_compact_array(hv_wire_reader *reader, size_t least_size);
void hv_wire_skip_tags(hv_wire_reader *reader);

void hv_wire_put_i16(hv_buf *to, int16_t value);
void hv_wire_put_i32(hv_buf *to, int32_t value);
void hv_wire_put_varint(hv_buf *to, uint32_t value);
void hv_wire_put_string(hv_buf *to, const char *text);
void hv_wire_put_compact_string(hv_buf *to, const char *text);

#endif
