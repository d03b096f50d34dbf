/* What source/admin.h promises, by librdkafka against a broker that does what it is told; and what a source asks about the settings of a hub. */
#include <stdlib.h>

#include "common/clock.h"
#include "source/source_drivers.h"
#include "tests/harness/admin_broker.h"
#include "tests/harness/check_hv.h"

enum { TIMEOUT_MS = 10000, SHORT_MS = 400 };

/* kafka.apache.org/protocol, error codes. */
enum {
    CORRUPT_MESSAGE = 2, UNKNOWN_TOPIC = 3, NOT_LEADER = 6, METADATA_TOO_LARGE = 12, INVALID_TOPIC = 17, ILLEGAL_GENERATION = 22,
    UNKNOWN_MEMBER = 25, REBALANCING = 27, TOPIC_REFUSED = 29, GROUP_REFUSED = 30, CLUSTER_REFUSED = 31, TOPIC_EXISTS = 36,
    INVALID_PARTITIONS = 37, INVALID_REPLICATION = 38, INVALID_CONFIG = 40, INVALID_REQUEST = 42, POLICY_VIOLATION = 44,
};

static admin_broker *broker;
static hv_kafka_config config;
static hv_admin *admin;
static hv_err err;

static void
set_up(void)
{
    broker = admin_broker_start();
    admin_broker_topic(broker, "h", 3);
    admin_broker_commit(broker, "g", "h", 0, 5, "");
    config = (hv_kafka_config){.bootstrap = admin_broker_bootstrap(broker)};
    ck_hv_ok(hv_admin_kafka_open(&config, &admin, &err));
}

static void
tear_down(void)
{
    hv_admin_close(admin);
    admin_broker_stop(broker);
}

/* ---- one call of each kind ---- */

static hv_rc
ask_groups(int timeout_ms)
{
    HV_AUTO(hv_admin_groups_clear) hv_admin_groups groups = {.at = NULL};

    return admin->ops->groups(admin, timeout_ms, &groups, &err);
}

static hv_rc
ask_commits(int timeout_ms)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};

    return admin->ops->commits(admin, "g", timeout_ms, &commits, &err);
}

static hv_rc
set_commits(int timeout_ms)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};

    ck_hv_ok(hv_admin_commits_add(&commits, "h", 1, 70, hv_slice_text("by hand"), &err));
    ck_hv_ok(hv_admin_commits_add(&commits, "h", 2, 80, HV_SLICE_NULL, &err));
    hv_admin_commits_sort(&commits);
    return admin->ops->set_commits(admin, "g", &commits, timeout_ms, &err);
}

static hv_rc
ask_topic(int timeout_ms)
{
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic topic = {.partitions = 0};

    return admin->ops->topic(admin, "h", timeout_ms, &topic, &err);
}

static hv_rc
create_topic(int timeout_ms)
{
    char name[] = "cleanup.policy", value[] = "compact";
    const hv_admin_setting setting = {.name = name, .value = value};
    const hv_admin_new_topic topic = {.name = "made", .partitions = 4, .replication = -1, .settings = &setting, .count = 1};

    return admin->ops->create_topic(admin, &topic, timeout_ms, &err);
}

/* ---- groups and commits ---- */

START_TEST(groups_come_by_name)
{
    HV_AUTO(hv_admin_groups_clear) hv_admin_groups groups = {.at = NULL};

    admin_broker_commit(broker, "z", "h", 0, 1, "");
    admin_broker_commit(broker, "a", "h", 1, 1, "");
    admin_broker_commit(broker, "g", "h", 1, 1, "");
    ck_hv_ok(admin->ops->groups(admin, TIMEOUT_MS, &groups, &err));
    ck_assert_uint_eq(groups.count, 3);
    ck_assert_str_eq(groups.at[0].name, "a");
    ck_assert_str_eq(groups.at[1].name, "g");
    ck_assert_str_eq(groups.at[2].name, "z");
    ck_assert(!groups.at[0].active);    /* versions below 4 do not say */
}
END_TEST

START_TEST(commits_come_ordered_with_their_metadata_and_without_forgotten_ones)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL}, none = {.at = NULL};

    admin_broker_commit(broker, "g", "h", 2, 30, "by hand");
    admin_broker_commit(broker, "g", "h", 1, -1, "");
    admin_broker_commit(broker, "g", "another", 7, 0, "");
    admin_broker_commit(broker, "other", "h", 0, 99, "");
    ck_hv_ok(admin->ops->commits(admin, "g", TIMEOUT_MS, &commits, &err));
    ck_assert_uint_eq(commits.count, 3);
    ck_assert_str_eq(commits.at[0].topic, "another");
    ck_assert_int_eq(commits.at[1].offset, 5);
    const hv_admin_commit *last = hv_admin_commits_find(&commits, "h", 2);
    ck_assert(last == &commits.at[2] && last->offset == 30);
    ck_assert(hv_slice_equal(hv_slice_of(last->metadata, last->metadata_len), hv_slice_text("by hand")));
    ck_assert_ptr_null(hv_admin_commits_find(&commits, "h", 1));
    ck_hv_ok(admin->ops->commits(admin, "unknown", TIMEOUT_MS, &none, &err));
    ck_assert_uint_eq(none.count, 0);
}
END_TEST

START_TEST(commits_that_are_set_are_there_and_others_stay)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};

    ck_hv_ok(set_commits(TIMEOUT_MS));
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_OFFSET_COMMIT), 1);       /* all of it in one request */
    ck_assert_int_eq(admin_broker_committed(broker, "g", "h", 0), 5);
    ck_assert_int_eq(admin_broker_committed(broker, "g", "h", 1), 70);
    ck_assert_int_eq(admin_broker_committed(broker, "g", "h", 2), 80);
    ck_hv_ok(admin->ops->commits(admin, "g", TIMEOUT_MS, &commits, &err));
    const hv_admin_commit *made = hv_admin_commits_find(&commits, "h", 1);
    ck_assert_ptr_nonnull(made);
    ck_assert(hv_slice_equal(hv_slice_of(made->metadata, made->metadata_len), hv_slice_text("by hand")));
}
END_TEST

/* ---- topics ---- */

START_TEST(settings_of_a_topic_come_by_name_and_tell_which_are_its_own)
{
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic topic = {.partitions = 0};

    admin_broker_setting(broker, "h", "retention.ms", "1000", 1, false);
    admin_broker_setting(broker, "h", "cleanup.policy", "delete", 5, false);
    admin_broker_setting(broker, "h", "a.secret", "x", 1, true);
    admin_broker_setting(broker, "h", "b.null", NULL, 1, false);
    admin_broker_setting(broker, "other", "c", "d", 1, false);
    ck_hv_ok(admin->ops->topic(admin, "h", TIMEOUT_MS, &topic, &err));
    ck_assert(topic.told && topic.partitions == 3 && topic.replication == 1);
    ck_assert_uint_eq(topic.count, 2);
    ck_assert_str_eq(topic.settings[0].name, "cleanup.policy");
    ck_assert(!topic.settings[0].own);
    ck_assert_str_eq(topic.settings[1].value, "1000");
    ck_assert(topic.settings[1].own);
}
END_TEST

static void
ck_untold(void)
{
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic topic = {.partitions = 0};

    ck_hv_ok(admin->ops->topic(admin, "h", TIMEOUT_MS, &topic, &err));
    ck_assert(!topic.told && topic.partitions == 3 && topic.count == 0);
}

START_TEST(a_service_that_tells_no_settings_still_tells_partitions)
{
    admin_broker_refuse(broker, ADMIN_DESCRIBE_CONFIGS, TOPIC_REFUSED);
    ck_untold();
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_DESCRIBE_CONFIGS), 1);
}
END_TEST

START_TEST(without_a_controller_nobody_is_asked_for_settings)
{
    hv_admin_close(admin);
    admin_broker_without_controller(broker);
    ck_hv_ok(hv_admin_kafka_open(&config, &admin, &err));
    ck_untold();
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_DESCRIBE_CONFIGS), 0);
}
END_TEST

START_TEST(a_topic_that_is_made_has_its_partitions_and_settings)
{
    ck_hv_ok(create_topic(TIMEOUT_MS));
    ck_assert_int_eq(admin_broker_partitions(broker, "made"), 4);
    ck_assert_str_eq(admin_broker_setting_of(broker, "made", "cleanup.policy"), "compact");
    ck_hv_fails(HV_EXISTS, create_topic(TIMEOUT_MS));
    ck_assert_msg(strstr(err.msg, "topic 'made'") != NULL && strstr(err.msg, "said by the broker") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(a_topic_that_has_no_leaders_yet_is_not_made_until_it_has)
{
    admin_broker_refuse(broker, ADMIN_LIST_OFFSETS, NOT_LEADER);
    ck_hv_fails(HV_UNAVAILABLE, create_topic(SHORT_MS));
    ck_assert_msg(strstr(err.msg, "no leaders yet") != NULL, "%s", err.msg);
    ck_assert_int_eq(admin_broker_partitions(broker, "made"), 4);
}
END_TEST

START_TEST(what_no_topic_can_be_is_refused_before_anybody_is_asked)
{
    static const hv_admin_new_topic topics[] = {
        {.name = "made", .partitions = 1000000, .replication = -1},
        {.name = "made", .partitions = 1, .replication = 1000000},
    };

    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
        ck_hv_fails(HV_USAGE, admin->ops->create_topic(admin, &topics[i], TIMEOUT_MS, &err));
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_CREATE_TOPICS), 0);
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic topic = {.partitions = 0};
    char long_name[600];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_hv_fails(HV_USAGE, admin->ops->topic(admin, long_name, TIMEOUT_MS, &topic, &err));
    ck_hv_fails(HV_NOT_FOUND, admin->ops->topic(admin, "unknown", TIMEOUT_MS, &topic, &err));
}
END_TEST

/* ---- noes ---- */

static const struct {
    int key;
    int16_t error;
    hv_rc (*call)(int timeout_ms);
    hv_rc rc;
} refusals[] = {
    {ADMIN_LIST_GROUPS, CLUSTER_REFUSED, ask_groups, HV_AUTH},
    {ADMIN_OFFSET_FETCH, GROUP_REFUSED, ask_commits, HV_AUTH},
    {ADMIN_OFFSET_FETCH_PARTITION, UNKNOWN_TOPIC, ask_commits, HV_NOT_FOUND},
    {ADMIN_OFFSET_COMMIT, UNKNOWN_MEMBER, set_commits, HV_BUSY},
    {ADMIN_OFFSET_COMMIT, ILLEGAL_GENERATION, set_commits, HV_BUSY},
    {ADMIN_OFFSET_COMMIT, REBALANCING, set_commits, HV_BUSY},
    {ADMIN_OFFSET_COMMIT, METADATA_TOO_LARGE, set_commits, HV_LIMIT},
    {ADMIN_OFFSET_COMMIT, TOPIC_REFUSED, set_commits, HV_AUTH},
    {ADMIN_OFFSET_COMMIT, GROUP_REFUSED, set_commits, HV_AUTH},
    {ADMIN_METADATA, TOPIC_REFUSED, ask_topic, HV_AUTH},
    {ADMIN_DESCRIBE_CONFIGS, INVALID_REQUEST, ask_topic, HV_USAGE},
    {ADMIN_CREATE_TOPICS, TOPIC_EXISTS, create_topic, HV_EXISTS},
    {ADMIN_CREATE_TOPICS, INVALID_CONFIG, create_topic, HV_USAGE},
    {ADMIN_CREATE_TOPICS, INVALID_PARTITIONS, create_topic, HV_USAGE},
    {ADMIN_CREATE_TOPICS, INVALID_REPLICATION, create_topic, HV_USAGE},
    {ADMIN_CREATE_TOPICS, INVALID_TOPIC, create_topic, HV_USAGE},
    {ADMIN_CREATE_TOPICS, POLICY_VIOLATION, create_topic, HV_USAGE},
    {ADMIN_CREATE_TOPICS, TOPIC_REFUSED, create_topic, HV_AUTH},
};

START_TEST(what_the_service_refuses_fails_with_the_code_that_says_what_to_do)
{
    admin_broker_refuse(broker, refusals[_i].key, refusals[_i].error);
    hv_rc rc = refusals[_i].call(TIMEOUT_MS);
    ck_assert_msg(rc == refusals[_i].rc, "%d: %s %s", refusals[_i].error, hv_rc_name(rc), err.msg);
    if (refusals[_i].call == set_commits)
        ck_assert_int_eq(admin_broker_committed(broker, "g", "h", 1), -1);
    admin_broker_refuse(broker, refusals[_i].key, 0);
    ck_hv_ok(refusals[_i].call(TIMEOUT_MS));
}
END_TEST

/* Each kind of call, and a request without whose answer it cannot end. */
static const struct {
    int key;
    hv_rc (*call)(int timeout_ms);
} calls[] = {
    {ADMIN_LIST_GROUPS, ask_groups}, {ADMIN_OFFSET_FETCH, ask_commits}, {ADMIN_OFFSET_COMMIT, set_commits},
    {ADMIN_DESCRIBE_CONFIGS, ask_topic}, {ADMIN_CREATE_TOPICS, create_topic},
};

START_TEST(an_operation_that_the_service_lacks_is_told_apart)
{
    hv_admin_close(admin);
    admin_broker_lacks(broker, calls[_i].key);
    ck_hv_ok(hv_admin_kafka_open(&config, &admin, &err));
    if (calls[_i].call == ask_topic)
        ck_untold();
    else
        ck_hv_fails(HV_VERSION, calls[_i].call(TIMEOUT_MS));
    ck_assert_int_eq(admin_broker_count(broker, calls[_i].key), 0);
}
END_TEST

START_TEST(a_service_that_keeps_silent_is_waited_for_as_long_as_was_said)
{
    int64_t began = hv_clock_boot_ms();

    admin_broker_silence(broker, calls[_i].key, true);
    ck_hv_fails(HV_UNAVAILABLE, calls[_i].call(SHORT_MS));
    ck_assert_int_ge(admin_broker_count(broker, calls[_i].key), 1);
    ck_assert_int_ge(hv_clock_boot_ms() - began, SHORT_MS / 2);
}
END_TEST

/* ---- what a source asks ---- */

typedef struct policy_case {
    const char *cleanup, *retention;
    hv_source_cleanup expected;
    int64_t retention_ms;
} policy_case;

START_TEST(the_policy_of_a_hub_follows_from_its_settings)
{
    static const policy_case cases[] = {
        {"delete", "1000", HV_SOURCE_CLEANUP_DELETE, 1000},
        {"delete", "-1", HV_SOURCE_CLEANUP_DELETE, -1},
        {"compact", "1000", HV_SOURCE_CLEANUP_COMPACT, -1},             /* nothing goes because of its age */
        {"compact,delete", "1000", HV_SOURCE_CLEANUP_COMPACT, 1000},
        {"something", "1000", HV_SOURCE_CLEANUP_UNKNOWN, -1},
        {NULL, "1000", HV_SOURCE_CLEANUP_UNKNOWN, -1},
    };
    HV_AUTO(hv_source_close) hv_source *source = NULL;
    hv_source_hub_policy policy;

    admin_broker_setting(broker, "h", "cleanup.policy", cases[_i].cleanup, 5, false);
    admin_broker_setting(broker, "h", "retention.ms", cases[_i].retention, 1, false);
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    ck_hv_ok(source->ops->hub_policy(source, "h", TIMEOUT_MS, &policy, &err));
    ck_assert_int_eq(policy.cleanup, cases[_i].expected);
    ck_assert_int_eq(policy.retention_ms, cases[_i].retention_ms);
}
END_TEST

START_TEST(a_policy_that_is_refused_is_unknown_and_one_that_nobody_tells_can_be_asked_for_again)
{
    HV_AUTO(hv_source_close) hv_source *source = NULL;
    hv_source_hub_policy policy = {.retention_ms = 7};

    admin_broker_setting(broker, "h", "cleanup.policy", "compact", 5, false);
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    admin_broker_refuse(broker, ADMIN_DESCRIBE_CONFIGS, TOPIC_REFUSED);
    ck_hv_ok(source->ops->hub_policy(source, "h", TIMEOUT_MS, &policy, &err));
    ck_assert(policy.cleanup == HV_SOURCE_CLEANUP_UNKNOWN && policy.retention_ms == -1);
    admin_broker_refuse(broker, ADMIN_DESCRIBE_CONFIGS, UNKNOWN_TOPIC);         /* deleted since its metadata was read */
    ck_hv_fails(HV_NOT_FOUND, source->ops->hub_policy(source, "h", TIMEOUT_MS, &policy, &err));
    admin_broker_refuse(broker, ADMIN_DESCRIBE_CONFIGS, 0);
    admin_broker_silence(broker, ADMIN_DESCRIBE_CONFIGS, true);
    ck_hv_fails(HV_UNAVAILABLE, source->ops->hub_policy(source, "h", SHORT_MS, &policy, &err));
    admin_broker_silence(broker, ADMIN_DESCRIBE_CONFIGS, false);
    ck_hv_ok(source->ops->hub_policy(source, "h", TIMEOUT_MS, &policy, &err));
    ck_assert_int_eq(policy.cleanup, HV_SOURCE_CLEANUP_COMPACT);
    ck_hv_fails(HV_NOT_FOUND, source->ops->hub_policy(source, "unknown", TIMEOUT_MS, &policy, &err));
}
END_TEST

START_TEST(a_service_without_controller_tells_no_policy_and_is_not_waited_for)
{
    HV_AUTO(hv_source_close) hv_source *source = NULL;
    hv_source_hub_policy policy = {.retention_ms = 7};

    admin_broker_without_controller(broker);
    ck_hv_ok(hv_source_kafka_open(&config, &source, &err));
    ck_hv_ok(source->ops->hub_policy(source, "h", TIMEOUT_MS, &policy, &err));
    ck_assert(policy.cleanup == HV_SOURCE_CLEANUP_UNKNOWN && policy.retention_ms == -1);
    ck_assert_int_eq(admin_broker_count(broker, ADMIN_DESCRIBE_CONFIGS), 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("admin kafka");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, groups_come_by_name);
    tcase_add_test(tests, commits_come_ordered_with_their_metadata_and_without_forgotten_ones);
    tcase_add_test(tests, commits_that_are_set_are_there_and_others_stay);
    tcase_add_test(tests, settings_of_a_topic_come_by_name_and_tell_which_are_its_own);
    tcase_add_test(tests, a_service_that_tells_no_settings_still_tells_partitions);
    tcase_add_test(tests, without_a_controller_nobody_is_asked_for_settings);
    tcase_add_test(tests, a_topic_that_is_made_has_its_partitions_and_settings);
    tcase_add_test(tests, a_topic_that_has_no_leaders_yet_is_not_made_until_it_has);
    tcase_add_test(tests, what_no_topic_can_be_is_refused_before_anybody_is_asked);
    tcase_add_loop_test(tests, what_the_service_refuses_fails_with_the_code_that_says_what_to_do, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_loop_test(tests, an_operation_that_the_service_lacks_is_told_apart, 0, (int)(sizeof calls / sizeof calls[0]));
    tcase_add_loop_test(tests, a_service_that_keeps_silent_is_waited_for_as_long_as_was_said, 0, (int)(sizeof calls / sizeof calls[0]));
    tcase_add_loop_test(tests, the_policy_of_a_hub_follows_from_its_settings, 0, 6);
    tcase_add_test(tests, a_policy_that_is_refused_is_unknown_and_one_that_nobody_tells_can_be_asked_for_again);
    tcase_add_test(tests, a_service_without_controller_tells_no_policy_and_is_not_waited_for);
    return ck_hv_run("admin kafka", tests);
}
