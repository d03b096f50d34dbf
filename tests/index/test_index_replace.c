/* One index in the place of another, with readers around. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static scratch_dir scratch;
static char dir[300], beside[300];

/* The error of the next call that wants a lock of its own; 0: none. */
static int lock_error;

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

int
__wrap_fcntl64(int fd, int command, ...)
{
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    if (command != F_OFD_SETLK || lock_error == 0)
        return __real_fcntl64(fd, command, arg);
    errno = lock_error;
    lock_error = 0;
    return -1;
}

static void
setup(void)
{
    scratch = scratch_dir_make();
    (void)snprintf(dir, sizeof dir, "%s/index", scratch.path);
    (void)snprintf(beside, sizeof beside, "%s/index/.rebuild", scratch.path);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
}

static void
teardown(void)
{
    scratch_dir_remove(&scratch);
}

/* An index in the folder whose only partition ends at 10 * cuts. */
static void
make_index(const char *path, int cuts)
{
    hv_partition partition = sample_partition("orders", 1, 0);

    (void)mkdir(path, 0700);
    HV_AUTO(hv_index_close) hv_index *index = sample_open(path, 1 << 20);
    for (int i = 0; i < cuts; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(i * 10, 1700000000000 + i);
        sample_add(index, &partition, &cut);
    }
}

/* As a process that only reads. -1 if it cannot be opened. */
static int64_t
position_in(const char *path)
{
    hv_index_config config = {.dir = path, .read_only = true};
    HV_AUTO(hv_index_close) hv_index *index = NULL;
    hv_partition partition = sample_partition("orders", 1, 0);
    int64_t position = -1;
    hv_err err;

    if (hv_index_open(&config, &index, &err) != HV_OK || hv_index_position(index, &partition, &position, &err) != HV_OK)
        return -1;
    return position;
}

START_TEST(the_new_index_is_in_the_place_of_the_old_one_and_its_folder_is_gone)
{
    struct stat st;
    hv_err err;

    make_index(dir, 2);
    make_index(beside, 5);
    ck_hv_ok(hv_index_replace(dir, beside, &err));
    ck_assert_int_eq(position_in(dir), 50);
    ck_assert_int_ne(stat(beside, &st), 0);
    make_index(dir, 7);                 /* and it can be written to: the cuts that are there are accepted as they are */
    ck_assert_int_eq(position_in(dir), 70);
}
END_TEST

START_TEST(an_index_takes_the_place_of_none_or_of_a_damaged_one)
{
    char path[320];
    hv_err err;

    make_index(beside, 3);
    ck_hv_ok(hv_index_replace(dir, beside, &err));
    ck_assert_int_eq(position_in(dir), 30);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert_int_eq(position_in(dir), -1);
    make_index(beside, 4);
    ck_hv_ok(hv_index_replace(dir, beside, &err));
    ck_assert_int_eq(position_in(dir), 40);
}
END_TEST

START_TEST(while_somebody_has_one_of_them_open_it_is_busy_and_nothing_changes)
{
    const char *const paths[] = {dir, beside};
    hv_err err;

    make_index(dir, 2);
    make_index(beside, 5);
    for (size_t i = 0; i < 2; i++) {
        int ready[2], end[2];
        char byte;
        ck_assert(pipe(ready) == 0 && pipe(end) == 0);
        pid_t child = fork();
        if (child == 0) {
            hv_index_config config = {.dir = paths[i], .read_only = true};
            hv_index *index;
            bool open = hv_index_open(&config, &index, &err) == HV_OK && write(ready[1], "x", 1) == 1;
            close(end[1]);
            _exit(open && read(end[0], &byte, 1) == 0 ? 0 : 1);
        }
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        ck_hv_fails(HV_BUSY, hv_index_replace(dir, beside, &err));
        close(end[1]);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        close(ready[0]), close(ready[1]), close(end[0]);
        ck_assert_int_eq(position_in(dir), 20);
    }
    ck_hv_ok(hv_index_replace(dir, beside, &err));
    ck_assert_int_eq(position_in(dir), 50);
}
END_TEST

START_TEST(readers_that_come_while_indexes_change_places_see_the_one_or_the_other)
{
    enum { ROUNDS = 60 };
    int end[2], replaced = 0;
    char byte;
    hv_err err;

    make_index(dir, 2);
    ck_assert_int_eq(pipe(end), 0);
    pid_t child = fork();
    if (child == 0) {
        bool right = true;
        int reads = 0;
        ck_assert_int_eq(fcntl(end[0], F_SETFL, O_NONBLOCK), 0);
        close(end[1]);
        for (; right && read(end[0], &byte, 1) != 0; reads++) {
            int64_t position = position_in(dir);
            right = position == 20 || position == 50;
        }
        _exit(right && reads > 10 ? 0 : 1);
    }
    for (int round = 0; round < ROUNDS; round++) {
        make_index(beside, round % 2 == 0 ? 5 : 2);
        hv_rc rc;
        do
            rc = hv_index_replace(dir, beside, &err);
        while (rc == HV_BUSY);
        ck_hv_ok(rc);
        replaced++;
    }
    close(end[1]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(replaced, ROUNDS);
}
END_TEST

START_TEST(a_discarded_index_is_gone_with_its_folder_and_discarding_nothing_is_fine)
{
    struct stat st;
    hv_err err;

    make_index(beside, 2);
    ck_assert(hv_index_exists(beside));
    ck_hv_ok(hv_index_discard(beside, &err));
    ck_assert(!hv_index_exists(beside));
    ck_assert_int_ne(stat(beside, &st), 0);
    ck_hv_ok(hv_index_discard(beside, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_index_replace(dir, beside, &err));
}
END_TEST

START_TEST(a_folder_without_locks_is_told_and_nothing_changes)
{
    hv_err err;

    make_index(dir, 2);
    make_index(beside, 5);
    lock_error = ENOLCK;
    ck_hv_fails(HV_IO, hv_index_replace(dir, beside, &err));
    ck_assert_int_eq(lock_error, 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "lock '"));
    ck_assert_int_eq(position_in(dir), 20);
    ck_hv_ok(hv_index_replace(dir, beside, &err));
}
END_TEST

START_TEST(an_index_cannot_take_a_place_that_is_not_there_or_taken_by_something_else)
{
    char path[320];
    hv_err err;

    make_index(beside, 5);
    (void)snprintf(path, sizeof path, "%s/nowhere", scratch.path);
    ck_hv_fails(HV_IO, hv_index_replace(path, beside, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "nowhere/lock.mdb"));
    ck_assert_int_eq(position_in(beside), 50);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_hv_fails(HV_IO, hv_index_replace(dir, beside, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "put in its place"));
    ck_assert_int_eq(position_in(beside), 50);
    ck_assert_int_eq(rmdir(path), 0);
    ck_hv_ok(hv_index_replace(dir, beside, &err));
    ck_assert_int_eq(position_in(dir), 50);
}
END_TEST

START_TEST(a_path_that_no_system_takes_is_refused_before_anything_is_done)
{
    char path[5000];
    hv_err err;

    make_index(beside, 5);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert(!hv_index_exists(path));
    ck_hv_fails(HV_USAGE, hv_index_replace(path, beside, &err));
    ck_hv_fails(HV_USAGE, hv_index_discard(path, &err));
    ck_assert_int_eq(position_in(beside), 50);
}
END_TEST

START_TEST(what_cannot_be_discarded_is_named)
{
    char path[320], link[320];
    hv_err err;

    make_index(beside, 2);
    (void)snprintf(link, sizeof link, "%s/link", scratch.path);
    ck_assert_int_eq(symlink(beside, link), 0);
    ck_hv_fails(HV_IO, hv_index_discard(link, &err));         /* the files are gone; the link is not ours to remove */
    ck_assert_ptr_nonnull(strstr(err.msg, "/link"));
    ck_assert(!hv_index_exists(beside));
    (void)snprintf(path, sizeof path, "%s/data.mdb", beside);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_hv_fails(HV_IO, hv_index_discard(beside, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "data.mdb"));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index replace");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_new_index_is_in_the_place_of_the_old_one_and_its_folder_is_gone);
    tcase_add_test(tests, an_index_takes_the_place_of_none_or_of_a_damaged_one);
    tcase_add_test(tests, while_somebody_has_one_of_them_open_it_is_busy_and_nothing_changes);
    tcase_add_test(tests, readers_that_come_while_indexes_change_places_see_the_one_or_the_other);
    tcase_add_test(tests, a_discarded_index_is_gone_with_its_folder_and_discarding_nothing_is_fine);
    tcase_add_test(tests, a_folder_without_locks_is_told_and_nothing_changes);
    tcase_add_test(tests, an_index_cannot_take_a_place_that_is_not_there_or_taken_by_something_else);
    tcase_add_test(tests, a_path_that_no_system_takes_is_refused_before_anything_is_done);
    tcase_add_test(tests, what_cannot_be_discarded_is_named);
    return ck_hv_run("index replace", tests);
}
