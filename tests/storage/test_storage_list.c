/* Order, pages and bounds of listings, checked against every driver and against a list that the test sorts itself. */
#include <stdio.h>

#include "tests/harness/check_hv.h"
#include "tests/storage/storage_under_test.h"
#include "tests/storage/wrapped_calls.h"

static storage_under_test under_test;
#define STORAGE under_test.storage
#define OPS under_test.storage->ops

/* Order has nothing to do with durability. */
static void
open_fast(int which)
{
    storage_under_test_open(which, &under_test);
    wrapped.never_syncs = true;
}

static void
teardown(void)
{
    storage_under_test_close(&under_test);
}

/* In order. Around '/' (0x2f) stand '-' (0x2d), '.' (0x2e) and '0' (0x30); '=' and letters follow. */
static const char *const sorted[] = {
    "-",       "0",       "a-b",     "a-b.c",   "a.b",   "a.b-",      "a/-",    "a/0",       "a/a-b", "a/a.b/c",
    "a/a/z",   "a/a0",    "a/a=/x",  "a/aa",    "a/b/c/d", "a/b/c/e/f", "a/b0", "a/zz/0",    "a0",    "a=b",
    "aa/0",    "aa/b/0",  "ab",      "b/0/0",   "b/00000", "b/1",     "b/2/3/4/5", "c/d",    "c0",
};
enum { NAMES = sizeof sorted / sizeof *sorted };

static void
put_all_in_another_order(void)
{
    hv_err err;

    for (size_t i = 0; i < NAMES; i++) {
        const char *name = sorted[i * 11 % NAMES];
        ck_hv_ok(put_text(STORAGE, name, name, &err));
    }
}

static bool
wanted(const char *name, const hv_list_request *request)
{
    if (strncmp(name, request->prefix, strlen(request->prefix)) != 0)
        return false;
    int order = request->from == NULL ? 1 : strcmp(name, request->from);
    return request->after ? order > 0 : order >= 0;
}

/* One page against the expectation. */
static void
check_page(const hv_list_request *request)
{
    hv_err err;
    HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
    size_t found = 0;
    bool more = false;

    ck_hv_ok(OPS->list(STORAGE, request, &page, &err));
    for (size_t i = 0; i < NAMES; i++) {
        if (!wanted(sorted[i], request))
            continue;
        if (found == request->max) {
            more = true;
            break;
        }
        ck_assert_msg(found < page.count, "prefix '%s' from '%s': '%s' is missing", request->prefix, request->from, sorted[i]);
        ck_assert_str_eq(page.entries[found].name, sorted[i]);
        ck_assert_uint_eq(page.entries[found].size, strlen(sorted[i]));
        found++;
    }
    ck_assert_uint_eq(page.count, found);
    ck_assert_int_eq(page.more, more);
}

START_TEST(names_come_in_the_order_of_their_bytes)
{
    open_fast(_i);
    for (size_t i = 1; i < NAMES; i++)
        ck_assert_int_lt(strcmp(sorted[i - 1], sorted[i]), 0);
    put_all_in_another_order();
    check_page(&(hv_list_request){.prefix = "", .max = 1000});
    check_page(&(hv_list_request){.prefix = "", .max = NAMES});
}
END_TEST

START_TEST(every_prefix_every_start_and_every_page_size_give_just_the_names_asked_for)
{
    static const char *const texts[] = {
        "", "-", "0", "a", "a-", "a.", "a/", "a/a", "a/a/", "a/a/z", "a/a0", "a/b", "a/b/", "a/b/c", "a/b/c/", "a/b/c/e/f", "a/c",
        "a/zzz", "a0", "a=", "aa", "aa/", "b", "b/0", "b/0/", "b/2/3/4", "b/9/9", "c", "c/", "c0", "d", "zz/", "a/a-b/x",
    };
    enum { TEXTS = sizeof texts / sizeof *texts };

    open_fast(_i);
    put_all_in_another_order();
    for (size_t p = 0; p < TEXTS; p++) {
        for (size_t max = 1; max < 12; max += 5)
            check_page(&(hv_list_request){.prefix = texts[p], .max = max});
        for (size_t f = 0; f < TEXTS; f++) {
            check_page(&(hv_list_request){.prefix = texts[p], .from = texts[f], .max = 3});
            check_page(&(hv_list_request){.prefix = texts[p], .from = texts[f], .after = true, .max = 3});
        }
    }
    check_page(&(hv_list_request){.prefix = "a", .from = "a/\xff", .max = 3});
    check_page(&(hv_list_request){.prefix = "", .from = "a//", .max = 3});
    check_page(&(hv_list_request){.prefix = "a/", .from = "../..", .max = 3});
}
END_TEST

static hv_rc
note_entry(void *arg, const char *name, uint64_t size, hv_err *err)
{
    size_t *seen = arg;

    ck_assert_uint_lt(*seen, NAMES);
    ck_assert_str_eq(name, sorted[*seen]);
    ck_assert_uint_eq(size, strlen(name));
    ++*seen;
    return *seen == 20 ? hv_err_set(err, HV_CLOSED, "enough") : HV_OK;
}

START_TEST(a_walk_visits_all_in_order_and_stops_where_the_visitor_says_so)
{
    hv_err err;
    size_t seen = 0;

    open_fast(_i);
    put_all_in_another_order();
    ck_hv_fails(HV_CLOSED, hv_storage_walk(STORAGE, "", note_entry, &seen, &err));
    ck_assert_uint_eq(seen, 20);
    seen = 22;
    ck_hv_ok(hv_storage_walk(STORAGE, "ab", note_entry, &seen, &err));
    ck_assert_uint_eq(seen, 23);
}
END_TEST

static hv_rc
count_in_order(void *arg, const char *name, uint64_t size, hv_err *err)
{
    unsigned *seen = arg;
    char want[32];

    (void)size, (void)err;
    (void)snprintf(want, sizeof want, "f/%u/%05u", *seen / 4000, *seen);
    ck_assert_str_eq(name, want);
    ++*seen;
    return HV_OK;
}

START_TEST(a_walk_over_several_pages_misses_and_repeats_nothing)
{
    enum { MANY = 10001 };
    hv_err err;
    unsigned seen = 0;

    open_fast(_i == 0 ? 0 : 4);         /* the driver of a folder, and the one in memory */
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "f/%u/%05u", i / 4000, i);
        ck_hv_ok(put_text(STORAGE, name, "", &err));
    }
    ck_hv_ok(hv_storage_walk(STORAGE, "f/", count_in_order, &seen, &err));
    ck_assert_uint_eq(seen, MANY);
}
END_TEST

/* A store whose pages are empty for a while although there is more. */
static unsigned empty_pages, pages_asked;

static hv_rc
list_slowly(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    (void)storage;
    if (pages_asked++ < empty_pages) {
        *ret = (hv_blob_list){.more = true};
        return HV_OK;
    }
    return OPS->list(STORAGE, request, ret, err);
}

START_TEST(empty_pages_are_no_end_but_not_for_ever)
{
    hv_err err;
    size_t seen = 22;
    hv_storage_ops ops = {.driver = "slow", .list = list_slowly};
    hv_storage slow = {.ops = &ops};

    open_fast(4);
    put_all_in_another_order();
    empty_pages = 900;
    ck_hv_ok(hv_storage_walk(&slow, "ab", note_entry, &seen, &err));
    ck_assert_uint_eq(seen, 23);
    pages_asked = 0;
    empty_pages = 100000;
    ck_hv_fails(HV_UNAVAILABLE, hv_storage_walk(&slow, "ab", note_entry, &seen, &err));
    ck_assert_uint_le(pages_asked, 1000);
}
END_TEST

START_TEST(an_empty_store_and_an_unknown_prefix_are_empty_pages)
{
    hv_err err;
    static const char *const prefixes[] = {"", "a", "a/", "no/such/folder/x"};

    open_fast(_i);
    for (int round = 0; round < 2; round++) {
        for (size_t i = round == 0 ? 0 : 1; i < sizeof prefixes / sizeof *prefixes; i++) {
            HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
            hv_list_request request = {.prefix = prefixes[i], .max = 10};
            ck_hv_ok(OPS->list(STORAGE, &request, &page, &err));
            ck_assert(page.count == 0 && !page.more);
        }
        ck_hv_ok(put_text(STORAGE, round == 0 ? "z" : "zz", "x", &err));
    }
}
END_TEST

START_TEST(a_prefix_that_no_name_can_have_is_a_usage_failure)
{
    hv_err err;
    static const char *const prefixes[] = {"/", "../", "a/../", "a//", "a b", "./", ".tmp", ".tmp/", "a/%"};

    open_fast(_i);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
        hv_list_request request = {.prefix = prefixes[i], .max = 10};
        ck_hv_fails(HV_USAGE, OPS->list(STORAGE, &request, &page, &err));
    }
}
END_TEST

START_TEST(unfinished_parts_of_a_prefix_may_look_like_the_parts_that_are_forbidden)
{
    hv_err err;
    static const char *const prefixes[] = {".", "..", "a/..", "a/."};

    open_fast(_i);
    ck_hv_ok(put_text(STORAGE, "..b", "x", &err));
    ck_hv_ok(put_text(STORAGE, "a/..c", "x", &err));
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
        hv_list_request request = {.prefix = prefixes[i], .max = 10};
        ck_hv_ok(OPS->list(STORAGE, &request, &page, &err));
        ck_assert_uint_eq(page.count, 1);
        ck_assert_str_eq(page.entries[0].name, i < 2 ? "..b" : "a/..c");
    }
}
END_TEST

START_TEST(a_listing_sees_every_change_that_came_before_it)
{
    hv_err err;

    open_fast(_i);
    for (int i = 0; i < 50; i++) {
        char name[32];
        HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
        hv_list_request request = {.prefix = "n/", .max = 100};
        (void)snprintf(name, sizeof name, "n/%02d", i);
        ck_hv_ok(put_text(STORAGE, name, "x", &err));
        if (i % 5 == 4)
            ck_hv_ok(OPS->delete_version(STORAGE, "n/00", "", &err));
        ck_hv_ok(OPS->list(STORAGE, &request, &page, &err));
        ck_assert_uint_eq(page.count, (size_t)(i % 5 == 4 ? i : i + 1));
        if (i % 5 == 4)
            ck_hv_ok(put_text(STORAGE, "n/00", "x", &err));
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("storage list");
    const TTest *const all[] = {
        names_come_in_the_order_of_their_bytes,
        every_prefix_every_start_and_every_page_size_give_just_the_names_asked_for,
        a_walk_visits_all_in_order_and_stops_where_the_visitor_says_so,
        an_empty_store_and_an_unknown_prefix_are_empty_pages,
        a_prefix_that_no_name_can_have_is_a_usage_failure,
        unfinished_parts_of_a_prefix_may_look_like_the_parts_that_are_forbidden,
        a_listing_sees_every_change_that_came_before_it,
    };

    tcase_add_checked_fixture(tests, NULL, teardown);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tcase_add_loop_test(tests, all[i], 0, STORAGES_UNDER_TEST);
    tcase_add_test(tests, empty_pages_are_no_end_but_not_for_ever);
    tcase_add_loop_test(tests, a_walk_over_several_pages_misses_and_repeats_nothing, 0, 2);
    return ck_hv_run("storage list", tests);
}
