/*
 * Two archivers that believe to own the same partitions of one vault: each has its own hub (the same events, but what is expired or
 * read may differ), its own index and its own policy. The store decides.
 */
#include <stdio.h>
#include <unistd.h>

#include "segment/names.h"
#include "tests/archiver/rig.h"

enum { PATIENCE_MS = 60000 };

static rig *r;                          /* archiver A: hub, index; and the store of both */
static rig *b;                          /* archiver B: hub, index; its own store is not used */

static void
setup(void)
{
    r = malloc(sizeof *r);
    b = malloc(sizeof *b);
    ck_assert(r != NULL && b != NULL);
    rig_setup(r);
    rig_setup(b);
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    hv_scripted_hub(b->source, RIG_HUB, 2, "topic-1");
    b->config.sources = &b->source;
    b->config.storage = r->storage;
}

static void
teardown(void)
{
    rig_teardown(r);
    rig_teardown(b);
    free(r);
    free(b);
}

static void
produce_to_both(int32_t partition, int count)
{
    rig_produce(r, 1, partition, count);
    rig_produce(b, 1, partition, count);
}

/* B looks at the store through its own index. */
static void
check_b(void)
{
    hv_storage *own = b->storage;

    b->storage = r->storage;
    rig_check(b);
    b->storage = own;
}

static void
run_both_once(void)
{
    hv_err err;

    ck_hv_ok(rig_run_once(r, NULL, &err));
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_hv_ok(rig_run_once(r, NULL, &err));
}

static void
print_line(void *arg, const char *line)
{
    hv_buf *to = arg;

    hv_buf_printf(to, "%s\n", line);
}

static void
check_that_both_indexes_are_equal(void)
{
    HV_AUTO(hv_buf_free) hv_buf of_a = HV_BUF_INIT(64 << 20), of_b = HV_BUF_INIT(64 << 20);
    hv_err err;

    ck_hv_ok(hv_index_dump(r->index, print_line, &of_a, &err));
    ck_hv_ok(hv_index_dump(b->index, print_line, &of_b, &err));
    ck_hv_ok(hv_buf_check(&of_a, &err));
    ck_assert_str_eq(of_a.data, of_b.data);
    ck_assert_uint_gt(of_a.len, 100);
}

static hv_archiver *
start(rig *which)
{
    hv_archiver *archiver = NULL;
    hv_err err;

    which->config.sources = &which->source;
    which->config.storage = r->storage;
    which->config.once = false;
    ck_hv_ok(hv_archiver_start(&which->config, &archiver, &err));
    return archiver;
}

static void
wait_until_read(hv_archiver *archiver, int64_t events)
{
    hv_archiver_totals totals = {0};

    for (int i = 0; i < 6000 && totals.events < events; i++) {
        usleep(10000);
        hv_archiver_totals_read(archiver, &totals);
    }
    ck_assert_int_eq(totals.events, events);
}

START_TEST(racing_archivers_of_different_policies_tile_every_partition_once)
{
    b->config.classify = rig_three_classes;
    r->config.max_bytes = 4000;
    r->config.block_bytes = 1000;
    b->config.max_bytes = 2500;
    b->config.block_bytes = 900;
    r->config.max_age_ms = b->config.max_age_ms = 20;
    hv_archiver *of_a = start(r), *of_b = start(b);
    hv_err err;
    for (int i = 0; i < 40; i++) {
        produce_to_both(0, 25);
        produce_to_both(1, 9);
        usleep(10000);
    }
    hv_archiver_stop(of_a);
    hv_archiver_stop(of_b);
    ck_hv_ok(hv_archiver_join(of_a, NULL, &err));
    ck_hv_ok(hv_archiver_join(of_b, NULL, &err));
    run_both_once();
    rig_check_all_captured(r);
    check_b();
    check_that_both_indexes_are_equal();
    ck_assert_int_gt(r->reports[HV_ARCHIVER_ADOPTED] + b->reports[HV_ARCHIVER_ADOPTED], 0);
}
END_TEST

START_TEST(a_foreign_cut_that_ends_inside_our_memory_is_adopted_and_the_rest_is_kept)
{
    hv_err err;

    rig_produce(r, 1, 0, 50);
    rig_produce(b, 1, 0, 80);
    hv_archiver *of_b = start(b);
    wait_until_read(of_b, 80);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    hv_scripted_expire(b->source, RIG_HUB, 0, 80);      /* from now on only memory has 50..79 */
    hv_archiver_stop(of_b);
    ck_hv_ok(hv_archiver_join(of_b, NULL, &err));
    ck_assert_int_eq(b->reports[HV_ARCHIVER_ADOPTED], 1);
    ck_assert_int_eq(rig_position(b, 1, 0), 80);
    check_b();
}
END_TEST

START_TEST(a_foreign_cut_with_another_record_at_our_offset_stops_the_partition_and_changes_nothing)
{
    hv_err err;

    b->log[0][0].salt = 99;             /* the same offsets, other content */
    rig_produce(r, 1, 0, 50);
    rig_produce(b, 1, 0, 50);
    hv_archiver *of_b = start(b);
    wait_until_read(of_b, 50);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    hv_archiver_stop(of_b);
    ck_hv_fails(HV_CORRUPT, hv_archiver_join(of_b, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "with other content"));
    ck_assert_int_eq(rig_position(b, 1, 0), 0);
    rig_check_all_captured(r);
}
END_TEST

/* A puts its lead, and then the store is gone for it: the siblings are missing. */
static void
leave_an_incomplete_cut(void)
{
    hv_err err;

    r->config.classify = rig_three_classes;
    for (unsigned call = 0;; call++) {
        r->config.patience_ms = r->config.give_up_ms = 50 + 20 * (int64_t)call;     /* a slow machine gets further the longer it takes */
        HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
        hv_storage_fault_config config = {.inner = r->storage, .fail_call = call, .fail_calls = 1000000, .fail_with = HV_UNAVAILABLE};
        hv_partition partition;
        hv_blob_properties properties;
        ck_assert_uint_lt(call, 200);
        ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
        (void)!rig_run_once(r, faulty, &err);
        ck_hv_ok(hv_partition_make(RIG_HUB, 1, 0, &partition, &err));
        if (r->storage->ops->properties(r->storage, hv_name_of_lead(&partition, 0).text, &properties, &err) == HV_OK)
            break;
    }
    ck_assert_int_eq(rig_position(r, 1, 0), 0);
    r->config.patience_ms = r->config.give_up_ms = PATIENCE_MS;
}

START_TEST(an_incomplete_foreign_cut_is_completed_from_the_hub_under_its_own_class_map)
{
    hv_err err;

    produce_to_both(0, 60);
    leave_an_incomplete_cut();
    ck_hv_ok(rig_run_once(b, r->storage, &err));        /* B's own policy knows one class only */
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    rig_mark(b, 1, 0, 0, 60, 'e');
    check_b();
    run_both_once();
    check_that_both_indexes_are_equal();
}
END_TEST

START_TEST(what_an_incomplete_cut_promised_and_nobody_has_any_more_becomes_a_gap_of_its_siblings)
{
    hv_err err;

    produce_to_both(0, 60);
    leave_an_incomplete_cut();
    hv_scripted_expire(b->source, RIG_HUB, 0, 30);
    rig_mark(b, 1, 0, 0, 30, 0);        /* the lead has some of them, the others are lost */
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    check_b();
    hv_scripted_expire(r->source, RIG_HUB, 0, 30);
    rig_mark(r, 1, 0, 0, 30, 0);
    run_both_once();
    check_that_both_indexes_are_equal();
}
END_TEST

START_TEST(a_sibling_for_which_nothing_is_left_is_put_all_the_same)
{
    hv_err err;

    produce_to_both(0, 60);
    leave_an_incomplete_cut();
    hv_scripted_expire(b->source, RIG_HUB, 0, 60);
    rig_mark(b, 1, 0, 0, 60, 0);
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    check_b();
    rig_lose_disk(b);                   /* the gaps are in the store, not in one index */
    b->config.storage = r->storage;
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    check_b();
}
END_TEST

/* B was away meanwhile and meets another hub of the same name. */
static void
create_the_hub_again_for_b(void)
{
    hv_scripted_delete(b->source, RIG_HUB);
    hv_scripted_hub(b->source, RIG_HUB, 2, "topic-2");
    rig_produce(b, 2, 0, 40);
}

START_TEST(an_incomplete_cut_of_a_hub_that_is_gone_is_completed_with_gaps)
{
    hv_err err;

    produce_to_both(0, 60);
    leave_an_incomplete_cut();
    create_the_hub_again_for_b();
    rig_mark(b, 1, 0, 0, 60, 0);        /* the lead has some of them, the others went with the hub */
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    ck_assert_int_eq(rig_position(b, 2, 0), 40);
    check_b();
    ck_assert_int_gt(b->reports[HV_ARCHIVER_GAP], 0);
}
END_TEST

START_TEST(an_incomplete_cut_of_a_hub_that_is_gone_is_left_to_its_maker_for_a_while)
{
    hv_err err;

    produce_to_both(0, 60);
    leave_an_incomplete_cut();
    create_the_hub_again_for_b();
    b->config.foreign_wait_ms = 60000;
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 0);
    ck_assert_int_eq(rig_position(b, 2, 0), 40);
}
END_TEST

START_TEST(complete_cuts_of_a_hub_that_is_gone_get_into_the_index)
{
    hv_err err;

    produce_to_both(0, 60);
    produce_to_both(1, 30);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    create_the_hub_again_for_b();
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    ck_assert_int_eq(rig_position(b, 1, 1), 30);
    ck_assert_int_eq(rig_position(b, 2, 0), 40);
    check_b();
}
END_TEST

/* One storage call of B fails, before or after its effect; false if it needs fewer calls than that. */
static bool
settle_with_a_fault(unsigned call, bool takes_effect)
{
    HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
    hv_storage_fault_config config = {.inner = r->storage, .fail_call = call, .fail_with = HV_UNAVAILABLE, .takes_effect = takes_effect};
    hv_partition partition;
    hv_err err;

    produce_to_both(0, 60);
    r->config.classify = rig_three_classes;
    ck_hv_ok(rig_run_once(r, NULL, &err));
    ck_hv_ok(hv_partition_make(RIG_HUB, 1, 0, &partition, &err));
    ck_hv_ok(r->storage->ops->delete_version(r->storage, hv_name_of_sibling(&partition, 0, "red").text, "", &err));
    create_the_hub_again_for_b();
    rig_mark(b, 1, 0, 0, 60, 0);
    ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
    (void)!rig_run_once(b, faulty, &err);
    return hv_storage_fault_fired(faulty);
}

START_TEST(no_failing_storage_call_keeps_a_hub_that_is_gone_from_being_settled)
{
    unsigned fired = 0;
    hv_err err;

    while (settle_with_a_fault(fired, _i == 1)) {
        ck_hv_ok(rig_run_once(b, r->storage, &err));
        ck_assert_int_eq(rig_position(b, 1, 0), 60);
        ck_assert_int_eq(rig_position(b, 2, 0), 40);
        check_b();
        teardown();
        setup();
        ck_assert_uint_lt(++fired, 200);
    }
    ck_assert_uint_ge(fired, 15);
}
END_TEST

START_TEST(promised_events_that_only_memory_has_go_into_the_siblings)
{
    hv_err err;

    produce_to_both(0, 60);
    b->config.max_age_ms = 10000;
    hv_archiver *of_b = start(b);
    wait_until_read(of_b, 60);
    leave_an_incomplete_cut();
    hv_scripted_expire(b->source, RIG_HUB, 0, 60);
    ck_assert_int_eq(rig_position(b, 1, 0), 0);         /* B did not notice yet */
    for (int i = 0; i < 6000 && rig_position(b, 1, 0) < 60; i++)
        usleep(10000);
    hv_archiver_stop(of_b);
    ck_hv_ok(hv_archiver_join(of_b, NULL, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    check_b();                          /* each of the 60 is there as an event */
}
END_TEST

START_TEST(an_incomplete_foreign_cut_is_left_to_its_maker_for_a_while)
{
    hv_archiver_totals totals;
    hv_err err;

    produce_to_both(0, 60);
    leave_an_incomplete_cut();
    b->config.foreign_wait_ms = 100000;
    hv_archiver *of_b = start(b);
    usleep(400000);
    hv_archiver_totals_read(of_b, &totals);
    ck_assert_int_eq(totals.cuts, 0);
    hv_archiver_stop(of_b);
    ck_hv_ok(hv_archiver_join(of_b, NULL, &err));
    b->config.foreign_wait_ms = 0;
    ck_hv_ok(rig_run_once(b, r->storage, &err));
    ck_assert_int_eq(rig_position(b, 1, 0), 60);
    check_b();
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("two archivers");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, racing_archivers_of_different_policies_tile_every_partition_once);
    tcase_add_test(tests, a_foreign_cut_that_ends_inside_our_memory_is_adopted_and_the_rest_is_kept);
    tcase_add_test(tests, a_foreign_cut_with_another_record_at_our_offset_stops_the_partition_and_changes_nothing);
    tcase_add_test(tests, an_incomplete_foreign_cut_is_completed_from_the_hub_under_its_own_class_map);
    tcase_add_test(tests, what_an_incomplete_cut_promised_and_nobody_has_any_more_becomes_a_gap_of_its_siblings);
    tcase_add_test(tests, a_sibling_for_which_nothing_is_left_is_put_all_the_same);
    tcase_add_test(tests, an_incomplete_cut_of_a_hub_that_is_gone_is_completed_with_gaps);
    tcase_add_test(tests, an_incomplete_cut_of_a_hub_that_is_gone_is_left_to_its_maker_for_a_while);
    tcase_add_test(tests, complete_cuts_of_a_hub_that_is_gone_get_into_the_index);
    tcase_add_loop_test(tests, no_failing_storage_call_keeps_a_hub_that_is_gone_from_being_settled, 0, 2);
    tcase_add_test(tests, promised_events_that_only_memory_has_go_into_the_siblings);
    tcase_add_test(tests, an_incomplete_foreign_cut_is_left_to_its_maker_for_a_while);
    return ck_hv_run("two archivers", tests);
}
