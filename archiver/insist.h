/*
 * Memory for what must not get lost: messages between the threads of the archiver. They are small, and memory comes back as cuts are
 * sealed, so whoever needs one waits.
 */
#ifndef HV_ARCHIVER_INSIST_H
#define HV_ARCHIVER_INSIST_H

#include <stddef.h>

/* A moment: for a loop around something that fails for want of memory. */
void hv_insist_pause(void);

/* Zeroed memory, never NULL. */
void *hv_insist(size_t size);

#endif
