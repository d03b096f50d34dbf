/*
 * A line is put together by the caller's thread and handed to stdio under the lock of the stream: that keeps lines whole. Our own
 * lock protects the counters of the limit and is never held while writing.
 *
 * The limit knows up to ID_ROOM ids, which are literals and few; one that finds no room is never held back.
 */
#include "common/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "common/redact.h"
#include "common/time_text.h"

enum { ID_ROOM = 256, LINE_ROOM = 16 << 10 };

typedef struct id_row {
    char event[48];
    int64_t interval_start_ms;          /* CLOCK_BOOTTIME: a clock set back must not silence anything */
    unsigned written;
    uint64_t held_back;                 /* since the last line that was written */
} id_row;

struct hv_log {
    hv_log_config config;               /* but level and json, which may change */
    atomic_int level;
    atomic_bool json;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in new and free */
        id_row ids[ID_ROOM];
        size_t count;
    } locked;
};

/* One line under way. */
typedef struct log_line {
    hv_buf text;
    size_t start;                       /* where it begins, behind the priority */
    bool json;
} log_line;

static const char *const level_names[] = {
#define LEVEL_NAME(name, text) text,
    HV_LOG_LEVEL_LIST(LEVEL_NAME)
#undef LEVEL_NAME
};

hv_rc
hv_log_new(const hv_log_config *config, hv_log **ret, hv_err *err)
{
    hv_log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the log");
    log->config = *config;
    atomic_init(&log->level, (int)config->level);
    atomic_init(&log->json, config->json);
    if (log->config.wall_ms == NULL)
        log->config.wall_ms = hv_clock_wall_ms;
    if (pthread_mutex_init(&log->lock, NULL) != 0) {
        free(log);
        return hv_err_set(err, HV_NOMEM, "no memory for the lock of the log");
    }
    *ret = log;
    return HV_OK;
}

void
hv_log_tune(hv_log *log, hv_log_level level, bool json)
{
    if (log == NULL)
        return;
    atomic_store(&log->level, (int)level);
    atomic_store(&log->json, json);
}

bool
hv_log_wants(const hv_log *log, hv_log_level level)
{
    return log != NULL && (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

static id_row *
find_id(hv_log *log, const char *event)
{
    size_t i = 0;

    while (i < log->locked.count && strncmp(log->locked.ids[i].event, event, sizeof log->locked.ids[i].event - 1) != 0)
        i++;
    if (i < log->locked.count)
        return &log->locked.ids[i];
    if (i == ID_ROOM)
        return NULL;
    log->locked.count++;
    (void)snprintf(log->locked.ids[i].event, sizeof log->locked.ids[i].event, "%s", event);
    return &log->locked.ids[i];
}

/* Whether the line may be written; *held_back is then what was not since the last one. */
static bool
admit(hv_log *log, const char *event, uint64_t *held_back)
{
    int64_t now = hv_clock_boot_ms();
    bool admitted = true;

    *held_back = 0;
    if (log->config.burst == 0)
        return true;
    (void)pthread_mutex_lock(&log->lock);
    id_row *id = find_id(log, event);
    if (id != NULL) {
        if (id->written == 0 || now - id->interval_start_ms >= log->config.interval_ms) {
            id->interval_start_ms = now;
            id->written = 0;
        }
        admitted = id->written < log->config.burst;
        if (admitted) {
            id->written++;
            *held_back = id->held_back;
            id->held_back = 0;
        } else {
            id->held_back++;
        }
    }
    (void)pthread_mutex_unlock(&log->lock);
    return admitted;
}

/* Whether logfmt needs quotes around it. */
static bool
needs_quotes(const char *text)
{
    return *text == '\0' || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/@+-") != strlen(text);
}

static void
put_name(log_line *line, const char *name)
{
    bool first = line->text.len == line->start;

    if (line->json)
        hv_buf_printf(&line->text, "%s\"%s\":", first ? "{" : ",", name);
    else
        hv_buf_printf(&line->text, "%s%s=", first ? "" : " ", name);
}

static void
put_text(log_line *line, const char *name, const char *text)
{
    put_name(line, name);
    if (line->json || needs_quotes(text))
        hv_json_put_lossy(&line->text, hv_slice_text(text));
    else
        hv_buf_put_text(&line->text, text);
}

static void
put_number(log_line *line, const char *name, int64_t number)
{
    put_name(line, name);
    hv_buf_printf(&line->text, "%" PRId64, number);
}

static void
put_foreign_text(log_line *line, const char *name, const char *text)
{
    char copy[4096];

    (void)snprintf(copy, sizeof copy, "%s", text != NULL ? text : "");
    hv_redact(copy);
    put_text(line, name, copy);
}

/* The priorities of syslog(3), as sd-daemon(3) has them; the journal notes the time by itself. */
static void
put_beginning(const hv_log *log, log_line *line, hv_log_level level)
{
    static const int priorities[] = {[HV_LOG_ERROR] = 3, [HV_LOG_WARNING] = 4, [HV_LOG_INFO] = 6, [HV_LOG_DEBUG] = 7};

    if (log->config.journal) {
        hv_buf_printf(&line->text, "<%d>", priorities[level]);
        line->start = line->text.len;
    } else
        put_text(line, "time", hv_time_format(log->config.wall_ms()).text);
}

static void
write_line(hv_log *log, hv_log_level level, const char *event, const char *msg, const hv_log_field *fields, size_t count,
           uint64_t held_back)
{
    log_line line = {.text = HV_BUF_INIT(LINE_ROOM), .json = atomic_load_explicit(&log->json, memory_order_relaxed)};

    put_beginning(log, &line, level);
    put_text(&line, "level", level_names[level]);
    put_text(&line, "event", event);
    put_foreign_text(&line, "msg", msg);
    for (const hv_log_field *field = fields; field < fields + count; field++) {
        if (field->kind == HV_LOG_NUMBER)
            put_number(&line, field->name, field->number);
        else
            put_foreign_text(&line, field->name, field->text);
    }
    if (held_back > 0)
        put_number(&line, "suppressed", (int64_t)held_back);
    hv_buf_put_text(&line.text, line.json ? "}\n" : "\n");
    if (line.text.failed == HV_OK) {
        flockfile(log->config.to);
        if (log->config.before != NULL)
            (void)fputs(log->config.before, log->config.to);
        (void)fwrite(line.text.data, 1, line.text.len, log->config.to);
        funlockfile(log->config.to);
        (void)fflush(log->config.to);
    }
    hv_buf_free(&line.text);
}

void
hv_log_write(hv_log *log, hv_log_level level, const char *event, const char *msg, const hv_log_field *fields, size_t count)
{
    uint64_t held_back;

    if (hv_log_wants(log, level) && admit(log, event, &held_back))
        write_line(log, level, event, msg, fields, count, held_back);
}

void
hv_log_free(hv_log *log)
{
    if (log == NULL)
        return;
    for (const id_row *id = log->locked.ids; id < log->locked.ids + log->locked.count; id++)
        if (id->held_back > 0)
            write_line(log, HV_LOG_INFO, id->event, "more lines of this kind were held back", NULL, 0, id->held_back);
    (void)pthread_mutex_destroy(&log->lock);
    free(log);
}
