/*
 * A device that fails: calls of the C library that reach files in a chosen folder report EIO. The dependency `device_faults` of meson puts
 * this before the C library in the order of symbols, so LMDB's own calls meet it too. Our code and LMDB are not changed.
 *
 * A failed sync of a file does what Linux does with it: the pages that could not be written count as clean, their content is gone (here at
 * once, on Linux when memory is needed), and the next sync succeeds.
 */
#ifndef HV_TESTS_HARNESS_DEVICE_FAULTS_H
#define HV_TESTS_HARNESS_DEVICE_FAULTS_H

#include <stdbool.h>

typedef struct device_faults {
    const char *folder;                 /* files in it and below, named or not, and the folders themselves */
    long fail_at, fail_calls;           /* so many calls from this one on, counted from 0 */
    bool spares_caller;                 /* calls of the thread that begins them succeed, and are not counted */
    bool loses_content;                 /* of files, by failed syncs; else a sync that fails changes nothing */
} device_faults;

/* From now on, in all threads. `folder` is borrowed until the end. */
void device_faults_begin(const device_faults *faults);

/* All calls succeed again. How many have failed since device_faults_begin(). */
long device_faults_end(void);

/* How many of the failed ones were syncs by which a file lost its content. */
long device_faults_lost(void);

#endif
