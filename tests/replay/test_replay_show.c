#include <stdio.h>

#include "replay/replay.h"
#include "segment/names.h"
#include "tests/harness/check_hv.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static vault_builder vault;
static hv_partition orders;
static hv_show show;

/* Offsets 0..9 of classes default and personal in turn, 4 and 5 a gap, 7 promised to personal but missing; then 10..12. */
static void
make_vault(void)
{
    vault_open(&vault);
    orders = vault_partition("orders", 2, 0);
    vault_incarnation(&vault, "orders", 1, "");
    vault_incarnation(&vault, "orders", 2, "");
    for (int64_t offset = 0; offset < 10; offset++) {
        const hv_header headers[] = {{.name = hv_slice_text("h"), .value = hv_slice_text("v")}};
        char value[30];
        (void)snprintf(value, sizeof value, "value %lld", (long long)offset);
        if (offset == 4)
            vault_gap(&vault, &orders, (hv_gap){.range = {.first = 4, .end = 6}, .cause = HV_GAP_TRANSACTION});
        if (offset == 7)
            vault_missing(&vault, &orders, "personal", (hv_gap){.range = {.first = 7, .end = 8}, .cause = HV_GAP_RETENTION});
        if (offset != 4 && offset != 5 && offset != 7)
            vault_add(&vault, &orders, &(hv_event){.offset = offset, .timestamp_ms = offset, .value = hv_slice_text(value),
                                                   .headers = headers, .header_count = 1}, offset % 2 == 0 ? NULL : "personal");
    }
    vault_seal(&vault, &orders, &(vault_seal_config){.events_per_block = 2});
    vault_add_text(&vault, &orders, 10, 10, "ten");
    vault_seal(&vault, &orders, &(vault_seal_config){.end = 0});
    show = (hv_show){.headers = NULL};
}

static void
close_vault(void)
{
    hv_show_clear(&show);
    vault_close(&vault);
}

static hv_rc
look(hv_storage *storage, uint32_t incarnation, int64_t offset)
{
    hv_partition asked = vault_partition("orders", 2, 0);

    asked.incarnation = incarnation;
    hv_show_clear(&show);
    return hv_replay_show(vault.index, storage, &asked, offset, &show, &err);
}

START_TEST(every_event_is_shown_with_its_segment_and_block)
{
    for (size_t i = 0; i < vault.events.count; i++) {
        const kept_event *want = &vault.events.items[i];
        ck_hv_ok(look(vault.storage, 0, want->event.offset));
        ck_assert_int_eq(show.kind, HV_SHOW_EVENT);
        ck_assert(hv_event_equal(&show.event, &want->event));
        ck_assert_str_eq(show.class_name, want->class_name);
        ck_assert_uint_eq(show.partition.incarnation, 2);
        ck_assert_uint_gt(show.block_position, 0);
        ck_assert_uint_gt(show.block_length, 0);
        hv_blob_name lead = hv_name_of_lead(&orders, want->event.offset < 10 ? 0 : 10);
        bool is_lead = strcmp(show.segment, lead.text) == 0;
        ck_assert(is_lead != (strstr(show.segment, ".personal.avro") != NULL || strstr(show.segment, ".default.avro") != NULL));
    }
}
END_TEST

START_TEST(a_gap_is_shown_with_its_cause)
{
    ck_hv_ok(look(vault.storage, 2, 5));
    ck_assert_int_eq(show.kind, HV_SHOW_GAP);
    ck_assert_int_eq(show.gap.cause, HV_GAP_TRANSACTION);
    ck_assert_int_eq(show.gap.range.first, 4);
    ck_assert_int_eq(show.gap.range.end, 6);
}
END_TEST

START_TEST(an_event_that_was_promised_but_lost_is_a_gap_too)
{
    ck_hv_ok(look(vault.storage, 2, 7));
    ck_assert_int_eq(show.kind, HV_SHOW_GAP);
    ck_assert_int_eq(show.gap.cause, HV_GAP_RETENTION);
    ck_assert_str_eq(show.class_name, "personal");
}
END_TEST

START_TEST(an_offset_behind_the_position_is_not_captured_yet)
{
    ck_hv_ok(look(vault.storage, 2, 11));
    ck_assert_int_eq(show.kind, HV_SHOW_NOT_CAPTURED);
    ck_assert_int_eq(show.position, 11);
}
END_TEST

START_TEST(a_hub_incarnation_or_partition_that_never_was_is_not_found)
{
    hv_partition other = vault_partition("others", 1, 0), number = vault_partition("orders", 2, 9);

    other.incarnation = 0;
    ck_hv_fails(HV_NOT_FOUND, hv_replay_show(vault.index, vault.storage, &other, 0, &show, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "others"));
    ck_hv_fails(HV_NOT_FOUND, hv_replay_show(vault.index, vault.storage, &number, 0, &show, &err));
    ck_hv_fails(HV_NOT_FOUND, look(vault.storage, 1, 0));
    ck_hv_fails(HV_USAGE, look(vault.storage, 2, -1));
}
END_TEST

START_TEST(a_damaged_block_is_named_and_other_segments_are_still_shown)
{
    ck_hv_ok(look(vault.storage, 2, 0));
    char damaged_segment[HV_STORAGE_NAME_SIZE];
    memcpy(damaged_segment, show.segment, sizeof damaged_segment);
    HV_AUTO(hv_storage_close) hv_storage *damaged =
        vault_damaged_copy(&vault, damaged_segment, (int64_t)show.block_position + show.block_length / 2, -1);
    ck_hv_fails(HV_CORRUPT, look(damaged, 2, 0));
    ck_assert_ptr_nonnull(strstr(err.msg, damaged_segment));
    ck_hv_ok(look(damaged, 2, 1));
    ck_assert_int_eq(show.kind, HV_SHOW_EVENT);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_show");

    tcase_add_checked_fixture(tests, make_vault, close_vault);
    tcase_add_test(tests, every_event_is_shown_with_its_segment_and_block);
    tcase_add_test(tests, a_gap_is_shown_with_its_cause);
    tcase_add_test(tests, an_event_that_was_promised_but_lost_is_a_gap_too);
    tcase_add_test(tests, an_offset_behind_the_position_is_not_captured_yet);
    tcase_add_test(tests, a_hub_incarnation_or_partition_that_never_was_is_not_found);
    tcase_add_test(tests, a_damaged_block_is_named_and_other_segments_are_still_shown);
    return ck_hv_run("replay_show", tests);
}
