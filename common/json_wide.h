/*
 * JSON checked 64 bytes at a time. Private to common: hv_json_valid() is what everybody asks.
 */
#ifndef HV_COMMON_JSON_WIDE_H
#define HV_COMMON_JSON_WIDE_H

#include "common/buf.h"

typedef enum hv_json_judgement {
    HV_JSON_OPEN,                       /* not judged here: short, no object or array, deeply nested, or a machine without the instructions */
    HV_JSON_VALID,
    HV_JSON_INVALID,
} hv_json_judgement;

/* As hv_json_valid(); *has_newline is written with HV_JSON_VALID only. Any thread. */
hv_json_judgement hv_json_judge_wide(hv_slice bytes, bool *has_newline);

#endif
