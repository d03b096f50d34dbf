#include <errno.h>
#include <jansson.h>
#include <sys/random.h>

#include "segment/vault_marker.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

#define MARKER "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":1700000000000}\n"
#define RECORD_START "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"orders\",\"incarnation\":2,\"cause\":\"shorter\",\"identity\":"

START_TEST(a_vault_id_is_a_random_uuid_of_version_4)
{
    hv_err err;
    char first[HV_VAULT_ID_SIZE], second[HV_VAULT_ID_SIZE];

    ck_hv_ok(hv_vault_id_make(first, &err));
    ck_hv_ok(hv_vault_id_make(second, &err));
    ck_assert(hv_vault_id_valid(first) && hv_vault_id_valid(second));
    ck_assert_int_eq(first[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", first[19]));
    ck_assert_str_ne(first, second);
}
END_TEST

static bool no_randomness;

/* The names are the linker's: `--wrap=getrandom` turns getrandom into __wrap_getrandom, and __real_getrandom into getrandom. */
ssize_t __real_getrandom(void *to, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t len, unsigned flags);

ssize_t
__wrap_getrandom(void *to, size_t len, unsigned flags)
{
    if (!no_randomness)
        return __real_getrandom(to, len, flags);
    errno = ENOSYS;
    return -1;
}

START_TEST(without_randomness_there_is_no_vault_id)
{
    hv_err err;
    char id[HV_VAULT_ID_SIZE] = "as it was";

    no_randomness = true;
    ck_hv_fails(HV_IO, hv_vault_id_make(id, &err));
    no_randomness = false;
    ck_assert_str_eq(id, "as it was");
}
END_TEST

START_TEST(a_marker_has_the_documented_bytes_and_comes_back)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_RECORD_MAX);
    hv_vault_marker marker = {.vault = TEST_VAULT, .created_ms = 1700000000000}, got;

    hv_vault_marker_write(&marker, &text);
    ck_hv_ok(hv_buf_check(&text, &err));
    ck_assert_str_eq(text.data, MARKER);
    ck_hv_ok(hv_vault_marker_parse(hv_buf_slice(&text), &got, &err));
    ck_assert_str_eq(got.vault, marker.vault);
    ck_assert_int_eq(got.created_ms, marker.created_ms);
}
END_TEST

START_TEST(a_marker_of_a_newer_format_is_a_version_error_that_names_both)
{
    hv_err err;
    hv_vault_marker got;

    ck_hv_fails(HV_VERSION, hv_vault_marker_parse(hv_slice_text("{\"format\":7,\"what\":\"ever\"}"), &got, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "7"));
    ck_assert_ptr_nonnull(strstr(err.msg, "1"));
}
END_TEST

static const char *const bad_markers[] = {
    "", "{", "{}", "null", "[]", "{\"format\":1}", "{\"format\":0,\"vault\":\"" TEST_VAULT "\",\"created\":1}\n",
    "{\"format\":\"1\",\"vault\":\"" TEST_VAULT "\",\"created\":1}\n", "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":1}",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":1}\n\n", "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":1.0}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":01}\n", "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":-0}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":9223372036854775808}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":-9223372036854775809}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":}\n", "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":-}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":1,\"created\":1}\n", "{\"format\":1,\"vault\":\"" TEST_VAULT "x\",\"created\":1}\n",
    "{\"format\":1,\"vault\":\"0B5FF9A6-7C0E-4A52-9D3F-6A1C2F8E9B10\",\"created\":1}\n", "{\"format\":1,\"vault\":null,\"created\":1}\n",
    "{\"format\":1,\"vault\":\"\",\"created\":1}\n", "{\"format\":1,\"vault\":\"0b5ff9a6", "{\"created\":1,\"format\":1}",
    "{ \"format\":1,\"vault\":\"" TEST_VAULT "\",\"created\":1}\n",
};

START_TEST(a_marker_of_any_other_spelling_is_corrupt)
{
    hv_err err;
    hv_vault_marker got;

    ck_hv_fails(HV_CORRUPT, hv_vault_marker_parse(hv_slice_text(bad_markers[_i]), &got, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "vault marker"));
}
END_TEST

START_TEST(the_extreme_times_come_back)
{
    hv_err err;
    static const int64_t times[] = {0, -1, INT64_MIN, INT64_MAX};

    for (size_t i = 0; i < 4; i++) {
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_RECORD_MAX);
        hv_vault_marker marker = {.vault = TEST_VAULT, .created_ms = times[i]}, got;
        hv_vault_marker_write(&marker, &text);
        ck_hv_ok(hv_vault_marker_parse(hv_buf_slice(&text), &got, &err));
        ck_assert_int_eq(got.created_ms, times[i]);
    }
}
END_TEST

static hv_incarnation_record
record_make(const char *identity)
{
    hv_incarnation_record record = {.vault = TEST_VAULT, .hub = "orders", .incarnation = 2, .cause = HV_INCARNATION_SHORTER,
                                    .created_ms = 1700000000000};

    ck_assert_uint_lt(strlen(identity), sizeof record.identity);
    memcpy(record.identity, identity, strlen(identity));
    return record;
}

START_TEST(an_incarnation_record_has_the_documented_bytes_and_comes_back)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_RECORD_MAX);
    hv_incarnation_record record = record_make("topic-id"), got;

    hv_incarnation_record_write(&record, &text);
    ck_assert_str_eq(text.data, RECORD_START "\"topic-id\",\"created\":1700000000000}\n");
    ck_hv_ok(hv_incarnation_record_parse(hv_buf_slice(&text), &got, &err));
    ck_assert_str_eq(got.vault, TEST_VAULT);
    ck_assert_str_eq(got.hub, "orders");
    ck_assert_uint_eq(got.incarnation, 2);
    ck_assert_int_eq(got.cause, HV_INCARNATION_SHORTER);
    ck_assert_str_eq(got.identity, "topic-id");
    ck_assert_int_eq(got.created_ms, 1700000000000);
}
END_TEST

START_TEST(an_identity_of_any_bytes_is_valid_json_and_comes_back)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_RECORD_MAX);
    char identity[HV_HUB_IDENTITY_SIZE];
    json_error_t why;

    for (int start = 1; start < 256; start += 64) {
        hv_buf_clear(&text);
        memset(identity, 0, sizeof identity);
        for (int i = 0; i < 64 && start + i < 256; i++)
            identity[i] = (char)(start + i);
        hv_incarnation_record record = record_make(identity), got;
        hv_incarnation_record_write(&record, &text);
        json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
        ck_assert_msg(json != NULL, "%s", why.text);
        json_decref(json);
        ck_hv_ok(hv_incarnation_record_parse(hv_buf_slice(&text), &got, &err));
        ck_assert_str_eq(got.identity, identity);
    }
}
END_TEST

START_TEST(all_causes_have_a_text_and_come_back)
{
    hv_err err;

    for (int cause = HV_INCARNATION_FIRST; cause <= HV_INCARNATION_DIFFERS; cause++) {
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_RECORD_MAX);
        hv_incarnation_record record = record_make(""), got;
        record.cause = (hv_incarnation_cause)cause;
        hv_incarnation_record_write(&record, &text);
        ck_hv_ok(hv_incarnation_record_parse(hv_buf_slice(&text), &got, &err));
        ck_assert_int_eq(got.cause, cause);
    }
}
END_TEST

static const char *const bad_records[] = {
    RECORD_START "\"\\u0041\",\"created\":1}\n",        /* A has a spelling of its own */
    RECORD_START "\"\\n\",\"created\":1}\n",
    RECORD_START "\"\\u000A\",\"created\":1}\n",
    RECORD_START "\"\\u0000\",\"created\":1}\n",
    RECORD_START "\"\\u0100\",\"created\":1}\n",
    RECORD_START "\"\n\",\"created\":1}\n",
    RECORD_START "\"\\u00",
    RECORD_START "null,\"created\":1}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"\",\"incarnation\":2,\"cause\":\"first\",\"identity\":\"\",\"created\":1}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"a/b\",\"incarnation\":2,\"cause\":\"first\",\"identity\":\"\",\"created\":1}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"o\",\"incarnation\":0,\"cause\":\"first\",\"identity\":\"\",\"created\":1}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"o\",\"incarnation\":4294967296,\"cause\":\"first\",\"identity\":\"\",\"created\":1}\n",
    "{\"format\":1,\"vault\":\"" TEST_VAULT "\",\"hub\":\"o\",\"incarnation\":1,\"cause\":\"other\",\"identity\":\"\",\"created\":1}\n",
    "{\"format\":1,\"vault\":\"nope\",\"hub\":\"o\",\"incarnation\":1,\"cause\":\"first\",\"identity\":\"\",\"created\":1}\n",
};

START_TEST(a_record_of_any_other_spelling_is_corrupt)
{
    hv_err err;
    hv_incarnation_record got;

    ck_hv_fails(HV_CORRUPT, hv_incarnation_record_parse(hv_slice_text(bad_records[_i]), &got, &err));
}
END_TEST

START_TEST(an_identity_that_is_too_long_and_a_record_that_is_too_long_are_corrupt)
{
    hv_err err;
    hv_incarnation_record got;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 20);

    hv_buf_put_text(&text, RECORD_START "\"");
    for (int i = 0; i < HV_HUB_IDENTITY_SIZE; i++)
        hv_buf_put_byte(&text, 'x');
    hv_buf_put_text(&text, "\",\"created\":1}\n");
    ck_hv_fails(HV_CORRUPT, hv_incarnation_record_parse(hv_buf_slice(&text), &got, &err));
    while (text.len <= HV_RECORD_MAX)
        hv_buf_put_byte(&text, ' ');
    ck_hv_fails(HV_CORRUPT, hv_incarnation_record_parse(hv_buf_slice(&text), &got, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "65536"));
}
END_TEST

START_TEST(a_record_cut_off_at_any_byte_is_corrupt)
{
    hv_err err;
    hv_vault_marker marker;
    hv_incarnation_record record;
    static const char text[] = RECORD_START "\"\\u00ff\",\"created\":1}\n";

    for (size_t len = 0; len < sizeof MARKER - 1; len++)
        ck_hv_fails(HV_CORRUPT, hv_vault_marker_parse(hv_slice_of(MARKER, len), &marker, &err));
    for (size_t len = 0; len < sizeof text - 1; len++)
        ck_hv_fails(HV_CORRUPT, hv_incarnation_record_parse(hv_slice_of(text, len), &record, &err));
    ck_hv_ok(hv_incarnation_record_parse(hv_slice_text(text), &record, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("vault marker");
    tcase_add_test(tests, a_vault_id_is_a_random_uuid_of_version_4);
    tcase_add_test(tests, without_randomness_there_is_no_vault_id);
    tcase_add_test(tests, a_marker_has_the_documented_bytes_and_comes_back);
    tcase_add_test(tests, a_marker_of_a_newer_format_is_a_version_error_that_names_both);
    tcase_add_loop_test(tests, a_marker_of_any_other_spelling_is_corrupt, 0, (int)(sizeof bad_markers / sizeof bad_markers[0]));
    tcase_add_test(tests, the_extreme_times_come_back);
    tcase_add_test(tests, an_incarnation_record_has_the_documented_bytes_and_comes_back);
    tcase_add_test(tests, an_identity_of_any_bytes_is_valid_json_and_comes_back);
    tcase_add_test(tests, all_causes_have_a_text_and_come_back);
    tcase_add_loop_test(tests, a_record_of_any_other_spelling_is_corrupt, 0, (int)(sizeof bad_records / sizeof bad_records[0]));
    tcase_add_test(tests, an_identity_that_is_too_long_and_a_record_that_is_too_long_are_corrupt);
    tcase_add_test(tests, a_record_cut_off_at_any_byte_is_corrupt);
    return ck_hv_run("vault marker", tests);
}
