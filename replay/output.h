/*
 * A file descriptor behind a large buffer: how sinks write bytes.
 *
 * Append to `buf` as to any hv_buf, then call hv_output_full_write(). Used by one thread.
 */
#ifndef HV_REPLAY_OUTPUT_H
#define HV_REPLAY_OUTPUT_H

#include "common/buf.h"

enum { HV_OUTPUT_BUFFER = 256 << 10 };

typedef struct hv_output {
    hv_buf buf;
    int fd;                             /* borrowed */
    const char *name;                   /* for messages; borrowed */
    uint64_t written;                   /* bytes that the system took */
} hv_output;

hv_output hv_output_make(int fd, const char *name);
void hv_output_free(hv_output *output);

/* Everything appended so far. HV_IO; HV_CLOSED if the reader of a pipe went away. A failure that the
 * buffer kept is reported here, too. */
hv_rc hv_output_write(hv_output *output, hv_err *err) HV_MUST_USE;

/* The same once the buffer is well filled, else nothing. */
static inline hv_rc
hv_output_full_write(hv_output *output, hv_err *err)
{
    return output->buf.len < HV_OUTPUT_BUFFER && output->buf.failed == HV_OK ? HV_OK : hv_output_write(output, err);
}

#endif
