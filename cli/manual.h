/* The program explains itself, from its tables. */
#ifndef HV_CLI_MANUAL_H
#define HV_CLI_MANUAL_H

#include "cli/cli.h"

/* --help: of the program, or of one command. */
void hv_manual_help(FILE *to);
void hv_manual_verb_help(const hv_verb *verb, FILE *to);

/* docs/CONFIGURATION.md. */
hv_rc hv_manual_configuration(FILE *to, hv_err *err) HV_MUST_USE;

/* docs/hubvault.1.scd, the manual page in the source form of scdoc. */
hv_rc hv_manual_page(FILE *to, hv_err *err) HV_MUST_USE;

#endif
