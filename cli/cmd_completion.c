/*
 * hubvault completion: a script for bash, made of the tables.
 *
 * The script looks for the command among the words typed so far, then offers its flags, the words a flag takes, the names of options
 * behind --set, or files. It runs nothing, so pressing TAB touches neither vault nor broker.
 */
#include "cli/cli.h"

static void
put_flag_names(const hv_flag *flags, FILE *to)
{
    for (const hv_flag *flag = flags; flags != NULL && flag->name != NULL; flag++)
        fprintf(to, " %s", flag->name);
}

/* One branch per flag that takes a value: words, a folder, a file, or nothing to offer. `verb` is a pattern of the shell. */
static void
put_flag_values(const hv_flag *flags, const char *verb, int verb_len, FILE *to)
{
    for (const hv_flag *flag = flags; flags != NULL && flag->name != NULL; flag++) {
        if (flag->value == NULL)
            continue;
        fprintf(to, "    %.*s' %s') ", verb_len, verb, flag->name);
        if (flag->words != NULL) {
            fputs("COMPREPLY=($(compgen -W '", to);
            for (size_t i = 0; flag->words[i] != NULL; i++)
                fprintf(to, "%s%s", i > 0 ? " " : "", flag->words[i]);
            fputs("' -- \"$word\"));", to);
        } else if (strcmp(flag->value, "DIR") == 0) {
            fputs("COMPREPLY=($(compgen -d -- \"$word\"));", to);
        } else if (strcmp(flag->value, "FILE") == 0) {
            fputs("COMPREPLY=($(compgen -f -- \"$word\"));", to);
        } else if (strcmp(flag->value, "NAME=VALUE") == 0) {
            fputs("COMPREPLY=($(compgen -S = -W \"$options\" -- \"$word\")); compopt -o nospace;", to);
        }
        fputs(" return ;;\n", to);
    }
}

static void
put_head(FILE *to)
{
    fputs("# Completion of hubvault for bash. Printed by \"hubvault completion\"; a test compares.\n\n_hubvault()\n{\n"
          "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" verb='' flags='' i\n"
          "    local options='", to);
    for (size_t i = 0; i < hv_option_count; i++)
        fprintf(to, "%s%s", i > 0 ? " " : "", hv_option_table[i].name);
    fputs("'\n    COMPREPLY=()\n    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case \"${COMP_WORDS[i]}\" in\n"
          "        --*) ;;\n", to);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++) {
        size_t first = strcspn(verb->name, " ");
        if (verb == hv_verbs || strncmp(verb[-1].name, verb->name, first + 1) != 0)
            fprintf(to, "        %.*s) verb='%.*s'; break ;;\n", (int)first, verb->name, (int)first, verb->name);
    }
    fputs("        esac\n    done\n", to);
}

static void
put_verb_words(FILE *to)
{
    fputs("    if [[ -z $verb ]]; then\n        COMPREPLY=($(compgen -W '", to);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        fprintf(to, "%.*s ", (int)strcspn(verb->name, " "), verb->name);
    put_flag_names(hv_global_flags, to);
    fputs("' -- \"$word\"))\n        return\n    fi\n", to);
}

/* "index rebuild": the second words and flags of all commands that share the first word are offered together, hence ";;&". */
static void
put_verb_flags(FILE *to)
{
    fputs("    case \"$verb\" in\n", to);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++) {
        size_t first = strcspn(verb->name, " ");
        fprintf(to, "    %.*s) flags+=' %s", (int)first, verb->name, verb->name[first] == ' ' ? verb->name + first + 1 : "");
        put_flag_names(verb->flags, to);
        fputs("' ;;&\n", to);
    }
    fputs("    esac\n    COMPREPLY=($(compgen -W \"$flags", to);
    put_flag_names(hv_global_flags, to);
    fputs("\" -- \"$word\"))\n}\ncomplete -F _hubvault hubvault\n", to);
}

hv_rc
hv_cmd_completion(hv_cli *cli, hv_err *err)
{
    (void)err;
    put_head(cli->to);
    fputs("    case \"$verb $before\" in\n", cli->to);
    put_flag_values(hv_global_flags, "*", 1, cli->to);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        put_flag_values(verb->flags, verb->name, (int)strcspn(verb->name, " "), cli->to);
    fputs("    esac\n", cli->to);
    put_verb_words(cli->to);
    put_verb_flags(cli->to);
    return HV_OK;
}
