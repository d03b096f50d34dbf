/*
 * The storage drivers, by name. Only the place where a program is put together, and tests, include this.
 */
#ifndef HV_STORAGE_DRIVERS_H
#define HV_STORAGE_DRIVERS_H

#include "storage/storage.h"

/*
 * A folder; blobs are files of mode 0444, names with '/' are folders below it. Created if missing when `create`, though not what it
 * lies in; else HV_NOT_FOUND. HV_IO, naming the reason, if the file system cannot create without clobbering: found out here
 * when `create`, else at the first put, and until then nothing is written, so that a vault can be read where it must not be written.
 * Attributes live in user.* extended attributes where the file system has them. Symbolic links below the folder are not followed:
 * one that has the name of a blob or folder is HV_CORRUPT. Files whose names break the rule are not seen. The content of a file that
 * somebody else put there is taken to be durable; its name is made durable before it is reported.
 */
hv_rc hv_storage_dir_open(const char *path, bool create, hv_storage **ret, hv_err *err) HV_MUST_USE;

/* Keeps blobs in memory until it is closed. For tests. */
hv_rc hv_storage_mem_open(hv_storage **ret, hv_err *err) HV_MUST_USE;

/* A decorator for tests: counts the operations (all threads together) and lets chosen ones fail. */
typedef struct hv_storage_fault_config {
    hv_storage *inner;                  /* borrowed; does the real work */
    unsigned fail_call;                 /* which operation fails first, counted from 0 over put, get, properties, list, delete */
    unsigned fail_calls;                /* how many in a row fail; 0 means 1 */
    hv_rc fail_with;
    bool takes_effect;                  /* put, delete: the inner driver carries it out first, a lost answer */
    bool lands_late;                    /* puts only: the bytes are kept back and land when hv_storage_fault_land() is called */
} hv_storage_fault_config;

hv_rc hv_storage_fault_open(const hv_storage_fault_config *config, hv_storage **ret, hv_err *err) HV_MUST_USE;
/* Whether the chosen operation was reached. */
bool hv_storage_fault_fired(const hv_storage *storage);
/* Operations so far. */
unsigned hv_storage_fault_calls(const hv_storage *storage);
/* Carry out the oldest put that was kept back; its answer, HV_NOT_FOUND if there is none. */
hv_rc hv_storage_fault_land(hv_storage *storage, hv_err *err);

#endif
