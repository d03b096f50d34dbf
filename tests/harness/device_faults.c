#include "tests/harness/device_faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {                         /* touched only while holding `lock` */
    bool on;
    device_faults faults;
    pthread_t caller;
    long calls, failed, lost;
} locked;

void
device_faults_begin(const device_faults *faults)
{
    (void)pthread_mutex_lock(&lock);
    locked.faults = *faults;
    locked.caller = pthread_self();
    locked.calls = locked.failed = locked.lost = 0;
    locked.on = true;
    (void)pthread_mutex_unlock(&lock);
}

long
device_faults_end(void)
{
    (void)pthread_mutex_lock(&lock);
    locked.on = false;
    long failed = locked.failed;
    (void)pthread_mutex_unlock(&lock);
    return failed;
}

long
device_faults_lost(void)
{
    (void)pthread_mutex_lock(&lock);
    long lost = locked.lost;
    (void)pthread_mutex_unlock(&lock);
    return lost;
}

/* The name of what is open; a file without a name has one below the folder that it was made in (proc(5)). */
static bool
lies_in(int fd, const char *folder)
{
    char link[64], path[1024];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    size_t folder_len = strlen(folder);
    return len >= (ssize_t)folder_len && memcmp(path, folder, folder_len) == 0;
}

static void
lose_content(int fd)
{
    static const char nothing[4096];
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    for (off_t at = 0; at < st.st_size; at += (off_t)sizeof nothing) {
        size_t len = st.st_size - at < (off_t)sizeof nothing ? (size_t)(st.st_size - at) : sizeof nothing;
        if (syscall(SYS_pwrite64, fd, nothing, len, at) < 0)
            return;                     /* open for reading: nothing of it is waiting to be written */
    }
    locked.lost++;
}

static bool
fails(int fd, bool syncs)
{
    int before = errno;

    (void)pthread_mutex_lock(&lock);
    bool spared = locked.faults.spares_caller && pthread_equal(pthread_self(), locked.caller);
    bool hit = locked.on && !spared && lies_in(fd, locked.faults.folder);
    if (hit) {
        long call = locked.calls++;
        hit = call >= locked.faults.fail_at && call < locked.faults.fail_at + locked.faults.fail_calls;
    }
    if (hit) {
        locked.failed++;
        if (syncs && locked.faults.loses_content)
            lose_content(fd);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = hit ? EIO : before;
    return hit;
}

/* ---- in the place of the C library's; LMDB calls pread and pwrite, we those of 64 bits, which are the same here ---- */

ssize_t read_at(int fd, void *to, size_t size, off_t at) __asm__("pread");
ssize_t write_at(int fd, const void *from, size_t size, off_t at) __asm__("pwrite");
_Static_assert(sizeof(off_t) == sizeof(long), "pread and pread64 are the same");

int
fsync(int fd)
{
    return fails(fd, true) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
    return fails(fd, true) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t
write(int fd, const void *from, size_t size)
{
    return fails(fd, false) ? -1 : syscall(SYS_write, fd, from, size);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    return fails(fd, false) ? -1 : syscall(SYS_writev, fd, parts, count);
}

ssize_t
read_at(int fd, void *to, size_t size, off_t at)
{
    return fails(fd, false) ? -1 : syscall(SYS_pread64, fd, to, size, at);
}

ssize_t
pread64(int fd, void *to, size_t size, off_t at)
{
    return read_at(fd, to, size, at);
}

ssize_t
write_at(int fd, const void *from, size_t size, off_t at)
{
    return fails(fd, false) ? -1 : syscall(SYS_pwrite64, fd, from, size, at);
}

ssize_t
pwrite64(int fd, const void *from, size_t size, off_t at)
{
    return write_at(fd, from, size, at);
}
