/*
 * A byte stream to a server, over TCP or TLS, with a deadline for everything done over it; for protocols that are not HTTP. Nothing is
 * taken from the environment, and no proxy is used. One thread.
 */
#ifndef HV_COMMON_DIAL_H
#define HV_COMMON_DIAL_H

#include <stdint.h>

#include "common/buf.h"

typedef struct hv_dial hv_dial;

/* address: "host:port"; ca_file: NULL for the system's. Certificate and host name are checked. until_boot_ms is the deadline
 * (hv_clock_boot_ms). HV_UNAVAILABLE, HV_NOMEM; messages name the address. */
hv_rc hv_dial_open(const char *address, bool tls, const char *ca_file, int64_t until_boot_ms, hv_dial **ret, hv_err *err) HV_MUST_USE;

/* Accepts NULL. */
void hv_dial_close(hv_dial *dial);
HV_DEFINE_AUTO(hv_dial, hv_dial_close);

/* All of it, or HV_UNAVAILABLE. */
hv_rc hv_dial_send(hv_dial *dial, hv_slice bytes, hv_err *err) HV_MUST_USE;
hv_rc hv_dial_receive(hv_dial *dial, char *to, size_t len, hv_err *err) HV_MUST_USE;

#endif
