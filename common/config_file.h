/*
 * The configuration file: lines of "name = value", comments on lines of their own, and nothing else.
 */
#ifndef HV_COMMON_CONFIG_FILE_H
#define HV_COMMON_CONFIG_FILE_H

#include "common/options.h"

enum { HV_CONFIG_MAX_BYTES = 1 << 20, HV_CONFIG_MAX_LINE = 8192 };

/*
 * Set what the text says. `name` is the file's, for messages; relative paths in it count from `folder`. Lines end in LF or CRLF; blanks
 * around name and value do not count; a value cannot be quoted or go on in the next line. Survives any bytes. HV_USAGE with
 * "<name>:<line>:<column>" in front for a bad name or value, an option set twice (both lines), a control character, text that is not UTF-8, and for
 * " #" in a value, where somebody meant a comment. After a failure the options hold the lines before it.
 */
hv_rc hv_config_parse(hv_options *options, hv_slice text, const char *name, const char *folder, hv_err *err) HV_MUST_USE;

/* Reads and parses a file; relative paths count from its folder. HV_NOT_FOUND if there is none; HV_USAGE if it is no file or too long. */
hv_rc hv_config_load(hv_options *options, const char *path, hv_err *err) HV_MUST_USE;

#endif
