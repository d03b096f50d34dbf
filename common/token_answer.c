/* The token goes into an HTTP header or a SASL message later, so bytes that could break out of those are refused here. */
#include "common/token_answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_LIFETIME_S = 10 * 24 * 3600,    /* managed identities give 24 hours */
    MAX_DESCRIPTION = 200,
};

static void
free_json(json_t *json)
{
    json_decref(json);                  /* accepts NULL */
}
HV_DEFINE_AUTO(json_t, free_json);

/* Whole seconds, from a number or a string of digits. False if the field is missing or something else. */
static bool
seconds_of(const json_t *object, const char *name, int64_t *ret)
{
    const json_t *field = json_object_get(object, name);
    char *end;

    if (json_is_integer(field)) {
        *ret = json_integer_value(field);
        return true;
    }
    if (!json_is_string(field) || json_string_length(field) == 0)
        return false;
    errno = 0;
    long long value = strtoll(json_string_value(field), &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret = value;
    return true;
}

static bool
is_token_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return len > 0 && len <= HV_SECRET_MAX;
}

static bool
lifetime_of(const json_t *object, int64_t wall_ms, int64_t *ret_s)
{
    int64_t seconds;

    if (!seconds_of(object, "expires_in", &seconds)) {
        if (!seconds_of(object, "expires_on", &seconds) || seconds < 0)
            return false;
        seconds -= wall_ms / 1000;
    }
    if (seconds <= 0 || seconds > MAX_LIFETIME_S)
        return false;
    *ret_s = seconds;
    return true;
}

hv_rc
hv_token_answer_parse(hv_slice json, int64_t wall_ms, hv_token_answer *ret, hv_err *err)
{
    HV_AUTO(free_json) json_t *object = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *token = json_object_get(object, "access_token");
    int64_t lifetime_s, refresh_s;

    if (!json_is_object(object))
        return hv_err_set(err, HV_CORRUPT, "the answer is not a JSON object");
    if (!json_is_string(token) || !is_token_text(json_string_value(token), json_string_length(token)))
        return hv_err_set(err, HV_CORRUPT, "the answer has no usable access_token");
    if (!lifetime_of(object, wall_ms, &lifetime_s))
        return hv_err_set(err, HV_CORRUPT, "the answer does not say for how long the token lives");
    if (!seconds_of(object, "refresh_in", &refresh_s) || refresh_s <= 0 || refresh_s > lifetime_s)
        refresh_s = -1;
    hv_rc rc = hv_secret_set(&ret->token, json_string_value(token), json_string_length(token), err);
    if (rc != HV_OK)
        return rc;
    ret->lifetime_ms = lifetime_s * 1000;
    ret->refresh_ms = refresh_s < 0 ? -1 : refresh_s * 1000;
    return HV_OK;
}

void
hv_token_error_text(hv_slice json, char *to, size_t size)
{
    HV_AUTO(free_json) json_t *object = json_loadb(json.data, json.len, 0, NULL);
    const char *code = json_string_value(json_object_get(object, "error"));
    const char *why = json_string_value(json_object_get(object, "error_description"));
    int len = why != NULL ? (int)strcspn(why, "\r\n") : 0;

    if (code == NULL || code[0] == '\0')
        (void)snprintf(to, size, "no reason given");
    else
        (void)snprintf(to, size, "%.80s%s%.*s", code, len > 0 ? ": " : "", len < MAX_DESCRIPTION ? len : MAX_DESCRIPTION,
                       why != NULL ? why : "");
    for (char *at = to; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}
