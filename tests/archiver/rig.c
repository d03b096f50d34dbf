#include "tests/archiver/rig.h"

#include "source/scripted_state.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "archiver/chain.h"
#include "segment/names.h"

enum { HEADERS = 3, PATIENCE_MS = 20000 };

typedef struct made_event {
    hv_event event;
    char key[64], value[1200], header_value[64];
    hv_header headers[HEADERS];
} made_event;

/* The event that belongs to (salt, partition, offset): nulls, empties, duplicates and odd time stamps among them. */
static void
make_event(made_event *made, int salt, int32_t partition, int64_t offset)
{
    uint64_t mix = (uint64_t)offset * 0x9e3779b97f4a7c15u + (uint64_t)salt * 77777 + (uint64_t)partition * 131;
    int key_len = snprintf(made->key, sizeof made->key, "key-%d-%d-%lld", salt, (int)partition, (long long)(mix % 97));
    int value_len = snprintf(made->value, sizeof made->value, "{\"salt\":%d,\"offset\":%lld,\"pad\":\"%0*d\"}", salt, (long long)offset,
                             (int)(mix % 900), 7);
    int header_len = snprintf(made->header_value, sizeof made->header_value, "h%llu", (unsigned long long)mix);

    made->headers[0] = (hv_header){.name = hv_slice_text("trace"), .value = hv_slice_of(made->header_value, (size_t)header_len)};
    made->headers[1] = (hv_header){.name = hv_slice_text("trace"), .value = HV_SLICE_NULL};
    made->headers[2] = (hv_header){.name = hv_slice_text(""), .value = hv_slice_text("")};
    made->event = (hv_event){.offset = offset, .timestamp_ms = 1700000000000 + (int64_t)(mix % 100000) - 50000,
        .timestamp_type = HV_TIMESTAMP_CREATE, .key = hv_slice_of(made->key, (size_t)key_len),
        .value = hv_slice_of(made->value, (size_t)value_len), .headers = made->headers, .header_count = mix % (HEADERS + 1)};
    if (mix % 11 == 0)
        made->event.key = HV_SLICE_NULL;
    if (mix % 13 == 0)
        made->event.value = HV_SLICE_NULL;
    if (mix % 17 == 0)
        made->event.value = hv_slice_text("");
    if (mix % 19 == 0)
        made->event.timestamp_ms = -5;
    if (mix % 23 == 0)
        made->event.timestamp_ms = INT64_C(4102444800000);
}

static pthread_mutex_t text_lock = PTHREAD_MUTEX_INITIALIZER;

bool
rig_has_said(rig *r, const char *text)
{
    (void)pthread_mutex_lock(&text_lock);
    bool said = strstr(r->last_text, text) != NULL;
    (void)pthread_mutex_unlock(&text_lock);
    return said;
}

void
rig_forget_what_was_said(rig *r)
{
    (void)pthread_mutex_lock(&text_lock);
    r->last_text[0] = '\0';
    (void)pthread_mutex_unlock(&text_lock);
}

static void
count_report(void *arg, const hv_archiver_report *report)
{
    rig *r = arg;

    r->reports[report->event]++;
    if (report->err != NULL) {
        (void)pthread_mutex_lock(&text_lock);
        (void)snprintf(r->last_text, sizeof r->last_text, "%s", report->err->msg);
        (void)pthread_mutex_unlock(&text_lock);
    }
    if (getenv("RIG_TRACE") != NULL)
        fprintf(stderr, "report %d %s/%d %lld..%lld %s %s\n", (int)report->event, report->partition == NULL ? "-" : report->partition->hub,
                report->partition == NULL ? -1 : (int)report->partition->number, (long long)report->range.first,
                (long long)report->range.end, report->text == NULL ? "" : report->text, report->err == NULL ? "" : report->err->msg);
}

static void
open_index(rig *r)
{
    hv_err err;
    hv_index_config config = {.dir = r->dir.path, .map_bytes = 1 << 20, .vault = RIG_VAULT};

    ck_hv_ok(hv_index_open(&config, &r->index, &err));
    r->config.index = r->index;
}

void
rig_setup(rig *r)
{
    hv_err err;

    memset(r, 0, sizeof *r);
    r->dir = scratch_dir_make();
    ck_hv_ok(hv_storage_mem_open(&r->storage, &err));
    ck_hv_ok(hv_source_scripted_open(&r->source, &err));
    r->config = (hv_archiver_config){.source_count = 1, .vault = RIG_VAULT, .codec = HV_CODEC_ZSTANDARD, .level = 1,
        .block_bytes = 8 << 10, .max_bytes = 64 << 10, .max_age_ms = 60000, .memory_bytes = 64 << 20, .workers = 2, .uploaders = 2,
        .discovery_ms = 50, .retry_ms = 5, .give_up_ms = 60000, .patience_ms = 60000, .report = count_report, .report_arg = r};
    open_index(r);
    for (int i = 0; i < 3; i++)
        for (int p = 0; p < RIG_PARTITIONS; p++)
            r->log[i][p].salt = i + 1;
}

void
rig_teardown(rig *r)
{
    hv_index_close(r->index);
    hv_source_close(r->source);
    hv_storage_close(r->storage);
    scratch_dir_remove(&r->dir);
}

void
rig_reopen_index(rig *r)
{
    hv_index_close(r->index);
    open_index(r);
}

void
rig_lose_disk(rig *r)
{
    hv_index_close(r->index);
    scratch_dir_remove(&r->dir);
    r->dir = scratch_dir_make();
    open_index(r);
}

void
rig_produce(rig *r, uint32_t incarnation, int32_t partition, int count)
{
    rig_log *log = &r->log[incarnation - 1][partition];
    made_event made;

    for (int i = 0; i < count; i++) {
        make_event(&made, log->salt, partition, log->end);
        ck_assert_int_eq(hv_scripted_append(r->source, RIG_HUB, partition, &made.event), log->end);
        ck_assert_int_lt(log->end, RIG_OFFSETS);
        log->what[log->end++] = 'e';
    }
}

/* Nobody sees anything of the sources until unlock_all(). */
static void
lock_all(rig *const *rigs, int rig_count)
{
    for (int r = 0; r < rig_count; r++)
        hv_scripted_lock(hv_scripted_of(rigs[r]->source));
}

static void
unlock_all(rig *const *rigs, int rig_count)
{
    for (int r = 0; r < rig_count; r++)
        hv_scripted_unlock_changed(hv_scripted_of(rigs[r]->source));
}

static void
append_locked(rig *r, uint32_t incarnation, int32_t partition)
{
    rig_log *log = &r->log[incarnation - 1][partition];
    hv_scripted_partition *there = hv_scripted_find_partition(hv_scripted_of(r->source), RIG_HUB, partition);
    made_event made;

    ck_assert_ptr_nonnull(there);
    make_event(&made, log->salt, partition, log->end);
    ck_assert_int_eq(hv_scripted_log_append(&there->log, &made.event), log->end);
    ck_assert_int_lt(log->end, RIG_OFFSETS);
    log->what[log->end++] = 'e';
}

void
rig_produce_everywhere(rig *const *rigs, int rig_count, uint32_t incarnation, int32_t partition, int count)
{
    for (int i = 0; i < count; i++) {
        lock_all(rigs, rig_count);
        for (int r = 0; r < rig_count; r++)
            append_locked(rigs[r], incarnation, partition);
        unlock_all(rigs, rig_count);
    }
}

void
rig_recreate_everywhere(rig *const *rigs, int rig_count, int32_t partitions, const char *identity, int count)
{
    lock_all(rigs, rig_count);
    for (int r = 0; r < rig_count; r++) {
        hv_scripted_set_hub(hv_scripted_of(rigs[r]->source), RIG_HUB, partitions, identity);
        for (int32_t p = 0; p < partitions; p++) {
            rigs[r]->log[1][p].salt = 2;
            for (int i = 0; i < count + p; i++)
                append_locked(rigs[r], 2, p);
            rig_mark(rigs[r], 1, p, 0, rigs[r]->log[0][p].end, 0);          /* may be sealed yet, or gone */
            rigs[r]->log[0][p].end = RIG_OFFSETS;
        }
    }
    unlock_all(rigs, rig_count);
}

void
rig_mark(rig *r, uint32_t incarnation, int32_t partition, int64_t first, int64_t end, char what)
{
    memset(r->log[incarnation - 1][partition].what + first, what, (size_t)(end - first));
}

void
rig_skip(rig *r, uint32_t incarnation, int32_t partition, int count, char what)
{
    rig_log *log = &r->log[incarnation - 1][partition];

    hv_scripted_skip(r->source, RIG_HUB, partition, count);
    rig_mark(r, incarnation, partition, log->end, log->end + count, what);
    log->end += count;
}

hv_rc
rig_run_once(rig *r, hv_storage *storage, hv_err *err)
{
    hv_archiver *archiver = NULL;

    r->config.sources = &r->source;
    r->config.storage = storage != NULL ? storage : r->storage;
    r->config.once = true;
    hv_rc rc = hv_archiver_start(&r->config, &archiver, err);
    return rc != HV_OK ? rc : hv_archiver_join(archiver, NULL, err);
}

typedef struct checking {
    rig *r;
    hv_partition partition;
    const rig_log *log;
    char seen[RIG_OFFSETS];
} checking;

static void
see_event(checking *c, const hv_event *event)
{
    made_event made;

    ck_assert_int_lt(event->offset, c->log->end);
    ck_assert_msg(c->seen[event->offset] == 0, "offset %lld of partition %d is there twice", (long long)event->offset, c->partition.number);
    c->seen[event->offset] = 'e';
    make_event(&made, c->log->salt, c->partition.number, event->offset);
    ck_assert_msg(hv_event_equal(event, &made.event), "offset %lld of partition %d came back changed", (long long)event->offset,
                  c->partition.number);
}

static void
see_gap(checking *c, const hv_gap *gap)
{
    for (int64_t o = gap->range.first; o < gap->range.end; o++) {
        ck_assert_msg(c->seen[o] == 0, "offset %lld is a gap and something else", (long long)o);
        c->seen[o] = hv_gap_cause_text(gap->cause)[0];
        if (gap->cause == HV_GAP_TRANSACTION)
            c->seen[o] = 'x';           /* not to be taken for truncation */
    }
}

static void
check_segment(checking *c, const hv_index_cut *cut, const hv_index_segment *segment)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(64 << 20), stored = HV_BUF_INIT(64 << 20);
    hv_chain chain = {.storage = c->r->storage, .vault = RIG_VAULT};
    hv_blob_name name = segment->is_lead ? hv_name_of_lead(&c->partition, cut->range.first)
                                         : hv_name_of_sibling(&c->partition, cut->range.first, segment->class_name);
    hv_index_segment facts;
    hv_event event;
    hv_err err;

    ck_hv_ok(hv_block_coder_new(&coder, &err));
    ck_hv_ok(hv_chain_read_segment(&chain, name.text, &front, &facts, &err));
    ck_assert_int_eq(facts.count, segment->count);
    ck_assert_uint_eq(facts.size, segment->size);
    ck_assert_mem_eq(facts.sha256, segment->sha256, HV_SHA256_SIZE);
    ck_assert_uint_eq(facts.block_count, segment->block_count);
    free(facts.missing);
    free(facts.blocks);
    for (size_t b = 0; b < segment->block_count; b++) {
        hv_buf_clear(&stored);
        ck_hv_ok(c->r->storage->ops->get_range(c->r->storage, name.text, segment->blocks[b].position, segment->blocks[b].length, &stored, &err));
        ck_hv_ok(hv_block_open(coder, front.header->codec, front.sync, &front.header->blocks[b], hv_buf_slice(&stored), &raw, &err));
        HV_AUTO(hv_event_reader_free) hv_event_reader reader = hv_event_reader_make(hv_buf_slice(&raw));
        while (hv_event_reader_more(&reader)) {
            ck_hv_ok(hv_event_reader_next(&reader, &event, &err));
            see_event(c, &event);
        }
    }
    for (size_t m = 0; m < segment->missing_count; m++)
        see_gap(c, &segment->missing[m]);
}

static void
check_partition(rig *r, uint32_t incarnation, int32_t number)
{
    checking *c = calloc(1, sizeof *c);
    int64_t at = 0;
    hv_err err;

    ck_assert_ptr_nonnull(c);
    c->r = r;
    c->log = &r->log[incarnation - 1][number];
    ck_hv_ok(hv_partition_make(RIG_HUB, incarnation, number, &c->partition, &err));
    int64_t position = rig_position(r, incarnation, number);
    while (at < position) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = {0};
        ck_hv_ok(hv_index_find_offset(r->index, &c->partition, at, &cut, &err));
        ck_assert_int_eq(cut.range.first, at);
        at = cut.range.end;
        for (size_t s = 0; s < cut.segment_count; s++)
            check_segment(c, &cut, &cut.segments[s]);
        for (size_t g = 0; g < cut.gap_count; g++)
            see_gap(c, &cut.gaps[g]);
    }
    for (int64_t o = 0; o < position; o++) {
        char want = c->log->what[o], seen = c->seen[o];
        ck_assert_msg(seen != 0, "offset %lld of partition %d below position %lld is neither event nor gap", (long long)o, number,
                      (long long)position);
        ck_assert_msg(want == 0 || want == seen || (want == 'g' && seen != 'e'), "offset %lld of partition %d: wanted '%c', the vault has '%c'",
                      (long long)o, number, want, seen);
    }
    free(c);
}

void
rig_check(rig *r)
{
    for (uint32_t incarnation = 1; incarnation <= 3; incarnation++)
        for (int32_t p = 0; p < RIG_PARTITIONS; p++)
            check_partition(r, incarnation, p);
}

void
rig_check_all_captured(rig *r)
{
    rig_check(r);
    for (uint32_t incarnation = 1; incarnation <= 3; incarnation++)
        for (int32_t p = 0; p < RIG_PARTITIONS; p++) {
            const rig_log *log = &r->log[incarnation - 1][p];
            int64_t wanted = log->end;
            while (wanted > 0 && log->what[wanted - 1] != 'e')
                wanted--;
            ck_assert_msg(rig_position(r, incarnation, p) >= wanted, "partition %d of incarnation %u is captured up to %lld of %lld", p,
                          incarnation, (long long)rig_position(r, incarnation, p), (long long)wanted);
        }
}

int64_t
rig_position(rig *r, uint32_t incarnation, int32_t number)
{
    hv_partition partition;
    int64_t position = -1;
    hv_err err;

    ck_hv_ok(hv_partition_make(RIG_HUB, incarnation, number, &partition, &err));
    ck_hv_ok(hv_index_position(r->index, &partition, &position, &err));
    return position;
}

const char *
rig_three_classes(void *arg, const hv_partition *partition, const hv_event *event)
{
    static const char *const names[] = {"red", "default", "default", "default", "green", "default", "red"};

    (void)arg, (void)partition;
    return names[event->offset % 7];
}

/* ---- a capture that goes on ---- */

hv_archiver *
rig_begin(rig *r, int64_t max_age_ms)
{
    hv_archiver *archiver = NULL;
    hv_err err;

    r->config.sources = &r->source;
    r->config.storage = r->storage;
    r->config.max_age_ms = max_age_ms;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    return archiver;
}

void
rig_end(hv_archiver *archiver)
{
    hv_err err;

    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
}

void
rig_wait_position(rig *r, uint32_t incarnation, int32_t partition, int64_t position)
{
    for (int ms = 0; ms < PATIENCE_MS && rig_position(r, incarnation, partition) < position; ms += 10)
        usleep(10000);
    ck_assert_int_eq(rig_position(r, incarnation, partition), position);
}

void
rig_wait_report(rig *r, int kind)
{
    for (int ms = 0; ms < PATIENCE_MS && r->reports[kind] == 0; ms += 10)
        usleep(10000);
    ck_assert_int_gt(r->reports[kind], 0);
}
