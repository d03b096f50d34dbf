/*
 * Running this program again, as another process: for the demo, which shows the same commands that a person would type.
 */
#ifndef HV_CLI_CHILD_H
#define HV_CLI_CHILD_H

#include <sys/types.h>

#include "common/buf.h"

/* Run `hubvault words...` and append its standard output to `out`; *exit_status is its own. Standard error goes there too with `notes`,
 * and nowhere without. */
hv_rc hv_child_run(const char *const *words, bool notes, hv_buf *out, int *exit_status, hv_err *err) HV_MUST_USE;

/* Start it in the background, with both outputs appended to a file. */
hv_rc hv_child_start(const char *const *words, const char *log_path, pid_t *ret, hv_err *err) HV_MUST_USE;

/* Send a signal, wait for the end. */
hv_rc hv_child_end(pid_t child, int signal_number, hv_err *err) HV_MUST_USE;

#endif
