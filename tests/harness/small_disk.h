/*
 * A disk of a few hundred kilobytes: a tmpfs in a mount namespace of the process that needs it, so that nothing is left behind.
 */
#ifndef HV_TESTS_HARNESS_SMALL_DISK_H
#define HV_TESTS_HARNESS_SMALL_DISK_H

#include <stdbool.h>

/* Mount one at path. The process has no other thread. A user who is not root becomes it in a namespace of users first. False where that
 * is not allowed. */
bool small_disk_mount(const char *path, int bytes);
void small_disk_unmount(const char *path);

/* Fill what is left of it, but for so many bytes; and make room again. */
void small_disk_fill(const char *path, long leave);
void small_disk_empty(const char *path);

/* Of a folder in it; what is open for writing elsewhere does not matter, as when the kernel does it because of an error. */
void small_disk_read_only(const char *folder, bool read_only);

/* For main(): 0, or the exit status for a machine on which no disk can be mounted: skipped, or failed where HUBVAULT_NO_SKIP is 1. */
int small_disk_missing(void);

#endif
