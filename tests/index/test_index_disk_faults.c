/*
 * The disk fails beneath LMDB: each write and each sync in turn, with an error or after half of the bytes. Our own definitions of
 * the system calls stand before those of the C library for liblmdb as well. After each failure the index must hold the old state or
 * the new one, what was acknowledged must be there, and the same call must succeed once the disk works again, without opening the
 * index anew: a meta page that could not be written makes LMDB refuse everything (MDB_PANIC), and index/index_env.c has to get over
 * that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

typedef enum disk_fault { DISK_WORKS, DISK_ERROR, DISK_FULL, DISK_SHORT } disk_fault;

static struct {
    disk_fault kind;
    long calls_left;                    /* the call that finds 0 fails, and all behind it while `lasting` */
    bool lasting;
    long fired;
} disk;

static bool
fails(void)
{
    if (disk.kind == DISK_WORKS || (!disk.lasting && disk.fired > 0) || disk.calls_left-- > 0)
        return false;
    disk.calls_left = 0;
    disk.fired++;
    return true;
}

static ssize_t
refuse(void)
{
    errno = disk.kind == DISK_FULL ? ENOSPC : EIO;
    return -1;
}

/* dlsym() gives a pointer to data; ISO C has no cast from that to a function. */
static void
next_function(const char *name, void *ret)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(ret, &found, sizeof found);
}

/* By its name in liblmdb: with _FILE_OFFSET_BITS our headers call it pwrite64. */
ssize_t write_at(int fd, const void *data, size_t len, off_t at) __asm__("pwrite");

ssize_t
write_at(int fd, const void *data, size_t len, off_t at)
{
    static ssize_t (*next)(int, const void *, size_t, off_t);

    if (next == NULL)
        next_function("pwrite", &next);
    if (!fails())
        return next(fd, data, len, at);
    return disk.kind == DISK_SHORT ? next(fd, data, len / 2, at) : refuse();
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*next)(int, const struct iovec *, int);

    if (next == NULL)
        next_function("writev", &next);
    if (!fails())
        return next(fd, parts, count);
    return disk.kind == DISK_SHORT ? next(fd, parts, count / 2) : refuse();
}

int
fdatasync(int fd)
{
    static int (*next)(int);

    if (next == NULL)
        next_function("fdatasync", &next);
    return fails() ? (int)refuse() : next(fd);
}

/* ---- the work ---- */

enum { CUTS = 8, TINY_MAP = 64 << 10 };

static hv_index_cut
cut_number(int64_t i)
{
    sample_rng rng = {.state = (uint64_t)i};
    sample_shape shape = {.max_segments = 2, .max_blocks = 200, .max_length = 1, .time = 1000 * i, .no_gaps = true};

    return sample_cut(&rng, i, &shape);
}

static void
check_all(hv_index *index, const hv_partition *partition, int64_t least, int64_t most)
{
    int64_t position;
    hv_err err;

    ck_hv_ok(hv_index_position(index, partition, &position, &err));
    ck_assert_int_ge(position, least);
    ck_assert_int_le(position, most);
    for (int64_t i = 0; i < position; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut want = cut_number(i), got = {.segment_count = 0};
        ck_hv_ok(hv_index_find_offset(index, partition, i, &got, &err));
        ck_assert(sample_cuts_equal(&want, &got));
    }
}

/* One cut; the disk may fail while it is recorded. */
static void
add_cut(hv_index *index, const hv_partition *partition, int64_t i)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
    hv_index_addition addition = {.partition = partition, .cut = &cut};
    hv_err err;

    hv_rc rc = hv_index_add(index, &addition, 1, &err);
    if (rc == HV_OK)
        return;
    ck_assert_int_gt(disk.fired, 0);
    ck_assert_msg(rc == (disk.kind == DISK_FULL ? HV_LIMIT : HV_IO), "%s: %s", hv_rc_name(rc), err.msg);
    check_all(index, partition, i, i + 1);
    disk.kind = DISK_WORKS;
    ck_hv_ok(hv_index_add(index, &addition, 1, &err));
}

static bool
fail_once_at(disk_fault kind, long n, bool lasting)
{
    scratch_dir dir = scratch_dir_make();
    hv_index *index = sample_open(dir.path, TINY_MAP);
    hv_partition partition = sample_partition("orders", 1, 0);

    disk.kind = kind;
    disk.calls_left = n;
    disk.lasting = lasting;
    disk.fired = 0;
    for (int64_t i = 0; i < CUTS; i++)
        add_cut(index, &partition, i);
    bool fired = disk.fired > 0;
    disk.kind = DISK_WORKS;
    check_all(index, &partition, CUTS, CUTS);
    hv_index_close(index);
    index = sample_open(dir.path, TINY_MAP);
    check_all(index, &partition, CUTS, CUTS);
    hv_index_close(index);
    scratch_dir_remove(&dir);
    return fired;
}

static void
fail_each_write(disk_fault kind, bool lasting)
{
    long n = 0;

    while (fail_once_at(kind, n, lasting))
        ck_assert_int_lt(++n, 1000);
    ck_assert_int_ge(n, 3 * CUTS);      /* pages, sync, meta page: or nothing was tested */
}

START_TEST(a_write_or_sync_that_fails_once_loses_nothing)
{
    fail_each_write((disk_fault)_i, false);
}
END_TEST

START_TEST(a_disk_that_goes_on_failing_loses_nothing)
{
    fail_each_write((disk_fault)_i, true);
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index disk faults");
    tcase_add_loop_test(tests, a_write_or_sync_that_fails_once_loses_nothing, DISK_ERROR, DISK_SHORT + 1);
    tcase_add_loop_test(tests, a_disk_that_goes_on_failing_loses_nothing, DISK_ERROR, DISK_SHORT + 1);
    return ck_hv_run("index disk faults", tests);
}
