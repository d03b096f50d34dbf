#include "tests/archiver/vault_maker.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include "archiver/incarnation.h"
#include "archiver/sealer_build.h"
#include "common/clock.h"
#include "segment/names.h"

typedef struct made_event {
    hv_event event;
    char key[32], value[200];
    hv_header header;
} made_event;

static void
make_event(made_event *made, int64_t offset)
{
    uint64_t mix = (uint64_t)offset * 0x9e3779b97f4a7c15u;
    int key_len = snprintf(made->key, sizeof made->key, "key-%u", (unsigned)(mix >> 60));
    int value_len = snprintf(made->value, sizeof made->value, "{\"offset\":%lld,\"noise\":\"%016llx%0*d\"}", (long long)offset,
                             (unsigned long long)(mix * mix), (int)(mix % 100), 0);

    made->header = (hv_header){.name = hv_slice_text("trace"), .value = hv_slice_of(made->key, (size_t)key_len)};
    made->event = (hv_event){.offset = offset, .timestamp_ms = 1700000000000 + offset * 10 - (int64_t)(mix % 7777),
        .timestamp_type = HV_TIMESTAMP_CREATE, .key = hv_slice_of(made->key, (size_t)key_len),
        .value = hv_slice_of(made->value, (size_t)value_len), .headers = &made->header, .header_count = mix % 2};
}

hv_partition
maker_partition(const char *hub, uint32_t incarnation, int32_t number)
{
    hv_partition partition;
    hv_err err;

    ck_hv_ok(hv_partition_make(hub, incarnation, number, &partition, &err));
    return partition;
}

hv_index *
maker_open_index(vault_maker *m, const char *name)
{
    char path[300];
    hv_index *index;
    hv_err err;
    hv_index_config config = {.dir = path, .map_bytes = 16 << 20, .vault = MAKER_VAULT};

    (void)snprintf(path, sizeof path, "%s/%s", m->dir.path, name);
    (void)mkdir(path, 0700);
    ck_hv_ok(hv_index_open(&config, &index, &err));
    return index;
}

void
maker_setup(vault_maker *m, bool in_folder)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_vault_marker marker = {.vault = MAKER_VAULT, .created_ms = 1700000000000};
    hv_blob_attributes attributes = {.has_sha256 = true};
    char path[300];
    hv_err err;

    *m = (vault_maker){.dir = scratch_dir_make(), .vault = MAKER_VAULT, .codec = HV_CODEC_ZSTANDARD, .block_bytes = 512,
        .index_too = true};
    (void)snprintf(path, sizeof path, "%s/vault", m->dir.path);
    if (in_folder)
        ck_hv_ok(hv_storage_dir_open(path, true, &m->storage, &err));
    else
        ck_hv_ok(hv_storage_mem_open(&m->storage, &err));
    m->index = maker_open_index(m, "index");
    ck_hv_ok(hv_block_coder_new(&m->coder, &err));
    hv_vault_marker_write(&marker, &json);
    hv_slice part = hv_buf_slice(&json);
    hv_sha256(&part, 1, attributes.sha256);
    ck_hv_ok(m->storage->ops->put_new(m->storage, HV_VAULT_MARKER_NAME, &part, 1, &attributes, &err));
}

void
maker_teardown(vault_maker *m)
{
    hv_block_coder_free(m->coder);
    hv_index_close(m->index);
    hv_storage_close(m->storage);
    scratch_dir_remove(&m->dir);
}

void
maker_claim(vault_maker *m, const char *hub, uint32_t incarnation)
{
    hv_chain chain = {.storage = m->storage, .vault = m->vault};
    hv_incarnation_record record = {.incarnation = incarnation, .created_ms = 1700000000000 + incarnation,
        .cause = incarnation == 1 ? HV_INCARNATION_FIRST : HV_INCARNATION_IDENTITY};
    hv_err err;

    (void)snprintf(record.vault, sizeof record.vault, "%s", m->vault);
    (void)snprintf(record.hub, sizeof record.hub, "%s", hub);
    (void)snprintf(record.identity, sizeof record.identity, "topic-%s-%u", hub, (unsigned)incarnation);
    ck_hv_ok(hv_incarnation_claim(&chain, &record, &err));
    hv_index_incarnation entry = hv_incarnation_entry(&record);
    if (m->index_too)
        ck_hv_ok(hv_index_add_incarnation(m->index, &entry, &err));
}

/* ---- cuts ---- */

static hv_rc
leave_raw(void *arg, hv_block_job *job)
{
    (void)arg, (void)job;
    return HV_CLOSED;                   /* the sealer compresses it */
}

static void
nothing(void *arg, hv_cut *cut)
{
    (void)arg, (void)cut;
}

static const char *
class_of(char letter)
{
    switch (tolower((unsigned char)letter)) {
    case 'r':
        return "red";
    case 'g':
        return "green";
    case 'b':
        return "blue";
    case 'a':
        return "a";                     /* "<first>.a.avro" sorts before the lead, "<first>.avro" */
    case 'x':
        return "red-x";                 /* sorts behind "red", but "red-x.avro" before "red.avro" */
    default:
        return HV_CLASS_DEFAULT;
    }
}

static void
add_offset(hv_cut *cut, int64_t offset, char letter)
{
    made_event made;
    hv_err err;

    if (letter == '-' || letter == '~') {
        hv_gap gap = {.range = {offset, offset + 1}, .cause = letter == '-' ? HV_GAP_RETENTION : HV_GAP_COMPACTION};
        ck_hv_ok(hv_cut_add_gaps(cut, &gap, 1, &err));
        return;
    }
    make_event(&made, offset);
    ck_hv_ok(hv_cut_add(cut, class_of(letter), &made.event, NULL, 0, &err));
}

/* All the events, or without those in capitals. */
static hv_cut *
fill_cut(const hv_cut_config *config, const hv_partition *partition, int64_t first, const char *text, bool capitals)
{
    hv_cut *cut;
    hv_err err;

    ck_hv_ok(hv_cut_new(config, partition, first, 0, &cut, &err));
    for (size_t i = 0; text[i] != '\0'; i++)
        if (capitals || !isupper((unsigned char)text[i]))
            add_offset(cut, first + (int64_t)i, text[i]);
    hv_cut_close(cut);
    return cut;
}

static hv_seal_job *
new_job(const hv_partition *partition, hv_cut *cut, int64_t *last_look)
{
    hv_seal_job *job = calloc(1, sizeof *job);

    ck_assert_ptr_nonnull(job);
    job->partition = *partition;
    job->cut = cut;
    job->last_look_boot_ms = last_look;
    job->missing_cause = HV_GAP_RETENTION;
    return job;
}

static hv_sealer
sealer_of(vault_maker *m)
{
    return (hv_sealer){.chain = {.storage = m->storage, .vault = m->vault}, .coder = m->coder, .boot_ms = hv_clock_boot_ms};
}

static void
record(vault_maker *m, const hv_seal_job *job)
{
    hv_err err;

    for (size_t f = 0; m->index_too && f < job->found_count; f++) {
        hv_index_addition addition = {.partition = &job->partition, .cut = &job->found[f]};
        ck_hv_ok(hv_index_add(m->index, &addition, 1, &err));
    }
}

static void
put_lead(vault_maker *m, hv_seal_job *job)
{
    hv_sealer sealer = sealer_of(m);
    hv_err err;

    ck_hv_ok(hv_sealer_build(&sealer, job, &err));
    hv_seal_segment *lead = &job->segments[0];
    hv_blob_name name = hv_name_of_lead(&job->partition, job->cut->first);
    ck_hv_ok(m->storage->ops->put_new(m->storage, name.text, lead->parts, lead->part_count, &lead->attributes, &err));
}

typedef struct making {
    hv_budget budget;
    hv_cut_config config;
    int64_t last_look;
} making;

static void
start_making(vault_maker *m, making *mk)
{
    mk->budget = (hv_budget){.limit = 1 << 30};
    mk->config = (hv_cut_config){.codec = m->codec, .level = 1, .block_bytes = m->block_bytes, .budget = &mk->budget,
        .submit = leave_raw, .finished = nothing};
    mk->last_look = hv_clock_boot_ms();
}

void
maker_lead(vault_maker *m, const hv_partition *partition, int64_t first, const char *text)
{
    making mk;

    start_making(m, &mk);
    HV_AUTO(hv_seal_job_free) hv_seal_job *job = new_job(partition, fill_cut(&mk.config, partition, first, text, true),
                                                         &mk.last_look);
    put_lead(m, job);
}

/* The lead promises all; then the cut is completed with what is left, as after a crash. */
static void
cut_with_missing(vault_maker *m, making *mk, const hv_partition *partition, int64_t first, const char *text)
{
    hv_sealer sealer = sealer_of(m);
    hv_err err;

    maker_lead(m, partition, first, text);
    HV_AUTO(hv_seal_job_free) hv_seal_job *job = new_job(partition, fill_cut(&mk->config, partition, first, text, false),
                                                         &mk->last_look);
    ck_hv_ok(hv_chain_look(&sealer.chain, partition, first, &job->fill, &err));
    ck_hv_ok(hv_sealer_run(&sealer, job, &err));
    record(m, job);
}

static bool
has_capitals(const char *text)
{
    for (; *text != '\0'; text++)
        if (isupper((unsigned char)*text))
            return true;
    return false;
}

static void
seal(vault_maker *m, making *mk, const hv_partition *partition, hv_cut *cut)
{
    hv_sealer sealer = sealer_of(m);
    HV_AUTO(hv_seal_job_free) hv_seal_job *job = new_job(partition, cut, &mk->last_look);
    hv_err err;

    ck_hv_ok(hv_sealer_run(&sealer, job, &err));
    ck_assert(!job->adopted);
    record(m, job);
}

int64_t
maker_cut(vault_maker *m, const hv_partition *partition, int64_t first, const char *text)
{
    making mk;

    start_making(m, &mk);
    if (has_capitals(text))
        cut_with_missing(m, &mk, partition, first, text);
    else
        seal(m, &mk, partition, fill_cut(&mk.config, partition, first, text, true));
    return first + (int64_t)strlen(text);
}

int64_t
maker_plain_cut(vault_maker *m, const hv_partition *partition, int64_t first, int64_t count)
{
    making mk;
    hv_cut *cut;
    hv_err err;

    start_making(m, &mk);
    ck_hv_ok(hv_cut_new(&mk.config, partition, first, 0, &cut, &err));
    for (int64_t i = 0; i < count; i++)
        add_offset(cut, first + i, 'd');
    hv_cut_close(cut);
    seal(m, &mk, partition, cut);
    return first + count;
}

void
maker_rich_vault(vault_maker *m)
{
    hv_partition orders0 = maker_partition("orders", 1, 0), orders1 = maker_partition("orders", 1, 1);
    hv_partition again0 = maker_partition("orders", 2, 0), pay10 = maker_partition("orders-pay", 1, 10);
    hv_partition pay2 = maker_partition("orders-pay", 1, 2), a0 = maker_partition("a.b", 1, 0), a1 = maker_partition("a.b", 1, 1);

    maker_claim(m, "orders", 1);
    maker_claim(m, "orders", 2);
    maker_claim(m, "orders-pay", 1);
    maker_claim(m, "a.b", 1);
    int64_t at = maker_cut(m, &orders0, 0, "ddddrrgdd-drr~~dddddddddddddbdd");
    at = maker_plain_cut(m, &orders0, at, 300);
    at = maker_cut(m, &orders0, at, "----------------~~");
    at = maker_cut(m, &orders0, at, "dddrRrdggGdd");
    at = maker_cut(m, &orders0, at, "rrrrdDDDr");
    maker_lead(m, &orders0, at, "dddrrrdggd");
    at = maker_cut(m, &orders1, 0, "-----------");
    at = maker_plain_cut(m, &orders1, at, 50);
    maker_cut(m, &orders1, at, "bbbbbbbbbbbbbbbbbbbbbbrbrbrbbbbb");
    m->codec = HV_CODEC_DEFLATE;
    at = maker_cut(m, &again0, 0, "ddddddddddddddd");
    maker_plain_cut(m, &again0, at, 100);
    m->codec = HV_CODEC_NULL;
    at = maker_cut(m, &pay10, 0, "drgbdrgbdrgb");
    at = maker_cut(m, &pay10, at, "drgbdrgbdrgb");
    m->codec = HV_CODEC_ZSTANDARD;
    maker_cut(m, &pay10, at, "drgbdrgbdrgb");
    at = maker_plain_cut(m, &pay2, 0, 5);
    at = maker_cut(m, &pay2, at, "ddadrrdAadd");
    maker_cut(m, &pay2, at, "dadxddrxrrd");
    maker_plain_cut(m, &a0, 0, 5);
    maker_plain_cut(m, &a1, 0, 5);
}

/* ---- damage ---- */

void
maker_read(vault_maker *m, const char *name, hv_buf *to)
{
    hv_err err;

    hv_buf_clear(to);
    ck_hv_ok(hv_storage_get(m->storage, name, to, &err));
}

void
maker_drop(vault_maker *m, const char *name)
{
    hv_blob_properties properties;
    hv_err err;

    ck_hv_ok(m->storage->ops->properties(m->storage, name, &properties, &err));
    ck_hv_ok(m->storage->ops->delete_version(m->storage, name, properties.version, &err));
}

void
maker_replace(vault_maker *m, const char *name, hv_slice bytes, const hv_blob_attributes *attributes)
{
    hv_blob_properties properties;
    hv_err err;

    ck_hv_ok(m->storage->ops->properties(m->storage, name, &properties, &err));
    maker_drop(m, name);
    ck_hv_ok(m->storage->ops->put_new(m->storage, name, &bytes, 1, attributes != NULL ? attributes : &properties.attributes, &err));
}

void
maker_flip(vault_maker *m, const char *name, uint64_t position)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(64 << 20);

    maker_read(m, name, &bytes);
    ck_assert_uint_lt(position, bytes.len);
    bytes.data[position] = (char)(bytes.data[position] ^ 4);
    maker_replace(m, name, hv_buf_slice(&bytes), NULL);
}

void
maker_put(vault_maker *m, const char *name, const char *text)
{
    hv_slice part = hv_slice_text(text);
    hv_blob_attributes attributes = {.has_sha256 = false};
    hv_err err;

    ck_hv_ok(m->storage->ops->put_new(m->storage, name, &part, 1, &attributes, &err));
}

void
maker_swap(vault_maker *m, const char *a, const char *b)
{
    HV_AUTO(hv_buf_free) hv_buf of_a = HV_BUF_INIT(64 << 20), of_b = HV_BUF_INIT(64 << 20);
    hv_blob_properties a_was, b_was;
    hv_err err;

    maker_read(m, a, &of_a);
    maker_read(m, b, &of_b);
    ck_hv_ok(m->storage->ops->properties(m->storage, a, &a_was, &err));
    ck_hv_ok(m->storage->ops->properties(m->storage, b, &b_was, &err));
    maker_replace(m, a, hv_buf_slice(&of_b), &b_was.attributes);
    maker_replace(m, b, hv_buf_slice(&of_a), &a_was.attributes);
}
