#include "tests/segment/header_model.h"

#include "tests/harness/check_hv.h"

static size_t
ranges_of(const cut_model *cut, int owner, hv_range *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < cut->len; i++) {
        int64_t offset = cut->first + (int64_t)i;
        if (cut->owner[i] != owner)
            continue;
        if (n > 0 && ret[n - 1].end == offset)
            ret[n - 1].end++;
        else
            ret[n++] = (hv_range){.first = offset, .end = offset + 1};
    }
    return n;
}

static void
add_gap(hv_gap *gaps, size_t *count, int64_t offset, hv_gap_cause cause)
{
    if (*count > 0 && gaps[*count - 1].range.end == offset && gaps[*count - 1].cause == cause)
        gaps[*count - 1].range.end++;
    else
        gaps[(*count)++] = (hv_gap){.range = {.first = offset, .end = offset + 1}, .cause = cause};
}

size_t
own_offsets(const cut_model *cut, int owner, int64_t ret[MAX_OFFSETS])
{
    size_t n = 0;

    for (size_t i = 0; i < cut->len; i++)
        if (cut->owner[i] == owner && !(owner != OWNER_LEAD && cut->is_missing[i]))
            ret[n++] = cut->first + (int64_t)i;
    return n;
}

static void
add_blocks(model_header *m, const int64_t *own, size_t count, test_random *random)
{
    hv_segment_header *header = &m->header;
    unsigned char leaves[MAX_OFFSETS][HV_SHA256_SIZE];
    int64_t min = INT64_MAX, max = INT64_MIN;

    for (size_t done = 0; done < count; header->block_count++) {
        hv_block_ref *block = &m->blocks[header->block_count];
        int32_t n = 1 + (int32_t)test_random_below(random, count - done);
        int64_t time = (int64_t)test_random_below(random, 1000) - 500;
        *block = (hv_block_ref){.position = header->blocks_bytes, .length = 20 + (uint32_t)test_random_below(random, 1000),
                                .first_offset = own[done], .count = n, .min_timestamp_ms = time, .max_timestamp_ms = time + n};
        memset(block->sha256, (int)test_random_below(random, 256), sizeof block->sha256);
        memcpy(leaves[header->block_count], block->sha256, HV_SHA256_SIZE);
        header->blocks_bytes += block->length;
        min = block->min_timestamp_ms < min ? block->min_timestamp_ms : min;
        max = block->max_timestamp_ms > max ? block->max_timestamp_ms : max;
        done += (size_t)n;
    }
    header->count = (int64_t)count;
    header->min_timestamp_ms = count > 0 ? min : 0;
    header->max_timestamp_ms = count > 0 ? max : 0;
    hv_merkle_root(leaves, header->block_count, header->merkle_root);
}

bool
model_header_fill(model_header *m, const cut_model *cut, int owner, test_random *random)
{
    hv_segment_header *header = &m->header;
    int64_t own[MAX_OFFSETS], lead[MAX_OFFSETS];
    hv_class_map a = {.class_name = "a-class", .ranges = m->a, .range_count = ranges_of(cut, OWNER_A, m->a)};
    hv_class_map b = {.class_name = "b", .ranges = m->b, .range_count = ranges_of(cut, OWNER_B, m->b)};
    size_t lead_count = own_offsets(cut, OWNER_LEAD, lead), promised = owner == OWNER_A ? a.range_count : b.range_count;

    *header = test_header_make(HV_CODEC_NULL, cut->first, cut->first + (int64_t)cut->len);
    *header = (hv_segment_header){.codec = header->codec, .partition = header->partition, .cut = header->cut, .classes = m->classes,
                                  .gaps = m->gaps, .missing = m->missing, .blocks = m->blocks, .schemas = m->schemas, .created_ms = -1};
    memcpy(header->vault, TEST_VAULT, sizeof header->vault);
    if (a.range_count > 0)
        m->classes[header->class_count++] = a;
    if (b.range_count > 0)
        m->classes[header->class_count++] = b;
    if ((owner != OWNER_LEAD && promised == 0) || (lead_count == 0 && header->class_count > 0))
        return false;
    const char *class_name = owner == OWNER_A ? a.class_name : owner == OWNER_B ? b.class_name : lead_count == 0 ? "none" : "default";
    memcpy(header->class_name, class_name, strlen(class_name));
    for (size_t i = 0; i < cut->len; i++) {
        if (cut->owner[i] == OWNER_GAP || cut->owner[i] == OWNER_OTHER_GAP)
            add_gap(m->gaps, &header->gap_count, cut->first + (int64_t)i, (hv_gap_cause)(cut->owner[i] - OWNER_GAP));
        if (owner != OWNER_LEAD && cut->owner[i] == owner && cut->is_missing[i])
            add_gap(m->missing, &header->missing_count, cut->first + (int64_t)i, HV_GAP_RETENTION);
    }
    header->schema_count = test_random_below(random, 4);
    for (size_t i = 0; i < header->schema_count; i++)
        memset(m->schemas[i], 0x70 + (int)(16 * i), sizeof m->schemas[i]);
    header->is_sibling = owner != OWNER_LEAD;
    header->has_policy = test_random_below(random, 2) == 0;
    memset(header->lead_sha256, header->is_sibling ? 0xab : 0, HV_SHA256_SIZE);
    memset(header->policy, header->has_policy ? 0xcd : 0, HV_SHA256_SIZE);
    add_blocks(m, own, own_offsets(cut, owner, own), random);
    return true;
}

cut_model
random_cut(test_random *random)
{
    cut_model cut = {.first = (int64_t)test_random_below(random, 3) * 1000, .len = 1 + test_random_below(random, MAX_OFFSETS)};
    uint64_t kinds = 1 + test_random_below(random, OWNERS), stickiness = 1 + test_random_below(random, 4);

    for (size_t i = 0; i < cut.len; i++) {
        bool stays = i > 0 && test_random_below(random, stickiness) > 0;
        cut.owner[i] = stays ? cut.owner[i - 1] : (int)test_random_below(random, kinds);
        cut.is_missing[i] = test_random_below(random, 4) == 0;
    }
    return cut;
}

void
fill_example(model_header *m, int owner)
{
    cut_model cut = {.first = 10, .len = 11, .owner = {0, 0, 0, 0, OWNER_GAP, OWNER_GAP, OWNER_A, OWNER_A, OWNER_A, OWNER_B, 0},
                     .is_missing = {[7] = true}};
    test_random random = test_random_make(24);

    ck_assert(model_header_fill(m, &cut, owner, &random));
}
