#include "tests/harness/small_disk.h"

#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return written;
}

bool
small_disk_mount(const char *path, int bytes)
{
    char map[64], size[32];
    unsigned user = geteuid();

    if (user != 0) {
        (void)snprintf(map, sizeof map, "0 %u 1", user);
        if (unshare(CLONE_NEWUSER) != 0 || !write_file("/proc/self/uid_map", map))
            return false;
    }
    (void)snprintf(size, sizeof size, "size=%d", bytes);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, "tmpfs", 0, size) == 0;
}

void
small_disk_unmount(const char *path)
{
    ck_assert_int_eq(umount(path), 0);
}

typedef struct ballast_path {
    char text[512];
} ballast_path;

static ballast_path
ballast_of(const char *path)
{
    ballast_path ballast;

    ck_assert_int_lt(snprintf(ballast.text, sizeof ballast.text, "%s/ballast", path), (int)sizeof ballast.text);
    return ballast;
}

void
small_disk_fill(const char *path, long leave)
{
    char page[1024] = {1};

    int fd = open(ballast_of(path).text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, page, sizeof page) > 0)
        continue;
    off_t size = lseek(fd, 0, SEEK_CUR);
    ck_assert_int_eq(ftruncate(fd, size > leave ? size - leave : 0), 0);
    close(fd);
}

void
small_disk_empty(const char *path)
{
    ck_assert_int_eq(unlink(ballast_of(path).text), 0);
}

void
small_disk_read_only(const char *folder, bool read_only)
{
    if (!read_only) {
        small_disk_unmount(folder);
        return;
    }
    ck_assert_int_eq(mount(folder, folder, NULL, MS_BIND, NULL), 0);
    ck_assert_int_eq(mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
}

int
small_disk_missing(void)
{
    const char *no_skip = getenv("HUBVAULT_NO_SKIP");
    int status = 1;
    pid_t child = fork();

    if (child == 0)
        _exit(small_disk_mount("/tmp", 1 << 20) ? 0 : 1);       /* in a namespace that ends with the child */
    if (waitpid(child, &status, 0) == child && status == 0)
        return 0;
    fprintf(stderr, "a tmpfs cannot be mounted here\n");
    return no_skip != NULL && strcmp(no_skip, "1") == 0 ? 1 : 77;
}
