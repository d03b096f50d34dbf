/*
 * Every setting hubvault knows, once.
 *
 * The table in option_table.c drives the configuration file, --set, the manual page and docs/CONFIGURATION.md; a test compares the
 * committed pages with what the table prints. Secrets are never options: an option names the file that holds one.
 */
#ifndef HV_COMMON_OPTIONS_H
#define HV_COMMON_OPTIONS_H

#include <stdio.h>

#include "common/buf.h"

typedef enum hv_option_type {
    HV_OPTION_TEXT,
    HV_OPTION_PATH,                     /* a relative one counts from the folder of the file it is written in */
    HV_OPTION_SECRET_FILE,              /* as above; the file holds a secret, or "credential:NAME": one of the service manager */
    HV_OPTION_BYTES,                    /* int64_t */
    HV_OPTION_DURATION,                 /* int64_t, milliseconds */
    HV_OPTION_NUMBER,                   /* int64_t */
    HV_OPTION_BOOL,                     /* bool */
    HV_OPTION_ENUM,                     /* int64_t: which of the words */
    HV_OPTION_LIST,                     /* texts, separated by commas; naming the option again adds to it */
    HV_OPTION_PAIRS,                    /* NAME=VALUE, one at a time */
    HV_OPTION_FILE_PAIRS,               /* NAME=PATH of a secret file, one at a time */
} hv_option_type;

typedef struct hv_texts {
    const char *const *items;
    size_t count;
} hv_texts;

enum { HV_AUTH_NONE, HV_AUTH_PLAIN, HV_AUTH_CONNECTION_STRING, HV_AUTH_OAUTH };
enum { HV_ASSIGNMENT_ALL, HV_ASSIGNMENT_GROUP };
enum { HV_OAUTH_CLIENT_SECRET, HV_OAUTH_WORKLOAD_IDENTITY, HV_OAUTH_MANAGED_IDENTITY };
enum { HV_OPTION_CODEC_ZSTANDARD, HV_OPTION_CODEC_DEFLATE, HV_OPTION_CODEC_NULL };     /* in the order of hv_codec */
enum { HV_LOG_FORMAT_LOGFMT, HV_LOG_FORMAT_JSON };

enum { HV_OPTION_ROOM = 64, HV_OPTION_VALUE_MAX = 4096, HV_OPTION_ITEMS_MAX = 10000 };

/* Settings of a higher layer take the place of those of a lower one. */
typedef enum hv_option_layer {
    HV_OPTION_DEFAULT,
    HV_OPTION_FROM_ENVIRONMENT,
    HV_OPTION_FROM_FILE,
    HV_OPTION_FROM_COMMAND,
} hv_option_layer;

/* What options.c keeps per option, in the order of the table: where its value comes from, and the memory of it. */
typedef struct hv_option_origin {
    hv_option_layer layer;
    char *where;                        /* "/etc/hubvault/hubvault.conf:12"; NULL for a default */
    char *text;
    char **items;
} hv_option_origin;

/* Texts that are not set are NULL. Pointers live until the option is set again or the options are cleared. */
typedef struct hv_options {
    const char *store_dir, *index_dir;
    int64_t index_map_bytes;

    const char *source_bootstrap;
    int64_t source_auth;                /* HV_AUTH_... */
    bool source_tls;
    const char *source_ca_file, *source_user, *source_password_file, *source_connection_string_file, *source_group;
    hv_texts source_hubs, source_hub_credentials, source_include, source_exclude, source_rdkafka;
    int64_t source_discovery_interval_ms, source_timeout_ms;
    int64_t source_assignment;          /* HV_ASSIGNMENT_... */
    const char *source_assignment_group, *source_assignment_instance;
    int64_t source_session_timeout_ms, source_release_timeout_ms;

    int64_t oauth_method;               /* HV_OAUTH_... */
    const char *oauth_tenant, *oauth_client_id, *oauth_client_secret_file, *oauth_token_file, *oauth_authority, *oauth_scope,
        *oauth_imds_endpoint;

    int64_t segment_max_bytes, segment_max_age_ms, segment_block_bytes;
    int64_t segment_codec;              /* HV_OPTION_CODEC_... */
    int64_t segment_level;

    int64_t archiver_memory, archiver_workers, archiver_uploaders, archiver_headroom_warning_ms, archiver_follow_interval_ms;
    bool archiver_group_commit;
    int64_t archiver_snapshot_interval_ms;      /* 0: never */

    int64_t archiver_stall_limit_ms;

    const char *http_listen;
    hv_texts metrics_teams;             /* "leads=sales-*" */
    bool metrics_partitions;

    int64_t log_level;                  /* hv_log_level */
    int64_t log_format;                 /* HV_LOG_FORMAT_... */

    const char *credentials_dir;        /* where "credential:NAME" lies; set it before any option. NULL: not known, the value stays as it is */
    hv_option_origin origins[HV_OPTION_ROOM];
} hv_options;

typedef struct hv_option {
    const char *name;
    hv_option_type type;
    size_t offset;                      /* of the field in hv_options */
    int64_t fallback, min, max;         /* bytes, durations, numbers; fallback also of bools and enums */
    const char *fallback_text;          /* texts and lists; NULL: not set */
    const char *fallback_note;          /* what to print as the default instead */
    const char *const *words;           /* enums: NULL behind the last */
    hv_rc (*check)(const char *name, const char *value, hv_err *err);   /* texts, and each item of a list (what stands before the '=', in
                                           pairs); `name` is that of the option; NULL: any text goes */
    bool reload;                        /* a running archiver takes a change over when it is told to (SIGHUP) */
    const char *environment;            /* the variable that gives it when nothing else does; NULL: none */
    const char *example;                /* for the manual: a value one would write */
    const char *help;                   /* sentences */
} hv_option;

extern const hv_option hv_option_table[];
extern const size_t hv_option_count;

/* NULL if there is none of that name. */
const hv_option *hv_option_find(const char *name);

/* Every option gets its default. Free with hv_options_clear(). */
void hv_options_init(hv_options *options);
void hv_options_clear(hv_options *options);
HV_DEFINE_AUTO_VALUE(hv_options, hv_options_clear);

/* Where a setting stands. */
typedef struct hv_option_place {
    hv_option_layer layer;
    const char *where;                  /* "hubvault.conf:12", "--set"; stands in front of messages */
    const char *folder;                 /* relative paths count from here; NULL: from the working folder */
    unsigned name_column, column;       /* of name and value in their line, in bytes from 1, for messages; 0: there is no line */
} hv_option_place;

/*
 * Set one option from text. HV_USAGE, with where (and the column of name or value), the wrong value, and what would be right, for a name or value that is refused, and for a
 * scalar set twice in files. On the command line the last one wins; a list there takes the place of the one in the file. A setting
 * of a layer below one that was seen already changes nothing.
 */
hv_rc hv_options_set(hv_options *options, const char *name, const char *value, const hv_option_place *place, hv_err *err) HV_MUST_USE;

enum { HV_NEED_STORE = 1, HV_NEED_INDEX = 2, HV_NEED_SOURCE = 4 };

/* Whether the options name a source at all. */
bool hv_options_have_source(const hv_options *options);

/*
 * When all are set: fill in what follows from others (index.dir, source.tls), and refuse what does not fit together or has no effect.
 * `needs`: what the caller is going to use, and must therefore be there. HV_USAGE naming the option.
 */
hv_rc hv_options_complete(hv_options *options, unsigned needs, hv_err *err) HV_MUST_USE;

/* Append the value of an option as it would be written; nothing if it is not set. */
void hv_option_put_value(const hv_options *options, const hv_option *option, hv_buf *to);

/* The same for the default, or words that say what it is; "none" if there is none. */
void hv_option_put_default(const hv_option *option, hv_buf *to);

/* "64K to 1G", "yes or no", "zstandard, deflate or null"; nothing if any text goes. */
void hv_option_put_range(const hv_option *option, hv_buf *to);

/* "size", "length of time", ... */
const char *hv_option_type_text(hv_option_type type);

/* The whole table: Markdown, or the section of a manual page in the source form of scdoc. HV_NOMEM; what is lost on the way to the stream
 * is found there. */
typedef enum hv_option_document { HV_DOCUMENT_MARKDOWN, HV_DOCUMENT_SCDOC } hv_option_document;
hv_rc hv_options_document(hv_option_document form, FILE *to, hv_err *err) HV_MUST_USE;

#endif
