#include "common/option_checks.h"

#include <stddef.h>
#include <string.h>

#include "common/listen_address.h"
#include "common/partition.h"

static bool
is_port(const char *text, size_t len)
{
    unsigned port = 0;

    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port > 0 && port < 65536;
}

/* A name, an IPv4 address, or an IPv6 address in brackets, and a port. */
static bool
is_host_and_port(const char *text, size_t len)
{
    const char *colon = memrchr(text, ':', len);

    if (colon == NULL || colon == text || !is_port(colon + 1, (size_t)(text + len - colon - 1)))
        return false;
    size_t host = (size_t)(colon - text);
    if (*text == '[')
        return host > 2 && text[host - 1] == ']' && strspn(text + 1, "0123456789abcdefABCDEF:.") == host - 2;
    return strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") == host;
}

hv_rc
hv_option_check_bootstrap(const char *name, const char *value, hv_err *err)
{
    for (const char *at = value;; at++) {
        size_t len = strcspn(at, ",");
        if (!is_host_and_port(at, len))
            return hv_err_set(err, HV_USAGE, "'%s' takes host:port, several separated by commas without blanks, not '%.*s'", name,
                              (int)len, at);
        at += len;
        if (*at == '\0')
            return HV_OK;
    }
}

hv_rc
hv_option_check_hub(const char *name, const char *value, hv_err *err)
{
    hv_rc rc = hv_hub_name_check(value, err);

    return rc == HV_OK ? rc : hv_err_prefix(err, "'%s'", name);
}

hv_rc
hv_option_check_plain(const char *name, const char *value, hv_err *err)
{
    if (strpbrk(value, " \t") != NULL)
        return hv_err_set(err, HV_USAGE, "'%s' takes text without blanks, not '%s'", name, value);
    return HV_OK;
}

hv_rc
hv_option_check_group(const char *name, const char *value, hv_err *err)
{
    if (strlen(value) > 256)
        return hv_err_set(err, HV_USAGE, "'%s' takes 256 characters at most, not %zu", name, strlen(value));
    return hv_option_check_plain(name, value, err);
}

hv_rc
hv_option_check_url(const char *name, const char *value, hv_err *err)
{
    const char *host = strstr(value, "://");
    bool web = strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0;

    if (!web || host[3] == '\0' || host[3] == '/' || strpbrk(value, " \t@?#") != NULL)
        return hv_err_set(err, HV_USAGE, "'%s' takes an address like https://login.example.com, not '%s'", name, value);
    return HV_OK;
}

hv_rc
hv_option_check_rdkafka(const char *name, const char *value, hv_err *err)
{
    static const char *const secret[] = {"password", "secret", "ssl.key.pem", "sasl.username"};

    if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(value))
        return hv_err_set(err, HV_USAGE, "'%s' takes the name of a librdkafka property before the '=', not '%s'", name, value);
    if (strncmp(value, "plugin.", 7) == 0)
        return hv_err_set(err, HV_USAGE, "'%s' does not take '%s': nothing is loaded into this program", name, value);
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (strstr(value, secret[i]) != NULL)
            return hv_err_set(err, HV_USAGE, "'%s' does not take '%s': logins stand in files, see source.auth", name, value);
    return HV_OK;
}

hv_rc
hv_option_check_listen(const char *name, const char *value, hv_err *err)
{
    struct sockaddr_storage address;
    socklen_t len;

    if (strcmp(value, "off") == 0)
        return HV_OK;
    hv_rc rc = hv_listen_address_parse(value, &address, &len, err);
    return rc == HV_OK ? rc : hv_err_prefix(err, "'%s'", name);
}

hv_rc
hv_option_check_team(const char *name, const char *value, hv_err *err)
{
    const char *equals = strchr(value, '=');

    if (equals == NULL || equals == value || equals[1] == '\0')
        return hv_err_set(err, HV_USAGE, "'%s' takes TEAM=HUBS, where HUBS is a name with * and ?, not '%s'", name, value);
    return HV_OK;
}
