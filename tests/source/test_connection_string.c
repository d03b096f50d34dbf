#include "source/connection_string.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

#define KEY "aGVsbG8+d29ybGQ/=="
#define GOOD "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=reader;SharedAccessKey=" KEY

static hv_err err;

START_TEST(a_string_for_a_namespace_is_taken_apart)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string got = {0};

    ck_hv_ok(hv_connection_string_parse(GOOD, &got, &err));
    ck_assert_str_eq(got.host, "ns.servicebus.windows.net");
    ck_assert_str_eq(got.key_name, "reader");
    ck_assert_str_eq(got.key.text, KEY);
    ck_assert_str_eq(got.entity_path, "");
    ck_assert(!got.emulator);
}
END_TEST

START_TEST(order_case_blanks_and_unknown_fields_do_not_matter)
{
    static const char *const same[] = {
        "SharedAccessKey=" KEY ";EntityPath=orders;Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=reader",
        GOOD ";EntityPath=orders;",
        ";;" GOOD "; EntityPath=orders",
        ("endpoint=SB://ns.servicebus.windows.net;sharedaccesskeyname=reader;SHAREDACCESSKEY=" KEY
         ";entitypath=orders;OperationTimeout=5"),
        "Endpoint=sb://ns.servicebus.windows.net:5671/;SharedAccessKeyName=reader;SharedAccessKey=" KEY ";EntityPath=orders",
    };

    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        HV_AUTO(hv_connection_string_clear) hv_connection_string got = {0};
        ck_hv_ok(hv_connection_string_parse(same[i], &got, &err));
        ck_assert_str_eq(got.host, "ns.servicebus.windows.net");
        ck_assert_str_eq(got.key_name, "reader");
        ck_assert_str_eq(got.key.text, KEY);
        ck_assert_str_eq(got.entity_path, "orders");
    }
}
END_TEST

START_TEST(the_emulator_is_recognised)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string got = {0};

    ck_hv_ok(hv_connection_string_parse("Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;"
                                        "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;", &got, &err));
    ck_assert(got.emulator);
}
END_TEST

START_TEST(what_is_no_connection_string_is_refused_in_words_that_hold_nothing_of_it)
{
    static const char *const bad[] = {
        "", ";", "=", "=x;" GOOD, "quiet", GOOD ";quiet", GOOD ";" GOOD, GOOD ";SharedAccessKey=quiet",
        "Endpoint=sb://ns/;SharedAccessKeyName=quiet",
        "Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=",
        "Endpoint=sb://ns/;SharedAccessKeyName=;SharedAccessKey=quiet",
        "SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=https://quiet/;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=sb://;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=sb://a b/;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=sb://quiet@host/;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=sb://host/quiet;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=sb://host:quiet/;SharedAccessKeyName=n;SharedAccessKey=quiet",
        "Endpoint=sb://host/;SharedAccessKeyName=qui\x01et;SharedAccessKey=quiet",
        "Endpoint=sb://host/;SharedAccessSignature=SharedAccessSignature sr=quiet&sig=quiet",
        GOOD ";EntityPath=", GOOD ";EntityPath=quiet/sub", GOOD ";EntityPath=..",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hv_connection_string got = {0};
        hv_rc rc = hv_connection_string_parse(bad[i], &got, &err);
        ck_assert_msg(rc == HV_USAGE, "'%s': %s", bad[i], hv_rc_name(rc));
        ck_assert_msg(strstr(err.msg, "quiet") == NULL && strstr(err.msg, KEY) == NULL, "'%s'", err.msg);
        ck_assert_ptr_null(got.key.text);
    }
}
END_TEST

START_TEST(fields_of_any_length_are_refused_or_taken_whole)
{
    for (size_t len = 1; len < 6000; len += 13) {
        HV_AUTO(hv_connection_string_clear) hv_connection_string got = {0};
        char name[6001], text[7000];
        memset(name, 'n', len);
        name[len] = '\0';
        (void)snprintf(text, sizeof text, "Endpoint=sb://h/;SharedAccessKeyName=%s;SharedAccessKey=k", name);
        if (hv_connection_string_parse(text, &got, &err) == HV_OK)
            ck_assert_str_eq(got.key_name, name);
        else
            ck_assert_uint_gt(len, 256);
        (void)snprintf(text, sizeof text, "Endpoint=sb://%s/;SharedAccessKeyName=n;SharedAccessKey=k", name);
        hv_connection_string_clear(&got);
        if (hv_connection_string_parse(text, &got, &err) == HV_OK)
            ck_assert_str_eq(got.host, name);
        else
            ck_assert_uint_gt(len, 255);
        (void)snprintf(text, sizeof text, GOOD ";EntityPath=%s", name);
        hv_connection_string_clear(&got);
        if (hv_connection_string_parse(text, &got, &err) == HV_OK)
            ck_assert_str_eq(got.entity_path, name);
        else
            ck_assert_uint_gt(len, 249);
    }
}
END_TEST

/* Every prefix, and every byte of the text replaced by some others: no crash, and no success that mixes fields. */
START_TEST(damaged_strings_never_crash)
{
    char text[sizeof GOOD + 20] = {0};
    static const char replacements[] = ";=/: \x01\x7f\xff";
    size_t full = strlen(GOOD ";EntityPath=orders");

    for (size_t i = 0; i <= full; i++)
        for (size_t r = 0; r < sizeof replacements; r++) {
            HV_AUTO(hv_connection_string_clear) hv_connection_string got = {0};
            (void)snprintf(text, sizeof text, "%s", GOOD ";EntityPath=orders");
            text[i] = replacements[r];  /* the last is a NUL: a prefix */
            if (hv_connection_string_parse(text, &got, &err) == HV_OK)
                ck_assert(got.host[0] != '\0' && got.key_name[0] != '\0' && got.key.len > 0);
        }
}
END_TEST

/* ---- secrets from files ---- */

static scratch_dir dir;
static char path[400];

static void
make_dir(void)
{
    dir = scratch_dir_make();
    (void)snprintf(path, sizeof path, "%s/secret", dir.path);
}

static void
remove_dir(void)
{
    scratch_dir_remove(&dir);
}

static hv_rc
read_bytes(const void *bytes, size_t len, hv_secret *secret)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    (void)fclose(file);
    return hv_secret_read(path, "test", secret, &err);
}

START_TEST(one_line_end_is_cut_off_a_secret_and_nothing_else)
{
    HV_AUTO(hv_secret_wipe) hv_secret secret = {0};

    ck_hv_ok(read_bytes("abc", 3, &secret));
    ck_assert_str_eq(secret.text, "abc");
    ck_hv_ok(read_bytes(" abc \n", 6, &secret));
    ck_assert_str_eq(secret.text, " abc ");
    ck_hv_ok(read_bytes("abc\r\n", 5, &secret));
    ck_assert_str_eq(secret.text, "abc");
    ck_assert_uint_eq(secret.len, 3);
}
END_TEST

START_TEST(files_that_hold_no_single_line_are_refused_and_the_old_secret_stays)
{
    HV_AUTO(hv_secret_wipe) hv_secret secret = {0};
    char *large = malloc(HV_SECRET_MAX + 10);

    ck_assert_ptr_nonnull(large);
    memset(large, 'x', HV_SECRET_MAX + 10);
    ck_hv_ok(read_bytes("old", 3, &secret));
    ck_hv_fails(HV_USAGE, read_bytes("", 0, &secret));
    ck_hv_fails(HV_USAGE, read_bytes("\n", 1, &secret));
    ck_hv_fails(HV_USAGE, read_bytes("a\nb", 3, &secret));
    ck_hv_fails(HV_USAGE, read_bytes("a\n\n", 3, &secret));
    ck_hv_fails(HV_USAGE, read_bytes("a\0b", 3, &secret));
    ck_hv_fails(HV_USAGE, read_bytes(large, HV_SECRET_MAX + 1, &secret));
    ck_hv_fails(HV_USAGE, read_bytes(large, HV_SECRET_MAX + 10, &secret));
    ck_hv_fails(HV_NOT_FOUND, hv_secret_read("/nonexistent/secret", "test", &secret, &err));
    ck_hv_fails(HV_IO, hv_secret_read(dir.path, "test", &secret, &err));
    ck_assert_str_eq(secret.text, "old");
    ck_hv_ok(read_bytes(large, HV_SECRET_MAX, &secret));
    free(large);
}
END_TEST

START_TEST(redaction_hides_every_occurrence_and_leaves_the_rest)
{
    HV_AUTO(hv_secret_wipe) hv_secret secret = {0}, tiny = {0};
    char text[] = "s3cr3t and s3cr3ts3cr3t, not secret";

    ck_hv_ok(hv_secret_set(&secret, "s3cr3t", 6, &err));
    hv_secret_redact(&secret, text);
    ck_assert_str_eq(text, "****** and ************, not secret");
    ck_hv_ok(hv_secret_set(&tiny, "a", 1, &err));
    hv_secret_redact(&tiny, text);
    ck_assert_str_eq(text, "****** and ************, not secret");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("connection string");
    tcase_add_checked_fixture(tests, make_dir, remove_dir);
    tcase_add_test(tests, a_string_for_a_namespace_is_taken_apart);
    tcase_add_test(tests, order_case_blanks_and_unknown_fields_do_not_matter);
    tcase_add_test(tests, the_emulator_is_recognised);
    tcase_add_test(tests, what_is_no_connection_string_is_refused_in_words_that_hold_nothing_of_it);
    tcase_add_test(tests, fields_of_any_length_are_refused_or_taken_whole);
    tcase_add_test(tests, damaged_strings_never_crash);
    tcase_add_test(tests, one_line_end_is_cut_off_a_secret_and_nothing_else);
    tcase_add_test(tests, files_that_hold_no_single_line_are_refused_and_the_old_secret_stays);
    tcase_add_test(tests, redaction_hides_every_occurrence_and_leaves_the_rest);
    return ck_hv_run("connection string", tests);
}
