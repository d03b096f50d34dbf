/*
 * Preloaded into a program whose machine is to misbehave. The file named by SHAKEN holds two numbers, read anew all the time: how many
 * milliseconds each fsync() takes longer, and by how many seconds the wall clock is off. LMDB syncs by fdatasync(), which is left alone.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef struct shaking {
    long fsync_ms, shift_s;
} shaking;

static shaking
read_shaking(void)
{
    const char *path = getenv("SHAKEN");
    shaking now = {0, 0};
    char text[64] = "";

    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return now;
    if (read(fd, text, sizeof text - 1) > 0)
        (void)sscanf(text, "%ld %ld", &now.fsync_ms, &now.shift_s);
    close(fd);
    return now;
}

/* dlsym() gives a pointer to data; ISO C has no cast from that to a function. */
static void
next_function(const char *name, void *ret)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(ret, &found, sizeof found);
}

int
fsync(int fd)
{
    static int (*next)(int);

    for (long waited = 0; waited < read_shaking().fsync_ms; waited += 50)
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000L}, NULL);
    if (next == NULL)
        next_function("fsync", &next);
    return next(fd);
}

int
clock_gettime(clockid_t id, struct timespec *ret)
{
    static int (*next)(clockid_t, struct timespec *);

    if (next == NULL)
        next_function("clock_gettime", &next);
    int rc = next(id, ret);
    if (rc == 0 && id == CLOCK_REALTIME)
        ret->tv_sec += read_shaking().shift_s;
    return rc;
}

int
gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t
time(time_t *ret)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}
