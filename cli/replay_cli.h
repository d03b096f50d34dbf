/*
 * The parts of `hubvault replay`: its flags, the request and the sink they mean, and what is said about it.
 */
#ifndef HV_CLI_REPLAY_CLI_H
#define HV_CLI_REPLAY_CLI_H

#include <stdatomic.h>

#include "cli/progress.h"
#include "replay/replay.h"
#include "replay/sinks.h"
#include "server/sources.h"
#include "server/vault.h"

extern const hv_flag hv_replay_flags[];
extern const hv_flag hv_show_flags[];

/* A request and everything it borrows. */
typedef struct hv_replay_words {
    hv_replay_request request;
    const char **hubs;
    int32_t *partitions;
    hv_key_filter *keys;
    hv_header_filter *headers;
    hv_slice *types;
    hv_buf decoded;                     /* keys that came as base64 */
    hv_buf cursor;
} hv_replay_words;

void hv_replay_words_clear(hv_replay_words *words);
HV_DEFINE_AUTO_VALUE(hv_replay_words, hv_replay_words_clear);

/* HV_USAGE, naming the flag. */
hv_rc hv_replay_words_read(const hv_cli *cli, hv_replay_words *ret, hv_err *err) HV_MUST_USE;

/* Where the events go. */
typedef struct hv_replay_target {
    hv_sink *sink;
    hv_options options;                 /* of --target */
    hv_sources *sources;                /* tokens and properties of a connection */
    hv_kafka_config broker;
    hv_kafka_topic_map *topics;
    char **hubs;                        /* of `topics` */
    hv_kafka_partition_map *partitions;
    hv_sink_kafka_config kafka;         /* of a sink into a service */
    hv_offset_map *map;                 /* NULL: none is written */
    char id[40];                        /* made up, where none was given */
    int fd;                             /* of a file that has to be synchronised and closed; -1: none */
    const char *name;
    bool is_stdout;
} hv_replay_target;

void hv_replay_target_init(hv_replay_target *target);
void hv_replay_target_close(hv_replay_target *target);
HV_DEFINE_AUTO_VALUE(hv_replay_target, hv_replay_target_close);

/* `to` comes from hv_replay_target_init(), and is closed whatever the answer. HV_EXISTS for a file that is there already. */
hv_rc hv_replay_target_open(const hv_cli *cli, hv_replay_target *to, hv_err *err) HV_MUST_USE;
/* The part of it that is about --sink kafka; and only where to and how, for a dry run: nothing is opened. */
hv_rc hv_replay_target_kafka(const hv_cli *cli, hv_replay_target *to, hv_err *err) HV_MUST_USE;
hv_rc hv_replay_target_kafka_describe(const hv_cli *cli, hv_replay_target *to, hv_err *err) HV_MUST_USE;
/* Only which service, from --bootstrap, --target or the configuration. */
hv_rc hv_replay_target_broker(const hv_cli *cli, hv_replay_target *to, hv_err *err) HV_MUST_USE;
/* --create-topics: show what would be made, or make it. Nothing without that flag. */
hv_rc hv_replay_create_topics(const hv_cli *cli, const hv_vault *vault, const hv_replay *replay, const hv_replay_target *target, bool dry_run,
                              hv_err *err) HV_MUST_USE;
/* What only makes sense with --sink kafka: HV_USAGE if it is there without. */
hv_rc hv_replay_check_kafka_flags(const hv_cli *cli, hv_err *err) HV_MUST_USE;
/* What was written to a file is durable. */
hv_rc hv_replay_target_sync(const hv_replay_target *target, hv_err *err) HV_MUST_USE;

/* What is told while it runs; the observer of the replay. */
typedef struct hv_replay_report {
    const hv_cli *cli;
    const atomic_bool *stop;
    hv_progress progress;
} hv_replay_report;

hv_replay_observer hv_replay_report_observer(hv_replay_report *report);

/* The last word: facts and cursor, to standard error if the events went to standard output, else as a result; and the cursor
 * file. */
hv_rc hv_replay_report_end(hv_replay_report *report, hv_replay *replay, const hv_replay_target *target, hv_err *err) HV_MUST_USE;

void hv_replay_report_forecast(const hv_cli *cli, const hv_replay_forecast *forecast);

#endif
