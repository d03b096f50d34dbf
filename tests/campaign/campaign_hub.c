/*
 * A live producer, and with "mock" the broker too (librdkafka's mock cluster lives in this process).
 *
 *   campaign_hub BOOTSTRAP|mock TOPIC PARTITIONS EVENTS_PER_SECOND SEED LOG [transactions|again]
 *
 * Makes the topic ("again": deletes the one of that name first) and says "bootstrap HOST:PORT"; then produces and says "first" when something is acknowledged. A line "stop" on
 * standard input ends the producing: everything is flushed, and "stopped N" says how many events are in the log. "start" begins
 * again. The end of standard input ends the program, and with it the mock broker.
 *
 * The log has one line per event that is in the topic, as tests/real/Producer.java writes it, at once: an event is there if and only
 * if it was acknowledged, with transactions when the transaction is committed. Every fourth transaction is aborted. The producer is
 * idempotent; every random choice follows from the seed.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/sha256.h"

enum {
    MOCK_PARTITION_BYTES = 4 << 20,     /* the mock lets the oldest events expire at 5 MiB */
    MOCK_HALVES = 20,                   /* seconds until the mock gets half of the rate */
    MAX_PARTITIONS = 256,
    MAX_VALUE = 4000,
    PENDING_MAX = 64 << 20,
    TRANSACTION_MS = 120,
    WAIT_MS = 60000,
};

static struct {
    rd_kafka_t *rk;
    const char *topic;
    int partitions;
    double rate;
    uint64_t random;
    FILE *log;
    bool mock, transactions, said_first;
    hv_buf pending;                     /* lines of the open transaction */
    int64_t pending_count, logged, number;
    int64_t bytes[MAX_PARTITIONS];
} hub = {.pending = HV_BUF_INIT(PENDING_MAX)};

static _Noreturn void
fail(const char *what, const char *why)
{
    fprintf(stderr, "campaign_hub: %s: %s\n", what, why);
    exit(1);
}

static uint64_t
dice(uint64_t below)
{
    hub.random += UINT64_C(0x9e3779b97f4a7c15);         /* splitmix64 */
    uint64_t z = hub.random;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static void
put_base64(hv_buf *line, const void *data, size_t len)
{
    if (data == NULL) {
        hv_buf_printf(line, "null");
        return;
    }
    hv_buf_printf(line, "\"");
    hv_base64_encode(HV_BASE64_STANDARD, hv_slice_of(data, len), line);
    hv_buf_printf(line, "\"");
}

static void
put_headers(hv_buf *line, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("headers", "a delivery report has none");
    for (size_t h = 0; rd_kafka_header_get_all(headers, h, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; h++) {
        hv_buf_printf(line, "%s[\"%s\",", h > 0 ? "," : "", name);
        put_base64(line, value, len);
        hv_buf_printf(line, "]");
    }
}

static void
put_sha256(hv_buf *line, const rd_kafka_message_t *message)
{
    unsigned char sha256[HV_SHA256_SIZE];
    hv_slice value = hv_slice_of(message->payload, message->len);

    if (message->payload == NULL) {
        hv_buf_printf(line, "null");
        return;
    }
    hv_sha256(&value, 1, sha256);
    hv_buf_printf(line, "\"");
    for (size_t i = 0; i < sizeof sha256; i++)
        hv_buf_printf(line, "%02x", sha256[i]);
    hv_buf_printf(line, "\"");
}

static void
write_log(hv_buf *lines, int64_t count)
{
    if (count == 0)
        return;
    hv_err err;
    if (hv_buf_check(lines, &err) != HV_OK || fwrite(lines->data, 1, lines->len, hub.log) != lines->len || fflush(hub.log) != 0)
        fail("log", "cannot write");
    hub.logged += count;
    hv_buf_clear(lines);
    if (hub.said_first)
        return;
    hub.said_first = true;
    puts("first");
    (void)fflush(stdout);
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk, (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (hub.transactions && message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE)
            return;                     /* of a transaction that is being aborted */
        if (hub.transactions && message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
            return;
        fail("delivery", rd_kafka_err2str(message->err));
    }
    hv_buf_printf(&hub.pending, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":", hub.topic,
                  (int)message->partition, (long long)message->offset, (long long)(intptr_t)message->_private);
    put_base64(&hub.pending, message->key, message->key_len);
    hv_buf_printf(&hub.pending, ",\"headers\":[");
    put_headers(&hub.pending, message);
    hv_buf_printf(&hub.pending, "],\"valueSha256\":");
    put_sha256(&hub.pending, message);
    hv_buf_printf(&hub.pending, "}\n");
    hub.pending_count++;
}

static void
settle_pending(void)
{
    write_log(&hub.pending, hub.pending_count);
    hub.pending_count = 0;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        fail(name, text);
}

static void
ignore_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static void
open_producer(const char *bootstrap)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (hub.mock)
        set(conf, "test.mock.num.brokers", "1");
    else
        set(conf, "bootstrap.servers", bootstrap);
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "2");
    set(conf, "message.timeout.ms", "0");           /* sent again for as long as it takes */
    if (hub.transactions) {
        (void)snprintf(text, sizeof text, "campaign-%s", hub.topic);
        set(conf, "transactional.id", text);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    hub.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (hub.rk == NULL)
        fail("producer", text);
}

static void
require(rd_kafka_error_t *error, const char *what)
{
    if (error != NULL)
        fail(what, rd_kafka_error_string(error));
}

/* The answer to a request about one topic. */
static rd_kafka_resp_err_t
answer(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    const rd_kafka_topic_result_t **topics = NULL;
    size_t count = 0;

    if (event == NULL)
        fail("topic", "no answer");
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
        topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    if (count != 1)
        fail("topic", rd_kafka_event_error_string(event));
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(topics[0]);
    rd_kafka_event_destroy(event);
    return code;
}

static void
delete_topic(rd_kafka_queue_t *queue)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(hub.topic);

    rd_kafka_DeleteTopics(hub.rk, &topic, 1, NULL, queue);
    rd_kafka_resp_err_t code = answer(queue);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("delete the topic", rd_kafka_err2str(code));
    rd_kafka_DeleteTopic_destroy(topic);
}

/* A name may be taken for a moment longer than its topic is there. */
static void
create_topic(rd_kafka_queue_t *queue)
{
    int64_t until = hv_clock_boot_ms() + WAIT_MS;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    char text[256];

    while (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS && hv_clock_boot_ms() < until) {
        rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(hub.topic, hub.partitions, 1, text, sizeof text);
        if (topic == NULL)
            fail("topic", text);
        rd_kafka_CreateTopics(hub.rk, &topic, 1, NULL, queue);
        code = answer(queue);
        rd_kafka_NewTopic_destroy(topic);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("create the topic", rd_kafka_err2str(code));
}

/* Every leader answers. */
static void
wait_for_leaders(void)
{
    int64_t until = hv_clock_boot_ms() + WAIT_MS, low, high;

    for (int p = 0; p < hub.partitions; p++)
        while (rd_kafka_query_watermark_offsets(hub.rk, hub.topic, p, &low, &high, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
            if (hv_clock_boot_ms() > until)
                fail("leaders", "they do not answer");
}

static void
make_hub(const char *bootstrap, bool again)
{
    open_producer(bootstrap);
    if (hub.mock) {
        rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(hub.rk);
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, hub.topic, hub.partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail("create the topic", rd_kafka_err2str(code));
        bootstrap = rd_kafka_mock_cluster_bootstraps(cluster);
    } else {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(hub.rk);
        if (again)
            delete_topic(queue);
        create_topic(queue);
        rd_kafka_queue_destroy(queue);
    }
    wait_for_leaders();
    if (hub.transactions)
        require(rd_kafka_init_transactions(hub.rk, WAIT_MS), "init transactions");
    printf("bootstrap %s\n", bootstrap);
    (void)fflush(stdout);
}

static int
choose_partition(void)
{
    for (int tries = 0; tries < 8; tries++) {
        int partition = (int)dice((uint64_t)hub.partitions);
        if (!hub.mock || hub.bytes[partition] < MOCK_PARTITION_BYTES)
            return partition;
    }
    return -1;
}

static rd_kafka_headers_t *
make_headers(void)
{
    char number[24];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);

    (void)snprintf(number, sizeof number, "%lld", (long long)hub.number);
    if (rd_kafka_header_add(headers, "number", -1, number, -1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_add(headers, "tag", -1, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_add(headers, "tag", -1, "x", -1) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("headers", "no memory");
    return headers;
}

static void
produce(void)
{
    char key[32], value[MAX_VALUE];
    int partition = choose_partition();
    bool has_key = hub.number % 13 != 0, has_value = hub.number % 100 != 99;
    size_t len = dice(hub.number % 50 == 0 ? MAX_VALUE : 400);

    if (partition < 0)
        return;                         /* the mock is full */
    (void)snprintf(key, sizeof key, "key-%d", (int)(hub.number % 97));
    for (size_t i = 0; i < len; i++)
        value[i] = (char)dice(i % 3 == 0 ? 256 : 4);
    /* Goes round with the message: the delivery report has the time that the broker says, and the mock always says 1234. */
    int64_t time_ms = hv_clock_wall_ms() - (dice(20) == 0 ? (int64_t)dice(60000) : 0);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = hub.topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = has_key ? key : NULL, .size = has_key ? strlen(key) : 0}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = has_value ? value : NULL, .size = has_value ? len : 0}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = time_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(intptr_t)time_ms},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = make_headers()},
    };
    require(rd_kafka_produceva(hub.rk, parts, sizeof parts / sizeof parts[0]), "produce");
    hub.bytes[partition] += (int64_t)len + 100;
    hub.number++;
}

/* Everything that is due from `began` on, as the rate wants it. The mock has little room, so it gets less and less: a round that takes
 * long, on a slow machine, still has a live producer at its end. */
static void
produce_due(int64_t began_ms, int64_t began_number)
{
    double seconds = (double)(hv_clock_boot_ms() - began_ms) / 1000;
    int64_t due = began_number + (int64_t)(hub.rate * (hub.mock ? MOCK_HALVES * log1p(seconds / MOCK_HALVES) : seconds));

    for (int64_t last = -1; hub.number < due && hub.number != last;) {
        last = hub.number;
        produce();
    }
}

/* A word that was typed, if any: 's'top, 'g'o on ("start"), 'e'nd, or 0. */
static char
command(int wait_ms)
{
    static char line[64];
    static size_t used;
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char c;

    while (poll(&in, 1, wait_ms) > 0) {
        ssize_t got = read(0, &c, 1);
        if (got <= 0)
            return 'e';
        if (c != '\n') {
            line[used < sizeof line - 1 ? used++ : used] = c;
            continue;
        }
        line[used] = '\0';
        used = 0;
        return strcmp(line, "stop") == 0 ? 's' : strcmp(line, "start") == 0 ? 'g' : '?';
    }
    return 0;
}

static void
flush(void)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(hub.rk, WAIT_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("flush", rd_kafka_err2str(code));
}

static void
end_transaction(void)
{
    flush();                            /* also before an abort: else it is only forgotten */
    if (dice(4) == 0) {
        require(rd_kafka_abort_transaction(hub.rk, WAIT_MS), "abort");
        hv_buf_clear(&hub.pending);
        hub.pending_count = 0;
    } else {
        require(rd_kafka_commit_transaction(hub.rk, WAIT_MS), "commit");
        settle_pending();
    }
}

/* Until told otherwise; what it was told. */
static char
run(void)
{
    int64_t began_ms = hv_clock_boot_ms(), began_number = hub.number, transaction_ms = 0;
    char told = 0;

    while (told == 0) {
        if (hub.transactions && transaction_ms == 0) {
            require(rd_kafka_begin_transaction(hub.rk), "begin");
            transaction_ms = hv_clock_boot_ms();
        }
        produce_due(began_ms, began_number);
        (void)rd_kafka_poll(hub.rk, 5);
        if (!hub.transactions)
            settle_pending();
        told = command(0);
        if (hub.transactions && (told != 0 || hv_clock_boot_ms() - transaction_ms > TRANSACTION_MS)) {
            end_transaction();
            transaction_ms = 0;
        }
    }
    flush();
    settle_pending();
    printf("stopped %lld\n", (long long)hub.logged);
    (void)fflush(stdout);
    return told;
}

int
main(int argc, char **argv)
{
    if (argc < 7)
        fail("usage", "campaign_hub BOOTSTRAP|mock TOPIC PARTITIONS RATE SEED LOG [transactions]");
    hub.mock = strcmp(argv[1], "mock") == 0;
    hub.topic = argv[2];
    hub.partitions = atoi(argv[3]);
    hub.rate = strtod(argv[4], NULL);
    hub.random = strtoull(argv[5], NULL, 10);
    hub.transactions = argc > 7 && strcmp(argv[7], "transactions") == 0;
    hub.log = fopen(argv[6], "w");
    if (hub.log == NULL || hub.partitions < 1 || hub.partitions > MAX_PARTITIONS)
        fail("start", hub.log == NULL ? strerror(errno) : "too many partitions");
    make_hub(argv[1], argc > 7 && strcmp(argv[7], "again") == 0);
    char told = run();
    while (told != 'e') {
        told = command(1000);
        (void)rd_kafka_poll(hub.rk, 0);
        if (told == 'g')
            told = run();
    }
    rd_kafka_destroy(hub.rk);
    hv_buf_free(&hub.pending);
    return fclose(hub.log) == 0 ? 0 : 1;
}
