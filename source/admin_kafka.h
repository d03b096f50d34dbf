/*
 * What the files of the Kafka driver of hv_admin share.
 */
#ifndef HV_SOURCE_ADMIN_KAFKA_H
#define HV_SOURCE_ADMIN_KAFKA_H

#include "source/admin.h"
#include "source/kafka_client.h"

typedef struct hv_admin_kafka {
    hv_admin base;
    hv_kafka_client *client;
} hv_admin_kafka;

/* One exchange: options with the timeout, and the queue that its answer comes to. */
typedef struct hv_admin_call {
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *answer;
    int timeout_ms;
} hv_admin_call;

hv_admin_call hv_admin_call_begin(hv_admin_kafka *kafka, rd_kafka_admin_op_t operation, int timeout_ms);
void hv_admin_call_end(hv_admin_call *call);
HV_DEFINE_AUTO_VALUE(hv_admin_call, hv_admin_call_end);

/* Wait for the answer; what the service says of the call as a whole. `what` for the message. */
hv_rc hv_admin_call_wait(hv_admin_call *call, const char *what, hv_err *err) HV_MUST_USE;

/* The code that fits an error of an admin operation. */
hv_rc hv_admin_kafka_rc(rd_kafka_resp_err_t code);
hv_rc hv_admin_kafka_explain(rd_kafka_resp_err_t code, const char *text, const char *what, hv_err *err);

hv_rc hv_admin_kafka_topic(hv_admin *admin, const char *name, int timeout_ms, hv_admin_topic *ret, hv_err *err);
hv_rc hv_admin_kafka_create(hv_admin *admin, const hv_admin_new_topic *topic, int timeout_ms, hv_err *err);

#endif
