/* What the process is about, shared by the replaced calls. */
#ifndef HV_TESTS_CAMPAIGN_KILL_STATE_H
#define HV_TESTS_CAMPAIGN_KILL_STATE_H

#include <stdbool.h>

bool kill_state_stopping(void);
bool kill_state_verifying(void);

#endif
