/*
 * A value of the index: as it is, and with a right checksum behind it, since whoever can write into the folder can make one. The first
 * byte says of which database. A value has one spelling: what is taken is written again to the very same bytes. What is refused leaves
 * nothing behind.
 */
#include <assert.h>
#include <stdlib.h>

#include "index/index_layout.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 1 << 16, ROOM = 1 << 24 };

static const hv_slice key = {.data = "key", .len = 3};

typedef struct any_value {
    hv_ix_cut cut;
    hv_index_segment segment, blocks;
    hv_ix_gap *gaps;
    size_t gap_count;
    hv_index_incarnation incarnation;
    hv_index_partition_facts facts;
} any_value;

static const hv_ix_db kinds[] = {HV_IX_CUTS, HV_IX_SEGMENTS, HV_IX_BLOCKS, HV_IX_GAPS, HV_IX_INCARNATIONS, HV_IX_PARTITIONS};

static hv_rc
read_value(hv_ix_db db, hv_ix_reader *from, any_value *ret, hv_err *err)
{
    switch (db) {
    case HV_IX_CUTS:
        return hv_ix_read_cut(from, 100, &ret->cut, err);
    case HV_IX_SEGMENTS:
        return hv_ix_read_segment(from, &ret->segment, err);
    case HV_IX_BLOCKS:
        return hv_ix_read_blocks(from, &ret->blocks, err);
    case HV_IX_GAPS:
        return hv_ix_read_gaps(from, 100, &ret->gaps, &ret->gap_count, err);
    case HV_IX_INCARNATIONS:
        return hv_ix_read_incarnation(from, &ret->incarnation, err);
    default:
        return hv_ix_read_facts(from, &ret->facts, err);
    }
}

static void
write_value(hv_ix_db db, const any_value *value, hv_buf *to)
{
    switch (db) {
    case HV_IX_CUTS:
        hv_ix_write_cut(to, &value->cut);
        break;
    case HV_IX_SEGMENTS:
        hv_ix_write_segment(to, &value->segment);
        break;
    case HV_IX_BLOCKS:
        hv_ix_write_blocks(to, &value->blocks);
        break;
    case HV_IX_GAPS:
        hv_ix_write_gaps(to, 100, value->gaps, value->gap_count);
        break;
    case HV_IX_INCARNATIONS:
        hv_ix_write_incarnation(to, &value->incarnation);
        break;
    default:
        hv_ix_write_facts(to, &value->facts);
    }
    hv_ix_seal(db, key, to);
    assert(to->failed == HV_OK);
}

static void
clear(any_value *value)
{
    free(value->blocks.blocks);
    free(value->gaps);
}

static bool
take(hv_ix_db db, hv_slice bytes, any_value *ret)
{
    hv_ix_reader reader;
    hv_err err;

    *ret = (any_value){.gaps = NULL};
    hv_rc rc = hv_ix_unseal(db, key, bytes, &reader, &err);
    if (rc == HV_OK)
        rc = read_value(db, &reader, ret, &err);
    assert(rc == HV_OK || rc == HV_CORRUPT);
    if (rc != HV_OK)
        assert(ret->blocks.blocks == NULL && ret->gaps == NULL);
    return rc == HV_OK;
}

static void
check_ranges(const any_value *value)
{
    int64_t behind = 100;

    for (size_t i = 0; i < value->gap_count; i++) {
        hv_range range = value->gaps[i].gap.range;
        assert(range.first >= behind && range.end > range.first && value->gaps[i].gap.cause < HV_GAP_CAUSES);
        behind = range.end;
    }
}

static void
check_sealed(hv_ix_db db, hv_slice bytes)
{
    HV_AUTO(hv_buf_free) hv_buf again = HV_BUF_INIT(ROOM);
    any_value taken;

    if (!take(db, bytes, &taken))
        return;
    check_ranges(&taken);
    write_value(db, &taken, &again);
    assert(hv_slice_equal(hv_buf_slice(&again), bytes));
    clear(&taken);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HV_AUTO(hv_buf_free) hv_buf sealed = HV_BUF_INIT(MOST + 8);

    if (size < 1 || size > MOST)
        return 0;
    hv_ix_db db = kinds[data[0] % (sizeof kinds / sizeof kinds[0])];
    check_sealed(db, hv_slice_of(data + 1, size - 1));
    hv_buf_put(&sealed, data + 1, size - 1);
    hv_ix_seal(db, key, &sealed);
    check_sealed(db, hv_buf_slice(&sealed));
    return 0;
}
