/*
 * The lines of the log, once: which events there are, how important each is, what it says and with which fields.
 *
 * The table drives what is written, the command 'hubvault logs' and docs/LOGS.md. A row that no code uses is found by the test 'log_events',
 * and so is a line with a field that its row does not name.
 */
#ifndef HV_SERVER_LOG_EVENTS_H
#define HV_SERVER_LOG_EVENTS_H

#include "common/log.h"

/* name, level, id, what the line says, fields, when it is written. A field that is not always there has a '?' behind it. */
#define HV_LOG_EVENT_LIST(X) \
    X(STARTING, INFO, "starting", "hubvault starts", "version pid config? store", \
      "The process has begun. Nothing is open yet.") \
    X(STARTED, INFO, "started", "capture has begun", \
      "vault store index sources assignment max_bytes max_age_ms memory_bytes uploaders follow_ms headroom_warning_ms", \
      "Vault and index are open and the archiver runs. The numbers are the limits in effect.") \
    X(ENDED, INFO, "ended", "capture has ended", \
      "hubs partitions events cuts adopted gap_offsets bytes_in bytes_stored stopped abandoned ran_ms", \
      "Everything that was read is sealed, or is still in the hubs. The numbers are totals since the start.") \
    X(INDEX_REBUILD, WARNING, "index-rebuild", "index is empty and the vault is not: it is rebuilt from the segments", "", \
      "The local disk was lost or is new. Capture begins when the index is there again.") \
    X(INDEX_REBUILT, INFO, "index-rebuilt", "index is rebuilt", "cuts events problems took_ms", \
      "Problems are partitions whose chain of segments has a hole or a damaged segment; 'hubvault verify' says which.") \
    X(HUB_CAPTURED, INFO, "hub-captured", "hub is captured", "hub incarnation partitions", \
      "A hub was found, or has more partitions, and is captured from now on.") \
    X(HUB_RE_CREATED, WARNING, "hub-re-created", "hub is another one now and is captured from offset 0", \
      "hub incarnation partitions cause?", \
      "A hub was deleted and created again. The new one is a new incarnation; the segments of the old one stay.") \
    X(CUT_SEALED, INFO, "cut-sealed", "cut is durable and indexed", \
      "hub incarnation partition segment first end events bytes", \
      "Offsets from first up to, and without, end are in the store. `segment` is the name of the lead there, as 'hubvault show' and " \
      "'hubvault segments' print it.") \
    X(CUT_ADOPTED, INFO, "cut-adopted", "cut of another archiver or an earlier life is indexed", \
      "hub incarnation partition segment first end events bytes", \
      "The store had a cut at this place already, from another archiver or from before a crash. What is there counts.") \
    X(CUT_FOLLOWED, DEBUG, "cut-followed", "cut of another archiver is indexed", \
      "hub incarnation partition segment first end events bytes", \
      "A partition that another archiver captures has gone on, and the index of this one has it.") \
    X(GAP_DECLARED, WARNING, "gap-declared", "offsets hold no event", "hub incarnation partition first end cause", \
      "These offsets will never hold an event in the vault. The causes are listed in ARCHITECTURE.md.") \
    X(TROUBLE, WARNING, "trouble", "something failed and is tried again", "hub? incarnation? partition? error", \
      "Nothing is lost; it is tried again until it works.") \
    X(PARTITION_STOPPED, ERROR, "partition-stopped", "partition is not captured until an operator acts", \
      "hub incarnation partition error", \
      "What the store holds contradicts what was read, or something was refused for good. Other partitions go on.") \
    X(PARTITIONS_ASSIGNED, INFO, "partitions-assigned", "group has given us partitions", "partitions", \
      "With source.assignment = group: so many more are ours.") \
    X(PARTITIONS_REVOKED, INFO, "partitions-revoked", "group has taken partitions back, and they are given up", "partitions note?", \
      "What was open is sealed, or was abandoned where the note says so, and is read again by the next owner.") \
    X(PARTITIONS_LOST, WARNING, "partitions-lost", "group has taken us for gone; what was open is dropped", "partitions", \
      "The session expired: the process was paused or cut off from the broker for longer than source.session-timeout.") \
    X(HEADROOM, ERROR, "headroom", "source will expire events that are not sealed", "hub incarnation partition headroom_ms", \
      "Capture is so far behind that the hub will delete the oldest event not sealed within headroom_ms.") \
    X(SNAPSHOT_STORED, DEBUG, "snapshot-stored", "offsets of a group or settings of a topic are kept", "hub number group?", \
      "They have changed, and the vault has the change under this number.") \
    X(SNAPSHOT_TROUBLE, WARNING, "snapshot-trouble", "snapshots of groups and topics are not up to date", "error", \
      "Tried again with the next round. Events are not concerned.")

typedef enum hv_log_event_id {
#define HV_LOG_EVENT_ID(name, level, id, msg, fields, meaning) HV_LINE_##name,
    HV_LOG_EVENT_LIST(HV_LOG_EVENT_ID)
#undef HV_LOG_EVENT_ID
    HV_LINES
} hv_log_event_id;

typedef struct hv_log_event {
    hv_log_level level;
    const char *id, *msg, *fields, *meaning;
} hv_log_event;

const hv_log_event *hv_log_event_of(hv_log_event_id id);

/* A line of that event; more about a log in common/log.h. */
void hv_log_event_write(hv_log *log, hv_log_event_id id, const hv_log_field *fields, size_t count);

#define HV_LINE(log, name, ...) HV_LINE_(log, name, __VA_ARGS__)
#define HV_LINE_(log, name, ...) \
    hv_log_event_write(log, HV_LINE_##name, (const hv_log_field[]){__VA_ARGS__}, \
                       sizeof((const hv_log_field[]){__VA_ARGS__}) / sizeof(hv_log_field))

#endif
