/*
 * What the main thread of the service does while the archiver works: it waits for the end, obeys signals, and tells the service manager.
 */
#ifndef HV_SERVER_SERVICE_WATCH_H
#define HV_SERVER_SERVICE_WATCH_H

#include "server/board.h"
#include "server/reload.h"
#include "server/supervision.h"

typedef struct hv_service_watch {
    const hv_service_config *config;
    hv_archiver *archiver;
    hv_index *index;
    hv_supervision *supervision;
    hv_board *board;
    hv_reload *reload;
    bool group;                         /* partitions come from a group, so there is nothing to capture before it has met */
    int64_t began_boot_ms;              /* of the service */
} hv_service_watch;

/* Returns when the archiver has ended, by itself or because it was told to stop. */
void hv_service_watch_run(const hv_service_watch *watch);

#endif
