/* One index lookup, one ranged read, one block: cheap enough to be done for every partition at every start. */
#include "archiver/probe.h"

#include <inttypes.h>

#include "segment/names.h"

/* The block of the segment that has the offset, if any has. */
static const hv_index_block *
block_with(const hv_index_segment *segment, int64_t offset)
{
    const hv_index_block *found = NULL;

    for (size_t b = 0; b < segment->block_count && segment->blocks[b].first_offset <= offset; b++)
        found = &segment->blocks[b];
    return found;
}

static hv_rc
find_in_block(hv_slice raw, const hv_event *event, bool *found, bool *equal, hv_err *err)
{
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = hv_event_reader_make(raw);
    hv_event stored;

    while (hv_event_reader_more(&reader)) {
        hv_rc rc = hv_event_reader_next(&reader, &stored, err);
        if (rc != HV_OK)
            return rc;
        if (stored.offset == event->offset) {
            *found = true;
            *equal = hv_event_equal(&stored, event);
        }
    }
    return HV_OK;
}

static hv_rc
find_in_segment(const hv_chain *chain, hv_block_coder *coder, const hv_index_segment *segment, const char *name,
                const hv_event *event, bool *found, bool *equal, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf stored = HV_BUF_INIT(HV_BLOCK_MAX_RAW), raw = HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    const hv_index_block *block = block_with(segment, event->offset);

    if (block == NULL)
        return HV_OK;
    hv_block_ref ref = {.length = block->length, .first_offset = block->first_offset, .count = block->count,
        .min_timestamp_ms = block->min_timestamp_ms, .max_timestamp_ms = block->max_timestamp_ms};
    memcpy(ref.sha256, block->sha256, sizeof ref.sha256);
    hv_rc rc = chain->storage->ops->get_range(chain->storage, name, block->position, block->length, &stored, err);
    if (rc == HV_OK)
        rc = hv_block_open(coder, (hv_codec)segment->codec, NULL, &ref, hv_buf_slice(&stored), &raw, err);
    return rc != HV_OK ? rc : find_in_block(hv_buf_slice(&raw), event, found, equal, err);
}

hv_rc
hv_probe_equal(const hv_chain *chain, hv_index *index, hv_block_coder *coder, const hv_partition *partition, const hv_event *event,
               bool *ret, hv_err *err)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = {0};
    bool found = false, equal = false;

    hv_rc rc = hv_index_find_offset(index, partition, event->offset, &cut, err);
    for (size_t s = 0; rc == HV_OK && !found && s < cut.segment_count; s++) {
        hv_blob_name name = cut.segments[s].is_lead ? hv_name_of_lead(partition, cut.range.first)
                                                    : hv_name_of_sibling(partition, cut.range.first, cut.segments[s].class_name);
        rc = find_in_segment(chain, coder, &cut.segments[s], name.text, event, &found, &equal, err);
    }
    if (rc == HV_OK && !found)
        return hv_err_set(err, HV_NOT_FOUND, "the vault holds no event at offset %" PRId64, event->offset);
    if (rc == HV_OK)
        *ret = equal;
    return rc;
}
