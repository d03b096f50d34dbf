/*
 * Two oracles: jansson, which sees the text of a header without knowing our scanner, and a table that says for each offset of a small
 * cut who owns it, from which headers are made and against which their own offsets are compared.
 */
#include <jansson.h>
#include <stdio.h>

#include "segment/header.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 20, MAX_OFFSETS = 40, MAX_BLOCKS = MAX_OFFSETS };

/* ---- a cut from a table of owners ---- */

enum { OWNER_LEAD, OWNER_A, OWNER_B, OWNER_GAP, OWNER_OTHER_GAP, OWNERS };

typedef struct cut_model {
    int64_t first;
    size_t len;
    int owner[MAX_OFFSETS];
    bool is_missing[MAX_OFFSETS];       /* from the sibling that it was promised to */
} cut_model;

/* A header with room of its own for all it points to. */
typedef struct model_header {
    hv_segment_header header;
    hv_range a[MAX_OFFSETS], b[MAX_OFFSETS];
    hv_class_map classes[2];
    hv_gap gaps[MAX_OFFSETS], missing[MAX_OFFSETS];
    hv_block_ref blocks[MAX_BLOCKS];
    unsigned char schemas[3][HV_SHA256_SIZE];
} model_header;

static size_t
ranges_of(const cut_model *cut, int owner, hv_range *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < cut->len; i++) {
        int64_t offset = cut->first + (int64_t)i;
        if (cut->owner[i] != owner)
            continue;
        if (n > 0 && ret[n - 1].end == offset)
            ret[n - 1].end++;
        else
            ret[n++] = (hv_range){.first = offset, .end = offset + 1};
    }
    return n;
}

static void
add_gap(hv_gap *gaps, size_t *count, int64_t offset, hv_gap_cause cause)
{
    if (*count > 0 && gaps[*count - 1].range.end == offset && gaps[*count - 1].cause == cause)
        gaps[*count - 1].range.end++;
    else
        gaps[(*count)++] = (hv_gap){.range = {.first = offset, .end = offset + 1}, .cause = cause};
}

/* The offsets that a segment of this owner holds. */
static size_t
own_offsets(const cut_model *cut, int owner, int64_t *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < cut->len; i++)
        if (cut->owner[i] == owner && !(owner != OWNER_LEAD && cut->is_missing[i]))
            ret[n++] = cut->first + (int64_t)i;
    return n;
}

static void
add_blocks(model_header *m, const int64_t *own, size_t count, test_random *random)
{
    hv_segment_header *header = &m->header;
    unsigned char leaves[MAX_BLOCKS][HV_SHA256_SIZE];
    int64_t min = INT64_MAX, max = INT64_MIN;

    for (size_t done = 0; done < count; header->block_count++) {
        hv_block_ref *block = &m->blocks[header->block_count];
        int32_t n = 1 + (int32_t)test_random_below(random, count - done);
        int64_t time = (int64_t)test_random_below(random, 1000) - 500;
        *block = (hv_block_ref){.position = header->blocks_bytes, .length = 20 + (uint32_t)test_random_below(random, 1000),
                                .first_offset = own[done], .count = n, .min_timestamp_ms = time, .max_timestamp_ms = time + n};
        memset(block->sha256, (int)test_random_below(random, 256), sizeof block->sha256);
        memcpy(leaves[header->block_count], block->sha256, HV_SHA256_SIZE);
        header->blocks_bytes += block->length;
        min = block->min_timestamp_ms < min ? block->min_timestamp_ms : min;
        max = block->max_timestamp_ms > max ? block->max_timestamp_ms : max;
        done += (size_t)n;
    }
    header->count = (int64_t)count;
    header->min_timestamp_ms = count > 0 ? min : 0;
    header->max_timestamp_ms = count > 0 ? max : 0;
    hv_merkle_root(leaves, header->block_count, header->merkle_root);
}

/* False if the cut cannot have such a segment. */
static bool
model_header_fill(model_header *m, const cut_model *cut, int owner, test_random *random)
{
    hv_segment_header *header = &m->header;
    int64_t own[MAX_OFFSETS], lead[MAX_OFFSETS];
    hv_class_map a = {.class_name = "a-class", .ranges = m->a, .range_count = ranges_of(cut, OWNER_A, m->a)};
    hv_class_map b = {.class_name = "b", .ranges = m->b, .range_count = ranges_of(cut, OWNER_B, m->b)};
    size_t lead_count = own_offsets(cut, OWNER_LEAD, lead), promised = owner == OWNER_A ? a.range_count : b.range_count;

    *header = test_header_make(HV_CODEC_NULL, cut->first, cut->first + (int64_t)cut->len);
    *header = (hv_segment_header){.codec = header->codec, .partition = header->partition, .cut = header->cut, .classes = m->classes,
                                  .gaps = m->gaps, .missing = m->missing, .blocks = m->blocks, .schemas = m->schemas, .created_ms = -1};
    memcpy(header->vault, TEST_VAULT, sizeof header->vault);
    if (a.range_count > 0)
        m->classes[header->class_count++] = a;
    if (b.range_count > 0)
        m->classes[header->class_count++] = b;
    if ((owner != OWNER_LEAD && promised == 0) || (lead_count == 0 && header->class_count > 0))
        return false;
    const char *class_name = owner == OWNER_A ? a.class_name : owner == OWNER_B ? b.class_name : lead_count == 0 ? "none" : "default";
    memcpy(header->class_name, class_name, strlen(class_name));
    for (size_t i = 0; i < cut->len; i++) {
        if (cut->owner[i] == OWNER_GAP || cut->owner[i] == OWNER_OTHER_GAP)
            add_gap(m->gaps, &header->gap_count, cut->first + (int64_t)i, (hv_gap_cause)(cut->owner[i] - OWNER_GAP));
        if (owner != OWNER_LEAD && cut->owner[i] == owner && cut->is_missing[i])
            add_gap(m->missing, &header->missing_count, cut->first + (int64_t)i, HV_GAP_RETENTION);
    }
    header->schema_count = test_random_below(random, 4);
    for (size_t i = 0; i < header->schema_count; i++)
        memset(m->schemas[i], 0x70 + (int)(16 * i), sizeof m->schemas[i]);
    header->is_sibling = owner != OWNER_LEAD;
    header->has_policy = test_random_below(random, 2) == 0;
    memset(header->lead_sha256, header->is_sibling ? 0xab : 0, HV_SHA256_SIZE);
    memset(header->policy, header->has_policy ? 0xcd : 0, HV_SHA256_SIZE);
    add_blocks(m, own, own_offsets(cut, owner, own), random);
    return true;
}

static cut_model
random_cut(test_random *random)
{
    cut_model cut = {.first = (int64_t)test_random_below(random, 3) * 1000, .len = 1 + test_random_below(random, MAX_OFFSETS)};
    uint64_t kinds = 1 + test_random_below(random, OWNERS), stickiness = 1 + test_random_below(random, 4);

    for (size_t i = 0; i < cut.len; i++) {
        bool stays = i > 0 && test_random_below(random, stickiness) > 0;
        cut.owner[i] = stays ? cut.owner[i - 1] : (int)test_random_below(random, kinds);
        cut.is_missing[i] = test_random_below(random, 4) == 0;
    }
    return cut;
}

/* ---- text ---- */

static void
expect_ranges(const json_t *array, const hv_range *ranges, size_t count)
{
    ck_assert_uint_eq(json_array_size(array), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(array, i);
        ck_assert_uint_eq(json_array_size(row), 2);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 0)), ranges[i].first);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 1)), ranges[i].end);
    }
}

static void
expect_gaps(const json_t *array, const hv_gap *gaps, size_t count)
{
    ck_assert(json_is_array(array));
    ck_assert_uint_eq(json_array_size(array), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(array, i);
        ck_assert_uint_eq(json_array_size(row), 3);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 0)), gaps[i].range.first);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 1)), gaps[i].range.end);
        ck_assert_str_eq(json_string_value(json_array_get(row, 2)), hv_gap_cause_text(gaps[i].cause));
    }
}

static void
expect_hash(const json_t *value, bool present, const unsigned char *hash)
{
    char text[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(hash, text);
    if (present)
        ck_assert_str_eq(json_string_value(value), text);
    else
        ck_assert(json_is_null(value));
}

static void
expect_blocks(const json_t *array, const hv_segment_header *header)
{
    ck_assert(json_is_array(array));
    ck_assert_uint_eq(json_array_size(array), header->block_count);
    for (size_t i = 0; i < header->block_count; i++) {
        const hv_block_ref *block = &header->blocks[i];
        const int64_t numbers[] = {(int64_t)block->position, block->length, block->first_offset, block->count, block->min_timestamp_ms,
                                   block->max_timestamp_ms};
        const json_t *row = json_array_get(array, i);
        ck_assert_uint_eq(json_array_size(row), 7);
        for (size_t j = 0; j < 6; j++)
            ck_assert_int_eq(json_integer_value(json_array_get(row, j)), numbers[j]);
        expect_hash(json_array_get(row, 6), true, block->sha256);
    }
}

static void
expect_json(hv_slice text, const hv_segment_header *header)
{
    json_error_t why;
    json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);

    ck_assert_msg(json != NULL, "%s", why.text);
    ck_assert_uint_eq(json_object_size(json), 20);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "format")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json, "vault")), header->vault);
    ck_assert_str_eq(json_string_value(json_object_get(json, "hub")), header->partition.hub);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "incarnation")), header->partition.incarnation);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "partition")), header->partition.number);
    ck_assert_str_eq(json_string_value(json_object_get(json, "class")), header->class_name);
    expect_hash(json_object_get(json, "policy"), header->has_policy, header->policy);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "created")), header->created_ms);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(json, "cut"), 0)), header->cut.first);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(json, "cut"), 1)), header->cut.end);
    const json_t *classes = json_object_get(json, "classes");
    ck_assert_uint_eq(json_array_size(classes), header->class_count);
    for (size_t i = 0; i < header->class_count; i++) {
        const json_t *row = json_array_get(classes, i);
        ck_assert_str_eq(json_string_value(json_array_get(row, 0)), header->classes[i].class_name);
        expect_ranges(json_array_get(row, 1), header->classes[i].ranges, header->classes[i].range_count);
    }
    expect_gaps(json_object_get(json, "gaps"), header->gaps, header->gap_count);
    expect_hash(json_object_get(json, "lead"), header->is_sibling, header->lead_sha256);
    expect_gaps(json_object_get(json, "missing"), header->missing, header->missing_count);
    const json_t *schemas = json_object_get(json, "schemas");
    ck_assert_uint_eq(json_array_size(schemas), header->schema_count);
    for (size_t i = 0; i < header->schema_count; i++)
        expect_hash(json_array_get(schemas, i), true, header->schemas[i]);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "count")), header->count);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "min_timestamp")), header->min_timestamp_ms);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "max_timestamp")), header->max_timestamp_ms);
    expect_hash(json_object_get(json, "merkle_root"), true, header->merkle_root);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "blocks_bytes")), (int64_t)header->blocks_bytes);
    expect_blocks(json_object_get(json, "blocks"), header);
    json_decref(json);
}

static void
expect_own(const hv_segment_header *header, const cut_model *cut, int owner)
{
    hv_err err;
    hv_range *own = NULL;
    size_t count, seen = 0;
    int64_t offsets[MAX_OFFSETS];
    size_t expected = own_offsets(cut, owner, offsets);

    ck_hv_ok(hv_segment_header_own(header, &own, &count, &err));
    for (size_t i = 0; i < count; i++) {
        ck_assert(i == 0 || own[i - 1].end <= own[i].first);
        for (int64_t offset = own[i].first; offset < own[i].end; offset++) {
            ck_assert_uint_lt(seen, expected);
            ck_assert_int_eq(offset, offsets[seen++]);
        }
    }
    ck_assert_uint_eq(seen, expected);
    free(own);
}

START_TEST(headers_of_random_cuts_are_possible_and_come_back_through_text_that_any_json_reader_understands)
{
    hv_err err;
    test_random random = test_random_make(21);
    int made[OWNERS] = {0}, siblings_with_missing = 0, of_class_none = 0;

    for (int round = 0; round < 3000; round++) {
        cut_model cut = random_cut(&random);
        for (int owner = OWNER_LEAD; owner <= OWNER_B; owner++) {
            model_header m;
            HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM), again = HV_BUF_INIT(ROOM);
            HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

            if (!model_header_fill(&m, &cut, owner, &random))
                continue;
            made[owner]++;
            siblings_with_missing += m.header.missing_count > 0;
            of_class_none += strcmp(m.header.class_name, "none") == 0;
            ck_hv_ok(hv_segment_header_check(&m.header, &err));
            expect_own(&m.header, &cut, owner);
            hv_segment_header_write(&m.header, &text);
            expect_json(hv_buf_slice(&text), &m.header);
            ck_hv_ok(hv_segment_header_parse(hv_buf_slice(&text), HV_CODEC_DEFLATE, &got, &err));
            ck_assert_int_eq(got->codec, HV_CODEC_DEFLATE);
            hv_segment_header_write(got, &again);
            ck_assert(hv_slice_equal(hv_buf_slice(&text), hv_buf_slice(&again)));
        }
    }
    ck_assert_int_gt(made[OWNER_LEAD], 1000);
    ck_assert_int_gt(made[OWNER_A], 500);
    ck_assert_int_gt(made[OWNER_B], 500);
    ck_assert_int_gt(siblings_with_missing, 100);
    ck_assert_int_gt(of_class_none, 10);
}
END_TEST

/* ---- what is impossible ---- */

static void
expect_impossible(const hv_segment_header *header, const char *what)
{
    hv_err err;
    hv_rc rc = hv_segment_header_check(header, &err);

    ck_assert_msg(rc == HV_CORRUPT, "%s: %s", what, hv_rc_name(rc));
}

/* Moves every boundary of a valid lead by one, in both directions; each must be noticed. */
static int
move_boundaries(model_header *m)
{
    hv_segment_header *header = &m->header;
    int64_t *boundaries[4 * MAX_OFFSETS + 2];
    size_t count = 0;

    boundaries[count++] = &header->cut.first;
    boundaries[count++] = &header->cut.end;
    for (size_t i = 0; i < header->class_count; i++)
        for (size_t j = 0; j < header->classes[i].range_count; j++) {
            boundaries[count++] = &header->classes[i].ranges[j].first;
            boundaries[count++] = &header->classes[i].ranges[j].end;
        }
    for (size_t i = 0; i < header->gap_count; i++) {
        boundaries[count++] = &header->gaps[i].range.first;
        boundaries[count++] = &header->gaps[i].range.end;
    }
    for (size_t i = 0; i < count; i++)
        for (int by = -1; by <= 1; by += 2) {
            *boundaries[i] += by;
            expect_impossible(header, "a boundary moved");
            *boundaries[i] -= by;
        }
    return (int)count;
}

START_TEST(a_lead_with_any_one_boundary_moved_is_impossible)
{
    hv_err err;
    test_random random = test_random_make(22);
    int moved = 0;

    for (int round = 0; round < 1000; round++) {
        cut_model cut = random_cut(&random);
        model_header m;
        if (model_header_fill(&m, &cut, OWNER_LEAD, &random)) {
            moved += move_boundaries(&m);
            ck_hv_ok(hv_segment_header_check(&m.header, &err));
        }
    }
    ck_assert_int_gt(moved, 5000);
}
END_TEST

START_TEST(a_block_table_with_any_one_number_changed_is_impossible)
{
    hv_err err;
    test_random random = test_random_make(23);
    int changed = 0;

    for (int round = 0; round < 500; round++) {
        cut_model cut = random_cut(&random);
        model_header m;
        if (!model_header_fill(&m, &cut, (int)test_random_below(&random, 3), &random))
            continue;
        for (size_t i = 0; i < m.header.block_count; i++) {
            hv_block_ref *block = &m.blocks[i], good = *block;
            for (int by = -1; by <= 1; by += 2) {
                block->position += (uint64_t)by;
                expect_impossible(&m.header, "position");
                *block = good;
                block->length += (uint32_t)by;
                expect_impossible(&m.header, "length");
                *block = good;
                block->first_offset += by;
                expect_impossible(&m.header, "first offset");
                *block = good;
                block->count += by;
                expect_impossible(&m.header, "count");
                *block = good;
            }
            block->sha256[test_random_below(&random, HV_SHA256_SIZE)] ^= 1;
            expect_impossible(&m.header, "hash");
            *block = good;
            block->min_timestamp_ms = m.header.min_timestamp_ms - 1;
            expect_impossible(&m.header, "min");
            *block = good;
            block->max_timestamp_ms = m.header.max_timestamp_ms + 1;
            expect_impossible(&m.header, "max");
            *block = good;
            changed++;
        }
        ck_hv_ok(hv_segment_header_check(&m.header, &err));
    }
    ck_assert_int_gt(changed, 500);
}
END_TEST

/* Lead 10..13, gap 14..15, class a-class 16..18, b 19, lead 20. */
static void
fill_example(model_header *m, int owner)
{
    cut_model cut = {.first = 10, .len = 11, .owner = {0, 0, 0, 0, OWNER_GAP, OWNER_GAP, OWNER_A, OWNER_A, OWNER_A, OWNER_B, 0},
                     .is_missing = {[7] = true}};
    test_random random = test_random_make(24);

    ck_assert(model_header_fill(m, &cut, owner, &random));
}

START_TEST(facts_that_contradict_each_other_are_impossible)
{
    hv_err err;
    model_header m;
    hv_segment_header *h = &m.header;

#define IMPOSSIBLE(owner, change) \
    do { \
        fill_example(&m, owner); \
        ck_hv_ok(hv_segment_header_check(h, &err)); \
        change; \
        expect_impossible(h, #change); \
    } while (0)
    IMPOSSIBLE(OWNER_LEAD, h->vault[3] = 'X');
    IMPOSSIBLE(OWNER_LEAD, h->vault[35] = '\0');
    IMPOSSIBLE(OWNER_LEAD, h->partition.hub[0] = '\0');
    IMPOSSIBLE(OWNER_LEAD, h->partition.hub[0] = '/');
    IMPOSSIBLE(OWNER_LEAD, h->partition.incarnation = 0);
    IMPOSSIBLE(OWNER_LEAD, h->partition.number = -1);
    IMPOSSIBLE(OWNER_LEAD, h->class_name[0] = 'D');
    IMPOSSIBLE(OWNER_LEAD, memcpy(h->class_name, "b", 2));
    IMPOSSIBLE(OWNER_LEAD, memcpy(h->class_name, "none", 5));
    IMPOSSIBLE(OWNER_LEAD, h->codec = HV_CODECS);
    IMPOSSIBLE(OWNER_LEAD, h->count++);
    IMPOSSIBLE(OWNER_LEAD, h->min_timestamp_ms--);
    IMPOSSIBLE(OWNER_LEAD, h->max_timestamp_ms++);
    IMPOSSIBLE(OWNER_LEAD, h->blocks_bytes++);
    IMPOSSIBLE(OWNER_LEAD, h->merkle_root[31] ^= 0x80);
    IMPOSSIBLE(OWNER_LEAD, h->gaps[0].cause = HV_GAP_CAUSES);
    IMPOSSIBLE(OWNER_LEAD, memcpy(m.classes[0].class_name, "b", 2));
    IMPOSSIBLE(OWNER_LEAD, memcpy(m.classes[1].class_name, "a", 2));
    IMPOSSIBLE(OWNER_LEAD, memcpy(m.classes[1].class_name, "none", 5));
    IMPOSSIBLE(OWNER_LEAD, m.classes[1].class_name[0] = '\0');
    IMPOSSIBLE(OWNER_LEAD, m.classes[0].range_count = 0);
    IMPOSSIBLE(OWNER_LEAD, h->class_count = 1);
    IMPOSSIBLE(OWNER_LEAD, h->gap_count = 0);
    IMPOSSIBLE(OWNER_LEAD, h->missing_count = 1; m.missing[0] = m.gaps[0]);
    IMPOSSIBLE(OWNER_LEAD, h->is_sibling = true);
    IMPOSSIBLE(OWNER_A, h->is_sibling = false);
    IMPOSSIBLE(OWNER_A, h->missing_count = 0);
    IMPOSSIBLE(OWNER_A, m.missing[0].range.first = 18; m.missing[0].range.end = 20);
    IMPOSSIBLE(OWNER_A, m.missing[0].range.end = 17);
    IMPOSSIBLE(OWNER_A, memcpy(h->class_name, "c", 2));
    IMPOSSIBLE(OWNER_A, h->schema_count = 2; memset(m.schemas, 7, sizeof m.schemas));
    IMPOSSIBLE(OWNER_A, h->schema_count = 2; memset(m.schemas[0], 7, HV_SHA256_SIZE); memset(m.schemas[1], 6, HV_SHA256_SIZE));
    IMPOSSIBLE(OWNER_A, h->schema_count = HV_SEGMENT_MAX_SCHEMAS + 1);
    IMPOSSIBLE(OWNER_A, h->block_count = 0);
    IMPOSSIBLE(OWNER_A, h->block_count = HV_SEGMENT_MAX_BLOCKS + 1);
    IMPOSSIBLE(OWNER_A, h->class_count = HV_SEGMENT_MAX_CLASSES + 1);
    IMPOSSIBLE(OWNER_A, h->gap_count = HV_SEGMENT_MAX_GAPS + 1);
    IMPOSSIBLE(OWNER_A, m.classes[0].range_count = HV_SEGMENT_MAX_GAPS + 1);
#undef IMPOSSIBLE
}
END_TEST

START_TEST(adjacent_gaps_of_one_cause_and_adjacent_ranges_of_one_class_have_one_spelling_only)
{
    hv_err err;
    model_header m;
    cut_model cut = {.first = 0, .len = 6, .owner = {0, OWNER_GAP, OWNER_GAP, OWNER_A, OWNER_A, 0}};
    test_random random = test_random_make(25);

    ck_assert(model_header_fill(&m, &cut, OWNER_LEAD, &random));
    ck_hv_ok(hv_segment_header_check(&m.header, &err));
    m.gaps[0].range.end = 2;
    m.gaps[1] = (hv_gap){.range = {.first = 2, .end = 3}, .cause = m.gaps[0].cause};
    m.header.gap_count = 2;
    expect_impossible(&m.header, "two gaps");
    m.gaps[1].cause = HV_GAP_UNKNOWN;
    ck_hv_ok(hv_segment_header_check(&m.header, &err));
    m.a[0].end = 4;
    m.a[1] = (hv_range){.first = 4, .end = 5};
    m.classes[0].range_count = 2;
    expect_impossible(&m.header, "two ranges");
}
END_TEST

START_TEST(a_sibling_with_nothing_left_and_a_lead_that_only_declares_a_gap_are_possible)
{
    hv_err err;
    model_header m;
    cut_model stub = {.first = 5, .len = 3, .owner = {0, OWNER_A, 0}, .is_missing = {[1] = true}};
    cut_model gap = {.first = INT64_MAX - 3, .len = 3, .owner = {OWNER_GAP, OWNER_GAP, OWNER_GAP}};
    test_random random = test_random_make(26);

    ck_assert(model_header_fill(&m, &stub, OWNER_A, &random));
    ck_assert_int_eq(m.header.count, 0);
    ck_hv_ok(hv_segment_header_check(&m.header, &err));
    ck_assert(model_header_fill(&m, &gap, OWNER_LEAD, &random));
    ck_assert_str_eq(m.header.class_name, "none");
    ck_hv_ok(hv_segment_header_check(&m.header, &err));
}
END_TEST

/* ---- spellings ---- */

static void
write_example(int owner, hv_buf *text)
{
    model_header m;

    fill_example(&m, owner);
    hv_segment_header_write(&m.header, text);
}

/* The example with the first `from` replaced by `to`. */
static hv_rc
parse_changed(const char *from, const char *to, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM), changed = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    write_example(OWNER_A, &text);
    const char *at = strstr(text.data, from);
    ck_assert_msg(at != NULL, "the example has no '%s': %s", from, text.data);
    hv_buf_put(&changed, text.data, (size_t)(at - text.data));
    hv_buf_put_text(&changed, to);
    hv_buf_put_text(&changed, at + strlen(from));
    hv_rc rc = hv_segment_header_parse(hv_buf_slice(&changed), HV_CODEC_NULL, &got, err);
    ck_assert(rc == HV_OK || got == NULL);
    return rc;
}

static const struct change_row {
    const char *from, *to;
} changes[] = {
    {"{", "[" },
    {"{", " {"},
    {"\"format\":1", "\"format\":0"},
    {"\"format\":1", "\"format\":-1"},
    {"\"format\":1", "\"format\":01"},
    {"\"format\":1", "\"format\":1.0"},
    {"\"format\":1", "\"format\":1e0"},
    {"\"format\":1", "\"format\":\"1\""},
    {"\"format\":1", "\"format\":true"},
    {"\"format\":1", "\"format\": 1"},
    {"\"format\":1,", "\"format\":1,\"format\":1,"},
    {"\"format\":1,", ""},
    {"\"vault\"", "\"Vault\""},
    {"\"vault\":\"", "\"vault\":\"x"},
    {TEST_VAULT, ""},
    {"\"hub\":\"orders\"", "\"hub\":null"},
    {"\"hub\":\"orders\"", "\"hub\":\"\""},
    {"\"hub\":\"orders\"", "\"hub\":\"orders\\u0000\""},
    {"\"hub\":\"orders\"", "\"hub\":\"order\\u0073\""},
    {"\"hub\":\"orders\"", "\"hub\":\"or\xc3\xa4rs\""},
    {"\"hub\":\"orders\",", "\"hub\":\"orders\",\"extra\":1,"},
    {"\"incarnation\":1", "\"incarnation\":0"},
    {"\"incarnation\":1", "\"incarnation\":4294967296"},
    {"\"partition\":0", "\"partition\":-1"},
    {"\"partition\":0", "\"partition\":-0"},
    {"\"partition\":0", "\"partition\":2147483648"},
    {"\"class\":\"a-class\"", "\"class\":\"A-class\""},
    {"\"class\":\"a-class\"", "\"class\":\"b\""},
    {"\"policy\":", "\"policy\":0"},
    {"\"policy\":", "\"policy\":nul"},
    {"\"created\":-1", "\"created\":-9223372036854775809"},
    {"\"created\":-1", "\"created\":9223372036854775808"},
    {"\"created\":-1", "\"created\":99999999999999999999"},
    {"\"created\":-1", "\"created\":null"},
    {"\"cut\":[10,21]", "\"cut\":[10]"},
    {"\"cut\":[10,21]", "\"cut\":[10,21,0]"},
    {"\"cut\":[10,21]", "\"cut\":[21,10]"},
    {"\"cut\":[10,21]", "\"cut\":[-10,21]"},
    {"\"cut\":[10,21]", "\"cut\":\"10-21\""},
    {"\"cut\":[10,21]", "\"cut\":[10, 21]"},
    {"\"classes\":[", "\"classes\":[,"},
    {"\"classes\":[[", "\"classes\":[[["},
    {"\"classes\":[[\"a-class\",[[16,19]]],[\"b\",[[19,20]]]]", "\"classes\":null"},
    {"\"classes\":[[\"a-class\",[[16,19]]],[\"b\",[[19,20]]]]", "\"classes\":[]"},
    {"\"classes\":[[\"a-class\",[[16,19]]],[\"b\",[[19,20]]]]", "\"classes\":[[\"b\",[[19,20]]],[\"a-class\",[[16,19]]]]"},
    {"[\"b\",[[19,20]]]", "[\"b\",[]]"},
    {"[\"b\",[[19,20]]]", "[\"b\"]"},
    {"[\"b\",[[19,20]]]", "[\"b\",[[19,20]]],"},
    {"[14,16,\"retention\"]", "[14,16]"},
    {"[14,16,\"retention\"]", "[14,16,\"boredom\"]"},
    {"[14,16,\"retention\"]", "[14,16,\"Retention\"]"},
    {"[14,16,\"retention\"]", "[14,16,0]"},
    {"[14,16,\"retention\"]", "[14,15,\"retention\"],[15,16,\"retention\"]"},
    {"\"lead\":\"ab", "\"lead\":\"AB"},
    {"\"lead\":\"ab", "\"lead\":\"b"},
    {"\"lead\":\"ab", "\"lead\":\"aba"},
    {"\"lead\":\"ab", "\"lead\":\"gb"},
    {"\"lead\":\"abababababababababababababababababababababababababababababababab\"", "\"lead\":null"},
    {"\"missing\":[[17,18,\"retention\"]]", "\"missing\":[]"},
    {"\"missing\":[[17,18,\"retention\"]]", "\"missing\":[[17,18,\"retention\"]"},
    {"\"schemas\":[", "\"schemas\":[,"},
    {"\"schemas\":[", "\"schemas\":[null,"},
    {"\"schemas\":[", "\"schemas\":[1,"},
    {"\"count\":2", "\"count\":3"},
    {"\"count\":2", "\"count\":-2"},
    {"\"min_timestamp\":", "\"min_timestamp\":1"},
    {"\"merkle_root\":\"", "\"merkle_root\":\"0"},
    {"\"blocks_bytes\":", "\"blocks_bytes\":1"},
    {"\"blocks\":[[0,", "\"blocks\":[[1,"},
    {"\"blocks\":[[0,", "\"blocks\":[[-0,"},
    {"\"blocks\":[[0,", "\"blocks\":[[18446744073709551616,"},
    {"\"blocks\":[[0,", "\"blocks\":[[0,0,"},
    {"\"blocks\":[", "\"blocks\":{"},
    {"]}", "]},"},
    {"]}", "]} "},
    {"]}", "]}{}"},
    {"]}", "]"},
    {"]}", ",\"more\":1}"},
};

START_TEST(a_header_with_one_spot_changed_is_corrupt_and_says_where)
{
    hv_err err;

    ck_hv_ok(parse_changed("\"hub\"", "\"hub\"", &err));
    hv_rc rc = parse_changed(changes[_i].from, changes[_i].to, &err);
    ck_assert_msg(rc == HV_CORRUPT, "%s -> %s: %s", changes[_i].from, changes[_i].to, hv_rc_name(rc));
    ck_assert_ptr_nonnull(strstr(err.msg, "segment header"));
    ck_assert_ptr_null(strchr(err.msg, '\n'));
}
END_TEST

START_TEST(a_null_in_place_of_the_merkle_root_or_of_a_block_hash_is_corrupt)
{
    hv_err err;
    model_header m;
    char text[HV_SHA256_TEXT_SIZE], quoted[HV_SHA256_TEXT_SIZE + 2];

    fill_example(&m, OWNER_A);
    hv_sha256_text(m.header.merkle_root, text);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", text);
    ck_hv_fails(HV_CORRUPT, parse_changed(quoted, "null", &err));
    hv_sha256_text(m.blocks[0].sha256, text);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", text);
    ck_hv_fails(HV_CORRUPT, parse_changed(quoted, "null", &err));
}
END_TEST

START_TEST(a_header_of_a_newer_format_is_a_version_error_whatever_else_it_says)
{
    hv_err err;
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    ck_hv_fails(HV_VERSION, parse_changed("\"format\":1", "\"format\":2", &err));
    ck_hv_fails(HV_VERSION, hv_segment_header_parse(hv_slice_text("{\"format\":9000000000,\"whatever"), HV_CODEC_NULL, &got, &err));
    ck_hv_fails(HV_VERSION, hv_segment_format_check(hv_slice_text("{\"format\":2}"), &err));
    ck_hv_fails(HV_CORRUPT, hv_segment_format_check(hv_slice_text("{\"formal\":2}"), &err));
    ck_hv_ok(hv_segment_format_check(hv_slice_text("{\"format\":1,"), &err));
}
END_TEST

START_TEST(a_header_cut_off_at_any_byte_is_corrupt)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    write_example(OWNER_A, &text);
    for (size_t len = 0; len < text.len; len++) {
        char *cut = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, text.data, len);
        ck_hv_fails(HV_CORRUPT, hv_segment_header_parse(hv_slice_of(cut, len), HV_CODEC_NULL, &got, &err));
        ck_assert_ptr_null(got);
        free(cut);
    }
}
END_TEST

START_TEST(more_elements_than_allowed_are_corrupt_when_the_limit_is_reached)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(64 << 20), head = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    write_example(OWNER_LEAD, &head);
    hv_buf_put(&text, head.data, (size_t)(strstr(head.data, "\"classes\":[") - head.data));
    hv_buf_put_text(&text, "\"classes\":[");
    for (int i = 0; i <= HV_SEGMENT_MAX_CLASSES; i++)
        hv_buf_printf(&text, "%s[\"c\",[[%d,%d]]]", i == 0 ? "" : ",", i, i + 1);
    ck_hv_fails(HV_CORRUPT, hv_segment_header_parse(hv_buf_slice(&text), HV_CODEC_NULL, &got, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "no more elements"));
}
END_TEST

START_TEST(the_most_negative_and_most_positive_numbers_come_back)
{
    hv_err err;
    model_header m;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;
    cut_model cut = {.first = INT64_MAX - 2, .len = 2};
    test_random random = test_random_make(27);

    ck_assert(model_header_fill(&m, &cut, OWNER_LEAD, &random));
    m.header.created_ms = m.header.min_timestamp_ms = m.blocks[0].min_timestamp_ms = INT64_MIN;
    m.header.max_timestamp_ms = m.blocks[0].max_timestamp_ms = INT64_MAX;
    m.header.partition.incarnation = UINT32_MAX;
    m.header.partition.number = INT32_MAX;
    hv_segment_header_write(&m.header, &text);
    ck_hv_ok(hv_segment_header_parse(hv_buf_slice(&text), HV_CODEC_NULL, &got, &err));
    ck_assert_int_eq(got->created_ms, INT64_MIN);
    ck_assert_int_eq(got->max_timestamp_ms, INT64_MAX);
    ck_assert_int_eq(got->cut.end, INT64_MAX);
    ck_assert_uint_eq(got->partition.incarnation, UINT32_MAX);
}
END_TEST

/* ---- Merkle tree ---- */

/* RFC 6962 section 2.1 as it is written there. */
static void
merkle_by_definition(unsigned char (*leaves)[HV_SHA256_SIZE], size_t count, unsigned char ret[HV_SHA256_SIZE])
{
    unsigned char prefix = count == 1 ? 0 : 1, left[HV_SHA256_SIZE], right[HV_SHA256_SIZE];
    size_t k = 1;

    if (count <= 1) {
        hv_slice parts[] = {hv_slice_of(&prefix, 1), hv_slice_of(leaves[0], HV_SHA256_SIZE)};
        hv_sha256(parts, count == 0 ? 0 : 2, ret);
        return;
    }
    while (2 * k < count)
        k *= 2;
    merkle_by_definition(leaves, k, left);
    merkle_by_definition(leaves + k, count - k, right);
    hv_slice parts[] = {hv_slice_of(&prefix, 1), hv_slice_of(left, sizeof left), hv_slice_of(right, sizeof right)};
    hv_sha256(parts, 3, ret);
}

START_TEST(the_merkle_root_is_that_of_rfc_6962_for_every_small_number_of_blocks)
{
    enum { LEAVES = 130 };
    unsigned char leaves[LEAVES][HV_SHA256_SIZE], work[LEAVES][HV_SHA256_SIZE], expected[HV_SHA256_SIZE], got[HV_SHA256_SIZE];

    for (size_t i = 0; i < LEAVES; i++) {
        hv_slice data = hv_slice_of(&i, sizeof i);
        hv_sha256(&data, 1, leaves[i]);
    }
    for (size_t count = 0; count <= LEAVES; count++) {
        memcpy(work, leaves, sizeof work);
        merkle_by_definition(leaves, count, expected);
        hv_merkle_root(work, count, got);
        ck_assert_msg(memcmp(expected, got, sizeof got) == 0, "%zu leaves", count);
    }
}
END_TEST

START_TEST(the_merkle_root_of_nothing_is_the_hash_of_nothing)
{
    unsigned char root[HV_SHA256_SIZE];
    char text[HV_SHA256_TEXT_SIZE];

    hv_merkle_root(NULL, 0, root);
    hv_sha256_text(root, text);
    ck_assert_str_eq(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(codecs_have_the_names_of_the_avro_specification)
{
    hv_codec codec;

    ck_assert(hv_codec_parse("zstandard", &codec) && codec == HV_CODEC_ZSTANDARD);
    ck_assert(hv_codec_parse("deflate", &codec) && codec == HV_CODEC_DEFLATE);
    ck_assert(hv_codec_parse("null", &codec) && codec == HV_CODEC_NULL);
    ck_assert(!hv_codec_parse("snappy", &codec) && !hv_codec_parse("", &codec) && !hv_codec_parse("Null", &codec));
    ck_assert_str_eq(hv_codec_name(HV_CODEC_ZSTANDARD), "zstandard");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("segment header");
    tcase_add_test(tests, headers_of_random_cuts_are_possible_and_come_back_through_text_that_any_json_reader_understands);
    tcase_add_test(tests, a_lead_with_any_one_boundary_moved_is_impossible);
    tcase_add_test(tests, a_block_table_with_any_one_number_changed_is_impossible);
    tcase_add_test(tests, facts_that_contradict_each_other_are_impossible);
    tcase_add_test(tests, adjacent_gaps_of_one_cause_and_adjacent_ranges_of_one_class_have_one_spelling_only);
    tcase_add_test(tests, a_sibling_with_nothing_left_and_a_lead_that_only_declares_a_gap_are_possible);
    tcase_add_loop_test(tests, a_header_with_one_spot_changed_is_corrupt_and_says_where, 0, (int)(sizeof changes / sizeof changes[0]));
    tcase_add_test(tests, a_null_in_place_of_the_merkle_root_or_of_a_block_hash_is_corrupt);
    tcase_add_test(tests, a_header_of_a_newer_format_is_a_version_error_whatever_else_it_says);
    tcase_add_test(tests, a_header_cut_off_at_any_byte_is_corrupt);
    tcase_add_test(tests, more_elements_than_allowed_are_corrupt_when_the_limit_is_reached);
    tcase_add_test(tests, the_most_negative_and_most_positive_numbers_come_back);
    tcase_add_test(tests, the_merkle_root_is_that_of_rfc_6962_for_every_small_number_of_blocks);
    tcase_add_test(tests, the_merkle_root_of_nothing_is_the_hash_of_nothing);
    tcase_add_test(tests, codecs_have_the_names_of_the_avro_specification);
    return ck_hv_run("segment header", tests);
}
