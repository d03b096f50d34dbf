/*
 * Two sets of options are kept: what the process was started with, which is in force for whatever needs a restart, and the last one that
 * was read well, which is in force for the rest. The threads of the archiver and the sources get copies or atomic numbers, so that nothing
 * they use is freed with a set.
 */
#include "server/reload.h"

#include <stdlib.h>

#include "archiver/archiver_state.h"
#include "common/clock.h"
#include "common/glob.h"
#include "common/size_text.h"
#include "server/log_events.h"

enum { LONGEST_VALUE = 1 << 20 };

struct hv_reload {
    hv_reload_config config;
    hv_options latest;
    bool has_latest;
    unsigned seen;                      /* of the wishes */
    _Atomic int64_t done, refused, last_wall_ms;
    atomic_bool last_refused;
};

hv_rc
hv_reload_new(const hv_reload_config *config, hv_reload **ret, hv_err *err)
{
    hv_reload *reload = calloc(1, sizeof *reload);

    if (reload == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for reading the configuration again");
    reload->config = *config;
    *ret = reload;
    return HV_OK;
}

void
hv_reload_free(hv_reload *reload)
{
    if (reload == NULL)
        return;
    if (reload->has_latest)
        hv_options_clear(&reload->latest);
    free(reload);
}

bool
hv_reload_is_due(const hv_reload *reload)
{
    const atomic_uint *wishes = reload->config.service->reloads;

    return wishes != NULL && atomic_load(wishes) != reload->seen;
}

hv_reload_facts
hv_reload_facts_read(const hv_reload *reload)
{
    return (hv_reload_facts){.done = reload->done, .refused = reload->refused, .last_refused = reload->last_refused,
        .last_wall_ms = reload->last_wall_ms};
}

/* "none" where nothing is set. */
static hv_rc
value_of(const hv_options *options, const hv_option *option, hv_buf *to, hv_err *err)
{
    hv_option_put_value(options, option, to);
    if (to->len == 0)
        hv_buf_put_text(to, "none");
    return hv_buf_check(to, err);
}

typedef struct changes {
    int64_t taken, left;                /* options that were taken over; that need a restart */
} changes;

/* Compares one option and says in the log what is done about it. */
static hv_rc
compare(const hv_reload *reload, const hv_options *fresh, const hv_option *option, changes *count, hv_err *err)
{
    const hv_options *started = reload->config.service->options;
    const hv_options *in_force = option->reload && reload->has_latest ? &reload->latest : started;
    HV_AUTO(hv_buf_free) hv_buf former = HV_BUF_INIT(LONGEST_VALUE), now = HV_BUF_INIT(LONGEST_VALUE);

    hv_rc rc = value_of(in_force, option, &former, err);
    if (rc == HV_OK)
        rc = value_of(fresh, option, &now, err);
    if (rc != HV_OK || strcmp(former.data, now.data) == 0)
        return rc;
    if (option->reload) {
        count->taken++;
        HV_LINE(reload->config.service->log, OPTION_CHANGED, HV_LOG_T("option", option->name), HV_LOG_T("old", former.data),
                HV_LOG_T("new", now.data));
    } else {
        count->left++;
        HV_LINE(reload->config.service->log, OPTION_NEEDS_RESTART, HV_LOG_T("option", option->name), HV_LOG_T("old", former.data),
                HV_LOG_T("new", now.data));
    }
    return HV_OK;
}

/* What cuts may take: all but the quarter that the sources were given at the start, which they cannot give back. */
static int64_t
memory_for_cuts(const hv_reload *reload, const hv_options *fresh)
{
    return fresh->archiver_memory - reload->config.service->options->archiver_memory / 4;
}

/* A limit that would leave hardly anything for cuts needs a restart, and the one in force is kept. */
static void
check_memory(const hv_reload *reload, hv_options *fresh, changes *count)
{
    const hv_options *in_force = reload->has_latest ? &reload->latest : reload->config.service->options;

    if (memory_for_cuts(reload, fresh) >= fresh->archiver_memory / 4)
        return;
    count->left++;
    HV_LINE(reload->config.service->log, OPTION_NEEDS_RESTART, HV_LOG_T("option", "archiver.memory"),
            HV_LOG_T("old", hv_size_format(in_force->archiver_memory).text), HV_LOG_T("new", hv_size_format(fresh->archiver_memory).text));
    fresh->archiver_memory = in_force->archiver_memory;
}

static bool
is_wanted(const hv_options *options, const char *hub)
{
    return !hv_glob_match_any(options->source_exclude.items, options->source_exclude.count, hub) &&
           hv_glob_match_any(options->source_include.items, options->source_include.count, hub);
}

/* A hub that is read goes on being read, whatever the lists say; a group takes its partitions away. */
static void
tell_left_out(const hv_reload *reload, hv_archiver *archiver, const hv_options *fresh)
{
    HV_AUTO(hv_archiver_state_clear) hv_archiver_state state = {.discovered = false};
    hv_err err;

    if (reload->config.group || fresh->source_hub_credentials.count > 0 || hv_archiver_state_read(archiver, &state, &err) != HV_OK)
        return;
    for (size_t h = 0; h < state.hub_count; h++)
        if (!state.hubs[h].gone && !is_wanted(fresh, state.hubs[h].name))
            HV_LINE(reload->config.service->log, HUB_LEFT_OUT, HV_LOG_T("hub", state.hubs[h].name));
}

/* A secret that cannot be read is no reason to refuse the rest: the old one stays in use. */
static void
refresh_secrets(const hv_reload *reload)
{
    hv_err err;

    hv_rc rc = hv_sources_refresh(reload->config.sources, &err);
    if (rc == HV_OK)
        rc = hv_snapshots_refresh(reload->config.snapshots, &err);
    if (rc != HV_OK)
        HV_LINE(reload->config.service->log, SECRET_KEPT, HV_LOG_T("error", err.msg));
}

static hv_rc
take_over(hv_reload *reload, hv_archiver *archiver, hv_options *fresh, hv_err *err)
{
    hv_archiver_tuning tuning = {.max_bytes = (uint64_t)fresh->segment_max_bytes, .max_age_ms = fresh->segment_max_age_ms,
        .discovery_ms = fresh->source_discovery_interval_ms, .headroom_warning_ms = fresh->archiver_headroom_warning_ms,
        .memory_bytes = memory_for_cuts(reload, fresh)};

    hv_rc rc = hv_sources_reload(reload->config.sources, fresh, err);
    if (rc != HV_OK)
        return rc;
    refresh_secrets(reload);
    hv_log_tune(reload->config.service->log, (hv_log_level)fresh->log_level, fresh->log_format == HV_LOG_FORMAT_JSON);
    hv_archiver_tune(archiver, &tuning);
    tell_left_out(reload, archiver, fresh);
    hv_archiver_discover(archiver);
    if (reload->has_latest)
        hv_options_clear(&reload->latest);
    reload->latest = *fresh;
    reload->has_latest = true;
    *fresh = (hv_options){0};
    return HV_OK;
}

void
hv_reload_do(hv_reload *reload, hv_archiver *archiver)
{
    const hv_service_config *service = reload->config.service;
    HV_AUTO(hv_options_clear) hv_options fresh = {0};
    changes count = {0};
    hv_err err;

    reload->seen = atomic_load(service->reloads);
    hv_rc rc = service->read_options(service->read_options_arg, &fresh, &err);
    if (rc == HV_OK)
        check_memory(reload, &fresh, &count);
    for (size_t i = 0; rc == HV_OK && i < hv_option_count; i++)
        rc = compare(reload, &fresh, &hv_option_table[i], &count, &err);
    if (rc == HV_OK)
        rc = take_over(reload, archiver, &fresh, &err);
    reload->last_wall_ms = hv_clock_wall_ms();
    reload->last_refused = rc != HV_OK;
    if (rc == HV_OK) {
        reload->done++;
        HV_LINE(service->log, RELOADED, HV_LOG_N("changed", count.taken), HV_LOG_N("needs_restart", count.left));
    } else {
        reload->refused++;
        HV_LINE(service->log, RELOAD_REFUSED, HV_LOG_T("error", err.msg));
    }
}
