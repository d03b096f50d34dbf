/* From options to sources: one per credential, tokens for the right resource, and refusals that name what is wrong. Nobody is connected to. */
#include <stdio.h>
#include <unistd.h>

#include "server/lock_file.h"
#include "server/sources.h"
#include "source/source_drivers.h"
#include "source/source_kafka.h"
#include "tests/harness/admin_broker.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/source/loopback_http.h"

#define KEY "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=reader;SharedAccessKey=c2VjcmV0;EntityPath="

static scratch_dir dir;
static hv_options options;
static hv_err err;

static void
setup(void)
{
    dir = scratch_dir_make();
    hv_options_init(&options);
}

static void
teardown(void)
{
    hv_options_clear(&options);
    scratch_dir_remove(&dir);
}

static void
set(const char *name, const char *value)
{
    hv_option_place place = {.layer = HV_OPTION_FROM_COMMAND, .where = "--set"};

    ck_hv_ok(hv_options_set(&options, name, value, &place, &err));
}

static const char *
write_file(const char *name, const char *text)
{
    static char path[400];

    (void)snprintf(path, sizeof path, "%s/%s", dir.path, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert(fputs(text, file) >= 0 && fclose(file) == 0);
    return path;
}

static void
set_credential(const char *hub, const char *file)
{
    char pair[500];

    (void)snprintf(pair, sizeof pair, "%s=%s", hub, file);
    set("source.hub-credential", pair);
}

START_TEST(without_a_broker_or_a_credential_there_is_no_source)
{
    hv_sources *sources = NULL;
    hv_kafka_config config;

    ck_hv_fails(HV_USAGE, hv_sources_open(&options, &sources, &err));
    ck_hv_fails(HV_USAGE, hv_sources_describe(&options, &sources, &config, &err));
    ck_assert_ptr_null(sources);
}
END_TEST

START_TEST(one_login_is_one_source_for_every_hub)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    size_t count;

    set("source.bootstrap", "127.0.0.1:1");
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    hv_source *const *all = hv_sources_all(sources, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_ptr_eq(hv_sources_for_hub(sources, "anything"), all[0]);
}
END_TEST

START_TEST(who_is_in_no_hurry_has_every_broker_wait_and_questions_apart_and_nobody_else_has)
{
    const bool hurried = _i == 0;
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    size_t count;

    set("source.bootstrap", "127.0.0.1:1");
    set("source.hubs", "rest");
    set_credential("orders", write_file("orders.key", KEY "orders"));
    ck_hv_ok(hurried ? hv_sources_open(&options, &sources, &err) : hv_sources_open_unhurried(&options, &sources, &err));
    hv_source *const *all = hv_sources_all(sources, &count);
    ck_assert_uint_eq(count, 2);
    for (size_t s = 0; s < count; s++) {
        const hv_kafka_settings *settings = &((const hv_kafka *)all[s])->settings;
        ck_assert_int_eq(settings->patient, !hurried);
        ck_assert_int_eq(settings->fetch_wait_ms, hurried ? 100 : 1000);
        ck_assert_int_eq(settings->fetch_least_bytes, hurried ? 1 : 65536);
    }
}
END_TEST

START_TEST(a_hub_with_a_credential_of_its_own_has_a_source_of_its_own)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    size_t count;

    set_credential("orders", write_file("orders.key", KEY "orders"));
    set_credential("payments", write_file("payments.key", KEY "payments"));
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    hv_source *const *all = hv_sources_all(sources, &count);
    ck_assert_uint_eq(count, 2);        /* and none for the rest, which nobody has a login for */
    ck_assert_ptr_eq(hv_sources_for_hub(sources, "orders"), all[0]);
    ck_assert_ptr_eq(hv_sources_for_hub(sources, "payments"), all[1]);
    ck_assert_ptr_ne(all[0], all[1]);
}
END_TEST

START_TEST(beside_credentials_of_hubs_a_shared_login_has_the_others)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    size_t count;

    set_credential("orders", write_file("orders.key", KEY "orders"));
    set("source.auth", "connection-string");
    set("source.connection-string-file", write_file("all.key", KEY "audit"));
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    hv_source *const *all = hv_sources_all(sources, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_ptr_eq(hv_sources_for_hub(sources, "orders"), all[0]);
    ck_assert_ptr_eq(hv_sources_for_hub(sources, "audit"), all[1]);
}
END_TEST

START_TEST(a_credential_that_cannot_be_read_names_its_hub)
{
    hv_sources *sources = NULL;

    set_credential("orders", write_file("orders.key", KEY "orders"));
    set_credential("payments", "/nowhere/payments.key");
    ck_hv_fails(HV_NOT_FOUND, hv_sources_open(&options, &sources, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "hub 'payments': "));
    ck_assert_ptr_null(sources);
}
END_TEST

START_TEST(a_property_that_librdkafka_does_not_know_is_named)
{
    hv_sources *sources = NULL;

    set("source.bootstrap", "127.0.0.1:1");
    set("source.rdkafka", "no.such.property=1");
    ck_hv_fails(HV_USAGE, hv_sources_open(&options, &sources, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "no.such.property"));
}
END_TEST

START_TEST(a_description_holds_what_the_options_say)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    hv_kafka_config config;

    set("source.bootstrap", "broker.example:9093");
    set("source.auth", "plain");
    set("source.user", "u");
    set("source.password-file", write_file("password", "secret"));
    set("source.tls", "yes");
    set("source.rdkafka", "client.id=x=y");
    set("archiver.memory", "64M");
    ck_hv_ok(hv_sources_describe(&options, &sources, &config, &err));
    ck_assert_str_eq(config.bootstrap, "broker.example:9093");
    ck_assert_int_eq(config.auth, HV_KAFKA_AUTH_PLAIN);
    ck_assert_str_eq(config.user, "u");
    ck_assert(config.tls);
    ck_assert_uint_eq(config.extra_count, 2);
    ck_assert_str_eq(config.extra[0], "client.id");
    ck_assert_str_eq(config.extra[1], "x=y");
    ck_assert_uint_eq(config.queue_bytes, 16 << 20);
}
END_TEST

/* What the authority is asked for: {scope set, scope in the request}. */
static const char *const scopes[][2] = {
    {NULL, "scope=https%3A%2F%2Fns.example%2F.default&"},
    {"https://storage.azure.com/.default", "scope=https%3A%2F%2Fstorage.azure.com%2F.default&"},
    {"https://other.example", "scope=https%3A%2F%2Fother.example%2F.default&"},
};

START_TEST(a_token_is_asked_for_the_scope_or_for_the_namespace)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    HV_AUTO(hv_token_clear) hv_token token = {0};
    loopback_http *http = loopback_http_start();
    hv_kafka_config config;

    loopback_http_answer(http, 200, "", "{\"access_token\":\"t1\",\"expires_in\":3600}", 0);
    set("source.bootstrap", "ns.example:9093,other.example:9093");
    set("source.auth", "oauth");
    set("oauth.method", "client-secret");
    set("oauth.tenant", "tenant-1");
    set("oauth.client-id", "client-1");
    set("oauth.client-secret-file", write_file("secret", "s3cr3t"));
    set("oauth.authority", loopback_http_url(http));
    if (scopes[_i][0] != NULL)
        set("oauth.scope", scopes[_i][0]);
    ck_hv_ok(hv_sources_describe(&options, &sources, &config, &err));
    ck_assert_int_eq(config.auth, HV_KAFKA_AUTH_OAUTH);
    ck_hv_ok(config.token(config.token_arg, &token, &err));
    ck_assert_str_eq(token.token, "t1");
    ck_assert_ptr_nonnull(strstr(loopback_http_asked(http, 0), scopes[_i][1]));
    loopback_http_stop(http);
}
END_TEST

START_TEST(an_authority_in_the_clear_that_is_not_this_machine_is_refused)
{
    hv_sources *sources = NULL;

    set("source.bootstrap", "ns.example:9093");
    set("source.auth", "oauth");
    set("oauth.method", "client-secret");
    set("oauth.tenant", "tenant-1");
    set("oauth.client-id", "client-1");
    set("oauth.client-secret-file", write_file("secret", "s3cr3t"));
    set("oauth.authority", "http://login.example");
    ck_hv_fails(HV_USAGE, hv_sources_open(&options, &sources, &err));
    ck_assert_ptr_null(sources);
}
END_TEST

/* ---- members of a group, and admins ---- */

static void
drop_change(void *arg, const hv_membership_change *change)
{
    (void)arg, (void)change;
}

/* Until the broker was asked for the coordinator of that group. */
static void
wait_joining(admin_broker *broker, hv_membership *member, const char *group)
{
    static const char *const hubs[] = {"orders"};

    ck_hv_ok(member->ops->start(member, drop_change, NULL, &err));
    ck_hv_ok(member->ops->subscribe(member, hubs, 1, &err));
    for (int ms = 0; ms < 10000 && !admin_broker_was_sought(broker, group); ms += 10)
        usleep(10000);
    ck_assert_msg(admin_broker_was_sought(broker, group), "nobody asked for group '%s'", group);
}

START_TEST(who_captures_everything_is_a_member_of_nothing)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    hv_membership *const *members = NULL;

    set("source.bootstrap", "127.0.0.1:1");
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    ck_hv_ok(hv_sources_join(sources, &options, "v", &members, &err));
    ck_assert_ptr_null(members);
}
END_TEST

START_TEST(secrets_of_sources_members_and_admins_are_read_again_and_one_that_is_gone_is_told)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    HV_AUTO(hv_admin_close) hv_admin *admin = NULL;
    hv_membership *const *members = NULL;
    const char *path = write_file("secret", "one");

    set("source.bootstrap", "127.0.0.1:1");
    set("source.auth", "plain");
    set("source.tls", "no");
    set("source.user", "u");
    set("source.password-file", path);
    set("source.assignment", "group");
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    ck_hv_ok(hv_sources_join(sources, &options, "the-vault", &members, &err));
    ck_hv_ok(hv_sources_open_admin(sources, 0, &admin, &err));
    (void)write_file("secret", "two");
    ck_hv_ok(hv_sources_refresh(sources, &err));
    ck_hv_ok(hv_admin_kafka_refresh(admin, &err));
    ck_assert_int_eq(unlink(options.source_password_file), 0);
    ck_hv_fails(HV_NOT_FOUND, hv_sources_refresh(sources, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_membership_kafka_refresh(members[0], &err));
    ck_hv_fails(HV_NOT_FOUND, hv_admin_kafka_refresh(admin, &err));
}
END_TEST

/* The group of the options, and the one that is joined. */
static const char *const groups[][2] = {{NULL, "hubvault-the-vault"}, {"ours", "ours"}};

START_TEST(the_group_is_that_of_the_options_or_of_the_vault)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    admin_broker *broker = admin_broker_start();
    hv_membership *const *members = NULL;

    set("source.bootstrap", admin_broker_bootstrap(broker));
    set("source.assignment", "group");
    if (groups[_i][0] != NULL)
        set("source.assignment-group", groups[_i][0]);
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    ck_hv_ok(hv_sources_join(sources, &options, "the-vault", &members, &err));
    wait_joining(broker, members[0], groups[_i][1]);
    ck_assert(!admin_broker_was_sought(broker, groups[1 - _i][1]));
    hv_sources_close(HV_TAKE(sources));
    admin_broker_stop(broker);
}
END_TEST

START_TEST(each_login_is_a_member_of_its_own)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    hv_membership *const *members = NULL;
    size_t count;

    set_credential("orders", write_file("orders.key", KEY "orders"));
    set_credential("payments", write_file("payments.key", KEY "payments"));
    set("source.assignment", "group");
    set("source.assignment-instance", "node-1");
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    (void)hv_sources_all(sources, &count);
    ck_hv_ok(hv_sources_join(sources, &options, "v", &members, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert(members[0] != NULL && members[1] != NULL && members[0] != members[1]);
}
END_TEST

START_TEST(an_admin_asks_where_its_source_reads)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic topic = {.partitions = 0};
    admin_broker *broker = admin_broker_start();
    hv_admin *admin = NULL;

    admin_broker_topic(broker, "orders", 5);
    set("source.bootstrap", admin_broker_bootstrap(broker));
    ck_hv_ok(hv_sources_open(&options, &sources, &err));
    ck_hv_ok(hv_sources_open_admin(sources, 0, &admin, &err));
    ck_hv_ok(admin->ops->topic(admin, "orders", 10000, &topic, &err));
    ck_assert_int_eq(topic.partitions, 5);
    hv_admin_close(admin);
    hv_sources_close(HV_TAKE(sources));
    admin_broker_stop(broker);
}
END_TEST

/* ---- the lock of an archiver ---- */

START_TEST(a_lock_is_taken_once_and_says_by_whom)
{
    hv_lock_file *lock = NULL, *second = NULL;
    char path[400], owner[60];

    (void)snprintf(path, sizeof path, "%s/lock", dir.path);
    ck_hv_ok(hv_lock_file_take(path, &lock, &err));
    ck_hv_fails(HV_BUSY, hv_lock_file_take(path, &second, &err));
    (void)snprintf(owner, sizeof owner, "process %ld is using it", (long)getpid());
    ck_assert_ptr_nonnull(strstr(err.msg, owner));
    (void)write_file("lock", "");       /* whoever has it could not write its number */
    ck_hv_fails(HV_BUSY, hv_lock_file_take(path, &second, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "another process is using it"));
    hv_lock_file_release(lock);
    ck_hv_ok(hv_lock_file_take(path, &second, &err));
    hv_lock_file_release(second);
    hv_lock_file_release(NULL);
}
END_TEST

START_TEST(a_lock_that_cannot_be_made_is_named)
{
    hv_lock_file *lock = NULL;

    ck_hv_fails(HV_IO, hv_lock_file_take("/nowhere/lock", &lock, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "'/nowhere/lock'"));
    ck_assert_ptr_null(lock);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("sources");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, without_a_broker_or_a_credential_there_is_no_source);
    tcase_add_test(tests, one_login_is_one_source_for_every_hub);
    tcase_add_loop_test(tests, who_is_in_no_hurry_has_every_broker_wait_and_questions_apart_and_nobody_else_has, 0, 2);
    tcase_add_test(tests, a_hub_with_a_credential_of_its_own_has_a_source_of_its_own);
    tcase_add_test(tests, beside_credentials_of_hubs_a_shared_login_has_the_others);
    tcase_add_test(tests, a_credential_that_cannot_be_read_names_its_hub);
    tcase_add_test(tests, a_property_that_librdkafka_does_not_know_is_named);
    tcase_add_test(tests, a_description_holds_what_the_options_say);
    tcase_add_loop_test(tests, a_token_is_asked_for_the_scope_or_for_the_namespace, 0, 3);
    tcase_add_test(tests, an_authority_in_the_clear_that_is_not_this_machine_is_refused);
    tcase_add_test(tests, secrets_of_sources_members_and_admins_are_read_again_and_one_that_is_gone_is_told);
    tcase_add_test(tests, who_captures_everything_is_a_member_of_nothing);
    tcase_add_loop_test(tests, the_group_is_that_of_the_options_or_of_the_vault, 0, 2);
    tcase_add_test(tests, each_login_is_a_member_of_its_own);
    tcase_add_test(tests, an_admin_asks_where_its_source_reads);
    tcase_add_test(tests, a_lock_is_taken_once_and_says_by_whom);
    tcase_add_test(tests, a_lock_that_cannot_be_made_is_named);
    return ck_hv_run("sources", tests);
}
