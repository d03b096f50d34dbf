/* One thread and poll(2). Fields of requests and answers: kafka.apache.org/protocol, in the versions of `operations`. */
#include "tests/harness/admin_broker.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"

enum { MOST = 32, MOST_CONNECTIONS = 16, FRAME_ROOM = 1 << 16, NAME = 256, NODE = 1, UNKNOWN_TOPIC = 3, UNSUPPORTED_VERSION = 35, EXISTS = 36 };

typedef struct setting {
    char topic[NAME], name[NAME], value[NAME];
    bool has_value, sensitive;
    int8_t source;
} setting;

typedef struct topic {
    char name[NAME];
    int32_t partitions;
} topic;

typedef struct commit {
    char group[NAME], topic[NAME], metadata[NAME];
    int32_t partition;
    int64_t offset;
} commit;

typedef struct connection {
    int fd;
    unsigned char bytes[FRAME_ROOM];
    size_t len;
} connection;

struct admin_broker {
    char address[64];
    uint16_t port;
    int listener, wake[2];
    pthread_t thread;
    connection *connections;
    size_t connection_count;
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock` */
        topic topics[MOST];
        setting settings[MOST];
        commit commits[MOST];
        size_t topic_count, setting_count, commit_count;
        int counts[ADMIN_KEYS];
        int16_t errors[ADMIN_KEYS];
        bool silent[ADMIN_KEYS], lacking[ADMIN_KEYS], uncontrolled;
        char sought[MOST][NAME];        /* groups whose coordinator was looked for, each once */
        size_t sought_count;
    } locked;
};

/* ---- fields ---- */

typedef struct reader {
    const unsigned char *at;
    size_t left;
} reader;

static int64_t
take_number(reader *from, size_t bytes)
{
    uint64_t value = 0;

    ck_assert_uint_le(bytes, from->left);
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | from->at[i];
    from->at += bytes;
    from->left -= bytes;
    return bytes == 2 ? (int16_t)value : bytes == 4 ? (int32_t)value : (int64_t)value;
}

static void
take_text(reader *from, char *ret)
{
    int64_t len = take_number(from, 2);

    ck_assert_int_lt(len, NAME);
    len = len < 0 ? 0 : len;
    ck_assert_uint_le((size_t)len, from->left);
    memcpy(ret, from->at, (size_t)len);
    ret[len] = '\0';
    from->at += len;
    from->left -= (size_t)len;
}

static void
put_number(hv_buf *to, int64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hv_buf_put_byte(to, (unsigned char)((uint64_t)value >> (8 * (bytes - 1 - i))));
}

static void
put_text(hv_buf *to, const char *text)
{
    put_number(to, text == NULL ? -1 : (int64_t)strlen(text), 2);
    if (text != NULL)
        hv_buf_put_text(to, text);
}

/* Where the number of entries of a list goes, which is known when they are there. */
static size_t
begin_list(hv_buf *to)
{
    put_number(to, 0, 4);
    return to->len - 4;
}

static void
add_to_list(hv_buf *to, size_t list)
{
    to->data[list + 3]++;
}

/* ---- operations, each called with the lock held ---- */

static topic *
find_topic(admin_broker *b, const char *name)
{
    for (size_t i = 0; i < b->locked.topic_count; i++)
        if (strcmp(b->locked.topics[i].name, name) == 0)
            return &b->locked.topics[i];
    return NULL;
}

static void
put_metadata_of(admin_broker *b, const char *name, hv_buf *to)
{
    const topic *found = find_topic(b, name);
    int16_t error = b->locked.errors[ADMIN_METADATA];

    put_number(to, error != 0 ? error : found == NULL ? UNKNOWN_TOPIC : 0, 2);
    put_text(to, name);
    put_number(to, 0, 1);
    int32_t partitions = found != NULL ? found->partitions : 0;
    put_number(to, partitions, 4);
    for (int32_t p = 0; p < partitions; p++) {
        put_number(to, 0, 2);
        put_number(to, p, 4);
        put_number(to, NODE, 4);
        for (int i = 0; i < 2; i++) {   /* replicas, and those in sync */
            put_number(to, 1, 4);
            put_number(to, NODE, 4);
        }
    }
}

static void
answer_metadata(admin_broker *b, reader *from, hv_buf *to)
{
    put_number(to, 1, 4);
    put_number(to, NODE, 4);
    put_text(to, "127.0.0.1");
    put_number(to, b->port, 4);
    put_text(to, NULL);                 /* rack */
    put_text(to, "cluster");
    put_number(to, b->locked.uncontrolled ? -1 : NODE, 4);
    int64_t count = take_number(from, 4);
    size_t list = begin_list(to);
    for (size_t i = 0; count < 0 && i < b->locked.topic_count; i++, add_to_list(to, list))
        put_metadata_of(b, b->locked.topics[i].name, to);
    for (int64_t i = 0; i < count; i++, add_to_list(to, list)) {
        char name[NAME];
        take_text(from, name);
        put_metadata_of(b, name, to);
    }
}

static void
answer_list_offsets(admin_broker *b, reader *from, hv_buf *to)
{
    char name[NAME];

    (void)take_number(from, 4);         /* replica */
    int64_t topics = take_number(from, 4);
    put_number(to, topics, 4);
    for (; topics > 0; topics--) {
        take_text(from, name);
        put_text(to, name);
        int64_t partitions = take_number(from, 4);
        put_number(to, partitions, 4);
        for (; partitions > 0; partitions--) {
            put_number(to, take_number(from, 4), 4);
            put_number(to, b->locked.errors[ADMIN_LIST_OFFSETS], 2);
            put_number(to, take_number(from, 8), 8);
            put_number(to, 0, 8);
        }
    }
}

static void
answer_list_groups(admin_broker *b, hv_buf *to)
{
    put_number(to, 0, 4);
    put_number(to, b->locked.errors[ADMIN_LIST_GROUPS], 2);
    size_t list = begin_list(to);
    for (size_t i = 0; i < b->locked.commit_count; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || strcmp(b->locked.commits[j].group, b->locked.commits[i].group) == 0;
        if (again)
            continue;
        put_text(to, b->locked.commits[i].group);
        put_text(to, "consumer");
        add_to_list(to, list);
    }
    /* librdkafka copies the last text by strndup() from where no NUL stands behind it, which ASan's strict_string_checks take for a mistake.
     * It passes over what is left of an answer. */
    put_number(to, 0, 1);
}

static bool
is_sought(const admin_broker *b, const char *group)
{
    for (size_t i = 0; i < b->locked.sought_count; i++)
        if (strcmp(b->locked.sought[i], group) == 0)
            return true;
    return false;
}

static void
answer_find_coordinator(admin_broker *b, reader *from, hv_buf *to)
{
    char group[NAME];

    take_text(from, group);
    if (!is_sought(b, group)) {
        ck_assert_uint_lt(b->locked.sought_count, MOST);
        (void)snprintf(b->locked.sought[b->locked.sought_count++], NAME, "%s", group);
    }
    put_number(to, 0, 4);
    put_number(to, b->locked.errors[ADMIN_FIND_COORDINATOR], 2);
    put_text(to, NULL);
    put_number(to, NODE, 4);
    put_text(to, "127.0.0.1");
    put_number(to, b->port, 4);
}

/* Everything that the group has committed, a list of one partition for each. */
static void
answer_offset_fetch(admin_broker *b, reader *from, hv_buf *to)
{
    char group[NAME];

    take_text(from, group);
    put_number(to, 0, 4);
    size_t list = begin_list(to);
    for (size_t i = 0; i < b->locked.commit_count; i++) {
        const commit *c = &b->locked.commits[i];
        if (strcmp(c->group, group) != 0)
            continue;
        put_text(to, c->topic);
        put_number(to, 1, 4);
        put_number(to, c->partition, 4);
        put_number(to, c->offset, 8);
        put_text(to, c->metadata);
        put_number(to, b->locked.errors[ADMIN_OFFSET_FETCH_PARTITION], 2);
        add_to_list(to, list);
    }
    put_number(to, b->locked.errors[ADMIN_OFFSET_FETCH], 2);
}

static commit *
find_commit(admin_broker *b, const char *group, const char *name, int32_t partition)
{
    for (size_t i = 0; i < b->locked.commit_count; i++) {
        commit *c = &b->locked.commits[i];
        if (strcmp(c->group, group) == 0 && strcmp(c->topic, name) == 0 && c->partition == partition)
            return c;
    }
    return NULL;
}

static void
keep_commit(admin_broker *b, const commit *made)
{
    commit *c = find_commit(b, made->group, made->topic, made->partition);

    if (c == NULL) {
        ck_assert_uint_lt(b->locked.commit_count, MOST);
        c = &b->locked.commits[b->locked.commit_count++];
    }
    *c = *made;
}

static void
answer_offset_commit(admin_broker *b, reader *from, hv_buf *to)
{
    int16_t error = b->locked.errors[ADMIN_OFFSET_COMMIT];
    commit made;
    char member[NAME];

    take_text(from, made.group);
    (void)take_number(from, 4);         /* generation */
    take_text(from, member);
    (void)take_number(from, 8);         /* how long to keep it */
    int64_t topics = take_number(from, 4);
    put_number(to, topics, 4);
    for (; topics > 0; topics--) {
        take_text(from, made.topic);
        put_text(to, made.topic);
        int64_t partitions = take_number(from, 4);
        put_number(to, partitions, 4);
        for (; partitions > 0; partitions--) {
            made.partition = (int32_t)take_number(from, 4);
            made.offset = take_number(from, 8);
            take_text(from, made.metadata);
            if (error == 0)
                keep_commit(b, &made);
            put_number(to, made.partition, 4);
            put_number(to, error, 2);
        }
    }
}

static void
keep_setting(admin_broker *b, const setting *made)
{
    ck_assert_uint_lt(b->locked.setting_count, MOST);
    b->locked.settings[b->locked.setting_count++] = *made;
}

static void
answer_create_topics(admin_broker *b, reader *from, hv_buf *to)
{
    int16_t error = b->locked.errors[ADMIN_CREATE_TOPICS];
    setting made = {.has_value = true, .source = 1};

    ck_assert_int_eq(take_number(from, 4), 1);
    take_text(from, made.topic);
    int32_t partitions = (int32_t)take_number(from, 4);
    (void)take_number(from, 2);         /* replication */
    ck_assert_int_eq(take_number(from, 4), 0);          /* no assignment by hand */
    if (error == 0 && find_topic(b, made.topic) != NULL)
        error = EXISTS;
    for (int64_t settings = take_number(from, 4); settings > 0; settings--) {
        take_text(from, made.name);
        take_text(from, made.value);
        if (error == 0)
            keep_setting(b, &made);
    }
    if (error == 0) {
        topic *new_topic = &b->locked.topics[b->locked.topic_count++];
        (void)snprintf(new_topic->name, NAME, "%s", made.topic);
        new_topic->partitions = partitions;
    }
    put_number(to, 0, 4);
    put_number(to, 1, 4);
    put_text(to, made.topic);
    put_number(to, error, 2);
    put_text(to, error == 0 ? NULL : "said by the broker");
}

static void
answer_describe_configs(admin_broker *b, reader *from, hv_buf *to)
{
    int16_t error = b->locked.errors[ADMIN_DESCRIBE_CONFIGS];
    char name[NAME];

    ck_assert_int_eq(take_number(from, 4), 1);
    (void)take_number(from, 1);         /* kind: topic */
    take_text(from, name);
    put_number(to, 0, 4);
    put_number(to, 1, 4);
    put_number(to, error, 2);
    put_text(to, error == 0 ? NULL : "said by the broker");
    put_number(to, 2, 1);
    put_text(to, name);
    size_t list = begin_list(to);
    for (size_t i = 0; error == 0 && i < b->locked.setting_count; i++) {
        const setting *s = &b->locked.settings[i];
        if (strcmp(s->topic, name) != 0)
            continue;
        put_text(to, s->name);
        put_text(to, s->has_value ? s->value : NULL);
        put_number(to, 0, 1);           /* read-only */
        put_number(to, s->source, 1);
        put_number(to, s->sensitive, 1);
        put_number(to, 0, 4);           /* synonyms */
        add_to_list(to, list);
    }
}

static const struct {
    int key, min, max;
} operations[] = {
    {ADMIN_LIST_OFFSETS, 1, 1}, {ADMIN_METADATA, 2, 2}, {ADMIN_OFFSET_COMMIT, 2, 2}, {ADMIN_OFFSET_FETCH, 3, 3},
    {ADMIN_FIND_COORDINATOR, 0, 1}, {ADMIN_LIST_GROUPS, 2, 2}, {ADMIN_API_VERSIONS, 0, 0}, {ADMIN_CREATE_TOPICS, 2, 4},
    {ADMIN_DESCRIBE_CONFIGS, 1, 1},
};

/* Versions it does not know are answered with version 0, which tells those it knows (KIP-511). */
static void
answer_api_versions(admin_broker *b, int version, hv_buf *to)
{
    put_number(to, version == 0 ? 0 : UNSUPPORTED_VERSION, 2);
    size_t list = begin_list(to);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (b->locked.lacking[operations[i].key])
            continue;
        put_number(to, operations[i].key, 2);
        put_number(to, operations[i].min, 2);
        put_number(to, operations[i].max, 2);
        add_to_list(to, list);
    }
}

static void
answer(admin_broker *b, int key, int version, reader *from, hv_buf *to)
{
    switch (key) {
    case ADMIN_LIST_OFFSETS: answer_list_offsets(b, from, to); break;
    case ADMIN_METADATA: answer_metadata(b, from, to); break;
    case ADMIN_OFFSET_COMMIT: answer_offset_commit(b, from, to); break;
    case ADMIN_OFFSET_FETCH: answer_offset_fetch(b, from, to); break;
    case ADMIN_FIND_COORDINATOR: answer_find_coordinator(b, from, to); break;
    case ADMIN_LIST_GROUPS: answer_list_groups(b, to); break;
    case ADMIN_API_VERSIONS: answer_api_versions(b, version, to); break;
    case ADMIN_CREATE_TOPICS: answer_create_topics(b, from, to); break;
    case ADMIN_DESCRIBE_CONFIGS: answer_describe_configs(b, from, to); break;
    default: ck_abort_msg("request %d was not offered", key);
    }
}

static void
serve(admin_broker *b, int fd, reader request)
{
    HV_AUTO(hv_buf_free) hv_buf to = HV_BUF_INIT(FRAME_ROOM);
    char client[NAME];
    int key = (int)take_number(&request, 2), version = (int)take_number(&request, 2);

    put_number(&to, 0, 4);
    put_number(&to, take_number(&request, 4), 4);
    take_text(&request, client);
    ck_assert(key >= 0 && key < ADMIN_KEYS);
    (void)pthread_mutex_lock(&b->lock);
    b->locked.counts[key]++;
    bool silent = b->locked.silent[key];
    if (!silent)
        answer(b, key, version, &request, &to);
    (void)pthread_mutex_unlock(&b->lock);
    ck_assert_int_eq(to.failed, HV_OK);
    uint32_t len = htonl((uint32_t)to.len - 4);
    memcpy(to.data, &len, 4);
    if (!silent)
        (void)!send(fd, to.data, to.len, MSG_NOSIGNAL);
}

/* ---- connections ---- */

static bool
pump(admin_broker *b, connection *c)
{
    ssize_t got = read(c->fd, c->bytes + c->len, FRAME_ROOM - c->len);

    if (got <= 0)
        return false;
    c->len += (size_t)got;
    for (;;) {
        reader frame = {.at = c->bytes, .left = c->len};
        size_t len = c->len >= 4 ? (size_t)take_number(&frame, 4) : SIZE_MAX;
        if (len > frame.left)
            return c->len < FRAME_ROOM;
        frame.left = len;
        serve(b, c->fd, frame);
        c->len -= 4 + len;
        memmove(c->bytes, c->bytes + 4 + len, c->len);
    }
}

static void *
run(void *arg)
{
    admin_broker *b = arg;

    for (;;) {
        struct pollfd fds[2 + MOST_CONNECTIONS] = {{.fd = b->listener, .events = POLLIN}, {.fd = b->wake[0], .events = POLLIN}};
        size_t count = b->connection_count;
        for (size_t i = 0; i < count; i++)
            fds[2 + i] = (struct pollfd){.fd = b->connections[i].fd, .events = POLLIN};
        (void)poll(fds, 2 + count, -1);
        if (fds[1].revents != 0)
            return NULL;
        for (size_t i = 0; i < count; i++)
            if (fds[2 + i].revents != 0 && !pump(b, &b->connections[i])) {
                (void)close(b->connections[i].fd);
                b->connections[i].fd = -1;
            }
        if (fds[0].revents != 0) {
            ck_assert_uint_lt(b->connection_count, MOST_CONNECTIONS);
            b->connections[b->connection_count].len = 0;
            b->connections[b->connection_count++].fd = accept(b->listener, NULL, NULL);
        }
    }
}

admin_broker *
admin_broker_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    admin_broker *b = calloc(1, sizeof *b);

    ck_assert_ptr_nonnull(b);
    b->connections = calloc(MOST_CONNECTIONS, sizeof *b->connections);
    ck_assert_ptr_nonnull(b->connections);
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(b->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(b->listener, 16), 0);
    ck_assert_int_eq(getsockname(b->listener, (struct sockaddr *)&address, &len), 0);
    b->port = ntohs(address.sin_port);
    (void)snprintf(b->address, sizeof b->address, "127.0.0.1:%u", (unsigned)b->port);
    ck_assert_int_eq(pipe(b->wake), 0);
    ck_assert_int_eq(pthread_mutex_init(&b->lock, NULL), 0);
    ck_assert_int_eq(pthread_create(&b->thread, NULL, run, b), 0);
    return b;
}

void
admin_broker_stop(admin_broker *b)
{
    if (b == NULL)
        return;
    (void)!write(b->wake[1], "x", 1);
    (void)pthread_join(b->thread, NULL);
    for (size_t i = 0; i < b->connection_count; i++)
        if (b->connections[i].fd >= 0)
            (void)close(b->connections[i].fd);
    (void)close(b->listener);
    (void)close(b->wake[0]);
    (void)close(b->wake[1]);
    (void)pthread_mutex_destroy(&b->lock);
    free(b->connections);
    free(b);
}

const char *
admin_broker_bootstrap(const admin_broker *b)
{
    return b->address;
}

/* ---- what a test says and asks ---- */

void
admin_broker_topic(admin_broker *b, const char *name, int32_t partitions)
{
    (void)pthread_mutex_lock(&b->lock);
    ck_assert_uint_lt(b->locked.topic_count, MOST);
    topic *added = &b->locked.topics[b->locked.topic_count++];
    (void)snprintf(added->name, NAME, "%s", name);
    added->partitions = partitions;
    (void)pthread_mutex_unlock(&b->lock);
}

void
admin_broker_setting(admin_broker *b, const char *topic_name, const char *name, const char *value, int8_t source, bool sensitive)
{
    setting added = {.has_value = value != NULL, .source = source, .sensitive = sensitive};

    (void)snprintf(added.topic, NAME, "%s", topic_name);
    (void)snprintf(added.name, NAME, "%s", name);
    (void)snprintf(added.value, NAME, "%s", value != NULL ? value : "");
    (void)pthread_mutex_lock(&b->lock);
    keep_setting(b, &added);
    (void)pthread_mutex_unlock(&b->lock);
}

const char *
admin_broker_setting_of(admin_broker *b, const char *topic_name, const char *name)
{
    const char *value = NULL;

    (void)pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < b->locked.setting_count; i++)
        if (strcmp(b->locked.settings[i].topic, topic_name) == 0 && strcmp(b->locked.settings[i].name, name) == 0)
            value = b->locked.settings[i].value;
    (void)pthread_mutex_unlock(&b->lock);
    return value;
}

int32_t
admin_broker_partitions(admin_broker *b, const char *name)
{
    (void)pthread_mutex_lock(&b->lock);
    const topic *found = find_topic(b, name);
    int32_t partitions = found != NULL ? found->partitions : -1;
    (void)pthread_mutex_unlock(&b->lock);
    return partitions;
}

void
admin_broker_commit(admin_broker *b, const char *group, const char *name, int32_t partition, int64_t offset, const char *metadata)
{
    commit made = {.partition = partition, .offset = offset};

    (void)snprintf(made.group, NAME, "%s", group);
    (void)snprintf(made.topic, NAME, "%s", name);
    (void)snprintf(made.metadata, NAME, "%s", metadata);
    (void)pthread_mutex_lock(&b->lock);
    keep_commit(b, &made);
    (void)pthread_mutex_unlock(&b->lock);
}

int64_t
admin_broker_committed(admin_broker *b, const char *group, const char *name, int32_t partition)
{
    (void)pthread_mutex_lock(&b->lock);
    const commit *found = find_commit(b, group, name, partition);
    int64_t offset = found != NULL ? found->offset : -1;
    (void)pthread_mutex_unlock(&b->lock);
    return offset;
}

void
admin_broker_refuse(admin_broker *b, int key, int16_t error)
{
    (void)pthread_mutex_lock(&b->lock);
    b->locked.errors[key] = error;
    (void)pthread_mutex_unlock(&b->lock);
}

void
admin_broker_silence(admin_broker *b, int key, bool silent)
{
    (void)pthread_mutex_lock(&b->lock);
    b->locked.silent[key] = silent;
    (void)pthread_mutex_unlock(&b->lock);
}

void
admin_broker_lacks(admin_broker *b, int key)
{
    (void)pthread_mutex_lock(&b->lock);
    b->locked.lacking[key] = true;
    (void)pthread_mutex_unlock(&b->lock);
}

void
admin_broker_without_controller(admin_broker *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->locked.uncontrolled = true;
    (void)pthread_mutex_unlock(&b->lock);
}

bool
admin_broker_was_sought(admin_broker *b, const char *group)
{
    (void)pthread_mutex_lock(&b->lock);
    bool sought = is_sought(b, group);
    (void)pthread_mutex_unlock(&b->lock);
    return sought;
}

int
admin_broker_count(admin_broker *b, int key)
{
    (void)pthread_mutex_lock(&b->lock);
    int count = b->locked.counts[key];
    (void)pthread_mutex_unlock(&b->lock);
    return count;
}
