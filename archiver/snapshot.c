/*
 * A round per source: which hubs there are, their settings, the groups and their commits; then what changed is put.
 *
 * Commits belong to the incarnation in which they were made. So who the hubs are is asked behind the commits: a hub that still has the
 * identity that its newest incarnation in the index has, had it when the commits were read, because no identity comes back. A hub that is not
 * captured yet, or is another one now, is left for a later round. Where a source knows no identities the newest incarnation has to do.
 *
 * What was kept last is remembered by its hash, so an unchanged group costs the question only. What is not remembered is read from the
 * store: after a start, and after every put whose answer was not "created".
 */
#include "archiver/snapshot.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "archiver/hub_view.h"
#include "archiver/snapshot_store.h"
#include "common/array.h"
#include "common/clock.h"

enum {
    ASK_MS = 5000,
    ASK_REFUSED_MS = 3600 * 1000,       /* a service that lacks or refuses the list of groups is asked so rarely */
    TOPICS_AT_ONCE = 64,
    COMMITS_AT_ONCE = 4096,
    TOPIC_ROUNDS = 10,
};

#define REPLAY_GROUPS "hubvault-replay-"        /* what replays commit follows from the topics that they fill */

/* What is remembered of one topic, or of one group on one hub. */
typedef struct known {
    char hub[HV_HUB_SIZE], key[HV_GROUP_KEY_SIZE];      /* key empty: of the topic */
    bool read;                          /* the three below are those of the newest snapshot in the store */
    unsigned char hash[HV_SHA256_SIZE]; /* of its content */
    int64_t number, taken_ms;           /* 0: there is none */
    int64_t asked_boot_ms;              /* of a topic: when its settings were asked for; 0: never */
    uint32_t incarnation;
    int32_t partitions;
} known;

/* What is remembered of a source. */
typedef struct asked_source {
    int64_t groups_boot_ms;             /* not before this are groups asked for */
    bool refused_told;
    char told[sizeof ((hv_err *)0)->msg];       /* the failure that goes on; empty: none */
} asked_source;

/* A group, and what it has committed. */
typedef struct asked_group {
    char *name;
    hv_admin_commits commits;
} asked_group;

typedef struct asked_topic {
    const hv_source_hub *hub;
    hv_admin_topic topic;
} asked_topic;

struct hv_snapshotter {
    hv_snapshot_config config;
    hv_snapshots store;
    asked_source *sources;
    known *known;                       /* by hub and key */
    size_t known_count, known_room;
    int64_t round_wall_ms;              /* all snapshots of a round have this time */
    hv_heart heart;
    bool runs;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        bool stopping;
    } locked;
};

static bool
is_stopping(hv_snapshotter *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->locked.stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* The first failure counts. */
static void
note(hv_rc rc, const hv_err *one, hv_rc *first, hv_err *err)
{
    if (rc == HV_OK || *first != HV_OK)
        return;
    *first = rc;
    *err = *one;
}

/* ---- what is remembered ---- */

static int
compare_place(const known *at, const char *hub, const char *key)
{
    int order = strcmp(at->hub, hub);

    return order != 0 ? order : strcmp(at->key, key);
}

/* Pointers live until the next call. */
static hv_rc
need_known(hv_snapshotter *s, const char *hub, const char *key, known **ret, hv_err *err)
{
    size_t low = 0, high = s->known_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_place(&s->known[middle], hub, key);
        if (order == 0) {
            *ret = &s->known[middle];
            return HV_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (!hv_array_room(&s->known, s->known_count, &s->known_room, sizeof *s->known))
        return hv_err_set(err, HV_NOMEM, "no memory to remember %zu snapshots", s->known_count + 1);
    memmove(&s->known[low + 1], &s->known[low], (s->known_count - low) * sizeof *s->known);
    s->known_count++;
    s->known[low] = (known){.read = false};
    memcpy(s->known[low].hub, hub, strlen(hub) + 1);
    memcpy(s->known[low].key, key, strlen(key) + 1);
    *ret = &s->known[low];
    return HV_OK;
}

static const char *
key_of(const known *at)
{
    return at->key[0] != '\0' ? at->key : NULL;
}

static hv_rc
hash_content(const hv_topic_snapshot *topic, const hv_group_snapshot *group, unsigned char ret[HV_SHA256_SIZE], hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf content = HV_BUF_INIT(HV_SNAPSHOT_MAX);

    if (group != NULL)
        hv_group_snapshot_write_content(group, &content);
    else
        hv_topic_snapshot_write_content(topic, &content);
    hv_rc rc = hv_buf_check(&content, err);
    hv_slice all = hv_buf_slice(&content);
    if (rc == HV_OK)
        hv_sha256(&all, 1, ret);
    return rc;
}

static void
tell(hv_snapshotter *s, const hv_err *err)
{
    if (s->config.trouble != NULL)
        s->config.trouble(s->config.arg, err);
}

/* The newest in the store. One that is damaged is told, and counts as different from everything. */
static hv_rc
read_newest(hv_snapshotter *s, known *at, hv_err *err)
{
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot topic = {.partitions = 0};
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot group = {.group = NULL};
    const char *key = key_of(at);
    int64_t number = 0, taken_ms = 0;

    memset(at->hash, 0, sizeof at->hash);
    hv_rc rc = key != NULL ? hv_snapshots_group(&s->store, at->hub, key, HV_SNAPSHOT_NEWEST, &group, err)
                           : hv_snapshots_topic(&s->store, at->hub, HV_SNAPSHOT_NEWEST, &topic, err);
    if (rc == HV_OK) {
        const hv_snapshot_head *head = key != NULL ? &group.head : &topic.head;
        number = head->number;
        taken_ms = head->taken_ms;
        rc = hash_content(&topic, key != NULL ? &group : NULL, at->hash, err);
    } else if (rc == HV_CORRUPT) {
        tell(s, err);
        rc = hv_snapshots_newest_number(&s->store, at->hub, key, &number, err);
    } else if (rc == HV_NOT_FOUND) {
        rc = HV_OK;
    }
    if (rc != HV_OK)
        return rc;
    at->number = number;
    at->taken_ms = taken_ms;
    at->read = true;
    return HV_OK;
}

/* Somebody may have taken one meanwhile. A hundredth is for clocks that are being set right; one that jumped back must not stop us. */
static bool
is_due(const hv_snapshotter *s, const known *at)
{
    int64_t age_ms = s->round_wall_ms - at->taken_ms;

    return at->number == 0 || age_ms < 0 || age_ms >= s->config.interval_ms - s->config.interval_ms / 100;
}

/* ---- keeping ---- */

/* Put it if it says something new. One of the two is given. */
static hv_rc
keep(hv_snapshotter *s, known *at, hv_topic_snapshot *topic, hv_group_snapshot *group, hv_err *err)
{
    hv_snapshot_head *head = group != NULL ? &group->head : &topic->head;
    unsigned char hash[HV_SHA256_SIZE];
    hv_rc rc = hash_content(topic, group, hash, err);

    for (int tries = 0; rc == HV_OK && tries < 2; tries++) {
        hv_heart_beat(&s->heart);
        rc = at->read ? HV_OK : read_newest(s, at, err);
        if (rc != HV_OK || memcmp(hash, at->hash, sizeof hash) == 0 || !is_due(s, at))
            return rc;
        if (at->number == HV_SNAPSHOT_NUMBER_MAX)
            return hv_err_set(err, HV_LIMIT, "there is no number for a further snapshot");
        (void)snprintf(head->vault, sizeof head->vault, "%s", s->store.vault);
        (void)snprintf(head->hub, sizeof head->hub, "%s", at->hub);
        head->number = at->number + 1;
        head->taken_ms = s->round_wall_ms;
        rc = group != NULL ? hv_snapshots_put_group(&s->store, group, err) : hv_snapshots_put_topic(&s->store, topic, err);
        if (rc == HV_OK) {
            memcpy(at->hash, hash, sizeof hash);
            at->number = head->number;
            at->taken_ms = head->taken_ms;
            if (s->config.stored != NULL)
                s->config.stored(s->config.arg, at->hub, group != NULL ? group->group : NULL, at->number);
            return HV_OK;
        }
        at->read = false;               /* what is there, ours perhaps, is looked at */
        if (rc == HV_EXISTS)
            rc = HV_OK;
    }
    return rc;                          /* twice taken: others are keeping it */
}

/* ---- topics ---- */

static hv_rc
keep_topic(hv_snapshotter *s, const hv_hub_view *now, const asked_topic *asked, hv_err *err)
{
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot made = {.partitions = asked->topic.partitions,
                                                               .replication = asked->topic.replication, .told = asked->topic.told};
    known *at;
    hv_rc rc = need_known(s, asked->hub->name, "", &at, err);

    made.head.incarnation = hv_hub_view_incarnation(now, asked->hub->name);
    if (made.head.incarnation == 0)
        return rc;
    for (size_t i = 0; rc == HV_OK && i < asked->topic.count; i++)
        rc = hv_topic_snapshot_add(&made, asked->topic.settings[i].name, asked->topic.settings[i].value, asked->topic.settings[i].own, err);
    hv_topic_snapshot_sort(&made);
    if (rc == HV_OK)
        rc = keep(s, at, &made, NULL, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "snapshot of topic '%s'", asked->hub->name);
    at->asked_boot_ms = s->config.boot_ms();
    at->partitions = asked->topic.partitions;
    at->incarnation = made.head.incarnation;
    return HV_OK;
}

static bool
topic_is_due(const hv_snapshotter *s, const known *at, const hv_source_hub *hub, uint32_t incarnation)
{
    return at->asked_boot_ms == 0 || at->partitions != hub->partitions || at->incarnation != incarnation
           || s->config.boot_ms() - at->asked_boot_ms >= s->config.topics_ms;
}

/* The settings of the hubs from `*next` on that are due, as many as are asked for at once. */
static hv_rc
ask_topics(hv_snapshotter *s, hv_admin *admin, const hv_hub_view *before, size_t *next, asked_topic *asked, size_t *count, hv_err *err)
{
    for (; *next < before->hub_count && *count < TOPICS_AT_ONCE && !is_stopping(s); (*next)++) {
        const hv_source_hub *hub = &before->hubs[*next];
        uint32_t incarnation = hv_hub_view_incarnation(before, hub->name);
        known *at;
        hv_rc rc = need_known(s, hub->name, "", &at, err);
        if (rc != HV_OK)
            return rc;
        if (incarnation == 0 || !topic_is_due(s, at, hub, incarnation))
            continue;
        asked[*count] = (asked_topic){.hub = hub};
        hv_heart_beat(&s->heart);
        rc = admin->ops->topic(admin, hub->name, ASK_MS, &asked[*count].topic, err);
        if (rc == HV_OK)
            (*count)++;
        else if (rc != HV_NOT_FOUND)
            return rc;
    }
    return HV_OK;
}

static hv_rc
keep_topics(hv_snapshotter *s, const hv_snapshot_source *from, const hv_hub_view *before, hv_err *err)
{
    hv_rc first = HV_OK;
    size_t next = 0;
    hv_err one;

    while (next < before->hub_count && !is_stopping(s) && first == HV_OK) {
        HV_AUTO(hv_hub_view_clear) hv_hub_view now = {.hubs = NULL};
        asked_topic asked[TOPICS_AT_ONCE];
        size_t count = 0;
        note(ask_topics(s, from->admin, before, &next, asked, &count, &one), &one, &first, err);
        hv_rc rc = count > 0 ? hv_hub_view_look(from->source, s->config.index, ASK_MS, &now, &one) : HV_OK;
        note(rc, &one, &first, err);
        for (size_t i = 0; i < count; i++) {
            if (rc == HV_OK)
                note(keep_topic(s, &now, &asked[i], &one), &one, &first, err);
            hv_admin_topic_clear(&asked[i].topic);
        }
    }
    return first;
}

/* ---- groups ---- */

/* Commits first .. end - 1 of the group are those of one hub. */
static hv_rc
keep_group(hv_snapshotter *s, const asked_group *group, size_t first, size_t end, uint32_t incarnation, hv_err *err)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = {.head.incarnation = incarnation, .group = strdup(group->name)};
    const char *hub = group->commits.at[first].topic;
    char key[HV_GROUP_KEY_SIZE];
    known *at;

    if (made.group == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the name of a group");
    hv_group_key(group->name, key);
    hv_rc rc = need_known(s, hub, key, &at, err);
    for (size_t i = first; rc == HV_OK && i < end; i++) {
        const hv_admin_commit *commit = &group->commits.at[i];
        rc = hv_group_snapshot_add(&made, commit->partition, commit->offset, hv_slice_of(commit->metadata, commit->metadata_len), err);
    }
    hv_group_snapshot_sort(&made);
    if (rc == HV_OK)
        rc = keep(s, at, NULL, &made, err);
    return rc == HV_OK ? HV_OK : hv_err_prefix(err, "snapshot of consumer group '%.200s' on hub '%s'", group->name, hub);
}

static void
free_group(asked_group *group)
{
    hv_admin_commits_clear(&group->commits);
    free(group->name);
    *group = (asked_group){.name = NULL};
}

/* Keep what these groups have committed for captured hubs. */
static hv_rc
keep_groups(hv_snapshotter *s, const hv_snapshot_source *from, const asked_group *groups, size_t count, hv_err *err)
{
    HV_AUTO(hv_hub_view_clear) hv_hub_view now = {.hubs = NULL};
    hv_rc first = hv_hub_view_look(from->source, s->config.index, ASK_MS, &now, err);
    hv_err one;

    if (first != HV_OK)
        return first;
    for (size_t g = 0; g < count && !is_stopping(s); g++) {
        const hv_admin_commits *commits = &groups[g].commits;
        for (size_t begin = 0, end; begin < commits->count; begin = end) {
            for (end = begin; end < commits->count && strcmp(commits->at[end].topic, commits->at[begin].topic) == 0; end++)
                ;
            uint32_t incarnation = hv_hub_view_incarnation(&now, commits->at[begin].topic);
            if (incarnation != 0)
                note(keep_group(s, &groups[g], begin, end, incarnation, &one), &one, &first, err);
        }
    }
    return first;
}

static bool
is_own(const hv_snapshotter *s, const char *group)
{
    return (s->config.own_group != NULL && strcmp(group, s->config.own_group) == 0)
           || strncmp(group, REPLAY_GROUPS, sizeof REPLAY_GROUPS - 1) == 0;
}

/* The commits of the groups from `*next` on, as much as is held at once. A group that we may not read is left out and told. */
static hv_rc
ask_groups(hv_snapshotter *s, hv_admin *admin, hv_admin_groups *listed, size_t *next, asked_group *asked, size_t *count, hv_rc *first,
           hv_err *err)
{
    size_t commits = 0;
    hv_err one;

    for (; *next < listed->count && commits < COMMITS_AT_ONCE && !is_stopping(s); (*next)++) {
        asked_group *group = &asked[*count];
        if (is_own(s, listed->at[*next].name))
            continue;
        hv_heart_beat(&s->heart);
        hv_rc rc = admin->ops->commits(admin, listed->at[*next].name, ASK_MS, &group->commits, &one);
        if (rc == HV_OK && group->commits.count > 0) {
            group->name = HV_TAKE(listed->at[*next].name);
            commits += group->commits.count;
            (*count)++;
        }
        note(rc, &one, first, err);
        if (hv_rc_retriable(rc))
            return rc;
    }
    return HV_OK;
}

static hv_rc
keep_all_groups(hv_snapshotter *s, const hv_snapshot_source *from, hv_admin_groups *listed, hv_err *err)
{
    asked_group *asked = calloc(listed->count + 1, sizeof *asked);
    hv_rc first = HV_OK, rc = HV_OK;
    size_t next = 0;
    hv_err one;

    if (asked == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu groups", listed->count);
    while (rc == HV_OK && next < listed->count && !is_stopping(s)) {
        size_t count = 0;
        hv_heart_beat(&s->heart);
        rc = ask_groups(s, from->admin, listed, &next, asked, &count, &first, err);
        if (count > 0)
            note(keep_groups(s, from, asked, count, &one), &one, &first, err);
        for (size_t i = 0; i < count; i++)
            free_group(&asked[i]);
    }
    free(asked);
    return first;
}

/* A service that has no list of groups, or keeps it from us, is not asked for long; that is told once. */
static hv_rc
groups(hv_snapshotter *s, size_t at, hv_err *err)
{
    HV_AUTO(hv_admin_groups_clear) hv_admin_groups listed = {.at = NULL};
    const hv_snapshot_source *from = &s->config.sources[at];
    asked_source *remembered = &s->sources[at];

    if (s->config.boot_ms() < remembered->groups_boot_ms)
        return HV_OK;
    hv_rc rc = from->admin->ops->groups(from->admin, ASK_MS, &listed, err);
    if (rc == HV_OK)
        return keep_all_groups(s, from, &listed, err);
    if (rc != HV_VERSION && rc != HV_AUTH)
        return rc;
    remembered->groups_boot_ms = s->config.boot_ms() + ASK_REFUSED_MS;
    (void)hv_err_prefix(err, "the offsets of consumer groups are not kept, %s does not list them", from->source->ops->location(from->source));
    if (!remembered->refused_told)
        tell(s, err);
    remembered->refused_told = true;
    return HV_OK;
}

/* ---- rounds ---- */

static hv_rc
ask_source(hv_snapshotter *s, size_t at, hv_err *err)
{
    const hv_snapshot_source *from = &s->config.sources[at];
    HV_AUTO(hv_hub_view_clear) hv_hub_view before = {.hubs = NULL};
    hv_err one;

    hv_heart_beat(&s->heart);
    hv_rc first = hv_hub_view_look(from->source, s->config.index, ASK_MS, &before, err);
    if (first != HV_OK)
        return first;
    note(keep_topics(s, from, &before, &one), &one, &first, err);
    if (!hv_rc_retriable(first) && !is_stopping(s))
        note(groups(s, at, &one), &one, &first, err);
    return first;
}

hv_rc
hv_snapshotter_round(hv_snapshotter *s, hv_err *err)
{
    hv_rc first = HV_OK;
    hv_err one;

    s->round_wall_ms = s->config.wall_ms();
    for (size_t at = 0; at < s->config.source_count && !is_stopping(s); at++) {
        hv_rc rc = ask_source(s, at, &one);
        char *told = s->sources[at].told;
        if (rc != HV_OK && strcmp(told, one.msg) != 0)
            tell(s, &one);
        (void)snprintf(told, sizeof s->sources[at].told, "%s", rc != HV_OK ? one.msg : "");
        note(rc, &one, &first, err);
    }
    hv_heart_rest(&s->heart);
    return first;
}

const hv_heart *
hv_snapshotter_heart(const hv_snapshotter *snapshotter)
{
    return &snapshotter->heart;
}

/* True: it is time to end. */
static bool
wait_for_next(hv_snapshotter *s)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += s->config.interval_ms / 1000;
    until.tv_nsec += s->config.interval_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&s->lock);
    while (!s->locked.stopping && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    bool stopping = s->locked.stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static void *
run(void *arg)
{
    hv_snapshotter *s = arg;
    hv_err err;

    do
        (void)!hv_snapshotter_round(s, &err);   /* was told */
    while (!wait_for_next(s));
    return NULL;
}

hv_rc
hv_snapshotter_new(const hv_snapshot_config *config, hv_snapshotter **ret, hv_err *err)
{
    hv_snapshotter *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;

    if (s != NULL)
        s->sources = calloc(config->source_count + 1, sizeof *s->sources);
    if (s == NULL || s->sources == NULL) {
        free(s);
        return hv_err_set(err, HV_NOMEM, "no memory to take snapshots");
    }
    s->config = *config;
    s->config.boot_ms = config->boot_ms != NULL ? config->boot_ms : hv_clock_boot_ms;
    s->config.wall_ms = config->wall_ms != NULL ? config->wall_ms : hv_clock_wall_ms;
    s->config.topics_ms = config->topics_ms > 0 ? config->topics_ms : TOPIC_ROUNDS * config->interval_ms;
    s->store = (hv_snapshots){.storage = config->storage, .vault = config->vault};
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret = s;
    return HV_OK;
}

hv_rc
hv_snapshotter_start(hv_snapshotter *s, hv_err *err)
{
    assert(!s->runs);
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return hv_err_set(err, HV_IO, "cannot start the thread that takes snapshots");
    s->runs = true;
    return HV_OK;
}

void
hv_snapshotter_free(hv_snapshotter *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->locked.stopping = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->runs)
        pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->known);
    free(s->sources);
    free(s);
}
