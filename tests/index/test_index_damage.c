/*
 * Flipped bits in the file. In a value: reported, and the index is to be rebuilt. Anywhere: what is printed is right or nothing is;
 * that LMDB itself may crash over its own inner pages is known (index/index_env.c), so a child does the reading.
 */
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "index/index_layout.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static scratch_dir dir;
static char path[sizeof dir.path + 16];
static hv_partition orders;
static hv_index_cut cut, plain;

static void
set_up(void)
{
    dir = scratch_dir_make();
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir.path);
    orders = sample_partition("orders", 1, 0);
    cut = sample_full_cut(0, 1000);
    plain = sample_plain_cut(10, 5, 3000);
    hv_index *index = sample_open(dir.path, 1 << 20);
    sample_add(index, &orders, &cut);
    sample_add(index, &orders, &plain);
    hv_index_close(index);
}

static void
tear_down(void)
{
    hv_index_cut_clear(&cut);
    hv_index_cut_clear(&plain);
    scratch_dir_remove(&dir);
}

static off_t
file_size(void)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

static void
flip(off_t at, unsigned char bits)
{
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Flip a bit of every copy of these bytes: pages that are free again hold old ones. */
static int
flip_bytes(const void *bytes, size_t len, size_t at)
{
    off_t size = file_size();
    char *file = malloc((size_t)size);
    int fd = open(path, O_RDONLY | O_CLOEXEC), flipped = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(read(fd, file, (size_t)size), size);
    close(fd);
    for (size_t i = 0; i + len <= (size_t)size; i++)
        if (memcmp(file + i, bytes, len) == 0) {
            flip((off_t)(i + at), 0x10);
            flipped++;
        }
    free(file);
    return flipped;
}

static void
expect_damage(hv_rc rc, const hv_err *err)
{
    ck_assert_msg(rc == HV_CORRUPT, "%s", rc == HV_OK ? "no error" : err->msg);
    ck_assert_msg(strstr(err->msg, "rebuild the index") != NULL, "%s", err->msg);
}

static hv_rc
find_first(hv_index *index, hv_err *err)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut got = {.segment_count = 0};

    return hv_index_find_offset(index, &orders, 0, &got, err);
}

START_TEST(a_flipped_bit_in_a_segment_is_reported)
{
    hv_err err;

    ck_assert_int_gt(flip_bytes(cut.segments[1].sha256, HV_SHA256_SIZE, 5), 0);
    hv_index *index = sample_open(dir.path, 1 << 20);
    expect_damage(find_first(index, &err), &err);
    hv_index_addition again = {.partition = &orders, .cut = &cut};
    expect_damage(hv_index_add(index, &again, 1, &err), &err);
    hv_index_close(index);
}
END_TEST

START_TEST(a_flipped_bit_in_a_block_is_reported)
{
    hv_err err;

    ck_assert_int_gt(flip_bytes(cut.segments[0].blocks[1].sha256, HV_SHA256_SIZE, 31), 0);
    hv_index *index = sample_open(dir.path, 1 << 20);
    expect_damage(find_first(index, &err), &err);
    hv_index_close(index);
}
END_TEST

START_TEST(a_flipped_bit_in_a_key_does_not_move_the_position)
{
    /* hub 0, incarnation 1, partition 0, first 10: the key of the second cut, of its lead and blocks */
    static const unsigned char key[20] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10};
    int64_t position;
    hv_err err;

    ck_assert_int_gt(flip_bytes(key, sizeof key, 11), 0);       /* partition 16 */
    hv_index *index = sample_open(dir.path, 1 << 20);
    expect_damage(hv_index_position(index, &orders, &position, &err), &err);
    hv_index_addition again = {.partition = &orders, .cut = &plain};
    expect_damage(hv_index_add(index, &again, 1, &err), &err);
    hv_index_close(index);
}
END_TEST

/* Changes one database behind the back of the index: takes an entry out, or puts one in. */
static void
meddle(const char *database, const void *key, size_t key_len, const void *value, size_t value_len)
{
    MDB_val entry = {.mv_size = key_len, .mv_data = memcpy((char[64]){0}, key, key_len)}, data = {.mv_size = value_len};
    char room[64];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 20), 0);
    ck_assert_int_eq(mdb_env_open(env, dir.path, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, database, 0, &dbi), 0);
    if (value == NULL) {
        ck_assert_int_eq(mdb_del(txn, dbi, &entry, NULL), 0);
    } else {
        data.mv_data = memcpy(room, value, value_len);
        ck_assert_int_eq(mdb_put(txn, dbi, &entry, &data, 0), 0);
    }
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

START_TEST(a_cut_below_all_that_are_there_is_not_taken_for_recorded)
{
    static const unsigned char key[20] = {[7] = 1};
    hv_err err;

    meddle("cuts", key, sizeof key, NULL, 0);
    hv_index *index = sample_open(dir.path, 1 << 20);
    hv_index_addition again = {.partition = &orders, .cut = &cut};
    ck_hv_fails(HV_CORRUPT, hv_index_add(index, &again, 1, &err));
    ck_assert_msg(strstr(err.msg, "no cut is recorded there") != NULL, "%s", err.msg);
    hv_index_close(index);
}
END_TEST

/* The entry over the first cuts of partition 0, and one over cuts that do not exist. */
START_TEST(entries_by_time_that_are_missing_wrong_or_too_many_are_told)
{
    static const unsigned char first[21] = {[7] = 1}, far[21] = {[7] = 1, [20] = 99};
    const hv_slice keys[] = {{first, sizeof first}, {far, sizeof far}};
    hv_index_times_fault fault;
    hv_err err;

    hv_index *index = sample_open(dir.path, 1 << 20);
    ck_hv_ok(hv_index_check_times(index, &orders, &fault, &err));
    ck_assert(!fault.found);
    hv_index_close(index);
    for (size_t i = 0; i < 2; i++) {
        HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(64);
        hv_ix_write_times(&value, (hv_ix_times){.min = -5, .max = 5});
        hv_ix_seal(HV_IX_TIMES, keys[i], &value);
        meddle("times", keys[i].data, keys[i].len, value.data, value.len);
        index = sample_open(dir.path, 1 << 20);
        ck_hv_ok(hv_index_check_times(index, &orders, &fault, &err));
        ck_assert(fault.found && fault.expected == (i == 0) && fault.there == (i == 0));
        ck_assert(i == 1 || (fault.stored_min_ms == -5 && fault.stored_max_ms == 5 && fault.range.first == 0));
        hv_index_close(index);
        meddle("times", keys[i].data, keys[i].len, NULL, 0);
        index = sample_open(dir.path, 1 << 20);
        ck_hv_ok(hv_index_check_times(index, &orders, &fault, &err));
        ck_assert(fault.found == (i == 0) && fault.expected == (i == 0) && !fault.there);
        hv_index_close(index);
        if (i == 0) {                   /* right again, for the entry too many */
            hv_buf_clear(&value);
            hv_ix_write_times(&value, (hv_ix_times){.min = fault.min_ms, .max = fault.max_ms});
            hv_ix_seal(HV_IX_TIMES, keys[0], &value);
            meddle("times", keys[0].data, keys[0].len, value.data, value.len);
        }
    }
}
END_TEST

START_TEST(a_flipped_bit_in_the_name_of_the_vault_is_reported)
{
    hv_index_config config = {.dir = dir.path, .read_only = true};
    hv_index *index;
    hv_err err;

    ck_assert_int_gt(flip_bytes(SAMPLE_VAULT, strlen(SAMPLE_VAULT), 3), 0);
    expect_damage(hv_index_open(&config, &index, &err), &err);
}
END_TEST

static void
append_line(void *arg, const char *line)
{
    hv_buf_put_text(arg, line);
    hv_buf_put_byte(arg, '\n');
}

enum { SAME = 0, REFUSED = 1, WRONG = 2 };

static int
read_damaged(const char *wanted)
{
    hv_buf text = HV_BUF_INIT(1 << 20);
    hv_index_config config = {.dir = dir.path, .read_only = true};
    hv_index *index;
    hv_err err;

    if (hv_index_open(&config, &index, &err) != HV_OK || hv_index_dump(index, append_line, &text, &err) != HV_OK)
        return REFUSED;
    return strcmp(hv_buf_slice(&text).data, wanted) == 0 ? SAME : WRONG;
}

/* Exchange the entries of each leaf page that holds exactly two, with keys of cuts. The layout is that of struct MDB_page and
 * struct MDB_node in mdb.c. */
static int
exchange_entries(void)
{
    enum { PAGE = 4096, FLAGS = 10, LOWER = 12, POINTERS = 16, KEY_SIZE = 6, IS_LEAF = 2 };
    off_t size = file_size();
    int exchanged = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    for (off_t page = 0; page < size; page += PAGE) {
        uint16_t flags, lower, pointers[2], key_size = 0;
        ck_assert_int_eq(pread(fd, &flags, 2, page + FLAGS), 2);
        ck_assert_int_eq(pread(fd, &lower, 2, page + LOWER), 2);
        ck_assert_int_eq(pread(fd, pointers, 4, page + POINTERS), 4);
        bool two = flags == IS_LEAF && lower == POINTERS + 4;
        if (!two || pread(fd, &key_size, 2, page + pointers[0] + KEY_SIZE) != 2 || key_size != 20)
            continue;
        uint16_t other[2] = {pointers[1], pointers[0]};
        ck_assert_int_eq(pwrite(fd, other, 4, page + POINTERS), 4);
        exchanged++;
    }
    close(fd);
    return exchanged;
}

START_TEST(entries_that_are_out_of_order_are_reported)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 20);
    hv_err err;

    ck_assert_int_gt(exchange_entries(), 0);
    hv_index *index = sample_open(dir.path, 1 << 20);
    expect_damage(hv_index_dump(index, append_line, &text, &err), &err);
    hv_index_close(index);
}
END_TEST

/* The number of the transaction in one of the two meta pages (mdb.c, struct MDB_meta). LMDB then goes by the other page, which is
 * the state one transaction ago: consistent, and what an archiver that starts with an old copy of the disk copes with as well. */
static bool
is_txn_number(off_t at)
{
    return at < 2 * 4096 && at % 4096 >= 144 && at % 4096 < 152;
}

START_TEST(no_flipped_bit_anywhere_makes_the_index_tell_something_else)
{
    HV_AUTO(hv_buf_free) hv_buf wanted = HV_BUF_INIT(1 << 20);
    off_t size = file_size();
    int seen[3] = {0}, crashed = 0;
    hv_index *index = sample_open(dir.path, 1 << 20);

    sample_dump(index, &wanted);
    hv_index_close(index);
    for (off_t at = _i; at < size; at += 101) {
        int status;
        if (is_txn_number(at))
            continue;
        flip(at, (unsigned char)(1 << at % 8));
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL), signal(SIGSEGV, SIG_DFL), signal(SIGBUS, SIG_DFL);
            setrlimit(RLIMIT_CORE, &(struct rlimit){.rlim_cur = 0});
            alarm(20);
            _exit(read_damaged(wanted.data));
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) <= WRONG)
            seen[WEXITSTATUS(status)]++;
        else
            crashed++;
        ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) != WRONG, "a bit at %ld changes what is told", (long)at);
        flip(at, (unsigned char)(1 << at % 8));
    }
    ck_assert_int_gt(seen[REFUSED], 10);
    ck_assert_int_gt(seen[SAME], 100);  /* most of a small file is unused */
    ck_assert_int_lt(crashed, seen[REFUSED]);
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index damage");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_flipped_bit_in_a_segment_is_reported);
    tcase_add_test(tests, a_flipped_bit_in_a_block_is_reported);
    tcase_add_test(tests, a_flipped_bit_in_a_key_does_not_move_the_position);
    tcase_add_test(tests, a_cut_below_all_that_are_there_is_not_taken_for_recorded);
    tcase_add_test(tests, entries_by_time_that_are_missing_wrong_or_too_many_are_told);
    tcase_add_test(tests, a_flipped_bit_in_the_name_of_the_vault_is_reported);
    tcase_add_test(tests, entries_that_are_out_of_order_are_reported);
    tcase_add_loop_test(tests, no_flipped_bit_anywhere_makes_the_index_tell_something_else, 0, 4);
    return ck_hv_run("index damage", tests);
}
