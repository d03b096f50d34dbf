/*
 * Reading one archived event back: to find out whether the hub still is the one that was captured.
 */
#ifndef HV_ARCHIVER_PROBE_H
#define HV_ARCHIVER_PROBE_H

#include "archiver/chain.h"

/* Whether the event at event->offset in the vault equals this one. HV_NOT_FOUND: the vault holds no event at that offset. */
hv_rc hv_probe_equal(const hv_chain *chain, hv_index *index, hv_block_coder *coder, const hv_partition *partition,
                     const hv_event *event, bool *ret, hv_err *err) HV_MUST_USE;

#endif
