/* A membership in which a test says who gets what. One thread tells the changes in the order in which they were asked for. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "source/scripted_state.h"

typedef struct scripted_change {
    struct scripted_change *next;
    hv_membership_change change;
    hv_member_partition *partitions;
} scripted_change;

typedef struct scripted_membership {
    hv_membership membership;           /* first, so that one pointer is both */
    hv_membership_changed *changed;
    void *arg;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t wakes;
    struct {                            /* touched only while holding `lock` */
        scripted_change *first, **last;
        char (*hubs)[HV_HUB_SIZE];
        size_t hub_count;
        uint64_t revocation, released;
        bool leaving;
    } locked;
} scripted_membership;

static void
change_free(scripted_change *change)
{
    free(change->partitions);
    free(change);
}

static void *
run(void *arg)
{
    static const hv_err failure = {.rc = HV_BUSY, .msg = "the scripted membership was told to fail"};
    scripted_membership *m = arg;

    (void)pthread_mutex_lock(&m->lock);
    for (;;) {
        while (!m->locked.leaving && m->locked.first == NULL)
            (void)pthread_cond_wait(&m->wakes, &m->lock);
        if (m->locked.leaving)
            break;
        scripted_change *next = m->locked.first;
        m->locked.first = next->next;
        if (m->locked.first == NULL)
            m->locked.last = &m->locked.first;
        (void)pthread_mutex_unlock(&m->lock);
        next->change.err = next->change.kind == HV_MEMBERSHIP_FAILED ? &failure : NULL;
        m->changed(m->arg, &next->change);
        change_free(next);
        (void)pthread_mutex_lock(&m->lock);
    }
    (void)pthread_mutex_unlock(&m->lock);
    return NULL;
}

static hv_rc
scripted_start(hv_membership *membership, hv_membership_changed *changed, void *arg, hv_err *err)
{
    scripted_membership *m = (scripted_membership *)membership;

    (void)err;
    m->changed = changed;
    m->arg = arg;
    m->locked.leaving = false;
    int rc = pthread_create(&m->thread, NULL, run, m);
    assert(rc == 0);
    m->running = rc == 0;
    return HV_OK;
}

static hv_rc
scripted_subscribe(hv_membership *membership, const char *const *hubs, size_t count, hv_err *err)
{
    scripted_membership *m = (scripted_membership *)membership;

    (void)err;
    (void)pthread_mutex_lock(&m->lock);
    m->locked.hubs = hv_scripted_never_null(realloc(m->locked.hubs, (count + 1) * sizeof *m->locked.hubs));
    for (size_t i = 0; i < count; i++)
        (void)snprintf(m->locked.hubs[i], HV_HUB_SIZE, "%s", hubs[i]);
    m->locked.hub_count = count;
    (void)pthread_mutex_unlock(&m->lock);
    return HV_OK;
}

static void
scripted_released(hv_membership *membership, uint64_t revocation)
{
    scripted_membership *m = (scripted_membership *)membership;

    (void)pthread_mutex_lock(&m->lock);
    if (revocation > m->locked.released)
        m->locked.released = revocation;
    (void)pthread_mutex_unlock(&m->lock);
}

static void
scripted_leave(hv_membership *membership)
{
    scripted_membership *m = (scripted_membership *)membership;

    (void)pthread_mutex_lock(&m->lock);
    m->locked.leaving = true;
    (void)pthread_cond_broadcast(&m->wakes);
    (void)pthread_mutex_unlock(&m->lock);
    if (m->running)
        (void)pthread_join(m->thread, NULL);
    m->running = false;
}

static void
scripted_close(hv_membership *membership)
{
    scripted_membership *m = (scripted_membership *)membership;

    scripted_leave(membership);
    for (scripted_change *change = m->locked.first, *next; change != NULL; change = next) {
        next = change->next;
        change_free(change);
    }
    free(m->locked.hubs);
    (void)pthread_cond_destroy(&m->wakes);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

static const hv_membership_ops scripted_ops = {
    .driver = "scripted",
    .start = scripted_start,
    .subscribe = scripted_subscribe,
    .released = scripted_released,
    .leave = scripted_leave,
    .close = scripted_close,
};

hv_rc
hv_membership_scripted_open(hv_membership **ret, hv_err *err)
{
    scripted_membership *m = hv_scripted_never_null(calloc(1, sizeof *m));

    (void)err;
    m->membership.ops = &scripted_ops;
    m->locked.last = &m->locked.first;
    (void)pthread_mutex_init(&m->lock, NULL);
    (void)pthread_cond_init(&m->wakes, NULL);
    *ret = &m->membership;
    return HV_OK;
}

static scripted_membership *
scripted_of(hv_membership *membership)
{
    assert(membership->ops == &scripted_ops);
    return (scripted_membership *)membership;
}

static uint64_t
add_change(hv_membership *membership, hv_membership_kind kind, const char *hub, int32_t first, int32_t count, int64_t release_ms)
{
    scripted_membership *m = scripted_of(membership);
    scripted_change *change = hv_scripted_never_null(calloc(1, sizeof *change));

    change->partitions = hv_scripted_never_null(calloc((size_t)count + 1, sizeof *change->partitions));
    for (int32_t i = 0; i < count; i++) {
        (void)snprintf(change->partitions[i].hub, HV_HUB_SIZE, "%s", hub);
        change->partitions[i].number = first + i;
    }
    change->change = (hv_membership_change){.kind = kind, .partitions = change->partitions, .count = (size_t)count};
    (void)pthread_mutex_lock(&m->lock);
    if (kind == HV_MEMBERSHIP_REVOKED) {
        change->change.revocation = ++m->locked.revocation;
        change->change.release_by_boot_ms = hv_clock_boot_ms() + release_ms;
    }
    uint64_t revocation = change->change.revocation;
    *m->locked.last = change;
    m->locked.last = &change->next;
    (void)pthread_cond_broadcast(&m->wakes);
    (void)pthread_mutex_unlock(&m->lock);
    return revocation;
}

void
hv_scripted_assign(hv_membership *membership, const char *hub, int32_t first, int32_t count)
{
    (void)add_change(membership, HV_MEMBERSHIP_ASSIGNED, hub, first, count, 0);
}

uint64_t
hv_scripted_revoke(hv_membership *membership, const char *hub, int32_t first, int32_t count, int64_t release_ms)
{
    return add_change(membership, HV_MEMBERSHIP_REVOKED, hub, first, count, release_ms);
}

void
hv_scripted_lose(hv_membership *membership, const char *hub, int32_t first, int32_t count)
{
    (void)add_change(membership, HV_MEMBERSHIP_LOST, hub, first, count, 0);
}

void
hv_scripted_fail(hv_membership *membership)
{
    (void)add_change(membership, HV_MEMBERSHIP_FAILED, "", 0, 0, 0);
}

bool
hv_scripted_is_released(hv_membership *membership, uint64_t revocation)
{
    scripted_membership *m = scripted_of(membership);

    (void)pthread_mutex_lock(&m->lock);
    bool released = m->locked.released >= revocation;
    (void)pthread_mutex_unlock(&m->lock);
    return released;
}

bool
hv_scripted_is_subscribed(hv_membership *membership, const char *hub)
{
    scripted_membership *m = scripted_of(membership);
    bool found = false;

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->locked.hub_count; i++)
        found = found || strcmp(m->locked.hubs[i], hub) == 0;
    (void)pthread_mutex_unlock(&m->lock);
    return found;
}

bool
hv_scripted_has_left(hv_membership *membership)
{
    scripted_membership *m = scripted_of(membership);

    (void)pthread_mutex_lock(&m->lock);
    bool left = m->locked.leaving;
    (void)pthread_mutex_unlock(&m->lock);
    return left;
}
