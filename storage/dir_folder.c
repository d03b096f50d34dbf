/*
 * Folders of the dir driver.
 *
 * Paths are walked part by part from the descriptor of the root, with O_NOFOLLOW, so no symbolic link below the root can lead out.
 * A folder to which such a walk has led before is opened in one step, by openat2(2) where the kernel has it: the same folder on the
 * same path needs no other look at the folders above. A walk costs four calls for each part, and every read of a blob needs its folder.
 *
 * Durability. A name is durable when its folder was synced after the name was there (syncing the file does not do it, fsync(2)),
 * and when the same holds for every folder above.
 *
 * - Anchored: our parent was synced after we had been seen in it. Folders are never removed or renamed by hubvault, so once per
 *   handle is enough, whoever made the folder.
 * - Settled: files come and go, also from other processes, which may die between their link() and their fsync(). A sync covers what
 *   was visible before it. It still covers everything as long as nothing changed since, which the change time of the folder
 *   tells, if a change after the sync cannot have got the same time. File systems with hard links count time in steps of 1 s or
 *   less, so that is impossible if the sync began SETTLE_MS after this change time had been read. Both instants are read from our
 *   own boot clock, so a server with another clock does no harm. Until then every listing syncs again; that is the price in a folder
 *   just written to.
 * - Older: Linux's local file systems set the change time of a file when it gets an entry, by the clock of the folder's own change time
 *   and while the folder is locked against other changes. So a file whose time is less than that of its folder had its entry before the folder
 *   changed last, or by that very change. One sync after it covers the entry, for as long as the folder has not changed again; where
 *   both times are equal the clock may not have moved on since the sync, and nothing is concluded.
 *
 * An fsync() that failed may succeed when called again although the bytes are lost (PostgreSQL wiki, "Fsync Errors"). For a file we
 * never ask twice: a new try writes a new file. For folders the second answer can be trusted, because ext4, XFS and btrfs shut
 * down or turn read-only when they cannot write their own structures, and every later call fails.
 */
#include "storage/dir_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/clock.h"

enum { SETTLE_MS = 1200, FOLDER_MODE = 0750 };

static HV_PRINTF(4, 0) hv_rc
fail(hv_err *err, hv_rc rc, int error, const char *fmt, va_list args)
{
    char what[sizeof err->msg];

    (void)vsnprintf(what, sizeof what, fmt, args);
    return hv_err_set(err, rc, "%.900s: %s", what, strerror(error));
}

/* What kind of refusal an errno is; HV_IO for everything that says nothing about us. */
static hv_rc
refusal(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return HV_LIMIT;
    case EACCES:
    case EROFS:
        return HV_AUTH;
    case EPERM:                         /* an immutable or append-only file or folder: chattr(1) */
        return HV_POLICY;
    case ENAMETOOLONG:
        return HV_USAGE;
    case ENOMEM:
        return HV_NOMEM;
    default:
        return HV_IO;
    }
}

hv_rc
hv_dir_refused(hv_err *err, int error, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    hv_rc rc = fail(err, refusal(error), error, fmt, args);
    va_end(args);
    return rc;
}

hv_rc
hv_dir_unknown(hv_err *err, int error, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    hv_rc rc = fail(err, HV_IO, error, fmt, args);
    va_end(args);
    return rc;
}

int
hv_dir_fsync(int fd)
{
    int failed;

    do
        failed = fsync(fd);
    while (failed != 0 && errno == EINTR);
    return failed;
}

const char *
hv_dir_leaf(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash != NULL ? slash + 1 : name;
}

/* The slot of a folder; with `lock` held. */
static hv_dir_note *
note_of(hv_dir *dir, const struct stat *st)
{
    uint64_t mixed = ((uint64_t)st->st_ino ^ (uint64_t)st->st_dev << 32) * UINT64_C(0x9e3779b97f4a7c15);
    hv_dir_note *note = &dir->locked.notes[mixed >> 52];        /* the upper 12 bits: HV_DIR_NOTES slots */

    _Static_assert(HV_DIR_NOTES == 1 << 12, "the shift above fits the number of slots");
    if (note->ino != st->st_ino || note->dev != st->st_dev)
        *note = (hv_dir_note){.dev = st->st_dev, .ino = st->st_ino};
    return note;
}

static bool
is_anchored(hv_dir *dir, const struct stat *parent, const struct stat *child)
{
    pthread_mutex_lock(&dir->lock);
    const hv_dir_note *note = note_of(dir, child);
    bool anchored = note->anchored && note->parent_ino == parent->st_ino;
    pthread_mutex_unlock(&dir->lock);
    return anchored;
}

static hv_rc
anchor(hv_dir *dir, int parent, int child, const char *name, hv_err *err)
{
    struct stat parent_st, child_st;

    if (fstat(parent, &parent_st) != 0 || fstat(child, &child_st) != 0)
        return hv_dir_refused(err, errno, "stat a folder of '%s'", name);
    if (is_anchored(dir, &parent_st, &child_st))
        return HV_OK;
    if (hv_dir_fsync(parent) != 0)
        return hv_dir_refused(err, errno, "sync a folder of '%s'", name);
    pthread_mutex_lock(&dir->lock);
    hv_dir_note *note = note_of(dir, &child_st);
    note->anchored = true;
    note->parent_ino = parent_st.st_ino;
    pthread_mutex_unlock(&dir->lock);
    return HV_OK;
}

/* A part of a path could not be opened as a folder. */
static hv_rc
no_folder(int parent, const char *part, const char *name, bool make, int error, hv_err *err)
{
    struct stat st;

    if (error != ENOTDIR && error != ELOOP && error != ENOENT)
        return hv_dir_refused(err, error, "open the folder '%s' of '%s'", part, name);
    if (error == ENOENT && make)
        return hv_err_set(err, HV_IO, "the folder '%s' of '%s' vanished while it was made", part, name);
    if (error == ENOENT)
        return hv_err_set(err, HV_NOT_FOUND, "there is no '%s'", name);
    if (make)
        return hv_err_set(err, HV_USAGE, "'%s' cannot be stored: '%s' is there and is not a folder", name, part);
    if (fstatat(parent, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        return hv_err_set(err, HV_NOT_FOUND, "there is no '%s': '%s' is a blob", name, part);
    return hv_err_set(err, HV_CORRUPT, "'%s' of '%s' is not a folder; symbolic links are not followed", part, name);
}

static hv_rc
open_part(hv_dir *dir, int parent, const char *part, const char *name, bool make, int *ret, hv_err *err)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    HV_AUTO(hv_dir_fd) int child = openat(parent, part, FLAGS);

    if (child < 0 && errno == ENOENT && make) {
        if (mkdirat(parent, part, FOLDER_MODE) != 0 && errno != EEXIST)
            return hv_dir_refused(err, errno, "make the folder '%s' of '%s'", part, name);
        child = openat(parent, part, FLAGS);
    }
    if (child < 0)
        return no_folder(parent, part, name, make, errno, err);
    hv_rc rc = anchor(dir, parent, child, name, err);
    if (rc != HV_OK)
        return rc;
    *ret = child;
    child = -1;
    return HV_OK;
}

/* FNV-1a, never 0. Two paths of one folder could only be mistaken for each other if it had been moved from one to the other. */
static uint64_t
hash_of_path(const char *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

static void
note_walk(hv_dir *dir, const struct stat *st, uint64_t path)
{
    pthread_mutex_lock(&dir->lock);
    note_of(dir, st)->walked = path;
    pthread_mutex_unlock(&dir->lock);
}

static bool
was_walked(hv_dir *dir, const struct stat *st, uint64_t path)
{
    pthread_mutex_lock(&dir->lock);
    bool walked = note_of(dir, st)->walked == path;
    pthread_mutex_unlock(&dir->lock);
    return walked;
}

/* The folder at `path` if a walk has led there before; -1 for whatever reason, and the walk says which. */
static int
open_at_once(hv_dir *dir, const char *path, uint64_t hash)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    struct stat st;
    HV_AUTO(hv_dir_fd) int folder = (int)syscall(SYS_openat2, dir->root, path, &how, sizeof how);

    if (folder < 0 || fstat(folder, &st) != 0 || !was_walked(dir, &st, hash))
        return -1;
    int ret = folder;
    folder = -1;
    return ret;
}

/* `name` up to its last part, as a walk; the folder is noted with the hash of that path. */
static hv_rc
walk(hv_dir *dir, const char *name, bool make, uint64_t hash, int *ret, hv_err *err)
{
    char part[HV_STORAGE_PART_MAX + 1];
    struct stat st;
    HV_AUTO(hv_dir_fd) int folder = openat(dir->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0)
        return hv_dir_refused(err, errno, "open '%s'", dir->location);
    for (const char *rest = name, *slash; (slash = strchr(rest, '/')) != NULL; rest = slash + 1) {
        int child = -1;
        memcpy(part, rest, (size_t)(slash - rest));
        part[slash - rest] = '\0';
        hv_rc rc = open_part(dir, folder, part, name, make, &child, err);
        if (rc != HV_OK)
            return rc;
        hv_dir_close_fd(folder);
        folder = child;
    }
    if (fstat(folder, &st) != 0)
        return hv_dir_refused(err, errno, "stat the folder of '%s'", name);
    note_walk(dir, &st, hash);
    *ret = folder;
    folder = -1;
    return HV_OK;
}

hv_rc
hv_dir_open_folder(hv_dir *dir, const char *name, bool make, int *ret, hv_err *err)
{
    char path[HV_STORAGE_NAME_SIZE];
    size_t len = (size_t)(hv_dir_leaf(name) - name);

    memcpy(path, name, len);
    path[len > 0 ? len - 1 : 0] = '\0';         /* without the '/' */
    uint64_t hash = hash_of_path(path);
    int folder = len > 0 ? open_at_once(dir, path, hash) : -1;
    if (folder < 0)
        return walk(dir, name, make, hash, ret, err);
    *ret = folder;
    return HV_OK;
}

static bool
is_same_time(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

hv_rc
hv_dir_settle(hv_dir *dir, int folder, struct stat *st, bool *settled, hv_err *err)
{
    int64_t before_ms = hv_clock_boot_ms();

    if (fstat(folder, st) != 0)
        return hv_dir_refused(err, errno, "stat a folder of '%s'", dir->location);
    pthread_mutex_lock(&dir->lock);
    hv_dir_note *note = note_of(dir, st);
    bool known = note->seen_ms != 0 && is_same_time(&note->changed, &st->st_ctim);
    if (!known) {
        note->changed = st->st_ctim;
        note->seen_ms = hv_clock_boot_ms();
        note->synced = note->settled = false;
    }
    *settled = note->settled;
    bool ripe = known && before_ms - note->seen_ms >= SETTLE_MS;
    pthread_mutex_unlock(&dir->lock);
    if (*settled)
        return HV_OK;

    if (hv_dir_fsync(folder) != 0)
        return hv_dir_refused(err, errno, "sync a folder of '%s'", dir->location);
    pthread_mutex_lock(&dir->lock);
    note = note_of(dir, st);
    if (is_same_time(&note->changed, &st->st_ctim)) {
        note->synced = true;
        *settled = note->settled = ripe;
    }
    pthread_mutex_unlock(&dir->lock);
    return HV_OK;
}

hv_rc
hv_dir_know_file_system(hv_dir *dir, hv_err *err)
{
    static const long known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC};
    struct statfs fs;
    struct stat st;

    if (fstatfs(dir->root, &fs) != 0 || fstat(dir->root, &st) != 0)
        return hv_dir_refused(err, errno, "stat '%s'", dir->location);
    dir->device = st.st_dev;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        dir->links_set_times |= (long)fs.f_type == known[i];
    return HV_OK;
}

/* Whether the file got its entry before the folder changed last, and the folder was synced after that. */
static bool
is_covered(hv_dir *dir, const struct stat *folder, const struct stat *file)
{
    bool older = file->st_ctim.tv_sec < folder->st_ctim.tv_sec ||
                 (file->st_ctim.tv_sec == folder->st_ctim.tv_sec && file->st_ctim.tv_nsec < folder->st_ctim.tv_nsec);

    pthread_mutex_lock(&dir->lock);
    const hv_dir_note *note = note_of(dir, folder);
    bool covered = older && note->synced && folder->st_dev == dir->device && is_same_time(&note->changed, &folder->st_ctim);
    pthread_mutex_unlock(&dir->lock);
    return covered;
}

hv_rc
hv_dir_settle_entry(hv_dir *dir, int folder, const struct stat *file, hv_err *err)
{
    struct stat st;
    bool settled;

    if (fstat(folder, &st) != 0)
        return hv_dir_refused(err, errno, "stat a folder of '%s'", dir->location);
    return dir->links_set_times && is_covered(dir, &st, file) ? HV_OK : hv_dir_settle(dir, folder, &st, &settled, err);
}
