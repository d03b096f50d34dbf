/* Text that scdoc(5) reads: '*' and '_' mark words, so both are quoted where they come from a table; commands are bold. */
#include "cli/manual.h"

static const struct exit_row {
    int status;
    const char *meaning;
} exits[] = {
#define EXIT_ROW(name, exit_status, retriable, meaning) {exit_status, meaning},
    HV_RC_LIST(EXIT_ROW)
#undef EXIT_ROW
};
static const struct exit_row *const exits_end = exits + sizeof exits / sizeof *exits;

static void
print_flags(const hv_flag *flags, FILE *to)
{
    int width = 0;

    for (const hv_flag *flag = flags; flag->name != NULL; flag++) {
        int len = (int)(strlen(flag->name) + (flag->value != NULL ? strlen(flag->value) + 1 : 0));
        width = len > width ? len : width;
    }
    for (const hv_flag *flag = flags; flag->name != NULL; flag++) {
        int len = fprintf(to, "  %s%s%s", flag->name, flag->value != NULL ? " " : "", flag->value != NULL ? flag->value : "");
        fprintf(to, "%*s%s\n", width + 4 - len, "", flag->help);
    }
}

/* One line per option of the configuration; `hubvault options` and the manual say the rest. */
static void
print_options(FILE *to)
{
    HV_AUTO(hv_buf_free) hv_buf fallback = HV_BUF_INIT(HV_OPTION_VALUE_MAX);

    for (size_t i = 0; i < hv_option_count; i++) {
        const hv_option *option = &hv_option_table[i];
        hv_buf_clear(&fallback);
        hv_option_put_default(option, &fallback);
        fprintf(to, "  %-30s %s (%s)\n", option->name, fallback.data != NULL ? fallback.data : "none", hv_option_type_text(option->type));
    }
}

void
hv_manual_help(FILE *to)
{
    size_t width = 0;

    fputs("Usage: hubvault [OPTIONS] COMMAND [VALUES] [OPTIONS]\n\n"
          "Captures every hub of a Kafka-compatible namespace into an immutable archive, and replays any stretch of it.\n\n"
          "Commands ('hubvault COMMAND --help' tells more):\n", to);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        width = strlen(verb->name) > width ? strlen(verb->name) : width;
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        fprintf(to, "  %-*s  %s\n", (int)width, verb->name, verb->help);
    fputs("\nOptions:\n", to);
    print_flags(hv_global_flags, to);
    fputs("\nConfiguration, for the file and for --set: option, default, kind of value ('hubvault options' shows what is in effect):\n", to);
    print_options(to);
    fputs("\nExit status:\n", to);
    for (const struct exit_row *row = exits; row < exits_end; row++)
        fprintf(to, "  %2d  %s\n", row->status, row->meaning);
}

void
hv_manual_verb_help(const hv_verb *verb, FILE *to)
{
    fprintf(to, "Usage: hubvault %s%s%s%s\n\n%s.\n", verb->name, *verb->values != '\0' ? " " : "", verb->values,
            verb->flags != NULL ? " [OPTIONS]" : "", verb->help);
    if (verb->details != NULL)
        fprintf(to, "\n%s\n", verb->details);
    if (verb->flags != NULL) {
        fputs("\nOptions:\n", to);
        print_flags(verb->flags, to);
    }
    fputs("\nOptions of every command, and what the exit status means: hubvault --help\n", to);
}

hv_rc
hv_manual_configuration(FILE *to, hv_err *err)
{
    fputs("# Configuration\n\n"
          "<!-- Printed by `hubvault options --format markdown`; a test compares. Change the table, not this page. -->\n\n"
          "The configuration is a file of lines `name = value`. A line that begins with `#` is a comment; a comment cannot follow a value. "
          "An option that takes a list may stand on several lines, any other stands once. Relative paths count from the folder of the "
          "file. Sizes are bytes, or a number with K, M, G or T (powers of 1024); lengths of time have a unit: ms, s, m, h, d.\n\n"
          "The file is the one that `--config FILE` names, else `$HUBVAULT_CONFIG`, else `/etc/hubvault/hubvault.conf` if it exists. "
          "`--set NAME=VALUE` on the command line wins over the file; a list set there takes the place of the one in the file. An option "
          "that has no effect with the others is refused. `hubvault options` shows what is in effect and where it comes from, "
          "`hubvault doctor` tries it out.\n\n"
          "No option holds a secret: secrets stand in files of their own, readable by hubvault's user only. Instead of the path of a secret file\n"
          "`credential:NAME` may be written: a credential that systemd gives the service (`LoadCredential=` in systemd.exec(5)).\n\n"
          "A running archiver reads all of it again at SIGHUP (`systemctl reload hubvault`). What is marked as reloadable is in force from then on; of\n"
          "anything else that has changed the log says that it needs a restart. Files of secrets are read again as well, wherever they lie. If\n"
          "anything is wrong, the log says where, and everything stays as it was.\n\n", to);
    return hv_options_document(HV_DOCUMENT_MARKDOWN, to, err);
}

static void
put_escaped(const char *text, FILE *to)
{
    for (; *text != '\0'; text++)
        fprintf(to, "%s%c", strchr("_*\\~<[#", *text) != NULL ? "\\" : "", *text);
}

static void
put_flags(const hv_flag *flags, const char *indent, FILE *to)
{
    for (const hv_flag *flag = flags; flag->name != NULL; flag++) {
        fprintf(to, "%s*%s*%s%s%s\n%s\t", indent, flag->name, flag->value != NULL ? " _" : "", flag->value != NULL ? flag->value : "",
                flag->value != NULL ? "_" : "", indent);
        put_escaped(flag->help, to);
        fputs("\n\n", to);
    }
}

/* Paragraphs of the details keep their lines; scdoc joins lines, so each gets its break. */
static void
put_lines(const char *text, FILE *to)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        bool more = text[len] == '\n' && text[len + 1] != '\n' && text[len + 1] != '\0', blank = len == 0;
        for (size_t i = 0; i < len; i++)
            fprintf(to, "%s%c", strchr("_*\\~<[#", text[i]) != NULL ? "\\" : "", text[i]);
        fputs(more && !blank ? "++\n" : "\n", to);
        text += len + (text[len] == '\n');
    }
}

static void
put_verb(const hv_verb *verb, FILE *to)
{
    fprintf(to, "## hubvault %s ", verb->name);
    put_escaped(verb->values, to);
    fprintf(to, "\n\n%s.\n\n", verb->help);
    if (verb->details != NULL) {
        put_lines(verb->details, to);
        fputc('\n', to);
    }
    if (verb->flags != NULL)
        put_flags(verb->flags, "", to);
}

hv_rc
hv_manual_page(FILE *to, hv_err *err)
{
    fputs("hubvault(1)\n\n"
          "; Printed by \"hubvault options --format man\"; a test compares. Change the tables, not this page.\n\n"
          "# NAME\n\nhubvault - capture archive for event hubs\n\n"
          "# SYNOPSIS\n\n*hubvault* [_OPTIONS_] _COMMAND_ [_VALUES_] [_OPTIONS_]\n\n"
          "# DESCRIPTION\n\n"
          "hubvault captures every hub of a Kafka-compatible namespace (Apache Kafka, Azure Event Hubs, Confluent) into a vault of immutable, "
          "compressed files, and gives back any stretch of it exactly as it went in. Events are not lost and not stored twice, whatever "
          "crashes; offsets that hold no event are recorded with the reason.\n\n"
          "# OPTIONS\n\nThese stand before or behind any command. Further options, which configure what hubvault works on, are listed below "
          "CONFIGURATION.\n\n", to);
    put_flags(hv_global_flags, "", to);
    fputs("# COMMANDS\n\n", to);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        put_verb(verb, to);
    fputs("# CONFIGURATION\n\n"
          "A file of lines *name = value*. A line that begins with # is a comment. Relative paths count from the folder of the file. Sizes are "
          "bytes, or a number with K, M, G or T; lengths of time have a unit: ms, s, m, h, d.\n\n", to);
    hv_rc rc = hv_options_document(HV_DOCUMENT_SCDOC, to, err);
    fputs("# EXIT STATUS\n\n", to);
    for (const struct exit_row *row = exits; row < exits_end; row++)
        fprintf(to, "*%d*\n\t%s\n\n", row->status, row->meaning);
    fputs("# ENVIRONMENT\n\n*HUBVAULT\\_CONFIG*\n\tThe configuration file, where --config does not name one.\n\n"
          "# FILES\n\n*/etc/hubvault/hubvault.conf*\n\tThe configuration file, where nothing else names one.\n", to);
    return rc;
}
