/*
 * Memory that ends: a chosen allocation of our own code fails. The dependency `oom` of meson lets the linker put this between our
 * code and the C library (--wrap), without a change to the product; shared libraries keep their memory. Leaks on the paths found this
 * way show in the sanitizer build.
 */
#ifndef HV_TESTS_OOM_H
#define HV_TESTS_OOM_H

#include <stdbool.h>

typedef enum oom_scope {
    OOM_THIS_THREAD,                    /* others, such as a server of the test, are not counted */
    OOM_ALL_THREADS,
    OOM_OTHER_THREADS,                  /* all but the calling one */
} oom_scope;

/* Allocation number n from now on fails, counted from 0, and the `count` - 1 behind it too. Whatever was begun before is forgotten. */
void oom_begin(oom_scope scope, long n, long count);

/* All allocations succeed again. Whether one has failed since oom_begin(). */
bool oom_end(void);

/* For wrapped functions of libraries that allocate, too: whether this is the one that has to fail. */
bool oom_strikes(void);

#endif
