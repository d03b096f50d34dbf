/*
 * The source drivers, by name. Only the place where a program is put together, and tests, include this.
 */
#ifndef HV_SOURCE_SOURCE_DRIVERS_H
#define HV_SOURCE_SOURCE_DRIVERS_H

#include "source/admin.h"
#include "source/kafka_config.h"
#include "source/membership.h"
#include "source/source.h"

/*
 * Copies the config. Connects in the background: a broker that cannot be reached shows up as trouble in poll and as
 * HV_UNAVAILABLE of the questions. HV_USAGE, HV_NOT_FOUND (a secret's file), HV_IO, HV_NOMEM.
 *
 * Reading has a connection (a librdkafka handle), which is there from now on. Commits have a second one, opened at the first of them. A
 * broker answers one connection in order, so a question waits there until the fetch before it has been answered: where that may take longer than usual
 * (config->fetch_wait_ms), hubs, watermarks and hub_policy go over the second connection too, and the first of them opens it.
 */
hv_rc hv_source_kafka_open(const hv_kafka_config *config, hv_source **ret, hv_err *err) HV_MUST_USE;

/* Other globs for what hubs() lists from now on; nothing changes for hubs that are read already. Any thread. HV_NOMEM, and nothing has
 * changed then. */
hv_rc hv_source_kafka_filter(hv_source *source, const char *const *include, size_t include_count, const char *const *exclude,
                             size_t exclude_count, hv_err *err) HV_MUST_USE;

/* Have the file of the secret read again soon, as happens by itself when a login was refused. Any thread. HV_NOT_FOUND, HV_IO, HV_USAGE:
 * the file cannot be used now, and the old secret stays in use. HV_NOMEM. */
hv_rc hv_source_kafka_refresh(hv_source *source, hv_err *err) HV_MUST_USE;

typedef struct hv_kafka_group_config {
    const hv_kafka_config *broker;      /* how to connect; what it points to must outlive the membership */
    const char *group;                  /* id of the group */
    const char *instance;               /* static member: keeps its partitions over a restart within the session; NULL: dynamic */
    int64_t session_ms;                 /* a member that was not heard of for so long has lost its partitions */
    int64_t release_ms;                 /* how long others wait for a partition that is being given up */
    int64_t refresh_ms;                 /* how often the group looks for new partitions */
} hv_kafka_group_config;

/* A member of a consumer group of the broker, by the cooperative sticky protocol. Codes as for a source. */
hv_rc hv_membership_kafka_open(const hv_kafka_group_config *config, hv_membership **ret, hv_err *err) HV_MUST_USE;

/* As hv_kafka_client_refresh(), of a membership made by the function above. Before it has left. */
hv_rc hv_membership_kafka_refresh(hv_membership *membership, hv_err *err) HV_MUST_USE;

/* What is wrong with the librdkafka that this process runs on; NULL if nothing is. For doctor and the start of run. */
const char *hv_source_kafka_version_warning(bool oauth);

/*
 * A hub in memory for tests: logs that a test fills, expires, compacts, truncates and re-creates, and errors on demand. All
 * functions below may be called from any thread.
 */
hv_rc hv_source_scripted_open(hv_source **ret, hv_err *err) HV_MUST_USE;
/* Create, grow, or, if the identity differs, re-create empty. */
void hv_scripted_hub(hv_source *source, const char *hub, int32_t partitions, const char *identity);
/* Copies the event, but for its offset; the one that it got. */
int64_t hv_scripted_append(hv_source *source, const char *hub, int32_t partition, const hv_event *event);
/* Control records: offsets that hold nothing. */
void hv_scripted_skip(hv_source *source, const char *hub, int32_t partition, int64_t offsets);
void hv_scripted_expire(hv_source *source, const char *hub, int32_t partition, int64_t new_low);
void hv_scripted_compact(hv_source *source, const char *hub, int32_t partition, int64_t offset);        /* this one event is gone */
/* The event at this offset is delivered so many times, then passed over so many times, as by a client with a mistake, and delivered from
 * then on. */
void hv_scripted_overlook(hv_source *source, const char *hub, int32_t partition, int64_t offset, int delivered_first, int times);
void hv_scripted_truncate(hv_source *source, const char *hub, int32_t partition, int64_t new_high);
void hv_scripted_delete(hv_source *source, const char *hub);
void hv_scripted_policy(hv_source *source, const char *hub, hv_source_hub_policy policy);
void hv_scripted_trouble(hv_source *source, const char *hub, hv_source_kind kind);     /* one item of this kind, for partition 0 */
void hv_scripted_questions_fail(hv_source *source, hv_rc rc);           /* hubs, watermarks and policy, until told HV_OK */
void hv_scripted_break(hv_source *source, hv_rc rc);                    /* every poll from now on; final */
int64_t hv_scripted_committed(hv_source *source, const char *hub, int32_t partition);   /* -1: nothing yet */

/* What the config points to must outlive the admin. Connects in the background. HV_USAGE, HV_NOT_FOUND or HV_IO (the file of a secret),
 * HV_NOMEM. */
hv_rc hv_admin_kafka_open(const hv_kafka_config *config, hv_admin **ret, hv_err *err) HV_MUST_USE;

/* As hv_kafka_client_refresh(), of an admin made by the function above. */
hv_rc hv_admin_kafka_refresh(hv_admin *admin, hv_err *err) HV_MUST_USE;

/*
 * A membership for tests, which deal out partitions themselves. changed() is called by a thread of its own, as with a broker. All
 * functions may be called from any thread.
 */
hv_rc hv_membership_scripted_open(hv_membership **ret, hv_err *err) HV_MUST_USE;
void hv_scripted_assign(hv_membership *membership, const char *hub, int32_t first, int32_t count);
/* Its number, for hv_scripted_is_released(). */
uint64_t hv_scripted_revoke(hv_membership *membership, const char *hub, int32_t first, int32_t count, int64_t release_ms);
bool hv_scripted_is_released(hv_membership *membership, uint64_t revocation);
void hv_scripted_lose(hv_membership *membership, const char *hub, int32_t first, int32_t count);
void hv_scripted_fail(hv_membership *membership);
bool hv_scripted_is_subscribed(hv_membership *membership, const char *hub);
bool hv_scripted_has_left(hv_membership *membership);

#endif
