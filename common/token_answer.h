/*
 * What a token endpoint answers (RFC 6749 section 5; the managed identity endpoints differ in small things).
 */
#ifndef HV_COMMON_TOKEN_ANSWER_H
#define HV_COMMON_TOKEN_ANSWER_H

#include <stdint.h>

#include "common/secret.h"

typedef struct hv_token_answer {
    hv_secret token;
    int64_t lifetime_ms;                /* from now */
    int64_t refresh_ms;                 /* the server wants it to be renewed then; -1: it does not say */
} hv_token_answer;

/* HV_CORRUPT: not such an answer; HV_NOMEM. Numbers may be strings. Without expires_in, expires_on (seconds since 1970) counts.
 * *ret has to be all zero and is written on success only. */
hv_rc hv_token_answer_parse(hv_slice json, int64_t wall_ms, hv_token_answer *ret, hv_err *err) HV_MUST_USE;

/* Why a token was refused, in one short line: the fields error and error_description. */
void hv_token_error_text(hv_slice json, char *to, size_t size);

#endif
