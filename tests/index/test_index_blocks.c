/* Block tables of every length, stored in pieces: what comes back, what a piece out of its place does, and what a block costs. */
#include <stdlib.h>

#include "index/index_internal.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { MAX_BLOCKS = 400, LONG = 300, SHORT = 3, ROUNDS = 100, PARTITIONS = 20, BLOCKS = 100 };

static scratch_dir dir;
static hv_index *ix;
static hv_partition orders;

static void
set_up(void)
{
    dir = scratch_dir_make();
    ix = sample_open(dir.path, 1 << 20);
    orders = sample_partition("orders", 1, 0);
}

static void
tear_down(void)
{
    hv_index_close(ix);
    scratch_dir_remove(&dir);
}

/* A segment with so many blocks of 100 events in the place of the one that it has. */
static void
give_blocks(hv_index_segment *segment, int64_t first, size_t count)
{
    sample_rng rng = {.state = (uint64_t)first + count};

    free(segment->blocks);
    segment->blocks = calloc(count, sizeof *segment->blocks);
    ck_assert_ptr_nonnull(segment->blocks);
    segment->block_count = count;
    segment->size = segment->data_start;
    segment->count = (int64_t)count * 100;
    segment->max_timestamp_ms = segment->min_timestamp_ms + 60000;
    for (size_t i = 0; i < count; i++) {
        hv_index_block *block = &segment->blocks[i];
        *block = (hv_index_block){.position = segment->size, .length = (uint32_t)(40000 + sample_below(&rng, 20000)), .count = 100,
            .first_offset = first + (int64_t)i * 100, .min_timestamp_ms = segment->min_timestamp_ms + sample_below(&rng, 1000),
            .max_timestamp_ms = segment->max_timestamp_ms};
        for (size_t b = 0; b < HV_SHA256_SIZE; b++)
            block->sha256[b] = (unsigned char)sample_random(&rng);
        segment->size += block->length;
    }
}

static hv_index_cut
cut_of_blocks(int64_t first, size_t count)
{
    hv_index_cut cut = sample_plain_cut(first, (int64_t)count * 100, 1700000000000 + first);

    give_blocks(&cut.segments[0], first, count);
    return cut;
}

START_TEST(a_block_table_of_any_length_comes_back_as_it_was)
{
    int64_t first = 0;
    hv_err err;

    set_up();
    for (size_t count = 1; count <= MAX_BLOCKS; first += (int64_t)count * 100, count++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_of_blocks(first, count), got = {.segment_count = 0};
        sample_add(ix, &orders, &cut);
        ck_hv_ok(hv_index_find_offset(ix, &orders, first, &got, &err));
        ck_assert_msg(sample_cuts_equal(&cut, &got), "%zu blocks", count);
    }
    tear_down();
}
END_TEST

START_TEST(one_other_block_in_a_long_table_is_another_cut)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_of_blocks(0, LONG);
    hv_index_addition again = {.partition = &orders, .cut = &cut};
    hv_err err;

    set_up();
    sample_add(ix, &orders, &cut);
    ck_hv_ok(hv_index_add(ix, &again, 1, &err));
    for (size_t i = 0; i < LONG; i += 13) {
        cut.segments[0].blocks[i].sha256[31] ^= 1;
        ck_hv_fails(HV_CORRUPT, hv_index_add(ix, &again, 1, &err));
        cut.segments[0].blocks[i].sha256[31] ^= 1;
    }
    ck_hv_ok(hv_index_add(ix, &again, 1, &err));
    tear_down();
}
END_TEST

/* ---- pieces that are not in their places ---- */

/* Of the piece `number` of the lead of the cut at offset 0. */
static hv_ix_key
key_of_piece(hv_ix_txn *txn, size_t number)
{
    hv_index_segment lead = {.is_lead = true};
    hv_ix_key partition;
    bool found;
    hv_err err;

    ck_hv_ok(hv_ix_partition_find(txn, &orders, &found, &partition, &err));
    ck_assert(found);
    hv_ix_key segment = hv_ix_key_segment(&partition, 0, &lead);
    return hv_ix_key_piece(&segment, number);
}

static void
delete_piece(hv_ix_txn *txn, size_t number)
{
    hv_ix_key key = key_of_piece(txn, number);
    MDB_val name = {.mv_size = key.len, .mv_data = key.bytes};

    ck_assert_int_eq(mdb_del(txn->mdb, txn->index->mapped.dbi[HV_IX_BLOCKS], &name, NULL), 0);
}

/* With a right checksum. */
static hv_rc
put_at(hv_ix_txn *txn, hv_ix_key key, uint64_t left, hv_slice bytes, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(1 << 16);

    hv_ix_write_number(&value, left, 3);
    hv_buf_put(&value, bytes.data, bytes.len);
    hv_ix_seal(HV_IX_BLOCKS, hv_slice_of(key.bytes, key.len), &value);
    return hv_ix_put(txn, HV_IX_BLOCKS, &key, &value, err);
}

static hv_rc
put_piece(hv_ix_txn *txn, size_t number, uint64_t left, hv_slice bytes, hv_err *err)
{
    return put_at(txn, key_of_piece(txn, number), left, bytes, err);
}

typedef struct misplacement {
    size_t pieces;                      /* that the table has */
    size_t piece;                       /* where to change something */
    enum { GONE, ALL_GONE, FEWER_LEFT, ONE_MORE, RENUMBERED, SHORT_KEY, IN_ONE_PIECE } what;
} misplacement;

static hv_rc
misplace(hv_ix_txn *txn, void *arg, hv_err *ret_err)
{
    const misplacement *how = arg;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 16);
    hv_rc rc = HV_OK;
    hv_err err;

    for (size_t i = 0; i < how->pieces; i++) {
        hv_ix_key key = key_of_piece(txn, i);
        hv_ix_reader value;
        bool found;
        ck_hv_ok(hv_ix_get(txn, HV_IX_BLOCKS, &key, &found, &value, &err));
        ck_assert(found);
        if (i != how->piece && how->what != IN_ONE_PIECE)
            continue;
        (void)hv_ix_read_number(&value, 3);
        hv_buf_put(&bytes, value.at, value.left);
    }
    if (how->what == SHORT_KEY) {
        hv_ix_key key = key_of_piece(txn, 0);
        key.len = HV_IX_CUT_BYTES;
        return put_at(txn, key, 0, hv_buf_slice(&bytes), ret_err);
    }
    if (how->what == FEWER_LEFT)
        return put_piece(txn, how->piece, how->pieces - how->piece - 2, hv_buf_slice(&bytes), ret_err);
    if (how->what == RENUMBERED)
        delete_piece(txn, how->piece);
    if (how->what == ONE_MORE || how->what == RENUMBERED)
        return put_piece(txn, how->pieces, 0, hv_buf_slice(&bytes), ret_err);
    for (size_t i = 0; i < how->pieces; i++)
        if (how->what != GONE || i == how->piece)
            delete_piece(txn, i);
    if (how->what == IN_ONE_PIECE)
        rc = put_piece(txn, 0, 0, hv_buf_slice(&bytes), ret_err);
    return rc;
}

static void
drop_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

static size_t
count_pieces(size_t blocks)
{
    HV_AUTO(hv_buf_free) hv_buf table = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_of_blocks(0, blocks);

    hv_ix_write_blocks(&table, &cut.segments[0]);
    return hv_ix_piece_count(table.len);
}

/* In a new index with one cut: a long table, and with a sibling a short one behind it. */
static void
ck_noticed(misplacement how, bool sibling)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000), got = {.segment_count = 0};
    hv_err err;

    set_up();
    how.pieces = count_pieces(LONG);
    give_blocks(&cut.segments[0], 0, LONG);
    give_blocks(&cut.segments[1], LONG * 100, SHORT);
    free(cut.gaps);
    free(cut.segments[1].missing);
    cut.gaps = cut.segments[1].missing = NULL;
    cut.gap_count = cut.segments[1].missing_count = 0;
    cut.segment_count = sibling ? 2 : 1;
    cut.range.end = sibling ? (LONG + SHORT) * 100 : LONG * 100;
    sample_add(ix, &orders, &cut);
    ck_hv_ok(hv_index_dump(ix, drop_line, NULL, &err));
    ck_hv_ok(hv_ix_write(ix, misplace, &how, &err));
    /* A dump takes each database by itself. */
    if (how.what != ALL_GONE)
        ck_hv_fails(HV_CORRUPT, hv_index_dump(ix, drop_line, NULL, &err));
    /* A lookup that has the whole cut does not look behind it. */
    if (how.what != ONE_MORE || sibling)
        ck_hv_fails(HV_CORRUPT, hv_index_find_offset(ix, &orders, 0, &got, &err));
    cut.segment_count = 2;
    tear_down();
}

START_TEST(a_piece_of_a_block_table_that_is_not_in_its_place_is_noticed)
{
    size_t pieces = count_pieces(LONG);

    ck_assert_uint_ge(pieces, 4);       /* whole pages, and some in a leaf */
    for (size_t i = 0; i < pieces; i++)
        for (int sibling = 0; sibling <= 1; sibling++) {
            ck_noticed((misplacement){.piece = i, .what = GONE}, sibling == 1);
            if (i + 1 < pieces)
                ck_noticed((misplacement){.piece = i, .what = FEWER_LEFT}, sibling == 1);
            ck_noticed((misplacement){.piece = i, .what = ONE_MORE}, sibling == 1);
        }
    for (int sibling = 0; sibling <= 1; sibling++) {
        ck_noticed((misplacement){.piece = pieces - 1, .what = RENUMBERED}, sibling == 1);
        ck_noticed((misplacement){.what = ALL_GONE}, sibling == 1);
        ck_noticed((misplacement){.what = SHORT_KEY}, sibling == 1);
        ck_noticed((misplacement){.what = IN_ONE_PIECE}, sibling == 1);
    }
}
END_TEST

/* ---- what it costs ---- */

/* Recorded as capture does, partitions in turn. 45 bytes are facts; more than 87 were taken by tables in one piece. */
START_TEST(a_block_takes_little_more_room_than_its_facts)
{
    hv_partition partitions[PARTITIONS];
    hv_index_stats stats;
    hv_err err;

    set_up();
    for (int32_t p = 0; p < PARTITIONS; p++)
        partitions[p] = sample_partition("orders", 1, p);
    for (int64_t round = 0; round < ROUNDS; round++) {
        hv_index_cut cuts[PARTITIONS];
        hv_index_addition additions[PARTITIONS];
        for (size_t p = 0; p < PARTITIONS; p++) {
            cuts[p] = cut_of_blocks(round * BLOCKS * 100, BLOCKS);
            additions[p] = (hv_index_addition){.partition = &partitions[p], .cut = &cuts[p]};
        }
        ck_hv_ok(hv_index_add(ix, additions, PARTITIONS, &err));
        for (size_t p = 0; p < PARTITIONS; p++)
            hv_index_cut_clear(&cuts[p]);
    }
    ck_hv_ok(hv_index_stats_read(ix, &stats, &err));
    ck_assert_uint_lt(stats.file_bytes, (uint64_t)ROUNDS * PARTITIONS * BLOCKS * 62);
    tear_down();
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index blocks");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_block_table_of_any_length_comes_back_as_it_was);
    tcase_add_test(tests, one_other_block_in_a_long_table_is_another_cut);
    tcase_add_test(tests, a_block_takes_little_more_room_than_its_facts);
    tcase_add_test(tests, a_piece_of_a_block_table_that_is_not_in_its_place_is_noticed);
    return ck_hv_run("index blocks", tests);
}
