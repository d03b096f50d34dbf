#include "replay/cloud_event.h"
#include "replay/replay_filter.h"
#include "tests/harness/check_hv.h"

static hv_err err;

static bool
matches(const hv_event_filter *filter, const hv_event *event)
{
    HV_AUTO(hv_buf_free) hv_buf scratch = HV_BUF_INIT(1 << 20);
    bool ret;

    ck_hv_ok(hv_event_filter_match(filter, event, &scratch, &ret, &err));
    return ret;
}

START_TEST(an_empty_filter_lets_everything_pass)
{
    ck_assert(matches(&(hv_event_filter){.keys = NULL}, &(hv_event){.offset = 1}));
}
END_TEST

START_TEST(a_key_matches_exactly_and_a_null_key_matches_no_filter)
{
    hv_key_filter keys[] = {{.bytes = hv_slice_text("a")}, {.bytes = hv_slice_text("")}};
    hv_event_filter filter = {.keys = keys, .key_count = 2};

    ck_assert(matches(&filter, &(hv_event){.key = hv_slice_text("a")}));
    ck_assert(matches(&filter, &(hv_event){.key = hv_slice_text("")}));
    ck_assert(!matches(&filter, &(hv_event){.key = hv_slice_text("ab")}));
    ck_assert(!matches(&filter, &(hv_event){.key = HV_SLICE_NULL}));
}
END_TEST

START_TEST(an_exact_key_with_a_star_is_no_glob)
{
    hv_key_filter exact = {.bytes = hv_slice_text("a*")}, glob = {.bytes = hv_slice_text("a*"), .is_glob = true};

    ck_assert(!matches(&(hv_event_filter){.keys = &exact, .key_count = 1}, &(hv_event){.key = hv_slice_text("abc")}));
    ck_assert(matches(&(hv_event_filter){.keys = &glob, .key_count = 1}, &(hv_event){.key = hv_slice_text("abc")}));
}
END_TEST

START_TEST(any_of_duplicate_headers_may_match_but_each_asked_header_must)
{
    const hv_header headers[] = {
        {.name = hv_slice_text("a"), .value = hv_slice_text("1")},
        {.name = hv_slice_text("a"), .value = hv_slice_text("2")},
        {.name = hv_slice_text("b"), .value = HV_SLICE_NULL},
    };
    hv_event event = {.headers = headers, .header_count = 3};
    hv_header_filter second = {.name = hv_slice_text("a"), .has_value = true, .value = hv_slice_text("2")};
    hv_header_filter there = {.name = hv_slice_text("b")};
    hv_header_filter empty = {.name = hv_slice_text("b"), .has_value = true, .value = hv_slice_text("")};
    hv_header_filter null = {.name = hv_slice_text("b"), .has_value = true, .value = HV_SLICE_NULL};
    hv_header_filter both[] = {second, {.name = hv_slice_text("c")}};

    ck_assert(matches(&(hv_event_filter){.headers = &second, .header_count = 1}, &event));
    ck_assert(matches(&(hv_event_filter){.headers = &there, .header_count = 1}, &event));
    ck_assert(!matches(&(hv_event_filter){.headers = &empty, .header_count = 1}, &event));
    ck_assert(matches(&(hv_event_filter){.headers = &null, .header_count = 1}, &event));
    ck_assert(!matches(&(hv_event_filter){.headers = both, .header_count = 2}, &event));
}
END_TEST

static bool
type_matches(const char *glob, const hv_header *headers, size_t count, const char *value)
{
    hv_slice types[] = {hv_slice_text("never.this"), hv_slice_text(glob)};
    hv_event event = {.headers = headers, .header_count = count, .value = value != NULL ? hv_slice_text(value) : HV_SLICE_NULL};

    return matches(&(hv_event_filter){.types = types, .type_count = 2}, &event);
}

START_TEST(the_type_of_a_binary_cloud_event_is_its_header)
{
    const hv_header headers[] = {{.name = hv_slice_text("content-type"), .value = hv_slice_text("application/json")},
                                 {.name = hv_slice_text("ce_type"), .value = hv_slice_text("uk.example.sale.Confirmed")}};

    ck_assert(type_matches("uk.example.sale.*", headers, 2, "{\"type\":\"other\"}"));
    ck_assert(!type_matches("uk.example.sale", headers, 2, "{}"));
    ck_assert(!type_matches("other", headers, 2, "{\"type\":\"other\"}"));
    ck_assert(type_matches("uk*", &headers[1], 1, NULL));
}
END_TEST

START_TEST(the_type_of_a_structured_cloud_event_is_in_its_json)
{
    const hv_header headers[] = {
        {.name = hv_slice_text("Content-Type"), .value = hv_slice_text("application/cloudevents+json; charset=utf-8")},
        {.name = hv_slice_text("ce_type"), .value = hv_slice_text("not.this")}};

    ck_assert(type_matches("a.b", headers, 2, "{\"data\":{\"type\":\"x\"},\"type\":\"a.b\"}"));
    ck_assert(!type_matches("not.this", headers, 2, "{\"type\":\"a.b\"}"));
    ck_assert(!type_matches("*", headers, 2, "{\"data\":{\"type\":\"x\"}}"));
    ck_assert(!type_matches("*", headers, 2, "no json"));
    ck_assert(!type_matches("*", headers, 2, NULL));
}
END_TEST

START_TEST(the_avro_form_of_a_cloud_event_has_no_type_for_us)
{
    const hv_header headers[] = {
        {.name = hv_slice_text("content-type"), .value = hv_slice_text("application/cloudevents+avro")},
        {.name = hv_slice_text("ce_type"), .value = hv_slice_text("a.b")}};

    ck_assert(!type_matches("*", headers, 2, "{\"type\":\"a.b\"}"));
}
END_TEST

START_TEST(an_event_without_a_type_matches_no_type)
{
    ck_assert(!type_matches("*", NULL, 0, "{\"type\":\"a.b\"}"));
}
END_TEST

static const char *
member(const char *json)
{
    static hv_buf text = HV_BUF_INIT(1 << 20);

    return hv_json_string_member(hv_slice_text(json), "type", &text) ? text.len > 0 ? text.data : "" : NULL;
}

START_TEST(a_member_is_found_whatever_stands_around_it)
{
    ck_assert_str_eq(member("{\"type\":\"x\"}"), "x");
    ck_assert_str_eq(member(" {\n\"a\" : [1, {\"type\":\"no\"}, \"}\"] ,\t\"type\" : \"x\" , \"b\":{} } "), "x");
    ck_assert_str_eq(member("{\"a\":\"\\\"type\\\":\\\"no\\\"\",\"type\":\"x\"}"), "x");
    ck_assert_str_eq(member("{\"a\":-1.5e3,\"b\":true,\"c\":null,\"type\":\"\"}"), "");
    ck_assert_str_eq(member("{\"a\":[[[]]],\"b\":{\"c\":{}},\"type\":\"x\"}"), "x");
}
END_TEST

START_TEST(names_and_values_are_compared_without_their_escapes)
{
    ck_assert_str_eq(member("{\"ty\\u0070e\":\"a\\u002eb\\n\\\"\\/\\\\\"}"), "a.b\n\"/\\");
    ck_assert_str_eq(member("{\"\\u0074\\u0079\\u0070\\u0065\":\"\\u00e4\\ud83d\\ude00\\u20ac\"}"),
                     "\xc3\xa4\xf0\x9f\x98\x80\xe2\x82\xac");
    ck_assert_str_eq(member("{\"type\\u0000\":\"no\",\"type\":\"\\b\\f\\r\\t\"}"), "\b\f\r\t");
}
END_TEST

START_TEST(of_several_members_the_last_one_counts)
{
    ck_assert_str_eq(member("{\"type\":\"a\",\"type\":\"b\"}"), "b");
    ck_assert_ptr_null(member("{\"type\":\"a\",\"type\":5}"));
}
END_TEST

START_TEST(what_is_no_object_or_no_json_has_no_member)
{
    ck_assert_ptr_null(member("[\"type\",\"x\"]"));
    ck_assert_ptr_null(member("\"type\""));
    ck_assert_ptr_null(member("{\"type\":\"x\""));
    ck_assert_ptr_null(member("{\"type\":\"\\ud83d\"}"));
    ck_assert_ptr_null(member("{}"));
    ck_assert_ptr_null(member(""));
}
END_TEST

START_TEST(different_filters_are_written_differently)
{
    HV_AUTO(hv_buf_free) hv_buf a = HV_BUF_INIT(1000), b = HV_BUF_INIT(1000);
    hv_key_filter one[] = {{.bytes = hv_slice_text("ab")}}, two[] = {{.bytes = hv_slice_text("a")}, {.bytes = hv_slice_text("b")}};

    hv_event_filter_write(&(hv_event_filter){.keys = one, .key_count = 1}, &a);
    hv_event_filter_write(&(hv_event_filter){.keys = two, .key_count = 2}, &b);
    ck_assert_str_ne(a.data, b.data);
    hv_buf_clear(&b);
    one[0].is_glob = true;
    hv_event_filter_write(&(hv_event_filter){.keys = one, .key_count = 1}, &b);
    ck_assert_str_ne(a.data, b.data);
}
END_TEST

START_TEST(too_many_values_are_refused)
{
    static hv_slice types[HV_FILTER_MAX + 1];

    ck_hv_fails(HV_USAGE, hv_event_filter_check(&(hv_event_filter){.types = types, .type_count = HV_FILTER_MAX + 1}, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_filter");

    tcase_add_test(tests, an_empty_filter_lets_everything_pass);
    tcase_add_test(tests, a_key_matches_exactly_and_a_null_key_matches_no_filter);
    tcase_add_test(tests, an_exact_key_with_a_star_is_no_glob);
    tcase_add_test(tests, any_of_duplicate_headers_may_match_but_each_asked_header_must);
    tcase_add_test(tests, the_type_of_a_binary_cloud_event_is_its_header);
    tcase_add_test(tests, the_type_of_a_structured_cloud_event_is_in_its_json);
    tcase_add_test(tests, the_avro_form_of_a_cloud_event_has_no_type_for_us);
    tcase_add_test(tests, an_event_without_a_type_matches_no_type);
    tcase_add_test(tests, a_member_is_found_whatever_stands_around_it);
    tcase_add_test(tests, names_and_values_are_compared_without_their_escapes);
    tcase_add_test(tests, of_several_members_the_last_one_counts);
    tcase_add_test(tests, what_is_no_object_or_no_json_has_no_member);
    tcase_add_test(tests, different_filters_are_written_differently);
    tcase_add_test(tests, too_many_values_are_refused);
    return ck_hv_run("replay_filter", tests);
}
