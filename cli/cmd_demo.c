/*
 * hubvault demo [DIR]: the main job from end to end, with nothing but this machine. Every step is a command that a person could type,
 * run as a process of its own: the archiver really is killed, the index really is thrown away.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/cli.h"
#include "cli/demo_check.h"
#include "common/clock.h"
#include "server/demo_broker.h"
#include "server/demo_events.h"

enum { LEADS = 3000, LEADS_AT_ONCE = 250, WAIT_MS = 20000, SHOWN_LINES = 16, SHOWN_WIDTH = 200, REPLAY_MAX = 64 << 20 };

/* Tuesday, 24 November 2026, 09:00 UTC. */
#define TUESDAY_MS INT64_C(1795510800000)

typedef struct demo {
    hv_cli *cli;
    hv_demo_broker *broker;
    char dir[512], config[600], store[600], index[600], log[600];
    pid_t archiver;                     /* 0: none runs */
    int step, sent;
} demo;

static void say(demo *d, const char *fmt, ...) HV_PRINTF(2, 3);

static void
say(demo *d, const char *fmt, ...)
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
static hv_rc
show(demo *d, const char *const *words, hv_buf *out, hv_err *err)
{
    const char *all[32] = {"--config", d->config};
    HV_AUTO(hv_buf_free) hv_buf own = HV_BUF_INIT(REPLAY_MAX);
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

static void
sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static hv_rc
prepare_folder(demo *d, hv_err *err)
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

static hv_rc
start_broker(demo *d, hv_err *err)
{
    hv_rc rc = hv_demo_broker_start(&d->broker, err);

    for (int h = 0; rc == HV_OK && h < HV_DEMO_HUBS; h++)
        rc = hv_demo_broker_create(d->broker, hv_demo_hubs[h].name, HV_DEMO_PARTITIONS, err);
    if (rc == HV_OK)
        rc = prepare_folder(d, err);
    if (rc != HV_OK)
        return rc;
    say(d, "The platform team has a broker (embedded in this demo, at %s) with five hubs:\n"
        "   account and contact of the customer team, product of the product team, lead and sale of the conversion team.",
        hv_demo_broker_address(d->broker));
    return HV_OK;
}

static hv_rc
start_archiver(demo *d, hv_err *err)
{
    const char *words[] = {"--config", d->config, "run", NULL};

    return hv_child_start(words, d->log, &d->archiver, err);
}

static hv_rc
send_events(demo *d, int first, int end, int first_lead, int end_lead, hv_err *err)
{
    hv_demo_event event;
    hv_rc rc = HV_OK;

    for (int i = first; rc == HV_OK && i < end; i++) {
        hv_demo_event_make(i, TUESDAY_MS, &event);
        rc = hv_demo_broker_send(d->broker, event.hub, event.partition, &event.event, err);
        d->sent++;
    }
    for (int i = first_lead; rc == HV_OK && i < end_lead; i++) {
        hv_demo_lead_make(i, TUESDAY_MS - LEADS * INT64_C(1000), &event);
        rc = hv_demo_broker_send(d->broker, event.hub, event.partition, &event.event, err);
        d->sent++;
        if (i % LEADS_AT_ONCE == LEADS_AT_ONCE - 1)
            sleep_ms(100);              /* so that the archiver works while they arrive */
    }
    return rc == HV_OK ? hv_demo_broker_flush(d->broker, err) : rc;
}

static hv_rc
wait_for_segments(demo *d, int64_t wanted, hv_err *err)
{
    int64_t until = hv_clock_boot_ms() + WAIT_MS;

    while (hv_demo_count_segments(d->store) < wanted) {
        if (hv_clock_boot_ms() > until)
            return hv_err_set(err, HV_UNAVAILABLE, "nothing was captured within %d s; '%s' says why", WAIT_MS / 1000, d->log);
        sleep_ms(50);
    }
    return HV_OK;
}

static hv_rc
capture(demo *d, hv_err *err)
{
    say(d, "The archiver starts (hubvault run, its log is %s) and captures every hub it finds.", d->log);
    hv_rc rc = start_archiver(d, err);
    say(d, "The teams publish: half of their twelve CloudEvents of Tuesday 09:00 to 10:00, and leads from partners meanwhile.");
    if (rc == HV_OK)
        rc = send_events(d, 0, HV_DEMO_EVENTS / 2, 0, LEADS / 2, err);
    if (rc == HV_OK)
        rc = wait_for_segments(d, 3, err);
    if (rc != HV_OK)
        return rc;
    say(d, "In the middle of it the archiver is killed (SIGKILL, process %d). The teams go on publishing.", (int)d->archiver);
    rc = hv_child_end(d->archiver, SIGKILL, err);
    d->archiver = 0;
    if (rc == HV_OK)
        rc = send_events(d, HV_DEMO_EVENTS / 2, HV_DEMO_EVENTS, LEADS / 2, LEADS, err);
    if (rc != HV_OK)
        return rc;
    say(d, "It starts again, finds in the vault how far it had come, captures the rest, seals and ends.");
    return show(d, (const char *const[]){"run", "--once", "--set", "log.level=error", NULL}, NULL, err);
}

/* A folder of files. What cannot be removed is left. */
static void
remove_flat(const char *dir)
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
static hv_rc
count(demo *d, hv_buf *lines, hv_err *err)
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

static hv_rc
look_back(demo *d, hv_err *err)
{
    say(d, "An engineer asks for last Tuesday, 09:00 to 10:00: all hubs, and nothing but that hour.");
    hv_rc rc = show(d, (const char *const[]){"replay", "--from", "2026-11-24T09:00:00Z", "--to", "2026-11-24T10:00:00Z", NULL}, NULL, err);
    if (rc != HV_OK)
        return rc;
    say(d, "By offset, and one event alone:");
    rc = show(d, (const char *const[]){"replay", "lead", "--partition", "0", "--from-offset", "500", "--to-offset", "503", NULL}, NULL, err);
    if (rc == HV_OK)
        rc = show(d, (const char *const[]){"show", "sale", "1", "1", NULL}, NULL, err);
    return rc;
}

static hv_rc
prove(demo *d, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(REPLAY_MAX), after = HV_BUF_INIT(REPLAY_MAX);

    say(d, "Is it all there, once? The whole vault is replayed and counted.");
    hv_rc rc = count(d, &before, err);
    if (rc != HV_OK)
        return rc;
    say(d, "The compliance officer verifies: every hash, every block, the chain of offsets without a hole, the index against the store.");
    rc = show(d, (const char *const[]){"verify", NULL}, NULL, err);
    if (rc != HV_OK)
        return rc;
    say(d, "The index is thrown away and rebuilt from the segments; the same replay must give the same bytes.");
    char aside[700];
    (void)snprintf(aside, sizeof aside, "%s.lost", d->index);
    if (rename(d->index, aside) != 0)
        return hv_err_set(err, HV_IO, "cannot move the index away: %s", strerror(errno));
    remove_flat(aside);
    rc = show(d, (const char *const[]){"index", "rebuild", NULL}, NULL, err);
    if (rc == HV_OK)
        rc = count(d, &after, err);
    if (rc == HV_OK && !hv_slice_equal(hv_buf_slice(&before), hv_buf_slice(&after)))
        rc = hv_err_set(err, HV_CORRUPT, "the replay after the rebuild differs from the one before");
    if (rc == HV_OK)
        fprintf(d->cli->to, "   %zu bytes of JSON lines, the same as before\n", after.len);
    return rc;
}

hv_rc
hv_cmd_demo(hv_cli *cli, hv_err *err)
{
    demo d = {.cli = cli};
    const char *dir = hv_args_value(cli->args, 0);
    int64_t began = hv_clock_boot_ms();
    hv_err unneeded;

    (void)snprintf(d.dir, sizeof d.dir, "%s", dir != NULL ? dir : "hubvault-demo");
    hv_rc rc = start_broker(&d, err);
    if (rc == HV_OK)
        rc = capture(&d, err);
    if (rc == HV_OK)
        rc = look_back(&d, err);
    if (rc == HV_OK)
        rc = prove(&d, err);
    if (d.archiver > 0)
        (void)!hv_child_end(d.archiver, SIGKILL, &unneeded);
    hv_demo_broker_stop(d.broker);
    if (rc != HV_OK)
        return rc;
    fprintf(cli->to, "\nDone in %.1f s. The vault stays in %s (the embedded broker is gone). Three commands to try on it:\n\n"
            "   hubvault --config %s replay contact --type '*.ContactPurchased'\n"
            "   hubvault --config %s segments lead --output json\n"
            "   hubvault --config %s status --offline\n", (double)(hv_clock_boot_ms() - began) / 1000, d.dir, d.config, d.config, d.config);
    return HV_OK;
}
