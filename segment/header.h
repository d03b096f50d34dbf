/*
 * The segment header: everything that has to be known about a segment without reading its blocks. Stored as one line of canonical
 * JSON in the Avro file metadata under "hubvault.segment"; docs/FORMAT.md is normative.
 *
 * A header repeats first, end, policy, class map and gaps of its cut, so that each segment proves its place without the others.
 */
#ifndef HV_SEGMENT_HEADER_H
#define HV_SEGMENT_HEADER_H

#include "common/buf.h"
#include "common/partition.h"
#include "common/sha256.h"

enum {
    HV_SEGMENT_FORMAT = 1,
    HV_VAULT_ID_SIZE = 37,              /* a UUID in lower case, and its NUL */
    HV_SEGMENT_MAX_FRONT = 64 << 20,    /* longest Avro file header we write or accept */
    HV_SEGMENT_MAX_BLOCKS = 1 << 18,
    HV_SEGMENT_MAX_GAPS = 1 << 20,      /* also the most ranges of one class in a class map */
    HV_SEGMENT_MAX_CLASSES = 256,
    HV_SEGMENT_MAX_SCHEMAS = 4096,
};

typedef enum hv_codec { HV_CODEC_ZSTANDARD, HV_CODEC_DEFLATE, HV_CODEC_NULL, HV_CODECS } hv_codec;

const char *hv_codec_name(hv_codec codec);  /* the names of the Avro specification: "zstandard", "deflate", "null" */
bool hv_codec_parse(const char *name, hv_codec *ret);

/* One block as stored: everything from its count to its sync marker. */
typedef struct hv_block_ref {
    uint64_t position;                  /* from the first byte behind the sync marker of the file header */
    uint32_t length;
    int64_t first_offset;
    int32_t count;                      /* 1 or more */
    int64_t min_timestamp_ms, max_timestamp_ms;
    unsigned char sha256[HV_SHA256_SIZE];
} hv_block_ref;

/* Which offsets of the cut one sibling has to hold: ascending, disjoint, not adjacent. */
typedef struct hv_class_map {
    char class_name[HV_CLASS_SIZE];
    hv_range *ranges;
    size_t range_count;
} hv_class_map;

typedef struct hv_segment_header {
    char vault[HV_VAULT_ID_SIZE];
    hv_partition partition;
    char class_name[HV_CLASS_SIZE];
    bool has_policy;
    unsigned char policy[HV_SHA256_SIZE];       /* hash of the canonical policy; without one, everything is class "default" */
    int64_t created_ms;                 /* clock of the archiver that built it */
    hv_codec codec;                     /* of the blocks; stored as avro.codec */

    hv_range cut;                       /* same in lead and siblings, as are classes and gaps */
    hv_class_map *classes;              /* one per sibling, in the order of class names; empty for a cut of one class */
    size_t class_count;
    hv_gap *gaps;                       /* offsets of the cut that hold no event: ascending, disjoint, adjacent ones differ in cause */
    size_t gap_count;

    bool is_sibling;
    unsigned char lead_sha256[HV_SHA256_SIZE];  /* of a sibling: the whole lead */
    hv_gap *missing;                    /* of a sibling: offsets promised to it that could no longer be had */
    size_t missing_count;

    unsigned char (*schemas)[HV_SHA256_SIZE];   /* registry schemas that its events refer to: ascending, each once; they lie under schemas/ */
    size_t schema_count;

    int64_t count;                      /* events in this segment */
    int64_t min_timestamp_ms, max_timestamp_ms; /* 0 if count is 0 */
    unsigned char merkle_root[HV_SHA256_SIZE];  /* RFC 6962 tree; the data of leaf i is the SHA-256 of block i */
    uint64_t blocks_bytes;              /* sum of the lengths: the blob is data_start + blocks_bytes long */
    hv_block_ref *blocks;
    size_t block_count;
} hv_segment_header;

/* Whether this is a UUID in lower case, of any version. */
bool hv_vault_id_valid(const char *vault);

/* Accepts NULL; frees header and everything it points to. */
void hv_segment_header_free(hv_segment_header *header);
HV_DEFINE_AUTO(hv_segment_header, hv_segment_header_free);

/*
 * Whether the header is possible at all: ranges ordered and inside the cut; the own offsets (for a lead: the cut less class map
 * and gaps; for a sibling: its class map less missing) are as many as count; the blocks tile blocks_bytes, their counts add up,
 * their first offsets ascend and are own offsets, min and max agree with the blocks, Merkle root follows from the block hashes.
 * HV_CORRUPT with what does not hold.
 */
hv_rc hv_segment_header_check(const hv_segment_header *header, hv_err *err) HV_MUST_USE;

/* Append the canonical JSON, without avro.codec. Header must be valid. */
void hv_segment_header_write(const hv_segment_header *header, hv_buf *to);

/* Parse and check. The JSON does not hold the codec; the caller passes what avro.codec said. HV_CORRUPT with the place and the wrong value;
 * HV_VERSION for a format that is newer than ours. Survives any bytes. */
hv_rc hv_segment_header_parse(hv_slice json, hv_codec codec, hv_segment_header **ret, hv_err *err) HV_MUST_USE;

/* Only whether this is the header of a format that we know: HV_VERSION if it is newer, HV_CORRUPT if it is not a header at all. Holds
 * for every format: the text begins with {"format":<number> for ever. */
hv_rc hv_segment_format_check(hv_slice json, hv_err *err) HV_MUST_USE;

/* The offsets that this segment itself holds, as ranges; free() *ret. HV_NOMEM only. */
hv_rc hv_segment_header_own(const hv_segment_header *header, hv_range **ret, size_t *count, hv_err *err) HV_MUST_USE;

/* RFC 6962 section 2.1 over leaves whose data are 32-byte hashes; `leaves` is overwritten. The root of nothing is SHA-256(""). */
void hv_merkle_root(unsigned char (*leaves)[HV_SHA256_SIZE], size_t count, unsigned char ret[HV_SHA256_SIZE]);

#endif
