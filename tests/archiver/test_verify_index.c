/* An index that does not agree with the store. */
#include "segment/names.h"
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
    return ck_hv_run("verify index", tests);
}
