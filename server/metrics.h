/* What /metrics says: the facts of the board in the text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). */
#ifndef HV_SERVER_METRICS_H
#define HV_SERVER_METRICS_H

#include "server/board.h"

/* Appends. HV_NOMEM, HV_LIMIT of the buffer. */
hv_rc hv_metrics_render(const hv_service_facts *facts, hv_buf *ret, hv_err *err) HV_MUST_USE;

#endif
