/* What an archiver reports, as lines of the log. */
#ifndef HV_SERVER_REPORT_LOG_H
#define HV_SERVER_REPORT_LOG_H

#include "archiver/archiver.h"
#include "common/log.h"

/* For hv_archiver_config.report; `log` is the hv_log. */
void hv_log_report(void *log, const hv_archiver_report *report);

#endif
