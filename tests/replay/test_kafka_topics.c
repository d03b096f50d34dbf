/* Topics made as they were, at a scripted service. */
#include "replay/kafka_topics.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scripted_admin.h"

static hv_err err;
static hv_admin *admin;
static hv_topic_snapshot orders, sales;
static const hv_topic_wish nothing;

enum { TIMEOUT_MS = 5000 };

static void
setup(void)
{
    admin = scripted_admin_new();
    orders = (hv_topic_snapshot){.partitions = 4, .replication = 3, .told = true};
    sales = (hv_topic_snapshot){.partitions = 2, .replication = 3, .told = true};
    ck_hv_ok(hv_topic_snapshot_add(&orders, "cleanup.policy", "compact", true, &err));
    ck_hv_ok(hv_topic_snapshot_add(&orders, "retention.ms", "1000", true, &err));
    ck_hv_ok(hv_topic_snapshot_add(&orders, "segment.bytes", "77", false, &err));
    ck_hv_ok(hv_topic_snapshot_add(&orders, "leader.replication.throttled.replicas", "0:1", true, &err));
    ck_hv_ok(hv_topic_snapshot_add(&sales, "cleanup.policy", "compact", true, &err));
    ck_hv_ok(hv_topic_snapshot_add(&sales, "retention.ms", "1000", true, &err));
}

static void
teardown(void)
{
    hv_topic_snapshot_clear(&orders);
    hv_topic_snapshot_clear(&sales);
    hv_admin_close(admin);
}

static hv_rc
plan(const char *topic, size_t hubs, const hv_topic_wish *wish, hv_topic_plans *ret)
{
    hv_sink_kafka_config config = {.id = "a", .topic = topic};
    const hv_topic_was was[] = {{.hub = "orders", .partitions = 4, .snapshot = &orders}, {.hub = "sales", .partitions = 2, .snapshot = &sales}};

    return hv_kafka_topics_plan(&config, was, hubs, wish, admin, TIMEOUT_MS, ret, &err);
}

START_TEST(a_topic_gets_the_partitions_and_replicas_it_had_and_only_what_was_set_for_it)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic made = {.partitions = 0};

    ck_hv_ok(plan("copy.{hub}", 1, &nothing, &plans));
    ck_assert_uint_eq(plans.count, 1);
    ck_assert(!plans.at[0].there);
    ck_hv_fails(HV_NOT_FOUND, admin->ops->topic(admin, "copy.orders", TIMEOUT_MS, &made, &err));        /* a plan makes nothing */
    ck_hv_ok(hv_kafka_topics_make(&plans, admin, TIMEOUT_MS, &err));
    ck_assert(plans.at[0].made);
    ck_hv_ok(admin->ops->topic(admin, "copy.orders", TIMEOUT_MS, &made, &err));
    ck_assert_int_eq(made.partitions, 4);
    ck_assert_int_eq(made.replication, 3);
    ck_assert_uint_eq(made.count, 2);
    ck_assert_str_eq(made.settings[0].value, "compact");
    ck_assert_str_eq(made.settings[1].value, "1000");
}
END_TEST

START_TEST(wishes_come_before_what_was)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    char retention[] = "retention.ms", ever[] = "-1", other[] = "min.insync.replicas", two[] = "2";
    hv_topic_setting settings[] = {{.name = retention, .value = ever}, {.name = other, .value = two}};

    ck_hv_ok(plan("copy", 1, &(hv_topic_wish){.replication = -1, .settings = settings, .count = 2}, &plans));
    ck_assert_int_eq(plans.at[0].replication, -1);
    ck_assert_uint_eq(plans.at[0].count, 3);
    ck_assert_str_eq(hv_topic_plan_setting(&plans.at[0], "retention.ms"), "-1");
    ck_assert_str_eq(hv_topic_plan_setting(&plans.at[0], "min.insync.replicas"), "2");
    ck_assert_ptr_null(hv_topic_plan_setting(&plans.at[0], "segment.bytes"));
}
END_TEST

START_TEST(a_topic_that_is_there_is_left_as_it_is)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};

    scripted_admin_topic(admin, "copy", 9, 1, true);
    ck_hv_ok(plan("copy", 1, &nothing, &plans));
    ck_assert(plans.at[0].there);
    ck_hv_ok(hv_kafka_topics_make(&plans, admin, TIMEOUT_MS, &err));
    ck_assert(!plans.at[0].made);
    ck_assert_int_eq(scripted_admin_calls(admin, "create_topic"), 0);
}
END_TEST

static void
make_copy(void *arg)
{
    static bool made;

    if (!made)
        scripted_admin_topic(arg, "copy", 4, 1, true);
    made = true;
}

START_TEST(a_topic_that_somebody_makes_meanwhile_is_taken)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};

    ck_hv_ok(plan("copy", 1, &nothing, &plans));
    scripted_admin_during(admin, "create_topic", make_copy, admin);
    ck_hv_ok(hv_kafka_topics_make(&plans, admin, TIMEOUT_MS, &err));
    ck_assert(plans.at[0].there && !plans.at[0].made);
}
END_TEST

START_TEST(a_topic_with_too_few_partitions_is_refused)
{
    hv_topic_plans plans;

    scripted_admin_topic(admin, "copy", 3, 1, true);
    ck_hv_fails(HV_USAGE, plan("copy", 1, &nothing, &plans));
    ck_assert_ptr_nonnull(strstr(err.msg, "with 3 partitions, but 4 are needed"));
}
END_TEST

START_TEST(a_map_of_partitions_says_how_many_are_needed)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    hv_kafka_partition_map partitions[] = {{.from = 1, .to = 9}, {.from = -1, .to = 0}};
    hv_sink_kafka_config config = {.id = "a", .topic = "copy", .partitions = partitions, .partition_count = 2};
    const hv_topic_was was = {.hub = "orders", .partitions = 2, .snapshot = &orders};

    ck_hv_ok(hv_kafka_topics_plan(&config, &was, 1, &nothing, admin, TIMEOUT_MS, &plans, &err));
    ck_assert_int_eq(plans.at[0].partitions, 10);
}
END_TEST

START_TEST(partitions_that_came_after_the_snapshot_have_room_too)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    hv_sink_kafka_config config = {.id = "a", .topic = "copy"};
    const hv_topic_was was = {.hub = "orders", .partitions = 6, .snapshot = &orders};

    ck_hv_ok(hv_kafka_topics_plan(&config, &was, 1, &nothing, admin, TIMEOUT_MS, &plans, &err));
    ck_assert_int_eq(plans.at[0].partitions, 6);
}
END_TEST

START_TEST(two_hubs_go_into_one_topic_if_they_were_configured_alike)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    hv_topic_plans refused;

    ck_hv_ok(plan("all", 2, &nothing, &plans));
    ck_assert_uint_eq(plans.count, 1);
    ck_assert_int_eq(plans.at[0].partitions, 4);
    ck_hv_ok(hv_topic_snapshot_add(&sales, "max.message.bytes", "5", true, &err));
    ck_hv_fails(HV_USAGE, plan("all", 2, &nothing, &refused));
}
END_TEST

START_TEST(without_a_snapshot_nothing_is_guessed)
{
    HV_AUTO(hv_topic_plans_clear) hv_topic_plans plans = {.at = NULL};
    hv_sink_kafka_config config = {.id = "a", .topic = "copy"};
    const hv_topic_was was = {.hub = "orders", .partitions = 2};
    hv_topic_plans refused;

    ck_hv_fails(HV_NOT_FOUND, hv_kafka_topics_plan(&config, &was, 1, &nothing, admin, TIMEOUT_MS, &refused, &err));
    scripted_admin_topic(admin, "copy", 2, 1, true);
    ck_hv_ok(hv_kafka_topics_plan(&config, &was, 1, &nothing, admin, TIMEOUT_MS, &plans, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("kafka topics");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_topic_gets_the_partitions_and_replicas_it_had_and_only_what_was_set_for_it);
    tcase_add_test(tests, wishes_come_before_what_was);
    tcase_add_test(tests, a_topic_that_is_there_is_left_as_it_is);
    tcase_add_test(tests, a_topic_that_somebody_makes_meanwhile_is_taken);
    tcase_add_test(tests, a_topic_with_too_few_partitions_is_refused);
    tcase_add_test(tests, a_map_of_partitions_says_how_many_are_needed);
    tcase_add_test(tests, partitions_that_came_after_the_snapshot_have_room_too);
    tcase_add_test(tests, two_hubs_go_into_one_topic_if_they_were_configured_alike);
    tcase_add_test(tests, without_a_snapshot_nothing_is_guessed);
    return ck_hv_run("kafka topics", tests);
}
