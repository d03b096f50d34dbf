#include "common/histogram.h"

#include "tests/harness/check_hv.h"

START_TEST(a_time_counts_in_its_bucket_and_in_all_behind)
{
    hv_histogram histogram = {0};
    hv_histogram_facts facts;

    hv_histogram_add(&histogram, 500);
    hv_histogram_add(&histogram, 501);
    hv_histogram_add(&histogram, -5);
    hv_histogram_add(&histogram, INT64_C(999999999999));
    hv_histogram_read(&histogram, &facts);
    ck_assert_uint_eq(facts.cumulative[0], 2);
    ck_assert_uint_eq(facts.cumulative[1], 3);
    ck_assert_uint_eq(facts.cumulative[HV_HISTOGRAM_BOUNDS - 1], 3);
    ck_assert_uint_eq(facts.cumulative[HV_HISTOGRAM_BOUNDS], 4);
    ck_assert_uint_eq(facts.sum_us, 500 + 501 + UINT64_C(999999999999));
}
END_TEST

START_TEST(bounds_rise)
{
    for (int i = 1; i < HV_HISTOGRAM_BOUNDS; i++)
        ck_assert_int_gt(hv_histogram_bounds_us[i], hv_histogram_bounds_us[i - 1]);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("histogram");
    tcase_add_test(tests, a_time_counts_in_its_bucket_and_in_all_behind);
    tcase_add_test(tests, bounds_rise);
    return ck_hv_run("histogram", tests);
}
