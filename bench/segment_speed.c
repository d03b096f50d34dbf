/*
 * How fast the segment code is on this machine: encode, seal and open per codec, decode, and the header.
 *
 *   segment_speed [bytes per body] [blocks]
 *
 * Bodies are JSON of the given size with two random ids each, which cap compression as real events do. Best of five rounds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "segment/segment_file.h"

enum { BLOCK_RAW = 256 << 10, ROUNDS = 5, HEADER_BLOCKS = 100, HEADER_RUNS = 200, ROOM = 1 << 30 };

typedef struct load {
    char *bodies;
    hv_event *events;
    size_t count, body_len;
    size_t block_count;
    hv_buf *raw;                        /* per block */
    hv_block_facts *facts;
    hv_block *blocks;
} load;

static void
must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "segment_speed: %s\n", what);
        exit(1);
    }
}

static void
must_rc(hv_rc rc, const hv_err *err)
{
    must(rc == HV_OK, err->msg);
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

static void
fill_body(char *body, size_t len)
{
    char text[160];

    int n = snprintf(text, sizeof text, "{\"id\":\"%016llx-%016llx\",\"order\":%llu,\"state\":\"accepted\",\"lines\":[",
                     (unsigned long long)random_next(), (unsigned long long)random_next(), (unsigned long long)(random_next() % 100000));
    for (size_t i = 0; i < len; i++)
        body[i] = i < (size_t)n ? text[i] : "{\"sku\":\"A-1007\",\"quantity\":3,\"price\":\"19.90\"},"[i % 47];
}

static void
load_make(load *l, size_t body_len, size_t blocks)
{
    static const hv_header headers[] = {{.name = {"ce_type", 7}, .value = {"com.example.order", 17}}};

    l->body_len = body_len;
    l->block_count = blocks;
    l->count = blocks * (BLOCK_RAW / (body_len + 40));
    l->bodies = malloc(l->count * body_len);
    l->events = calloc(l->count, sizeof *l->events);
    l->raw = calloc(blocks, sizeof *l->raw);
    l->facts = calloc(blocks, sizeof *l->facts);
    l->blocks = calloc(blocks, sizeof *l->blocks);
    must(l->bodies != NULL && l->events != NULL && l->raw != NULL && l->facts != NULL && l->blocks != NULL, "no memory");
    for (size_t i = 0; i < l->count; i++) {
        fill_body(l->bodies + i * body_len, body_len);
        l->events[i] = (hv_event){.offset = (int64_t)i, .timestamp_ms = 1700000000000 + (int64_t)i, .timestamp_type = HV_TIMESTAMP_CREATE,
                                  .headers = headers, .header_count = 1, .value = hv_slice_of(l->bodies + i * body_len, body_len)};
    }
    for (size_t b = 0; b < blocks; b++) {
        size_t per = l->count / blocks, first = b * per;
        l->raw[b] = (hv_buf)HV_BUF_INIT(ROOM);
        l->facts[b] = (hv_block_facts){.first_offset = (int64_t)first, .last_offset = (int64_t)(first + per - 1), .count = (int32_t)per,
                                       .min_timestamp_ms = l->events[first].timestamp_ms,
                                       .max_timestamp_ms = l->events[first + per - 1].timestamp_ms};
    }
}

static void
print_line(const char *what, const load *l, uint64_t raw_bytes, int64_t us)
{
    (void)printf("%-22s %8.1f MB/s %8.2f Mevents/s\n", what, (double)raw_bytes / (double)us, (double)l->count / (double)us);
}

static uint64_t
encode(load *l)
{
    size_t per = l->count / l->block_count;
    uint64_t bytes = 0;

    for (size_t b = 0; b < l->block_count; b++) {
        hv_buf_clear(&l->raw[b]);
        for (size_t i = b * per; i < (b + 1) * per; i++)
            hv_event_encode(&l->events[i], &l->raw[b]);
        bytes += l->raw[b].len;
    }
    return bytes;
}

static void
seal(load *l, hv_block_coder *coder, const hv_block_format *format)
{
    hv_err err;

    for (size_t b = 0; b < l->block_count; b++) {
        hv_block_free(&l->blocks[b]);
        must_rc(hv_block_seal(coder, format, &l->facts[b], hv_buf_slice(&l->raw[b]), &l->blocks[b], &err), &err);
    }
}

static void
open_all(load *l, hv_block_coder *coder, hv_codec codec, hv_buf *to)
{
    hv_err err;

    for (size_t b = 0; b < l->block_count; b++) {
        const hv_block *block = &l->blocks[b];
        must_rc(hv_block_open(coder, codec, NULL, &block->ref, hv_slice_of(block->stored, block->ref.length), to, &err), &err);
    }
}

static void
decode(load *l)
{
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_event event;
    hv_err err;
    size_t count = 0;

    for (size_t b = 0; b < l->block_count; b++)
        for (hv_event_reader_reset(&reader, hv_buf_slice(&l->raw[b])); hv_event_reader_more(&reader); count++)
            must_rc(hv_event_reader_next(&reader, &event, &err), &err);
    must(count == l->count, "not every event came back");
}

#define BEST_OF(us, call) \
    do { \
        (us) = INT64_MAX; \
        for (int round_ = 0; round_ < ROUNDS; round_++) { \
            int64_t from_ = hv_clock_cpu_us(); \
            call; \
            int64_t took_ = hv_clock_cpu_us() - from_ + 1; \
            (us) = took_ < (us) ? took_ : (us); \
        } \
    } while (0)

static void
measure_codec(load *l, hv_block_coder *coder, hv_codec codec, int level, uint64_t raw_bytes)
{
    HV_AUTO(hv_buf_free) hv_buf opened = HV_BUF_INIT(ROOM);
    hv_block_format format = {.codec = codec, .level = level};
    uint64_t stored = 0;
    char what[40];
    int64_t us;

    BEST_OF(us, seal(l, coder, &format));
    (void)snprintf(what, sizeof what, "seal %s %d", hv_codec_name(codec), level);
    print_line(what, l, raw_bytes, us);
    for (size_t b = 0; b < l->block_count; b++)
        stored += l->blocks[b].ref.length;
    BEST_OF(us, open_all(l, coder, codec, &opened));
    (void)snprintf(what, sizeof what, "open %s %d", hv_codec_name(codec), level);
    print_line(what, l, raw_bytes, us);
    (void)printf("%-22s %8.2f\n", "  ratio", (double)raw_bytes / (double)stored);
}

static void
write_header(const hv_segment_header *header, hv_buf *json)
{
    for (int i = 0; i < HEADER_RUNS; i++) {
        hv_buf_clear(json);
        hv_segment_header_write(header, json);
    }
}

static void
parse_front(hv_slice front)
{
    for (int i = 0; i < HEADER_RUNS; i++) {
        HV_AUTO(hv_segment_front_free) hv_segment_front got = {0};
        size_t needed;
        hv_err err;
        must_rc(hv_segment_front_parse(front, &got, &needed, &err), &err);
    }
}

static void
measure_header(load *l)
{
    HV_AUTO(hv_buf_free) hv_buf front = HV_BUF_INIT(ROOM), json = HV_BUF_INIT(ROOM);
    size_t blocks = l->block_count < HEADER_BLOCKS ? l->block_count : HEADER_BLOCKS;
    hv_segment_header header = {.vault = "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10", .partition = {.hub = "orders", .incarnation = 1},
                                .class_name = HV_CLASS_DEFAULT, .codec = HV_CODEC_NULL,
                                .cut = {.first = 0, .end = l->facts[blocks - 1].last_offset + 1}};
    unsigned char sha256[HV_SHA256_SIZE], sync[HV_SYNC_SIZE] = {0};
    hv_err err;
    int64_t us;

    must_rc(hv_segment_assemble(&header, l->blocks, blocks, sync, &front, sha256, &err), &err);
    BEST_OF(us, write_header(&header, &json));
    (void)printf("%-22s %8.1f us for %zu blocks, %zu bytes\n", "write header", (double)us / HEADER_RUNS, blocks, json.len);
    BEST_OF(us, parse_front(hv_buf_slice(&front)));
    (void)printf("%-22s %8.1f us, checks included\n", "read front", (double)us / HEADER_RUNS);
    free(header.blocks);
}

int
main(int argc, char **argv)
{
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    load l = {0};
    hv_err err;
    uint64_t bytes = 0;
    int64_t us;
    long body_len = argc > 1 ? strtol(argv[1], NULL, 10) : 192, blocks = argc > 2 ? strtol(argv[2], NULL, 10) : 200;

    must(body_len >= 1 && body_len <= BLOCK_RAW / 2 && blocks >= 1 && blocks <= 10000, "usage: segment_speed [1..131072] [1..10000]");
    must_rc(hv_block_coder_new(&coder, &err), &err);
    load_make(&l, (size_t)body_len, (size_t)blocks);
    BEST_OF(us, bytes = encode(&l));
    (void)printf("%zu events of %zu bytes in %zu blocks, CPU time of one thread\n", l.count, l.body_len, l.block_count);
    print_line("encode", &l, bytes, us);
    BEST_OF(us, decode(&l));
    print_line("decode", &l, bytes, us);
    measure_codec(&l, coder, HV_CODEC_ZSTANDARD, 1, bytes);
    measure_codec(&l, coder, HV_CODEC_ZSTANDARD, 3, bytes);
    measure_codec(&l, coder, HV_CODEC_DEFLATE, 6, bytes);
    measure_codec(&l, coder, HV_CODEC_NULL, 1, bytes);
    measure_header(&l);
    for (size_t b = 0; b < l.block_count; b++) {
        hv_buf_free(&l.raw[b]);
        hv_block_free(&l.blocks[b]);
    }
    free(l.raw);
    free(l.facts);
    free(l.blocks);
    free(l.events);
    free(l.bodies);
    return 0;
}
