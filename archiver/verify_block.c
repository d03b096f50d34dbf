/*
 * What a block has to hold is known before it is read: the header says how many events, and the ranges of the segment say which
 * offsets, each of them (segment/header_check.c makes sure that ranges, counts and first offsets of a header agree). So every event
 * is compared with one number, and an offset that is twice, missing or out of order cannot pass.
 *
 * A block is told of once: its first fault. The walk is then set behind the block by its count, and the next one is judged for itself.
 */
#include <inttypes.h>

#include "archiver/verify_internal.h"

static int64_t
own_offset(const hv_own_walk *walk)
{
    return walk->range < walk->count ? walk->own[walk->range].first + walk->into : INT64_MAX;
}

static void
skip_own(hv_own_walk *walk, int64_t count)
{
    while (count > 0 && walk->range < walk->count) {
        int64_t left = walk->own[walk->range].end - walk->own[walk->range].first - walk->into;
        if (count < left) {
            walk->into += count;
            return;
        }
        count -= left;
        walk->range++;
        walk->into = 0;
    }
}

typedef struct block_check {
    const hv_verify_place *place;
    const hv_segment_front *front;
    const hv_block_ref *ref;
    hv_err *err;
} block_check;

static hv_finding
about(const block_check *check, hv_finding_kind kind, int64_t offset)
{
    hv_finding finding = hv_finding_make(kind, check->place->name, check->place->partition);

    finding.position = (int64_t)(check->front->data_start + check->ref->position);
    finding.offset = offset;
    return finding;
}

static hv_rc
tell(const block_check *check, const hv_finding *finding)
{
    return hv_findings_add(check->place->findings, finding, check->err);
}

static hv_rc
tell_undecodable(const block_check *check, hv_rc rc, int64_t offset)
{
    hv_finding finding = about(check, rc == HV_VERSION ? HV_FINDING_UNKNOWN_VERSION : HV_FINDING_UNDECODABLE_BLOCK, offset);

    hv_finding_expect(&finding, "%" PRId32 " events", check->ref->count);
    hv_finding_find(&finding, "%.200s", check->err->msg);
    return tell(check, &finding);
}

/* It could not be opened: are these the bytes that were stored? */
static hv_rc
tell_unopened(const block_check *check, hv_slice stored, hv_rc rc)
{
    unsigned char sha256[HV_SHA256_SIZE];

    hv_sha256(&stored, 1, sha256);
    if (memcmp(sha256, check->ref->sha256, sizeof sha256) == 0)
        return tell_undecodable(check, rc, check->ref->first_offset);
    hv_finding finding = about(check, HV_FINDING_DAMAGED_BLOCK, check->ref->first_offset);
    hv_finding_hashes(&finding, check->ref->sha256, sha256);
    return tell(check, &finding);
}

static hv_rc
tell_offset(const block_check *check, int64_t expected, int64_t found)
{
    hv_finding finding = about(check, HV_FINDING_WRONG_OFFSET, expected);

    hv_finding_expect(&finding, "offset %" PRId64, expected);
    hv_finding_find(&finding, "%" PRId64, found);
    return tell(check, &finding);
}

static hv_rc
tell_count(const block_check *check, int64_t found)
{
    hv_finding finding = about(check, HV_FINDING_WRONG_COUNT, check->ref->first_offset);

    hv_finding_expect(&finding, "%" PRId32 " events", check->ref->count);
    if (found > check->ref->count)
        hv_finding_find(&finding, "more");
    else
        hv_finding_find(&finding, "%" PRId64, found);
    return tell(check, &finding);
}

static hv_rc
check_timestamps(const block_check *check, int64_t min, int64_t max)
{
    if (min == check->ref->min_timestamp_ms && max == check->ref->max_timestamp_ms)
        return HV_OK;
    hv_finding finding = about(check, HV_FINDING_WRONG_TIMESTAMPS, check->ref->first_offset);
    hv_finding_expect(&finding, "%" PRId64 " to %" PRId64 " ms", check->ref->min_timestamp_ms, check->ref->max_timestamp_ms);
    hv_finding_find(&finding, "%" PRId64 " to %" PRId64 " ms", min, max);
    return tell(check, &finding);
}

/* The walk is a copy: the caller moves its own. */
static hv_rc
check_events(hv_verify_tools *tools, const block_check *check, hv_own_walk walk)
{
    int64_t count = 0, min = INT64_MAX, max = INT64_MIN;
    hv_event event;

    hv_event_reader_reset(&tools->reader, hv_buf_slice(&tools->raw));
    while (hv_event_reader_more(&tools->reader)) {
        hv_rc rc = hv_event_reader_next(&tools->reader, &event, check->err);
        if (hv_verify_about_content(rc))
            return tell_undecodable(check, rc, own_offset(&walk));
        if (rc != HV_OK)
            return rc;
        if (++count > check->ref->count)
            return tell_count(check, count);
        if (event.offset != own_offset(&walk))
            return tell_offset(check, own_offset(&walk), event.offset);
        skip_own(&walk, 1);
        min = event.timestamp_ms < min ? event.timestamp_ms : min;
        max = event.timestamp_ms > max ? event.timestamp_ms : max;
    }
    return count != check->ref->count ? tell_count(check, count) : check_timestamps(check, min, max);
}

hv_rc
hv_verify_block(hv_verify_tools *tools, const hv_verify_place *place, const hv_segment_front *front, size_t block, hv_slice stored,
                hv_own_walk *walk, hv_err *err)
{
    const hv_block_ref *ref = &front->header->blocks[block];
    block_check check = {.place = place, .front = front, .ref = ref, .err = err};

    hv_rc rc = hv_block_open(tools->coder, front->header->codec, front->sync, ref, stored, &tools->raw, err);
    if (hv_verify_about_content(rc))
        rc = tell_unopened(&check, stored, rc);
    else if (rc == HV_OK)
        rc = check_events(tools, &check, *walk);
    skip_own(walk, ref->count);
    return rc;
}
