#include <pthread.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/queue.h"
#include "tests/harness/check_hv.h"

enum { ITEMS = 20000 };

static void *
push_numbers(void *arg)
{
    hv_queue *queue = arg;

    for (uintptr_t i = 1; i <= ITEMS; i++)
        ck_assert_int_eq(hv_queue_push(queue, (void *)i), HV_OK);
    return NULL;
}

START_TEST(items_come_out_in_the_order_they_went_in_and_none_is_lost)
{
    hv_err err;
    HV_AUTO(hv_queue_free) hv_queue *queue = NULL;
    pthread_t producer;
    void *item;

    ck_hv_ok(hv_queue_new(3, NULL, &queue, &err));
    ck_assert_int_eq(pthread_create(&producer, NULL, push_numbers, queue), 0);
    for (uintptr_t i = 1; i <= ITEMS; i++) {
        ck_assert_int_eq(hv_queue_pop(queue, -1, &item), HV_OK);
        ck_assert_uint_eq((uintptr_t)item, i);
    }
    pthread_join(producer, NULL);
}
END_TEST

START_TEST(pop_gives_up_after_its_time)
{
    hv_err err;
    HV_AUTO(hv_queue_free) hv_queue *queue = NULL;
    void *item = NULL;

    ck_hv_ok(hv_queue_new(3, NULL, &queue, &err));
    int64_t before = hv_clock_boot_ms();
    ck_assert_int_eq(hv_queue_pop(queue, 50, &item), HV_NOT_FOUND);
    ck_assert_int_ge(hv_clock_boot_ms() - before, 49);
    ck_assert_int_eq(hv_queue_pop(queue, 0, &item), HV_NOT_FOUND);
}
END_TEST

START_TEST(a_closed_queue_refuses_pushes_and_is_drained_first)
{
    hv_err err;
    HV_AUTO(hv_queue_free) hv_queue *queue = NULL;
    void *item = NULL;

    ck_hv_ok(hv_queue_new(3, NULL, &queue, &err));
    ck_assert_int_eq(hv_queue_push(queue, &err), HV_OK);
    hv_queue_close(queue);
    ck_assert_int_eq(hv_queue_push(queue, &err), HV_CLOSED);
    ck_assert_int_eq(hv_queue_pop(queue, -1, &item), HV_OK);
    ck_assert_ptr_eq(item, &err);
    ck_assert_int_eq(hv_queue_pop(queue, -1, &item), HV_CLOSED);
}
END_TEST

static int dropped;

static void
count_drop(void *item)
{
    (void)item;
    dropped++;
}

START_TEST(free_drops_what_is_still_queued)
{
    hv_err err;
    hv_queue *queue = NULL;

    ck_hv_ok(hv_queue_new(3, count_drop, &queue, &err));
    ck_assert_int_eq(hv_queue_push(queue, &err), HV_OK);
    ck_assert_int_eq(hv_queue_push(queue, &err), HV_OK);
    hv_queue_free(queue);
    ck_assert_int_eq(dropped, 2);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("queue");
    tcase_add_test(tests, items_come_out_in_the_order_they_went_in_and_none_is_lost);
    tcase_add_test(tests, pop_gives_up_after_its_time);
    tcase_add_test(tests, a_closed_queue_refuses_pushes_and_is_drained_first);
    tcase_add_test(tests, free_drops_what_is_still_queued);
    return ck_hv_run("queue", tests);
}
