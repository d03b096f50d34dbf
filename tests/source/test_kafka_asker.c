/* The second connection of a Kafka source: what goes over it, and how it is replaced. Nothing here is about how long something takes, but
 * about what is answered before what. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "source/source_kafka.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"
#include "tests/harness/scratch_dir.h"
#include "tests/source/broker_proxy.h"

enum { PATIENCE_MS = 60000, WAIT_MS = 1000 };

static hv_err err;
static hv_source *source;
static mock_broker *broker;
static broker_proxy *proxy;
static scratch_dir dir;
static char secret_file[400];

static void
start(void)
{
    broker = mock_broker_start(1);
    proxy = broker_proxy_start(mock_broker_bootstrap(broker));
    dir = scratch_dir_make();
    (void)snprintf(secret_file, sizeof secret_file, "%s/secret", dir.path);
}

static void
stop(void)
{
    hv_source_close(source);
    broker_proxy_stop(proxy);
    mock_broker_stop(broker);
    scratch_dir_remove(&dir);
}

static void
open_with(hv_kafka_config config)
{
    config.bootstrap = broker_proxy_address(proxy);
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
}

/* With one hub of three events, which are read. */
static void
open_and_read(hv_kafka_config config)
{
    hv_source_assignment wanted = {.hub = "h", .tag = &source, .generation = 1};
    int64_t until = hv_clock_boot_ms() + PATIENCE_MS;
    hv_source_item item;

    open_with(config);
    mock_broker_topic(broker, "h", 2);
    mock_broker_fill(broker, "h", 0, 3, 10);
    ck_hv_ok(source->ops->assign(source, &wanted, 1, &err));
    do {
        ck_hv_ok(source->ops->poll(source, 500, &item, &err));
        ck_assert_msg(hv_clock_boot_ms() < until, "the end did not come");
    } while (item.kind != HV_SOURCE_END || item.offset < 3);
}

static const hv_kafka *
kafka(void)
{
    return (const hv_kafka *)source;
}

static hv_rc
ask_watermarks(int timeout_ms)
{
    hv_source_watermarks asked = {.hub = "h"};
    hv_rc rc = source->ops->watermarks(source, &asked, 1, timeout_ms, &err);

    if (rc == HV_OK) {
        ck_assert_int_eq(asked.rc, HV_OK);
        ck_assert_int_eq(asked.low, 0);
        ck_assert_int_eq(asked.high, 3);
    }
    return rc;
}

static void
ask_everything(void)
{
    hv_source_hub *hubs = NULL;
    hv_source_hub_policy policy;
    size_t count;

    ck_hv_ok(source->ops->hubs(source, PATIENCE_MS, &hubs, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(hubs[0].partitions, 2);
    free(hubs);
    ck_hv_ok(ask_watermarks(PATIENCE_MS));
    ck_hv_ok(source->ops->hub_policy(source, "h", PATIENCE_MS, &policy, &err));
}

static void
wait_for_held_answer(void)
{
    int64_t until = hv_clock_boot_ms() + PATIENCE_MS;

    while (broker_proxy_held(proxy) == 0) {
        ck_assert_msg(hv_clock_boot_ms() < until, "no fetch was answered");
        (void)usleep(10000);
    }
}

/* ---- who waits for whom ---- */

START_TEST(questions_are_answered_while_a_fetch_waits_at_the_broker)
{
    static const char *const listed[] = {"h"};
    hv_source_item item;

    open_and_read((hv_kafka_config){.fetch_wait_ms = WAIT_MS, .hubs = _i == 0 ? NULL : listed, .hub_count = (size_t)_i});
    broker_proxy_hold(proxy, MOCK_FETCH);
    wait_for_held_answer();
    mock_broker_fill(broker, "h", 0, 1, 10);
    hv_source_watermarks asked[] = {{.hub = "h"}, {.hub = "h", .partition = 1}};
    ck_hv_ok(source->ops->watermarks(source, asked, 2, PATIENCE_MS, &err));
    ck_assert_int_eq(asked[0].high, 4);
    ck_assert_int_eq(asked[1].high, 0);
    hv_source_hub *hubs = NULL;
    hv_source_hub_policy policy;
    size_t count;
    ck_hv_ok(source->ops->hubs(source, PATIENCE_MS, &hubs, &count, &err));
    ck_assert_uint_eq(count, 1);
    free(hubs);
    ck_hv_ok(source->ops->hub_policy(source, "h", PATIENCE_MS, &policy, &err));
    ck_hv_ok(source->ops->poll(source, 100, &item, &err));
    ck_assert_msg(item.kind == HV_SOURCE_NOTHING, "a fetch got through");
    broker_proxy_hold(proxy, -1);
    for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; item.kind != HV_SOURCE_EVENT;) {
        ck_hv_ok(source->ops->poll(source, 500, &item, &err));
        ck_assert_msg(hv_clock_boot_ms() < until, "the event did not come");
    }
    ck_assert_int_eq(item.event.offset, 3);
}
END_TEST

START_TEST(a_source_that_waits_ends_while_a_fetch_waits_at_the_broker_and_its_last_commit_arrives)
{
    open_and_read((hv_kafka_config){.fetch_wait_ms = WAIT_MS});
    broker_proxy_hold(proxy, MOCK_FETCH);
    wait_for_held_answer();
    source->ops->commit(source, "h", 0, 3);
    hv_source_close(source);            /* the time limit of the test is the check: the fetch is never answered */
    source = NULL;
    ck_assert_int_gt(broker_proxy_count(proxy, MOCK_OFFSET_COMMIT), 0);
}
END_TEST

START_TEST(a_partition_whose_leader_moves_is_asked_about_at_its_new_one)
{
    mock_broker *two = mock_broker_start(2);
    hv_kafka_config config = {.bootstrap = mock_broker_bootstrap(two), .fetch_wait_ms = WAIT_MS};
    int64_t until = hv_clock_boot_ms() + PATIENCE_MS;
    hv_source_watermarks asked = {.hub = "h"};

    mock_broker_topic(two, "h", 1);
    mock_broker_fill(two, "h", 0, 3, 10);
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = NULL;
    ck_hv_ok(hv_kafka_asker_hold((hv_kafka *)source, &conn, &err));
    for (int32_t leader = 1; leader <= 2; leader++) {       /* one of them is another than before, whichever was the first */
        ck_assert_int_eq(rd_kafka_mock_partition_set_leader(mock_broker_cluster(two), "h", 0, leader), RD_KAFKA_RESP_ERR_NO_ERROR);
        do {
            asked.high = -1;
            ck_assert_msg(hv_clock_boot_ms() < until, "no answer from leader %d: %s", (int)leader, hv_rc_name(asked.rc));
            if (source->ops->watermarks(source, &asked, 1, PATIENCE_MS, &err) == HV_OK && asked.rc == HV_OK)
                ck_assert_int_eq(asked.high, 3);
        } while (asked.high != 3);
        ck_assert_ptr_eq(conn, kafka()->locked.asker);      /* not because it was replaced */
    }
    hv_kafka_conn_release(HV_TAKE(conn));
    hv_source_close(source);
    source = NULL;
    mock_broker_stop(two);
}
END_TEST

/* ---- when there is one ---- */

START_TEST(the_second_connection_is_opened_by_the_first_question_and_then_kept)
{
    open_and_read((hv_kafka_config){.fetch_wait_ms = WAIT_MS});
    ck_assert_ptr_null(kafka()->locked.asker);
    ask_everything();
    const hv_kafka_conn *first = kafka()->locked.asker;
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_ne(first, kafka()->locked.conn);
    ask_everything();
    ck_assert_ptr_eq(kafka()->locked.asker, first);
}
END_TEST

START_TEST(a_source_whose_fetches_do_not_wait_long_has_one_connection_until_it_commits)
{
    open_and_read((hv_kafka_config){.fetch_wait_ms = _i == 0 ? 0 : 100});
    ask_everything();
    ck_assert_ptr_null(kafka()->locked.asker);
    source->ops->commit(source, "h", 0, 3);
    for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; kafka()->locked.asker == NULL;) {
        hv_source_item item;
        ck_hv_ok(source->ops->poll(source, 100, &item, &err));
        ck_assert_msg(hv_clock_boot_ms() < until, "nothing was committed");
    }
    ask_everything();
}
END_TEST

static long long
number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char value[32];
    size_t size = sizeof value;

    ck_assert_int_eq(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    return strtoll(value, NULL, 10);
}

START_TEST(a_broker_is_told_how_long_to_wait_and_for_how_much)
{
    rd_kafka_conf_t *conf = NULL;
    const bool patient = _i == 1;

    open_with(patient ? (hv_kafka_config){.fetch_wait_ms = 1000, .fetch_least_bytes = 65536} : (hv_kafka_config){0});
    ck_hv_ok(hv_kafka_conf_make(&kafka()->settings, &kafka()->locked.conn->credentials, &conf, &err));
    ck_assert_int_eq(number_of(conf, "fetch.wait.max.ms"), patient ? 1000 : 100);
    ck_assert_int_eq(number_of(conf, "fetch.min.bytes"), patient ? 65536 : 1);
    rd_kafka_conf_destroy(conf);
}
END_TEST

/* ---- replacing it ---- */

static void
make_it_old(void)
{
    hv_kafka *k = (hv_kafka *)source;

    (void)pthread_mutex_lock(&k->lock);
    k->locked.asker_since_ms = INT64_MIN / 2;
    (void)pthread_mutex_unlock(&k->lock);
}

START_TEST(a_second_connection_whose_question_failed_is_replaced_but_not_for_each_failure)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *first = NULL;

    open_and_read((hv_kafka_config){.fetch_wait_ms = WAIT_MS});
    ck_hv_ok(ask_watermarks(PATIENCE_MS));
    ck_hv_ok(hv_kafka_asker_hold((hv_kafka *)source, &first, &err));        /* so that its address is nobody else's */
    make_it_old();
    ck_hv_ok(ask_watermarks(PATIENCE_MS));
    ck_assert_ptr_eq(kafka()->locked.asker, first);         /* none failed */
    broker_proxy_swallow(proxy, MOCK_LIST_OFFSETS);
    ck_hv_fails(HV_UNAVAILABLE, ask_watermarks(300));
    ck_hv_fails(HV_UNAVAILABLE, ask_watermarks(300));
    ck_assert_ptr_ne(kafka()->locked.asker, first);
    const hv_kafka_conn *second = kafka()->locked.asker;
    ck_hv_fails(HV_UNAVAILABLE, ask_watermarks(300));
    ck_assert_ptr_eq(kafka()->locked.asker, second);        /* it is too young */
    broker_proxy_swallow(proxy, -1);
    ck_hv_ok(ask_watermarks(PATIENCE_MS));
}
END_TEST

static void
write_secret(const char *text)
{
    FILE *file = fopen(secret_file, "w");

    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void
expect_secret_of_asker(const char *text)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = NULL;

    ck_hv_ok(hv_kafka_asker_hold((hv_kafka *)source, &conn, &err));
    ck_assert_str_eq(conn->credentials.password.text, text);
}

START_TEST(a_secret_that_is_taken_over_counts_for_the_second_connection_too)
{
    hv_kafka_config config = {.bootstrap = "127.0.0.1:1", .auth = HV_KAFKA_AUTH_PLAIN, .user = "u", .password_file = secret_file,
                              .fetch_wait_ms = WAIT_MS};
    hv_kafka_conn *none = NULL;
    hv_source_item item;

    write_secret("first");
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    expect_secret_of_asker("first");
    write_secret("rotated");
    expect_secret_of_asker("first");
    ck_hv_ok(hv_source_kafka_refresh(source, &err));
    do {
        ck_hv_ok(source->ops->poll(source, 300, &item, &err));
    } while (item.kind != HV_SOURCE_NOTHING);
    expect_secret_of_asker("rotated");
    hv_kafka_asker_drop((hv_kafka *)source);
    ck_assert_int_eq(unlink(secret_file), 0);
    ck_hv_fails(HV_UNAVAILABLE, hv_kafka_asker_hold((hv_kafka *)source, &none, &err));      /* not HV_NOT_FOUND: that is about hubs */
    ck_hv_fails(HV_UNAVAILABLE, ask_watermarks(100));
}
END_TEST

typedef struct asking {
    _Atomic bool done;
    _Atomic int answers;
} asking;

static void *
ask_all_the_time(void *arg)
{
    asking *asked = arg;

    while (!atomic_load(&asked->done)) {
        hv_err mine;
        hv_source_hub *found = NULL;
        size_t count;
        hv_source_watermarks marks = {.hub = "h"};
        atomic_fetch_add(&asked->answers, source->ops->watermarks(source, &marks, 1, PATIENCE_MS, &mine) == HV_OK && marks.high == 3);
        if (source->ops->hubs(source, PATIENCE_MS, &found, &count, &mine) == HV_OK)
            free(found);
    }
    return NULL;
}

START_TEST(questions_of_several_threads_survive_that_it_is_replaced)
{
    asking asked = {.done = false};
    pthread_t threads[3];

    open_and_read((hv_kafka_config){.fetch_wait_ms = WAIT_MS});
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_all_the_time, &asked), 0);
    for (int round = 0; round < 5; round++) {
        int before = atomic_load(&asked.answers);
        for (int64_t until = hv_clock_boot_ms() + PATIENCE_MS; atomic_load(&asked.answers) < before + 6;) {
            hv_source_item item;
            ck_hv_ok(source->ops->poll(source, 20, &item, &err));
            ck_assert_msg(hv_clock_boot_ms() < until, "no answers");
        }
        hv_kafka_asker_drop((hv_kafka *)source);
    }
    atomic_store(&asked.done, true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("kafka asker");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 180);
    tcase_add_loop_test(tests, questions_are_answered_while_a_fetch_waits_at_the_broker, 0, 2);
    tcase_add_test(tests, a_source_that_waits_ends_while_a_fetch_waits_at_the_broker_and_its_last_commit_arrives);
    tcase_add_test(tests, a_partition_whose_leader_moves_is_asked_about_at_its_new_one);
    tcase_add_test(tests, the_second_connection_is_opened_by_the_first_question_and_then_kept);
    tcase_add_loop_test(tests, a_source_whose_fetches_do_not_wait_long_has_one_connection_until_it_commits, 0, 2);
    tcase_add_loop_test(tests, a_broker_is_told_how_long_to_wait_and_for_how_much, 0, 2);
    tcase_add_test(tests, a_second_connection_whose_question_failed_is_replaced_but_not_for_each_failure);
    tcase_add_test(tests, a_secret_that_is_taken_over_counts_for_the_second_connection_too);
    tcase_add_test(tests, questions_of_several_threads_survive_that_it_is_replaced);
    return ck_hv_run("kafka asker", tests);
}
