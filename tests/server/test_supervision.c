/* What a service manager is told, over a socket of its own. */
#include "server/supervision.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/notify_socket.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

static scratch_dir dir;
static int manager;
static char address[300];
static int64_t now_ms;
static hv_supervision *supervision;
static hv_err err;

static int64_t
clock_ms(void)
{
    return now_ms;
}

static void
listen_at(const char *text)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(text);

    memcpy(at.sun_path, text, len);
    if (*text == '@')
        at.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(manager, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
}

/* The next datagram; "" if there is none. */
static const char *
told(void)
{
    static char text[1000];
    ssize_t got = recv(manager, text, sizeof text - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void
supervise(int64_t watchdog_ms)
{
    hv_supervision_config config = {.socket = address, .watchdog_ms = watchdog_ms, .boot_ms = clock_ms};

    ck_hv_ok(hv_supervision_new(&config, &supervision, &err));
}

static void
setup(void)
{
    dir = scratch_dir_make();
    snprintf(address, sizeof address, "%s/notify", dir.path);
    listen_at(address);
    now_ms = 1000000;
    supervision = NULL;
}

static void
teardown(void)
{
    hv_supervision_free(supervision);
    close(manager);
    scratch_dir_remove(&dir);
}

START_TEST(ready_is_said_once_and_stopping_after_it)
{
    supervise(0);
    ck_assert(!hv_supervision_is_ready(supervision));
    hv_supervision_ready(supervision);
    hv_supervision_ready(supervision);
    ck_assert(hv_supervision_is_ready(supervision));
    hv_supervision_stopping(supervision);
    ck_assert_str_eq(told(), "READY=1");
    ck_assert_str_eq(told(), "STOPPING=1");
    hv_supervision_ready(supervision);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_reload_says_when_it_began_and_ends_with_ready)
{
    unsigned long long us;
    char behind;

    supervise(0);
    hv_supervision_reloading(supervision);
    ck_assert_str_eq(told(), "");       /* not ready yet */
    hv_supervision_ready(supervision);
    ck_assert_str_eq(told(), "READY=1");
    hv_supervision_reloading(supervision);
    ck_assert_int_eq(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%llu%c", &us, &behind), 1);
    ck_assert_uint_gt(us, 0);
    hv_supervision_ready(supervision);
    ck_assert_str_eq(told(), "READY=1");
}
END_TEST

START_TEST(signs_of_life_come_four_times_per_interval)
{
    int signs = 0;

    supervise(4000);
    for (int i = 0; i < 40; i++, now_ms += 100) {
        hv_supervision_tick(supervision, 0, NULL);
        signs += strcmp(told(), "WATCHDOG=1") == 0;
    }
    ck_assert_int_eq(signs, 4);
}
END_TEST

START_TEST(while_a_thread_is_stalled_there_is_no_sign_of_life)
{
    hv_archiver_thread stalled = {.name = "uploader-1", .silent_ms = 5000};

    supervise(4000);
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert_str_eq(told(), "WATCHDOG=1");
    for (int i = 0; i < 100; i++, now_ms += 100)
        hv_supervision_tick(supervision, 1, &stalled);
    ck_assert_str_eq(told(), "");
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert_str_eq(told(), "WATCHDOG=1");
}
END_TEST

START_TEST(without_a_watchdog_there_are_no_signs_of_life_and_patience_is_five_minutes)
{
    supervise(0);
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert_str_eq(told(), "");
    ck_assert_int_eq(hv_supervision_patience_ms(supervision), 300000);
}
END_TEST

START_TEST(progress_asks_for_time_while_starting_and_stopping_but_not_in_between)
{
    supervise(0);
    hv_supervision_progress(supervision);
    hv_supervision_progress(supervision);
    ck_assert_str_eq(told(), "EXTEND_TIMEOUT_USEC=60000000");
    ck_assert_str_eq(told(), "");
    now_ms += 2000;
    hv_supervision_progress(supervision);
    ck_assert_str_eq(told(), "EXTEND_TIMEOUT_USEC=60000000");
    hv_supervision_ready(supervision);
    ck_assert_str_eq(told(), "READY=1");
    now_ms += 2000;
    hv_supervision_progress(supervision);
    ck_assert_str_eq(told(), "");
    hv_supervision_stopping(supervision);
    ck_assert_str_eq(told(), "STOPPING=1");
    hv_supervision_progress(supervision);
    ck_assert_str_eq(told(), "EXTEND_TIMEOUT_USEC=60000000");
}
END_TEST

START_TEST(a_status_is_one_line_and_passed_on_when_it_has_changed_and_not_all_the_time)
{
    supervise(0);
    hv_supervision_status(supervision, "a\nREADY=%d", 1);
    ck_assert_str_eq(told(), "STATUS=a READY=1");
    hv_supervision_status(supervision, "b");
    ck_assert_str_eq(told(), "");
    now_ms += 2000;
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert_str_eq(told(), "STATUS=b");
    now_ms += 2000;
    hv_supervision_status(supervision, "b");
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(what_the_manager_had_no_room_for_is_said_later)
{
    supervise(1000);
    for (int i = 0; i < 10000; i++, now_ms += 1000)     /* its queue is full then */
        hv_supervision_tick(supervision, 0, NULL);
    hv_supervision_ready(supervision);
    for (const char *text = told(); *text != '\0'; text = told())
        ck_assert_str_eq(text, "WATCHDOG=1");
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert_str_eq(told(), "READY=1");
}
END_TEST

START_TEST(an_abstract_name_works_as_well)
{
    HV_AUTO(hv_notify_socket_close) hv_notify_socket *notify = NULL;

    close(manager);
    snprintf(address, sizeof address, "@hubvault-test-%d", (int)getpid());
    listen_at(address);
    ck_hv_ok(hv_notify_socket_open(address, &notify, &err));
    ck_assert(hv_notify_socket_send(notify, "READY=1"));
    ck_assert_str_eq(told(), "READY=1");
}
END_TEST

static const char *const wrong[] = {"", "/", "@", "notify", "vsock:2:1", "/123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"};

START_TEST(an_address_that_cannot_be_one_is_refused)
{
    hv_notify_socket *notify = NULL;

    ck_assert_int_eq(hv_notify_socket_open(wrong[_i], &notify, &err), HV_USAGE);
    ck_assert_ptr_null(notify);
}
END_TEST

START_TEST(nobody_who_listens_is_no_failure)
{
    supervise(1000);
    close(manager);
    unlink(address);
    hv_supervision_ready(supervision);
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert(hv_supervision_is_ready(supervision));
    listen_at(address);
    hv_supervision_tick(supervision, 0, NULL);
    ck_assert_str_eq(told(), "READY=1");
}
END_TEST

START_TEST(without_a_manager_nothing_is_sent)
{
    hv_archiver_thread stalled = {.name = "uploader-1", .silent_ms = 5000};
    hv_supervision_config config = {.watchdog_ms = 1000};

    ck_hv_ok(hv_supervision_new(&config, &supervision, &err));
    hv_supervision_progress(supervision);
    hv_supervision_status(supervision, "a");
    hv_supervision_ready(supervision);
    hv_supervision_reloading(supervision);
    hv_supervision_tick(supervision, 0, NULL);
    hv_supervision_tick(supervision, 1, &stalled);
    hv_supervision_stopping(supervision);
    ck_assert_str_eq(told(), "");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("supervision");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, ready_is_said_once_and_stopping_after_it);
    tcase_add_test(tests, a_reload_says_when_it_began_and_ends_with_ready);
    tcase_add_test(tests, signs_of_life_come_four_times_per_interval);
    tcase_add_test(tests, while_a_thread_is_stalled_there_is_no_sign_of_life);
    tcase_add_test(tests, without_a_watchdog_there_are_no_signs_of_life_and_patience_is_five_minutes);
    tcase_add_test(tests, progress_asks_for_time_while_starting_and_stopping_but_not_in_between);
    tcase_add_test(tests, a_status_is_one_line_and_passed_on_when_it_has_changed_and_not_all_the_time);
    tcase_add_test(tests, what_the_manager_had_no_room_for_is_said_later);
    tcase_add_test(tests, an_abstract_name_works_as_well);
    tcase_add_loop_test(tests, an_address_that_cannot_be_one_is_refused, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tests, nobody_who_listens_is_no_failure);
    tcase_add_test(tests, without_a_manager_nothing_is_sent);
    return ck_hv_run("supervision", tests);
}
