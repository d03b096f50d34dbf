/* An index that does not agree with the store. */
#include "segment/names.h"
#include "tests/archiver/index_tamper.h"
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
teardown(void)
{
    maker_teardown(&maker);
}

START_TEST(cuts_that_the_index_lacks_are_found)
{
    maker_claim(&maker, "orders", 1);
    maker_cut(&maker, &orders0, 0, "ddrrdd");
    maker.index_too = false;
    maker_cut(&maker, &orders0, 6, "ddrrdd");
    maker_cut(&maker, &orders0, 12, "ddrrdd");
    ck_finds(&maker, HV_FINDING_INDEX_MISSING_CUT, lead_at(6));
    ck_assert_int_eq(told.last.offset, 6);
    maker_lead(&maker, &orders0, 18, "ddrr");       /* which it may lack */
    ck_finds(&maker, HV_FINDING_INDEX_MISSING_CUT, lead_at(6));
}
END_TEST

START_TEST(a_last_cut_that_only_the_index_has_is_found)
{
    make_three_cuts(&maker);
    maker_drop(&maker, lead_at(12));
    maker_drop(&maker, sibling_at(12));
    ck_finds(&maker, HV_FINDING_INDEX_EXTRA_CUT, lead_at(12));
}
END_TEST

START_TEST(a_partition_that_only_the_index_has_is_found)
{
    hv_partition zebra = maker_partition("orders", 1, 7);
    hv_blob_name lead = hv_name_of_lead(&zebra, 0);

    make_three_cuts(&maker);
    maker_plain_cut(&maker, &zebra, 0, 5);
    maker_drop(&maker, lead.text);
    ck_finds(&maker, HV_FINDING_INDEX_EXTRA_CUT, lead.text);
}
END_TEST

START_TEST(an_index_that_knows_a_cut_otherwise_is_found)
{
    make_three_cuts(&maker);
    maker.index_too = false;
    maker_drop(&maker, lead_at(12));
    maker_drop(&maker, sibling_at(12));
    maker_cut(&maker, &orders0, 12, "ddrrdd");      /* same offsets, other bytes: random nonces and sync markers */
    ck_finds(&maker, HV_FINDING_INDEX_OTHER_FACTS, lead_at(12));
    maker_drop(&maker, lead_at(12));
    maker_drop(&maker, sibling_at(12));
    maker_cut(&maker, &orders0, 12, "ddrrddd");
    ck_finds(&maker, HV_FINDING_INDEX_OTHER_FACTS, lead_at(12));
}
END_TEST

START_TEST(an_incarnation_that_only_one_of_them_has_is_found)
{
    make_three_cuts(&maker);
    maker.index_too = false;
    maker_claim(&maker, "orders", 2);
    ck_finds(&maker, HV_FINDING_INDEX_INCARNATION, record_of(2));
    maker_drop(&maker, record_of(2));
    maker.index_too = true;
    maker_claim(&maker, "orders", 2);
    maker_drop(&maker, record_of(2));
    ck_finds(&maker, HV_FINDING_INDEX_INCARNATION, record_of(2));
}
END_TEST

START_TEST(an_index_of_another_vault_is_found)
{
    hv_verify_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = maker.index, .report = tell_finding};
    hv_verify_facts facts;
    hv_err err;

    config.vault = MAKER_OTHER_VAULT;
    told = (told_findings){.count = 0};
    ck_hv_fails(HV_GAP, hv_verify(&config, &facts, &err));
    ck_assert_int_eq(facts.by_kind[HV_FINDING_INDEX_OTHER_VAULT], 1);
    ck_assert_int_eq(facts.by_kind[HV_FINDING_OTHER_VAULT], 1);
}
END_TEST

/* ---- entries that somebody changed, with checksums that are right ---- */

static void
tamper(index_tampering how)
{
    how.partition = orders0;
    index_tamper(maker.index, &how);
}

START_TEST(a_cut_that_is_gone_from_the_middle_of_the_index_is_found)
{
    make_three_cuts(&maker);
    tamper((index_tampering){.db = HV_IX_CUTS, .first = 6});
    ck_finds(&maker, HV_FINDING_INDEX_MISSING_CUT, lead_at(6));
}
END_TEST

static void
one_event_more(hv_buf *value)
{
    HV_AUTO(hv_buf_free) hv_buf changed = HV_BUF_INIT(1 << 20);
    hv_ix_reader reader = {.at = (const unsigned char *)value->data, .left = value->len};
    hv_index_partition_facts facts = {.cuts = 0};
    hv_err err;

    ck_hv_ok(hv_ix_read_facts(&reader, &facts, &err));
    facts.count++;
    hv_ix_write_facts(&changed, &facts);
    hv_buf_clear(value);
    hv_buf_put(value, changed.data, changed.len);
}

START_TEST(sums_of_a_partition_that_do_not_follow_from_its_cuts_are_found)
{
    make_three_cuts(&maker);
    tamper((index_tampering){.db = HV_IX_PARTITIONS, .first = -1, .change = one_event_more});
    ck_finds(&maker, HV_FINDING_INDEX_OTHER_TOTALS, "segments/hub=orders/incarnation=1/partition=0/");
}
END_TEST

START_TEST(sums_of_a_partition_that_are_gone_are_found)
{
    hv_verify_facts facts;
    hv_err err;

    make_three_cuts(&maker);
    tamper((index_tampering){.db = HV_IX_PARTITIONS, .first = -1});
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_msg(told.count == 1 && told.last.kind == HV_FINDING_INDEX_DAMAGED, "%s", told.all);
}
END_TEST

START_TEST(a_damaged_entry_of_the_index_is_found_in_each_of_its_databases)
{
    static const index_tampering damages[] = {
        {.db = HV_IX_CUTS, .first = 6, .damage = true},
        {.db = HV_IX_SEGMENTS, .first = 6, .damage = true},
        {.db = HV_IX_BLOCKS, .first = 6, .damage = true},
        {.db = HV_IX_PARTITIONS, .first = -1, .damage = true},
    };
    hv_verify_facts facts;
    hv_err err;

    make_three_cuts(&maker);
    tamper(damages[_i]);
    for (int quick = 0; quick <= 1; quick++) {
        ck_hv_fails(HV_GAP, verify_vault(&maker, quick == 1, &facts, &err));
        ck_assert_msg(told.count == 1 && told.last.kind == HV_FINDING_INDEX_DAMAGED, "%s:%s", hv_ix_db_name(damages[_i].db), told.all);
    }
}
END_TEST

START_TEST(a_damaged_entry_that_only_lookups_by_time_read_is_found)
{
    make_three_cuts(&maker);
    tamper((index_tampering){.db = HV_IX_TIMES, .first = -1, .damage = true});
    ck_finds(&maker, HV_FINDING_INDEX_DAMAGED, "segments/hub=orders/incarnation=1/partition=0/");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify index");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, cuts_that_the_index_lacks_are_found);
    tcase_add_test(tests, a_last_cut_that_only_the_index_has_is_found);
    tcase_add_test(tests, a_partition_that_only_the_index_has_is_found);
    tcase_add_test(tests, an_index_that_knows_a_cut_otherwise_is_found);
    tcase_add_test(tests, an_incarnation_that_only_one_of_them_has_is_found);
    tcase_add_test(tests, an_index_of_another_vault_is_found);
    tcase_add_test(tests, a_cut_that_is_gone_from_the_middle_of_the_index_is_found);
    tcase_add_test(tests, sums_of_a_partition_that_do_not_follow_from_its_cuts_are_found);
    tcase_add_test(tests, sums_of_a_partition_that_are_gone_are_found);
    tcase_add_loop_test(tests, a_damaged_entry_of_the_index_is_found_in_each_of_its_databases, 0, 4);
    tcase_add_test(tests, a_damaged_entry_that_only_lookups_by_time_read_is_found);
    return ck_hv_run("verify index", tests);
}
