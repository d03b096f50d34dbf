/* Words are taken one after the other, because which flags are understood depends on the command that stands among them. */
#include "cli/args.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"
#include "common/time_text.h"

struct hv_args {
    const char *const *words;           /* the next one */
    bool only_values;                   /* "--" was there */
    const hv_flag *tables[2];
    struct {
        const hv_flag *flag;
        const char *value;
    } *given;
    size_t given_count;
    const char **values;
    int value_count;
};

void
hv_args_free(hv_args *args)
{
    if (args == NULL)
        return;
    free(args->given);
    free(args->values);
    free(args);
}

hv_rc
hv_args_new(const char *const *words, hv_args **ret, hv_err *err)
{
    HV_AUTO(hv_args_free) hv_args *args = calloc(1, sizeof *args);
    size_t count = 0;

    while (words[count] != NULL)
        count++;
    if (args != NULL) {
        args->words = words;
        args->given = calloc(count + 1, sizeof *args->given);
        args->values = calloc(count + 1, sizeof *args->values);
    }
    if (args == NULL || args->given == NULL || args->values == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the command line");
    *ret = HV_TAKE(args);
    return HV_OK;
}

void
hv_args_declare(hv_args *args, const hv_flag *flags)
{
    assert(args->tables[1] == NULL);
    args->tables[args->tables[0] != NULL ? 1 : 0] = flags;
}

static const hv_flag *
find_flag(const hv_args *args, const char *name, size_t len)
{
    for (int table = 0; table < 2 && args->tables[table] != NULL; table++)
        for (const hv_flag *flag = args->tables[table]; flag->name != NULL; flag++)
            if (strlen(flag->name) == len && memcmp(flag->name, name, len) == 0)
                return flag;
    return NULL;
}

static const char *
flag_name_at(const void *arg, size_t i)
{
    const hv_args *args = arg;

    for (int table = 0; table < 2 && args->tables[table] != NULL; table++)
        for (const hv_flag *flag = args->tables[table]; flag->name != NULL; flag++)
            if (i-- == 0)
                return flag->name;
    return NULL;
}

static const char *
word_at(const void *arg, size_t i)
{
    return ((const hv_flag *)arg)->words[i];
}

static hv_rc
refuse_unknown(const hv_args *args, const char *word, size_t len, hv_err *err)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), word);
    const char *meant = hv_nearest(name, flag_name_at, args);
    if (meant != NULL)
        return hv_err_set(err, HV_USAGE, "unknown option '%s'; did you mean '%s'?", name, meant);
    return hv_err_set(err, HV_USAGE, "unknown option '%s'; --help lists what there is", name);
}

static hv_rc
check_words(const hv_flag *flag, const char *value, hv_err *err)
{
    char all[256] = "";

    for (size_t i = 0; flag->words != NULL && flag->words[i] != NULL; i++) {
        if (strcmp(flag->words[i], value) == 0)
            return HV_OK;
        size_t len = strlen(all);
        (void)snprintf(all + len, sizeof all - len, "%s%s", i == 0 ? "" : flag->words[i + 1] != NULL ? ", " : " or ", flag->words[i]);
    }
    if (flag->words == NULL)
        return HV_OK;
    const char *meant = hv_nearest(value, word_at, flag);
    return hv_err_set(err, HV_USAGE, "%s takes %s, not '%s'%s%s%s", flag->name, all, value, meant != NULL ? "; did you mean '" : "",
                      meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

/* word begins with "--" and has more behind it. */
static hv_rc
take_flag(hv_args *args, const char *word, hv_err *err)
{
    size_t len = strcspn(word, "=");
    const hv_flag *flag = find_flag(args, word, len);
    const char *value = word[len] == '=' ? word + len + 1 : NULL;

    if (flag == NULL)
        return refuse_unknown(args, word, len, err);
    if (flag->value == NULL && value != NULL)
        return hv_err_set(err, HV_USAGE, "%s takes no value", flag->name);
    if (!flag->many && hv_args_has(args, flag->name))
        return hv_err_set(err, HV_USAGE, "%s is given twice", flag->name);
    if (flag->value != NULL && value == NULL) {
        value = *args->words;
        if (value == NULL)
            return hv_err_set(err, HV_USAGE, "%s needs a value: %s", flag->name, flag->value);
        args->words++;
    }
    hv_rc rc = flag->value != NULL ? check_words(flag, value, err) : HV_OK;
    if (rc == HV_OK) {
        args->given[args->given_count].flag = flag;
        args->given[args->given_count++].value = value;
    }
    return rc;
}

hv_rc
hv_args_next(hv_args *args, const char **ret, hv_err *err)
{
    while (*args->words != NULL) {
        const char *word = *args->words++;
        if (!args->only_values && strcmp(word, "--") == 0) {
            args->only_values = true;
            continue;
        }
        if (args->only_values || word[0] != '-' || word[1] == '\0') {
            *ret = word;
            return HV_OK;
        }
        if (word[1] != '-')
            return hv_err_set(err, HV_USAGE, "unknown option '%.20s'; options begin with two dashes, and --help lists them", word);
        hv_rc rc = take_flag(args, word, err);
        if (rc != HV_OK)
            return rc;
    }
    *ret = NULL;
    return HV_OK;
}

void
hv_args_keep(hv_args *args, const char *value)
{
    args->values[args->value_count++] = value;
}

int
hv_args_count(const hv_args *args)
{
    return args->value_count;
}

const char *
hv_args_value(const hv_args *args, int i)
{
    return i < args->value_count ? args->values[i] : NULL;
}

const char *
hv_args_each(const hv_args *args, const char *name, int i)
{
    const hv_flag *flag = find_flag(args, name, strlen(name));

    assert(flag != NULL);
    for (size_t at = 0; at < args->given_count; at++)
        if (args->given[at].flag == flag && i-- == 0)
            return args->given[at].value;
    return NULL;
}

const char *
hv_args_text(const hv_args *args, const char *flag)
{
    return hv_args_each(args, flag, 0);
}

bool
hv_args_has(const hv_args *args, const char *name)
{
    const hv_flag *flag = find_flag(args, name, strlen(name));

    assert(flag != NULL);
    for (size_t at = 0; at < args->given_count; at++)
        if (args->given[at].flag == flag)
            return true;
    return false;
}

/* Digits and perhaps a '-' in front: strtoll() would take more. */
static bool
parse_number(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    int64_t number = 0;

    text += negative;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        int digit = *text - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, negative ? -digit : digit, &number))
            return false;
    }
    *ret = number;
    return true;
}

hv_rc
hv_args_parse_number(const char *text, const char *what, int64_t min, int64_t max, int64_t *ret, hv_err *err)
{
    int64_t number;

    if (!parse_number(text, &number) || number < min || number > max)
        return hv_err_set(err, HV_USAGE, "%s is a number from %" PRId64 " to %" PRId64 ", not '%.100s'", what, min, max, text);
    *ret = number;
    return HV_OK;
}

hv_rc
hv_args_number(const hv_args *args, const char *flag, int64_t min, int64_t max, int64_t *ret, hv_err *err)
{
    const char *text = hv_args_text(args, flag);

    return text != NULL ? hv_args_parse_number(text, flag, min, max, ret, err) : HV_OK;
}

hv_rc
hv_args_time(const hv_args *args, const char *flag, int64_t now_ms, int64_t *ret, hv_err *err)
{
    const char *text = hv_args_text(args, flag);

    if (text == NULL || hv_time_parse(text, now_ms, ret, err) == HV_OK)
        return HV_OK;
    return hv_err_prefix(err, "%s", flag);
}

hv_rc
hv_args_duration(const hv_args *args, const char *flag, int64_t *ret_ms, hv_err *err)
{
    const char *text = hv_args_text(args, flag);

    if (text == NULL || hv_duration_parse(text, ret_ms, err) == HV_OK)
        return HV_OK;
    return hv_err_prefix(err, "%s", flag);
}
