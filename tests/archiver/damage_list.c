/* What the kinds of damage share, and damage to single bytes. */
#include "tests/archiver/damage_list.h"

#include <stdio.h>

#include "archiver/rebuild.h"

uint64_t
damage_random(damage_job *job, uint64_t bound)
{
    job->random = job->random * 6364136223846793005u + 1442695040888963407u;
    return (job->random >> 33) % bound;
}

static bool
is_wanted(const damage_target *target, unsigned wanted)
{
    const struct {
        unsigned flag;
        bool holds;
    } rules[] = {
        {PICK_LEAD, !target->is_sibling},
        {PICK_SIBLING, target->is_sibling},
        {PICK_ALONE, !target->is_sibling && !target->has_siblings},
        {PICK_WITH_SIBLINGS, target->has_siblings},
        {PICK_FIRST, target->first_cut},
        {PICK_LAST, target->last_cut},
        {PICK_NOT_LAST, !target->last_cut},
        {PICK_NOT_FIRST, !target->first_cut},
        {PICK_BLOCKS, target->front.header->block_count > 0},
        {PICK_MANY_BLOCKS, target->front.header->block_count > 1},
        {PICK_INDEXED, target->indexed},
    };

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if ((wanted & rules[i].flag) != 0 && !rules[i].holds)
            return false;
    return true;
}

static bool
of_one_cut(const damage_target *a, const damage_target *b)
{
    return a->parts.first == b->parts.first && hv_partition_compare(&a->parts.partition, &b->parts.partition) == 0;
}

const damage_target *
damage_pick_other(damage_job *job, const damage_target *than, unsigned wanted)
{
    size_t start = damage_random(job, job->target_count);

    for (size_t i = 0; i < job->target_count; i++) {
        const damage_target *target = &job->targets[(start + i) % job->target_count];
        if (is_wanted(target, wanted) && (than == NULL || !of_one_cut(target, than)))
            return target;
    }
    ck_abort_msg("the vault has no segment like that: %u", wanted);
    return NULL;
}

const damage_target *
damage_pick(damage_job *job, unsigned wanted)
{
    return damage_pick_other(job, NULL, wanted);
}

const damage_target *
damage_lead_of(const damage_job *job, const damage_target *segment)
{
    for (size_t i = 0; i < job->target_count; i++)
        if (!job->targets[i].is_sibling && of_one_cut(&job->targets[i], segment))
            return &job->targets[i];
    return NULL;
}

const damage_target *
damage_next_lead(const damage_job *job, const damage_target *segment)
{
    for (size_t i = 0; i < job->target_count; i++)
        if (!job->targets[i].is_sibling && job->targets[i].parts.first == segment->front.header->cut.end &&
            hv_partition_compare(&job->targets[i].parts.partition, &segment->parts.partition) == 0)
            return &job->targets[i];
    return NULL;
}

damage_expected *
damage_expect(damage_job *job, hv_finding_kind kind, const char *blob, const hv_partition *partition, int64_t offset)
{
    static const hv_partition none = {.number = -1};
    damage_expected *expected = &job->expected[job->expected_count++];

    ck_assert_uint_le(job->expected_count, DAMAGE_EXPECTED_MAX);
    *expected = (damage_expected){.kind = kind, .partition = partition != NULL ? *partition : none, .offset = offset, .position = -1};
    (void)snprintf(expected->blob, sizeof expected->blob, "%s", blob);
    return expected;
}

damage_expected *
damage_expect_segment(damage_job *job, hv_finding_kind kind, const damage_target *segment)
{
    return damage_expect(job, kind, segment->name.text, &segment->parts.partition, segment->parts.first);
}

void
damage_drop_cut(damage_job *job, const damage_target *segment)
{
    for (size_t i = 0; i < job->target_count; i++)
        if (of_one_cut(&job->targets[i], segment))
            maker_drop(job->maker, job->targets[i].name.text);
}

void
damage_store(damage_job *job, const char *name, const hv_buf *bytes, bool fresh_hash)
{
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_slice all = hv_buf_slice(bytes);

    hv_sha256(&all, 1, attributes.sha256);
    maker_replace(job->maker, name, all, fresh_hash ? &attributes : NULL);
}

void
damage_reindex(damage_job *job)
{
    hv_rebuild_facts facts;
    hv_err err;

    hv_index_close(job->maker->index);
    job->maker->index = maker_open_index(job->maker, "rebuilt");
    hv_rebuild_config config = {.storage = job->maker->storage, .vault = MAKER_VAULT, .index = job->maker->index, .threads = 1};
    ck_hv_ok(hv_rebuild(&config, &facts, &err));
}

/* ---- bytes of a segment ---- */

static void
flip_bit(damage_job *job, const damage_target *segment, uint64_t position)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);

    maker_read(job->maker, segment->name.text, &bytes);
    ck_assert_uint_lt(position, bytes.len);
    bytes.data[position] = (char)(bytes.data[position] ^ (1 << damage_random(job, 8)));
    damage_store(job, segment->name.text, &bytes, false);
}

/* Where in the front `text` begins, or where it ends. */
static uint64_t
find_text(damage_job *job, const damage_target *segment, const char *text, bool behind)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);

    maker_read(job->maker, segment->name.text, &bytes);
    const char *at = memmem(bytes.data, bytes.len, text, strlen(text));
    ck_assert_ptr_nonnull(at);
    return (uint64_t)(at - bytes.data) + (behind ? strlen(text) : 0);
}

static void
flip_front(damage_job *job, const damage_target *segment, uint64_t from, uint64_t count)
{
    flip_bit(job, segment, from + damage_random(job, count));
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
flip_magic(damage_job *job)
{
    flip_front(job, damage_pick(job, 0), 0, 4);
}

static void
flip_map_count(damage_job *job)
{
    flip_front(job, damage_pick(job, 0), 4, 1);
}

static void
flip_codec(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);

    flip_front(job, segment, find_text(job, segment, "avro.codec", true), 1 + strlen(hv_codec_name(segment->front.header->codec)));
}

static void
flip_schema(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);

    flip_front(job, segment, find_text(job, segment, hv_event_schema, false), strlen(hv_event_schema));
}

static void
flip_entry_name(damage_job *job)
{
    static const char *const names[] = {"avro.codec", "avro.schema", "hubvault.check"};
    const damage_target *segment = damage_pick(job, 0);
    const char *name = names[damage_random(job, 3)];

    flip_front(job, segment, find_text(job, segment, name, false), strlen(name));
}

static void
flip_check(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);

    flip_front(job, segment, find_text(job, segment, "hubvault.check", true) + 2, HV_SHA256_TEXT_SIZE - 1);
}

static void
flip_header(damage_job *job)
{
    static const char begin[] = "{\"format\":1";
    const damage_target *segment = damage_pick(job, 0);
    uint64_t from = find_text(job, segment, begin, true), end = segment->front.data_start - HV_SYNC_SIZE - 1;

    flip_front(job, segment, from, end - from);
}

static void
flip_front_sync(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);

    flip_front(job, segment, segment->front.data_start - HV_SYNC_SIZE, HV_SYNC_SIZE);
}

static void
raise_format(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, 0);
    uint64_t at = find_text(job, segment, "{\"format\":", true);

    maker_read(job->maker, segment->name.text, &bytes);
    bytes.data[at] = (char)('2' + damage_random(job, 8));
    damage_store(job, segment->name.text, &bytes, false);
    damage_expect_segment(job, HV_FINDING_UNKNOWN_VERSION, segment);
}

static void
expect_block(damage_job *job, const damage_target *segment, const hv_block_ref *block)
{
    damage_expected *expected = damage_expect(job, HV_FINDING_DAMAGED_BLOCK, segment->name.text, &segment->parts.partition,
                                              block->first_offset);

    expected->position = (int64_t)(segment->front.data_start + block->position);
}

/* Every block whose bytes are others now. */
static void
expect_changed_blocks(damage_job *job, const damage_target *segment, const hv_buf *old, const hv_buf *new)
{
    const hv_segment_header *header = segment->front.header;

    for (size_t b = 0; b < header->block_count; b++) {
        uint64_t at = segment->front.data_start + header->blocks[b].position;
        if (memcmp(old->data + at, new->data + at, header->blocks[b].length) != 0)
            expect_block(job, segment, &header->blocks[b]);
    }
}

static void
flip_block(damage_job *job, bool from_end, uint64_t from, uint64_t count)
{
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    const hv_segment_header *header = segment->front.header;
    const hv_block_ref *block = &header->blocks[damage_random(job, header->block_count)];
    uint64_t start = segment->front.data_start + block->position;

    count = count > 0 ? count : block->length - HV_SYNC_SIZE - from;
    flip_bit(job, segment, (from_end ? start + block->length - count : start + from) + damage_random(job, count));
    expect_block(job, segment, block);
}

static void
flip_block_frame(damage_job *job)
{
    flip_block(job, false, 0, 2);
}

static void
flip_block_body(damage_job *job)
{
    flip_block(job, false, 3, 0);
}

static void
flip_block_sync(damage_job *job)
{
    flip_block(job, true, 0, HV_SYNC_SIZE);
}

/* As a disk that lost pages gives them back. */
static void
zero_range(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf old = HV_BUF_INIT(64 << 20), new = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    uint64_t bytes = segment->front.header->blocks_bytes, from = damage_random(job, bytes);
    uint64_t len = 1 + damage_random(job, bytes - from);

    maker_read(job->maker, segment->name.text, &old);
    hv_buf_put(&new, old.data, old.len);
    memset(new.data + segment->front.data_start + from, 0, len);
    new.data[segment->front.data_start + from] = (char)~old.data[segment->front.data_start + from];
    damage_store(job, segment->name.text, &new, false);
    expect_changed_blocks(job, segment, &old, &new);
}

static void
exchange_blocks(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf old = HV_BUF_INIT(64 << 20), new = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, PICK_MANY_BLOCKS);
    const hv_segment_header *header = segment->front.header;
    size_t at = damage_random(job, header->block_count - 1);
    const hv_block_ref *one = &header->blocks[at], *two = one + 1;

    maker_read(job->maker, segment->name.text, &old);
    const char *start = old.data + segment->front.data_start + one->position;
    hv_buf_put(&new, old.data, (size_t)(start - old.data));
    hv_buf_put(&new, start + one->length, two->length);
    hv_buf_put(&new, start, one->length);
    hv_buf_put(&new, old.data + new.len, old.len - new.len);
    damage_store(job, segment->name.text, &new, false);
    expect_changed_blocks(job, segment, &old, &new);
}

static void
cut_off(damage_job *job, const damage_target *segment, uint64_t len)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);

    maker_read(job->maker, segment->name.text, &bytes);
    bytes.len = len;
    damage_store(job, segment->name.text, &bytes, false);
}

static void
empty_blob(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);

    cut_off(job, segment, 0);
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
truncate_in_front(damage_job *job)
{
    const damage_target *segment = damage_pick(job, 0);

    cut_off(job, segment, 1 + damage_random(job, segment->front.data_start - 1));
    damage_expect_segment(job, HV_FINDING_DAMAGED_FRONT, segment);
}

static void
truncate_in_blocks(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    uint64_t len = segment->front.data_start + damage_random(job, segment->front.header->blocks_bytes);

    cut_off(job, segment, len);
    damage_expect_segment(job, HV_FINDING_WRONG_SIZE, segment)->position = (int64_t)len;
}

static void
extend(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, 0);

    maker_read(job->maker, segment->name.text, &bytes);
    for (uint64_t more = damage_random(job, 5000) + 1; more > 0; more--)
        hv_buf_put_byte(&bytes, (unsigned char)damage_random(job, 256));
    damage_store(job, segment->name.text, &bytes, false);
    damage_expect_segment(job, HV_FINDING_WRONG_SIZE, segment)->position = (int64_t)segment->size;
}

static void
repeat_last_block(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, PICK_BLOCKS);
    const hv_segment_header *header = segment->front.header;
    uint32_t len = header->blocks[header->block_count - 1].length;

    maker_read(job->maker, segment->name.text, &bytes);
    for (uint64_t from = bytes.len - len, i = 0; i < len; i++)
        hv_buf_put_byte(&bytes, (unsigned char)bytes.data[from + i]);
    damage_store(job, segment->name.text, &bytes, false);
    damage_expect_segment(job, HV_FINDING_WRONG_SIZE, segment)->position = (int64_t)segment->size;
}

static const damage of_bytes[] = {
    {"bit flip in the magic bytes", flip_magic, DAMAGE_QUICK_SAME},
    {"bit flip in the count of metadata entries", flip_map_count, DAMAGE_QUICK_SAME},
    {"bit flip in the name of a metadata entry", flip_entry_name, DAMAGE_QUICK_SAME},
    {"bit flip in the codec", flip_codec, DAMAGE_QUICK_SAME},
    {"bit flip in the schema", flip_schema, DAMAGE_QUICK_SAME},
    {"bit flip in the check entry", flip_check, DAMAGE_QUICK_SAME},
    {"bit flip in the segment header", flip_header, DAMAGE_QUICK_SAME},
    {"bit flip in the sync marker of the front", flip_front_sync, DAMAGE_QUICK_SAME},
    {"format number of a later version", raise_format, DAMAGE_QUICK_SAME},
    {"bit flip in the count or size of a block", flip_block_frame, DAMAGE_QUICK_BLIND},
    {"bit flip in the data of a block", flip_block_body, DAMAGE_QUICK_BLIND},
    {"bit flip in the sync marker of a block", flip_block_sync, DAMAGE_QUICK_BLIND},
    {"zeros over a range of the blocks", zero_range, DAMAGE_QUICK_BLIND},
    {"two blocks in each other's place", exchange_blocks, DAMAGE_QUICK_BLIND},
    {"an empty segment", empty_blob, DAMAGE_QUICK_SAME},
    {"a segment truncated in its front", truncate_in_front, DAMAGE_QUICK_SAME},
    {"a segment truncated in its blocks", truncate_in_blocks, DAMAGE_QUICK_SAME},
    {"garbage behind a segment", extend, DAMAGE_QUICK_SAME},
    {"the last block once more behind a segment", repeat_last_block, DAMAGE_QUICK_SAME},
};

const damage_kinds damage_of_bytes = {.at = of_bytes, .count = sizeof of_bytes / sizeof of_bytes[0]};
