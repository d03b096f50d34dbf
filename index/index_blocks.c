/*
 * Block tables in pieces
 *
 * LMDB gives a value that fills more than half a page pages of its own, whole ones, so a table of 4.5 KB would take 8 KB. Hence a
 * table is cut where pages of 4096 bytes end: pieces that fill one page with its header, and what is left behind them in pieces of
 * which four fit into a leaf. Where pages are larger all pieces lie in leaves. How a table is cut follows from its length, and each
 * piece says how many follow it, so that none can be missing or too many unnoticed.
 */
#include <assert.h>

#include "index/index_internal.h"

enum {
    NUMBER_BYTES = 4,                   /* of the piece, in its key */
    LEFT_BYTES = 3,                     /* pieces that follow, in front of the piece */
    AROUND = LEFT_BYTES + HV_IX_CHECKSUM_BYTES,
    PAGE_PIECE = 4080 - AROUND,
    /* Four nodes of up to 1,020 bytes to a leaf: header and place of the node 10, key up to 50. */
    LEAF_PIECE = 960 - AROUND,
    IN_LEAVES = 4 * LEAF_PIECE,         /* more takes a page */
};

typedef struct piece_plan {
    size_t pages, count;                /* pieces that fill a page; all pieces */
} piece_plan;

static piece_plan
plan_pieces(size_t len)
{
    piece_plan plan = {.pages = len / PAGE_PIECE};
    size_t rest = len % PAGE_PIECE;

    plan.count = plan.pages + (rest > IN_LEAVES ? 1 : (rest + LEAF_PIECE - 1) / LEAF_PIECE);
    return plan;
}

size_t
hv_ix_piece_count(size_t table_len)
{
    return plan_pieces(table_len).count;
}

void
hv_ix_write_piece(hv_buf *to, hv_slice table, size_t number)
{
    piece_plan plan = plan_pieces(table.len);
    bool in_page = number < plan.pages;
    size_t at = in_page ? number * PAGE_PIECE : plan.pages * PAGE_PIECE + (number - plan.pages) * LEAF_PIECE;
    size_t bytes = number + 1 == plan.count ? table.len - at : in_page ? PAGE_PIECE : LEAF_PIECE;

    assert(number < plan.count && plan.count < (size_t)1 << (8 * LEFT_BYTES));
    hv_ix_write_number(to, plan.count - 1 - number, LEFT_BYTES);
    hv_buf_put(to, (const char *)table.data + at, bytes);
}

static hv_rc
out_of_place(hv_err *err)
{
    return hv_err_set(err, HV_CORRUPT, "a piece of a block table is not in its place: rebuild the index");
}

hv_rc
hv_ix_table_add(hv_ix_table *table, hv_ix_cursor *piece, hv_err *err)
{
    hv_slice key = piece->key;

    if (key.len < HV_IX_CUT_BYTES + 1 + NUMBER_BYTES || key.len - NUMBER_BYTES > sizeof table->segment.bytes)
        return hv_err_set(err, HV_CORRUPT, "a key in '%s' has %zu bytes: rebuild the index", hv_ix_db_name(HV_IX_BLOCKS), key.len);
    key.len -= NUMBER_BYTES;
    uint64_t number = hv_ix_number((const unsigned char *)key.data + key.len, NUMBER_BYTES);
    uint64_t left = hv_ix_read_number(&piece->value, LEFT_BYTES);
    bool follows = table->left > 0 && number > 0 && left + 1 == table->left && key.len == table->segment.len &&
                   hv_ix_begins_with(key, &table->segment);
    if (!follows && (table->left > 0 || number > 0))
        return out_of_place(err);
    if (number == 0) {
        memcpy(table->segment.bytes, key.data, key.len);
        table->segment.len = key.len;
        hv_buf_clear(&table->bytes);
    }
    hv_buf_put(&table->bytes, piece->value.at, piece->value.left);
    table->added = number + 1;
    table->left = left;
    return hv_buf_check(&table->bytes, err);
}

hv_rc
hv_ix_table_end(hv_ix_table *table, hv_index_segment *ret, hv_err *err)
{
    hv_slice bytes = hv_buf_slice(&table->bytes);
    hv_ix_reader reader = {.at = bytes.data, .left = bytes.len};

    if (table->added != plan_pieces(bytes.len).count)
        return out_of_place(err);
    return hv_ix_read_blocks(&reader, ret, err);
}
