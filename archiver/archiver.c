/* Puts the shared engine and one capture per source together, and takes them apart in the order in which work flows. */
#include "archiver/archiver.h"

#include <stdlib.h>

#include "archiver/archiver_state.h"
#include "archiver/capture.h"
#include "archiver/engine.h"
#include "archiver/index_follower.h"
#include "archiver/scout.h"

struct hv_archiver {
    hv_engine *engine;
    hv_index_follower *follower;              /* NULL: nothing is followed */
    hv_capture **captures;
    size_t capture_count;
};

/* Ends the captures that run, then the follower. The first failure. */
static hv_rc
end(hv_archiver *archiver, hv_err *err)
{
    hv_rc first = HV_OK;
    hv_err one;

    for (size_t c = 0; c < archiver->capture_count; c++) {
        hv_rc rc = hv_capture_join(archiver->captures[c], &one);
        if (first == HV_OK && rc != HV_OK) {
            first = rc;
            *err = one;
        }
    }
    archiver->capture_count = 0;
    hv_index_follower_stop(archiver->follower);
    archiver->follower = NULL;
    return first;
}

static void
archiver_free(hv_archiver *archiver)
{
    hv_err err;

    if (archiver == NULL)
        return;
    for (size_t c = 0; c < archiver->capture_count; c++)
        hv_capture_stop(archiver->captures[c]);
    (void)!end(archiver, &err);
    hv_engine_free(archiver->engine);
    free(archiver->captures);
    free(archiver);
}
HV_DEFINE_AUTO(hv_archiver, archiver_free);

hv_rc
hv_archiver_start(const hv_archiver_config *config, hv_archiver **ret, hv_err *err)
{
    HV_AUTO(archiver_free) hv_archiver *archiver = calloc(1, sizeof *archiver);

    if (archiver == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for an archiver");
    archiver->captures = calloc(config->source_count + 1, sizeof(hv_capture *));
    if (archiver->captures == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu captures", config->source_count);
    hv_rc rc = hv_engine_new(config, &archiver->engine, err);
    if (rc == HV_OK && config->follow_ms > 0)
        rc = hv_index_follower_start(archiver->engine, &archiver->follower, err);
    if (rc == HV_OK)
        hv_engine_set_follower(archiver->engine, archiver->follower);
    for (size_t s = 0; rc == HV_OK && s < config->source_count; s++) {
        hv_membership *membership = config->memberships == NULL ? NULL : config->memberships[s];
        rc = hv_capture_start(archiver->engine, config->sources[s], membership, &archiver->captures[s], err);
        archiver->capture_count += rc == HV_OK;
    }
    if (rc == HV_OK)
        *ret = HV_TAKE(archiver);
    return rc;
}

void
hv_archiver_stop(hv_archiver *archiver)
{
    hv_engine_hurry(archiver->engine);
    for (size_t c = 0; c < archiver->capture_count; c++)
        hv_capture_stop(archiver->captures[c]);
}

bool
hv_archiver_ended(hv_archiver *archiver)
{
    for (size_t c = 0; c < archiver->capture_count; c++)
        if (!hv_capture_ended(archiver->captures[c]))
            return false;
    return true;
}

void
hv_archiver_totals_read(hv_archiver *archiver, hv_archiver_totals *ret)
{
    hv_engine_totals *totals = hv_engine_totals_of(archiver->engine);

    *ret = (hv_archiver_totals){.events = totals->events, .cuts = totals->cuts, .segments = totals->segments,
        .adopted = totals->adopted, .gap_offsets = totals->gap_offsets, .bytes_in = totals->bytes_in,
        .bytes_stored = totals->bytes_stored, .hubs = totals->hubs, .partitions = totals->partitions, .stopped = totals->stopped,
        .memory_bytes = hv_engine_budget(archiver->engine)->used, .memory_limit = hv_engine_budget(archiver->engine)->limit,
        .assigned = totals->assigned, .rebalances = totals->rebalances,
        .lost = totals->lost, .abandoned = totals->abandoned, .followed_cuts = totals->followed_cuts,
        .followed_segments = totals->followed_segments, .follow_looks = totals->follow_looks};
    for (size_t c = 0; c < archiver->capture_count; c++)
        ret->behind += archiver->captures[c]->behind;
}

void
hv_archiver_tune(hv_archiver *archiver, const hv_archiver_tuning *tuning)
{
    hv_engine_tuned *tuned = hv_engine_tuned_of(archiver->engine);

    if (tuning->max_bytes != 0)
        tuned->max_bytes = tuning->max_bytes;
    if (tuning->max_age_ms != 0)
        tuned->max_age_ms = tuning->max_age_ms;
    if (tuning->discovery_ms != 0)
        tuned->discovery_ms = tuning->discovery_ms;
    if (tuning->headroom_warning_ms != 0)
        tuned->headroom_warning_ms = tuning->headroom_warning_ms;
    if (tuning->memory_bytes != 0)
        hv_engine_budget(archiver->engine)->limit = tuning->memory_bytes;
}

void
hv_archiver_discover(hv_archiver *archiver)
{
    for (size_t c = 0; c < archiver->capture_count; c++)
        hv_scout_discover(archiver->captures[c]->scout);
}

const hv_histogram *
hv_archiver_index_latency(const hv_archiver *archiver)
{
    return hv_engine_index_latency(archiver->engine);
}

size_t
hv_archiver_stalled(const hv_archiver *archiver, int64_t limit_ms, hv_archiver_thread *ret, size_t max)
{
    size_t found = 0;

    for (size_t c = 0; c < archiver->capture_count; c++) {
        found = hv_engine_stalled_one(&archiver->captures[c]->heart, "capture", c, limit_ms, ret, max, found);
        found = hv_engine_stalled_one(&archiver->captures[c]->scout_heart, "scout", c, limit_ms, ret, max, found);
        for (size_t a = 0; a < HV_ADMITTERS; a++)
            found = hv_engine_stalled_one(&archiver->captures[c]->admitter_hearts[a], "admitter", c * HV_ADMITTERS + a, limit_ms, ret, max,
                                          found);
    }
    if (archiver->follower != NULL)
        found = hv_engine_stalled_one(hv_index_follower_heart(archiver->follower), "index-follower", 0, limit_ms, ret, max, found);
    return hv_engine_stalled(archiver->engine, limit_ms, ret, max, found);
}

hv_rc
hv_archiver_state_read(hv_archiver *archiver, hv_archiver_state *ret, hv_err *err)
{
    HV_AUTO(hv_archiver_state_clear) hv_archiver_state state = {.discovered = archiver->capture_count > 0};
    hv_rc rc = HV_OK;

    for (size_t c = 0; rc == HV_OK && c < archiver->capture_count; c++)
        rc = hv_published_add(&archiver->captures[c]->published, &state, err);
    if (rc != HV_OK)
        return rc;
    *ret = state;
    state = (hv_archiver_state){0};
    return HV_OK;
}

hv_rc
hv_archiver_join(hv_archiver *archiver, hv_archiver_totals *ret, hv_err *err)
{
    hv_rc rc = end(archiver, err);

    if (ret != NULL)
        hv_archiver_totals_read(archiver, ret);
    archiver_free(archiver);
    return rc;
}
