#include "common/partition.h"
#include "tests/harness/check_hv.h"

static const char *
of_length(char *to, size_t len)
{
    memset(to, 'a', len);
    to[len] = '\0';
    return to;
}

START_TEST(hub_names_follow_the_rule_of_kafka)
{
    hv_err err;
    char text[300];
    static const char *const good[] = {"a", "orders", "Orders.v2_eu-west", "-", "_", "...", "..a", "0"};
    static const char *const bad[] = {"", ".", "..", "a b", "a/b", "a=b", "a\n", "\xc3\xbc", "a+b", "a:b", "a%"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_hv_ok(hv_hub_name_check(good[i], &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_hv_fails(HV_USAGE, hv_hub_name_check(bad[i], &err));
    ck_hv_ok(hv_hub_name_check(of_length(text, 249), &err));
    ck_hv_fails(HV_USAGE, hv_hub_name_check(of_length(text, 250), &err));
}
END_TEST

START_TEST(class_names_are_short_lower_case_and_begin_with_a_letter)
{
    hv_err err;
    char text[300];
    static const char *const good[] = {HV_CLASS_DEFAULT, HV_CLASS_NONE, "a", "z9", "a-b-", "personal-7y"};
    static const char *const bad[] = {"", "-a", "9a", "A", "aB", "a_b", "a.b", "a/b", "a b", "\xc3\xa4"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_hv_ok(hv_class_name_check(good[i], &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_hv_fails(HV_USAGE, hv_class_name_check(bad[i], &err));
    ck_hv_ok(hv_class_name_check(of_length(text, 64), &err));
    ck_hv_fails(HV_USAGE, hv_class_name_check(of_length(text, 65), &err));
}
END_TEST

START_TEST(a_partition_keeps_what_it_was_made_of)
{
    hv_err err;
    hv_partition partition;

    ck_hv_ok(hv_partition_make("orders", 3, INT32_MAX, &partition, &err));
    ck_assert_str_eq(partition.hub, "orders");
    ck_assert_uint_eq(partition.incarnation, 3);
    ck_assert_int_eq(partition.number, INT32_MAX);
}
END_TEST

START_TEST(a_wrong_partition_is_refused_and_leaves_the_result_alone)
{
    hv_err err;
    hv_partition partition = {.hub = "before", .incarnation = 9, .number = 9};

    ck_hv_fails(HV_USAGE, hv_partition_make("orders", 1, -1, &partition, &err));
    ck_hv_fails(HV_USAGE, hv_partition_make("no hub", 1, 1, &partition, &err));
    ck_assert_str_eq(partition.hub, "before");
    ck_assert_uint_eq(partition.incarnation, 9);
    ck_assert_int_eq(partition.number, 9);
}
END_TEST

START_TEST(partitions_are_ordered_by_hub_then_incarnation_then_number)
{
    static const hv_partition sorted[] = {
        {.hub = "a", .incarnation = 1, .number = 0},
        {.hub = "a", .incarnation = 1, .number = 10},
        {.hub = "a", .incarnation = 2, .number = 3},
        {.hub = "a", .incarnation = UINT32_MAX, .number = 1},
        {.hub = "a-", .incarnation = 0, .number = 0},
        {.hub = "b", .incarnation = 0, .number = 0},
        {.hub = "b", .incarnation = 0, .number = INT32_MAX},
    };

    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++) {
            int order = hv_partition_compare(&sorted[i], &sorted[j]);
            ck_assert_int_eq((order > 0) - (order < 0), (i > j) - (i < j));
        }
}
END_TEST

/* They are stored in segments and in the index: a name that changes makes old vaults unreadable. */
START_TEST(the_names_of_gap_causes_stay)
{
    static const char *const texts[HV_GAP_CAUSES] = {
        "retention", "compaction", "transaction", "truncation", "re-created", "unknown"};
    hv_gap_cause cause = HV_GAP_TRUNCATION;

    for (unsigned i = 0; i < HV_GAP_CAUSES; i++) {
        ck_assert_str_eq(hv_gap_cause_text((hv_gap_cause)i), texts[i]);
        ck_assert(hv_gap_cause_parse(texts[i], &cause));
        ck_assert_uint_eq((unsigned)cause, i);
    }
    ck_assert(!hv_gap_cause_parse("", &cause));
    ck_assert(!hv_gap_cause_parse("Retention", &cause));
    ck_assert(!hv_gap_cause_parse("unknown ", &cause));
    ck_assert_int_eq(cause, HV_GAP_UNKNOWN);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("partition");
    tcase_add_test(tests, hub_names_follow_the_rule_of_kafka);
    tcase_add_test(tests, class_names_are_short_lower_case_and_begin_with_a_letter);
    tcase_add_test(tests, a_partition_keeps_what_it_was_made_of);
    tcase_add_test(tests, a_wrong_partition_is_refused_and_leaves_the_result_alone);
    tcase_add_test(tests, partitions_are_ordered_by_hub_then_incarnation_then_number);
    tcase_add_test(tests, the_names_of_gap_causes_stay);
    return ck_hv_run("partition", tests);
}
