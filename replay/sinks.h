/*
 * The sinks, by name. Only the place where a program is put together, and tests, include this.
 */
#ifndef HV_REPLAY_SINKS_H
#define HV_REPLAY_SINKS_H

#include "replay/sink.h"
#include "segment/header.h"

/* ---- files, pipes, standard output ---- */

typedef struct hv_sink_file {
    int fd;                             /* borrowed; written to from where it stands */
    const char *name;                   /* for messages; borrowed */
} hv_sink_file;

typedef struct hv_sink_jsonl_config {
    hv_sink_file to;
    bool body_base64;                   /* every body as base64, so that it comes out byte for byte; else JSON stays JSON */
} hv_sink_jsonl_config;

/* One JSON object per line, docs/REPLAY.md "JSON lines". */
hv_rc hv_sink_jsonl_open(const hv_sink_jsonl_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

typedef struct hv_sink_raw_config {
    hv_sink_file to;
    bool length_prefix;                 /* 4 bytes, big-endian, before each value, instead of a separator behind it */
    hv_slice separator;                 /* may be empty; copied, at most HV_RAW_SEPARATOR_MAX bytes */
} hv_sink_raw_config;

enum { HV_RAW_SEPARATOR_MAX = 64 };

/* Values alone. Tombstones cannot be told from empty values there and are left out, and counted. */
hv_rc hv_sink_raw_open(const hv_sink_raw_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

typedef struct hv_sink_avro_config {
    hv_sink_file to;
    hv_codec codec;
    int level;                          /* 0: a good one for the codec */
} hv_sink_avro_config;

/* One Avro object container file of hubvault.v1.ReplayedEvent: the record of the segments, behind hub, incarnation and partition. */
hv_rc hv_sink_avro_open(const hv_sink_avro_config *config, hv_sink **ret, hv_err *err) HV_MUST_USE;

#endif
