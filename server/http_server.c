#include "server/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listen_address.h"

enum { BACKLOG = 32, PER_ADDRESS = 48, MEMORY_PER_CONNECTION = 16 << 10 };

struct hv_http_server {
    hv_http_server_config config;
    struct MHD_Daemon *daemon;
    bool loopback;
    char address[HV_LISTEN_TEXT_SIZE];
};

static enum MHD_Result
send_reply(hv_http_server *server, struct MHD_Connection *connection, const hv_http_reply *reply, const char *allow)
{
    hv_slice body = hv_buf_slice(reply->body);
    unsigned status = reply->status == 0 ? MHD_HTTP_OK : reply->status;
    /* MHD takes a pointer to what it does not change, and copies it. */
    struct MHD_Response *response = MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);

    if (response == NULL)
        return MHD_NO;                  /* no memory: the connection is closed */
    (void)MHD_add_response_header(response, "Content-Type", reply->type == NULL ? "text/plain; charset=utf-8" : reply->type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (allow != NULL)
        (void)MHD_add_response_header(response, "Allow", allow);
    enum MHD_Result done = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    if (server->config.answered != NULL)
        server->config.answered(server->config.arg, status);
    return done;
}

static enum MHD_Result
send_text(hv_http_server *server, struct MHD_Connection *connection, unsigned status, const char *text, const char *allow)
{
    HV_AUTO(hv_buf_free) hv_buf body = HV_BUF_INIT(4096);

    hv_buf_put_text(&body, text);
    return send_reply(server, connection, &(hv_http_reply){.status = status, .body = &body}, allow);
}

/* What a browser on this machine would send if it meant us. Without a Host header it is no browser. */
static bool
is_meant_for_loopback(struct MHD_Connection *connection)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    struct in_addr four;
    char name[64];

    if (host == NULL)
        return true;
    if (strncmp(host, "[::1]", 5) == 0)
        return host[5] == '\0' || host[5] == ':';
    size_t len = strcspn(host, ":");
    if (len >= sizeof name)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (strcasecmp(name, "localhost") == 0)
        return true;
    return inet_pton(AF_INET, name, &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
}

static enum MHD_Result
answer(hv_http_server *server, struct MHD_Connection *connection, const char *path)
{
    HV_AUTO(hv_buf_free) hv_buf body = HV_BUF_INIT(HV_HTTP_BODY_MAX);
    hv_http_reply reply = {.body = &body};
    hv_err err;

    if (!server->config.answer(server->config.arg, path, &reply))
        return send_text(server, connection, MHD_HTTP_NOT_FOUND, "There is nothing here; / lists what there is.\n", NULL);
    if (hv_buf_check(&body, &err) != HV_OK)
        return send_text(server, connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "There is no memory for the answer.\n", NULL);
    return send_reply(server, connection, &reply, NULL);
}

/* MHD calls this once with the headers, again for each piece of a body, and once when all has come. */
static enum MHD_Result
handle(void *arg, struct MHD_Connection *connection, const char *path, const char *method, const char *version, const char *upload,
       size_t *upload_len, void **seen)
{
    static char headers_seen;
    hv_http_server *server = arg;

    (void)version;
    (void)upload;
    if (*seen == NULL) {
        *seen = &headers_seen;
        return MHD_YES;
    }
    if (*upload_len > 0) {              /* nobody wants it */
        *upload_len = 0;
        return MHD_YES;
    }
    if (server->loopback && !is_meant_for_loopback(connection))
        return send_text(server, connection, 421, "This address answers to localhost only.\n", NULL);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_text(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are possible here.\n", "GET, HEAD");
    return answer(server, connection, path);
}

static bool
is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Bound by ourselves: MHD would not say why it cannot. */
static hv_rc
listen_on(const char *text, struct sockaddr_storage *address, int *ret, hv_err *err)
{
    socklen_t len = 0;
    int on = 1;

    hv_rc rc = hv_listen_address_parse(text, address, &len, err);
    if (rc != HV_OK)
        return rc;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return hv_err_set(err, HV_IO, "cannot make a socket for '%s': %s", text, strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)(const void *)address, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)address, &len) != 0) {
        int error = errno;
        (void)close(fd);
        if (error == EADDRINUSE)
            return hv_err_set(err, HV_BUSY, "somebody else listens on '%s' already", text);
        if (error == EADDRNOTAVAIL)
            return hv_err_set(err, HV_USAGE, "'%s' is no address of this machine", text);
        return hv_err_set(err, HV_IO, "cannot listen on '%s': %s", text, strerror(error));
    }
    *ret = fd;
    return HV_OK;
}

hv_rc
hv_http_server_start(const hv_http_server_config *config, hv_http_server **ret, hv_err *err)
{
    HV_AUTO(hv_http_server_stop) hv_http_server *server = calloc(1, sizeof *server);
    struct sockaddr_storage address;
    int fd;

    if (server == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the HTTP server");
    server->config = *config;
    hv_rc rc = listen_on(config->listen, &address, &fd, err);
    if (rc != HV_OK)
        return rc;
    server->loopback = is_loopback(&address);
    hv_listen_address_format(&address, server->address);
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, handle, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HV_HTTP_CONNECTIONS,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)PER_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HV_HTTP_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_END);
    if (server->daemon == NULL) {
        (void)close(fd);
        return hv_err_set(err, HV_IO, "cannot start the HTTP server on '%s': %s", config->listen, strerror(errno));
    }
    *ret = HV_TAKE(server);
    return HV_OK;
}

const char *
hv_http_server_address(const hv_http_server *server)
{
    return server->address;
}

void
hv_http_server_stop(hv_http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);        /* closes the socket as well */
    free(server);
}
