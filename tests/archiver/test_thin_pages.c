/*
 * Whoever reads a listing gets along with pages that are shorter than asked for, and with empty ones behind which there is more: stores
 * answer so (storage/storage.h). An empty page that is taken for the end would hide cuts.
 */
#include <stdio.h>
#include <unistd.h>

#include "archiver/chain.h"
#include "archiver/rebuild.h"
#include "archiver/snapshot_store.h"
#include "archiver/vault_walk.h"
#include "segment/names.h"
#include "tests/archiver/crew.h"
#include "tests/archiver/meetings.h"
#include "tests/archiver/verify_checks.h"
#include "tests/harness/thin_pages.h"

/* Empty pages came, and were no end. */
static void
ck_was_thin(hv_storage *thin)
{
    ck_assert_uint_gt(thin_pages_empty(thin), 0);
}

/* ---- the chain ---- */

static vault_maker maker;
static hv_partition orders0;
static hv_storage *thin;
static hv_chain chain;

static void
setup(void)
{
    maker_setup(&maker, false);
    orders0 = maker_partition("orders", 1, 0);
    thin = thin_pages_open(maker.storage);
    chain = (hv_chain){.storage = thin, .vault = MAKER_VAULT};
}

static void
teardown(void)
{
    hv_storage_close(HV_TAKE(thin));
    maker_teardown(&maker);
}

START_TEST(the_next_lead_is_found_behind_siblings_strange_names_and_empty_pages)
{
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
    int64_t later = -1;
    hv_err err;

    maker_claim(&maker, "orders", 1);
    maker_cut(&maker, &orders0, 0, "drgbdr");
    for (int i = 0; i < 30; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "segments/hub=orders/incarnation=1/partition=0/%020d.%02d.txt", 3, i);
        maker_put(&maker, name, "x");
    }
    maker_cut(&maker, &orders0, 6, "drd");
    ck_hv_fails(HV_NOT_FOUND, hv_chain_look_on(&chain, &orders0, 1, &cut, &later, &err));
    ck_assert_int_eq(later, 6);
    ck_hv_fails(HV_NOT_FOUND, hv_chain_look_on(&chain, &orders0, 9, &cut, &later, &err));
    ck_assert_int_eq(later, -1);
    ck_was_thin(thin);
    ck_assert_uint_gt(thin_pages_short(thin), 0);
}
END_TEST

START_TEST(a_look_at_what_follows_sees_the_whole_cut_and_no_other)
{
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
    int64_t later = -1;
    hv_err err;

    maker_claim(&maker, "orders", 1);
    maker_cut(&maker, &orders0, 0, "drgbadrx");
    maker_cut(&maker, &orders0, 8, "drg");
    ck_hv_ok(hv_chain_look_on(&chain, &orders0, 0, &cut, &later, &err));
    ck_assert(cut.complete);
    ck_assert_uint_eq(cut.facts.segment_count, 6);
    ck_was_thin(thin);
    ck_assert_uint_gt(thin_pages_short(thin), 0);
}
END_TEST

START_TEST(a_look_sees_the_whole_cut)
{
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
    hv_err err;

    maker_claim(&maker, "orders", 1);
    maker_cut(&maker, &orders0, 0, "drgbadrx");
    ck_hv_ok(hv_chain_look(&chain, &orders0, 0, &cut, &err));
    ck_assert(cut.complete);
    ck_assert_uint_eq(cut.facts.segment_count, 6);
    ck_was_thin(thin);
    ck_assert_uint_gt(thin_pages_short(thin), 0);
}
END_TEST

/* ---- the whole vault ---- */

static void
put_line(void *arg, const char *line)
{
    hv_buf_printf(arg, "%s\n", line);
}

START_TEST(a_rebuilt_index_has_everything)
{
    HV_AUTO(hv_buf_free) hv_buf of_a = HV_BUF_INIT(64 << 20), of_b = HV_BUF_INIT(64 << 20);
    hv_rebuild_config config = {.storage = thin, .vault = MAKER_VAULT, .threads = 3};
    hv_rebuild_facts facts;
    hv_err err;

    maker_rich_vault(&maker);
    HV_AUTO(hv_index_close) hv_index *rebuilt = maker_open_index(&maker, "rebuilt");
    config.index = rebuilt;
    ck_hv_ok(hv_rebuild(&config, &facts, &err));
    ck_assert_int_eq(facts.cuts, 18);
    ck_hv_ok(hv_index_dump(maker.index, put_line, &of_a, &err));
    ck_hv_ok(hv_index_dump(rebuilt, put_line, &of_b, &err));
    ck_assert_uint_gt(of_a.len, 1000);
    ck_assert_str_eq(of_a.data, of_b.data);
    ck_was_thin(thin);
}
END_TEST

START_TEST(verification_counts_everything)
{
    hv_verify_facts facts;
    hv_storage *whole = maker.storage;

    maker_rich_vault(&maker);
    maker.storage = thin;
    ck_clean(&maker, false, &facts);
    maker.storage = whole;
    ck_assert_int_eq(facts.cuts, 19);
    ck_assert_int_eq(facts.partitions, 7);
    ck_was_thin(thin);
}
END_TEST

/* ---- snapshots ---- */

static hv_rc
count_place(void *arg, const char *hub, const char *key, hv_err *err)
{
    (void)hub, (void)key, (void)err;
    ++*(int *)arg;
    return HV_OK;
}

START_TEST(snapshots_are_found_by_number_and_by_group)
{
    hv_snapshots snapshots = {.storage = thin, .vault = MAKER_VAULT};
    char key[HV_GROUP_KEY_SIZE];
    int64_t newest = 0;
    int places = 0;
    hv_err err;

    for (int g = 0; g < 5; g++) {
        char group[16];
        (void)snprintf(group, sizeof group, "group-%d", g);
        hv_group_key(group, key);
        for (int n = 1; n <= 3; n++)
            maker_put(&maker, hv_name_of_snapshot("orders", key, n).text, "{}");
    }
    for (int i = 0; i < 20; i++) {
        char name[HV_BLOB_NAME_SIZE + 20];
        (void)snprintf(name, sizeof name, "%s0.%02d", hv_prefix_of_snapshots("orders", key).text, i);
        maker_put(&maker, name, "x");
    }
    ck_hv_ok(hv_snapshots_newest_number(&snapshots, "orders", key, &newest, &err));
    ck_assert_int_eq(newest, 3);
    ck_hv_ok(hv_snapshots_each_group(&snapshots, "orders", count_place, &places, &err));
    ck_assert_int_eq(places, 5);
    ck_was_thin(thin);
}
END_TEST

/* A store that says for ever that there is more. */
static hv_rc
list_nothing(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    (void)storage, (void)request, (void)err;
    *ret = (hv_blob_list){.more = true};
    return HV_OK;
}

START_TEST(no_reader_takes_a_store_that_never_gets_to_the_point_for_an_empty_one)
{
    hv_storage_ops ops = {.driver = "endless", .list = list_nothing};
    hv_storage endless = {.ops = &ops};
    hv_chain of_endless = {.storage = &endless, .vault = MAKER_VAULT};
    hv_snapshots snapshots = {.storage = &endless, .vault = MAKER_VAULT};
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
    char key[HV_GROUP_KEY_SIZE];
    int places = 0;
    int64_t found;
    hv_err err;

    hv_group_key("billing", key);
    ck_hv_fails(HV_UNAVAILABLE, hv_chain_look_on(&of_endless, &orders0, 0, &cut, &found, &err));
    ck_hv_fails(HV_UNAVAILABLE, hv_chain_look(&of_endless, &orders0, 0, &cut, &err));
    ck_hv_fails(HV_UNAVAILABLE, hv_snapshots_newest_number(&snapshots, "orders", key, &found, &err));
    ck_hv_fails(HV_UNAVAILABLE, hv_snapshots_each_group(&snapshots, NULL, count_place, &places, &err));
}
END_TEST

/* ---- capture ---- */

static rig *r;
static late_store late;

START_TEST(a_capture_completes_whatever_it_meets)
{
    hv_err err;

    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    hv_storage *store = meeting_setup(r, (meeting)_i, &late);
    HV_AUTO(hv_storage_close) hv_storage *thin_store = thin_pages_open(store);
    r->config.patience_ms = 1000;
    ck_hv_ok(rig_run_once(r, thin_store, &err));
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 0);
    ck_was_thin(thin_store);
    rig_check_all_captured(r);
    rig_lose_disk(r);
    ck_hv_ok(rig_run_once(r, thin_store, &err));
    rig_check_all_captured(r);
    rig_teardown(r);
    free(r);
}
END_TEST

START_TEST(an_index_that_is_an_old_copy_of_a_vault_with_a_hole_stops_the_partition)
{
    hv_partition partition;
    hv_err err;

    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    (void)meeting_setup(r, MEET_LATER_EVENTS, &late);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_lose_disk(r);
    ck_hv_ok(hv_partition_make(RIG_HUB, 1, 0, &partition, &err));
    ck_hv_ok(r->storage->ops->delete_version(r->storage, hv_name_of_lead(&partition, 0).text, "", &err));
    for (int c = 0; c < 3; c++) {       /* only what is further on tells that something is missing */
        static const char *const classes[] = {"red", "green", "default"};
        (void)!r->storage->ops->delete_version(r->storage, hv_name_of_sibling(&partition, 0, classes[c]).text, "", &err);
    }
    HV_AUTO(hv_storage_close) hv_storage *thin_store = thin_pages_open(r->storage);
    (void)!rig_run_once(r, thin_store, &err);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 1);
    ck_assert(rig_has_said(r, "the index is an old copy"));
    rig_teardown(r);
    free(r);
}
END_TEST

START_TEST(the_cuts_of_a_hub_that_is_gone_get_into_the_index)
{
    hv_err err;

    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    (void)meeting_setup(r, MEET_NEW_HUB, &late);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_lose_disk(r);
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-2");
    rig_produce(r, 2, 0, 7);
    HV_AUTO(hv_storage_close) hv_storage *thin_store = thin_pages_open(r->storage);
    ck_hv_ok(rig_run_once(r, thin_store, &err));
    rig_check_all_captured(r);
    rig_teardown(r);
    free(r);
}
END_TEST

/* B's source does not have the hub: only the listing tells of it. */
START_TEST(a_follower_finds_the_hubs_of_others_and_their_cuts)
{
    crew *c = crew_make(3);
    hv_storage *whole = c->rigs[1]->config.storage;
    HV_AUTO(hv_storage_close) hv_storage *thin_store = thin_pages_open(whole);
    hv_err err;

    c->rigs[0]->config.max_age_ms = 10;
    c->rigs[0]->config.classify = rig_three_classes;
    crew_produce(c, 1, 30);
    crew_start(c, 0);
    hv_scripted_assign(c->memberships[0], RIG_HUB, 0, 3);
    crew_wait_position(c, 0, 1, 1, 30);
    hv_source_close(c->rigs[1]->source);
    ck_hv_ok(hv_source_scripted_open(&c->rigs[1]->source, &err));
    c->rigs[1]->config.storage = thin_store;
    crew_start(c, 1);
    crew_wait_position(c, 1, 1, 1, 30);
    ck_was_thin(thin_store);
    ck_hv_ok(crew_stop(c, 1, &err));
    c->rigs[1]->config.storage = whole;
    crew_free(c);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("thin pages"), *captures = tcase_create("capture");
    Suite *suite = suite_create("thin pages");

    scratch_dir_use_memory();
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_next_lead_is_found_behind_siblings_strange_names_and_empty_pages);
    tcase_add_test(tests, a_look_at_what_follows_sees_the_whole_cut_and_no_other);
    tcase_add_test(tests, a_look_sees_the_whole_cut);
    tcase_add_test(tests, a_rebuilt_index_has_everything);
    tcase_add_test(tests, verification_counts_everything);
    tcase_add_test(tests, snapshots_are_found_by_number_and_by_group);
    tcase_add_test(tests, no_reader_takes_a_store_that_never_gets_to_the_point_for_an_empty_one);
    tcase_set_timeout(captures, 60);
    tcase_add_loop_test(captures, a_capture_completes_whatever_it_meets, 0, MEETINGS);
    tcase_add_test(captures, an_index_that_is_an_old_copy_of_a_vault_with_a_hole_stops_the_partition);
    tcase_add_test(captures, the_cuts_of_a_hub_that_is_gone_get_into_the_index);
    tcase_add_test(captures, a_follower_finds_the_hubs_of_others_and_their_cuts);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, captures);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
