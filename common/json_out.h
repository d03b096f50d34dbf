/*
 * JSON (RFC 8259) on its way out, and the question whether bytes that came from elsewhere are JSON.
 *
 * These are on the path of every replayed event: no allocation, one pass.
 */
#ifndef HV_COMMON_JSON_OUT_H
#define HV_COMMON_JSON_OUT_H

#include "common/buf.h"

enum { HV_JSON_MAX_DEPTH = 512 };

/* UTF-8 as of RFC 3629: no surrogates, nothing above U+10FFFF, shortest form only. */
bool hv_utf8_valid(hv_slice bytes) HV_MUST_USE;

/* Append text as a JSON string with its quotes. Characters pass as they are; only '"', '\', and control characters are escaped. False,
 * with nothing appended, if text is not valid UTF-8. A lack of room is kept in the buffer. */
bool hv_json_put_string(hv_buf *to, hv_slice text) HV_MUST_USE;

/* The same for text from anywhere that has to be shown: bytes that are not UTF-8 become U+FFFD. */
void hv_json_put_lossy(hv_buf *to, hv_slice text);

/*
 * Whether bytes are one JSON value of any kind, with white space around it, that can be put into another JSON text as it is.
 *
 * The grammar of RFC 8259 to the letter, in valid UTF-8, at most HV_JSON_MAX_DEPTH arrays and objects deep. Two things that the
 * grammar admits are refused because readers are known to differ about them: an escaped surrogate without its partner (section
 * 8.2) and a byte order mark (section 8.1). Member names may repeat; numbers may be of any size.
 *
 * *has_newline, written on true only: the text holds a line feed or carriage return, so it does not fit on one line.
 */
bool hv_json_valid(hv_slice bytes, bool *has_newline) HV_MUST_USE;

#endif
