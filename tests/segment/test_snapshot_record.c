#include "segment/canonical_json.h"
#include "segment/snapshot_record.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

#define HEAD "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"orders\",\"number\":3,\"taken\":1700000000000,\"incarnation\":2"
#define TOPIC HEAD ",\"partitions\":4,\"replication\":3,\"settings\":[[\"cleanup.policy\",\"compact\",\"topic\"],[\"retention.ms\",\"-1\",\"default\"]]}\n"
#define GROUP HEAD ",\"group\":\"b\\u00c3\\u00a4\",\"offsets\":[[0,5,\"\"],[7,9223372036854775807,\"m\\u0000\\u0022\"]]}\n"

static hv_err err;

static hv_snapshot_head
head(void)
{
    return (hv_snapshot_head){.vault = TEST_VAULT, .hub = "orders", .number = 3, .taken_ms = 1700000000000, .incarnation = 2};
}

START_TEST(a_snapshot_of_a_topic_has_the_documented_bytes_and_comes_back)
{
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot made = {.head = head(), .partitions = 4, .replication = 3, .told = true};
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot got = {.partitions = 0};
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    HV_AUTO(hv_buf_free) hv_buf again = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    ck_hv_ok(hv_topic_snapshot_add(&made, "retention.ms", "-1", false, &err));
    ck_hv_ok(hv_topic_snapshot_add(&made, "cleanup.policy", "compact", true, &err));
    hv_topic_snapshot_sort(&made);
    hv_topic_snapshot_write(&made, &text);
    ck_assert_str_eq(text.data, TOPIC);
    ck_hv_ok(hv_topic_snapshot_parse(hv_buf_slice(&text), &got, &err));
    ck_assert_uint_eq(got.count, 2);
    ck_assert(got.settings[0].own && !got.settings[1].own);
    hv_topic_snapshot_write(&got, &again);
    ck_assert_str_eq(again.data, TOPIC);
}
END_TEST

START_TEST(a_snapshot_of_a_group_has_the_documented_bytes_and_comes_back_with_any_metadata)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = {.head = head(), .group = strdup("b\xc3\xa4")};
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot got = {.group = NULL};
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    ck_hv_ok(hv_group_snapshot_add(&made, 7, INT64_MAX, hv_slice_of("m\0\"", 3), &err));
    ck_hv_ok(hv_group_snapshot_add(&made, 0, 5, HV_SLICE_NULL, &err));
    hv_group_snapshot_sort(&made);
    hv_group_snapshot_write(&made, &text);
    ck_assert_str_eq(text.data, GROUP);
    ck_hv_ok(hv_group_snapshot_parse(hv_buf_slice(&text), &got, &err));
    ck_assert_str_eq(got.group, "b\xc3\xa4");
    ck_assert_uint_eq(got.count, 2);
    ck_assert_int_eq(got.positions[1].offset, INT64_MAX);
    ck_assert_uint_eq(got.positions[1].metadata_len, 3);
    ck_assert_mem_eq(got.positions[1].metadata, "m\0\"", 3);
}
END_TEST

START_TEST(the_same_state_has_the_same_content_whatever_its_number_and_time)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot got = {.group = NULL};
    HV_AUTO(hv_buf_free) hv_buf one = HV_BUF_INIT(HV_SNAPSHOT_MAX);
    HV_AUTO(hv_buf_free) hv_buf other = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    ck_hv_ok(hv_group_snapshot_parse(hv_slice_text(GROUP), &got, &err));
    hv_group_snapshot_write_content(&got, &one);
    got.head.number = 9;
    got.head.taken_ms = -1;
    hv_group_snapshot_write_content(&got, &other);
    ck_assert_str_eq(one.data, other.data);
    hv_buf_clear(&other);
    got.positions[0].offset++;
    hv_group_snapshot_write_content(&got, &other);
    ck_assert_str_ne(one.data, other.data);
}
END_TEST

static const char *const bad_groups[] = {
    "",
    "{",
    HEAD ",\"group\":\"g\",\"offsets\":[]}\n",                           /* never empty */
    HEAD ",\"group\":\"g\",\"offsets\":[[0,5,\"\"]]}",                   /* no line feed */
    HEAD ",\"group\":\"g\",\"offsets\":[[0,5,\"\"]]}\n\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[0,5,\"\"],]}\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[0,5,\"\"],[0,6,\"\"]]}\n",      /* twice */
    HEAD ",\"group\":\"g\",\"offsets\":[[1,5,\"\"],[0,6,\"\"]]}\n",      /* not ascending */
    HEAD ",\"group\":\"g\",\"offsets\":[[0,-1,\"\"]]}\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[-1,1,\"\"]]}\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[0,05,\"\"]]}\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[2147483648,5,\"\"]]}\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[0,5,null]]}\n",
    HEAD ",\"group\":\"g\",\"offsets\":[[0,5,\"\\u0041\"]]}\n",          /* another spelling of A */
    HEAD ",\"group\":\"g\\u0000\",\"offsets\":[[0,5,\"\"]]}\n",
    HEAD ", \"group\":\"g\",\"offsets\":[[0,5,\"\"]]}\n",
    "{\"format\":1,\"vault\":\"x\",\"hub\":\"orders\",\"number\":3,\"taken\":1,\"incarnation\":2,\"group\":\"g\",\"offsets\":[[0,5,\"\"]]}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"a b\",\"number\":3,\"taken\":1,\"incarnation\":2,\"group\":\"g\",\"offsets\":[[0,5,\"\"]]}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"o\",\"number\":0,\"taken\":1,\"incarnation\":2,\"group\":\"g\",\"offsets\":[[0,5,\"\"]]}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"o\",\"number\":1,\"taken\":1,\"incarnation\":0,\"group\":\"g\",\"offsets\":[[0,5,\"\"]]}\n",
    TOPIC,
};

START_TEST(a_group_that_is_not_written_exactly_so_is_refused)
{
    hv_group_snapshot got = {.group = NULL};

    ck_hv_fails(HV_CORRUPT, hv_group_snapshot_parse(hv_slice_text(bad_groups[_i]), &got, &err));
    ck_assert_ptr_null(got.group);
}
END_TEST

static const char *const bad_topics[] = {
    HEAD ",\"partitions\":0,\"replication\":3,\"settings\":null}\n",
    HEAD ",\"partitions\":1,\"replication\":-1,\"settings\":null}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":{}}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":[[\"a\",\"b\",\"own\"]]}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":[[\"a\",\"b\"]]}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":[[\"b\",\"b\",\"topic\"],[\"a\",\"b\",\"topic\"]]}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":[[\"a\",\"b\",\"topic\"],[\"a\",\"c\",\"topic\"]]}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":[[\"a\",\"\\u0000\",\"topic\"]]}\n",
    HEAD ",\"partitions\":1,\"replication\":1,\"settings\":[]}",
    GROUP,
};

START_TEST(a_topic_that_is_not_written_exactly_so_is_refused)
{
    hv_topic_snapshot got = {.partitions = 0};

    ck_hv_fails(HV_CORRUPT, hv_topic_snapshot_parse(hv_slice_text(bad_topics[_i]), &got, &err));
    ck_assert_ptr_null(got.settings);
}
END_TEST

START_TEST(each_byte_that_is_cut_off_or_changed_into_a_quote_is_noticed)
{
    for (size_t at = 0; at < sizeof GROUP - 1; at++) {
        char text[] = GROUP;
        hv_group_snapshot got = {.group = NULL};
        ck_hv_fails(HV_CORRUPT, hv_group_snapshot_parse(hv_slice_of(text, at), &got, &err));
        if (text[at] == '"')
            continue;
        text[at] = '"';
        ck_hv_fails(HV_CORRUPT, hv_group_snapshot_parse(hv_slice_text(text), &got, &err));
    }
}
END_TEST

START_TEST(a_newer_format_is_told_by_its_number)
{
    hv_topic_snapshot topic;
    hv_group_snapshot group;

    ck_hv_fails(HV_VERSION, hv_topic_snapshot_parse(hv_slice_text("{\"format\":2,\"other\":1}\n"), &topic, &err));
    ck_hv_fails(HV_VERSION, hv_group_snapshot_parse(hv_slice_text("{\"format\":2,\"other\":1}\n"), &group, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "format 2 is newer than 1"));
}
END_TEST

START_TEST(what_is_longer_than_a_string_of_the_protocol_is_refused)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = {.group = NULL};
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot topic = {.partitions = 1};
    static char longest[HV_SNAPSHOT_TEXT_MAX + 2];

    memset(longest, 'x', sizeof longest - 1);
    ck_hv_fails(HV_LIMIT, hv_group_snapshot_add(&group, 0, 1, hv_slice_text(longest), &err));
    ck_hv_fails(HV_LIMIT, hv_topic_snapshot_add(&topic, longest, "", true, &err));
    ck_hv_fails(HV_LIMIT, hv_topic_snapshot_add(&topic, "a", longest, true, &err));
    longest[HV_SNAPSHOT_TEXT_MAX] = '\0';
    ck_hv_ok(hv_group_snapshot_add(&group, 0, 1, hv_slice_text(longest), &err));
    ck_hv_ok(hv_topic_snapshot_add(&topic, longest, longest, true, &err));
}
END_TEST

START_TEST(more_than_a_snapshot_can_hold_is_refused)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = {.group = NULL};
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot topic = {.partitions = 1};

    hv_rc rc = HV_OK;
    for (int32_t i = 0; rc == HV_OK && i < HV_SNAPSHOT_MAX_ENTRIES; i++)
        rc = hv_group_snapshot_add(&group, i, 1, HV_SLICE_NULL, &err);
    ck_hv_ok(rc);
    ck_hv_fails(HV_LIMIT, hv_group_snapshot_add(&group, HV_SNAPSHOT_MAX_ENTRIES, 1, HV_SLICE_NULL, &err));
    ck_assert_uint_eq(group.count, HV_SNAPSHOT_MAX_ENTRIES);
    ck_hv_fails(HV_CORRUPT, hv_topic_snapshot_parse(hv_slice_of("{", (size_t)HV_SNAPSHOT_MAX + 1), &topic, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "more than"));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("snapshot record");
    tcase_add_test(tests, a_snapshot_of_a_topic_has_the_documented_bytes_and_comes_back);
    tcase_add_test(tests, a_snapshot_of_a_group_has_the_documented_bytes_and_comes_back_with_any_metadata);
    tcase_add_test(tests, the_same_state_has_the_same_content_whatever_its_number_and_time);
    tcase_add_loop_test(tests, a_group_that_is_not_written_exactly_so_is_refused, 0, (int)(sizeof bad_groups / sizeof *bad_groups));
    tcase_add_loop_test(tests, a_topic_that_is_not_written_exactly_so_is_refused, 0, (int)(sizeof bad_topics / sizeof *bad_topics));
    tcase_add_test(tests, each_byte_that_is_cut_off_or_changed_into_a_quote_is_noticed);
    tcase_add_test(tests, a_newer_format_is_told_by_its_number);
    tcase_add_test(tests, what_is_longer_than_a_string_of_the_protocol_is_refused);
    tcase_add_test(tests, more_than_a_snapshot_can_hold_is_refused);
    return ck_hv_run("snapshot record", tests);
}
