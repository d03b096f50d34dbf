/*
 * Puts itself between the dir driver and the C library (-Wl,--wrap): lets chosen calls fail, hides what a file system lacks, and
 * keeps books on what has been synced, independently of what the driver believes.
 */
#ifndef HV_TESTS_STORAGE_WRAPPED_CALLS_H
#define HV_TESTS_STORAGE_WRAPPED_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wrapped_calls {
    /* What the file system lacks. */
    bool no_tmpfile, no_link, no_rename, no_attributes, no_types, no_openat2, unknown;

    /* While armed: call number `fail_at`, counted from 0, fails with `error`; after it was carried out if `takes_effect`. */
    bool armed;
    long fail_at;
    bool takes_effect;
    int error;
    const char *only;                   /* count calls of this name only; NULL: all of them */

    bool coarse_times;                  /* the file system counts times in seconds */
    bool keeps_books;                   /* see wrapped_is_durable() */
    int64_t clock_ahead_ms;             /* added to hv_clock_boot_ms() */
    bool never_syncs;                   /* for speed */
    bool interrupted;                   /* every second writev, pread and fsync: EINTR first, then a few bytes only */

    /* Out: */
    long calls;
    const char *failed_call;            /* name of the call that failed, NULL if none did */
} wrapped_calls;

extern wrapped_calls wrapped;

/* No faults, nothing missing, books empty. As long as neither `armed` nor `keeps_books` is set, threads may use the driver. */
void wrapped_reset(void);
/* Ends `armed`, `interrupted` and oom_begin(); what is missing and the books stay. */
void wrapped_disarm(void);

/* For what the books cannot see: the folder or file changed. */
void wrapped_note_change(int fd);

/* From the books: whether the file at `path` and the entries of all folders from there up to and including `root` have been
 * synced since they changed last. Prints what is not. */
bool wrapped_is_durable(const char *root, const char *name);

#endif
