/*
 * What the doctor says about stores and disks that this machine does not have: a store that overwrites, loses or changes bytes, file systems of
 * the network, disks that are nearly full. The linker puts this file between the doctor and what tells it.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "server/doctor.h"
#include "server/vault.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

int __real_statfs64(const char *path, struct statfs *ret);
int __wrap_statfs64(const char *path, struct statfs *ret);
int __real_statvfs64(const char *path, struct statvfs *ret);
int __wrap_statvfs64(const char *path, struct statvfs *ret);
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
hv_rc __real_hv_storage_dir_open(const char *root, bool create, hv_storage **ret, hv_err *err);
hv_rc __wrap_hv_storage_dir_open(const char *root, bool create, hv_storage **ret, hv_err *err);

typedef enum bad_store { HONEST, REFUSES, OVERWRITES, LOSES, CHANGES, KEEPS_FOR_EVER } bad_store;

static struct {
    long file_system;                   /* magic number; 0: the true one */
    bool no_statvfs, read_only;
    int64_t blocks_left, files_left;    /* -1: as they are */
    bad_store store;
} machine;

int
__wrap_statfs64(const char *path, struct statfs *ret)
{
    int failed = __real_statfs64(path, ret);

    if (machine.file_system != 0)
        ret->f_type = machine.file_system;
    return failed;
}

int
__wrap_statvfs64(const char *path, struct statvfs *ret)
{
    int failed = __real_statvfs64(path, ret);

    if (machine.no_statvfs) {
        errno = EIO;
        return -1;
    }
    ret->f_frsize = 4096;
    ret->f_blocks = 100 << 20;          /* 400 GiB */
    ret->f_files = 1 << 20;
    ret->f_bavail = machine.blocks_left >= 0 ? (fsblkcnt_t)machine.blocks_left : ret->f_blocks / 2;
    ret->f_favail = machine.files_left >= 0 ? (fsfilcnt_t)machine.files_left : ret->f_files;
    return failed;
}

int
__wrap_access(const char *path, int mode)
{
    if (machine.read_only && mode == W_OK) {
        errno = EACCES;
        return -1;
    }
    return __real_access(path, mode);
}

/* ---- a store that does not keep its promises, around a folder ---- */

typedef struct liar {
    hv_storage base;
    hv_storage *of;
} liar;

static hv_storage *
honest(hv_storage *storage)
{
    return ((liar *)storage)->of;
}

static hv_rc
lying_put(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count, const hv_blob_attributes *attributes, hv_err *err)
{
    if (machine.store == REFUSES)
        return hv_err_set(err, HV_LIMIT, "no quota");
    hv_rc rc = honest(storage)->ops->put_new(honest(storage), name, parts, part_count, attributes, err);
    return rc == HV_EXISTS && machine.store == OVERWRITES ? HV_OK : rc;
}

static hv_rc
lying_get(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    if (machine.store == LOSES)
        return hv_err_set(err, HV_NOT_FOUND, "gone");
    hv_rc rc = honest(storage)->ops->get_range(honest(storage), name, position, len, ret, err);
    if (rc == HV_OK && machine.store == CHANGES && ret->len > 0)
        ret->data[0] ^= 1;
    return rc;
}

static hv_rc
lying_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    return honest(storage)->ops->properties(honest(storage), name, ret, err);
}

static hv_rc
lying_delete(hv_storage *storage, const char *name, const char *version, hv_err *err)
{
    if (machine.store == KEEPS_FOR_EVER)
        return hv_err_set(err, HV_POLICY, "locked");
    return honest(storage)->ops->delete_version(honest(storage), name, version, err);
}

static void
lying_close(hv_storage *storage)
{
    hv_storage_close(honest(storage));
    free(storage);
}

static const hv_storage_ops lying_ops = {.driver = "liar", .put_new = lying_put, .get_range = lying_get, .properties = lying_properties,
    .delete_version = lying_delete, .close = lying_close};

hv_rc
__wrap_hv_storage_dir_open(const char *root, bool create, hv_storage **ret, hv_err *err)
{
    hv_rc rc = __real_hv_storage_dir_open(root, create, ret, err);

    if (rc != HV_OK || machine.store == HONEST || strstr(root, "/doctor-") == NULL)
        return rc;
    liar *made = calloc(1, sizeof *made);
    ck_assert_ptr_nonnull(made);
    *made = (liar){.base = {.ops = &lying_ops}, .of = *ret};
    *ret = &made->base;
    return HV_OK;
}

/* ---- asking the doctor ---- */

static scratch_dir dir;
static char store_dir[400], index_dir[400];
static hv_options options;
static hv_check found;                  /* the one that was looked for */
static const char *wanted;

static void
set(const char *name, const char *value)
{
    hv_option_place place = {.layer = HV_OPTION_FROM_COMMAND, .where = "--set"};
    hv_err err;

    ck_hv_ok(hv_options_set(&options, name, value, &place, &err));
}

static void
setup(void)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    hv_err err;

    memset(&machine, 0, sizeof machine);
    machine.blocks_left = machine.files_left = -1;
    dir = scratch_dir_make();
    (void)snprintf(store_dir, sizeof store_dir, "%s/vault", dir.path);
    (void)snprintf(index_dir, sizeof index_dir, "%s/index", dir.path);
    hv_options_init(&options);
    set("store.dir", store_dir);
    set("index.dir", index_dir);
    ck_hv_ok(hv_vault_open(&options, HV_VAULT_WRITE | HV_VAULT_CREATE, &vault, &err));
}

static void
teardown(void)
{
    hv_options_clear(&options);
    scratch_dir_remove(&dir);
}

static void
take(void *arg, const hv_check *check)
{
    (void)arg;
    if (strcmp(check->name, wanted) == 0)
        found = *check;
}

static void
ck_says(const char *check, hv_check_result result, const char *like)
{
    hv_doctor_config config = {.options = &options, .offline = true, .report = take};

    found = (hv_check){.name = NULL};
    wanted = check;
    (void)hv_doctor_run(&config);
    ck_assert_msg(found.name != NULL && found.result == result && strstr(found.what, like) != NULL, "%s is %s: %s", check,
                  hv_check_result_text(found.result), found.what);
}

/* No probe stays behind, whatever the store did. */
static void
ck_clean(void)
{
    char reserved[500];

    (void)snprintf(reserved, sizeof reserved, "%s/%s/doctor-%ld", store_dir, HV_STORAGE_RESERVED, (long)getpid());
    ck_assert_int_ne(__real_access(reserved, F_OK), 0);
}

static const struct {
    bad_store store;
    const char *says;
} stores[] = {
    {REFUSES, "cannot create a blob: no quota"},
    {OVERWRITES, "something could be overwritten"},
    {LOSES, "cannot read a blob back: gone"},
    {CHANGES, "a blob reads back with other bytes"},
    {KEEPS_FOR_EVER, "cannot remove a blob: locked"},
};

START_TEST(a_store_that_does_not_keep_its_promises_fails_and_nothing_stays_behind)
{
    machine.store = stores[_i].store;
    ck_says("store", HV_CHECK_FAILED, stores[_i].says);
    ck_clean();
    machine.store = HONEST;
    machine.file_system = EXT4_SUPER_MAGIC;
    ck_says("store", HV_CHECK_OK, "creates without overwriting");
    ck_clean();
}
END_TEST

START_TEST(a_store_in_memory_and_one_that_may_only_be_read_are_warned_of)
{
    machine.file_system = TMPFS_MAGIC;
    ck_says("store", HV_CHECK_WARNING, "gone with the machine");
    machine.read_only = true;
    ck_says("store", HV_CHECK_WARNING, "cannot be written by this user");
}
END_TEST

static const struct {
    long file_system;
    hv_check_result result;
    const char *says;
} systems[] = {
    {NFS_SUPER_MAGIC, HV_CHECK_FAILED, "is on NFS, where the index does not work"},
    {CIFS_SUPER_MAGIC, HV_CHECK_FAILED, "is on SMB, where the index does not work"},
    {FUSE_SUPER_MAGIC, HV_CHECK_OK, "fits the vault"},
    {EXT4_SUPER_MAGIC, HV_CHECK_OK, "fits the vault"},
};

START_TEST(an_index_on_the_network_fails)
{
    machine.file_system = systems[_i].file_system;
    ck_says("index", systems[_i].result, systems[_i].says);
}
END_TEST

START_TEST(little_room_is_told_before_there_is_none)
{
    ck_says("store space", HV_CHECK_OK, "left");
    machine.blocks_left = (5 << 20) - 1;        /* not quite 20 GiB of 400 */
    ck_says("store space", HV_CHECK_WARNING, "less than a twentieth of the disk");
    machine.blocks_left = 1;
    ck_says("index space", HV_CHECK_FAILED, "4.0 KiB left, less than 20 segments");
    machine.blocks_left = -1;
    machine.files_left = 9999;
    ck_says("store space", HV_CHECK_WARNING, "can take 9999 more files only");
    machine.no_statvfs = true;
    ck_says("store space", HV_CHECK_WARNING, strerror(EIO));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("doctor, store");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_store_that_does_not_keep_its_promises_fails_and_nothing_stays_behind, 0,
                        (int)(sizeof stores / sizeof stores[0]));
    tcase_add_test(tests, a_store_in_memory_and_one_that_may_only_be_read_are_warned_of);
    tcase_add_loop_test(tests, an_index_on_the_network_fails, 0, (int)(sizeof systems / sizeof systems[0]));
    tcase_add_test(tests, little_room_is_told_before_there_is_none);
    return ck_hv_run("doctor, store", tests);
}
