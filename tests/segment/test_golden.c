/*
 * Golden files are what this format version is: today's reader must read them, and today's writer must write them where no compressor
 * has a say.
 */
#include <stdio.h>

#include "segment/vault_marker.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/golden_cases.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 24 };

static const char *folder;

static void
read_file(const char *name, const char *suffix, hv_buf *ret)
{
    char path[1024], bytes[4096];
    size_t len;
    hv_err err;

    (void)snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read '%s'", path);
    while ((len = fread(bytes, 1, sizeof bytes, file)) > 0)
        hv_buf_put(ret, bytes, len);
    ck_assert(!ferror(file));
    ck_assert_int_eq(fclose(file), 0);
    ck_hv_ok(hv_buf_check(ret, &err));
}

static void
expect_same(const hv_buf *got, const hv_buf *expected, const char *name)
{
    ck_assert_msg(hv_slice_equal(hv_buf_slice(got), hv_buf_slice(expected)), "%s: got %.2000s, not %.2000s", name,
                  got->len > 0 ? got->data : "", expected->len > 0 ? expected->data : "");
}

START_TEST(todays_reader_reads_a_golden_segment_to_the_expected_header_and_events)
{
    const char *name = golden_cases[_i].name;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), header = HV_BUF_INIT(ROOM), events = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_buf_free) hv_buf expected_header = HV_BUF_INIT(ROOM), expected_events = HV_BUF_INIT(ROOM);

    read_file(name, ".avro", &blob);
    read_file(name, ".header.json", &expected_header);
    read_file(name, ".events.jsonl", &expected_events);
    golden_dump(hv_buf_slice(&blob), &header, &events);
    expect_same(&header, &expected_header, name);
    expect_same(&events, &expected_events, name);
}
END_TEST

START_TEST(a_golden_segment_still_has_its_sha256)
{
    const char *name = golden_cases[_i].name;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), sums = HV_BUF_INIT(ROOM);
    unsigned char hash[HV_SHA256_SIZE];
    char text[HV_SHA256_TEXT_SIZE], line[200];

    read_file(name, ".avro", &blob);
    read_file("SHA256SUMS", "", &sums);
    hv_slice whole = hv_buf_slice(&blob);
    hv_sha256(&whole, 1, hash);
    hv_sha256_text(hash, text);
    (void)snprintf(line, sizeof line, "%s  %s.avro\n", text, name);
    ck_assert_msg(strstr(sums.data, line) != NULL, "no line '%s'", line);
}
END_TEST

START_TEST(todays_writer_writes_a_golden_segment)
{
    const golden_case *one = &golden_cases[_i];
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), golden = HV_BUF_INIT(ROOM), header = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_buf_free) hv_buf events = HV_BUF_INIT(ROOM), expected = HV_BUF_INIT(ROOM);

    read_file(one->name, ".avro", &golden);
    read_file(one->name, ".events.jsonl", &expected);
    one->build(&blob);
    if (one->codec == HV_CODEC_NULL)
        expect_same(&blob, &golden, one->name);
    golden_dump(hv_buf_slice(&blob), &header, &events);         /* compressors may change their output, but nobody what it holds */
    expect_same(&events, &expected, one->name);
}
END_TEST

START_TEST(the_golden_vault_marker_is_read_and_written)
{
    hv_err err;
    hv_vault_marker marker;
    HV_AUTO(hv_buf_free) hv_buf golden = HV_BUF_INIT(ROOM), written = HV_BUF_INIT(ROOM);

    read_file("vault", ".json", &golden);
    ck_hv_ok(hv_vault_marker_parse(hv_buf_slice(&golden), &marker, &err));
    ck_assert_str_eq(marker.vault, TEST_VAULT);
    ck_assert_int_eq(marker.created_ms, 1700000000000);
    hv_vault_marker_write(&marker, &written);
    expect_same(&written, &golden, "vault.json");
}
END_TEST

START_TEST(the_golden_incarnation_record_is_read_and_written)
{
    hv_err err;
    hv_incarnation_record record;
    HV_AUTO(hv_buf_free) hv_buf golden = HV_BUF_INIT(ROOM), written = HV_BUF_INIT(ROOM);

    read_file("incarnation", ".json", &golden);
    ck_hv_ok(hv_incarnation_record_parse(hv_buf_slice(&golden), &record, &err));
    ck_assert_str_eq(record.hub, "orders");
    ck_assert_uint_eq(record.incarnation, 2);
    ck_assert_int_eq(record.cause, HV_INCARNATION_IDENTITY);
    ck_assert_str_eq(record.identity, "topic \"id\" \xff");
    hv_incarnation_record_write(&record, &written);
    expect_same(&written, &golden, "incarnation.json");
}
END_TEST

int
main(int argc, char **argv)
{
    TCase *tests = tcase_create("golden files");

    if (argc != 2)
        return 2;
    folder = argv[1];
    tcase_add_loop_test(tests, todays_reader_reads_a_golden_segment_to_the_expected_header_and_events, 0, GOLDEN_CASES);
    tcase_add_loop_test(tests, a_golden_segment_still_has_its_sha256, 0, GOLDEN_CASES);
    tcase_add_loop_test(tests, todays_writer_writes_a_golden_segment, 0, GOLDEN_CASES);
    tcase_add_test(tests, the_golden_vault_marker_is_read_and_written);
    tcase_add_test(tests, the_golden_incarnation_record_is_read_and_written);
    return ck_hv_run("golden files", tests);
}
