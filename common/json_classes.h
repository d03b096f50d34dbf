/*
 * The bytes of a text sorted into the classes that JSON knows, 64 at a time. Private to common: for json_wide.c.
 */
#ifndef HV_COMMON_JSON_CLASSES_H
#define HV_COMMON_JSON_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HV_JSON_CHUNK = 64 };

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

/* Sort `count` chunks, which lie one behind the other at `bytes`. */
typedef void hv_json_classify(const unsigned char *bytes, size_t count, hv_json_classes *ret);

/* Way number `way` of those that this machine has instructions for; 0 is the quickest. NULL: there is none of that number. */
hv_json_classify *hv_json_classifier(unsigned way);

#endif
