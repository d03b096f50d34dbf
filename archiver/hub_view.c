/* Two sorted lists. */
#include "archiver/hub_view.h"

#include <stdlib.h>

void
hv_hub_view_clear(hv_hub_view *view)
{
    free(view->hubs);
    free(view->incarnations);
    *view = (hv_hub_view){.hubs = NULL};
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const hv_source_hub *)a)->name, ((const hv_source_hub *)b)->name);
}

static int
by_hub_and_number(const void *a, const void *b)
{
    const hv_index_incarnation *x = a, *y = b;
    int order = strcmp(x->hub, y->hub);

    return order != 0 ? order : x->incarnation < y->incarnation ? -1 : x->incarnation > y->incarnation;
}

hv_rc
hv_hub_view_look(hv_source *source, hv_index *index, int timeout_ms, hv_hub_view *ret, hv_err *err)
{
    hv_hub_view view = {.hubs = NULL};

    hv_rc rc = source->ops->hubs(source, timeout_ms, &view.hubs, &view.hub_count, err);
    if (rc == HV_OK)
        rc = hv_index_incarnations(index, &view.incarnations, &view.incarnation_count, err);
    if (rc != HV_OK) {
        hv_hub_view_clear(&view);
        return rc;
    }
    if (view.hub_count > 0)
        qsort(view.hubs, view.hub_count, sizeof *view.hubs, by_name);
    if (view.incarnation_count > 0)
        qsort(view.incarnations, view.incarnation_count, sizeof *view.incarnations, by_hub_and_number);
    *ret = view;
    return HV_OK;
}

static const hv_source_hub *
find_hub(const hv_hub_view *view, const char *name)
{
    hv_source_hub wanted = {.partitions = 0};

    if (view->hub_count == 0)
        return NULL;
    memcpy(wanted.name, name, strlen(name) + 1);
    return bsearch(&wanted, view->hubs, view->hub_count, sizeof wanted, by_name);
}

/* The last one of the hub. */
static const hv_index_incarnation *
find_newest(const hv_hub_view *view, const char *name)
{
    size_t low = 0, high = view->incarnation_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(view->incarnations[middle].hub, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && strcmp(view->incarnations[low - 1].hub, name) == 0 ? &view->incarnations[low - 1] : NULL;
}

uint32_t
hv_hub_view_incarnation(const hv_hub_view *view, const char *name)
{
    const hv_source_hub *hub = find_hub(view, name);
    const hv_index_incarnation *newest = find_newest(view, name);

    if (hub == NULL || newest == NULL || hub->partitions == 0)
        return 0;
    bool other = hub->identity[0] != '\0' && newest->identity[0] != '\0' && strcmp(hub->identity, newest->identity) != 0;
    return other ? 0 : newest->incarnation;
}
