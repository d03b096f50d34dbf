/* Values have one spelling: what another hand wrote otherwise, with a right checksum, is refused and not read as something else. */
#include <stdlib.h>

#include "index/index_layout.h"
#include "tests/harness/check_hv.h"
#include "tests/index/index_samples.h"

static const hv_slice key = {.data = "any key", .len = 7};
static hv_buf value = HV_BUF_INIT(1 << 16);

static void
put(const char *bytes, size_t len)
{
    hv_buf_put(&value, bytes, len);
}

static hv_ix_reader
sealed(hv_ix_db db)
{
    hv_ix_reader reader;
    hv_err err;

    hv_ix_seal(db, key, &value);
    ck_hv_ok(hv_ix_unseal(db, key, hv_buf_slice(&value), &reader, &err));
    return reader;
}

static void
teardown(void)
{
    hv_buf_free(&value);
}

static hv_rc
read_blocks(hv_err *err)
{
    hv_ix_reader reader = sealed(HV_IX_BLOCKS);
    hv_index_segment segment = {.blocks = NULL};
    hv_rc rc = hv_ix_read_blocks(&reader, &segment, err);

    ck_assert(rc == HV_OK || segment.blocks == NULL);
    free(segment.blocks);
    hv_buf_clear(&value);
    return rc;
}

static hv_rc
read_gaps(hv_err *err)
{
    hv_ix_reader reader = sealed(HV_IX_GAPS);
    hv_ix_gap *gaps = NULL;
    size_t count;
    hv_rc rc = hv_ix_read_gaps(&reader, 100, &gaps, &count, err);

    ck_assert(rc == HV_OK || gaps == NULL);
    free(gaps);
    hv_buf_clear(&value);
    return rc;
}

/* One block: position, length, first offset, count, timestamps, hash. */
static void
put_block(const char *length, size_t length_len, const char *count, size_t count_len)
{
    static const char hash[HV_SHA256_SIZE] = "hash";

    put("\001\002", 2);
    put(length, length_len);
    put("\000", 1);
    put(count, count_len);
    put("\002\004", 2);
    put(hash, sizeof hash);
}

START_TEST(a_number_that_could_be_shorter_is_refused)
{
    hv_err err;

    put("\001\002\005r\000", 5);
    ck_hv_ok(read_gaps(&err));
    put("\201\000\002\005r\000", 6);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
    put("\001\202\000\005r\000", 6);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
}
END_TEST

START_TEST(a_number_of_more_than_64_bits_is_refused)
{
    hv_err err;

    put("\001\377\377\377\377\377\377\377\377\377\001\001r\000", 14);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));           /* 2^64 - 1, which leads behind all offsets */
    put("\001\377\377\377\377\377\377\377\377\377\002\001r\000", 14);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
    put("\001\377\377\377\377\377\377\377\377\377\377\001\001r\000", 15);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
    put("\001\377", 2);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
}
END_TEST

START_TEST(a_gap_has_offsets_a_known_cause_and_an_owner)
{
    hv_err err;

    put("\001\002\000r\000", 5);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));           /* no offset in it */
    put("\001\002\005x\000", 5);
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
    put("\001\002\005r\200\200\004", 7);                /* of segment number 65536: a cut does not have so many */
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
    put("\100\002\005r\000", 5);                        /* 64 gaps in four bytes */
    ck_hv_fails(HV_CORRUPT, read_gaps(&err));
}
END_TEST

START_TEST(a_block_has_events_and_a_length_that_fits)
{
    hv_err err;

    put_block("\005", 1, "\002", 1);
    ck_hv_ok(read_blocks(&err));
    put_block("\005", 1, "\000", 1);
    ck_hv_fails(HV_CORRUPT, read_blocks(&err));         /* none */
    put_block("\005", 1, "\001", 1);
    ck_hv_fails(HV_CORRUPT, read_blocks(&err));         /* -1 */
    put_block("\005", 1, "\200\200\200\200\020", 5);
    ck_hv_fails(HV_CORRUPT, read_blocks(&err));         /* 2^31 */
    put_block("\200\200\200\200\020", 5, "\002", 1);
    ck_hv_fails(HV_CORRUPT, read_blocks(&err));         /* 2^32 bytes, which must not become 0 */
}
END_TEST

START_TEST(flags_are_those_that_we_know)
{
    hv_index_segment segment = {.class_name = "default", .is_lead = true}, got;
    hv_ix_cut cut = {.range = {.first = 5, .end = 9}, .segment_count = 1, .has_gaps = true}, cut_got;
    hv_err err;

    hv_ix_write_segment(&value, &segment);
    ck_assert_int_eq(value.data[8], 2);
    value.data[8] = 6;
    hv_ix_reader reader = sealed(HV_IX_SEGMENTS);
    ck_hv_fails(HV_CORRUPT, hv_ix_read_segment(&reader, &got, &err));
    hv_buf_clear(&value);
    hv_ix_write_cut(&value, &cut);
    ck_assert_int_eq(value.data[12], 1);
    value.data[12] = 3;
    reader = sealed(HV_IX_CUTS);
    ck_hv_fails(HV_CORRUPT, hv_ix_read_cut(&reader, 5, &cut_got, &err));
}
END_TEST

START_TEST(text_has_no_nul_and_fits_its_field)
{
    hv_index_incarnation incarnation = {.created_ms = 5, .cause = "first", .identity = "x"}, got;
    hv_err err;

    hv_ix_write_incarnation(&value, &incarnation);
    value.data[10] = '\0';
    hv_ix_reader reader = sealed(HV_IX_INCARNATIONS);
    ck_hv_fails(HV_CORRUPT, hv_ix_read_incarnation(&reader, &got, &err));
    hv_buf_clear(&value);
    hv_ix_write_number(&value, 5, 8);
    hv_ix_write_number(&value, sizeof got.cause, 1);
    for (size_t i = 0; i < sizeof got.cause; i++)
        put("a", 1);
    put("\000", 1);
    reader = sealed(HV_IX_INCARNATIONS);
    ck_hv_fails(HV_CORRUPT, hv_ix_read_incarnation(&reader, &got, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index layout");

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, a_number_that_could_be_shorter_is_refused);
    tcase_add_test(tests, a_number_of_more_than_64_bits_is_refused);
    tcase_add_test(tests, a_gap_has_offsets_a_known_cause_and_an_owner);
    tcase_add_test(tests, a_block_has_events_and_a_length_that_fits);
    tcase_add_test(tests, flags_are_those_that_we_know);
    tcase_add_test(tests, text_has_no_nul_and_fits_its_field);
    return ck_hv_run("index layout", tests);
}
