/*
 * No cut mixes two incarnations (capture protocol, section 5): it is sealed only after a check of the identity of its hub that began after
 * its last event was read, and that gave the same as the one before its first.
 *
 * One question for all hubs is under way at a time, and serves every cut that was closed before it was asked; cuts closed later wait for
 * the next one, and questions come at most some times a second: each lists all partitions, and a backlog of a thousand closes hundreds of
 * cuts a second. If a hub turns out to be another one, what was read since the last good check may be of either, and is dropped: what
 * is the new hub's is read again under its own incarnation. A hub that is not listed has not become another one. Where the source tells
 * no identity nothing waits, and the probe of the last event is all there is.
 */
#include "archiver/capture.h"
#include "archiver/scout.h"
#include "common/clock.h"

enum { ASK_AGAIN_MS = 500, BETWEEN_MS = 100 };

static void
note_next(hv_captured *captured, void *arg)
{
    (void)arg;
    captured->next_at_ask = captured->next;
}

static void
ask(hv_capture *capture)
{
    int64_t now = hv_clock_boot_ms();

    if (capture->identity_open || now < capture->identity_again_boot_ms)
        return;
    if (!capture->finishing && now - capture->identity_asked_boot_ms < BETWEEN_MS)
        return;
    capture->identity_open = true;
    capture->identity_asked_boot_ms = now;
    capture->identity_asked++;
    hv_capture_for_each(capture, note_next, NULL);
    hv_scout_identities(capture->scout);
}

bool
hv_captured_wait_for_identity(hv_captured *captured)
{
    hv_capture *capture = captured->capture;

    if (captured->hub->identity[0] == '\0' || captured->hub->leaving)     /* leaving: what is left was checked */
        return false;
    captured->identity_wanted = capture->identity_asked + 1;
    ask(capture);
    return true;
}

static const hv_source_hub *
find_listed(const hv_tell *tell, const char *name)
{
    for (size_t h = 0; h < tell->hub_count; h++)
        if (strcmp(tell->hubs[h].name, name) == 0 && tell->hubs[h].partitions > 0)
            return &tell->hubs[h];
    return NULL;
}

static void
checked(hv_captured_hub *hub, bool same)
{
    for (int32_t p = 0; p < hub->partition_count; p++) {
        hv_captured *captured = hub->partitions[p];
        if (same && captured->next_at_ask > captured->verified_end)
            captured->verified_end = captured->next_at_ask;
        if (captured->identity_wanted != 0 && captured->identity_wanted <= captured->capture->identity_asked)
            hv_captured_send(captured);
    }
}

void
hv_capture_identities(hv_capture *capture, const hv_tell *tell)
{
    capture->identity_open = false;
    if (tell->rc != HV_OK) {
        hv_capture_trouble(capture, NULL, &tell->err);
        capture->identity_again_boot_ms = hv_clock_boot_ms() + ASK_AGAIN_MS;
        return;
    }
    for (size_t h = 0; h < capture->hub_count; h++) {
        hv_captured_hub *hub = capture->hubs[h];
        const hv_source_hub *listed = find_listed(tell, hub->name);
        if (hub->identity[0] == '\0' || hub->leaving || hub->partition_count == 0)
            continue;
        if (listed != NULL && listed->identity[0] != '\0' && strcmp(listed->identity, hub->identity) != 0)
            hv_capture_hub_is_other(hub);
        else
            checked(hub, listed != NULL);
    }
    hv_capture_check_identities(capture);
}

static void
is_waiting(hv_captured *captured, void *arg)
{
    *(bool *)arg = *(bool *)arg || captured->identity_wanted != 0;
}

/* Cuts that were closed while a question was under way, or whose question failed. */
void
hv_capture_check_identities(hv_capture *capture)
{
    bool waiting = false;

    if (capture->identity_open)
        return;
    hv_capture_for_each(capture, is_waiting, &waiting);
    if (waiting)
        ask(capture);
}
