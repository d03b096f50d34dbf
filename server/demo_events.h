/*
 * The twelve events of the demo: what four teams of an insurer publish, as CloudEvents in binary mode (CloudEvents Kafka protocol
 * binding 1.0.2: attributes in ce_ headers, content-type beside them).
 */
#ifndef HV_SERVER_DEMO_EVENTS_H
#define HV_SERVER_DEMO_EVENTS_H

#include "common/event.h"

enum { HV_DEMO_EVENTS = 12, HV_DEMO_HUBS = 5, HV_DEMO_PARTITIONS = 2, HV_DEMO_HEADERS = 7 };

typedef struct hv_demo_hub {
    const char *name, *team;
} hv_demo_hub;

extern const hv_demo_hub hv_demo_hubs[HV_DEMO_HUBS];

/* An event ready to be sent. It points into itself: do not copy. */
typedef struct hv_demo_event {
    const char *hub, *team, *name;
    int32_t partition;
    hv_event event;
    char type[128], source[64], subject[96], id[40], time[64], body[512];
    hv_header headers[HV_DEMO_HEADERS];
} hv_demo_event;

/* Event i of the twelve, which happened i times five minutes after `from_ms`. */
void hv_demo_event_make(int i, int64_t from_ms, hv_demo_event *ret);

/* Background traffic: lead i, which happened i seconds after `from_ms`. */
void hv_demo_lead_make(int i, int64_t from_ms, hv_demo_event *ret);

#endif
