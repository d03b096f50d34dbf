#include "archiver/published.h"

#include <stdlib.h>
#include <string.h>

void
hv_archiver_state_clear(hv_archiver_state *state)
{
    free(state->hubs);
    free(state->partitions);
    *state = (hv_archiver_state){0};
}

void
hv_published_init(hv_published *published)
{
    *published = (hv_published){0};
    pthread_mutex_init(&published->lock, NULL);
}

void
hv_published_clear(hv_published *published)
{
    hv_archiver_state_clear(&published->locked.state);
    pthread_mutex_destroy(&published->lock);
}

void
hv_published_swap(hv_published *published, hv_archiver_state *state)
{
    pthread_mutex_lock(&published->lock);
    hv_archiver_state before = published->locked.state;
    published->locked.state = *state;
    pthread_mutex_unlock(&published->lock);
    *state = before;
}

/* Room in *state for as many more. */
static bool
make_room(hv_archiver_state *state, size_t hubs, size_t partitions)
{
    hv_hub_state *more_hubs = realloc(state->hubs, (state->hub_count + hubs + 1) * sizeof *more_hubs);

    if (more_hubs == NULL)
        return false;
    state->hubs = more_hubs;
    hv_partition_state *more = realloc(state->partitions, (state->partition_count + partitions + 1) * sizeof *more);
    if (more == NULL)
        return false;
    state->partitions = more;
    return true;
}

static void
append(hv_archiver_state *state, const hv_archiver_state *from)
{
    for (size_t h = 0; h < from->hub_count; h++) {
        state->hubs[state->hub_count + h] = from->hubs[h];
        state->hubs[state->hub_count + h].first += state->partition_count;
    }
    for (size_t p = 0; p < from->partition_count; p++) {
        state->partitions[state->partition_count + p] = from->partitions[p];
        state->partitions[state->partition_count + p].hub += state->hub_count;
    }
    bool first = state->hub_count == 0 && state->discovered_wall_ms == 0;
    if (first || from->discovered_wall_ms < state->discovered_wall_ms)
        state->discovered_wall_ms = from->discovered_wall_ms;
    state->discovered = state->discovered && from->discovered;
    state->hub_count += from->hub_count;
    state->partition_count += from->partition_count;
}

hv_rc
hv_published_add(hv_published *published, hv_archiver_state *state, hv_err *err)
{
    size_t hubs, partitions;
    bool fits = false;

    while (!fits) {                     /* it may grow while there is no lock; memory is not asked for under one */
        pthread_mutex_lock(&published->lock);
        hubs = published->locked.state.hub_count;
        partitions = published->locked.state.partition_count;
        pthread_mutex_unlock(&published->lock);
        if (!make_room(state, hubs, partitions))
            return hv_err_set(err, HV_NOMEM, "no memory for the state of %zu partitions", partitions);
        pthread_mutex_lock(&published->lock);
        fits = published->locked.state.hub_count <= hubs && published->locked.state.partition_count <= partitions;
        if (fits)
            append(state, &published->locked.state);
        pthread_mutex_unlock(&published->lock);
    }
    return HV_OK;
}
