/*
 * How fast the Kafka driver hands out events, beside a bare librdkafka consumer that throws them away, and with how much memory.
 *
 *   source_speed fill BROKERS TOPIC PARTITIONS EVENTS BYTES     a key, three headers (one name twice, one null), no compression
 *   source_speed bare BROKERS TOPIC PARTITIONS defaults|long    long: queues of any length, fetch.wait.max.ms=10
 *   source_speed read BROKERS TOPIC PARTITIONS QUEUE_MIB [work_ns=N] [name=value]...
 *       work_ns: how long the reader is busy with each event, so that it and not the broker is the slower one
 *
 * Each run is a process of its own: it reads from offset 0 to the end of all partitions, touches every header, and prints one line.
 * The clock starts when the process does.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "source/source_drivers.h"

static void
die(const char *what, const char *why)
{
    (void)fprintf(stderr, "source_speed: %s: %s\n", what, why);
    exit(1);
}

static void
report(const char *name, uint64_t events, uint64_t bytes, uint64_t headers, int64_t started_ms)
{
    struct rusage usage;
    double seconds = (double)(hv_clock_boot_ms() - started_ms) / 1000, cpu = (double)hv_clock_cpu_us() / 1e6;

    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("%-24s %9" PRIu64 " events %7.1f MB %9" PRIu64 " headers %6.2f s %7.1f MB/s %8.0f events/s"
                 " %5.2f CPU-s %5.2f us/event %5ld MB peak\n", name, events, (double)bytes / 1e6, headers, seconds,
                 (double)bytes / 1e6 / seconds, (double)events / seconds, cpu,
                 cpu * 1e6 / (double)(events > 0 ? events : 1), usage.ru_maxrss / 1024);
}

/* ---- fill ---- */

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        die(name, text);
}

static void
produce(rd_kafka_t *rk, const char *topic, int32_t partition, int number, char *value, size_t bytes)
{
    char key[16];
    void *sent = number % 100 == 0 ? NULL : value;      /* 1 % tombstones */
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = key, .size = 9}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = sent, .size = sent != NULL ? bytes : 0}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {.name = "trace", .val = key, .size = 9}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {.name = "trace", .val = key, .size = 5}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {.name = "none", .val = NULL, .size = 0}},
    };
    rd_kafka_error_t *error;

    (void)snprintf(key, sizeof key, "%09d", number);
    while ((error = rd_kafka_produceva(rk, parts, sizeof parts / sizeof parts[0])) != NULL) {
        if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        (void)rd_kafka_poll(rk, 10);
    }
    (void)rd_kafka_poll(rk, 0);
}

static void
fill(const char *brokers, const char *topic, int partitions, int events, size_t bytes)
{
    char text[256];
    char *value = malloc(bytes);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set(conf, "bootstrap.servers", brokers);
    set(conf, "linger.ms", "20");
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL || value == NULL)
        die("producer", text);
    for (size_t i = 0; i < bytes; i++)
        value[i] = (char)('a' + (i * 7 + i / 13) % 26);
    for (int i = 0; i < events; i++)
        produce(rk, topic, (int32_t)(i % partitions), i, value, bytes);
    if (rd_kafka_flush(rk, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("flush", "not everything was sent");
    rd_kafka_destroy(rk);
    free(value);
}

/* ---- a bare consumer ---- */

static void
bare(const char *brokers, const char *topic, int partitions, const char *how)
{
    char text[256];
    int64_t started_ms = hv_clock_boot_ms();
    uint64_t events = 0, bytes = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", "bare");
    set(conf, "enable.partition.eof", "true");
    set(conf, "enable.auto.commit", "false");
    if (strcmp(how, "long") == 0) {
        set(conf, "queued.min.messages", "10000000");
        set(conf, "queued.max.messages.kbytes", "2000000");
        set(conf, "fetch.wait.max.ms", "10");
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL)
        die("consumer", text);
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = 0;
    (void)rd_kafka_assign(rk, list);
    for (int ends = 0; ends < partitions;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 1000);
        if (message == NULL)
            continue;
        ends += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            events++;
            bytes += message->len + message->key_len;
        }
        rd_kafka_message_destroy(message);
    }
    (void)snprintf(text, sizeof text, "bare, %s", how);
    report(text, events, bytes, 0, started_ms);
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

/* ---- the driver ---- */

/* The result has to be used, or the compiler leaves the work out. */
static unsigned
be_busy(const hv_event *event, long work_ns)
{
    volatile unsigned sum = 0;

    for (long i = 0; i < work_ns; i++)      /* about a nanosecond each */
        sum = sum + (unsigned)(event->offset + i);
    return sum;
}

static void
assign_all(hv_source *source, const char *topic, int partitions)
{
    hv_err err;
    hv_source_assignment *wanted = calloc((size_t)partitions, sizeof *wanted);

    for (int p = 0; wanted != NULL && p < partitions; p++)
        wanted[p] = (hv_source_assignment){.hub = topic, .partition = p, .generation = 1};
    if (wanted == NULL || source->ops->assign(source, wanted, (size_t)partitions, &err) != HV_OK)
        die("assign", err.msg);
    free(wanted);
}

static void
read_all(const char *brokers, const char *topic, int partitions, uint64_t queue_mib, char **extra, int extra_count)
{
    char name[64];
    int64_t started_ms = hv_clock_boot_ms();
    uint64_t events = 0, bytes = 0, headers = 0;
    hv_source *source = NULL;
    static hv_source_item item;
    hv_err err;
    const char *pairs[64];
    size_t pair_count = 0;
    long work_ns = 0;

    for (int i = 0; i < extra_count && pair_count < 62; i++) {
        char *equal = strchr(extra[i], '=');
        if (equal == NULL)
            die(extra[i], "not name=value");
        *equal = '\0';
        if (strcmp(extra[i], "work_ns") == 0) {
            work_ns = atol(equal + 1);
            continue;
        }
        pairs[pair_count++] = extra[i];
        pairs[pair_count++] = equal + 1;
    }
    hv_kafka_config config = {.bootstrap = brokers, .queue_bytes = queue_mib << 20, .extra = pairs, .extra_count = pair_count};
    if (hv_source_kafka_open(&config, &source, &err) != HV_OK)
        die("open", err.msg);
    assign_all(source, topic, partitions);
    for (int ends = 0; ends < partitions;) {
        if (source->ops->poll(source, 1000, &item, &err) != HV_OK)
            die("poll", err.msg);
        ends += item.kind == HV_SOURCE_END;
        if (item.kind == HV_SOURCE_EVENT) {
            events++;
            bytes += item.event.value.len + item.event.key.len;
            headers += item.event.header_count;
            (void)be_busy(&item.event, work_ns);
        } else if (item.kind > HV_SOURCE_END) {
            (void)fprintf(stderr, "source_speed: %s\n", item.err.msg);
        }
    }
    (void)snprintf(name, sizeof name, "driver, %" PRIu64 " MiB", queue_mib);
    report(name, events, bytes, headers, started_ms);
    hv_source_close(source);
}

int
main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "fill") == 0)
        fill(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), (size_t)atoi(argv[6]));
    else if (argc == 6 && strcmp(argv[1], "bare") == 0)
        bare(argv[2], argv[3], atoi(argv[4]), argv[5]);
    else if (argc >= 6 && strcmp(argv[1], "read") == 0)
        read_all(argv[2], argv[3], atoi(argv[4]), (uint64_t)atoi(argv[5]), argv + 6, argc - 6);
    else
        die("usage", "fill|bare|read, see the top of bench/source_speed.c");
    return 0;
}
