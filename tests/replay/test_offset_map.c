/* The file of old and new offsets: written, cut off anywhere, gone on with, read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replay/offset_map.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static scratch_dir dir;
static char path[4096];
static hv_offset_map_head head;

enum { SOURCES = 2 };
static hv_mapped_source sources[SOURCES];

static void
setup(void)
{
    dir = scratch_dir_make();
    (void)snprintf(path, sizeof path, "%s/map", dir.path);
    head = (hv_offset_map_head){.vault = TEST_VAULT, .id = "r1", .request = {1, 2, 0xff}};
    for (int32_t i = 0; i < SOURCES; i++)
        sources[i] = (hv_mapped_source){.from = {.hub = "orders", .incarnation = 1, .number = i}, .topic = "copy", .to = i, .begin = 100};
}

static void
teardown(void)
{
    scratch_dir_remove(&dir);
}

static hv_rc
begin(hv_offset_map **map, int64_t next0, int64_t next1, int64_t sent_before)
{
    const int64_t next[SOURCES] = {next0, next1};

    ck_hv_ok(hv_offset_map_open(path, map, &err));
    return hv_offset_map_begin(*map, &head, sources, next, SOURCES, sent_before, true, &err);
}

/* What a walk tells, as text: "s0 r0:old>new*count ...". */
typedef struct told {
    char text[4096];
    hv_offset_map_head head;
    hv_mapped_source last;
} told;

static hv_rc
tell_source(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *unused)
{
    told *t = arg;

    (void)unused;
    t->last = *source;
    (void)snprintf(t->text + strlen(t->text), sizeof t->text - strlen(t->text), "s%u ", number);
    return HV_OK;
}

static hv_rc
tell_run(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *unused)
{
    told *t = arg;

    (void)unused;
    (void)snprintf(t->text + strlen(t->text), sizeof t->text - strlen(t->text), "r%u:%lld>%lld*%lld ", source, (long long)old_first,
                   (long long)new_first, (long long)count);
    return HV_OK;
}

static hv_rc
walk(told *t)
{
    hv_offset_map_visitor visitor = {.arg = t, .source = tell_source, .run = tell_run};

    t->text[0] = '\0';
    return hv_offset_map_walk(path, &visitor, &t->head, &err);
}

static void
expect(const char *text)
{
    told t;

    ck_hv_ok(walk(&t));
    ck_assert_str_eq(t.text, text);
}

static void
add(hv_offset_map *map, uint32_t source, int64_t old_first, int64_t new_first, int count)
{
    for (int i = 0; i < count; i++)
        ck_hv_ok(hv_offset_map_add(map, source, old_first + i, new_first + i, &err));
}

/* ---- writing and reading ---- */

START_TEST(what_was_added_comes_back_as_runs)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = NULL;

    ck_hv_ok(begin(&map, 0, 0, 0));
    add(map, 0, 0, 100, 5);
    add(map, 1, 7, 100, 1);
    add(map, 0, 8, 105, 2);             /* two offsets skipped, the new ones go on */
    ck_hv_ok(hv_offset_map_write(map, &err));
    add(map, 0, 10, 108, 3);            /* behind a control record */
    ck_hv_ok(hv_offset_map_write(map, &err));
    expect("s0 s1 r0:0>100*5 r0:8>105*2 r1:7>100*1 r0:10>108*3 ");
    told t;
    ck_hv_ok(walk(&t));
    ck_assert(!t.head.finished);
    ck_assert_str_eq(t.head.id, "r1");
    ck_assert_str_eq(t.head.vault, TEST_VAULT);
    ck_assert_mem_eq(t.head.request, head.request, sizeof head.request);
    ck_assert_int_eq(hv_partition_compare(&t.last.from, &sources[1].from), 0);
    ck_assert_int_eq(t.last.begin, 100);
    ck_hv_ok(hv_offset_map_finish(map, &err));
    ck_hv_ok(walk(&t));
    ck_assert(t.head.finished);
}
END_TEST

START_TEST(holes_cost_a_few_bytes_each)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = NULL;
    struct stat file;

    ck_hv_ok(begin(&map, 0, 0, 0));
    for (int i = 0; i < 100000; i++)    /* every other offset was compacted away */
        ck_hv_ok(hv_offset_map_add(map, 0, INT64_C(5000000000) + 2 * i, INT64_C(7000000000) + i, &err));
    ck_hv_ok(hv_offset_map_write(map, &err));
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_int_lt(file.st_size, 100000 * 5);
}
END_TEST

START_TEST(a_second_writer_is_refused)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = NULL;
    hv_offset_map *other = NULL;

    ck_hv_ok(begin(&map, 0, 0, 0));
    ck_hv_fails(HV_BUSY, hv_offset_map_open(path, &other, &err));
}
END_TEST

/* ---- going on ---- */

START_TEST(a_run_that_goes_on_drops_what_was_not_committed)
{
    hv_offset_map *map = NULL;

    ck_hv_ok(begin(&map, 0, 0, 0));
    add(map, 0, 0, 100, 5);
    add(map, 1, 0, 100, 5);
    ck_hv_ok(hv_offset_map_write(map, &err));
    add(map, 0, 5, 106, 5);             /* of a transaction that is aborted */
    add(map, 1, 5, 106, 5);
    ck_hv_ok(hv_offset_map_write(map, &err));
    hv_offset_map_close(map);
    sources[0].begin = sources[1].begin = 999;          /* the target has grown meanwhile */
    ck_hv_ok(begin(&map, 5, 5, 10));
    expect("s0 s1 r0:0>100*5 r1:0>100*5 ");
    add(map, 0, 5, 112, 5);
    ck_hv_ok(hv_offset_map_write(map, &err));
    hv_offset_map_close(map);
    expect("s0 s1 r0:0>100*5 r1:0>100*5 r0:5>112*5 ");
    told t;
    ck_hv_ok(walk(&t));
    ck_assert_int_eq(t.last.begin, 100);
}
END_TEST

START_TEST(a_run_is_cut_where_the_target_is_committed)
{
    hv_offset_map *map = NULL;

    ck_hv_ok(begin(&map, 0, 0, 0));
    add(map, 0, 0, 100, 10);
    ck_hv_ok(hv_offset_map_write(map, &err));
    hv_offset_map_close(map);
    ck_hv_ok(begin(&map, 4, 0, 4));
    hv_offset_map_close(map);
    expect("s0 s1 r0:0>100*4 ");
}
END_TEST

START_TEST(cut_off_at_any_byte_behind_what_is_committed_nothing_is_lost)
{
    hv_offset_map *map = NULL;
    struct stat whole;
    off_t committed;

    ck_hv_ok(begin(&map, 0, 0, 0));
    add(map, 0, 0, 100, 5);
    ck_hv_ok(hv_offset_map_write(map, &err));
    ck_assert_int_eq(stat(path, &whole), 0);
    committed = whole.st_size;
    add(map, 0, 5, 106, 5);
    add(map, 1, 0, 100, 1);
    ck_hv_ok(hv_offset_map_write(map, &err));
    hv_offset_map_close(map);
    ck_assert_int_eq(stat(path, &whole), 0);
    for (off_t size = whole.st_size; size >= committed; size--) {
        ck_assert_int_eq(truncate(path, size), 0);
        if (size % 2 == 0 && size > committed) {        /* or what a loss of power leaves */
            int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
            ck_assert_int_eq(write(fd, "\0\0\0{}\n", 6), 6);
            ck_assert_int_eq(close(fd), 0);
        }
        ck_hv_ok(begin(&map, 5, 0, 5));
        hv_offset_map_close(map);
        expect("s0 s1 r0:0>100*5 ");
        ck_hv_ok(begin(&map, 5, 0, 5));
        add(map, 0, 5, 106, 5);
        add(map, 1, 0, 100, 1);
        ck_hv_ok(hv_offset_map_write(map, &err));
        hv_offset_map_close(map);
    }
}
END_TEST

START_TEST(cut_off_before_what_is_committed_the_file_is_refused_and_left_alone)
{
    hv_offset_map *map = NULL;
    struct stat whole, after;

    ck_hv_ok(begin(&map, 0, 0, 0));
    add(map, 0, 0, 100, 5);
    ck_hv_ok(hv_offset_map_write(map, &err));
    hv_offset_map_close(map);
    ck_assert_int_eq(stat(path, &whole), 0);
    for (off_t size = whole.st_size - 1; size >= 0; size--) {
        ck_assert_int_eq(truncate(path, size), 0);
        hv_rc rc = begin(&map, 5, 0, 5);
        ck_assert_msg(rc == HV_USAGE || rc == HV_CORRUPT, "%d bytes: %s", (int)size, hv_rc_name(rc));
        hv_offset_map_close(map);
        ck_assert_int_eq(stat(path, &after), 0);
        ck_assert_int_eq(after.st_size, size);
    }
}
END_TEST

START_TEST(the_map_of_another_replay_or_request_or_vault_is_refused)
{
    hv_offset_map *map = NULL;

    ck_hv_ok(begin(&map, 0, 0, 0));
    hv_offset_map_close(map);
    if (_i == 0)
        (void)snprintf(head.id, sizeof head.id, "r2");
    else if (_i == 1)
        head.request[0]++;
    else if (_i == 2)
        head.vault[0] = 'f';
    else
        (void)snprintf(sources[0].topic, sizeof sources[0].topic, "elsewhere");
    ck_hv_fails(HV_USAGE, begin(&map, 0, 0, 0));
    hv_offset_map_close(map);
}
END_TEST

START_TEST(a_replay_that_sent_something_without_a_map_cannot_begin_one)
{
    hv_offset_map *map = NULL;

    ck_hv_fails(HV_USAGE, begin(&map, 5, 0, 5));
    ck_assert_ptr_nonnull(strstr(err.msg, "holds 0 of the 5 events"));
    hv_offset_map_close(map);
}
END_TEST

/* ---- what is no such file ---- */

#define HEAD_LINE "{\"offset-map\":1,\"vault\":\"" TEST_VAULT "\",\"id\":\"r1\",\"request\":\"0102030405060708\"}\n"
#define SOURCE_LINE "{\"source\":0,\"from\":[\"orders\",1,0],\"to\":[\"copy\",0],\"first\":0,\"begin\":0}\n"

static const char *const bad[] = {
    "\n",
    "hello\n",
    "{\"offset-map\":0,",
    SOURCE_LINE,
    HEAD_LINE HEAD_LINE,
    HEAD_LINE "{\"source\":1,\"from\":[\"orders\",1,0],\"to\":[\"copy\",0],\"first\":0,\"begin\":0}\n",
    HEAD_LINE "{\"source\":0,\"from\":[\"a b\",1,0],\"to\":[\"copy\",0],\"first\":0,\"begin\":0}\n",
    HEAD_LINE "{\"source\":0,\"from\":[\"orders\",0,0],\"to\":[\"copy\",0],\"first\":0,\"begin\":0}\n",
    HEAD_LINE "{\"runs\":0,\"at\":[[0,0,1]]}\n",                        /* no such source */
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[0,0,0]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[0,0,1,0,1]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[0,0,1,1]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[0,0]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[5,0,1],[5,9,1]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[9223372036854775807,0,1]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[0,0,9223372036854775807,1,1]]}\n",
    HEAD_LINE SOURCE_LINE "{\"runs\":0,\"at\":[[0,-1,1]]}\n",
    HEAD_LINE "{\"finished\":true}\n" SOURCE_LINE,
    HEAD_LINE "{\"finished\":false}\n",
    "",
};

START_TEST(what_is_no_offset_map_is_refused)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    told t;

    ck_assert_int_eq(write(fd, bad[_i], strlen(bad[_i])), (ssize_t)strlen(bad[_i]));
    ck_assert_int_eq(close(fd), 0);
    ck_hv_fails(HV_CORRUPT, walk(&t));
}
END_TEST

START_TEST(a_missing_file_and_a_newer_format_are_told)
{
    told t;
    int fd;

    ck_hv_fails(HV_NOT_FOUND, walk(&t));
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "{\"offset-map\":2}\n", 17), 17);
    ck_assert_int_eq(close(fd), 0);
    ck_hv_fails(HV_VERSION, walk(&t));
}
END_TEST

/* ---- a disk that fails ---- */

static int writes_left = -1, syncs_left = -1;
static bool fired;

/* The names are the linker's: `--wrap=write` turns write into __wrap_write, and __real_write into write. */
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
    if (writes_left < 0 || writes_left-- > 0)
        return __real_write(fd, data, len);
    fired = true;
    (void)!__real_write(fd, data, len / 2);
    errno = ENOSPC;
    return -1;
}

static int
sync_or_fail(int fd, int (*real)(int))
{
    if (syncs_left < 0 || syncs_left-- > 0)
        return real(fd);
    fired = true;
    errno = EIO;
    return -1;
}

int
__wrap_fdatasync(int fd)
{
    return sync_or_fail(fd, __real_fdatasync);
}

int
__wrap_fsync(int fd)
{
    return sync_or_fail(fd, __real_fsync);
}

/* What a replay does: map, then commit. Returns how far it is committed. */
static hv_rc
work(int64_t *committed)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = NULL;
    hv_rc rc = begin(&map, *committed, 0, *committed);

    while (rc == HV_OK && *committed < 12) {
        for (int i = 0; rc == HV_OK && i < 4; i++)
            rc = hv_offset_map_add(map, 0, *committed + i, 1000 + *committed * 5 / 4 + i, &err);     /* control records between */
        if (rc == HV_OK)
            rc = hv_offset_map_write(map, &err);
        if (rc == HV_OK)
            *committed += 4;
    }
    return rc;
}

START_TEST(whatever_write_or_sync_fails_the_next_run_has_the_whole_map)
{
    int reached = 0;

    for (int call = 0; call < 100; call++, reached++) {
        int64_t committed = 0;
        (void)unlink(path);
        fired = false;
        writes_left = _i == 0 ? call : -1;
        syncs_left = _i == 1 ? call : -1;
        hv_rc rc = work(&committed);
        writes_left = syncs_left = -1;
        if (!fired)
            break;
        ck_assert_msg(rc == HV_LIMIT || rc == HV_IO, "%s", hv_rc_name(rc));
        ck_hv_ok(work(&committed));
        told t;
        ck_hv_ok(walk(&t));
        ck_assert_str_eq(t.text, "s0 s1 r0:0>1000*4 r0:4>1005*4 r0:8>1010*4 ");
    }
    ck_assert_int_ge(reached, 4);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("offset map");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_was_added_comes_back_as_runs);
    tcase_add_test(tests, holes_cost_a_few_bytes_each);
    tcase_add_test(tests, a_second_writer_is_refused);
    tcase_add_test(tests, a_run_that_goes_on_drops_what_was_not_committed);
    tcase_add_test(tests, a_run_is_cut_where_the_target_is_committed);
    tcase_add_test(tests, cut_off_at_any_byte_behind_what_is_committed_nothing_is_lost);
    tcase_add_test(tests, cut_off_before_what_is_committed_the_file_is_refused_and_left_alone);
    tcase_add_loop_test(tests, the_map_of_another_replay_or_request_or_vault_is_refused, 0, 4);
    tcase_add_test(tests, a_replay_that_sent_something_without_a_map_cannot_begin_one);
    tcase_add_loop_test(tests, what_is_no_offset_map_is_refused, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tests, a_missing_file_and_a_newer_format_are_told);
    tcase_add_loop_test(tests, whatever_write_or_sync_fails_the_next_run_has_the_whole_map, 0, 2);
    return ck_hv_run("offset map", tests);
}
