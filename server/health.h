/*
 * Whether the service is well, for whoever restarts it, and whether it does its work, for whoever waits for it.
 */
#ifndef HV_SERVER_HEALTH_H
#define HV_SERVER_HEALTH_H

#include "server/board.h"

/* Every reason why it is not ready; HV_HEALTH_REASONS at most. */
enum { HV_HEALTH_REASONS = 8, HV_HEALTH_REASON_SIZE = 160 };
typedef struct hv_health_reasons {
    char texts[HV_HEALTH_REASONS][HV_HEALTH_REASON_SIZE];
    size_t count;
} hv_health_reasons;

hv_health_reasons hv_health_reasons_of(const hv_service_facts *facts);
bool hv_health_is_ready(const hv_service_facts *facts);

/* Body of /healthz: true if every thread gets on. */
bool hv_health_alive(const hv_service_facts *facts, hv_buf *text);
/* Body of /readyz, as JSON: true if ready. */
bool hv_health_ready(const hv_service_facts *facts, hv_buf *json);

#endif
