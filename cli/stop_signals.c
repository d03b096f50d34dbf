#include "cli/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct hv_stop_signals {
    atomic_bool stop, ending;
    atomic_uint reloads;
    hv_hangup hangup;
    sigset_t set, former;
    pthread_t thread;
};

static void *
wait_for_signals(void *arg)
{
    hv_stop_signals *signals = arg;
    const struct timespec patience = {.tv_sec = 1};

    while (!atomic_load(&signals->ending)) {
        int signal_number = sigtimedwait(&signals->set, NULL, &patience);
        if (signal_number <= 0 || atomic_load(&signals->ending))
            continue;
        if (signal_number == SIGHUP && signals->hangup == HV_HANGUP_RELOADS) {
            atomic_fetch_add(&signals->reloads, 1);
            continue;
        }
        if (atomic_load(&signals->stop)) {
            (void)pthread_sigmask(SIG_UNBLOCK, &signals->set, NULL);
            (void)raise(signal_number);
        }
        atomic_store(&signals->stop, true);
    }
    return NULL;
}

hv_rc
hv_stop_signals_start(hv_hangup hangup, hv_stop_signals **ret, hv_err *err)
{
    hv_stop_signals *signals = calloc(1, sizeof *signals);

    if (signals == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the handling of signals");
    sigemptyset(&signals->set);
    sigaddset(&signals->set, SIGTERM);
    sigaddset(&signals->set, SIGINT);
    if (hangup != HV_HANGUP_AS_EVER)
        sigaddset(&signals->set, SIGHUP);
    signals->hangup = hangup;
    (void)pthread_sigmask(SIG_BLOCK, &signals->set, &signals->former);
    if (pthread_create(&signals->thread, NULL, wait_for_signals, signals) != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &signals->former, NULL);
        free(signals);
        return hv_err_set(err, HV_IO, "cannot start a thread for signals");
    }
    *ret = signals;
    return HV_OK;
}

const atomic_bool *
hv_stop_signals_flag(const hv_stop_signals *signals)
{
    return &signals->stop;
}

const atomic_uint *
hv_stop_signals_reloads(const hv_stop_signals *signals)
{
    return &signals->reloads;
}

void
hv_stop_signals_end(hv_stop_signals *signals)
{
    if (signals == NULL)
        return;
    atomic_store(&signals->ending, true);
    (void)pthread_kill(signals->thread, SIGTERM);       /* blocked there, so it only ends the wait */
    pthread_join(signals->thread, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &signals->former, NULL);
    free(signals);
}
