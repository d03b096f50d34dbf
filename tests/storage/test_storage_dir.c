/* What only the dir driver has: files and their modes, links, leftovers, other processes that write to the same folder. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/storage/storage_under_test.h"
#include "tests/storage/wrapped_calls.h"

static storage_under_test under_test;
#define STORAGE under_test.storage
#define OPS under_test.storage->ops

static void
setup(void)
{
    storage_under_test_open(0, &under_test);
}

static void
teardown(void)
{
    storage_under_test_close(&under_test);
}

static const char *
path_of(const char *name)
{
    static char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", under_test.dir.path, name);
    return path;
}

/* What a process does that dies before it syncs the folder. */
static void
write_file_unsynced(const char *name, const char *text)
{
    int fd = openat(AT_FDCWD, path_of(name), O_CREAT | O_EXCL | O_WRONLY, 0444);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
    /* The wrapper of openat() has noted a change of AT_FDCWD, which is no folder of ours: note the right one. */
    char folder[1024];
    (void)snprintf(folder, sizeof folder, "%s", path_of(name));
    *strrchr(folder, '/') = '\0';
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(folder_fd, 0);
    wrapped_note_change(folder_fd);
    ck_assert_int_eq(close(folder_fd), 0);
}

static size_t
count_listed(const char *prefix)
{
    hv_err err;
    HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
    hv_list_request request = {.prefix = prefix, .max = 100000};

    ck_hv_ok(OPS->list(STORAGE, &request, &page, &err));
    ck_assert(!page.more);
    return page.count;
}

START_TEST(a_blob_is_a_file_that_nobody_may_write)
{
    hv_err err;
    struct stat st;

    (void)umask(077);
    ck_hv_ok(put_text(STORAGE, "a/b", "abc", &err));
    ck_assert_int_eq(stat(path_of("a/b"), &st), 0);
    ck_assert(S_ISREG(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0444);
    ck_assert_uint_eq(st.st_nlink, 1);
    ck_assert_int_eq(st.st_size, 3);
}
END_TEST

START_TEST(the_location_is_the_absolute_path)
{
    hv_err err;
    char want[300];
    HV_AUTO(hv_storage_close) hv_storage *relative = NULL;

    ck_assert_int_eq(chdir(under_test.dir.path), 0);
    ck_hv_ok(hv_storage_dir_open(".", false, &relative, &err));
    (void)snprintf(want, sizeof want, "dir:%s", under_test.dir.path);
    ck_assert_str_eq(relative->ops->location(relative), want);
}
END_TEST

START_TEST(without_create_a_folder_has_to_be_there_and_nothing_is_written)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *other = NULL;
    struct stat st;

    ck_hv_fails(HV_NOT_FOUND, hv_storage_dir_open(path_of("vault"), false, &other, &err));
    ck_assert_int_eq(mkdir(path_of("vault"), 0700), 0);
    ck_hv_ok(hv_storage_dir_open(path_of("vault"), false, &other, &err));
    hv_blob_properties properties;
    ck_hv_fails(HV_NOT_FOUND, other->ops->properties(other, "a", &properties, &err));
    ck_assert_int_eq(stat(path_of("vault/.tmp"), &st), -1);
    ck_hv_ok(put_text(other, "a", "x", &err));
}
END_TEST

START_TEST(with_create_the_folder_is_made_but_not_what_it_lies_in)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *other = NULL;

    ck_hv_fails(HV_NOT_FOUND, hv_storage_dir_open(path_of("no/vault"), true, &other, &err));
    ck_hv_ok(hv_storage_dir_open(path_of("vault"), true, &other, &err));
    ck_hv_ok(put_text(other, "a", "x", &err));
}
END_TEST

START_TEST(a_file_is_not_a_vault)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *other = NULL;

    ck_hv_ok(put_text(STORAGE, "file", "x", &err));
    ck_hv_fails(HV_USAGE, hv_storage_dir_open(path_of("file"), false, &other, &err));
    ck_hv_fails(HV_USAGE, hv_storage_dir_open(path_of("file"), true, &other, &err));
}
END_TEST

START_TEST(a_file_system_that_can_only_replace_is_refused_when_opened)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *other = NULL;

    wrapped.no_tmpfile = wrapped.no_link = wrapped.no_rename = true;
    ck_hv_fails(HV_IO, hv_storage_dir_open(path_of("vault"), true, &other, &err));
    ck_hv_ok(hv_storage_dir_open(path_of("vault"), false, &other, &err));
    ck_hv_fails(HV_IO, put_text(other, "a", "x", &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "without replacing"));
    wrapped.no_rename = false;
    ck_hv_ok(put_text(other, "a", "x", &err));
}
END_TEST

START_TEST(a_symbolic_link_is_never_followed)
{
    hv_err err;
    hv_blob_properties properties;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(100);
    hv_blob_list page = {.count = 0};
    hv_list_request request = {.prefix = "", .max = 10};
    static const char *const names[] = {"link", "folder-link/blob"};

    ck_hv_ok(put_text(STORAGE, "folder/blob", "abc", &err));
    ck_assert_int_eq(symlink("folder/blob", path_of("link")), 0);
    ck_assert_int_eq(symlink("folder", path_of("folder-link")), 0);
    for (int i = 0; i < 2; i++) {
        ck_hv_fails(HV_CORRUPT, hv_storage_get(STORAGE, names[i], &got, &err));
        ck_hv_fails(HV_CORRUPT, OPS->properties(STORAGE, names[i], &properties, &err));
    }
    ck_hv_fails(HV_EXISTS, put_text(STORAGE, "link", "x", &err));
    ck_hv_fails(HV_USAGE, put_text(STORAGE, "folder-link/new", "x", &err));
    ck_hv_fails(HV_CORRUPT, OPS->delete_version(STORAGE, "folder-link/blob", "", &err));
    ck_hv_fails(HV_CORRUPT, OPS->list(STORAGE, &request, &page, &err));
    request.prefix = "folder-link/";
    ck_hv_fails(HV_CORRUPT, OPS->list(STORAGE, &request, &page, &err));
    request.prefix = "folder/";
    ck_hv_ok(OPS->list(STORAGE, &request, &page, &err));
    hv_blob_list_free(&page);
    ck_assert_int_eq(access(path_of("folder/new"), F_OK), -1);
}
END_TEST

START_TEST(a_fifo_is_reported_and_does_not_hang)
{
    hv_err err;
    hv_blob_properties properties;

    ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
    ck_hv_fails(HV_CORRUPT, OPS->properties(STORAGE, "fifo", &properties, &err));
    ck_hv_fails(HV_EXISTS, put_text(STORAGE, "fifo", "x", &err));
}
END_TEST

START_TEST(files_that_cannot_be_blobs_are_not_listed)
{
    hv_err err;

    ck_hv_ok(put_text(STORAGE, "a", "x", &err));
    ck_assert_int_eq(mkdir(path_of("lost+found"), 0700), 0);
    write_file_unsynced("a b", "x");
    write_file_unsynced("lost+found/c", "x");
    write_file_unsynced(".tmp/d", "x");
    write_file_unsynced(".tmpe", "x");
    ck_assert_uint_eq(count_listed(""), 1);
}
END_TEST

START_TEST(attributes_of_another_size_are_unknown)
{
    hv_err err;
    hv_blob_properties properties;

    write_file_unsynced("a", "x");
    ck_assert_int_eq(setxattr(path_of("a"), "user.hubvault.sha256", "short", 5, 0), 0);
    ck_assert_int_eq(setxattr(path_of("a"), "user.hubvault.nonce", "more than sixteen bytes", 23, 0), 0);
    ck_hv_ok(OPS->properties(STORAGE, "a", &properties, &err));
    ck_assert(!properties.attributes.has_sha256 && !properties.attributes.has_nonce);
}
END_TEST

START_TEST(a_put_leaves_nothing_but_the_blob)
{
    hv_err err;
    static const int with_temp_names[] = {1, 2};

    for (size_t i = 0; i < 2; i++) {
        storage_under_test other;
        char path[300];
        storage_under_test_open(with_temp_names[i], &other);
        ck_hv_ok(put_text(other.storage, "a/b", "x", &err));
        ck_hv_fails(HV_EXISTS, put_text(other.storage, "a/b", "x", &err));
        (void)snprintf(path, sizeof path, "%s/.tmp/lock", other.dir.path);
        ck_assert_int_eq(unlink(path), 0);
        *strrchr(path, '/') = '\0';
        ck_assert_int_eq(rmdir(path), 0);
        storage_under_test_close(&other);
    }
}
END_TEST

START_TEST(leftovers_of_dead_processes_are_removed_but_not_those_of_living_ones)
{
    hv_err err;

    ck_hv_ok(put_text(STORAGE, "a", "x", &err));
    write_file_unsynced(".tmp/leftover", "x");
    HV_AUTO(hv_storage_close) hv_storage *second = NULL;
    ck_hv_ok(hv_storage_dir_open(under_test.dir.path, true, &second, &err));
    ck_assert_int_eq(access(path_of(".tmp/leftover"), F_OK), 0);
    hv_storage_close(HV_TAKE(STORAGE));
    hv_storage_close(HV_TAKE(second));
    ck_hv_ok(hv_storage_dir_open(under_test.dir.path, true, &STORAGE, &err));
    ck_assert_int_eq(access(path_of(".tmp/leftover"), F_OK), -1);
    ck_assert_int_eq(access(path_of("a"), F_OK), 0);
}
END_TEST

START_TEST(a_blob_that_another_process_did_not_sync_is_durable_before_it_is_reported)
{
    hv_err err;
    hv_blob_properties properties;

    wrapped.keeps_books = true;
    for (int round = 0; round < 3; round++) {
        char name[32];
        (void)snprintf(name, sizeof name, "a/%d/b", round);
        ck_assert(mkdir(path_of("a"), 0700) == 0 || errno == EEXIST);
        *strrchr(name, '/') = '\0';
        ck_assert_int_eq(mkdirat(AT_FDCWD, path_of(name), 0700), 0);
        strcat(name, "/b");
        write_file_unsynced(name, "x");
        ck_assert(!wrapped_is_durable(under_test.dir.path, name));
        if (round == 0)
            ck_hv_ok(OPS->properties(STORAGE, name, &properties, &err));
        else if (round == 1)
            ck_assert_uint_eq(count_listed(""), 2);
        else
            ck_hv_fails(HV_EXISTS, put_text(STORAGE, name, "y", &err));
        ck_assert(wrapped_is_durable(under_test.dir.path, name));
    }
}
END_TEST

START_TEST(a_change_after_everything_had_settled_is_synced_and_seen)
{
    hv_err err;
    hv_blob_properties properties;

    wrapped.keeps_books = true;
    ck_hv_ok(put_text(STORAGE, "a/b", "x", &err));
    for (int round = 0; round < 4; round++) {
        char name[32];
        for (int look = 0; look < 3; look++) {
            wrapped.clock_ahead_ms += 5000;
            ck_hv_ok(OPS->properties(STORAGE, "a/b", &properties, &err));
            ck_assert_uint_eq(count_listed("a/"), (size_t)round + 1);
        }
        (void)usleep(20000);            /* more than the clock of any local file system needs for a step */
        (void)snprintf(name, sizeof name, "a/c%d", round);
        write_file_unsynced(name, "x");
        ck_assert(!wrapped_is_durable(under_test.dir.path, name));
        if (round % 2 == 0)
            ck_hv_ok(OPS->properties(STORAGE, name, &properties, &err));
        else
            ck_assert_uint_eq(count_listed("a/"), (size_t)round + 2);
        ck_assert(wrapped_is_durable(under_test.dir.path, name));
    }
}
END_TEST

/* How many calls of that name it takes to look at a blob. */
static long
calls_for(const char *call, const char *name)
{
    hv_err err;
    hv_blob_properties properties;

    wrapped.only = call;
    wrapped.armed = true;
    wrapped.fail_at = -1;
    wrapped.calls = 0;
    ck_hv_ok(OPS->properties(STORAGE, name, &properties, &err));
    wrapped_disarm();
    return wrapped.calls;
}

/* Older kernels, some containers and valgrind do not. */
static bool
machine_has_openat2(void)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, under_test.dir.path, &how, sizeof how);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

START_TEST(a_folder_that_was_met_before_is_opened_in_one_step)
{
    hv_err err;
    long again = _i == 0 && machine_has_openat2() ? 1 : 6;  /* the blob; without openat2(2) also the root and four folders */

    wrapped.no_openat2 = _i > 0;
    ck_hv_ok(put_text(STORAGE, "a/b/c/d/e", "x", &err));
    ck_assert_int_eq(calls_for("openat", "a/b/c/d/e"), again);
    hv_storage_close(HV_TAKE(STORAGE));
    ck_hv_ok(hv_storage_dir_open(under_test.dir.path, true, &STORAGE, &err));
    ck_assert_int_eq(calls_for("openat", "a/b/c/d/e"), 6);
    ck_assert_int_eq(calls_for("openat", "a/b/c/d/e"), again);
}
END_TEST

START_TEST(a_folder_that_was_moved_is_durable_on_its_new_path_before_it_is_reported)
{
    hv_err err;
    hv_blob_properties properties;

    wrapped.keeps_books = true;
    ck_hv_ok(put_text(STORAGE, "a/b/x", "x", &err));
    ck_hv_ok(put_text(STORAGE, "z/y", "x", &err));
    ck_hv_ok(OPS->properties(STORAGE, "a/b/x", &properties, &err));
    int from = open(path_of("a"), O_RDONLY), to = open(path_of("z"), O_RDONLY);
    ck_assert_int_eq(renameat(from, "b", to, "b"), 0);
    wrapped_note_change(to);
    close(from);
    close(to);
    ck_hv_ok(OPS->properties(STORAGE, "z/b/x", &properties, &err));
    ck_assert(wrapped_is_durable(under_test.dir.path, "z/b/x"));
    ck_hv_fails(HV_NOT_FOUND, OPS->properties(STORAGE, "a/b/x", &properties, &err));
}
END_TEST

START_TEST(entries_older_than_the_last_change_of_a_folder_cost_one_sync_together)
{
    hv_err err;

    for (int i = 0; i < 5; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "a/%d", i);
        ck_hv_ok(put_text(STORAGE, name, "x", &err));
        (void)usleep(20000);            /* more than the clock of any local file system needs for a step */
    }
    hv_storage_close(HV_TAKE(STORAGE));
    ck_hv_ok(hv_storage_dir_open(under_test.dir.path, true, &STORAGE, &err));
    ck_assert_int_ge(calls_for("fsync", "a/1"), 1);
    ck_assert_int_eq(calls_for("fsync", "a/0"), 0);
    ck_assert_int_eq(calls_for("fsync", "a/3"), 0);
    ck_assert_int_eq(calls_for("fsync", "a/4"), 1);                  /* as young as the folder: as if it had come after the sync */
    ck_hv_ok(put_text(STORAGE, "a/5", "x", &err));
    ck_assert_int_eq(calls_for("fsync", "a/3"), 1);                  /* the folder has changed */
    ck_assert_int_eq(calls_for("fsync", "a/4"), 0);
}
END_TEST

START_TEST(on_a_file_system_that_is_not_known_no_entry_is_taken_to_be_older)
{
    hv_err err;

    ck_hv_ok(put_text(STORAGE, "a/0", "x", &err));
    (void)usleep(20000);
    ck_hv_ok(put_text(STORAGE, "a/1", "x", &err));
    hv_storage_close(HV_TAKE(STORAGE));
    wrapped.unknown = true;
    ck_hv_ok(hv_storage_dir_open(under_test.dir.path, true, &STORAGE, &err));
    ck_assert_int_ge(calls_for("fsync", "a/0"), 1);
    ck_assert_int_eq(calls_for("fsync", "a/0"), 1);
}
END_TEST

START_TEST(a_sync_that_failed_covers_no_entry)
{
    hv_err err;
    hv_blob_properties properties;

    wrapped.keeps_books = true;
    ck_assert_int_eq(mkdir(path_of("a"), 0700), 0);
    write_file_unsynced("a/x", "x");
    (void)usleep(20000);
    write_file_unsynced("a/y", "x");
    ck_hv_fails(HV_NOT_FOUND, OPS->properties(STORAGE, "a/z", &properties, &err));      /* the folder itself is durable now */
    wrapped.only = "fsync";
    wrapped.fail_at = wrapped.calls = 0;
    wrapped.error = EIO;
    wrapped.armed = true;
    ck_hv_fails(HV_IO, OPS->properties(STORAGE, "a/x", &properties, &err));
    wrapped_disarm();
    ck_assert_str_eq(wrapped.failed_call, "fsync");
    ck_hv_ok(OPS->properties(STORAGE, "a/x", &properties, &err));
    ck_assert(wrapped_is_durable(under_test.dir.path, "a/x"));
}
END_TEST

START_TEST(an_entry_made_after_the_sync_in_the_same_step_of_the_clock_is_synced)
{
    hv_err err;
    hv_blob_properties properties;

    wrapped.keeps_books = wrapped.coarse_times = true;
    ck_hv_ok(put_text(STORAGE, "a/x", "x", &err));
    ck_hv_ok(OPS->properties(STORAGE, "a/x", &properties, &err));
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "a/%d", i);
        write_file_unsynced(name, "x");
        ck_assert(!wrapped_is_durable(under_test.dir.path, name));
        ck_hv_ok(OPS->properties(STORAGE, name, &properties, &err));
        ck_assert(wrapped_is_durable(under_test.dir.path, name));
    }
}
END_TEST

static long
calls_of(const char *call, const char *prefix, size_t want)
{
    wrapped.only = call;
    wrapped.calls = 0;
    wrapped.fail_at = -1;
    wrapped.armed = true;
    ck_assert_uint_eq(count_listed(prefix), want);
    wrapped_disarm();
    return wrapped.calls;
}

START_TEST(a_folder_at_rest_is_read_and_synced_once_and_not_for_every_page)
{
    hv_err err;

    for (int i = 0; i < 50; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "a/%02d", i);
        ck_hv_ok(put_text(STORAGE, name, "x", &err));
    }
    ck_assert_int_ge(calls_of("readdir", "a/", 50), 50);        /* changed just now: not trusted yet */
    ck_assert_int_ge(calls_of("readdir", "a/", 50), 50);
    wrapped.clock_ahead_ms = 5000;
    ck_assert_int_ge(calls_of("readdir", "a/", 50), 50);        /* this listing is kept */
    ck_assert_int_eq(calls_of("readdir", "a/", 50), 0);
    ck_assert_int_eq(calls_of("readdir", "a/4", 10), 0);
    ck_assert_int_eq(calls_of("fsync", "a/", 50), 0);
    ck_hv_ok(put_text(STORAGE, "a/50", "x", &err));
    ck_assert_int_ge(calls_of("readdir", "a/", 51), 51);
}
END_TEST

START_TEST(a_write_cut_short_or_interrupted_is_continued)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(100);
    const hv_slice parts[] = {hv_slice_text("0123456789"), hv_slice_text(""), hv_slice_text("ab"), hv_slice_text("cdefghijkl")};

    wrapped.interrupted = true;
    ck_hv_ok(OPS->put_new(STORAGE, "a", parts, 4, NULL, &err));
    ck_hv_ok(hv_storage_get(STORAGE, "a", &got, &err));
    ck_assert_str_eq(got.data, "0123456789abcdefghijkl");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("storage dir");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_blob_is_a_file_that_nobody_may_write);
    tcase_add_test(tests, the_location_is_the_absolute_path);
    tcase_add_test(tests, without_create_a_folder_has_to_be_there_and_nothing_is_written);
    tcase_add_test(tests, with_create_the_folder_is_made_but_not_what_it_lies_in);
    tcase_add_test(tests, a_file_is_not_a_vault);
    tcase_add_test(tests, a_file_system_that_can_only_replace_is_refused_when_opened);
    tcase_add_test(tests, a_symbolic_link_is_never_followed);
    tcase_add_test(tests, a_fifo_is_reported_and_does_not_hang);
    tcase_add_test(tests, files_that_cannot_be_blobs_are_not_listed);
    tcase_add_test(tests, attributes_of_another_size_are_unknown);
    tcase_add_test(tests, a_put_leaves_nothing_but_the_blob);
    tcase_add_test(tests, leftovers_of_dead_processes_are_removed_but_not_those_of_living_ones);
    tcase_add_test(tests, a_blob_that_another_process_did_not_sync_is_durable_before_it_is_reported);
    tcase_add_loop_test(tests, a_folder_that_was_met_before_is_opened_in_one_step, 0, 2);
    tcase_add_test(tests, a_folder_that_was_moved_is_durable_on_its_new_path_before_it_is_reported);
    tcase_add_test(tests, entries_older_than_the_last_change_of_a_folder_cost_one_sync_together);
    tcase_add_test(tests, on_a_file_system_that_is_not_known_no_entry_is_taken_to_be_older);
    tcase_add_test(tests, a_sync_that_failed_covers_no_entry);
    tcase_add_test(tests, an_entry_made_after_the_sync_in_the_same_step_of_the_clock_is_synced);
    tcase_add_test(tests, a_change_after_everything_had_settled_is_synced_and_seen);
    tcase_add_test(tests, a_folder_at_rest_is_read_and_synced_once_and_not_for_every_page);
    tcase_add_test(tests, a_write_cut_short_or_interrupted_is_continued);
    return ck_hv_run("storage dir", tests);
}
