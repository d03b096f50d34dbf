/*
 * Speed of the index: recording cuts, looking them up by offset and by time, opening.
 *
 *     index_speed DIR [CUTS [BLOCKS [PER_CALL]]]
 *
 * DIR must exist and hold no index; it is left there. Cuts have one segment of BLOCKS blocks and about ten thousand events, dealt
 * to 16 partitions. The events of a cut spread over a minute around their own time, one cut in a thousand has an event of the year
 * 9999, so running bounds would not help a lookup. Each answer is checked before its time counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "index/index.h"

enum { PARTITIONS = 16, LOOKUPS = 20000, CUT_MS = 10000, SPREAD_MS = 60000 };

static const int64_t far_future = 253402300799000, start_ms = 1700000000000;

typedef struct index_bench {
    hv_index *index;
    hv_partition partitions[PARTITIONS];
    int64_t cuts, blocks, per_call;
    uint64_t random;
} index_bench;

static void
check(hv_rc rc, const hv_err *err)
{
    if (rc == HV_OK)
        return;
    fprintf(stderr, "index_speed: %s: %s\n", hv_rc_name(rc), err->msg);
    exit(1);
}

static double
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int64_t
below(index_bench *bench, int64_t bound)
{
    bench->random = bench->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((bench->random >> 16) % (uint64_t)bound);
}

static int64_t
cut_length(const index_bench *bench)
{
    return bench->blocks * 100;
}

/* The time of a cut follows its number, up to SPREAD_MS early or late. */
static int64_t
cut_time(int64_t number)
{
    return start_ms + number * CUT_MS + (int64_t)((uint64_t)number * 2654435761u % (2 * SPREAD_MS)) - SPREAD_MS;
}

static void
make_cut(index_bench *bench, int64_t number, hv_index_cut *cut)
{
    hv_index_segment *segment = cut->segments;

    cut->range = (hv_range){.first = number * cut_length(bench), .end = (number + 1) * cut_length(bench)};
    segment->count = cut_length(bench);
    segment->size = segment->data_start = 4096;
    segment->created_ms = cut_time(number) + 1000;
    segment->min_timestamp_ms = cut_time(number);
    segment->max_timestamp_ms = number % 1000 == 999 ? far_future : cut_time(number) + SPREAD_MS;
    for (int64_t i = 0; i < bench->blocks; i++) {
        hv_index_block *block = &segment->blocks[i];
        *block = (hv_index_block){
            .position = segment->size, .length = (uint32_t)(40000 + below(bench, 20000)), .count = 100,
            .first_offset = cut->range.first + i * 100, .min_timestamp_ms = segment->min_timestamp_ms + below(bench, 1000),
            .max_timestamp_ms = segment->max_timestamp_ms - below(bench, 1000),
        };
        for (size_t j = 0; j < HV_SHA256_SIZE; j++)
            block->sha256[j] = (unsigned char)below(bench, 256);
        segment->size += block->length;
    }
    segment->block_count = (size_t)bench->blocks;
}

static void *
get_memory(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        exit(1);
    return memory;
}

static void
record(index_bench *bench)
{
    hv_index_cut *cuts = get_memory((size_t)bench->per_call, sizeof *cuts);
    hv_index_addition *additions = get_memory((size_t)bench->per_call, sizeof *additions);
    double recording = 0;
    hv_index_stats stats;
    hv_err err;

    for (int64_t i = 0; i < bench->per_call; i++) {
        cuts[i] = (hv_index_cut){.segment_count = 1, .segments = get_memory(1, sizeof *cuts[i].segments)};
        cuts[i].segments->blocks = get_memory((size_t)bench->blocks, sizeof *cuts[i].segments->blocks);
        cuts[i].segments->is_lead = true;
        (void)snprintf(cuts[i].segments->class_name, sizeof cuts[i].segments->class_name, "%s", HV_CLASS_DEFAULT);
    }
    for (int64_t done = 0; done < bench->cuts;) {
        int64_t count = 0;
        for (; count < bench->per_call && done < bench->cuts; count++, done++) {
            make_cut(bench, done / PARTITIONS, &cuts[count]);
            additions[count] = (hv_index_addition){.partition = &bench->partitions[done % PARTITIONS], .cut = &cuts[count]};
        }
        double begin = now_us();
        check(hv_index_add(bench->index, additions, (size_t)count, &err), &err);
        recording += now_us() - begin;
    }
    for (int64_t i = 0; i < bench->per_call; i++)
        hv_index_cut_clear(&cuts[i]);
    free(cuts);
    free(additions);
    check(hv_index_stats_read(bench->index, &stats, &err), &err);
    printf("recorded %" PRId64 " cuts of %" PRId64 " blocks, %" PRId64 " per call: %.0f cuts/s, %.0f blocks/s\n", bench->cuts,
           bench->blocks, bench->per_call, (double)bench->cuts / recording * 1e6,
           (double)(bench->cuts * bench->blocks) / recording * 1e6);
    printf("file %.1f MB, %.0f bytes per cut, %.1f per block\n", (double)stats.file_bytes / 1e6,
           (double)stats.file_bytes / (double)bench->cuts,
           (double)stats.file_bytes / (double)(bench->cuts * bench->blocks));
}

static int
ascending(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return *left < *right ? -1 : *left > *right;
}

static void
print_times(const char *name, double *times, size_t count)
{
    qsort(times, count, sizeof *times, ascending);
    printf("%-28s p50 %8.1f us   p99 %8.1f us   max %8.1f us\n", name, times[count / 2], times[count * 99 / 100], times[count - 1]);
}

static void
find_offsets(index_bench *bench, double *times)
{
    int64_t per_partition = bench->cuts / PARTITIONS;

    for (size_t i = 0; i < LOOKUPS; i++) {
        int64_t number = below(bench, per_partition), offset = number * cut_length(bench) + below(bench, cut_length(bench));
        hv_index_cut got;
        hv_err err;
        double begin = now_us();
        check(hv_index_find_offset(bench->index, &bench->partitions[below(bench, PARTITIONS)], offset, &got, &err), &err);
        times[i] = now_us() - begin;
        if (got.range.first != number * cut_length(bench))
            exit(1);
        hv_index_cut_clear(&got);
    }
    print_times("find_offset", times, LOOKUPS);
}

/* From offset 0 to a minute anywhere; outliers on the way are stepped over by asking again, as a replay would. */
static void
find_times(index_bench *bench, double *times)
{
    int64_t per_partition = bench->cuts / PARTITIONS;

    for (size_t i = 0; i < LOOKUPS;) {
        const hv_partition *partition = &bench->partitions[below(bench, PARTITIONS)];
        int64_t time = cut_time(below(bench, per_partition)), from = 0;
        bool outlier = true;
        while (outlier && i < LOOKUPS) {
            hv_index_cut got;
            hv_err err;
            double begin = now_us();
            check(hv_index_find_time(bench->index, partition, from, time, time + 1000, &got, &err), &err);
            times[i++] = now_us() - begin;
            outlier = got.segments->max_timestamp_ms == far_future;
            if (!outlier && (got.segments->min_timestamp_ms >= time + 1000 || got.segments->max_timestamp_ms < time))
                exit(1);
            from = got.range.end;
            hv_index_cut_clear(&got);
        }
    }
    print_times("find_time", times, LOOKUPS);
}

static hv_index *
open_index(const char *dir)
{
    hv_index_config config = {.dir = dir, .map_bytes = (uint64_t)1 << 30, .vault = "bench"};
    hv_index *index;
    hv_err err;

    check(hv_index_open(&config, &index, &err), &err);
    return index;
}

int
main(int argc, char **argv)
{
    index_bench bench = {.cuts = 100000, .blocks = 100, .per_call = 64, .random = 1};
    double *times = get_memory(LOOKUPS, sizeof *times);
    hv_err err;

    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: index_speed DIR [CUTS [BLOCKS [PER_CALL]]]\n");
        return 2;
    }
    bench.cuts = argc > 2 ? strtoll(argv[2], NULL, 10) : bench.cuts;
    bench.blocks = argc > 3 ? strtoll(argv[3], NULL, 10) : bench.blocks;
    bench.per_call = argc > 4 ? strtoll(argv[4], NULL, 10) : bench.per_call;
    if (bench.cuts < PARTITIONS || bench.blocks < 1 || bench.per_call < 1)
        return 2;
    for (int32_t i = 0; i < PARTITIONS; i++)
        check(hv_partition_make("bench", 1, i, &bench.partitions[i], &err), &err);
    bench.index = open_index(argv[1]);
    record(&bench);
    hv_index_close(bench.index);
    double begin = now_us();
    bench.index = open_index(argv[1]);
    printf("open %.0f us\n", now_us() - begin);
    find_offsets(&bench, times);
    find_times(&bench, times);
    hv_index_close(bench.index);
    free(times);
    return 0;
}
