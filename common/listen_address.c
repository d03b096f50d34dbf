#include "common/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
parse_port(const char *text, in_port_t *ret)
{
    size_t len = strlen(text);

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    long port = strtol(text, NULL, 10);
    *ret = htons((uint16_t)port);
    return port < 65536;
}

static bool
parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret;
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN];

    if (colon == NULL || colon == text)
        return false;
    bool brackets = text[0] == '[' && colon[-1] == ']';
    size_t len = (size_t)(colon - text) - (brackets ? 2 : 0);
    if (len >= sizeof host)
        return false;
    memcpy(host, text + brackets, len);
    host[len] = '\0';
    memset(ret, 0, sizeof *ret);
    if (brackets) {
        six->sin6_family = AF_INET6;
        *ret_len = sizeof *six;
        return inet_pton(AF_INET6, host, &six->sin6_addr) == 1 && parse_port(colon + 1, &six->sin6_port);
    }
    four->sin_family = AF_INET;
    *ret_len = sizeof *four;
    return inet_pton(AF_INET, host, &four->sin_addr) == 1 && parse_port(colon + 1, &four->sin_port);
}

hv_rc
hv_listen_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len, hv_err *err)
{
    struct sockaddr_storage made;
    socklen_t len;

    if (!parse(text, &made, &len))
        return hv_err_set(err, HV_USAGE, "'%s' is not an address and a port, like 127.0.0.1:9464 or [::1]:9464", text);
    *ret = made;
    *ret_len = len;
    return HV_OK;
}

void
hv_listen_address_format(const struct sockaddr_storage *address, char ret[HV_LISTEN_TEXT_SIZE])
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    char host[INET6_ADDRSTRLEN] = "";

    if (address->ss_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        (void)snprintf(ret, HV_LISTEN_TEXT_SIZE, "[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        (void)snprintf(ret, HV_LISTEN_TEXT_SIZE, "%s:%u", host, (unsigned)ntohs(four->sin_port));
    }
}
