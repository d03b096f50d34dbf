/*
 * SIGTERM and SIGINT as a flag. The signals are blocked in all threads that start afterwards and taken by a thread that waits for them, so
 * no handler runs in the middle of anything. A second signal ends the process at once, as if there were no handling at all.
 */
#ifndef HV_CLI_STOP_SIGNALS_H
#define HV_CLI_STOP_SIGNALS_H

#include <stdatomic.h>

#include "common/auto.h"
#include "common/err.h"

typedef struct hv_stop_signals hv_stop_signals;

/* Call before any other thread starts. */
hv_rc hv_stop_signals_start(hv_stop_signals **ret, hv_err *err) HV_MUST_USE;
/* Becomes true with the first signal; lives as long as the object. */
const atomic_bool *hv_stop_signals_flag(const hv_stop_signals *signals);
/* Gives the signals their former meaning back. Accepts NULL. */
void hv_stop_signals_end(hv_stop_signals *signals);
HV_DEFINE_AUTO(hv_stop_signals, hv_stop_signals_end);

#endif
