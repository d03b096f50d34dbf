/*
 * Base64 of RFC 4648: the standard alphabet with padding (section 4), or the one for URLs and file names without (section 5).
 */
#ifndef HV_COMMON_BASE64_H
#define HV_COMMON_BASE64_H

#include "common/buf.h"

typedef enum hv_base64_alphabet { HV_BASE64_STANDARD, HV_BASE64_URL } hv_base64_alphabet;

/* Append. A failure is kept in the buffer. */
void hv_base64_encode(hv_base64_alphabet alphabet, hv_slice bytes, hv_buf *to);

/* Append the bytes. False, with nothing appended, unless text is exactly what hv_base64_encode() makes of some bytes: other
 * characters, blanks, missing or (for URLs) any padding, and unused bits that are not zero are refused. A lack of room is kept in
 * the buffer, as ever. */
bool hv_base64_decode(hv_base64_alphabet alphabet, hv_slice text, hv_buf *to) HV_MUST_USE;

#endif
