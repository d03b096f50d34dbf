/*
 * Partitions that come and go: a group deals them out to three archivers of one vault, takes them back in every state, and takes them
 * away unasked. Whatever it does, every offset is in the vault exactly once.
 */
#include <stdio.h>
#include <unistd.h>

#include "archiver/incarnation.h"
#include "segment/names.h"
#include "tests/archiver/crew.h"

enum { A, B, C };

static crew *c;

static void
setup(void)
{
    c = crew_make(3);
}

static void
teardown(void)
{
    crew_free(c);
}

static size_t
names_in_store(void)
{
    HV_AUTO(hv_blob_list_free) hv_blob_list list = {0};
    hv_list_request request = {.prefix = HV_SEGMENTS_PREFIX, .max = 1000};
    hv_err err;

    ck_hv_ok(c->store->ops->list(c->store, &request, &list, &err));
    return list.count;
}

static void
wait_until(bool (*is)(void))
{
    for (int ms = 0; ms < CREW_WAIT_MS && !is(); ms += 2)
        usleep(2000);
    ck_assert(is());
}

static bool
a_waits_at_the_gate(void)
{
    return gate_waiting(c->gates[A]) > 0;
}

static bool
a_holds_no_memory(void)
{
    return crew_totals(c, A).memory_bytes == 0;
}

static bool
a_is_subscribed(void)
{
    return hv_scripted_is_subscribed(c->memberships[A], RIG_HUB);
}

START_TEST(who_owns_nothing_reads_and_puts_nothing)
{
    crew_produce(c, 0, 30);
    c->rigs[A]->config.max_age_ms = 1;
    crew_start(c, A);
    wait_until(a_is_subscribed);
    usleep(200000);
    ck_assert_int_eq(crew_totals(c, A).events, 0);
    ck_assert_int_eq(crew_totals(c, A).assigned, 0);
    ck_assert_uint_eq(gate_puts(c->gates[A]), 0);       /* not even the record of an incarnation */
    ck_assert_uint_eq(names_in_store(), 0);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_read(c, A, 30);
    ck_assert_int_eq(crew_totals(c, A).assigned, 1);
    crew_check(c, true);
}
END_TEST

START_TEST(only_what_was_assigned_is_read)
{
    for (int p = 0; p < 3; p++)
        crew_produce(c, p, 10 + p);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 1, 1);
    crew_wait_read(c, A, 11);
    usleep(50000);
    crew_wait_read(c, A, 11);
    crew_check(c, true);
}
END_TEST

START_TEST(hubs_that_appear_are_asked_for)
{
    crew_start(c, A);
    wait_until(a_is_subscribed);
    ck_assert(!hv_scripted_is_subscribed(c->memberships[A], "later"));
    hv_scripted_hub(c->rigs[A]->source, "later", 1, "topic-9");
    for (int ms = 0; ms < CREW_WAIT_MS && !hv_scripted_is_subscribed(c->memberships[A], "later"); ms += 2)
        usleep(2000);
    ck_assert(hv_scripted_is_subscribed(c->memberships[A], "later"));
    ck_assert(a_is_subscribed());
}
END_TEST

START_TEST(what_is_revoked_while_it_is_read_is_sealed_and_the_next_owner_goes_on_behind_it)
{
    crew_produce(c, 0, 40);
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_read(c, A, 40);
    crew_take_back(c, A, 20000);
    ck_assert_int_eq(rig_position(c->rigs[A], 1, 0), 40);       /* before it was released */
    ck_assert_int_eq(crew_totals(c, A).memory_bytes, 0);
    ck_assert_int_eq(crew_totals(c, A).assigned, 0);
    ck_assert_int_eq(crew_totals(c, A).abandoned, 0);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_produce(c, 0, 7);
    crew_wait_read(c, B, 7);                            /* from the position of the vault, and nothing twice */
    ck_assert_int_eq(crew_totals(c, A).events, 40);
    crew_check(c, true);
}
END_TEST

START_TEST(a_revoked_partition_whose_put_fails_is_abandoned_in_time_and_never_put_afterwards)
{
    crew_produce(c, 0, 40);
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_read(c, A, 40);
    gate_set(c->gates[A], GATE_REFUSES);
    crew_take_back(c, A, 1000);
    wait_until(a_holds_no_memory);
    unsigned puts = gate_puts(c->gates[A]);
    ck_assert_uint_gt(puts, 1);                         /* it was tried */
    ck_assert_int_eq(crew_totals(c, A).abandoned, 1);
    gate_set(c->gates[A], GATE_OPEN);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_wait_read(c, B, 40);
    ck_assert_uint_eq(gate_puts(c->gates[A]), puts);
    ck_assert_uint_eq(gate_leads(c->gates[A]), 0);
    crew_check(c, true);
}
END_TEST

/* A has read 40 events of partition 0, and its lead waits at the gate. */
static void
let_a_wait_at_the_gate(void)
{
    crew_produce(c, 0, 40);
    c->rigs[A]->config.max_age_ms = 1;
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_position(c, A, 1, 0, 40);
    gate_set(c->gates[A], GATE_HOLDS);
    crew_produce(c, 0, 20);
    wait_until(a_waits_at_the_gate);
}

START_TEST(a_lead_that_is_under_way_when_its_partition_is_revoked_may_land_first)
{
    let_a_wait_at_the_gate();
    uint64_t revocation = hv_scripted_revoke(c->memberships[A], RIG_HUB, 0, 1, 20000);
    usleep(50000);
    ck_assert(!hv_scripted_is_released(c->memberships[A], revocation));
    gate_set(c->gates[A], GATE_OPEN);
    crew_wait_released(c, A, revocation);
    ck_assert_int_eq(rig_position(c->rigs[A], 1, 0), 60);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_produce(c, 0, 5);
    crew_wait_read(c, B, 5);
    crew_check(c, true);
}
END_TEST

START_TEST(a_lead_that_lands_after_the_next_owner_has_put_its_own_changes_nothing)
{
    let_a_wait_at_the_gate();
    crew_take_back(c, A, 100);
    c->rigs[B]->config.max_age_ms = 1;
    crew_start(c, B);
    crew_produce(c, 0, 30);             /* so that B's lead is another one */
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_wait_position(c, B, 1, 0, 90);
    unsigned leads = gate_leads(c->gates[A]);
    gate_set(c->gates[A], GATE_OPEN);
    wait_until(a_holds_no_memory);
    ck_assert_uint_eq(gate_leads(c->gates[A]), leads);
    ck_assert_int_eq(c->rigs[A]->reports[HV_ARCHIVER_STOPPED], 0);
    crew_check(c, true);
}
END_TEST

START_TEST(a_lead_that_lands_before_the_next_owner_looks_is_found_by_it)
{
    let_a_wait_at_the_gate();
    hv_scripted_lose(c->memberships[A], RIG_HUB, 0, 1);
    usleep(50000);
    gate_set(c->gates[A], GATE_OPEN);
    wait_until(a_holds_no_memory);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_produce(c, 0, 3);
    crew_wait_read(c, B, 3);
    crew_check(c, true);
}
END_TEST

START_TEST(a_partition_that_comes_back_is_not_read_before_its_old_put_has_ended)
{
    let_a_wait_at_the_gate();
    crew_take_back(c, A, 50);
    int64_t events = crew_totals(c, A).events;
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    usleep(200000);
    ck_assert_int_eq(crew_totals(c, A).events, events);
    gate_set(c->gates[A], GATE_OPEN);
    crew_produce(c, 0, 9);
    crew_wait_position(c, A, 1, 0, 69);
    crew_check(c, true);
}
END_TEST

START_TEST(what_is_lost_is_dropped_at_once_and_read_by_the_next_owner)
{
    crew_produce(c, 0, 40);
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_read(c, A, 40);
    unsigned puts = gate_puts(c->gates[A]);
    hv_scripted_lose(c->memberships[A], RIG_HUB, 0, 1);
    wait_until(a_holds_no_memory);
    ck_assert_int_eq(crew_totals(c, A).lost, 1);
    ck_assert_int_eq(crew_totals(c, A).abandoned, 1);
    ck_assert_uint_eq(gate_puts(c->gates[A]), puts);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_wait_read(c, B, 40);
    hv_scripted_lose(c->memberships[B], RIG_HUB, 0, 1);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);       /* and back: from the store again, not from where A once was */
    crew_wait_read(c, A, 80);
    crew_check(c, true);
}
END_TEST

START_TEST(a_zombie_that_goes_on_putting_doubles_nothing)
{
    c->rigs[A]->config.max_age_ms = c->rigs[B]->config.max_age_ms = 15;
    c->rigs[A]->config.max_bytes = 4000;
    c->rigs[A]->config.block_bytes = 1000;
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 2);       /* and nobody takes them from it */
    for (int i = 0; i < 40; i++) {
        crew_produce(c, 0, 20);
        crew_produce(c, 1, 7);
        if (i == 10)
            hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 2);
        if (i == 30)
            hv_scripted_lose(c->memberships[A], RIG_HUB, 0, 2); /* only now it hears of it */
        usleep(10000);
    }
    crew_wait_position(c, B, 1, 0, 800);
    crew_wait_position(c, B, 1, 1, 280);
    ck_assert_int_gt(c->rigs[A]->reports[HV_ARCHIVER_ADOPTED] + c->rigs[B]->reports[HV_ARCHIVER_ADOPTED], 0);
    crew_check(c, true);
}
END_TEST

/* A's siblings wait: an incomplete cut lies in the store. */
static void
let_a_wait_with_siblings(void)
{
    c->rigs[A]->config.classify = rig_three_classes;
    crew_produce(c, 0, 60);
    gate_set(c->gates[A], GATE_HOLDS_SIBLINGS);
    c->rigs[A]->config.max_age_ms = 1;
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    wait_until(a_waits_at_the_gate);
    ck_assert_uint_eq(gate_leads(c->gates[A]), 1);
}

START_TEST(a_cut_that_was_abandoned_between_lead_and_siblings_is_completed_by_the_next_owner)
{
    let_a_wait_with_siblings();
    crew_take_back(c, A, 100);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    crew_wait_position(c, B, 1, 0, 60);
    gate_set(c->gates[A], GATE_OPEN);
    wait_until(a_holds_no_memory);
    ck_assert_uint_eq(gate_puts(c->gates[A]), 3);       /* record, lead, and the sibling that was under way; not the other one */
    crew_check(c, true);
}
END_TEST

START_TEST(revoked_while_it_waits_for_the_maker_of_an_incomplete_cut_it_lets_go_at_once)
{
    let_a_wait_with_siblings();
    c->rigs[B]->config.foreign_wait_ms = 100000;
    crew_start(c, B);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    usleep(200000);
    ck_assert_int_eq(rig_position(c->rigs[B], 1, 0), 0);
    crew_take_back(c, B, 100000);
    ck_assert_uint_eq(gate_puts(c->gates[B]), 0);
    gate_set(c->gates[A], GATE_OPEN);
    crew_wait_position(c, A, 1, 0, 60);
    crew_check(c, true);
}
END_TEST

static bool
b_waits_at_the_gate(void)
{
    return gate_waiting(c->gates[B]) > 0;
}

START_TEST(revoked_while_it_completes_a_cut_it_finishes_or_lets_go)
{
    let_a_wait_with_siblings();
    hv_scripted_lose(c->memberships[A], RIG_HUB, 0, 1);
    gate_set(c->gates[B], GATE_HOLDS_SIBLINGS);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    wait_until(b_waits_at_the_gate);
    uint64_t late = hv_scripted_revoke(c->memberships[B], RIG_HUB, 0, 1, 50);
    crew_wait_released(c, B, late);
    crew_start(c, C);
    gate_set(c->gates[C], GATE_HOLDS_SIBLINGS);
    hv_scripted_assign(c->memberships[C], RIG_HUB, 0, 1);
    for (int ms = 0; ms < CREW_WAIT_MS && gate_waiting(c->gates[C]) == 0; ms += 2)
        usleep(2000);
    uint64_t in_time = hv_scripted_revoke(c->memberships[C], RIG_HUB, 0, 1, 20000);
    gate_set(c->gates[C], GATE_OPEN);
    crew_wait_released(c, C, in_time);
    ck_assert_int_eq(rig_position(c->rigs[C], 1, 0), 60);
    ck_assert_int_eq(crew_totals(c, C).memory_bytes, 0);
    crew_check(c, true);
}
END_TEST

START_TEST(a_store_that_is_out_of_reach_delays_admission_and_nothing_is_put_blindly)
{
    gate_set(c->gates[A], GATE_CUT);
    crew_produce(c, 0, 25);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    usleep(300000);
    ck_assert_int_eq(crew_totals(c, A).events, 0);
    ck_assert_int_gt(c->rigs[A]->reports[HV_ARCHIVER_TROUBLE], 0);
    gate_set(c->gates[A], GATE_OPEN);
    crew_wait_read(c, A, 25);
    crew_check(c, true);
}
END_TEST

START_TEST(a_hub_that_is_created_anew_while_two_own_parts_of_it_gets_one_new_incarnation)
{
    hv_incarnation_record record;
    hv_chain chain = {.storage = c->store, .vault = RIG_VAULT};
    hv_err err;

    c->rigs[A]->config.max_age_ms = c->rigs[B]->config.max_age_ms = 20;
    for (int p = 0; p < 3; p++)
        crew_produce(c, p, 20);
    for (int i = 0; i < CREW; i++)
        crew_start(c, i);               /* the third one follows only */
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 2);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 2, 1);
    crew_wait_position(c, A, 1, 0, 20);
    crew_wait_position(c, A, 1, 1, 20);
    crew_wait_position(c, B, 1, 2, 20);
    rig_recreate_everywhere(c->rigs, CREW, 3, "topic-2", 30);
    for (int p = 0; p < 3; p++)
        crew_wait_position(c, p < 2 ? A : B, 2, p, 30 + p);
    crew_take_back(c, A, 20000);
    hv_scripted_assign(c->memberships[B], RIG_HUB, 0, 1);
    rig_produce_everywhere(c->rigs, CREW, 2, 0, 11);
    crew_wait_position(c, B, 2, 0, 41);
    for (int p = 0; p < 3; p++) {
        crew_wait_position(c, C, 1, p, 20);
        crew_wait_position(c, C, 2, p, p == 0 ? 41 : 30 + p);
    }
    ck_hv_ok(hv_incarnation_newest(&chain, RIG_HUB, 1, &record, &err));
    ck_assert_uint_eq(record.incarnation, 2);
    for (int i = 0; i < CREW; i++)
        for (int p = 0; p < 3; p++)
            c->rigs[i]->log[0][p].end = 20;
    crew_check(c, true);
}
END_TEST

START_TEST(at_the_end_what_is_open_is_sealed_before_the_group_is_left)
{
    hv_err err;

    crew_produce(c, 0, 40);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_read(c, A, 40);
    gate_set(c->gates[A], GATE_HOLDS);
    hv_archiver_stop(c->archivers[A]);
    wait_until(a_waits_at_the_gate);
    ck_assert(!hv_scripted_has_left(c->memberships[A]));
    gate_set(c->gates[A], GATE_OPEN);
    ck_hv_ok(hv_archiver_join(c->archivers[A], NULL, &err));
    c->archivers[A] = NULL;
    ck_assert(hv_scripted_has_left(c->memberships[A]));
    ck_assert_int_eq(rig_position(c->rigs[A], 1, 0), 40);
    hv_membership_close(c->memberships[A]);
    ck_hv_ok(hv_membership_scripted_open(&c->memberships[A], &err));
    crew_check(c, true);
}
END_TEST

START_TEST(a_member_that_the_group_refuses_for_good_ends_and_puts_nothing_more)
{
    hv_err err;

    crew_produce(c, 0, 40);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    crew_wait_read(c, A, 40);
    hv_scripted_fail(c->memberships[A]);
    for (int ms = 0; ms < CREW_WAIT_MS && !hv_archiver_ended(c->archivers[A]); ms += 2)
        usleep(2000);
    ck_hv_fails(HV_BUSY, crew_stop(c, A, &err));
    ck_assert_uint_eq(gate_leads(c->gates[A]), 0);
    crew_check(c, true);
}
END_TEST

/* Deals every partition out to somebody, takes it back or away, now and then lets a store refuse or wait, and stops and starts archivers. */
static void
churn(unsigned seed, int rounds)
{
    int owner[3] = {-1, -1, -1};
    hv_err err;

    for (int i = 0; i < CREW; i++) {
        c->rigs[i]->config.max_age_ms = 15 + 10 * i;
        c->rigs[i]->config.max_bytes = (uint64_t)(3000 + 1500 * i);
        c->rigs[i]->config.block_bytes = (size_t)(800 + 300 * i);
        crew_start(c, i);
    }
    for (int round = 0; round < rounds; round++) {
        int32_t p = (int32_t)(rand_r(&seed) % 3);
        int who = rand_r(&seed) % CREW, way = rand_r(&seed) % 10, gate = rand_r(&seed) % 12;
        for (int32_t q = 0; q < 3; q++)
            crew_produce(c, q, rand_r(&seed) % 12);
        if (owner[p] >= 0 && way < 6) {
            uint64_t revocation = hv_scripted_revoke(c->memberships[owner[p]], RIG_HUB, p, 1, way < 3 ? 20 : 1000);
            if (way > 0)
                for (int ms = 0; ms < 1500 && !hv_scripted_is_released(c->memberships[owner[p]], revocation); ms += 2)
                    usleep(2000);
        } else if (owner[p] >= 0 && way < 8) {
            hv_scripted_lose(c->memberships[owner[p]], RIG_HUB, p, 1);
        }                               /* else it is not told at all: a zombie, until it restarts */
        owner[p] = who;
        hv_scripted_assign(c->memberships[who], RIG_HUB, p, 1);
        gate_set(c->gates[who], gate == 0 ? GATE_REFUSES : gate == 1 ? GATE_HOLDS : GATE_OPEN);
        gate_set(c->gates[(who + 1) % CREW], GATE_OPEN);
        if (round % 15 == 14) {
            gate_set(c->gates[who], GATE_OPEN);
            ck_hv_ok(crew_stop(c, who, &err));
            for (int32_t q = 0; q < 3; q++)
                owner[q] = owner[q] == who ? -1 : owner[q];
            crew_start(c, who);
        }
        usleep(5000);
    }
}

START_TEST(whatever_the_group_does_every_event_is_there_exactly_once)
{
    const char *rounds = getenv("HUBVAULT_GROUP_ROUNDS");       /* for a longer run by hand */

    churn(4711, rounds != NULL ? atoi(rounds) : 80);
    crew_check(c, true);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("group");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, who_owns_nothing_reads_and_puts_nothing);
    tcase_add_test(tests, only_what_was_assigned_is_read);
    tcase_add_test(tests, hubs_that_appear_are_asked_for);
    tcase_add_test(tests, what_is_revoked_while_it_is_read_is_sealed_and_the_next_owner_goes_on_behind_it);
    tcase_add_test(tests, a_revoked_partition_whose_put_fails_is_abandoned_in_time_and_never_put_afterwards);
    tcase_add_test(tests, a_lead_that_is_under_way_when_its_partition_is_revoked_may_land_first);
    tcase_add_test(tests, a_lead_that_lands_after_the_next_owner_has_put_its_own_changes_nothing);
    tcase_add_test(tests, a_lead_that_lands_before_the_next_owner_looks_is_found_by_it);
    tcase_add_test(tests, a_partition_that_comes_back_is_not_read_before_its_old_put_has_ended);
    tcase_add_test(tests, what_is_lost_is_dropped_at_once_and_read_by_the_next_owner);
    tcase_add_test(tests, a_zombie_that_goes_on_putting_doubles_nothing);
    tcase_add_test(tests, a_cut_that_was_abandoned_between_lead_and_siblings_is_completed_by_the_next_owner);
    tcase_add_test(tests, revoked_while_it_waits_for_the_maker_of_an_incomplete_cut_it_lets_go_at_once);
    tcase_add_test(tests, revoked_while_it_completes_a_cut_it_finishes_or_lets_go);
    tcase_add_test(tests, a_store_that_is_out_of_reach_delays_admission_and_nothing_is_put_blindly);
    tcase_add_test(tests, a_hub_that_is_created_anew_while_two_own_parts_of_it_gets_one_new_incarnation);
    tcase_add_test(tests, at_the_end_what_is_open_is_sealed_before_the_group_is_left);
    tcase_add_test(tests, a_member_that_the_group_refuses_for_good_ends_and_puts_nothing_more);
    tcase_add_test(tests, whatever_the_group_does_every_event_is_there_exactly_once);
    return ck_hv_run("group", tests);
}
