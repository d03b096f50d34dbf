/*
 * One index in the place of another
 *
 * An index is two files, data.mdb and lock.mdb, and LMDB takes both from wherever the path leads at that moment. The lock file
 * holds the number of the last transaction, so one that belongs to the other data file would make readers look at the wrong meta
 * page. Therefore:
 *
 *   - Nobody may have the old index open: LMDB holds a shared fcntl lock on the first byte of lock.mdb as long as an environment is
 *     open, so an exclusive lock there is proof, and keeps others from opening it, since they wait for it.
 *   - The new lock file is locked as well, and renamed first: who opens data.mdb first (readers do) and gets the old one, then
 *     waits at either lock file until all is done. open_env() then sees that its data.mdb is not the one in the folder any more,
 *     and opens again.
 *   - A crash in between leaves the new lock file beside the old data file, and nobody who has them open. Whoever opens them next
 *     finds the lock file free, and LMDB then writes it anew from the data file.
 *
 * Open file description locks conflict with the locks of LMDB in this process too, so a mistake is found and not overlooked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/index_internal.h"

enum { PATH_ROOM = 4096 + 32 };

typedef struct file_path {
    char text[PATH_ROOM];
} file_path;

static hv_rc
path_of(const char *dir, const char *file, file_path *ret, hv_err *err)
{
    int len = snprintf(ret->text, sizeof ret->text, "%s/%s", dir, file);

    return len > 0 && len < (int)sizeof ret->text ? HV_OK : hv_err_set(err, HV_USAGE, "the path '%.100s...' is too long", dir);
}

static hv_rc
refused(const char *what, const char *path, hv_err *err)
{
    return hv_err_set(err, errno == ENOSPC || errno == EDQUOT ? HV_LIMIT : HV_IO, "%s '%s': %s", what, path, strerror(errno));
}

static void
close_file(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* HV_BUSY if an environment is open. *fd: closing it gives the lock back. */
static hv_rc
lock_out(const char *dir, int *fd, hv_err *err)
{
    struct flock first_byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    file_path path;

    hv_rc rc = path_of(dir, "lock.mdb", &path, err);
    if (rc != HV_OK)
        return rc;
    *fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (*fd < 0)
        return refused("open", path.text, err);
    if (fcntl(*fd, F_OFD_SETLK, &first_byte) == 0)
        return HV_OK;
    if (errno == EAGAIN || errno == EACCES)
        return hv_err_set(err, HV_BUSY, "a process is reading the index in '%s'; try again when it has ended", dir);
    return refused("lock", path.text, err);
}

static hv_rc
move(const char *from, const char *to, const char *file, hv_err *err)
{
    file_path old_path, new_path;

    hv_rc rc = path_of(from, file, &old_path, err);
    if (rc == HV_OK)
        rc = path_of(to, file, &new_path, err);
    if (rc == HV_OK && rename(old_path.text, new_path.text) != 0)
        rc = refused("put in its place", old_path.text, err);
    return rc;
}

static hv_rc
sync_folder(const char *dir, hv_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    hv_rc rc = fd >= 0 && fsync(fd) == 0 ? HV_OK : refused("sync", dir, err);

    close_file(&fd);
    return rc;
}

bool
hv_index_exists(const char *dir)
{
    struct stat st;
    file_path path;
    hv_err err;

    return path_of(dir, "data.mdb", &path, &err) == HV_OK && stat(path.text, &st) == 0;
}

hv_rc
hv_index_replace(const char *dir, const char *with, hv_err *err)
{
    int old_lock = -1, new_lock = -1;

    if (!hv_index_exists(with))
        return hv_err_set(err, HV_NOT_FOUND, "there is no index in '%s'", with);
    hv_rc rc = lock_out(dir, &old_lock, err);
    if (rc == HV_OK)
        rc = lock_out(with, &new_lock, err);
    if (rc == HV_OK)
        rc = move(with, dir, "lock.mdb", err);
    if (rc == HV_OK)
        rc = move(with, dir, "data.mdb", err);
    if (rc == HV_OK)
        rc = sync_folder(dir, err);
    close_file(&new_lock);
    close_file(&old_lock);
    if (rc == HV_OK)
        (void)rmdir(with);              /* an empty folder that stays does no harm */
    return rc;
}

hv_rc
hv_index_discard(const char *dir, hv_err *err)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        file_path path;
        hv_rc rc = path_of(dir, files[i], &path, err);
        if (rc != HV_OK)
            return rc;
        if (unlink(path.text) != 0 && errno != ENOENT)
            return refused("remove", path.text, err);
    }
    if (rmdir(dir) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
        return refused("remove", dir, err);
    return HV_OK;
}
