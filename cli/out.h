/*
 * Results on their way to standard output: rows of one description, as an aligned table for eyes or as JSON lines for programs.
 *
 * A table shows sizes and lengths of time rounded; JSON has every number as it is (bytes, milliseconds) and times as RFC 3339 text.
 * Nothing but results goes there. Write errors are kept until hv_out_finish(): lost output must not look like success.
 */
#ifndef HV_CLI_OUT_H
#define HV_CLI_OUT_H

#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"

typedef enum hv_out_type {
    HV_OUT_TEXT,
    HV_OUT_NUMBER,
    HV_OUT_SIZE,                        /* bytes */
    HV_OUT_DURATION,                    /* milliseconds */
    HV_OUT_TIME,                        /* milliseconds since 1970 */
    HV_OUT_YES_NO,                      /* 0 or 1 */
} hv_out_type;

typedef struct hv_column {
    const char *name;                   /* of the field in JSON; the heading of the table is the same in capitals, '_' as a blank */
    hv_out_type type;
    const char *heading;                /* NULL: as above */
    bool json_only;
} hv_column;

enum { HV_OUT_COLUMNS = 32, HV_OUT_AHEAD = 500 };

typedef struct hv_out {
    FILE *to;
    bool json;
    const hv_column *columns;
    size_t column_count, at;            /* the next field of the row */
    size_t widths[HV_OUT_COLUMNS];
    hv_buf row;                         /* JSON, or the cells of the rows that wait, each with a NUL behind it */
    size_t waiting;                     /* rows that wait to be printed until the widths are known */
    bool streaming;                     /* the first rows are out, and the widths fixed */
} hv_out;

void hv_out_start(hv_out *out, FILE *to, bool json);

/* What the next rows consist of; columns must outlive them. Finishes the table before. */
void hv_out_table(hv_out *out, const hv_column *columns, size_t count);

/* The next field of the row, in the order of the columns. Any bytes may be shown; absent is null in JSON and '-' in a table. */
void hv_out_text(hv_out *out, const char *value);
void hv_out_number(hv_out *out, int64_t value);
void hv_out_absent(hv_out *out);
/* Every column must have its field. */
void hv_out_row_end(hv_out *out);

/* A line for eyes only; nothing in JSON. Finishes the table before. */
void hv_out_say(hv_out *out, const char *fmt, ...) HV_PRINTF(2, 3);

/* Prints what waits and frees. HV_IO if anything written to the stream was lost. Call it once, at the end. */
hv_rc hv_out_finish(hv_out *out, hv_err *err) HV_MUST_USE;

#endif
