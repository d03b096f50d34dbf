/*
 * Listing in the dir driver.
 *
 * Names come sorted as whole names, so the entries of one folder are sorted with a '/' behind the names of folders: "a-b" and "a.b"
 * come before what lies in the folder "a", "a0" and "a=b" behind it. Then a walk that enters a folder where it stands in that order
 * yields all names in order, because the '/' keeps the key of a folder from being a prefix of another key.
 *
 * A page begins in the folder that the prefix names, and enters only folders that can hold names from the bound on.
 *
 * A page needs the folder sorted, and reading a folder of a million files for each of its 200 pages is what makes listings slow. So
 * the handle keeps the folder it read last, and uses it again while the folder is settled and its change time is the same (see
 * dir_folder.c): it has not changed then. The listing is taken out of the handle while it is in use, so no lock is held meanwhile.
 *
 * Every name is durable when it is reported: it was read before the folder was settled, or the folder was settled before, and
 * did not change. Files that vanish between reading the folder and asking for their size are left out.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/dir_folder.h"

/* A folder with more than this in names, which is about 40 million segments, is refused before it eats the memory. */
enum { LISTING_BYTES_MAX = 1 << 30 };

/* One folder: its names, those of folders with a '/' behind, each with a NUL; and where each begins, sorted. */
struct hv_dir_listing {
    dev_t dev;
    ino_t ino;
    struct timespec changed;
    bool reusable;
    hv_buf names;
    uint32_t *starts;
    size_t count, room;
};

typedef struct lister {
    hv_dir *dir;
    const hv_list_request *request;
    const char *lower;                  /* the larger one of prefix and from */
    bool after;                         /* whether `lower` itself is left out */
    bool done;
    char path[HV_STORAGE_NAME_SIZE + 1];        /* of the folder being read: empty, or with a '/' at the end */
    hv_dir_listing *largest;            /* of those that could be used again */
    hv_blob_list page;
} lister;

void
hv_dir_listing_free(hv_dir_listing *listing)
{
    if (listing == NULL)
        return;
    hv_buf_free(&listing->names);
    free(listing->starts);
    free(listing);
}
HV_DEFINE_AUTO(hv_dir_listing, hv_dir_listing_free);

static const char *
key_at(const hv_dir_listing *listing, size_t i)
{
    return listing->names.data + listing->starts[i];
}

static int
compare_keys(const void *a, const void *b, void *names)
{
    const char *text = names;

    return strcmp(text + *(const uint32_t *)a, text + *(const uint32_t *)b);
}

static hv_rc
add_key(hv_dir_listing *listing, const char *name, bool is_folder, hv_err *err)
{
    if (listing->count == listing->room) {
        size_t room = listing->room == 0 ? 64 : listing->room * 2;
        uint32_t *moved = realloc(listing->starts, room * sizeof *moved);
        if (moved == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for a folder of %zu files", room);
        listing->starts = moved;
        listing->room = room;
    }
    listing->starts[listing->count] = (uint32_t)listing->names.len;
    hv_buf_put_text(&listing->names, name);
    if (is_folder)
        hv_buf_put_byte(&listing->names, '/');
    hv_buf_put_byte(&listing->names, '\0');
    listing->count++;
    return hv_buf_check(&listing->names, err);
}

/* Files whose names break the rule of storage.h are none of ours, nor can they be asked for. At the root this hides ".tmp". */
static bool
is_ours(const lister *l, const char *name)
{
    hv_err ignored;
    char whole[sizeof l->path + sizeof((struct dirent *)NULL)->d_name];

    size_t len = strlen(l->path);
    memcpy(whole, l->path, len);
    memcpy(whole + len, name, strlen(name) + 1);
    return hv_storage_name_check(whole, &ignored) == HV_OK;
}

/* Some file systems do not say the type with the name, readdir(3). */
static hv_rc
type_of(const lister *l, int folder, const struct dirent *entry, unsigned char *ret, hv_err *err)
{
    struct stat st;

    *ret = entry->d_type;
    if (entry->d_type == DT_UNKNOWN) {
        if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return hv_dir_refused(err, errno, "stat '%s%s'", l->path, entry->d_name);
        *ret = S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_CHR;
    }
    if (*ret != DT_REG && *ret != DT_DIR)
        return hv_err_set(err, HV_CORRUPT, "'%s%s' is neither a file nor a folder; symbolic links are not followed", l->path,
                          entry->d_name);
    return HV_OK;
}

static hv_rc
read_entries(const lister *l, int folder, DIR *entries, hv_dir_listing *listing, hv_err *err)
{
    for (;;) {
        unsigned char type;
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (entry == NULL && errno != 0)
            return hv_dir_refused(err, errno, "read the folder '%s'", l->path);
        if (entry == NULL)
            return HV_OK;
        if (!is_ours(l, entry->d_name))
            continue;
        hv_rc rc = type_of(l, folder, entry, &type, err);
        if (rc == HV_OK)
            rc = add_key(listing, entry->d_name, type == DT_DIR, err);
        if (rc != HV_OK)
            return rc;
    }
}

static hv_rc
read_folder(const lister *l, int folder, hv_dir_listing *listing, hv_err *err)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);

    if (entries == NULL) {
        hv_rc rc = hv_dir_refused(err, errno, "open the folder '%s'", l->path);
        hv_dir_close_fd(fd);
        return rc;
    }
    hv_rc rc = read_entries(l, folder, entries, listing, err);
    (void)closedir(entries);
    if (rc == HV_OK && listing->count > 0)
        qsort_r(listing->starts, listing->count, sizeof *listing->starts, compare_keys, listing->names.data);
    return rc;
}

static bool
same_state(const hv_dir_listing *listing, const struct stat *st)
{
    return listing->dev == st->st_dev && listing->ino == st->st_ino && listing->changed.tv_sec == st->st_ctim.tv_sec &&
           listing->changed.tv_nsec == st->st_ctim.tv_nsec;
}

static hv_dir_listing *
take_last_listing(hv_dir *dir, const struct stat *st)
{
    hv_dir_listing *taken = NULL;

    pthread_mutex_lock(&dir->lock);
    if (dir->locked.last_listing != NULL && same_state(dir->locked.last_listing, st))
        taken = HV_TAKE(dir->locked.last_listing);
    pthread_mutex_unlock(&dir->lock);
    return taken;
}

/* Ownership passes. The largest of a call is kept: it is what would cost most to read again. */
static void
put_back(lister *l, hv_dir_listing *listing)
{
    if (listing->reusable && (l->largest == NULL || listing->count > l->largest->count)) {
        hv_dir_listing_free(l->largest);
        l->largest = listing;
    } else {
        hv_dir_listing_free(listing);
    }
}

/* Ownership passes. */
static void
keep_last_listing(hv_dir *dir, hv_dir_listing *listing)
{
    if (listing == NULL)
        return;
    pthread_mutex_lock(&dir->lock);
    hv_dir_listing *unused = dir->locked.last_listing;
    dir->locked.last_listing = listing;
    pthread_mutex_unlock(&dir->lock);
    hv_dir_listing_free(unused);
}

static hv_rc
get_listing(const lister *l, int folder, hv_dir_listing **ret, hv_err *err)
{
    struct stat before, after;
    bool settled, settled_after;

    hv_rc rc = hv_dir_settle(l->dir, folder, &before, &settled, err);
    if (rc != HV_OK)
        return rc;
    if (settled && (*ret = take_last_listing(l->dir, &before)) != NULL)
        return HV_OK;
    HV_AUTO(hv_dir_listing_free) hv_dir_listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to read the folder '%s'", l->path);
    *listing = (hv_dir_listing){.dev = before.st_dev, .ino = before.st_ino, .changed = before.st_ctim,
                                .names = HV_BUF_INIT(LISTING_BYTES_MAX)};
    rc = read_folder(l, folder, listing, err);
    if (rc == HV_OK)
        rc = hv_dir_settle(l->dir, folder, &after, &settled_after, err);
    if (rc != HV_OK)
        return rc;
    listing->reusable = settled && same_state(listing, &after);
    *ret = HV_TAKE(listing);
    return HV_OK;
}

/* The first entry that is not wholly below the bound; all if the bound lies in another folder, which is then below this one. */
static size_t
first_of(const lister *l, const hv_dir_listing *listing)
{
    size_t low = 0, high = listing->count;

    if (!hv_storage_begins(l->lower, l->path))
        return 0;
    const char *rest = l->lower + strlen(l->path);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *key = key_at(listing, middle);
        bool may_hold = key[strlen(key) - 1] == '/' && hv_storage_begins(rest, key);
        if (!may_hold && strcmp(key, rest) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static hv_rc list_folder(lister *l, int folder, hv_err *err);

static hv_rc
enter(lister *l, int folder, const char *key, hv_err *err)
{
    char part[HV_STORAGE_PART_MAX + 2];
    size_t len = strlen(l->path), key_len = strlen(key);

    memcpy(part, key, key_len - 1);
    part[key_len - 1] = '\0';
    HV_AUTO(hv_dir_fd) int child = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0 && errno == ENOENT)
        return HV_OK;
    if (child < 0)
        return hv_dir_refused(err, errno, "open the folder '%s%s'", l->path, part);
    memcpy(l->path + len, key, key_len + 1);
    hv_rc rc = list_folder(l, child, err);
    l->path[len] = '\0';
    return rc;
}

static hv_rc
give_file(lister *l, int folder, const char *key, const char *name, hv_err *err)
{
    struct stat st;

    if (l->after && strcmp(name, l->lower) == 0)
        return HV_OK;
    if (l->page.count == l->request->max) {
        l->page.more = l->done = true;
        return HV_OK;
    }
    if (fstatat(folder, key, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? HV_OK : hv_dir_refused(err, errno, "stat '%s'", name);
    return hv_blob_list_add(&l->page, name, (uint64_t)st.st_size, err);
}

static hv_rc
list_entries(lister *l, int folder, const hv_dir_listing *listing, hv_err *err)
{
    char name[HV_STORAGE_NAME_SIZE + 1];
    size_t path_len = strlen(l->path);
    hv_rc rc = HV_OK;

    memcpy(name, l->path, path_len);
    for (size_t i = first_of(l, listing); rc == HV_OK && !l->done && i < listing->count; i++) {
        const char *key = key_at(listing, i);
        size_t len = strlen(key);
        bool is_folder = key[len - 1] == '/';
        memcpy(name + path_len, key, len + 1);
        if (!hv_storage_begins(name, l->request->prefix))
            l->done = true;             /* above it, for the bound is not below it */
        else
            rc = is_folder ? enter(l, folder, key, err) : give_file(l, folder, key, name, err);
    }
    return rc;
}

static hv_rc
list_folder(lister *l, int folder, hv_err *err)
{
    hv_dir_listing *listing;

    hv_rc rc = get_listing(l, folder, &listing, err);
    if (rc != HV_OK)
        return rc;
    rc = list_entries(l, folder, listing, err);
    put_back(l, listing);
    return rc;
}

/* The folder that holds all names of the prefix, then a page of it. */
static hv_rc
list_prefix(lister *l, hv_err *err)
{
    const char *prefix = l->request->prefix;
    HV_AUTO(hv_dir_fd) int folder = -1;

    hv_rc rc = hv_dir_open_folder(l->dir, prefix, false, &folder, err);
    if (rc != HV_OK)
        return rc == HV_NOT_FOUND ? HV_OK : rc;
    memcpy(l->path, prefix, strlen(prefix) - strlen(hv_dir_leaf(prefix)));
    rc = list_folder(l, folder, err);
    keep_last_listing(l->dir, HV_TAKE(l->largest));
    return rc;
}

hv_rc
hv_dir_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    bool from_counts = request->from != NULL && strcmp(request->from, request->prefix) >= 0;
    lister l = {
        .dir = (hv_dir *)storage,
        .request = request,
        .lower = from_counts ? request->from : request->prefix,
        .after = from_counts && request->after,
    };

    assert(request->max > 0);
    hv_rc rc = hv_storage_prefix_check(request->prefix, err);
    if (rc == HV_OK && hv_storage_begins(l.lower, request->prefix))     /* else all names of the prefix are below `from` */
        rc = list_prefix(&l, err);
    if (rc == HV_OK)
        *ret = l.page;
    else
        hv_blob_list_free(&l.page);
    return rc;
}
