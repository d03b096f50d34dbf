/* An index that does not agree with the store. */
#include "index/index_internal.h"
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

/* ---- entries that somebody changed, with checksums that are right ---- */

typedef struct tampering {
    hv_ix_db db;
    int64_t first;                      /* of the cut whose entry it is; -1: of the partition */
    void (*change)(hv_buf *value);      /* without its checksum; NULL: remove the entry */
    bool damage;                        /* and leave the old checksum */
} tampering;

static hv_rc
tamper_in(hv_ix_txn *txn, void *arg, hv_err *ret_err)
{
    const tampering *t = arg;
    hv_ix_key partition, key;
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cursor = {.mdb = NULL};
    hv_slice stored;
    bool found;
    hv_err err;

    ck_hv_ok(hv_ix_partition_find(txn, &orders0, &found, &partition, &err));
    ck_assert(found);
    key = t->first >= 0 ? hv_ix_key_cut(&partition, (uint64_t)t->first) : partition;
    ck_hv_ok(hv_ix_cursor_open(txn, t->db, &cursor, &err));
    ck_hv_ok(hv_ix_cursor_seek(&cursor, &key, &found, &err));
    ck_assert(found);
    memcpy(key.bytes, cursor.key.data, cursor.key.len);         /* that of a segment has a class behind it */
    key.len = cursor.key.len;
    if (t->change == NULL && !t->damage) {
        MDB_val mdb_key = {.mv_size = key.len, .mv_data = key.bytes};
        ck_assert_int_eq(mdb_del(txn->mdb, txn->index->mapped.dbi[t->db], &mdb_key, NULL), 0);
        return HV_OK;
    }
    ck_hv_ok(hv_ix_get_raw(txn, t->db, &key, &found, &stored, &err));
    hv_buf_put(&value, stored.data, stored.len);
    if (t->damage) {
        value.data[0] ^= 1;
    } else {
        value.len -= 4;
        t->change(&value);
        hv_ix_seal(t->db, hv_slice_of(key.bytes, key.len), &value);
    }
    return hv_ix_put(txn, t->db, &key, &value, ret_err);
}

static void
tamper(tampering how)
{
    hv_err err;

    ck_hv_ok(hv_ix_write(maker.index, tamper_in, &how, &err));
}

START_TEST(a_cut_that_is_gone_from_the_middle_of_the_index_is_found)
{
    make_three_cuts(&maker);
    tamper((tampering){.db = HV_IX_CUTS, .first = 6});
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
    tamper((tampering){.db = HV_IX_PARTITIONS, .first = -1, .change = one_event_more});
    ck_finds(&maker, HV_FINDING_INDEX_OTHER_TOTALS, "segments/hub=orders/incarnation=1/partition=0/");
}
END_TEST

START_TEST(sums_of_a_partition_that_are_gone_are_found)
{
    hv_verify_facts facts;
    hv_err err;

    make_three_cuts(&maker);
    tamper((tampering){.db = HV_IX_PARTITIONS, .first = -1});
    ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
    ck_assert_msg(told.count == 1 && told.last.kind == HV_FINDING_INDEX_DAMAGED, "%s", told.all);
}
END_TEST

START_TEST(a_damaged_entry_of_the_index_is_found_in_each_of_its_databases)
{
    static const tampering damages[] = {
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
    tamper((tampering){.db = HV_IX_TIMES, .first = -1, .damage = true});
    ck_finds_in_depth(&maker, HV_FINDING_INDEX_DAMAGED, "");
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
