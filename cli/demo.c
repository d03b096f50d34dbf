/* Steps of the demo that are not its story. */
#include "cli/demo.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/demo_check.h"
#include "common/clock.h"

enum { WAIT_MS = 20000, SHOWN_LINES = 16, SHOWN_WIDTH = 200 };

void
hv_demo_say(hv_demo *d, const char *fmt, ...)
{
    va_list args;

    fprintf(d->cli->to, "\n%d. ", ++d->step);
    va_start(args, fmt);
    vfprintf(d->cli->to, fmt, args);
    va_end(args);
    fputc('\n', d->cli->to);
    fflush(d->cli->to);
}

/* What a command printed, indented; long lines and long outputs are cut off. */
static void
print_indented(FILE *to, hv_slice text)
{
    const char *at = text.data, *end = at + text.len;
    int lines = 0;

    for (; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        int len = (int)((newline == NULL ? end : newline) - at);
        if (lines < SHOWN_LINES)
            fprintf(to, "     %.*s%s\n", len > SHOWN_WIDTH ? SHOWN_WIDTH : len, at, len > SHOWN_WIDTH ? "..." : "");
        at += len + 1;
    }
    if (lines > SHOWN_LINES)
        fprintf(to, "     ... %d more lines\n", lines - SHOWN_LINES);
}

/* Run one command of the demo, with its configuration; show it and what it printed. `out` may be NULL. */
hv_rc
hv_demo_show(hv_demo *d, const char *const *words, hv_buf *out, hv_err *err)
{
    const char *all[32] = {"--config", d->config};
    HV_AUTO(hv_buf_free) hv_buf own = HV_BUF_INIT(HV_DEMO_REPLAY_MAX);
    hv_buf *to = out != NULL ? out : &own;
    int exit_status = 0;

    fprintf(d->cli->to, "   $ hubvault");
    for (size_t w = 0; words[w] != NULL; w++) {
        fprintf(d->cli->to, " %s", words[w]);
        all[w + 2] = words[w];
    }
    fputc('\n', d->cli->to);
    fflush(d->cli->to);
    hv_rc rc = hv_child_run(all, true, to, &exit_status, err);
    if (rc == HV_OK)
        print_indented(d->cli->to, hv_buf_slice(to));
    if (rc == HV_OK && exit_status != 0)
        return hv_err_set(err, HV_INTERNAL, "'hubvault %s' ended with %d", words[0], exit_status);
    return rc;
}

void
hv_demo_sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

hv_rc
hv_demo_prepare_folder(hv_demo *d, hv_err *err)
{
    if (mkdir(d->dir, 0755) != 0)
        return errno == EEXIST ? hv_err_set(err, HV_EXISTS, "'%s' is there already; remove it, or name another folder: hubvault demo DIR", d->dir)
                               : hv_err_set(err, HV_IO, "cannot make folder '%s': %s", d->dir, strerror(errno));
    (void)snprintf(d->config, sizeof d->config, "%s/hubvault.conf", d->dir);
    (void)snprintf(d->store, sizeof d->store, "%s/vault", d->dir);
    (void)snprintf(d->index, sizeof d->index, "%s/index", d->dir);
    (void)snprintf(d->log, sizeof d->log, "%s/run.log", d->dir);
    FILE *config = fopen(d->config, "wx");
    if (config == NULL)
        return hv_err_set(err, HV_IO, "cannot write '%s': %s", d->config, strerror(errno));
    fprintf(config, "# Configuration of the demo. docs/CONFIGURATION.md explains every option.\nstore.dir = vault\nindex.dir = index\n"
            "source.bootstrap = %s\nsource.discovery-interval = 1s\nsegment.max-age = 1s\n", hv_demo_broker_address(d->broker));
    return fclose(config) == 0 ? HV_OK : hv_err_set(err, HV_IO, "cannot write '%s'", d->config);
}

/* A folder of files. What cannot be removed is left. */
void
hv_demo_remove_flat(const char *dir)
{
    DIR *files = opendir(dir);

    for (struct dirent *file = files == NULL ? NULL : readdir(files); file != NULL; file = readdir(files))
        if (file->d_name[0] != '.')
            (void)unlinkat(dirfd(files), file->d_name, 0);
    if (files != NULL)
        (void)closedir(files);
    (void)rmdir(dir);
}

/* Everything that was sent is there once, the same twice in a row, and the same from a rebuilt index. */
hv_rc
hv_demo_count_all(hv_demo *d, hv_buf *lines, hv_err *err)
{
    const char *words[] = {"--config", d->config, "replay", NULL};
    hv_demo_count counted = {0};
    int exit_status = 0;

    hv_rc rc = hv_child_run(words, false, lines, &exit_status, err);
    if (rc == HV_OK && exit_status != 0)
        rc = hv_err_set(err, HV_INTERNAL, "'hubvault replay' ended with %d", exit_status);
    if (rc == HV_OK)
        rc = hv_demo_count_lines(hv_buf_slice(lines), &counted, err);
    if (rc != HV_OK)
        return rc;
    int64_t lost = d->sent - (counted.events - counted.doubled);
    fprintf(d->cli->to, "   %d sent, %" PRId64 " in the vault: %" PRId64 " lost, %" PRId64 " doubled\n", d->sent, counted.events, lost,
            counted.doubled);
    return lost == 0 && counted.doubled == 0 ? HV_OK : hv_err_set(err, HV_GAP, "the vault does not hold every event exactly once");
}

hv_rc
hv_demo_wait_for_segments(hv_demo *d, int64_t wanted, hv_err *err)
{
    int64_t until = hv_clock_boot_ms() + WAIT_MS;

    while (hv_demo_count_segments(d->store) < wanted) {
        if (hv_clock_boot_ms() > until)
            return hv_err_set(err, HV_UNAVAILABLE, "nothing was captured within %d s; '%s' says why", WAIT_MS / 1000, d->log);
        hv_demo_sleep_ms(50);
    }
    return HV_OK;
}
