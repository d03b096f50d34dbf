/*
 * Setting and printing options, driven by the table. Only hv_options_complete() knows options by name, because it is about how they
 * fit together.
 *
 * A field points to a default, which is a literal, or to memory that the origin of its option owns; so clearing looks at origins only.
 */
#include "common/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/nearest.h"
#include "common/secret.h"
#include "common/size_text.h"
#include "common/time_text.h"

static void
free_text_at_scope_end(char **text)
{
    free(*text);
}

/* A vector that ends in NULL. */
static void
free_items(char **items)
{
    for (size_t i = 0; items != NULL && items[i] != NULL; i++)
        free(items[i]);
    free(items);
}
HV_DEFINE_AUTO(char *, free_items);

static hv_option_origin *
origin_of(hv_options *options, const hv_option *option)
{
    return &options->origins[option - hv_option_table];
}

static void *
field_of(hv_options *options, const hv_option *option)
{
    return (char *)options + option->offset;
}

static bool
is_list(const hv_option *option)
{
    return option->type == HV_OPTION_LIST || option->type == HV_OPTION_PAIRS || option->type == HV_OPTION_FILE_PAIRS;
}

static bool
is_text(const hv_option *option)
{
    return option->type == HV_OPTION_TEXT || option->type == HV_OPTION_PATH || option->type == HV_OPTION_SECRET_FILE;
}

const hv_option *
hv_option_find(const char *name)
{
    for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count; option++)
        if (strcmp(option->name, name) == 0)
            return option;
    return NULL;
}

static void
set_default(hv_options *options, const hv_option *option)
{
    void *field = field_of(options, option);

    if (is_list(option))
        *(hv_texts *)field = (hv_texts){.items = &option->fallback_text, .count = option->fallback_text != NULL ? 1 : 0};
    else if (is_text(option))
        *(const char **)field = option->fallback_text;
    else if (option->type == HV_OPTION_BOOL)
        *(bool *)field = option->fallback != 0;
    else
        *(int64_t *)field = option->fallback;
}

void
hv_options_init(hv_options *options)
{
    *options = (hv_options){0};
    for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count; option++)
        set_default(options, option);
}

static void
free_origin(hv_options *options, const hv_option *option)
{
    hv_option_origin *origin = origin_of(options, option);

    free_items(origin->items);
    free(origin->text);
    free(origin->where);
    *origin = (hv_option_origin){0};
}

void
hv_options_clear(hv_options *options)
{
    for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count; option++)
        free_origin(options, option);
    *options = (hv_options){0};
}

static const char *
option_name_at(const void *arg, size_t i)
{
    (void)arg;
    return i < hv_option_count ? hv_option_table[i].name : NULL;
}

static const char *
word_at(const void *arg, size_t i)
{
    return ((const hv_option *)arg)->words[i];
}

static hv_rc
refuse_range(const hv_option *option, const char *value, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf range = HV_BUF_INIT(1000);

    hv_option_put_range(option, &range);
    return hv_err_set(err, HV_USAGE, "'%s' is from %s, not '%s'", option->name, range.data != NULL ? range.data : "", value);
}

static hv_rc
set_number(hv_options *options, const hv_option *option, const char *value, hv_err *err)
{
    int64_t number;
    hv_err ignored;
    bool valid;

    if (option->type == HV_OPTION_DURATION)
        valid = hv_duration_parse(value, &number, &ignored) == HV_OK;
    else
        valid = hv_size_parse(value, &number, &ignored) == HV_OK &&
                (option->type == HV_OPTION_BYTES || strspn(value, "0123456789") == strlen(value));
    if (!valid)
        return hv_err_set(err, HV_USAGE, "'%s' takes a %s, not '%s'", option->name, hv_option_type_text(option->type), value);
    if (number < option->min || number > option->max)
        return refuse_range(option, value, err);
    *(int64_t *)field_of(options, option) = number;
    return HV_OK;
}

static hv_rc
set_bool(hv_options *options, const hv_option *option, const char *value, hv_err *err)
{
    bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;

    if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
        return hv_err_set(err, HV_USAGE, "'%s' is yes or no, not '%s'", option->name, value);
    *(bool *)field_of(options, option) = yes;
    return HV_OK;
}

static hv_rc
set_enum(hv_options *options, const hv_option *option, const char *value, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf words = HV_BUF_INIT(1000);

    for (int64_t i = 0; option->words[i] != NULL; i++)
        if (strcmp(option->words[i], value) == 0) {
            *(int64_t *)field_of(options, option) = i;
            return HV_OK;
        }
    hv_option_put_range(option, &words);
    const char *meant = hv_nearest(value, word_at, option);
    return hv_err_set(err, HV_USAGE, "'%s' is %s, not '%s'%s%s%s", option->name, words.data != NULL ? words.data : "", value,
                      meant != NULL ? "; did you mean '" : "", meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

/* A path as it will be opened. */
static hv_rc
copy_path(const char *path, const char *folder, char **ret, hv_err *err)
{
    size_t room = strlen(path) + (folder != NULL ? strlen(folder) : 0) + 2;         /* a '/' and the NUL */
    char *copy = malloc(room);

    if (copy == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a path");
    if (folder == NULL || *folder == '\0' || *path == '/')
        memcpy(copy, path, strlen(path) + 1);
    else
        (void)snprintf(copy, room, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", path);
    *ret = copy;
    return HV_OK;
}

/* The same for a secret, which may be a credential: a plain name in the folder of the service manager (systemd.exec(5), LoadCredential=). */
static hv_rc
copy_secret_path(const hv_options *options, const hv_option *option, const char *path, const char *folder, char **ret, hv_err *err)
{
    enum { PREFIX_LEN = sizeof HV_CREDENTIAL_PREFIX - 1, LONGEST_NAME = 255 };
    const char *name = path + PREFIX_LEN;

    if (strncmp(path, HV_CREDENTIAL_PREFIX, PREFIX_LEN) != 0)
        return copy_path(path, folder, ret, err);
    if (*name == '\0' || *name == '.' || strchr(name, '/') != NULL || strlen(name) > LONGEST_NAME)
        return hv_err_set(err, HV_USAGE, "'%s' takes " HV_CREDENTIAL_PREFIX " and a plain name, not '%s'", option->name, path);
    return options->credentials_dir != NULL ? copy_path(name, options->credentials_dir, ret, err) : copy_path(path, NULL, ret, err);
}

static hv_rc
check_value(const hv_option *option, const char *value, hv_err *err)
{
    return option->check == NULL ? HV_OK : option->check(option->name, value, err);
}

static hv_rc
set_text(hv_options *options, const hv_option *option, const char *value, const char *folder, hv_err *err)
{
    hv_option_origin *origin = origin_of(options, option);
    char *copy = NULL;

    hv_rc rc = check_value(option, value, err);
    if (rc == HV_OK && option->type == HV_OPTION_SECRET_FILE)
        rc = copy_secret_path(options, option, value, folder, &copy, err);
    else if (rc == HV_OK)
        rc = copy_path(value, option->type == HV_OPTION_TEXT ? NULL : folder, &copy, err);
    if (rc != HV_OK)
        return rc;
    free(origin->text);
    origin->text = copy;
    *(const char **)field_of(options, option) = copy;
    return HV_OK;
}

/* Append to the list, or begin it anew. Takes the items, and leaves an empty vector behind, on success. */
static hv_rc
take_items(hv_options *options, const hv_option *option, char **items, size_t count, bool anew, hv_err *err)
{
    hv_option_origin *origin = origin_of(options, option);
    hv_texts *list = field_of(options, option);
    size_t kept = anew || origin->items == NULL ? 0 : list->count;

    if (count > HV_OPTION_ITEMS_MAX - kept)
        return hv_err_set(err, HV_USAGE, "'%s' takes %d values at most", option->name, HV_OPTION_ITEMS_MAX);
    char **all = calloc(kept + count + 1, sizeof *all);
    if (all == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the values of '%s'", option->name);
    for (size_t i = 0; i < kept; i++)
        all[i] = HV_TAKE(origin->items[i]);
    for (size_t i = 0; i < count; i++)
        all[kept + i] = HV_TAKE(items[i]);
    if (anew)
        free_items(origin->items);
    else
        free(origin->items);
    origin->items = all;
    *list = (hv_texts){.items = (const char *const *)all, .count = kept + count};
    return HV_OK;
}

/* NAME=VALUE; the file in NAME=FILE is written in full. */
static hv_rc
set_pair(hv_options *options, const hv_option *option, const char *value, const hv_option_place *place, bool anew, hv_err *err)
{
    const char *equals = strchr(value, '=');
    HV_AUTO(free_text) char *name = NULL, *path = NULL;
    HV_AUTO(free_items) char **pair = calloc(2, sizeof *pair);

    if (equals == NULL || equals == value || equals[1] == '\0')
        return hv_err_set(err, HV_USAGE, "'%s' takes %s, not '%s'", option->name, hv_option_type_text(option->type), value);
    name = strndup(value, (size_t)(equals - value));
    if (name == NULL || pair == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the value of '%s'", option->name);
    hv_rc rc = check_value(option, name, err);
    if (rc == HV_OK && option->type == HV_OPTION_FILE_PAIRS)
        rc = copy_secret_path(options, option, equals + 1, place->folder, &path, err);
    else if (rc == HV_OK)
        rc = copy_path(equals + 1, NULL, &path, err);
    if (rc != HV_OK)
        return rc;
    if (asprintf(&pair[0], "%s=%s", name, path) < 0) {
        pair[0] = NULL;
        return hv_err_set(err, HV_NOMEM, "no memory for the value of '%s'", option->name);
    }
    return take_items(options, option, pair, 1, anew, err);
}

/* One text of a list without the blanks around it; NULL in *ret if nothing is left. */
static hv_rc
copy_item(const hv_option *option, const char *first, size_t len, char **ret, hv_err *err)
{
    while (len > 0 && (*first == ' ' || *first == '\t'))
        first++, len--;
    while (len > 0 && (first[len - 1] == ' ' || first[len - 1] == '\t'))
        len--;
    if (len == 0)
        return hv_err_set(err, HV_USAGE, "'%s' takes texts separated by commas, and one of them is empty", option->name);
    *ret = strndup(first, len);
    if (*ret == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the value of '%s'", option->name);
    return check_value(option, *ret, err);
}

static hv_rc
set_list(hv_options *options, const hv_option *option, const char *value, bool anew, hv_err *err)
{
    size_t count = 1;

    for (const char *at = value; *at != '\0'; at++)
        count += *at == ',';
    HV_AUTO(free_items) char **items = calloc(count + 1, sizeof *items);
    if (items == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the values of '%s'", option->name);
    const char *at = value;
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(at, ",");
        hv_rc rc = copy_item(option, at, len, &items[i], err);
        if (rc != HV_OK)
            return rc;
        at += len + 1;
    }
    return take_items(options, option, items, count, anew, err);
}

static hv_rc
set_value(hv_options *options, const hv_option *option, const char *value, const hv_option_place *place, hv_err *err)
{
    bool anew = place->layer > origin_of(options, option)->layer;

    switch (option->type) {
    case HV_OPTION_TEXT: case HV_OPTION_PATH: case HV_OPTION_SECRET_FILE:
        return set_text(options, option, value, place->folder, err);
    case HV_OPTION_BYTES: case HV_OPTION_DURATION: case HV_OPTION_NUMBER:
        return set_number(options, option, value, err);
    case HV_OPTION_BOOL:
        return set_bool(options, option, value, err);
    case HV_OPTION_ENUM:
        return set_enum(options, option, value, err);
    case HV_OPTION_LIST:
        return set_list(options, option, value, anew, err);
    case HV_OPTION_PAIRS: case HV_OPTION_FILE_PAIRS:
        return set_pair(options, option, value, place, anew, err);
    }
    assert(false);
    return HV_INTERNAL;
}

/* What no value of any type may be. */
static hv_rc
check_characters(const hv_option *option, const char *value, hv_err *err)
{
    if (*value == '\0')
        return hv_err_set(err, HV_USAGE, "'%s' needs a value: %s", option->name, hv_option_type_text(option->type));
    if (strlen(value) > HV_OPTION_VALUE_MAX)
        return hv_err_set(err, HV_USAGE, "'%s' takes %d bytes at most, not %zu", option->name, HV_OPTION_VALUE_MAX, strlen(value));
    for (const char *at = value; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return hv_err_set(err, HV_USAGE, "'%s' has a control character (0x%02x) in its value", option->name, (unsigned)*at);
    return HV_OK;
}

static hv_rc
set_known(hv_options *options, const hv_option *option, const char *value, const hv_option_place *place, hv_err *err)
{
    hv_option_origin *origin = origin_of(options, option);

    hv_rc rc = check_characters(option, value, err);
    if (rc != HV_OK || place->layer < origin->layer)
        return rc;
    if (place->layer == HV_OPTION_FROM_FILE && origin->layer == HV_OPTION_FROM_FILE && !is_list(option))
        return hv_err_set(err, HV_USAGE, "'%s' is set already, at %s", option->name, origin->where);
    char *where = strdup(place->where);
    if (where == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the origin of '%s'", option->name);
    rc = set_value(options, option, value, place, err);
    if (rc != HV_OK) {
        free(where);
        return rc;
    }
    free(origin->where);
    origin->where = where;
    origin->layer = place->layer;
    return HV_OK;
}

static hv_rc
prefix_place(const hv_option_place *place, unsigned column, hv_err *err)
{
    return column > 0 ? hv_err_prefix(err, "%s:%u", place->where, column) : hv_err_prefix(err, "%s", place->where);
}

hv_rc
hv_options_set(hv_options *options, const char *name, const char *value, const hv_option_place *place, hv_err *err)
{
    const hv_option *option = hv_option_find(name);

    assert(place->layer != HV_OPTION_DEFAULT);
    if (option != NULL)
        return set_known(options, option, value, place, err) == HV_OK ? HV_OK : prefix_place(place, place->column, err);
    const char *meant = hv_nearest(name, option_name_at, NULL);
    (void)hv_err_set(err, HV_USAGE, "there is no option '%.100s'%s%s%s", name, meant != NULL ? "; did you mean '" : "",
                     meant != NULL ? meant : "", meant != NULL ? "'?" : "; 'hubvault options' lists all");
    return prefix_place(place, place->name_column, err);
}
