#include "tests/archiver/crowd_store.h"

#include <stdlib.h>
#include <string.h>

static bool
counts(const crowd_store *store, const char *name)
{
    return strstr(name, store->about) != NULL;
}

static void
come_in(crowd_store *store, const char *name, bool listing)
{
    if (!counts(store, name))
        return;
    (void)pthread_mutex_lock(&store->lock);
    unsigned call = store->locked.calls++;
    store->locked.inside++;
    if (store->locked.inside > store->locked.most)
        store->locked.most = store->locked.inside;
    (void)pthread_cond_broadcast(&store->changed);
    for (bool held = false; call >= store->locked.hold_from;) {
        store->locked.held += !held;
        held = true;
        (void)pthread_cond_wait(&store->changed, &store->lock);
        store->locked.held -= call < store->locked.hold_from;
    }
    while (listing && store->locked.inside < store->locked.gather)
        (void)pthread_cond_wait(&store->changed, &store->lock);
    if (listing)
        store->locked.gather = 0;       /* it has happened */
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

static void
go_out(crowd_store *store, const char *name)
{
    if (!counts(store, name))
        return;
    (void)pthread_mutex_lock(&store->lock);
    store->locked.inside--;
    (void)pthread_mutex_unlock(&store->lock);
}

static hv_rc
crowd_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes,
              hv_err *err)
{
    crowd_store *store = (crowd_store *)storage;

    come_in(store, name, false);
    hv_rc rc = store->inner->ops->put_new(store->inner, name, parts, part_count, attributes, err);
    go_out(store, name);
    return rc;
}

static hv_rc
crowd_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    crowd_store *store = (crowd_store *)storage;

    come_in(store, name, false);
    hv_rc rc = store->inner->ops->get_range(store->inner, name, position, len, ret, err);
    go_out(store, name);
    return rc;
}

static hv_rc
crowd_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    crowd_store *store = (crowd_store *)storage;

    come_in(store, name, false);
    hv_rc rc = store->inner->ops->properties(store->inner, name, ret, err);
    go_out(store, name);
    return rc;
}

static void
hide(crowd_store *store, hv_blob_list *list)
{
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; store->locked.hidden != NULL && i < list->count; i++)
        if (strcmp(list->entries[i].name, store->locked.hidden) == 0) {
            free(list->entries[i].name);
            list->count--;
            memmove(&list->entries[i], &list->entries[i + 1], (list->count - i) * sizeof *list->entries);
            store->locked.hidden = NULL;
        }
    (void)pthread_mutex_unlock(&store->lock);
}

static hv_rc
crowd_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    crowd_store *store = (crowd_store *)storage;

    come_in(store, request->prefix, true);
    hv_rc rc = store->inner->ops->list(store->inner, request, ret, err);
    if (rc == HV_OK)
        hide(store, ret);
    go_out(store, request->prefix);
    return rc;
}

static hv_rc
crowd_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    crowd_store *store = (crowd_store *)storage;

    return store->inner->ops->delete_version(store->inner, name, version, err);
}

static const char *
crowd_location(const hv_storage *storage)
{
    (void)storage;
    return "crowd:memory";
}

static void
crowd_close(hv_storage *storage)
{
    (void)storage;
}

void
crowd_make(crowd_store *store, hv_storage *inner, const char *about)
{
    static const hv_storage_ops ops = {
        .driver = "crowd",
        .put_new = crowd_put_new,
        .get_range = crowd_get_range,
        .properties = crowd_properties,
        .list = crowd_list,
        .delete_version = crowd_delete_version,
        .location = crowd_location,
        .close = crowd_close,
    };

    *store = (crowd_store){.base = {.ops = &ops}, .inner = inner, .about = about, .locked = {.hold_from = CROWD_NEVER}};
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->changed, NULL);
}

void
crowd_end(crowd_store *store)
{
    (void)pthread_cond_destroy(&store->changed);
    (void)pthread_mutex_destroy(&store->lock);
}

void
crowd_hold_from(crowd_store *store, unsigned call)
{
    (void)pthread_mutex_lock(&store->lock);
    store->locked.hold_from = call == CROWD_NEVER ? CROWD_NEVER : store->locked.calls + call;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

void
crowd_gather(crowd_store *store, unsigned count)
{
    (void)pthread_mutex_lock(&store->lock);
    store->locked.gather = count;
    (void)pthread_mutex_unlock(&store->lock);
}

void
crowd_hide_once(crowd_store *store, const char *name)
{
    (void)pthread_mutex_lock(&store->lock);
    store->locked.hidden = name;
    (void)pthread_mutex_unlock(&store->lock);
}

static unsigned
read_one(crowd_store *store, const unsigned *number)
{
    (void)pthread_mutex_lock(&store->lock);
    unsigned value = *number;
    (void)pthread_mutex_unlock(&store->lock);
    return value;
}

unsigned
crowd_calls(crowd_store *store)
{
    return read_one(store, &store->locked.calls);
}

unsigned
crowd_held(crowd_store *store)
{
    return read_one(store, &store->locked.held);
}

unsigned
crowd_most(crowd_store *store)
{
    return read_one(store, &store->locked.most);
}

bool
crowd_has_hidden(crowd_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    bool has = store->locked.hidden == NULL;
    (void)pthread_mutex_unlock(&store->lock);
    return has;
}
