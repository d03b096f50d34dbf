#include "common/glob.h"
#include "tests/harness/check_hv.h"

static bool
matches(const char *pattern, const char *text)
{
    return hv_glob_match(hv_slice_text(pattern), hv_slice_text(text));
}

START_TEST(a_name_without_wildcards_matches_itself_only)
{
    ck_assert(matches("orders", "orders"));
    ck_assert(!matches("orders", "order"));
    ck_assert(!matches("orders", "orders2"));
    ck_assert(matches("", ""));
    ck_assert(!matches("", "x"));
    ck_assert(!hv_glob_is_pattern(hv_slice_text("orders")));
}
END_TEST

START_TEST(a_star_matches_any_bytes_even_none)
{
    ck_assert(matches("*", ""));
    ck_assert(matches("ord*", "ord"));
    ck_assert(matches("*.v1", "uk.example.sale.v1"));
    ck_assert(!matches("*.v1", "uk.example.sale.v12"));
    ck_assert(matches("a*b*c", "a-b-b-c"));
    ck_assert(!matches("a*b*c", "a-c-b"));
    ck_assert(matches("**", "x"));
    ck_assert(hv_glob_is_pattern(hv_slice_text("a*")));
}
END_TEST

START_TEST(a_question_mark_matches_exactly_one_byte)
{
    ck_assert(matches("v?", "v1"));
    ck_assert(!matches("v?", "v"));
    ck_assert(!matches("v?", "v12"));
    ck_assert(matches("?*", "x"));
    ck_assert(!matches("?*", ""));
    ck_assert(hv_glob_is_pattern(hv_slice_text("v?")));
}
END_TEST

START_TEST(a_zero_byte_is_a_byte_like_any_other)
{
    ck_assert(hv_glob_match(hv_slice_of("a?c", 3), hv_slice_of("a\0c", 3)));
    ck_assert(!hv_glob_match(hv_slice_of("a\0", 2), hv_slice_of("a", 1)));
}
END_TEST

START_TEST(a_set_matches_one_byte_of_it_and_a_negated_set_one_that_is_not_in_it)
{
    ck_assert(matches("v[12]", "v1"));
    ck_assert(!matches("v[12]", "v3"));
    ck_assert(matches("v[0-9a-f]x", "vcx"));
    ck_assert(!matches("v[0-9a-f]x", "vgx"));
    ck_assert(matches("[!a-c]*", "d"));
    ck_assert(!matches("[!a-c]*", "b"));
    ck_assert(matches("[^a-c]*", "-x"));
    ck_assert(!matches("[a]", ""));
    ck_assert(matches("a*[0-9]", "a-b-7"));
    ck_assert(hv_glob_is_pattern(hv_slice_text("v[12]")));
}
END_TEST

START_TEST(brackets_and_dashes_at_the_edge_of_a_set_are_themselves)
{
    ck_assert(matches("[]]", "]"));
    ck_assert(matches("[]a]", "a"));
    ck_assert(matches("[!]]", "a"));
    ck_assert(!matches("[!]]", "]"));
    ck_assert(matches("[a-]", "-"));
    ck_assert(matches("[-a]", "-"));
    ck_assert(!matches("[a-]", "b"));
}
END_TEST

START_TEST(a_set_that_is_never_closed_is_plain_text)
{
    ck_assert(matches("a[b", "a[b"));
    ck_assert(!matches("a[b", "ab"));
    ck_assert(matches("[", "["));
    ck_assert(matches("[]", "[]"));
    ck_assert(!hv_glob_is_pattern(hv_slice_text("a[b")));
}
END_TEST

START_TEST(one_of_several_patterns_is_enough_and_none_matches_nothing)
{
    const char *const patterns[] = {"a*", "*z"};

    ck_assert(hv_glob_match_any(patterns, 2, "abc"));
    ck_assert(hv_glob_match_any(patterns, 2, "xyz"));
    ck_assert(!hv_glob_match_any(patterns, 2, "xy"));
    ck_assert(!hv_glob_match_any(NULL, 0, "xy"));
}
END_TEST

START_TEST(many_stars_do_not_take_for_ever)
{
    char text[4096];

    memset(text, 'a', sizeof text);
    ck_assert(!hv_glob_match(hv_slice_text("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), hv_slice_of(text, sizeof text)));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("glob");

    tcase_add_test(tests, a_name_without_wildcards_matches_itself_only);
    tcase_add_test(tests, a_star_matches_any_bytes_even_none);
    tcase_add_test(tests, a_question_mark_matches_exactly_one_byte);
    tcase_add_test(tests, a_zero_byte_is_a_byte_like_any_other);
    tcase_add_test(tests, a_set_matches_one_byte_of_it_and_a_negated_set_one_that_is_not_in_it);
    tcase_add_test(tests, brackets_and_dashes_at_the_edge_of_a_set_are_themselves);
    tcase_add_test(tests, a_set_that_is_never_closed_is_plain_text);
    tcase_add_test(tests, one_of_several_patterns_is_enough_and_none_matches_nothing);
    tcase_add_test(tests, many_stars_do_not_take_for_ever);
    return ck_hv_run("glob", tests);
}
