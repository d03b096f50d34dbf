#include "tests/harness/scripted_admin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/check_hv.h"

enum { MOST = 64, KINDS = 5 };

static const char *const kind_names[KINDS] = {"groups", "commits", "set_commits", "topic", "create_topic"};

typedef struct one_group {
    char name[300];
    bool active;
    hv_admin_commits commits;
} one_group;

typedef struct one_topic {
    char name[HV_HUB_SIZE];
    hv_admin_topic topic;
} one_topic;

typedef struct scripted {
    hv_admin base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    one_group groups[MOST];
    one_topic topics[MOST];
    size_t group_count, topic_count;
    hv_rc fails[KINDS];
    int calls[KINDS];
    void (*during[KINDS])(void *arg);
    void *during_arg;
    bool hang;
} scripted;

static void
lock(scripted *s)
{
    pthread_mutex_lock(&s->lock);
}

static void
unlock(scripted *s)
{
    pthread_mutex_unlock(&s->lock);
}
HV_DEFINE_AUTO(scripted, unlock);

/* Until the end of the block. */
static scripted *
locked(hv_admin *admin)
{
    scripted *s = (scripted *)admin;

    lock(s);
    return s;
}

static int
kind_of(const char *name)
{
    for (int k = 0; k < KINDS; k++)
        if (strcmp(kind_names[k], name) == 0)
            return k;
    ck_abort_msg("no kind '%s'", name);
    return 0;
}

/* Returns with the lock held. */
static hv_rc
begin_call(scripted *s, const char *kind, hv_err *err)
{
    int k = kind_of(kind);

    lock(s);
    s->calls[k]++;
    while (s->hang)
        pthread_cond_wait(&s->changed, &s->lock);
    void (*act)(void *arg) = s->during[k];
    if (act != NULL) {
        unlock(s);
        act(s->during_arg);
        lock(s);
    }
    return s->fails[k] == HV_OK ? HV_OK : hv_err_set(err, s->fails[k], "the script says that '%s' fails", kind);
}

static one_group *
find_group(scripted *s, const char *name)
{
    for (size_t i = 0; i < s->group_count; i++)
        if (strcmp(s->groups[i].name, name) == 0)
            return &s->groups[i];
    return NULL;
}

static one_group *
need_group(scripted *s, const char *name)
{
    one_group *found = find_group(s, name);

    if (found != NULL)
        return found;
    ck_assert_uint_lt(s->group_count, MOST);
    found = &s->groups[s->group_count++];
    (void)snprintf(found->name, sizeof found->name, "%s", name);
    return found;
}

static one_topic *
find_topic(scripted *s, const char *name)
{
    for (size_t i = 0; i < s->topic_count; i++)
        if (strcmp(s->topics[i].name, name) == 0)
            return &s->topics[i];
    return NULL;
}

/* False: no memory. */
static bool
add_setting(hv_admin_topic *topic, const char *name, const char *value, bool own)
{
    hv_admin_setting added = {.name = strdup(name), .value = strdup(value), .own = own};
    hv_admin_setting *moved = realloc(topic->settings, (topic->count + 1) * sizeof *moved);

    topic->settings = moved != NULL ? moved : topic->settings;
    if (added.name == NULL || added.value == NULL || moved == NULL) {
        free(added.name);
        free(added.value);
        return false;
    }
    for (size_t i = 0; i < topic->count; i++)
        if (strcmp(topic->settings[i].name, name) == 0) {
            free(topic->settings[i].name);
            free(topic->settings[i].value);
            topic->settings[i] = added;
            return true;
        }
    topic->settings[topic->count++] = added;
    return true;
}

static void
set_commit(one_group *group, const char *topic, int32_t partition, int64_t offset, hv_slice metadata)
{
    hv_err err;

    for (size_t i = 0; i < group->commits.count; i++)
        if (group->commits.at[i].partition == partition && strcmp(group->commits.at[i].topic, topic) == 0) {
            free(group->commits.at[i].metadata);
            group->commits.at[i] = group->commits.at[--group->commits.count];
            break;
        }
    ck_hv_ok(hv_admin_commits_add(&group->commits, topic, partition, offset, metadata, &err));
    hv_admin_commits_sort(&group->commits);
}

/* ---- calls ---- */

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const hv_admin_group *)a)->name, ((const hv_admin_group *)b)->name);
}

static hv_rc
do_groups(hv_admin *admin, int timeout_ms, hv_admin_groups *ret, hv_err *err)
{
    scripted *s = (scripted *)admin;
    hv_rc rc = begin_call(s, "groups", err);

    (void)timeout_ms;
    if (rc == HV_OK) {
        hv_admin_groups made = {.at = calloc(s->group_count + 1, sizeof *made.at)};
        bool enough = made.at != NULL;
        for (size_t i = 0; enough && i < s->group_count; i++) {
            made.at[made.count++] = (hv_admin_group){.name = strdup(s->groups[i].name), .active = s->groups[i].active};
            enough = made.at[i].name != NULL;
        }
        if (enough) {
            qsort(made.at, made.count, sizeof *made.at, by_name);
            *ret = made;
        } else {
            hv_admin_groups_clear(&made);
            rc = hv_err_set(err, HV_NOMEM, "no memory for the script");
        }
    }
    unlock(s);
    return rc;
}

static hv_rc
do_commits(hv_admin *admin, const char *name, int timeout_ms, hv_admin_commits *ret, hv_err *err)
{
    scripted *s = (scripted *)admin;
    hv_rc rc = begin_call(s, "commits", err);
    const one_group *group = find_group(s, name);
    hv_admin_commits made = {.at = NULL};

    (void)timeout_ms;
    for (size_t i = 0; rc == HV_OK && group != NULL && i < group->commits.count; i++) {
        const hv_admin_commit *at = &group->commits.at[i];
        rc = hv_admin_commits_add(&made, at->topic, at->partition, at->offset, hv_slice_of(at->metadata, at->metadata_len), err);
    }
    if (rc == HV_OK)
        *ret = made;
    else
        hv_admin_commits_clear(&made);
    unlock(s);
    return rc;
}

static hv_rc
do_set_commits(hv_admin *admin, const char *name, const hv_admin_commits *commits, int timeout_ms, hv_err *err)
{
    scripted *s = (scripted *)admin;
    hv_rc rc = begin_call(s, "set_commits", err);
    one_group *group = need_group(s, name);

    (void)timeout_ms;
    if (rc == HV_OK && group->active)
        rc = hv_err_set(err, HV_BUSY, "group '%s' has members", name);
    for (size_t i = 0; rc == HV_OK && i < commits->count; i++) {
        const hv_admin_commit *at = &commits->at[i];
        set_commit(group, at->topic, at->partition, at->offset, hv_slice_of(at->metadata, at->metadata_len));
    }
    unlock(s);
    return rc;
}

static hv_rc
do_topic(hv_admin *admin, const char *name, int timeout_ms, hv_admin_topic *ret, hv_err *err)
{
    scripted *s = (scripted *)admin;
    hv_rc rc = begin_call(s, "topic", err);
    const one_topic *found = find_topic(s, name);

    (void)timeout_ms;
    if (rc == HV_OK && found == NULL)
        rc = hv_err_set(err, HV_NOT_FOUND, "there is no topic '%s'", name);
    if (rc == HV_OK) {
        hv_admin_topic made = found->topic;
        made.settings = NULL;
        made.count = 0;
        bool enough = true;
        for (size_t i = 0; enough && i < found->topic.count; i++)
            enough = add_setting(&made, found->topic.settings[i].name, found->topic.settings[i].value, found->topic.settings[i].own);
        if (enough) {
            *ret = made;
        } else {
            hv_admin_topic_clear(&made);
            rc = hv_err_set(err, HV_NOMEM, "no memory for the script");
        }
    }
    unlock(s);
    return rc;
}

static void
make_topic(scripted *s, const char *name, int32_t partitions, int32_t replication, bool told)
{
    one_topic *found = find_topic(s, name);

    if (found == NULL) {
        ck_assert_uint_lt(s->topic_count, MOST);
        found = &s->topics[s->topic_count++];
    }
    hv_admin_topic_clear(&found->topic);
    *found = (one_topic){.topic = {.partitions = partitions, .replication = replication, .told = told}};
    (void)snprintf(found->name, sizeof found->name, "%s", name);
}

static hv_rc
do_create(hv_admin *admin, const hv_admin_new_topic *topic, int timeout_ms, hv_err *err)
{
    scripted *s = (scripted *)admin;
    hv_rc rc = begin_call(s, "create_topic", err);

    (void)timeout_ms;
    if (rc == HV_OK && find_topic(s, topic->name) != NULL)
        rc = hv_err_set(err, HV_EXISTS, "topic '%s' exists", topic->name);
    if (rc == HV_OK) {
        make_topic(s, topic->name, topic->partitions, topic->replication, true);
        for (size_t i = 0; i < topic->count; i++)
            ck_assert(add_setting(&find_topic(s, topic->name)->topic, topic->settings[i].name, topic->settings[i].value, true));
    }
    unlock(s);
    return rc;
}

static void
do_close(hv_admin *admin)
{
    scripted *s = (scripted *)admin;

    for (size_t i = 0; i < s->group_count; i++)
        hv_admin_commits_clear(&s->groups[i].commits);
    for (size_t i = 0; i < s->topic_count; i++)
        hv_admin_topic_clear(&s->topics[i].topic);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const hv_admin_ops ops = {
    .driver = "scripted", .groups = do_groups, .commits = do_commits, .set_commits = do_set_commits, .topic = do_topic,
    .create_topic = do_create, .close = do_close,
};

hv_admin *
scripted_admin_new(void)
{
    scripted *s = calloc(1, sizeof *s);

    ck_assert_ptr_nonnull(s);
    s->base.ops = &ops;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    return &s->base;
}

/* ---- the script ---- */

void
scripted_admin_topic(hv_admin *admin, const char *name, int32_t partitions, int32_t replication, bool told)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    make_topic(s, name, partitions, replication, told);
}

void
scripted_admin_drop_topic(hv_admin *admin, const char *name)
{
    HV_AUTO(unlock) scripted *s = locked(admin);
    one_topic *found = find_topic(s, name);

    ck_assert_ptr_nonnull(found);
    hv_admin_topic_clear(&found->topic);
    *found = s->topics[--s->topic_count];
}

void
scripted_admin_setting(hv_admin *admin, const char *topic, const char *name, const char *value, bool own)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    ck_assert_ptr_nonnull(find_topic(s, topic));
    ck_assert(add_setting(&find_topic(s, topic)->topic, name, value, own));
}

void
scripted_admin_commit(hv_admin *admin, const char *group, const char *topic, int32_t partition, int64_t offset, const char *metadata)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    set_commit(need_group(s, group), topic, partition, offset, hv_slice_text(metadata));
}

void
scripted_admin_forget(hv_admin *admin, const char *group)
{
    HV_AUTO(unlock) scripted *s = locked(admin);
    one_group *found = find_group(s, group);

    ck_assert_ptr_nonnull(found);
    hv_admin_commits_clear(&found->commits);
    *found = s->groups[--s->group_count];
}

void
scripted_admin_active(hv_admin *admin, const char *group, bool active)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    need_group(s, group)->active = active;
}

void
scripted_admin_fail(hv_admin *admin, const char *kind, hv_rc rc)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    s->fails[kind_of(kind)] = rc;
}

void
scripted_admin_hang(hv_admin *admin, bool hang)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    s->hang = hang;
    pthread_cond_broadcast(&s->changed);
}

int
scripted_admin_calls(hv_admin *admin, const char *kind)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    return s->calls[kind_of(kind)];
}

void
scripted_admin_during(hv_admin *admin, const char *kind, void (*act)(void *arg), void *arg)
{
    HV_AUTO(unlock) scripted *s = locked(admin);

    s->during[kind_of(kind)] = act;
    s->during_arg = arg;
}
