/*
 * The segments of tests/golden/v1: what they are made of, and the text form in which their contents stand beside them.
 */
#ifndef HV_TESTS_SEGMENT_GOLDEN_CASES_H
#define HV_TESTS_SEGMENT_GOLDEN_CASES_H

#include "segment/segment_file.h"

typedef struct golden_case {
    const char *name;
    hv_codec codec;
    void (*build)(hv_buf *blob);
} golden_case;

enum { GOLDEN_CASES = 9 };
extern const golden_case golden_cases[GOLDEN_CASES];

/* What today's reader makes of a blob: its header as stored and a line feed; its events, one line of JSON each, bytes in hexadecimal. */
void golden_dump(hv_slice blob, hv_buf *header, hv_buf *events);

#endif
