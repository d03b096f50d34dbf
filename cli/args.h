/*
 * The words of a command line: flags ("--from TIME"), which tables declare, and the values between them.
 */
#ifndef HV_CLI_ARGS_H
#define HV_CLI_ARGS_H

#include <stdint.h>

#include "common/auto.h"
#include "common/err.h"

/* A table of these ends with a name of NULL. */
typedef struct hv_flag {
    const char *name;                   /* "--from" */
    const char *value;                  /* what its value is called in the help, "TIME"; NULL: it takes none */
    const char *help;
    bool many;                          /* may be given more than once */
    const char *const *words;           /* the only values it takes, NULL behind the last; may be NULL */
} hv_flag;

typedef struct hv_args hv_args;

void hv_args_free(hv_args *args);
HV_DEFINE_AUTO(hv_args, hv_args_free);

/* Room for as many words as `words` has; no flags are declared yet. The words are borrowed. */
hv_rc hv_args_new(const char *const *words, hv_args **ret, hv_err *err) HV_MUST_USE;

/* Flags of this table are understood from here on; at most two tables. */
void hv_args_declare(hv_args *args, const hv_flag *flags);

/*
 * The next value, with the flags before it taken in; *ret is NULL behind the last. A flag is written "--name value" or "--name=value"; "--"
 * ends them. HV_USAGE for a flag that is not declared, lacks its value or must not have one, or comes twice.
 */
hv_rc hv_args_next(hv_args *args, const char **ret, hv_err *err) HV_MUST_USE;

/* Keeps a value for the command. */
void hv_args_keep(hv_args *args, const char *value);

/* ---- for commands: asking for a flag that no table declares is a bug ---- */

/* How many values there are, and value i, NULL behind the last. */
int hv_args_count(const hv_args *args);
const char *hv_args_value(const hv_args *args, int i);

bool hv_args_has(const hv_args *args, const char *flag);
/* NULL if it is not there. */
const char *hv_args_text(const hv_args *args, const char *flag);
/* Value i of a flag that may come many times; NULL behind the last. */
const char *hv_args_each(const hv_args *args, const char *flag, int i);

/* *ret keeps what it holds if the flag is not there. HV_USAGE names the flag. */
hv_rc hv_args_number(const hv_args *args, const char *flag, int64_t min, int64_t max, int64_t *ret, hv_err *err) HV_MUST_USE;
hv_rc hv_args_time(const hv_args *args, const char *flag, int64_t now_ms, int64_t *ret, hv_err *err) HV_MUST_USE;
hv_rc hv_args_duration(const hv_args *args, const char *flag, int64_t *ret_ms, hv_err *err) HV_MUST_USE;

/* A value that is a number; `what` names it in the message. */
hv_rc hv_args_parse_number(const char *text, const char *what, int64_t min, int64_t max, int64_t *ret, hv_err *err) HV_MUST_USE;

#endif
