/*
 * One line on a terminal that is written over again and again: how far a command is. Where notes do not go to a terminal, nothing is
 * ever written. Used by one thread at a time.
 */
#ifndef HV_CLI_PROGRESS_H
#define HV_CLI_PROGRESS_H

#include "cli/cli.h"

typedef struct hv_progress {
    FILE *to;
    bool wanted, shown;
    int64_t begun_ms, next_ms;          /* CLOCK_BOOTTIME */
} hv_progress;

/* What a terminal needs to forget the line; in front of whatever else is written there meanwhile. */
#define HV_PROGRESS_FORGET "\r\033[K"

hv_progress hv_progress_begin(const hv_cli *cli);

/* Whether it is time to show something: a few times a second on a terminal, else never. For the work before hv_progress_show(). */
bool hv_progress_due(const hv_progress *progress);

/* Show it, cut off where the terminal ends. done of total as a bar in front, with the time it may still take behind; total 0: no bar. */
void hv_progress_show(hv_progress *progress, int64_t done, int64_t total, const char *fmt, ...) HV_PRINTF(4, 5);

/* Take the line away: at the end, and before anything else is written to notes. */
void hv_progress_clear(hv_progress *progress);

/* Since it began. */
int64_t hv_progress_elapsed_ms(const hv_progress *progress);

#endif
