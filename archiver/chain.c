/*
 * A look is one listing of "<first>." and one ranged read per segment found; a front longer than the first read takes another one.
 * Whoever walks a whole partition has the names already and leaves the listing out.
 *
 * The store is asked, never the index: what is decided here decides whether a put is safe.
 */
#include "archiver/chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/array.h"
#include "segment/names.h"
#include "storage/listing.h"

hv_rc
hv_chain_may_ask(const hv_chain *chain, hv_err *err)
{
    if (chain->stop == NULL || !atomic_load(chain->stop))
        return HV_OK;
    return hv_err_set(err, HV_CLOSED, "told to stop");
}

void
hv_chain_cut_clear(hv_chain_cut *cut)
{
    hv_segment_header_free(cut->lead);
    hv_index_cut_clear(&cut->facts);
    *cut = (hv_chain_cut){0};
}

bool
hv_chain_cut_has(const hv_chain_cut *cut, const char *class_name)
{
    for (size_t s = 0; s < cut->facts.segment_count; s++)
        if (strcmp(cut->facts.segments[s].class_name, class_name) == 0)
            return true;
    return false;
}

static void *
copy_of(const void *array, size_t count, size_t element)
{
    void *copy = malloc(count * element + 1);

    if (copy != NULL && count > 0)
        memcpy(copy, array, count * element);
    return copy;
}

static hv_index_block *
blocks_of(const hv_segment_header *header, uint64_t data_start)
{
    hv_index_block *blocks = calloc(header->block_count + 1, sizeof *blocks);

    for (size_t b = 0; blocks != NULL && b < header->block_count; b++) {
        const hv_block_ref *ref = &header->blocks[b];
        blocks[b] = (hv_index_block){.position = data_start + ref->position, .length = ref->length,
            .first_offset = ref->first_offset, .count = ref->count, .min_timestamp_ms = ref->min_timestamp_ms,
            .max_timestamp_ms = ref->max_timestamp_ms};
        memcpy(blocks[b].sha256, ref->sha256, HV_SHA256_SIZE);
    }
    return blocks;
}

hv_rc
hv_chain_facts(const hv_segment_header *header, uint64_t data_start, const unsigned char sha256[HV_SHA256_SIZE],
               hv_index_segment *ret, hv_err *err)
{
    hv_index_segment facts = {.is_lead = !header->is_sibling, .codec = (uint8_t)header->codec, .data_start = data_start,
        .size = data_start + header->blocks_bytes, .has_policy = header->has_policy, .created_ms = header->created_ms,
        .count = header->count, .min_timestamp_ms = header->min_timestamp_ms, .max_timestamp_ms = header->max_timestamp_ms,
        .missing_count = header->missing_count, .block_count = header->block_count};

    facts.blocks = blocks_of(header, data_start);
    facts.missing = copy_of(header->missing, header->missing_count, sizeof *facts.missing);
    if (facts.blocks == NULL || facts.missing == NULL) {
        free(facts.blocks);
        free(facts.missing);
        return hv_err_set(err, HV_NOMEM, "no memory for the facts of a segment of %zu blocks", header->block_count);
    }
    memcpy(facts.class_name, header->class_name, sizeof facts.class_name);
    memcpy(facts.sha256, sha256, HV_SHA256_SIZE);
    memcpy(facts.merkle_root, header->merkle_root, HV_SHA256_SIZE);
    if (header->has_policy)
        memcpy(facts.policy, header->policy, HV_SHA256_SIZE);
    *ret = facts;
    return HV_OK;
}

static hv_rc
read_front(const hv_chain *chain, const char *name, hv_segment_front *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(HV_SEGMENT_MAX_FRONT);
    size_t wanted = HV_SEGMENT_FIRST_READ;

    for (;;) {
        size_t had = bytes.len;
        hv_rc rc = hv_chain_may_ask(chain, err);
        if (rc == HV_OK)
            rc = chain->storage->ops->get_range(chain->storage, name, had, wanted - had, &bytes, err);
        if (rc != HV_OK)
            return rc;
        bool ended = bytes.len < wanted;
        rc = hv_segment_front_parse(hv_buf_slice(&bytes), ret, &wanted, err);
        if (rc == HV_LIMIT && ended)
            return hv_err_set(err, HV_CORRUPT, "ends after %zu bytes, inside its file header", bytes.len);
        if (rc != HV_LIMIT)
            return rc;
    }
}

/* Of the whole blob, by reading it: for stores that keep no attributes. */
static hv_rc
hash_blob(const hv_chain *chain, const char *name, uint64_t size, unsigned char ret[HV_SHA256_SIZE], hv_err *err)
{
    enum { PIECE = 1 << 20 };
    HV_AUTO(hv_sha256_free) hv_sha256_run *run = NULL;
    HV_AUTO(hv_buf_free) hv_buf piece = HV_BUF_INIT(PIECE);

    hv_rc rc = hv_sha256_new(&run, err);
    if (rc != HV_OK)
        return rc;
    hv_sha256_start(run);
    for (uint64_t at = 0; at < size; at += piece.len) {
        hv_buf_clear(&piece);
        rc = hv_chain_may_ask(chain, err);
        if (rc == HV_OK)
            rc = chain->storage->ops->get_range(chain->storage, name, at, PIECE, &piece, err);
        if (rc != HV_OK)
            return rc;
        if (piece.len == 0)
            return hv_err_set(err, HV_CORRUPT, "ends after %" PRIu64 " of %" PRIu64 " bytes", at, size);
        hv_sha256_add(run, piece.data, piece.len);
    }
    hv_sha256_end(run, ret);
    return HV_OK;
}

static hv_rc
read_segment(const hv_chain *chain, const char *name, hv_segment_front *front, hv_index_segment *facts, bool *hashed, hv_err *err)
{
    hv_blob_properties properties;

    hv_rc rc = hv_chain_may_ask(chain, err);
    if (rc == HV_OK)
        rc = chain->storage->ops->properties(chain->storage, name, &properties, err);
    if (rc == HV_OK)
        rc = read_front(chain, name, front, err);
    if (rc == HV_OK)
        rc = hv_segment_front_fits(front, name, chain->vault, err);
    if (rc != HV_OK)
        return rc;
    uint64_t expected = front->data_start + front->header->blocks_bytes;
    if (properties.size != expected)
        return hv_err_set(err, HV_CORRUPT, "has %" PRIu64 " bytes, its header says %" PRIu64, properties.size, expected);
    *hashed = !properties.attributes.has_sha256;
    if (*hashed)
        rc = hash_blob(chain, name, properties.size, properties.attributes.sha256, err);
    if (rc != HV_OK)
        return rc;
    return hv_chain_facts(front->header, front->data_start, properties.attributes.sha256, facts, err);
}

static hv_rc
read_named(const hv_chain *chain, const char *name, hv_segment_front *front, hv_index_segment *facts, bool *hashed, hv_err *err)
{
    hv_segment_front found = {0};

    hv_rc rc = read_segment(chain, name, &found, facts, hashed, err);
    if (rc != HV_OK) {
        hv_segment_front_free(&found);
        return hv_err_prefix(err, "segment '%s'", name);
    }
    *front = found;
    return HV_OK;
}

hv_rc
hv_chain_read_segment(const hv_chain *chain, const char *name, hv_segment_front *front, hv_index_segment *facts, hv_err *err)
{
    bool hashed;

    return read_named(chain, name, front, facts, &hashed, err);
}

bool
hv_chain_same_cut(const hv_segment_header *a, const hv_segment_header *b)
{
    if (a->cut.first != b->cut.first || a->cut.end != b->cut.end || a->has_policy != b->has_policy ||
        (a->has_policy && memcmp(a->policy, b->policy, HV_SHA256_SIZE) != 0) || a->class_count != b->class_count ||
        a->gap_count != b->gap_count)
        return false;
    for (size_t c = 0; c < a->class_count; c++) {
        const hv_class_map *of_a = &a->classes[c], *of_b = &b->classes[c];
        if (strcmp(of_a->class_name, of_b->class_name) != 0 || of_a->range_count != of_b->range_count)
            return false;
        for (size_t r = 0; r < of_a->range_count; r++)
            if (of_a->ranges[r].first != of_b->ranges[r].first || of_a->ranges[r].end != of_b->ranges[r].end)
                return false;
    }
    for (size_t g = 0; g < a->gap_count; g++)
        if (a->gaps[g].range.first != b->gaps[g].range.first || a->gaps[g].range.end != b->gaps[g].range.end ||
            a->gaps[g].cause != b->gaps[g].cause)
            return false;
    return true;
}

/* Read one segment and append it to the facts of the cut. */
static hv_rc
append_segment(const hv_chain *chain, const char *name, hv_chain_cut *cut, hv_segment_front *front, hv_err *err)
{
    hv_index_segment segment;
    bool hashed = false;

    hv_rc rc = read_named(chain, name, front, &segment, &hashed, err);
    if (rc != HV_OK)
        return rc;
    hv_index_segment *more = realloc(cut->facts.segments, (cut->facts.segment_count + 1) * sizeof *more);
    if (more == NULL) {
        free(segment.blocks);
        free(segment.missing);
        return hv_err_set(err, HV_NOMEM, "no memory for %zu segments of a cut", cut->facts.segment_count + 1);
    }
    cut->facts.segments = more;
    more[cut->facts.segment_count++] = segment;
    cut->hashed += hashed ? 1 : 0;
    return HV_OK;
}

static hv_rc
add_lead(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *cut, hv_err *err)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    hv_blob_name name = hv_name_of_lead(partition, first);

    hv_rc rc = append_segment(chain, name.text, cut, &front, err);
    if (rc != HV_OK)
        return rc;
    memcpy(cut->lead_sha256, cut->facts.segments[0].sha256, HV_SHA256_SIZE);
    cut->lead = HV_TAKE(front.header);
    cut->facts.range = cut->lead->cut;
    cut->facts.gaps = copy_of(cut->lead->gaps, cut->lead->gap_count, sizeof *cut->facts.gaps);
    if (cut->facts.gaps == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the gaps of a cut");
    cut->facts.gap_count = cut->lead->gap_count;
    return HV_OK;
}

static hv_rc
add_sibling(const hv_chain *chain, const hv_partition *partition, int64_t first, const char *class_name, hv_chain_cut *cut, hv_err *err)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    hv_blob_name name = hv_name_of_sibling(partition, first, class_name);

    hv_rc rc = append_segment(chain, name.text, cut, &front, err);
    if (rc != HV_OK)
        return rc;
    if (!hv_chain_same_cut(front.header, cut->lead))
        return hv_err_set(err, HV_CORRUPT, "segment '%s' describes another cut than its lead", name.text);
    if (memcmp(front.header->lead_sha256, cut->lead_sha256, HV_SHA256_SIZE) != 0)
        return hv_err_set(err, HV_CORRUPT, "segment '%s' belongs to a lead of other bytes", name.text);
    return HV_OK;
}

void
hv_chain_names_clear(hv_chain_names *names)
{
    free(names->classes);
    free(names->stranger);
    *names = (hv_chain_names){0};
}

static hv_rc
add_stranger(hv_chain_names *names, const char *blob, hv_err *err)
{
    if (names->stranger != NULL)
        return HV_OK;
    names->stranger = strdup(blob);
    return names->stranger != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for the name of a blob");
}

hv_rc
hv_chain_names_add(hv_chain_names *names, const char *blob, hv_err *err)
{
    hv_name_parts parts = hv_name_parse(blob);

    if (parts.kind == HV_NAME_LEAD)
        names->has_lead = true;
    if (parts.kind == HV_NAME_LEAD)
        return HV_OK;
    if (parts.kind != HV_NAME_SIBLING || names->class_count == HV_SEGMENT_MAX_CLASSES)
        return add_stranger(names, blob, err);
    if (!hv_array_room(&names->classes, names->class_count, &names->class_room, sizeof *names->classes))
        return hv_err_set(err, HV_NOMEM, "no memory for the names of a cut");
    memcpy(names->classes[names->class_count++], parts.class_name, sizeof parts.class_name);
    return HV_OK;
}

static bool
has_class(const hv_chain_names *names, const char *class_name)
{
    for (size_t i = 0; i < names->class_count; i++)
        if (strcmp(names->classes[i], class_name) == 0)
            return true;
    return false;
}

static bool
promises(const hv_segment_header *lead, const char *class_name)
{
    for (size_t c = 0; c < lead->class_count; c++)
        if (strcmp(lead->classes[c].class_name, class_name) == 0)
            return true;
    return false;
}

/* Every name that the listing shows must be the lead or a sibling that its class map promises. */
static hv_rc
check_no_stranger(const hv_chain_names *names, const hv_partition *partition, const hv_segment_header *lead, hv_err *err)
{
    hv_blob_name name = {.text = ""};
    const char *stranger = names->stranger;

    for (size_t i = 0; stranger == NULL && i < names->class_count; i++)
        if (!promises(lead, names->classes[i])) {
            name = hv_name_of_sibling(partition, lead->cut.first, names->classes[i]);
            stranger = name.text;
        }
    if (stranger == NULL)
        return HV_OK;
    return hv_err_set(err, HV_CORRUPT, "blob '%s' lies where no segment of the cut has its place", stranger);
}

static hv_rc
read_cut(const hv_chain *chain, const hv_partition *partition, int64_t first, const hv_chain_names *names, hv_chain_cut *cut,
         hv_err *err)
{
    hv_blob_name lead = hv_name_of_lead(partition, first);

    if (!names->has_lead && names->class_count == 0 && names->stranger == NULL)
        return hv_err_set(err, HV_NOT_FOUND, "there is no segment '%s'", lead.text);
    hv_rc rc = add_lead(chain, partition, first, cut, err);
    if (rc == HV_NOT_FOUND && names->class_count > 0)
        return hv_err_set(err, HV_CORRUPT, "there is a sibling '%s' without its lead",
                          hv_name_of_sibling(partition, first, names->classes[0]).text);
    if (rc == HV_NOT_FOUND && names->stranger != NULL)
        return hv_err_set(err, HV_CORRUPT, "blob '%s' lies where only a cut has its place", names->stranger);
    if (rc == HV_OK)
        rc = check_no_stranger(names, partition, cut->lead, err);
    cut->complete = true;
    for (size_t c = 0; rc == HV_OK && c < cut->lead->class_count; c++) {
        const char *class_name = cut->lead->classes[c].class_name;
        if (has_class(names, class_name))
            rc = add_sibling(chain, partition, first, class_name, cut, err);
        else
            cut->complete = false;
    }
    return rc;
}

hv_rc
hv_chain_read_cut(const hv_chain *chain, const hv_partition *partition, int64_t first, const hv_chain_names *names,
                  hv_chain_cut *ret, hv_err *err)
{
    hv_chain_cut found = {0};

    hv_rc rc = read_cut(chain, partition, first, names, &found, err);
    if (rc != HV_OK) {
        hv_chain_cut_clear(&found);
        return rc;
    }
    *ret = found;
    return HV_OK;
}

hv_rc
hv_chain_look(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, hv_err *err)
{
    enum { MOST = 2 * HV_SEGMENT_MAX_CLASSES };         /* with as many names one of them is a stranger */
    HV_AUTO(hv_chain_names_clear) hv_chain_names names = {0};
    hv_blob_name prefix = hv_prefix_of_cut(partition, first);
    HV_AUTO(hv_listing_end) hv_listing listing = hv_listing_of(chain->storage, &(hv_list_request){.prefix = prefix.text, .max = MOST});
    const struct hv_blob_entry *entry = NULL;
    size_t count = 0;

    hv_rc rc = hv_chain_may_ask(chain, err);
    if (rc == HV_OK)
        rc = hv_listing_next(&listing, &entry, err);
    while (rc == HV_OK && entry != NULL) {
        rc = hv_chain_names_add(&names, entry->name, err);
        if (rc == HV_OK && ++count == MOST)
            break;
        if (rc == HV_OK)
            rc = hv_listing_next(&listing, &entry, err);
    }
    return rc == HV_OK ? hv_chain_read_cut(chain, partition, first, &names, ret, err) : rc;
}

hv_rc
hv_chain_look_on(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, int64_t *later, hv_err *err)
{
    enum { MOST = 2 * HV_SEGMENT_MAX_CLASSES, PAGE = 16 };
    HV_AUTO(hv_chain_names_clear) hv_chain_names names = {0};
    hv_blob_name all = hv_prefix_of_partition(partition), own = hv_prefix_of_cut(partition, first);
    hv_list_request request = {.prefix = all.text, .from = own.text, .max = PAGE};
    HV_AUTO(hv_listing_end) hv_listing listing = hv_listing_of(chain->storage, &request);
    const struct hv_blob_entry *entry = NULL;
    int64_t next = -1;
    size_t count = 0;

    hv_rc rc = hv_chain_may_ask(chain, err);
    while (rc == HV_OK && count < MOST && next < 0 && (rc = hv_listing_next(&listing, &entry, err)) == HV_OK && entry != NULL) {
        hv_name_parts parts = hv_name_parse(entry->name);
        if (strncmp(entry->name, own.text, strlen(own.text)) == 0) {
            rc = hv_chain_names_add(&names, entry->name, err);
            count++;
        } else if (count > 0) {
            break;
        } else if (parts.kind == HV_NAME_LEAD) {
            next = parts.first;
        }
    }
    if (rc == HV_OK)
        rc = hv_chain_read_cut(chain, partition, first, &names, ret, err);
    if (rc == HV_NOT_FOUND)
        *later = count > 0 ? first : next;      /* listed, and then not there */
    return rc;
}
