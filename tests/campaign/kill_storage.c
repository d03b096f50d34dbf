/*
 * The calls by which a blob gets into a folder.
 *
 * The journal says what a loss of power could take away: a name (L) whose folder was not synced (S) since, a folder (D) whose parent
 * was not, the bytes of a file (U) that was named before it was synced. A name lost although the put had been answered (A) is a
 * broken promise.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "segment/names.h"
#include "storage/dir_folder.h"
#include "tests/campaign/kill_points.h"
#include "tests/campaign/kill_state.h"

static _Thread_local struct {
    char group[32];                     /* "put.lead"; empty: nothing is being put */
    const char *leaf;
    bool named, synced;
    char path[PATH_MAX];                /* of the blob, known when it gets its name */
} put;

static void
put_point(const char *step)
{
    if (put.group[0] != '\0')
        kill_point(put.group, step);
}

static const char *
word_of(const char *name)
{
    switch (hv_name_parse(name).kind) {
    case HV_NAME_MARKER:
        return "marker";
    case HV_NAME_INCARNATION:
        return "incarnation";
    case HV_NAME_LEAD:
        return "lead";
    case HV_NAME_SIBLING:
        return "sibling";
    case HV_NAME_TOPIC_SNAPSHOT:
    case HV_NAME_GROUP_SNAPSHOT:
        return "snapshot";
    default:
        return "other";
    }
}

hv_rc __real_hv_dir_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count,
                            const hv_blob_attributes *attributes, hv_err *err);
hv_rc __wrap_hv_dir_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count,
                            const hv_blob_attributes *attributes, hv_err *err);
hv_rc
__wrap_hv_dir_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count,
                      const hv_blob_attributes *attributes, hv_err *err)
{
    (void)snprintf(put.group, sizeof put.group, "put.%s", word_of(name));
    put.leaf = hv_dir_leaf(name);
    put.named = put.synced = false;
    put.path[0] = '\0';
    put_point("before");
    if (kill_state_stopping())
        kill_point("shutdown", "put.before");
    if (kill_state_releasing())
        kill_point("group.release", "put.before");
    hv_rc rc = __real_hv_dir_put_new(storage, name, parts, part_count, attributes, err);
    if (rc == HV_OK && put.path[0] != '\0')
        journal_write('A', journal_now(), 0, put.path);
    put_point(rc == HV_OK ? "created" : rc == HV_EXISTS ? "exists" : "failed");
    if (kill_state_stopping())
        kill_point("shutdown", "put.after");
    if (kill_state_releasing())
        kill_point("group.release", "put.after");
    put.group[0] = '\0';
    return rc;
}

static bool
path_of_fd(int fd, char ret[PATH_MAX])
{
    char link[64];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, ret, PATH_MAX - 1);
    ret[len < 0 ? 0 : len] = '\0';
    return len > 0;
}

static bool
path_below(int folder, const char *leaf, char ret[PATH_MAX])
{
    size_t leaf_len = strlen(leaf), len;

    if (!path_of_fd(folder, ret))
        return false;
    len = strlen(ret);
    if (len + leaf_len + 2 > PATH_MAX)
        return false;
    ret[len] = '/';
    memcpy(ret + len + 1, leaf, leaf_len + 1);
    return true;
}

int __real_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);
int
__wrap_openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode = 0;
    bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;

    if (makes) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if ((flags & O_TMPFILE) == O_TMPFILE && getenv("CAMPAIGN_METHOD") != NULL) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int fd = __real_openat64(folder, path, flags, mode);
    if (fd >= 0 && makes) {
        put.synced = false;
        put_point("temp");
    }
    return fd;
}

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t
__wrap_writev(int fd, const struct iovec *iov, int count)
{
    ssize_t written = __real_writev(fd, iov, count);

    put.synced = false;
    put_point("written");
    return written;
}

static int
sync_folder(int fd, int (*real)(int))
{
    char path[PATH_MAX];
    const char *group = put.named ? put.group : "folder", *before = put.named ? "folder.before" : "sync.before",
               *after = put.named ? "folder.after" : "sync.after";

    kill_point(group, before);
    int64_t began = journal_now();
    int failed = real(fd);
    if (failed == 0 && path_of_fd(fd, path))
        journal_write('S', began, 0, path);
    kill_point(group, after);
    return failed;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int
__wrap_fsync(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return sync_folder(fd, __real_fsync);
    put_point("sync.before");
    int failed = __real_fsync(fd);
    put.synced = put.synced || failed == 0;
    put_point("sync.after");
    return failed;
}

/* Before the name is there: it may come into being without our coming back. `ino` tells our file from one that has the name already. */
static bool
note_name(int folder, const char *leaf, const struct stat *st)
{
    if (put.group[0] == '\0' || strcmp(leaf, put.leaf) != 0 || !path_below(folder, leaf, put.path))
        return false;
    put_point("link.before");
    if (!put.synced)
        journal_write('U', journal_now(), st->st_ino, put.path);
    journal_write('L', journal_now(), st->st_ino, put.path);
    return true;
}

static void
named(bool ours, int failed)
{
    if (!ours || failed != 0)
        return;
    put.named = true;
    put_point("link.after");
}

int __real_linkat(int from, const char *old, int to, const char *leaf, int flags);
int __wrap_linkat(int from, const char *old, int to, const char *leaf, int flags);
int
__wrap_linkat(int from, const char *old, int to, const char *leaf, int flags)
{
    struct stat st = {0};
    const char *method = getenv("CAMPAIGN_METHOD");

    if (method != NULL && strcmp(method, "rename") == 0) {
        errno = EPERM;
        return -1;
    }
    (void)fstatat(from, old, &st, (flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW);
    bool ours = note_name(to, leaf, &st);
    int failed = __real_linkat(from, old, to, leaf, flags);
    named(ours, failed);
    return failed;
}

int __real_renameat2(int from, const char *old, int to, const char *leaf, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *leaf, unsigned flags);
int
__wrap_renameat2(int from, const char *old, int to, const char *leaf, unsigned flags)
{
    struct stat st = {0};

    (void)fstatat(from, old, &st, AT_SYMLINK_NOFOLLOW);
    bool ours = note_name(to, leaf, &st);
    int failed = __real_renameat2(from, old, to, leaf, flags);
    named(ours, failed);
    return failed;
}

int __real_mkdirat(int folder, const char *path, mode_t mode);
int __wrap_mkdirat(int folder, const char *path, mode_t mode);
int
__wrap_mkdirat(int folder, const char *path, mode_t mode)
{
    char made[PATH_MAX];
    int64_t began = journal_now();
    int failed = __real_mkdirat(folder, path, mode);

    if (failed == 0 && path_below(folder, path, made))
        journal_write('D', began, 0, made);
    if (failed == 0)
        kill_point("folder", "made");
    return failed;
}

/* Reads from the store. */
ssize_t __real_pread64(int fd, void *to, size_t len, off_t position);
ssize_t __wrap_pread64(int fd, void *to, size_t len, off_t position);
ssize_t
__wrap_pread64(int fd, void *to, size_t len, off_t position)
{
    kill_point(kill_state_verifying() ? "verify" : "other", "read");
    return __real_pread64(fd, to, len, position);
}
