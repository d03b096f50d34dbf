/*
 * Scout: the thread of a capture that asks questions and waits for answers, so that the polling thread never does. It looks for hubs
 * and partitions, has the chain of a partition walked before it is read (capture protocol rule 12) and incarnations claimed, and asks for
 * watermarks. Answers come back through hv_capture_tell().
 *
 * The store is asked by up to HV_ADMITTERS threads at a time, which are there only while something is admitted. A service that takes 200 ms
 * for a listing lets a thousand partitions wait for 13 s so, and not for minutes. Why not by one listing of the whole hub:
 * docs/decisions/0006-admission-asks-per-partition.md.
 */
#ifndef HV_ARCHIVER_SCOUT_H
#define HV_ARCHIVER_SCOUT_H

#include "archiver/capture.h"

hv_rc hv_scout_start(hv_capture *capture, hv_scout **ret, hv_err *err) HV_MUST_USE;
/* The end is near: nothing is admitted or claimed any more, and what is under way ends between two requests. Identities and watermarks are
 * answered as before: what is open still has to be sealed. Never blocks. */
void hv_scout_wind_up(hv_scout *scout);
/* Waits for the requests that are under way, then ends. Accepts NULL. */
void hv_scout_stop(hv_scout *scout);

/* These never block. A question that cannot be asked for lack of memory is asked again by the next discovery or retry. */
void hv_scout_watermarks(hv_scout *scout, const char *hub, int32_t partition);
/* Ask for the identities of all hubs; a check that begins now. Answered by HV_TELL_IDENTITIES, always. */
void hv_scout_identities(hv_scout *scout);
/* Look for hubs and partitions now. */
void hv_scout_discover(hv_scout *scout);
/* A hub vanished: tell RETURNED when it is listed again. */
void hv_scout_expect(hv_scout *scout, const char *hub);

/* Partitions of one hub, and under which ownership each is asked for: the member of a group is told so in the answer. */
typedef struct hv_scout_places {
    int32_t *numbers;
    uint64_t *ownerships;
    size_t count;
} hv_scout_places;

hv_scout_places hv_scout_places_make(size_t room);      /* empty */
void hv_scout_places_clear(hv_scout_places *places);

/* Admit partitions that a group gave us. Takes over what *places points to. HV_TELL_ADMITTED follows, with rc other than HV_OK if that
 * failed: ask again then. */
void hv_scout_admit(hv_scout *scout, const char *hub, hv_scout_places *places);
/* Everything read of the old incarnation is sealed: claim the next one and admit its partitions: these, which are taken over, or, if
 * there are none, all. */
void hv_scout_claim(hv_scout *scout, const char *hub, uint32_t after, int cause, hv_scout_places *places);

#endif
