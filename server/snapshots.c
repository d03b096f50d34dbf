/* One connection for questions per source, and the snapshotter over all of them. */
#include "server/snapshots.h"

#include <stdlib.h>

#include "archiver/snapshot.h"
#include "server/board.h"
#include "server/log_events.h"
#include "source/source_drivers.h"

struct hv_snapshot_service {
    hv_log *log;
    hv_board *board;
    hv_snapshot_source *sources;
    size_t source_count;
    hv_snapshotter *snapshotter;
};

static void
log_trouble(void *arg, const hv_err *err)
{
    hv_snapshot_service *service = arg;
    HV_LINE(service->log, SNAPSHOT_TROUBLE, HV_LOG_T("error", err->msg));
    hv_board_snapshot_failed(service->board, err);
}

static void
log_stored(void *arg, const char *hub, const char *group, int64_t number)
{
    hv_snapshot_service *service = arg;
    hv_log_field fields[] = {HV_LOG_T("hub", hub), HV_LOG_N("number", number), HV_LOG_T("group", group != NULL ? group : "")};

    hv_log_event_write(service->log, HV_LINE_SNAPSHOT_STORED, fields, group != NULL ? 3 : 2);
    hv_board_snapshot_stored(service->board, group != NULL);
}

/* A source that gets no connection is left out. */
static void
open_admins(hv_snapshot_service *service, const hv_sources *sources, hv_source *const *all, size_t count)
{
    hv_err err;

    for (size_t s = 0; s < count; s++) {
        hv_snapshot_source *at = &service->sources[service->source_count];
        at->source = all[s];
        if (hv_sources_open_admin(sources, s, &at->admin, &err) == HV_OK)
            service->source_count++;
        else
            log_trouble(service, &err);
    }
}

hv_rc
hv_snapshots_open(const hv_options *options, hv_log *log, hv_board *board, const hv_vault *vault, const hv_sources *sources,
                  bool thread, hv_snapshot_service **ret, hv_err *err)
{
    HV_AUTO(hv_snapshots_close) hv_snapshot_service *service = NULL;
    size_t count;
    hv_source *const *all = hv_sources_all(sources, &count);

    *ret = NULL;
    if (options->archiver_snapshot_interval_ms == 0)
        return HV_OK;
    service = calloc(1, sizeof *service);
    if (service != NULL)
        service->sources = calloc(count + 1, sizeof *service->sources);
    if (service == NULL || service->sources == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for snapshots");
    service->log = log;
    service->board = board;
    open_admins(service, sources, all, count);
    hv_snapshot_config config = {
        .sources = service->sources, .source_count = service->source_count, .storage = vault->storage, .index = vault->index,
        .vault = vault->marker.vault, .own_group = options->source_group, .interval_ms = options->archiver_snapshot_interval_ms,
        .trouble = log_trouble, .stored = log_stored, .arg = service,
    };
    hv_rc rc = hv_snapshotter_new(&config, &service->snapshotter, err);
    if (rc == HV_OK && thread)
        rc = hv_snapshotter_start(service->snapshotter, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(service);
    return rc;
}

void
hv_snapshots_take(hv_snapshot_service *service)
{
    hv_err err;

    if (service != NULL)
        (void)!hv_snapshotter_round(service->snapshotter, &err);        /* was told */
}

const hv_heart *
hv_snapshots_heart(const hv_snapshot_service *service)
{
    return service == NULL ? NULL : hv_snapshotter_heart(service->snapshotter);
}

hv_rc
hv_snapshots_refresh(const hv_snapshot_service *service, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t s = 0; service != NULL && rc == HV_OK && s < service->source_count; s++)
        rc = hv_admin_kafka_refresh(service->sources[s].admin, err);
    return rc;
}

void
hv_snapshots_close(hv_snapshot_service *service)
{
    if (service == NULL)
        return;
    hv_snapshotter_free(service->snapshotter);
    for (size_t s = 0; s < service->source_count; s++)
        hv_admin_close(service->sources[s].admin);
    free(service->sources);
    free(service);
}
