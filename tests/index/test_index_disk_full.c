/*
 * A disk that is full: a tmpfs of a few hundred kilobytes, mounted in a mount namespace of the child that needs it, so that nothing
 * is left behind. Where that is not allowed the test is skipped, or fails if HUBVAULT_NO_SKIP is 1.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { DISK_BYTES = 512 << 10, MANY = 2000 };

static bool
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return written;
}

/* A user who is not root becomes it in a namespace of users first. */
static bool
mount_disk(const char *path)
{
    char map[64], size[32];
    unsigned user = geteuid();

    if (user != 0) {
        (void)snprintf(map, sizeof map, "0 %u 1", user);
        if (unshare(CLONE_NEWUSER) != 0 || !write_file("/proc/self/uid_map", map))
            return false;
    }
    (void)snprintf(size, sizeof size, "size=%d", DISK_BYTES);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, "tmpfs", 0, size) == 0;
}

static scratch_dir dir;

static void
set_up(void)
{
    dir = scratch_dir_make();
    ck_assert(mount_disk(dir.path));
}

static void
tear_down(void)
{
    ck_assert_int_eq(umount(dir.path), 0);
    scratch_dir_remove(&dir);
}

/* Fill what is left of the disk, but for so many bytes. */
static void
fill_disk(long leave)
{
    char path[sizeof dir.path + 16], page[1024] = {1};

    (void)snprintf(path, sizeof path, "%s/ballast", dir.path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, page, sizeof page) > 0)
        continue;
    off_t size = lseek(fd, 0, SEEK_CUR);
    ck_assert_int_eq(ftruncate(fd, size > leave ? size - leave : 0), 0);
    close(fd);
}

static void
empty_disk(void)
{
    char path[sizeof dir.path + 16];

    (void)snprintf(path, sizeof path, "%s/ballast", dir.path);
    ck_assert_int_eq(unlink(path), 0);
}

static hv_index_cut
cut_number(int64_t i)
{
    sample_rng rng = {.state = (uint64_t)i};
    sample_shape shape = {.max_segments = 2, .max_blocks = 40, .max_length = 1, .time = 1000 * i, .no_gaps = true};

    return sample_cut(&rng, i, &shape);
}

static void
check_all(hv_index *index, const hv_partition *partition, int64_t end)
{
    int64_t position;
    hv_err err;

    ck_hv_ok(hv_index_position(index, partition, &position, &err));
    ck_assert_int_eq(position, end);
    for (int64_t i = 0; i < end; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut want = cut_number(i), got = {.segment_count = 0};
        ck_hv_ok(hv_index_find_offset(index, partition, i, &got, &err));
        ck_assert(sample_cuts_equal(&want, &got));
    }
}

/* Whatever is left when the disk is full: no space at all, or a part of what a commit needs (LMDB then sees a short write). */
START_TEST(on_a_full_disk_adding_is_a_limit_and_goes_on_when_there_is_room_again)
{
    hv_index *index = sample_open(dir.path, 16 << 20);
    hv_partition partition = sample_partition("orders", 1, 0);
    int64_t i;
    hv_rc rc = HV_OK;
    hv_err err;

    fill_disk(200000 + 1024 * _i);
    for (i = 0; i < MANY; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
        hv_index_addition addition = {.partition = &partition, .cut = &cut};
        rc = hv_index_add(index, &addition, 1, &err);
        if (rc != HV_OK)
            break;
    }
    ck_assert_msg(rc == HV_LIMIT, "%s: %s", hv_rc_name(rc), err.msg);
    ck_assert_int_gt(i, 10);
    check_all(index, &partition, i);
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
    hv_index_addition again = {.partition = &partition, .cut = &cut};
    ck_hv_fails(HV_LIMIT, hv_index_add(index, &again, 1, &err));
    empty_disk();
    ck_hv_ok(hv_index_add(index, &again, 1, &err));
    check_all(index, &partition, i + 1);
    hv_index_close(index);
    index = sample_open(dir.path, 16 << 20);
    check_all(index, &partition, i + 1);
    hv_index_close(index);
}
END_TEST

/* LMDB maps its lock file, so a hole in it would be SIGBUS here. */
START_TEST(opening_on_a_full_disk_is_a_limit_and_no_crash)
{
    hv_index_config config = {.dir = dir.path, .map_bytes = 1 << 20, .vault = SAMPLE_VAULT};
    hv_index *index;
    hv_err err;

    fill_disk(4096 * _i);
    hv_rc rc = hv_index_open(&config, &index, &err);
    ck_assert_msg(rc == HV_LIMIT, "%s: %s", hv_rc_name(rc), err.msg);
    empty_disk();
    ck_hv_ok(hv_index_open(&config, &index, &err));
    hv_index_close(index);
}
END_TEST

START_TEST(an_index_on_a_full_disk_can_be_opened_and_read)
{
    hv_index *index = sample_open(dir.path, 1 << 20);
    hv_partition partition = sample_partition("orders", 1, 0);

    for (int64_t i = 0; i < 3; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
        sample_add(index, &partition, &cut);
    }
    hv_index_close(index);
    fill_disk(0);
    index = sample_open(dir.path, 1 << 20);
    check_all(index, &partition, 3);
    hv_index_close(index);
    empty_disk();
}
END_TEST

static bool
can_mount(void)
{
    int status = 1;
    pid_t child = fork();

    if (child == 0)
        _exit(mount_disk("/tmp") ? 0 : 1);      /* in a namespace that ends with the child */
    return waitpid(child, &status, 0) == child && status == 0;
}

int
main(void)
{
    const char *no_skip = getenv("HUBVAULT_NO_SKIP");

    if (!can_mount()) {
        fprintf(stderr, "a tmpfs cannot be mounted here\n");
        return no_skip != NULL && strcmp(no_skip, "1") == 0 ? 1 : 77;
    }
    TCase *tests = tcase_create("index on a full disk");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, on_a_full_disk_adding_is_a_limit_and_goes_on_when_there_is_room_again, 0, 12);
    tcase_add_loop_test(tests, opening_on_a_full_disk_is_a_limit_and_no_crash, 0, 6);
    tcase_add_test(tests, an_index_on_a_full_disk_can_be_opened_and_read);
    return ck_hv_run("index on a full disk", tests);
}
