#include <stdio.h>

#include "storage/drivers.h"
#include "tests/harness/check_hv.h"

static hv_storage *inner, *storage;

static void
open_with(hv_storage_fault_config config)
{
    hv_err err;

    ck_hv_ok(hv_storage_mem_open(&inner, &err));
    config.inner = inner;
    ck_hv_ok(hv_storage_fault_open(&config, &storage, &err));
}

static void
teardown(void)
{
    hv_storage_close(storage);
    hv_storage_close(inner);
}

static hv_rc
put(const char *name, hv_err *err)
{
    hv_slice parts[] = {hv_slice_text(name), hv_slice_text("!")};
    hv_blob_attributes attributes = {.has_nonce = true, .nonce = {7}};

    return storage->ops->put_new(storage, name, parts, 2, &attributes, err);
}

static bool
is_stored(const char *name)
{
    hv_err err;
    hv_blob_properties properties;
    hv_rc rc = inner->ops->properties(inner, name, &properties, &err);

    ck_assert(rc == HV_OK || rc == HV_NOT_FOUND);
    if (rc == HV_OK) {
        ck_assert_uint_eq(properties.size, strlen(name) + 1);
        ck_assert(properties.attributes.has_nonce && properties.attributes.nonce[0] == 7);
    }
    return rc == HV_OK;
}

START_TEST(every_kind_of_operation_is_counted_and_the_chosen_one_fails)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(10);
    hv_blob_properties properties;
    hv_blob_list page = {.count = 0};
    hv_list_request request = {.prefix = "", .max = 1};

    open_with((hv_storage_fault_config){.fail_call = (unsigned)_i, .fail_with = HV_UNAVAILABLE});
    hv_rc rcs[] = {
        put("a", &err),
        hv_storage_get(storage, "a", &got, &err),
        storage->ops->properties(storage, "a", &properties, &err),
        storage->ops->list(storage, &request, &page, &err),
        storage->ops->delete_version(storage, "a", "", &err),
    };
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(rcs[i] == HV_UNAVAILABLE, i == _i);
    ck_assert_uint_eq(hv_storage_fault_calls(storage), 5);
    ck_assert(hv_storage_fault_fired(storage));
    hv_blob_list_free(&page);
}
END_TEST

START_TEST(a_fault_that_is_not_reached_has_not_fired)
{
    hv_err err;

    open_with((hv_storage_fault_config){.fail_call = 1, .fail_with = HV_IO});
    ck_hv_ok(put("a", &err));
    ck_assert(!hv_storage_fault_fired(storage));
    ck_hv_fails(HV_IO, put("b", &err));
    ck_assert(hv_storage_fault_fired(storage));
}
END_TEST

START_TEST(several_in_a_row_can_fail)
{
    hv_err err;

    open_with((hv_storage_fault_config){.fail_call = 1, .fail_calls = 2, .fail_with = HV_AUTH});
    ck_hv_ok(put("a", &err));
    ck_hv_fails(HV_AUTH, put("b", &err));
    ck_hv_fails(HV_AUTH, put("b", &err));
    ck_hv_ok(put("b", &err));
}
END_TEST

START_TEST(without_effect_nothing_happened_and_with_it_only_the_answer_is_lost)
{
    hv_err err;

    open_with((hv_storage_fault_config){.fail_call = 0, .fail_calls = 2, .fail_with = HV_UNAVAILABLE, .takes_effect = _i == 1});
    ck_hv_fails(HV_UNAVAILABLE, put("a", &err));
    ck_assert_int_eq(is_stored("a"), _i == 1);
    ck_hv_fails(HV_UNAVAILABLE, storage->ops->delete_version(storage, "a", "", &err));
    ck_assert(!is_stored("a"));
}
END_TEST

START_TEST(a_late_put_lands_when_told_and_is_refused_if_the_name_was_taken_meanwhile)
{
    hv_err err;

    open_with((hv_storage_fault_config){.fail_call = 0, .fail_calls = 3, .fail_with = HV_UNAVAILABLE, .lands_late = true});
    ck_hv_fails(HV_UNAVAILABLE, put("first", &err));
    ck_hv_fails(HV_UNAVAILABLE, put("second", &err));
    ck_hv_fails(HV_UNAVAILABLE, put("never", &err));
    ck_assert(!is_stored("first") && !is_stored("second"));
    ck_hv_ok(put("second", &err));
    ck_hv_ok(hv_storage_fault_land(storage, &err));
    ck_assert(is_stored("first"));
    ck_hv_fails(HV_EXISTS, hv_storage_fault_land(storage, &err));
}
END_TEST

START_TEST(nothing_kept_back_is_not_found)
{
    hv_err err;

    open_with((hv_storage_fault_config){.fail_call = 0, .fail_with = HV_UNAVAILABLE, .lands_late = true});
    ck_hv_fails(HV_NOT_FOUND, hv_storage_fault_land(storage, &err));
    ck_hv_fails(HV_UNAVAILABLE, put("a", &err));
    ck_hv_ok(hv_storage_fault_land(storage, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_storage_fault_land(storage, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("storage fault");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, every_kind_of_operation_is_counted_and_the_chosen_one_fails, 0, 5);
    tcase_add_test(tests, a_fault_that_is_not_reached_has_not_fired);
    tcase_add_test(tests, several_in_a_row_can_fail);
    tcase_add_loop_test(tests, without_effect_nothing_happened_and_with_it_only_the_answer_is_lost, 0, 2);
    tcase_add_test(tests, a_late_put_lands_when_told_and_is_refused_if_the_name_was_taken_meanwhile);
    tcase_add_test(tests, nothing_kept_back_is_not_found);
    return ck_hv_run("storage fault", tests);
}
