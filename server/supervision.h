/*
 * What a service manager (systemd with Type=notify) is told, and when: that we are ready, get on, reload, stop, and that every thread lives.
 *
 * Without a manager all of it does nothing. One thread at a time.
 */
#ifndef HV_SERVER_SUPERVISION_H
#define HV_SERVER_SUPERVISION_H

#include "archiver/archiver.h"
#include "common/log.h"

typedef struct hv_supervision hv_supervision;

typedef struct hv_supervision_config {
    const char *socket;                 /* $NOTIFY_SOCKET; NULL: there is no manager */
    int64_t watchdog_ms;                /* so long after the last sign of life it kills us; 0: it does not watch */
    hv_log *log;
    int64_t (*boot_ms)(void);           /* NULL: hv_clock_boot_ms; for tests */
} hv_supervision_config;

/* HV_USAGE for a socket that cannot be one. */
hv_rc hv_supervision_new(const hv_supervision_config *config, hv_supervision **ret, hv_err *err) HV_MUST_USE;
/* Accepts NULL. */
void hv_supervision_free(hv_supervision *supervision);
HV_DEFINE_AUTO(hv_supervision, hv_supervision_free);

/* Starting or stopping takes long and gets on: the manager is asked for more time. Call as often as you like. */
void hv_supervision_progress(hv_supervision *supervision);

/* One line for 'systemctl status'. Call as often as you like: it is passed on when it has changed, and not all the time. */
void hv_supervision_status(hv_supervision *supervision, const char *format, ...) HV_PRINTF(2, 3);

/* What was begun by starting or reloading is done. Nothing happens if that has been said. */
void hv_supervision_ready(hv_supervision *supervision);
bool hv_supervision_is_ready(const hv_supervision *supervision);
/* Does nothing before it was ready for the first time. */
void hv_supervision_reloading(hv_supervision *supervision);
bool hv_supervision_is_reloading(const hv_supervision *supervision);
void hv_supervision_stopping(hv_supervision *supervision);

/* How long a thread may be silent before the manager gets no more signs of life. */
int64_t hv_supervision_patience_ms(const hv_supervision *supervision);

/* A sign of life, if it is time for one and no thread is stalled: `count` are, and the first of them is `stalled`. Call a few times a second. */
void hv_supervision_tick(hv_supervision *supervision, size_t count, const hv_archiver_thread *stalled);

#endif
