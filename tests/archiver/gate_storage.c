#include "tests/archiver/gate_storage.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "segment/names.h"

typedef struct gate {
    hv_storage storage;                 /* first, so that one pointer is both */
    hv_storage *inner;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    gate_mode mode;                     /* these: while holding `lock` */
    unsigned puts, waiting, leads;
} gate;

static bool
is_sibling(const char *name)
{
    return hv_name_parse(name).kind == HV_NAME_SIBLING;
}

static hv_rc
pass_reading(gate *g, hv_err *err)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->mode == GATE_HOLDS_ALL)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    bool cut = g->mode == GATE_CUT;
    (void)pthread_mutex_unlock(&g->lock);
    return cut ? hv_err_set(err, HV_UNAVAILABLE, "the gate is shut") : HV_OK;
}

static hv_rc
pass_put(gate *g, const char *name, hv_err *err)
{
    hv_rc rc = HV_OK;

    (void)pthread_mutex_lock(&g->lock);
    g->puts++;
    g->waiting++;
    while (g->mode == GATE_HOLDS || g->mode == GATE_HOLDS_ALL || (g->mode == GATE_HOLDS_SIBLINGS && is_sibling(name)))
        (void)pthread_cond_wait(&g->changed, &g->lock);
    g->waiting--;
    if (g->mode == GATE_REFUSES || g->mode == GATE_CUT)
        rc = hv_err_set(err, HV_UNAVAILABLE, "the gate is shut");
    (void)pthread_mutex_unlock(&g->lock);
    return rc;
}

static hv_rc
gate_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes,
             hv_err *err)
{
    gate *g = (gate *)storage;
    hv_rc rc = pass_put(g, name, err);

    if (rc == HV_OK)
        rc = g->inner->ops->put_new(g->inner, name, parts, part_count, attributes, err);
    (void)pthread_mutex_lock(&g->lock);
    g->leads += rc == HV_OK && hv_name_parse(name).kind == HV_NAME_LEAD;
    (void)pthread_mutex_unlock(&g->lock);
    return rc;
}

static hv_rc
gate_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    gate *g = (gate *)storage;
    hv_rc rc = pass_reading(g, err);

    return rc != HV_OK ? rc : g->inner->ops->get_range(g->inner, name, position, len, ret, err);
}

static hv_rc
gate_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    gate *g = (gate *)storage;
    hv_rc rc = pass_reading(g, err);

    return rc != HV_OK ? rc : g->inner->ops->properties(g->inner, name, ret, err);
}

static hv_rc
gate_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    gate *g = (gate *)storage;
    hv_rc rc = pass_reading(g, err);

    return rc != HV_OK ? rc : g->inner->ops->list(g->inner, request, ret, err);
}

static hv_rc
gate_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    gate *g = (gate *)storage;

    return g->inner->ops->delete_version(g->inner, name, version, err);
}

static const char *
gate_location(const hv_storage *storage)
{
    (void)storage;
    return "gate:memory";
}

static void
gate_close(hv_storage *storage)
{
    gate *g = (gate *)storage;

    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->lock);
    free(g);
}

static const hv_storage_ops gate_ops = {
    .driver = "gate",
    .put_new = gate_put_new,
    .get_range = gate_get_range,
    .properties = gate_properties,
    .list = gate_list,
    .delete_version = gate_delete_version,
    .location = gate_location,
    .close = gate_close,
};

hv_storage *
gate_open(hv_storage *inner)
{
    gate *g = calloc(1, sizeof *g);

    assert(g != NULL);
    g->storage.ops = &gate_ops;
    g->inner = inner;
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
    return &g->storage;
}

void
gate_set(hv_storage *storage, gate_mode mode)
{
    gate *g = (gate *)storage;

    (void)pthread_mutex_lock(&g->lock);
    g->mode = mode;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

static unsigned
read_one(gate *g, const unsigned *number)
{
    (void)pthread_mutex_lock(&g->lock);
    unsigned value = *number;
    (void)pthread_mutex_unlock(&g->lock);
    return value;
}

unsigned
gate_puts(hv_storage *storage)
{
    return read_one((gate *)storage, &((gate *)storage)->puts);
}

unsigned
gate_waiting(hv_storage *storage)
{
    return read_one((gate *)storage, &((gate *)storage)->waiting);
}

unsigned
gate_leads(hv_storage *storage)
{
    return read_one((gate *)storage, &((gate *)storage)->leads);
}
