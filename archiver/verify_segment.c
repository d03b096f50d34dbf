/*
 * One segment, read once from front to back: front, blocks, whatever lies behind them, and the SHA-256 of all of it.
 *
 * A fault of the bytes shows in several places (a flipped bit of a block breaks its hash and that of the blob). Told is the narrowest
 * one: the hash of the blob is compared only where nothing else was found, and what was found keeps the hash from being used
 * further (hash_known).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "archiver/blob_stream.h"
#include "archiver/verify_internal.h"

enum {
    PIECE = 2 << 20,
    /* Longest block read: the longest raw one, with what a codec that cannot compress it adds. */
    MAX_STORED = HV_BLOCK_MAX_RAW + (HV_BLOCK_MAX_RAW >> 6),
    KEEP = 8 << 20,                     /* memory kept from segment to segment */
};
_Static_assert((int)MAX_STORED <= (int)HV_BLOB_WANT_MAX && (int)HV_SEGMENT_MAX_FRONT <= (int)HV_BLOB_WANT_MAX, "both fit into the window");

/* ---- tools ---- */

hv_rc
hv_verify_tools_new(const hv_verify_config *config, void **ret, hv_err *err)
{
    hv_verify_tools *tools = calloc(1, sizeof *tools);

    if (tools == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to verify segments");
    tools->config = config;
    tools->window = (hv_buf)HV_BUF_INIT(HV_BLOB_WINDOW_MAX);
    tools->raw = (hv_buf)HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    tools->reader = hv_event_reader_make(hv_slice_text(""));
    hv_rc rc = hv_block_coder_new(&tools->coder, err);
    if (rc == HV_OK)
        rc = hv_sha256_new(&tools->hash, err);
    if (rc != HV_OK) {
        hv_verify_tools_free(tools);
        return rc;
    }
    *ret = tools;
    return HV_OK;
}

void
hv_verify_tools_free(void *arg)
{
    hv_verify_tools *tools = arg;

    if (tools == NULL)
        return;
    hv_block_coder_free(tools->coder);
    hv_sha256_free(tools->hash);
    hv_buf_free(&tools->window);
    hv_buf_free(&tools->raw);
    hv_event_reader_free(&tools->reader);
    free(tools);
}

void
hv_verified_segment_clear(hv_verified_segment *segment)
{
    hv_segment_front_free(&segment->front);
    *segment = (hv_verified_segment){.usable = false};
}

/* ---- the front ---- */

static hv_rc
read_front(hv_blob_stream *stream, hv_segment_front *ret, hv_err *err)
{
    size_t wanted = HV_SEGMENT_FIRST_READ;
    hv_slice bytes;

    for (;;) {
        size_t asked = wanted;
        hv_rc rc = hv_blob_stream_want(stream, 0, asked, &bytes, err);
        if (rc != HV_OK)
            return rc;
        rc = hv_segment_front_parse(bytes, ret, &wanted, err);
        if (rc == HV_LIMIT && bytes.len < asked)
            return hv_err_set(err, HV_CORRUPT, "ends after %zu bytes, before its first block", bytes.len);
        if (rc != HV_LIMIT)
            return rc;
    }
}

/* Of the segment as a whole: at the beginning of its cut. */
static hv_finding
about(const hv_verify_place *place, hv_finding_kind kind)
{
    hv_finding finding = hv_finding_make(kind, place->name, place->partition);

    finding.offset = hv_name_parse(place->name).first;
    return finding;
}

static hv_rc
tell_unread(const hv_verify_place *place, hv_rc rc, hv_err *err)
{
    hv_finding_kind kind = rc == HV_NOT_FOUND ? HV_FINDING_BLOB_GONE
                           : rc == HV_VERSION ? HV_FINDING_UNKNOWN_VERSION
                                              : HV_FINDING_DAMAGED_FRONT;
    hv_finding finding = about(place, kind);

    hv_finding_expect(&finding, "a segment");
    hv_finding_find(&finding, "%.250s", err->msg);
    return hv_findings_add(place->findings, &finding, err);
}

static void
describe(char to[HV_FINDING_TEXT], const hv_partition *partition, int64_t first, const char *sibling_class)
{
    (void)snprintf(to, HV_FINDING_TEXT, "the %s%s of %.150s/%" PRIu32 "/%" PRId32 " at offset %" PRId64,
                   sibling_class != NULL ? "sibling " : "lead", sibling_class != NULL ? sibling_class : "", partition->hub,
                   partition->incarnation, partition->number, first);
}

/* Does it belong where it lies? */
static hv_rc
check_place(const hv_verify_tools *tools, const hv_verify_place *place, const hv_segment_header *header, bool *fits, hv_err *err)
{
    hv_name_parts parts = hv_name_parse(place->name);
    bool named_sibling = parts.kind == HV_NAME_SIBLING;

    if (strcmp(header->vault, tools->config->vault) != 0) {
        hv_finding finding = about(place, HV_FINDING_OTHER_VAULT);
        hv_finding_expect(&finding, "vault %s", tools->config->vault);
        hv_finding_find(&finding, "%s", header->vault);
        return hv_findings_add(place->findings, &finding, err);
    }
    *fits = named_sibling == header->is_sibling && parts.first == header->cut.first &&
            hv_partition_compare(&parts.partition, &header->partition) == 0 &&
            (!named_sibling || strcmp(parts.class_name, header->class_name) == 0);
    if (*fits)
        return HV_OK;
    hv_finding finding = about(place, HV_FINDING_WRONG_PLACE);
    describe(finding.expected, &parts.partition, parts.first, named_sibling ? parts.class_name : NULL);
    describe(finding.found, &header->partition, header->cut.first, header->is_sibling ? header->class_name : NULL);
    return hv_findings_add(place->findings, &finding, err);
}

/* ---- the bytes ---- */

static hv_rc
tell_too_long(const hv_verify_place *place, const hv_segment_front *front, const hv_block_ref *ref, hv_err *err)
{
    hv_finding finding = hv_finding_make(HV_FINDING_UNDECODABLE_BLOCK, place->name, place->partition);

    finding.position = (int64_t)(front->data_start + ref->position);
    finding.offset = ref->first_offset;
    hv_finding_expect(&finding, "at most %d bytes", MAX_STORED);
    hv_finding_find(&finding, "%" PRIu32, ref->length);
    return hv_findings_add(place->findings, &finding, err);
}

/* Up to the end of the blob, which may come too early. */
static hv_rc
check_blocks(hv_verify_tools *tools, const hv_verify_place *place, hv_blob_stream *stream, const hv_segment_front *front,
             hv_own_walk *walk, hv_verify_counts *counts, hv_err *err)
{
    const hv_segment_header *header = front->header;
    hv_slice stored;

    for (size_t b = 0; b < header->block_count; b++) {
        const hv_block_ref *ref = &header->blocks[b];
        if (ref->length > MAX_STORED)
            return tell_too_long(place, front, ref, err);
        hv_rc rc = hv_blob_stream_want(stream, front->data_start + ref->position, ref->length, &stored, err);
        if (rc != HV_OK || stored.len < ref->length)
            return rc;
        rc = hv_verify_block(tools, place, front, b, stored, walk, err);
        if (rc != HV_OK)
            return rc;
        counts->blocks++;
        counts->events += ref->count;
    }
    return HV_OK;
}

static hv_rc
check_size(const hv_verify_place *place, const hv_segment_front *front, uint64_t size, hv_err *err)
{
    uint64_t expected = front->data_start + front->header->blocks_bytes;

    if (size == expected)
        return HV_OK;
    hv_finding finding = about(place, HV_FINDING_WRONG_SIZE);
    finding.position = (int64_t)(size < expected ? size : expected);
    hv_finding_expect(&finding, "%" PRIu64 " bytes", expected);
    hv_finding_find(&finding, "%" PRIu64, size);
    return hv_findings_add(place->findings, &finding, err);
}

static hv_rc
check_hash(const hv_verify_place *place, const hv_blob_attributes *attributes, const unsigned char *sha256, hv_err *err)
{
    hv_finding finding = about(place, HV_FINDING_WRONG_HASH);

    if (!attributes->has_sha256 || memcmp(attributes->sha256, sha256, HV_SHA256_SIZE) == 0)
        return HV_OK;
    hv_finding_hashes(&finding, attributes->sha256, sha256);
    return hv_findings_add(place->findings, &finding, err);
}

static hv_rc
check_bytes(hv_verify_tools *tools, const hv_verify_place *place, hv_blob_stream *stream, const hv_blob_attributes *attributes,
            hv_verify_counts *counts, hv_verified_segment *segment, hv_err *err)
{
    int64_t told = place->findings->total;
    hv_own_walk walk = {0};
    hv_range *own = NULL;
    uint64_t size = 0;

    hv_rc rc = hv_segment_header_own(segment->front.header, &own, &walk.count, err);
    walk.own = own;
    if (rc == HV_OK)
        rc = check_blocks(tools, place, stream, &segment->front, &walk, counts, err);
    free(own);
    if (rc == HV_OK)
        rc = hv_blob_stream_end(stream, &size, segment->sha256, err);
    if (rc == HV_OK)
        rc = check_size(place, &segment->front, size, err);
    segment->hash_known = place->findings->total == told;
    if (rc == HV_OK && segment->hash_known)
        rc = check_hash(place, attributes, segment->sha256, err);
    counts->bytes += size;
    return rc;
}

/* What can be known without reading the blocks. */
static hv_rc
check_outside(const hv_verify_place *place, const hv_blob_properties *properties, hv_verify_counts *counts,
              hv_verified_segment *segment, hv_err *err)
{
    counts->blocks += (int64_t)segment->front.header->block_count;
    counts->events += segment->front.header->count;
    counts->bytes += properties->size;
    segment->hash_known = properties->attributes.has_sha256;
    memcpy(segment->sha256, properties->attributes.sha256, HV_SHA256_SIZE);
    return check_size(place, &segment->front, properties->size, err);
}

static hv_rc
verify(hv_verify_tools *tools, const hv_verify_place *place, hv_verify_counts *counts, hv_verified_segment *segment, hv_err *err)
{
    bool quick = tools->config->quick;
    hv_storage *storage = tools->config->storage;
    hv_blob_properties properties;
    hv_blob_stream stream = {.storage = storage, .name = place->name, .piece = quick ? HV_SEGMENT_FIRST_READ : PIECE,
        .window = &tools->window, .hash = quick ? NULL : tools->hash};

    hv_buf_clear(&tools->window);
    hv_sha256_start(tools->hash);
    hv_rc rc = storage->ops->properties(storage, place->name, &properties, err);
    if (rc == HV_OK)
        rc = read_front(&stream, &segment->front, err);
    if (rc == HV_NOT_FOUND || hv_verify_about_content(rc))
        return tell_unread(place, rc, err);
    if (rc != HV_OK)
        return rc;
    counts->segments++;
    counts->unhashed += properties.attributes.has_sha256 ? 0 : 1;
    rc = check_place(tools, place, segment->front.header, &segment->usable, err);
    if (rc != HV_OK)
        return rc;
    return quick ? check_outside(place, &properties, counts, segment, err)
                 : check_bytes(tools, place, &stream, &properties.attributes, counts, segment, err);
}

hv_rc
hv_verify_segment(hv_verify_tools *tools, const hv_partition *partition, const char *name, hv_findings *findings,
                  hv_verify_counts *counts, hv_verified_segment *ret, hv_err *err)
{
    hv_verify_place place = {.partition = partition, .name = name, .findings = findings};
    hv_verified_segment segment = {.usable = false};

    hv_rc rc = verify(tools, &place, counts, &segment, err);
    if (tools->window.allocated > KEEP)
        hv_buf_free(&tools->window);
    if (tools->raw.allocated > KEEP)
        hv_buf_free(&tools->raw);
    if (rc != HV_OK) {
        hv_verified_segment_clear(&segment);
        return hv_err_prefix(err, "verify '%s'", name);
    }
    *ret = segment;
    return HV_OK;
}
