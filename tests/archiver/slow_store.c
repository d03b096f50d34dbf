#include "tests/archiver/slow_store.h"

#include <string.h>
#include <time.h>

static hv_rc
slow_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes, hv_err *err)
{
    slow_store *store = (slow_store *)storage;
    enum { STEP_MS = 5 };
    bool is_segment = strstr(name, "/partition=") != NULL;

    for (int waited = 0; is_segment && waited < atomic_load(&store->put_ms); waited += STEP_MS)
        (void)nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    return store->inner->ops->put_new(store->inner, name, parts, part_count, attributes, err);
}

static hv_rc
slow_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    hv_storage *inner = ((slow_store *)storage)->inner;

    return inner->ops->get_range(inner, name, position, len, ret, err);
}

static hv_rc
slow_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    hv_storage *inner = ((slow_store *)storage)->inner;

    return inner->ops->properties(inner, name, ret, err);
}

static hv_rc
slow_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    hv_storage *inner = ((slow_store *)storage)->inner;

    return inner->ops->list(inner, request, ret, err);
}

static hv_rc
slow_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    hv_storage *inner = ((slow_store *)storage)->inner;

    return inner->ops->delete_version(inner, name, version, err);
}

static const char *
slow_location(const hv_storage *storage)
{
    (void)storage;
    return "slow:";
}

static void
slow_close(hv_storage *storage)
{
    (void)storage;
}

static const hv_storage_ops slow_ops = {
    .driver = "slow",
    .put_new = slow_put_new,
    .get_range = slow_get_range,
    .properties = slow_properties,
    .list = slow_list,
    .delete_version = slow_delete_version,
    .location = slow_location,
    .close = slow_close,
};

void
slow_store_make(slow_store *store, hv_storage *inner, int put_ms)
{
    store->base.ops = &slow_ops;
    store->inner = inner;
    atomic_store(&store->put_ms, put_ms);
}
