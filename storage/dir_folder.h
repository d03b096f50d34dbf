/*
 * Inside of the dir driver: its handle, folders below the root, and when they are durable. Only storage/dir_*.c and storage_dir.c
 * include this.
 */
#ifndef HV_STORAGE_DIR_FOLDER_H
#define HV_STORAGE_DIR_FOLDER_H

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/storage_driver.h"

enum { HV_DIR_NOTES = 4096, HV_DIR_TEMP_NAME_SIZE = 64 };

/* What we know of one folder. A slot that another folder takes over costs an fsync more, nothing else. */
typedef struct hv_dir_note {
    dev_t dev;
    ino_t ino, parent_ino;
    bool anchored;                      /* its entry in parent_ino is durable */
    uint64_t walked;                    /* see dir_folder.c: the path on which all entries down to this one were anchored; 0: none */
    bool synced;                        /* entries that were there when its change time became `changed` are durable */
    bool settled;                       /* all its entries are durable while its change time is `changed` */
    struct timespec changed;
    int64_t seen_ms;                    /* boot clock: when `changed` had been read for the first time */
} hv_dir_note;

typedef enum hv_dir_method { HV_DIR_UNKNOWN, HV_DIR_TMPFILE, HV_DIR_LINK, HV_DIR_RENAME } hv_dir_method;

typedef struct hv_dir_listing hv_dir_listing;

typedef struct hv_dir {
    hv_storage base;
    int root;
    char *location;                     /* "dir:" and the path */
    bool links_set_times;               /* the file system of the root: dir_folder.c, "older"; set when opened */
    dev_t device;                       /* of the root */
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in open and close */
        hv_dir_note *notes;             /* HV_DIR_NOTES of them, by device and inode */
        hv_dir_listing *last_listing;   /* see dir_list.c */
    } locked;
    pthread_mutex_t prepare_lock;
    struct {                            /* set once while holding `prepare_lock`; read after hv_dir_prepare() said HV_OK */
        hv_dir_method method;
        int temp, temp_lock;            /* the folder ".tmp", and the file in it that says that we live */
        uint64_t random;
    } prepared;
} hv_dir;

static inline void
hv_dir_close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}
/* For a file descriptor in a local variable: HV_AUTO(hv_dir_fd). */
static inline void
hv_dir_fd_at_scope_end(const int *fd)
{
    hv_dir_close_fd(*fd);
}

/* A failure of errno `error` at a time when nothing had been stored yet, so that it may be called refused. */
hv_rc hv_dir_refused(hv_err *err, int error, const char *fmt, ...) HV_PRINTF(3, 4);

/* A failure of errno `error` after which nobody knows. */
hv_rc hv_dir_unknown(hv_err *err, int error, const char *fmt, ...) HV_PRINTF(3, 4);

int hv_dir_fsync(int fd);

/*
 * The folder that `name` lies in, opened; its own entry and those above it are durable. Parts that are missing are made if
 * `make`, else HV_NOT_FOUND. HV_CORRUPT if something that is no folder has the name of one; with `make` HV_USAGE.
 */
hv_rc hv_dir_open_folder(hv_dir *dir, const char *name, bool make, int *ret, hv_err *err) HV_MUST_USE;

/* The part of a name behind the last '/'. */
const char *hv_dir_leaf(const char *name);

/*
 * All entries of the folder that were visible before this call are durable on HV_OK. *st is the folder as it was before, and
 * *settled says whether its entries can still change without a change of st_ctim: if true, they cannot.
 */
hv_rc hv_dir_settle(hv_dir *dir, int folder, struct stat *st, bool *settled, hv_err *err) HV_MUST_USE;

/* The root is open: whether an entry of a file can be told to be older than a change of its folder. */
hv_rc hv_dir_know_file_system(hv_dir *dir, hv_err *err) HV_MUST_USE;

/* The entry of that file in that folder is durable on HV_OK. */
hv_rc hv_dir_settle_entry(hv_dir *dir, int folder, const struct stat *file, hv_err *err) HV_MUST_USE;

/* dir_put.c: finds out, once, how this file system creates without clobbering, and removes what dead processes left. */
hv_rc hv_dir_prepare(hv_dir *dir, hv_err *err) HV_MUST_USE;
hv_rc hv_dir_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count,
                     const hv_blob_attributes *attributes, hv_err *err) HV_MUST_USE;

#define HV_DIR_ATTRIBUTE_SHA256 "user.hubvault.sha256"
#define HV_DIR_ATTRIBUTE_NONCE "user.hubvault.nonce"

/* dir_list.c */
hv_rc hv_dir_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err) HV_MUST_USE;
void hv_dir_listing_free(hv_dir_listing *listing);

#endif
