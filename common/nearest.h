/*
 * "Did you mean ...?"
 */
#ifndef HV_COMMON_NEAREST_H
#define HV_COMMON_NEAREST_H

#include <stddef.h>

/* The candidate that word was most likely meant to be; NULL if none is near. word_at(arg, i) gives candidate i, NULL behind the last. */
const char *hv_nearest(const char *word, const char *(*word_at)(const void *arg, size_t i), const void *arg);

#endif
