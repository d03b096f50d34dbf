/* proc(5): /proc/self/stat, /proc/self/statm, /proc/self/fd. */
#include "server/process_facts.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"

/* Clock ticks after boot at which the process began: field 22 of stat. The name of the program, field 2, may hold anything but its end. */
static int64_t
start_ticks(void)
{
    char text[1024];
    int64_t ticks = 0;
    FILE *file = fopen("/proc/self/stat", "re");

    if (file == NULL)
        return 0;
    size_t len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL || sscanf(at, " %" SCNd64, &ticks) != 1)
        return 0;
    return ticks;
}

static void
read_memory(hv_process_facts *ret)
{
    int64_t all = 0, resident = 0, page = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL)
        return;
    if (fscanf(file, "%" SCNd64 " %" SCNd64, &all, &resident) == 2) {
        ret->virtual_bytes = all * page;
        ret->resident_bytes = resident * page;
    }
    (void)fclose(file);
}

static int64_t
count_fds(void)
{
    int64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count > 3 ? count - 3 : 0;   /* ".", "..", and the one that reads */
}

void
hv_process_facts_read(hv_process_facts *ret)
{
    struct rlimit fds = {.rlim_cur = 0};
    int64_t ticks = start_ticks(), ago_ms = hv_clock_boot_ms() - ticks * 1000 / sysconf(_SC_CLK_TCK);

    *ret = (hv_process_facts){.cpu_s = (double)hv_clock_cpu_us() / 1e6, .open_fds = count_fds()};
    if (ticks != 0)
        ret->start_s = (double)(hv_clock_wall_ms() - ago_ms) / 1e3;
    read_memory(ret);
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        ret->max_fds = fds.rlim_cur == RLIM_INFINITY || fds.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)fds.rlim_cur;
}
