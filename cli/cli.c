/*
 * From the words of a command line to a command and its exit status.
 *
 * Settings come from, in rising order: defaults, the environment, the configuration file, the command line. They are complete before the
 * command begins, so a command never sees half of them.
 */
#include "cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/manual.h"
#include "cli/progress.h"
#include "common/config_file.h"
#include "common/nearest.h"
#include "common/redact.h"

/* Whether `first` and, if the verb has two words, `second` name it. */
static bool
is_verb(const hv_verb *verb, const char *first, const char *second)
{
    size_t len = strcspn(verb->name, " ");

    if (strlen(first) != len || strncmp(verb->name, first, len) != 0)
        return false;
    return verb->name[len] == '\0' || (second != NULL && strcmp(verb->name + len + 1, second) == 0);
}

static const char *
verb_name_at(const void *arg, size_t i)
{
    (void)arg;
    return hv_verbs[i].name;
}

static hv_rc
refuse_verb(const char *first, hv_err *err)
{
    size_t len = strlen(first);

    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        if (strncmp(verb->name, first, len) == 0 && verb->name[len] == ' ')
            return hv_err_set(err, HV_USAGE, "'%s' is half of a command: '%s'", first, verb->name);
    const char *meant = hv_nearest(first, verb_name_at, NULL);
    if (meant != NULL)
        return hv_err_set(err, HV_USAGE, "unknown command '%.100s'; did you mean '%s'?", first, meant);
    return hv_err_set(err, HV_USAGE, "unknown command '%.100s'; hubvault --help lists what there is", first);
}

/* Whether a command of two words begins with this one. */
static bool
wants_second(const char *first)
{
    size_t len = strlen(first);

    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        if (strncmp(verb->name, first, len) == 0 && verb->name[len] == ' ')
            return true;
    return false;
}

/* The command that the values begin with, NULL if there is no value at all. */
static hv_rc
find_verb(hv_args *args, const hv_verb **ret, hv_err *err)
{
    const char *first, *second = NULL;
    const hv_verb *verb = hv_verbs;

    *ret = NULL;
    hv_rc rc = hv_args_next(args, &first, err);
    if (rc == HV_OK && first != NULL && wants_second(first))
        rc = hv_args_next(args, &second, err);
    if (rc != HV_OK || first == NULL)
        return rc;
    while (verb->name != NULL && !is_verb(verb, first, second))
        verb++;
    if (verb->name == NULL)
        return refuse_verb(first, err);
    *ret = verb;
    return HV_OK;
}

static hv_rc
take_words(hv_args *args, const hv_verb **ret, hv_err *err)
{
    const char *value;

    hv_args_declare(args, hv_global_flags);
    hv_rc rc = find_verb(args, ret, err);
    if (rc != HV_OK || *ret == NULL)
        return rc;
    if ((*ret)->flags != NULL)
        hv_args_declare(args, (*ret)->flags);
    while ((rc = hv_args_next(args, &value, err)) == HV_OK && value != NULL)
        hv_args_keep(args, value);
    return rc;
}

static hv_rc
set_from_environment(const hv_cli_start *start, hv_options *options, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t i = 0; i < hv_option_count && rc == HV_OK; i++) {
        const char *variable = hv_option_table[i].environment, *value = variable != NULL ? start->environment(variable) : NULL;
        if (value == NULL || *value == '\0')
            continue;
        char where[80];
        (void)snprintf(where, sizeof where, "$%s", variable);
        hv_option_place place = {.layer = HV_OPTION_FROM_ENVIRONMENT, .where = where};
        rc = hv_options_set(options, hv_option_table[i].name, value, &place, err);
    }
    return rc;
}

/* *ret is the file that was read, NULL for none. */
static hv_rc
load_config(const hv_cli_start *start, const hv_args *args, hv_options *options, const char **ret, hv_err *err)
{
    const char *path = hv_args_text(args, "--config");

    *ret = NULL;
    if (path == NULL)
        path = start->environment("HUBVAULT_CONFIG");
    if (path == NULL || *path == '\0') {
        path = start->default_config;
        if (path == NULL || access(path, F_OK) != 0)
            return HV_OK;
    }
    *ret = path;
    return hv_config_load(options, path, err);
}

/* "NAME=VALUE" behind --set. */
static hv_rc
set_pair(hv_options *options, const char *pair, hv_err *err)
{
    const char *equals = strchr(pair, '=');
    char name[100];

    if (equals == NULL)
        return hv_err_set(err, HV_USAGE, "--set takes NAME=VALUE, not '%.100s'", pair);
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - pair < 99 ? equals - pair : 99), pair);
    return hv_options_set(options, name, equals + 1, &(hv_option_place){.layer = HV_OPTION_FROM_COMMAND, .where = "--set"}, err);
}

static hv_rc
set_from_command(const hv_args *args, hv_options *options, hv_err *err)
{
    static const struct {
        const char *flag, *option;
    } shortcuts[] = {{"--store", "store.dir"}, {"--index", "index.dir"}};
    hv_rc rc = HV_OK;
    const char *value;

    for (int i = 0; rc == HV_OK && (value = hv_args_each(args, "--set", i)) != NULL; i++)
        rc = set_pair(options, value, err);
    for (size_t i = 0; i < sizeof shortcuts / sizeof *shortcuts && rc == HV_OK; i++) {
        value = hv_args_text(args, shortcuts[i].flag);
        if (value != NULL)
            rc = hv_options_set(options, shortcuts[i].option, value,
                                &(hv_option_place){.layer = HV_OPTION_FROM_COMMAND, .where = shortcuts[i].flag}, err);
    }
    return rc;
}

static hv_rc
set_options(const hv_cli_start *start, const hv_args *args, hv_options *options, const char **config, hv_err *err)
{
    hv_rc rc = set_from_environment(start, options, err);

    if (rc == HV_OK)
        rc = load_config(start, args, options, config, err);
    return rc == HV_OK ? set_from_command(args, options, err) : rc;
}

static void
begin_options(const hv_cli_start *start, hv_options *options)
{
    hv_options_init(options);
    options->credentials_dir = start->environment != NULL ? start->environment("CREDENTIALS_DIRECTORY") : NULL;
}

hv_rc
hv_cli_read_options(const hv_cli *cli, hv_options *ret, hv_err *err)
{
    HV_AUTO(hv_options_clear) hv_options options;
    const char *config;

    begin_options(cli->start, &options);
    hv_rc rc = set_options(cli->start, cli->args, &options, &config, err);
    if (rc == HV_OK)
        rc = hv_options_complete(&options, cli->needs, err);
    if (rc != HV_OK)
        return rc;
    *ret = options;
    options = (hv_options){0};
    return HV_OK;
}

/* Whether the stream is the journal: JOURNAL_STREAM then names its device and inode (systemd.exec(5)). A child that somebody has given
 * another standard error has the variable too. */
static bool
is_journal(const hv_cli_start *start)
{
    const char *named = start->environment != NULL ? start->environment("JOURNAL_STREAM") : NULL;
    char own[64];
    struct stat st;

    if (named == NULL || fileno(start->notes) < 0 || fstat(fileno(start->notes), &st) != 0)
        return false;
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(named, own) == 0;
}

static hv_rc
open_log(const hv_cli_start *start, const hv_options *options, hv_log **ret, hv_err *err)
{
    hv_log_config config = {.to = start->notes, .level = (hv_log_level)options->log_level,
                            .json = options->log_format == HV_LOG_FORMAT_JSON, .journal = is_journal(start),
                            .before = start->terminal ? HV_PROGRESS_FORGET : NULL, .burst = 20, .interval_ms = 10000};

    return hv_log_new(&config, ret, err);
}

/* $WATCHDOG_USEC, if it is meant for this process (sd_watchdog_enabled(3)); 0: nobody watches. */
static int64_t
watchdog_ms(const hv_cli_start *start)
{
    const char *interval = start->environment("WATCHDOG_USEC"), *pid = start->environment("WATCHDOG_PID");
    int64_t us = 0, wanted_pid = getpid();
    hv_err err;

    if (interval == NULL || hv_args_parse_number(interval, "WATCHDOG_USEC", 1, INT64_MAX, &us, &err) != HV_OK)
        return 0;
    if (pid != NULL && hv_args_parse_number(pid, "WATCHDOG_PID", 1, INT64_MAX, &wanted_pid, &err) != HV_OK)
        return 0;
    return wanted_pid == getpid() ? us / 1000 : 0;
}

static hv_rc
check_values(const hv_verb *verb, const hv_args *args, hv_err *err)
{
    if (hv_args_count(args) >= verb->min_values && hv_args_count(args) <= verb->max_values)
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "usage: hubvault %s%s%s%s; see hubvault %s --help", verb->name, *verb->values != '\0' ? " " : "",
                      verb->values, verb->flags != NULL ? " [OPTIONS]" : "", verb->name);
}

static hv_rc
run_verb(const hv_cli_start *start, const hv_verb *verb, hv_args *args, hv_err *err)
{
    HV_AUTO(hv_options_clear) hv_options options;
    HV_AUTO(hv_log_free) hv_log *log = NULL;
    const char *output = hv_args_text(args, "--output"), *config = NULL;
    hv_out out;

    begin_options(start, &options);
    hv_rc rc = check_values(verb, args, err);
    if (rc == HV_OK && !verb->needs_no_options)
        rc = set_options(start, args, &options, &config, err);
    if (rc == HV_OK)
        rc = hv_options_complete(&options, verb->needs, err);
    if (rc == HV_OK)
        rc = open_log(start, &options, &log, err);
    if (rc != HV_OK)
        return rc;

    hv_out_start(&out, start->to, output != NULL && strcmp(output, "json") == 0);
    hv_cli cli = {.options = &options, .args = args, .out = &out, .to = start->to, .notes = start->notes, .terminal = start->terminal,
                  .log = log, .config = config, .start = start, .needs = verb->needs};
    if (!verb->needs_no_options) {
        cli.notify_socket = start->environment("NOTIFY_SOCKET");
        if (cli.notify_socket != NULL && *cli.notify_socket == '\0')
            cli.notify_socket = NULL;
        cli.watchdog_ms = watchdog_ms(start);
    }
    rc = verb->run(&cli, err);
    hv_err lost;
    hv_rc finished = hv_out_finish(&out, &lost);
    if (rc == HV_OK && finished != HV_OK) {
        *err = lost;
        rc = finished;
    }
    return rc;
}

static hv_rc
run(const hv_cli_start *start, hv_err *err)
{
    HV_AUTO(hv_args_free) hv_args *args = NULL;
    const hv_verb *verb = NULL;
    hv_out out;

    hv_rc rc = hv_args_new(start->words, &args, err);
    if (rc == HV_OK)
        rc = take_words(args, &verb, err);
    if (rc != HV_OK)
        return rc;
    bool help = hv_args_has(args, "--help"), version = hv_args_has(args, "--version");
    if (!help && !version && verb == NULL)
        return hv_err_set(err, HV_USAGE, "no command given; hubvault --help lists what there is");
    if (!help && !version)
        return run_verb(start, verb, args, err);

    hv_out_start(&out, start->to, false);
    if (version)
        fprintf(start->to, "hubvault %s\n", HUBVAULT_VERSION);
    else if (verb != NULL)
        hv_manual_verb_help(verb, start->to);
    else
        hv_manual_help(start->to);
    return hv_out_finish(&out, err);
}

int
hv_cli_main(const hv_cli_start *start)
{
    hv_err err = {0};

    hv_rc rc = run(start, &err);
    if (rc == HV_OK)
        return 0;
    hv_redact(err.msg);
    for (char *c = err.msg; *c != '\0'; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;         /* one line, and nothing that a terminal would obey */
    fprintf(start->notes, "hubvault: %s\n", err.msg);
    return hv_rc_exit_status(rc);
}
