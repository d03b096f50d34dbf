/* Making an index anew beside the old one. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/vault.h"
#include "server/vault_rebuild.h"
#include "tests/archiver/vault_maker.h"
#include "tests/harness/lmdb_faults.h"

static vault_maker maker;
static hv_options options;
static char store[320], index_dir[320], beside[340];
static hv_partition orders0;

static void
setup(void)
{
    maker_setup(&maker, true);
    snprintf(store, sizeof store, "%s/vault", maker.dir.path);
    snprintf(index_dir, sizeof index_dir, "%s/index", maker.dir.path);
    snprintf(beside, sizeof beside, "%s/.rebuild", index_dir);
    hv_options_init(&options);
    options.store_dir = store;
    options.index_dir = index_dir;
    orders0 = maker_partition("orders", 1, 0);
    maker_claim(&maker, "orders", 1);
    maker_plain_cut(&maker, &orders0, 0, 10);
    maker.index_too = false;
    maker_plain_cut(&maker, &orders0, 10, 10);          /* so that old and new can be told apart */
    hv_index_close(HV_TAKE(maker.index));
}

static void
teardown(void)
{
    hv_options_clear(&options);
    maker_teardown(&maker);
}

static int64_t
position_in(const char *dir)
{
    hv_index_config config = {.dir = dir, .read_only = true};
    HV_AUTO(hv_index_close) hv_index *index = NULL;
    int64_t position;
    hv_err err;

    ck_hv_ok(hv_index_open(&config, &index, &err));
    ck_hv_ok(hv_index_position(index, &orders0, &position, &err));
    return position;
}

static bool
exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

START_TEST(the_new_index_is_in_its_place_and_nothing_is_left_beside_it)
{
    hv_vault_rebuild_config config = {.options = &options};
    hv_rebuild_facts facts;
    bool replaced;
    hv_err err;

    ck_assert_int_eq(position_in(index_dir), 10);
    ck_hv_ok(hv_vault_rebuild(&config, &facts, &replaced, &err));
    ck_assert(replaced);
    ck_assert_int_eq(facts.cuts, 2);
    ck_assert_int_eq(position_in(index_dir), 20);
    ck_assert(!exists(beside));
}
END_TEST

START_TEST(what_a_killed_run_left_is_thrown_away)
{
    hv_vault_rebuild_config config = {.options = &options};
    hv_partition ghost = maker_partition("ghost", 1, 0);
    hv_index_partition_facts *partitions = NULL;
    hv_rebuild_facts facts;
    size_t count = 0;
    bool replaced;
    hv_err err;

    maker.index = maker_open_index(&maker, "index/.rebuild");
    maker.index_too = true;
    maker_plain_cut(&maker, &ghost, 0, 3);
    hv_index_close(HV_TAKE(maker.index));
    maker_drop(&maker, "segments/hub=ghost/incarnation=1/partition=0/00000000000000000000.avro");
    ck_hv_ok(hv_vault_rebuild(&config, &facts, &replaced, &err));
    hv_index_config opening = {.dir = index_dir, .read_only = true};
    HV_AUTO(hv_index_close) hv_index *index = NULL;
    ck_hv_ok(hv_index_open(&opening, &index, &err));
    ck_hv_ok(hv_index_partitions(index, NULL, &partitions, &count, &err));
    free(partitions);
    ck_assert_uint_eq(count, 1);
}
END_TEST

static const struct lmdb_way {
    int error;
    bool takes_effect;
} ways[] = {{EIO, false}, {EIO, true}, {ENOSPC, false}};

START_TEST(a_failing_call_of_lmdb_leaves_the_old_index_or_the_new_one)
{
    hv_vault_rebuild_config config = {.options = &options};
    hv_rebuild_facts facts;
    bool replaced, fired = true;
    long call = 0;
    hv_err err;

    for (; fired; call++) {
        lmdb_faults_begin(LMDB_ALL_THREADS, call, ways[_i].error, ways[_i].takes_effect);
        hv_rc rc = hv_vault_rebuild(&config, &facts, &replaced, &err);
        fired = lmdb_faults_end();
        ck_assert_msg(fired ? rc != HV_OK : rc == HV_OK, "call %ld: %s", call, hv_rc_name(rc));
        ck_assert_int_eq(position_in(index_dir), replaced ? 20 : 10);
        ck_assert(replaced == (rc == HV_OK));
    }
    ck_assert_int_gt(call, 30);
    ck_assert(!exists(beside));
}
END_TEST

START_TEST(a_stopped_run_leaves_the_old_index)
{
    atomic_bool stop = true;
    hv_vault_rebuild_config config = {.options = &options, .stop = &stop};
    hv_rebuild_facts facts;
    bool replaced;
    hv_err err;

    ck_hv_fails(HV_CLOSED, hv_vault_rebuild(&config, &facts, &replaced, &err));
    ck_assert(!replaced);
    ck_assert_int_eq(position_in(index_dir), 10);
    ck_assert(!exists(beside));
}
END_TEST

START_TEST(a_reader_of_the_old_index_is_waited_for)
{
    hv_vault_rebuild_config config = {.options = &options};
    const struct timespec a_while = {.tv_nsec = 400 * 1000000L};
    hv_rebuild_facts facts;
    int ready[2], status;
    bool replaced;
    char byte;
    hv_err err;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        hv_index_config opening = {.dir = index_dir, .read_only = true};
        hv_index *index;
        bool open = hv_index_open(&opening, &index, &err) == HV_OK && write(ready[1], "x", 1) == 1;
        (void)nanosleep(&a_while, NULL);
        _exit(open ? 0 : 1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_hv_ok(hv_vault_rebuild(&config, &facts, &replaced, &err));
    ck_assert_int_eq(position_in(index_dir), 20);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* Wherever it is killed: the index is the old one or the new one, whole. */
START_TEST(a_killed_run_leaves_the_old_index_or_the_new_one)
{
    int64_t position = 10;
    int killed = 0;

    for (int attempt = 0; attempt < 80; attempt++) {
        const struct timespec moment = {.tv_nsec = attempt * 300000L};
        pid_t child = fork();
        if (child == 0) {
            hv_vault_rebuild_config config = {.options = &options};
            hv_rebuild_facts facts;
            bool replaced;
            hv_err err;
            _exit(hv_vault_rebuild(&config, &facts, &replaced, &err) == HV_OK ? 0 : 1);
        }
        (void)nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status) || status == 0);
        killed += WIFSIGNALED(status) ? 1 : 0;
        int64_t now = position_in(index_dir);
        ck_assert_msg(now == position || now == 20, "%lld", (long long)now);
        position = now;
    }
    hv_vault_rebuild_config config = {.options = &options};
    hv_rebuild_facts facts;
    bool replaced;
    hv_err err;
    ck_hv_ok(hv_vault_rebuild(&config, &facts, &replaced, &err));
    ck_assert_int_eq(position_in(index_dir), 20);
    ck_assert_int_gt(killed, 5);
}
END_TEST

START_TEST(with_problems_that_cut_it_short_there_is_no_new_index_unless_there_was_none)
{
    hv_vault_rebuild_config config = {.options = &options};
    hv_rebuild_facts facts;
    bool replaced;
    hv_err err;

    maker_drop(&maker, "segments/hub=orders/incarnation=1/partition=0/00000000000000000000.avro");
    ck_hv_fails(HV_GAP, hv_vault_rebuild(&config, &facts, &replaced, &err));
    ck_assert(!replaced);
    ck_assert_int_eq(facts.stopped, 1);
    ck_assert_int_eq(position_in(index_dir), 10);
    ck_assert(!exists(beside));
    ck_hv_ok(hv_index_discard(index_dir, &err));
    ck_hv_fails(HV_GAP, hv_vault_rebuild(&config, &facts, &replaced, &err));
    ck_assert(replaced);
    ck_assert_int_eq(position_in(index_dir), 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("vault rebuild");

    scratch_dir_use_memory();

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_new_index_is_in_its_place_and_nothing_is_left_beside_it);
    tcase_add_test(tests, what_a_killed_run_left_is_thrown_away);
    tcase_add_loop_test(tests, a_failing_call_of_lmdb_leaves_the_old_index_or_the_new_one, 0, sizeof ways / sizeof *ways);
    tcase_add_test(tests, a_stopped_run_leaves_the_old_index);
    tcase_add_test(tests, a_reader_of_the_old_index_is_waited_for);
    tcase_add_test(tests, a_killed_run_leaves_the_old_index_or_the_new_one);
    tcase_add_test(tests, with_problems_that_cut_it_short_there_is_no_new_index_unless_there_was_none);
    return ck_hv_run("vault rebuild", tests);
}
