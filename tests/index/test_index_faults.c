/*
 * Each call of LMDB fails in turn, before or after it took effect, with each kind of error. Then the index must hold what it held
 * before the operation or what it was to hold behind it, and the same operation again must succeed. The linker's --wrap puts the
 * faults between our code and LMDB; there is no change to the product.
 */
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { TINY_MAP = 80 << 10, MOST_CALLS = 5000 };

typedef enum fault_mode {
    FAULT_OFF,
    FAULT_BEFORE,
    FAULT_AFTER,
    FAULT_LOSE_MAP,
    FAULT_REPLACED,                     /* another process puts another index into the place of the one that was just opened */
    FAULT_NO_FILE,                      /* LMDB hands out a descriptor that is none */
    FAULT_MANY,                         /* a database has 2^32 - 1 entries */
    FAULT_NO_LOCK,                      /* the system has no more locks */
} fault_mode;

static struct {
    fault_mode mode;
    int code;
    long calls_left;                    /* the call that finds 0 fails, and all behind it while `lasting` */
    bool lasting;
    const char *only;                   /* the one function that fails; NULL: any */
    const char *fired;                  /* the function that failed */
} fault;

static void
arm(fault_mode mode, int code, long after)
{
    fault.mode = mode;
    fault.code = code;
    fault.calls_left = after;
    fault.lasting = false;
    fault.only = fault.fired = NULL;
}

static bool
strikes(fault_mode mode, const char *function)
{
    if (fault.mode != mode || (fault.only != NULL && strcmp(fault.only, function) != 0))
        return false;
    if ((fault.fired != NULL && !fault.lasting) || fault.calls_left-- > 0)
        return false;
    fault.calls_left = 0;
    fault.fired = function;
    return true;
}

/* A function that hands out nothing when it fails: it may fail before and after. */
#define WRAP(function, declared, passed) \
    int __real_##function declared; \
    int __wrap_##function declared; \
    int __wrap_##function declared \
    { \
        if (strikes(FAULT_BEFORE, #function)) \
            return fault.code; \
        int mdb_rc = __real_##function passed; \
        return strikes(FAULT_AFTER, #function) ? fault.code : mdb_rc; \
    }
/* One that makes something: failing afterwards would only leak it. */
#define WRAP_MAKER(function, declared, passed) \
    int __real_##function declared; \
    int __wrap_##function declared; \
    int __wrap_##function declared { return strikes(FAULT_BEFORE, #function) ? fault.code : __real_##function passed; }

WRAP_MAKER(mdb_env_create, (MDB_env **env), (env))
WRAP_MAKER(mdb_txn_begin, (MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn), (env, parent, flags, txn))
WRAP_MAKER(mdb_cursor_open, (MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor), (txn, dbi, cursor))
WRAP(mdb_env_set_maxdbs, (MDB_env *env, MDB_dbi count), (env, count))
WRAP(mdb_reader_check, (MDB_env *env, int *dead), (env, dead))
WRAP(mdb_dbi_open, (MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi), (txn, name, flags, dbi))
WRAP(mdb_get, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value), (txn, dbi, key, value))
WRAP(mdb_put, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags), (txn, dbi, key, value, flags))
WRAP(mdb_cursor_get, (MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op), (cursor, key, value, op))

int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

/* A copy of the file takes its place, and is another file. */
static void
put_copy_in_place(const char *path)
{
    char file[400], copy[400];
    static char bytes[1 << 20];

    (void)snprintf(file, sizeof file, "%s/data.mdb", path);
    (void)snprintf(copy, sizeof copy, "%s/copy", path);
    FILE *from = fopen(file, "rb"), *to = fopen(copy, "wb");
    ck_assert(from != NULL && to != NULL);
    size_t len = fread(bytes, 1, sizeof bytes, from);
    ck_assert(len > 0 && len < sizeof bytes && fwrite(bytes, 1, len, to) == len);
    ck_assert(fclose(from) == 0 && fclose(to) == 0 && rename(copy, file) == 0);
}

int
__wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    if (strikes(FAULT_BEFORE, "mdb_env_open"))
        return fault.code;
    int mdb_rc = __real_mdb_env_open(env, path, flags, mode);
    if (mdb_rc == 0 && strikes(FAULT_REPLACED, "mdb_env_open"))
        put_copy_in_place(path);
    return strikes(FAULT_AFTER, "mdb_env_open") ? fault.code : mdb_rc;
}

int __real_mdb_env_get_fd(MDB_env *env, mdb_filehandle_t *fd);
int __wrap_mdb_env_get_fd(MDB_env *env, mdb_filehandle_t *fd);

int
__wrap_mdb_env_get_fd(MDB_env *env, mdb_filehandle_t *fd)
{
    if (strikes(FAULT_BEFORE, "mdb_env_get_fd"))
        return fault.code;
    int mdb_rc = __real_mdb_env_get_fd(env, fd);
    if (strikes(FAULT_NO_FILE, "mdb_env_get_fd"))
        *fd = -1;
    return strikes(FAULT_AFTER, "mdb_env_get_fd") ? fault.code : mdb_rc;
}

int __real_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat);
int __wrap_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat);

int
__wrap_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat)
{
    if (strikes(FAULT_BEFORE, "mdb_stat"))
        return fault.code;
    int mdb_rc = __real_mdb_stat(txn, dbi, stat);
    if (strikes(FAULT_MANY, "mdb_stat"))
        stat->ms_entries = UINT32_MAX;
    return strikes(FAULT_AFTER, "mdb_stat") ? fault.code : mdb_rc;
}

int __real_pthread_rwlock_init(pthread_rwlock_t *made, const pthread_rwlockattr_t *attr);
int __wrap_pthread_rwlock_init(pthread_rwlock_t *made, const pthread_rwlockattr_t *attr);

int
__wrap_pthread_rwlock_init(pthread_rwlock_t *made, const pthread_rwlockattr_t *attr)
{
    return strikes(FAULT_NO_LOCK, "pthread_rwlock_init") ? EAGAIN : __real_pthread_rwlock_init(made, attr);
}

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

/* A commit that fails has ended the transaction all the same. */
int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (strikes(FAULT_BEFORE, "mdb_txn_commit")) {
        mdb_txn_abort(txn);
        return fault.code;
    }
    int mdb_rc = __real_mdb_txn_commit(txn);
    return strikes(FAULT_AFTER, "mdb_txn_commit") ? fault.code : mdb_rc;
}

int __real_mdb_env_set_mapsize(MDB_env *env, size_t size);
int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size);

/* FAULT_LOSE_MAP: LMDB itself cannot map that much, and is left without any map. */
int
__wrap_mdb_env_set_mapsize(MDB_env *env, size_t size)
{
    if (strikes(FAULT_LOSE_MAP, "mdb_env_set_mapsize"))
        return __real_mdb_env_set_mapsize(env, (size_t)1 << 62);
    if (strikes(FAULT_BEFORE, "mdb_env_set_mapsize"))
        return fault.code;
    int mdb_rc = __real_mdb_env_set_mapsize(env, size);
    return strikes(FAULT_AFTER, "mdb_env_set_mapsize") ? fault.code : mdb_rc;
}

/* ---- the work ---- */

enum { STEPS = 6, BIG_BLOCKS = 500 };

typedef struct index_work {
    scratch_dir dir;
    hv_index *index;
    hv_partition orders, payments;
    hv_index_cut cuts[3], big;
} index_work;

static void
begin_work(index_work *work)
{
    *work = (index_work){.dir = scratch_dir_make()};
    work->orders = sample_partition("orders", 1, 0);
    work->payments = sample_partition("payments", 2, 7);
    for (int64_t i = 0; i < 3; i++)
        work->cuts[i] = sample_full_cut(10 * i, 1000 * i);
    work->big = sample_plain_cut(30, BIG_BLOCKS, 500);
    hv_index_segment *lead = &work->big.segments[0];
    lead->blocks = realloc(lead->blocks, BIG_BLOCKS * sizeof *lead->blocks);
    ck_assert_ptr_nonnull(lead->blocks);
    for (size_t i = 0; i < BIG_BLOCKS; i++) {
        lead->blocks[i] = lead->blocks[0];
        lead->blocks[i].count = 1;
        lead->blocks[i].first_offset = 30 + (int64_t)i;
    }
    lead->block_count = BIG_BLOCKS;
}

static void
end_work(index_work *work)
{
    hv_index_close(work->index);
    for (int i = 0; i < 3; i++)
        hv_index_cut_clear(&work->cuts[i]);
    hv_index_cut_clear(&work->big);
    scratch_dir_remove(&work->dir);
}

static hv_rc
open_to_write(index_work *work, hv_err *err)
{
    hv_index_config config = {.dir = work->dir.path, .map_bytes = TINY_MAP, .vault = SAMPLE_VAULT};

    return hv_index_open(&config, &work->index, err);
}

static hv_rc
add_incarnation(index_work *work, hv_err *err)
{
    hv_index_incarnation one = {.hub = "orders", .incarnation = 1, .cause = "first sight", .identity = "x"};

    return hv_index_add_incarnation(work->index, &one, err);
}

static hv_rc
add_two_partitions(index_work *work, hv_err *err)
{
    hv_index_addition additions[] = {
        {.partition = &work->orders, .cut = &work->cuts[0]}, {.partition = &work->payments, .cut = &work->cuts[0]},
        {.partition = &work->orders, .cut = &work->cuts[1]},
    };

    return hv_index_add(work->index, additions, 3, err);
}

static hv_rc
add_more_than_the_map_holds(index_work *work, hv_err *err)
{
    hv_index_addition additions[] = {{.partition = &work->orders, .cut = &work->cuts[2]},
                                     {.partition = &work->orders, .cut = &work->big}};

    return hv_index_add(work->index, additions, 2, err);
}

static hv_rc
find_cuts(index_work *work, hv_err *err)
{
    hv_index_cut got;

    hv_rc rc = hv_index_find_offset(work->index, &work->orders, 12, &got, err);
    if (rc != HV_OK)
        return rc;
    ck_assert(sample_cuts_equal(&work->cuts[1], &got));
    hv_index_cut_clear(&got);
    rc = hv_index_find_time(work->index, &work->orders, 0, work->cuts[1].segments[1].max_timestamp_ms,
                            work->cuts[1].segments[1].max_timestamp_ms + 1, &got, err);
    if (rc != HV_OK)
        return rc;
    ck_assert(sample_cuts_equal(&work->cuts[1], &got));
    hv_index_cut_clear(&got);
    return HV_OK;
}

static hv_rc
list_all(index_work *work, hv_err *err)
{
    hv_index_partition_facts *facts;
    hv_index_incarnation *incarnations;
    hv_index_gap *gaps;
    size_t count;

    hv_rc rc = hv_index_partitions(work->index, NULL, &facts, &count, err);
    if (rc != HV_OK)
        return rc;
    ck_assert_uint_eq(count, 2);
    free(facts);
    rc = hv_index_incarnations(work->index, &incarnations, &count, err);
    if (rc != HV_OK)
        return rc;
    ck_assert_uint_eq(count, 1);
    free(incarnations);
    hv_index_gap after = {.partition = work->orders, .gap = {.range = {.first = 7, .end = 8}}};
    rc = hv_index_gaps(work->index, &work->orders, &after, 10, &gaps, &count, err);
    if (rc != HV_OK)
        return rc;
    ck_assert_uint_eq(count, 4);
    free(gaps);
    return HV_OK;
}

static void
drop_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

static hv_rc
read_everything(index_work *work, hv_err *err)
{
    hv_index_times_fault misleading = {.found = true};
    hv_index_stats stats;
    int64_t position;
    int dead;

    hv_rc rc = hv_index_position(work->index, &work->orders, &position, err);
    if (rc != HV_OK)
        return rc;
    ck_assert_int_eq(position, 30 + BIG_BLOCKS);
    rc = find_cuts(work, err);
    if (rc == HV_OK)
        rc = list_all(work, err);
    if (rc == HV_OK)
        rc = hv_index_stats_read(work->index, &stats, err);
    if (rc == HV_OK)
        rc = hv_index_check_readers(work->index, &dead, err);
    if (rc == HV_OK)
        rc = hv_index_check_times(work->index, &work->orders, &misleading, err);
    ck_assert(rc != HV_OK || !misleading.found);
    return rc == HV_OK ? hv_index_dump(work->index, drop_line, NULL, err) : rc;
}

static hv_rc
open_to_read(index_work *work, hv_err *err)
{
    hv_index_config config = {.dir = work->dir.path, .read_only = true};
    hv_index *index;

    hv_index_close(work->index);
    work->index = NULL;
    hv_rc rc = hv_index_open(&config, &index, err);
    if (rc != HV_OK)
        return rc;
    work->index = index;
    return read_everything(work, err);
}

static hv_rc (*const steps[STEPS])(index_work *work, hv_err *err) = {
    open_to_write, add_incarnation, add_two_partitions, add_more_than_the_map_holds, read_everything, open_to_read,
};

static char *states[STEPS + 1];         /* what an index holds after so many steps */

static char *
state_of(hv_index *index)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(16 << 20);

    sample_dump(index, &text);
    return HV_TAKE(text.data);
}

static void
record_states(void)
{
    index_work work;
    hv_err err;

    begin_work(&work);
    for (int i = 0; i < STEPS; i++) {
        ck_hv_ok(steps[i](&work, &err));
        states[i + 1] = state_of(work.index);
        hv_index_stats stats;
        ck_hv_ok(hv_index_stats_read(work.index, &stats, &err));
        ck_assert((stats.map_bytes > TINY_MAP) == (i >= 3));        /* step 3 makes it grow */
    }
    end_work(&work);
    ck_assert_str_ne(states[1], states[2]);
    ck_assert_str_ne(states[2], states[3]);
    ck_assert_str_ne(states[3], states[4]);
    ck_assert_str_eq(states[4], states[6]);
}

static void
forget_states(void)
{
    for (int i = 1; i <= STEPS; i++) {
        free(states[i]);
        states[i] = NULL;
    }
}

static hv_rc
meaning_of(int code)
{
    return code == EIO ? HV_IO : code == ENOMEM ? HV_NOMEM : code == MDB_CORRUPTED ? HV_CORRUPT : HV_LIMIT;
}

/* One step, which the fault may hit; true if it did and was not hidden from the caller. */
static bool
run_step(index_work *work, int step, int code)
{
    hv_err err = {.rc = HV_OK};
    hv_rc rc = steps[step](work, &err);

    if (rc == HV_OK)
        return false;
    ck_assert_msg(fault.fired != NULL, "step %d: %s without a fault", step, err.msg);
    bool grown = strcmp(fault.fired, "mdb_env_set_mapsize") == 0;       /* "no room" for whatever reason, if it was to grow */
    ck_assert_msg(rc == meaning_of(code) || (grown && rc == HV_LIMIT), "step %d, %s returns %d: %s (%s)", step, fault.fired, code,
                  hv_rc_name(rc), err.msg);
    if (work->index != NULL && step > 0) {
        char *now = state_of(work->index);
        ck_assert_msg(strcmp(now, states[step]) == 0 || strcmp(now, states[step + 1]) == 0,
                      "step %d, %s returns %d: neither the old state nor the new one", step, fault.fired, code);
        free(now);
    }
    rc = steps[step](work, &err);
    ck_assert_msg(rc == HV_OK, "step %d again, after %s returned %d: %s", step, fault.fired, code, err.msg);
    return true;
}

static void
fail_each_call(fault_mode mode, int code)
{
    long n, seen = 0;

    record_states();
    for (n = 0; n < MOST_CALLS; n++) {
        index_work work;
        begin_work(&work);
        arm(mode, code, n);
        for (int step = 0; step < STEPS; step++)
            seen += run_step(&work, step, code) ? 1 : 0;
        bool fired = fault.fired != NULL;
        fault.mode = FAULT_OFF;
        char *end = state_of(work.index);
        ck_assert_str_eq(end, states[STEPS]);
        free(end);
        end_work(&work);
        if (!fired)
            break;
    }
    ck_assert_int_gt(n, 150);           /* or the wrapping does not work, and nothing was tested */
    ck_assert_int_lt(n, MOST_CALLS);
    ck_assert_int_gt(seen, n / 2);
    forget_states();
}

static const int codes[] = {EIO, ENOSPC, ENOMEM, MDB_CORRUPTED};

START_TEST(any_call_that_fails_before_its_effect_leaves_the_old_state_or_the_new_one)
{
    fail_each_call(FAULT_BEFORE, codes[_i]);
}
END_TEST

START_TEST(any_call_that_fails_after_its_effect_leaves_the_old_state_or_the_new_one)
{
    fail_each_call(FAULT_AFTER, codes[_i]);
}
END_TEST

/* ---- faults that nobody sees ---- */

/* How often the n-th call of mdb_txn_begin() can fail with this code, each time unnoticed. */
static void
begin_fails_unseen(int code)
{
    int fired = 0;

    for (long n = 0; n < MOST_CALLS; n++) {
        index_work work;
        hv_err err;
        begin_work(&work);
        ck_hv_ok(open_to_write(&work, &err));
        arm(FAULT_BEFORE, code, n);
        for (int step = 1; step < STEPS - 1; step++) {
            hv_rc rc = steps[step](&work, &err);
            bool ours = fault.fired != NULL && strcmp(fault.fired, "mdb_txn_begin") == 0;
            ck_assert_msg(rc == HV_OK || !ours, "step %d: %s", step, err.msg);
            if (rc != HV_OK)
                break;
        }
        bool done = fault.fired == NULL;
        fired += !done && strcmp(fault.fired, "mdb_txn_begin") == 0 ? 1 : 0;
        fault.mode = FAULT_OFF;
        end_work(&work);
        if (done)
            break;
    }
    ck_assert_int_gt(fired, 10);
}

START_TEST(a_map_that_another_process_enlarged_is_followed_unseen)
{
    begin_fails_unseen(MDB_MAP_RESIZED);
}
END_TEST

START_TEST(an_environment_that_refuses_everything_is_opened_again_unseen)
{
    begin_fails_unseen(MDB_PANIC);
}
END_TEST

START_TEST(a_map_that_another_process_enlarges_while_the_index_is_opened_is_followed)
{
    index_work work;
    hv_err err;
    long n;

    for (n = 0;; n++) {
        begin_work(&work);
        arm(FAULT_BEFORE, MDB_MAP_RESIZED, n);
        hv_rc rc = open_to_write(&work, &err);
        bool begin = fault.fired != NULL && strcmp(fault.fired, "mdb_txn_begin") == 0;
        fault.mode = FAULT_OFF;
        ck_assert(rc == HV_OK || !begin);
        end_work(&work);
        if (begin)
            return;
        ck_assert_int_lt(n, 20);
    }
}
END_TEST

START_TEST(what_never_ends_is_given_up)
{
    index_work work;
    int64_t position;
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    for (int only_begin = 0; only_begin < 2; only_begin++) {
        arm(FAULT_BEFORE, MDB_MAP_RESIZED, 0);
        fault.lasting = true;
        fault.only = only_begin ? "mdb_txn_begin" : NULL;
        ck_hv_fails(HV_IO, hv_index_position(work.index, &work.orders, &position, &err));
        fault.mode = FAULT_OFF;
        ck_hv_ok(hv_index_position(work.index, &work.orders, &position, &err));
    }
    end_work(&work);
}
END_TEST

START_TEST(an_index_that_is_replaced_while_it_is_opened_is_opened_again_but_not_for_ever)
{
    index_work work;
    int64_t position;
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    ck_hv_ok(add_two_partitions(&work, &err));
    hv_index_close(HV_TAKE(work.index));
    arm(FAULT_REPLACED, 0, 0);
    ck_hv_ok(open_to_write(&work, &err));
    ck_assert_ptr_nonnull(fault.fired);
    ck_hv_ok(hv_index_position(work.index, &work.orders, &position, &err));
    ck_assert_int_eq(position, 20);
    hv_index_close(HV_TAKE(work.index));
    arm(FAULT_REPLACED, 0, 0);
    fault.lasting = true;
    ck_hv_fails(HV_BUSY, open_to_write(&work, &err));
    fault.mode = FAULT_OFF;
    ck_hv_ok(open_to_write(&work, &err));
    end_work(&work);
}
END_TEST

START_TEST(without_a_lock_there_is_no_index)
{
    index_work work;
    hv_err err;

    begin_work(&work);
    arm(FAULT_NO_LOCK, 0, 0);
    ck_hv_fails(HV_IO, open_to_write(&work, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "lock"));
    ck_hv_ok(open_to_write(&work, &err));
    end_work(&work);
}
END_TEST

START_TEST(a_size_that_nobody_can_tell_is_not_told)
{
    index_work work;
    hv_index_stats stats = {.cuts = -7};
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    arm(FAULT_NO_FILE, 0, 0);
    ck_hv_fails(HV_IO, hv_index_stats_read(work.index, &stats, &err));
    ck_assert_str_eq(fault.fired, "mdb_env_get_fd");
    ck_assert_int_eq(stats.cuts, -7);
    ck_hv_ok(hv_index_stats_read(work.index, &stats, &err));
    ck_assert_uint_gt(stats.file_bytes, 0);
    end_work(&work);
}
END_TEST

START_TEST(one_hub_more_than_can_be_numbered_is_a_limit)
{
    index_work work;
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    arm(FAULT_MANY, 0, 0);
    ck_hv_fails(HV_LIMIT, add_incarnation(&work, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "hubs"));
    ck_hv_ok(add_incarnation(&work, &err));
    end_work(&work);
}
END_TEST

/* What is recorded is only compared, so a failure changes nothing, and the same call works again. */
START_TEST(a_call_that_fails_while_a_recorded_cut_is_compared_is_told)
{
    index_work work;
    hv_err err;
    long n = 0;

    begin_work(&work);
    hv_index_addition again = {.partition = &work.orders, .cut = &work.cuts[0]};
    ck_hv_ok(open_to_write(&work, &err));
    ck_hv_ok(add_two_partitions(&work, &err));
    for (;; n++) {
        arm(FAULT_BEFORE, EIO, n);
        hv_rc rc = hv_index_add(work.index, &again, 1, &err);
        bool fired = fault.fired != NULL;
        fault.mode = FAULT_OFF;
        ck_assert_int_eq(rc, fired ? HV_IO : HV_OK);
        if (!fired)
            break;
        ck_hv_ok(hv_index_add(work.index, &again, 1, &err));
    }
    ck_assert_int_gt(n, 5);
    end_work(&work);
}
END_TEST

START_TEST(too_much_for_one_transaction_is_a_limit)
{
    index_work work;
    hv_err err;
    long n = 0;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    do {
        arm(FAULT_BEFORE, MDB_TXN_FULL, n++);
        ck_hv_fails(HV_LIMIT, add_two_partitions(&work, &err));
    } while (strcmp(fault.fired, "mdb_put") != 0);
    ck_hv_ok(add_two_partitions(&work, &err));
    end_work(&work);
}
END_TEST

START_TEST(a_file_of_another_version_of_lmdb_is_to_be_rebuilt)
{
    index_work work;
    hv_err err;
    long n = 0;

    begin_work(&work);
    do {
        arm(FAULT_BEFORE, MDB_VERSION_MISMATCH, n++);
        ck_hv_fails(HV_VERSION, open_to_write(&work, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "rebuild"));
    } while (strcmp(fault.fired, "mdb_env_open") != 0);
    ck_hv_ok(open_to_write(&work, &err));
    end_work(&work);
}
END_TEST

START_TEST(too_many_readers_are_a_limit)
{
    index_work work;
    int64_t position;
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    arm(FAULT_BEFORE, MDB_READERS_FULL, 0);
    ck_hv_fails(HV_LIMIT, hv_index_position(work.index, &work.orders, &position, &err));
    ck_assert_str_eq(fault.fired, "mdb_txn_begin");
    ck_hv_ok(hv_index_position(work.index, &work.orders, &position, &err));
    end_work(&work);
}
END_TEST

START_TEST(an_index_that_cannot_grow_goes_on_with_the_map_it_had)
{
    index_work work;
    int64_t position;
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    ck_hv_ok(add_two_partitions(&work, &err));
    arm(FAULT_LOSE_MAP, 0, 0);
    ck_hv_fails(HV_LIMIT, add_more_than_the_map_holds(&work, &err));
    ck_assert_ptr_nonnull(fault.fired);
    ck_assert_ptr_nonnull(strstr(err.msg, "enlarge"));
    ck_hv_ok(hv_index_position(work.index, &work.orders, &position, &err));
    ck_assert_int_eq(position, 20);
    ck_hv_ok(find_cuts(&work, &err));
    ck_hv_ok(add_more_than_the_map_holds(&work, &err));
    ck_hv_ok(hv_index_position(work.index, &work.orders, &position, &err));
    ck_assert_int_eq(position, 30 + BIG_BLOCKS);
    end_work(&work);
}
END_TEST

START_TEST(an_index_that_cannot_even_be_mapped_again_says_so_until_it_can)
{
    index_work work;
    int64_t position;
    hv_err err;

    begin_work(&work);
    ck_hv_ok(open_to_write(&work, &err));
    ck_hv_ok(add_two_partitions(&work, &err));
    arm(FAULT_LOSE_MAP, 0, 0);
    ck_hv_fails(HV_LIMIT, add_more_than_the_map_holds(&work, &err));
    for (int i = 0; i < 3; i++) {
        arm(FAULT_BEFORE, ENOMEM, i);
        ck_hv_fails(HV_NOMEM, hv_index_position(work.index, &work.orders, &position, &err));
        ck_assert_ptr_nonnull(fault.fired);
    }
    fault.mode = FAULT_OFF;
    ck_hv_ok(hv_index_position(work.index, &work.orders, &position, &err));
    ck_assert_int_eq(position, 20);
    end_work(&work);
}
END_TEST

/* The second cut lies so far behind the first that the nodes over the first are closed in the middle of the walk. */
START_TEST(a_call_that_fails_while_lookups_by_time_are_checked_is_told)
{
    enum { FAR = 1 << 20 };
    HV_AUTO(hv_index_cut_clear) hv_index_cut near = sample_plain_cut(0, FAR, 5), far = sample_plain_cut(FAR, 5, 6);
    hv_index_times_fault misleading;
    index_work work;
    hv_err err;
    long n = 0;

    begin_work(&work);
    hv_index_addition additions[] = {{.partition = &work.orders, .cut = &near}, {.partition = &work.orders, .cut = &far}};
    ck_hv_ok(open_to_write(&work, &err));
    ck_hv_ok(hv_index_add(work.index, additions, 2, &err));
    for (;; n++) {
        arm(FAULT_BEFORE, EIO, n);
        hv_rc rc = hv_index_check_times(work.index, &work.orders, &misleading, &err);
        bool fired = fault.fired != NULL;
        fault.mode = FAULT_OFF;
        ck_assert_int_eq(rc, fired ? HV_IO : HV_OK);
        if (!fired)
            break;
    }
    ck_assert(!misleading.found);
    ck_assert_int_gt(n, 8);
    end_work(&work);
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index faults");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, any_call_that_fails_before_its_effect_leaves_the_old_state_or_the_new_one, 0, 4);
    tcase_add_loop_test(tests, any_call_that_fails_after_its_effect_leaves_the_old_state_or_the_new_one, 0, 4);
    tcase_add_test(tests, a_map_that_another_process_enlarged_is_followed_unseen);
    tcase_add_test(tests, an_environment_that_refuses_everything_is_opened_again_unseen);
    tcase_add_test(tests, a_map_that_another_process_enlarges_while_the_index_is_opened_is_followed);
    tcase_add_test(tests, what_never_ends_is_given_up);
    tcase_add_test(tests, an_index_that_is_replaced_while_it_is_opened_is_opened_again_but_not_for_ever);
    tcase_add_test(tests, without_a_lock_there_is_no_index);
    tcase_add_test(tests, a_size_that_nobody_can_tell_is_not_told);
    tcase_add_test(tests, one_hub_more_than_can_be_numbered_is_a_limit);
    tcase_add_test(tests, a_call_that_fails_while_a_recorded_cut_is_compared_is_told);
    tcase_add_test(tests, a_call_that_fails_while_lookups_by_time_are_checked_is_told);
    tcase_add_test(tests, too_much_for_one_transaction_is_a_limit);
    tcase_add_test(tests, a_file_of_another_version_of_lmdb_is_to_be_rebuilt);
    tcase_add_test(tests, too_many_readers_are_a_limit);
    tcase_add_test(tests, an_index_that_cannot_grow_goes_on_with_the_map_it_had);
    tcase_add_test(tests, an_index_that_cannot_even_be_mapped_again_says_so_until_it_can);
    return ck_hv_run("index faults", tests);
}
