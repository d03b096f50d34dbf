/*
 * Everything is asked for in turn, a few times a second; nothing here waits. The service counts as ready when capture runs: every source
 * has been asked for its hubs, the places where their partitions go on are known, and a group has given us our share, even if that is none.
 */
#include "server/service_watch.h"

#include <inttypes.h>
#include <time.h>

#include "archiver/archiver_state.h"
#include "common/clock.h"
#include "server/log_events.h"

enum {
    TICK_MS = 20, UNHURRIED_TICK_MS = 200,      /* the end of --once is waited for */
    SUPERVISE_MS = 200,
    CHECK_READERS_MS = 60 * 60 * 1000,
};

typedef struct watched {
    int64_t supervised_boot_ms, readers_checked_boot_ms;
    bool stopped;
} watched;

static void
become_ready(const hv_service_watch *watch, const hv_archiver_totals *totals)
{
    HV_AUTO(hv_archiver_state_clear) hv_archiver_state state = {.discovered = false};
    hv_err err;

    if (hv_archiver_state_read(watch->archiver, &state, &err) != HV_OK || !state.discovered)
        return;
    if (watch->group && totals->rebalances == 0 && state.hub_count > 0)
        return;
    hv_supervision_ready(watch->supervision);
    hv_board_ready(watch->board);
    HV_LINE(watch->config->log, READY, HV_LOG_N("hubs", totals->hubs), HV_LOG_N("partitions", totals->partitions),
            HV_LOG_N("assigned", totals->assigned), HV_LOG_N("behind", totals->behind),
            HV_LOG_N("after_ms", hv_clock_boot_ms() - watch->began_boot_ms));
}

static void
say_status(const hv_service_watch *watch, const hv_archiver_totals *totals, bool stopped, const hv_archiver_thread *stalled)
{
    if (stalled != NULL)
        hv_supervision_status(watch->supervision, "thread %s has shown no progress for %" PRId64 " s", stalled->name, stalled->silent_ms / 1000);
    else if (stopped)
        hv_supervision_status(watch->supervision, "sealing what is open");
    else if (!hv_supervision_is_ready(watch->supervision))
        hv_supervision_status(watch->supervision, "waiting for the source to tell its hubs");
    else
        hv_supervision_status(watch->supervision, "capturing %" PRId64 " hubs, %" PRId64 " partitions; %" PRId64 " events to go; %" PRId64
                              " partitions stopped", totals->hubs, totals->assigned, totals->behind, totals->stopped);
}

static void
supervise(const hv_service_watch *watch, bool stopped)
{
    hv_archiver_thread stalled;
    hv_archiver_totals totals;

    hv_archiver_totals_read(watch->archiver, &totals);
    size_t count = hv_archiver_stalled(watch->archiver, hv_supervision_patience_ms(watch->supervision), &stalled, 1);
    if (!stopped && !hv_supervision_is_ready(watch->supervision))
        become_ready(watch, &totals);
    if (count == 0)
        hv_supervision_progress(watch->supervision);
    say_status(watch, &totals, stopped, count > 0 ? &stalled : NULL);
    hv_supervision_tick(watch->supervision, count, &stalled);
}

static void
stop(const hv_service_watch *watch)
{
    hv_supervision_stopping(watch->supervision);
    hv_board_phase(watch->board, HV_PHASE_STOPPING);
    hv_log_event_write(watch->config->log, HV_LINE_STOPPING, NULL, 0);
    hv_archiver_stop(watch->archiver);
}

static void
tick(const hv_service_watch *watch, watched *progress)
{
    int64_t now = hv_clock_boot_ms();

    if (watch->config->progress != NULL) {
        hv_archiver_totals totals;
        hv_archiver_totals_read(watch->archiver, &totals);
        watch->config->progress(watch->config->progress_arg, &totals);
    }
    if (atomic_load(watch->config->stop) && !progress->stopped) {
        progress->stopped = true;
        stop(watch);
    }
    if (!progress->stopped && hv_reload_is_due(watch->reload)) {
        hv_supervision_reloading(watch->supervision);
        hv_reload_do(watch->reload, watch->archiver);
        if (hv_supervision_is_reloading(watch->supervision))
            hv_supervision_ready(watch->supervision);
    }
    if (now - progress->supervised_boot_ms >= SUPERVISE_MS) {
        progress->supervised_boot_ms = now;
        supervise(watch, progress->stopped);
    }
    if (now - progress->readers_checked_boot_ms >= CHECK_READERS_MS) {
        int freed;
        hv_err err;
        progress->readers_checked_boot_ms = now;
        (void)!hv_index_check_readers(watch->index, &freed, &err);      /* a failed check costs disk space, nothing else */
    }
}

void
hv_service_watch_run(const hv_service_watch *watch)
{
    watched progress = {.readers_checked_boot_ms = hv_clock_boot_ms()};
    const struct timespec tick_time = {.tv_nsec = (watch->config->once ? TICK_MS : UNHURRIED_TICK_MS) * 1000000L};

    while (!hv_archiver_ended(watch->archiver)) {
        (void)nanosleep(&tick_time, NULL);
        tick(watch, &progress);
    }
}
