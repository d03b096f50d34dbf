/* What the kernel says of this process, under the names that every Prometheus client uses. */
#ifndef HV_SERVER_PROCESS_FACTS_H
#define HV_SERVER_PROCESS_FACTS_H

#include "server/board.h"

/* A fact that cannot be read is 0. */
void hv_process_facts_read(hv_process_facts *ret);

#endif
