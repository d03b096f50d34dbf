/*
 * A proxy on loopback between a Kafka client and the mock broker: it counts requests, and can damage or hold back what the broker
 * says. Works for one broker that is announced as 127.0.0.1: the port in metadata answers is replaced by the proxy's own.
 */
#ifndef HV_TESTS_SOURCE_BROKER_PROXY_H
#define HV_TESTS_SOURCE_BROKER_PROXY_H

#include <stdbool.h>

typedef struct broker_proxy broker_proxy;

/* target: "127.0.0.1:<port>" of the broker. */
broker_proxy *broker_proxy_start(const char *target);
void broker_proxy_stop(broker_proxy *proxy);
/* "127.0.0.1:<port>" */
const char *broker_proxy_address(const broker_proxy *proxy);

/* Requests of this API key so far. */
int broker_proxy_count(broker_proxy *proxy, int api_key);
/* Metadata requests that asked for all topics. */
int broker_proxy_all_topics(broker_proxy *proxy);

/* The next `times` times that the broker sends these bytes, their last one is changed on the way. */
void broker_proxy_damage(broker_proxy *proxy, const char *text, int times);
/* How often that happened. */
int broker_proxy_damaged(broker_proxy *proxy);

/* Answers to requests of this API key are swallowed; -1: no more. Those of other keys on the same connection pass. */
void broker_proxy_swallow(broker_proxy *proxy, int api_key);

/* Answers to requests of this API key are held back, and everything behind them on the same connection with them, as by a broker that
 * answers in order; -1: they go on. */
void broker_proxy_hold(broker_proxy *proxy, int api_key);
/* How many answers were. */
int broker_proxy_held(broker_proxy *proxy);

#endif
