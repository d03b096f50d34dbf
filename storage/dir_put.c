/*
 * Creating blobs in the dir driver.
 *
 * A blob is written to a file without a visible name, made read-only, synced, and only then given its name by one call that fails
 * if the name is taken; then the folder is synced. So whoever sees the name sees a whole blob whose bytes are on disk, at whatever
 * instruction we die, and nobody can be overwritten. Three ways to do that, tried in this order once per handle:
 *
 * TMPFILE  O_TMPFILE in the folder itself, named by linkat(2) through /proc: a file that dies with us needs no clean-up.
 * LINK     a file in ".tmp", named by link(2), its first name removed. link(2) never replaces a name.
 * RENAME   a file in ".tmp", named by renameat2(2) with RENAME_NOREPLACE, where the file system has no hard links.
 *
 * What is left in ".tmp" by processes that died has no meaning: a blob has its second name already. Every process that may
 * have files there holds a shared lock on ".tmp/lock"; who gets it exclusively is alone and empties the folder.
 *
 * Until the call that gives the name, a failure is "refused, nothing stored", after it "unknown".
 */
#include "storage/dir_folder.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TEMP_FOLDER HV_STORAGE_RESERVED
#define TEMP_LOCK "lock"

enum { BLOB_MODE = 0444, UNFINISHED_MODE = 0600, TEMP_FOLDER_MODE = 0700, PARTS_PER_CALL = 64 };

static void
temp_name(const hv_dir *dir, char ret[HV_DIR_TEMP_NAME_SIZE])
{
    static atomic_ulong counter;

    (void)snprintf(ret, HV_DIR_TEMP_NAME_SIZE, "%016llx-%lu", (unsigned long long)dir->prepared.random,
                   atomic_fetch_add(&counter, 1));
}

static int
open_unnamed(int folder)
{
    return openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, UNFINISHED_MODE);
}

static int
open_named(int folder, const char *name)
{
    return openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, UNFINISHED_MODE);
}

/* 0, or the errno. */
static int
name_unnamed(int fd, int folder, const char *leaf)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, folder, leaf, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

static int
name_by_link(int temp, const char *temp_leaf, int folder, const char *leaf)
{
    return linkat(temp, temp_leaf, folder, leaf, 0) == 0 ? 0 : errno;
}

static int
name_by_rename(int temp, const char *temp_leaf, int folder, const char *leaf)
{
    return renameat2(temp, temp_leaf, folder, leaf, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

/* Probes. 0 if the way works, EOPNOTSUPP if this file system does not have it, another errno if we could not find out. */

static int
verdict(int error)
{
    switch (error) {
    case ENOSYS:
    case EOPNOTSUPP:
    case EISDIR:                        /* O_TMPFILE on a kernel that does not know it, open(2) */
    case EINVAL:
    case EPERM:                         /* hard links on a file system without them, link(2) */
    case ENOENT:                        /* no /proc */
    case EXDEV:
    case EMLINK:
    case EEXIST:                        /* of a name that was free */
        return EOPNOTSUPP;
    default:
        return error;
    }
}

/* After a first naming answered `first`, `second` is the answer when asked for the same name again, which must be "taken". */
static int
verdict_of_both(int first, int second)
{
    return first != 0 ? verdict(first) : second == EEXIST ? 0 : second == 0 ? EOPNOTSUPP : verdict(second);
}

static int
probe_tmpfile(int temp, const char *to)
{
    HV_AUTO(hv_dir_fd) int fd = open_unnamed(temp);
    if (fd < 0)
        return verdict(errno);
    int first = name_unnamed(fd, temp, to), second = first == 0 ? name_unnamed(fd, temp, to) : 0;
    return verdict_of_both(first, second);
}

static int
probe_link(int temp, const char *from, const char *to)
{
    HV_AUTO(hv_dir_fd) int fd = open_named(temp, from);
    if (fd < 0)
        return errno;
    int first = name_by_link(temp, from, temp, to), second = first == 0 ? name_by_link(temp, from, temp, to) : 0;
    return verdict_of_both(first, second);
}

static int
probe_rename(int temp, const char *from, const char *to)
{
    HV_AUTO(hv_dir_fd) int fd = open_named(temp, from);
    if (fd < 0)
        return errno;
    int first = name_by_rename(temp, from, temp, to);
    HV_AUTO(hv_dir_fd) int again = first == 0 ? open_named(temp, from) : -1;
    if (first == 0 && again < 0)
        return errno;
    return verdict_of_both(first, first == 0 ? name_by_rename(temp, from, temp, to) : 0);
}

static hv_rc
find_method(hv_dir *dir, int temp, hv_dir_method *ret, hv_err *err)
{
    int error = EOPNOTSUPP;
    hv_dir_method method;

    for (method = HV_DIR_TMPFILE; error == EOPNOTSUPP && method <= HV_DIR_RENAME; method++) {
        char from[HV_DIR_TEMP_NAME_SIZE], to[HV_DIR_TEMP_NAME_SIZE];
        temp_name(dir, from);
        temp_name(dir, to);
        error = method == HV_DIR_TMPFILE ? probe_tmpfile(temp, to)
              : method == HV_DIR_LINK    ? probe_link(temp, from, to)
                                         : probe_rename(temp, from, to);
        (void)unlinkat(temp, from, 0);
        (void)unlinkat(temp, to, 0);
        if (error == 0)
            *ret = method;
    }
    if (error == EOPNOTSUPP)
        return hv_err_set(err, HV_IO, "the file system of '%s' can neither link nor rename a file without replacing another",
                          dir->location);
    if (error != 0)
        return hv_dir_refused(err, error, "try to create a file in '%s'", dir->location);
    return HV_OK;
}

/* Remove what processes left that are gone. What cannot be removed does no harm. */
static void
remove_leftovers(int temp)
{
    int fd = openat(temp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);

    if (entries == NULL) {
        hv_dir_close_fd(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, TEMP_LOCK) != 0)
            (void)unlinkat(temp, entry->d_name, 0);
    (void)closedir(entries);
}

/* Where locks are not supported nothing is cleaned up, for we cannot know who lives. */
static void
clean_and_stay(int temp, int temp_lock)
{
    if (flock(temp_lock, LOCK_EX | LOCK_NB) == 0)
        remove_leftovers(temp);
    (void)flock(temp_lock, LOCK_SH);    /* waits at most for another process that cleans */
}

static hv_rc
prepare(hv_dir *dir, hv_err *err)
{
    hv_dir_method method;

    if (mkdirat(dir->root, TEMP_FOLDER, TEMP_FOLDER_MODE) != 0 && errno != EEXIST)
        return hv_dir_refused(err, errno, "make the folder '" TEMP_FOLDER "' in '%s'", dir->location);
    HV_AUTO(hv_dir_fd) int temp = openat(dir->root, TEMP_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (temp < 0)
        return hv_dir_refused(err, errno, "open the folder '" TEMP_FOLDER "' in '%s'", dir->location);
    HV_AUTO(hv_dir_fd) int temp_lock = openat(temp, TEMP_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, UNFINISHED_MODE);
    if (temp_lock < 0)
        return hv_dir_refused(err, errno, "open '" TEMP_FOLDER "/" TEMP_LOCK "' in '%s'", dir->location);
    if (getrandom(&dir->prepared.random, sizeof dir->prepared.random, 0) != (ssize_t)sizeof dir->prepared.random)
        return hv_dir_refused(err, errno, "get a random number");
    clean_and_stay(temp, temp_lock);
    hv_rc rc = find_method(dir, temp, &method, err);
    if (rc != HV_OK)
        return rc;
    if (hv_dir_fsync(temp) != 0)
        return hv_dir_refused(err, errno, "sync a folder in '%s'", dir->location);

    dir->prepared.temp = temp;
    dir->prepared.temp_lock = temp_lock;
    dir->prepared.method = method;
    temp = temp_lock = -1;
    return HV_OK;
}

hv_rc
hv_dir_prepare(hv_dir *dir, hv_err *err)
{
    hv_rc rc = HV_OK;

    /* Like pthread_once(), but one that failed is tried again: the other threads cannot do anything before it is done. */
    pthread_mutex_lock(&dir->prepare_lock);
    if (dir->prepared.method == HV_DIR_UNKNOWN)
        rc = prepare(dir, err);
    pthread_mutex_unlock(&dir->prepare_lock);
    return rc;
}

/* A file that is being written. */
typedef struct unfinished {
    int fd;
    int temp;
    char temp_name[HV_DIR_TEMP_NAME_SIZE];      /* empty if it has no name */
} unfinished;

static void
unfinished_drop(unfinished *file)
{
    hv_dir_close_fd(file->fd);
    if (file->fd >= 0 && file->temp_name[0] != '\0')
        (void)unlinkat(file->temp, file->temp_name, 0);
}
HV_DEFINE_AUTO_VALUE(unfinished, unfinished_drop);

/* Fill `iov` with what is behind the first `done` bytes of the parts; how many it took. */
static int
gather(const hv_slice *parts, size_t part_count, size_t *part, size_t *done, struct iovec iov[PARTS_PER_CALL])
{
    int used = 0;

    while (*part < part_count && *done >= parts[*part].len) {
        *done -= parts[*part].len;
        ++*part;
    }
    for (size_t i = *part, skip = *done; i < part_count && used < PARTS_PER_CALL; i++, skip = 0)
        if (parts[i].len > skip)
            iov[used++] = (struct iovec){.iov_base = (char *)(uintptr_t)parts[i].data + skip, .iov_len = parts[i].len - skip};
    return used;
}

static hv_rc
write_parts(int fd, const hv_slice *parts, size_t part_count, const char *name, hv_err *err)
{
    struct iovec iov[PARTS_PER_CALL];
    size_t part = 0, done = 0;          /* `done` bytes of parts[part] and those behind it are written */

    for (int used; (used = gather(parts, part_count, &part, &done, iov)) > 0;) {
        ssize_t written = writev(fd, iov, used);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return hv_dir_refused(err, written < 0 ? errno : EIO, "write '%s'", name);
        done += (size_t)written;
    }
    return HV_OK;
}

static hv_rc
set_attribute(int fd, const char *attribute, const unsigned char *value, size_t len, const char *name, hv_err *err)
{
    if (fsetxattr(fd, attribute, value, len, 0) == 0 || errno == EOPNOTSUPP)
        return HV_OK;
    return hv_dir_refused(err, errno, "set '%s' of '%s'", attribute, name);
}

/* Everything about the file is on disk afterwards, its attributes too: fsync(2) covers the metadata of the file itself. */
static hv_rc
fill(int fd, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes, const char *name, hv_err *err)
{
    hv_rc rc = write_parts(fd, parts, part_count, name, err);

    if (rc == HV_OK && attributes != NULL && attributes->has_sha256)
        rc = set_attribute(fd, HV_DIR_ATTRIBUTE_SHA256, attributes->sha256, sizeof attributes->sha256, name, err);
    if (rc == HV_OK && attributes != NULL && attributes->has_nonce)
        rc = set_attribute(fd, HV_DIR_ATTRIBUTE_NONCE, attributes->nonce, sizeof attributes->nonce, name, err);
    if (rc != HV_OK)
        return rc;
    if (fchmod(fd, BLOB_MODE) != 0)
        return hv_dir_refused(err, errno, "make '%s' read-only", name);
    if (hv_dir_fsync(fd) != 0)
        return hv_dir_refused(err, errno, "sync '%s'", name);
    return HV_OK;
}

/* The name is taken. HV_EXISTS if what is there is durable: whoever put it may have died before its fsync of the folder. */
static hv_rc
exists(int folder, const char *name, hv_err *err)
{
    struct stat st;
    HV_AUTO(hv_dir_fd) int fd = openat(folder, hv_dir_leaf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno != ELOOP && errno != ENXIO)
        return hv_dir_refused(err, errno, "open '%s', which is there", name);
    if (fd >= 0 && fstat(fd, &st) != 0)
        return hv_dir_unknown(err, errno, "stat '%s'", name);
    if (fd >= 0 && S_ISDIR(st.st_mode))
        return hv_err_set(err, HV_USAGE, "'%s' cannot be stored: it is a folder", name);
    bool is_file = fd >= 0 && S_ISREG(st.st_mode);      /* what else somebody may have put there has nothing to sync */
    if ((is_file && hv_dir_fsync(fd) != 0) || hv_dir_fsync(folder) != 0)
        return hv_dir_unknown(err, errno, "sync '%s', which is there", name);
    return hv_err_set(err, HV_EXISTS, "'%s' is already stored", name);
}

static hv_rc
begin(const hv_dir *dir, int folder, const char *name, unfinished *ret, hv_err *err)
{
    ret->temp = dir->prepared.temp;
    if (dir->prepared.method != HV_DIR_TMPFILE)
        temp_name(dir, ret->temp_name);
    ret->fd = ret->temp_name[0] == '\0' ? open_unnamed(folder) : open_named(ret->temp, ret->temp_name);
    if (ret->fd < 0)
        return hv_dir_refused(err, errno, "create a file for '%s'", name);
    return HV_OK;
}

/* 0, or the errno. */
static int
give_name(hv_dir_method method, const unfinished *file, int folder, const char *leaf)
{
    switch (method) {
    case HV_DIR_TMPFILE:
        return name_unnamed(file->fd, folder, leaf);
    case HV_DIR_LINK:
        return name_by_link(file->temp, file->temp_name, folder, leaf);
    default:
        return name_by_rename(file->temp, file->temp_name, folder, leaf);
    }
}

hv_rc
hv_dir_put_new(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count,
               const hv_blob_attributes *attributes, hv_err *err)
{
    hv_dir *dir = (hv_dir *)storage;
    HV_AUTO(hv_dir_fd) int folder = -1;
    HV_AUTO(unfinished_drop) unfinished file = {.fd = -1};

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc == HV_OK)
        rc = hv_dir_prepare(dir, err);
    if (rc == HV_OK)
        rc = hv_dir_open_folder(dir, name, true, &folder, err);
    if (rc == HV_OK)
        rc = begin(dir, folder, name, &file, err);
    if (rc == HV_OK)
        rc = fill(file.fd, parts, part_count, attributes, name, err);
    if (rc != HV_OK)
        return rc;

    int error = give_name(dir->prepared.method, &file, folder, hv_dir_leaf(name));
    if (error == EEXIST)
        return exists(folder, name, err);
    if (error != 0)
        return hv_dir_refused(err, error, "give '%s' its name", name);
    if (hv_dir_fsync(folder) != 0)
        return hv_dir_unknown(err, errno, "sync the folder of '%s'", name);
    return HV_OK;
}
