/* Messages are formatted into the caller's value: reporting a failure allocates nothing and cannot fail itself. */
#include "common/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct rc_row {
    const char *name, *meaning;
    int exit_status;
    bool retriable;
} rows[] = {
#define RC_ROW(name, exit_status, retriable, meaning) {#name, meaning, exit_status, retriable},
    HV_RC_LIST(RC_ROW)
#undef RC_ROW
};

hv_rc
hv_err_set(hv_err *err, hv_rc rc, const char *fmt, ...)
{
    va_list args;

    assert(rc != HV_OK);
    err->rc = rc;
    va_start(args, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    return rc;
}

hv_rc
hv_err_prefix(hv_err *err, const char *fmt, ...)
{
    char added[sizeof err->msg], below[sizeof err->msg];
    va_list args;

    assert(err->rc != HV_OK);
    va_start(args, fmt);
    (void)vsnprintf(added, sizeof added, fmt, args);
    va_end(args);
    memcpy(below, err->msg, sizeof below);
    size_t used = strlen(added), room = sizeof err->msg - 1 - used;
    memcpy(err->msg, added, used);
    (void)snprintf(err->msg + used, room + 1, ": %.*s", (int)room, below);
    return err->rc;
}

const char *
hv_rc_name(hv_rc rc)
{
    return rows[rc].name;
}

const char *
hv_rc_meaning(hv_rc rc)
{
    return rows[rc].meaning;
}

int
hv_rc_exit_status(hv_rc rc)
{
    return rows[rc].exit_status;
}

bool
hv_rc_retriable(hv_rc rc)
{
    return rows[rc].retriable;
}
