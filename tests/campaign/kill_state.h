/* What the process is about, shared by the replaced calls. */
#ifndef HV_TESTS_CAMPAIGN_KILL_STATE_H
#define HV_TESTS_CAMPAIGN_KILL_STATE_H

#include <stdbool.h>

bool kill_state_stopping(void);
bool kill_state_verifying(void);
bool kill_state_releasing(void);        /* the group waits for partitions that it wants back */
bool kill_state_admitting(void);        /* it is being found out from where partitions that the group gave us are read */

#endif
