/*
 * Membership by a consumer group, against the mock broker: what is told, in which order, and what waits for whom.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "source/source_drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"

enum { PARTITIONS = 6, WAIT_MS = 30000, SESSION_MS = 5000, RELEASE_MS = 2500 };

/* What one member was told. */
typedef struct member {
    hv_membership *membership;
    pthread_mutex_t lock;
    bool owned[PARTITIONS];             /* these: while holding `lock` */
    int count, told[HV_MEMBERSHIP_FAILED + 1];
    uint64_t revocation;
    hv_rc failed;                       /* why it is no member any more */
    bool releases;                      /* answers at once */
    bool strange;                       /* something was told that cannot be */
} member;

static mock_broker *broker;
static member *members[2];

static void
on_changed(void *arg, const hv_membership_change *change)
{
    member *m = arg;

    (void)pthread_mutex_lock(&m->lock);
    m->told[change->kind]++;
    for (size_t i = 0; i < change->count; i++) {
        bool now = change->kind == HV_MEMBERSHIP_ASSIGNED;
        m->strange |= strcmp(change->partitions[i].hub, "t") != 0 || m->owned[change->partitions[i].number] == now;
        m->owned[change->partitions[i].number] = now;
        m->count += now ? 1 : -1;
    }
    if (change->kind == HV_MEMBERSHIP_REVOKED)
        m->revocation = change->revocation;
    if (change->kind == HV_MEMBERSHIP_FAILED)
        m->failed = change->err->rc;
    bool answer = change->kind == HV_MEMBERSHIP_REVOKED && m->releases;
    (void)pthread_mutex_unlock(&m->lock);
    if (answer)
        m->membership->ops->released(m->membership, change->revocation);
}

static member *
join_as(const char *instance, int64_t release_ms)
{
    member *m = calloc(1, sizeof *m);
    hv_kafka_config kafka = {.bootstrap = mock_broker_bootstrap(broker)};
    hv_kafka_group_config config = {.broker = &kafka, .group = "g", .instance = instance, .session_ms = SESSION_MS, .release_ms = release_ms,
                                    .refresh_ms = 5000};
    const char *hub = "t";
    hv_err err;

    ck_assert_ptr_nonnull(m);
    (void)pthread_mutex_init(&m->lock, NULL);
    m->releases = true;
    ck_hv_ok(hv_membership_kafka_open(&config, &m->membership, &err));
    ck_hv_ok(m->membership->ops->start(m->membership, on_changed, m, &err));
    ck_hv_ok(m->membership->ops->subscribe(m->membership, &hub, 1, &err));
    return m;
}

static member *
join_group(int64_t release_ms)
{
    return join_as(NULL, release_ms);
}

static void
leave_group(member *m)
{
    if (m == NULL)
        return;
    hv_membership_close(m->membership);
    ck_assert(!m->strange);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

static int
owned_by(member *m)
{
    (void)pthread_mutex_lock(&m->lock);
    int count = m->count;
    (void)pthread_mutex_unlock(&m->lock);
    return count;
}

static int
told(member *m, hv_membership_kind kind)
{
    (void)pthread_mutex_lock(&m->lock);
    int count = m->told[kind];
    (void)pthread_mutex_unlock(&m->lock);
    return count;
}

static void
wait_told(member *m, hv_membership_kind kind)
{
    for (int ms = 0; ms < WAIT_MS && told(m, kind) == 0; ms += 10)
        usleep(10000);
    ck_assert_int_ge(told(m, kind), 1);
}

static void
wait_owned(member *m, int count)
{
    for (int ms = 0; ms < WAIT_MS && owned_by(m) != count; ms += 10)
        usleep(10000);
    ck_assert_int_eq(owned_by(m), count);
}

static void
setup(void)
{
    broker = mock_broker_start(1);
    mock_broker_topic(broker, "t", PARTITIONS);
    members[0] = members[1] = NULL;
}

static void
teardown(void)
{
    leave_group(members[0]);
    leave_group(members[1]);
    mock_broker_stop(broker);
}

START_TEST(a_second_member_gets_its_share_when_it_is_released_and_hands_it_on_when_it_leaves)
{
    members[0] = join_group(RELEASE_MS);
    wait_owned(members[0], PARTITIONS);
    members[0]->releases = false;
    members[1] = join_group(RELEASE_MS);
    wait_told(members[0], HV_MEMBERSHIP_REVOKED);
    usleep(RELEASE_MS / 2 * 1000);
    ck_assert_int_eq(owned_by(members[1]), 0);
    members[0]->membership->ops->released(members[0]->membership, members[0]->revocation + 1);     /* not the one waited for */
    members[0]->membership->ops->released(members[0]->membership, members[0]->revocation);
    wait_owned(members[1], PARTITIONS / 2);
    ck_assert_int_eq(owned_by(members[0]), PARTITIONS / 2);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_REVOKED), 1);       /* cooperative: the other half was never taken away */
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_LOST), 0);
    for (int p = 0; p < PARTITIONS; p++)
        ck_assert_int_eq(members[0]->owned[p] + members[1]->owned[p], 1);
    members[1]->releases = false;
    leave_group(members[1]);            /* hands them on without a time-out, and without anybody's answer */
    members[1] = NULL;
    wait_owned(members[0], PARTITIONS);
}
END_TEST

START_TEST(a_member_that_cannot_reach_the_broker_for_a_session_has_lost_everything_and_may_leave_all_the_same)
{
    members[0] = join_group(1000);
    wait_owned(members[0], PARTITIONS);
    mock_broker_set_up(broker, 1, false);
    wait_owned(members[0], 0);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_LOST), 1);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_REVOKED), 0);
    leave_group(members[0]);            /* the time limit of the test is the limit of that */
    members[0] = NULL;
}
END_TEST

START_TEST(a_group_that_we_may_not_join_is_told_as_trouble)
{
    mock_broker_push_errors(broker, MOCK_FIND_COORDINATOR, 10, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    members[0] = join_group(1000);
    wait_told(members[0], HV_MEMBERSHIP_TROUBLE);
}
END_TEST

/* Whoever looks for hubs says the same ones again and again. */
START_TEST(the_same_hubs_again_disturb_nobody)
{
    enum { QUIET_MS = 1000 };
    const char *hub = "t";
    hv_err err;

    members[0] = join_group(1000);
    wait_owned(members[0], PARTITIONS);
    int before = told(members[0], HV_MEMBERSHIP_ASSIGNED);
    ck_hv_ok(members[0]->membership->ops->subscribe(members[0]->membership, &hub, 1, &err));
    usleep(QUIET_MS * 1000);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_ASSIGNED), before);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_REVOKED) + told(members[0], HV_MEMBERSHIP_LOST), 0);
    ck_hv_ok(members[0]->membership->ops->subscribe(members[0]->membership, NULL, 0, &err));
    wait_owned(members[0], 0);          /* and other ones count */
}
END_TEST

START_TEST(a_member_whose_name_somebody_else_has_taken_has_failed_for_good)
{
    mock_broker_push_errors(broker, MOCK_JOIN_GROUP, 10, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    members[0] = join_as("node-1", 1000);
    wait_told(members[0], HV_MEMBERSHIP_FAILED);
    usleep(200000);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_FAILED), 1);
    ck_assert_int_eq(members[0]->failed, HV_BUSY);
    ck_assert_int_eq(owned_by(members[0]), 0);
}
END_TEST

/* With its assignment under way librdkafka 2.0.2 aborts the process when such a handle is destroyed (issue 4312). */
START_TEST(one_that_leaves_before_its_first_assignment_ends_in_peace)
{
    enum { SYNC_GROUP = 14, JOINED_MS = 4500 };         /* the mock broker lets a group wait 3 s for its members */

    mock_broker_push_errors(broker, SYNC_GROUP, 1000, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
    members[0] = join_group(1000);
    usleep(JOINED_MS * 1000);
    ck_assert_int_eq(told(members[0], HV_MEMBERSHIP_ASSIGNED), 0);
    leave_group(members[0]);
    members[0] = NULL;
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("kafka group");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_second_member_gets_its_share_when_it_is_released_and_hands_it_on_when_it_leaves);
    tcase_add_test(tests, a_member_that_cannot_reach_the_broker_for_a_session_has_lost_everything_and_may_leave_all_the_same);
    tcase_add_test(tests, a_group_that_we_may_not_join_is_told_as_trouble);
    tcase_add_test(tests, the_same_hubs_again_disturb_nobody);
    tcase_add_test(tests, a_member_whose_name_somebody_else_has_taken_has_failed_for_good);
    tcase_add_test(tests, one_that_leaves_before_its_first_assignment_ends_in_peace);
    return ck_hv_run("kafka group", tests);
}
