/*
 * Blobs in one array that is sorted by name, under one lock; nothing in here waits for anything but memory. Putting in order of
 * names, as capture does, appends; putting at the front moves 8 bytes per blob.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "storage/drivers.h"
#include "storage/storage_driver.h"

typedef struct mem_blob {
    char *name;
    hv_buf data;
    hv_blob_attributes attributes;
    int64_t created_ms;
} mem_blob;

struct mem_storage {
    hv_storage base;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in open and close */
        mem_blob **blobs;
        size_t count, room;
    } locked;
};

static void
mem_blob_free(mem_blob *blob)
{
    if (blob == NULL)
        return;
    hv_buf_free(&blob->data);
    free(blob->name);
    free(blob);
}
HV_DEFINE_AUTO(mem_blob, mem_blob_free);

/* The first blob that is not below name. */
static size_t
lower_bound(const struct mem_storage *mem, const char *name)
{
    size_t low = 0, high = mem->locked.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(mem->locked.blobs[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static mem_blob *
find(const struct mem_storage *mem, const char *name)
{
    size_t at = lower_bound(mem, name);

    return at < mem->locked.count && strcmp(mem->locked.blobs[at]->name, name) == 0 ? mem->locked.blobs[at] : NULL;
}

/* Whether name is a folder of a stored blob, or lies in a folder that is one. */
static bool
is_folder_and_blob(const struct mem_storage *mem, const char *name)
{
    char folder[HV_STORAGE_NAME_SIZE + 1];
    size_t len = strlen(name);

    memcpy(folder, name, len + 1);
    for (char *slash = strchr(folder, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (find(mem, folder) != NULL)
            return true;
        *slash = '/';
    }
    memcpy(folder + len, "/", 2);
    size_t at = lower_bound(mem, folder);
    return at < mem->locked.count && hv_storage_begins(mem->locked.blobs[at]->name, folder);
}

static hv_rc
mem_blob_make(const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes, mem_blob **ret,
              hv_err *err)
{
    HV_AUTO(mem_blob_free) mem_blob *blob = calloc(1, sizeof *blob);
    size_t len = 0;

    if (blob == NULL || (blob->name = strdup(name)) == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for blob '%s'", name);
    for (size_t i = 0; i < part_count; i++)
        len += parts[i].len;
    blob->data = (hv_buf)HV_BUF_INIT(len);
    for (size_t i = 0; i < part_count; i++)
        hv_buf_put(&blob->data, parts[i].data, parts[i].len);
    if (attributes != NULL)
        blob->attributes = *attributes;
    blob->created_ms = hv_clock_wall_ms();
    hv_rc rc = hv_buf_check(&blob->data, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(blob);
    return rc;
}

static hv_rc
insert(struct mem_storage *mem, mem_blob *blob, hv_err *err)
{
    size_t at = lower_bound(mem, blob->name), count = mem->locked.count;

    if (find(mem, blob->name) != NULL)
        return hv_err_set(err, HV_EXISTS, "'%s' is already stored", blob->name);
    if (is_folder_and_blob(mem, blob->name))
        return hv_err_set(err, HV_USAGE, "'%s' cannot be a blob and a folder of blobs at once", blob->name);
    if (count == mem->locked.room) {
        size_t room = count == 0 ? 16 : count * 2;
        mem_blob **moved = realloc(mem->locked.blobs, room * sizeof(mem_blob *));
        if (moved == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for %zu blobs", room);
        mem->locked.blobs = moved;
        mem->locked.room = room;
    }
    memmove(mem->locked.blobs + at + 1, mem->locked.blobs + at, (count - at) * sizeof(mem_blob *));
    mem->locked.blobs[at] = blob;
    mem->locked.count++;
    return HV_OK;
}

static hv_rc
mem_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes,
            hv_err *err)
{
    struct mem_storage *mem = (struct mem_storage *)storage;
    HV_AUTO(mem_blob_free) mem_blob *blob = NULL;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc == HV_OK)
        rc = mem_blob_make(name, parts, part_count, attributes, &blob, err);
    if (rc != HV_OK)
        return rc;
    pthread_mutex_lock(&mem->lock);
    rc = insert(mem, blob, err);
    pthread_mutex_unlock(&mem->lock);
    if (rc == HV_OK)
        (void)HV_TAKE(blob);
    return rc;
}

static hv_rc
not_found(const char *name, hv_err *err)
{
    return hv_err_set(err, HV_NOT_FOUND, "there is no blob '%s'", name);
}

static hv_rc
copy_range(const mem_blob *blob, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    size_t left = position < blob->data.len ? blob->data.len - (size_t)position : 0, n = len < left ? len : left;
    char *room;

    hv_rc rc = hv_storage_room(ret, n, &room, err);
    if (rc != HV_OK)
        return rc;
    if (n > 0)
        memcpy(room, blob->data.data + position, n);
    room[n] = '\0';
    ret->len += n;
    return HV_OK;
}

static hv_rc
mem_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    struct mem_storage *mem = (struct mem_storage *)storage;
    hv_rc rc = hv_storage_name_check(name, err);

    if (rc != HV_OK)
        return rc;
    pthread_mutex_lock(&mem->lock);
    const mem_blob *blob = find(mem, name);
    rc = blob == NULL ? not_found(name, err) : copy_range(blob, position, len, ret, err);
    pthread_mutex_unlock(&mem->lock);
    return rc;
}

static hv_rc
mem_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    struct mem_storage *mem = (struct mem_storage *)storage;
    hv_rc rc = hv_storage_name_check(name, err);

    if (rc != HV_OK)
        return rc;
    pthread_mutex_lock(&mem->lock);
    const mem_blob *blob = find(mem, name);
    if (blob == NULL)
        rc = not_found(name, err);
    else
        *ret = (hv_blob_properties){.size = blob->data.len, .created_ms = blob->created_ms, .attributes = blob->attributes};
    pthread_mutex_unlock(&mem->lock);
    return rc;
}

static hv_rc
list_locked(const struct mem_storage *mem, const hv_list_request *request, hv_blob_list *page, hv_err *err)
{
    bool from_counts = request->from != NULL && strcmp(request->from, request->prefix) > 0;
    size_t at = lower_bound(mem, from_counts ? request->from : request->prefix);

    for (; at < mem->locked.count && hv_storage_begins(mem->locked.blobs[at]->name, request->prefix); at++) {
        const mem_blob *blob = mem->locked.blobs[at];
        if (request->after && request->from != NULL && strcmp(blob->name, request->from) == 0)
            continue;
        if (page->count == request->max) {
            page->more = true;
            return HV_OK;
        }
        hv_rc rc = hv_blob_list_add(page, blob->name, blob->data.len, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

static hv_rc
mem_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    struct mem_storage *mem = (struct mem_storage *)storage;
    HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};

    assert(request->max > 0);
    hv_rc rc = hv_storage_prefix_check(request->prefix, err);
    if (rc != HV_OK)
        return rc;
    pthread_mutex_lock(&mem->lock);
    rc = list_locked(mem, request, &page, err);
    pthread_mutex_unlock(&mem->lock);
    if (rc != HV_OK)
        return rc;
    *ret = page;
    page = (hv_blob_list){.count = 0};
    return HV_OK;
}

static hv_rc
mem_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    struct mem_storage *mem = (struct mem_storage *)storage;
    HV_AUTO(mem_blob_free) mem_blob *blob = NULL;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc != HV_OK)
        return rc;
    if (version[0] != '\0')
        return hv_err_set(err, HV_NOT_FOUND, "there is no version '%s' of '%s': this store has no versions", version, name);
    pthread_mutex_lock(&mem->lock);
    blob = find(mem, name);
    if (blob != NULL) {
        size_t at = lower_bound(mem, name);
        mem->locked.count--;
        memmove(mem->locked.blobs + at, mem->locked.blobs + at + 1, (mem->locked.count - at) * sizeof(mem_blob *));
    }
    pthread_mutex_unlock(&mem->lock);
    return blob != NULL ? HV_OK : not_found(name, err);
}

static const char *
mem_location(const hv_storage *storage)
{
    (void)storage;
    return "mem:";
}

static void
mem_close(hv_storage *storage)
{
    struct mem_storage *mem = (struct mem_storage *)storage;

    for (size_t i = 0; i < mem->locked.count; i++)
        mem_blob_free(mem->locked.blobs[i]);
    free(mem->locked.blobs);
    pthread_mutex_destroy(&mem->lock);
    free(mem);
}

hv_rc
hv_storage_mem_open(hv_storage **ret, hv_err *err)
{
    static const hv_storage_ops ops = {
        .driver = "mem",
        .put_new = mem_put_new,
        .get_range = mem_get_range,
        .properties = mem_properties,
        .list = mem_list,
        .delete_version = mem_delete_version,
        .location = mem_location,
        .close = mem_close,
    };

    struct mem_storage *mem = calloc(1, sizeof *mem);
    if (mem == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the mem driver");
    if (pthread_mutex_init(&mem->lock, NULL) != 0) {
        free(mem);
        return hv_err_set(err, HV_NOMEM, "no memory for a lock");
    }
    mem->base.ops = &ops;
    *ret = &mem->base;
    return HV_OK;
}
