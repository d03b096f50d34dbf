/*
 * /healthz, /readyz, /metrics and /status of a running service.
 */
#ifndef HV_SERVER_SERVICE_HTTP_H
#define HV_SERVER_SERVICE_HTTP_H

#include "common/log.h"
#include "server/board.h"
#include "server/http_server.h"

/*
 * Answers from the board until it is stopped; *ret is NULL where http.listen is off, or where `once` and nobody asked for it. If somebody
 * else has the address: a warning in the log and NULL where it is the default, HV_BUSY where it was chosen. HV_USAGE, HV_IO, HV_NOMEM.
 */
hv_rc hv_service_http_start(hv_board *board, const hv_options *options, bool once, hv_log *log, hv_http_server **ret, hv_err *err) HV_MUST_USE;

#endif
