/*
 * Every system call of every operation of the dir driver fails in turn, before and after its effect, in each of the three ways to
 * create a blob. At each stop: nothing partial is visible, "stored" is said only of what is complete and synced, "refused" only if
 * nothing is there, no descriptor leaks; and the same operation, repeated, ends well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"
#include "tests/storage/storage_under_test.h"
#include "tests/storage/wrapped_calls.h"

#define NAME "a/b/blob"
#define TEXT "0123456789"

enum { TOO_MANY_CALLS = 200 };

static const hv_slice parts[] = {{.data = "01234", .len = 5}, {.data = "56789", .len = 5}};
static const hv_blob_attributes attributes = {.has_sha256 = true, .has_nonce = true, .sha256 = {1, 2, 3}, .nonce = {4, 5, 6}};

static scratch_dir dir;
static hv_storage *storage;

static hv_rc
open_vault(hv_err *err)
{
    return hv_storage_dir_open(dir.path, true, &storage, err);
}

static hv_rc
put_blob(hv_err *err)
{
    return storage->ops->put_new(storage, NAME, parts, 2, &attributes, err);
}

/* The operations under test: `prepare` runs without faults, `run` with them, and returns HV_OK if it did what it is for. */

static void
prepare_nothing(void)
{
}

static void
prepare_open(void)
{
    hv_err err;

    ck_hv_ok(open_vault(&err));
}

static void
prepare_blob(void)
{
    hv_err err;

    prepare_open();
    ck_hv_ok(put_blob(&err));
}

/* As another process leaves it that died before it synced the folders. The handle has not seen it yet. */
static void
prepare_unsynced_blob(void)
{
    prepare_open();
    int root = open(dir.path, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(mkdirat(root, "a", 0755), 0);
    int a = openat(root, "a", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(mkdirat(a, "b", 0755), 0);
    int b = openat(a, "b", O_RDONLY | O_DIRECTORY);
    int fd = openat(b, "blob", O_CREAT | O_WRONLY | O_EXCL, 0444);
    ck_assert_int_eq(write(fd, TEXT, 10), 10);
    close(fd);
    close(b);
    close(a);
    close(root);
    ck_assert(!wrapped_is_durable(dir.path, NAME));
}

static hv_rc
run_open(hv_err *err)
{
    return open_vault(err);
}

static hv_rc
run_put(hv_err *err)
{
    return put_blob(err);
}

static hv_rc
run_put_of_what_is_there(hv_err *err)
{
    hv_rc rc = put_blob(err);

    return rc == HV_EXISTS ? HV_OK : rc == HV_OK ? HV_INTERNAL : rc;
}

/* Check allocates in its assertions: the operations are carried out first, and looked at when allocations work again. */

static hv_rc
run_properties(hv_err *err)
{
    hv_blob_properties properties;
    hv_rc rc = storage->ops->properties(storage, NAME, &properties, err);

    return rc == HV_OK && properties.size != 10 ? HV_INTERNAL : rc;
}

static hv_rc
run_get(hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(100);

    hv_buf_put_text(&got, "x");
    hv_rc rc = hv_buf_check(&got, err);
    if (rc != HV_OK)
        return rc;
    rc = hv_storage_get(storage, NAME, &got, err);
    return strcmp(got.data, rc == HV_OK ? "x" TEXT : "x") != 0 ? HV_INTERNAL : rc;
}

static hv_rc
run_list(hv_err *err)
{
    HV_AUTO(hv_blob_list_free) hv_blob_list page = {.count = 0};
    hv_list_request request = {.prefix = "", .max = 10};

    hv_rc rc = storage->ops->list(storage, &request, &page, err);
    if (rc != HV_OK)
        return page.count == 0 ? rc : HV_INTERNAL;
    return page.count == 1 && strcmp(page.entries[0].name, NAME) == 0 ? rc : HV_INTERNAL;
}

static hv_rc
run_delete(hv_err *err)
{
    hv_rc rc = storage->ops->delete_version(storage, NAME, "", err);

    return rc == HV_NOT_FOUND ? HV_OK : rc;     /* an earlier try did it */
}

static const struct operation {
    const char *name;
    void (*prepare)(void);
    hv_rc (*run)(hv_err *err);
    bool blob_before, blob_after;
    long calls_min;
    const char *reaches[8];             /* among others */
} operations[] = {
    {"open", prepare_nothing, run_open, false, false, 9, {"mkdirat", "openat", "getrandom", "fsync", "realpath", "fstatfs"}},
    {"first put", prepare_open, run_put, false, true, 16, {"openat", "mkdirat", "writev", "fsetxattr", "fchmod", "fsync", "fstat"}},
    {"second put", prepare_blob, run_put_of_what_is_there, true, true, 10, {"openat2", "openat", "writev", "fsync"}},
    {"put of what is unsynced", prepare_unsynced_blob, run_put_of_what_is_there, true, true, 10, {"fsync"}},
    {"properties", prepare_unsynced_blob, run_properties, true, true, 8, {"openat", "fstat", "fsync", "fgetxattr"}},
    {"get", prepare_unsynced_blob, run_get, true, true, 6, {"openat", "fstat", "pread"}},
    {"list", prepare_unsynced_blob, run_list, true, true, 12, {"openat", "fdopendir", "readdir", "fstat", "fsync", "fstatat"}},
    {"delete", prepare_blob, run_delete, true, false, 4, {"openat2", "unlinkat", "fsync"}},
};
enum { OPERATIONS = sizeof operations / sizeof *operations, METHODS = 3, ERRORS = 3 };

static const int errors[ERRORS] = {EIO, ENOSPC, EACCES};

/* Whether the blob is there, as seen by other programs; fails if it is there in part, or if anything else is. */
static bool
see_blob(bool with_attributes)
{
    char path[300], bytes[100];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/" NAME, dir.path);
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        ck_assert(errno == ENOENT);
        return false;
    }
    ck_assert_int_eq(read(fd, bytes, sizeof bytes), 10);
    ck_assert_mem_eq(bytes, TEXT, 10);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0444);
    close(fd);
    if (with_attributes) {
        hv_err err;
        hv_blob_properties properties;
        ck_hv_ok(storage->ops->properties(storage, NAME, &properties, &err));
        ck_assert(properties.attributes.has_sha256 && properties.attributes.has_nonce);
        ck_assert_mem_eq(properties.attributes.sha256, attributes.sha256, sizeof attributes.sha256);
    }
    return true;
}

static int
count_files(const char *path)
{
    int count = 0;

    DIR *entries = opendir(path);
    ck_assert_ptr_nonnull(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void
start(const struct operation *operation, int method)
{
    wrapped_reset();
    wrapped.no_tmpfile = method > 0;
    wrapped.no_link = wrapped.no_openat2 = method > 1;
    wrapped.keeps_books = wrapped.never_syncs = true;
    dir = scratch_dir_make();
    storage = NULL;
    operation->prepare();
}

/* What has to hold after one try, which may have failed. */
static void
check_stop(const struct operation *operation, hv_rc rc)
{
    bool refused = rc == HV_LIMIT || rc == HV_AUTH || rc == HV_POLICY;
    bool seen = see_blob(false);

    ck_assert_int_ne(rc, HV_INTERNAL);

    if (rc == HV_OK && operation->blob_after) {
        ck_assert(seen);
        if (operation->run != run_get)  /* reading promises nothing about durability */
            ck_assert_msg(wrapped_is_durable(dir.path, NAME), "%s: reported, but not durable", operation->name);
    } else if (rc == HV_OK) {
        ck_assert(!seen);
    } else if (refused) {
        ck_assert_msg(seen == operation->blob_before, "%s: said %s, but it took effect", operation->name, hv_rc_name(rc));
    }
}

static void
finish(const struct operation *operation)
{
    hv_err err;
    char temp[300];

    if (storage == NULL || operation->run != run_open) {
        hv_rc rc = operation->run(&err);
        ck_assert_msg(rc == HV_OK || (rc == HV_EXISTS && operation->run == run_put), "%s again: %s", operation->name, err.msg);
    }
    ck_assert_int_eq(see_blob(operation->prepare != prepare_unsynced_blob), operation->blob_after);
    if (operation->blob_after && operation->run != run_get)
        ck_assert(wrapped_is_durable(dir.path, NAME));
    hv_storage_close(HV_TAKE(storage));
    ck_hv_ok(open_vault(&err));         /* tidies up */
    (void)snprintf(temp, sizeof temp, "%s/.tmp", dir.path);
    ck_assert_int_eq(count_files(temp), 1);
    hv_storage_close(HV_TAKE(storage));
    scratch_dir_remove(&dir);
}

/* Fails call n of the operation. False if it has fewer calls. */
static bool
fail_one(const struct operation *operation, int method, long n, bool takes_effect, int error, const char **failed_call)
{
    hv_err err = {.rc = HV_OK};

    int descriptors = count_files("/proc/self/fd");
    start(operation, method);
    wrapped.fail_at = n;
    wrapped.takes_effect = takes_effect;
    wrapped.error = error;
    wrapped.calls = 0;
    wrapped.armed = true;
    hv_rc rc = operation->run(&err);
    wrapped_disarm();
    *failed_call = wrapped.failed_call;
    check_stop(operation, rc);
    finish(operation);
    ck_assert_int_eq(count_files("/proc/self/fd"), descriptors);
    return *failed_call != NULL;
}

static void
fail_all(const struct operation *operation, int method, bool takes_effect, int error)
{
    const char *failed_call;
    long n;
    unsigned reached = 0;

    for (n = 0; fail_one(operation, method, n, takes_effect, error, &failed_call); n++) {
        ck_assert_int_lt(n, TOO_MANY_CALLS);
        for (unsigned i = 0; i < 8; i++)
            if (operation->reaches[i] != NULL && strcmp(operation->reaches[i], failed_call) == 0)
                reached |= 1u << i;
    }
    ck_assert_msg(n >= operation->calls_min, "%s: %ld faults only", operation->name, n);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_msg(operation->reaches[i] == NULL || (reached & 1u << i) != 0, "%s: no fault in %s", operation->name,
                      operation->reaches[i]);
}

START_TEST(a_call_that_fails_does_no_harm)
{
    fail_all(&operations[_i / METHODS / ERRORS], _i / ERRORS % METHODS, false, errors[_i % ERRORS]);
}
END_TEST

START_TEST(a_call_that_took_effect_although_it_failed_does_no_harm)
{
    fail_all(&operations[_i / METHODS], _i % METHODS, true, EIO);
}
END_TEST

/* The call `call` of a put fails with `error`; what does the driver make of it? */
static hv_rc
code_of(const char *call, int error, hv_rc (*run)(hv_err *err))
{
    hv_err err;

    start(&operations[2], 0);
    if (run == run_put)
        ck_hv_ok(storage->ops->delete_version(storage, NAME, "", &err));
    wrapped.fail_at = 0;
    wrapped.only = call;
    wrapped.error = error;
    wrapped.armed = true;
    hv_rc rc = run(&err);
    wrapped_disarm();
    ck_assert_ptr_nonnull(wrapped.failed_call);
    hv_storage_close(HV_TAKE(storage));
    scratch_dir_remove(&dir);
    return rc;
}

START_TEST(a_code_says_refused_only_before_the_name_was_given)
{
    ck_assert_int_eq(code_of("writev", ENOSPC, run_put), HV_LIMIT);
    ck_assert_int_eq(code_of("writev", EDQUOT, run_put), HV_LIMIT);
    ck_assert_int_eq(code_of("linkat", ENOSPC, run_put), HV_LIMIT);
    ck_assert_int_eq(code_of("linkat", EACCES, run_put), HV_AUTH);
    ck_assert_int_eq(code_of("linkat", EROFS, run_put), HV_AUTH);
    ck_assert_int_eq(code_of("linkat", EPERM, run_put), HV_POLICY);
    ck_assert_int_eq(code_of("linkat", EIO, run_put), HV_IO);
    ck_assert_int_eq(code_of("writev", ENOMEM, run_put), HV_NOMEM);
    ck_assert_int_eq(code_of("unlinkat", EPERM, run_delete), HV_POLICY);
    ck_assert_int_eq(code_of("unlinkat", EACCES, run_delete), HV_AUTH);
}
END_TEST

START_TEST(a_sync_that_failed_after_the_name_was_given_is_unknown_whatever_the_error)
{
    static const int codes[] = {ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EIO};
    hv_err err;

    start(&operations[1], 0);
    ck_hv_ok(put_text(storage, "a/b/first", "x", &err));        /* afterwards a put syncs twice: file, folder */
    wrapped.fail_at = 1;
    wrapped.only = "fsync";
    wrapped.error = codes[_i];
    wrapped.armed = true;
    ck_hv_fails(HV_IO, put_blob(&err));
    wrapped_disarm();
    ck_assert(see_blob(false));
    ck_hv_fails(HV_EXISTS, put_blob(&err));
    hv_storage_close(HV_TAKE(storage));
    scratch_dir_remove(&dir);
}
END_TEST

/* Everything the driver allocates for, once. */
static hv_rc
do_everything(hv_err *err)
{
    hv_rc rc = open_vault(err);

    if (rc == HV_OK)
        rc = put_blob(err);
    if (rc == HV_OK)
        rc = run_properties(err);
    if (rc == HV_OK)
        rc = run_get(err);
    if (rc == HV_OK)
        rc = run_list(err);
    return rc == HV_OK ? run_delete(err) : rc;
}

START_TEST(running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind)
{
    hv_err err;
    hv_rc rc = HV_NOMEM;
    long n;
    int descriptors = count_files("/proc/self/fd");

    for (n = 0; rc != HV_OK; n++) {
        start(&operations[0], _i);
        wrapped.keeps_books = false;
        ck_assert_int_lt(n, 1000);
        oom_begin(OOM_THIS_THREAD, n, 1);
        rc = do_everything(&err);
        bool starved = oom_end();
        wrapped_disarm();
        ck_assert_msg(rc == (starved ? HV_NOMEM : HV_OK), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
        hv_storage_close(HV_TAKE(storage));
        ck_assert_int_eq(count_files("/proc/self/fd"), descriptors);
        scratch_dir_remove(&dir);
    }
    ck_assert_int_gt(n, 12);            /* or the wrapping does not work, and nothing was tested */
}
END_TEST

START_TEST(a_get_without_memory_leaves_the_buffer_usable)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(100);

    start(&operations[2], 0);
    oom_begin(OOM_THIS_THREAD, 0, 1);
    ck_hv_fails(HV_NOMEM, hv_storage_get(storage, NAME, &got, &err));
    ck_hv_ok(hv_storage_get(storage, NAME, &got, &err));
    ck_assert_str_eq(got.data, TEXT);
    hv_storage_close(HV_TAKE(storage));
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(the_other_drivers_report_it_too)
{
    hv_err err;
    hv_rc rc = HV_NOMEM;
    long n;

    for (n = 0; rc != HV_OK; n++) {
        HV_AUTO(hv_storage_close) hv_storage *inner = NULL;
        HV_AUTO(hv_storage_close) hv_storage *outer = NULL;
        wrapped_reset();
        ck_assert_int_lt(n, 1000);
        oom_begin(OOM_THIS_THREAD, n, 1);
        rc = hv_storage_mem_open(&inner, &err);
        hv_storage_fault_config config = {.inner = inner, .fail_call = 0, .fail_with = HV_UNAVAILABLE, .lands_late = true};
        if (rc == HV_OK)
            rc = hv_storage_fault_open(&config, &outer, &err);
        storage = outer;
        if (rc == HV_OK && (rc = put_blob(&err)) == HV_UNAVAILABLE)
            rc = hv_storage_fault_land(outer, &err);
        if (rc == HV_OK)
            rc = run_get(&err);
        if (rc == HV_OK)
            rc = run_list(&err);
        bool starved = oom_end();
        ck_assert_msg(rc == (starved ? HV_NOMEM : HV_OK), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
    }
    storage = NULL;
    ck_assert_int_gt(n, 10);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("storage dir faults");
    tcase_add_loop_test(tests, a_call_that_fails_does_no_harm, 0, OPERATIONS * METHODS * ERRORS);
    tcase_add_loop_test(tests, a_call_that_took_effect_although_it_failed_does_no_harm, 0, OPERATIONS * METHODS);
    tcase_add_test(tests, a_code_says_refused_only_before_the_name_was_given);
    tcase_add_loop_test(tests, a_sync_that_failed_after_the_name_was_given_is_unknown_whatever_the_error, 0, 6);
    tcase_add_loop_test(tests, running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind, 0, METHODS);
    tcase_add_test(tests, a_get_without_memory_leaves_the_buffer_usable);
    tcase_add_test(tests, the_other_drivers_report_it_too);
    return ck_hv_run("storage dir faults", tests);
}
