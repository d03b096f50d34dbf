/*
 * Errors: one list of codes, and a value that carries one line of text for a person.
 *
 * A function that can fail returns hv_rc and takes `hv_err *err` last, never NULL. The returned code alone decides what happens
 * next; err explains it. After HV_OK its contents mean nothing. An hv_err owns nothing and may be copied between threads.
 *
 * Exit status, retry class and meaning of a code stand in HV_RC_LIST and nowhere else.
 */
#ifndef HV_COMMON_ERR_H
#define HV_COMMON_ERR_H

#include <stdbool.h>

/*    name         exit  retry  meaning */
#define HV_RC_LIST(X) \
    X(OK,             0, false, "success") \
    X(INTERNAL,       1, false, "a bug in hubvault") \
    X(USAGE,          2, false, "bad command line, configuration or cursor") \
    X(NOT_FOUND,      3, false, "the named thing does not exist") \
    X(EXISTS,         4, false, "something immutable already has that name") \
    X(POLICY,         5, false, "refused by a retention rule, a lock or a legal hold") \
    X(CORRUPT,        6, false, "stored data is damaged, or somebody else wrote it") \
    X(AUTH,           7, false, "the other side refused our credentials") \
    X(UNAVAILABLE,    8, true,  "the other side is busy or cannot be reached; trying again is safe") \
    X(LIMIT,          9, false, "a configured limit of size, count or time was reached") \
    X(NOMEM,         10, false, "out of memory") \
    X(IO,            11, true,  "a file, socket or thread operation failed on this machine") \
    X(CLOSED,        12, false, "the queue or service is shutting down") \
    X(BUSY,          13, false, "in use by another process on this machine") \
    X(VERSION,       14, false, "written in a format version that this program does not know") \
    X(GAP,           15, false, "events are missing, or the check found faults")

typedef enum hv_rc {
#define HV_RC_NAME(name, exit_status, retriable, meaning) HV_##name,
    HV_RC_LIST(HV_RC_NAME)
#undef HV_RC_NAME
} hv_rc;

#define HV_RC_ONE(name, exit_status, retriable, meaning) + 1
enum { HV_RC_COUNT = 0 HV_RC_LIST(HV_RC_ONE) };
#undef HV_RC_ONE

typedef struct hv_err {
    hv_rc rc;
    char msg[1024];                     /* one line, cut off where it does not fit */
} hv_err;

#define HV_MUST_USE __attribute__((warn_unused_result))
#define HV_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* A new failure. Returns rc, for `return hv_err_set(err, HV_CORRUPT, ...)`. Text: lower case, no final period, names the thing,
 * the wrong value and what would be right. */
hv_rc hv_err_set(hv_err *err, hv_rc rc, const char *fmt, ...) HV_PRINTF(3, 4);

/* Puts what this layer knows before a failure from below: "<added>: <what was there>". Returns err->rc. */
hv_rc hv_err_prefix(hv_err *err, const char *fmt, ...) HV_PRINTF(2, 3);

const char *hv_rc_name(hv_rc rc);
const char *hv_rc_meaning(hv_rc rc);
int hv_rc_exit_status(hv_rc rc);

/* Whether the very same call may succeed later and does no harm when repeated. */
bool hv_rc_retriable(hv_rc rc);

#endif
