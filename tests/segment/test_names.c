#include "segment/names.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

static hv_partition
partition_make(const char *hub, uint32_t incarnation, int32_t number)
{
    hv_err err;
    hv_partition partition;

    ck_hv_ok(hv_partition_make(hub, incarnation, number, &partition, &err));
    return partition;
}

START_TEST(names_have_the_documented_form)
{
    hv_partition partition = partition_make("team.orders", 2, 17);

    ck_assert_str_eq(hv_name_of_lead(&partition, 4711).text,
                     "segments/hub=team.orders/incarnation=2/partition=17/00000000000000004711.avro");
    ck_assert_str_eq(hv_name_of_sibling(&partition, 4711, "pii-90d").text,
                     "segments/hub=team.orders/incarnation=2/partition=17/00000000000000004711.pii-90d.avro");
    ck_assert_str_eq(hv_name_of_incarnation("team.orders", 2).text, "segments/hub=team.orders/incarnation=2/incarnation.json");
    ck_assert_str_eq(hv_prefix_of_hub("team.orders").text, "segments/hub=team.orders/");
    ck_assert_str_eq(hv_prefix_of_partition(&partition).text, "segments/hub=team.orders/incarnation=2/partition=17/");
    ck_assert_str_eq(hv_prefix_of_cut(&partition, 4711).text,
                     "segments/hub=team.orders/incarnation=2/partition=17/00000000000000004711.");
}
END_TEST

START_TEST(the_longest_hub_class_and_numbers_fit_into_a_name_and_come_back)
{
    char hub[HV_HUB_SIZE], class_name[HV_CLASS_SIZE];

    memset(hub, 'h', sizeof hub - 1);
    hub[sizeof hub - 1] = '\0';
    memset(class_name, 'c', sizeof class_name - 1);
    class_name[sizeof class_name - 1] = '\0';
    hv_partition partition = partition_make(hub, UINT32_MAX, INT32_MAX);
    hv_name_parts parts = hv_name_parse(hv_name_of_sibling(&partition, INT64_MAX, class_name).text);
    ck_assert_int_eq(parts.kind, HV_NAME_SIBLING);
    ck_assert_int_eq(hv_partition_compare(&parts.partition, &partition), 0);
    ck_assert_int_eq(parts.first, INT64_MAX);
    ck_assert_str_eq(parts.class_name, class_name);
}
END_TEST

START_TEST(parsing_and_making_are_inverse_for_random_names)
{
    static const char *const hubs[] = {"a", "orders", "Team.Orders_v1-x", "_", "...", "avro", "0", "hub"};
    static const char *const classes[] = {"default", "avro", "a", "pii-90d", "z9-"};
    test_random random = test_random_make(3);

    for (int i = 0; i < 20000; i++) {
        hv_partition partition = partition_make(hubs[test_random_below(&random, 8)], 1 + (uint32_t)test_random_below(&random, UINT32_MAX),
                                                (int32_t)test_random_below(&random, INT32_MAX));
        int64_t first = (int64_t)(test_random_next(&random) >> (1 + test_random_below(&random, 63)));
        const char *class_name = classes[test_random_below(&random, 5)];

        hv_name_parts lead = hv_name_parse(hv_name_of_lead(&partition, first).text);
        ck_assert_int_eq(lead.kind, HV_NAME_LEAD);
        ck_assert_int_eq(hv_partition_compare(&lead.partition, &partition), 0);
        ck_assert_int_eq(lead.first, first);
        hv_name_parts sibling = hv_name_parse(hv_name_of_sibling(&partition, first, class_name).text);
        ck_assert_int_eq(sibling.kind, HV_NAME_SIBLING);
        ck_assert_int_eq(sibling.first, first);
        ck_assert_str_eq(sibling.class_name, class_name);
        hv_name_parts claim = hv_name_parse(hv_name_of_incarnation(partition.hub, partition.incarnation).text);
        ck_assert_int_eq(claim.kind, HV_NAME_INCARNATION);
        ck_assert_str_eq(claim.partition.hub, partition.hub);
        ck_assert_uint_eq(claim.partition.incarnation, partition.incarnation);
    }
    ck_assert_int_eq(hv_name_parse("vault.json").kind, HV_NAME_MARKER);
}
END_TEST

START_TEST(names_of_snapshots_count_down_and_come_back)
{
    static const int64_t numbers[] = {1, 2, 9, 10, 12345678, HV_SNAPSHOT_NUMBER_MAX};
    char key[HV_GROUP_KEY_SIZE], longest[HV_HUB_SIZE];

    hv_group_key("billing", key);
    ck_assert_str_eq(key, "0c95c7ece1ce1a9750275ef1c6d7ad6b");
    ck_assert_str_eq(hv_name_of_snapshot("orders", NULL, 1).text, "snapshots/topics/hub=orders/9999999999.json");
    ck_assert_str_eq(hv_name_of_snapshot("orders", key, 2).text,
                     "snapshots/groups/hub=orders/group=0c95c7ece1ce1a9750275ef1c6d7ad6b/9999999998.json");
    memset(longest, 'h', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int is_group = 0; is_group < 2; is_group++) {
            hv_blob_name name = hv_name_of_snapshot(longest, is_group ? key : NULL, numbers[i]);
            hv_name_parts parts = hv_name_parse(name.text);
            ck_assert_int_eq(parts.kind, is_group ? HV_NAME_GROUP_SNAPSHOT : HV_NAME_TOPIC_SNAPSHOT);
            ck_assert_int_eq(parts.number, numbers[i]);
            ck_assert_str_eq(parts.partition.hub, longest);
            ck_assert_str_eq(parts.group_key, is_group ? key : "");
            if (i > 0)
                ck_assert_int_lt(strcmp(name.text, hv_name_of_snapshot(longest, is_group ? key : NULL, numbers[i - 1]).text), 0);
        }
}
END_TEST

#define FOLDER "segments/hub=o/incarnation=1/partition=0/"

static const char *const foreign[] = {
    "",
    "segments",
    "segments/",
    "vault.json2",
    "Vault.json",
    "x" FOLDER "00000000000000000000.avro",
    "segments/hub=/incarnation=1/partition=0/00000000000000000000.avro",
    "segments/hub=./incarnation=1/partition=0/00000000000000000000.avro",
    "segments/hub=a b/incarnation=1/partition=0/00000000000000000000.avro",
    "segments/hub=\xc3\xa4/incarnation=1/partition=0/00000000000000000000.avro",
    "segments/hub=o/incarnation=0/partition=0/00000000000000000000.avro",
    "segments/hub=o/incarnation=01/partition=0/00000000000000000000.avro",
    "segments/hub=o/incarnation=+1/partition=0/00000000000000000000.avro",
    "segments/hub=o/incarnation=4294967296/partition=0/00000000000000000000.avro",
    "segments/hub=o/incarnation=1/partition=-0/00000000000000000000.avro",
    "segments/hub=o/incarnation=1/partition=2147483648/00000000000000000000.avro",
    "segments/hub=o/incarnation=1/partition= 0/00000000000000000000.avro",
    "segments/hub=o/incarnation=1/partition=0/",
    "segments/hub=o/incarnation=1/partition=0",
    "segments/hub=o/incarnation=1/incarnation.json/",
    "segments/hub=o/incarnation=1/incarnation.jsonx",
    "segments/hub=o//incarnation=1/partition=0/00000000000000000000.avro",
    FOLDER "0.avro",
    FOLDER "0000000000000000000.avro",
    FOLDER "000000000000000000000.avro",
    FOLDER "0000000000000000000x.avro",
    FOLDER "-0000000000000000001.avro",
    FOLDER "09223372036854775808.avro",         /* 2^63 */
    FOLDER "99999999999999999999.avro",
    FOLDER "00000000000000000000",
    FOLDER "00000000000000000000.",
    FOLDER "00000000000000000000.Avro",
    FOLDER "00000000000000000000.avro.part",
    FOLDER "00000000000000000000..avro",
    FOLDER "00000000000000000000.Class.avro",
    FOLDER "00000000000000000000.1a.avro",
    FOLDER "00000000000000000000.a.b.avro",
    FOLDER "00000000000000000000.a.avro.avro",
    FOLDER "00000000000000000000.avro/",
    FOLDER "x/00000000000000000000.avro",
    FOLDER ".00000000000000000000.avro.tmp",
    "snapshots/topics/hub=o/0000000000.json",
    "snapshots/topics/hub=o/999999999.json",
    "snapshots/topics/hub=o/99999999999.json",
    "snapshots/topics/hub=o/9999999999.jsonl",
    "snapshots/topics/hub=o/group=0c95c7ece1ce1a9750275ef1c6d7ad6b/9999999999.json",
    "snapshots/topics/hub=./9999999999.json",
    "snapshots/groups/hub=o/9999999999.json",
    "snapshots/groups/hub=o/group=/9999999999.json",
    "snapshots/groups/hub=o/group=0c95c7ece1ce1a9750275ef1c6d7ad6/9999999999.json",
    "snapshots/groups/hub=o/group=0C95C7ece1ce1a9750275ef1c6d7ad6b/9999999999.json",
    "snapshots/9999999999.json",
};

START_TEST(a_name_that_is_not_exactly_ours_is_foreign)
{
    ck_assert_msg(hv_name_parse(foreign[_i]).kind == HV_NAME_FOREIGN, "'%s' was taken for ours", foreign[_i]);
}
END_TEST

START_TEST(a_name_of_any_length_is_survived)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf name = HV_BUF_INIT(1 << 20);

    hv_buf_put_text(&name, "segments/hub=");
    while (name.len < 100000) {
        hv_buf_put_text(&name, "0123456789");
        ck_assert_int_eq(hv_name_parse(name.data).kind, HV_NAME_FOREIGN);
    }
    ck_hv_ok(hv_buf_check(&name, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("names");
    tcase_add_test(tests, names_have_the_documented_form);
    tcase_add_test(tests, the_longest_hub_class_and_numbers_fit_into_a_name_and_come_back);
    tcase_add_test(tests, names_of_snapshots_count_down_and_come_back);
    tcase_add_test(tests, parsing_and_making_are_inverse_for_random_names);
    tcase_add_loop_test(tests, a_name_that_is_not_exactly_ours_is_foreign, 0, (int)(sizeof foreign / sizeof foreign[0]));
    tcase_add_test(tests, a_name_of_any_length_is_survived);
    return ck_hv_run("names", tests);
}
