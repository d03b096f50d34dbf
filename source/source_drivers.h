/*
 * The source drivers, by name. Only the place where a program is put together, and tests, include this.
 */
#ifndef HV_SOURCE_SOURCE_DRIVERS_H
#define HV_SOURCE_SOURCE_DRIVERS_H

#include "source/admin.h"
#include "source/kafka_config.h"
#include "source/source.h"

/* Copies the config. Connects in the background: a broker that cannot be reached shows up as trouble in poll and as
 * HV_UNAVAILABLE of the questions. HV_USAGE, HV_NOT_FOUND (a secret's file), HV_IO, HV_NOMEM. */
hv_rc hv_source_kafka_open(const hv_kafka_config *config, hv_source **ret, hv_err *err) HV_MUST_USE;

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

#endif
