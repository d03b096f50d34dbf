/*
 * Questions and orders to a messaging service that are not about events: consumer groups, how topics are configured. What every driver
 * promises.
 *
 * An admin has a connection of its own, so that a service that answers such a question by closing the connection disturbs nobody who
 * reads. Used by one thread at a time. Every call waits for the service up to its timeout.
 *
 * HV_VERSION from any of them: the service does not have this operation. HV_AUTH: it refuses it to us.
 */
#ifndef HV_SOURCE_ADMIN_H
#define HV_SOURCE_ADMIN_H

#include "common/buf.h"
#include "common/partition.h"

typedef struct hv_admin hv_admin;

typedef struct hv_admin_group {
    char *name;
    bool active;                        /* has members, or is settling who they are; false where the service does not say */
} hv_admin_group;

typedef struct hv_admin_groups {
    hv_admin_group *at;                 /* ascending by name */
    size_t count;
} hv_admin_groups;

void hv_admin_groups_clear(hv_admin_groups *groups);
HV_DEFINE_AUTO_VALUE(hv_admin_groups, hv_admin_groups_clear);

/* How far a group has read one partition. */
typedef struct hv_admin_commit {
    char topic[HV_HUB_SIZE];
    int32_t partition;
    int64_t offset;                     /* the next one to be read */
    char *metadata;                     /* NULL where it has no bytes */
    size_t metadata_len;
} hv_admin_commit;

typedef struct hv_admin_commits {
    hv_admin_commit *at;                /* ascending by topic and partition */
    size_t count, room;
} hv_admin_commits;

void hv_admin_commits_clear(hv_admin_commits *commits);
HV_DEFINE_AUTO_VALUE(hv_admin_commits, hv_admin_commits_clear);
/* Appends; sort when all are there. HV_NOMEM; HV_USAGE for a name that no topic can have. */
hv_rc hv_admin_commits_add(hv_admin_commits *commits, const char *topic, int32_t partition, int64_t offset, hv_slice metadata,
                           hv_err *err) HV_MUST_USE;
void hv_admin_commits_sort(hv_admin_commits *commits);
/* Of sorted ones; NULL: the group has none for that partition. */
const hv_admin_commit *hv_admin_commits_find(const hv_admin_commits *commits, const char *topic, int32_t partition);

typedef struct hv_admin_setting {
    char *name, *value;
    bool own;                           /* set for this topic; else what the service does by default */
} hv_admin_setting;

typedef struct hv_admin_topic {
    int32_t partitions;
    int32_t replication;                /* 0: not known */
    bool told;                          /* the service tells settings */
    hv_admin_setting *settings;
    size_t count;
} hv_admin_topic;

void hv_admin_topic_clear(hv_admin_topic *topic);
HV_DEFINE_AUTO_VALUE(hv_admin_topic, hv_admin_topic_clear);

/* A topic to be made. */
typedef struct hv_admin_new_topic {
    const char *name;
    int32_t partitions;
    int32_t replication;                /* -1: as the service does by default */
    const hv_admin_setting *settings;
    size_t count;
} hv_admin_new_topic;

typedef struct hv_admin_ops {
    const char *driver;

    /* All consumer groups that have members or commits. */
    hv_rc (*groups)(hv_admin *admin, int timeout_ms, hv_admin_groups *ret, hv_err *err);

    /* Everything the group has committed; nothing for a group that the service does not know. */
    hv_rc (*commits)(hv_admin *admin, const char *group, int timeout_ms, hv_admin_commits *ret, hv_err *err);

    /* Commit for the group, all of it in one request. HV_BUSY: it has members, who own its commits. What the service refuses for one
     * partition fails the call; others may have been committed. */
    hv_rc (*set_commits)(hv_admin *admin, const char *group, const hv_admin_commits *commits, int timeout_ms, hv_err *err);

    /* HV_NOT_FOUND. A service that tells no settings answers with `told` false. */
    hv_rc (*topic)(hv_admin *admin, const char *name, int timeout_ms, hv_admin_topic *ret, hv_err *err);

    /* HV_OK: it is there and all its partitions can be written to. HV_EXISTS. HV_USAGE: the service refuses a setting or a number. */
    hv_rc (*create_topic)(hv_admin *admin, const hv_admin_new_topic *topic, int timeout_ms, hv_err *err);

    void (*close)(hv_admin *admin);
} hv_admin_ops;

struct hv_admin {
    const hv_admin_ops *ops;
};

/* Accepts NULL. */
static inline void
hv_admin_close(hv_admin *admin)
{
    if (admin != NULL)
        admin->ops->close(admin);
}
HV_DEFINE_AUTO(hv_admin, hv_admin_close);

#endif
