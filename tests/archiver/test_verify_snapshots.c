/* Snapshots of topics and groups in a vault that is verified. */
#include "archiver/snapshot_store.h"
#include "tests/archiver/verify_checks.h"

static vault_maker maker;
static hv_snapshots store;
static char key[HV_GROUP_KEY_SIZE];

static hv_group_snapshot
group_of(int64_t number)
{
    hv_group_snapshot made = {.head = {.vault = MAKER_VAULT, .hub = "orders", .number = number, .taken_ms = number, .incarnation = 1},
                              .group = strdup("billing")};
    hv_err err;

    ck_hv_ok(hv_group_snapshot_add(&made, 0, number, hv_slice_text("m"), &err));
    return made;
}

static void
put_group(int64_t number)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = group_of(number);
    hv_err err;

    ck_hv_ok(hv_snapshots_put_group(&store, &made, &err));
}

static void
put_topic(int64_t number)
{
    hv_topic_snapshot made = {.head = {.vault = MAKER_VAULT, .hub = "orders", .number = number, .incarnation = 1}, .partitions = 1};
    hv_err err;

    ck_hv_ok(hv_snapshots_put_topic(&store, &made, &err));
}

static void
setup(void)
{
    maker_setup(&maker, false);
    store = (hv_snapshots){.storage = maker.storage, .vault = MAKER_VAULT};
    hv_group_key("billing", key);
    make_three_cuts(&maker);
    for (int64_t number = 1; number <= 4; number++)
        put_group(number);
    put_topic(1);
    put_topic(2);
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

static const char *
group_at(int64_t number)
{
    static hv_blob_name name;

    name = hv_name_of_snapshot("orders", key, number);
    return name.text;
}

START_TEST(snapshots_are_checked_and_counted_of_one_hub_too)
{
    hv_verify_facts facts;

    ck_clean(&maker, false, &facts);
    ck_assert_int_eq(facts.snapshots, 6);
    hv_verify_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = maker.index, .hub = "orders", .threads = 1};
    hv_err err;
    ck_hv_ok(hv_verify(&config, &facts, &err));
    ck_assert_int_eq(facts.snapshots, 6);
}
END_TEST

START_TEST(each_flipped_byte_of_a_snapshot_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    maker_read(&maker, group_at(2), &json);
    for (size_t at = 0; at < json.len; at += 7) {
        hv_verify_facts facts;
        hv_err err;
        maker_flip(&maker, group_at(2), at);
        ck_hv_fails(HV_GAP, verify_vault(&maker, false, &facts, &err));
        ck_assert_int_eq(told.count, 1);
        ck_assert_str_eq(told.last.blob, group_at(2));
        ck_assert(told.last.kind == HV_FINDING_DAMAGED_SNAPSHOT || told.last.kind == HV_FINDING_WRONG_HASH
                  || told.last.kind == HV_FINDING_UNKNOWN_VERSION);
        maker_flip(&maker, group_at(2), at);
    }
}
END_TEST

START_TEST(a_snapshot_with_other_readable_content_has_a_wrong_hash)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot other = group_of(2);
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    other.positions[0].offset = 77;
    hv_group_snapshot_write(&other, &json);
    maker_replace(&maker, group_at(2), hv_buf_slice(&json), NULL);
    ck_finds(&maker, HV_FINDING_WRONG_HASH, group_at(2));
}
END_TEST

START_TEST(a_snapshot_that_lies_in_another_place_or_vault_is_found)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot other = group_of(2);
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    if (_i == 0)
        memcpy(other.head.vault, MAKER_OTHER_VAULT, sizeof MAKER_OTHER_VAULT);
    else if (_i == 1)
        memcpy(other.head.hub, "sales", sizeof "sales");
    else if (_i == 2)
        other.head.number = 3;
    else
        other.group[0] = 'x';
    hv_group_snapshot_write(&other, &json);
    maker_replace(&maker, group_at(2), hv_buf_slice(&json), NULL);
    ck_finds(&maker, HV_FINDING_DAMAGED_SNAPSHOT, group_at(2));
}
END_TEST

START_TEST(a_snapshot_that_is_missing_between_two_is_found_but_not_old_ones_that_are_gone)
{
    hv_verify_facts facts;

    maker_drop(&maker, group_at(1));
    ck_clean(&maker, false, &facts);
    maker_drop(&maker, group_at(3));
    ck_finds(&maker, HV_FINDING_MISSING_SNAPSHOT, group_at(2));
}
END_TEST

START_TEST(a_name_that_no_snapshot_has_is_foreign)
{
    hv_slice junk = hv_slice_text("x");
    hv_err err;

    ck_hv_ok(maker.storage->ops->put_new(maker.storage, "snapshots/topics/hub=orders/x.json", &junk, 1, NULL, &err));
    ck_finds(&maker, HV_FINDING_FOREIGN_NAME, "snapshots/topics/hub=orders/x.json");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify, snapshots");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, snapshots_are_checked_and_counted_of_one_hub_too);
    tcase_add_test(tests, each_flipped_byte_of_a_snapshot_is_found);
    tcase_add_test(tests, a_snapshot_with_other_readable_content_has_a_wrong_hash);
    tcase_add_loop_test(tests, a_snapshot_that_lies_in_another_place_or_vault_is_found, 0, 4);
    tcase_add_test(tests, a_snapshot_that_is_missing_between_two_is_found_but_not_old_ones_that_are_gone);
    tcase_add_test(tests, a_name_that_no_snapshot_has_is_foreign);
    return ck_hv_run("verify, snapshots", tests);
}
