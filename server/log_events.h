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
    X(HTTP_LISTENING, INFO, "http-listening", "health, metrics and status can be asked for", "address", \
      "The address of http.listen, with the port that was free where it says 0.") \
    X(HTTP_OFF, WARNING, "http-off", "nobody can ask for health and metrics: the default address is taken", "error", \
      "Another instance on this machine, perhaps. Set http.listen to another port, or off. Capture is not concerned.") \
    X(READY, INFO, "ready", "capture runs", "hubs partitions assigned behind after_ms", \
      "Every source has told its hubs, and it is known where their partitions go on; with a group, our share of them too. " \
      "The service manager is told now.") \
    X(STOPPING, INFO, "stopping", "capture is to end: what is open is sealed", "", "SIGTERM or SIGINT has come.") \
    X(THREAD_STALLED, ERROR, "thread-stalled", "a thread shows no progress", "threads thread silent_ms watchdog", \
      "A store, a disk or hubvault itself hangs. With `watchdog=withheld` the service manager gets no more signs of life and will " \
      "restart the service, which loses nothing. Said once a minute.") \
    X(OPTION_CHANGED, INFO, "option-changed", "option has another value from now on", "option old new", \
      "SIGHUP has come, and the configuration has changed.") \
    X(OPTION_NEEDS_RESTART, WARNING, "option-needs-restart", "option has changed in the configuration and needs a restart", "option old new", \
      "The old value stays in force until then.") \
    X(HUB_LEFT_OUT, WARNING, "hub-left-out", "hub is not wanted any more and needs a restart to be left out", "hub", \
      "source.include and source.exclude have changed. Until then it is captured.") \
    X(SECRET_KEPT, WARNING, "secret-kept", "file of a secret cannot be used, and the old secret stays in use", "error", \
      "After SIGHUP. A new login with the old secret may be refused.") \
    X(RELOADED, INFO, "reloaded", "configuration is read again", "changed needs_restart", "How many options were taken over, and how many were not.") \
    X(RELOAD_REFUSED, ERROR, "reload-refused", "configuration cannot be read again, and everything stays as it was", "error", \
      "The error names file, line and column.") \
    X(ENDED, INFO, "ended", "capture has ended", \
      "hubs partitions events cuts adopted gap_offsets bytes_in bytes_stored stopped abandoned ran_ms", \
      "Everything that was read is sealed, or is still in the hubs. The numbers are totals since the start.") \
    X(INDEX_REBUILD, WARNING, "index-rebuild", "index is empty and the vault is not: it is rebuilt from the segments", "", \
      "The local disk was lost or is new. Capture begins when the index is there again.") \
    X(INDEX_REBUILT, INFO, "index-rebuilt", "index is rebuilt", "cuts events problems took_ms", \
      "Problems are partitions whose chain of segments has a hole or a damaged segment; 'hubvault verify' says which.") \
    X(SOURCE_CONNECTED, INFO, "source-connected", "source has told its hubs", "source", \
      "For the first time, or again after a failure that was told as trouble.") \
    X(HUB_CAPTURED, INFO, "hub-captured", "hub is captured", "hub incarnation partitions", \
      "A hub was found, or has more partitions, and is captured from now on.") \
    X(HUB_GONE, WARNING, "hub-gone", "hub does not exist any more; what was read is sealed", "hub incarnation partitions", \
      "It was deleted, or our right to see it was. It is looked for; when it is there again, capture goes on or begins a new incarnation.") \
    X(HUB_RE_CREATED, WARNING, "hub-re-created", "hub is another one now and is captured from offset 0", \
      "hub incarnation partitions cause?", \
      "A hub was deleted and created again. The new one is a new incarnation; the segments of the old one stay.") \
    X(CUT_SEALED, INFO, "cut-sealed", "cut is durable and indexed", \
      "hub incarnation partition segment sha256? segments? first end events bytes put_ms", \
      "Offsets from first up to, and without, end are in the store. `segment` is the name of the lead there and `sha256` that of its " \
      "bytes, as 'hubvault show' and 'hubvault segments' print them; `segments` counts it and its siblings, one per further class.") \
    X(CUT_ADOPTED, INFO, "cut-adopted", "cut of another archiver or an earlier life is indexed", \
      "hub incarnation partition segment sha256? segments? first end events bytes", \
      "The store had a cut at this place already, from another archiver or from before a crash. What is there counts.") \
    X(CUT_FOLLOWED, DEBUG, "cut-followed", "cut of another archiver is indexed", \
      "hub incarnation partition segment first end events bytes", \
      "A partition that another archiver captures has gone on, and the index of this one has it.") \
    X(GAP_DECLARED, WARNING, "gap-declared", "offsets hold no event", "hub incarnation partition first end cause", \
      "These offsets will never hold an event in the vault. The causes are listed in ARCHITECTURE.md.") \
    X(STORE_SLOW, WARNING, "store-slow", "store took long for a cut", "segment bytes put_ms", \
      "More than 10 seconds. Nothing has failed, but when all uploaders are busy reading stops.") \
    X(POLLING_PAUSED, WARNING, "polling-paused", "nothing is read: the memory for events is used up", "memory_bytes", \
      "For a second or longer. The store does not keep up with the source, or archiver.memory is small for the number of partitions. " \
      "Nothing is dropped, the hubs keep it.") \
    X(POLLING_RESUMED, INFO, "polling-resumed", "there is room for events again", "memory_bytes", "For a second now.") \
    X(RETRY, WARNING, "retry", "cut is not stored yet and is tried again", \
      "hub incarnation partition attempts retry_ms error", \
      "So many tries have failed, and the next one comes in retry_ms, which doubles up to 30 seconds. The events stay in memory, and in the hub.") \
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
