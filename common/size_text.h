/*
 * Numbers of bytes as people write them. K, M, G and T are powers of 1024.
 */
#ifndef HV_COMMON_SIZE_TEXT_H
#define HV_COMMON_SIZE_TEXT_H

#include <stdint.h>

#include "common/err.h"

typedef struct hv_size_text {
    char text[32];
} hv_size_text;

/* Digits and at most one of K, M, G, T: "4096", "64M". HV_USAGE otherwise: "64m" and "64MB" too, so that nothing has to be guessed. */
hv_rc hv_size_parse(const char *text, int64_t *ret, hv_err *err) HV_MUST_USE;

/* The largest unit that says it exactly; hv_size_parse() reads it back. bytes is 0 or more. */
hv_size_text hv_size_format(int64_t bytes);

/* For eyes, three digits or so: "812 B", "8.0 MiB", "1.5 TiB". */
hv_size_text hv_size_round(uint64_t bytes);

#endif
