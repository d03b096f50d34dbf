#include "storage/storage_meter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"

typedef struct meter_storage {
    hv_storage base;
    hv_storage *inner;
    _Atomic uint64_t calls[HV_STORAGE_OPERATIONS][HV_RC_COUNT];
    hv_histogram put;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in open and close */
        unsigned putting;
        int64_t trying_since_boot_ms;   /* 0: the last put got through, and none is under way */
    } locked;
} meter_storage;

const char *
hv_storage_operation_text(hv_storage_operation operation)
{
    static const char *const texts[] = {
#define OPERATION_TEXT(name, text) text,
        HV_STORAGE_OPERATION_LIST(OPERATION_TEXT)
#undef OPERATION_TEXT
    };
    return texts[operation];
}

static hv_rc
count(meter_storage *meter, hv_storage_operation operation, hv_rc rc)
{
    atomic_fetch_add_explicit(&meter->calls[operation][rc], 1, memory_order_relaxed);
    return rc;
}

static void
begin_put(meter_storage *meter)
{
    pthread_mutex_lock(&meter->lock);
    meter->locked.putting++;
    if (meter->locked.trying_since_boot_ms == 0)
        meter->locked.trying_since_boot_ms = hv_clock_boot_ms();
    pthread_mutex_unlock(&meter->lock);
}

static void
end_put(meter_storage *meter, hv_rc rc)
{
    pthread_mutex_lock(&meter->lock);
    meter->locked.putting--;
    if (rc == HV_OK || rc == HV_EXISTS)         /* the store is there and takes puts */
        meter->locked.trying_since_boot_ms = meter->locked.putting > 0 ? hv_clock_boot_ms() : 0;
    pthread_mutex_unlock(&meter->lock);
}

static hv_rc
meter_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes,
              hv_err *err)
{
    meter_storage *meter = (meter_storage *)storage;

    begin_put(meter);
    int64_t began_us = hv_clock_boot_us();
    hv_rc rc = meter->inner->ops->put_new(meter->inner, name, parts, part_count, attributes, err);
    hv_histogram_add(&meter->put, hv_clock_boot_us() - began_us);
    end_put(meter, rc);
    return count(meter, HV_STORAGE_PUT, rc);
}

static hv_rc
meter_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    meter_storage *meter = (meter_storage *)storage;

    return count(meter, HV_STORAGE_GET, meter->inner->ops->get_range(meter->inner, name, position, len, ret, err));
}

static hv_rc
meter_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    meter_storage *meter = (meter_storage *)storage;

    return count(meter, HV_STORAGE_PROPERTIES, meter->inner->ops->properties(meter->inner, name, ret, err));
}

static hv_rc
meter_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    meter_storage *meter = (meter_storage *)storage;

    return count(meter, HV_STORAGE_LIST, meter->inner->ops->list(meter->inner, request, ret, err));
}

static hv_rc
meter_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    meter_storage *meter = (meter_storage *)storage;

    return count(meter, HV_STORAGE_DELETE, meter->inner->ops->delete_version(meter->inner, name, version, err));
}

static const char *
meter_location(const hv_storage *storage)
{
    const hv_storage *inner = ((const meter_storage *)storage)->inner;

    return inner->ops->location(inner);
}

static void
meter_close(hv_storage *storage)
{
    meter_storage *meter = (meter_storage *)storage;

    hv_storage_close(meter->inner);
    pthread_mutex_destroy(&meter->lock);
    free(meter);
}

hv_rc
hv_storage_meter_open(hv_storage *inner, hv_storage **ret, hv_err *err)
{
    static const hv_storage_ops ops = {
        .driver = "meter",
        .put_new = meter_put_new,
        .get_range = meter_get_range,
        .properties = meter_properties,
        .list = meter_list,
        .delete_version = meter_delete_version,
        .location = meter_location,
        .close = meter_close,
    };
    meter_storage *meter = calloc(1, sizeof *meter);

    if (meter == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to watch the store");
    pthread_mutex_init(&meter->lock, NULL);
    meter->base.ops = &ops;
    meter->inner = inner;
    *ret = &meter->base;
    return HV_OK;
}

void
hv_storage_meter_read(hv_storage *storage, hv_storage_meter_facts *ret)
{
    meter_storage *meter = (meter_storage *)storage;

    for (int o = 0; o < HV_STORAGE_OPERATIONS; o++)
        for (int r = 0; r < HV_RC_COUNT; r++)
            ret->calls[o][r] = atomic_load_explicit(&meter->calls[o][r], memory_order_relaxed);
    hv_histogram_read(&meter->put, &ret->put);
    pthread_mutex_lock(&meter->lock);
    int64_t since = meter->locked.trying_since_boot_ms;
    pthread_mutex_unlock(&meter->lock);
    ret->failing_ms = since == 0 ? 0 : hv_clock_boot_ms() - since;
}
