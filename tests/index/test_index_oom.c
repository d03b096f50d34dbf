/* The n-th allocation of our own code fails, for n = 0, 1, 2 ... until a run needs fewer. Leaks show in the sanitizer build. */
#include <stdlib.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static hv_index_cut cut;
static hv_partition orders;

static void
drop_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

static hv_rc
write_and_find(hv_index *index, hv_err *err)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut got = {.segment_count = 0}, later = {.segment_count = 0};
    hv_index_incarnation one = {.hub = "orders", .incarnation = 1, .cause = "first sight", .identity = "x"};
    hv_index_addition addition = {.partition = &orders, .cut = &cut};

    hv_rc rc = hv_index_add_incarnation(index, &one, err);
    if (rc == HV_OK)
        rc = hv_index_add(index, &addition, 1, err);
    if (rc == HV_OK)
        rc = hv_index_add(index, &addition, 1, err);
    if (rc == HV_OK)
        rc = hv_index_find_offset(index, &orders, 0, &got, err);
    if (rc == HV_OK)
        rc = hv_index_find_time(index, &orders, 0, INT64_MIN, INT64_MAX, &later, err);
    return rc;
}

static hv_rc
list(hv_index *index, hv_err *err)
{
    hv_index_incarnation *incarnations = NULL;
    hv_index_partition_facts *facts = NULL;
    hv_index_gap *gaps = NULL;
    hv_index_stats stats;
    size_t count;

    hv_rc rc = hv_index_incarnations(index, &incarnations, &count, err);
    if (rc == HV_OK)
        rc = hv_index_partitions(index, NULL, &facts, &count, err);
    if (rc == HV_OK)
        rc = hv_index_gaps(index, NULL, NULL, 100, &gaps, &count, err);
    if (rc == HV_OK)
        rc = hv_index_stats_read(index, &stats, err);
    if (rc == HV_OK)
        rc = hv_index_dump(index, drop_line, NULL, err);
    free(incarnations);
    free(facts);
    free(gaps);
    return rc;
}

static hv_rc
do_everything(const char *dir, hv_err *err)
{
    HV_AUTO(hv_index_close) hv_index *index = NULL;
    hv_index_config config = {.dir = dir, .map_bytes = 1 << 20, .vault = SAMPLE_VAULT};

    hv_rc rc = hv_index_open(&config, &index, err);
    if (rc == HV_OK)
        rc = write_and_find(index, err);
    return rc == HV_OK ? list(index, err) : rc;
}

START_TEST(running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind)
{
    hv_err err = {0};
    hv_rc rc = HV_NOMEM;
    long n;

    cut = sample_full_cut(0, 1000);
    orders = sample_partition("orders", 1, 0);
    for (n = 0; rc != HV_OK; n++) {
        scratch_dir dir = scratch_dir_make();
        ck_assert_msg(n < 1000, "still failing after %ld allocations", n);
        oom_begin(OOM_THIS_THREAD, n, 1);
        rc = do_everything(dir.path, &err);
        bool starved = oom_end();
        ck_assert_msg(rc == (starved ? HV_NOMEM : HV_OK), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
        if (rc != HV_OK)
            ck_hv_ok(do_everything(dir.path, &err));    /* in the same folder: what is half done there does not hinder */
        scratch_dir_remove(&dir);
    }
    ck_assert_int_gt(n, 30);            /* or the wrapping does not work, and nothing was tested */
    hv_index_cut_clear(&cut);
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index out of memory");
    tcase_add_test(tests, running_out_of_memory_anywhere_is_reported_and_leaves_nothing_behind);
    return ck_hv_run("index out of memory", tests);
}
