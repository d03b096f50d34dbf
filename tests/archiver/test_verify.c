/* Verification: a clean vault has no finding, and every kind of damage has exactly its own. */
#include <stdio.h>

#include "segment/names.h"
#include "segment/segment_file.h"
#include "tests/archiver/verify_checks.h"

static vault_maker maker;
static hv_partition orders0;

static void
setup(void)
{
    maker_setup(&maker, false);
    orders0 = maker_partition("orders", 1, 0);
}

static void
setup_folder(void)
{
    maker_setup(&maker, true);
    orders0 = maker_partition("orders", 1, 0);
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

/* Where the blocks of a stored segment begin. */
static hv_segment_front
front_of(const char *name)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_segment_front front = {0};
    size_t needed;
    hv_err err;

    maker_read(&maker, name, &bytes);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
    return front;
}

/* ---- clean vaults ---- */

START_TEST(a_rich_vault_is_clean_and_everything_in_it_is_counted)
{
    hv_verify_facts facts, quick;

    maker_rich_vault(&maker);
    ck_clean(&maker, false, &facts);
    ck_assert_int_eq(facts.hubs, 3);
    ck_assert_int_eq(facts.incarnations, 4);
    ck_assert_int_eq(facts.partitions, 7);
    ck_assert_int_eq(facts.cuts, 19);
    ck_assert_int_eq(facts.incomplete, 1);
    ck_assert_int_eq(facts.unhashed, 0);
    ck_assert_int_gt(facts.blocks, 50);
    ck_assert_int_gt(facts.events, 500);
    ck_clean(&maker, true, &quick);
    ck_assert_int_eq(quick.segments, facts.segments);
    ck_assert_int_eq(quick.blocks, facts.blocks);
    ck_assert_int_eq(quick.events, facts.events);
    ck_assert_uint_eq(quick.bytes, facts.bytes);
}
END_TEST

START_TEST(an_empty_vault_is_clean)
{
    hv_verify_facts facts;

    ck_clean(&maker, false, &facts);
    ck_assert_int_eq(facts.cuts, 0);
}
END_TEST

START_TEST(one_hub_can_be_verified_alone_and_one_that_does_not_exist_is_not_found)
{
    hv_verify_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = maker.index, .hub = "orders", .report = tell_finding};
    hv_verify_facts facts;
    hv_err err;

    maker_rich_vault(&maker);
    maker_put(&maker, "segments/hub=orders-pay/notes", "x");
    ck_hv_ok(hv_verify(&config, &facts, &err));
    ck_assert_int_eq(facts.hubs, 1);
    ck_assert_int_eq(facts.partitions, 3);
    config.hub = "order";
    ck_hv_fails(HV_NOT_FOUND, hv_verify(&config, &facts, &err));
}
END_TEST

START_TEST(findings_come_in_the_same_order_whatever_the_threads_do)
{
    char first[sizeof told.all];
    hv_verify_facts facts;
    hv_err err;

    make_three_cuts(&maker);
    maker_put(&maker, "segments/hub=orders/zzz", "x");
    maker_put(&maker, "notes", "x");
    HV_AUTO(hv_segment_front_free) hv_segment_front front = front_of(lead_at(6));
    maker_flip(&maker, lead_at(6), front.data_start + 9);
    maker_drop(&maker, sibling_at(0));
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_int_eq(told.count, 4);
    memcpy(first, told.all, sizeof first);
    for (int i = 0; i < 20; i++) {
        ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
        ck_assert_str_eq(told.all, first);
    }
}
END_TEST

/* ---- names ---- */

START_TEST(a_foreign_name_is_found_wherever_it_lies)
{
    static const char *const names[] = {
        "notes",
        "segments/notes",
        "segments/hub=orders/incarnation=1/partition=0/00000000000000000006.avro.tmp",
        "segments/hub=orders/incarnation=1/partition=0/00000000000000000006.TMP",
        "segments/hub=orders/incarnation=1/partition=0/6.avro",
        "segments/hub=orders/incarnation=1/partition=0/x.avro",
        "segments/hub=orders/incarnation=01/partition=0/00000000000000000006.avro",
        "segments/hub=orders/incarnation=1/partition=0/00000000000000000003.x.y.avro",
        "ledger",
        "ledgers/00",
    };

    make_three_cuts(&maker);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        maker_put(&maker, names[i], "x");
        ck_finds(&maker, HV_FINDING_FOREIGN_NAME, names[i]);
        maker_drop(&maker, names[i]);
    }
}
END_TEST

START_TEST(blobs_in_areas_of_other_formats_are_counted_and_not_judged)
{
    hv_verify_facts facts;

    make_three_cuts(&maker);
    maker_put(&maker, "keys/a", "x");
    maker_put(&maker, "ledger/tile/0/000", "x");
    maker_put(&maker, "policies/b", "x");
    maker_put(&maker, "schemas/c", "x");
    ck_clean(&maker, false, &facts);
    ck_assert_int_eq(facts.unchecked, 4);
}
END_TEST

/* ---- one segment ---- */

START_TEST(a_flipped_bit_anywhere_in_the_front_is_found)
{
    make_three_cuts(&maker);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = front_of(lead_at(6));
    for (uint64_t at = 0; at < front.data_start; at++) {
        hv_verify_facts facts;
        hv_err err;
        maker_flip(&maker, lead_at(6), at);
        ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
        ck_assert_msg(told.count == 1 && (told.last.kind == HV_FINDING_DAMAGED_FRONT || told.last.kind == HV_FINDING_UNKNOWN_VERSION),
                      "byte %d:%s", (int)at, told.all);
        ck_assert_str_eq(told.last.blob, lead_at(6));
        maker_flip(&maker, lead_at(6), at);
    }
}
END_TEST

START_TEST(a_flipped_bit_anywhere_in_a_block_is_found_with_its_position)
{
    make_three_cuts(&maker);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = front_of(lead_at(6));
    for (uint64_t at = 0; at < front.header->blocks_bytes; at++) {
        maker_flip(&maker, lead_at(6), front.data_start + at);
        ck_one(&maker, false, HV_FINDING_DAMAGED_BLOCK, lead_at(6));
        ck_assert_int_eq(told.last.position, (int64_t)front.data_start);
        ck_assert_int_eq(told.last.offset, 6);
        maker_flip(&maker, lead_at(6), front.data_start + at);
    }
}
END_TEST

START_TEST(each_damaged_block_is_found_and_the_others_are_still_checked)
{
    hv_verify_facts facts;
    hv_err err;

    maker_claim(&maker, "orders", 1);
    maker_plain_cut(&maker, &orders0, 0, 200);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = front_of(lead_at(0));
    size_t last = front.header->block_count - 1;
    ck_assert_uint_gt(last, 10);
    maker_flip(&maker, lead_at(0), front.data_start + front.header->blocks[3].position + 5);
    maker_flip(&maker, lead_at(0), front.data_start + front.header->blocks[last].position + 5);
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_int_eq(facts.by_kind[HV_FINDING_DAMAGED_BLOCK], 2);
    ck_assert_int_eq(facts.findings, 2);
    ck_assert_int_eq(told.last.offset, front.header->blocks[last].first_offset);
    ck_assert_int_eq(facts.blocks, (int64_t)last + 1);
}
END_TEST

START_TEST(more_findings_than_are_kept_of_one_cut_are_counted)
{
    enum { EVENTS = HV_FINDINGS_KEPT + 76 };
    hv_verify_facts facts;
    hv_err err;

    maker.block_bytes = 1;
    maker_claim(&maker, "orders", 1);
    maker_plain_cut(&maker, &orders0, 0, EVENTS);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = front_of(lead_at(0));
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(8 << 20);
    ck_assert_uint_eq(front.header->block_count, EVENTS);
    maker_read(&maker, lead_at(0), &bytes);
    for (size_t b = 0; b < front.header->block_count; b++)
        bytes.data[front.data_start + front.header->blocks[b].position + 5] ^= 1;
    maker_replace(&maker, lead_at(0), hv_buf_slice(&bytes), NULL);
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_int_eq(told.count, HV_FINDINGS_KEPT);
    ck_assert_int_eq(facts.findings, EVENTS);
    ck_assert_int_eq(facts.by_kind[HV_FINDING_DAMAGED_BLOCK], EVENTS);
    ck_assert_int_eq(facts.unreported, 76);
}
END_TEST

START_TEST(a_truncated_segment_is_found_wherever_it_ends)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);

    make_three_cuts(&maker);
    maker_read(&maker, lead_at(6), &bytes);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = front_of(lead_at(6));
    for (size_t len = 0; len < bytes.len; len += len < front.data_start ? 97 : 7) {
        maker_replace(&maker, lead_at(6), hv_slice_of(bytes.data, len), NULL);
        ck_finds(&maker, len < front.data_start ? HV_FINDING_DAMAGED_FRONT : HV_FINDING_WRONG_SIZE, lead_at(6));
    }
}
END_TEST

START_TEST(bytes_behind_the_end_are_found)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(16 << 20);

    make_three_cuts(&maker);
    maker_read(&maker, sibling_at(12), &bytes);
    for (size_t more = 1; more < (8 << 20); more *= 2500) {
        char size[32];
        while (more > bytes.len)
            hv_buf_put_text(&bytes, "garbage that nobody promised");
        hv_buf_put_text(&bytes, "x");
        maker_replace(&maker, sibling_at(12), hv_buf_slice(&bytes), NULL);
        (void)snprintf(size, sizeof size, "%zu", bytes.len);
        for (int quick = 0; quick <= 1; quick++) {
            ck_one(&maker, quick == 1, HV_FINDING_WRONG_SIZE, sibling_at(12));
            ck_assert_str_eq(told.last.found, size);
        }
    }
}
END_TEST

START_TEST(a_wrong_hash_in_the_attributes_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_blob_attributes attributes = {.has_sha256 = true, .sha256 = {1}};

    make_three_cuts(&maker);
    maker_read(&maker, sibling_at(12), &bytes);
    maker_replace(&maker, sibling_at(12), hv_buf_slice(&bytes), &attributes);
    ck_one(&maker, false, HV_FINDING_WRONG_HASH, sibling_at(12));
    ck_one(&maker, true, HV_FINDING_INDEX_OTHER_FACTS, lead_at(12));    /* headers alone cannot tell which of the two is right */
}
END_TEST

START_TEST(a_segment_without_attributes_is_verified_by_index_and_header)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_verify_facts facts;

    make_three_cuts(&maker);
    maker_read(&maker, lead_at(6), &bytes);
    maker_replace(&maker, lead_at(6), hv_buf_slice(&bytes), &(hv_blob_attributes){.has_sha256 = false});
    ck_clean(&maker, false, &facts);
    ck_assert_int_eq(facts.unhashed, 1);
    ck_clean(&maker, true, &facts);
    ck_assert_int_eq(facts.unhashed, 1);
}
END_TEST

START_TEST(a_segment_of_another_vault_is_found)
{
    make_three_cuts(&maker);
    maker_drop(&maker, sibling_at(12));
    maker_drop(&maker, lead_at(12));
    maker.vault = MAKER_OTHER_VAULT;
    maker.index_too = false;
    maker_plain_cut(&maker, &orders0, 12, 6);
    ck_finds(&maker, HV_FINDING_OTHER_VAULT, lead_at(12));
}
END_TEST

START_TEST(swapped_segments_are_found_both)
{
    hv_blob_name one = hv_name_of_lead(&orders0, 0), other = hv_name_of_lead(&orders0, 6);
    hv_verify_facts facts;
    hv_err err;

    make_three_cuts(&maker);
    maker_swap(&maker, one.text, other.text);
    for (int quick = 0; quick <= 1; quick++) {
        ck_hv_fails(HV_GAP, verify_vault(&maker, quick == 1, &facts, &err));
        ck_assert_msg(told.count == 2 && facts.by_kind[HV_FINDING_WRONG_PLACE] == 2, "%s", told.all);
    }
}
END_TEST

START_TEST(a_lead_and_its_sibling_that_changed_places_are_found_both)
{
    hv_verify_facts facts;
    hv_err err;

    make_three_cuts(&maker);
    maker_swap(&maker, lead_at(6), sibling_at(6));
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_msg(told.count == 2 && facts.by_kind[HV_FINDING_WRONG_PLACE] == 2, "%s", told.all);
}
END_TEST

/* ---- cuts ---- */

START_TEST(a_missing_lead_is_found_and_the_chain_is_followed_by_what_its_sibling_says)
{
    make_three_cuts(&maker);
    maker_drop(&maker, lead_at(6));
    ck_finds(&maker, HV_FINDING_MISSING_LEAD, lead_at(6));
    ck_assert_int_eq(told.last.offset, 6);
}
END_TEST

START_TEST(a_missing_sibling_of_a_middle_cut_is_found)
{
    make_three_cuts(&maker);
    maker_drop(&maker, sibling_at(6));
    ck_finds(&maker, HV_FINDING_MISSING_SIBLING, sibling_at(6));
}
END_TEST

START_TEST(a_missing_sibling_of_the_last_cut_is_found_only_if_the_index_has_the_cut)
{
    hv_verify_facts facts;
    hv_err err;
    hv_verify_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .report = tell_finding};

    make_three_cuts(&maker);
    maker_drop(&maker, sibling_at(12));
    ck_finds(&maker, HV_FINDING_MISSING_SIBLING, sibling_at(12));
    ck_hv_ok(hv_verify(&config, &facts, &err));
    ck_assert_int_eq(facts.incomplete, 1);
}
END_TEST

START_TEST(a_sibling_that_the_lead_does_not_promise_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_blob_name blue = hv_name_of_sibling(&orders0, 18, "blue");

    make_three_cuts(&maker);
    maker_cut(&maker, &orders0, 18, "ddbbdd");
    maker_read(&maker, blue.text, &bytes);
    maker_drop(&maker, blue.text);
    maker_drop(&maker, lead_at(18));
    maker.index_too = false;
    maker_cut(&maker, &orders0, 18, "dddddd");
    hv_slice part = hv_buf_slice(&bytes);
    hv_err err;
    ck_hv_ok(maker.storage->ops->put_new(maker.storage, blue.text, &part, 1, &(hv_blob_attributes){.has_sha256 = false}, &err));
    ck_finds(&maker, HV_FINDING_UNPROMISED_SIBLING, blue.text);
}
END_TEST

START_TEST(more_siblings_than_a_cut_can_have_are_found)
{
    hv_verify_facts facts;
    char name[600];
    hv_err err;

    make_three_cuts(&maker);
    for (int i = 0; i <= HV_SEGMENT_MAX_CLASSES; i++) {
        (void)snprintf(name, sizeof name, "segments/hub=orders/incarnation=1/partition=0/00000000000000000006.c%03d.avro", i);
        maker_put(&maker, name, "x");
    }
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_int_ge(facts.by_kind[HV_FINDING_UNPROMISED_SIBLING], HV_SEGMENT_MAX_CLASSES);
    ck_assert_int_eq(facts.findings, facts.by_kind[HV_FINDING_UNPROMISED_SIBLING]);
}
END_TEST

/* The sibling of one cut beside the lead of another one of the same range. */
static void
mix_cuts(const char *lead, const char *sibling)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);

    maker.index_too = false;
    maker_cut(&maker, &orders0, 18, sibling);
    maker_read(&maker, sibling_at(18), &bytes);
    maker_drop(&maker, lead_at(18));
    maker_drop(&maker, sibling_at(18));
    maker_cut(&maker, &orders0, 18, lead);
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_slice part = hv_buf_slice(&bytes);
    hv_sha256(&part, 1, attributes.sha256);
    maker_replace(&maker, sibling_at(18), part, &attributes);
}

START_TEST(a_sibling_of_another_cut_is_found)
{
    make_three_cuts(&maker);
    mix_cuts("ddrrdd", "dddrrd");
    ck_finds(&maker, HV_FINDING_OTHER_CUT, sibling_at(18));
}
END_TEST

START_TEST(a_sibling_of_a_lead_with_other_bytes_is_found)
{
    make_three_cuts(&maker);
    mix_cuts("ddrrdd", "ddrrdd");
    ck_finds(&maker, HV_FINDING_OTHER_LEAD, sibling_at(18));
}
END_TEST

/* ---- the chain ---- */

START_TEST(a_hole_is_found)
{
    make_three_cuts(&maker);
    maker_drop(&maker, lead_at(6));
    maker_drop(&maker, sibling_at(6));
    ck_finds(&maker, HV_FINDING_HOLE, lead_at(12));
    ck_assert_int_eq(told.last.offset, 6);
}
END_TEST

START_TEST(a_chain_that_does_not_begin_at_zero_is_found)
{
    make_three_cuts(&maker);
    maker_drop(&maker, lead_at(0));
    maker_drop(&maker, sibling_at(0));
    ck_finds(&maker, HV_FINDING_HOLE, lead_at(6));
    ck_assert_int_eq(told.last.offset, 0);
}
END_TEST

START_TEST(an_overlapping_cut_is_found_once_wherever_it_ends)
{
    static const char *const texts[] = {"dd", "ddd", "ddddddd"};

    make_three_cuts(&maker);
    maker.index_too = false;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        maker_cut(&maker, &orders0, 9, texts[i]);
        ck_finds(&maker, HV_FINDING_OVERLAP, lead_at(9));
        maker_drop(&maker, lead_at(9));
    }
}
END_TEST

START_TEST(a_chain_that_goes_on_from_an_overlapping_cut_is_told_of_once)
{
    make_three_cuts(&maker);
    maker.index_too = false;
    maker_drop(&maker, lead_at(12));
    maker_drop(&maker, sibling_at(12));
    maker_cut(&maker, &orders0, 9, "dddddd");
    maker_cut(&maker, &orders0, 15, "ddd");
    hv_index_close(HV_TAKE(maker.index));
    ck_finds(&maker, HV_FINDING_OVERLAP, lead_at(9));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_rich_vault_is_clean_and_everything_in_it_is_counted);
    tcase_add_test(tests, an_empty_vault_is_clean);
    tcase_add_test(tests, one_hub_can_be_verified_alone_and_one_that_does_not_exist_is_not_found);
    tcase_add_test(tests, findings_come_in_the_same_order_whatever_the_threads_do);
    tcase_add_test(tests, a_foreign_name_is_found_wherever_it_lies);
    tcase_add_test(tests, blobs_in_areas_of_other_formats_are_counted_and_not_judged);
    tcase_add_test(tests, a_flipped_bit_anywhere_in_the_front_is_found);
    tcase_add_test(tests, a_flipped_bit_anywhere_in_a_block_is_found_with_its_position);
    tcase_add_test(tests, each_damaged_block_is_found_and_the_others_are_still_checked);
    tcase_add_test(tests, more_findings_than_are_kept_of_one_cut_are_counted);
    tcase_add_test(tests, a_truncated_segment_is_found_wherever_it_ends);
    tcase_add_test(tests, bytes_behind_the_end_are_found);
    tcase_add_test(tests, a_wrong_hash_in_the_attributes_is_found);
    tcase_add_test(tests, a_segment_without_attributes_is_verified_by_index_and_header);
    tcase_add_test(tests, a_segment_of_another_vault_is_found);
    tcase_add_test(tests, swapped_segments_are_found_both);
    tcase_add_test(tests, a_lead_and_its_sibling_that_changed_places_are_found_both);
    tcase_add_test(tests, a_missing_lead_is_found_and_the_chain_is_followed_by_what_its_sibling_says);
    tcase_add_test(tests, a_missing_sibling_of_a_middle_cut_is_found);
    tcase_add_test(tests, a_missing_sibling_of_the_last_cut_is_found_only_if_the_index_has_the_cut);
    tcase_add_test(tests, a_sibling_that_the_lead_does_not_promise_is_found);
    tcase_add_test(tests, more_siblings_than_a_cut_can_have_are_found);
    tcase_add_test(tests, a_sibling_of_another_cut_is_found);
    tcase_add_test(tests, a_sibling_of_a_lead_with_other_bytes_is_found);
    tcase_add_test(tests, a_hole_is_found);
    tcase_add_test(tests, a_chain_that_does_not_begin_at_zero_is_found);
    tcase_add_test(tests, a_chain_that_goes_on_from_an_overlapping_cut_is_told_of_once);
    tcase_add_test(tests, an_overlapping_cut_is_found_once_wherever_it_ends);
    int failed = ck_hv_run("verify", tests);

    TCase *in_folder = tcase_create("folder");
    tcase_add_checked_fixture(in_folder, setup_folder, teardown);
    tcase_add_test(in_folder, a_rich_vault_is_clean_and_everything_in_it_is_counted);
    tcase_add_test(in_folder, each_damaged_block_is_found_and_the_others_are_still_checked);
    tcase_add_test(in_folder, swapped_segments_are_found_both);
    return ck_hv_run("verify in a folder", in_folder) | failed;
}
