/*
 * Segments that somebody made wrong on purpose: every hash is fresh, the properties too, and the index was rebuilt from them, so that
 * only what they say can give them away.
 */
#include "segment/varint.h"
#include "tests/archiver/damage_list.h"
#include "tests/segment/segment_builder.h"

/* ---- headers ---- */

/* The segment again, with this header. */
static void
store_header(damage_job *job, const damage_target *segment, const hv_segment_header *header)
{
    HV_AUTO(hv_buf_free) hv_buf old = HV_BUF_INIT(64 << 20), new = HV_BUF_INIT(64 << 20);

    maker_read(job->maker, segment->name.text, &old);
    test_front_write(header, segment->front.sync, &new);
    hv_buf_put(&new, old.data + segment->front.data_start, old.len - segment->front.data_start);
    damage_store(job, segment->name.text, &new, true);
}

/* The header of the target is shared by all jobs, so each change is taken back. */
static void
contradict(damage_job *job, const damage_target *segment, int64_t *field, int64_t value)
{
    int64_t was = *field;

    *field = value;
    store_header(job, segment, segment->front.header);
    *field = was;
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
forge_merkle_root(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);
    unsigned char *byte = &segment->front.header->merkle_root[damage_random(job, HV_SHA256_SIZE)];

    *byte ^= 1;
    store_header(job, segment, segment->front.header);
    *byte ^= 1;
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
forge_block_hash_alone(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    hv_segment_header *header = segment->front.header;
    unsigned char *byte = &header->blocks[damage_random(job, header->block_count)].sha256[damage_random(job, HV_SHA256_SIZE)];

    *byte ^= 1;
    store_header(job, segment, header);
    *byte ^= 1;
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
merkle_of(hv_segment_header *header)
{
    unsigned char(*leaves)[HV_SHA256_SIZE] = calloc(header->block_count + 1, sizeof *leaves);

    ck_assert_ptr_nonnull(leaves);
    for (size_t i = 0; i < header->block_count; i++)
        memcpy(leaves[i], header->blocks[i].sha256, sizeof leaves[i]);
    hv_merkle_root(leaves, header->block_count, header->merkle_root);
    free(leaves);
}

static void
forge_block_hash(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_ALONE | PICK_BLOCKS | PICK_INDEXED);
    hv_segment_header *header = segment->front.header;
    hv_block_ref *block = &header->blocks[damage_random(job, header->block_count)];
    unsigned char *byte = &block->sha256[damage_random(job, HV_SHA256_SIZE)];

    *byte ^= 1;
    merkle_of(header);
    store_header(job, segment, header);
    *byte ^= 1;
    merkle_of(header);
    damage_reindex(job);
    damage_expect(job, HV_FINDING_DAMAGED_BLOCK, segment->name.text, &segment->parts.partition, block->first_offset)->position =
        (int64_t)(segment->front.data_start + block->position);
}

static void
forge_count(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    int64_t *count = &segment->front.header->count;

    contradict(job, segment, count, *count + 1 + (int64_t)damage_random(job, 5));
}

static void
forge_timestamps_of_segment(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    hv_segment_header *header = segment->front.header;
    bool least = damage_random(job, 2) == 0;
    int64_t *field = least ? &header->min_timestamp_ms : &header->max_timestamp_ms;

    contradict(job, segment, field, least ? *field - 1 : *field + 1);
}

static void
forge_cut_end(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_LEAD);
    int64_t *end = &segment->front.header->cut.end;

    contradict(job, segment, end, *end + 1 + (int64_t)damage_random(job, 5));
}

static void
forge_block_offset(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_MANY_BLOCKS);
    hv_segment_header *header = segment->front.header;
    int64_t *first = &header->blocks[1 + damage_random(job, header->block_count - 1)].first_offset;

    contradict(job, segment, first, *first + (damage_random(job, 2) == 0 ? 1 : -1));
}

static void
forge_block_position(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    hv_segment_header *header = segment->front.header;
    hv_block_ref *block = &header->blocks[damage_random(job, header->block_count)];

    block->position += 1;
    store_header(job, segment, header);
    block->position -= 1;
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
forge_gap_list(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_LEAD | PICK_BLOCKS);
    hv_segment_header *header = segment->front.header;
    hv_gap *gaps = header->gaps, one = {.range = header->cut, .cause = HV_GAP_RETENTION};
    size_t count = header->gap_count;

    one.range.end = one.range.first + 1;
    header->gaps = &one;                /* the first offset is gone, the others are back */
    header->gap_count = count > 0 && damage_random(job, 2) == 0 ? 0 : 1;
    store_header(job, segment, header);
    header->gaps = gaps;
    header->gap_count = count;
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
forge_place(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);
    hv_segment_header *header = segment->front.header;
    hv_partition was = header->partition;

    if (damage_random(job, 2) == 0)
        header->partition.number += 1;
    else
        header->partition.incarnation += 1;
    store_header(job, segment, header);
    header->partition = was;
    damage_expect_segment(job, HV_FINDING_WRONG_PLACE, segment);
}

static void
forge_vault(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);
    hv_segment_header *header = segment->front.header;
    char was = header->vault[0];

    header->vault[0] = was == '2' ? '3' : '2';
    store_header(job, segment, header);
    header->vault[0] = was;
    damage_expect_segment(job, HV_FINDING_OTHER_VAULT, segment);
}

/* Nothing in the store contradicts a header whose clock was set back, but what was recorded does. */
static void
forge_created(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_ALONE | PICK_INDEXED);
    hv_segment_header *header = segment->front.header;
    int64_t was = header->created_ms;

    header->created_ms -= 1 + (int64_t)damage_random(job, 1000000);
    store_header(job, segment, header);
    header->created_ms = was;
    damage_expect_segment(job, HV_FINDING_INDEX_OTHER_FACTS, segment);
}

/* ---- blocks ---- */

enum { EVENTS_MAX = 400 };

/* A block on its way to be forged. */
typedef struct forgery {
    const damage_target *segment;
    size_t block;
    hv_block_ref *ref;                  /* of the target */
    hv_buf raw;                         /* its events as they are */
    hv_event events[EVENTS_MAX];        /* they borrow from raw; without their headers */
    size_t count;
    hv_buf changed;                     /* what the block shall hold */
} forgery;

static void
start_forgery(damage_job *job, forgery *f, size_t least_events)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    hv_err err;

    f->raw = f->changed = (hv_buf)HV_BUF_INIT(64 << 20);
    do {
        f->segment = damage_pick(job, PICK_ALONE | PICK_BLOCKS | PICK_INDEXED);
        f->block = damage_random(job, f->segment->front.header->block_count);
        f->ref = &f->segment->front.header->blocks[f->block];
    } while (f->ref->count < (int32_t)least_events || f->ref->count > EVENTS_MAX);
    maker_read(job->maker, f->segment->name.text, &bytes);
    hv_slice stored = hv_slice_of(bytes.data + f->segment->front.data_start + f->ref->position, f->ref->length);
    ck_hv_ok(hv_block_open(job->maker->coder, f->segment->front.header->codec, f->segment->front.sync, f->ref, stored, &f->raw, &err));
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = hv_event_reader_make(hv_buf_slice(&f->raw));
    for (f->count = 0; hv_event_reader_more(&reader); f->count++) {
        ck_hv_ok(hv_event_reader_next(&reader, &f->events[f->count], &err));
        f->events[f->count].header_count = 0;
    }
}

static void
encode_events(forgery *f, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hv_event_encode(&f->events[i], &f->changed);
}

static hv_block
copy_block(const forgery *f, const hv_buf *bytes, size_t at)
{
    hv_block block = {.ref = f->segment->front.header->blocks[at]};

    block.stored = malloc(block.ref.length);
    ck_assert_ptr_nonnull(block.stored);
    memcpy(block.stored, bytes->data + f->segment->front.data_start + block.ref.position, block.ref.length);
    return block;
}

static hv_block
seal_changed(damage_job *job, const forgery *f, int64_t min_ms, int64_t max_ms)
{
    hv_block_format format = {.codec = f->segment->front.header->codec, .level = 1};
    hv_block_facts facts = {.first_offset = f->ref->first_offset, .last_offset = f->ref->first_offset + f->ref->count - 1,
        .count = f->ref->count, .min_timestamp_ms = min_ms, .max_timestamp_ms = max_ms};
    hv_block block;
    hv_err err;

    memcpy(format.sync, f->segment->front.sync, sizeof format.sync);
    ck_hv_ok(hv_block_seal(job->maker->coder, &format, &facts, hv_buf_slice(&f->changed), &block, &err));
    return block;
}

/* Put the segment together again, this block in its place. The finding stands at the returned position. */
static int64_t
store_forged(damage_job *job, const forgery *f, hv_block forged)
{
    HV_AUTO(hv_buf_free) hv_buf old = HV_BUF_INIT(64 << 20), new = HV_BUF_INIT(64 << 20);
    hv_segment_header header = *f->segment->front.header;
    size_t count = header.block_count;
    hv_block *blocks = calloc(count, sizeof *blocks);
    unsigned char sha256[HV_SHA256_SIZE];
    hv_err err;

    ck_assert_ptr_nonnull(blocks);
    maker_read(job->maker, f->segment->name.text, &old);
    for (size_t i = 0; i < count; i++)
        blocks[i] = i == f->block ? forged : copy_block(f, &old, i);
    header.blocks = NULL;
    ck_hv_ok(hv_segment_assemble(&header, blocks, count, f->segment->front.sync, &new, sha256, &err));
    int64_t position = (int64_t)(new.len + header.blocks[f->block].position);
    for (size_t i = 0; i < count; i++) {
        hv_buf_put(&new, blocks[i].stored, blocks[i].ref.length);
        hv_block_free(&blocks[i]);
    }
    free(blocks);
    free(header.blocks);
    damage_store(job, f->segment->name.text, &new, true);
    damage_reindex(job);
    return position;
}

static void
finish_forgery(damage_job *job, forgery *f, hv_block forged, hv_finding_kind kind, int64_t offset)
{
    int64_t position = store_forged(job, f, forged);

    damage_expect(job, kind, f->segment->name.text, &f->segment->parts.partition, offset)->position = position;
    hv_buf_free(&f->raw);
    hv_buf_free(&f->changed);
}

static void
finish_with_events(damage_job *job, forgery *f, hv_finding_kind kind, int64_t offset)
{
    finish_forgery(job, f, seal_changed(job, f, f->ref->min_timestamp_ms, f->ref->max_timestamp_ms), kind, offset);
}

/* All events of the forgery, as they were changed. */
static void
finish_with_changes(damage_job *job, forgery *f, hv_finding_kind kind, int64_t offset)
{
    encode_events(f, f->count);
    finish_with_events(job, f, kind, offset);
}

static void
forge_order(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 2);
    size_t at = damage_random(job, f.count - 1);
    int64_t offset = f.events[at].offset;
    hv_event first = f.events[at];
    f.events[at] = f.events[at + 1];
    f.events[at + 1] = first;
    finish_with_changes(job, &f, HV_FINDING_WRONG_OFFSET, offset);
}

static void
forge_repetition(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 2);
    size_t at = 1 + damage_random(job, f.count - 1);
    int64_t offset = f.events[at].offset;
    f.events[at].offset = f.events[at - 1].offset;
    finish_with_changes(job, &f, HV_FINDING_WRONG_OFFSET, offset);
}

static void
forge_offset_outside(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 1);
    size_t at = damage_random(job, f.count);
    int64_t offset = f.events[at].offset;
    f.events[at].offset = damage_random(job, 2) == 0 ? f.segment->front.header->cut.end + 7 : -1 - (int64_t)damage_random(job, 100);
    finish_with_changes(job, &f, HV_FINDING_WRONG_OFFSET, offset);
}

static void
forge_fewer_events(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 2);
    encode_events(&f, 1 + damage_random(job, f.count - 1));
    finish_with_events(job, &f, HV_FINDING_WRONG_COUNT, f.ref->first_offset);
}

static void
forge_more_events(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 1);
    encode_events(&f, f.count);
    hv_event more = f.events[f.count - 1];
    for (uint64_t i = 0, count = 1 + damage_random(job, 3); i < count; i++) {
        more.offset++;
        hv_event_encode(&more, &f.changed);
    }
    finish_with_events(job, &f, HV_FINDING_WRONG_COUNT, f.ref->first_offset);
}

static void
forge_timestamps_of_block(damage_job *job)
{
    forgery f;
    int64_t more = 1 + (int64_t)damage_random(job, 1000);
    bool least = damage_random(job, 2) == 0;

    start_forgery(job, &f, 1);
    encode_events(&f, f.count);
    finish_forgery(job, &f, seal_changed(job, &f, f.ref->min_timestamp_ms - (least ? more : 0), f.ref->max_timestamp_ms + (least ? 0 : more)),
                   HV_FINDING_WRONG_TIMESTAMPS, f.ref->first_offset);
}

static void
forge_half_event(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 2);
    encode_events(&f, f.count);
    f.changed.len -= 1 + damage_random(job, 5);
    finish_with_events(job, &f, HV_FINDING_UNDECODABLE_BLOCK, f.events[f.count - 1].offset);
}

/* The last field of an event says whether it is sealed: branch 1, version 1, an empty box. */
static void
forge_seal(damage_job *job)
{
    forgery f;

    start_forgery(job, &f, 1);
    encode_events(&f, f.count);
    f.changed.data[f.changed.len - 1] = 2;
    hv_buf_put(&f.changed, "\2\0", 2);
    finish_with_events(job, &f, HV_FINDING_UNKNOWN_VERSION, f.events[f.count - 1].offset);
}

/* No frame of the codec, but with the hash that the table has. */
static void
forge_compression(damage_job *job)
{
    enum { FRAME = 2 * HV_VARINT_MAX };
    forgery f;

    start_forgery(job, &f, 1);
    encode_events(&f, f.count);
    hv_block block = seal_changed(job, &f, f.ref->min_timestamp_ms, f.ref->max_timestamp_ms);
    const unsigned char *at = block.stored;
    int64_t ignored;
    ck_assert(hv_varint_get(&at, block.stored + block.ref.length, &ignored) && hv_varint_get(&at, block.stored + block.ref.length, &ignored));
    size_t frame = (size_t)(at - block.stored);
    memset(block.stored + frame, 0xff, block.ref.length - frame - HV_SYNC_SIZE);
    hv_slice all = hv_slice_of(block.stored, block.ref.length);
    hv_sha256(&all, 1, block.ref.sha256);
    finish_forgery(job, &f, block, HV_FINDING_UNDECODABLE_BLOCK, f.ref->first_offset);
}

static const damage by_forgery[] = {
    {"a forged Merkle root", forge_merkle_root, DAMAGE_QUICK_SAME},
    {"a forged block hash under the old root", forge_block_hash_alone, DAMAGE_QUICK_SAME},
    {"a forged block hash under a fresh root", forge_block_hash, DAMAGE_QUICK_BLIND},
    {"a forged count of events", forge_count, DAMAGE_QUICK_SAME},
    {"forged timestamps of a segment", forge_timestamps_of_segment, DAMAGE_QUICK_SAME},
    {"a forged end of a cut", forge_cut_end, DAMAGE_QUICK_SAME},
    {"a forged first offset of a block", forge_block_offset, DAMAGE_QUICK_SAME},
    {"a forged position of a block", forge_block_position, DAMAGE_QUICK_SAME},
    {"a forged list of gaps", forge_gap_list, DAMAGE_QUICK_SAME},
    {"a header that does not fit its name", forge_place, DAMAGE_QUICK_SAME},
    {"a header of another vault", forge_vault, DAMAGE_QUICK_SAME},
    {"a forged time of making", forge_created, DAMAGE_QUICK_SAME},
    {"events out of order", forge_order, DAMAGE_QUICK_BLIND},
    {"an offset twice", forge_repetition, DAMAGE_QUICK_BLIND},
    {"an offset outside of the cut", forge_offset_outside, DAMAGE_QUICK_BLIND},
    {"fewer events than the table says", forge_fewer_events, DAMAGE_QUICK_BLIND},
    {"more events than the table says", forge_more_events, DAMAGE_QUICK_BLIND},
    {"forged timestamps of a block", forge_timestamps_of_block, DAMAGE_QUICK_BLIND},
    {"half an event at the end of a block", forge_half_event, DAMAGE_QUICK_BLIND},
    {"an event of a later version", forge_seal, DAMAGE_QUICK_BLIND},
    {"bytes that nothing decompresses", forge_compression, DAMAGE_QUICK_BLIND},
};

const damage_kinds damage_by_forgery = {.at = by_forgery, .count = sizeof by_forgery / sizeof by_forgery[0]};
