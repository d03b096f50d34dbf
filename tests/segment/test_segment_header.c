#include "segment/header.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/header_model.h"

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

START_TEST(headers_of_random_cuts_are_possible_and_know_their_own_offsets)
{
    hv_err err;
    test_random random = test_random_make(21);
    int made[OWNERS] = {0}, siblings_with_missing = 0, of_class_none = 0;

    for (int round = 0; round < 3000; round++) {
        cut_model cut = random_cut(&random);
        for (int owner = OWNER_LEAD; owner <= OWNER_B; owner++) {
            model_header m;
            if (!model_header_fill(&m, &cut, owner, &random))
                continue;
            made[owner]++;
            siblings_with_missing += m.header.missing_count > 0;
            of_class_none += strcmp(m.header.class_name, "none") == 0;
            ck_hv_ok(hv_segment_header_check(&m.header, &err));
            expect_own(&m.header, &cut, owner);
        }
    }
    ck_assert_int_gt(made[OWNER_LEAD], 1000);
    ck_assert_int_gt(made[OWNER_A], 500);
    ck_assert_int_gt(made[OWNER_B], 500);
    ck_assert_int_gt(siblings_with_missing, 100);
    ck_assert_int_gt(of_class_none, 10);
}
END_TEST

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

int
main(void)
{
    TCase *tests = tcase_create("segment header");
    tcase_add_test(tests, headers_of_random_cuts_are_possible_and_know_their_own_offsets);
    tcase_add_test(tests, a_lead_with_any_one_boundary_moved_is_impossible);
    tcase_add_test(tests, a_block_table_with_any_one_number_changed_is_impossible);
    tcase_add_test(tests, facts_that_contradict_each_other_are_impossible);
    tcase_add_test(tests, adjacent_gaps_of_one_cause_and_adjacent_ranges_of_one_class_have_one_spelling_only);
    tcase_add_test(tests, a_sibling_with_nothing_left_and_a_lead_that_only_declares_a_gap_are_possible);
    tcase_add_test(tests, the_merkle_root_is_that_of_rfc_6962_for_every_small_number_of_blocks);
    tcase_add_test(tests, the_merkle_root_of_nothing_is_the_hash_of_nothing);
    return ck_hv_run("segment header", tests);
}
