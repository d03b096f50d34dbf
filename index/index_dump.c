/*
 * The index as text: one line per fact, names instead of the numbers of hubs, hubs by name. So two indexes print the same text if
 * and only if they know the same, in whatever order they learned it. A block and a gap are a line each, so that lines stay short.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "index/index_internal.h"

typedef struct dump {
    hv_ix_txn *txn;
    void (*put)(void *arg, const char *line);
    void *arg;
    hv_buf line;
    hv_ix_table table;                  /* of the segment whose pieces are read */
    const char *db;
} dump;

static void
add_hash(dump *to, const char *name, const unsigned char *hash)
{
    char text[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(hash, text);
    hv_buf_printf(&to->line, " %s=%s", name, text);
}

/* In quotes, and whatever a terminal or a line could take amiss as \xHH. */
static void
add_text(dump *to, const char *name, const char *text)
{
    hv_buf_printf(&to->line, " %s=\"", name);
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            hv_buf_printf(&to->line, "\\x%02x", (unsigned)(unsigned char)*text);
        else
            hv_buf_put_byte(&to->line, (unsigned char)*text);
    hv_buf_put_byte(&to->line, '"');
}

static hv_rc
end_line(dump *to, hv_err *err)
{
    hv_rc rc = hv_buf_check(&to->line, err);

    if (rc == HV_OK)
        to->put(to->arg, hv_buf_slice(&to->line).data);
    hv_buf_clear(&to->line);
    return rc;
}

static void
begin_line(dump *to, const hv_partition *partition, int64_t first)
{
    hv_buf_printf(&to->line, "%s %s/%" PRIu32 "/%" PRId32 " %" PRId64, to->db, partition->hub, partition->incarnation,
                  partition->number, first);
}

/* First offset in the key of a cut or segment. */
static int64_t
first_of(hv_slice key)
{
    return (int64_t)hv_ix_number((const unsigned char *)key.data + HV_IX_PARTITION_BYTES, 8);
}

static void
add_segment_key(dump *to, hv_slice key)
{
    const char *bytes = key.data;
    bool lead = bytes[HV_IX_CUT_BYTES] == 0;

    hv_buf_printf(&to->line, " %s", lead ? "lead" : "sibling ");
    if (!lead)
        hv_buf_put(&to->line, bytes + HV_IX_CUT_BYTES + 1, key.len - HV_IX_CUT_BYTES - 1);
}

static hv_rc
dump_incarnation(dump *to, hv_ix_scan *scan, hv_err *err)
{
    hv_index_incarnation incarnation;
    hv_rc rc = hv_ix_read_incarnation(&scan->entries.value, &incarnation, err);

    if (rc != HV_OK)
        return rc;
    hv_buf_printf(&to->line, "%s %s/%" PRIu32 " created=%" PRId64, to->db, scan->hub,
                  (uint32_t)hv_ix_number((const unsigned char *)scan->entries.key.data + 4, 4), incarnation.created_ms);
    add_text(to, "cause", incarnation.cause);
    add_text(to, "identity", incarnation.identity);
    return end_line(to, err);
}

static hv_rc
dump_facts(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err)
{
    hv_index_partition_facts facts;
    hv_rc rc = hv_ix_read_facts(&scan->entries.value, &facts, err);

    if (rc != HV_OK)
        return rc;
    begin_line(to, partition, facts.range.first);
    hv_buf_printf(&to->line, " end=%" PRId64 " cuts=%" PRId64 " segments=%" PRId64 " count=%" PRId64 " bytes=%" PRIu64
                  " gap-offsets=%" PRId64 " min=%" PRId64 " max=%" PRId64 " last-created=%" PRId64, facts.range.end, facts.cuts,
                  facts.segments, facts.count, facts.bytes, facts.gap_offsets, facts.min_timestamp_ms, facts.max_timestamp_ms,
                  facts.last_created_ms);
    return end_line(to, err);
}

static hv_rc
dump_cut(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err)
{
    hv_ix_cut cut;
    hv_rc rc = hv_ix_cut_here(&scan->entries, &cut, err);

    if (rc != HV_OK)
        return rc;
    begin_line(to, partition, cut.range.first);
    hv_buf_printf(&to->line, " end=%" PRId64 " segments=%" PRIu32 " gaps=%s min=%" PRId64 " max=%" PRId64, cut.range.end,
                  cut.segment_count, cut.has_gaps ? "yes" : "no", cut.times.min, cut.times.max);
    return end_line(to, err);
}

static hv_rc
dump_segment(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err)
{
    hv_index_segment segment;
    hv_rc rc = hv_ix_read_segment(&scan->entries.value, &segment, err);

    if (rc != HV_OK)
        return rc;
    begin_line(to, partition, first_of(scan->entries.key));
    add_segment_key(to, scan->entries.key);
    hv_buf_printf(&to->line, " class=%s codec=%u size=%" PRIu64 " data-start=%" PRIu64 " created=%" PRId64 " count=%" PRId64
                  " min=%" PRId64 " max=%" PRId64, segment.class_name, (unsigned)segment.codec, segment.size, segment.data_start,
                  segment.created_ms, segment.count, segment.min_timestamp_ms, segment.max_timestamp_ms);
    add_hash(to, "sha256", segment.sha256);
    add_hash(to, "merkle", segment.merkle_root);
    if (segment.has_policy)
        add_hash(to, "policy", segment.policy);
    return end_line(to, err);
}

static hv_rc
dump_blocks(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err)
{
    hv_index_segment segment = {.blocks = NULL};
    hv_rc rc = hv_ix_table_add(&to->table, &scan->entries, err);

    if (rc == HV_OK && to->table.left == 0)
        rc = hv_ix_table_end(&to->table, &segment, err);
    for (size_t i = 0; rc == HV_OK && i < segment.block_count; i++) {
        const hv_index_block *block = &segment.blocks[i];
        begin_line(to, partition, first_of(scan->entries.key));
        add_segment_key(to, hv_slice_of(to->table.segment.bytes, to->table.segment.len));
        hv_buf_printf(&to->line, " #%zu position=%" PRIu64 " length=%" PRIu32 " first=%" PRId64 " count=%" PRId32 " min=%" PRId64
                      " max=%" PRId64, i, block->position, block->length, block->first_offset, block->count,
                      block->min_timestamp_ms, block->max_timestamp_ms);
        add_hash(to, "sha256", block->sha256);
        rc = end_line(to, err);
    }
    free(segment.blocks);
    return rc;
}

static hv_rc
dump_gaps(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err)
{
    hv_ix_gap *gaps = NULL;
    size_t count = 0;
    hv_rc rc = hv_ix_read_gaps(&scan->entries.value, first_of(scan->entries.key), &gaps, &count, err);

    for (size_t i = 0; rc == HV_OK && i < count; i++) {
        begin_line(to, partition, first_of(scan->entries.key));
        hv_buf_printf(&to->line, " %" PRId64 "..%" PRId64 " cause=%s", gaps[i].gap.range.first, gaps[i].gap.range.end,
                      hv_gap_cause_text(gaps[i].gap.cause));
        if (gaps[i].owner > 0)
            hv_buf_printf(&to->line, " segment=%" PRIu32, gaps[i].owner - 1);
        rc = end_line(to, err);
    }
    free(gaps);
    return rc;
}

static hv_rc
dump_times(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err)
{
    const unsigned char *key = scan->entries.key.data;
    hv_ix_times times = hv_ix_read_times(&scan->entries.value);
    hv_rc rc = hv_ix_reader_end(&scan->entries.value, HV_IX_TIMES, err);

    if (rc != HV_OK)
        return rc;
    begin_line(to, partition, key[HV_IX_PARTITION_BYTES]);
    hv_buf_printf(&to->line, " %" PRIu64 " min=%" PRId64 " max=%" PRId64, hv_ix_number(key + HV_IX_PARTITION_BYTES + 1, 8),
                  times.min, times.max);
    return end_line(to, err);
}

static const struct {
    hv_ix_db db;
    size_t min_key, max_key;
    hv_rc (*entry)(dump *to, hv_ix_scan *scan, const hv_partition *partition, hv_err *err);
} kinds[] = {
    {.db = HV_IX_PARTITIONS, .min_key = HV_IX_PARTITION_BYTES, .max_key = HV_IX_PARTITION_BYTES, .entry = dump_facts},
    {.db = HV_IX_CUTS, .min_key = HV_IX_CUT_BYTES, .max_key = HV_IX_CUT_BYTES, .entry = dump_cut},
    {.db = HV_IX_SEGMENTS, .min_key = HV_IX_CUT_BYTES + 1, .max_key = HV_IX_CUT_BYTES + HV_CLASS_SIZE, .entry = dump_segment},
    {.db = HV_IX_BLOCKS, .min_key = HV_IX_CUT_BYTES + 5, .max_key = HV_IX_CUT_BYTES + 4 + HV_CLASS_SIZE, .entry = dump_blocks},
    {.db = HV_IX_GAPS, .min_key = HV_IX_CUT_BYTES, .max_key = HV_IX_CUT_BYTES, .entry = dump_gaps},
    {.db = HV_IX_TIMES, .min_key = HV_IX_PARTITION_BYTES + 9, .max_key = HV_IX_PARTITION_BYTES + 9, .entry = dump_times},
};

/* Damage between pages of LMDB can hide an entry or show it twice, with nothing wrong in any of them. */
static hv_rc
check_count(dump *to, hv_ix_db db, int64_t seen, hv_err *err)
{
    int64_t entries = 0;
    hv_rc rc = hv_ix_count(to->txn, db, &entries, err);

    if (rc == HV_OK && seen != entries)
        rc = hv_err_set(err, HV_CORRUPT, "'%s' has %" PRId64 " entries, but %" PRId64 " can be read: rebuild the index",
                        hv_ix_db_name(db), entries, seen);
    return rc;
}

static hv_rc
dump_incarnations(dump *to, hv_err *err)
{
    HV_AUTO(hv_ix_scan_close) hv_ix_scan scan = {.started = false};
    bool found = false;
    int64_t seen = 0;
    hv_rc rc = hv_ix_scan_open(to->txn, HV_IX_INCARNATIONS, NULL, &scan, err);

    if (rc == HV_OK)
        rc = hv_ix_scan_next(&scan, &found, err);
    for (; rc == HV_OK && found; seen++) {
        rc = dump_incarnation(to, &scan, err);
        if (rc == HV_OK)
            rc = hv_ix_scan_next(&scan, &found, err);
    }
    return rc == HV_OK ? check_count(to, HV_IX_INCARNATIONS, seen, err) : rc;
}

static hv_rc
dump_kind(dump *to, size_t kind, hv_err *err)
{
    HV_AUTO(hv_ix_scan_close) hv_ix_scan scan = {.started = false};
    hv_partition partition;
    bool found = false;
    int64_t seen = 0;
    hv_rc rc = hv_ix_scan_open(to->txn, kinds[kind].db, NULL, &scan, err);

    if (rc == HV_OK)
        rc = hv_ix_scan_next(&scan, &found, err);
    for (; rc == HV_OK && found; seen++) {
        rc = hv_ix_scan_partition(&scan, &partition, err);
        size_t len = scan.entries.key.len;
        if (rc == HV_OK && (len < kinds[kind].min_key || len > kinds[kind].max_key))
            rc = hv_err_set(err, HV_CORRUPT, "a key in '%s' has %zu bytes: rebuild the index", to->db, len);
        if (rc == HV_OK)
            rc = kinds[kind].entry(to, &scan, &partition, err);
        if (rc == HV_OK)
            rc = hv_ix_scan_next(&scan, &found, err);
    }
    if (rc == HV_OK && to->table.left > 0)
        rc = hv_err_set(err, HV_CORRUPT, "the last block table ends early: rebuild the index");
    return rc == HV_OK ? check_count(to, kinds[kind].db, seen, err) : rc;
}

hv_rc
hv_index_dump(hv_index *index, void (*put)(void *arg, const char *line), void *arg, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    dump to = {.txn = &txn, .put = put, .arg = arg, .line = HV_BUF_INIT(64 << 10), .table = HV_IX_TABLE_INIT,
               .db = hv_ix_db_name(HV_IX_INCARNATIONS)};

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK) {
        hv_buf_printf(&to.line, "meta layout=%d", HV_IX_LAYOUT);
        add_text(&to, "vault", index->vault);
        rc = end_line(&to, err);
    }
    if (rc == HV_OK)
        rc = dump_incarnations(&to, err);
    for (size_t i = 0; rc == HV_OK && i < sizeof kinds / sizeof kinds[0]; i++) {
        to.db = hv_ix_db_name(kinds[i].db);
        rc = dump_kind(&to, i, err);
    }
    hv_buf_free(&to.line);
    hv_buf_free(&to.table.bytes);
    return rc;
}
