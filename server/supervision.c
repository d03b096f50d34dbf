/*
 * A datagram that the manager has no room for is sent again with the next tick; only signs of life are not made up for, because the next
 * one comes anyway.
 */
#include "server/supervision.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "server/log_events.h"
#include "server/notify_socket.h"

enum {
    PATIENCE_MS = 5 * 60 * 1000,        /* where nobody watches: what is told in the log all the same */
    STATUS_MS = 2000,
    PROGRESS_MS = 2000,
    EXTENSION_US = 60 * 1000 * 1000,
    SIGNS_PER_INTERVAL = 4,             /* sd_watchdog_enabled(3) recommends two */
    STALLED_AGAIN_MS = 60 * 1000,
    STATUS_ROOM = 200,
};

typedef enum phase { STARTING, READY, RELOADING, STOPPING } phase;

struct hv_supervision {
    hv_supervision_config config;
    hv_notify_socket *socket;           /* NULL: nobody */
    phase phase;
    bool told;                          /* the manager knows the phase */
    char status[STATUS_ROOM], status_told[STATUS_ROOM];
    int64_t status_boot_ms, progress_boot_ms, sign_boot_ms, stalled_boot_ms;    /* when it was sent or said last; 0: never */
};

hv_rc
hv_supervision_new(const hv_supervision_config *config, hv_supervision **ret, hv_err *err)
{
    HV_AUTO(hv_supervision_free) hv_supervision *made = calloc(1, sizeof *made);

    if (made == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the service manager");
    made->config = *config;
    made->told = true;                  /* that we start is what it knows */
    if (config->boot_ms == NULL)
        made->config.boot_ms = hv_clock_boot_ms;
    hv_rc rc = config->socket != NULL ? hv_notify_socket_open(config->socket, &made->socket, err) : HV_OK;
    if (rc == HV_OK)
        *ret = HV_TAKE(made);
    return rc;
}

void
hv_supervision_free(hv_supervision *supervision)
{
    if (supervision == NULL)
        return;
    hv_notify_socket_close(supervision->socket);
    free(supervision);
}

static bool
is_due(int64_t last_boot_ms, int64_t interval_ms, int64_t now)
{
    return last_boot_ms == 0 || now - last_boot_ms >= interval_ms;
}

/* systemd orders a reload by the time it says, which is that of CLOCK_MONOTONIC. */
static uint64_t
monotonic_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
tell_state(hv_supervision *supervision)
{
    static const char *const texts[] = {[READY] = "READY=1", [STOPPING] = "STOPPING=1"};
    char reloading[80];

    if (supervision->told)
        return;
    (void)snprintf(reloading, sizeof reloading, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_us());
    supervision->told = supervision->socket == NULL ||
                        hv_notify_socket_send(supervision->socket, supervision->phase == RELOADING ? reloading : texts[supervision->phase]);
}

static void
enter(hv_supervision *supervision, phase entered)
{
    if (supervision->phase == entered || supervision->phase == STOPPING)
        return;
    supervision->phase = entered;
    supervision->told = false;
    tell_state(supervision);
}

void
hv_supervision_ready(hv_supervision *supervision)
{
    enter(supervision, READY);
}

bool
hv_supervision_is_ready(const hv_supervision *supervision)
{
    return supervision->phase == READY;
}

bool
hv_supervision_is_reloading(const hv_supervision *supervision)
{
    return supervision->phase == RELOADING;
}

void
hv_supervision_reloading(hv_supervision *supervision)
{
    if (supervision->phase == READY)    /* what is not ready yet says so when it is, with the new settings */
        enter(supervision, RELOADING);
}

void
hv_supervision_stopping(hv_supervision *supervision)
{
    enter(supervision, STOPPING);
}

void
hv_supervision_progress(hv_supervision *supervision)
{
    int64_t now = supervision->config.boot_ms();
    char text[64];

    if (supervision->socket == NULL || supervision->phase == READY || !is_due(supervision->progress_boot_ms, PROGRESS_MS, now))
        return;
    (void)snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%d", EXTENSION_US);
    if (hv_notify_socket_send(supervision->socket, text))
        supervision->progress_boot_ms = now;
}

static void
tell_status(hv_supervision *supervision)
{
    int64_t now = supervision->config.boot_ms();
    char text[STATUS_ROOM + sizeof "STATUS="];

    if (supervision->socket == NULL || strcmp(supervision->status, supervision->status_told) == 0 ||
        !is_due(supervision->status_boot_ms, STATUS_MS, now))
        return;
    (void)snprintf(text, sizeof text, "STATUS=%s", supervision->status);
    if (!hv_notify_socket_send(supervision->socket, text))
        return;
    memcpy(supervision->status_told, supervision->status, sizeof supervision->status);
    supervision->status_boot_ms = now;
}

void
hv_supervision_status(hv_supervision *supervision, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(supervision->status, sizeof supervision->status, format, args);
    va_end(args);
    for (char *c = supervision->status; *c != '\0'; c++)
        *c = (unsigned char)*c < 0x20 ? ' ' : *c;       /* a line end would begin another variable */
    tell_status(supervision);
}

int64_t
hv_supervision_patience_ms(const hv_supervision *supervision)
{
    return supervision->config.watchdog_ms > 0 ? supervision->config.watchdog_ms : PATIENCE_MS;
}

static void
say_stalled(hv_supervision *supervision, size_t count, const hv_archiver_thread *stalled, int64_t now)
{
    if (!is_due(supervision->stalled_boot_ms, STALLED_AGAIN_MS, now))
        return;
    supervision->stalled_boot_ms = now;
    HV_LINE(supervision->config.log, THREAD_STALLED, HV_LOG_N("threads", (int64_t)count), HV_LOG_T("thread", stalled->name),
            HV_LOG_N("silent_ms", stalled->silent_ms),
            HV_LOG_T("watchdog", supervision->socket != NULL && supervision->config.watchdog_ms > 0 ? "withheld" : "none"));
}

void
hv_supervision_tick(hv_supervision *supervision, size_t count, const hv_archiver_thread *stalled)
{
    int64_t now = supervision->config.boot_ms();

    tell_state(supervision);
    tell_status(supervision);
    if (count > 0) {
        say_stalled(supervision, count, stalled, now);
        return;
    }
    supervision->stalled_boot_ms = 0;
    if (supervision->socket == NULL || supervision->config.watchdog_ms <= 0 ||
        !is_due(supervision->sign_boot_ms, supervision->config.watchdog_ms / SIGNS_PER_INTERVAL, now))
        return;
    if (hv_notify_socket_send(supervision->socket, "WATCHDOG=1"))
        supervision->sign_boot_ms = now;
}
