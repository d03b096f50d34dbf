/* The marker of the vault, and the records of incarnations. */
#include "segment/names.h"
#include "segment/vault_marker.h"
#include "tests/archiver/verify_checks.h"

static vault_maker maker;

static void
setup(void)
{
    maker_setup(&maker, false);
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

START_TEST(a_missing_or_damaged_marker_is_found)
{
    make_three_cuts(&maker);
    maker_flip(&maker, "vault.json", 3);
    ck_finds(&maker, HV_FINDING_DAMAGED_MARKER, "vault.json");
    maker_drop(&maker, "vault.json");
    ck_finds(&maker, HV_FINDING_MISSING_MARKER, "vault.json");
}
END_TEST

START_TEST(a_readable_marker_with_other_bytes_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_vault_marker marker = {.vault = MAKER_VAULT, .created_ms = 17};

    hv_vault_marker_write(&marker, &json);
    maker_replace(&maker, "vault.json", hv_buf_slice(&json), NULL);
    ck_finds(&maker, HV_FINDING_WRONG_HASH, "vault.json");
}
END_TEST

START_TEST(the_marker_of_another_vault_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_vault_marker marker = {.vault = MAKER_OTHER_VAULT, .created_ms = 17};

    hv_vault_marker_write(&marker, &json);
    maker_replace(&maker, "vault.json", hv_buf_slice(&json), NULL);
    ck_finds(&maker, HV_FINDING_OTHER_VAULT, "vault.json");
}
END_TEST

START_TEST(a_marker_of_a_later_version_is_found)
{
    maker_replace(&maker, "vault.json", hv_slice_text("{\"format\":2}\n"), NULL);
    ck_finds(&maker, HV_FINDING_UNKNOWN_VERSION, "vault.json");
}
END_TEST

START_TEST(a_missing_incarnation_record_is_found)
{
    make_three_cuts(&maker);
    maker.index_too = false;            /* so that the index knows no more than the store */
    maker_drop(&maker, record_of(1));
    hv_index_close(maker.index);
    maker.index = NULL;
    ck_finds(&maker, HV_FINDING_MISSING_INCARNATION, record_of(1));
}
END_TEST

START_TEST(a_missing_incarnation_between_others_is_found)
{
    maker.index_too = false;
    maker_claim(&maker, "orders", 1);
    maker_claim(&maker, "orders", 2);
    maker_claim(&maker, "orders", 5);
    maker_claim(&maker, "orders", 10);
    hv_index_close(maker.index);
    maker.index = NULL;
    maker_claim(&maker, "orders", 3);
    maker_claim(&maker, "orders", 4);
    maker_claim(&maker, "orders", 6);
    maker_claim(&maker, "orders", 7);
    ck_finds(&maker, HV_FINDING_MISSING_INCARNATION, record_of(8));
}
END_TEST

START_TEST(a_damaged_incarnation_record_is_found)
{
    make_three_cuts(&maker);
    maker_flip(&maker, record_of(1), 20);
    ck_finds(&maker, HV_FINDING_DAMAGED_INCARNATION, record_of(1));
}
END_TEST

START_TEST(an_incarnation_record_that_was_changed_readably_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);

    make_three_cuts(&maker);
    maker_read(&maker, record_of(1), &json);
    char *digit = strstr(json.data, "created\":17");
    ck_assert_ptr_nonnull(digit);
    digit[10] = '8';
    maker_replace(&maker, record_of(1), hv_buf_slice(&json), NULL);
    ck_finds(&maker, HV_FINDING_WRONG_HASH, record_of(1));
    maker_replace(&maker, record_of(1), hv_buf_slice(&json), &(hv_blob_attributes){.has_sha256 = false});
    ck_finds(&maker, HV_FINDING_INDEX_INCARNATION, record_of(1));
}
END_TEST

START_TEST(swapped_incarnation_records_are_found)
{
    hv_verify_facts facts;
    hv_err err;

    maker_claim(&maker, "orders", 1);
    maker_claim(&maker, "orders", 2);
    maker_swap(&maker, "segments/hub=orders/incarnation=1/incarnation.json", "segments/hub=orders/incarnation=2/incarnation.json");
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_int_eq(facts.findings, 2);
    ck_assert_int_eq(facts.by_kind[HV_FINDING_WRONG_PLACE], 2);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify records");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_missing_or_damaged_marker_is_found);
    tcase_add_test(tests, a_readable_marker_with_other_bytes_is_found);
    tcase_add_test(tests, the_marker_of_another_vault_is_found);
    tcase_add_test(tests, a_marker_of_a_later_version_is_found);
    tcase_add_test(tests, a_missing_incarnation_record_is_found);
    tcase_add_test(tests, a_missing_incarnation_between_others_is_found);
    tcase_add_test(tests, a_damaged_incarnation_record_is_found);
    tcase_add_test(tests, an_incarnation_record_that_was_changed_readably_is_found);
    tcase_add_test(tests, swapped_incarnation_records_are_found);
    return ck_hv_run("verify records", tests);
}
