/*
 * One lock, held while a part is pinned up, taken off or read. The main thread of the service and whoever watches take it, and the threads
 * of the archiver for a report; none of them does anything slow under it.
 */
#include "server/board.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/redact.h"
#include "server/health.h"
#include "server/process_facts.h"
#include "server/report_log.h"

struct hv_board {
    const hv_options *options;
    hv_log *log;
    int64_t started_wall_ms;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in new and free */
        hv_service_phase phase;
        int64_t phase_since_wall_ms;
        bool met, group;
        char vault[64];
        hv_storage *store;
        hv_archiver *archiver;
        const hv_reload *reload;
        const hv_heart *snapshots;
        hv_trouble_facts trouble;
        hv_answer_count answers[HV_BOARD_STATUSES];
        size_t answer_count;
    } locked;
};

const char *
hv_service_phase_text(hv_service_phase phase)
{
    static const char *const texts[] = {"starting", "rebuilding", "capturing", "stopping"};

    return texts[phase];
}

void
hv_kind_text(hv_rc rc, char ret[HV_KIND_SIZE])
{
    const char *name = hv_rc_name(rc);
    size_t len = 0;

    for (; name[len] != '\0' && len < HV_KIND_SIZE - 1; len++)
        ret[len] = name[len] >= 'A' && name[len] <= 'Z' ? (char)(name[len] - 'A' + 'a') : name[len];
    ret[len] = '\0';
}

hv_rc
hv_board_new(const hv_options *options, hv_log *log, hv_board **ret, hv_err *err)
{
    hv_board *board = calloc(1, sizeof *board);

    if (board == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for what the service shows of itself");
    pthread_mutex_init(&board->lock, NULL);
    board->options = options;
    board->log = log;
    board->started_wall_ms = board->locked.phase_since_wall_ms = hv_clock_wall_ms();
    *ret = board;
    return HV_OK;
}

void
hv_board_free(hv_board *board)
{
    if (board == NULL)
        return;
    pthread_mutex_destroy(&board->lock);
    free(board);
}

void
hv_board_phase(hv_board *board, hv_service_phase phase)
{
    pthread_mutex_lock(&board->lock);
    if (board->locked.phase != phase)
        board->locked.phase_since_wall_ms = hv_clock_wall_ms();
    board->locked.phase = phase;
    pthread_mutex_unlock(&board->lock);
}

void
hv_board_ready(hv_board *board)
{
    pthread_mutex_lock(&board->lock);
    board->locked.met = true;
    pthread_mutex_unlock(&board->lock);
}

void
hv_board_vault(hv_board *board, const char *vault, hv_storage *store)
{
    pthread_mutex_lock(&board->lock);
    board->locked.store = store;
    if (vault != NULL) {
        size_t len = strnlen(vault, sizeof board->locked.vault - 1);
        memcpy(board->locked.vault, vault, len);
        board->locked.vault[len] = '\0';
    }
    pthread_mutex_unlock(&board->lock);
}

void
hv_board_archiver(hv_board *board, hv_archiver *archiver, const hv_reload *reload, bool group)
{
    pthread_mutex_lock(&board->lock);
    board->locked.archiver = archiver;
    board->locked.reload = reload;
    board->locked.group = group;
    pthread_mutex_unlock(&board->lock);
}

void
hv_board_snapshots(hv_board *board, const hv_heart *heart)
{
    pthread_mutex_lock(&board->lock);
    board->locked.snapshots = heart;
    pthread_mutex_unlock(&board->lock);
}

/* Under the lock. */
static void
note_error(hv_trouble_facts *trouble, const hv_err *err, hv_rc rc, const hv_partition *partition)
{
    trouble->errors[rc]++;
    trouble->last_wall_ms = hv_clock_wall_ms();
    trouble->last_rc = rc;
    size_t len = strnlen(err->msg, sizeof trouble->last - 1);
    memcpy(trouble->last, err->msg, len);
    trouble->last[len] = '\0';
    hv_redact(trouble->last);
    trouble->last_has_partition = partition != NULL;
    if (partition != NULL)
        trouble->last_partition = *partition;
}

void
hv_board_report(void *arg, const hv_archiver_report *report)
{
    hv_board *board = arg;

    if ((report->event == HV_ARCHIVER_TROUBLE || report->event == HV_ARCHIVER_STOPPED) && report->err != NULL) {
        pthread_mutex_lock(&board->lock);
        if (report->event == HV_ARCHIVER_TROUBLE)
            board->locked.trouble.retries[report->operation]++;
        note_error(&board->locked.trouble, report->err, report->err->rc, report->partition);
        pthread_mutex_unlock(&board->lock);
    }
    hv_log_report(board->log, report);
}

void
hv_board_snapshot_stored(hv_board *board, bool of_group)
{
    pthread_mutex_lock(&board->lock);
    if (of_group)
        board->locked.trouble.snapshots_of_groups++;
    else
        board->locked.trouble.snapshots_of_topics++;
    pthread_mutex_unlock(&board->lock);
}

void
hv_board_snapshot_failed(hv_board *board, const hv_err *err)
{
    pthread_mutex_lock(&board->lock);
    board->locked.trouble.snapshot_failures++;
    note_error(&board->locked.trouble, err, err->rc, NULL);
    pthread_mutex_unlock(&board->lock);
}

void
hv_board_answered(hv_board *board, unsigned status)
{
    size_t at = 0;

    pthread_mutex_lock(&board->lock);
    while (at < board->locked.answer_count && board->locked.answers[at].status != status)
        at++;
    if (at < HV_BOARD_STATUSES) {
        board->locked.answers[at].status = status;
        board->locked.answers[at].count++;
        if (at == board->locked.answer_count)
            board->locked.answer_count++;
    }
    pthread_mutex_unlock(&board->lock);
}

/* Under the lock, which keeps the archiver there. */
static void
read_threads(const hv_board *board, hv_service_facts *facts)
{
    int64_t limit_ms = board->options->archiver_stall_limit_ms;
    size_t count = hv_archiver_stalled(board->locked.archiver, -1, facts->threads, HV_BOARD_THREADS - 1);

    facts->thread_count = count < HV_BOARD_THREADS - 1 ? count : HV_BOARD_THREADS - 1;
    if (board->locked.snapshots != NULL)
        facts->threads[facts->thread_count++] = (hv_archiver_thread){.name = "snapshots-0",
            .silent_ms = hv_heart_silent_ms(board->locked.snapshots, hv_clock_boot_ms())};
    facts->stalled_count = hv_archiver_stalled(board->locked.archiver, limit_ms, NULL, 0);
    if (board->locked.snapshots != NULL)
        facts->stalled_count += facts->threads[facts->thread_count - 1].silent_ms > limit_ms;
}

static hv_rc
read_archiver(const hv_board *board, hv_service_facts *facts, hv_err *err)
{
    hv_archiver *archiver = board->locked.archiver;

    hv_rc rc = hv_archiver_state_read(archiver, &facts->state, err);
    if (rc != HV_OK)
        return rc;
    facts->has_archiver = true;
    hv_archiver_totals_read(archiver, &facts->totals);
    read_threads(board, facts);
    hv_histogram_read(hv_archiver_index_latency(archiver), &facts->index_commit);
    if (board->locked.reload != NULL)
        facts->reload = hv_reload_facts_read(board->locked.reload);
    return HV_OK;
}

hv_rc
hv_service_facts_read(hv_board *board, hv_service_facts *ret, hv_err *err)
{
    HV_AUTO(hv_service_facts_clear) hv_service_facts facts = {.options = board->options, .started_wall_ms = board->started_wall_ms,
        .now_wall_ms = hv_clock_wall_ms()};
    hv_rc rc = HV_OK;

    hv_process_facts_read(&facts.process);
    pthread_mutex_lock(&board->lock);
    facts.phase = board->locked.phase;
    facts.phase_since_wall_ms = board->locked.phase_since_wall_ms;
    facts.met = board->locked.met;
    facts.group = board->locked.group;
    facts.trouble = board->locked.trouble;
    memcpy(facts.vault, board->locked.vault, sizeof facts.vault);
    memcpy(facts.answers, board->locked.answers, sizeof facts.answers);
    facts.answer_count = board->locked.answer_count;
    if (board->locked.store != NULL) {
        facts.has_store = true;
        hv_storage_meter_read(board->locked.store, &facts.store);
    }
    if (board->locked.archiver != NULL)
        rc = read_archiver(board, &facts, err);
    pthread_mutex_unlock(&board->lock);
    if (rc != HV_OK)
        return rc;
    facts.ready = hv_health_is_ready(&facts);
    *ret = facts;
    facts.state = (hv_archiver_state){.hubs = NULL};
    return HV_OK;
}

void
hv_service_facts_clear(hv_service_facts *facts)
{
    hv_archiver_state_clear(&facts->state);
}
