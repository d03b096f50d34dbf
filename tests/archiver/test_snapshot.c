/* Snapshots of groups and topics, against a scripted source, a scripted service and a store in memory. */
#include <stdio.h>
#include <time.h>

#include "archiver/snapshot.h"
#include "archiver/snapshot_store.h"
#include "tests/archiver/rig.h"
#include "tests/harness/scripted_admin.h"

enum { MINUTE_MS = 60000 };

static rig r;
static hv_admin *admin;
static hv_snapshot_source asked;
static hv_snapshot_config config;
static hv_snapshots store;
static int64_t now_ms;
static int troubles, kept;
static char last_trouble[1024];

static int64_t
told_clock(void)
{
    return now_ms;
}

static void
count_trouble(void *arg, const hv_err *err)
{
    (void)arg;
    troubles++;
    (void)snprintf(last_trouble, sizeof last_trouble, "%s", err->msg);
}

static void
count_kept(void *arg, const char *hub, const char *group, int64_t number)
{
    (void)arg;
    (void)hub;
    (void)group;
    (void)number;
    kept++;
}

/* What an archiver does when it meets a hub. */
static void
capture(const char *hub, uint32_t incarnation, const char *identity)
{
    hv_index_incarnation entry = {.incarnation = incarnation, .created_ms = 1};
    hv_err err;

    (void)snprintf(entry.hub, sizeof entry.hub, "%s", hub);
    (void)snprintf(entry.identity, sizeof entry.identity, "%s", identity);
    (void)snprintf(entry.cause, sizeof entry.cause, "first");
    ck_hv_ok(hv_index_add_incarnation(r.index, &entry, &err));
}

static void
setup(void)
{
    rig_setup(&r);
    admin = scripted_admin_new();
    asked = (hv_snapshot_source){.source = r.source, .admin = admin};
    now_ms = INT64_C(1700000000000);
    troubles = kept = 0;
    store = (hv_snapshots){.storage = r.storage, .vault = RIG_VAULT};
    config = (hv_snapshot_config){.sources = &asked, .source_count = 1, .storage = r.storage, .index = r.index, .vault = RIG_VAULT,
        .own_group = "hubvault", .interval_ms = MINUTE_MS, .boot_ms = told_clock, .wall_ms = told_clock, .trouble = count_trouble,
        .stored = count_kept};
    hv_scripted_hub(r.source, "orders", 4, "id-1");
    scripted_admin_topic(admin, "orders", 4, 3, true);
    capture("orders", 1, "id-1");
}

static void
teardown(void)
{
    hv_admin_close(admin);
    rig_teardown(&r);
}

static hv_snapshotter *
begin(void)
{
    hv_snapshotter *made = NULL;
    hv_err err;

    ck_hv_ok(hv_snapshotter_new(&config, &made, &err));
    return made;
}

static void
one_round(hv_snapshotter *snapshotter)
{
    hv_err err;

    ck_hv_ok(hv_snapshotter_round(snapshotter, &err));
}

static hv_group_snapshot
group_at(const char *hub, const char *group, int64_t at_ms)
{
    hv_group_snapshot found = {.group = NULL};
    char key[HV_GROUP_KEY_SIZE];
    hv_err err;

    hv_group_key(group, key);
    hv_rc rc = hv_snapshots_group(&store, hub, key, at_ms, &found, &err);
    ck_assert_msg(rc == HV_OK || rc == HV_NOT_FOUND, "%s", rc == HV_OK ? "" : err.msg);
    return found;
}

/* Of partition 0; -1: no snapshot. */
static int64_t
offset_at(const char *group, int64_t at_ms)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot found = group_at("orders", group, at_ms);

    return found.group == NULL ? -1 : found.positions[0].offset;
}

static int64_t
newest_number(const char *hub, const char *group)
{
    char key[HV_GROUP_KEY_SIZE];
    int64_t number = 0;
    hv_err err;

    if (group != NULL)
        hv_group_key(group, key);
    hv_rc rc = hv_snapshots_newest_number(&store, hub, group != NULL ? key : NULL, &number, &err);
    ck_assert(rc == HV_OK || rc == HV_NOT_FOUND);
    return number;
}

/* ---- what is kept ---- */

START_TEST(what_a_group_has_committed_is_kept_with_incarnation_and_metadata)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    scripted_admin_commit(admin, "billing", "orders", 2, 17, "m\"\xff");
    scripted_admin_commit(admin, "billing", "orders", 0, 5, "");
    one_round(snapshotter);
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot found = group_at("orders", "billing", HV_SNAPSHOT_NEWEST);
    ck_assert_str_eq(found.group, "billing");
    ck_assert_str_eq(found.head.vault, RIG_VAULT);
    ck_assert_uint_eq(found.head.incarnation, 1);
    ck_assert_int_eq(found.head.number, 1);
    ck_assert_int_eq(found.head.taken_ms, now_ms);
    ck_assert_uint_eq(found.count, 2);
    ck_assert_int_eq(found.positions[0].partition, 0);
    ck_assert_int_eq(found.positions[0].offset, 5);
    ck_assert_uint_eq(found.positions[0].metadata_len, 0);
    ck_assert_int_eq(found.positions[1].partition, 2);
    ck_assert_int_eq(found.positions[1].offset, 17);
    ck_assert_uint_eq(found.positions[1].metadata_len, 3);
    ck_assert_mem_eq(found.positions[1].metadata, "m\"\xff", 3);
}
END_TEST

START_TEST(how_a_topic_is_configured_is_kept_with_what_is_set_for_it_told_apart)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot found = {.partitions = 0};
    hv_err err;

    scripted_admin_setting(admin, "orders", "retention.ms", "3600000", true);
    scripted_admin_setting(admin, "orders", "cleanup.policy", "delete", false);
    one_round(snapshotter);
    ck_hv_ok(hv_snapshots_topic(&store, "orders", HV_SNAPSHOT_NEWEST, &found, &err));
    ck_assert_int_eq(found.partitions, 4);
    ck_assert_int_eq(found.replication, 3);
    ck_assert(found.told);
    ck_assert_uint_eq(found.count, 2);
    ck_assert_str_eq(found.settings[0].name, "cleanup.policy");
    ck_assert(!found.settings[0].own);
    ck_assert_str_eq(found.settings[1].value, "3600000");
    ck_assert(found.settings[1].own);
}
END_TEST

START_TEST(a_service_that_tells_no_settings_leaves_a_snapshot_without_any)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot found = {.partitions = 0};
    hv_err err;

    scripted_admin_topic(admin, "orders", 4, 0, false);
    one_round(snapshotter);
    ck_hv_ok(hv_snapshots_topic(&store, "orders", HV_SNAPSHOT_NEWEST, &found, &err));
    ck_assert(!found.told);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(groups_of_hubs_that_are_not_captured_and_groups_of_hubvault_are_left_out)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    hv_scripted_hub(r.source, "strange", 1, "id-9");
    scripted_admin_commit(admin, "billing", "strange", 0, 5, "");       /* seen, but not captured yet */
    scripted_admin_commit(admin, "billing", "elsewhere", 0, 5, "");     /* not even seen */
    scripted_admin_commit(admin, "hubvault", "orders", 0, 5, "");
    scripted_admin_commit(admin, "hubvault-replay-x", "orders", 0, 5, "");
    one_round(snapshotter);
    ck_assert_int_eq(kept, 1);          /* of the topic */
    ck_assert_int_eq(newest_number("strange", "billing"), 0);
    ck_assert_int_eq(newest_number("orders", "hubvault"), 0);
    ck_assert_int_eq(newest_number("orders", "hubvault-replay-x"), 0);
}
END_TEST

static void
re_create_orders(void *arg)
{
    (void)arg;
    hv_scripted_hub(r.source, "orders", 4, "id-2");
}

START_TEST(commits_read_while_a_hub_is_re_created_are_not_taken_for_either_incarnation)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    scripted_admin_commit(admin, "billing", "orders", 0, 5, "");
    scripted_admin_during(admin, "commits", re_create_orders, NULL);
    one_round(snapshotter);
    ck_assert_int_eq(offset_at("billing", HV_SNAPSHOT_NEWEST), -1);
    scripted_admin_during(admin, "commits", NULL, NULL);
    capture("orders", 2, "id-2");
    one_round(snapshotter);
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot found = group_at("orders", "billing", HV_SNAPSHOT_NEWEST);
    ck_assert_uint_eq(found.head.incarnation, 2);
}
END_TEST

/* ---- when ---- */

START_TEST(nothing_is_put_when_nothing_changed_not_even_after_a_restart)
{
    hv_snapshotter *snapshotter = begin();

    scripted_admin_commit(admin, "billing", "orders", 0, 5, "");
    for (int i = 0; i < 3; i++, now_ms += 10 * MINUTE_MS)
        one_round(snapshotter);
    hv_snapshotter_free(snapshotter);
    snapshotter = begin();
    one_round(snapshotter);
    hv_snapshotter_free(snapshotter);
    ck_assert_int_eq(kept, 2);
    ck_assert_int_eq(newest_number("orders", "billing"), 1);
    ck_assert_int_eq(newest_number("orders", NULL), 1);
}
END_TEST

START_TEST(a_change_becomes_the_next_number_and_times_between_give_the_one_before)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    int64_t first_ms = now_ms;

    for (int i = 0; i < 40; i++, now_ms += MINUTE_MS) {
        scripted_admin_commit(admin, "billing", "orders", 0, i, "");
        one_round(snapshotter);
    }
    ck_assert_int_eq(newest_number("orders", "billing"), 40);
    ck_assert_int_eq(offset_at("billing", first_ms - 1), -1);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(offset_at("billing", first_ms + i * MINUTE_MS), i);
        ck_assert_int_eq(offset_at("billing", first_ms + i * MINUTE_MS + MINUTE_MS - 1), i);
    }
    ck_assert_int_eq(offset_at("billing", HV_SNAPSHOT_NEWEST), 39);
}
END_TEST

START_TEST(old_snapshots_that_are_gone_count_as_too_old)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    int64_t first_ms = now_ms;
    char key[HV_GROUP_KEY_SIZE];
    hv_err err;

    for (int i = 0; i < 20; i++, now_ms += MINUTE_MS) {
        scripted_admin_commit(admin, "billing", "orders", 0, i, "");
        one_round(snapshotter);
    }
    hv_group_key("billing", key);
    for (int64_t number = 1; number <= 12; number++)
        ck_hv_ok(r.storage->ops->delete_version(r.storage, hv_name_of_snapshot("orders", key, number).text, "", &err));
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(offset_at("billing", first_ms + i * MINUTE_MS), i < 12 ? -1 : i);
}
END_TEST

START_TEST(a_group_that_commits_all_the_time_is_kept_once_per_interval)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    for (int i = 0; i <= 60; i++, now_ms += 5000) {
        scripted_admin_commit(admin, "billing", "orders", 0, i, "");
        one_round(snapshotter);
    }
    ck_assert_int_eq(newest_number("orders", "billing"), 6);    /* at 0, 60, ... 300 s */
}
END_TEST

START_TEST(a_clock_that_was_set_back_does_not_stop_snapshots)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    scripted_admin_commit(admin, "billing", "orders", 0, 1, "");
    one_round(snapshotter);
    now_ms -= INT64_C(1000) * MINUTE_MS;
    scripted_admin_commit(admin, "billing", "orders", 0, 2, "");
    one_round(snapshotter);
    ck_assert_int_eq(newest_number("orders", "billing"), 2);
}
END_TEST

START_TEST(settings_are_asked_for_rarely_but_at_once_when_a_hub_grows)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    for (int i = 0; i < 5; i++, now_ms += MINUTE_MS)
        one_round(snapshotter);
    ck_assert_int_eq(scripted_admin_calls(admin, "topic"), 1);
    hv_scripted_hub(r.source, "orders", 6, "id-1");
    scripted_admin_topic(admin, "orders", 6, 3, true);
    one_round(snapshotter);
    ck_assert_int_eq(scripted_admin_calls(admin, "topic"), 2);
    ck_assert_int_eq(newest_number("orders", NULL), 2);
    now_ms += 11 * MINUTE_MS;
    one_round(snapshotter);
    ck_assert_int_eq(scripted_admin_calls(admin, "topic"), 3);
}
END_TEST

/* ---- when something is wrong ---- */

START_TEST(a_service_without_a_list_of_groups_is_told_once_and_topics_are_kept_all_the_same)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();

    scripted_admin_fail(admin, "groups", _i == 0 ? HV_VERSION : HV_AUTH);
    for (int i = 0; i < 200; i++, now_ms += MINUTE_MS)
        one_round(snapshotter);
    ck_assert_int_eq(troubles, 1);
    ck_assert_msg(strstr(last_trouble, "offsets of consumer groups are not kept") != NULL, "%s", last_trouble);
    ck_assert_int_eq(newest_number("orders", NULL), 1);
    ck_assert_int_le(scripted_admin_calls(admin, "groups"), 4);         /* once an hour */
}
END_TEST

START_TEST(a_failure_that_goes_on_is_told_once_and_what_follows_is_kept)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    hv_err err;

    scripted_admin_commit(admin, "billing", "orders", 0, 7, "");
    scripted_admin_fail(admin, "commits", HV_UNAVAILABLE);
    for (int i = 0; i < 5; i++)
        ck_hv_fails(HV_UNAVAILABLE, hv_snapshotter_round(snapshotter, &err));
    ck_assert_int_eq(troubles, 1);
    scripted_admin_fail(admin, "commits", HV_OK);
    one_round(snapshotter);
    ck_assert_int_eq(offset_at("billing", HV_SNAPSHOT_NEWEST), 7);
    scripted_admin_fail(admin, "commits", HV_UNAVAILABLE);
    ck_hv_fails(HV_UNAVAILABLE, hv_snapshotter_round(snapshotter, &err));
    ck_assert_int_eq(troubles, 2);
}
END_TEST

START_TEST(a_damaged_newest_snapshot_is_told_and_followed_by_a_good_one)
{
    hv_slice junk = hv_slice_text("{\"format\":1}\n");
    char key[HV_GROUP_KEY_SIZE];
    hv_err err;

    hv_group_key("billing", key);
    ck_hv_ok(r.storage->ops->put_new(r.storage, hv_name_of_snapshot("orders", key, 3).text, &junk, 1, NULL, &err));
    scripted_admin_commit(admin, "billing", "orders", 0, 7, "");
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    one_round(snapshotter);
    ck_assert_int_eq(troubles, 1);
    ck_assert_int_eq(newest_number("orders", "billing"), 4);
    ck_assert_int_eq(offset_at("billing", HV_SNAPSHOT_NEWEST), 7);
}
END_TEST

START_TEST(capture_goes_on_while_the_service_leaves_a_question_unanswered)
{
    hv_err err;

    rig_lose_disk(&r);                  /* so that the archiver makes its own entry of the hub */
    config.index = r.index;
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    scripted_admin_hang(admin, true);
    ck_hv_ok(hv_snapshotter_start(snapshotter, &err));
    while (scripted_admin_calls(admin, "groups") == 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    rig_produce(&r, 1, 0, 500);
    ck_hv_ok(rig_run_once(&r, NULL, &err));
    rig_check_all_captured(&r);
    scripted_admin_hang(admin, false);
}
END_TEST

START_TEST(a_round_that_hangs_is_silent_for_longer_and_longer_and_one_that_is_over_is_not)
{
    hv_err err;

    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    const hv_heart *heart = hv_snapshotter_heart(snapshotter);
    scripted_admin_hang(admin, true);
    ck_hv_ok(hv_snapshotter_start(snapshotter, &err));
    while (hv_heart_silent_ms(heart, hv_clock_boot_ms()) < 100)         /* the test's time limit ends this */
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    scripted_admin_hang(admin, false);
    while (hv_heart_silent_ms(heart, hv_clock_boot_ms() + 1000) != 0)   /* at rest */
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}
END_TEST

/* ---- several, and a store that fails ---- */

/* Numbers are there from 1 to the newest, and no two neighbours say the same. */
static void
check_chain(const char *group)
{
    int64_t newest = newest_number("orders", group), offset = -1;

    for (int64_t number = 1; number <= newest; number++) {
        HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);
        HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot found = {.group = NULL};
        char key[HV_GROUP_KEY_SIZE];
        hv_err err;
        hv_group_key(group, key);
        ck_hv_ok(hv_storage_get(r.storage, hv_name_of_snapshot("orders", key, number).text, &json, &err));
        ck_hv_ok(hv_group_snapshot_parse(hv_buf_slice(&json), &found, &err));
        ck_assert_int_gt(found.positions[0].offset, offset);
        offset = found.positions[0].offset;
    }
}

START_TEST(two_archivers_of_one_vault_keep_each_change_once)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *one = begin();
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *other = begin();

    for (int i = 0; i < 30; i++, now_ms += MINUTE_MS) {
        scripted_admin_commit(admin, "billing", "orders", 0, i, "");
        one_round(i % 2 == 0 ? one : other);
        one_round(i % 2 == 0 ? other : one);
    }
    ck_assert_int_eq(newest_number("orders", "billing"), 30);
    ck_assert_int_eq(newest_number("orders", NULL), 1);
    ck_assert_int_eq(kept, 31);
    check_chain("billing");
}
END_TEST

/* The n-th operation of the store fails in its own way; what was committed then is in the store all the same a little later, once. */
static bool
run_with_fault(unsigned call, hv_rc rc, bool takes_effect)
{
    hv_storage_fault_config fault = {.inner = r.storage, .fail_call = call, .fail_with = rc, .takes_effect = takes_effect};
    HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
    hv_err err;

    ck_hv_ok(hv_storage_fault_open(&fault, &faulty, &err));
    config.storage = faulty;
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    for (int i = 0; i < 3; i++, now_ms += MINUTE_MS) {
        scripted_admin_commit(admin, "billing", "orders", 0, i, "");
        (void)!hv_snapshotter_round(snapshotter, &err);
        (void)!hv_snapshotter_round(snapshotter, &err);         /* within the interval: only what failed is due */
        ck_assert_int_eq(offset_at("billing", HV_SNAPSHOT_NEWEST), i);
    }
    check_chain("billing");
    ck_assert_int_eq(newest_number("orders", "billing"), 3);
    ck_assert_int_eq(newest_number("orders", NULL), 1);
    return hv_storage_fault_fired(faulty);
}

START_TEST(no_snapshot_is_lost_or_doubled_when_the_store_fails)
{
    static const hv_rc codes[] = {HV_UNAVAILABLE, HV_IO, HV_LIMIT};
    bool takes_effect = _i % 2 == 1;
    unsigned fired = 0;

    for (unsigned call = 0;; call++, fired++) {
        teardown();
        setup();
        if (!run_with_fault(call, codes[_i / 2], takes_effect))
            break;
    }
    ck_assert_uint_ge(fired, 6);
}
END_TEST

/* A put that lands when its number was used by nobody else: found when it is tried again. */
START_TEST(a_put_that_lands_late_is_found_and_not_repeated)
{
    hv_storage_fault_config fault = {.inner = r.storage, .fail_call = 3, .fail_with = HV_UNAVAILABLE, .lands_late = true};
    HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
    hv_err err;

    scripted_admin_commit(admin, "billing", "orders", 0, 7, "");
    ck_hv_ok(hv_storage_fault_open(&fault, &faulty, &err));
    config.storage = faulty;
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    ck_hv_fails(HV_UNAVAILABLE, hv_snapshotter_round(snapshotter, &err));
    ck_assert(hv_storage_fault_fired(faulty));
    ck_hv_ok(hv_storage_fault_land(faulty, &err));
    one_round(snapshotter);
    one_round(snapshotter);
    ck_assert_int_eq(newest_number("orders", "billing"), 1);
    ck_assert_int_eq(offset_at("billing", HV_SNAPSHOT_NEWEST), 7);
}
END_TEST

/* ---- names ---- */

static hv_rc
count_place(void *arg, const char *hub, const char *key, hv_err *err)
{
    (void)hub;
    (void)key;
    (void)err;
    ++*(int *)arg;
    return HV_OK;
}

START_TEST(each_group_is_walked_to_once_whatever_the_number_of_its_snapshots_and_strange_names)
{
    HV_AUTO(hv_snapshotter_free) hv_snapshotter *snapshotter = begin();
    hv_slice junk = hv_slice_text("x");
    int places = 0, of_orders = 0;
    hv_err err;

    hv_scripted_hub(r.source, "sales", 1, "");
    scripted_admin_topic(admin, "sales", 1, 1, true);
    capture("sales", 1, "");
    for (int i = 0; i < 20; i++, now_ms += MINUTE_MS) {
        char group[32];
        (void)snprintf(group, sizeof group, "group-%d", i % 10);
        scripted_admin_commit(admin, group, "orders", 0, i, "");
        scripted_admin_commit(admin, group, "sales", 0, i, "");
        one_round(snapshotter);
    }
    ck_hv_ok(r.storage->ops->put_new(r.storage, "snapshots/groups/hub=orders/group=00/x.json", &junk, 1, NULL, &err));
    ck_hv_ok(r.storage->ops->put_new(r.storage, "snapshots/groups/zzz", &junk, 1, NULL, &err));
    ck_hv_ok(hv_snapshots_each_group(&store, NULL, count_place, &places, &err));
    ck_hv_ok(hv_snapshots_each_group(&store, "orders", count_place, &of_orders, &err));
    ck_assert_int_eq(places, 20);
    ck_assert_int_eq(of_orders, 10);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("snapshot");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_a_group_has_committed_is_kept_with_incarnation_and_metadata);
    tcase_add_test(tests, how_a_topic_is_configured_is_kept_with_what_is_set_for_it_told_apart);
    tcase_add_test(tests, a_service_that_tells_no_settings_leaves_a_snapshot_without_any);
    tcase_add_test(tests, groups_of_hubs_that_are_not_captured_and_groups_of_hubvault_are_left_out);
    tcase_add_test(tests, commits_read_while_a_hub_is_re_created_are_not_taken_for_either_incarnation);
    tcase_add_test(tests, nothing_is_put_when_nothing_changed_not_even_after_a_restart);
    tcase_add_test(tests, a_change_becomes_the_next_number_and_times_between_give_the_one_before);
    tcase_add_test(tests, old_snapshots_that_are_gone_count_as_too_old);
    tcase_add_test(tests, a_group_that_commits_all_the_time_is_kept_once_per_interval);
    tcase_add_test(tests, a_clock_that_was_set_back_does_not_stop_snapshots);
    tcase_add_test(tests, settings_are_asked_for_rarely_but_at_once_when_a_hub_grows);
    tcase_add_loop_test(tests, a_service_without_a_list_of_groups_is_told_once_and_topics_are_kept_all_the_same, 0, 2);
    tcase_add_test(tests, a_failure_that_goes_on_is_told_once_and_what_follows_is_kept);
    tcase_add_test(tests, a_damaged_newest_snapshot_is_told_and_followed_by_a_good_one);
    tcase_add_test(tests, capture_goes_on_while_the_service_leaves_a_question_unanswered);
    tcase_add_test(tests, a_round_that_hangs_is_silent_for_longer_and_longer_and_one_that_is_over_is_not);
    tcase_add_test(tests, two_archivers_of_one_vault_keep_each_change_once);
    tcase_add_loop_test(tests, no_snapshot_is_lost_or_doubled_when_the_store_fails, 0, 6);
    tcase_add_test(tests, a_put_that_lands_late_is_found_and_not_repeated);
    tcase_add_test(tests, each_group_is_walked_to_once_whatever_the_number_of_its_snapshots_and_strange_names);
    return ck_hv_run("snapshot", tests);
}
