/*
 * What a command is, and what it gets.
 *
 * A command is a row of the table in verbs.c and a file cmd_<verb>.c. It reads its own values and flags, works through library calls
 * and returns an hv_rc; hv_cli_main() turns that into the exit status and prints the message. Nothing is kept in static variables, so a
 * test can run a command as often as it likes. Only this folder reads the command line and the environment, or prints.
 */
#ifndef HV_CLI_CLI_H
#define HV_CLI_CLI_H

#include "cli/args.h"
#include "cli/out.h"
#include "common/log.h"
#include "common/options.h"

typedef struct hv_cli_start hv_cli_start;

typedef struct hv_cli {
    const hv_options *options;          /* complete, with what the command needs */
    const hv_args *args;
    hv_out *out;                        /* results */
    FILE *to;                           /* standard output itself, for what is no table */
    FILE *notes;                        /* standard error: progress, and lines that are no results */
    bool terminal;                      /* notes go to a terminal */
    hv_log *log;                        /* on notes, as the options say */
    const char *config;                 /* path of the configuration file that was read; NULL: none */
    const hv_cli_start *start;          /* what the settings were read from */
    unsigned needs;                     /* HV_NEED_... of the command */
    const char *notify_socket;          /* of a service manager that wants to be told how we are; NULL: none */
    int64_t watchdog_ms;                /* how often it wants a sign of life at least; 0: never */
} hv_cli;

typedef struct hv_verb {
    const char *name;                   /* one word, or two: "index rebuild" */
    const char *values;                 /* "HUB PARTITION [FROM]" */
    const char *help;                   /* one line */
    const char *details;                /* for its --help and the manual: lines up to 100 columns, may be NULL */
    const hv_flag *flags;               /* NULL: none of its own */
    int min_values, max_values;
    unsigned needs;                     /* HV_NEED_... */
    bool needs_no_options;              /* works even where the configuration is wrong */
    hv_rc (*run)(hv_cli *cli, hv_err *err);
} hv_verb;

/* Ends with a name of NULL. */
extern const hv_verb hv_verbs[];
extern const hv_flag hv_global_flags[];

/* What a program run consists of, for main() and for tests. */
struct hv_cli_start {
    const char *const *words;           /* behind the name of the program; NULL at the end */
    FILE *to, *notes;
    bool terminal;                      /* of notes */
    const char *(*environment)(const char *name);       /* NULL if it is not set; the function may be NULL for commands that need no options */
    const char *default_config;         /* read if it exists and nothing else is named */
};

/* All settings as this command would get them if it began now: from the environment, the file and the command line. Complete; written on
 * success only, to be cleared by the caller. */
hv_rc hv_cli_read_options(const hv_cli *cli, hv_options *ret, hv_err *err) HV_MUST_USE;

/* Runs one command line; the exit status. Prints at most one line on notes besides what the command itself puts there. */
int hv_cli_main(const hv_cli_start *start);

/* ---- the commands ---- */

hv_rc hv_cmd_completion(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_demo(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_doctor(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_groups_ls(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_groups_translate(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_hubs(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_logs(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_metrics(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_options(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_replay(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_run(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_segments(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_show(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_status(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_verify(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_findings(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_index_rebuild(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_index_stats(hv_cli *cli, hv_err *err);
hv_rc hv_cmd_index_dump(hv_cli *cli, hv_err *err);

#endif
