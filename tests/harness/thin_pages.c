/* Requests that were answered with an empty page are kept until they are asked again, so that it works for any number of threads. */
#include "tests/harness/thin_pages.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct asked {
    struct asked *next;
    char text[2 * HV_STORAGE_NAME_SIZE + 8];
} asked;

typedef struct thin_pages {
    hv_storage base;
    hv_storage *inner;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in open and close */
        asked *first;
        unsigned served, empty, shorter;
    } locked;
} thin_pages;

/* Whether it was answered with an empty page before, which is forgotten; else it is from now on. */
static bool
was_asked(thin_pages *thin, const hv_list_request *request)
{
    asked *one = calloc(1, sizeof *one);
    bool found = false;

    assert(one != NULL);
    (void)snprintf(one->text, sizeof one->text, "%s %d %s", request->prefix, (int)request->after, request->from == NULL ? "" : request->from);
    for (asked **at = &thin->locked.first; !found && *at != NULL; at = found ? at : &(*at)->next) {
        asked *here = *at;
        found = strcmp(here->text, one->text) == 0;
        if (found) {
            *at = here->next;
            free(here);
        }
    }
    if (found) {
        free(one);
        return true;
    }
    one->next = thin->locked.first;
    thin->locked.first = one;
    return false;
}

static hv_rc
thin_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    enum { MOST = 3 };
    thin_pages *thin = (thin_pages *)storage;
    hv_list_request thinner = *request;

    (void)pthread_mutex_lock(&thin->lock);
    bool again = was_asked(thin, request);
    size_t most = 1 + thin->locked.served % MOST;
    thin->locked.served += again;
    thin->locked.empty += !again;
    (void)pthread_mutex_unlock(&thin->lock);
    if (!again) {
        *ret = (hv_blob_list){.more = true};
        return HV_OK;
    }
    if (thinner.max > most)
        thinner.max = most;
    hv_rc rc = thin->inner->ops->list(thin->inner, &thinner, ret, err);
    (void)pthread_mutex_lock(&thin->lock);
    thin->locked.shorter += rc == HV_OK && ret->more && ret->count < request->max;
    (void)pthread_mutex_unlock(&thin->lock);
    return rc;
}

static hv_rc
thin_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes, hv_err *err)
{
    hv_storage *inner = ((thin_pages *)storage)->inner;

    return inner->ops->put_new(inner, name, parts, part_count, attributes, err);
}

static hv_rc
thin_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    hv_storage *inner = ((thin_pages *)storage)->inner;

    return inner->ops->get_range(inner, name, position, len, ret, err);
}

static hv_rc
thin_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    hv_storage *inner = ((thin_pages *)storage)->inner;

    return inner->ops->properties(inner, name, ret, err);
}

static hv_rc
thin_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    hv_storage *inner = ((thin_pages *)storage)->inner;

    return inner->ops->delete_version(inner, name, version, err);
}

static const char *
thin_location(const hv_storage *storage)
{
    (void)storage;
    return "thin:pages";
}

static void
thin_close(hv_storage *storage)
{
    thin_pages *thin = (thin_pages *)storage;

    for (asked *one = thin->locked.first, *next; one != NULL; one = next) {
        next = one->next;
        free(one);
    }
    (void)pthread_mutex_destroy(&thin->lock);
    free(thin);
}

static const hv_storage_ops thin_ops = {
    .driver = "thin",
    .put_new = thin_put_new,
    .get_range = thin_get_range,
    .properties = thin_properties,
    .list = thin_list,
    .delete_version = thin_delete_version,
    .location = thin_location,
    .close = thin_close,
};

hv_storage *
thin_pages_open(hv_storage *inner)
{
    thin_pages *thin = calloc(1, sizeof *thin);

    assert(thin != NULL);
    thin->base.ops = &thin_ops;
    thin->inner = inner;
    (void)pthread_mutex_init(&thin->lock, NULL);
    return &thin->base;
}

static unsigned
read_one(hv_storage *storage, const unsigned *number)
{
    pthread_mutex_t *lock = &((thin_pages *)storage)->lock;

    (void)pthread_mutex_lock(lock);
    unsigned value = *number;
    (void)pthread_mutex_unlock(lock);
    return value;
}

unsigned
thin_pages_empty(hv_storage *thin)
{
    return read_one(thin, &((thin_pages *)thin)->locked.empty);
}

unsigned
thin_pages_short(hv_storage *thin)
{
    return read_one(thin, &((thin_pages *)thin)->locked.shorter);
}
