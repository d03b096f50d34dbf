/* Every report of an archiver becomes a line with the fields that its row of the table names. */
#include "server/report_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/log_events.h"
#include "tests/harness/check_hv.h"

static const hv_partition orders = {.hub = "orders", .incarnation = 2, .number = 7};
static hv_index_segment lead = {.sha256 = {0xab, 0xcd}};
static const hv_index_cut cut = {.range = {5, 9}, .segments = &lead, .segment_count = 1};
static hv_err failure = {.rc = HV_IO, .msg = "no luck"};

/* One line of JSON. */
static char *
line_of(const hv_archiver_report *report, hv_log_level level)
{
    HV_AUTO(hv_log_free) hv_log *log = NULL;
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    hv_log_config config = {.to = to, .level = level, .json = true};
    hv_err err;

    ck_hv_ok(hv_log_new(&config, &log, &err));
    hv_log_report(log, report);
    hv_log_free(HV_TAKE(log));
    fclose(to);
    return text;
}

static const hv_log_event *
row_of(const char *line)
{
    char want[80];

    for (int i = 0; i < HV_LINES; i++) {
        snprintf(want, sizeof want, "\"event\":\"%s\"", hv_log_event_of((hv_log_event_id)i)->id);
        if (strstr(line, want) != NULL)
            return hv_log_event_of((hv_log_event_id)i);
    }
    ck_abort_msg("no row fits: %s", line);
    return NULL;
}

/* Fields of the row that the line lacks, and fields of the line that the row lacks. */
static void
expect_fields(const char *line)
{
    const hv_log_event *row = row_of(line);
    char names[1000], name[80];
    int wanted = 0, there = 0;

    snprintf(names, sizeof names, "%s", row->fields);
    for (char *at = strtok(names, " "); at != NULL; at = strtok(NULL, " ")) {
        bool optional = at[strlen(at) - 1] == '?';
        snprintf(name, sizeof name, "\"%.*s\":", (int)strlen(at) - optional, at);
        bool found = strstr(line, name) != NULL;
        ck_assert_msg(found || optional, "'%s' has no %s", line, name);
        wanted += found;
    }
    for (const char *at = strstr(line, "\"msg\":"); (at = strstr(at + 1, "\":")) != NULL;)
        there++;
    ck_assert_msg(there - 1 == wanted, "'%s' has fields that its row '%s' does not name", line, row->fields);
}

START_TEST(every_report_becomes_a_line_with_the_fields_of_its_row)
{
    const hv_archiver_report reports[] = {
        {.event = HV_ARCHIVER_HUB, .partition = &orders, .count = 3},
        {.event = HV_ARCHIVER_SEALED, .partition = &orders, .range = {5, 9}, .count = 4, .bytes = 100},
        {.event = HV_ARCHIVER_ADOPTED, .partition = &orders, .range = {5, 9}, .count = 4, .bytes = 100},
        {.event = HV_ARCHIVER_GAP, .partition = &orders, .range = {5, 9}, .cause = HV_GAP_RETENTION},
        {.event = HV_ARCHIVER_INCARNATION, .partition = &orders, .count = 3, .text = "identity"},
        {.event = HV_ARCHIVER_TROUBLE, .err = &failure},
        {.event = HV_ARCHIVER_TROUBLE, .partition = &orders, .err = &failure},
        {.event = HV_ARCHIVER_STOPPED, .partition = &orders, .err = &failure},
        {.event = HV_ARCHIVER_ASSIGNED, .count = 3},
        {.event = HV_ARCHIVER_REVOKED, .count = 3, .text = "cuts were abandoned"},
        {.event = HV_ARCHIVER_LOST, .count = 3},
        {.event = HV_ARCHIVER_FOLLOWED, .partition = &orders, .range = {5, 9}, .count = 4, .bytes = 100},
        {.event = HV_ARCHIVER_HEADROOM, .partition = &orders, .headroom_ms = 3},
        {.event = HV_ARCHIVER_TROUBLE, .partition = &orders, .err = &failure, .attempts = 3, .retry_ms = 400},
        {.event = HV_ARCHIVER_CONNECTED, .text = "kafka:127.0.0.1:1"},
        {.event = HV_ARCHIVER_GONE, .partition = &orders, .count = 3},
        {.event = HV_ARCHIVER_PAUSED, .bytes = 100},
        {.event = HV_ARCHIVER_RESUMED, .bytes = 100},
        {.event = HV_ARCHIVER_SEALED, .partition = &orders, .range = {5, 9}, .count = 4, .bytes = 100, .cut = &cut, .put_ms = 5},
    };

    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        char *line = line_of(&reports[i], HV_LOG_DEBUG);
        expect_fields(line);
        free(line);
    }
}
END_TEST

START_TEST(a_sealed_cut_is_told_with_the_name_of_its_segment)
{
    char *line = line_of(&(hv_archiver_report){.event = HV_ARCHIVER_SEALED, .partition = &orders, .range = {5, 9}, .count = 4, .bytes = 100, .cut = &cut},
                         HV_LOG_INFO);

    ck_assert_ptr_nonnull(strstr(line, "\"segment\":\"segments/hub=orders/incarnation=2/partition=7/00000000000000000005.avro\""));
    ck_assert_ptr_nonnull(strstr(line, "\"sha256\":\"abcd0000"));
    free(line);
}
END_TEST

START_TEST(a_cut_that_took_long_to_store_is_told_once_more)
{
    hv_archiver_report report = {.event = HV_ARCHIVER_SEALED, .partition = &orders, .range = {5, 9}, .count = 4, .put_ms = 9999};
    char *quick = line_of(&report, HV_LOG_WARNING);

    report.put_ms = 10000;
    char *slow = line_of(&report, HV_LOG_WARNING);
    ck_assert_str_eq(quick, "");
    expect_fields(slow);
    ck_assert_ptr_nonnull(strstr(slow, "\"event\":\"store-slow\""));
    free(quick);
    free(slow);
}
END_TEST

START_TEST(what_the_level_leaves_out_is_not_written)
{
    char *line = line_of(&(hv_archiver_report){.event = HV_ARCHIVER_FOLLOWED, .partition = &orders, .range = {5, 9}}, HV_LOG_INFO);

    ck_assert_str_eq(line, "");
    free(line);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("lines");

    tcase_add_test(tests, every_report_becomes_a_line_with_the_fields_of_its_row);
    tcase_add_test(tests, a_sealed_cut_is_told_with_the_name_of_its_segment);
    tcase_add_test(tests, a_cut_that_took_long_to_store_is_told_once_more);
    tcase_add_test(tests, what_the_level_leaves_out_is_not_written);
    return ck_hv_run("report_log", tests);
}
