/* Steps of an archiver that shares the partitions with others: what the group tells it, and what it does about that. */
#include <stdatomic.h>
#include <string.h>

#include "archiver/capture.h"
#include "archiver/scout.h"
#include "source/source_drivers.h"
#include "tests/campaign/kill_points.h"
#include "tests/campaign/kill_state.h"

static atomic_bool releasing;
static atomic_int admitting;            /* questions that have no answer yet */
static const hv_membership_ops *real_ops;

bool
kill_state_releasing(void)
{
    return atomic_load(&releasing);
}

bool
kill_state_admitting(void)
{
    return atomic_load(&admitting) > 0;
}

static void
released(hv_membership *membership, uint64_t revocation)
{
    bool of_something = atomic_exchange(&releasing, false);

    if (of_something)
        kill_point("group.released", "before");
    real_ops->released(membership, revocation);
    if (of_something)
        kill_point("group.released", "after");
}

static void
leave(hv_membership *membership)
{
    kill_point("group.leave", "before");
    real_ops->leave(membership);
    kill_point("group.leave", "after");
}

hv_rc __real_hv_membership_kafka_open(const hv_kafka_group_config *config, hv_membership **ret, hv_err *err);
hv_rc __wrap_hv_membership_kafka_open(const hv_kafka_group_config *config, hv_membership **ret, hv_err *err);
hv_rc
__wrap_hv_membership_kafka_open(const hv_kafka_group_config *config, hv_membership **ret, hv_err *err)
{
    static hv_membership_ops ops;
    hv_rc rc = __real_hv_membership_kafka_open(config, ret, err);

    if (rc != HV_OK)
        return rc;
    real_ops = (*ret)->ops;
    ops = *real_ops;
    ops.released = released;
    ops.leave = leave;
    (*ret)->ops = &ops;
    return HV_OK;
}

/* NULL: a change that is about no partition, or about nothing to die for. */
static const char *
group_of(const hv_membership_change *change)
{
    if (change->count == 0)
        return NULL;
    switch (change->kind) {
    case HV_MEMBERSHIP_ASSIGNED:
        return "group.assigned";
    case HV_MEMBERSHIP_REVOKED:
        return "group.revoked";
    case HV_MEMBERSHIP_LOST:
        return "group.lost";
    default:
        return NULL;
    }
}

void __real_hv_capture_membership(hv_capture *capture, hv_tell *tell);
void __wrap_hv_capture_membership(hv_capture *capture, hv_tell *tell);
void
__wrap_hv_capture_membership(hv_capture *capture, hv_tell *tell)
{
    const char *group = group_of(&tell->change);

    if (group != NULL)
        kill_point(group, "before");
    __real_hv_capture_membership(capture, tell);
    if (tell->change.kind == HV_MEMBERSHIP_REVOKED && tell->change.count > 0)
        atomic_store(&releasing, true);
    if (group != NULL)
        kill_point(group, "after");
}

void __real_hv_scout_admit(hv_scout *scout, const char *hub, hv_scout_places *places);
void __wrap_hv_scout_admit(hv_scout *scout, const char *hub, hv_scout_places *places);
void
__wrap_hv_scout_admit(hv_scout *scout, const char *hub, hv_scout_places *places)
{
    atomic_fetch_add(&admitting, 1);
    __real_hv_scout_admit(scout, hub, places);
    kill_point("group.admit", "asked");
}

void __real_hv_capture_group_admitted(hv_capture *capture, hv_tell *tell);
void __wrap_hv_capture_group_admitted(hv_capture *capture, hv_tell *tell);
void
__wrap_hv_capture_group_admitted(hv_capture *capture, hv_tell *tell)
{
    kill_point("group.admit", "before");
    atomic_store(&admitting, 0);
    __real_hv_capture_group_admitted(capture, tell);
    kill_point("group.admit", "after");
}
