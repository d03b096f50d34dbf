/* The names __wrap_X and __real_X are the linker's. With 64 bit file offsets glibc has X64 for some X. */
#include "tests/storage/wrapped_calls.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/harness/oom.h"

wrapped_calls wrapped = {.fail_at = -1};

/* Books: per inode, when it changed last and when it was synced last. Inodes of one test live on one file system. */
enum { BOOK_SIZE = 4096 };
static struct {
    ino_t ino;
    unsigned long changed, synced;
} book[BOOK_SIZE];
static size_t book_len;
static unsigned long now;

static size_t
page_of(ino_t ino)
{
    for (size_t i = 0; i < book_len; i++)
        if (book[i].ino == ino)
            return i;
    assert(book_len < BOOK_SIZE);
    book[book_len].ino = ino;
    book[book_len].changed = book[book_len].synced = 0;
    return book_len++;
}

/* Declared here because the tests' own calls must not be counted; the declarations of the C library would be wrapped as well. */
int __real_fstat64(int fd, struct stat *st);
int __real_fstatat64(int folder, const char *path, struct stat *st, int flags);

void
wrapped_note_change(int fd)
{
    struct stat st;

    if (wrapped.keeps_books && __real_fstat64(fd, &st) == 0)
        book[page_of(st.st_ino)].changed = ++now;
}

static void
note_sync(int fd)
{
    struct stat st;

    if (wrapped.keeps_books && __real_fstat64(fd, &st) == 0)
        book[page_of(st.st_ino)].synced = ++now;
}

void
wrapped_disarm(void)
{
    wrapped.armed = wrapped.interrupted = false;
    (void)oom_end();
}

void
wrapped_reset(void)
{
    wrapped = (wrapped_calls){.fail_at = -1};
    (void)oom_end();
    book_len = 0;
}

static bool
is_synced(const char *path)
{
    struct stat st;

    if (__real_fstatat64(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        printf("'%s' is not there\n", path);
        return false;
    }
    size_t page = page_of(st.st_ino);
    if (book[page].synced < book[page].changed)
        printf("'%s' changed after it was synced\n", path);
    return book[page].synced >= book[page].changed;
}

bool
wrapped_is_durable(const char *root, const char *name)
{
    char path[4096];
    size_t root_len = strlen(root);

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    bool durable = is_synced(path);
    for (char *slash; strlen(path) > root_len; durable = is_synced(path) && durable) {
        slash = strrchr(path, '/');
        *slash = '\0';
    }
    return durable;
}

/* Whether this call has to fail; if so errno is set. */
static bool
must_fail(const char *call)
{
    if (!wrapped.armed || (wrapped.only != NULL && strcmp(wrapped.only, call) != 0) || wrapped.calls++ != wrapped.fail_at)
        return false;
    wrapped.failed_call = call;
    errno = wrapped.error;
    return true;
}

static bool
is_interrupted(void)
{
    static unsigned turn;

    if (!wrapped.interrupted || ++turn % 2 == 0)
        return false;
    errno = EINTR;
    return true;
}

/* The body of a wrapper of `call`: `missing` is what the file system lacks, `real` the call itself, `done` what the books say. */
#define WRAPPED(type, call, lacking, lacking_error, real, failed, done) \
    do { \
        bool fail_ = must_fail(call); \
        if (fail_ && !wrapped.takes_effect) \
            return (failed); \
        if (lacking) { \
            errno = (lacking_error); \
            return (failed); \
        } \
        type answer_ = (real); \
        if (answer_ != (failed) && !fail_) { \
            done; \
        } \
        if (!fail_) \
            return answer_; \
        errno = wrapped.error; \
        return (failed); \
    } while (0)

#define NOTHING ((void)0)

int __real_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);
int
__wrap_openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode = 0;

    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    bool fail = must_fail("openat");
    if (fail && !wrapped.takes_effect)
        return -1;
    if (wrapped.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int fd = __real_openat64(folder, path, flags, mode);
    if (fd >= 0 && (flags & O_CREAT) != 0)
        wrapped_note_change(folder);
    if (fd < 0 || !fail)
        return fd;
    close(fd);
    errno = wrapped.error;
    return -1;
}

int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
int
__wrap_fstatfs64(int fd, struct statfs *fs)
{
    WRAPPED(int, "fstatfs", false, 0, __real_fstatfs64(fd, fs), -1, if (wrapped.unknown) fs->f_type = 0);
}

/* Only openat2(2) has no function of its own in the C library. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long
__wrap_syscall(long number, ...)
{
    va_list args;
    long a[6];

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number != SYS_openat2)
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    bool fail = must_fail("openat2");
    if (fail && !wrapped.takes_effect)
        return -1;
    if (wrapped.no_openat2) {
        errno = ENOSYS;
        return -1;
    }
    long fd = __real_syscall(number, a[0], a[1], a[2], a[3]);
    if (fd < 0 || !fail)
        return fd;
    close((int)fd);
    errno = wrapped.error;
    return -1;
}

int __real_mkdirat(int folder, const char *path, mode_t mode);
int __wrap_mkdirat(int folder, const char *path, mode_t mode);
int
__wrap_mkdirat(int folder, const char *path, mode_t mode)
{
    bool fail = must_fail("mkdirat");

    if (fail && !wrapped.takes_effect)
        return -1;
    int answer = __real_mkdirat(folder, path, mode);
    if (answer == 0)
        wrapped_note_change(folder);
    if (fail)
        errno = wrapped.error;
    return fail ? -1 : answer;
}

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t
__wrap_writev(int fd, const struct iovec *iov, int count)
{
    struct iovec few = iov[0];

    if (is_interrupted())
        return -1;
    if (wrapped.interrupted && few.iov_len > 3) {
        few.iov_len = 3;
        iov = &few;
        count = 1;
    }
    wrapped_note_change(fd);
    WRAPPED(ssize_t, "writev", false, 0, __real_writev(fd, iov, count), -1, NOTHING);
}

ssize_t __real_pread64(int fd, void *to, size_t len, off_t position);
ssize_t __wrap_pread64(int fd, void *to, size_t len, off_t position);
ssize_t
__wrap_pread64(int fd, void *to, size_t len, off_t position)
{
    if (is_interrupted())
        return -1;
    if (wrapped.interrupted && len > 3)
        len = 3;
    WRAPPED(ssize_t, "pread", false, 0, __real_pread64(fd, to, len, position), -1, NOTHING);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int
__wrap_fsync(int fd)
{
    if (is_interrupted())
        return -1;
    WRAPPED(int, "fsync", false, 0, wrapped.never_syncs ? 0 : __real_fsync(fd), -1, note_sync(fd));
}

int __real_linkat(int from, const char *from_path, int to, const char *to_path, int flags);
int __wrap_linkat(int from, const char *from_path, int to, const char *to_path, int flags);
int
__wrap_linkat(int from, const char *from_path, int to, const char *to_path, int flags)
{
    bool fail = must_fail("linkat");

    if (fail && !wrapped.takes_effect)
        return -1;
    if (wrapped.no_link) {
        errno = EPERM;
        return -1;
    }
    int answer = __real_linkat(from, from_path, to, to_path, flags);
    if (answer == 0)
        wrapped_note_change(to);
    if (fail)
        errno = wrapped.error;
    return fail ? -1 : answer;
}

int __real_renameat2(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int __wrap_renameat2(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int
__wrap_renameat2(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
    bool fail = must_fail("renameat2");

    if (fail && !wrapped.takes_effect)
        return -1;
    if (wrapped.no_rename) {
        errno = EINVAL;
        return -1;
    }
    int answer = __real_renameat2(from, from_path, to, to_path, flags);
    if (answer == 0)
        wrapped_note_change(to);
    if (fail)
        errno = wrapped.error;
    return fail ? -1 : answer;
}

int __real_unlinkat(int folder, const char *path, int flags);
int __wrap_unlinkat(int folder, const char *path, int flags);
int
__wrap_unlinkat(int folder, const char *path, int flags)
{
    bool fail = must_fail("unlinkat");

    if (fail && !wrapped.takes_effect)
        return -1;
    int answer = __real_unlinkat(folder, path, flags);
    if (answer == 0)
        wrapped_note_change(folder);
    if (fail)
        errno = wrapped.error;
    return fail ? -1 : answer;
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int
__wrap_fchmod(int fd, mode_t mode)
{
    wrapped_note_change(fd);
    WRAPPED(int, "fchmod", false, 0, __real_fchmod(fd, mode), -1, NOTHING);
}

int __real_fsetxattr(int fd, const char *name, const void *value, size_t len, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t len, int flags);
int
__wrap_fsetxattr(int fd, const char *name, const void *value, size_t len, int flags)
{
    wrapped_note_change(fd);
    WRAPPED(int, "fsetxattr", wrapped.no_attributes, ENOTSUP, __real_fsetxattr(fd, name, value, len, flags), -1, NOTHING);
}

ssize_t __real_fgetxattr(int fd, const char *name, void *value, size_t len);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t len);
ssize_t
__wrap_fgetxattr(int fd, const char *name, void *value, size_t len)
{
    WRAPPED(ssize_t, "fgetxattr", wrapped.no_attributes, ENOTSUP, __real_fgetxattr(fd, name, value, len), -1, NOTHING);
}

int __wrap_fstat64(int fd, struct stat *st);
int
__wrap_fstat64(int fd, struct stat *st)
{
    WRAPPED(int, "fstat", false, 0, __real_fstat64(fd, st), -1, if (wrapped.coarse_times) st->st_ctim.tv_nsec = 0);
}

int __wrap_fstatat64(int folder, const char *path, struct stat *st, int flags);
int
__wrap_fstatat64(int folder, const char *path, struct stat *st, int flags)
{
    WRAPPED(int, "fstatat", false, 0, __real_fstatat64(folder, path, st, flags), -1, NOTHING);
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int
__wrap_flock(int fd, int operation)
{
    WRAPPED(int, "flock", false, 0, __real_flock(fd, operation), -1, NOTHING);
}

ssize_t __real_getrandom(void *to, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t len, unsigned flags);
ssize_t
__wrap_getrandom(void *to, size_t len, unsigned flags)
{
    WRAPPED(ssize_t, "getrandom", false, 0, __real_getrandom(to, len, flags), -1, NOTHING);
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *
__wrap_fdopendir(int fd)
{
    return must_fail("fdopendir") ? NULL : __real_fdopendir(fd);
}

struct dirent *__real_readdir64(DIR *entries);
struct dirent *__wrap_readdir64(DIR *entries);
struct dirent *
__wrap_readdir64(DIR *entries)
{
    struct dirent *entry = must_fail("readdir") ? NULL : __real_readdir64(entries);

    if (entry != NULL && wrapped.no_types)
        entry->d_type = DT_UNKNOWN;
    return entry;
}

int64_t __real_hv_clock_boot_ms(void);
int64_t __wrap_hv_clock_boot_ms(void);
int64_t
__wrap_hv_clock_boot_ms(void)
{
    return __real_hv_clock_boot_ms() + wrapped.clock_ahead_ms;
}

char *__real_realpath(const char *path, char *to);
char *__wrap_realpath(const char *path, char *to);

char *
__wrap_realpath(const char *path, char *to)
{
    return must_fail("realpath") || oom_strikes() ? NULL : __real_realpath(path, to);
}
