/*
 * The wanted events of a set of partitions in the order of the request.
 */
#ifndef HV_REPLAY_REPLAY_MERGE_H
#define HV_REPLAY_REPLAY_MERGE_H

#include "replay/replay_reader.h"

typedef struct hv_merge hv_merge;

/* `streams` says what is wanted, of which partitions, and from where. With by_time there is one stream per partition, and
 * memory_bytes are divided between them. */
hv_rc hv_merge_new(const hv_stream_config *streams, bool by_time, size_t memory_bytes, hv_merge **ret, hv_err *err) HV_MUST_USE;
void hv_merge_free(hv_merge *merge);
HV_DEFINE_AUTO(hv_merge, hv_merge_free);

/* As hv_stream_next(). */
hv_rc hv_merge_next(hv_merge *merge, hv_replay_part **part, hv_event *ret, hv_err *err) HV_MUST_USE;

#endif
