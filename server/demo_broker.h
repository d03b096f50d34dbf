/*
 * The embedded broker of the demo: librdkafka's mock cluster, and a producer for it. On loopback, without TLS or users. Nothing but the
 * demo uses it; it keeps everything in memory and ends with the process.
 */
#ifndef HV_SERVER_DEMO_BROKER_H
#define HV_SERVER_DEMO_BROKER_H

#include "common/event.h"

typedef struct hv_demo_broker hv_demo_broker;

hv_rc hv_demo_broker_start(hv_demo_broker **ret, hv_err *err) HV_MUST_USE;
void hv_demo_broker_stop(hv_demo_broker *broker);
HV_DEFINE_AUTO(hv_demo_broker, hv_demo_broker_stop);

/* "127.0.0.1:port"; lives as long as the broker. */
const char *hv_demo_broker_address(const hv_demo_broker *broker);

hv_rc hv_demo_broker_create(hv_demo_broker *broker, const char *hub, int partitions, hv_err *err) HV_MUST_USE;

/* Send to a partition; event->offset is ignored. Returns before it is delivered. */
hv_rc hv_demo_broker_send(hv_demo_broker *broker, const char *hub, int32_t partition, const hv_event *event, hv_err *err) HV_MUST_USE;

/* Wait until everything sent is acknowledged. */
hv_rc hv_demo_broker_flush(hv_demo_broker *broker, hv_err *err) HV_MUST_USE;

#endif
