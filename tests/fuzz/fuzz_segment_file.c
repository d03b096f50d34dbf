/*
 * A whole segment in a store, read as capture, replay and verification read it. The first byte says how the rest becomes one: the bytes
 * as they are; the bytes with all hashes made right; or the rest are events, of which a segment is made whose hashes are right and whose
 * header says what the second byte wants.
 *
 * What verification finds in the bytes is held against a walk of our own: both find nothing, or both something.
 */
#include <assert.h>
#include <stdlib.h>

#include "archiver/chain.h"
#include "archiver/incarnation.h"
#include "archiver/verify.h"
#include "replay/fetcher.h"
#include "segment/names.h"
#include "storage/drivers.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mend_segment.h"

enum { MOST = 64 << 10, ROOM = 1 << 20, MOST_EVENTS = 4096, LIMIT = 64 << 20 };
enum { ONE_MORE = 1, EARLIER = 2, LATER = 4, TWO_BLOCKS = 8, OWN_OFFSETS = 16, AS_A_WHOLE = 32, NO_ATTRIBUTE = 64 };

static const char default_vault[] = "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10";

/* ---- our own walk ---- */

typedef struct own_walk {
    hv_range *own;
    size_t count, range;
    int64_t into;
} own_walk;

static bool
expects(own_walk *walk, int64_t offset)
{
    if (walk->range == walk->count || walk->own[walk->range].first + walk->into != offset)
        return false;
    if (++walk->into == walk->own[walk->range].end - walk->own[walk->range].first) {
        walk->range++;
        walk->into = 0;
    }
    return true;
}

static bool
events_are_right(hv_slice raw, const hv_block_ref *ref, own_walk *walk)
{
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    int64_t min = INT64_MAX, max = INT64_MIN, count = 0;
    hv_event event;
    hv_err err;

    hv_event_reader_reset(&reader, raw);
    for (; hv_event_reader_more(&reader); count++) {
        if (hv_event_reader_next(&reader, &event, &err) != HV_OK || !expects(walk, event.offset))
            return false;
        min = event.timestamp_ms < min ? event.timestamp_ms : min;
        max = event.timestamp_ms > max ? event.timestamp_ms : max;
    }
    return count == ref->count && min == ref->min_timestamp_ms && max == ref->max_timestamp_ms;
}

/* The opened blocks come from the fetcher; here is checked that they are what a plain reading gives. */
static bool
block_is_right(hv_block_coder *coder, const hv_segment_front *front, hv_slice blob, size_t i, const hv_fetched_block *fetched,
               own_walk *walk)
{
    const hv_block_ref *ref = &front->header->blocks[i];
    hv_slice stored = hv_slice_of((const char *)blob.data + front->data_start + ref->position, ref->length);
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    hv_err err;

    bool opens = hv_block_open(coder, front->header->codec, front->sync, ref, stored, &raw, &err) == HV_OK;
    if (opens)
        assert(fetched->rc == HV_OK && hv_slice_equal(hv_buf_slice(&fetched->raw), hv_buf_slice(&raw)));
    return opens && events_are_right(hv_buf_slice(&raw), ref, walk);
}

static bool
blocks_are_right(hv_storage *storage, const char *name, const hv_segment_front *front, const hv_index_segment *facts, hv_slice blob)
{
    hv_fetcher_config config = {.storage = storage, .memory_bytes = LIMIT, .tries = 1};
    hv_fetch fetch = {.segment = name, .codec = facts->codec, .blocks = facts->blocks, .block_count = facts->block_count};
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_fetcher_free) hv_fetcher *fetcher = NULL;
    own_walk walk = {0};
    hv_err err;
    bool right = true;

    if (facts->block_count == 0)
        return true;
    assert(hv_fetcher_new(&config, &fetcher, &err) == HV_OK && hv_block_coder_new(&coder, &err) == HV_OK);
    assert(hv_segment_header_own(front->header, &walk.own, &walk.count, &err) == HV_OK);
    assert(hv_fetcher_submit(fetcher, &fetch, &err) == HV_OK);
    hv_fetcher_wait(fetcher, &fetch);
    assert(fetch.rc == HV_OK);
    for (size_t i = 0; i < facts->block_count; i++)
        right = block_is_right(coder, front, blob, i, &fetch.results[i], &walk) && right;
    hv_fetcher_release(fetcher, &fetch);
    hv_fetch_free(&fetch);
    free(walk.own);
    return right;
}

/* ---- the readers of the product ---- */

static hv_rc
read_segment(hv_storage *storage, const char *vault, const char *name, hv_slice blob, bool *right)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    hv_chain chain = {.storage = storage, .vault = vault};
    hv_index_segment facts = {.blocks = NULL};
    hv_err err;

    hv_rc rc = hv_chain_read_segment(&chain, name, &front, &facts, &err);
    assert(rc == HV_OK || rc == HV_CORRUPT || rc == HV_VERSION);
    assert((rc == HV_OK) == (front.header != NULL) && (rc == HV_OK || facts.blocks == NULL));
    *right = rc == HV_OK && blocks_are_right(storage, name, &front, &facts, blob);
    free(facts.blocks);
    free(facts.missing);
    return rc;
}

/* Findings that are about the bytes of one segment, and not about what it lies beside. */
static void
count_finding(void *arg, const hv_finding *finding)
{
    int *about_bytes = arg;

    assert(strpbrk(finding->expected, "\r\n") == NULL && strpbrk(finding->found, "\r\n") == NULL);
    switch (finding->kind) {
    case HV_FINDING_UNKNOWN_VERSION:
    case HV_FINDING_DAMAGED_FRONT:
    case HV_FINDING_WRONG_SIZE:
    case HV_FINDING_WRONG_HASH:
    case HV_FINDING_DAMAGED_BLOCK:
    case HV_FINDING_UNDECODABLE_BLOCK:
    case HV_FINDING_WRONG_OFFSET:
    case HV_FINDING_WRONG_COUNT:
    case HV_FINDING_WRONG_TIMESTAMPS:
        ++*about_bytes;
        break;
    default:
        assert(finding->kind != HV_FINDING_WRONG_PLACE && finding->kind != HV_FINDING_OTHER_VAULT);
    }
}

static void
put(hv_storage *storage, const char *name, hv_slice bytes, bool with_hash)
{
    hv_blob_attributes attributes = {.has_sha256 = with_hash};
    hv_err err;

    if (with_hash)
        hv_sha256(&bytes, 1, attributes.sha256);
    assert(storage->ops->put_new(storage, name, &bytes, 1, &attributes, &err) == HV_OK);
}

static hv_storage *
make_vault(const char *vault, const hv_partition *partition)
{
    hv_storage *storage = NULL;
    hv_vault_marker marker = {.created_ms = 1700000000000};
    hv_incarnation_record record = {.incarnation = partition->incarnation, .created_ms = 1700000000000};
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_err err;

    memcpy(marker.vault, vault, sizeof marker.vault);
    memcpy(record.vault, vault, sizeof record.vault);
    memcpy(record.hub, partition->hub, sizeof record.hub);
    assert(hv_storage_mem_open(&storage, &err) == HV_OK);
    hv_vault_marker_write(&marker, &json);
    put(storage, HV_VAULT_MARKER_NAME, hv_buf_slice(&json), true);
    hv_buf_clear(&json);
    hv_incarnation_record_write(&record, &json);
    put(storage, hv_name_of_incarnation(record.hub, record.incarnation).text, hv_buf_slice(&json), true);
    return storage;
}

static void
check_in_vault(const char *vault, const hv_partition *partition, const char *name, hv_slice blob, bool with_hash)
{
    HV_AUTO(hv_storage_close) hv_storage *storage = make_vault(vault, partition);
    int about_bytes = 0;
    hv_verify_config config = {.storage = storage, .vault = vault, .threads = 1, .report = count_finding, .arg = &about_bytes};
    hv_verify_facts facts;
    hv_err err;
    bool right;

    put(storage, name, blob, with_hash);
    hv_rc read = read_segment(storage, vault, name, blob, &right);
    hv_rc rc = hv_verify(&config, &facts, &err);
    assert(rc == HV_OK || rc == HV_GAP);
    assert((about_bytes == 0) == right);
    about_bytes = 0;
    config.quick = true;
    rc = hv_verify(&config, &facts, &err);
    assert(rc == HV_OK || rc == HV_GAP);
    assert((about_bytes == 0) == (read == HV_OK));
}

/* Under the name that its header asks for, if it has one. */
static void
check_blob(hv_slice blob, bool with_hash)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    hv_partition partition = {.hub = "orders", .incarnation = 1};
    hv_blob_name name = hv_name_of_lead(&partition, 0);
    const char *vault = default_vault;
    size_t needed;
    hv_err err;

    if (blob.len > 0 && hv_segment_front_parse(blob, &front, &needed, &err) == HV_OK) {
        const hv_segment_header *header = front.header;
        vault = header->vault;
        partition = header->partition;
        name = header->is_sibling ? hv_name_of_sibling(&partition, header->cut.first, header->class_name)
                                  : hv_name_of_lead(&partition, header->cut.first);
        assert(hv_segment_front_fits(&front, name.text, vault, &err) == HV_OK);
    }
    check_in_vault(vault, &partition, name.text, blob, with_hash);
}

/* ---- segments that somebody made wrong ---- */

/* Events of the bytes, up to the first that is none, with offsets of their own or ascending ones. */
static int32_t
take_events(hv_slice bytes, int32_t from, int32_t most, unsigned how, hv_buf *raw, hv_block_facts *facts)
{
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_event event;
    hv_err err;
    int32_t at = 0;

    *facts = (hv_block_facts){.min_timestamp_ms = INT64_MAX, .max_timestamp_ms = INT64_MIN};
    hv_event_reader_reset(&reader, bytes);
    for (; at < from + most && hv_event_reader_more(&reader) && hv_event_reader_next(&reader, &event, &err) == HV_OK; at++) {
        if (at < from)
            continue;
        event.offset = (how & OWN_OFFSETS) != 0 ? event.offset : at;
        hv_event_encode(&event, raw);
        facts->min_timestamp_ms = event.timestamp_ms < facts->min_timestamp_ms ? event.timestamp_ms : facts->min_timestamp_ms;
        facts->max_timestamp_ms = event.timestamp_ms > facts->max_timestamp_ms ? event.timestamp_ms : facts->max_timestamp_ms;
    }
    return at > from ? at - from : 0;
}

static void
seal(hv_block_coder *coder, const hv_block_format *format, hv_block_facts *facts, int64_t first, int32_t count, unsigned how, hv_slice raw,
     hv_block *ret)
{
    hv_err err;

    if (facts->min_timestamp_ms > facts->max_timestamp_ms)
        facts->min_timestamp_ms = facts->max_timestamp_ms = 0;
    int32_t wanted = count + ((how & ONE_MORE) != 0 ? 1 : 0), most = (int32_t)(raw.len / HV_EVENT_MIN_ENCODED);
    facts->count = wanted < most ? wanted : most;       /* no block says more of itself than its length allows */
    facts->first_offset = first;
    facts->last_offset = first + facts->count - 1;
    if ((how & EARLIER) != 0 && facts->min_timestamp_ms > INT64_MIN)
        facts->min_timestamp_ms--;
    if ((how & LATER) != 0 && facts->max_timestamp_ms < INT64_MAX)
        facts->max_timestamp_ms++;
    assert(hv_block_seal(coder, format, facts, raw, ret, &err) == HV_OK);
}

static void
check_made(hv_codec codec, unsigned how, hv_slice bytes)
{
    static const unsigned char sync[HV_SYNC_SIZE] = "made by hand";
    hv_block_format format = {.codec = codec, .level = 1};
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(8 * ROOM), blob = HV_BUF_INIT(16 * ROOM);
    HV_AUTO(hv_block_free) hv_block blocks_a = {.stored = NULL};
    HV_AUTO(hv_block_free) hv_block blocks_b = {.stored = NULL};
    hv_block_facts facts;
    unsigned char sha256[HV_SHA256_SIZE];
    hv_err err;

    memcpy(format.sync, sync, sizeof sync);
    assert(hv_block_coder_new(&coder, &err) == HV_OK);
    int32_t count = take_events(bytes, 0, (how & TWO_BLOCKS) != 0 ? 2 : MOST_EVENTS, how, &raw, &facts);
    if ((how & AS_A_WHOLE) != 0 || count == 0) {
        hv_buf_clear(&raw);
        hv_buf_put(&raw, bytes.data, bytes.len);
        count = count > 0 ? count : 1 + (int32_t)(bytes.len / 16);
    }
    seal(coder, &format, &facts, 0, count, how, hv_buf_slice(&raw), &blocks_a);
    hv_block both[2] = {blocks_a};
    size_t block_count = 1;
    int64_t end = facts.last_offset + 1;
    hv_buf_clear(&raw);
    int32_t more = (how & TWO_BLOCKS) != 0 ? take_events(bytes, count, MOST_EVENTS, how, &raw, &facts) : 0;
    if (more > 0) {
        seal(coder, &format, &facts, end, more, how, hv_buf_slice(&raw), &blocks_b);
        both[block_count++] = blocks_b;
        end = facts.last_offset + 1;
    }
    hv_segment_header header = {.partition = {.hub = "orders", .incarnation = 1}, .class_name = HV_CLASS_DEFAULT, .codec = codec,
        .created_ms = 1700000000000, .cut = {0, end}};
    memcpy(header.vault, default_vault, sizeof header.vault);
    assert(hv_segment_assemble(&header, both, block_count, sync, &blob, sha256, &err) == HV_OK);
    free(header.blocks);
    for (size_t i = 0; i < block_count; i++)
        hv_buf_put(&blob, both[i].stored, both[i].ref.length);
    assert(hv_buf_check(&blob, &err) == HV_OK);
    check_blob(hv_buf_slice(&blob), (how & NO_ATTRIBUTE) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 + HV_EVENT_MIN_ENCODED || size > MOST)
        return 0;
    unsigned kind = data[0] % 8;
    if (kind >= 2) {
        check_made((hv_codec)(kind % HV_CODECS), data[1], hv_slice_of(data + 2, size - 2));
        return 0;
    }
    char *bytes = malloc(size - 1);
    assert(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    if (kind == 1)
        mend_segment(bytes, size - 1);
    check_blob(hv_slice_of(bytes, size - 1), (data[0] & 8) == 0);
    free(bytes);
    return 0;
}
