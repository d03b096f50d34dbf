/*
 * A decorator that watches: how often the store was called and what it answered, how long puts took, and for how long none got through.
 */
#ifndef HV_STORAGE_STORAGE_METER_H
#define HV_STORAGE_STORAGE_METER_H

#include "common/histogram.h"
#include "storage/storage.h"

#define HV_STORAGE_OPERATION_LIST(X) \
    X(PUT,        "put") \
    X(GET,        "get") \
    X(PROPERTIES, "properties") \
    X(LIST,       "list") \
    X(DELETE,     "delete")

typedef enum hv_storage_operation {
#define HV_STORAGE_OPERATION_NAME(name, text) HV_STORAGE_##name,
    HV_STORAGE_OPERATION_LIST(HV_STORAGE_OPERATION_NAME)
#undef HV_STORAGE_OPERATION_NAME
    HV_STORAGE_OPERATIONS
} hv_storage_operation;

const char *hv_storage_operation_text(hv_storage_operation operation);

/* Passes everything on. Takes ownership of inner, on success only. HV_NOMEM. */
hv_rc hv_storage_meter_open(hv_storage *inner, hv_storage **ret, hv_err *err) HV_MUST_USE;

typedef struct hv_storage_meter_facts {
    uint64_t calls[HV_STORAGE_OPERATIONS][HV_RC_COUNT];
    hv_histogram_facts put;             /* whatever the answer */
    int64_t failing_ms;                 /* since the first try of a put after the last one that got through; 0: nothing was tried since */
} hv_storage_meter_facts;

/* Any thread. `storage` is one that hv_storage_meter_open() made. */
void hv_storage_meter_read(hv_storage *storage, hv_storage_meter_facts *ret);

#endif
