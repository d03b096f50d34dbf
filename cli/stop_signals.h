/*
 * SIGTERM and SIGINT as a flag. The signals are blocked in all threads that start afterwards and taken by a thread that waits for them, so
 * no handler runs in the middle of anything. A second signal ends the process at once, as if there were no handling at all.
 * SIGHUP is another one of these, or, for a service, a wish that is counted.
 */
#ifndef HV_CLI_STOP_SIGNALS_H
#define HV_CLI_STOP_SIGNALS_H

#include <stdatomic.h>

#include "common/auto.h"
#include "common/err.h"

typedef struct hv_stop_signals hv_stop_signals;

typedef enum hv_hangup { HV_HANGUP_AS_EVER, HV_HANGUP_STOPS, HV_HANGUP_RELOADS } hv_hangup;

/* Call before any other thread starts. */
hv_rc hv_stop_signals_start(hv_hangup hangup, hv_stop_signals **ret, hv_err *err) HV_MUST_USE;
/* With HV_HANGUP_RELOADS: how often SIGHUP has come. Lives as long as the object. */
const atomic_uint *hv_stop_signals_reloads(const hv_stop_signals *signals);
/* Becomes true with the first signal; lives as long as the object. */
const atomic_bool *hv_stop_signals_flag(const hv_stop_signals *signals);
/* Gives the signals their former meaning back. Accepts NULL. */
void hv_stop_signals_end(hv_stop_signals *signals);
HV_DEFINE_AUTO(hv_stop_signals, hv_stop_signals_end);

#endif
