/*
 * One try to get a token. Inside of common/token.c.
 */
#ifndef HV_COMMON_TOKEN_REQUEST_H
#define HV_COMMON_TOKEN_REQUEST_H

#include "common/token.h"
#include "common/token_answer.h"

typedef enum hv_token_outcome {
    HV_TOKEN_GOT,
    HV_TOKEN_BUSY,                      /* another try may help */
    HV_TOKEN_UPGRADING,                 /* the identity service is being replaced: 410, up to 70 s */
    HV_TOKEN_REFUSED,                   /* it will not */
} hv_token_outcome;

/* All strings of the config are set where its kind needs them, and the defaults filled in. On anything but HV_TOKEN_GOT err says
 * why, and *retry_after_ms is what the server asked for, or -1. */
hv_token_outcome hv_token_request(const hv_token_config *config, const char *resource, hv_token_answer *ret,
                                  int64_t *retry_after_ms, hv_err *err);

#endif
