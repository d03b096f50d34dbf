/*
 * The bytes of a text sorted into the classes that JSON knows, 64 at a time. Private to common: for json_wide.c.
 */
#ifndef HV_COMMON_JSON_CLASSES_H
#define HV_COMMON_JSON_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json_odd.h"
#include "common/json_wide.h"

/* One chunk; bit n stands for its byte n. */
typedef struct hv_json_classes {
    uint64_t quote, backslash;
    uint64_t control;                   /* below 0x20 */
    uint64_t space;                     /* 0x20 only */
    uint64_t high;                      /* 0x80 and above */
    uint64_t open, close;               /* brackets of both kinds */
    uint64_t colon, comma;
    uint64_t digit, zero;
} hv_json_classes;

/* Sort `count` chunks, which lie one behind the other at `bytes`. NULL where the machine has no instructions for it. */
typedef void hv_json_classify(const unsigned char *bytes, size_t count, hv_json_classes *ret);
hv_json_classify *hv_json_classifier(hv_json_way way);

#endif
