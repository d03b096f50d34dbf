/*
 * Membership by a consumer group of Kafka: a librdkafka handle that joins and never reads.
 *
 * The group gets every answer that its protocol wants, but librdkafka is not given the partitions: each rebalance is acknowledged
 * with an empty list. What we own is known to the group part of librdkafka, which tells it to the others when it joins anew; only its
 * reading part has nothing to do, so a thousand partitions cost it no connection, no question for offsets and no memory. Reading is
 * the work of the source, by explicit offsets of its own. Seen with librdkafka 2.0.2 and Apache Kafka 4.4.0, in every kind of
 * rebalance (tests/source/test_kafka_group.c, tests/real/test_several_archivers.py); docs/decisions/0004-membership-beside-the-reader.md.
 *
 * The thread of the membership waits inside of the rebalance callback until what was revoked is released, or until the time for it is
 * over: heartbeats go on meanwhile in a thread of librdkafka, and the members that lose nothing go on reading (KIP-429). That time is
 * below max.poll.interval.ms, which is also what the group gives its members to join anew.
 *
 * Before 2.3.0 librdkafka aborts the process when a handle is destroyed between joining and its first assignment (its issue 4312). Such
 * a handle leaves the group and is then left behind, until the process ends; nothing of it reaches us or what we borrowed any more.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "source/kafka_client.h"
#include "source/source_drivers.h"

enum { POLL_MS = 100, LATE_MS = 500, REPEAT_TROUBLE_MS = 60000, MOST_HEARTBEAT_MS = 3000, JOIN_MS = 30000 };
enum { FIRST_SOUND_VERSION = 0x02030000 };              /* of librdkafka, see above */

typedef struct kafka_group {
    hv_membership membership;           /* first, so that one pointer is both */
    hv_kafka_config broker;             /* with our own token function, see below */
    hv_rc (*token)(void *arg, hv_kafka_token *ret, hv_err *err);        /* that of the one who opened us */
    void *token_arg;
    hv_kafka_client *client;
    int64_t release_ms;
    hv_membership_changed *changed;
    void *arg;
    pthread_t thread;
    bool running;                       /* of the thread that starts and leaves */
    bool failed;                        /* these: of the thread of the membership only, while it runs */
    bool was_subscribed, was_assigned;  /* once at least; assigned, if nothing */
    uint64_t revocation;
    rd_kafka_resp_err_t trouble;        /* told last, and when */
    int64_t trouble_boot_ms;

    pthread_mutex_t token_lock;         /* held while a token is asked for */
    bool closed;                        /* while holding it: no token is asked for any more */

    pthread_mutex_t lock;
    pthread_cond_t wakes;
    struct {                            /* touched only while holding `lock` */
        rd_kafka_topic_partition_list_t *hubs;          /* wanted, sorted; NULL: never told */
        bool hubs_changed;
        bool leaving;
        uint64_t released;
    } locked;
} kafka_group;

/* ---- what the group says ---- */

static bool
is_leaving(kafka_group *g)
{
    (void)pthread_mutex_lock(&g->lock);
    bool leaving = g->locked.leaving;
    (void)pthread_mutex_unlock(&g->lock);
    return leaving;
}

static void
tell(kafka_group *g, const hv_membership_change *change)
{
    if (!is_leaving(g))
        g->changed(g->arg, change);
}

static void
tell_trouble(kafka_group *g, rd_kafka_resp_err_t code, const char *reason)
{
    hv_err err;
    int64_t now = hv_clock_boot_ms();

    if (code == g->trouble && now - g->trouble_boot_ms < REPEAT_TROUBLE_MS)
        return;
    g->trouble = code;
    g->trouble_boot_ms = now;
    (void)hv_err_set(&err, hv_kafka_client_rc(code), "consumer group: %s", reason);
    tell(g, &(hv_membership_change){.kind = HV_MEMBERSHIP_TROUBLE, .err = &err});
}

/* Never NULL: a partition that the group gives us and we know nothing of would be captured by nobody. Names that are no hub names of ours
 * cannot come: only what was subscribed to is dealt out. */
static hv_member_partition *
copy_partitions(const rd_kafka_topic_partition_list_t *list)
{
    hv_member_partition *copy;

    while ((copy = calloc((size_t)list->cnt + 1, sizeof *copy)) == NULL)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
    for (int i = 0; i < list->cnt; i++) {
        (void)snprintf(copy[i].hub, sizeof copy[i].hub, "%s", list->elems[i].topic);
        copy[i].number = list->elems[i].partition;
    }
    return copy;
}

/* Until what was revoked is released, the time is over, or we leave. */
static void
wait_released(kafka_group *g, uint64_t revocation, int64_t until_boot_ms)
{
    (void)pthread_mutex_lock(&g->lock);
    for (;;) {
        int64_t left = until_boot_ms - hv_clock_boot_ms();
        struct timespec until;
        if (g->locked.released == revocation || g->locked.leaving || left <= 0)
            break;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        left = left > POLL_MS ? POLL_MS : left;
        until.tv_nsec += left * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&g->wakes, &g->lock, &until);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static void
revoke(kafka_group *g, rd_kafka_t *rk, const hv_member_partition *partitions, size_t count)
{
    hv_membership_change change = {.kind = HV_MEMBERSHIP_LOST, .partitions = partitions, .count = count};

    if (rd_kafka_assignment_lost(rk) == 0) {
        change.kind = HV_MEMBERSHIP_REVOKED;
        change.revocation = ++g->revocation;
        change.release_by_boot_ms = hv_clock_boot_ms() + g->release_ms;
    }
    tell(g, &change);
    if (change.kind == HV_MEMBERSHIP_REVOKED && count > 0)
        wait_released(g, change.revocation, change.release_by_boot_ms + LATE_MS);
}

/* Called by rd_kafka_consumer_poll() and rd_kafka_consumer_close(), so by the thread of the membership. */
static void
on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list, void *arg)
{
    kafka_group *g = arg;
    hv_member_partition *partitions = copy_partitions(list);
    rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(1);
    rd_kafka_error_t *error;

    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        g->was_assigned = true;
        error = rd_kafka_incremental_assign(rk, nothing);
        tell(g, &(hv_membership_change){.kind = HV_MEMBERSHIP_ASSIGNED, .partitions = partitions, .count = (size_t)list->cnt});
    } else {
        revoke(g, rk, partitions, (size_t)list->cnt);
        error = rd_kafka_incremental_unassign(rk, nothing);
    }
    if (error != NULL) {
        tell_trouble(g, rd_kafka_error_code(error), rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    rd_kafka_topic_partition_list_destroy(nothing);
    free(partitions);
}

/* ---- the thread ---- */

static void
subscribe_if_changed(kafka_group *g)
{
    rd_kafka_topic_partition_list_t *hubs = NULL;

    (void)pthread_mutex_lock(&g->lock);
    if (g->locked.hubs_changed)
        hubs = rd_kafka_topic_partition_list_copy(g->locked.hubs);
    g->locked.hubs_changed = false;
    (void)pthread_mutex_unlock(&g->lock);
    if (hubs == NULL)
        return;
    g->was_subscribed = g->was_subscribed || hubs->cnt > 0;
    rd_kafka_resp_err_t code = hubs->cnt > 0 ? rd_kafka_subscribe(g->client->rk, hubs) : rd_kafka_unsubscribe(g->client->rk);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tell_trouble(g, code, rd_kafka_err2str(code));
        (void)pthread_mutex_lock(&g->lock);
        g->locked.hubs_changed = true;
        (void)pthread_mutex_unlock(&g->lock);
    }
    rd_kafka_topic_partition_list_destroy(hubs);
}

/* Another member with our instance id, above all: KIP-345. */
static void
tell_if_failed(kafka_group *g)
{
    char text[512];
    hv_err err;
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(g->client->rk, text, sizeof text);

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || g->failed)
        return;
    g->failed = true;
    hv_rc rc = code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? HV_BUSY : HV_INTERNAL;
    (void)hv_err_set(&err, rc, "consumer group: %s: %s", rd_kafka_err2name(code), text);
    tell(g, &(hv_membership_change){.kind = HV_MEMBERSHIP_FAILED, .err = &err});
}

static void *
run(void *arg)
{
    kafka_group *g = arg;

    while (!is_leaving(g)) {
        subscribe_if_changed(g);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(g->client->rk, POLL_MS);
        if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR && message->err != RD_KAFKA_RESP_ERR__FATAL)
            tell_trouble(g, message->err, rd_kafka_message_errstr(message));
        if (message != NULL)
            rd_kafka_message_destroy(message);
        tell_if_failed(g);
    }
    (void)rd_kafka_consumer_close(g->client->rk);
    return NULL;
}

static hv_rc
group_start(hv_membership *membership, hv_membership_changed *changed, void *arg, hv_err *err)
{
    kafka_group *g = (kafka_group *)membership;

    g->changed = changed;
    g->arg = arg;
    if (pthread_create(&g->thread, NULL, run, g) != 0)
        return hv_err_set(err, HV_IO, "cannot start the thread of a consumer group");
    g->running = true;
    return HV_OK;
}

/* ---- from other threads ---- */

static bool
same_hubs(const rd_kafka_topic_partition_list_t *a, const rd_kafka_topic_partition_list_t *b)
{
    if (a == NULL || a->cnt != b->cnt)
        return false;
    for (int i = 0; i < a->cnt; i++)
        if (strcmp(a->elems[i].topic, b->elems[i].topic) != 0)
            return false;
    return true;
}

static hv_rc
group_subscribe(hv_membership *membership, const char *const *hubs, size_t count, hv_err *err)
{
    kafka_group *g = (kafka_group *)membership;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1), *old;

    (void)err;                          /* librdkafka aborts where memory ends */
    for (size_t i = 0; i < count; i++)
        (void)rd_kafka_topic_partition_list_add(list, hubs[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    (void)pthread_mutex_lock(&g->lock);
    old = list;
    if (!same_hubs(g->locked.hubs, list)) {
        old = g->locked.hubs;
        g->locked.hubs = list;
        g->locked.hubs_changed = true;
    }
    (void)pthread_mutex_unlock(&g->lock);
    if (old != NULL)
        rd_kafka_topic_partition_list_destroy(old);
    return HV_OK;
}

static void
group_released(hv_membership *membership, uint64_t revocation)
{
    kafka_group *g = (kafka_group *)membership;

    (void)pthread_mutex_lock(&g->lock);
    g->locked.released = revocation;
    (void)pthread_cond_broadcast(&g->wakes);
    (void)pthread_mutex_unlock(&g->lock);
}

/* Waits at most for a poll, and for the answer to LeaveGroup, which librdkafka gives five seconds. */
static void
group_leave(hv_membership *membership)
{
    kafka_group *g = (kafka_group *)membership;

    (void)pthread_mutex_lock(&g->lock);
    g->locked.leaving = true;
    (void)pthread_cond_broadcast(&g->wakes);
    (void)pthread_mutex_unlock(&g->lock);
    if (g->running)
        (void)pthread_join(g->thread, NULL);
    g->running = false;
}

/* In a thread of librdkafka. */
static hv_rc
ask_token(void *arg, hv_kafka_token *ret, hv_err *err)
{
    kafka_group *g = arg;

    (void)pthread_mutex_lock(&g->token_lock);
    hv_rc rc = g->closed ? hv_err_set(err, HV_CLOSED, "closed") : g->token(g->token_arg, ret, err);
    (void)pthread_mutex_unlock(&g->token_lock);
    return rc;
}

static void
group_close(hv_membership *membership)
{
    kafka_group *g = (kafka_group *)membership;

    group_leave(membership);
    (void)pthread_mutex_lock(&g->token_lock);
    g->closed = true;
    (void)pthread_mutex_unlock(&g->token_lock);
    if (g->client != NULL && g->was_subscribed && !g->was_assigned && rd_kafka_version() < FIRST_SOUND_VERSION)
        return;                         /* left behind */
    hv_kafka_client_close(g->client);
    if (g->locked.hubs != NULL)
        rd_kafka_topic_partition_list_destroy(g->locked.hubs);
    (void)pthread_cond_destroy(&g->wakes);
    (void)pthread_mutex_destroy(&g->lock);
    (void)pthread_mutex_destroy(&g->token_lock);
    free(g);
}

static const hv_membership_ops group_ops = {
    .driver = "kafka-group",
    .start = group_start,
    .subscribe = group_subscribe,
    .released = group_released,
    .leave = group_leave,
    .close = group_close,
};

static hv_rc
open_client(kafka_group *g, const hv_kafka_group_config *config, hv_err *err)
{
    char session[24], heartbeat[24], longest[24], refresh[24];
    int64_t heartbeat_ms = config->session_ms / 3;
    /* The least that librdkafka takes for the longest time between two polls is the session. */
    int64_t longest_ms = config->release_ms + LATE_MS + JOIN_MS;

    (void)snprintf(session, sizeof session, "%lld", (long long)config->session_ms);
    (void)snprintf(heartbeat, sizeof heartbeat, "%lld", (long long)(heartbeat_ms < MOST_HEARTBEAT_MS ? heartbeat_ms : MOST_HEARTBEAT_MS));
    (void)snprintf(longest, sizeof longest, "%lld", (long long)(longest_ms > config->session_ms ? longest_ms : config->session_ms));
    (void)snprintf(refresh, sizeof refresh, "%lld", (long long)config->refresh_ms);
    const char *properties[] = {
        "group.id", config->group, "partition.assignment.strategy", "cooperative-sticky", "enable.auto.commit", "false",
        "session.timeout.ms", session, "heartbeat.interval.ms", heartbeat, "max.poll.interval.ms", longest,
        "topic.metadata.refresh.interval.ms", refresh, "allow.auto.create.topics", "false",
        "group.instance.id", config->instance,          /* the last one: left out for a dynamic member */
    };
    size_t count = sizeof properties / sizeof *properties - (config->instance == NULL ? 2 : 0);
    hv_kafka_client_config client = {.broker = &g->broker, .type = RD_KAFKA_CONSUMER, .properties = properties,
        .property_count = count, .rebalance = on_rebalance, .arg = g};
    hv_rc rc = hv_kafka_client_open(&client, &g->client, err);

    if (rc == HV_OK) {
        g->client->config.properties = NULL;            /* they were used, and end here */
        g->client->config.property_count = 0;
        (void)rd_kafka_poll_set_consumer(g->client->rk);
    }
    return rc;
}

hv_rc
hv_membership_kafka_open(const hv_kafka_group_config *config, hv_membership **ret, hv_err *err)
{
    kafka_group *g = calloc(1, sizeof *g);
    pthread_condattr_t monotonic;

    if (g == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a consumer group");
    g->membership.ops = &group_ops;
    g->broker = *config->broker;
    g->token = config->broker->token;
    g->token_arg = config->broker->token_arg;
    g->broker.token = ask_token;
    g->broker.token_arg = g;
    g->broker.log = NULL;               /* what fails is told, and the log of a handle that is left behind would have nowhere to go */
    g->release_ms = config->release_ms;
    (void)pthread_mutex_init(&g->token_lock, NULL);
    (void)pthread_mutex_init(&g->lock, NULL);           /* none of these fails on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&g->wakes, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    hv_rc rc = open_client(g, config, err);
    if (rc == HV_OK)
        *ret = &g->membership;
    else
        group_close(&g->membership);
    return rc;
}

hv_rc
hv_membership_kafka_refresh(hv_membership *membership, hv_err *err)
{
    return hv_kafka_client_refresh(((kafka_group *)membership)->client, err);
}
