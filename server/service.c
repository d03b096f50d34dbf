/*
 * Wiring and order. Start: vault and its lock, sources, index (rebuilt if the disk was lost), archiver. Stop: polling first, then what is
 * being sealed, then the index, then the lock. Whatever is not sealed at the end is still in the hub.
 */
#include "server/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "archiver/rebuild.h"
#include "common/clock.h"
#include "segment/names.h"
#include "server/log_events.h"
#include "server/service_http.h"
#include "server/service_watch.h"
#include "server/snapshots.h"
#include "server/sources.h"
#include "server/vault.h"
#include "storage/listing.h"

enum {
    PATIENCE_MS = 20000,
    GIVE_UP_AFTER = 3,                  /* times source.timeout */
    PUT_DEADLINE_MS = 120000,           /* capture protocol: an incomplete foreign cut is left alone for two of these */
};

/* An index that knows nothing, of a store that has something: the disk was lost. */
static hv_rc
index_is_lost(const hv_vault *vault, bool *ret, hv_err *err)
{
    char found[HV_STORAGE_NAME_SIZE];
    hv_index_incarnation *incarnations = NULL;
    size_t count = 0;

    hv_rc rc = hv_index_incarnations(vault->index, &incarnations, &count, err);
    free(incarnations);
    if (rc != HV_OK)
        return rc;
    rc = hv_listing_first(vault->storage, &(hv_list_request){.prefix = HV_SEGMENTS_PREFIX}, found, err);
    if (rc != HV_OK && rc != HV_NOT_FOUND)
        return rc;
    *ret = rc == HV_OK && count == 0;
    return HV_OK;
}

static void
rebuild_progress(void *arg, const hv_rebuild_facts *so_far)
{
    hv_supervision_progress(arg);
    hv_supervision_status(arg, "rebuilding the index: %" PRId64 " cuts so far", so_far->cuts);
}

static hv_rc
rebuild_if_lost(const hv_service_config *config, const hv_vault *vault, hv_supervision *supervision, hv_board *board, hv_err *err)
{
    hv_rebuild_config rebuild = {.storage = vault->storage, .vault = vault->marker.vault, .index = vault->index, .stop = config->stop,
        .progress = rebuild_progress, .arg = supervision};
    hv_rebuild_facts facts = {0};
    bool lost = false;

    hv_rc rc = index_is_lost(vault, &lost, err);
    if (rc != HV_OK || !lost)
        return rc;
    int64_t began_ms = hv_clock_boot_ms();
    hv_log_event_write(config->log, HV_LINE_INDEX_REBUILD, NULL, 0);
    hv_board_phase(board, HV_PHASE_REBUILDING);
    rc = hv_rebuild(&rebuild, &facts, err);
    if (rc == HV_OK || rc == HV_GAP)
        HV_LINE(config->log, INDEX_REBUILT, HV_LOG_N("cuts", facts.cuts), HV_LOG_N("events", facts.events),
                 HV_LOG_N("problems", facts.problems), HV_LOG_N("took_ms", hv_clock_boot_ms() - began_ms));
    return rc == HV_GAP ? HV_OK : rc;   /* what is wrong with a partition stops that partition */
}

static hv_archiver_config
archiver_config(const hv_service_config *config, const hv_vault *vault, const hv_sources *sources, hv_board *board)
{
    const hv_options *options = config->options;
    hv_archiver_config made = {.storage = vault->storage, .index = vault->index, .vault = vault->marker.vault,
        .codec = (hv_codec)options->segment_codec, .level = (int)options->segment_level,
        .block_bytes = (size_t)options->segment_block_bytes, .max_bytes = (uint64_t)options->segment_max_bytes,
        .max_age_ms = options->segment_max_age_ms, .memory_bytes = options->archiver_memory / 4 * 3,
        .workers = (unsigned)options->archiver_workers, .uploaders = (unsigned)options->archiver_uploaders, .once = config->once,
        .discovery_ms = options->source_discovery_interval_ms,
        .follow_ms = config->once ? 0 : options->archiver_follow_interval_ms, .headroom_warning_ms = options->archiver_headroom_warning_ms,
        .commit = options->archiver_group_commit, .foreign_wait_ms = 2 * PUT_DEADLINE_MS, .patience_ms = PATIENCE_MS,
        .give_up_ms = GIVE_UP_AFTER * options->source_timeout_ms, .report = hv_board_report, .report_arg = board};

    made.sources = hv_sources_all(sources, &made.source_count);
    return made;
}

static void
log_start(const hv_service_config *config, const hv_vault *vault, const hv_archiver_config *made)
{
    const hv_options *options = config->options;
    hv_log_field fields[] = {
        HV_LOG_T("vault", vault->marker.vault),
        HV_LOG_T("store", vault->storage->ops->location(vault->storage)),
        HV_LOG_T("index", options->index_dir),
        HV_LOG_N("sources", (int64_t)made->source_count),
        HV_LOG_T("assignment", made->memberships != NULL ? "group" : "all"),
        HV_LOG_N("max_bytes", (int64_t)made->max_bytes),
        HV_LOG_N("max_age_ms", made->max_age_ms),
        HV_LOG_N("memory_bytes", options->archiver_memory),
        HV_LOG_N("uploaders", made->uploaders),
        HV_LOG_N("follow_ms", made->follow_ms),
        HV_LOG_N("headroom_warning_ms", made->headroom_warning_ms),
    };

    hv_log_event_write(config->log, HV_LINE_STARTED, fields, sizeof fields / sizeof *fields);
}

static void
log_end(hv_log *log, const hv_archiver_totals *totals, int64_t ran_ms)
{
    HV_LINE(log, ENDED, HV_LOG_N("hubs", totals->hubs), HV_LOG_N("partitions", totals->partitions), HV_LOG_N("events", totals->events),
             HV_LOG_N("cuts", totals->cuts), HV_LOG_N("adopted", totals->adopted), HV_LOG_N("gap_offsets", totals->gap_offsets),
             HV_LOG_N("bytes_in", (int64_t)totals->bytes_in), HV_LOG_N("bytes_stored", (int64_t)totals->bytes_stored),
             HV_LOG_N("stopped", totals->stopped), HV_LOG_N("abandoned", totals->abandoned), HV_LOG_N("ran_ms", ran_ms));
}

static hv_rc
open_supervision(const hv_service_config *config, hv_supervision **ret, hv_err *err)
{
    hv_supervision_config made = {.socket = config->notify_socket, .watchdog_ms = config->watchdog_ms, .log = config->log};

    return hv_supervision_new(&made, ret, err);
}

/* The first to be there: who asks during a long rebuild gets an answer. */
static hv_rc
open_board(const hv_service_config *config, hv_board **ret, hv_http_server **ret_http, hv_err *err)
{
    hv_rc rc = hv_board_new(config->options, config->log, ret, err);

    return rc == HV_OK ? hv_service_http_start(*ret, config->options, config->once, config->log, ret_http, err) : rc;
}

/* With a meter on the store, which the board reads. */
static hv_rc
open_vault(const hv_service_config *config, hv_board *board, hv_vault **ret, hv_err *err)
{
    hv_storage *metered = NULL;

    hv_rc rc = hv_vault_open(config->options, HV_VAULT_WRITE | HV_VAULT_CREATE, ret, err);
    if (rc == HV_OK)
        rc = hv_storage_meter_open((*ret)->storage, &metered, err);
    if (rc != HV_OK)
        return rc;
    (*ret)->storage = metered;
    hv_board_vault(board, (*ret)->marker.vault, metered);
    return HV_OK;
}

hv_rc
hv_service_run(const hv_service_config *config, hv_archiver_totals *ret, hv_err *err)
{
    HV_AUTO(hv_board_free) hv_board *board = NULL;
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    HV_AUTO(hv_snapshots_close) hv_snapshot_service *snapshots = NULL;
    HV_AUTO(hv_supervision_free) hv_supervision *supervision = NULL;
    HV_AUTO(hv_reload_free) hv_reload *reload = NULL;
    HV_AUTO(hv_http_server_stop) hv_http_server *http = NULL;           /* stopped before anything that it reads goes */
    hv_archiver *archiver = NULL;
    int64_t began_ms = hv_clock_boot_ms();

    hv_rc rc = open_supervision(config, &supervision, err);
    if (rc == HV_OK)
        rc = open_board(config, &board, &http, err);
    /* Before the vault: a wrong credential must not leave an empty vault behind. */
    if (rc == HV_OK)
        rc = config->once ? hv_sources_open(config->options, &sources, err) : hv_sources_open_unhurried(config->options, &sources, err);
    if (rc == HV_OK)
        rc = open_vault(config, board, &vault, err);
    if (rc == HV_OK)
        rc = rebuild_if_lost(config, vault, supervision, board, err);
    if (rc == HV_CLOSED && atomic_load(config->stop)) {         /* told to stop; the next start begins the rebuild again */
        *ret = (hv_archiver_totals){0};
        return HV_OK;
    }
    if (rc == HV_OK)
        rc = hv_snapshots_open(config->options, config->log, board, vault, sources, !config->once, &snapshots, err);
    if (rc != HV_OK)
        return rc;
    hv_archiver_config made = archiver_config(config, vault, sources, board);
    if (!config->once)
        rc = hv_sources_join(sources, config->options, vault->marker.vault, &made.memberships, err);
    if (rc == HV_OK)
        rc = hv_reload_new(&(hv_reload_config){.service = config, .sources = sources, .snapshots = snapshots,
                           .group = made.memberships != NULL}, &reload, err);
    if (rc == HV_OK)
        rc = hv_archiver_start(&made, &archiver, err);
    if (rc != HV_OK)
        return rc;
    log_start(config, vault, &made);
    hv_board_archiver(board, archiver, reload, made.memberships != NULL);
    if (!config->once)
        hv_board_snapshots(board, hv_snapshots_heart(snapshots));
    hv_board_phase(board, HV_PHASE_CAPTURING);
    hv_service_watch_run(&(hv_service_watch){.config = config, .archiver = archiver, .index = vault->index, .supervision = supervision,
        .board = board, .reload = reload, .group = made.memberships != NULL, .began_boot_ms = began_ms});
    hv_board_phase(board, HV_PHASE_STOPPING);
    hv_board_archiver(board, NULL, NULL, made.memberships != NULL);
    rc = hv_archiver_join(archiver, ret, err);
    if (config->once)
        hv_snapshots_take(snapshots);
    log_end(config->log, ret, hv_clock_boot_ms() - began_ms);
    return rc;
}
