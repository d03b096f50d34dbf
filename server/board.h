/*
 * The board: what the running service shows of itself. The service pins up its parts as they come and takes them off before they go;
 * whoever watches reads a copy of everything, at any moment of the service's life. All functions may be called from any thread.
 */
#ifndef HV_SERVER_BOARD_H
#define HV_SERVER_BOARD_H

#include "archiver/archiver_state.h"
#include "common/heartbeat.h"
#include "common/log.h"
#include "common/options.h"
#include "server/reload.h"
#include "storage/storage_meter.h"

typedef struct hv_board hv_board;

typedef enum hv_service_phase {
    HV_PHASE_STARTING,                  /* sources and vault are being opened */
    HV_PHASE_REBUILDING,                /* the index */
    HV_PHASE_CAPTURING,
    HV_PHASE_STOPPING,                  /* what is open is being sealed */
} hv_service_phase;

const char *hv_service_phase_text(hv_service_phase phase);

/* `options`: those of the start, borrowed. HV_NOMEM. */
hv_rc hv_board_new(const hv_options *options, hv_log *log, hv_board **ret, hv_err *err) HV_MUST_USE;
/* Nobody else uses it any more. Accepts NULL. */
void hv_board_free(hv_board *board);
HV_DEFINE_AUTO(hv_board, hv_board_free);

void hv_board_phase(hv_board *board, hv_service_phase phase);
/* Capture runs: what hubs there are is known, and what of them is ours. */
void hv_board_ready(hv_board *board);
/* `store` is one that hv_storage_meter_open() made. NULL takes it off. */
void hv_board_vault(hv_board *board, const char *vault, hv_storage *store);
/* NULL, NULL takes them off. */
void hv_board_archiver(hv_board *board, hv_archiver *archiver, const hv_reload *reload, bool group);
/* The thread of the snapshots; NULL takes it off. */
void hv_board_snapshots(hv_board *board, const hv_heart *heart);

/* For hv_archiver_config.report; `board` is the hv_board. Counts, and goes on to the log. */
void hv_board_report(void *board, const hv_archiver_report *report);
void hv_board_snapshot_stored(hv_board *board, bool of_group);
void hv_board_snapshot_failed(hv_board *board, const hv_err *err);
/* An answer of ours. */
void hv_board_answered(hv_board *board, unsigned status);

/* The name of a code as a label: "not_found". */
enum { HV_KIND_SIZE = 24 };
void hv_kind_text(hv_rc rc, char ret[HV_KIND_SIZE]);

/* What went wrong and was tried again. */
typedef struct hv_trouble_facts {
    uint64_t retries[HV_ARCHIVER_OPERATIONS];
    uint64_t errors[HV_RC_COUNT];
    int64_t last_wall_ms;               /* 0: there was none */
    hv_rc last_rc;
    char last[1024];                    /* credentials are blotted out */
    bool last_has_partition;
    hv_partition last_partition;
    uint64_t snapshots_of_groups, snapshots_of_topics, snapshot_failures;
} hv_trouble_facts;

typedef struct hv_process_facts {
    double cpu_s, start_s;              /* the latter since 1970 */
    int64_t resident_bytes, virtual_bytes, open_fds, max_fds;
} hv_process_facts;

enum { HV_BOARD_THREADS = 256, HV_BOARD_STATUSES = 8 };

/* How often the HTTP server has answered with one status. */
typedef struct hv_answer_count {
    unsigned status;
    uint64_t count;
} hv_answer_count;

typedef struct hv_service_facts {
    const hv_options *options;
    hv_service_phase phase;
    bool ready;                         /* all of what /readyz wants */
    bool met;                           /* hv_board_ready() was called */
    int64_t phase_since_wall_ms, started_wall_ms, now_wall_ms;
    char vault[64];                     /* empty: not open yet */
    bool group;
    bool has_archiver;                  /* the next block is known */
    hv_archiver_totals totals;
    hv_archiver_state state;
    hv_archiver_thread threads[HV_BOARD_THREADS];       /* all, if there are no more; those that wait for work are silent for 0 */
    size_t thread_count, stalled_count;
    hv_histogram_facts index_commit;
    hv_reload_facts reload;
    bool has_store;
    hv_storage_meter_facts store;
    hv_trouble_facts trouble;
    hv_answer_count answers[HV_BOARD_STATUSES];
    size_t answer_count;
    hv_process_facts process;
} hv_service_facts;

void hv_service_facts_clear(hv_service_facts *facts);
HV_DEFINE_AUTO_VALUE(hv_service_facts, hv_service_facts_clear);

/* HV_NOMEM. */
hv_rc hv_service_facts_read(hv_board *board, hv_service_facts *ret, hv_err *err) HV_MUST_USE;

#endif
