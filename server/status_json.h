/* What /status says: everything the board knows, one JSON object. */
#ifndef HV_SERVER_STATUS_JSON_H
#define HV_SERVER_STATUS_JSON_H

#include "server/board.h"

/* Appends. HV_NOMEM, HV_LIMIT of the buffer. */
hv_rc hv_status_json(const hv_service_facts *facts, hv_buf *ret, hv_err *err) HV_MUST_USE;

#endif
