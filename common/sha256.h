/*
 * SHA-256 (FIPS 180-4) by libcrypto, and its text form.
 */
#ifndef HV_COMMON_SHA256_H
#define HV_COMMON_SHA256_H

#include "common/buf.h"

enum { HV_SHA256_SIZE = 32, HV_SHA256_TEXT_SIZE = 65 };

/* Of the concatenation of the parts. A failure of libcrypto here is a bug or an exhausted machine: it aborts. */
void hv_sha256(const hv_slice *parts, size_t count, unsigned char ret[HV_SHA256_SIZE]);

/* Of `count` messages, each one the byte `prefix` and the next `len` bytes of `from`, at most HV_SHA256_EACH_MAX. Hash i goes to to + i *
 * HV_SHA256_SIZE; `to` may be `from` where len is not less than HV_SHA256_SIZE. For many short messages about three times as fast. */
enum { HV_SHA256_EACH_MAX = 64 };
void hv_sha256_each(unsigned char prefix, const unsigned char *from, size_t len, size_t count, unsigned char *to);

/* Incremental; one owner at a time. */
typedef struct hv_sha256_run hv_sha256_run;
hv_rc hv_sha256_new(hv_sha256_run **ret, hv_err *err) HV_MUST_USE;
void hv_sha256_start(hv_sha256_run *run);
void hv_sha256_add(hv_sha256_run *run, const void *data, size_t len);
void hv_sha256_end(hv_sha256_run *run, unsigned char ret[HV_SHA256_SIZE]);
void hv_sha256_free(hv_sha256_run *run);
HV_DEFINE_AUTO(hv_sha256_run, hv_sha256_free);

/* Lower-case hexadecimal with NUL; parsing takes lower case only, and exactly 64 digits followed by NUL. */
void hv_sha256_text(const unsigned char hash[HV_SHA256_SIZE], char ret[HV_SHA256_TEXT_SIZE]);
bool hv_sha256_parse(const char *text, unsigned char ret[HV_SHA256_SIZE]);

#endif
