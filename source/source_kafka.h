/*
 * Inside of the Kafka driver: what its files share. Nobody else includes this, except tests of the parts.
 *
 * Threads. The poll thread owns everything but what stands under a lock: it alone changes the table of assigned partitions,
 * replaces the reading connection, converts events. The watch thread reads the table under `lock`, and asks for a new connection by a flag.
 * Questions come from any thread and hold a reference to their connection while they ask (source_kafka_asker.c). librdkafka's own threads call back for
 * tokens and logs.
 */
#ifndef HV_SOURCE_SOURCE_KAFKA_H
#define HV_SOURCE_SOURCE_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/secret.h"
#include "source/source_drivers.h"

enum {
    HV_KAFKA_ERROR_RING = 16,           /* errors without a record that wait for poll; further ones are dropped */
    HV_KAFKA_RETRY_MS = 1000,           /* until a partition whose data could not be read is read again */
    HV_KAFKA_BATCH = 128,               /* records taken from librdkafka at once */
};

/* Everything from hv_kafka_config, copied. */
typedef struct hv_kafka_settings {
    char *bootstrap;
    hv_kafka_auth auth;
    bool tls;
    char *ca_file;
    char *user, *password_file, *connection_string_file;
    hv_rc (*token)(void *arg, hv_kafka_token *ret, hv_err *err);
    void *token_arg;
    char **include, **exclude, **hubs, **extra;
    size_t include_count, exclude_count, hub_count, extra_count;
    char *group;
    uint64_t queue_bytes;
    int stall_ms;
    int fetch_wait_ms, fetch_least_bytes;
    bool patient;                       /* fetches wait long, so nothing else may wait behind them */
    void (*log)(void *arg, int level, const char *text);
    void *log_arg;
} hv_kafka_settings;

/* HV_USAGE for a contradiction. *ret has to be all zero; on failure it is left for hv_kafka_settings_clear. */
hv_rc hv_kafka_settings_copy(const hv_kafka_config *config, hv_kafka_settings *ret, hv_err *err) HV_MUST_USE;
void hv_kafka_settings_clear(hv_kafka_settings *settings);

/* User and password as they are right now in their files. */
typedef struct hv_kafka_credentials {
    char user[257];
    hv_secret password;
    char host[256];                     /* of a connection string */
    char entity_path[HV_HUB_SIZE];
    bool plaintext;                     /* the emulator speaks no TLS */
} hv_kafka_credentials;

void hv_kafka_credentials_clear(hv_kafka_credentials *credentials);
HV_DEFINE_AUTO_VALUE(hv_kafka_credentials, hv_kafka_credentials_clear);
hv_rc hv_kafka_credentials_read(const hv_kafka_settings *settings, hv_kafka_credentials *ret, hv_err *err) HV_MUST_USE;

bool hv_kafka_speaks_tls(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials);

/* Where to connect first. */
hv_rc hv_kafka_bootstrap(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials, char *ret, size_t size,
                         hv_err *err) HV_MUST_USE;

/* How queue_bytes is spent, see source_kafka_config.c. */
typedef struct hv_kafka_budget {
    int64_t queue_kbytes, queue_messages, fetch_bytes;
    uint64_t wake_bytes;                /* consumed bytes after which the fetchers are woken */
} hv_kafka_budget;

/* The globs of a configuration take the place of those that are there; the others of *settings stay. HV_NOMEM, and nothing has changed. */
hv_rc hv_kafka_settings_filter(hv_kafka_settings *settings, const hv_kafka_config *globs, hv_err *err) HV_MUST_USE;

hv_kafka_budget hv_kafka_budget_of(uint64_t queue_bytes);

/* What one consumed event counts for, bytes of the event apart: librdkafka's own bookkeeping. */
enum { HV_KAFKA_EVENT_OVERHEAD = 512 };

/* A configuration for one connection, without callbacks. The caller frees *ret unless rd_kafka_new took it. */
hv_rc hv_kafka_conf_make(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials, rd_kafka_conf_t **ret,
                         hv_err *err) HV_MUST_USE;

/* Also for a client that is no source, see kafka_client.h. */
hv_rc hv_kafka_set_security(rd_kafka_conf_t *conf, const hv_kafka_settings *settings, const hv_kafka_credentials *credentials,
                            hv_err *err) HV_MUST_USE;

/* ---- one connection ---- */

/* What callbacks of librdkafka reach the source by: a connection may outlive it, see source_kafka_conn.c. */
typedef struct hv_kafka_owner hv_kafka_owner;

typedef struct hv_kafka_conn {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;            /* of its consumer */
    hv_kafka_credentials credentials;   /* poll thread only */
    hv_kafka_owner *owner;
    atomic_uint references;
} hv_kafka_conn;

typedef struct hv_kafka_hub hv_kafka_hub;

typedef enum hv_kafka_state {
    HV_KAFKA_STOPPED,                   /* nothing comes until it is assigned anew: out of range or gone was told */
    HV_KAFKA_RUNNING,
    HV_KAFKA_WAITING,                   /* to be started at retry_at_ms */
} hv_kafka_state;

/* One assigned partition. */
typedef struct hv_kafka_entry {
    hv_kafka_hub *hub;
    int32_t partition;
    void *tag;
    uint64_t generation;
    _Atomic int64_t next;               /* everything below has been delivered; poll thread writes, watch thread reads */
    hv_kafka_state state;               /* written by the poll thread under `lock` */
    bool started;                       /* librdkafka has it in its assignment */
    int64_t retry_at_ms;                /* CLOCK_BOOTTIME */
    int64_t commit_next;                /* courtesy commit that is due; -1: none */
    rd_kafka_resp_err_t error;          /* came without a record and waits for poll; 0: none */
    struct {                            /* touched by the watch thread only, holding `lock` */
        int64_t next, since_ms;
        int64_t behind_ms;              /* when the broker first said that there is more; 0: it has not */
        uint64_t generation, popped;
    } watched;
    bool missing;                       /* the watch thread was told that there is no such partition; under `lock` */
} hv_kafka_entry;

/* A hub with partitions that are or were assigned. Stays until the source is closed. */
struct hv_kafka_hub {
    char name[HV_HUB_SIZE];
    hv_kafka_entry **entries;           /* by partition; NULL where none is assigned */
    size_t size;
    rd_kafka_topic_t *topic;            /* of the present connection: holding it keeps its address ours */
};

enum { HV_KAFKA_CACHE = 1024 };         /* a power of two */

typedef struct hv_kafka {
    hv_source source;                   /* first, so that one pointer is both */
    hv_kafka_settings settings;         /* its globs are touched only while holding `lock` */
    hv_kafka_budget budget;
    hv_kafka_owner *owner;
    char location[512];
    char only_hub[HV_HUB_SIZE];         /* EntityPath of the connection string; empty: none */

    pthread_mutex_t lock;
    pthread_cond_t watch_wakes;
    struct {                            /* touched only while holding `lock`; the poll thread may read the table without */
        hv_kafka_conn *conn;            /* for reading */
        hv_kafka_conn *asker;           /* for commits, and perhaps questions; NULL: not opened yet */
        int64_t asker_since_ms;         /* CLOCK_BOOTTIME */
        bool asker_failed;              /* its last question did */
        hv_kafka_hub **hubs;            /* by name */
        size_t hub_count, hub_room;
        bool closing;
    } locked;

    struct {                            /* poll thread only */
        rd_kafka_message_t *current;    /* lent to the caller */
        rd_kafka_message_t *batch[HV_KAFKA_BATCH];      /* taken and not yet delivered; NULL: dropped */
        size_t batch_at, batch_end;
        bool fills_batch;               /* librdkafka is at it, and may call back */
        hv_header *headers;
        size_t header_room;
        uint64_t bytes_since_wake;
        int64_t last_commit_ms;
        struct {                        /* hub of a topic object, so that no event costs a comparison of names */
            const rd_kafka_topic_t *topic;
            hv_kafka_hub *hub;
        } cache[HV_KAFKA_CACHE];
        struct hv_kafka_error {
            hv_source_kind kind;
            hv_err err;
        } errors[HV_KAFKA_ERROR_RING];  /* about no partition */
        size_t error_head, error_count, entry_errors;
        size_t waiting;                 /* entries in HV_KAFKA_WAITING */
        bool commits_due;
        bool auth_failed;               /* since credentials were read last */
    } poll;

    pthread_t watcher;
    bool watcher_runs;
    _Atomic int64_t empty_at_ms;        /* last poll that found nothing (CLOCK_BOOTTIME) */
    _Atomic uint64_t popped;            /* records, until now */
    _Atomic bool reconnect;             /* the watch thread wants a new connection */
    _Atomic bool has_missing;           /* the watch thread found partitions that do not exist */
    _Atomic bool refresh;               /* somebody wants the secret to be read again */
    _Atomic bool has_identities;        /* hubs have told them once */
    _Atomic int64_t no_identities_until_ms;     /* CLOCK_BOOTTIME; the source has none, or did not answer */
    _Atomic int watch_patience;         /* the time without progress is stall_ms times this */
} hv_kafka;

hv_rc hv_kafka_owner_new(struct hv_kafka *k, hv_kafka_owner **ret, hv_err *err) HV_MUST_USE;
/* Waits a moment for connections to end; from now on no callback reaches the source. Accepts NULL. */
void hv_kafka_owner_leave(hv_kafka_owner *owner);

/* Connects, or rather begins to. Errors of one that reads are told by poll; of another one what was asked for fails. Any thread. */
hv_rc hv_kafka_conn_open(hv_kafka *k, bool reads, hv_kafka_conn **ret, hv_err *err) HV_MUST_USE;
/* The present connection for reading, with a reference; release when done. */
hv_kafka_conn *hv_kafka_conn_hold(hv_kafka *k);
void hv_kafka_conn_release(hv_kafka_conn *conn);
HV_DEFINE_AUTO(hv_kafka_conn, hv_kafka_conn_release);
/* Replaces the reading connection, and goes on with every partition where it stands. Poll thread, with no record lent: one that is held
 * keeps librdkafka from ending its threads, and so the old connection from going. */
hv_rc hv_kafka_reconnect(hv_kafka *k, hv_err *err) HV_MUST_USE;
/* Takes over a password that was changed in its file; false if it was not. Poll thread. */
bool hv_kafka_refresh_credentials(hv_kafka *k);

/* ---- the asker: a second connection, made when it is wanted ---- */

/* With a reference. HV_UNAVAILABLE: it cannot be made now. HV_NOMEM. Any thread. */
hv_rc hv_kafka_asker_hold(hv_kafka *k, hv_kafka_conn **ret, hv_err *err) HV_MUST_USE;
/* What questions go over: the asker if fetches wait long, else the connection for reading. */
hv_rc hv_kafka_ask_hold(hv_kafka *k, hv_kafka_conn **ret, hv_err *err) HV_MUST_USE;
/* How a question over it ended; returns that. An asker that fails is replaced. */
hv_rc hv_kafka_asked(hv_kafka *k, const hv_kafka_conn *conn, hv_rc rc);
/* Throws away what librdkafka has to tell on it. Poll thread. */
void hv_kafka_asker_serve(hv_kafka *k);
/* What is under way on it ends well; whoever comes next gets another one, with the secret of then. Any thread. */
void hv_kafka_asker_drop(hv_kafka *k);

/* Makes sleeping fetch threads look at their queues again. Poll thread. */
void hv_kafka_wake_fetchers(hv_kafka *k);

/* ---- assigned partitions (poll thread) ---- */

hv_kafka_hub *hv_kafka_find_hub(hv_kafka *k, const char *name);
hv_kafka_hub *hv_kafka_hub_of(hv_kafka *k, const rd_kafka_topic_t *topic);
hv_kafka_entry *hv_kafka_find_entry(hv_kafka *k, const char *hub, int32_t partition);
hv_rc hv_kafka_assign(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *err) HV_MUST_USE;
hv_rc hv_kafka_unassign(hv_source *source, const char *hub, int32_t partition, hv_err *err) HV_MUST_USE;
/* Takes it out of librdkafka's assignment now and puts it back at `next` after a while; nothing of it is delivered in between. */
void hv_kafka_read_again(hv_kafka *k, hv_kafka_entry *entry, int delay_ms);
/* Takes it out until it is assigned anew. */
void hv_kafka_stop(hv_kafka *k, hv_kafka_entry *entry);
/* Puts back those whose time has come. */
hv_rc hv_kafka_serve_waiting(hv_kafka *k, hv_err *err) HV_MUST_USE;
/* Starts everything on a connection that is new. */
hv_rc hv_kafka_assign_all(hv_kafka *k, hv_err *err) HV_MUST_USE;
void hv_kafka_drop_topics(hv_kafka *k);
/* Records that were taken for a partition (hub NULL: for all), and are not delivered yet, will not be. */
void hv_kafka_drop_batch(hv_kafka *k, const char *hub, int32_t partition);
void hv_kafka_set_state(hv_kafka *k, hv_kafka_entry *entry, hv_kafka_state state);
void hv_kafka_set_error(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_resp_err_t error);
void hv_kafka_drop_table(hv_kafka *k);

/* ---- events and errors ---- */

/* Whether a record or an error of librdkafka made an item. It is then the current one, and freed with the next poll. */
bool hv_kafka_make_item(hv_kafka *k, rd_kafka_message_t *message, hv_source_item *item, hv_err *err);

/* HV_OK, HV_CORRUPT if the headers cannot be parsed, HV_NOMEM. */
hv_rc hv_kafka_event_of(hv_kafka *k, const rd_kafka_message_t *message, hv_event *ret, hv_err *err) HV_MUST_USE;
/* What an error of librdkafka means for the reader of a partition; *rc is the code that fits. */
hv_source_kind hv_kafka_classify(rd_kafka_resp_err_t code, hv_rc *rc);
/* The code that fits, for questions. */
hv_rc hv_kafka_rc(rd_kafka_resp_err_t code);
/* Splits librdkafka's "<hub> [<partition>]: <reason>". False if the text is not like that. */
bool hv_kafka_parse_partition(const char *text, char *hub, size_t size, int32_t *partition);
/* Keeps an error about no partition for poll. */
void hv_kafka_keep_error(hv_kafka *k, rd_kafka_resp_err_t code, const char *reason);
/* NULL, or what is wrong with this version (as rd_kafka_version() has it). */
const char *hv_kafka_version_warning(int version, bool oauth);
/* The callback of librdkafka; its last argument is the owner. */
void hv_kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *owner);
/* NULL once the source is closed. */
hv_kafka *hv_kafka_of_owner(hv_kafka_owner *owner);

/* ---- questions (any thread) ---- */

hv_rc hv_kafka_hubs(hv_source *source, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err) HV_MUST_USE;
hv_rc hv_kafka_watermarks(hv_source *source, hv_source_watermarks *asked, size_t count, int timeout_ms, hv_err *err) HV_MUST_USE;
typedef struct hv_kafka_found {
    int partitions;
    bool has_controller;                /* one of the brokers is the controller */
} hv_kafka_found;

/* Looks for one hub. HV_NOT_FOUND, HV_AUTH, or what asking fails with. */
hv_rc hv_kafka_find(hv_kafka *k, hv_kafka_conn *conn, const char *hub, int timeout_ms, hv_kafka_found *ret,
                    hv_err *err) HV_MUST_USE;
/* Fills identities where the source has them; fails only if it had them before. */
hv_rc hv_kafka_fill_identities(hv_kafka *k, hv_source_hub *hubs, size_t count, int timeout_ms, hv_err *err) HV_MUST_USE;
/* From an answer to a metadata request of version 10, with its header's tags. HV_UNAVAILABLE: it is damaged, and no hub gets an id of it. */
hv_rc hv_kafka_parse_identities(hv_slice answer, hv_source_hub *hubs, size_t count, hv_err *err) HV_MUST_USE;
bool hv_kafka_known_watermarks(hv_source *source, const char *hub, int32_t partition, int64_t *low, int64_t *high);
hv_rc hv_kafka_hub_policy(hv_source *source, const char *hub, int timeout_ms, hv_source_hub_policy *ret, hv_err *err) HV_MUST_USE;

/* ---- courtesy commits (poll thread) ---- */

void hv_kafka_commit(hv_source *source, const char *hub, int32_t partition, int64_t next_offset);
/* Sends what is due, at most every few seconds unless `now`. */
void hv_kafka_serve_commits(hv_kafka *k, bool now);

/* ---- the watch thread ---- */

hv_rc hv_kafka_watch_start(hv_kafka *k, hv_err *err) HV_MUST_USE;
void hv_kafka_watch_stop(hv_kafka *k);

#endif
