/*
 * What drivers share. Only drivers include this.
 */
#ifndef HV_STORAGE_STORAGE_DRIVER_H
#define HV_STORAGE_STORAGE_DRIVER_H

#include "storage/storage.h"

/* HV_USAGE if no name can begin with prefix, which says more than an empty page: a prefix like that is a slip of the caller. */
hv_rc hv_storage_prefix_check(const char *prefix, hv_err *err) HV_MUST_USE;

static inline bool
hv_storage_begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Room for n bytes at the end of ret, for a get that adds to ret->len when it is sure to succeed. Unlike hv_buf_reserve() it leaves
 * no failure behind in ret, because a get that fails must leave the buffer as it was. */
hv_rc hv_storage_room(hv_buf *ret, size_t n, char **room, hv_err *err) HV_MUST_USE;

/* Copies the name to the end of the list. */
hv_rc hv_blob_list_add(hv_blob_list *list, const char *name, uint64_t size, hv_err *err) HV_MUST_USE;

#endif
