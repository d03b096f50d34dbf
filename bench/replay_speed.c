/*
 * How fast replay is on this machine, beside zstd reading the same lines: both give the same bytes from compressed data in memory.
 *
 *   replay_speed [bytes per body] [events] [threads]
 *
 * Bodies are JSON of the given size with two random ids each, three headers, four partitions. Speeds are of processor time, so that
 * other load on the machine does not count; best of five rounds. The goal for JSON lines at 1 KB is 0.8 of zstd.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "common/clock.h"
#include "replay/replay.h"
#include "replay/sinks.h"
#include "tests/replay/vault_builder.h"

enum { ROUNDS = 5, PARTITIONS = 4, CUT_EVENTS = 20000, LONGEST_BODY = 1 << 20, BLOCK_RAW = 256 << 10 };

#define VAULT "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10"

static size_t body_len = 1000;
static int64_t events = 300000;
static unsigned threads;

static void
must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "replay_speed: %s\n", what);
        exit(1);
    }
}

static uint64_t
random_next(void)
{
    static uint64_t state = 42;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static const char *
any_of(const char *const *words, size_t count)
{
    return words[random_next() % count];
}

/* Orders with ids, names, prices and times: they compress about as well as real events do. */
static void
fill_body(char *body, size_t len)
{
    static const char *const skus[] = {"A-1007", "B-2210", "home-plus", "C-77", "travel-basic", "K-9", "legal-m", "pet-care"};
    static const char *const names[] = {"Ada", "Grace", "Edsger", "Barbara", "Donald", "Margaret", "Alan", "Katherine", "Niklaus",
                                        "Radia"};
    static const char *const states[] = {"accepted", "rejected", "pending", "paid"};
    int n = snprintf(body, len, "{\"orderId\":\"%08llx-%04llx\",\"state\":\"%s\",\"lines\":[",
                     (unsigned long long)(random_next() & 0xffffffff),
                     (unsigned long long)(random_next() & 0xffff), any_of(states, 4));
    size_t at = (size_t)n;

    must(n > 0 && at + 12 < len, "bodies have at least 100 bytes");
    for (bool first = true;; first = false) {
        char line[200];
        int m = snprintf(line, sizeof line,
                         "%s{\"sku\":\"%s\",\"quantity\":%llu,\"price\":\"%llu.%02llu\",\"buyer\":\"%s %s\",\"line\":%llu}",
                         first ? "" : ",", any_of(skus, 8), (unsigned long long)(random_next() % 9 + 1),
                         (unsigned long long)(random_next() % 300), (unsigned long long)(random_next() % 100), any_of(names, 10),
                         any_of(names, 10), (unsigned long long)(random_next() % 100000));
        if (at + (size_t)m + 2 > len)
            break;
        memcpy(body + at, line, (size_t)m);
        at += (size_t)m;
    }
    body[at++] = ']';
    for (; at + 1 < len; at++)
        body[at] = ' ';
    body[at] = '}';
}

static void
fill_vault(vault_builder *vault, size_t len, int64_t count)
{
    static char body[LONGEST_BODY], id[64];

    must(len <= sizeof body, "bodies have at most 1 MiB");
    vault_open(vault);
    vault_incarnation(vault, "orders", 1, "");
    for (int32_t number = 0; number < PARTITIONS; number++) {
        hv_partition partition = vault_partition("orders", 1, number);
        for (int64_t offset = 0; offset < count / PARTITIONS; offset++) {
            fill_body(body, len);
            (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)random_next());
            const hv_header headers[] = {{.name = hv_slice_text("ce_type"),
                                          .value = hv_slice_text("com.example.order.v1.Accepted")},
                                         {.name = hv_slice_text("ce_id"), .value = hv_slice_text(id)},
                                         {.name = hv_slice_text("content-type"), .value = hv_slice_text("application/json")}};
            hv_event event = {.offset = offset, .timestamp_ms = 1700000000000 + offset * 7, .timestamp_type = HV_TIMESTAMP_CREATE,
                              .key = hv_slice_of(id, 8), .value = hv_slice_of(body, len), .headers = headers, .header_count = 3};
            vault_add(vault, &partition, &event, NULL);
            if ((offset + 1) % CUT_EVENTS == 0 || offset + 1 == count / PARTITIONS) {
                vault_seal(vault, &partition, &(vault_seal_config){.events_per_block = BLOCK_RAW / (len + 150)});
                kept_clear(&vault->events);
            }
        }
    }
}

typedef enum form { JSONL, RAW, AVRO, BY_TIME, FILTERED } form;

static hv_sink *
open_sink(form which, int fd)
{
    hv_sink_file to = {.fd = fd, .name = "bench"};
    hv_sink *sink = NULL;
    hv_err err;
    hv_rc rc = which == RAW    ? hv_sink_raw_open(&(hv_sink_raw_config){.to = to, .separator = hv_slice_text("\n")}, &sink, &err)
               : which == AVRO ? hv_sink_avro_open(&(hv_sink_avro_config){.to = to}, &sink, &err)
                               : hv_sink_jsonl_open(&(hv_sink_jsonl_config){.to = to}, &sink, &err);

    must(rc == HV_OK, err.msg);
    return sink;
}

/* Bytes written, or events for those that write few. */
static uint64_t
replay_into(const vault_builder *vault, form which, unsigned with_threads, int fd)
{
    static const char *const hubs[] = {"*"};
    static const hv_slice type = {.data = "none*", .len = 5};
    HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
    HV_AUTO(hv_sink_close) hv_sink *sink = open_sink(which, fd);
    hv_replay_config config = {.index = vault->index, .storage = vault->storage, .vault = VAULT, .threads = with_threads};
    hv_replay_request request = {.hubs = hubs, .hub_count = 1, .order = which == BY_TIME ? HV_REPLAY_BY_TIME : HV_REPLAY_BY_OFFSET};
    hv_err err;

    if (which == FILTERED)
        request.filter = (hv_event_filter){.types = &type, .type_count = 1};
    must(hv_replay_open(&config, &request, &replay, &err) == HV_OK, err.msg);
    must(hv_replay_run(replay, sink, &err) == HV_OK, err.msg);
    return sink->facts.bytes;
}

static double
best_seconds(const vault_builder *vault, form which)
{
    double best = 1e9;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    must(fd >= 0, "cannot open /dev/null");
    for (int round = 0; round < ROUNDS; round++) {
        int64_t began = threads > 0 ? hv_clock_boot_ms() * 1000 : hv_clock_cpu_us();
        (void)replay_into(vault, which, threads, fd);
        double took = (double)((threads > 0 ? hv_clock_boot_ms() * 1000 : hv_clock_cpu_us()) - began) / 1e6;
        best = took < best ? took : best;
    }
    (void)close(fd);
    return best;
}

/* The same lines through zstd: stream decompression, 128 KiB at a time, to nowhere. */
static double
best_seconds_of_zstd(const char *lines, size_t len, size_t *packed_len)
{
    size_t room = ZSTD_compressBound(len), out_room = ZSTD_DStreamOutSize();
    char *packed = malloc(room), *out = malloc(out_room);
    double best = 1e9;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    must(packed != NULL && out != NULL && fd >= 0, "no memory");
    *packed_len = ZSTD_compress(packed, room, lines, len, 3);
    for (int round = 0; round < ROUNDS; round++) {
        ZSTD_DCtx *context = ZSTD_createDCtx();
        ZSTD_inBuffer in = {.src = packed, .size = *packed_len};
        int64_t began = hv_clock_cpu_us();
        while (in.pos < in.size) {
            ZSTD_outBuffer to = {.dst = out, .size = out_room};
            must(!ZSTD_isError(ZSTD_decompressStream(context, &to, &in)), "zstd");
            must(write(fd, out, to.pos) == (ssize_t)to.pos, "write");
        }
        double took = (double)(hv_clock_cpu_us() - began) / 1e6;
        best = took < best ? took : best;
        ZSTD_freeDCtx(context);
    }
    (void)close(fd);
    free(packed);
    free(out);
    return best;
}

/* The builder of vaults checks with Check, so this runs as a test. */
START_TEST(bench)
{
    static const char *const names[] = {"JSON lines", "raw values", "Avro container", "JSON lines by time",
                                        "type filter, no match"};
    size_t packed_len = 0;
    vault_builder vault;
    char path[] = "/tmp/replay_speed.XXXXXX";

    fill_vault(&vault, body_len, events);
    int fd = mkstemp(path);
    must(fd >= 0, "no temporary file");
    (void)unlink(path);
    size_t len = replay_into(&vault, JSONL, 0, fd);
    char *lines = malloc(len);
    must(lines != NULL && pread(fd, lines, len, 0) == (ssize_t)len, "cannot read the lines back");
    double zstd = best_seconds_of_zstd(lines, len, &packed_len);
    printf("%lld events of %zu bytes: %.0f MB of JSON lines, %.1f MB as zstd -3; %s\n", (long long)events, body_len,
           (double)len / 1e6,
           (double)packed_len / 1e6, threads > 0 ? "wall time" : "processor time");
    printf("%-24s %7.2f s  %8.0f MB/s of lines\n", "zstd", zstd, (double)len / 1e6 / zstd);
    for (form which = JSONL; which <= FILTERED; which++) {
        double took = best_seconds(&vault, which);
        printf("%-24s %7.2f s  %8.0f MB/s of lines, %6.0f ns per event, %.2f of zstd\n", names[which], took,
               (double)len / 1e6 / took,
               took * 1e9 / (double)events, zstd / took);
    }
    free(lines);
    (void)close(fd);
    vault_close(&vault);
}
END_TEST

int
main(int argc, char **argv)
{
    Suite *suite = suite_create("replay_speed");
    TCase *tests = tcase_create("replay_speed");
    SRunner *runner = srunner_create(suite);

    body_len = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : body_len;
    events = argc > 2 ? strtoll(argv[2], NULL, 10) : events;
    threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, bench);
    suite_add_tcase(suite, tests);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_MINIMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
