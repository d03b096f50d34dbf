#include "tests/source/loopback_http.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX = 200, SIZE = 1 << 18 };

typedef struct answer {
    int status, delay_ms;
    char *headers, *body;
} answer;

struct loopback_http {
    char url[64];
    int listener;
    pthread_t acceptor;
    pthread_mutex_t lock;
    answer answers[MAX];
    int answer_count, next;
    char *asked[MAX];
    int asked_count;
    int running;                        /* connections being served */
    bool stopping;
};

typedef struct connection {
    loopback_http *http;
    int fd;
} connection;

static bool
is_complete(const char *text, size_t len)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");

    if (end == NULL)
        return false;
    size_t head = (size_t)(end + 4 - text), body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return len >= head + body;
}

static char *
read_request(int fd)
{
    char *text = calloc(1, SIZE);
    size_t len = 0;
    ssize_t got = 1;

    while (text != NULL && got > 0 && len < SIZE - 1 && !is_complete(text, len)) {
        got = read(fd, text + len, SIZE - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    return text;
}

static void
send_answer(int fd, const answer *to_send)
{
    char head[1024];
    int len = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", to_send->status,
                       strlen(to_send->body), to_send->headers);

    usleep((useconds_t)to_send->delay_ms * 1000);
    (void)send(fd, head, (size_t)len, MSG_NOSIGNAL);
    for (size_t sent = 0, size = strlen(to_send->body); sent < size;) {
        ssize_t done = send(fd, to_send->body + sent, size - sent, MSG_NOSIGNAL);
        if (done <= 0)
            break;
        sent += (size_t)done;
    }
}

static void *
serve(void *arg)
{
    connection *c = arg;
    loopback_http *http = c->http;
    char *text = read_request(c->fd);

    (void)pthread_mutex_lock(&http->lock);
    if (http->asked_count < MAX)
        http->asked[http->asked_count++] = text;
    answer mine = http->answers[http->next];
    if (http->next + 1 < http->answer_count)
        http->next++;
    (void)pthread_mutex_unlock(&http->lock);
    send_answer(c->fd, &mine);
    (void)shutdown(c->fd, SHUT_WR);
    (void)close(c->fd);
    free(c);
    (void)pthread_mutex_lock(&http->lock);
    http->running--;
    (void)pthread_mutex_unlock(&http->lock);
    return NULL;
}

static void *
accept_all(void *arg)
{
    loopback_http *http = arg;

    for (;;) {
        int fd = accept(http->listener, NULL, NULL);
        (void)pthread_mutex_lock(&http->lock);
        bool stopping = http->stopping;
        http->running += fd >= 0 && !stopping;
        (void)pthread_mutex_unlock(&http->lock);
        if (stopping || fd < 0) {
            if (fd >= 0)
                (void)close(fd);
            return NULL;
        }
        pthread_t thread;
        connection *c = malloc(sizeof *c);
        *c = (connection){.http = http, .fd = fd};
        (void)pthread_create(&thread, NULL, serve, c);
        (void)pthread_detach(thread);
    }
}

loopback_http *
loopback_http_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    loopback_http *http = calloc(1, sizeof *http);

    ck_assert_ptr_nonnull(http);
    http->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(http->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(http->listener, 64), 0);
    ck_assert_int_eq(getsockname(http->listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(http->url, sizeof http->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    ck_assert_int_eq(pthread_mutex_init(&http->lock, NULL), 0);
    ck_assert_int_eq(pthread_create(&http->acceptor, NULL, accept_all, http), 0);
    return http;
}

static int
still_running(loopback_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    int running = http->running;
    (void)pthread_mutex_unlock(&http->lock);
    return running;
}

void
loopback_http_stop(loopback_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    http->stopping = true;
    (void)pthread_mutex_unlock(&http->lock);
    (void)shutdown(http->listener, SHUT_RDWR);
    (void)pthread_join(http->acceptor, NULL);
    (void)close(http->listener);
    while (still_running(http) > 0)
        usleep(1000);
    for (int i = 0; i < http->answer_count; i++) {
        free(http->answers[i].headers);
        free(http->answers[i].body);
    }
    for (int i = 0; i < http->asked_count; i++)
        free(http->asked[i]);
    (void)pthread_mutex_destroy(&http->lock);
    free(http);
}

const char *
loopback_http_url(const loopback_http *http)
{
    return http->url;
}

void
loopback_http_answer(loopback_http *http, int status, const char *headers, const char *body, int delay_ms)
{
    (void)pthread_mutex_lock(&http->lock);
    ck_assert_int_lt(http->answer_count, MAX);
    /* An earlier last answer that was given already is not given again. */
    if (http->answer_count > 0 && http->asked_count >= http->answer_count && http->next == http->answer_count - 1)
        http->next++;
    http->answers[http->answer_count++] =
        (answer){.status = status, .delay_ms = delay_ms, .headers = strdup(headers), .body = strdup(body)};
    (void)pthread_mutex_unlock(&http->lock);
}

int
loopback_http_count(loopback_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    int count = http->asked_count;
    (void)pthread_mutex_unlock(&http->lock);
    return count;
}

const char *
loopback_http_asked(loopback_http *http, int n)
{
    (void)pthread_mutex_lock(&http->lock);
    const char *text = n < http->asked_count ? http->asked[n] : NULL;
    (void)pthread_mutex_unlock(&http->lock);
    return text;
}
