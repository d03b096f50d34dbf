/* The commands, and the flags that every command understands. Dispatch, help, manual and completion come from these tables. */
#include "cli/cli.h"
#include "cli/groups_cli.h"
#include "cli/replay_cli.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

const hv_flag hv_global_flags[] = {
    {.name = "--config", .value = "FILE", .help = "Read this configuration. Else $HUBVAULT_CONFIG, else /etc/hubvault/hubvault.conf if it exists."},
    {.name = "--set", .value = "NAME=VALUE", .many = true, .help = "Set an option, whatever the configuration says. May be repeated."},
    {.name = "--store", .value = "DIR", .help = "Folder of the vault; short for --set store.dir=DIR."},
    {.name = "--index", .value = "DIR", .help = "Folder of the index; short for --set index.dir=DIR."},
    {.name = "--output", .value = "FORMAT", .words = WORDS("table", "json"),
     .help = "A table for eyes, which is the default, or json: one object per line."},
    {.name = "--help", .help = "Explain the program, or the command it stands behind."},
    {.name = "--version", .help = "Print the version."},
    {.name = NULL},
};

static const hv_flag options_flags[] = {
    {.name = "--format", .value = "FORMAT", .words = WORDS("table", "markdown", "man"),
     .help = "table: the values in effect. markdown: the page docs/CONFIGURATION.md. man: the source of the manual page."},
    {.name = NULL},
};

static const hv_flag run_flags[] = {
    {.name = "--once", .help = "Capture up to the high watermarks seen at the start, seal, and end."},
    {.name = NULL},
};

static const hv_flag hubs_flags[] = {
    {.name = "--partitions", .help = "One row per partition instead of one per hub."},
    {.name = NULL},
};

static const hv_flag segments_flags[] = {
    {.name = "--from", .value = "TIME", .help = "Only segments with events of this time or later: 2026-11-24T09:00:00Z, 2026-11-24, now-2h."},
    {.name = "--to", .value = "TIME", .help = "Only segments with events from before this time."},
    {.name = "--from-offset", .value = "OFFSET", .help = "Begin with the segment that holds this offset."},
    {.name = "--to-offset", .value = "OFFSET", .help = "End before segments that begin at this offset or later."},
    {.name = "--incarnation", .value = "NUMBER", .help = "Which life of a hub that was deleted and created again; else the newest."},
    {.name = NULL},
};

static const hv_flag status_flags[] = {
    {.name = "--offline", .help = "Do not ask the source; lag and headroom are then not known."},
    {.name = "--gaps", .help = "List the offsets that hold no event, and why, instead."},
    {.name = NULL},
};

static const hv_flag doctor_flags[] = {
    {.name = "--offline", .help = "Do not ask the source."},
    {.name = NULL},
};

static const hv_flag verify_flags[] = {
    {.name = "--quick", .help = "Names, headers and index only; the bytes of segments are not read."},
    {.name = "--no-index", .help = "The store alone."},
    {.name = "--threads", .value = "N", .help = "How many segments to read at a time; one per core if not given."},
    {.name = NULL},
};

static const hv_flag index_rebuild_flags[] = {
    {.name = "--into", .value = "DIR", .help = "Make the new index in DIR, for comparison, and leave the old one alone."},
    {.name = "--partial", .help = "Replace the old index even if problems in the store cut the new one short."},
    {.name = NULL},
};

const hv_verb hv_verbs[] = {
    {.name = "run", .values = "", .help = "Capture every hub into the vault", .flags = run_flags,
     .needs = HV_NEED_STORE | HV_NEED_INDEX | HV_NEED_SOURCE, .run = hv_cmd_run,
     .details = "Runs until SIGTERM or SIGINT, then seals what is open and ends. Killed at any moment it loses nothing:\n"
                "the next run goes on behind the last cut that is in the store. SIGHUP makes it read its configuration\n"
                "again, unless standard error is a terminal, where it ends the program like SIGTERM."},
    {.name = "replay", .values = "[HUB...]", .max_values = 1000, .help = "Give any stretch of history back, exactly as it went in",
     .flags = hv_replay_flags, .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_replay,
     .details = "HUB is a name or a glob; without one, all hubs. Ranges are half-open: from is included, to is not.\n"
                "At its end a replay says how much it read and sent, and prints a cursor: a later replay\n"
                "goes on exactly there."},
    {.name = "show", .values = "HUB PARTITION OFFSET", .min_values = 3, .max_values = 3, .flags = hv_show_flags,
     .help = "Show one event and where it is stored, or why there is none", .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_show},
    {.name = "verify", .values = "[HUB]", .max_values = 1, .help = "Check everything that is stored, and the index against it",
     .flags = verify_flags, .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_verify,
     .details = "Reads every segment: hashes, block tables, each event, the chain of offsets without hole or overlap,\n"
                "records and names; then the index in both directions. Every fault is a row: what, where, what was\n"
                "expected and what was found. May run beside an archiver. Exit status 15 if there are findings."},
    {.name = "findings", .values = "", .help = "List what verify can find, what each means and what to do",
     .needs_no_options = true, .run = hv_cmd_findings},
    {.name = "index rebuild", .values = "", .help = "Make the index anew from the segments", .flags = index_rebuild_flags,
     .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_index_rebuild,
     .details = "Reads headers only, where the store keeps the SHA-256 of its blobs. The new index grows beside the old\n"
                "one and takes its place when it is whole. A partition with a hole or a damaged segment is indexed up to\n"
                "there; then the old index stays, unless --partial is given. Exit status 15 if there are problems."},
    {.name = "index stats", .values = "", .help = "Show how large the index is",
     .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_index_stats},
    {.name = "index dump", .values = "", .help = "Print the index, one line per fact, for comparing two of them",
     .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_index_dump},
    {.name = "demo", .values = "[DIR]", .max_values = 1, .help = "Show the main job from end to end, with nothing but this machine",
     .needs_no_options = true, .run = hv_cmd_demo,
     .details = "Makes a folder (hubvault-demo, or DIR) with a configuration, a vault and an index, and leaves it there."},
    {.name = "groups ls", .values = "[GROUP...]", .max_values = 1000, .help = "List how far consumer groups had read, now or at a time",
     .flags = hv_groups_ls_flags, .needs = HV_NEED_STORE, .run = hv_cmd_groups_ls,
     .details = "From the snapshots that 'hubvault run' keeps (archiver.snapshot-interval). GROUP is a name or a glob."},
    {.name = "groups translate", .values = "GROUP...", .min_values = 1, .max_values = 1000, .flags = hv_groups_translate_flags,
     .help = "Let consumer groups go on in topics that a replay filled", .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_groups_translate,
     .details = "Commits, for each partition, the new offset of the first replayed event at or behind what the group had committed. A group\n"
                "is moved as a whole or not at all, and only where nobody of it is active. Before, the events at the new offsets are read\n"
                "and compared with the archive; behind, what is committed is read back. Exit status 15 if a group is not moved."},
    {.name = "hubs", .values = "[HUB]", .max_values = 1, .help = "List the hubs that the vault holds", .flags = hubs_flags,
     .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_hubs},
    {.name = "segments", .values = "HUB [PARTITION]", .min_values = 1, .max_values = 2, .help = "List the segments of a hub",
     .flags = segments_flags, .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_segments},
    {.name = "status", .values = "", .help = "Show how far capture is, what is at risk, and what is missing", .flags = status_flags,
     .needs = HV_NEED_STORE | HV_NEED_INDEX, .run = hv_cmd_status,
     .details = "HEADROOM is the time until the hub deletes the oldest event that is not sealed yet; it is not known for hubs that do\n"
                "not say how long they keep events. An archiver that runs may hold events that are read but not sealed: they count as lag."},
    {.name = "doctor", .values = "", .help = "Try out everything hubvault depends on, and say the way out of what fails", .flags = doctor_flags,
     .run = hv_cmd_doctor,
     .details = "Checks the configuration, the files with secrets, the store (one probe is created and removed again), the index, the\n"
                "clock, the limits of the system, and the source. Ends with 15 if a check failed."},
    {.name = "options", .values = "", .help = "Show every option, its value, and where that comes from", .flags = options_flags,
     .run = hv_cmd_options},
    {.name = "logs", .values = "", .help = "List the lines that run can write into its log, and what each means",
     .needs_no_options = true, .run = hv_cmd_logs},
    {.name = "metrics", .values = "", .help = "List what run tells under /metrics, and what each means", .needs_no_options = true,
     .run = hv_cmd_metrics},
    {.name = "completion", .values = "", .help = "Print the completion script for bash", .needs_no_options = true,
     .run = hv_cmd_completion, .details = "To use it at once: source <(hubvault completion)"},
    {.name = NULL},
};
