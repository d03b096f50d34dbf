/*
 * The dir driver: reading, deleting, opening. How blobs are created: dir_put.c. Why names are durable: dir_folder.c. Order and
 * speed of listings: dir_list.c.
 *
 * Opening without `create` writes nothing, so that a vault can be read where it must not be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "storage/dir_folder.h"
#include "storage/drivers.h"

enum { ROOT_MODE = 0750, SMALL_PIECE = 64 << 10 };

static hv_rc
not_found(const char *name, hv_err *err)
{
    return hv_err_set(err, HV_NOT_FOUND, "there is no blob '%s'", name);
}

/* O_NONBLOCK: opening a FIFO, which somebody else put there, would wait for a writer. */
static hv_rc
open_blob(hv_dir *dir, const char *name, int *ret_folder, int *ret, struct stat *st, hv_err *err)
{
    HV_AUTO(hv_dir_fd) int folder = -1;
    hv_rc rc = hv_dir_open_folder(dir, name, false, &folder, err);

    if (rc != HV_OK)
        return rc;
    HV_AUTO(hv_dir_fd) int fd = openat(folder, hv_dir_leaf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return not_found(name, err);
    if (fd < 0 && errno != ELOOP && errno != ENXIO)
        return hv_dir_refused(err, errno, "open '%s'", name);
    if (fd >= 0 && fstat(fd, st) != 0)
        return hv_dir_refused(err, errno, "stat '%s'", name);
    if (fd >= 0 && S_ISDIR(st->st_mode))
        return not_found(name, err);
    if (fd < 0 || !S_ISREG(st->st_mode))
        return hv_err_set(err, HV_CORRUPT, "'%s' is neither a file nor a folder; symbolic links are not followed", name);
    *ret_folder = folder;
    *ret = fd;
    folder = fd = -1;
    return HV_OK;
}

static hv_rc
read_all(int fd, uint64_t position, char *to, size_t len, size_t *ret, const char *name, hv_err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, to + done, len - done, (off_t)(position + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hv_dir_refused(err, errno, "read '%s'", name);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret = done;
    return HV_OK;
}

static hv_rc
dir_get_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    HV_AUTO(hv_dir_fd) int folder = -1;
    HV_AUTO(hv_dir_fd) int fd = -1;
    struct stat st;
    char *room;
    size_t got = 0;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc == HV_OK)
        rc = open_blob((hv_dir *)storage, name, &folder, &fd, &st, err);
    if (rc != HV_OK)
        return rc;
    /* The kernel would read on behind a small piece, which nobody wants: a rebuild reads fronts (posix_fadvise(2)). */
    if (len <= SMALL_PIECE)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    uint64_t size = (uint64_t)st.st_size, left = position < size ? size - position : 0;
    rc = hv_storage_room(ret, left < len ? (size_t)left : len, &room, err);
    if (rc == HV_OK)
        rc = read_all(fd, position, room, left < len ? (size_t)left : len, &got, name, err);
    if (rc == HV_OK)
        ret->len += got;
    if (ret->data != NULL)
        ret->data[ret->len] = '\0';
    return rc;
}

/* Absent where the file system has no attributes, or where somebody else stored something of another size. */
static hv_rc
get_attribute(int fd, const char *attribute, unsigned char *value, size_t len, bool *ret, const char *name, hv_err *err)
{
    ssize_t got = fgetxattr(fd, attribute, value, len);

    if (got < 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != ERANGE)
        return hv_dir_refused(err, errno, "read '%s' of '%s'", attribute, name);
    *ret = got == (ssize_t)len;
    return HV_OK;
}

static hv_rc
dir_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    HV_AUTO(hv_dir_fd) int folder = -1;
    HV_AUTO(hv_dir_fd) int fd = -1;
    hv_blob_attributes attributes = {.has_sha256 = false};
    struct stat st;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc == HV_OK)
        rc = open_blob((hv_dir *)storage, name, &folder, &fd, &st, err);
    if (rc == HV_OK)
        rc = hv_dir_settle_entry((hv_dir *)storage, folder, &st, err);
    if (rc == HV_OK)
        rc = get_attribute(fd, HV_DIR_ATTRIBUTE_SHA256, attributes.sha256, sizeof attributes.sha256, &attributes.has_sha256, name,
                           err);
    if (rc == HV_OK)
        rc = get_attribute(fd, HV_DIR_ATTRIBUTE_NONCE, attributes.nonce, sizeof attributes.nonce, &attributes.has_nonce, name, err);
    if (rc != HV_OK)
        return rc;
    *ret = (hv_blob_properties){
        .size = (uint64_t)st.st_size,
        .created_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .attributes = attributes,
    };
    return HV_OK;
}

static hv_rc
dir_delete_version(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    hv_dir *dir = (hv_dir *)storage;
    HV_AUTO(hv_dir_fd) int folder = -1;

    hv_rc rc = hv_storage_name_check(name, err);
    if (rc == HV_OK && version[0] != '\0')
        return hv_err_set(err, HV_NOT_FOUND, "there is no version '%s' of '%s': this store has no versions", version, name);
    if (rc == HV_OK)
        rc = hv_dir_open_folder(dir, name, false, &folder, err);
    if (rc != HV_OK)
        return rc;
    int error = unlinkat(folder, hv_dir_leaf(name), 0) == 0 ? 0 : errno;
    bool gone = error == ENOENT || error == EISDIR;
    if (error != 0 && !gone)
        return hv_dir_refused(err, error, "delete '%s'", name);
    /* When it was gone already an earlier try may have failed here. */
    if (hv_dir_fsync(folder) != 0)
        return hv_dir_unknown(err, errno, "sync the folder of '%s'", name);
    return gone ? not_found(name, err) : HV_OK;
}

static const char *
dir_location(const hv_storage *storage)
{
    return ((const hv_dir *)storage)->location;
}

static void
hv_dir_free(hv_dir *dir)
{
    if (dir == NULL)
        return;
    hv_dir_close_fd(dir->root);
    hv_dir_close_fd(dir->prepared.temp);
    hv_dir_close_fd(dir->prepared.temp_lock);
    hv_dir_listing_free(dir->locked.last_listing);
    free(dir->locked.notes);
    free(dir->location);
    pthread_mutex_destroy(&dir->prepare_lock);
    pthread_mutex_destroy(&dir->lock);
    free(dir);
}
HV_DEFINE_AUTO(hv_dir, hv_dir_free);

static void
dir_close(hv_storage *storage)
{
    hv_dir_free((hv_dir *)storage);
}

static const hv_storage_ops ops = {
    .driver = "dir",
    .put_new = hv_dir_put_new,
    .get_range = dir_get_range,
    .properties = dir_properties,
    .list = hv_dir_list,
    .delete_version = dir_delete_version,
    .location = dir_location,
    .close = dir_close,
};

static hv_rc
hv_dir_new(hv_dir **ret, hv_err *err)
{
    hv_dir *dir = calloc(1, sizeof *dir);

    if (dir == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the dir driver");
    if (pthread_mutex_init(&dir->lock, NULL) != 0 || pthread_mutex_init(&dir->prepare_lock, NULL) != 0) {
        free(dir);
        return hv_err_set(err, HV_NOMEM, "no memory for a lock");
    }
    dir->base.ops = &ops;
    dir->root = dir->prepared.temp = dir->prepared.temp_lock = -1;
    dir->locked.notes = calloc(HV_DIR_NOTES, sizeof *dir->locked.notes);
    if (dir->locked.notes == NULL) {
        hv_dir_free(dir);
        return hv_err_set(err, HV_NOMEM, "no memory for the dir driver");
    }
    *ret = dir;
    return HV_OK;
}

/* The folder that the root lies in. Where we may not open it somebody else has made the root, and answers for it. */
static hv_rc
sync_parent(int root, const char *path, hv_err *err)
{
    HV_AUTO(hv_dir_fd) int parent = openat(root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (parent < 0 && errno == EACCES)
        return HV_OK;
    if (parent < 0 || hv_dir_fsync(parent) != 0)
        return hv_dir_refused(err, errno, "sync the folder of '%s'", path);
    return HV_OK;
}

/* Its parent has to be there: a vault in a folder that nobody made is a slip of the pen, or a disk that is not mounted. */
static hv_rc
make_root(const char *path, hv_err *err)
{
    if (mkdir(path, ROOT_MODE) == 0 || errno == EEXIST)
        return HV_OK;
    if (errno == ENOENT)
        return hv_err_set(err, HV_NOT_FOUND, "there is no folder to make '%s' in", path);
    return hv_dir_refused(err, errno, "make the folder '%s'", path);
}

static hv_rc
open_root(hv_dir *dir, const char *path, hv_err *err)
{
    dir->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->root < 0 && errno == ENOENT)
        return hv_err_set(err, HV_NOT_FOUND, "there is no folder '%s'", path);
    if (dir->root < 0 && errno == ENOTDIR)
        return hv_err_set(err, HV_USAGE, "'%s' is not a folder", path);
    if (dir->root < 0)
        return hv_dir_refused(err, errno, "open the folder '%s'", path);
    char *absolute = realpath(path, NULL);
    if (absolute == NULL)
        return hv_dir_refused(err, errno, "find out where '%s' is", path);
    if (asprintf(&dir->location, "dir:%s", absolute) < 0) {
        dir->location = NULL;
        free(absolute);
        return hv_err_set(err, HV_NOMEM, "no memory for the path '%s'", path);
    }
    free(absolute);
    return HV_OK;
}

hv_rc
hv_storage_dir_open(const char *path, bool create, hv_storage **ret, hv_err *err)
{
    HV_AUTO(hv_dir_free) hv_dir *dir = NULL;

    hv_rc rc = create ? make_root(path, err) : HV_OK;
    if (rc == HV_OK)
        rc = hv_dir_new(&dir, err);
    if (rc == HV_OK)
        rc = open_root(dir, path, err);
    if (rc == HV_OK)
        rc = hv_dir_know_file_system(dir, err);
    if (rc == HV_OK && create)
        rc = sync_parent(dir->root, path, err);
    if (rc == HV_OK && create)
        rc = hv_dir_prepare(dir, err);
    if (rc == HV_OK)
        *ret = &HV_TAKE(dir)->base;
    return rc;
}
