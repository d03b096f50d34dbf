#include "tests/archiver/late_store.h"

#include <string.h>

static bool
is_hidden(late_store *store, const char *name)
{
    return !atomic_load(&store->seen) && strstr(name, "/partition=") != NULL;
}

static hv_rc
late_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes, hv_err *err)
{
    late_store *store = (late_store *)storage;

    if (is_hidden(store, name))
        atomic_store(&store->seen, true);
    return store->inner->ops->put_new(store->inner, name, parts, part_count, attributes, err);
}

static hv_rc
late_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    late_store *store = (late_store *)storage;

    if (is_hidden(store, name))
        return hv_err_set(err, HV_NOT_FOUND, "blob '%s' cannot be seen yet", name);
    return store->inner->ops->get_range(store->inner, name, position, len, ret, err);
}

static hv_rc
late_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    late_store *store = (late_store *)storage;

    if (is_hidden(store, name))
        return hv_err_set(err, HV_NOT_FOUND, "blob '%s' cannot be seen yet", name);
    return store->inner->ops->properties(store->inner, name, ret, err);
}

static hv_rc
late_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    late_store *store = (late_store *)storage;

    if (is_hidden(store, request->prefix)) {
        *ret = (hv_blob_list){.count = 0};
        return HV_OK;
    }
    return store->inner->ops->list(store->inner, request, ret, err);
}

static hv_rc
late_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    late_store *store = (late_store *)storage;

    return store->inner->ops->delete_version(store->inner, name, version, err);
}

static const char *
late_location(const hv_storage *storage)
{
    (void)storage;
    return "late:";
}

static void
late_close(hv_storage *storage)
{
    (void)storage;
}

static const hv_storage_ops late_ops = {
    .driver = "late",
    .put_new = late_put_new,
    .get_range = late_get_range,
    .properties = late_properties,
    .list = late_list,
    .delete_version = late_delete_version,
    .location = late_location,
    .close = late_close,
};

void
late_store_make(late_store *store, hv_storage *inner)
{
    store->base.ops = &late_ops;
    store->inner = inner;
    atomic_store(&store->seen, false);
}
