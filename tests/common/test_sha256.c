/* Vectors: FIPS 180-4 examples as published by NIST (empty, "abc", 448 bits, a million times 'a'). */
#include "common/sha256.h"
#include "tests/harness/check_hv.h"

static void
check_text(const unsigned char hash[HV_SHA256_SIZE], const char *want)
{
    char text[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(hash, text);
    ck_assert_str_eq(text, want);
}

static void
check_hash_of(const char *message, const char *want)
{
    unsigned char hash[HV_SHA256_SIZE];
    hv_slice part = hv_slice_text(message);

    hv_sha256(&part, 1, hash);
    check_text(hash, want);
}

START_TEST(published_vectors_come_out)
{
    check_hash_of("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_hash_of("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}
END_TEST

START_TEST(how_the_bytes_are_cut_into_parts_does_not_matter)
{
    unsigned char hash[HV_SHA256_SIZE];
    const hv_slice parts[] = {hv_slice_text("a"), HV_SLICE_NULL, hv_slice_text(""), hv_slice_text("bc")};

    hv_sha256(parts, 4, hash);
    check_text(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hv_sha256(NULL, 0, hash);
    check_text(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(a_run_may_be_fed_in_pieces_and_started_again)
{
    hv_err err;
    HV_AUTO(hv_sha256_free) hv_sha256_run *run = NULL;
    unsigned char hash[HV_SHA256_SIZE];
    char thousand[1000];

    memset(thousand, 'a', sizeof thousand);
    ck_hv_ok(hv_sha256_new(&run, &err));
    hv_sha256_start(run);
    hv_sha256_add(run, "what is dropped", 15);
    for (int round = 0; round < 2; round++) {
        hv_sha256_start(run);
        for (int i = 0; i < 1000; i++)
            hv_sha256_add(run, thousand, sizeof thousand);
        hv_sha256_end(run, hash);
        check_text(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
}
END_TEST

START_TEST(hashes_of_many_messages_are_those_of_each_and_may_overwrite_them)
{
    unsigned char from[5 * HV_SHA256_EACH_MAX], apart[5 * HV_SHA256_SIZE], hash[HV_SHA256_SIZE], prefix = 7;

    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (unsigned char)(i * 37);
    hv_sha256_each(prefix, from, HV_SHA256_EACH_MAX, 5, apart);
    for (size_t i = 0; i < 5; i++) {
        const hv_slice parts[] = {hv_slice_of(&prefix, 1), hv_slice_of(from + i * HV_SHA256_EACH_MAX, HV_SHA256_EACH_MAX)};
        hv_sha256(parts, 2, hash);
        ck_assert_mem_eq(apart + i * HV_SHA256_SIZE, hash, HV_SHA256_SIZE);
    }
    hv_sha256_each(prefix, from, HV_SHA256_EACH_MAX, 5, from);
    ck_assert_mem_eq(from, apart, sizeof apart);
}
END_TEST

START_TEST(text_and_hash_are_each_others_inverse)
{
    unsigned char hash[HV_SHA256_SIZE], parsed[HV_SHA256_SIZE];
    char text[HV_SHA256_TEXT_SIZE];

    for (unsigned i = 0; i < HV_SHA256_SIZE; i++)
        hash[i] = (unsigned char)(i * 37 + 3);
    hv_sha256_text(hash, text);
    ck_assert_uint_eq(strlen(text), 64);
    ck_assert(hv_sha256_parse(text, parsed));
    ck_assert_mem_eq(parsed, hash, sizeof hash);
}
END_TEST

START_TEST(anything_but_64_lower_case_digits_is_no_hash_and_leaves_the_result_alone)
{
    char good[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", bad[80];
    unsigned char parsed[HV_SHA256_SIZE], before[HV_SHA256_SIZE];
    static const char wrong[] = {'\0', 'A', 'F', 'g', '/', ':', '`', ' ', '-', (char)0xff};

    memset(parsed, 0x5a, sizeof parsed);
    memcpy(before, parsed, sizeof before);
    for (size_t at = 0; at < 64; at++)
        for (size_t w = 0; w < sizeof wrong; w++) {
            memcpy(bad, good, sizeof good);
            bad[at] = wrong[w];
            ck_assert_msg(!hv_sha256_parse(bad, parsed), "'%s' was taken for a hash", bad);
        }
    memcpy(bad, good, sizeof good);
    memcpy(bad + 64, "0", 2);
    ck_assert(!hv_sha256_parse(bad, parsed));
    ck_assert_mem_eq(parsed, before, sizeof before);
    ck_assert(hv_sha256_parse(good, parsed));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("sha256");
    tcase_add_test(tests, published_vectors_come_out);
    tcase_add_test(tests, how_the_bytes_are_cut_into_parts_does_not_matter);
    tcase_add_test(tests, a_run_may_be_fed_in_pieces_and_started_again);
    tcase_add_test(tests, hashes_of_many_messages_are_those_of_each_and_may_overwrite_them);
    tcase_add_test(tests, text_and_hash_are_each_others_inverse);
    tcase_add_test(tests, anything_but_64_lower_case_digits_is_no_hash_and_leaves_the_result_alone);
    return ck_hv_run("sha256", tests);
}
