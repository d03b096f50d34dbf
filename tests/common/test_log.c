#include "common/log.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "common/redact.h"
#include "tests/harness/check_hv.h"

static char *printed;
static size_t printed_len;
static FILE *to;
static hv_log *log_;
static hv_err err;

static int64_t
fixed_time(void)
{
    return 1795510800000;
}

static void
open_log(hv_log_config config)
{
    config.to = to;
    config.wall_ms = fixed_time;
    ck_hv_ok(hv_log_new(&config, &log_, &err));
}

static void
setup(void)
{
    to = open_memstream(&printed, &printed_len);
    ck_assert_ptr_nonnull(to);
    log_ = NULL;
}

static void
teardown(void)
{
    hv_log_free(log_);
    fclose(to);
    free(printed);
}

START_TEST(a_line_is_logfmt_with_time_level_event_text_and_fields)
{
    open_log((hv_log_config){.level = HV_LOG_INFO});
    HV_LOG(log_, HV_LOG_INFO, "segment-sealed", "sealed a segment", HV_LOG_T("hub", "orders"), HV_LOG_N("first", -17),
           HV_LOG_T("why", "a \"b\"\n"), HV_LOG_T("nothing", NULL));
    ck_assert_str_eq(printed, "time=2026-11-24T09:00:00.000Z level=info event=segment-sealed msg=\"sealed a segment\" hub=orders first=-17 "
                     "why=\"a \\\"b\\\"\\n\" nothing=\"\"\n");
}
END_TEST

START_TEST(as_json_the_same_line_is_one_object)
{
    open_log((hv_log_config){.level = HV_LOG_INFO, .json = true});
    HV_LOG(log_, HV_LOG_ERROR, "refused", "no", HV_LOG_T("hub", "a\xff"), HV_LOG_N("n", 5));
    ck_assert_str_eq(printed, "{\"time\":\"2026-11-24T09:00:00.000Z\",\"level\":\"error\",\"event\":\"refused\",\"msg\":\"no\","
                     "\"hub\":\"a\xef\xbf\xbd\",\"n\":5}\n");
}
END_TEST

START_TEST(for_the_journal_a_line_begins_with_its_priority_and_leaves_the_time_to_it)
{
    open_log((hv_log_config){.level = HV_LOG_DEBUG, .journal = true});
    HV_LOG(log_, HV_LOG_ERROR, "a", "b");
    HV_LOG(log_, HV_LOG_WARNING, "a", "b");
    HV_LOG(log_, HV_LOG_INFO, "a", "b");
    HV_LOG(log_, HV_LOG_DEBUG, "a", "b", HV_LOG_N("n", 1));
    ck_assert_str_eq(printed, "<3>level=error event=a msg=b\n<4>level=warning event=a msg=b\n<6>level=info event=a msg=b\n"
                     "<7>level=debug event=a msg=b n=1\n");
}
END_TEST

START_TEST(for_the_journal_as_json_the_object_stands_behind_the_priority)
{
    open_log((hv_log_config){.level = HV_LOG_INFO, .journal = true, .json = true});
    HV_LOG(log_, HV_LOG_INFO, "a", "b", HV_LOG_N("n", 1));
    ck_assert_str_eq(printed, "<6>{\"level\":\"info\",\"event\":\"a\",\"msg\":\"b\",\"n\":1}\n");
}
END_TEST

START_TEST(level_and_form_may_change_while_it_is_in_use)
{
    open_log((hv_log_config){.level = HV_LOG_INFO});
    HV_LOG(log_, HV_LOG_DEBUG, "a", "b");
    hv_log_tune(log_, HV_LOG_DEBUG, true);
    HV_LOG(log_, HV_LOG_DEBUG, "c", "d");
    hv_log_tune(log_, HV_LOG_ERROR, false);
    HV_LOG(log_, HV_LOG_INFO, "e", "f");
    ck_assert_str_eq(printed, "{\"time\":\"2026-11-24T09:00:00.000Z\",\"level\":\"debug\",\"event\":\"c\",\"msg\":\"d\"}\n");
    hv_log_tune(NULL, HV_LOG_ERROR, false);
}
END_TEST

START_TEST(less_important_lines_are_not_written)
{
    open_log((hv_log_config){.level = HV_LOG_WARNING});
    HV_LOG(log_, HV_LOG_INFO, "a", "a");
    HV_LOG(log_, HV_LOG_DEBUG, "b", "b");
    HV_LOG(log_, HV_LOG_WARNING, "c", "c");
    ck_assert_ptr_nonnull(printed);
    ck_assert_ptr_null(strstr(printed, "event=a"));
    ck_assert_ptr_null(strstr(printed, "event=b"));
    ck_assert_ptr_nonnull(strstr(printed, "event=c"));
}
END_TEST

START_TEST(no_log_is_a_silent_log)
{
    HV_LOG(NULL, HV_LOG_ERROR, "a", "a", HV_LOG_N("n", 1));
    ck_assert(!hv_log_wants(NULL, HV_LOG_ERROR));
}
END_TEST

START_TEST(what_takes_a_progress_line_away_stands_in_front_of_each_line)
{
    open_log((hv_log_config){.level = HV_LOG_INFO, .before = "\r\033[K"});
    HV_LOG(log_, HV_LOG_INFO, "a", "b");
    HV_LOG(log_, HV_LOG_INFO, "a", "c");
    ck_assert_int_eq(strncmp(printed, "\r\033[Ktime=", 9), 0);
    ck_assert_ptr_nonnull(strstr(printed, "\n\r\033[Ktime="));
}
END_TEST

static unsigned
lines(const char *with)
{
    unsigned count = 0;

    fflush(to);
    for (const char *at = printed; (at = strstr(at, with)) != NULL; at++)
        count++;
    return count;
}

START_TEST(beyond_the_burst_an_event_is_counted_others_are_not_affected_and_the_end_tells)
{
    open_log((hv_log_config){.level = HV_LOG_INFO, .burst = 3, .interval_ms = 3600000});
    for (int i = 0; i < 10; i++)
        HV_LOG(log_, HV_LOG_INFO, "noisy", "again");
    HV_LOG(log_, HV_LOG_INFO, "quiet", "once");
    ck_assert_uint_eq(lines("event=noisy"), 3);
    ck_assert_uint_eq(lines("event=quiet"), 1);
    hv_log_free(HV_TAKE(log_));
    ck_assert_uint_eq(lines("suppressed=7"), 1);
    ck_assert_uint_eq(lines("event=noisy"), 4);
}
END_TEST

START_TEST(after_the_interval_the_next_line_says_how_many_were_held_back)
{
    open_log((hv_log_config){.level = HV_LOG_INFO, .burst = 1, .interval_ms = 30});
    HV_LOG(log_, HV_LOG_INFO, "noisy", "again");
    HV_LOG(log_, HV_LOG_INFO, "noisy", "again");
    HV_LOG(log_, HV_LOG_INFO, "noisy", "again");
    usleep(40000);
    HV_LOG(log_, HV_LOG_INFO, "noisy", "again");
    ck_assert_uint_ge(lines("suppressed="), 1);
    hv_log_free(HV_TAKE(log_));
    ck_assert_uint_eq(lines("event=noisy") + (lines("suppressed=1") == 1 ? 1 : 2), 4);
}
END_TEST

START_TEST(what_looks_like_a_credential_is_blotted_out_of_text_and_fields)
{
    open_log((hv_log_config){.level = HV_LOG_INFO});
    HV_LOG(log_, HV_LOG_INFO, "x", "Authorization: Bearer eyJhbGciOi.J9",
           HV_LOG_T("a", "Endpoint=sb://n/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0MQ==;EntityPath=h"),
           HV_LOG_T("b", "https://x/?sv=1&sig=secret2%3D&se=3"));
    ck_assert_uint_eq(lines("eyJh") + lines("c2Vj") + lines("secret"), 0);
    ck_assert_uint_eq(lines("SharedAccessKey=***;EntityPath=h"), 1);
    ck_assert_uint_eq(lines("sig=***&se=3"), 1);
    ck_assert_uint_eq(lines("SharedAccessKeyName=k;"), 1);
}
END_TEST

START_TEST(text_without_a_credential_is_left_alone_and_a_marker_at_the_end_does_no_harm)
{
    char plain[] = "nothing to hide; a=b", bare[] = "sharedaccesskey=", one[] = "sig=x";

    hv_redact(plain);
    hv_redact(bare);
    hv_redact(one);
    ck_assert_str_eq(plain, "nothing to hide; a=b");
    ck_assert_str_eq(bare, "sharedaccesskey=");
    ck_assert_str_eq(one, "sig=*");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_lost_whole)
{
    static char huge[4000];
    hv_log_field fields[8];

    memset(huge, 'x', sizeof huge - 1);
    for (int i = 0; i < 8; i++)
        fields[i] = HV_LOG_T("f", huge);
    open_log((hv_log_config){.level = HV_LOG_INFO});
    hv_log_write(log_, HV_LOG_INFO, "huge", "huge", fields, 8);
    HV_LOG(log_, HV_LOG_INFO, "next", "next");
    ck_assert_uint_eq(lines("huge"), 0);
    ck_assert_uint_eq(lines("event=next"), 1);
}
END_TEST

static void *
write_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++)
        HV_LOG(log_, HV_LOG_INFO, "thread", "from a thread", HV_LOG_N("i", i));
    return NULL;
}

/* Through a file: the memory stream of the C library grows under a lock that the thread sanitizer does not know. */
START_TEST(lines_of_many_threads_stay_whole)
{
    static const char whole[] = "time=2026-11-24T09:00:00.000Z level=info event=thread msg=\"from a thread\" i=";
    pthread_t threads[4];
    char line[200];
    unsigned count = 0;
    FILE *file = tmpfile();

    ck_assert_ptr_nonnull(file);
    hv_log_config config = {.to = file, .wall_ms = fixed_time, .level = HV_LOG_INFO, .burst = 1000, .interval_ms = 3600000};
    ck_hv_ok(hv_log_new(&config, &log_, &err));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    hv_log_free(HV_TAKE(log_));
    rewind(file);
    for (; fgets(line, sizeof line, file) != NULL && strstr(line, "suppressed") == NULL; count++)
        ck_assert_msg(strncmp(line, whole, sizeof whole - 1) == 0 && line[strlen(line) - 1] == '\n', "%s", line);
    ck_assert_uint_eq(count, 1000);
    ck_assert_ptr_nonnull(strstr(line, "suppressed=1000\n"));
    fclose(file);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_line_is_logfmt_with_time_level_event_text_and_fields);
    tcase_add_test(tests, as_json_the_same_line_is_one_object);
    tcase_add_test(tests, for_the_journal_a_line_begins_with_its_priority_and_leaves_the_time_to_it);
    tcase_add_test(tests, for_the_journal_as_json_the_object_stands_behind_the_priority);
    tcase_add_test(tests, level_and_form_may_change_while_it_is_in_use);
    tcase_add_test(tests, less_important_lines_are_not_written);
    tcase_add_test(tests, no_log_is_a_silent_log);
    tcase_add_test(tests, what_takes_a_progress_line_away_stands_in_front_of_each_line);
    tcase_add_test(tests, beyond_the_burst_an_event_is_counted_others_are_not_affected_and_the_end_tells);
    tcase_add_test(tests, after_the_interval_the_next_line_says_how_many_were_held_back);
    tcase_add_test(tests, what_looks_like_a_credential_is_blotted_out_of_text_and_fields);
    tcase_add_test(tests, text_without_a_credential_is_left_alone_and_a_marker_at_the_end_does_no_harm);
    tcase_add_test(tests, a_line_that_is_too_long_is_lost_whole);
    tcase_add_test(tests, lines_of_many_threads_stay_whole);
    return ck_hv_run("log", tests);
}
