/*
 * One process at a time: a lock on a file, which the kernel gives back when its owner dies, however it dies.
 */
#ifndef HV_SERVER_LOCK_FILE_H
#define HV_SERVER_LOCK_FILE_H

#include "common/auto.h"
#include "common/err.h"

typedef struct hv_lock_file hv_lock_file;

/* Creates the file if there is none. HV_BUSY at once, naming the process that has it if it says so. Locks work between processes and
 * between two handles of one. */
hv_rc hv_lock_file_take(const char *path, hv_lock_file **ret, hv_err *err) HV_MUST_USE;

/* Gives the lock back; the file stays, since removing it could remove the lock of the next owner. Accepts NULL. */
void hv_lock_file_release(hv_lock_file *lock);
HV_DEFINE_AUTO(hv_lock_file, hv_lock_file_release);

#endif
