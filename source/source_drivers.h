/*
 * The source drivers, by name. Only the place where a program is put together, and tests, include this.
 */
#ifndef HV_SOURCE_SOURCE_DRIVERS_H
#define HV_SOURCE_SOURCE_DRIVERS_H

#include "common/token.h"
#include "source/source.h"

typedef enum hv_kafka_auth {
    HV_KAFKA_AUTH_NONE,                 /* PLAINTEXT, or SSL when ca_file or tls is given */
    HV_KAFKA_AUTH_PLAIN,                /* SASL PLAIN with user and password file */
    HV_KAFKA_AUTH_CONNECTION_STRING,    /* SASL_SSL PLAIN with an Event Hubs connection string from a file */
    HV_KAFKA_AUTH_OAUTH,                /* OAUTHBEARER, token from token_provider */
} hv_kafka_auth;

typedef hv_token hv_kafka_token;

typedef struct hv_kafka_config {
    const char *bootstrap;              /* host:port[,host:port]; for a connection string NULL means its endpoint, port 9093 */
    hv_kafka_auth auth;
    bool tls;
    const char *ca_file;                /* NULL: of the system */
    const char *user, *password_file;   /* PLAIN */
    const char *connection_string_file; /* read anew at each (re)connect of the handle; its EntityPath, if any, is the only hub */
    hv_rc (*token)(void *arg, hv_kafka_token *ret, hv_err *err);    /* called in a thread of the driver, may block: hv_token_for_get */
    void *token_arg;
    const char *const *include;         /* globs; count 0: "*" */
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    const char *const *hubs;            /* a static list: never asks for the metadata of all hubs (hub-level credentials) */
    size_t hub_count;
    const char *group;                  /* of courtesy commits; NULL: "hubvault"; "": no commits */
    uint64_t queue_bytes;               /* memory that fetched events may take, all partitions together; 0: 64 MiB */
    const char *const *extra;           /* further librdkafka properties, name and value alternating; for tests and experts */
    size_t extra_count;                 /* names and values together, so an even number */
    int stall_ms;                       /* connect anew if a partition has more but nothing comes for so long; 0: 60000 */
    void (*log)(void *arg, int level, const char *text);    /* librdkafka's own log (syslog levels), from any thread; NULL: dropped */
    void *log_arg;
} hv_kafka_config;

/* Copies the config. Connects in the background: a broker that cannot be reached shows up as trouble in poll and as HV_UNAVAILABLE of
 * the questions. HV_USAGE, HV_NOT_FOUND (a secret's file), HV_IO, HV_NOMEM. */
hv_rc hv_source_kafka_open(const hv_kafka_config *config, hv_source **ret, hv_err *err) HV_MUST_USE;

/* What is wrong with the librdkafka that this process runs on; NULL if nothing is. For doctor and the start of run. */
const char *hv_source_kafka_version_warning(bool oauth);

/*
 * A hub in memory for tests: logs that a test fills, expires, compacts, truncates and re-creates, and errors on demand. All
 * functions below may be called from any thread.
 */
hv_rc hv_source_scripted_open(hv_source **ret, hv_err *err) HV_MUST_USE;
void hv_scripted_hub(hv_source *source, const char *hub, int32_t partitions, const char *identity);     /* create, grow, or re-create empty if identity differs */
int64_t hv_scripted_append(hv_source *source, const char *hub, int32_t partition, const hv_event *event);       /* copies; the offset it got; event->offset is ignored */
void hv_scripted_skip(hv_source *source, const char *hub, int32_t partition, int64_t offsets);          /* control records: offsets that hold nothing */
void hv_scripted_expire(hv_source *source, const char *hub, int32_t partition, int64_t new_low);
void hv_scripted_compact(hv_source *source, const char *hub, int32_t partition, int64_t offset);        /* this one event is gone */
void hv_scripted_truncate(hv_source *source, const char *hub, int32_t partition, int64_t new_high);
void hv_scripted_delete(hv_source *source, const char *hub);
void hv_scripted_policy(hv_source *source, const char *hub, hv_source_hub_policy policy);
void hv_scripted_trouble(hv_source *source, const char *hub, hv_source_kind kind);     /* one item of this kind, for partition 0 */
void hv_scripted_questions_fail(hv_source *source, hv_rc rc);           /* hubs, watermarks and policy, until told HV_OK */
void hv_scripted_break(hv_source *source, hv_rc rc);                    /* every poll from now on; final */
int64_t hv_scripted_committed(hv_source *source, const char *hub, int32_t partition);   /* -1: nothing yet */

#endif
