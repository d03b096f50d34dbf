/* Segments that somebody made wrong: every hash in them is right, what they hold is not. */
#include "segment/names.h"
#include "segment/segment_file.h"
#include "tests/archiver/verify_checks.h"

static vault_maker maker;
static hv_partition orders0;

/* Assemble a segment with one block of these raw bytes in the place of a lead, hashes and all. */
static void
put_made(int64_t first, int32_t stated_count, int64_t min_ms, int64_t max_ms, hv_slice raw)
{
    static const unsigned char sync[HV_SYNC_SIZE] = "sync";
    hv_segment_header header = {.vault = MAKER_VAULT, .partition = orders0, .class_name = HV_CLASS_DEFAULT, .codec = HV_CODEC_NULL,
        .cut = {first, first + stated_count}};
    hv_block_format format = {.codec = HV_CODEC_NULL, .level = 1};
    hv_block_facts facts = {.first_offset = first, .last_offset = first + stated_count - 1, .count = stated_count,
        .min_timestamp_ms = min_ms, .max_timestamp_ms = max_ms};
    HV_AUTO(hv_block_free) hv_block block = {.stored = NULL};
    HV_AUTO(hv_buf_free) hv_buf front = HV_BUF_INIT(1 << 20);
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_err err;

    memcpy(format.sync, sync, sizeof sync);
    ck_hv_ok(hv_block_seal(maker.coder, &format, &facts, raw, &block, &err));
    ck_hv_ok(hv_segment_assemble(&header, &block, 1, sync, &front, attributes.sha256, &err));
    free(header.blocks);
    hv_slice parts[] = {hv_buf_slice(&front), hv_slice_of(block.stored, block.ref.length)};
    ck_hv_ok(maker.storage->ops->put_new(maker.storage, lead_at(first), parts, 2, &attributes, &err));
}

static void
encode(hv_buf *raw, int64_t offset, int64_t timestamp_ms)
{
    hv_event event = {.offset = offset, .timestamp_ms = timestamp_ms, .timestamp_type = HV_TIMESTAMP_CREATE,
        .value = hv_slice_text("a value long enough for two")};

    hv_event_encode(&event, raw);
}

static void
setup(void)
{
    maker_setup(&maker, false);
    orders0 = maker_partition("orders", 1, 0);
    maker_claim(&maker, "orders", 1);
    hv_index_close(maker.index);
    maker.index = NULL;
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

START_TEST(an_offset_twice_in_a_block_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(1 << 20);

    encode(&raw, 0, 5);
    encode(&raw, 1, 5);
    encode(&raw, 1, 5);
    put_made(0, 3, 5, 5, hv_buf_slice(&raw));
    ck_finds_in_depth(&maker, HV_FINDING_WRONG_OFFSET, lead_at(0));
    ck_assert_int_eq(told.count, 0);
}
END_TEST

START_TEST(a_block_with_an_event_more_or_less_than_its_table_says_is_found)
{
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(1 << 20);

    encode(&raw, 0, 5);
    encode(&raw, 1, 5);
    encode(&raw, 2, 5);
    put_made(0, 2, 5, 5, hv_buf_slice(&raw));
    ck_finds_in_depth(&maker, HV_FINDING_WRONG_COUNT, lead_at(0));
    maker_drop(&maker, lead_at(0));
    hv_buf_clear(&raw);
    encode(&raw, 0, 5);
    put_made(0, 2, 5, 5, hv_buf_slice(&raw));
    ck_finds_in_depth(&maker, HV_FINDING_WRONG_COUNT, lead_at(0));
}
END_TEST

START_TEST(timestamps_outside_of_what_the_table_says_are_found)
{
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(1 << 20);

    encode(&raw, 0, 5);
    encode(&raw, 1, 7);
    put_made(0, 2, 5, 8, hv_buf_slice(&raw));
    ck_finds_in_depth(&maker, HV_FINDING_WRONG_TIMESTAMPS, lead_at(0));
}
END_TEST

START_TEST(bytes_that_are_no_events_are_found)
{
    put_made(0, 2, 5, 5, hv_slice_text("these are no events, although they are long enough to be some"));
    ck_finds_in_depth(&maker, HV_FINDING_UNDECODABLE_BLOCK, lead_at(0));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify made");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_offset_twice_in_a_block_is_found);
    tcase_add_test(tests, a_block_with_an_event_more_or_less_than_its_table_says_is_found);
    tcase_add_test(tests, timestamps_outside_of_what_the_table_says_are_found);
    tcase_add_test(tests, bytes_that_are_no_events_are_found);
    return ck_hv_run("verify made", tests);
}
