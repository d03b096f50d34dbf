/*
 * The clock of the machine jumps a day or ten years, ahead or back, in the middle of a run. Ages and pauses go by a clock that does not
 * jump, and names hold no time.
 *
 * CLOCK_REALTIME is shifted by the linker (--wrap), for all our code at once.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/archiver/rig.h"

#define DAY_MS INT64_C(86400000)
#define YEAR_MS (365 * DAY_MS)

static _Atomic int64_t shift_ms;

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

int
__wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    int rc = __real_clock_gettime(id, ret);

    if (id == CLOCK_REALTIME)
        ret->tv_sec += (time_t)(shift_ms / 1000);
    return rc;
}

static rig *r;
static hv_archiver *archiver;
static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    shift_ms = 0;
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = 7 * DAY_MS});
    r->config.max_age_ms = 150;
    r->config.headroom_warning_ms = DAY_MS;
    r->config.sources = &r->source;
    r->config.storage = r->storage;
}

static void
teardown(void)
{
    shift_ms = 0;
    rig_teardown(r);
    free(r);
}

static const int64_t jumps[] = {DAY_MS, -DAY_MS, 10 * YEAR_MS, -10 * YEAR_MS};
enum { JUMPS = sizeof jumps / sizeof *jumps };

static void
wait_until_captured(void)
{
    for (int i = 0; i < 6000 && (rig_position(r, 1, 0) < r->log[0][0].end || rig_position(r, 1, 1) < r->log[0][1].end); i++)
        usleep(10000);
    ck_assert_int_eq(rig_position(r, 1, 0), r->log[0][0].end);
    ck_assert_int_eq(rig_position(r, 1, 1), r->log[0][1].end);
}

static void
produce_and_jump(int64_t by_ms)
{
    rig_produce(r, 1, 0, 40);
    rig_produce(r, 1, 1, 7);
    usleep(20000);
    shift_ms += by_ms;
    wait_until_captured();
}

START_TEST(a_clock_that_jumps_there_and_back_holds_up_nothing_and_loses_nothing)
{
    int64_t jump = jumps[_i];
    hv_err err;

    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    produce_and_jump(jump);
    produce_and_jump(0);
    produce_and_jump(-jump);
    produce_and_jump(0);
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 0);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_TROUBLE], 0);
    rig_check_all_captured(r);
    rig_lose_disk(r);                   /* and segments of the year 2036 or 2016 are found again */
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_capture_does_not_spin_because_the_clock_jumped)
{
    hv_err err;

    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    produce_and_jump(jumps[_i]);
    int64_t before_us = hv_clock_cpu_us();
    usleep(500000);
    int64_t used_us = hv_clock_cpu_us() - before_us;
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    ck_assert_msg(used_us < 400000, "%lld us of a core in half a second without work", (long long)used_us);
}
END_TEST

START_TEST(headroom_is_warned_of_again_when_a_clock_that_was_behind_is_set_right)
{
    hv_err err;

    r->config.max_age_ms = 60000;
    shift_ms = -10 * YEAR_MS;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    rig_produce(r, 1, 0, 40);           /* events of a time that has not come yet */
    usleep(400000);
    int before = r->reports[HV_ARCHIVER_HEADROOM];
    shift_ms = 0;
    usleep(400000);
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    ck_assert_int_eq(before, 0);
    ck_assert_int_ge(r->reports[HV_ARCHIVER_HEADROOM], 1);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture under a clock that jumps");

    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_clock_that_jumps_there_and_back_holds_up_nothing_and_loses_nothing, 0, JUMPS);
    tcase_add_loop_test(tests, a_capture_does_not_spin_because_the_clock_jumped, 2, JUMPS);
    tcase_add_test(tests, headroom_is_warned_of_again_when_a_clock_that_was_behind_is_set_right);
    return ck_hv_run("capture under a clock that jumps", tests);
}
