/*
 * JSON checked 64 bytes at a time. Private to common: hv_json_valid() is what everybody asks.
 */
#ifndef HV_COMMON_JSON_WIDE_H
#define HV_COMMON_JSON_WIDE_H

#include "common/buf.h"

/* What a machine may have instructions for, the fastest first. */
typedef enum hv_json_way {
    HV_JSON_DENSE,                      /* AVX-512 with VBMI2, and PCLMULQDQ */
    HV_JSON_AVX512,                     /* AVX-512BW */
    HV_JSON_AVX2,
    HV_JSON_BYTES,                      /* none of these */
} hv_json_way;

typedef enum hv_json_judgement {
    HV_JSON_OPEN,                       /* not judged here: short, no object or array, or deeply nested; or HV_JSON_BYTES */
    HV_JSON_VALID,
    HV_JSON_INVALID,
} hv_json_judgement;

hv_json_way hv_json_best_way(void);

/* As hv_json_valid(); *has_newline is written with HV_JSON_VALID only. The machine must have what `way` needs. Any thread. */
hv_json_judgement hv_json_judge_wide(hv_json_way way, hv_slice bytes, bool *has_newline);

/* hv_json_valid() with a choice, so that tests can take every way that the machine has. */
bool hv_json_valid_by(hv_json_way way, hv_slice bytes, bool *has_newline);

#endif
