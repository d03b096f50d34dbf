/*
 * More than one process, and processes that die. Children are forked before the parent opens the index (an LMDB environment must
 * not cross a fork) and told by pipes what to do; they leave by _exit() or SIGKILL only.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "index/index_internal.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { KILLS = 50, TINY_MAP = 64 << 10 };

static scratch_dir dir;
static hv_partition orders, payments;

static void
set_up(void)
{
    dir = scratch_dir_make();
    orders = sample_partition("orders", 1, 0);
    payments = sample_partition("payments", 1, 3);
}

static void
tear_down(void)
{
    scratch_dir_remove(&dir);
}

typedef struct process {
    pid_t pid;
    int from, to;                       /* what it says, what it is told */
} process;

static process
start(void (*work)(int say, int hear))
{
    process child;
    int up[2], down[2];

    ck_assert_int_eq(pipe(up), 0);
    ck_assert_int_eq(pipe(down), 0);
    child.pid = fork();
    ck_assert_int_ge(child.pid, 0);
    if (child.pid == 0) {
        close(up[0]);
        close(down[1]);
        work(up[1], down[0]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    child.from = up[0];
    child.to = down[1];
    return child;
}

static void
kill_child(process *child)
{
    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child->pid, NULL, 0), child->pid);
    close(child->from);
    close(child->to);
}

static int64_t
hear(int fd)
{
    int64_t number = -1;

    return read(fd, &number, sizeof number) == sizeof number ? number : -1;
}

static void
say(int fd, int64_t number)
{
    if (write(fd, &number, sizeof number) != sizeof number)
        _exit(9);
}

/* ---- a reader that died ---- */

static void
read_for_ever(int say_to, int hear_from)
{
    hv_index_config config = {.dir = dir.path, .read_only = true};
    hv_ix_txn txn;
    hv_index *index;
    hv_err err;

    if (hv_index_open(&config, &index, &err) != HV_OK || hv_ix_read(index, &txn, &err) != HV_OK)
        _exit(1);
    say(say_to, 1);
    (void)hear(hear_from);
}

START_TEST(the_slot_of_a_reader_that_was_killed_is_freed)
{
    hv_index_stats stats;
    int dead;
    hv_err err;

    hv_index_close(sample_open(dir.path, TINY_MAP));
    process reader = start(read_for_ever);
    ck_assert_int_eq(hear(reader.from), 1);
    hv_index *index = sample_open(dir.path, TINY_MAP);
    ck_hv_ok(hv_index_stats_read(index, &stats, &err));
    ck_assert_int_eq(stats.readers, 1);
    ck_hv_ok(hv_index_check_readers(index, &dead, &err));
    ck_assert_int_eq(dead, 0);          /* it lives */
    kill_child(&reader);
    ck_hv_ok(hv_index_stats_read(index, &stats, &err));
    ck_assert_int_eq(stats.readers, 1);
    ck_hv_ok(hv_index_check_readers(index, &dead, &err));
    ck_assert_int_eq(dead, 1);
    ck_hv_ok(hv_index_stats_read(index, &stats, &err));
    ck_assert_int_eq(stats.readers, 0);
    hv_index_close(index);
}
END_TEST

START_TEST(opening_frees_the_slots_of_readers_that_were_killed)
{
    hv_index_stats stats;
    hv_err err;

    hv_index_close(sample_open(dir.path, TINY_MAP));
    process first = start(read_for_ever), witness = start(read_for_ever);
    ck_assert_int_eq(hear(first.from), 1);
    ck_assert_int_eq(hear(witness.from), 1);            /* alone, LMDB would reset the whole table anyway */
    kill_child(&first);
    hv_index *index = sample_open(dir.path, TINY_MAP);
    ck_hv_ok(hv_index_stats_read(index, &stats, &err));
    ck_assert_int_eq(stats.readers, 1);
    hv_index_close(index);
    kill_child(&witness);
}
END_TEST

/* ---- a reader beside a writer ---- */

static hv_index_cut
cut_number(int64_t i)
{
    sample_rng rng = {.state = (uint64_t)i};
    sample_shape shape = {.max_segments = 2, .max_blocks = 40, .max_length = 1, .time = 1000 * i, .no_gaps = true};

    return sample_cut(&rng, i, &shape);
}

/* Hears how much is recorded, and answers with what it finds; -2 for a wrong answer. The map grows while it reads. */
static void
follow(int say_to, int hear_from)
{
    hv_index_config config = {.dir = dir.path, .read_only = true};
    hv_index *index;
    hv_err err;

    if (hv_index_open(&config, &index, &err) != HV_OK)
        _exit(1);
    for (int64_t end = hear(hear_from); end > 0; end = hear(hear_from)) {
        hv_index_cut want = cut_number(end - 1), got;
        int64_t position;
        if (hv_index_position(index, &orders, &position, &err) != HV_OK ||
            hv_index_find_offset(index, &orders, end - 1, &got, &err) != HV_OK)
            say(say_to, -3);
        say(say_to, sample_cuts_equal(&want, &got) ? position : -2);
        hv_index_cut_clear(&want);
        hv_index_cut_clear(&got);
    }
    hv_index_close(index);
}

START_TEST(another_process_reads_what_this_one_writes_while_the_map_grows)
{
    hv_index_stats before, after;
    hv_err err;

    hv_index_close(sample_open(dir.path, TINY_MAP));
    process reader = start(follow);
    hv_index *index = sample_open(dir.path, TINY_MAP);
    ck_hv_ok(hv_index_stats_read(index, &before, &err));
    for (int64_t i = 0; i < 200; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
        sample_add(index, &orders, &cut);
        say(reader.to, i + 1);
        ck_assert_int_eq(hear(reader.from), i + 1);
    }
    ck_hv_ok(hv_index_stats_read(index, &after, &err));
    ck_assert_uint_gt(after.map_bytes, before.map_bytes);
    say(reader.to, 0);
    ck_assert_int_eq(waitpid(reader.pid, NULL, 0), reader.pid);
    hv_index_close(index);
}
END_TEST

/* ---- a writer that is killed ---- */

/* Goes on where the index stands: two cuts in one call, one per partition, of which each acknowledged end is said. */
static void
write_for_ever(int say_to, int hear_from)
{
    hv_index_config config = {.dir = dir.path, .map_bytes = TINY_MAP, .vault = SAMPLE_VAULT};
    int64_t at;
    hv_index *index;
    hv_err err;

    (void)hear_from;
    if (hv_index_open(&config, &index, &err) != HV_OK || hv_index_position(index, &orders, &at, &err) != HV_OK)
        _exit(1);
    for (;; at++) {
        hv_index_cut cut = cut_number(at);
        hv_index_addition both[] = {{.partition = &orders, .cut = &cut}, {.partition = &payments, .cut = &cut}};
        if (hv_index_add(index, both, 2, &err) != HV_OK)
            _exit(1);
        hv_index_cut_clear(&cut);
        say(say_to, at + 1);
    }
}

static void
check_all(hv_index *index, const hv_partition *partition, int64_t end)
{
    hv_err err;

    for (int64_t at = 0; at < end; at++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut want = cut_number(at), got = {.segment_count = 0};
        ck_hv_ok(hv_index_find_offset(index, partition, at, &got, &err));
        ck_assert(sample_cuts_equal(&want, &got));
    }
}

START_TEST(a_writer_killed_fifty_times_loses_nothing_it_acknowledged_and_tears_nothing)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(256 << 20);
    sample_rng rng = {.state = 7};
    int64_t acknowledged = 0;
    hv_err err;

    for (int i = 0; i < KILLS; i++) {
        process writer = start(write_for_ever);
        int64_t said = hear(writer.from);
        ck_assert_int_gt(said, acknowledged);           /* it goes on, so the one before left nothing it cannot stand on */
        struct timespec pause = {.tv_nsec = sample_below(&rng, 4000000)};
        nanosleep(&pause, NULL);
        ck_assert_int_eq(kill(writer.pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(writer.pid, NULL, 0), writer.pid);
        for (; said > 0; said = hear(writer.from))      /* what it said before it died */
            acknowledged = said;
        close(writer.from);
        close(writer.to);

        pid_t checker = fork();
        if (checker == 0) {
            hv_index *index = sample_open(dir.path, TINY_MAP);
            int64_t at, other;
            ck_hv_ok(hv_index_position(index, &orders, &at, &err));
            ck_hv_ok(hv_index_position(index, &payments, &other, &err));
            ck_assert_int_ge(at, acknowledged);
            ck_assert_int_le(at, acknowledged + 1);     /* the last call may have been recorded and not said */
            ck_assert_int_eq(at, other);
            if (i % 10 == 9) {
                check_all(index, &orders, at);
                check_all(index, &payments, at);
                sample_dump(index, &text);              /* every entry has the right checksum */
            }
            hv_index_close(index);
            _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(checker, &status, 0), checker);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_gt(acknowledged, KILLS);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index processes");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_slot_of_a_reader_that_was_killed_is_freed);
    tcase_add_test(tests, opening_frees_the_slots_of_readers_that_were_killed);
    tcase_add_test(tests, another_process_reads_what_this_one_writes_while_the_map_grows);
    tcase_add_test(tests, a_writer_killed_fifty_times_loses_nothing_it_acknowledged_and_tears_nothing);
    return ck_hv_run("index processes", tests);
}
