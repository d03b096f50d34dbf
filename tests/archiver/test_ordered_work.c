/* Work shared out to threads and taken back in order. */
#include <stdatomic.h>
#include <time.h>

#include "archiver/ordered_work.h"
#include "tests/harness/check_hv.h"

enum { ITEMS = 500, NEVER = 1 << 30 };

typedef struct numbered {
    int number;
    bool worked;
} numbered;

static struct {
    int fail_work, fail_take;           /* at this number */
    int taken;
    int most;                           /* items that existed at once */
    atomic_int exist, tools;
} state;

static void
setup(void)
{
    state.fail_work = state.fail_take = NEVER;
    state.taken = state.most = 0;
    atomic_store(&state.exist, 0);
    atomic_store(&state.tools, 0);
}

static hv_rc
new_tools(void *arg, void **ret, hv_err *err)
{
    (void)arg, (void)err;
    atomic_fetch_add(&state.tools, 1);
    *ret = malloc(1);
    return HV_OK;
}

static void
free_tools(void *tools)
{
    atomic_fetch_sub(&state.tools, 1);
    free(tools);
}

static hv_rc
work(void *arg, void *tools, void *item, hv_err *err)
{
    numbered *it = item;
    const struct timespec uneven = {.tv_nsec = it->number * 7919 % 13 * 10000};

    (void)arg;
    ck_assert_ptr_nonnull(tools);
    (void)nanosleep(&uneven, NULL);
    it->worked = true;
    return it->number >= state.fail_work ? hv_err_set(err, HV_IO, "work %d", it->number) : HV_OK;
}

static hv_rc
take(void *arg, void *item, hv_err *err)
{
    numbered *it = item;

    (void)arg;
    ck_assert(it->worked);
    ck_assert_int_eq(it->number, state.taken);
    state.taken++;
    return it->number >= state.fail_take ? hv_err_set(err, HV_LIMIT, "take %d", it->number) : HV_OK;
}

static void
drop(void *item)
{
    atomic_fetch_sub(&state.exist, 1);
    free(item);
}

static hv_rc
push(hv_ordered_work *ordered, int number, hv_err *err)
{
    numbered *item = calloc(1, sizeof *item);

    item->number = number;
    int exist = atomic_fetch_add(&state.exist, 1) + 1;
    state.most = exist > state.most ? exist : state.most;
    return hv_ordered_work_push(ordered, item, err);
}

static hv_ordered_work *
start(unsigned threads, unsigned window)
{
    hv_ordered_work_config config = {.threads = threads, .window_per_thread = window, .tools_new = new_tools, .tools_free = free_tools,
        .work = work, .take = take, .drop = drop};
    hv_ordered_work *ordered;
    hv_err err;

    ck_hv_ok(hv_ordered_work_new(&config, &ordered, &err));
    return ordered;
}

START_TEST(items_come_back_in_order_each_once_and_never_more_than_the_window_exist)
{
    static const struct { unsigned threads, window; } shapes[] = {{1, 1}, {1, 4}, {4, 1}, {4, 8}, {16, 2}};
    hv_err err;

    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        setup();
        hv_ordered_work *ordered = start(shapes[s].threads, shapes[s].window);
        ck_assert_int_eq(atomic_load(&state.tools), (int)shapes[s].threads);
        for (int i = 0; i < ITEMS; i++)
            ck_hv_ok(push(ordered, i, &err));
        ck_hv_ok(hv_ordered_work_finish(ordered, &err));
        ck_assert_int_eq(state.taken, ITEMS);
        ck_assert_int_eq(atomic_load(&state.exist), 0);
        ck_assert_int_le(state.most, (int)(shapes[s].threads * shapes[s].window) + 1);
        hv_ordered_work_free(ordered);
        ck_assert_int_eq(atomic_load(&state.tools), 0);
    }
}
END_TEST

static void
push_until_failure(hv_rc wanted, const char *message, int taken)
{
    hv_ordered_work *ordered = start(4, 4);
    hv_rc rc = HV_OK;
    int pushed = 0;
    hv_err err;

    for (; rc == HV_OK && pushed < ITEMS; pushed++)
        rc = push(ordered, pushed, &err);
    ck_hv_fails(wanted, rc);
    ck_assert_str_eq(err.msg, message);
    ck_hv_fails(wanted, push(ordered, pushed, &err));
    ck_hv_fails(wanted, hv_ordered_work_finish(ordered, &err));
    ck_assert_str_eq(err.msg, message);
    ck_assert_int_eq(state.taken, taken);
    hv_ordered_work_free(ordered);
    ck_assert_int_eq(atomic_load(&state.exist), 0);
}

START_TEST(the_first_failing_work_in_order_is_told_and_nothing_behind_it_is_taken)
{
    state.fail_work = 100;
    push_until_failure(HV_IO, "work 100", 100);
}
END_TEST

START_TEST(a_failure_of_taking_is_told_from_then_on)
{
    state.fail_take = 57;
    push_until_failure(HV_LIMIT, "take 57", 58);
}
END_TEST

START_TEST(what_is_still_out_when_it_is_freed_is_dropped)
{
    hv_ordered_work *ordered = start(2, 100);
    hv_err err;

    for (int i = 0; i < 150; i++)
        ck_hv_ok(push(ordered, i, &err));
    hv_ordered_work_free(ordered);
    ck_assert_int_eq(atomic_load(&state.exist), 0);
    hv_ordered_work_free(NULL);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("ordered work");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, items_come_back_in_order_each_once_and_never_more_than_the_window_exist);
    tcase_add_test(tests, the_first_failing_work_in_order_is_told_and_nothing_behind_it_is_taken);
    tcase_add_test(tests, a_failure_of_taking_is_told_from_then_on);
    tcase_add_test(tests, what_is_still_out_when_it_is_freed_is_dropped);
    return ck_hv_run("ordered work", tests);
}
