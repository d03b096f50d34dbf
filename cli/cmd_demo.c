/*
 * hubvault demo [DIR]: the main job from end to end, with nothing but this machine. Every step is a command that a person could type,
 * run as a process of its own: the archiver really is killed, the index really is thrown away.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/child.h"
#include "cli/demo.h"
#include "common/clock.h"
#include "server/demo_events.h"

enum { LEADS = 3000, LEADS_AT_ONCE = 250 };

/* Tuesday, 24 November 2026, 09:00 UTC. */
#define TUESDAY_MS INT64_C(1795510800000)

static hv_rc
start_broker(hv_demo *d, hv_err *err)
{
    hv_rc rc = hv_demo_broker_start(&d->broker, err);

    for (int h = 0; rc == HV_OK && h < HV_DEMO_HUBS; h++)
        rc = hv_demo_broker_create(d->broker, hv_demo_hubs[h].name, HV_DEMO_PARTITIONS, err);
    if (rc == HV_OK)
        rc = hv_demo_prepare_folder(d, err);
    if (rc != HV_OK)
        return rc;
    hv_demo_say(d, "The platform team has a broker (embedded in this demo, at %s) with five hubs:\n"
        "   account and contact of the customer team, product of the product team, lead and sale of the conversion team.",
        hv_demo_broker_address(d->broker));
    return HV_OK;
}

static hv_rc
start_archiver(hv_demo *d, hv_err *err)
{
    const char *words[] = {"--config", d->config, "run", NULL};

    return hv_child_start(words, d->log, &d->archiver, err);
}

static hv_rc
send_events(hv_demo *d, int first, int end, int first_lead, int end_lead, hv_err *err)
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
            hv_demo_sleep_ms(100);              /* so that the archiver works while they arrive */
    }
    return rc == HV_OK ? hv_demo_broker_flush(d->broker, err) : rc;
}

static hv_rc
capture(hv_demo *d, hv_err *err)
{
    hv_demo_say(d, "The archiver starts (hubvault run, its log is %s) and captures every hub it finds.", d->log);
    hv_rc rc = start_archiver(d, err);
    hv_demo_say(d, "The teams publish: half of their twelve CloudEvents of Tuesday 09:00 to 10:00, and leads from partners meanwhile.");
    if (rc == HV_OK)
        rc = send_events(d, 0, HV_DEMO_EVENTS / 2, 0, LEADS / 2, err);
    if (rc == HV_OK)
        rc = hv_demo_wait_for_segments(d, 3, err);
    if (rc != HV_OK)
        return rc;
    hv_demo_say(d, "In the middle of it the archiver is killed (SIGKILL, process %d). The teams go on publishing.", (int)d->archiver);
    rc = hv_child_end(d->archiver, SIGKILL, err);
    d->archiver = 0;
    if (rc == HV_OK)
        rc = send_events(d, HV_DEMO_EVENTS / 2, HV_DEMO_EVENTS, LEADS / 2, LEADS, err);
    if (rc != HV_OK)
        return rc;
    hv_demo_say(d, "It starts again, finds in the vault how far it had come, captures the rest, seals and ends.");
    return hv_demo_show(d, (const char *const[]){"run", "--once", "--set", "log.level=error", NULL}, NULL, err);
}

static hv_rc
look_back(hv_demo *d, hv_err *err)
{
    hv_demo_say(d, "An engineer asks for last Tuesday, 09:00 to 10:00: all hubs, and nothing but that hour.");
    hv_rc rc = hv_demo_show(d, (const char *const[]){"replay", "--from", "2026-11-24T09:00:00Z", "--to", "2026-11-24T10:00:00Z", NULL}, NULL, err);
    if (rc != HV_OK)
        return rc;
    hv_demo_say(d, "By offset, and one event alone:");
    rc = hv_demo_show(d, (const char *const[]){"replay", "lead", "--partition", "0", "--from-offset", "500", "--to-offset", "503", NULL}, NULL, err);
    if (rc == HV_OK)
        rc = hv_demo_show(d, (const char *const[]){"show", "sale", "1", "1", NULL}, NULL, err);
    return rc;
}

static hv_rc
prove(hv_demo *d, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(HV_DEMO_REPLAY_MAX), after = HV_BUF_INIT(HV_DEMO_REPLAY_MAX);

    hv_demo_say(d, "Is it all there, once? The whole vault is replayed and counted.");
    hv_rc rc = hv_demo_count_all(d, &before, err);
    if (rc != HV_OK)
        return rc;
    hv_demo_say(d, "The compliance officer verifies: every hash, every block, the chain of offsets without a hole, the index against the store.");
    rc = hv_demo_show(d, (const char *const[]){"verify", NULL}, NULL, err);
    if (rc != HV_OK)
        return rc;
    hv_demo_say(d, "The index is thrown away and rebuilt from the segments; the same replay must give the same bytes.");
    char aside[700];
    (void)snprintf(aside, sizeof aside, "%s.lost", d->index);
    if (rename(d->index, aside) != 0)
        return hv_err_set(err, HV_IO, "cannot move the index away: %s", strerror(errno));
    hv_demo_remove_flat(aside);
    rc = hv_demo_show(d, (const char *const[]){"index", "rebuild", NULL}, NULL, err);
    if (rc == HV_OK)
        rc = hv_demo_count_all(d, &after, err);
    if (rc == HV_OK && !hv_slice_equal(hv_buf_slice(&before), hv_buf_slice(&after)))
        rc = hv_err_set(err, HV_CORRUPT, "the replay after the rebuild differs from the one before");
    if (rc == HV_OK)
        fprintf(d->cli->to, "   %zu bytes of JSON lines, the same as before\n", after.len);
    return rc;
}

hv_rc
hv_cmd_demo(hv_cli *cli, hv_err *err)
{
    hv_demo d = {.cli = cli};
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
