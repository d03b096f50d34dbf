/* A disk that is full, see harness/small_disk.h. */
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/harness/small_disk.h"
#include "tests/index/index_samples.h"

enum { DISK_BYTES = 512 << 10, MANY = 2000 };

static scratch_dir dir;

static void
set_up(void)
{
    dir = scratch_dir_make();
    ck_assert(small_disk_mount(dir.path, DISK_BYTES));
}

static void
tear_down(void)
{
    small_disk_unmount(dir.path);
    scratch_dir_remove(&dir);
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

    small_disk_fill(dir.path, 200000 + 1024 * _i);
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
    small_disk_empty(dir.path);
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

    small_disk_fill(dir.path, 4096 * _i);
    hv_rc rc = hv_index_open(&config, &index, &err);
    ck_assert_msg(rc == HV_LIMIT, "%s: %s", hv_rc_name(rc), err.msg);
    small_disk_empty(dir.path);
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
    small_disk_fill(dir.path, 0);
    index = sample_open(dir.path, 1 << 20);
    check_all(index, &partition, 3);
    hv_index_close(index);
    small_disk_empty(dir.path);
}
END_TEST

int
main(void)
{
    int missing = small_disk_missing();

    if (missing != 0)
        return missing;
    TCase *tests = tcase_create("index on a full disk");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, on_a_full_disk_adding_is_a_limit_and_goes_on_when_there_is_room_again, 0, 12);
    tcase_add_loop_test(tests, opening_on_a_full_disk_is_a_limit_and_no_crash, 0, 6);
    tcase_add_test(tests, an_index_on_a_full_disk_can_be_opened_and_read);
    return ck_hv_run("index on a full disk", tests);
}
