/*
 * A decorator: counts operations and lets chosen ones fail, before or after the inner driver carried them out. Puts that "land
 * late" are copied and queued, oldest first: what a request does that was sent, timed out, and reaches the store minutes later.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "storage/drivers.h"
#include "storage/storage_driver.h"

typedef struct late_put {
    struct late_put *next;
    char *name;
    hv_buf data;
    hv_blob_attributes attributes;
    bool has_attributes;
} late_put;

struct fault_storage {
    hv_storage base;
    hv_storage_fault_config config;
    atomic_uint calls;
    atomic_bool fired;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in open and close */
        late_put *first;
    } locked;
};

static void
late_put_free(late_put *put)
{
    if (put == NULL)
        return;
    free(put->name);
    hv_buf_free(&put->data);
    free(put);
}
HV_DEFINE_AUTO(late_put, late_put_free);

/* Count one operation. True if it is one that has to fail. */
static bool
must_fail(struct fault_storage *fault)
{
    unsigned call = atomic_fetch_add(&fault->calls, 1), calls = fault->config.fail_calls == 0 ? 1 : fault->config.fail_calls;
    bool fail = call >= fault->config.fail_call && call - fault->config.fail_call < calls;

    if (fail)
        atomic_store(&fault->fired, true);
    return fail;
}

static hv_rc
injected(const struct fault_storage *fault, const char *operation, hv_err *err)
{
    return hv_err_set(err, fault->config.fail_with, "injected failure in %s", operation);
}

static hv_rc
keep_back(struct fault_storage *fault, const char *name, const hv_slice *parts, size_t part_count,
          const hv_blob_attributes *attributes, hv_err *err)
{
    HV_AUTO(late_put_free) late_put *put = calloc(1, sizeof *put);
    size_t len = 0;

    if (put == NULL || (put->name = strdup(name)) == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to keep the put of '%s' back", name);
    for (size_t i = 0; i < part_count; i++)
        len += parts[i].len;
    put->data = (hv_buf)HV_BUF_INIT(len);
    for (size_t i = 0; i < part_count; i++)
        hv_buf_put(&put->data, parts[i].data, parts[i].len);
    put->has_attributes = attributes != NULL;
    if (attributes != NULL)
        put->attributes = *attributes;
    hv_rc rc = hv_buf_check(&put->data, err);
    if (rc != HV_OK)
        return rc;

    pthread_mutex_lock(&fault->lock);
    late_put **last = &fault->locked.first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = HV_TAKE(put);
    pthread_mutex_unlock(&fault->lock);
    return HV_OK;
}

static hv_rc
fault_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes,
              hv_err *err)
{
    struct fault_storage *fault = (struct fault_storage *)storage;
    hv_storage *inner = fault->config.inner;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc != HV_OK)
        return rc;
    if (!must_fail(fault))
        return inner->ops->put_new(inner, name, parts, part_count, attributes, err);
    if (fault->config.lands_late) {
        rc = keep_back(fault, name, parts, part_count, attributes, err);
        if (rc != HV_OK)
            return rc;
    } else if (fault->config.takes_effect) {
        (void)inner->ops->put_new(inner, name, parts, part_count, attributes, err);
    }
    return injected(fault, "put_new", err);
}

static hv_rc
fault_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    struct fault_storage *fault = (struct fault_storage *)storage;
    hv_storage *inner = fault->config.inner;
    hv_rc rc = hv_storage_name_check(name, err);

    if (rc != HV_OK)
        return rc;
    return must_fail(fault) ? injected(fault, "get_range", err) : inner->ops->get_range(inner, name, position, len, ret, err);
}

static hv_rc
fault_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    struct fault_storage *fault = (struct fault_storage *)storage;
    hv_storage *inner = fault->config.inner;
    hv_rc rc = hv_storage_name_check(name, err);

    if (rc != HV_OK)
        return rc;
    return must_fail(fault) ? injected(fault, "properties", err) : inner->ops->properties(inner, name, ret, err);
}

static hv_rc
fault_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    struct fault_storage *fault = (struct fault_storage *)storage;
    hv_storage *inner = fault->config.inner;

    return must_fail(fault) ? injected(fault, "list", err) : inner->ops->list(inner, request, ret, err);
}

static hv_rc
fault_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    struct fault_storage *fault = (struct fault_storage *)storage;
    hv_storage *inner = fault->config.inner;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc != HV_OK)
        return rc;
    if (!must_fail(fault))
        return inner->ops->delete_version(inner, name, version, err);
    if (fault->config.takes_effect)
        (void)inner->ops->delete_version(inner, name, version, err);
    return injected(fault, "delete_version", err);
}

static const char *
fault_location(const hv_storage *storage)
{
    const hv_storage *inner = ((const struct fault_storage *)storage)->config.inner;

    return inner->ops->location(inner);
}

static void
fault_close(hv_storage *storage)
{
    struct fault_storage *fault = (struct fault_storage *)storage;

    for (late_put *put = fault->locked.first, *next; put != NULL; put = next) {
        next = put->next;
        late_put_free(put);
    }
    pthread_mutex_destroy(&fault->lock);
    free(fault);
}

hv_rc
hv_storage_fault_open(const hv_storage_fault_config *config, hv_storage **ret, hv_err *err)
{
    static const hv_storage_ops ops = {
        .driver = "fault",
        .put_new = fault_put_new,
        .get_range = fault_get_range,
        .properties = fault_properties,
        .list = fault_list,
        .delete_version = fault_delete_version,
        .location = fault_location,
        .close = fault_close,
    };

    assert(config->inner != NULL);
    struct fault_storage *fault = calloc(1, sizeof *fault);
    if (fault == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the fault driver");
    if (pthread_mutex_init(&fault->lock, NULL) != 0) {
        free(fault);
        return hv_err_set(err, HV_NOMEM, "no memory for a lock");
    }
    fault->base.ops = &ops;
    fault->config = *config;
    *ret = &fault->base;
    return HV_OK;
}

bool
hv_storage_fault_fired(const hv_storage *storage)
{
    return atomic_load(&((const struct fault_storage *)storage)->fired);
}

unsigned
hv_storage_fault_calls(const hv_storage *storage)
{
    return atomic_load(&((const struct fault_storage *)storage)->calls);
}

hv_rc
hv_storage_fault_land(hv_storage *storage, hv_err *err)
{
    struct fault_storage *fault = (struct fault_storage *)storage;
    hv_storage *inner = fault->config.inner;
    HV_AUTO(late_put_free) late_put *put = NULL;

    pthread_mutex_lock(&fault->lock);
    put = fault->locked.first;
    if (put != NULL)
        fault->locked.first = put->next;
    pthread_mutex_unlock(&fault->lock);
    if (put == NULL)
        return hv_err_set(err, HV_NOT_FOUND, "no put was kept back");
    hv_slice data = hv_buf_slice(&put->data);
    return inner->ops->put_new(inner, put->name, &data, 1, put->has_attributes ? &put->attributes : NULL, err);
}
