/* Each way of this machine to sort bytes into classes gives what comparing them one by one gives. */
#include <stdlib.h>

#include "common/json_classes.h"
#include "tests/harness/check_hv.h"

enum { ROUNDS = 2000, CHUNKS = 3, WAYS = HV_JSON_BYTES + 1 };

static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static hv_json_classes
sort_one_by_one(const unsigned char *bytes)
{
    hv_json_classes classes = {.quote = 0};

    for (unsigned i = 0; i < HV_JSON_CHUNK; i++) {
        unsigned char c = bytes[i];
        uint64_t bit = (uint64_t)1 << i;
        classes.quote |= c == '"' ? bit : 0;
        classes.backslash |= c == '\\' ? bit : 0;
        classes.control |= c < 0x20 ? bit : 0;
        classes.space |= c == ' ' ? bit : 0;
        classes.high |= c >= 0x80 ? bit : 0;
        classes.open |= c == '{' || c == '[' ? bit : 0;
        classes.close |= c == '}' || c == ']' ? bit : 0;
        classes.colon |= c == ':' ? bit : 0;
        classes.comma |= c == ',' ? bit : 0;
        classes.digit |= c >= '0' && c <= '9' ? bit : 0;
        classes.zero |= c == '0' ? bit : 0;
    }
    return classes;
}

static void
ck_same(hv_json_classify *classify, const unsigned char *bytes)
{
    hv_json_classes found[CHUNKS];

    classify(bytes, CHUNKS, found);
    for (size_t i = 0; i < CHUNKS; i++) {
        hv_json_classes wanted = sort_one_by_one(bytes + i * HV_JSON_CHUNK);
        ck_assert_mem_eq(&found[i], &wanted, sizeof wanted);
    }
}

START_TEST(every_byte_at_every_place_is_sorted_as_one_by_one)
{
    hv_json_classify *classify = hv_json_classifier((hv_json_way)_i);
    unsigned char bytes[CHUNKS * HV_JSON_CHUNK];

    for (unsigned c = 0; classify != NULL && c < 256; c++)
        for (size_t at = 0; at < sizeof bytes; at++) {
            memset(bytes, 'a', sizeof bytes);
            bytes[at] = (unsigned char)c;
            ck_same(classify, bytes);
        }
}
END_TEST

START_TEST(any_bytes_are_sorted_as_one_by_one)
{
    hv_json_classify *classify = hv_json_classifier((hv_json_way)_i);
    unsigned char bytes[CHUNKS * HV_JSON_CHUNK + 1];
    uint64_t state = 88172645463325252;

    for (int round = 0; classify != NULL && round < ROUNDS; round++) {
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (unsigned char)next_random(&state);
        ck_same(classify, bytes + round % 2);           /* wherever they lie */
    }
}
END_TEST

/* Else the tests above would hold for nothing. */
START_TEST(a_machine_has_the_ways_that_it_has_instructions_for)
{
    ck_assert(hv_json_classifier(HV_JSON_BYTES) == NULL);
#if defined __x86_64__
    ck_assert_int_eq(hv_json_classifier(HV_JSON_AVX512) != NULL, __builtin_cpu_supports("avx512bw") != 0);
    ck_assert_int_eq(hv_json_classifier(HV_JSON_AVX2) != NULL, __builtin_cpu_supports("avx2") != 0);
#endif
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("json classes");

    tcase_add_loop_test(tests, every_byte_at_every_place_is_sorted_as_one_by_one, 0, WAYS);
    tcase_add_loop_test(tests, any_bytes_are_sorted_as_one_by_one, 0, WAYS);
    tcase_add_test(tests, a_machine_has_the_ways_that_it_has_instructions_for);
    return ck_hv_run("json classes", tests);
}
