/*
 * A full disk and a read-only one, real ones: a small tmpfs in a mount namespace of our own. Where the machine does not let us have
 * that, which is said, there is still the limit that a process has for the size of its files; and test_storage_dir_faults.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

enum { BLOB_LEN = 50000, DISK_LEN = 1 << 20 };

static char mount_point[256];       /* made before the tests, in which no assertion of Check works yet */
static char bytes[BLOB_LEN];

static void
mount_disk(void)
{
    ck_assert_int_eq(mount("tmpfs", mount_point, "tmpfs", 0, "size=1m,mode=0755"), 0);
}

static void
unmount_disk(void)
{
    ck_assert_int_eq(umount2(mount_point, MNT_DETACH), 0);
}

static hv_rc
put_number(hv_storage *storage, unsigned i, hv_err *err)
{
    char name[32];
    const hv_slice part = hv_slice_of(bytes, sizeof bytes);

    (void)snprintf(name, sizeof name, "folder/%03u", i);
    return storage->ops->put_new(storage, name, &part, 1, NULL, err);
}

static hv_rc
count_whole(void *arg, const char *name, uint64_t size, hv_err *err)
{
    unsigned *count = arg;

    (void)name, (void)err;
    ck_assert_uint_eq(size, BLOB_LEN);
    ++*count;
    return HV_OK;
}

START_TEST(on_a_full_disk_a_put_is_refused_leaves_nothing_and_works_again_when_there_is_room)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *storage = NULL;
    unsigned stored, seen = 0;

    mount_disk();
    ck_hv_ok(hv_storage_dir_open(mount_point, true, &storage, &err));
    for (stored = 0; put_number(storage, stored, &err) == HV_OK; stored++)
        ck_assert_uint_lt(stored, DISK_LEN / BLOB_LEN + 1);
    ck_assert_uint_gt(stored, DISK_LEN / BLOB_LEN / 2);
    for (int i = 0; i < 3; i++)
        ck_hv_fails(HV_LIMIT, put_number(storage, stored, &err));
    ck_hv_ok(hv_storage_walk(storage, "", count_whole, &seen, &err));
    ck_assert_uint_eq(seen, stored);

    ck_hv_ok(storage->ops->delete_version(storage, "folder/000", "", &err));
    ck_hv_ok(put_number(storage, stored, &err));
    unmount_disk();
}
END_TEST

START_TEST(a_full_vault_can_be_opened_and_read)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *storage = NULL;
    HV_AUTO(hv_storage_close) hv_storage *reader = NULL;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(BLOB_LEN);

    mount_disk();
    ck_hv_ok(hv_storage_dir_open(mount_point, true, &storage, &err));
    for (unsigned i = 0; put_number(storage, i, &err) == HV_OK; i++)
        ck_assert_uint_lt(i, DISK_LEN / BLOB_LEN + 1);
    ck_hv_ok(hv_storage_dir_open(mount_point, false, &reader, &err));
    ck_hv_ok(hv_storage_get(reader, "folder/000", &got, &err));
    ck_assert_uint_eq(got.len, BLOB_LEN);
    unmount_disk();
}
END_TEST

START_TEST(a_read_only_vault_can_be_read_and_refuses_the_rest)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *writer = NULL;
    HV_AUTO(hv_storage_close) hv_storage *reader = NULL;
    HV_AUTO(hv_storage_close) hv_storage *none = NULL;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(BLOB_LEN);
    hv_blob_properties properties;
    unsigned seen = 0;

    mount_disk();
    ck_hv_ok(hv_storage_dir_open(mount_point, true, &writer, &err));
    ck_hv_ok(put_number(writer, 0, &err));
    hv_storage_close(HV_TAKE(writer));
    ck_assert_int_eq(mount(NULL, mount_point, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    ck_hv_ok(hv_storage_dir_open(mount_point, false, &reader, &err));
    ck_hv_ok(hv_storage_get(reader, "folder/000", &got, &err));
    ck_hv_ok(reader->ops->properties(reader, "folder/000", &properties, &err));
    ck_hv_ok(hv_storage_walk(reader, "", count_whole, &seen, &err));
    ck_assert_uint_eq(seen, 1);
    ck_hv_fails(HV_AUTH, put_number(reader, 1, &err));
    ck_hv_fails(HV_AUTH, reader->ops->delete_version(reader, "folder/000", "", &err));
    ck_hv_fails(HV_AUTH, hv_storage_dir_open(mount_point, true, &none, &err));

    ck_assert_int_eq(mount(NULL, mount_point, NULL, MS_REMOUNT, NULL), 0);
    ck_hv_ok(put_number(reader, 1, &err));
    unmount_disk();
}
END_TEST

static bool
tell_kernel(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool told = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return told;
}

/* In a user namespace nobody owns a file before the ids are mapped, user_namespaces(7). */
static bool
map_ids(uid_t uid, gid_t gid)
{
    char users[32], groups[32];

    (void)snprintf(users, sizeof users, "0 %u 1", (unsigned)uid);
    (void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)gid);
    return tell_kernel("/proc/self/setgroups", "deny") && tell_kernel("/proc/self/uid_map", users) &&
           tell_kernel("/proc/self/gid_map", groups);
}

/* Nobody else sees what is mounted afterwards. Root may; others where user namespaces are allowed. */
static bool
have_own_mounts(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (unshare(CLONE_NEWNS) != 0 && (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !map_ids(uid, gid)))
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", mount_point, "tmpfs", 0, "size=1m") == 0 &&
           umount(mount_point) == 0;
}

START_TEST(a_file_larger_than_the_process_may_write_is_refused_and_leaves_nothing)
{
    hv_err err;
    HV_AUTO(hv_storage_close) hv_storage *storage = NULL;
    scratch_dir dir = scratch_dir_make();
    unsigned seen = 0;

    (void)signal(SIGXFSZ, SIG_IGN);
    ck_hv_ok(hv_storage_dir_open(dir.path, true, &storage, &err));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = BLOB_LEN / 2, .rlim_max = RLIM_INFINITY}), 0);
    for (int i = 0; i < 3; i++)
        ck_hv_fails(HV_LIMIT, put_number(storage, 0, &err));
    ck_hv_ok(hv_storage_walk(storage, "", count_whole, &seen, &err));
    ck_assert_uint_eq(seen, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY}), 0);
    ck_hv_ok(put_number(storage, 0, &err));
    ck_hv_ok(hv_storage_walk(storage, "", count_whole, &seen, &err));
    ck_assert_uint_eq(seen, 1);
    scratch_dir_remove(&dir);
}
END_TEST

static int
run_tests(bool have_mounts)
{
    TCase *tests = tcase_create("storage dir mount");

    tcase_add_test(tests, a_file_larger_than_the_process_may_write_is_refused_and_leaves_nothing);
    if (have_mounts) {
        tcase_add_test(tests, on_a_full_disk_a_put_is_refused_leaves_nothing_and_works_again_when_there_is_room);
        tcase_add_test(tests, a_full_vault_can_be_opened_and_read);
        tcase_add_test(tests, a_read_only_vault_can_be_read_and_refuses_the_rest);
    }
    return ck_hv_run("storage dir mount", tests);
}

int
main(void)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(mount_point, sizeof mount_point, "%s/hubvault-test-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(mount_point) == NULL) {
        perror(mount_point);
        return 1;
    }
    bool have_mounts = have_own_mounts();
    if (!have_mounts)
        (void)fprintf(stderr, "no tmpfs can be mounted here (%s): a full disk is made by RLIMIT_FSIZE only\n", strerror(errno));
    int status = run_tests(have_mounts);
    (void)rmdir(mount_point);
    return status;
}
