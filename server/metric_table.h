/*
 * The metrics of a running archiver, once: name, type, labels and meaning of each.
 *
 * The table drives what /metrics says, the command 'hubvault metrics' and docs/METRICS.md. Names and labels follow the conventions of
 * Prometheus (prometheus.io/docs/practices/naming): base units, _total behind what only grows, one prefix. A name that was released keeps
 * its meaning.
 */
#ifndef HV_SERVER_METRIC_TABLE_H
#define HV_SERVER_METRIC_TABLE_H

#include <stddef.h>

typedef enum hv_metric_type { HV_METRIC_COUNTER, HV_METRIC_GAUGE, HV_METRIC_HISTOGRAM } hv_metric_type;

/* id, name, type, labels, help. The help is one line without line feeds. */
#define HV_METRIC_LIST(X) \
    X(BUILD_INFO, "hubvault_build_info", GAUGE, "version", "1; the version of the program is in the label.") \
    X(VAULT_INFO, "hubvault_vault_info", GAUGE, "vault assignment", \
      "1; which vault is written to, and whether all partitions are captured or those that a group gives.") \
    X(READY, "hubvault_ready", GAUGE, "", "Whether /readyz says 200.") \
    X(THREAD_SILENT, "hubvault_thread_silent_seconds", GAUGE, "thread", \
      "How long a thread has been at one step of its work; 0 while it waits for some.") \
    X(THREADS_STALLED, "hubvault_threads_stalled", GAUGE, "", "Threads that have been at one step for longer than archiver.stall-limit.") \
    X(HUBS, "hubvault_hubs", GAUGE, "", "Hubs that are captured.") \
    X(PARTITIONS, "hubvault_partitions", GAUGE, "activity", "Partitions of these hubs, by what this archiver does with them.") \
    X(ASSIGNED_PARTITIONS, "hubvault_assigned_partitions", GAUGE, "", \
      "Partitions that are ours: by the group, or because all are.") \
    X(DISCOVERY_TIMESTAMP, "hubvault_discovery_last_success_timestamp_seconds", GAUGE, "", \
      "When the source last told which hubs it has; of several sources the one where that is longest ago.") \
    X(HUB_PARTITIONS, "hubvault_hub_partitions", GAUGE, "hub team", "Partitions of the hub that are ours.") \
    X(HUB_STOPPED, "hubvault_stopped_partitions", GAUGE, "hub team", \
      "Partitions that are not captured any more until an operator acts.") \
    X(LAG, "hubvault_lag_events", GAUGE, "hub team", "Offsets that the hub has and that are not sealed, over the partitions that are ours.") \
    X(LAG_WORST, "hubvault_lag_worst_partition_events", GAUGE, "hub team", "The same of the partition that is furthest behind.") \
    X(HEADROOM, "hubvault_headroom_seconds", GAUGE, "hub team", \
      "Time until the hub deletes the oldest event that is not sealed, of the partition where that is soonest; below 0 it may have. Absent " \
      "where the hub does not tell how long it keeps events.") \
    X(OPEN_CUTS, "hubvault_open_cuts", GAUGE, "hub team", "Partitions with events in memory that wait for their cut to be closed.") \
    X(OPEN_CUT_BYTES, "hubvault_open_cut_bytes", GAUGE, "hub team", "Memory that these take.") \
    X(OPEN_CUT_AGE, "hubvault_oldest_open_cut_age_seconds", GAUGE, "hub team", "Age of the oldest of them; 0 if there is none.") \
    X(SEALING_CUTS, "hubvault_sealing_cuts", GAUGE, "hub team", "Cuts that are closed and on their way into the store or the index.") \
    X(READ_EVENTS, "hubvault_read_events_total", COUNTER, "hub team", \
      "Events taken from the hub. After a failure some are read, and counted, again.") \
    X(READ_BYTES, "hubvault_read_bytes_total", COUNTER, "hub team", "Keys and values of these.") \
    X(SEALED_EVENTS, "hubvault_sealed_events_total", COUNTER, "hub team", \
      "Events that are durable and indexed since the start, in cuts of this archiver and adopted ones.") \
    X(STORED_BYTES, "hubvault_stored_bytes_total", COUNTER, "hub team", "Size of the segments that hold them.") \
    X(CUTS, "hubvault_cuts_total", COUNTER, "hub team", "Cuts that are durable and indexed, adopted ones included.") \
    X(ADOPTED_CUTS, "hubvault_adopted_cuts_total", COUNTER, "hub team", \
      "Those of them that another archiver, or an earlier life of this one, had put.") \
    X(SEGMENTS, "hubvault_segments_total", COUNTER, "hub team", "Segments of these cuts.") \
    X(GAP_OFFSETS, "hubvault_gap_offsets_total", COUNTER, "hub team cause", \
      "Offsets of these cuts that hold no event, and why. retention, truncation and re-created are losses.") \
    X(PARTITION_LAG, "hubvault_partition_lag_events", GAUGE, "hub team partition", \
      "Offsets that the hub has and that are not sealed. With metrics.partitions only.") \
    X(PARTITION_HEADROOM, "hubvault_partition_headroom_seconds", GAUGE, "hub team partition", \
      "Time until the hub deletes the oldest event that is not sealed. With metrics.partitions only.") \
    X(PARTITION_POSITION, "hubvault_partition_position", GAUGE, "hub team partition", \
      "Offset up to which everything is sealed. With metrics.partitions only.") \
    X(MEMORY_USED, "hubvault_memory_used_bytes", GAUGE, "", "Memory of events on their way into segments.") \
    X(MEMORY_LIMIT, "hubvault_memory_limit_bytes", GAUGE, "", "What that may grow to: its share of archiver.memory.") \
    X(STORE_PUT, "hubvault_store_put_duration_seconds", HISTOGRAM, "", "How long puts into the store took, whatever the answer.") \
    X(STORE_OPERATIONS, "hubvault_store_operations_total", COUNTER, "operation result", \
      "Calls of the store. exists and not_found are answers, not failures.") \
    X(STORE_FAILING, "hubvault_store_failing_seconds", GAUGE, "", \
      "Since when no put has got through although some were tried; 0 if the last one did.") \
    X(INDEX_COMMIT, "hubvault_index_commit_duration_seconds", HISTOGRAM, "", "How long transactions of the index took.") \
    X(RETRIES, "hubvault_retries_total", COUNTER, "operation", \
      "What failed and is tried again: seal (a cut), read (a partition), ask (hubs, identities, the group), follow (cuts of others), settle " \
      "(incarnations that are gone).") \
    X(ERRORS, "hubvault_errors_total", COUNTER, "kind", "All failures that were reported, retried ones included.") \
    X(LAST_ERROR_TIMESTAMP, "hubvault_last_error_timestamp_seconds", GAUGE, "", \
      "When the last of them was; absent if there was none. Its text is in /status and the log.") \
    X(REBALANCES, "hubvault_rebalances_total", COUNTER, "", "Times that the group has dealt out partitions.") \
    X(LOST_PARTITIONS, "hubvault_lost_partitions_total", COUNTER, "", "Partitions that the group took away without asking.") \
    X(ABANDONED_CUTS, "hubvault_abandoned_cuts_total", COUNTER, "", \
      "Cuts that were dropped from memory because their partition went to another archiver, which reads them again.") \
    X(FOLLOWED_CUTS, "hubvault_followed_cuts_total", COUNTER, "", "Cuts of other archivers that the index has taken over.") \
    X(FOLLOWED_SEGMENTS, "hubvault_followed_segments_total", COUNTER, "", "Segments of these.") \
    X(FOLLOW_LOOKS, "hubvault_follow_looks_total", COUNTER, "", "Questions to the store whether there are more of them.") \
    X(SNAPSHOTS, "hubvault_snapshots_total", COUNTER, "kind", "Snapshots that were stored, of a group's offsets or a topic's settings.") \
    X(SNAPSHOT_FAILURES, "hubvault_snapshot_failures_total", COUNTER, "", \
      "Failures of taking snapshots, one that goes on counted once.") \
    X(RELOADS, "hubvault_reloads_total", COUNTER, "result", "Times that the configuration was read again: done, or refused as a whole.") \
    X(HTTP_REQUESTS, "hubvault_http_requests_total", COUNTER, "status", "Answers of this service, by status.") \
    X(CPU, "process_cpu_seconds_total", COUNTER, "", "Processor time of the process, user and system.") \
    X(RSS, "process_resident_memory_bytes", GAUGE, "", "Memory of the process that is in use.") \
    X(VIRTUAL, "process_virtual_memory_bytes", GAUGE, "", "Address space of the process; the index reserves much of it.") \
    X(OPEN_FDS, "process_open_fds", GAUGE, "", "Open file descriptors.") \
    X(MAX_FDS, "process_max_fds", GAUGE, "", "How many there may be.") \
    X(START_TIME, "process_start_time_seconds", GAUGE, "", "When the process began, since 1970.")

typedef enum hv_metric_id {
#define HV_METRIC_ID(id, name, type, labels, help) HV_METRIC_ID_##id,
    HV_METRIC_LIST(HV_METRIC_ID)
#undef HV_METRIC_ID
    HV_METRICS
} hv_metric_id;

typedef struct hv_metric {
    const char *name;
    hv_metric_type type;
    const char *labels;                 /* their names with a blank between */
    const char *help;
} hv_metric;

const hv_metric *hv_metric_of(hv_metric_id id);

/* "counter" */
const char *hv_metric_type_text(hv_metric_type type);

#endif
