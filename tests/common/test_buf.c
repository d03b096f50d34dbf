#include "common/buf.h"
#include "tests/harness/check_hv.h"

START_TEST(a_chain_of_appends_keeps_everything_in_order)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(1 << 20);

    for (int i = 0; i < 1000; i++)
        hv_buf_printf(&buf, "%03d ", i);
    ck_hv_ok(hv_buf_check(&buf, &err));
    ck_assert_uint_eq(buf.len, 4000);
    ck_assert(strncmp(buf.data, "000 001 002", 11) == 0);
    ck_assert_str_eq(buf.data + 3996, "999 ");
}
END_TEST

START_TEST(an_append_past_the_limit_fails_is_remembered_and_leaves_what_was_there)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(10);

    hv_buf_put(&buf, "12345678", 8);
    hv_buf_put(&buf, "abc", 3);
    hv_buf_put_byte(&buf, 'x');
    ck_hv_fails(HV_LIMIT, hv_buf_check(&buf, &err));
    ck_assert_str_eq(buf.data, "12345678");
}
END_TEST

START_TEST(a_buffer_can_be_filled_to_its_very_limit)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(10);

    hv_buf_put(&buf, "1234567890", 10);
    ck_hv_ok(hv_buf_check(&buf, &err));
    ck_assert_uint_eq(buf.len, 10);
}
END_TEST

START_TEST(clear_forgets_contents_and_failure)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(4);

    hv_buf_put(&buf, "12345", 5);
    hv_buf_clear(&buf);
    hv_buf_put_text(&buf, "ok");
    ck_hv_ok(hv_buf_check(&buf, &err));
    ck_assert_str_eq(buf.data, "ok");
}
END_TEST

START_TEST(null_equals_null_only_and_empty_equals_empty_only)
{
    ck_assert(hv_slice_equal(HV_SLICE_NULL, HV_SLICE_NULL));
    ck_assert(!hv_slice_equal(HV_SLICE_NULL, hv_slice_text("")));
    ck_assert(hv_slice_equal(hv_slice_text(""), hv_slice_text("")));
    ck_assert(!hv_slice_equal(hv_slice_text("a"), hv_slice_text("b")));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("buf");
    tcase_add_test(tests, a_chain_of_appends_keeps_everything_in_order);
    tcase_add_test(tests, an_append_past_the_limit_fails_is_remembered_and_leaves_what_was_there);
    tcase_add_test(tests, a_buffer_can_be_filled_to_its_very_limit);
    tcase_add_test(tests, clear_forgets_contents_and_failure);
    tcase_add_test(tests, null_equals_null_only_and_empty_equals_empty_only);
    return ck_hv_run("buf", tests);
}
