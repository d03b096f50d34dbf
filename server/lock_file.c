/*
 * flock(2) on a file that also holds the number of the process, for messages only: the lock decides, the text may be old or missing
 * when the owner has only just taken the lock.
 */
#include "server/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct hv_lock_file {
    int fd;
};

/* 0 if the file does not say. */
static long
owner_of(int fd)
{
    char text[32];
    ssize_t len = pread(fd, text, sizeof text - 1, 0);

    if (len <= 0)
        return 0;
    text[len] = '\0';
    return strtol(text, NULL, 10);
}

static hv_rc
refuse(int fd, const char *path, hv_err *err)
{
    long owner = owner_of(fd);

    if (owner > 0)
        return hv_err_set(err, HV_BUSY, "process %ld is using it (it holds '%s')", owner, path);
    return hv_err_set(err, HV_BUSY, "another process is using it (it holds '%s')", path);
}

static void
note_owner(int fd)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)len, 0);        /* for messages only */
}

hv_rc
hv_lock_file_take(const char *path, hv_lock_file **ret, hv_err *err)
{
    hv_lock_file *lock = malloc(sizeof *lock);
    int failed;

    if (lock == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a lock");
    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (lock->fd < 0) {
        (void)hv_err_set(err, HV_IO, "cannot open the lock '%s': %s", path, strerror(errno));
        free(lock);
        return err->rc;
    }
    do
        failed = flock(lock->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    while (failed == EINTR);
    if (failed == 0) {
        note_owner(lock->fd);
        *ret = lock;
        return HV_OK;
    }
    if (failed == EWOULDBLOCK)
        (void)refuse(lock->fd, path, err);
    else
        (void)hv_err_set(err, HV_IO, "cannot lock '%s': %s", path, strerror(failed));
    hv_lock_file_release(lock);
    return err->rc;
}

void
hv_lock_file_release(hv_lock_file *lock)
{
    if (lock == NULL)
        return;
    (void)close(lock->fd);
    free(lock);
}
