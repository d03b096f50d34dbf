/*
 * Secrets from files: passwords, keys, tokens. They never go into messages, and their memory is wiped.
 */
#ifndef HV_COMMON_SECRET_H
#define HV_COMMON_SECRET_H

#include "common/buf.h"

enum { HV_SECRET_MAX = 65536 };

typedef struct hv_secret {
    char *text;                         /* NUL-terminated; NULL: none */
    size_t len;
} hv_secret;

/* Leaves none. */
void hv_secret_wipe(hv_secret *secret);
HV_DEFINE_AUTO_VALUE(hv_secret, hv_secret_wipe);

/* HV_NOMEM. */
hv_rc hv_secret_set(hv_secret *secret, const char *text, size_t len, hv_err *err) HV_MUST_USE;

/* What stands in front of the name of a credential of the service manager, where the path of a secret file is wanted. */
#define HV_CREDENTIAL_PREFIX "credential:"

/* The content of a file without one trailing line end. HV_NOT_FOUND if there is no such file, or if it is a
 * credential whose folder nobody has named; HV_USAGE if it is empty, has more
 * than HV_SECRET_MAX bytes, a NUL or a line end inside; HV_IO. `what` names it in messages ("password"). *ret is wiped and
 * written on success only. */
hv_rc hv_secret_read(const char *path, const char *what, hv_secret *ret, hv_err *err) HV_MUST_USE;

/* Overwrites every occurrence of the secret in a text with asterisks. Secrets below 4 bytes are left alone: they would match
 * anything. */
void hv_secret_redact(const hv_secret *secret, char *text);

#endif
