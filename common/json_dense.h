/*
 * JSON checked 64 bytes and then 64 tokens at a time. Private to common: for json_wide.c.
 */
#ifndef HV_COMMON_JSON_DENSE_H
#define HV_COMMON_JSON_DENSE_H

#include "common/json_wide.h"

/* Whether the machine has the instructions. */
bool hv_json_dense_works(void);

/* Of at least 64 bytes that begin, but for white space, with a bracket. */
hv_json_judgement hv_json_judge_dense(hv_slice bytes, bool *has_newline);

#endif
