/*
 * What is looked at byte by byte in text that is otherwise judged 64 bytes at a time: escapes, control characters, and bare values
 * (those without quotes or brackets) that are more than digits. Private to common: for json_wide.c and json_dense.c.
 */
#ifndef HV_COMMON_JSON_ODD_H
#define HV_COMMON_JSON_ODD_H

#include <stdbool.h>
#include <stdint.h>

enum { HV_JSON_CHUNK = 64 };

/* Where a judge is. Bit n of a word stands for the byte `chunk[n]`. */
typedef struct hv_json_place {
    const unsigned char *text, *chunk, *end;
    bool escaped;                       /* the first byte of the chunk is escaped */
    const unsigned char *pair_end;      /* escapes before it were checked together with their partner */
    bool newline;                       /* one was met outside of strings */
} hv_json_place;

/* Takes the quotes that are escaped out of *quotes. False if an escape is none. For every chunk that has backslashes, and that behind an
 * escape which is cut in two. */
bool hv_json_take_escapes(hv_json_place *place, uint64_t backslashes, uint64_t *quotes);

/* Which of the control characters are white space. Of those inside of strings, which must not be there, it may say anything. */
uint64_t hv_json_white_controls(hv_json_place *place, uint64_t controls);

/* `starts`: where bare values begin. `goes_on`: one that began before the chunk goes on in it. Whether all of them are values with nothing
 * foreign directly behind. */
bool hv_json_bare_values_hold(const hv_json_place *place, uint64_t starts, bool goes_on);

#endif
