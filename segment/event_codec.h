/*
 * Avro binary form of one event: record hubvault.v1.Event of schemas/event.avsc.
 */
#ifndef HV_SEGMENT_EVENT_CODEC_H
#define HV_SEGMENT_EVENT_CODEC_H

#include "common/event.h"

enum {
    HV_EVENT_MAX_BYTES = 256 << 20,     /* longest key, value or header value that the reader accepts */
    HV_EVENT_MAX_HEADERS = 1 << 20,
    HV_EVENT_MIN_ENCODED = 7,           /* one byte per field */
};

/* Upper bound of the encoded length of this event, for reserving. */
size_t hv_event_encoded_max(const hv_event *event);

/* Append the encoded event. A failure is kept in the buffer; HV_LIMIT also for an event that the reader would not accept. */
void hv_event_encode(const hv_event *event, hv_buf *to);

/* Reads events one behind the other out of decompressed block bytes. Headers of the last event live in the reader. */
typedef struct hv_event_reader {
    const unsigned char *at, *end;
    hv_header *headers;                 /* grows; freed by hv_event_reader_free() */
    size_t header_room;
} hv_event_reader;

static inline hv_event_reader
hv_event_reader_make(hv_slice bytes)
{
    return (hv_event_reader){.at = bytes.data, .end = (const unsigned char *)bytes.data + bytes.len};
}

/* Start on other bytes, keeping the header memory. */
static inline void
hv_event_reader_reset(hv_event_reader *reader, hv_slice bytes)
{
    reader->at = bytes.data;
    reader->end = (const unsigned char *)bytes.data + bytes.len;
}

void hv_event_reader_free(hv_event_reader *reader);
HV_DEFINE_AUTO_VALUE(hv_event_reader, hv_event_reader_free);

/* True while bytes are left. */
static inline bool
hv_event_reader_more(const hv_event_reader *reader)
{
    return reader->at < reader->end;
}

/* *ret borrows from the bytes and from the reader, until the next call. HV_CORRUPT, with the reason, for anything that is not an
 * event; HV_VERSION for a sealed one; HV_NOMEM. The reader then stands still. Survives any bytes: every length is checked against
 * what is there. */
hv_rc hv_event_reader_next(hv_event_reader *reader, hv_event *ret, hv_err *err) HV_MUST_USE;

#endif
