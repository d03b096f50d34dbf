/* Rebuilding the index from the store. */
#include "archiver/rebuild.h"

#include <stdio.h>

#include "archiver/chain.h"
#include "segment/names.h"
#include "tests/archiver/vault_maker.h"

static vault_maker maker;

static struct told {
    int problems;
    char last[1024];
    hv_partition partition;
} told;

static void
setup(void)
{
    maker_setup(&maker, false);
    told = (struct told){.problems = 0};
}

static void
setup_folder(void)
{
    maker_setup(&maker, true);
    told = (struct told){.problems = 0};
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

static void
tell(void *arg, const hv_partition *partition, const hv_err *err)
{
    (void)arg;
    told.problems++;
    if (partition != NULL)
        told.partition = *partition;
    (void)snprintf(told.last, sizeof told.last, "%s", err->msg);
}

static hv_rc
rebuild(hv_storage *storage, hv_index *index, hv_rebuild_facts *facts, hv_err *err)
{
    hv_rebuild_config config = {.storage = storage, .vault = MAKER_VAULT, .index = index, .threads = 3, .problem = tell};

    return hv_rebuild(&config, facts, err);
}

static void
put_line(void *arg, const char *line)
{
    hv_buf_put_text(arg, line);
    hv_buf_put_byte(arg, '\n');
}

static void
dump(hv_index *index, hv_buf *to)
{
    hv_err err;

    ck_hv_ok(hv_index_dump(index, put_line, to, &err));
    ck_hv_ok(hv_buf_check(to, &err));
}

static void
ck_same_index(hv_index *a, hv_index *b)
{
    HV_AUTO(hv_buf_free) hv_buf of_a = HV_BUF_INIT(64 << 20), of_b = HV_BUF_INIT(64 << 20);

    dump(a, &of_a);
    dump(b, &of_b);
    ck_assert_uint_gt(of_a.len, 1000);
    ck_assert_str_eq(of_a.data, of_b.data);
}

START_TEST(the_rebuilt_index_equals_the_lost_one)
{
    hv_rebuild_facts facts;
    hv_err err;

    maker_rich_vault(&maker);
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_ok(rebuild(maker.storage, rebuilt, &facts, &err));
    ck_same_index(maker.index, rebuilt);
    ck_assert_int_eq(facts.hubs, 3);
    ck_assert_int_eq(facts.incarnations, 4);
    ck_assert_int_eq(facts.partitions, 7);
    ck_assert_int_eq(facts.cuts, 18);
    ck_assert_int_eq(facts.incomplete, 1);
    ck_assert_int_eq(facts.problems, 0);
    ck_assert_int_eq(facts.hashed, 0);
}
END_TEST

START_TEST(rebuilding_over_a_part_or_the_whole_changes_nothing_and_completes_it)
{
    hv_rebuild_facts facts;
    hv_err err;
    hv_partition zebra = maker_partition("zebra", 1, 0);

    maker_rich_vault(&maker);
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_ok(rebuild(maker.storage, rebuilt, &facts, &err));
    maker_claim(&maker, "zebra", 1);
    maker_plain_cut(&maker, &zebra, 0, 10);
    ck_hv_ok(rebuild(maker.storage, rebuilt, &facts, &err));
    ck_same_index(maker.index, rebuilt);
    ck_hv_ok(rebuild(maker.storage, rebuilt, &facts, &err));
    ck_same_index(maker.index, rebuilt);
}
END_TEST

/* Rebuilds with one fault in partition 0 of "orders" and an intact partition 1 beside it; the position of partition 0 after it. */
static int64_t
rebuild_with_problem(const char *about)
{
    hv_rebuild_facts facts;
    hv_partition orders0 = maker_partition("orders", 1, 0), orders1 = maker_partition("orders", 1, 1);
    int64_t position, other;
    hv_err err;

    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_fails(HV_GAP, rebuild(maker.storage, rebuilt, &facts, &err));
    ck_assert_int_eq(facts.problems, 1);
    ck_assert_int_eq(facts.stopped, 1);
    ck_assert_int_eq(told.problems, 1);
    ck_assert_msg(strstr(told.last, about) != NULL, "%s", told.last);
    ck_assert_int_eq(hv_partition_compare(&told.partition, &orders0), 0);
    ck_hv_ok(hv_index_position(rebuilt, &orders0, &position, &err));
    ck_hv_ok(hv_index_position(rebuilt, &orders1, &other, &err));
    ck_assert_int_eq(other, 12);
    return position;
}

/* Cuts [0, 6), [6, 12), [12, 18) in partitions 0 and 1 of "orders", but for the last one in 1. */
static void
three_cuts(void)
{
    hv_partition orders0 = maker_partition("orders", 1, 0), orders1 = maker_partition("orders", 1, 1);

    maker_claim(&maker, "orders", 1);
    for (int64_t at = 0; at < 18; at += 6)
        maker_cut(&maker, &orders0, at, "ddrrdd");
    for (int64_t at = 0; at < 12; at += 6)
        maker_cut(&maker, &orders1, at, "ddrrdd");
}

static hv_blob_name
lead_at(int64_t first)
{
    hv_partition orders0 = maker_partition("orders", 1, 0);

    return hv_name_of_lead(&orders0, first);
}

static hv_blob_name
sibling_at(int64_t first)
{
    hv_partition orders0 = maker_partition("orders", 1, 0);

    return hv_name_of_sibling(&orders0, first, "red");
}

START_TEST(a_partition_goes_no_further_than_a_hole)
{
    three_cuts();
    maker_drop(&maker, lead_at(6).text);
    maker_drop(&maker, sibling_at(6).text);
    ck_assert_int_eq(rebuild_with_problem("leaves a hole"), 6);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_a_lost_lead)
{
    three_cuts();
    maker_drop(&maker, lead_at(6).text);
    ck_assert_int_eq(rebuild_with_problem("without its lead"), 6);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_a_lost_sibling_in_the_middle)
{
    three_cuts();
    maker_drop(&maker, sibling_at(6).text);
    ck_assert_int_eq(rebuild_with_problem("lacks a sibling"), 6);
}
END_TEST

START_TEST(a_lost_sibling_of_the_last_cut_is_left_out_without_a_word)
{
    hv_rebuild_facts facts;
    hv_partition orders0 = maker_partition("orders", 1, 0);
    int64_t position;
    hv_err err;

    three_cuts();
    maker_drop(&maker, sibling_at(12).text);
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_ok(rebuild(maker.storage, rebuilt, &facts, &err));
    ck_assert_int_eq(facts.incomplete, 1);
    ck_hv_ok(hv_index_position(rebuilt, &orders0, &position, &err));
    ck_assert_int_eq(position, 12);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_an_overlap)
{
    hv_partition orders0 = maker_partition("orders", 1, 0);

    three_cuts();
    maker.index_too = false;
    maker_cut(&maker, &orders0, 9, "ddd");
    ck_assert_int_eq(rebuild_with_problem("overlaps"), 12);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_a_damaged_front)
{
    three_cuts();
    maker_flip(&maker, lead_at(6).text, 500);
    ck_assert_int_eq(rebuild_with_problem(lead_at(6).text), 6);
}
END_TEST

/* Another cut of the same offsets takes the place of [12, 18), but for its sibling. */
static void
change_all_but_the_sibling(const char *text)
{
    HV_AUTO(hv_buf_free) hv_buf sibling = HV_BUF_INIT(1 << 20);
    hv_partition orders0 = maker_partition("orders", 1, 0);
    hv_blob_name name = sibling_at(12);
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_err err;

    maker_read(&maker, name.text, &sibling);
    hv_slice part = hv_buf_slice(&sibling);
    hv_sha256(&part, 1, attributes.sha256);
    maker_drop(&maker, name.text);
    maker_drop(&maker, lead_at(12).text);
    maker.index_too = false;
    maker_lead(&maker, &orders0, 12, text);
    ck_hv_ok(maker.storage->ops->put_new(maker.storage, name.text, &part, 1, &attributes, &err));
}

START_TEST(a_partition_goes_no_further_than_a_sibling_of_other_bytes_of_the_lead)
{
    three_cuts();
    change_all_but_the_sibling("ddrrdd");
    ck_assert_int_eq(rebuild_with_problem("a lead of other bytes"), 12);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_a_sibling_of_another_cut)
{
    three_cuts();
    change_all_but_the_sibling("dddrrd");
    ck_assert_int_eq(rebuild_with_problem("another cut than its lead"), 12);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_a_sibling_that_was_not_promised)
{
    three_cuts();
    change_all_but_the_sibling("dddddd");
    ck_assert_int_eq(rebuild_with_problem("no segment of the cut has its place"), 12);
}
END_TEST

START_TEST(a_partition_goes_no_further_than_a_foreign_blob_in_the_place_of_a_cut)
{
    hv_rebuild_facts facts;
    hv_partition orders0 = maker_partition("orders", 1, 0);
    char name[600];
    int64_t position;
    hv_err err;

    three_cuts();
    (void)snprintf(name, sizeof name, "%s.bak", lead_at(6).text);
    maker_put(&maker, name, "x");
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_fails(HV_GAP, rebuild(maker.storage, rebuilt, &facts, &err));
    ck_assert_int_eq(facts.problems, 2);        /* the name as such, and the cut that cannot be read because of it */
    ck_hv_ok(hv_index_position(rebuilt, &orders0, &position, &err));
    ck_assert_int_eq(position, 6);
}
END_TEST

START_TEST(a_foreign_blob_elsewhere_is_told_and_stops_nothing)
{
    hv_rebuild_facts facts;
    hv_err err;

    three_cuts();
    maker_put(&maker, "segments/hub=orders/incarnation=1/partition=0/notes.txt", "x");
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_fails(HV_GAP, rebuild(maker.storage, rebuilt, &facts, &err));
    ck_assert_int_eq(facts.problems, 1);
    ck_assert_int_eq(facts.stopped, 0);
    ck_same_index(maker.index, rebuilt);
}
END_TEST

START_TEST(a_lost_or_damaged_incarnation_record_is_told_once)
{
    hv_blob_name name = hv_name_of_incarnation("orders", 1);
    hv_rebuild_facts facts;
    hv_err err;

    three_cuts();
    maker_flip(&maker, name.text, 20);
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_fails(HV_GAP, rebuild(maker.storage, rebuilt, &facts, &err));
    ck_assert_int_eq(facts.problems, 1);
    ck_assert_int_eq(facts.incarnations, 0);
    maker_drop(&maker, name.text);
    ck_hv_fails(HV_GAP, rebuild(maker.storage, rebuilt, &facts, &err));
    ck_assert_int_eq(facts.problems, 1);
    ck_assert_int_eq(facts.cuts, 5);
}
END_TEST

START_TEST(an_incarnation_that_the_index_knows_otherwise_is_told_and_the_others_are_recorded)
{
    hv_index_incarnation other = {.hub = "orders", .incarnation = 2, .created_ms = 5, .cause = "first"}, *incarnations = NULL;
    hv_rebuild_facts facts;
    size_t count;
    hv_err err;

    maker.index_too = false;
    for (uint32_t number = 1; number <= 3; number++)
        maker_claim(&maker, "orders", number);
    ck_hv_ok(hv_index_add_incarnation(maker.index, &other, &err));
    ck_hv_fails(HV_GAP, rebuild(maker.storage, maker.index, &facts, &err));
    ck_assert_int_eq(facts.problems, 1);
    ck_assert_int_eq(facts.incarnations, 2);
    ck_hv_ok(hv_index_incarnations(maker.index, &incarnations, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(incarnations[1].created_ms, 5);
    free(incarnations);
}
END_TEST

START_TEST(what_the_index_knows_otherwise_is_told_and_not_overwritten)
{
    hv_rebuild_facts facts;
    hv_partition orders0 = maker_partition("orders", 1, 0);
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(1 << 20), after = HV_BUF_INIT(1 << 20);
    hv_err err;

    three_cuts();
    maker_drop(&maker, lead_at(6).text);
    maker_drop(&maker, sibling_at(6).text);
    maker.index_too = false;
    maker_cut(&maker, &orders0, 6, "dddrrr");
    dump(maker.index, &before);
    ck_hv_fails(HV_GAP, rebuild(maker.storage, maker.index, &facts, &err));
    ck_assert_int_eq(facts.problems, 1);
    ck_assert_int_eq(facts.stopped, 1);
    dump(maker.index, &after);
    ck_assert_str_eq(before.data, after.data);
}
END_TEST

START_TEST(cuts_that_only_the_index_has_are_told)
{
    hv_rebuild_facts facts;
    hv_partition zebra = maker_partition("zebra", 1, 0);
    hv_err err;

    three_cuts();
    maker_plain_cut(&maker, &zebra, 0, 5);
    maker_drop(&maker, hv_name_of_lead(&zebra, 0).text);
    maker_drop(&maker, lead_at(12).text);
    maker_drop(&maker, sibling_at(12).text);
    ck_hv_fails(HV_GAP, rebuild(maker.storage, maker.index, &facts, &err));
    ck_assert_int_eq(facts.problems, 2);
}
END_TEST

/* ---- stores without attributes ---- */

typedef struct plain_storage {
    hv_storage base;
    hv_storage *inner;
} plain_storage;

static hv_rc
plain_get(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    hv_storage *inner = ((plain_storage *)storage)->inner;

    return inner->ops->get_range(inner, name, position, len, ret, err);
}

static hv_rc
plain_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    hv_storage *inner = ((plain_storage *)storage)->inner;
    hv_rc rc = inner->ops->properties(inner, name, ret, err);

    if (rc == HV_OK)
        ret->attributes = (hv_blob_attributes){.has_sha256 = false};
    return rc;
}

static hv_rc
plain_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    hv_storage *inner = ((plain_storage *)storage)->inner;

    return inner->ops->list(inner, request, ret, err);
}

START_TEST(a_store_that_keeps_no_hashes_is_read_whole_and_gives_the_same_index)
{
    static const hv_storage_ops ops = {.driver = "plain", .get_range = plain_get, .properties = plain_properties, .list = plain_list};
    plain_storage plain = {.base = {.ops = &ops}, .inner = maker.storage};
    hv_rebuild_facts facts;
    hv_err err;

    maker_rich_vault(&maker);
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    ck_hv_ok(rebuild(&plain.base, rebuilt, &facts, &err));
    ck_same_index(maker.index, rebuilt);
    ck_assert_int_gt(facts.segments, 0);
    ck_assert_int_eq(facts.hashed, facts.segments);
}
END_TEST

/* ---- failures ---- */

START_TEST(each_failing_call_of_the_store_ends_the_rebuild_with_its_code_and_a_second_run_finishes)
{
    static const hv_rc codes[] = {HV_IO, HV_UNAVAILABLE, HV_AUTH, HV_NOMEM};
    hv_index_incarnation *incarnations = NULL;
    hv_rebuild_facts facts;
    unsigned calls;
    size_t count;
    hv_err err;

    three_cuts();
    for (unsigned fail = 0;; fail++) {
        hv_storage_fault_config config = {.inner = maker.storage, .fail_call = fail, .fail_with = codes[fail % 4]};
        char folder[32];
        HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;

        (void)snprintf(folder, sizeof folder, "rebuilt-%u", fail);
        HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, folder);
        ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
        hv_rc rc = rebuild(faulty, rebuilt, &facts, &err);
        calls = hv_storage_fault_calls(faulty);
        if (!hv_storage_fault_fired(faulty)) {
            ck_assert_int_eq(rc, HV_OK);
            break;
        }
        ck_assert_msg(rc == codes[fail % 4], "call %u: %s", fail, hv_rc_name(rc));
        ck_hv_ok(hv_index_incarnations(rebuilt, &incarnations, &count, &err));
        free(incarnations);
        ck_assert_uint_eq(count, 0);    /* so that whoever finds the index knows that it is not whole */
        ck_hv_ok(rebuild(maker.storage, rebuilt, &facts, &err));
        ck_same_index(maker.index, rebuilt);
    }
    ck_assert_uint_ge(calls, 1 + 1 + 2 * 10);   /* a page, a record, ten segments: all were failed once */
}
END_TEST

START_TEST(a_set_stop_flag_ends_it_with_closed)
{
    atomic_bool stop = true;
    hv_rebuild_facts facts;
    hv_err err;

    three_cuts();
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    hv_rebuild_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = rebuilt, .stop = &stop};
    ck_hv_fails(HV_CLOSED, hv_rebuild(&config, &facts, &err));
}
END_TEST

int
main(void)
{
    TCase *in_memory = tcase_create("mem");

    tcase_add_checked_fixture(in_memory, setup, teardown);
    tcase_add_test(in_memory, the_rebuilt_index_equals_the_lost_one);
    tcase_add_test(in_memory, rebuilding_over_a_part_or_the_whole_changes_nothing_and_completes_it);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_hole);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_lost_lead);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_lost_sibling_in_the_middle);
    tcase_add_test(in_memory, a_lost_sibling_of_the_last_cut_is_left_out_without_a_word);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_an_overlap);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_damaged_front);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_sibling_of_other_bytes_of_the_lead);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_sibling_of_another_cut);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_sibling_that_was_not_promised);
    tcase_add_test(in_memory, a_partition_goes_no_further_than_a_foreign_blob_in_the_place_of_a_cut);
    tcase_add_test(in_memory, a_foreign_blob_elsewhere_is_told_and_stops_nothing);
    tcase_add_test(in_memory, a_lost_or_damaged_incarnation_record_is_told_once);
    tcase_add_test(in_memory, an_incarnation_that_the_index_knows_otherwise_is_told_and_the_others_are_recorded);
    tcase_add_test(in_memory, what_the_index_knows_otherwise_is_told_and_not_overwritten);
    tcase_add_test(in_memory, cuts_that_only_the_index_has_are_told);
    tcase_add_test(in_memory, a_store_that_keeps_no_hashes_is_read_whole_and_gives_the_same_index);
    tcase_add_test(in_memory, each_failing_call_of_the_store_ends_the_rebuild_with_its_code_and_a_second_run_finishes);
    tcase_add_test(in_memory, a_set_stop_flag_ends_it_with_closed);
    int failed = ck_hv_run("rebuild", in_memory);

    TCase *in_folder = tcase_create("folder");
    tcase_add_checked_fixture(in_folder, setup_folder, teardown);
    tcase_add_test(in_folder, the_rebuilt_index_equals_the_lost_one);
    return ck_hv_run("rebuild from a folder", in_folder) | failed;
}
