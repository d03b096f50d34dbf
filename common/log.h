/*
 * The log: one line per event of interest, as logfmt or JSON, with fields a program can read.
 *
 * There is no global log: whoever may log is given an hv_log. NULL is a log that is silent. Folders below archiver and replay return
 * their failures and do not log them. All functions but new and free may be called from any thread; a line is never mixed with another.
 */
#ifndef HV_COMMON_LOG_H
#define HV_COMMON_LOG_H

#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"

typedef struct hv_log hv_log;

#define HV_LOG_LEVEL_LIST(X) \
    X(ERROR, "error") \
    X(WARNING, "warning") \
    X(INFO, "info") \
    X(DEBUG, "debug")

typedef enum hv_log_level {
#define HV_LOG_LEVEL_NAME(name, text) HV_LOG_##name,
    HV_LOG_LEVEL_LIST(HV_LOG_LEVEL_NAME)
#undef HV_LOG_LEVEL_NAME
} hv_log_level;

typedef struct hv_log_config {
    FILE *to;                           /* borrowed */
    hv_log_level level;                 /* this and what is more important */
    bool json;
    bool journal;                       /* each line begins with "<N>", its syslog priority (sd-daemon(3)), and has no time of its own */
    const char *before;                 /* goes in front of each line: what takes a progress line off a terminal; NULL: nothing */
    unsigned burst;                     /* lines of one event id per interval, more are counted and not written; 0: no limit */
    int64_t interval_ms;
    int64_t (*wall_ms)(void);           /* NULL: hv_clock_wall_ms; for tests */
} hv_log_config;

hv_rc hv_log_new(const hv_log_config *config, hv_log **ret, hv_err *err) HV_MUST_USE;
/* Says what was held back, and frees. Accepts NULL. */
void hv_log_free(hv_log *log);
HV_DEFINE_AUTO(hv_log, hv_log_free);

/* Level and form from now on. */
void hv_log_tune(hv_log *log, hv_log_level level, bool json);

/* For the work before a line that nobody would see. */
bool hv_log_wants(const hv_log *log, hv_log_level level);

typedef struct hv_log_field {
    const char *name;                   /* [a-z_]; the names of the JSON output: time, level, event, msg and suppressed are taken */
    enum { HV_LOG_NUMBER, HV_LOG_TEXT } kind;
    int64_t number;
    const char *text;                   /* any bytes; NULL is written as an empty text */
} hv_log_field;

#define HV_LOG_N(field_name, value) ((hv_log_field){.name = (field_name), .kind = HV_LOG_NUMBER, .number = (value)})
#define HV_LOG_T(field_name, value) ((hv_log_field){.name = (field_name), .kind = HV_LOG_TEXT, .text = (value)})

/*
 * event: a fixed id like "segment-sealed", a literal; limits work per id. msg: a fixed sentence for people. Neither msg nor a field
 * may be a secret or a part of an event's key, value or headers; what looks like a credential is blotted out all the same.
 * A line that does not fit into 16 KiB, or cannot be written, is lost: logging never fails and never changes what the program does.
 *
 *   HV_LOG(log, HV_LOG_INFO, "segment-sealed", "sealed a segment", HV_LOG_T("hub", hub), HV_LOG_N("first", 17));
 */
void hv_log_write(hv_log *log, hv_log_level level, const char *event, const char *msg, const hv_log_field *fields, size_t count);

#define HV_LOG(log, level, event, ...) HV_LOG_(log, level, event, __VA_ARGS__, (hv_log_field){.name = NULL})
/* The last field is the closing one, so that a call without fields is possible. */
#define HV_LOG_(log, level, event, msg, ...) \
    hv_log_write(log, level, event, msg, (const hv_log_field[]){__VA_ARGS__}, \
                 sizeof((const hv_log_field[]){__VA_ARGS__}) / sizeof(hv_log_field) - 1)

#endif
