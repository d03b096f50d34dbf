/*
 * Fields are separated by `;`, and a field is cut at its first `=` only, because keys are base64 and end in `=`. Names of fields do
 * not regard case. Unknown fields are ignored as Microsoft's clients do, a field that comes twice is refused. Messages name fields,
 * never values: any piece of the text may be a piece of the key.
 */
#include "source/connection_string.h"

#include <strings.h>

enum { MAX_LEN = 4096 };

typedef enum field_id { ENDPOINT, KEY_NAME, KEY, ENTITY_PATH, EMULATOR, FIELDS } field_id;

static const char *const field_names[FIELDS] = {
    [ENDPOINT] = "Endpoint",
    [KEY_NAME] = "SharedAccessKeyName",
    [KEY] = "SharedAccessKey",
    [ENTITY_PATH] = "EntityPath",
    [EMULATOR] = "UseDevelopmentEmulator",
};

static const char refused_name[] = "SharedAccessSignature";

void
hv_connection_string_clear(hv_connection_string *string)
{
    hv_secret_wipe(&string->key);
    *string = (hv_connection_string){0};
}

static bool
name_is(hv_slice name, const char *wanted)
{
    return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}

/* Cuts the first field off *rest. */
static hv_slice
next_field(const char **rest)
{
    const char *from = *rest, *end = strchrnul(from, ';');

    *rest = *end == ';' ? end + 1 : end;
    while (from < end && *from == ' ')
        from++;
    return hv_slice_of(from, (size_t)(end - from));
}

static hv_rc
keep_field(hv_slice name, hv_slice value, hv_slice fields[FIELDS], hv_err *err)
{
    if (name_is(name, refused_name))
        return hv_err_set(err, HV_USAGE, "a connection string with a SharedAccessSignature works over AMQP only: Kafka needs a "
                                         "SharedAccessKey");
    for (int i = 0; i < FIELDS; i++) {
        if (!name_is(name, field_names[i]))
            continue;
        if (fields[i].data != NULL)
            return hv_err_set(err, HV_USAGE, "the connection string has two fields %s", field_names[i]);
        fields[i] = value;
    }
    return HV_OK;
}

static hv_rc
split(const char *text, hv_slice fields[FIELDS], hv_err *err)
{
    for (const char *rest = text; *rest != '\0';) {
        hv_slice field = next_field(&rest);
        if (field.len == 0)
            continue;
        const char *start = field.data, *equal = memchr(start, '=', field.len);
        if (equal == NULL || equal == start)
            return hv_err_set(err, HV_USAGE, "the connection string has a field that is not 'name=value'");
        size_t name_len = (size_t)(equal - start);
        hv_rc rc = keep_field(hv_slice_of(start, name_len), hv_slice_of(equal + 1, field.len - name_len - 1), fields, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

/* A name without control bytes and spaces that fits, with its NUL. */
static hv_rc
copy_value(hv_slice value, char *to, size_t size, field_id id, hv_err *err)
{
    const unsigned char *bytes = value.data;

    if (value.len == 0)
        return hv_err_set(err, HV_USAGE, "the connection string has no %s", field_names[id]);
    if (value.len >= size)
        return hv_err_set(err, HV_USAGE, "the %s of the connection string has %zu bytes, %zu are possible", field_names[id],
                          value.len, size - 1);
    for (size_t i = 0; i < value.len; i++)
        if (bytes[i] <= ' ' || bytes[i] >= 0x7f)
            return hv_err_set(err, HV_USAGE, "the %s of the connection string has a byte that cannot be in it", field_names[id]);
    memcpy(to, value.data, value.len);
    to[value.len] = '\0';
    return HV_OK;
}

static bool
is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/* sb://host[:port][/]: the port is that of AMQP, which is of no use here. */
static hv_rc
parse_endpoint(hv_slice endpoint, char *host, size_t size, hv_err *err)
{
    char text[300];
    hv_rc rc = copy_value(endpoint, text, sizeof text, ENDPOINT, err);

    if (rc != HV_OK)
        return rc;
    const char *from = text + strlen("sb://");
    if (strncasecmp(text, "sb://", strlen("sb://")) != 0)
        return hv_err_set(err, HV_USAGE, "the Endpoint of the connection string has to begin with sb://");
    size_t len = 0;
    while (is_host_char(from[len]))
        len++;
    const char *behind = from + len;
    if (*behind == ':')
        behind += 1 + strspn(behind + 1, "0123456789");
    if (len == 0 || len >= size || (strcmp(behind, "") != 0 && strcmp(behind, "/") != 0))
        return hv_err_set(err, HV_USAGE, "the Endpoint of the connection string has to be sb://<host>/");
    memcpy(host, from, len);
    host[len] = '\0';
    return HV_OK;
}

static hv_rc
parse_entity_path(hv_slice path, char *hub, size_t size, hv_err *err)
{
    hv_err ignored;

    if (path.data == NULL)
        return HV_OK;
    hv_rc rc = copy_value(path, hub, size, ENTITY_PATH, err);
    if (rc == HV_OK && hv_hub_name_check(hub, &ignored) != HV_OK)
        rc = hv_err_set(err, HV_USAGE, "the EntityPath of the connection string is not the name of a hub");
    return rc;
}

hv_rc
hv_connection_string_parse(const char *text, hv_connection_string *ret, hv_err *err)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string made = {0};
    hv_slice fields[FIELDS] = {0};

    if (strnlen(text, MAX_LEN + 1) > MAX_LEN)
        return hv_err_set(err, HV_USAGE, "the connection string has more than %d bytes", MAX_LEN);
    hv_rc rc = split(text, fields, err);
    if (rc == HV_OK)
        rc = parse_endpoint(fields[ENDPOINT], made.host, sizeof made.host, err);
    if (rc == HV_OK)
        rc = copy_value(fields[KEY_NAME], made.key_name, sizeof made.key_name, KEY_NAME, err);
    if (rc == HV_OK && fields[KEY].len == 0)
        rc = hv_err_set(err, HV_USAGE, "the connection string has no SharedAccessKey");
    if (rc == HV_OK)
        rc = parse_entity_path(fields[ENTITY_PATH], made.entity_path, sizeof made.entity_path, err);
    if (rc == HV_OK)
        rc = hv_secret_set(&made.key, fields[KEY].data, fields[KEY].len, err);
    if (rc != HV_OK)
        return rc;
    made.emulator = name_is(fields[EMULATOR].data != NULL ? fields[EMULATOR] : hv_slice_text(""), "true");
    *ret = made;
    made.key = (hv_secret){0};
    return HV_OK;
}
