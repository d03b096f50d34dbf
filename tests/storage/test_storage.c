/* What storage.h promises, checked against every driver. */
#include <pthread.h>
#include <stdio.h>

#include "common/clock.h"
#include "tests/harness/check_hv.h"
#include "tests/storage/storage_under_test.h"

static storage_under_test under_test;
#define STORAGE under_test.storage
#define OPS under_test.storage->ops

static void
teardown(void)
{
    storage_under_test_close(&under_test);
}

static void
check_bytes(const char *name, const char *want)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(1 << 20);

    ck_hv_ok(hv_storage_get(STORAGE, name, &got, &err));
    ck_assert_msg(hv_slice_equal(hv_buf_slice(&got), hv_slice_text(want)), "'%s' holds '%s', not '%s'", name, got.data, want);
}

START_TEST(a_blob_is_the_concatenation_of_its_parts)
{
    hv_err err;
    const hv_slice parts[] = {hv_slice_text("ab"), HV_SLICE_NULL, hv_slice_text(""), hv_slice_text("c"), hv_slice_text("def")};

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(OPS->put_new(STORAGE, "x/abcdef", parts, 5, NULL, &err));
    check_bytes("x/abcdef", "abcdef");
}
END_TEST

START_TEST(more_parts_than_one_system_call_takes_are_stored_in_order)
{
    enum { PARTS = 5000 };
    hv_err err;
    static hv_slice parts[PARTS];
    static char numbers[PARTS][8];
    HV_AUTO(hv_buf_free) hv_buf want = HV_BUF_INIT(1 << 20);

    storage_under_test_open(_i, &under_test);
    for (int i = 0; i < PARTS; i++) {
        (void)snprintf(numbers[i], sizeof numbers[i], "%d,", i);
        parts[i] = hv_slice_text(numbers[i]);
        hv_buf_put_text(&want, numbers[i]);
    }
    ck_hv_ok(OPS->put_new(STORAGE, "numbers", parts, PARTS, NULL, &err));
    check_bytes("numbers", want.data);
}
END_TEST

START_TEST(an_empty_blob_is_a_blob)
{
    hv_err err;
    hv_blob_properties properties;

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(OPS->put_new(STORAGE, "empty", NULL, 0, NULL, &err));
    check_bytes("empty", "");
    ck_hv_ok(OPS->properties(STORAGE, "empty", &properties, &err));
    ck_assert_uint_eq(properties.size, 0);
    ck_hv_fails(HV_EXISTS, put_text(STORAGE, "empty", "x", &err));
}
END_TEST

START_TEST(a_taken_name_is_refused_even_for_equal_bytes_and_keeps_what_it_had)
{
    hv_err err;

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "a/name", "abc", &err));
    ck_hv_fails(HV_EXISTS, put_text(STORAGE, "a/name", "abc", &err));
    ck_hv_fails(HV_EXISTS, put_text(STORAGE, "a/name", "other", &err));
    check_bytes("a/name", "abc");
}
END_TEST

START_TEST(a_range_is_cut_where_the_blob_ends_and_is_appended)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(100);

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "digits", "0123456789", &err));
    ck_hv_ok(OPS->get_range(STORAGE, "digits", 3, 4, &got, &err));
    ck_assert_str_eq(got.data, "3456");
    ck_hv_ok(OPS->get_range(STORAGE, "digits", 8, 4, &got, &err));
    ck_assert_str_eq(got.data, "345689");
    ck_hv_ok(OPS->get_range(STORAGE, "digits", 10, 4, &got, &err));
    ck_hv_ok(OPS->get_range(STORAGE, "digits", UINT64_MAX, SIZE_MAX, &got, &err));
    ck_hv_ok(OPS->get_range(STORAGE, "digits", 4, 0, &got, &err));
    ck_assert_str_eq(got.data, "345689");
    ck_hv_ok(OPS->get_range(STORAGE, "digits", 9, SIZE_MAX, &got, &err));
    ck_assert_str_eq(got.data, "3456899");
}
END_TEST

START_TEST(a_get_without_room_is_a_limit_failure_and_leaves_the_buffer_usable)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(5);

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "digits", "0123456789", &err));
    hv_buf_put_text(&got, "ab");
    ck_hv_fails(HV_LIMIT, hv_storage_get(STORAGE, "digits", &got, &err));
    ck_hv_fails(HV_LIMIT, OPS->get_range(STORAGE, "digits", 0, 4, &got, &err));
    ck_assert_str_eq(got.data, "ab");
    ck_hv_ok(OPS->get_range(STORAGE, "digits", 0, 3, &got, &err));
    ck_assert_str_eq(got.data, "ab012");
}
END_TEST

START_TEST(a_whole_blob_that_just_fits_is_got)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(10);

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "digits", "0123456789", &err));
    ck_hv_ok(hv_storage_get(STORAGE, "digits", &got, &err));
    ck_assert_uint_eq(got.len, 10);
}
END_TEST

START_TEST(a_name_that_is_not_there_is_not_found)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(10);
    hv_blob_properties properties;
    static const char *const names[] = {"no", "no/such/folder", "folder", "blob/below"};

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "folder/blob", "x", &err));
    ck_hv_ok(put_text(STORAGE, "blob", "x", &err));
    hv_buf_put_text(&got, "before");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_hv_fails(HV_NOT_FOUND, hv_storage_get(STORAGE, names[i], &got, &err));
        ck_hv_fails(HV_NOT_FOUND, OPS->properties(STORAGE, names[i], &properties, &err));
        ck_hv_fails(HV_NOT_FOUND, OPS->delete_version(STORAGE, names[i], "", &err));
    }
    ck_assert_str_eq(got.data, "before");
}
END_TEST

START_TEST(properties_tell_size_time_and_what_the_store_could_keep)
{
    hv_err err;
    hv_blob_attributes attributes = {.has_sha256 = true, .has_nonce = true};
    hv_blob_properties got;
    int64_t before = hv_clock_wall_ms();

    memset(attributes.sha256, 0xa5, sizeof attributes.sha256);
    memset(attributes.nonce, 0x00, sizeof attributes.nonce);
    storage_under_test_open(_i, &under_test);
    hv_slice part = hv_slice_text("abc");
    ck_hv_ok(OPS->put_new(STORAGE, "a/b", &part, 1, &attributes, &err));
    ck_hv_ok(OPS->properties(STORAGE, "a/b", &got, &err));
    ck_assert_uint_eq(got.size, 3);
    ck_assert_int_ge(got.created_ms, before - 2000);    /* a file system may round */
    ck_assert_int_le(got.created_ms, hv_clock_wall_ms() + 2000);
    ck_assert_str_eq(got.version, "");
    ck_assert_int_eq(got.attributes.has_sha256, under_test.keeps_attributes);
    ck_assert_int_eq(got.attributes.has_nonce, under_test.keeps_attributes);
    if (under_test.keeps_attributes) {
        ck_assert_mem_eq(got.attributes.sha256, attributes.sha256, sizeof attributes.sha256);
        ck_assert_mem_eq(got.attributes.nonce, attributes.nonce, sizeof attributes.nonce);
    }
}
END_TEST

START_TEST(what_was_not_given_is_absent)
{
    hv_err err;
    hv_blob_attributes attributes = {.has_nonce = true};
    hv_blob_properties got;

    storage_under_test_open(_i, &under_test);
    hv_slice part = hv_slice_text("abc");
    ck_hv_ok(OPS->put_new(STORAGE, "one", &part, 1, &attributes, &err));
    ck_hv_ok(OPS->put_new(STORAGE, "none", &part, 1, NULL, &err));
    ck_hv_ok(OPS->properties(STORAGE, "one", &got, &err));
    ck_assert(!got.attributes.has_sha256 && got.attributes.has_nonce == under_test.keeps_attributes);
    ck_hv_ok(OPS->properties(STORAGE, "none", &got, &err));
    ck_assert(!got.attributes.has_sha256 && !got.attributes.has_nonce);
}
END_TEST

START_TEST(a_deleted_blob_is_gone_and_its_name_is_free)
{
    hv_err err;
    hv_blob_properties properties;

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "a/b", "old", &err));
    ck_hv_fails(HV_NOT_FOUND, OPS->delete_version(STORAGE, "a/b", "20240101", &err));
    ck_hv_ok(OPS->delete_version(STORAGE, "a/b", "", &err));
    ck_hv_fails(HV_NOT_FOUND, OPS->delete_version(STORAGE, "a/b", "", &err));
    ck_hv_fails(HV_NOT_FOUND, OPS->properties(STORAGE, "a/b", &properties, &err));
    ck_hv_ok(put_text(STORAGE, "a/b", "new", &err));
    check_bytes("a/b", "new");
}
END_TEST

START_TEST(names_against_the_rule_are_usage_failures_everywhere)
{
    hv_err err;
    char long_part[300], long_name[600];
    const char *const names[] = {
        "", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/../b", "../a", "a b", "a\nb", "a%b", "\xc3\xa4", "a\\b", "a:b", "a*",
        "a+b", ".tmp", ".tmp/a", ".tmpfile", long_part, long_name,
    };
    hv_blob_properties properties;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(10);

    memset(long_part, 'p', HV_STORAGE_PART_MAX + 1);
    long_part[HV_STORAGE_PART_MAX + 1] = '\0';
    for (size_t i = 0; i < HV_STORAGE_NAME_SIZE; i++)
        long_name[i] = i % 10 == 9 ? '/' : 'n';
    long_name[HV_STORAGE_NAME_SIZE] = '\0';
    storage_under_test_open(_i, &under_test);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_hv_fails(HV_USAGE, put_text(STORAGE, names[i], "x", &err));
        ck_hv_fails(HV_USAGE, hv_storage_get(STORAGE, names[i], &got, &err));
        ck_hv_fails(HV_USAGE, OPS->properties(STORAGE, names[i], &properties, &err));
        ck_hv_fails(HV_USAGE, OPS->delete_version(STORAGE, names[i], "", &err));
    }
}
END_TEST

START_TEST(every_name_the_rule_allows_can_be_stored)
{
    hv_err err;
    char long_part[300], long_name[600];
    const char *const names[] = {"A", "...", "..a", "a..", ".hidden", "-", "_", "=", "a/.tmp", "a=b/c.d-e_f", "0", long_part,
        long_name};

    memset(long_part, 'p', HV_STORAGE_PART_MAX);
    long_part[HV_STORAGE_PART_MAX] = '\0';
    for (size_t i = 0; i < HV_STORAGE_NAME_SIZE - 1; i++)
        long_name[i] = i % 2 == 1 ? '/' : 'n';
    long_name[HV_STORAGE_NAME_SIZE - 1] = '\0';
    storage_under_test_open(_i, &under_test);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_hv_ok(put_text(STORAGE, names[i], names[i], &err));
        check_bytes(names[i], names[i]);
    }
}
END_TEST

START_TEST(a_name_is_not_a_blob_and_a_folder_at_once)
{
    hv_err err;

    storage_under_test_open(_i, &under_test);
    ck_hv_ok(put_text(STORAGE, "a/b", "x", &err));
    ck_hv_fails(HV_USAGE, put_text(STORAGE, "a", "x", &err));
    ck_hv_fails(HV_USAGE, put_text(STORAGE, "a/b/c", "x", &err));
    ck_hv_fails(HV_USAGE, put_text(STORAGE, "a/b/c/d", "x", &err));
    ck_hv_ok(put_text(STORAGE, "a.b", "x", &err));
    ck_hv_ok(put_text(STORAGE, "a/bb", "x", &err));
}
END_TEST

START_TEST(the_location_is_a_text_that_stays)
{
    storage_under_test_open(_i, &under_test);
    const char *location = OPS->location(STORAGE);
    ck_assert_ptr_nonnull(strchr(location, ':'));
    ck_assert_ptr_eq(location, OPS->location(STORAGE));
}
END_TEST

/* Several threads put the same names, each with its own bytes. */

enum { THREADS = 4, RACE_NAMES = 100 };

typedef struct racer {
    pthread_t thread;
    char text[8];
    unsigned char won[RACE_NAMES];
    hv_rc failed;
} racer;

static void *
race(void *arg)
{
    racer *self = arg;
    hv_err err;

    for (int i = 0; i < RACE_NAMES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "race/%d/%d", i % 7, i);
        hv_rc rc = put_text(STORAGE, name, self->text, &err);
        self->won[i] = rc == HV_OK;
        if (rc != HV_OK && rc != HV_EXISTS)
            self->failed = rc;
        hv_blob_list page = {.count = 0};
        hv_list_request request = {.prefix = "race/3/", .max = 5};
        rc = OPS->list(STORAGE, &request, &page, &err);
        if (rc != HV_OK)
            self->failed = rc;
        hv_blob_list_free(&page);
    }
    return NULL;
}

START_TEST(of_several_threads_exactly_one_creates_a_name_and_its_bytes_stay)
{
    racer racers[THREADS] = {{.failed = HV_OK}};

    storage_under_test_open(_i, &under_test);
    for (int t = 0; t < THREADS; t++) {
        (void)snprintf(racers[t].text, sizeof racers[t].text, "by %d", t);
        ck_assert_int_eq(pthread_create(&racers[t].thread, NULL, race, &racers[t]), 0);
    }
    for (int t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_join(racers[t].thread, NULL), 0);
    for (int i = 0; i < RACE_NAMES; i++) {
        int winners = 0;
        char name[32];
        (void)snprintf(name, sizeof name, "race/%d/%d", i % 7, i);
        for (int t = 0; t < THREADS; t++) {
            ck_assert_int_eq(racers[t].failed, HV_OK);
            winners += racers[t].won[i];
            if (racers[t].won[i])
                check_bytes(name, racers[t].text);
        }
        ck_assert_int_eq(winners, 1);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("storage");
    const TTest *const all[] = {
        a_blob_is_the_concatenation_of_its_parts,
        more_parts_than_one_system_call_takes_are_stored_in_order,
        an_empty_blob_is_a_blob,
        a_taken_name_is_refused_even_for_equal_bytes_and_keeps_what_it_had,
        a_range_is_cut_where_the_blob_ends_and_is_appended,
        a_get_without_room_is_a_limit_failure_and_leaves_the_buffer_usable,
        a_whole_blob_that_just_fits_is_got,
        a_name_that_is_not_there_is_not_found,
        properties_tell_size_time_and_what_the_store_could_keep,
        what_was_not_given_is_absent,
        a_deleted_blob_is_gone_and_its_name_is_free,
        names_against_the_rule_are_usage_failures_everywhere,
        every_name_the_rule_allows_can_be_stored,
        a_name_is_not_a_blob_and_a_folder_at_once,
        the_location_is_a_text_that_stays,
        of_several_threads_exactly_one_creates_a_name_and_its_bytes_stay,
    };

    tcase_add_checked_fixture(tests, NULL, teardown);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tcase_add_loop_test(tests, all[i], 0, STORAGES_UNDER_TEST);
    return ck_hv_run("storage", tests);
}
