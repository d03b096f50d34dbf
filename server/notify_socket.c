#include "server/notify_socket.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct hv_notify_socket {
    int fd;
    struct sockaddr_un address;
    socklen_t address_len;
};

/* An abstract name has a NUL in front and none behind (unix(7)). */
static hv_rc
make_address(const char *text, hv_notify_socket *notify, hv_err *err)
{
    size_t len = strlen(text);

    if ((*text != '/' && *text != '@') || len < 2)
        return hv_err_set(err, HV_USAGE, "the socket of the service manager is a path or begins with '@', not '%s'", text);
    if (len >= sizeof notify->address.sun_path)
        return hv_err_set(err, HV_USAGE, "the socket of the service manager has a name of %zu bytes, more than the %zu of a socket", len,
                          sizeof notify->address.sun_path - 1);
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, len);
    if (*text == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return HV_OK;
}

hv_rc
hv_notify_socket_open(const char *address, hv_notify_socket **ret, hv_err *err)
{
    HV_AUTO(hv_notify_socket_close) hv_notify_socket *notify = calloc(1, sizeof *notify);

    if (notify == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the socket of the service manager");
    notify->fd = -1;
    hv_rc rc = make_address(address, notify, err);
    if (rc != HV_OK)
        return rc;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        return hv_err_set(err, HV_IO, "cannot make a socket for the service manager: %s", strerrordesc_np(errno));
    *ret = HV_TAKE(notify);
    return HV_OK;
}

void
hv_notify_socket_close(hv_notify_socket *notify)
{
    if (notify == NULL)
        return;
    if (notify->fd >= 0)
        (void)close(notify->fd);
    free(notify);
}

bool
hv_notify_socket_send(const hv_notify_socket *notify, const char *text)
{
    ssize_t sent;

    do
        sent = sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&notify->address,
                      notify->address_len);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}
