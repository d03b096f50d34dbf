/* The flags of replay and show. */
#include "cli/replay_cli.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

const hv_flag hv_replay_flags[] = {
    {.name = "--from", .value = "TIME", .help = "Events whose own timestamp is not before TIME: 2026-11-24T09:00:00Z, now-2h, @milliseconds."},
    {.name = "--to", .value = "TIME", .help = "Events whose own timestamp is before TIME."},
    {.name = "--from-offset", .value = "N", .help = "Events from offset N of each partition on."},
    {.name = "--to-offset", .value = "N", .help = "Events before offset N of each partition."},
    {.name = "--cursor", .value = "TEXT", .help = "Go on where a replay stopped that printed this cursor."},
    {.name = "--cursor-file", .value = "FILE", .help = "Go on from the cursor in FILE if it exists; write the new one to it."},
    {.name = "--incarnation", .value = "N|all", .help = "Of a hub that was deleted and created again: number N, or all. Else the newest."},
    {.name = "--partition", .value = "N", .many = true, .help = "Only this partition. May be repeated: any of them."},
    {.name = "--key", .value = "TEXT", .many = true, .help = "Only events with this key. May be repeated: any of them."},
    {.name = "--key-glob", .value = "GLOB", .many = true, .help = "The same with a glob: * ? [a-z]."},
    {.name = "--key-base64", .value = "BASE64", .many = true, .help = "The same for a key that is no text."},
    {.name = "--header", .value = "NAME[=VALUE]", .many = true,
     .help = "Only events with this header, one of several of that name too. May be repeated: all of them."},
    {.name = "--type", .value = "GLOB", .many = true, .help = "Only CloudEvents of this type. May be repeated: any of them."},
    {.name = "--order", .value = "ORDER", .words = WORDS("offset", "time"),
     .help = "offset: hub after hub, partition after partition. time: all merged by timestamp."},
    {.name = "--limit", .value = "N", .help = "Stop after N events."},
    {.name = "--sink", .value = "SINK", .words = WORDS("jsonl", "raw", "avro", "kafka"),
     .help = "jsonl: JSON lines, the default. raw: values alone. avro: an Avro container. kafka: a topic."},
    {.name = "--out", .value = "FILE", .help = "Write to this new file instead of standard output."},
    {.name = "--body", .value = "FORM", .words = WORDS("json", "base64"),
     .help = "In JSON lines: JSON bodies as JSON, which is the default, or every body as base64, byte for byte."},
    {.name = "--separator", .value = "WORD", .words = WORDS("newline", "nul", "none", "length"),
     .help = "Between raw values: a newline, which is the default, a zero byte, nothing; or the length before each, 4 bytes."},
    {.name = "--codec", .value = "CODEC", .words = WORDS("zstandard", "deflate", "null"), .help = "Of an Avro container."},
    {.name = "--topic", .value = "NAME", .help = "With --sink kafka: where to; {hub} in it stands for the name of the hub. Else that name."},
    {.name = "--rename", .value = "HUB=TOPIC", .many = true, .help = "With --sink kafka: the topic for one hub. May be repeated."},
    {.name = "--partition-map", .value = "FROM=TO", .many = true,
     .help = "With --sink kafka: where a partition goes; *=TO for all others. Else to the same number."},
    {.name = "--bootstrap", .value = "HOST:PORT", .help = "With --sink kafka: a service without login. Else the source of the configuration."},
    {.name = "--target", .value = "FILE", .help = "With --sink kafka: the source of this configuration is where events are sent."},
    {.name = "--id", .value = "NAME", .help = "With --sink kafka: a run under the same name goes on where the last one stopped."},
    {.name = "--no-transactions", .help = "With --sink kafka: for services without transactions; a crash may double events."},
    {.name = "--rate", .value = "N", .help = "At most N events per second."},
    {.name = "--speed", .value = "max|xN", .help = "As fast as possible, or N times the pace of the timestamps: x1, x10."},
    {.name = "--longest-pause", .value = "TIME", .help = "With --speed: no pause is longer than this; 60s."},
    {.name = "--damaged", .value = "WHAT", .words = WORDS("stop", "skip"),
     .help = "At a damaged block: stop, which is the default, or report it and go on behind it (exit status 15)."},
    {.name = "--follow", .help = "Go on with the live hub behind the archive, until stopped."},
    {.name = "--dry-run", .help = "Say what would be read and sent, from the index alone."},
    {.name = NULL},
};

const hv_flag hv_show_flags[] = {
    {.name = "--incarnation", .value = "N", .help = "Of a hub that was deleted and created again. Else the newest."},
    {.name = NULL},
};
