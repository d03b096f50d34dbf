/* Damage to whole blobs: missing, exchanged, foreign, in the wrong place; chains and records. */
#include <stdio.h>

#include "archiver/incarnation.h"
#include "segment/vault_marker.h"
#include "tests/archiver/damage_list.h"

static void
put(damage_job *job, const char *name, const hv_buf *bytes)
{
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_slice part = hv_buf_slice(bytes);
    hv_err err;

    hv_sha256(&part, 1, attributes.sha256);
    ck_hv_ok(job->maker->storage->ops->put_new(job->maker->storage, name, &part, 1, &attributes, &err));
}

/* ---- missing ---- */

static void
drop_lead(damage_job *job)
{
    const damage_target *lead = damage_pick(job, PICK_LEAD | PICK_WITH_SIBLINGS | PICK_INDEXED);

    maker_drop(job->maker, lead->name.text);
    damage_expect_segment(job, HV_FINDING_MISSING_LEAD, lead);
}

static void
drop_sibling(damage_job *job)
{
    const damage_target *sibling = damage_pick(job, PICK_SIBLING | PICK_INDEXED);

    maker_drop(job->maker, sibling->name.text);
    damage_expect_segment(job, HV_FINDING_MISSING_SIBLING, sibling);
}

static void
drop_middle_cut(damage_job *job)
{
    const damage_target *lead = damage_pick(job, PICK_LEAD | PICK_NOT_LAST);
    const damage_target *next = damage_next_lead(job, lead);

    damage_drop_cut(job, lead);
    damage_expect(job, HV_FINDING_HOLE, next->name.text, &next->parts.partition, lead->parts.first);
}

static void
drop_last_cut(damage_job *job)
{
    const damage_target *lead = damage_pick(job, PICK_LEAD | PICK_LAST | PICK_INDEXED);

    damage_drop_cut(job, lead);
    damage_expect_segment(job, HV_FINDING_INDEX_EXTRA_CUT, lead);
}

/* ---- exchanged ---- */

static void
exchange(damage_job *job, const damage_target *one, const damage_target *other)
{
    maker_swap(job->maker, one->name.text, other->name.text);
    damage_expect_segment(job, HV_FINDING_WRONG_PLACE, one);
    damage_expect_segment(job, HV_FINDING_WRONG_PLACE, other);
}

static void
exchange_leads(damage_job *job)
{
    const damage_target *one = damage_pick(job, PICK_LEAD), *other = damage_pick_other(job, one, PICK_LEAD);

    exchange(job, one, other);
}

static void
exchange_any(damage_job *job)
{
    const damage_target *one = damage_pick(job, PICK_INDEXED), *other = damage_pick_other(job, one, PICK_INDEXED);

    exchange(job, one, other);
}

static void
exchange_lead_and_sibling(damage_job *job)
{
    const damage_target *sibling = damage_pick(job, PICK_SIBLING);

    exchange(job, damage_lead_of(job, sibling), sibling);
}

static void
exchange_siblings(damage_job *job)
{
    const damage_target *one = damage_pick(job, PICK_SIBLING), *other = damage_pick_other(job, one, PICK_SIBLING);

    exchange(job, one, other);
}

/* Bytes of another segment, while these are somewhere else as well. */
static void
overwrite_by_other(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, 0), *other = damage_pick_other(job, segment, 0);

    maker_read(job->maker, other->name.text, &bytes);
    damage_store(job, segment->name.text, &bytes, true);
    damage_expect_segment(job, HV_FINDING_WRONG_PLACE, segment);
}

/* ---- where nothing should be ---- */

/* As the next cut of another partition. */
static void
copy_to_other_partition(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *last = damage_pick(job, PICK_LEAD | PICK_LAST | PICK_INDEXED);
    const damage_target *other = damage_pick_other(job, last, PICK_LEAD);
    int64_t end = last->front.header->cut.end;
    hv_blob_name name = hv_name_of_lead(&last->parts.partition, end);

    maker_read(job->maker, other->name.text, &bytes);
    put(job, name.text, &bytes);
    damage_expect(job, HV_FINDING_WRONG_PLACE, name.text, &last->parts.partition, end);
}

static void
copy_to_unknown_hub(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, PICK_LEAD | PICK_FIRST);
    hv_partition zebra = maker_partition("zebra", 1, (int32_t)damage_random(job, 3));
    hv_partition of_record = {.hub = "zebra", .incarnation = 1, .number = -1};
    hv_blob_name name = hv_name_of_lead(&zebra, 0);

    maker_read(job->maker, segment->name.text, &bytes);
    put(job, name.text, &bytes);
    damage_expect(job, HV_FINDING_WRONG_PLACE, name.text, &zebra, 0);
    damage_expect(job, HV_FINDING_MISSING_INCARNATION, hv_name_of_incarnation("zebra", 1).text, &of_record, -1);
}

static void
put_foreign_name(damage_job *job)
{
    static const char *const names[] = {"notes.txt", "segments/lost.found", "segments/hub=orders/README", "segments/hub=orders/incarnation=x/y",
        "segments/hub=orders/incarnation=1/partition=0/1.avro", "segments/hub=orders/incarnation=1/partition=00/00000000000000000000.avro",
        "ledgers/0", "vault.json.bak"};
    const char *name = names[damage_random(job, sizeof names / sizeof names[0])];

    maker_put(job->maker, name, "x");
    damage_expect(job, HV_FINDING_FOREIGN_NAME, name, NULL, -1);
}

/* What a copy that was interrupted leaves behind. */
static void
put_temporary(damage_job *job)
{
    static const char *const endings[] = {".tmp", ".part", ".bak", ".crdownload"};
    const damage_target *segment = damage_pick(job, 0);
    char name[HV_STORAGE_NAME_SIZE];

    (void)snprintf(name, sizeof name, "%s%s", segment->name.text, endings[damage_random(job, 4)]);
    maker_put(job->maker, name, "half of it");
    damage_expect(job, HV_FINDING_FOREIGN_NAME, name, NULL, -1);
}

static void
put_unpromised_sibling(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, PICK_LEAD);
    const damage_target *content = damage_pick(job, 0);
    hv_blob_name name = hv_name_of_sibling(&segment->parts.partition, segment->parts.first, "purple");

    maker_read(job->maker, content->name.text, &bytes);
    put(job, name.text, &bytes);
    damage_expect(job, HV_FINDING_UNPROMISED_SIBLING, name.text, &segment->parts.partition, segment->parts.first);
}

/* ---- made, but not here ---- */

static void
put_segment_of_other_vault(damage_job *job)
{
    const damage_target *last = damage_pick(job, PICK_ALONE | PICK_LAST | PICK_INDEXED);
    hv_range cut = last->front.header->cut;

    maker_drop(job->maker, last->name.text);
    job->maker->vault = MAKER_OTHER_VAULT;
    maker_plain_cut(job->maker, &last->parts.partition, cut.first, cut.end - cut.first);
    job->maker->vault = MAKER_VAULT;
    damage_expect_segment(job, HV_FINDING_OTHER_VAULT, last);
}

/* One letter per offset of the cut: its text as vault_maker.h writes it, all of class default but for two of class red. */
static void
write_cut(char *text, size_t len, size_t red)
{
    memset(text, 'd', len);
    text[len] = '\0';
    text[red] = text[red + 1] = 'r';
}

/* A new cut of six offsets behind the last one; then its sibling is one of another cut of the same range. */
static void
mix_cuts(damage_job *job, bool same_map)
{
    HV_AUTO(hv_buf_free) hv_buf foreign = HV_BUF_INIT(64 << 20);
    const damage_target *last = damage_pick(job, PICK_LEAD | PICK_LAST | PICK_INDEXED);
    const hv_partition *partition = &last->parts.partition;
    int64_t at = last->front.header->cut.end;
    hv_blob_name lead = hv_name_of_lead(partition, at), red = hv_name_of_sibling(partition, at, "red");
    size_t where = 1 + damage_random(job, 3);
    char text[8];

    write_cut(text, 6, same_map ? where : where == 3 ? 1 : where + 1);
    maker_cut(job->maker, partition, at, text);
    maker_read(job->maker, red.text, &foreign);
    maker_drop(job->maker, lead.text);
    maker_drop(job->maker, red.text);
    write_cut(text, 6, where);
    maker_cut(job->maker, partition, at, text);
    damage_store(job, red.text, &foreign, true);
    damage_expect(job, same_map ? HV_FINDING_OTHER_LEAD : HV_FINDING_OTHER_CUT, red.text, partition, at);
}

static void
put_sibling_of_other_cut(damage_job *job)
{
    mix_cuts(job, false);
}

static void
put_sibling_of_other_lead(damage_job *job)
{
    mix_cuts(job, true);
}

static void
put_overlapping_cut(damage_job *job)
{
    const damage_target *cut = damage_pick(job, PICK_ALONE | PICK_BLOCKS | PICK_INDEXED);
    hv_range range = cut->front.header->cut;
    int64_t first = range.first + 1 + (int64_t)damage_random(job, (uint64_t)(range.end - range.first - 1));
    hv_blob_name name = hv_name_of_lead(&cut->parts.partition, first);

    maker_plain_cut(job->maker, &cut->parts.partition, first, 1 + (int64_t)damage_random(job, 50));
    damage_expect(job, HV_FINDING_OVERLAP, name.text, &cut->parts.partition, range.end);
}

static void
put_cut_behind_hole(damage_job *job)
{
    const damage_target *last = damage_pick(job, PICK_LEAD | PICK_LAST | PICK_INDEXED);
    int64_t end = last->front.header->cut.end, first = end + 1 + (int64_t)damage_random(job, 1000);
    hv_blob_name name = hv_name_of_lead(&last->parts.partition, first);

    maker_plain_cut(job->maker, &last->parts.partition, first, 3);
    damage_expect(job, HV_FINDING_HOLE, name.text, &last->parts.partition, end);
    damage_expect(job, HV_FINDING_INDEX_MISSING_CUT, name.text, &last->parts.partition, first);
}

/* The same beginning, another end: the lead is not the one that was recorded. */
static void
replace_lead_with_other_end(damage_job *job)
{
    const damage_target *last = damage_pick(job, PICK_ALONE | PICK_LAST | PICK_BLOCKS | PICK_INDEXED);
    hv_range cut = last->front.header->cut;
    int64_t count = cut.end - cut.first, other = 1 + (int64_t)damage_random(job, 2 * (uint64_t)count);

    maker_drop(job->maker, last->name.text);
    maker_plain_cut(job->maker, &last->parts.partition, cut.first, other == count ? other + 1 : other);
    damage_expect_segment(job, HV_FINDING_INDEX_OTHER_FACTS, last);
}

/* ---- properties ---- */

static void
replace_hash(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);
    const damage_target *segment = damage_pick(job, PICK_INDEXED);
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_slice all;

    maker_read(job->maker, segment->name.text, &bytes);
    all = hv_buf_slice(&bytes);
    hv_sha256(&all, 1, attributes.sha256);
    attributes.sha256[damage_random(job, HV_SHA256_SIZE)] ^= (unsigned char)(1 << damage_random(job, 8));
    maker_replace(job->maker, segment->name.text, all, &attributes);
    damage_expect_segment(job, HV_FINDING_WRONG_HASH, segment);
}

/* ---- marker and records ---- */

static void
drop_marker(damage_job *job)
{
    maker_drop(job->maker, HV_VAULT_MARKER_NAME);
    damage_expect(job, HV_FINDING_MISSING_MARKER, HV_VAULT_MARKER_NAME, NULL, -1);
}

static void
cut_marker(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(HV_RECORD_MAX);

    maker_read(job->maker, HV_VAULT_MARKER_NAME, &bytes);
    bytes.len = damage_random(job, bytes.len - 1);
    damage_store(job, HV_VAULT_MARKER_NAME, &bytes, false);
    damage_expect(job, HV_FINDING_DAMAGED_MARKER, HV_VAULT_MARKER_NAME, NULL, -1);
}

static void
put_marker(damage_job *job, const char *vault, hv_finding_kind kind)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_vault_marker marker = {.created_ms = (int64_t)damage_random(job, 1000)};

    (void)snprintf(marker.vault, sizeof marker.vault, "%s", vault);
    hv_vault_marker_write(&marker, &json);
    damage_store(job, HV_VAULT_MARKER_NAME, &json, false);
    damage_expect(job, kind, HV_VAULT_MARKER_NAME, NULL, -1);
}

static void
put_other_marker(damage_job *job)
{
    put_marker(job, MAKER_OTHER_VAULT, HV_FINDING_OTHER_VAULT);
}

static void
change_marker(damage_job *job)
{
    put_marker(job, MAKER_VAULT, HV_FINDING_WRONG_HASH);
}

/* Any incarnation of the vault; its place as findings have it. */
static hv_partition
pick_record(damage_job *job, hv_blob_name *name)
{
    hv_partition partition = damage_pick(job, 0)->parts.partition;

    partition.number = -1;
    *name = hv_name_of_incarnation(partition.hub, partition.incarnation);
    return partition;
}

static void
drop_record(damage_job *job)
{
    hv_blob_name name;
    hv_partition place = pick_record(job, &name);

    maker_drop(job->maker, name.text);
    damage_expect(job, HV_FINDING_MISSING_INCARNATION, name.text, &place, -1);
}

static void
cut_record(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_name name;
    hv_partition place = pick_record(job, &name);

    maker_read(job->maker, name.text, &bytes);
    bytes.len = damage_random(job, bytes.len - 1);
    damage_store(job, name.text, &bytes, false);
    damage_expect(job, HV_FINDING_DAMAGED_INCARNATION, name.text, &place, -1);
}

static void
put_record(damage_job *job, const char *vault, uint32_t more, int64_t created_ms, bool fresh_hash, hv_finding_kind kind)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_name name;
    hv_partition place = pick_record(job, &name);
    hv_incarnation_record record;
    hv_err err;

    maker_read(job->maker, name.text, &json);
    ck_hv_ok(hv_incarnation_record_parse(hv_buf_slice(&json), &record, &err));
    (void)snprintf(record.vault, sizeof record.vault, "%s", vault);
    record.incarnation += more;
    record.created_ms += created_ms;
    hv_buf_clear(&json);
    hv_incarnation_record_write(&record, &json);
    damage_store(job, name.text, &json, fresh_hash);
    damage_expect(job, kind, name.text, &place, -1);
}

static void
put_record_of_other_vault(damage_job *job)
{
    put_record(job, MAKER_OTHER_VAULT, 0, 0, true, HV_FINDING_OTHER_VAULT);
}

static void
put_record_of_other_incarnation(damage_job *job)
{
    put_record(job, MAKER_VAULT, 1 + (uint32_t)damage_random(job, 100), 0, true, HV_FINDING_WRONG_PLACE);
}

static void
change_record(damage_job *job)
{
    put_record(job, MAKER_VAULT, 0, 1 + (int64_t)damage_random(job, 1000), false, HV_FINDING_WRONG_HASH);
}

static void
forge_record(damage_job *job)
{
    put_record(job, MAKER_VAULT, 0, 1 + (int64_t)damage_random(job, 1000), true, HV_FINDING_INDEX_INCARNATION);
}

/* ---- snapshots ---- */

/* One of the group that the vault has DAMAGE_SNAPSHOTS of. */
static hv_blob_name
snapshot_name(int64_t number)
{
    char key[HV_GROUP_KEY_SIZE];

    hv_group_key(DAMAGE_GROUP, key);
    return hv_name_of_snapshot(DAMAGE_SNAPSHOT_HUB, key, number);
}

static void
expect_snapshot(damage_job *job, hv_finding_kind kind, const hv_blob_name *name)
{
    hv_partition place = {.hub = DAMAGE_SNAPSHOT_HUB, .number = -1};

    damage_expect(job, kind, name->text, &place, -1);
}

static void
cut_snapshot(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_blob_name name = snapshot_name(1 + (int64_t)damage_random(job, DAMAGE_SNAPSHOTS));

    maker_read(job->maker, name.text, &bytes);
    bytes.len = damage_random(job, bytes.len - 1);
    damage_store(job, name.text, &bytes, false);
    expect_snapshot(job, HV_FINDING_DAMAGED_SNAPSHOT, &name);
}

static void
drop_snapshot(damage_job *job)
{
    int64_t number = 2 + (int64_t)damage_random(job, DAMAGE_SNAPSHOTS - 2);
    hv_blob_name name = snapshot_name(number), before = snapshot_name(number - 1);

    maker_drop(job->maker, name.text);
    expect_snapshot(job, HV_FINDING_MISSING_SNAPSHOT, &before);
}

static void
overwrite_snapshot(damage_job *job)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    int64_t number = 1 + (int64_t)damage_random(job, DAMAGE_SNAPSHOTS);
    hv_blob_name name = snapshot_name(number), other = snapshot_name(number % DAMAGE_SNAPSHOTS + 1);

    maker_read(job->maker, other.text, &bytes);
    damage_store(job, name.text, &bytes, true);
    expect_snapshot(job, HV_FINDING_DAMAGED_SNAPSHOT, &name);
}

static const damage of_blobs[] = {
    {"a missing lead", drop_lead, DAMAGE_QUICK_SAME},
    {"a missing sibling", drop_sibling, DAMAGE_QUICK_SAME},
    {"a hole in the chain", drop_middle_cut, DAMAGE_QUICK_SAME},
    {"a missing last cut", drop_last_cut, DAMAGE_QUICK_SAME},
    {"two leads in each other's place", exchange_leads, DAMAGE_QUICK_SAME},
    {"two segments in each other's place", exchange_any, DAMAGE_QUICK_SAME},
    {"a lead and its sibling in each other's place", exchange_lead_and_sibling, DAMAGE_QUICK_SAME},
    {"two siblings in each other's place", exchange_siblings, DAMAGE_QUICK_SAME},
    {"a segment overwritten by another one", overwrite_by_other, DAMAGE_QUICK_SAME},
    {"a segment under the name of another partition", copy_to_other_partition, DAMAGE_QUICK_SAME},
    {"a segment under the name of a hub that never was", copy_to_unknown_hub, DAMAGE_QUICK_SAME},
    {"a foreign blob", put_foreign_name, DAMAGE_QUICK_SAME},
    {"a temporary file beside a segment", put_temporary, DAMAGE_QUICK_SAME},
    {"a sibling that nobody promised", put_unpromised_sibling, DAMAGE_QUICK_SAME},
    {"a segment of another vault", put_segment_of_other_vault, DAMAGE_QUICK_SAME},
    {"a sibling of another cut", put_sibling_of_other_cut, DAMAGE_QUICK_SAME},
    {"a sibling of a lead of other bytes", put_sibling_of_other_lead, DAMAGE_QUICK_SAME},
    {"an overlapping cut", put_overlapping_cut, DAMAGE_QUICK_SAME},
    {"a cut behind a hole", put_cut_behind_hole, DAMAGE_QUICK_SAME},
    {"a lead with another end", replace_lead_with_other_end, DAMAGE_QUICK_SAME},
    {"a wrong SHA-256 in the properties", replace_hash, DAMAGE_QUICK_OTHER},
    {"a missing marker", drop_marker, DAMAGE_QUICK_SAME},
    {"a truncated marker", cut_marker, DAMAGE_QUICK_SAME},
    {"the marker of another vault", put_other_marker, DAMAGE_QUICK_SAME},
    {"a marker with another time", change_marker, DAMAGE_QUICK_SAME},
    {"a missing record of an incarnation", drop_record, DAMAGE_QUICK_SAME},
    {"a truncated record of an incarnation", cut_record, DAMAGE_QUICK_SAME},
    {"a record of another vault", put_record_of_other_vault, DAMAGE_QUICK_SAME},
    {"a record of another incarnation", put_record_of_other_incarnation, DAMAGE_QUICK_SAME},
    {"a record with another time", change_record, DAMAGE_QUICK_SAME},
    {"a record with another time and a fresh SHA-256", forge_record, DAMAGE_QUICK_SAME},
    {"a truncated snapshot", cut_snapshot, DAMAGE_QUICK_SAME},
    {"a missing snapshot", drop_snapshot, DAMAGE_QUICK_SAME},
    {"a snapshot overwritten by another one", overwrite_snapshot, DAMAGE_QUICK_SAME},
};

const damage_kinds damage_of_blobs = {.at = of_blobs, .count = sizeof of_blobs / sizeof of_blobs[0]};
