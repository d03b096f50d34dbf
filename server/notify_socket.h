/*
 * The socket by which a service tells its manager how it is: the protocol of sd_notify(3), a datagram of NAME=VALUE lines.
 */
#ifndef HV_SERVER_NOTIFY_SOCKET_H
#define HV_SERVER_NOTIFY_SOCKET_H

#include "common/auto.h"
#include "common/err.h"

typedef struct hv_notify_socket hv_notify_socket;

/* address: as in $NOTIFY_SOCKET, a path or, with '@' in front, an abstract name. HV_USAGE for anything else. Nobody has to listen yet. */
hv_rc hv_notify_socket_open(const char *address, hv_notify_socket **ret, hv_err *err) HV_MUST_USE;
void hv_notify_socket_close(hv_notify_socket *notify);
HV_DEFINE_AUTO(hv_notify_socket, hv_notify_socket_close);

/* False if it could not be sent; never waits, so a manager that does not read stops nothing. */
bool hv_notify_socket_send(const hv_notify_socket *notify, const char *text);

#endif
