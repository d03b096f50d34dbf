#include "tests/cli/cli_run.h"

#include <stdio.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "server/vault.h"
#include "tests/harness/check_hv.h"

static const char *variable, *variable_value;

void
cli_result_clear(cli_result *result)
{
    free(result->out);
    free(result->notes);
}

void
cli_setenv(const char *name, const char *value)
{
    variable = name;
    variable_value = value;
}

static const char *
environment(const char *name)
{
    return variable != NULL && strcmp(variable, name) == 0 ? variable_value : NULL;
}

cli_result
cli_run_words(const char *const *words)
{
    cli_result result = {0};
    size_t out_len, notes_len;
    FILE *to = open_memstream(&result.out, &out_len), *notes = open_memstream(&result.notes, &notes_len);

    ck_assert(to != NULL && notes != NULL);
    result.status = hv_cli_main(&(hv_cli_start){.words = words, .to = to, .notes = notes, .environment = environment});
    fclose(to);
    fclose(notes);
    return result;
}

const char *
cli_write_file(const scratch_dir *dir, const char *name, const char *text)
{
    static char path[400];

    snprintf(path, sizeof path, "%s/%s", dir->path, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    return path;
}

static void
know_hub(hv_index *index, const char *hub, uint32_t incarnation, const char *cause)
{
    hv_err err;
    hv_index_incarnation facts = {.incarnation = incarnation, .created_ms = 1795510800000};

    snprintf(facts.hub, sizeof facts.hub, "%s", hub);
    snprintf(facts.cause, sizeof facts.cause, "%s", cause);
    snprintf(facts.identity, sizeof facts.identity, "id-%u", (unsigned)incarnation);
    ck_hv_ok(hv_index_add_incarnation(index, &facts, &err));
}

/* The blocks of a segment that holds `count` events from `first` on, one second after the other. */
static hv_index_block
block_of(int64_t first, int32_t count, int64_t time_ms)
{
    return (hv_index_block){.length = 200, .first_offset = first, .count = count, .min_timestamp_ms = time_ms,
                            .max_timestamp_ms = time_ms + (count - 1) * 1000};
}

static hv_index_segment
segment_of(const char *class_name, bool is_lead, hv_index_block *block, int64_t sealed_ms)
{
    hv_index_segment segment = {.is_lead = is_lead, .size = 1700, .data_start = 1500, .created_ms = sealed_ms, .count = block->count,
                                .min_timestamp_ms = block->min_timestamp_ms, .max_timestamp_ms = block->max_timestamp_ms, .blocks = block,
                                .block_count = 1};

    snprintf(segment.class_name, sizeof segment.class_name, "%s", class_name);
    memset(segment.sha256, 0xab, sizeof segment.sha256);
    return segment;
}

static void
add_cut(hv_index *index, const hv_partition *partition, const hv_index_cut *cut)
{
    hv_err err;
    hv_index_addition addition = {.partition = partition, .cut = cut};

    ck_hv_ok(hv_index_add(index, &addition, 1, &err));
}

/* One segment, nothing else. */
static void
add_plain(hv_index *index, const char *hub, uint32_t incarnation, int32_t number, int64_t first, int32_t count, int64_t time_ms,
          int64_t sealed_ms)
{
    hv_partition partition = {.incarnation = incarnation, .number = number};
    hv_index_block block = block_of(first, count, time_ms);
    hv_index_segment segment = segment_of("default", true, &block, sealed_ms);

    snprintf(partition.hub, sizeof partition.hub, "%s", hub);
    add_cut(index, &partition, &(hv_index_cut){.range = {first, first + count}, .segments = &segment, .segment_count = 1});
}

/* Offsets 3 to 12: two lost to retention, five in the lead, two in a sibling that misses one. */
static void
add_two_classes(hv_index *index)
{
    hv_partition partition = {.hub = "orders", .incarnation = 2};
    hv_index_block blocks[] = {block_of(5, 5, 1795510860000), block_of(10, 2, 1795510920000)};
    hv_index_segment segments[] = {segment_of("default", true, &blocks[0], 1795510870000),
                                   segment_of("personal", false, &blocks[1], 1795510870000)};
    hv_gap gap = {.range = {3, 5}, .cause = HV_GAP_RETENTION}, missing = {.range = {12, 13}, .cause = HV_GAP_COMPACTION};

    segments[1].missing = &missing;
    segments[1].missing_count = 1;
    add_cut(index, &partition, &(hv_index_cut){.range = {3, 13}, .segments = segments, .segment_count = 2, .gaps = &gap, .gap_count = 1});
}

static void
make_vault(const scratch_dir *dir, int64_t sales_sealed_ms)
{
    HV_AUTO(hv_options_clear) hv_options options;
    hv_vault *vault = NULL;
    hv_err err;
    char store[300], index[300];

    snprintf(store, sizeof store, "%s/vault", dir->path);
    snprintf(index, sizeof index, "%s/index", dir->path);
    hv_options_init(&options);
    options.store_dir = store;
    options.index_dir = index;
    ck_hv_ok(hv_vault_open(&options, HV_VAULT_WRITE | HV_VAULT_CREATE, &vault, &err));
    know_hub(vault->index, "orders", 1, "first");
    know_hub(vault->index, "orders", 2, "identity");
    know_hub(vault->index, "sales", 1, "first");
    add_plain(vault->index, "orders", 1, 0, 0, 7, 1000, 1795510801000);
    add_plain(vault->index, "orders", 2, 0, 0, 3, 1795510800000, 1795510810000);
    add_two_classes(vault->index);
    add_plain(vault->index, "orders", 2, 1, 0, 5, 1795510800500, 1795510820000);
    if (sales_sealed_ms != 0)
        add_plain(vault->index, "sales", 1, 0, 0, 1, 1795510800000, sales_sealed_ms);
    hv_vault_close(vault);
}

void
cli_make_vault(const scratch_dir *dir)
{
    make_vault(dir, 0);
}

void
cli_make_vault_sealed_at(const scratch_dir *dir, int64_t sealed_ms)
{
    make_vault(dir, sealed_ms);
}
