/*
 * A Kafka broker of its own on loopback that knows nothing of events: topics with their settings, consumer groups with their commits. The mock
 * cluster of librdkafka has none of the admin operations. It speaks old versions of the protocol, which librdkafka agrees to (KIP-35), and does
 * what a test tells it: refuse, keep silent, lack an operation. Everything here fails the test when it cannot.
 *
 * Start it inside a test or a checked fixture.
 */
#ifndef HV_TESTS_HARNESS_ADMIN_BROKER_H
#define HV_TESTS_HARNESS_ADMIN_BROKER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct admin_broker admin_broker;

/* Requests by their number (Kafka protocol, API keys), and two places where an answer can say no. */
enum {
    ADMIN_LIST_OFFSETS = 2,
    ADMIN_METADATA = 3,
    ADMIN_OFFSET_COMMIT = 8,
    ADMIN_OFFSET_FETCH = 9,
    ADMIN_FIND_COORDINATOR = 10,
    ADMIN_LIST_GROUPS = 16,
    ADMIN_API_VERSIONS = 18,
    ADMIN_CREATE_TOPICS = 19,
    ADMIN_DESCRIBE_CONFIGS = 32,
    ADMIN_OFFSET_FETCH_PARTITION = 60,  /* not the answer as a whole, but each of its partitions */
    ADMIN_KEYS = 61,
};

admin_broker *admin_broker_start(void);
/* Accepts NULL. */
void admin_broker_stop(admin_broker *broker);
/* "127.0.0.1:<port>" */
const char *admin_broker_bootstrap(const admin_broker *broker);

void admin_broker_topic(admin_broker *broker, const char *name, int32_t partitions);
/* The source is a number of KIP-226: 1 set for this topic, 5 by default. value may be NULL. */
void admin_broker_setting(admin_broker *broker, const char *topic, const char *name, const char *value, int8_t source, bool sensitive);
/* One that was asked to be set when a topic was made; NULL if there is none. */
const char *admin_broker_setting_of(admin_broker *broker, const char *topic, const char *name);
/* -1: no such topic. */
int32_t admin_broker_partitions(admin_broker *broker, const char *topic);

/* offset -1: the broker has forgotten the commit, but not the partition. */
void admin_broker_commit(admin_broker *broker, const char *group, const char *topic, int32_t partition, int64_t offset,
                         const char *metadata);
/* -1: none. */
int64_t admin_broker_committed(admin_broker *broker, const char *group, const char *topic, int32_t partition);

/* From now on requests of this kind are answered with an error code; 0: no more. */
void admin_broker_refuse(admin_broker *broker, int key, int16_t error);
/* Not answered at all. */
void admin_broker_silence(admin_broker *broker, int key, bool silent);
/* Not among the operations that it has; for connections that are made from now on. */
void admin_broker_lacks(admin_broker *broker, int key);
/* No broker of the cluster is its controller. */
void admin_broker_without_controller(admin_broker *broker);

/* Whether the coordinator of this group was looked for. */
bool admin_broker_was_sought(admin_broker *broker, const char *group);

/* Requests of this kind so far. */
int admin_broker_count(admin_broker *broker, int key);

#endif
