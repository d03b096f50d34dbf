/*
 * One event: the cut that covers its offset, then in each segment of the cut the one block that could hold it.
 *
 * That a captured offset is neither in a block nor in a gap cannot be: cuts tile the offsets of a partition. So it means damage.
 */
#include "replay/replay.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replay/fetcher.h"
#include "segment/block.h"
#include "segment/event_codec.h"
#include "segment/names.h"

enum { TRIES = 4, FIRST_WAIT_MS = 100 };

void
hv_show_clear(hv_show *show)
{
    hv_buf_free(&show->bytes);
    free(show->headers);
    *show = (hv_show){.bytes = HV_BUF_INIT(HV_BLOCK_MAX_RAW)};
}

/* ---- which partition ---- */

static hv_rc
find_newest(hv_index *index, hv_partition *partition, hv_err *err)
{
    hv_index_incarnation *all = NULL;
    hv_index_partition_facts *facts = NULL;
    size_t count = 0, facts_count = 0;

    hv_rc rc = hv_index_incarnations(index, &all, &count, err);
    if (rc == HV_OK)
        rc = hv_index_partitions(index, partition->hub, &facts, &facts_count, err);
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        if (strcmp(all[i].hub, partition->hub) == 0 && all[i].incarnation > partition->incarnation)
            partition->incarnation = all[i].incarnation;
    for (size_t i = 0; rc == HV_OK && i < facts_count; i++)
        if (facts[i].partition.incarnation > partition->incarnation)
            partition->incarnation = facts[i].partition.incarnation;
    free(all);
    free(facts);
    return rc;
}

static hv_rc
find_partition(hv_index *index, hv_partition *partition, int64_t *position, hv_err *err)
{
    hv_index_partition_facts *facts = NULL;
    size_t count = 0;

    hv_rc rc = partition->incarnation == 0 ? find_newest(index, partition, err) : HV_OK;
    if (rc != HV_OK)
        return rc;
    if (partition->incarnation == 0)
        return hv_err_set(err, HV_NOT_FOUND, "this vault has no hub '%s'", partition->hub);
    rc = hv_index_partitions(index, partition->hub, &facts, &count, err);
    if (rc != HV_OK)
        return rc;
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
        if (hv_partition_compare(&facts[i].partition, partition) == 0) {
            *position = facts[i].range.end;
            found = true;
        }
    free(facts);
    if (!found)
        return hv_err_set(err, HV_NOT_FOUND, "nothing of partition %" PRId32 " of incarnation %" PRIu32 " of '%s' was captured",
                          partition->number, partition->incarnation, partition->hub);
    return HV_OK;
}

/* ---- the event ---- */

typedef struct search {
    const hv_index_cut *cut;
    hv_fetcher *fetcher;
    int64_t offset;
    hv_show *show;
} search;

static hv_rc
keep_event(search *find, hv_event_reader *reader, hv_fetch *fetch, hv_err *err)
{
    hv_show *show = find->show;

    show->headers = calloc(show->event.header_count + 1, sizeof *show->headers);
    if (show->headers == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu headers", show->event.header_count);
    if (show->event.header_count > 0)
        memcpy(show->headers, reader->headers, show->event.header_count * sizeof *show->headers);
    show->event.headers = show->headers;
    show->bytes = fetch->results[0].raw;        /* the event borrows from these */
    fetch->results[0].raw = (hv_buf)HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    show->kind = HV_SHOW_EVENT;
    return HV_OK;
}

static hv_rc
look_in_block(search *find, hv_fetch *fetch, bool *found, hv_err *err)
{
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = hv_event_reader_make(hv_buf_slice(&fetch->results[0].raw));

    while (hv_event_reader_more(&reader)) {
        hv_rc rc = hv_event_reader_next(&reader, &find->show->event, err);
        if (rc != HV_OK)
            return hv_err_prefix(err, "segment '%s', block at byte %" PRIu64, fetch->segment,
                                 fetch->blocks[0].position);
        if (find->show->event.offset == find->offset) {
            *found = true;
            return keep_event(find, &reader, fetch, err);
        }
    }
    return HV_OK;
}

static void
name_place(search *find, const hv_index_segment *segment, const hv_index_block *block, const char *name)
{
    hv_show *show = find->show;

    memcpy(show->segment, name, strlen(name) + 1);
    memcpy(show->segment_sha256, segment->sha256, sizeof show->segment_sha256);
    memcpy(show->class_name, segment->class_name, sizeof show->class_name);
    show->block_position = block != NULL ? block->position : 0;
    show->block_length = block != NULL ? block->length : 0;
}

static hv_blob_name
name_of(const search *find, const hv_index_segment *segment)
{
    return segment->is_lead ? hv_name_of_lead(&find->show->partition, find->cut->range.first)
                            : hv_name_of_sibling(&find->show->partition, find->cut->range.first, segment->class_name);
}

static hv_rc
look_in_segment(search *find, const hv_index_segment *segment, bool *found, hv_err *err)
{
    size_t behind = 0;

    while (behind < segment->block_count && segment->blocks[behind].first_offset <= find->offset)
        behind++;
    if (behind == 0)
        return HV_OK;
    const hv_index_block *block = &segment->blocks[behind - 1];
    hv_blob_name name = name_of(find, segment);
    hv_fetch fetch = {.segment = name.text, .codec = segment->codec, .blocks = block,
                      .block_count = 1};
    hv_rc rc = hv_fetcher_submit(find->fetcher, &fetch, err);
    if (rc != HV_OK)
        return rc;
    hv_fetcher_wait(find->fetcher, &fetch);
    rc = fetch.rc != HV_OK ? fetch.rc : fetch.results[0].rc;
    if (rc != HV_OK)
        *err = fetch.rc != HV_OK ? fetch.err : fetch.results[0].err;
    else
        rc = look_in_block(find, &fetch, found, err);
    if (rc == HV_OK && *found)
        name_place(find, segment, block, name.text);
    hv_fetcher_release(find->fetcher, &fetch);
    hv_fetch_free(&fetch);
    return rc;
}

static bool
look_in_gaps(search *find, const hv_index_segment *segment, const hv_gap *gaps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (gaps[i].range.first <= find->offset && find->offset < gaps[i].range.end) {
            find->show->kind = HV_SHOW_GAP;
            find->show->gap = gaps[i];
            name_place(find, segment, NULL, name_of(find, segment).text);
            return true;
        }
    return false;
}

static hv_rc
look_in_cut(search *find, hv_err *err)
{
    const hv_index_cut *cut = find->cut;
    bool found = false;

    if (look_in_gaps(find, &cut->segments[0], cut->gaps, cut->gap_count))
        return HV_OK;
    for (size_t i = 0; i < cut->segment_count; i++)
        if (look_in_gaps(find, &cut->segments[i], cut->segments[i].missing, cut->segments[i].missing_count))
            return HV_OK;
    bool damaged = false;               /* the event may still be in another segment */
    for (size_t i = 0; i < cut->segment_count && !found; i++) {
        hv_err failure;
        hv_rc rc = look_in_segment(find, &cut->segments[i], &found, &failure);
        if (rc != HV_OK && (rc != HV_CORRUPT || !damaged))
            *err = failure;
        if (rc != HV_OK && rc != HV_CORRUPT)
            return rc;
        damaged = damaged || rc == HV_CORRUPT;
    }
    if (!found && damaged)
        return HV_CORRUPT;
    if (!found)
        return hv_err_set(err, HV_CORRUPT, "offset %" PRId64 " of '%s' lies in the cut that begins with %" PRId64
                          ", but neither its segments nor its gaps have it", find->offset, find->show->partition.hub,
                              cut->range.first);
    return HV_OK;
}

hv_rc
hv_replay_show(hv_index *index, hv_storage *storage, const hv_partition *partition, int64_t offset, hv_show *ret, hv_err *err)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = {.segment_count = 0};
    HV_AUTO(hv_fetcher_free) hv_fetcher *fetcher = NULL;
    HV_AUTO(hv_show_clear) hv_show show = {.partition = *partition, .bytes = HV_BUF_INIT(HV_BLOCK_MAX_RAW)};

    if (offset < 0)
        return hv_err_set(err, HV_USAGE, "an offset is 0 or more, not %" PRId64, offset);
    hv_rc rc = find_partition(index, &show.partition, &show.position, err);
    if (rc == HV_OK && offset >= show.position) {
        show.kind = HV_SHOW_NOT_CAPTURED;
    } else if (rc == HV_OK) {
        hv_fetcher_config config = {.storage = storage, .tries = TRIES, .first_wait_ms = FIRST_WAIT_MS};
        rc = hv_fetcher_new(&config, &fetcher, err);
        if (rc == HV_OK)
            rc = hv_index_find_offset(index, &show.partition, offset, &cut, err);
        if (rc == HV_OK)
            rc = look_in_cut(&(search){.cut = &cut, .fetcher = fetcher, .offset = offset, .show = &show}, err);
    }
    if (rc != HV_OK)
        return rc;
    *ret = show;
    show = (hv_show){.headers = NULL};
    return HV_OK;
}
