#include "tests/replay/vault_builder.h"

#include <stdio.h>

#include "segment/names.h"
#include "segment/segment_file.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { MANY_BYTES = 1 << 28, MAX_CLASSES = 8 };

/* ---- events that own their bytes ---- */

static void *
need(void *memory)
{
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static hv_slice
copy_slice(hv_slice from)
{
    if (from.data == NULL)
        return from;
    char *copy = need(malloc(from.len + 1));
    if (from.len > 0)
        memcpy(copy, from.data, from.len);
    return hv_slice_of(copy, from.len);
}

static void
free_slice(hv_slice slice)
{
    union {
        const void *borrowed;
        void *owned;
    } memory = {.borrowed = slice.data};

    free(memory.owned);
}

static hv_event
copy_event(const hv_event *from)
{
    hv_event copy = *from;
    hv_header *headers = need(calloc(from->header_count + 1, sizeof *headers));

    copy.key = copy_slice(from->key);
    copy.value = copy_slice(from->value);
    for (size_t i = 0; i < from->header_count; i++)
        headers[i] = (hv_header){.name = copy_slice(from->headers[i].name), .value = copy_slice(from->headers[i].value)};
    copy.headers = headers;
    return copy;
}

static void
free_event(hv_event *event)
{
    free_slice(event->key);
    free_slice(event->value);
    for (size_t i = 0; i < event->header_count; i++) {
        free_slice(event->headers[i].name);
        free_slice(event->headers[i].value);
    }
    free_slice(hv_slice_of(event->headers, 0));
}

void
kept_add(kept_events *to, const hv_partition *partition, const hv_event *event, const char *class_name)
{
    if (to->count == to->room) {
        to->room = to->room * 2 + 16;
        to->items = need(reallocarray(to->items, to->room, sizeof *to->items));
    }
    to->items[to->count] = (kept_event){.partition = *partition, .event = copy_event(event)};
    (void)snprintf(to->items[to->count++].class_name, HV_CLASS_SIZE, "%s", class_name != NULL ? class_name : HV_CLASS_DEFAULT);
}

void
kept_clear(kept_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        free_event(&events->items[i].event);
    free(events->items);
    *events = (kept_events){.items = NULL};
}

void
kept_expect_equal(const kept_events *got, const kept_events *want)
{
    for (size_t i = 0; i < got->count && i < want->count; i++) {
        const kept_event *a = &got->items[i], *b = &want->items[i];
        ck_assert_msg(hv_partition_compare(&a->partition, &b->partition) == 0 && test_events_equal(&a->event, &b->event),
                      "event %zu is %s/%u/%d offset %lld, wanted %s/%u/%d offset %lld", i, a->partition.hub,
                      a->partition.incarnation, a->partition.number, (long long)a->event.offset, b->partition.hub,
                      b->partition.incarnation, b->partition.number, (long long)b->event.offset);
    }
    ck_assert_uint_eq(got->count, want->count);
}

/* ---- the vault ---- */

void
vault_open(vault_builder *vault)
{
    hv_err err;

    *vault = (vault_builder){.dir = scratch_dir_make()};
    ck_hv_ok(hv_storage_mem_open(&vault->storage, &err));
    ck_hv_ok(hv_index_open(&(hv_index_config){.dir = vault->dir.path, .map_bytes = 16 << 20, .vault = TEST_VAULT}, &vault->index,
                           &err));
    ck_hv_ok(hv_block_coder_new(&vault->coder, &err));
}

void
vault_close(vault_builder *vault)
{
    hv_index_close(vault->index);
    hv_storage_close(vault->storage);
    hv_block_coder_free(vault->coder);
    kept_clear(&vault->events);
    free(vault->gaps);
    scratch_dir_remove(&vault->dir);
}

hv_partition
vault_partition(const char *hub, uint32_t incarnation, int32_t number)
{
    hv_err err;
    hv_partition partition;

    ck_hv_ok(hv_partition_make(hub, incarnation, number, &partition, &err));
    return partition;
}

void
vault_incarnation(vault_builder *vault, const char *hub, uint32_t incarnation, const char *identity)
{
    hv_err err;
    hv_index_incarnation entry = {.incarnation = incarnation, .created_ms = 1700000000000, .cause = "first"};

    (void)snprintf(entry.hub, sizeof entry.hub, "%s", hub);
    (void)snprintf(entry.identity, sizeof entry.identity, "%s", identity);
    ck_hv_ok(hv_index_add_incarnation(vault->index, &entry, &err));
}

void
vault_add(vault_builder *vault, const hv_partition *partition, const hv_event *event, const char *class_name)
{
    kept_add(&vault->events, partition, event, class_name);
}

void
vault_add_text(vault_builder *vault, const hv_partition *partition, int64_t offset, int64_t timestamp_ms, const char *value)
{
    vault_add(vault, partition, &(hv_event){.offset = offset, .timestamp_ms = timestamp_ms, .timestamp_type = HV_TIMESTAMP_CREATE,
                                            .value = hv_slice_text(value)}, NULL);
}

void
vault_missing(vault_builder *vault, const hv_partition *partition, const char *class_name, hv_gap gap)
{
    if (vault->gap_count == vault->gap_room) {
        vault->gap_room = vault->gap_room * 2 + 16;
        vault->gaps = need(reallocarray(vault->gaps, vault->gap_room, sizeof *vault->gaps));
    }
    built_gap *added = &vault->gaps[vault->gap_count++];
    *added = (built_gap){.partition = *partition, .gap = gap};
    (void)snprintf(added->missing_in, sizeof added->missing_in, "%s", class_name);
}

void
vault_gap(vault_builder *vault, const hv_partition *partition, hv_gap gap)
{
    vault_missing(vault, partition, "", gap);
}

/* ---- one cut ---- */

typedef struct cut_part {
    char class_name[HV_CLASS_SIZE];
    const hv_event **events;            /* of the class, in order */
    size_t event_count;
    hv_gap missing[16];
    size_t missing_count;
    hv_range *ranges;                   /* events and missing together */
    size_t range_count;
} cut_part;

typedef struct cut_parts {
    cut_part parts[MAX_CLASSES];
    size_t count;
    hv_gap *gaps;
    size_t gap_count;
    int64_t last;
} cut_parts;

static cut_part *
part_of_class(cut_parts *cut, const char *class_name, size_t room)
{
    for (size_t i = 0; i < cut->count; i++)
        if (strcmp(cut->parts[i].class_name, class_name) == 0)
            return &cut->parts[i];
    ck_assert_uint_lt(cut->count, MAX_CLASSES);
    cut_part *added = &cut->parts[cut->count++];
    *added = (cut_part){.events = need(calloc(room + 1, sizeof *added->events)), .ranges = need(calloc(room + 1,
                                                                                                       sizeof *added->ranges))};
    memcpy(added->class_name, class_name, strlen(class_name));
    return added;
}

static void
add_range(cut_part *to, hv_range range)
{
    if (to->range_count > 0 && to->ranges[to->range_count - 1].end == range.first)
        to->ranges[to->range_count - 1].end = range.end;
    else
        to->ranges[to->range_count++] = range;
}

/* Missing offsets of a class come as ranges between its events: both lists ascend, so merge them. */
static void
add_missing_before(vault_builder *vault, const hv_partition *partition, cut_parts *cut, int64_t before, size_t room)
{
    for (size_t i = 0; i < vault->gap_count; i++) {
        built_gap *gap = &vault->gaps[i];
        if (gap->sealed || gap->missing_in[0] == '\0' || hv_partition_compare(&gap->partition, partition) != 0 ||
            gap->gap.range.first >= before)
            continue;
        cut_part *part = part_of_class(cut, gap->missing_in, room);
        ck_assert_uint_lt(part->missing_count, 16);
        part->missing[part->missing_count++] = gap->gap;
        add_range(part, gap->gap.range);
        cut->last = gap->gap.range.end > cut->last ? gap->gap.range.end : cut->last;
        gap->sealed = true;
    }
}

static void
collect(vault_builder *vault, const hv_partition *partition, cut_parts *cut)
{
    size_t room = vault->events.count + vault->gap_count;

    cut->gaps = need(calloc(vault->gap_count + 1, sizeof *cut->gaps));
    for (size_t i = 0; i < vault->events.count; i++) {
        kept_event *event = &vault->events.items[i];
        if (event->sealed || hv_partition_compare(&event->partition, partition) != 0)
            continue;
        add_missing_before(vault, partition, cut, event->event.offset, room);
        cut_part *part = part_of_class(cut, event->class_name, room);
        part->events[part->event_count++] = &event->event;
        add_range(part, (hv_range){.first = event->event.offset, .end = event->event.offset + 1});
        cut->last = event->event.offset + 1;
        event->sealed = true;
    }
    add_missing_before(vault, partition, cut, INT64_MAX, room);
    for (size_t i = 0; i < vault->gap_count; i++) {
        built_gap *gap = &vault->gaps[i];
        if (gap->sealed || hv_partition_compare(&gap->partition, partition) != 0)
            continue;
        cut->gaps[cut->gap_count++] = gap->gap;
        cut->last = gap->gap.range.end > cut->last ? gap->gap.range.end : cut->last;
        gap->sealed = true;
    }
}

static int
compare_parts(const void *a, const void *b)
{
    return strcmp(((const cut_part *)a)->class_name, ((const cut_part *)b)->class_name);
}

/* The lead goes first: the class with most events, and none missing. */
static void
choose_lead(cut_parts *cut)
{
    size_t lead = 0;

    for (size_t i = 1; i < cut->count; i++)
        if (cut->parts[lead].missing_count > 0 ||
            (cut->parts[i].missing_count == 0 && cut->parts[i].event_count > cut->parts[lead].event_count))
            lead = i;
    cut_part first = cut->parts[lead];
    cut->parts[lead] = cut->parts[0];
    cut->parts[0] = first;
    ck_assert_uint_eq(first.missing_count, 0);
    qsort(&cut->parts[1], cut->count - 1, sizeof first, compare_parts);
}

static size_t
make_blocks(vault_builder *vault, const cut_part *part, const vault_seal_config *config, hv_block *blocks)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(MANY_BYTES);
    hv_block_format format = {.codec = config->codec, .level = 1};
    size_t per_block = config->events_per_block > 0 ? config->events_per_block : 3, count = 0;

    memcpy(format.sync, test_sync, sizeof format.sync);
    for (size_t i = 0; i < part->event_count;) {
        hv_block_facts facts = {.first_offset = part->events[i]->offset, .min_timestamp_ms = INT64_MAX,
                                .max_timestamp_ms = INT64_MIN};
        hv_buf_clear(&raw);
        for (; i < part->event_count && (size_t)facts.count < per_block; i++, facts.count++) {
            const hv_event *event = part->events[i];
            hv_event_encode(event, &raw);
            facts.last_offset = event->offset;
            if (event->timestamp_ms < facts.min_timestamp_ms)
                facts.min_timestamp_ms = event->timestamp_ms;
            if (event->timestamp_ms > facts.max_timestamp_ms)
                facts.max_timestamp_ms = event->timestamp_ms;
        }
        ck_hv_ok(hv_buf_check(&raw, &err));
        ck_hv_ok(hv_block_seal(vault->coder, &format, &facts, hv_buf_slice(&raw), &blocks[count++], &err));
    }
    return count;
}

static hv_index_segment
index_entry(const hv_segment_header *header, size_t data_start, const unsigned char *sha256)
{
    hv_index_segment entry = {
        .is_lead = !header->is_sibling, .codec = (uint8_t)header->codec, .size = data_start + header->blocks_bytes,
        .data_start = data_start, .created_ms = header->created_ms, .count = header->count,
        .min_timestamp_ms = header->min_timestamp_ms, .max_timestamp_ms = header->max_timestamp_ms,
        .missing_count = header->missing_count, .block_count = header->block_count,
    };

    memcpy(entry.class_name, header->class_name, sizeof entry.class_name);
    memcpy(entry.sha256, sha256, sizeof entry.sha256);
    memcpy(entry.merkle_root, header->merkle_root, sizeof entry.merkle_root);
    entry.missing = need(calloc(header->missing_count + 1, sizeof *entry.missing));
    if (header->missing_count > 0)
        memcpy(entry.missing, header->missing, header->missing_count * sizeof *entry.missing);
    entry.blocks = need(calloc(header->block_count + 1, sizeof *entry.blocks));
    for (size_t i = 0; i < header->block_count; i++) {
        const hv_block_ref *ref = &header->blocks[i];
        entry.blocks[i] = (hv_index_block){.position = data_start + ref->position, .length = ref->length,
                                           .first_offset = ref->first_offset,
                                           .count = ref->count, .min_timestamp_ms = ref->min_timestamp_ms,
                                           .max_timestamp_ms = ref->max_timestamp_ms};
        memcpy(entry.blocks[i].sha256, ref->sha256, sizeof ref->sha256);
    }
    return entry;
}

/* Stores the segment and returns what the index has to know of it. lead_sha256: in for siblings, out for the lead. */
static hv_index_segment
store_segment(vault_builder *vault, hv_segment_header header, cut_part *part, const vault_seal_config *config,
              unsigned char *lead_sha256)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(MANY_BYTES);
    hv_block *blocks = need(calloc(part->event_count + 1, sizeof *blocks));
    unsigned char sha256[HV_SHA256_SIZE];

    size_t count = make_blocks(vault, part, config, blocks);
    memcpy(header.class_name, part->class_name, sizeof header.class_name);
    header.missing = part->missing;
    header.missing_count = part->missing_count;
    if (header.is_sibling)
        memcpy(header.lead_sha256, lead_sha256, sizeof header.lead_sha256);
    ck_hv_ok(hv_segment_assemble(&header, blocks, count, test_sync, &blob, sha256, &err));
    hv_index_segment entry = index_entry(&header, blob.len, sha256);
    for (size_t i = 0; i < count; i++) {
        hv_buf_put(&blob, blocks[i].stored, blocks[i].ref.length);
        hv_block_free(&blocks[i]);
    }
    ck_hv_ok(hv_buf_check(&blob, &err));
    hv_blob_name name = header.is_sibling ? hv_name_of_sibling(&header.partition, header.cut.first, header.class_name)
                                          : hv_name_of_lead(&header.partition, header.cut.first);
    hv_slice bytes = hv_buf_slice(&blob);
    ck_hv_ok(vault->storage->ops->put_new(vault->storage, name.text, &bytes, 1, &(hv_blob_attributes){.has_sha256 = false}, &err));
    if (!header.is_sibling)
        memcpy(lead_sha256, sha256, sizeof sha256);
    free(header.blocks);
    free(blocks);
    return entry;
}

void
vault_seal(vault_builder *vault, const hv_partition *partition, const vault_seal_config *config)
{
    hv_err err;
    cut_parts cut = {.count = 0};
    hv_class_map classes[MAX_CLASSES];
    hv_index_segment entries[MAX_CLASSES];
    unsigned char lead_sha256[HV_SHA256_SIZE];
    int64_t position;

    ck_hv_ok(hv_index_position(vault->index, partition, &position, &err));
    collect(vault, partition, &cut);
    if (cut.count == 0)
        (void)part_of_class(&cut, HV_CLASS_NONE, 0);
    choose_lead(&cut);
    hv_segment_header header = {.vault = TEST_VAULT, .partition = *partition, .created_ms = 1700000000000, .codec = config->codec,
                                .cut = {.first = position, .end = config->end > 0 ? config->end : cut.last},
                                .classes = classes, .class_count = cut.count - 1, .gaps = cut.gaps, .gap_count = cut.gap_count};
    for (size_t i = 1; i < cut.count; i++) {
        classes[i - 1] = (hv_class_map){.ranges = cut.parts[i].ranges, .range_count = cut.parts[i].range_count};
        memcpy(classes[i - 1].class_name, cut.parts[i].class_name, HV_CLASS_SIZE);
    }
    for (size_t i = 0; i < cut.count; i++) {
        header.is_sibling = i > 0;
        entries[i] = store_segment(vault, header, &cut.parts[i], config, lead_sha256);
    }
    hv_index_cut added = {.range = header.cut, .segments = entries, .segment_count = cut.count, .gaps = cut.gaps,
                          .gap_count = cut.gap_count};
    ck_hv_ok(hv_index_add(vault->index, &(hv_index_addition){.partition = partition, .cut = &added}, 1, &err));
    for (size_t i = 0; i < cut.count; i++) {
        free(entries[i].missing);
        free(entries[i].blocks);
        free(cut.parts[i].events);
        free(cut.parts[i].ranges);
    }
    free(cut.gaps);
}

/* ---- damage ---- */

typedef struct copying {
    hv_storage *from, *to;
    const char *blob;
    int64_t flip_at, cut_at;
    bool found;
} copying;

static hv_rc
copy_blob(void *arg, const char *name, uint64_t size, hv_err *err)
{
    copying *copy = arg;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(MANY_BYTES);
    bool chosen = strcmp(name, copy->blob) == 0;

    (void)size;
    hv_rc rc = hv_storage_get(copy->from, name, &bytes, err);
    if (rc != HV_OK)
        return rc;
    hv_slice part = hv_buf_slice(&bytes);
    if (chosen) {
        copy->found = true;
        if (copy->cut_at == 0)
            return HV_OK;
        if (copy->cut_at > 0)
            part.len = (size_t)copy->cut_at;
        else
            bytes.data[copy->flip_at] = (char)(bytes.data[copy->flip_at] ^ 0x40);
    }
    return copy->to->ops->put_new(copy->to, name, &part, 1, &(hv_blob_attributes){.has_sha256 = false}, err);
}

hv_storage *
vault_damaged_copy(const vault_builder *vault, const char *blob, int64_t flip_at, int64_t cut_at)
{
    hv_err err;
    copying copy = {.from = vault->storage, .blob = blob, .flip_at = flip_at, .cut_at = cut_at};

    ck_hv_ok(hv_storage_mem_open(&copy.to, &err));
    ck_hv_ok(hv_storage_walk(vault->storage, "", copy_blob, &copy, &err));
    ck_assert_msg(copy.found, "there is no blob '%s'", blob);
    return copy.to;
}

/* ---- the sink ---- */

static hv_rc
keep_begin(hv_sink *sink, hv_sink_start *start, hv_err *err)
{
    (void)start;
    (void)err;
    ((keeping_sink *)sink)->begins++;
    return HV_OK;
}

static hv_rc
keep_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err)
{
    keeping_sink *keeping = (keeping_sink *)sink;

    if (keeping->fail_at == (int64_t)keeping->events.count)
        return hv_err_set(err, HV_IO, "the sink fails as it was told to");
    kept_add(&keeping->events, from, event, NULL);
    sink->facts.events++;
    return HV_OK;
}

static hv_rc
keep_flush(hv_sink *sink, hv_err *err)
{
    (void)err;
    ((keeping_sink *)sink)->flushes++;
    return HV_OK;
}

static hv_rc
keep_end(hv_sink *sink, hv_err *err)
{
    (void)err;
    ((keeping_sink *)sink)->ends++;
    return HV_OK;
}

static void
keep_close(hv_sink *sink)
{
    (void)sink;
}

keeping_sink
keeping_sink_make(void)
{
    static const hv_sink_ops ops = {.name = "keeping", .begin = keep_begin, .event = keep_event, .flush = keep_flush,
                                    .end = keep_end, .close = keep_close};

    return (keeping_sink){.base = {.ops = &ops}, .fail_at = -1};
}

void
keeping_sink_clear(keeping_sink *sink)
{
    kept_clear(&sink->events);
}
