/*
 * An address to listen on, as text: "127.0.0.1:9464", "[::1]:9464". Numbers only, because a name may be several addresses. Port 0 is any
 * that is free.
 */
#ifndef HV_COMMON_LISTEN_ADDRESS_H
#define HV_COMMON_LISTEN_ADDRESS_H

#include <sys/socket.h>

#include "common/err.h"

enum { HV_LISTEN_TEXT_SIZE = 64 };

/* HV_USAGE naming the text. */
hv_rc hv_listen_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len, hv_err *err) HV_MUST_USE;

void hv_listen_address_format(const struct sockaddr_storage *address, char ret[HV_LISTEN_TEXT_SIZE]);

#endif
