/*
 * Wrote tests/golden/v1, once: make_golden FOLDER. It never replaces a file, because golden files are never made again; a new format
 * version gets a new folder.
 */
#include <stdio.h>

#include "segment/vault_marker.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/golden_cases.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 24 };

static bool
write_new(const char *to, const char *name, const char *suffix, const hv_buf *bytes)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s%s", to, name, suffix);
    FILE *file = fopen(path, "wbx");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool written = fwrite(bytes->data, 1, bytes->len, file) == bytes->len;
    return fclose(file) == 0 && written;
}

static bool
write_case(const char *to, const golden_case *one, hv_buf *sums)
{
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), header = HV_BUF_INIT(ROOM), events = HV_BUF_INIT(ROOM);
    unsigned char hash[HV_SHA256_SIZE];
    char text[HV_SHA256_TEXT_SIZE];

    one->build(&blob);
    hv_slice whole = hv_buf_slice(&blob);
    hv_sha256(&whole, 1, hash);
    hv_sha256_text(hash, text);
    hv_buf_printf(sums, "%s  %s.avro\n", text, one->name);
    golden_dump(whole, &header, &events);
    hv_buf_put(&events, "", 0);
    return write_new(to, one->name, ".avro", &blob) && write_new(to, one->name, ".header.json", &header) &&
           write_new(to, one->name, ".events.jsonl", &events);
}

static bool
write_records(const char *to)
{
    HV_AUTO(hv_buf_free) hv_buf marker = HV_BUF_INIT(ROOM), claim = HV_BUF_INIT(ROOM);
    hv_incarnation_record record = {.vault = TEST_VAULT, .hub = "orders", .incarnation = 2, .cause = HV_INCARNATION_IDENTITY,
                                    .identity = "topic \"id\" \xff", .created_ms = 1700000000000};

    hv_vault_marker_write(&(hv_vault_marker){.vault = TEST_VAULT, .created_ms = 1700000000000}, &marker);
    hv_incarnation_record_write(&record, &claim);
    return write_new(to, "vault", ".json", &marker) && write_new(to, "incarnation", ".json", &claim);
}

static const char *folder;

/* A test, because the builders use assertions of Check, which work in tests only. */
START_TEST(all_golden_files_are_new_and_written)
{
    HV_AUTO(hv_buf_free) hv_buf sums = HV_BUF_INIT(ROOM);

    ck_assert(write_records(folder));
    for (size_t i = 0; i < GOLDEN_CASES; i++)
        ck_assert(write_case(folder, &golden_cases[i], &sums));
    ck_assert(write_new(folder, "SHA256SUMS", "", &sums));
}
END_TEST

int
main(int argc, char **argv)
{
    TCase *tests = tcase_create("make golden files");

    if (argc != 2) {
        (void)fputs("usage: make_golden NEW-FOLDER\n", stderr);
        return 2;
    }
    folder = argv[1];
    tcase_add_test(tests, all_golden_files_are_new_and_written);
    return ck_hv_run("make golden files", tests);
}
