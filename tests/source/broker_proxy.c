/*
 * One thread and poll(2). Both directions are cut into Kafka frames (a length of four bytes, then the rest), so that answers can be
 * matched with requests by their correlation id.
 */
#include "tests/source/broker_proxy.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PAIRS = 64, MAX_KEYS = 80, MAX_PENDING = 4096, FRAME_ROOM = 8 << 20 };

typedef struct stream {
    int fd;
    unsigned char *bytes;
    size_t len;
} stream;

typedef struct pair {
    stream client, broker;
    struct { int32_t correlation; int api_key; } pending[MAX_PENDING];
    size_t pending_count;
    bool held;                          /* an answer that is held back is first in what came from the broker */
} pair;

struct broker_proxy {
    char address[64];
    int listener, wake[2];
    uint16_t port, target_port;
    pthread_t thread;
    pair pairs[MAX_PAIRS];
    size_t pair_count;
    pthread_mutex_t lock;
    int counts[MAX_KEYS], all_topics, damage_left, damaged, swallow, hold, held;
    char damage[64];
    bool stopping;
};

static uint32_t
read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int
read_i16(const unsigned char *at)
{
    return (int16_t)(uint16_t)(at[0] << 8 | at[1]);
}

static void
note_request(broker_proxy *proxy, pair *p, const unsigned char *frame, size_t len)
{
    int api_key = read_i16(frame + 4), version = read_i16(frame + 6);
    size_t body = 14 + (size_t)(read_i16(frame + 12) > 0 ? read_i16(frame + 12) : 0);

    (void)pthread_mutex_lock(&proxy->lock);
    if (api_key >= 0 && api_key < MAX_KEYS)
        proxy->counts[api_key]++;
    if (api_key == 3 && body + 4 <= len)
        proxy->all_topics += version >= 9 ? frame[body + 1] == 0    /* behind the tags of the header: a compact array, null */
                                          : read_u32(frame + body) == (version == 0 ? 0 : UINT32_MAX);
    (void)pthread_mutex_unlock(&proxy->lock);
    if (p->pending_count < MAX_PENDING) {
        p->pending[p->pending_count].correlation = (int32_t)read_u32(frame + 8);
        p->pending[p->pending_count++].api_key = api_key;
    }
}

/* Whether this answer, and so what comes behind it, has to wait. */
static bool
is_held(broker_proxy *proxy, pair *p, const unsigned char *frame)
{
    bool asked = false;

    (void)pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < p->pending_count && proxy->hold >= 0; i++)
        asked |= p->pending[i].correlation == (int32_t)read_u32(frame + 4) && p->pending[i].api_key == proxy->hold;
    proxy->held += asked;
    (void)pthread_mutex_unlock(&proxy->lock);
    p->held = asked;
    return asked;
}

static int
take_pending(pair *p, int32_t correlation)
{
    for (size_t i = 0; i < p->pending_count; i++)
        if (p->pending[i].correlation == correlation) {
            int api_key = p->pending[i].api_key;
            p->pending[i] = p->pending[--p->pending_count];
            return api_key;
        }
    return -1;
}

static void
replace_port(const broker_proxy *proxy, unsigned char *frame, size_t len)
{
    static const unsigned char host[] = "127.0.0.1\0";      /* the name, and the first two bytes of the port */

    for (size_t i = 0; i + sizeof host + 2 <= len; i++)
        if (memcmp(frame + i, host, sizeof host) == 0 && read_i16(frame + i + sizeof host) == (int16_t)proxy->target_port) {
            frame[i + sizeof host] = (unsigned char)(proxy->port >> 8);
            frame[i + sizeof host + 1] = (unsigned char)proxy->port;
        }
}

static void
damage(broker_proxy *proxy, unsigned char *frame, size_t len)
{
    (void)pthread_mutex_lock(&proxy->lock);
    unsigned char *at = proxy->damage_left > 0 ? memmem(frame, len, proxy->damage, strlen(proxy->damage)) : NULL;
    if (at != NULL) {
        at[strlen(proxy->damage) - 1] ^= 0x20;
        proxy->damage_left--;
        proxy->damaged++;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
}

static void
send_all(int fd, const unsigned char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void
pass_frame(broker_proxy *proxy, pair *p, bool from_client, unsigned char *frame, size_t len)
{
    if (from_client) {
        note_request(proxy, p, frame, len);
        send_all(p->broker.fd, frame, len);
        return;
    }
    int api_key = take_pending(p, (int32_t)read_u32(frame + 4));
    (void)pthread_mutex_lock(&proxy->lock);
    bool swallowed = proxy->swallow >= 0 && api_key == proxy->swallow;
    (void)pthread_mutex_unlock(&proxy->lock);
    if (swallowed)
        return;
    if (api_key == 3 || api_key == 10)
        replace_port(proxy, frame, len);
    damage(proxy, frame, len);
    send_all(p->client.fd, frame, len);
}

static void
pass_frames(broker_proxy *proxy, pair *p, bool from_client)
{
    stream *from = from_client ? &p->client : &p->broker;

    while (from->len >= 4 && from->len >= 4 + (size_t)read_u32(from->bytes)) {
        size_t len = 4 + (size_t)read_u32(from->bytes);
        if (!from_client && is_held(proxy, p, from->bytes))
            return;
        pass_frame(proxy, p, from_client, from->bytes, len);
        memmove(from->bytes, from->bytes + len, from->len - len);
        from->len -= len;
    }
}

/* False at the end of the stream. */
static bool
pump(broker_proxy *proxy, pair *p, bool from_client)
{
    stream *from = from_client ? &p->client : &p->broker;
    ssize_t got = read(from->fd, from->bytes + from->len, FRAME_ROOM - from->len);

    if (got <= 0)
        return false;
    from->len += (size_t)got;
    pass_frames(proxy, p, from_client);
    ck_assert_uint_lt(from->len, FRAME_ROOM);
    return true;
}

/* False if it was told to end. */
static bool
wake(broker_proxy *proxy)
{
    char what = 'x';

    (void)!read(proxy->wake[0], &what, 1);
    for (size_t i = 0; i < proxy->pair_count && what != 'x'; i++)
        if (proxy->pairs[i].client.fd >= 0 && proxy->pairs[i].held)
            pass_frames(proxy, &proxy->pairs[i], false);
    return what != 'x';
}

static void
close_pair(pair *p)
{
    (void)close(p->client.fd);
    (void)close(p->broker.fd);
    free(p->client.bytes);
    free(p->broker.bytes);
    p->client.fd = p->broker.fd = -1;
}

static struct sockaddr_in
loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

static void
accept_pair(broker_proxy *proxy)
{
    struct sockaddr_in target = loopback(proxy->target_port);
    int client = accept(proxy->listener, NULL, NULL), broker = socket(AF_INET, SOCK_STREAM, 0);

    if (client < 0 || proxy->pair_count == MAX_PAIRS || connect(broker, (struct sockaddr *)&target, sizeof target) != 0) {
        (void)close(client);
        (void)close(broker);
        return;
    }
    pair *p = &proxy->pairs[proxy->pair_count++];
    *p = (pair){.client = {.fd = client, .bytes = malloc(FRAME_ROOM)}, .broker = {.fd = broker, .bytes = malloc(FRAME_ROOM)}};
    ck_assert(p->client.bytes != NULL && p->broker.bytes != NULL);
}

static void *
run(void *arg)
{
    broker_proxy *proxy = arg;

    for (;;) {
        struct pollfd fds[2 + 2 * MAX_PAIRS];
        size_t pairs = proxy->pair_count;
        fds[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
        for (size_t i = 0; i < pairs; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].client.fd, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].held ? -1 : proxy->pairs[i].broker.fd, .events = POLLIN};
        }
        (void)poll(fds, 2 + 2 * pairs, -1);
        if (fds[1].revents != 0 && !wake(proxy))
            return NULL;
        for (size_t i = 0; i < pairs; i++) {
            pair *p = &proxy->pairs[i];
            if (p->client.fd >= 0 && ((fds[2 + 2 * i].revents != 0 && !pump(proxy, p, true)) ||
                                      (fds[3 + 2 * i].revents != 0 && !pump(proxy, p, false))))
                close_pair(p);
        }
        if (fds[0].revents != 0)
            accept_pair(proxy);
    }
}

broker_proxy *
broker_proxy_start(const char *target)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    broker_proxy *proxy = calloc(1, sizeof *proxy);

    ck_assert_ptr_nonnull(proxy);
    proxy->swallow = proxy->hold = -1;
    proxy->target_port = (uint16_t)atoi(strrchr(target, ':') + 1);
    proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(proxy->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(proxy->listener, 16), 0);
    ck_assert_int_eq(getsockname(proxy->listener, (struct sockaddr *)&address, &len), 0);
    proxy->port = ntohs(address.sin_port);
    (void)snprintf(proxy->address, sizeof proxy->address, "127.0.0.1:%u", (unsigned)proxy->port);
    ck_assert_int_eq(pipe(proxy->wake), 0);
    ck_assert_int_eq(pthread_mutex_init(&proxy->lock, NULL), 0);
    ck_assert_int_eq(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

void
broker_proxy_stop(broker_proxy *proxy)
{
    if (proxy == NULL)
        return;
    (void)!write(proxy->wake[1], "x", 1);
    (void)pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < proxy->pair_count; i++)
        if (proxy->pairs[i].client.fd >= 0)
            close_pair(&proxy->pairs[i]);
    (void)close(proxy->listener);
    (void)close(proxy->wake[0]);
    (void)close(proxy->wake[1]);
    (void)pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

const char *
broker_proxy_address(const broker_proxy *proxy)
{
    return proxy->address;
}

/* One of the counters, read under the lock. */
static int
locked(broker_proxy *proxy, const int *counter)
{
    (void)pthread_mutex_lock(&proxy->lock);
    int value = *counter;
    (void)pthread_mutex_unlock(&proxy->lock);
    return value;
}

int
broker_proxy_count(broker_proxy *proxy, int api_key)
{
    return locked(proxy, &proxy->counts[api_key]);
}

int
broker_proxy_all_topics(broker_proxy *proxy)
{
    return locked(proxy, &proxy->all_topics);
}

int
broker_proxy_damaged(broker_proxy *proxy)
{
    return locked(proxy, &proxy->damaged);
}

void
broker_proxy_damage(broker_proxy *proxy, const char *text, int times)
{
    (void)pthread_mutex_lock(&proxy->lock);
    ck_assert_uint_lt(strlen(text), sizeof proxy->damage);
    (void)snprintf(proxy->damage, sizeof proxy->damage, "%s", text);
    proxy->damage_left = times;
    (void)pthread_mutex_unlock(&proxy->lock);
}

void
broker_proxy_swallow(broker_proxy *proxy, int api_key)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->swallow = api_key;
    (void)pthread_mutex_unlock(&proxy->lock);
}

void
broker_proxy_hold(broker_proxy *proxy, int api_key)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->hold = api_key;
    (void)pthread_mutex_unlock(&proxy->lock);
    (void)!write(proxy->wake[1], "h", 1);
}

int
broker_proxy_held(broker_proxy *proxy)
{
    return locked(proxy, &proxy->held);
}
