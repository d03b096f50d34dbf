/*
 * Scout: the thread of a capture that asks questions and waits for answers, so that the polling thread never does. It looks for hubs
 * and partitions, walks the chain of a partition before it is read (capture protocol rule 12), claims incarnations, and asks for
 * watermarks. Answers come back through hv_capture_tell().
 */
#ifndef HV_ARCHIVER_SCOUT_H
#define HV_ARCHIVER_SCOUT_H

#include "archiver/capture.h"

hv_rc hv_scout_start(hv_capture *capture, hv_scout **ret, hv_err *err) HV_MUST_USE;
/* Waits for the question that is being asked, then ends. Accepts NULL. */
void hv_scout_stop(hv_scout *scout);

/* These never block. A question that cannot be asked for lack of memory is asked again by the next discovery or retry. */
void hv_scout_watermarks(hv_scout *scout, const char *hub, int32_t partition);
/* Ask for the identities of all hubs; a check that begins now. Answered by HV_TELL_IDENTITIES, always. */
void hv_scout_identities(hv_scout *scout);
/* A hub vanished: tell RETURNED when it is listed again. */
void hv_scout_expect(hv_scout *scout, const char *hub);
/* Everything read of the old incarnation is sealed: claim the next one and admit its partitions. */
void hv_scout_claim(hv_scout *scout, const char *hub, uint32_t after, int cause);

#endif
