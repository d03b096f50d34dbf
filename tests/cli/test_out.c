#include "cli/out.h"

#include <jansson.h>

#include "tests/harness/check_hv.h"

static const hv_column columns[] = {
    {.name = "hub"},
    {.name = "stored_bytes", .type = HV_OUT_SIZE},
    {.name = "age_ms", .type = HV_OUT_DURATION, .heading = "AGE"},
    {.name = "detail", .json_only = true},
    {.name = "last_seal", .type = HV_OUT_TIME},
    {.name = "ok", .type = HV_OUT_YES_NO},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static char *printed;
static size_t printed_len;
static FILE *to;
static hv_out out;
static hv_err err;

static void
setup(void)
{
    to = open_memstream(&printed, &printed_len);
    ck_assert_ptr_nonnull(to);
}

static void
teardown(void)
{
    fclose(to);
    free(printed);
}

static void
put_row(const char *hub, int64_t bytes)
{
    hv_out_text(&out, hub);
    hv_out_number(&out, bytes);
    hv_out_number(&out, 8040000);
    hv_out_text(&out, "more");
    hv_out_number(&out, 1795510800000);
    hv_out_number(&out, 1);
    hv_out_row_end(&out);
}

START_TEST(a_table_is_aligned_with_numbers_to_the_right_and_made_for_eyes)
{
    hv_out_start(&out, to, false);
    hv_out_table(&out, columns, COLUMNS);
    put_row("orders", 8 << 20);
    put_row("a", 3);
    ck_hv_ok(hv_out_finish(&out, &err));
    ck_assert_str_eq(printed, "HUB     STORED BYTES     AGE  LAST SEAL                 OK\n"
                     "orders       8.0 MiB  2h 14m  2026-11-24T09:00:00.000Z  yes\n"
                     "a                3 B  2h 14m  2026-11-24T09:00:00.000Z  yes\n");
}
END_TEST

START_TEST(json_lines_have_every_field_as_it_is)
{
    hv_out_start(&out, to, true);
    hv_out_table(&out, columns, COLUMNS);
    put_row("orders", 8 << 20);
    ck_hv_ok(hv_out_finish(&out, &err));
    ck_assert_str_eq(printed, "{\"hub\":\"orders\",\"stored_bytes\":8388608,\"age_ms\":8040000,\"detail\":\"more\","
                     "\"last_seal\":\"2026-11-24T09:00:00.000Z\",\"ok\":true}\n");
}
END_TEST

START_TEST(what_is_absent_is_null_for_programs_and_a_dash_for_eyes)
{
    static const hv_column two[] = {{.name = "a"}, {.name = "n", .type = HV_OUT_NUMBER}};

    for (int json = 0; json < 2; json++) {
        hv_out_start(&out, to, json == 1);
        hv_out_table(&out, two, 2);
        hv_out_absent(&out);
        hv_out_absent(&out);
        hv_out_row_end(&out);
        ck_hv_ok(hv_out_finish(&out, &err));
    }
    ck_assert_str_eq(printed, "A  N\n-  -\n{\"a\":null,\"n\":null}\n");
}
END_TEST

START_TEST(no_row_is_a_heading_for_eyes_and_nothing_for_programs)
{
    hv_out_start(&out, to, false);
    hv_out_table(&out, columns, 1);
    ck_hv_ok(hv_out_finish(&out, &err));
    hv_out_start(&out, to, true);
    hv_out_table(&out, columns, 1);
    ck_hv_ok(hv_out_finish(&out, &err));
    ck_assert_str_eq(printed, "HUB\n");
}
END_TEST

START_TEST(a_value_can_break_neither_the_row_nor_the_terminal)
{
    static const char evil[] = "a\tb\n\x1b[2J\x7f\xc2\x9bx\xff\"\\";
    json_error_t why;

    hv_out_start(&out, to, false);
    hv_out_table(&out, columns, 1);
    hv_out_text(&out, evil);
    hv_out_row_end(&out);
    hv_out_text(&out, "\xc3\xa9\xc2\x9bz");
    hv_out_row_end(&out);
    ck_hv_ok(hv_out_finish(&out, &err));
    ck_assert_str_eq(printed, "HUB\na?b??[2J???x?\"\\\n\xc3\xa9??z\n");
    rewind(to);
    hv_out_start(&out, to, true);
    hv_out_table(&out, columns, 1);
    hv_out_text(&out, evil);
    hv_out_row_end(&out);
    ck_hv_ok(hv_out_finish(&out, &err));
    json_t *row = json_loads(printed, 0, &why);
    ck_assert_msg(row != NULL, "%s: %s", why.text, printed);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(row, "hub")), "a\tb\n\x1b[2J\x7f"));
    json_decref(row);
}
END_TEST

START_TEST(a_long_table_is_printed_on_the_way_with_the_widths_of_its_first_rows)
{
    static const hv_column two[] = {{.name = "hub"}, {.name = "n", .type = HV_OUT_NUMBER}};
    char name[32];
    unsigned lines = 0;

    hv_out_start(&out, to, false);
    hv_out_table(&out, two, 2);
    for (int i = 0; i < 3 * HV_OUT_AHEAD; i++) {
        snprintf(name, sizeof name, "hub-%d", i);
        hv_out_text(&out, name);
        hv_out_number(&out, i);
        hv_out_row_end(&out);
        ck_assert_uint_lt(out.row.len, 100 * HV_OUT_AHEAD);
    }
    ck_hv_ok(hv_out_finish(&out, &err));
    for (const char *at = printed; *at != '\0'; at++)
        lines += *at == '\n';
    ck_assert_uint_eq(lines, 3 * HV_OUT_AHEAD + 1);
    ck_assert_ptr_nonnull(strstr(printed, "\nhub-0      0\n"));
    ck_assert_ptr_nonnull(strstr(printed, "\nhub-499  499\n"));
    ck_assert_ptr_nonnull(strstr(printed, "\nhub-1499  1499\n"));
}
END_TEST

START_TEST(characters_are_counted_not_bytes)
{
    static const hv_column two[] = {{.name = "hub"}, {.name = "n", .type = HV_OUT_NUMBER}};

    hv_out_start(&out, to, false);
    hv_out_table(&out, two, 2);
    hv_out_text(&out, "\xc3\xa9\xc3\xa9");
    hv_out_number(&out, 1);
    hv_out_row_end(&out);
    ck_hv_ok(hv_out_finish(&out, &err));
    ck_assert_str_eq(printed, "HUB  N\n\xc3\xa9\xc3\xa9   1\n");
}
END_TEST

START_TEST(a_line_for_eyes_stands_behind_the_table_and_not_in_json)
{
    hv_out_start(&out, to, false);
    hv_out_table(&out, columns, 1);
    hv_out_text(&out, "x");
    hv_out_row_end(&out);
    hv_out_say(&out, "%d hub", 1);
    ck_hv_ok(hv_out_finish(&out, &err));
    hv_out_start(&out, to, true);
    hv_out_say(&out, "nothing");
    ck_hv_ok(hv_out_finish(&out, &err));
    ck_assert_str_eq(printed, "HUB\nx\n1 hub\n");
}
END_TEST

START_TEST(lost_output_is_a_failure_that_says_why)
{
    FILE *full = fopen("/dev/full", "w");

    ck_assert_ptr_nonnull(full);
    hv_out_start(&out, full, false);
    hv_out_say(&out, "x");
    ck_hv_fails(HV_IO, hv_out_finish(&out, &err));
    ck_assert_str_eq(err.msg, "cannot write all output: No space left on device");
    hv_out_start(&out, full, false);
    ck_hv_fails(HV_IO, hv_out_finish(&out, &err));      /* still, although nothing is buffered any more */
    fclose(full);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("out");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_table_is_aligned_with_numbers_to_the_right_and_made_for_eyes);
    tcase_add_test(tests, json_lines_have_every_field_as_it_is);
    tcase_add_test(tests, what_is_absent_is_null_for_programs_and_a_dash_for_eyes);
    tcase_add_test(tests, no_row_is_a_heading_for_eyes_and_nothing_for_programs);
    tcase_add_test(tests, a_value_can_break_neither_the_row_nor_the_terminal);
    tcase_add_test(tests, a_long_table_is_printed_on_the_way_with_the_widths_of_its_first_rows);
    tcase_add_test(tests, characters_are_counted_not_bytes);
    tcase_add_test(tests, a_line_for_eyes_stands_behind_the_table_and_not_in_json);
    tcase_add_test(tests, lost_output_is_a_failure_that_says_why);
    return ck_hv_run("out", tests);
}
