/*
 * Keys and values
 *
 *   database        key                                         value
 *   "meta"          "layout" | "vault"                          be32 | text
 *   "hubs"          name of the hub                             id:be32
 *   "incarnations"  hub:be32 inc:be32                           created:be64 cause:text identity:text
 *   "partitions"    hub:be32 inc:be32 part:be32                 ten facts, be64 each
 *   "cuts"          ... first:be64                              end:be64 segments:be32 has-gaps:u8 times
 *   "segments"      ... first:be64 0 | 1 class                  class, flags, sizes, hashes, counts, times
 *   "blocks"        as "segments", n:be32                       left:be24, and a piece of the packed block table (index_blocks.c)
 *   "gaps"          ... first:be64                              the packed gaps of the cut and of its siblings
 *   "times"         hub:be32 inc:be32 part:be32 level:u8 n:be64 times
 *
 * Hubs have numbers because names of up to 249 bytes in each key would cost more than all the rest of an entry. The numbers are
 * given in order of first sight and mean nothing outside of one index.
 *
 * In the key of a segment 0 marks the lead and 1 a sibling, so that the lead comes first and siblings follow by class. Integers in
 * keys are big-endian because LMDB compares keys as bytes; no timestamp is part of a key, so no key is signed.
 *
 * A vault of a million segments has a hundred million blocks, so these are packed: numbers as differences to the block before, in
 * groups of seven bits. A block takes about 45 bytes, of which 32 are its hash; what stands around it in LMDB is measured by
 * bench/index_scale.c, and bounded by tests/index/test_index_blocks.c. Gaps of a compacted hub can be as many as its
 * events, so they are packed the same way, one value per cut, at about 5 bytes each. Differences wrap around and are thus exact for
 * any value; that they are small is a matter of size only. Equal facts give equal bytes, which is how facts are compared.
 */
#include "index/index_layout.h"

#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>

enum { SMALLEST_BLOCK = 6 + HV_SHA256_SIZE, SMALLEST_GAP = 4, HAS_POLICY = 1, IS_LEAD = 2 };

static const char *const db_names[] = {
#define DB_TEXT(name, text) text,
    HV_IX_DB_LIST(DB_TEXT)
#undef DB_TEXT
};

/* Stored instead of the number of the cause, which changes when somebody sorts the list. */
static const char cause_codes[HV_GAP_CAUSES] = {
    [HV_GAP_RETENTION] = 'r', [HV_GAP_COMPACTION] = 'c', [HV_GAP_TRANSACTION] = 't',
    [HV_GAP_TRUNCATION] = 'l', [HV_GAP_RECREATED] = 'n', [HV_GAP_UNKNOWN] = 'u',
};

const char *
hv_ix_db_name(hv_ix_db db)
{
    return db_names[db];
}

/* ---- keys ---- */

static void
key_add_number(hv_ix_key *key, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        key->bytes[key->len++] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

static void
key_add_text(hv_ix_key *key, const char *text)
{
    size_t len = strlen(text);

    assert(len <= sizeof key->bytes - key->len);
    memcpy(key->bytes + key->len, text, len);
    key->len += len;
}

hv_ix_key
hv_ix_key_text(const char *text)
{
    hv_ix_key key = {.len = 0};

    key_add_text(&key, text);
    return key;
}

hv_ix_key
hv_ix_key_hub(uint32_t hub_id)
{
    hv_ix_key key = {.len = 0};

    key_add_number(&key, hub_id, 4);
    return key;
}

hv_ix_key
hv_ix_key_incarnation(uint32_t hub_id, uint32_t incarnation)
{
    hv_ix_key key = hv_ix_key_hub(hub_id);

    key_add_number(&key, incarnation, 4);
    return key;
}

hv_ix_key
hv_ix_key_partition(uint32_t hub_id, const hv_partition *partition)
{
    hv_ix_key key = hv_ix_key_incarnation(hub_id, partition->incarnation);

    key_add_number(&key, (uint32_t)partition->number, 4);
    return key;
}

hv_ix_key
hv_ix_key_cut(const hv_ix_key *partition, uint64_t first)
{
    hv_ix_key key = *partition;

    assert(key.len == HV_IX_PARTITION_BYTES);
    key_add_number(&key, first, 8);
    return key;
}

hv_ix_key
hv_ix_key_segment(const hv_ix_key *partition, int64_t first, const hv_index_segment *segment)
{
    hv_ix_key key = hv_ix_key_cut(partition, (uint64_t)first);

    key_add_number(&key, segment->is_lead ? 0 : 1, 1);
    if (!segment->is_lead)
        key_add_text(&key, segment->class_name);
    return key;
}

hv_ix_key
hv_ix_key_piece(const hv_ix_key *segment, size_t number)
{
    hv_ix_key key = *segment;

    key_add_number(&key, number, 4);
    return key;
}

hv_ix_key
hv_ix_key_times(const hv_ix_key *partition, unsigned level, uint64_t node)
{
    hv_ix_key key = *partition;

    assert(key.len == HV_IX_PARTITION_BYTES);
    key_add_number(&key, level, 1);
    key_add_number(&key, node, 8);
    return key;
}

uint64_t
hv_ix_number(const void *from, size_t bytes)
{
    const unsigned char *at = from;
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* ---- numbers and text in values ---- */

static uint32_t
checksum(hv_ix_db db, hv_slice key, const void *data, size_t len)
{
    unsigned char number = (unsigned char)db;
    uint32_t crc = libdeflate_crc32(0, &number, 1);

    crc = libdeflate_crc32(crc, key.data, key.len);
    return libdeflate_crc32(crc, data, len);
}

void
hv_ix_seal(hv_ix_db db, hv_slice key, hv_buf *value)
{
    if (value->failed == HV_OK)
        hv_ix_write_number(value, checksum(db, key, hv_buf_slice(value).data, value->len), HV_IX_CHECKSUM_BYTES);
}

hv_rc
hv_ix_unseal(hv_ix_db db, hv_slice key, hv_slice value, hv_ix_reader *ret, hv_err *err)
{
    if (value.len >= HV_IX_CHECKSUM_BYTES) {
        size_t len = value.len - HV_IX_CHECKSUM_BYTES;
        const unsigned char *data = value.data;
        if (hv_ix_number(data + len, HV_IX_CHECKSUM_BYTES) == checksum(db, key, data, len)) {
            *ret = (hv_ix_reader){.at = data, .left = len};
            return HV_OK;
        }
    }
    return hv_err_set(err, HV_CORRUPT, "a value in '%s' is damaged: rebuild the index", hv_ix_db_name(db));
}

hv_rc
hv_ix_reader_end(const hv_ix_reader *from, hv_ix_db db, hv_err *err)
{
    if (!from->failed && from->left == 0)
        return HV_OK;
    return hv_err_set(err, HV_CORRUPT, "a value in '%s' does not have the layout of its kind: rebuild the index",
                      hv_ix_db_name(db));
}

static const unsigned char *
take(hv_ix_reader *from, size_t bytes)
{
    if (from->failed || bytes > from->left) {
        from->failed = true;
        return NULL;
    }
    from->at += bytes;
    from->left -= bytes;
    return from->at - bytes;
}

void
hv_ix_write_number(hv_buf *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hv_buf_put_byte(to, (unsigned char)(value >> (8 * (bytes - 1 - i))));
}

uint64_t
hv_ix_read_number(hv_ix_reader *from, size_t bytes)
{
    const unsigned char *at = take(from, bytes);

    return at == NULL ? 0 : hv_ix_number(at, bytes);
}

static void
write_bytes(hv_buf *to, const unsigned char *bytes, size_t count)
{
    hv_buf_put(to, bytes, count);
}

static void
read_bytes(hv_ix_reader *from, unsigned char *ret, size_t count)
{
    const unsigned char *at = take(from, count);

    if (at != NULL)
        memcpy(ret, at, count);
}

void
hv_ix_write_text(hv_buf *to, const char *text)
{
    size_t len = strlen(text);

    assert(len <= UINT8_MAX);
    hv_buf_put_byte(to, (unsigned char)len);
    hv_buf_put(to, text, len);
}

void
hv_ix_read_text(hv_ix_reader *from, char *ret, size_t size)
{
    size_t len = (size_t)hv_ix_read_number(from, 1);
    const unsigned char *at = len < size ? take(from, len) : NULL;

    from->failed = at == NULL || memchr(at, '\0', len) != NULL;
    if (!from->failed) {
        memcpy(ret, at, len);
        ret[len] = '\0';
    }
}

/* Seven bits per byte, the lowest first; the high bit says that more follow. */
static void
write_packed(hv_buf *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        hv_buf_put_byte(to, (unsigned char)(value | 0x80));
    hv_buf_put_byte(to, (unsigned char)value);
}

/* Only as write_packed() writes it: equal facts have equal bytes, and other bytes mean other facts. */
static uint64_t
read_packed(hv_ix_reader *from)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *at = take(from, 1);
        if (at == NULL)
            return 0;
        if ((shift > 0 && *at == 0) || (shift == 63 && *at > 1))
            break;
        value |= (uint64_t)(*at & 0x7f) << shift;
        if (*at < 0x80)
            return value;
    }
    from->failed = true;
    return 0;
}

/* value - base, small in size whichever is greater: the sign goes into the lowest bit. */
static void
write_difference(hv_buf *to, uint64_t value, uint64_t base)
{
    uint64_t difference = value - base;

    write_packed(to, difference >> 63 != 0 ? ~(difference << 1) : difference << 1);
}

/* 0 with a failure if it is larger. */
static uint64_t
read_packed_up_to(hv_ix_reader *from, uint64_t max)
{
    uint64_t value = read_packed(from);

    if (value <= max)
        return value;
    from->failed = true;
    return 0;
}

static uint64_t
read_difference(hv_ix_reader *from, uint64_t base)
{
    uint64_t packed = read_packed(from);

    return base + ((packed & 1) != 0 ? ~(packed >> 1) : packed >> 1);
}

/* ---- times and cuts ---- */

hv_ix_times
hv_ix_times_union(hv_ix_times a, hv_ix_times b)
{
    return (hv_ix_times){.min = a.min < b.min ? a.min : b.min, .max = a.max > b.max ? a.max : b.max};
}

void
hv_ix_write_times(hv_buf *to, hv_ix_times times)
{
    hv_ix_write_number(to, (uint64_t)times.min, 8);
    hv_ix_write_number(to, (uint64_t)times.max, 8);
}

hv_ix_times
hv_ix_read_times(hv_ix_reader *from)
{
    int64_t min = (int64_t)hv_ix_read_number(from, 8);
    int64_t max = (int64_t)hv_ix_read_number(from, 8);

    return (hv_ix_times){.min = min, .max = max};
}

void
hv_ix_write_cut(hv_buf *to, const hv_ix_cut *cut)
{
    hv_ix_write_number(to, (uint64_t)cut->range.end, 8);
    hv_ix_write_number(to, cut->segment_count, 4);
    hv_buf_put_byte(to, cut->has_gaps ? 1 : 0);
    hv_ix_write_times(to, cut->times);
}

hv_rc
hv_ix_read_cut(hv_ix_reader *from, int64_t first, hv_ix_cut *ret, hv_err *err)
{
    hv_ix_cut cut = {.range = {.first = first, .end = (int64_t)hv_ix_read_number(from, 8)}};

    cut.segment_count = (uint32_t)hv_ix_read_number(from, 4);
    uint64_t has_gaps = hv_ix_read_number(from, 1);
    cut.has_gaps = has_gaps != 0;
    cut.times = hv_ix_read_times(from);
    if (cut.range.end <= first || has_gaps > 1 || cut.segment_count == 0 || cut.segment_count > HV_IX_MAX_SEGMENTS)
        from->failed = true;
    hv_rc rc = hv_ix_reader_end(from, HV_IX_CUTS, err);
    if (rc == HV_OK)
        *ret = cut;
    return rc;
}

/* ---- segments and blocks ---- */

void
hv_ix_write_segment(hv_buf *to, const hv_index_segment *segment)
{
    hv_ix_write_text(to, segment->class_name);
    hv_buf_put_byte(to, (unsigned char)((segment->has_policy ? HAS_POLICY : 0) | (segment->is_lead ? IS_LEAD : 0)));
    hv_buf_put_byte(to, segment->codec);
    hv_ix_write_number(to, segment->size, 8);
    hv_ix_write_number(to, segment->data_start, 8);
    write_bytes(to, segment->sha256, HV_SHA256_SIZE);
    write_bytes(to, segment->merkle_root, HV_SHA256_SIZE);
    if (segment->has_policy)
        write_bytes(to, segment->policy, HV_SHA256_SIZE);
    hv_ix_write_number(to, (uint64_t)segment->created_ms, 8);
    hv_ix_write_number(to, (uint64_t)segment->count, 8);
    hv_ix_write_number(to, (uint64_t)segment->min_timestamp_ms, 8);
    hv_ix_write_number(to, (uint64_t)segment->max_timestamp_ms, 8);
}

hv_rc
hv_ix_read_segment(hv_ix_reader *from, hv_index_segment *ret, hv_err *err)
{
    hv_index_segment segment = {.blocks = NULL};

    hv_ix_read_text(from, segment.class_name, sizeof segment.class_name);
    uint64_t flags = hv_ix_read_number(from, 1);
    segment.has_policy = (flags & HAS_POLICY) != 0;
    segment.is_lead = (flags & IS_LEAD) != 0;
    if (flags > (HAS_POLICY | IS_LEAD))
        from->failed = true;
    segment.codec = (uint8_t)hv_ix_read_number(from, 1);
    segment.size = hv_ix_read_number(from, 8);
    segment.data_start = hv_ix_read_number(from, 8);
    read_bytes(from, segment.sha256, HV_SHA256_SIZE);
    read_bytes(from, segment.merkle_root, HV_SHA256_SIZE);
    if (segment.has_policy)
        read_bytes(from, segment.policy, HV_SHA256_SIZE);
    segment.created_ms = (int64_t)hv_ix_read_number(from, 8);
    segment.count = (int64_t)hv_ix_read_number(from, 8);
    segment.min_timestamp_ms = (int64_t)hv_ix_read_number(from, 8);
    segment.max_timestamp_ms = (int64_t)hv_ix_read_number(from, 8);
    hv_rc rc = hv_ix_reader_end(from, HV_IX_SEGMENTS, err);
    if (rc == HV_OK)
        *ret = segment;
    return rc;
}

void
hv_ix_write_blocks(hv_buf *to, const hv_index_segment *segment)
{
    hv_index_block none = {.position = 0};
    const hv_index_block *before = &none;

    write_packed(to, segment->block_count);
    for (size_t i = 0; i < segment->block_count; i++) {
        const hv_index_block *block = &segment->blocks[i];
        write_difference(to, block->position, before->position + before->length);
        write_packed(to, block->length);
        write_difference(to, (uint64_t)block->first_offset, (uint64_t)before->first_offset + (uint64_t)before->count);
        write_difference(to, (uint64_t)block->count, 0);
        write_difference(to, (uint64_t)block->min_timestamp_ms, (uint64_t)before->max_timestamp_ms);
        write_difference(to, (uint64_t)block->max_timestamp_ms, (uint64_t)block->min_timestamp_ms);
        write_bytes(to, block->sha256, HV_SHA256_SIZE);
        before = block;
    }
}

static hv_index_block
read_block(hv_ix_reader *from, const hv_index_block *before)
{
    hv_index_block block = {.position = read_difference(from, before->position + before->length)};

    block.length = (uint32_t)read_packed_up_to(from, UINT32_MAX);
    block.first_offset = (int64_t)read_difference(from, (uint64_t)before->first_offset + (uint64_t)before->count);
    uint64_t count = read_difference(from, 0);
    if (count < 1 || count > INT32_MAX)
        from->failed = true;
    block.count = (int32_t)count;
    block.min_timestamp_ms = (int64_t)read_difference(from, (uint64_t)before->max_timestamp_ms);
    block.max_timestamp_ms = (int64_t)read_difference(from, (uint64_t)block.min_timestamp_ms);
    read_bytes(from, block.sha256, HV_SHA256_SIZE);
    return block;
}

hv_rc
hv_ix_read_blocks(hv_ix_reader *from, hv_index_segment *ret, hv_err *err)
{
    hv_index_block none = {.position = 0}, *blocks = NULL;
    uint64_t count = read_packed(from);

    if (count > from->left / SMALLEST_BLOCK)
        from->failed = true;
    else if (count > 0 && (blocks = calloc((size_t)count, sizeof *blocks)) == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu blocks", (size_t)count);
    for (size_t i = 0; !from->failed && i < count; i++)
        blocks[i] = read_block(from, i == 0 ? &none : &blocks[i - 1]);
    hv_rc rc = hv_ix_reader_end(from, HV_IX_BLOCKS, err);
    if (rc != HV_OK) {
        free(blocks);
        return rc;
    }
    ret->blocks = blocks;
    ret->block_count = (size_t)count;
    return HV_OK;
}

/* ---- gaps ---- */

void
hv_ix_write_gaps(hv_buf *to, int64_t first, const hv_ix_gap *gaps, size_t count)
{
    uint64_t before = (uint64_t)first;

    write_packed(to, count);
    for (size_t i = 0; i < count; i++) {
        const hv_gap *gap = &gaps[i].gap;
        write_packed(to, (uint64_t)gap->range.first - before);
        write_packed(to, (uint64_t)gap->range.end - (uint64_t)gap->range.first);
        hv_buf_put_byte(to, (unsigned char)cause_codes[gap->cause]);
        write_packed(to, gaps[i].owner);
        before = (uint64_t)gap->range.end;
    }
}

static hv_gap_cause
read_cause(hv_ix_reader *from)
{
    char code = (char)hv_ix_read_number(from, 1);

    for (unsigned cause = 0; cause < HV_GAP_CAUSES; cause++)
        if (cause_codes[cause] == code)
            return (hv_gap_cause)cause;
    from->failed = true;
    return HV_GAP_UNKNOWN;
}

static hv_ix_gap
read_gap(hv_ix_reader *from, uint64_t before)
{
    hv_ix_gap gap;
    uint64_t first = before + read_packed(from);
    uint64_t end = first + read_packed(from);

    if (first < before || end <= first || end > INT64_MAX)
        from->failed = true;
    gap.gap.range = (hv_range){.first = (int64_t)first, .end = (int64_t)end};
    gap.gap.cause = read_cause(from);
    gap.owner = (uint32_t)read_packed_up_to(from, HV_IX_MAX_SEGMENTS);
    return gap;
}

hv_rc
hv_ix_read_gaps(hv_ix_reader *from, int64_t first, hv_ix_gap **ret, size_t *count, hv_err *err)
{
    hv_ix_gap *gaps = NULL;
    uint64_t len = read_packed(from), before = (uint64_t)first;

    if (len > from->left / SMALLEST_GAP)
        from->failed = true;
    else if (len > 0 && (gaps = calloc((size_t)len, sizeof *gaps)) == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu gaps", (size_t)len);
    for (size_t i = 0; !from->failed && i < len; i++) {
        gaps[i] = read_gap(from, before);
        before = (uint64_t)gaps[i].gap.range.end;
    }
    hv_rc rc = hv_ix_reader_end(from, HV_IX_GAPS, err);
    if (rc != HV_OK) {
        free(gaps);
        return rc;
    }
    *ret = gaps;
    *count = (size_t)len;
    return HV_OK;
}

/* ---- incarnations and partitions ---- */

void
hv_ix_write_incarnation(hv_buf *to, const hv_index_incarnation *incarnation)
{
    hv_ix_write_number(to, (uint64_t)incarnation->created_ms, 8);
    hv_ix_write_text(to, incarnation->cause);
    hv_ix_write_text(to, incarnation->identity);
}

hv_rc
hv_ix_read_incarnation(hv_ix_reader *from, hv_index_incarnation *ret, hv_err *err)
{
    ret->created_ms = (int64_t)hv_ix_read_number(from, 8);
    hv_ix_read_text(from, ret->cause, sizeof ret->cause);
    hv_ix_read_text(from, ret->identity, sizeof ret->identity);
    return hv_ix_reader_end(from, HV_IX_INCARNATIONS, err);
}

void
hv_ix_write_facts(hv_buf *to, const hv_index_partition_facts *facts)
{
    const int64_t numbers[] = {
        facts->range.first, facts->range.end, facts->cuts, facts->segments, facts->count, (int64_t)facts->bytes, facts->gap_offsets,
        facts->min_timestamp_ms, facts->max_timestamp_ms, facts->last_created_ms,
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hv_ix_write_number(to, (uint64_t)numbers[i], 8);
}

hv_rc
hv_ix_read_facts(hv_ix_reader *from, hv_index_partition_facts *ret, hv_err *err)
{
    int64_t numbers[10];

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        numbers[i] = (int64_t)hv_ix_read_number(from, 8);
    ret->range = (hv_range){.first = numbers[0], .end = numbers[1]};
    ret->cuts = numbers[2];
    ret->segments = numbers[3];
    ret->count = numbers[4];
    ret->bytes = (uint64_t)numbers[5];
    ret->gap_offsets = numbers[6];
    ret->min_timestamp_ms = numbers[7];
    ret->max_timestamp_ms = numbers[8];
    ret->last_created_ms = numbers[9];
    return hv_ix_reader_end(from, HV_IX_PARTITIONS, err);
}
