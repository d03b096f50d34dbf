/*
 * Which partitions of a source are ours: what every driver of a membership promises.
 *
 * Several archivers of one vault are members of one group. The group deals out the partitions of the hubs that its members ask for;
 * what a partition's position is, it does not know and is never asked. Being a member is for economy: that nothing is stored twice
 * is the work of the create-only put (capture protocol, section 3).
 *
 * Threads. A membership has a thread of its own, which alone calls changed(), one call at a time, and may be held up by it for no more
 * than a moment. All functions but start, leave and close may be called from any thread at any time, also from within changed().
 * start, leave and close are called by one thread, in this order.
 */
#ifndef HV_SOURCE_MEMBERSHIP_H
#define HV_SOURCE_MEMBERSHIP_H

#include "common/auto.h"
#include "common/err.h"
#include "common/partition.h"

typedef struct hv_membership hv_membership;

typedef enum hv_membership_kind {
    HV_MEMBERSHIP_ASSIGNED,             /* these are ours from now on. None at all: a rebalance that gave us nothing new */
    HV_MEMBERSHIP_REVOKED,              /* give these up: finish what is open, then call released(). Nobody gets them before that, or
                                         * before release_by */
    HV_MEMBERSHIP_LOST,                 /* these are not ours any more, and somebody else may be reading them already */
    HV_MEMBERSHIP_TROUBLE,              /* something failed and is tried again; err is for the log */
    HV_MEMBERSHIP_FAILED,               /* final: this member will never be given anything again; err says why */
} hv_membership_kind;

typedef struct hv_member_partition {
    char hub[HV_HUB_SIZE];
    int32_t number;
} hv_member_partition;

typedef struct hv_membership_change {
    hv_membership_kind kind;
    const hv_member_partition *partitions;      /* borrowed for the call */
    size_t count;
    uint64_t revocation;                /* HV_MEMBERSHIP_REVOKED: its number, never 0 */
    int64_t release_by_boot_ms;         /* the same: CLOCK_BOOTTIME after which the group does not wait for us any more */
    const hv_err *err;
} hv_membership_change;

typedef void hv_membership_changed(void *arg, const hv_membership_change *change);

typedef struct hv_membership_ops {
    const char *driver;

    /* Begin to be a member, of nothing until subscribe() is called. */
    hv_rc (*start)(hv_membership *membership, hv_membership_changed *changed, void *arg, hv_err *err);

    /* Exactly these hubs are wanted from now on. The same set again does nothing. */
    hv_rc (*subscribe)(hv_membership *membership, const char *const *hubs, size_t count, hv_err *err);

    /* What was revoked is given up. A number that is not the one waited for is ignored. */
    void (*released)(hv_membership *membership, uint64_t revocation);

    /* Give up everything that is still ours and leave the group, so that others need not wait for a time-out. changed() is not called
     * any more once this returns. Waits for the broker, for some seconds at most. */
    void (*leave)(hv_membership *membership);

    /* Leaves, if that was not done. */
    void (*close)(hv_membership *membership);
} hv_membership_ops;

struct hv_membership {
    const hv_membership_ops *ops;
};

/* Accepts NULL. */
static inline void
hv_membership_close(hv_membership *membership)
{
    if (membership != NULL)
        membership->ops->close(membership);
}
HV_DEFINE_AUTO(hv_membership, hv_membership_close);

#endif
