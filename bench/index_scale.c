/*
 * The index at scale: recording, opening, lookups by offset and by time, cold and warm, and rebuilding from a folder.
 *
 *     index_scale [--dir DIR] [--segments N] [--blocks N] [--partitions N] [--lookups N] [--per-call N] [--rebuild] [--keep]
 *
 * Without --rebuild: an index of N segments (1,000,000 of 100 blocks over 1,000 partitions if not said), one segment per cut, recorded as
 * capture does, the partitions in turn. The events of a cut spread over a minute around their own time, and one cut in a thousand has an event
 * of the year 9999. Each lookup is checked before its time counts. Cold: the file was thrown out of the page cache and the index opened anew
 * before the first lookup (as root the caches of the whole machine are dropped). Warm: the same lookups once more, in the same order.
 *
 * With --rebuild: a folder vault of N segments, each a file with a real front (header, block table, hashes) and a hole in place of the blocks,
 * which nothing may read; then hv_rebuild() from it, with the files thrown out of the page cache (cold), and once more (warm). The bytes
 * read from the store are counted.
 *
 * All files lie in a folder of its own below DIR (default: the working folder), which is removed at the end unless --keep is given.
 */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "archiver/incarnation.h"
#include "archiver/rebuild.h"
#include "segment/names.h"
#include "segment/segment_file.h"
#include "storage/drivers.h"
#include "tests/segment/segment_builder.h"

enum { CUT_MS = 10000, SPREAD_MS = 60000, EVENTS_PER_BLOCK = 100, PER_CALL = 512, OPENINGS = 21 };

static const int64_t far_future = 253402300799000, start_ms = 1700000000000;
static const char vault_id[] = "11111111-2222-4333-8444-555555555555";

typedef struct scale_bench {
    const char *dir;
    char path[400];                     /* of the index now */
    char vault[400];
    int64_t segments, blocks, partitions, lookups;
    int64_t per_call;                   /* cuts recorded by one call, up to PER_CALL */
    bool rebuild, keep;
    uint64_t random;
} scale_bench;

static void
check(hv_rc rc, const hv_err *err)
{
    if (rc == HV_OK)
        return;
    fprintf(stderr, "index_scale: %s: %s\n", hv_rc_name(rc), err->msg);
    exit(1);
}

static void
must(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    exit(1);
}

static double
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double
cpu_s(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Private memory, and pages of mapped files, both resident. */
static void
memory_kb(long *private_kb, long *mapped_kb)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");

    *private_kb = *mapped_kb = 0;
    must(file != NULL, "/proc/self/status");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld", private_kb) != 1)
            (void)sscanf(line, "RssFile: %ld", mapped_kb);
    fclose(file);
}

static uint64_t
mixed(uint64_t number)
{
    number = (number ^ (number >> 31)) * 0x7fb5d329728ea185u;
    return number ^ (number >> 27);
}

static int64_t
below(scale_bench *bench, int64_t bound)
{
    bench->random = bench->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((bench->random >> 16) % (uint64_t)bound);
}

static hv_partition
partition_of(int64_t number)
{
    hv_partition partition;
    hv_err err;

    check(hv_partition_make("bench", 1, (int32_t)number, &partition, &err), &err);
    return partition;
}

/* ---- what a segment says: everything follows from its partition and its number there ---- */

static int64_t
cut_length(const scale_bench *bench)
{
    return bench->blocks * EVENTS_PER_BLOCK;
}

static int64_t
cut_time(int64_t number)
{
    return start_ms + number * CUT_MS + (int64_t)((uint64_t)number * 2654435761u % (2 * SPREAD_MS)) - SPREAD_MS;
}

static void
make_header(const scale_bench *bench, const hv_partition *partition, int64_t number, hv_segment_header *header, hv_block_ref *blocks)
{
    uint64_t seed = mixed((uint64_t)partition->number << 32 | (uint64_t)number);

    *header = (hv_segment_header){.partition = *partition, .class_name = HV_CLASS_DEFAULT, .created_ms = cut_time(number) + SPREAD_MS,
        .codec = HV_CODEC_ZSTANDARD, .cut = {number * cut_length(bench), (number + 1) * cut_length(bench)},
        .count = cut_length(bench), .blocks = blocks, .block_count = (size_t)bench->blocks, .min_timestamp_ms = INT64_MAX,
        .max_timestamp_ms = INT64_MIN};
    memcpy(header->vault, vault_id, sizeof vault_id);
    for (int64_t i = 0; i < bench->blocks; i++) {
        uint64_t mix = mixed(seed + (uint64_t)i);
        hv_block_ref *block = &blocks[i];
        *block = (hv_block_ref){.position = header->blocks_bytes, .length = 40000 + (uint32_t)(mix % 20000), .count = EVENTS_PER_BLOCK,
            .first_offset = header->cut.first + i * EVENTS_PER_BLOCK, .min_timestamp_ms = cut_time(number) + (int64_t)(mix >> 40) % 1000};
        block->max_timestamp_ms = cut_time(number) + SPREAD_MS - (int64_t)(mix >> 20) % 1000;
        if (i == 0 && number % 1000 == 999)
            block->max_timestamp_ms = far_future;
        for (size_t b = 0; b < HV_SHA256_SIZE; b += 8) {
            uint64_t part = mixed(mix + b + 1);
            memcpy(block->sha256 + b, &part, 8);
        }
        header->blocks_bytes += block->length;
        header->min_timestamp_ms = block->min_timestamp_ms < header->min_timestamp_ms ? block->min_timestamp_ms : header->min_timestamp_ms;
        header->max_timestamp_ms = block->max_timestamp_ms > header->max_timestamp_ms ? block->max_timestamp_ms : header->max_timestamp_ms;
    }
}

/* ---- the index ---- */

static hv_index *
open_index(const char *dir)
{
    hv_index_config config = {.dir = dir, .map_bytes = (uint64_t)1 << 30, .vault = vault_id};
    hv_index *index;
    hv_err err;

    check(hv_index_open(&config, &index, &err), &err);
    return index;
}

static void
record(scale_bench *bench)
{
    hv_index_cut cuts[PER_CALL];
    hv_index_addition additions[PER_CALL];
    hv_partition partitions[PER_CALL];
    hv_block_ref *blocks = calloc((size_t)bench->blocks, sizeof *blocks);
    hv_index *index = open_index(bench->path);
    double recording = 0;
    hv_index_stats stats;
    hv_err err;

    must(blocks != NULL, "memory");
    for (int64_t done = 0; done < bench->segments;) {
        size_t count = 0;
        for (; count < (size_t)bench->per_call && done < bench->segments; count++, done++) {
            hv_segment_header header;
            partitions[count] = partition_of(done % bench->partitions);
            make_header(bench, &partitions[count], done / bench->partitions, &header, blocks);
            cuts[count] = (hv_index_cut){.range = header.cut, .segment_count = 1, .segments = calloc(1, sizeof *cuts[count].segments)};
            must(cuts[count].segments != NULL, "memory");
            check(hv_chain_facts(&header, 4096, header.merkle_root, cuts[count].segments, &err), &err);
            additions[count] = (hv_index_addition){.partition = &partitions[count], .cut = &cuts[count]};
        }
        double begin = now_us();
        check(hv_index_add(index, additions, count, &err), &err);
        recording += now_us() - begin;
        for (size_t i = 0; i < count; i++)
            hv_index_cut_clear(&cuts[i]);
    }
    check(hv_index_stats_read(index, &stats, &err), &err);
    printf("recorded in %.1f s (%.0f segments/s); index %.1f MB, %.1f bytes per block\n", recording / 1e6,
           (double)bench->segments / recording * 1e6, (double)stats.file_bytes / 1e6,
           (double)stats.file_bytes / (double)(bench->segments * bench->blocks));
    hv_index_close(index);
    free(blocks);
}

static int
ascending(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return *left < *right ? -1 : *left > *right;
}

static void
print_times(const char *name, double *times, int64_t count)
{
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("%-24s p50 %9.1f us   p99 %9.1f us   max %9.1f us\n", name, times[count / 2], times[count * 99 / 100], times[count - 1]);
}

static void
measure_open(const scale_bench *bench)
{
    double times[OPENINGS];
    long private_kb, mapped_kb;

    for (int i = 0; i < OPENINGS; i++) {
        double begin = now_us();
        hv_index_close(open_index(bench->path));
        times[i] = now_us() - begin;
    }
    memory_kb(&private_kb, &mapped_kb);
    print_times("open and close", times, OPENINGS);
    printf("resident then: %ld KB private, %ld KB mapped\n", private_kb, mapped_kb);
}

static void
forget_pages(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    must(fd >= 0 && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, file);
    close(fd);
}

/* As root: the page cache and what the kernel knows of names, of the whole machine. */
static bool
forget_everything(void)
{
    sync();
    FILE *drop = fopen("/proc/sys/vm/drop_caches", "w");
    bool all = drop != NULL && fputs("3\n", drop) >= 0;
    if (drop != NULL)
        all = fclose(drop) == 0 && all;
    return all;
}

static void
forget_index(const scale_bench *bench)
{
    char file[420];

    if (forget_everything())
        return;
    (void)snprintf(file, sizeof file, "%s/data.mdb", bench->path);
    forget_pages(file);
}

static void
find_offsets(scale_bench *bench, const char *name, double *times)
{
    hv_index *index = open_index(bench->path);
    hv_err err;

    bench->random = 1;
    for (int64_t i = 0; i < bench->lookups; i++) {
        hv_partition partition = partition_of(below(bench, bench->partitions));
        int64_t number = below(bench, bench->segments / bench->partitions);
        int64_t offset = number * cut_length(bench) + below(bench, cut_length(bench));
        hv_index_cut got;
        double begin = now_us();
        check(hv_index_find_offset(index, &partition, offset, &got, &err), &err);
        times[i] = now_us() - begin;
        must(got.range.first == number * cut_length(bench), "the right cut");
        hv_index_cut_clear(&got);
    }
    hv_index_close(index);
    print_times(name, times, bench->lookups);
}

/* From offset 0 to the first event of a second anywhere: behind the outliers, which are stepped over as a replay does; the whole way counts. */
static void
find_times(scale_bench *bench, const char *name, double *times)
{
    hv_index *index = open_index(bench->path);
    hv_err err;

    bench->random = 2;
    for (int64_t i = 0; i < bench->lookups; i++) {
        hv_partition partition = partition_of(below(bench, bench->partitions));
        int64_t time = cut_time(below(bench, bench->segments / bench->partitions)) + SPREAD_MS / 2, from = 0;
        bool outlier = true;
        double begin = now_us();
        while (outlier) {
            hv_index_cut got;
            check(hv_index_find_time(index, &partition, from, time, time + 1000, &got, &err), &err);
            must(got.segments->max_timestamp_ms >= time && got.segments->min_timestamp_ms < time + 1000, "a cut of that time");
            outlier = got.segments->max_timestamp_ms == far_future && got.segments->min_timestamp_ms + SPREAD_MS < time;
            from = got.range.end;
            hv_index_cut_clear(&got);
        }
        times[i] = now_us() - begin;
    }
    hv_index_close(index);
    print_times(name, times, bench->lookups);
}

static void
lookups(scale_bench *bench)
{
    double *times = calloc((size_t)bench->lookups, sizeof *times);

    must(times != NULL, "memory");
    forget_index(bench);
    find_offsets(bench, "by offset, cold", times);
    find_offsets(bench, "by offset, warm", times);
    forget_index(bench);
    find_times(bench, "by time, cold", times);
    find_times(bench, "by time, warm", times);
    free(times);
}

/* ---- the vault ---- */

static void
write_file(int folder, const char *name, const hv_buf *front, const hv_segment_header *header)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0440);

    must(fd >= 0, name);
    must(write(fd, front->data, front->len) == (ssize_t)front->len, name);
    must(ftruncate(fd, (off_t)(front->len + header->blocks_bytes)) == 0, name);
    must(fsetxattr(fd, "user.hubvault.sha256", header->merkle_root, HV_SHA256_SIZE, 0) == 0, name);
    close(fd);
}

static void
make_vault(scale_bench *bench)
{
    static const unsigned char sync[HV_SYNC_SIZE] = "fifteen letters";
    HV_AUTO(hv_buf_free) hv_buf front = HV_BUF_INIT(64 << 20);
    hv_block_ref *blocks = calloc((size_t)bench->blocks, sizeof *blocks);
    unsigned char(*leaves)[HV_SHA256_SIZE] = calloc((size_t)bench->blocks, sizeof *leaves);
    hv_storage *storage = NULL;
    hv_incarnation_record claim = {.hub = "bench", .incarnation = 1, .cause = HV_INCARNATION_FIRST};
    double begin = now_us();
    hv_err err;

    must(blocks != NULL && leaves != NULL, "memory");
    check(hv_storage_dir_open(bench->vault, true, &storage, &err), &err);
    memcpy(claim.vault, vault_id, sizeof vault_id);
    hv_chain chain = {.storage = storage, .vault = vault_id};
    check(hv_incarnation_claim(&chain, &claim, &err), &err);
    hv_storage_close(storage);
    for (int64_t p = 0; p < bench->partitions; p++) {
        hv_partition partition = partition_of(p);
        char folder[1000];
        (void)snprintf(folder, sizeof folder, "%s/%s", bench->vault, hv_prefix_of_partition(&partition).text);
        must(mkdir(folder, 0750) == 0, folder);
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(fd >= 0, folder);
        for (int64_t number = 0; number < bench->segments / bench->partitions; number++) {
            hv_segment_header header;
            make_header(bench, &partition, number, &header, blocks);
            for (size_t b = 0; b < header.block_count; b++)
                memcpy(leaves[b], blocks[b].sha256, sizeof leaves[b]);
            hv_merkle_root(leaves, header.block_count, header.merkle_root);
            hv_buf_clear(&front);
            test_front_write(&header, sync, &front);        /* hv_segment_assemble() would want the blocks */
            hv_blob_name name = hv_name_of_lead(&partition, number * cut_length(bench));
            write_file(fd, strrchr(name.text, '/') + 1, &front, &header);
        }
        close(fd);
    }
    printf("made %" PRId64 " files with fronts of %zu bytes in %.0f s\n", bench->segments, front.len, (now_us() - begin) / 1e6);
    free(blocks);
    free(leaves);
}

/* A store that counts what is read of it. */
typedef struct counting_storage {
    hv_storage base;
    hv_storage *of;
    atomic_uint_fast64_t gets, bytes, lists, properties;
} counting_storage;

static hv_rc
counted_get(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    counting_storage *counting = (counting_storage *)storage;
    size_t before = ret->len;
    hv_rc rc = counting->of->ops->get_range(counting->of, name, position, len, ret, err);

    counting->gets++;
    counting->bytes += ret->len - before;
    return rc;
}

static hv_rc
counted_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    counting_storage *counting = (counting_storage *)storage;

    counting->properties++;
    return counting->of->ops->properties(counting->of, name, ret, err);
}

static hv_rc
counted_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    counting_storage *counting = (counting_storage *)storage;

    counting->lists++;
    return counting->of->ops->list(counting->of, request, ret, err);
}

static const hv_storage_ops counting_ops = {.driver = "counting", .get_range = counted_get, .properties = counted_properties,
    .list = counted_list};

static void
rebuild_once(scale_bench *bench, const char *name)
{
    counting_storage counting = {.base = {.ops = &counting_ops}};
    hv_rebuild_facts facts;
    hv_index_stats stats;
    long private_kb, mapped_kb;
    hv_err err;

    must(mkdir(bench->path, 0750) == 0, bench->path);
    check(hv_storage_dir_open(bench->vault, false, &counting.of, &err), &err);
    hv_index *index = open_index(bench->path);
    hv_rebuild_config config = {.storage = &counting.base, .vault = vault_id, .index = index};
    double begin = now_us(), cpu = cpu_s();
    check(hv_rebuild(&config, &facts, &err), &err);
    double took = (now_us() - begin) / 1e6;
    must(facts.segments == bench->segments && facts.hashed == 0, "all segments, none of them read whole");
    check(hv_index_stats_read(index, &stats, &err), &err);
    memory_kb(&private_kb, &mapped_kb);
    printf("%-24s %.1f s, %.1f CPU-s, %.0f segments/s; read %.1f MB in %" PRIu64 " gets, %.0f bytes per segment; %" PRIu64 " pages of names; "
           "%ld KB private; index %.1f MB\n",
           name, took, cpu_s() - cpu, (double)bench->segments / took, (double)counting.bytes / 1e6, (uint64_t)counting.gets,
           (double)counting.bytes / (double)bench->segments, (uint64_t)counting.lists, private_kb, (double)stats.file_bytes / 1e6);
    hv_index_close(index);
    check(hv_index_discard(bench->path, &err), &err);
    hv_storage_close(counting.of);
}

static int
forget_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    if (type == FTW_F)
        forget_pages(path);
    return 0;
}

static const char *
forget_vault(const scale_bench *bench)
{
    if (forget_everything())
        return "rebuild, cold";
    must(nftw(bench->vault, forget_file, 64, FTW_PHYS) == 0, "nftw");
    return "rebuild, cold pages";
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void
remove_all(const char *path)
{
    must(nftw(path, remove_entry, 64, FTW_DEPTH | FTW_PHYS) == 0, path);
}

static bool
parse(scale_bench *bench, int argc, char **argv)
{
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {{"--segments", &bench->segments}, {"--blocks", &bench->blocks}, {"--partitions", &bench->partitions},
                   {"--lookups", &bench->lookups}, {"--per-call", &bench->per_call}};

    for (int i = 1; i < argc; i++) {
        bool known = false;
        if (strcmp(argv[i], "--rebuild") == 0)
            known = bench->rebuild = true;
        else if (strcmp(argv[i], "--keep") == 0)
            known = bench->keep = true;
        else if (i + 1 < argc && strcmp(argv[i], "--dir") == 0)
            known = (bench->dir = argv[++i]) != NULL;
        for (size_t n = 0; !known && i + 1 < argc && n < sizeof numbers / sizeof numbers[0]; n++)
            if (strcmp(argv[i], numbers[n].name) == 0) {
                *numbers[n].number = strtoll(argv[++i], NULL, 10);
                known = *numbers[n].number > 0;
            }
        if (!known)
            return false;
    }
    bench->partitions = bench->partitions < bench->segments ? bench->partitions : bench->segments;
    bench->segments -= bench->segments % bench->partitions;
    return bench->per_call <= PER_CALL;
}

int
main(int argc, char **argv)
{
    scale_bench bench = {.dir = ".", .segments = 1000000, .blocks = 100, .partitions = 1000, .lookups = 20000,
        .per_call = PER_CALL};
    char work[300];
    double load[1] = {0};

    if (!parse(&bench, argc, argv)) {
        fprintf(stderr, "usage: index_scale [--dir DIR] [--segments N] [--blocks N] [--partitions N] [--lookups N] [--per-call N] [--rebuild] "
                        "[--keep]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)getloadavg(load, 1);
    (void)snprintf(work, sizeof work, "%s/index_scale.%ld", bench.dir, (long)getpid());
    must(mkdir(work, 0750) == 0, work);
    (void)snprintf(bench.path, sizeof bench.path, "%s/index", work);
    (void)snprintf(bench.vault, sizeof bench.vault, "%s/vault", work);
    printf("%" PRId64 " segments of %" PRId64 " blocks in %" PRId64 " partitions; load %.1f\n", bench.segments, bench.blocks,
           bench.partitions, load[0]);
    if (bench.rebuild) {
        make_vault(&bench);
        rebuild_once(&bench, forget_vault(&bench));
        rebuild_once(&bench, "rebuild, warm");
    } else {
        must(mkdir(bench.path, 0750) == 0, bench.path);
        record(&bench);
        measure_open(&bench);
        lookups(&bench);
    }
    if (!bench.keep)
        remove_all(work);
    return 0;
}
