/*
 * A folder that somebody else filled, listed by the dir driver. The input says what lies there: files, folders and symbolic links with any
 * bytes in their names. The list is the names that obey the rule of storage.h, sorted, whatever the prefix, the start and the size of a
 * page; a symbolic link in the place of a blob is reported and not followed.
 *
 * The folder lies in memory where the machine has such a place: creating files is most of the work.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/drivers.h"
#include "storage/storage_driver.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 2048, MOST_ENTRIES = 24, MOST_DEPTH = 3 };

static char root[64];

typedef struct made {
    char *names[MOST_ENTRIES];          /* of files that a list has to show */
    size_t count;
    bool has_link;
} made;

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type;
    return where->level == 0 ? 0 : remove(path);
}

static void
remove_root(void)
{
    (void)nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    (void)rmdir(root);
}

static void
make_root(void)
{
    if (root[0] != '\0')
        return;
    (void)snprintf(root, sizeof root, "%s/hubvault-names-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert(mkdtemp(root) != NULL);
    assert(atexit(remove_root) == 0);
}

static bool
is_listed(const made *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->names[i], name) == 0)
            return true;
    return false;
}

/* The folders on the way, then a file or a link. What cannot be made is left out. */
static void
make_entry(made *m, const char *name, char kind)
{
    char path[sizeof root + HV_STORAGE_NAME_SIZE + 8];
    hv_err err;
    int depth = 0;

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if ((mkdir(path, 0700) != 0 && errno != EEXIST) || ++depth > MOST_DEPTH)
            return;
        *slash = '/';
    }
    if (kind == 'd') {
        (void)mkdir(path, 0700);
        return;
    }
    if (kind == 'l') {
        if (symlink("/etc", path) == 0 && hv_storage_name_check(name, &err) == HV_OK)
            m->has_link = true;
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    (void)close(fd);
    if (hv_storage_name_check(name, &err) == HV_OK && !is_listed(m, name)) {
        m->names[m->count] = strdup(name);
        assert(m->names[m->count++] != NULL);
    }
}

static void
make_entries(made *m, const char *at, const char *end)
{
    char name[HV_STORAGE_NAME_SIZE + 1];

    for (int left = MOST_ENTRIES; at < end && left > 0; left--) {
        char kind = *at++;
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        if (len > 0 && len < sizeof name && memchr(at, '\0', len) == NULL && at[0] != '/') {
            memcpy(name, at, len);
            name[len] = '\0';
            if (strstr(name, "//") == NULL && strstr(name, "..") == NULL && strstr(name, "./") == NULL)
                make_entry(m, name, kind);
        }
        at = stop != NULL ? stop + 1 : end;
    }
}

static int
by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names of the prefix from a name on, in pages. */
static void
check_list(hv_storage *storage, const made *m, const char *prefix, const char *from, size_t max)
{
    char last[HV_STORAGE_NAME_SIZE];
    hv_list_request request = {.prefix = prefix, .from = from, .max = max};
    size_t at = 0;
    hv_err err;

    for (bool more = true; more;) {
        HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
        hv_rc rc = hv_storage_prefix_check(prefix, &err) == HV_OK ? storage->ops->list(storage, &request, &page, &err) : HV_CORRUPT;
        assert(rc == HV_OK || rc == HV_CORRUPT);
        if (rc == HV_CORRUPT) {
            assert(page.count == 0 && (m->has_link || hv_storage_prefix_check(prefix, &err) != HV_OK));
            return;
        }
        assert(page.count <= max && (!page.more || page.count == max));
        for (size_t i = 0; i < page.count; i++) {
            while (at < m->count && (!hv_storage_begins(m->names[at], prefix) || (from != NULL && strcmp(m->names[at], from) < 0)))
                at++;
            assert(at < m->count && strcmp(m->names[at++], page.entries[i].name) == 0);
        }
        more = page.more;
        if (more) {
            (void)snprintf(last, sizeof last, "%s", page.entries[page.count - 1].name);
            request.from = last;
            request.after = true;
        }
    }
    for (; at < m->count; at++)
        assert(!hv_storage_begins(m->names[at], prefix) || (from != NULL && strcmp(m->names[at], from) < 0));
}

static void
check_folder(const made *m, unsigned seed)
{
    HV_AUTO(hv_storage_close) hv_storage *storage = NULL;
    char prefix[HV_STORAGE_NAME_SIZE] = "";
    hv_err err;

    assert(hv_storage_dir_open(root, false, &storage, &err) == HV_OK);
    check_list(storage, m, "", NULL, 1000);
    check_list(storage, m, "", NULL, 1 + seed % 3);
    if (m->count == 0)
        return;
    const char *some = m->names[seed % m->count];
    (void)snprintf(prefix, sizeof prefix, "%.*s", (int)(seed / 7 % (strlen(some) + 1)), some);
    check_list(storage, m, prefix, NULL, 2);
    check_list(storage, m, "", some, 1 + seed % 5);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    made m = {.count = 0};

    if (size < 2 || size > MOST)
        return 0;
    make_root();
    make_entries(&m, (const char *)data + 1, (const char *)data + size);
    qsort(m.names, m.count, sizeof *m.names, by_bytes);
    check_folder(&m, data[0]);
    for (size_t i = 0; i < m.count; i++)
        free(m.names[i]);
    (void)nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
