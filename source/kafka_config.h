/*
 * How to reach a Kafka service, and what to take from it.
 */
#ifndef HV_SOURCE_KAFKA_CONFIG_H
#define HV_SOURCE_KAFKA_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/token.h"

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
    hv_rc (*token)(void *arg, hv_kafka_token *ret,
                   hv_err *err);    /* called in a thread of the driver, may block: hv_token_for_get */
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
    int fetch_wait_ms;                  /* how long a broker may wait for events before it answers that there are none; 0: 100. With more,
                                         * questions and commits go over a second connection, see source_drivers.h */
    int fetch_least_bytes;              /* before that time it does not answer with less; 0: 1 */
    int stall_ms;                       /* connect anew if nothing comes of a partition for so long, though it has more at two looks in a row,
                                         * a quarter of that time apart; 0: 60000 */
    void (*log)(void *arg, int level,
                const char *text);    /* librdkafka's own log (syslog levels), from any thread; NULL: dropped */
    void *log_arg;
} hv_kafka_config;

#endif
