/*
 * Follower: the thread that keeps the index up to what other archivers put, so that every node answers replays over the whole vault.
 *
 * It looks at the tail of every partition that this archiver does not own: hubs and incarnations of others included. The name of the
 * next lead is a function of the position, so one question for one name tells whether there is anything new. A partition that was quiet
 * is asked less and less often, up to twelve times the interval.
 *
 * Whether a partition is owned is a matter of economy: a cut that capture records at the same moment is equal, and recorded once.
 */
#ifndef HV_ARCHIVER_INDEX_FOLLOWER_H
#define HV_ARCHIVER_INDEX_FOLLOWER_H

#include "archiver/engine.h"

typedef struct hv_index_follower hv_index_follower;

/* Begins to follow everything that the index and the store know. */
hv_rc hv_index_follower_start(hv_engine *engine, hv_index_follower **ret, hv_err *err) HV_MUST_USE;
/* Waits for the question that is being asked. Accepts NULL. */
void hv_index_follower_stop(hv_index_follower *follower);

/* Whether it gets on; lives as long as the follower. */
const hv_heart *hv_index_follower_heart(const hv_index_follower *follower);

/* These never block for more than a moment, accept a follower of NULL, and may be called from any thread. For lack of memory they do
 * nothing: the next sweep or discovery makes up for it. */

/* The partition is captured by this archiver from now on, or not any more. */
void hv_index_follower_own(hv_index_follower *follower, const hv_partition *partition, bool owned);
/* Hubs as a source lists them: their partitions are followed from the first one on. */
void hv_index_follower_hubs(hv_index_follower *follower, const hv_source_hub *hubs, size_t count);

#endif
