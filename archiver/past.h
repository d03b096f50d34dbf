/*
 * Past incarnations: what is left to do for hubs that are gone, because somebody died before it was done.
 *
 * A cut may be complete in the store and not in our index, or lack siblings that its lead promised. The first is indexed. The second is
 * completed: nobody can read the hub any more, so what was promised becomes a gap "re-created" of its siblings (capture protocol section
 * 5), once it is so old that its maker, who may still have the events in memory, has had its time.
 *
 * Used by one thread at a time.
 */
#ifndef HV_ARCHIVER_PAST_H
#define HV_ARCHIVER_PAST_H

#include "archiver/engine.h"

typedef struct hv_past_hub {
    char hub[HV_HUB_SIZE];
    uint32_t incarnation;
} hv_past_hub;

typedef struct hv_past {
    hv_past_hub *hubs;                  /* not known to be settled */
    size_t count, room;
} hv_past;                              /* all zero: empty */

void hv_past_clear(hv_past *past);

/* The hub is in incarnation `current` now: look after those before it. */
hv_rc hv_past_note(hv_past *past, const char *hub, uint32_t current, hv_err *err) HV_MUST_USE;

/* What `more` has, too. */
hv_rc hv_past_merge(hv_past *past, const hv_past *more, hv_err *err) HV_MUST_USE;

/* Do what can be done now, until `chain->stop`. What fails is reported as trouble; what may pass is tried again by the next call. */
void hv_past_settle(hv_past *past, hv_engine *engine, const hv_chain *chain);

#endif
