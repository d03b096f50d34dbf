/*
 * Reading the configuration again while capture runs: all of it or nothing.
 *
 * What the option table marks as reloadable is in force afterwards; of everything else that differs from what the process was started
 * with the log says so. A configuration that cannot be read or has a fault changes nothing.
 */
#ifndef HV_SERVER_RELOAD_H
#define HV_SERVER_RELOAD_H

#include <stdatomic.h>

#include "server/service.h"
#include "server/snapshots.h"
#include "server/sources.h"

typedef struct hv_reload hv_reload;

typedef struct hv_reload_config {
    const hv_service_config *service;
    const hv_sources *sources;
    const hv_snapshot_service *snapshots;       /* NULL: none */
    bool group;                         /* see hv_service_watch */
} hv_reload_config;

/* The options of the service are in force. HV_NOMEM. */
hv_rc hv_reload_new(const hv_reload_config *config, hv_reload **ret, hv_err *err) HV_MUST_USE;
/* Accepts NULL. */
void hv_reload_free(hv_reload *reload);
HV_DEFINE_AUTO(hv_reload, hv_reload_free);

/* Whether it was asked for since the last time. */
bool hv_reload_is_due(const hv_reload *reload);
/* Do it; what comes of it is in the log, and below. The thread of the service. */
void hv_reload_do(hv_reload *reload, hv_archiver *archiver);

typedef struct hv_reload_facts {
    int64_t done, refused;              /* times */
    bool last_refused;                  /* what is in the file is not what is in force */
    int64_t last_wall_ms;               /* of the last time, whatever came of it; 0: never */
} hv_reload_facts;

/* Any thread. */
hv_reload_facts hv_reload_facts_read(const hv_reload *reload);

#endif
