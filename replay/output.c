/* write() until all is taken. The buffer is emptied on success only, so nothing is written twice or forgotten. */
#include "replay/output.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { KEPT_BUFFER = 4 << 20 };         /* what a huge event made the buffer grow to is given back */

hv_output
hv_output_make(int fd, const char *name)
{
    return (hv_output){.buf = HV_BUF_INIT(SIZE_MAX / 4), .fd = fd, .name = name};
}

void
hv_output_free(hv_output *output)
{
    hv_buf_free(&output->buf);
}

static hv_rc
write_failed(const hv_output *output, int error, hv_err *err)
{
    return hv_err_set(err, error == EPIPE ? HV_CLOSED : HV_IO, "write to '%s' behind byte %llu: %s", output->name,
                      (unsigned long long)output->written,
                      strerror(error));
}

/* A descriptor that somebody else made non-blocking: wait until there is room. */
static void
wait_for_room(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};

    (void)poll(&wanted, 1, -1);         /* an error shows in the write that follows */
}

hv_rc
hv_output_write(hv_output *output, hv_err *err)
{
    size_t at = 0;

    hv_rc rc = hv_buf_check(&output->buf, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "output to '%s'", output->name);
    while (at < output->buf.len) {
        ssize_t took = write(output->fd, output->buf.data + at, output->buf.len - at);
        if (took >= 0) {
            at += (size_t)took;
            output->written += (uint64_t)took;
        } else if (errno == EAGAIN) {
            wait_for_room(output->fd);
        } else if (errno != EINTR) {
            return write_failed(output, errno, err);
        }
    }
    hv_buf_clear(&output->buf);
    if (output->buf.allocated > KEPT_BUFFER)
        hv_buf_free(&output->buf);
    return HV_OK;
}
