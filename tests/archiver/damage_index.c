/* An index that disagrees with the store. */
#include <stdio.h>

#include "archiver/rebuild.h"
#include "tests/archiver/damage_list.h"
#include "tests/archiver/index_tamper.h"

static void
tamper(damage_job *job, hv_ix_db db, const damage_target *segment, bool of_cut, void (*change)(hv_buf *value), bool keep_checksum)
{
    index_tampering how = {.db = db, .partition = segment->parts.partition, .first = of_cut ? segment->parts.first : -1,
        .change = change, .damage = keep_checksum};

    index_tamper(job->maker->index, &how);
}

static void
forget_cut(damage_job *job)
{
    const damage_target *cut = damage_pick(job, PICK_LEAD | PICK_NOT_LAST | PICK_INDEXED);

    /* The one before the incomplete last cut is the last one that the index has, which its sums notice. */
    while (!damage_next_lead(job, cut)->indexed)
        cut = damage_pick(job, PICK_LEAD | PICK_NOT_LAST | PICK_INDEXED);
    tamper(job, HV_IX_CUTS, cut, true, NULL, false);
    damage_expect_segment(job, HV_FINDING_INDEX_MISSING_CUT, cut);
}

static void
damage_entry_of_cut(damage_job *job)
{
    static const hv_ix_db dbs[] = {HV_IX_CUTS, HV_IX_SEGMENTS, HV_IX_BLOCKS};
    const damage_target *cut = damage_pick(job, PICK_LEAD | PICK_INDEXED);
    hv_ix_db db = dbs[damage_random(job, 3)];

    tamper(job, db, cut, true, NULL, true);
    damage_expect(job, HV_FINDING_INDEX_DAMAGED, hv_prefix_of_partition(&cut->parts.partition).text, &cut->parts.partition, DAMAGE_ANY);
}

static void
set_number(hv_buf *value, size_t at, int change)
{
    ck_assert_uint_lt(at, value->len);
    value->data[at] = (char)(value->data[at] + change);
}

/* The last byte of one of the ten sums (index_layout.c): events. */
static void
one_event_more(hv_buf *value)
{
    set_number(value, 5 * 8 - 1, 1);
}

/* The position. */
static void
one_offset_more(hv_buf *value)
{
    set_number(value, 2 * 8 - 1, 1);
}

/* A hash ends each block, so this is one of the last block: tables of this vault are short enough for one piece. */
static void
other_block_hash(hv_buf *value)
{
    set_number(value, value->len - 1, 1);
}

/* Behind three bytes of the piece and the number of blocks: the position of the first block, 0, becomes 1. Differences are stored twice as
 * large (index_layout.c). */
static void
other_block_position(hv_buf *value)
{
    set_number(value, 4, 2);
}

static void
earlier_end_of_time(hv_buf *value)
{
    memset(value->data + 8, 0, 8);
}

static void
change_sums(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_INDEXED);
    const hv_partition *partition = &segment->parts.partition;

    tamper(job, HV_IX_PARTITIONS, segment, false, one_event_more, false);
    damage_expect(job, HV_FINDING_INDEX_OTHER_TOTALS, hv_prefix_of_partition(partition).text, partition, -1);
}

static void
change_position(damage_job *job)
{
    const damage_target *segment = damage_pick(job, PICK_INDEXED);
    const hv_partition *partition = &segment->parts.partition;

    tamper(job, HV_IX_PARTITIONS, segment, false, one_offset_more, false);
    damage_expect(job, HV_FINDING_INDEX_DAMAGED, hv_prefix_of_partition(partition).text, partition, DAMAGE_ANY);
}

static void
change_block_hash(damage_job *job)
{
    const damage_target *lead = damage_pick(job, PICK_LEAD | PICK_BLOCKS | PICK_INDEXED);

    tamper(job, HV_IX_BLOCKS, lead, true, other_block_hash, false);
    damage_expect_segment(job, HV_FINDING_INDEX_OTHER_FACTS, lead);
}

static void
change_block_position(damage_job *job)
{
    const damage_target *lead = damage_pick(job, PICK_LEAD | PICK_BLOCKS | PICK_INDEXED);

    tamper(job, HV_IX_BLOCKS, lead, true, other_block_position, false);
    damage_expect_segment(job, HV_FINDING_INDEX_OTHER_FACTS, lead);
}

/* A node of the tree that lookups by time go through: what lies below would not be found. */
static const damage_target *
with_time_nodes(damage_job *job)
{
    const damage_target *lead;

    do
        lead = damage_pick(job, PICK_FIRST | PICK_LEAD | PICK_INDEXED);
    while (lead->last_cut || damage_next_lead(job, lead) == NULL);
    return lead;
}

static void
change_time_node(damage_job *job)
{
    const damage_target *lead = with_time_nodes(job);

    tamper(job, HV_IX_TIMES, lead, false, earlier_end_of_time, false);
    damage_expect(job, HV_FINDING_INDEX_OTHER_TIMES, hv_prefix_of_partition(&lead->parts.partition).text, &lead->parts.partition, DAMAGE_ANY);
}

static void
forget_time_node(damage_job *job)
{
    const damage_target *lead = with_time_nodes(job);

    tamper(job, HV_IX_TIMES, lead, false, NULL, false);
    damage_expect(job, HV_FINDING_INDEX_OTHER_TIMES, hv_prefix_of_partition(&lead->parts.partition).text, &lead->parts.partition, DAMAGE_ANY);
}

typedef struct kept_blob {
    const damage_target *segment;
    hv_buf bytes;
} kept_blob;

/* A copy of some time ago lacks what came since: the index of a vault without its last cut. */
static void
restore_old_copy(damage_job *job)
{
    enum { SEGMENTS_MAX = 8 };
    const damage_target *last = damage_pick(job, PICK_LEAD | PICK_LAST | PICK_INDEXED);
    kept_blob kept[SEGMENTS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < job->target_count; i++)
        if (damage_lead_of(job, &job->targets[i]) == last) {
            ck_assert_uint_lt(count, SEGMENTS_MAX);
            kept[count] = (kept_blob){.segment = &job->targets[i], .bytes = HV_BUF_INIT(64 << 20)};
            maker_read(job->maker, kept[count].segment->name.text, &kept[count].bytes);
            count++;
        }
    damage_drop_cut(job, last);
    damage_reindex(job);
    for (size_t i = 0; i < count; i++) {
        hv_blob_attributes attributes = {.has_sha256 = true};
        hv_slice all = hv_buf_slice(&kept[i].bytes);
        hv_err err;
        hv_sha256(&all, 1, attributes.sha256);
        ck_hv_ok(job->maker->storage->ops->put_new(job->maker->storage, kept[i].segment->name.text, &all, 1, &attributes, &err));
        hv_buf_free(&kept[i].bytes);
    }
    damage_expect_segment(job, HV_FINDING_INDEX_MISSING_CUT, last);
}

static void
record_a_cut_that_never_was(damage_job *job)
{
    const damage_target *last = damage_pick(job, PICK_LEAD | PICK_LAST | PICK_INDEXED);
    int64_t end = last->front.header->cut.end, count = 1 + (int64_t)damage_random(job, 1000);
    hv_gap gap = {.range = {end, end + count}, .cause = HV_GAP_RETENTION};
    hv_index_segment lead = {.class_name = HV_CLASS_NONE, .is_lead = true, .size = 1000, .data_start = 1000};
    hv_index_cut cut = {.range = gap.range, .segments = &lead, .segment_count = 1, .gaps = &gap, .gap_count = 1};
    hv_index_addition addition = {.partition = &last->parts.partition, .cut = &cut};
    hv_err err;

    ck_hv_ok(hv_index_add(job->maker->index, &addition, 1, &err));
    damage_expect(job, HV_FINDING_INDEX_EXTRA_CUT, hv_name_of_lead(&last->parts.partition, end).text, &last->parts.partition, end);
}

static void
record_an_incarnation_that_never_was(damage_job *job)
{
    hv_index_incarnation entry = {.hub = "zebra", .incarnation = 1, .cause = "first"};
    hv_partition place = {.hub = "zebra", .incarnation = 1, .number = -1};
    hv_err err;

    ck_hv_ok(hv_index_add_incarnation(job->maker->index, &entry, &err));
    damage_expect(job, HV_FINDING_INDEX_INCARNATION, hv_name_of_incarnation("zebra", 1).text, &place, -1);
}

static void
use_index_of_other_vault(damage_job *job)
{
    char path[300];
    hv_index_config config = {.dir = path, .map_bytes = 1 << 20, .vault = MAKER_OTHER_VAULT};
    hv_err err;

    hv_index_close(job->maker->index);
    (void)snprintf(path, sizeof path, "%s/other", job->maker->dir.path);
    ck_hv_ok(hv_index_open(&config, &job->maker->index, &err));
    damage_expect(job, HV_FINDING_INDEX_OTHER_VAULT, "", NULL, -1);
}

static const damage of_index[] = {
    {"a cut that the index forgot", forget_cut, DAMAGE_QUICK_SAME},
    {"a damaged entry of the index", damage_entry_of_cut, DAMAGE_QUICK_SAME},
    {"wrong sums of a partition in the index", change_sums, DAMAGE_QUICK_SAME},
    {"a wrong position in the index", change_position, DAMAGE_QUICK_SAME},
    {"a wrong block hash in the index", change_block_hash, DAMAGE_QUICK_SAME},
    {"a wrong block position in the index", change_block_position, DAMAGE_QUICK_SAME},
    {"wrong times in the index", change_time_node, DAMAGE_QUICK_SAME},
    {"forgotten times in the index", forget_time_node, DAMAGE_QUICK_SAME},
    {"an old copy of the index", restore_old_copy, DAMAGE_QUICK_SAME},
    {"a cut in the index that never was", record_a_cut_that_never_was, DAMAGE_QUICK_SAME},
    {"an incarnation in the index that never was", record_an_incarnation_that_never_was, DAMAGE_QUICK_SAME},
    {"an index of another vault", use_index_of_other_vault, DAMAGE_QUICK_SAME},
};

const damage_kinds damage_of_index = {.at = of_index, .count = sizeof of_index / sizeof of_index[0]};
