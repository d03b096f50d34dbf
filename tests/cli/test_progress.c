#include "cli/progress.h"

#include <string.h>

#include "tests/harness/check_hv.h"

static char *printed;
static size_t printed_len;
static FILE *to;

static void
setup(void)
{
    to = open_memstream(&printed, &printed_len);
    ck_assert_ptr_nonnull(to);
    fflush(to);
}

static void
teardown(void)
{
    fclose(to);
    free(printed);
}

static hv_progress
begin(bool terminal)
{
    return hv_progress_begin(&(hv_cli){.notes = to, .terminal = terminal});
}

START_TEST(where_there_is_no_terminal_nothing_is_written)
{
    hv_progress progress = begin(false);

    ck_assert(!hv_progress_due(&progress));
    hv_progress_show(&progress, 1, 2, "x");
    hv_progress_clear(&progress);
    fflush(to);
    ck_assert_str_eq(printed, "");
}
END_TEST

START_TEST(a_line_is_a_bar_a_share_and_a_text)
{
    hv_progress progress = begin(true);

    hv_progress_show(&progress, 25, 100, "%d events", 25);
    ck_assert_str_eq(printed, "\r\033[K[######------------------]  25%  25 events");
}
END_TEST

START_TEST(without_a_total_there_is_no_bar)
{
    hv_progress progress = begin(true);

    hv_progress_show(&progress, 25, 0, "%d events", 25);
    ck_assert_str_eq(printed, "\r\033[K25 events");
}
END_TEST

START_TEST(more_than_all_is_all)
{
    hv_progress progress = begin(true);

    hv_progress_show(&progress, 7, 5, "x");
    ck_assert_str_eq(printed, "\r\033[K[########################] 100%  x");
}
END_TEST

START_TEST(it_is_written_a_few_times_a_second_only)
{
    hv_progress progress = begin(true);

    for (int i = 0; i < 1000; i++)
        hv_progress_show(&progress, i, 0, "%d", i);
    ck_assert_uint_lt(strlen(printed), 200);
}
END_TEST

START_TEST(a_line_never_wraps)
{
    hv_progress progress = begin(true);

    hv_progress_show(&progress, 0, 0, "%0300d", 0);
    ck_assert_uint_eq(strlen(printed), strlen(HV_PROGRESS_FORGET) + 79);
}
END_TEST

START_TEST(what_was_shown_is_taken_away_once)
{
    hv_progress progress = begin(true);

    hv_progress_clear(&progress);
    hv_progress_show(&progress, 0, 0, "x");
    hv_progress_clear(&progress);
    hv_progress_clear(&progress);
    ck_assert_str_eq(printed, "\r\033[Kx\r\033[K");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("progress");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, where_there_is_no_terminal_nothing_is_written);
    tcase_add_test(tests, a_line_is_a_bar_a_share_and_a_text);
    tcase_add_test(tests, without_a_total_there_is_no_bar);
    tcase_add_test(tests, more_than_all_is_all);
    tcase_add_test(tests, it_is_written_a_few_times_a_second_only);
    tcase_add_test(tests, a_line_never_wraps);
    tcase_add_test(tests, what_was_shown_is_taken_away_once);
    return ck_hv_run("progress", tests);
}
