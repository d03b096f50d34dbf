/*
 * The front of a segment is the file header of an Avro object container file (Avro specification, "Object Container Files"): the bytes
 * "Obj" 1, a map of metadata, the sync marker. The map has exactly four entries; the writer puts the long one last, so that from its
 * length the end of the front is known. "hubvault.check" is the SHA-256, as text, of the values of avro.codec, avro.schema and
 * hubvault.segment and of the sync marker, in this order: each byte of a front is either fixed or covered by it, and the blocks are
 * covered by the hashes in the segment header.
 *
 * Reading takes the map in whatever order and in however many parts. All lengths are compared with HV_SEGMENT_MAX_FRONT first and
 * with the bytes that are there then; where they end too early the reader says how many it wants, which is never less than twice
 * what it had, so a caller needs few reads whatever the bytes say.
 */
#include "segment/segment_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "segment/names.h"
#include "segment/varint.h"

static const unsigned char magic[4] = {'O', 'b', 'j', 1};

enum { FRONT_REST = 2 << 10 };          /* more than a front has besides its header */

enum { ENTRY_CODEC, ENTRY_SCHEMA, ENTRY_CHECK, ENTRY_SEGMENT, ENTRIES };

static const char *const entry_names[ENTRIES] = {
    [ENTRY_CODEC] = "avro.codec",
    [ENTRY_SCHEMA] = "avro.schema",
    [ENTRY_CHECK] = "hubvault.check",
    [ENTRY_SEGMENT] = "hubvault.segment",
};

static void
front_hash(const hv_slice values[ENTRIES], const unsigned char sync[HV_SYNC_SIZE], char ret[HV_SHA256_TEXT_SIZE])
{
    const hv_slice parts[] = {values[ENTRY_CODEC], values[ENTRY_SCHEMA], values[ENTRY_SEGMENT], hv_slice_of(sync, HV_SYNC_SIZE)};
    unsigned char hash[HV_SHA256_SIZE];

    hv_sha256(parts, sizeof parts / sizeof parts[0], hash);
    hv_sha256_text(hash, ret);
}

/* ---- writing ---- */

static hv_rc
put_front(const hv_segment_header *header, const unsigned char sync[HV_SYNC_SIZE], hv_buf *front, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SEGMENT_MAX_FRONT - FRONT_REST);
    char check[HV_SHA256_TEXT_SIZE];

    hv_segment_header_write(header, &json);
    hv_rc rc = hv_buf_check(&json, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "segment header");
    hv_slice values[ENTRIES] = {
        [ENTRY_CODEC] = hv_slice_text(hv_codec_name(header->codec)),
        [ENTRY_SCHEMA] = hv_slice_text(hv_event_schema),
        [ENTRY_SEGMENT] = hv_buf_slice(&json),
    };
    front_hash(values, sync, check);
    values[ENTRY_CHECK] = hv_slice_text(check);
    size_t before = front->len;
    hv_buf_put(front, magic, sizeof magic);
    hv_varint_append(front, ENTRIES);
    for (size_t i = 0; i < ENTRIES; i++) {
        hv_varint_append_counted(front, hv_slice_text(entry_names[i]));
        hv_varint_append_counted(front, values[i]);
    }
    hv_varint_append(front, 0);
    hv_buf_put(front, sync, HV_SYNC_SIZE);
    assert(front->len - before <= HV_SEGMENT_MAX_FRONT);
    return hv_buf_check(front, err);
}

/* Everything in the header that follows from the blocks. */
static hv_rc
take_blocks(hv_segment_header *header, hv_block *blocks, size_t count, hv_err *err)
{
    uint64_t position = 0;
    int64_t events = 0, min = INT64_MAX, max = INT64_MIN;
    hv_block_ref *refs = malloc((count + 1) * sizeof *refs);
    unsigned char(*leaves)[HV_SHA256_SIZE] = malloc((count + 1) * sizeof *leaves);

    if (refs == NULL || leaves == NULL) {
        free(refs);
        free(leaves);
        return hv_err_set(err, HV_NOMEM, "no memory for a table of %zu blocks", count);
    }
    for (size_t i = 0; i < count; i++) {
        hv_block_ref *ref = &blocks[i].ref;
        ref->position = position;
        position += ref->length;
        events += ref->count;
        min = ref->min_timestamp_ms < min ? ref->min_timestamp_ms : min;
        max = ref->max_timestamp_ms > max ? ref->max_timestamp_ms : max;
        memcpy(leaves[i], ref->sha256, sizeof leaves[i]);
        refs[i] = *ref;
    }
    hv_merkle_root(leaves, count, header->merkle_root);
    free(leaves);
    free(header->blocks);
    header->blocks = refs;
    header->block_count = count;
    header->blocks_bytes = position;
    header->count = events;
    header->min_timestamp_ms = count > 0 ? min : 0;
    header->max_timestamp_ms = count > 0 ? max : 0;
    return HV_OK;
}

static hv_rc
hash_blob(hv_slice front, const hv_block *blocks, size_t count, unsigned char ret[HV_SHA256_SIZE], hv_err *err)
{
    HV_AUTO(hv_sha256_free) hv_sha256_run *run = NULL;
    hv_rc rc = hv_sha256_new(&run, err);

    if (rc != HV_OK)
        return rc;
    hv_sha256_start(run);
    hv_sha256_add(run, front.data, front.len);
    for (size_t i = 0; i < count; i++)
        hv_sha256_add(run, blocks[i].stored, blocks[i].ref.length);
    hv_sha256_end(run, ret);
    return HV_OK;
}

static hv_rc
check_made(const hv_segment_header *header, hv_err *err)
{
    hv_err why = {.rc = HV_OK};
    hv_rc rc = hv_segment_header_check(header, &why);

    return rc == HV_OK ? HV_OK : hv_err_set(err, rc == HV_CORRUPT ? HV_INTERNAL : rc, "%s", why.msg);
}

hv_rc
hv_segment_assemble(hv_segment_header *header, hv_block *blocks, size_t block_count, const unsigned char sync[HV_SYNC_SIZE],
                    hv_buf *front, unsigned char sha256[HV_SHA256_SIZE], hv_err *err)
{
    size_t before = front->len;

    if (block_count > HV_SEGMENT_MAX_BLOCKS)
        return hv_err_set(err, HV_LIMIT, "a segment of %zu blocks, more than %d", block_count, HV_SEGMENT_MAX_BLOCKS);
    hv_rc rc = take_blocks(header, blocks, block_count, err);
    if (rc == HV_OK)
        rc = check_made(header, err);
    if (rc == HV_OK)
        rc = put_front(header, sync, front, err);
    if (rc == HV_OK)
        rc = hash_blob(hv_slice_of(front->data + before, front->len - before), blocks, block_count, sha256, err);
    if (rc != HV_OK && front->len > before) {
        front->len = before;
        front->data[before] = '\0';
    }
    return rc;
}

/* ---- reading ---- */

void
hv_segment_front_free(hv_segment_front *front)
{
    hv_segment_header_free(front->header);
    *front = (hv_segment_front){.header = NULL};
}

typedef struct front_reader {
    const unsigned char *start, *at, *end;
    hv_slice values[ENTRIES];           /* null: not seen yet */
    bool foreign;                       /* an entry that is none of ours */
    size_t *needed;
    hv_err *err;
} front_reader;

/* The bytes end too early; with `more` further ones behind `at` the reader would get on. */
static hv_rc
ask_for(front_reader *reader, int64_t more)
{
    size_t have = (size_t)(reader->end - reader->start), wanted = (size_t)(reader->at - reader->start) + (size_t)more;

    if (wanted > HV_SEGMENT_MAX_FRONT)
        return hv_err_set(reader->err, HV_CORRUPT, "the front of the segment wants %zu bytes, more than %d", wanted, HV_SEGMENT_MAX_FRONT);
    if (wanted < 2 * have)
        wanted = 2 * have;
    if (wanted < HV_SEGMENT_FIRST_READ)
        wanted = HV_SEGMENT_FIRST_READ;
    *reader->needed = wanted < HV_SEGMENT_MAX_FRONT ? wanted : HV_SEGMENT_MAX_FRONT;
    return hv_err_set(reader->err, HV_LIMIT, "the front of the segment goes on behind %zu bytes", have);
}

static hv_rc
take(front_reader *reader, int64_t len, const unsigned char **ret)
{
    if (len > reader->end - reader->at)
        return ask_for(reader, len);
    *ret = reader->at;
    reader->at += len;
    return HV_OK;
}

static hv_rc
take_varint(front_reader *reader, int64_t *ret)
{
    if (hv_varint_get(&reader->at, reader->end, ret))
        return HV_OK;
    if (reader->end - reader->at < HV_VARINT_MAX)
        return ask_for(reader, HV_VARINT_MAX);
    return hv_err_set(reader->err, HV_CORRUPT, "byte %td of the segment: not a number", reader->at - reader->start);
}

/* Behind each value comes at least the end of the map and the sync marker: they are asked for together with it. */
static hv_rc
take_counted(front_reader *reader, hv_slice *ret)
{
    const unsigned char *bytes = NULL;
    int64_t len;
    hv_rc rc = take_varint(reader, &len);

    if (rc != HV_OK)
        return rc;
    if (len < 0 || len > HV_SEGMENT_MAX_FRONT)
        return hv_err_set(reader->err, HV_CORRUPT, "byte %td of the segment: %" PRId64 " is no length of metadata",
                          reader->at - reader->start, len);
    if (len > reader->end - reader->at)
        return ask_for(reader, len + 1 + HV_SYNC_SIZE);
    rc = take(reader, len, &bytes);
    *ret = hv_slice_of(bytes, (size_t)len);
    return rc;
}

static hv_rc
take_entry(front_reader *reader)
{
    hv_slice name, value;
    hv_rc rc = take_counted(reader, &name);

    if (rc == HV_OK)
        rc = take_counted(reader, &value);
    if (rc != HV_OK)
        return rc;
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!hv_slice_equal(name, hv_slice_text(entry_names[i])))
            continue;
        if (reader->values[i].data != NULL)
            return hv_err_set(reader->err, HV_CORRUPT, "the segment has two metadata entries '%s'", entry_names[i]);
        reader->values[i] = value;
        return HV_OK;
    }
    reader->foreign = true;
    return HV_OK;
}

/* Map blocks as the Avro specification has them ("Maps"): a negative count is followed by the size in bytes. */
static hv_rc
take_map(front_reader *reader)
{
    for (;;) {
        int64_t count, size = -1;
        hv_rc rc = take_varint(reader, &count);
        if (rc == HV_OK && count < 0)
            rc = take_varint(reader, &size);
        if (rc != HV_OK || count == 0)
            return rc;
        if (count < 0 ? count == INT64_MIN || size < 0 || size > HV_SEGMENT_MAX_FRONT : count > HV_SEGMENT_MAX_FRONT)
            return hv_err_set(reader->err, HV_CORRUPT, "byte %td of the segment: impossible map", reader->at - reader->start);
        const unsigned char *from = reader->at;
        for (int64_t left = count < 0 ? -count : count; left > 0; left--) {
            rc = take_entry(reader);
            if (rc != HV_OK)
                return rc;
        }
        if (count < 0 && reader->at - from != size)
            return hv_err_set(reader->err, HV_CORRUPT, "the metadata of the segment has %td bytes, not %" PRId64, reader->at - from, size);
    }
}

static hv_rc
check_values(front_reader *reader, const unsigned char *sync, hv_codec *codec)
{
    char check[HV_SHA256_TEXT_SIZE], name[16] = "";
    const hv_slice *values = reader->values;

    if (reader->foreign)
        return hv_err_set(reader->err, HV_CORRUPT, "the segment has a metadata entry that format %d does not know", HV_SEGMENT_FORMAT);
    for (size_t i = 0; i < ENTRIES; i++)
        if (values[i].data == NULL)
            return hv_err_set(reader->err, HV_CORRUPT, "the segment has no metadata entry '%s'", entry_names[i]);
    if (!hv_slice_equal(values[ENTRY_SCHEMA], hv_slice_text(hv_event_schema)))
        return hv_err_set(reader->err, HV_CORRUPT, "the segment has another schema than format %d", HV_SEGMENT_FORMAT);
    if (values[ENTRY_CODEC].len < sizeof name)
        memcpy(name, values[ENTRY_CODEC].data, values[ENTRY_CODEC].len);
    if (!hv_codec_parse(name, codec) || strlen(name) != values[ENTRY_CODEC].len)
        return hv_err_set(reader->err, HV_CORRUPT, "the segment has a codec that is none of zstandard, deflate, null");
    front_hash(values, sync, check);
    if (!hv_slice_equal(values[ENTRY_CHECK], hv_slice_text(check)))
        return hv_err_set(reader->err, HV_CORRUPT, "the front of the segment does not agree with its 'hubvault.check'");
    return HV_OK;
}

/* The header is looked at before the rest, because a newer format may well have another schema, codec or entry. */
static hv_rc
interpret(front_reader *reader, const unsigned char *sync, hv_segment_front *ret)
{
    hv_codec codec = HV_CODEC_NULL;
    HV_AUTO(hv_segment_header_free) hv_segment_header *header = NULL;

    if (reader->values[ENTRY_SEGMENT].data == NULL)
        return hv_err_set(reader->err, HV_CORRUPT, "an Avro file without a metadata entry 'hubvault.segment': not a segment");
    hv_rc rc = hv_segment_format_check(reader->values[ENTRY_SEGMENT], reader->err);
    if (rc == HV_OK)
        rc = check_values(reader, sync, &codec);
    if (rc == HV_OK)
        rc = hv_segment_header_parse(reader->values[ENTRY_SEGMENT], codec, &header, reader->err);
    if (rc != HV_OK)
        return rc;
    *ret = (hv_segment_front){.header = HV_TAKE(header), .data_start = (uint64_t)(reader->at - reader->start)};
    memcpy(ret->sync, sync, HV_SYNC_SIZE);
    return HV_OK;
}

hv_rc
hv_segment_front_parse(hv_slice bytes, hv_segment_front *ret, size_t *needed, hv_err *err)
{
    const unsigned char *start = bytes.data, *sync = NULL;
    front_reader reader = {.start = start, .at = start, .end = start + bytes.len, .needed = needed, .err = err};
    size_t seen = bytes.len < sizeof magic ? bytes.len : sizeof magic;

    if (memcmp(start, magic, seen) != 0)
        return hv_err_set(err, HV_CORRUPT, "not an Avro object container file");
    reader.at += seen;
    hv_rc rc = seen < sizeof magic ? ask_for(&reader, sizeof magic) : take_map(&reader);
    if (rc == HV_OK)
        rc = take(&reader, HV_SYNC_SIZE, &sync);
    if (rc == HV_OK && reader.at - start > HV_SEGMENT_MAX_FRONT)
        rc = hv_err_set(err, HV_CORRUPT, "the front of the segment has more than %d bytes", HV_SEGMENT_MAX_FRONT);
    return rc == HV_OK ? interpret(&reader, sync, ret) : rc;
}

static hv_rc
misfit(const char *blob_name, const char *what, hv_err *err)
{
    return hv_err_set(err, HV_CORRUPT, "segment '%s': its header belongs to another %s", blob_name, what);
}

hv_rc
hv_segment_front_fits(const hv_segment_front *front, const char *blob_name, const char *vault, hv_err *err)
{
    const hv_segment_header *header = front->header;
    hv_name_parts parts = hv_name_parse(blob_name);

    if (parts.kind != (header->is_sibling ? HV_NAME_SIBLING : HV_NAME_LEAD))
        return misfit(blob_name, header->is_sibling ? "kind of name: it is a sibling" : "kind of name: it is a lead", err);
    if (strcmp(header->vault, vault) != 0)
        return misfit(blob_name, "vault", err);
    if (hv_partition_compare(&parts.partition, &header->partition) != 0)
        return misfit(blob_name, "hub, incarnation or partition", err);
    if (parts.first != header->cut.first)
        return misfit(blob_name, "offset", err);
    if (header->is_sibling && strcmp(parts.class_name, header->class_name) != 0)
        return misfit(blob_name, "class", err);
    return HV_OK;
}
