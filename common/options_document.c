/* The option table for people: single values, and the whole as a page. */
#include <inttypes.h>

#include "common/options.h"
#include "common/size_text.h"
#include "common/time_text.h"

const char *
hv_option_type_text(hv_option_type type)
{
    static const char *const texts[] = {
        [HV_OPTION_TEXT] = "text",
        [HV_OPTION_PATH] = "path",
        [HV_OPTION_SECRET_FILE] = "path of a secret file",
        [HV_OPTION_BYTES] = "size like 64K, 8M or 1G",
        [HV_OPTION_DURATION] = "length of time like 90s, 15m, 2h or 7d",
        [HV_OPTION_NUMBER] = "number",
        [HV_OPTION_BOOL] = "yes or no",
        [HV_OPTION_ENUM] = "word",
        [HV_OPTION_LIST] = "list separated by commas",
        [HV_OPTION_PAIRS] = "NAME=VALUE",
        [HV_OPTION_FILE_PAIRS] = "NAME=FILE",
    };
    return texts[type];
}

static void
put_number(const hv_option *option, int64_t number, hv_buf *to)
{
    if (option->type == HV_OPTION_BYTES)
        hv_buf_put_text(to, hv_size_format(number).text);
    else if (option->type == HV_OPTION_DURATION)
        hv_buf_put_text(to, hv_duration_format(number).text);
    else
        hv_buf_printf(to, "%" PRId64, number);
}

void
hv_option_put_value(const hv_options *options, const hv_option *option, hv_buf *to)
{
    const void *field = (const char *)options + option->offset;
    const hv_texts *list = field;
    const char *text;

    switch (option->type) {
    case HV_OPTION_TEXT: case HV_OPTION_PATH: case HV_OPTION_SECRET_FILE:
        text = *(const char *const *)field;
        hv_buf_put_text(to, text != NULL ? text : "");
        break;
    case HV_OPTION_BYTES: case HV_OPTION_DURATION: case HV_OPTION_NUMBER:
        put_number(option, *(const int64_t *)field, to);
        break;
    case HV_OPTION_BOOL:
        hv_buf_put_text(to, *(const bool *)field ? "yes" : "no");
        break;
    case HV_OPTION_ENUM:
        hv_buf_put_text(to, option->words[*(const int64_t *)field]);
        break;
    case HV_OPTION_LIST: case HV_OPTION_PAIRS: case HV_OPTION_FILE_PAIRS:
        for (size_t i = 0; i < list->count; i++)
            hv_buf_printf(to, "%s%s", i > 0 ? "," : "", list->items[i]);
        break;
    }
}

void
hv_option_put_default(const hv_option *option, hv_buf *to)
{
    HV_AUTO(hv_options_clear) hv_options options;
    size_t before = to->len;

    hv_options_init(&options);
    if (option->fallback_note != NULL) {
        hv_buf_put_text(to, option->fallback_note);
        return;
    }
    hv_option_put_value(&options, option, to);
    if (to->len == before)
        hv_buf_put_text(to, "none");
}

void
hv_option_put_range(const hv_option *option, hv_buf *to)
{
    if (option->type == HV_OPTION_BOOL)
        hv_buf_put_text(to, "yes or no");
    if (option->type == HV_OPTION_BYTES || option->type == HV_OPTION_DURATION || option->type == HV_OPTION_NUMBER) {
        put_number(option, option->min, to);
        hv_buf_put_text(to, " to ");
        put_number(option, option->max, to);
    }
    if (option->type == HV_OPTION_ENUM)
        for (size_t i = 0; option->words[i] != NULL; i++)
            hv_buf_printf(to, "%s%s", i == 0 ? "" : option->words[i + 1] != NULL ? ", " : " or ", option->words[i]);
}

/* What stands before the first '.' is the group of an option. */
static const struct group {
    const char *name, *title, *about;
} groups[] = {
    {"store", "The vault", "Where everything is kept."},
    {"index", "The index", "A cache on local disk; losing it loses nothing."},
    {"source", "The source", "Which events are captured: the hubs of one Kafka-compatible namespace."},
    {"oauth", "Tokens of Microsoft Entra", "With source.auth = oauth."},
    {"segment", "Segments", "The files that events are sealed in. A change takes effect with the next segment; what is stored stays as it is."},
    {"archiver", "The archiver", "How much of the machine capture may use."},
    {"http", "Health and metrics", "hubvault run answers questions about itself over HTTP."},
    {"metrics", "What the metrics show", "See METRICS.md."},
    {"log", "The log", "hubvault run tells on standard error what it does, one line per event of interest."},
};

static bool
in_group(const hv_option *option, const struct group *group)
{
    size_t len = strlen(group->name);

    return strncmp(option->name, group->name, len) == 0 && option->name[len] == '.';
}

static void
write_markdown(const hv_option *option, const char *fallback, const char *range, FILE *to)
{
    fprintf(to, "| `%s` | %s | %s | %s | %s", option->name, *range != '\0' ? range : hv_option_type_text(option->type), fallback,
            option->reload ? "yes" : "no", option->help);
    if (option->environment != NULL)
        fprintf(to, " When it is not set, the environment variable `%s` counts.", option->environment);
    if (option->example != NULL)
        fprintf(to, " Example: `%s`", option->example);
    fputs(" |\n", to);
}

/* scdoc takes '_' for underlining, '*' for bold and '\' for quoting (scdoc(5)). */
static void
write_escaped(const char *text, FILE *to)
{
    for (; *text != '\0'; text++)
        fprintf(to, "%s%c", strchr("_*\\~<[#", *text) != NULL ? "\\" : "", *text);
}

static void
write_scdoc(const hv_option *option, const char *fallback, const char *range, FILE *to)
{
    fprintf(to, "*%s* (%s", option->name, hv_option_type_text(option->type));
    fputs(*fallback != '\0' ? ", default: " : "", to);
    write_escaped(fallback, to);
    fputs(")\n\t", to);
    write_escaped(option->help, to);
    if (*range != '\0') {
        fputs(" Takes ", to);
        write_escaped(range, to);
        fputs(".", to);
    }
    if (option->reload)
        fputs(" A running archiver takes a change over at SIGHUP.", to);
    if (option->environment != NULL) {
        fputs(" When it is not set, the environment variable ", to);
        write_escaped(option->environment, to);
        fputs(" counts.", to);
    }
    if (option->example != NULL) {
        fputs(" Example: ", to);
        write_escaped(option->example, to);
    }
    fputs("\n\n", to);
}

static hv_rc
write_option(hv_option_document form, const hv_option *option, FILE *to, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf fallback = HV_BUF_INIT(HV_OPTION_VALUE_MAX), range = HV_BUF_INIT(HV_OPTION_VALUE_MAX);

    hv_option_put_default(option, &fallback);
    hv_option_put_range(option, &range);
    hv_rc rc = hv_buf_check(&fallback, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&range, err);
    if (rc == HV_OK)
        (form == HV_DOCUMENT_MARKDOWN ? write_markdown : write_scdoc)(option, fallback.data != NULL ? fallback.data : "",
                                                                      range.data != NULL ? range.data : "", to);
    return rc;
}

hv_rc
hv_options_document(hv_option_document form, FILE *to, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (const struct group *group = groups; group < groups + sizeof groups / sizeof *groups; group++) {
        if (form == HV_DOCUMENT_MARKDOWN)
            fprintf(to, "## %s\n\n%s\n\n| option | takes | default | reloadable | meaning |\n|---|---|---|---|---|\n", group->title, group->about);
        else
            fprintf(to, "## %s\n\n%s\n\n", group->title, group->about);
        for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count && rc == HV_OK; option++)
            if (in_group(option, group))
                rc = write_option(form, option, to, err);
        if (form == HV_DOCUMENT_MARKDOWN && group + 1 < groups + sizeof groups / sizeof *groups)
            fputc('\n', to);
    }
    return rc;
}
