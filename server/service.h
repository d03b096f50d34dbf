/*
 * The running service: vault, sources and archiver wired together, until it is told to stop or has done what it was asked for.
 */
#ifndef HV_SERVER_SERVICE_H
#define HV_SERVER_SERVICE_H

#include <stdatomic.h>

#include "archiver/archiver.h"
#include "common/log.h"
#include "common/options.h"

typedef struct hv_service_config {
    const hv_options *options;          /* complete, with store, index and source */
    hv_log *log;
    bool once;                          /* up to the high watermarks at the start */
    const atomic_bool *stop;            /* set by a signal handler or another thread */
    void (*progress)(void *arg, const hv_archiver_totals *totals);      /* a few times a second; NULL: none */
    void *progress_arg;
    const atomic_uint *reloads;         /* grows when the configuration is to be read again; NULL: never */
    hv_rc (*read_options)(void *arg, hv_options *ret, hv_err *err);     /* reads it; complete */
    void *read_options_arg;
    const char *notify_socket;          /* of the service manager, see server/supervision.h; NULL: none */
    int64_t watchdog_ms;                /* of the service manager; 0: none */
} hv_service_config;

/*
 * Runs in the caller's thread until the end. The first index of a vault that has segments already is rebuilt before anything is read.
 * HV_BUSY: another archiver of this machine has the index. Else the code of the first failure; HV_OK if all was sealed.
 */
hv_rc hv_service_run(const hv_service_config *config, hv_archiver_totals *ret, hv_err *err) HV_MUST_USE;

#endif
