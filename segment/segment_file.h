/*
 * A whole segment: an Avro object container file whose header carries the segment header.
 *
 * Writing: the blocks exist first (block.h), then the front is made from the header facts, so that the block table stands at the
 * front and one ranged read of the first kilobytes tells everything. The blob is the front followed by the blocks, in order.
 */
#ifndef HV_SEGMENT_SEGMENT_FILE_H
#define HV_SEGMENT_SEGMENT_FILE_H

#include "segment/block.h"
#include "segment/event_codec.h"
#include "segment/header.h"

/*
 * Put a segment together. `header` comes with everything but blocks, block_count, blocks_bytes, count, min, max and merkle_root: these are filled
 * in here from `blocks` (whose ref.position is set, too). Appends the file header to `front`; sha256 is that of the whole blob.
 * header->codec must be the codec of the blocks, `sync` their marker. The header is checked: HV_INTERNAL if it is not possible.
 */
hv_rc hv_segment_assemble(hv_segment_header *header, hv_block *blocks, size_t block_count, const unsigned char sync[HV_SYNC_SIZE],
                          hv_buf *front, unsigned char sha256[HV_SHA256_SIZE], hv_err *err) HV_MUST_USE;

/* What the front of a stored segment says. */
typedef struct hv_segment_front {
    hv_segment_header *header;          /* owned */
    uint64_t data_start;                /* position of the first block in the blob */
    unsigned char sync[HV_SYNC_SIZE];
} hv_segment_front;

void hv_segment_front_free(hv_segment_front *front);
HV_DEFINE_AUTO_VALUE(hv_segment_front, hv_segment_front_free);

enum { HV_SEGMENT_FIRST_READ = 16 << 10 };      /* a good length for the first ranged read of a segment */

/*
 * Parse the beginning of a blob. HV_LIMIT if `bytes` ends inside the front: *needed then says how many bytes from the start to try
 * next (at least twice as many, or exactly, and never more than HV_SEGMENT_MAX_FRONT); a caller that already has the whole blob
 * takes it for HV_CORRUPT. HV_CORRUPT, HV_VERSION as in header.h. The schema in the file must be ours, byte for byte.
 */
hv_rc hv_segment_front_parse(hv_slice bytes, hv_segment_front *ret, size_t *needed, hv_err *err) HV_MUST_USE;

/* HV_CORRUPT unless the header agrees with the name it was found under and with the vault. */
hv_rc hv_segment_front_fits(const hv_segment_front *front, const char *blob_name, const char *vault, hv_err *err) HV_MUST_USE;

/* The schema text embedded in every segment: schemas/event.avsc in canonical one-line form. */
extern const char hv_event_schema[];

#endif
