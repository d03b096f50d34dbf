#include "server/vault.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/names.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/harness/thin_pages.h"

static scratch_dir dir;
static char store_dir[300], index_dir[300];
static hv_options options;
static hv_err err;

static void
setup(void)
{
    dir = scratch_dir_make();
    snprintf(store_dir, sizeof store_dir, "%s/vault", dir.path);
    snprintf(index_dir, sizeof index_dir, "%s/deep/er/index", dir.path);
    hv_options_init(&options);
    options.store_dir = store_dir;
    options.index_dir = index_dir;
    options.index_map_bytes = 1 << 20;
}

static void
teardown(void)
{
    hv_options_clear(&options);
    scratch_dir_remove(&dir);
}

static hv_vault *
open_vault(unsigned how)
{
    hv_vault *vault = NULL;

    ck_hv_ok(hv_vault_open(&options, how, &vault, &err));
    return vault;
}

static void
fails(hv_rc want, unsigned how, const char *says)
{
    hv_vault *vault = NULL;

    ck_hv_fails(want, hv_vault_open(&options, how, &vault, &err));
    ck_assert_ptr_null(vault);
    ck_assert_msg(strstr(err.msg, says) != NULL, "%s", err.msg);
}

static void
write_marker(const char *text)
{
    char path[400];

    ck_assert_int_eq(mkdir(store_dir, 0700), 0);
    snprintf(path, sizeof path, "%s/vault.json", store_dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_vault_that_is_made_once_is_the_same_for_every_later_opener)
{
    hv_vault *vault = open_vault(HV_VAULT_WRITE | HV_VAULT_CREATE);
    hv_vault_marker first = vault->marker;

    ck_assert_str_eq(hv_index_vault(vault->index), first.vault);
    hv_vault_close(vault);
    vault = open_vault(HV_VAULT_WRITE | HV_VAULT_CREATE);
    ck_assert_str_eq(vault->marker.vault, first.vault);
    ck_assert_int_eq(vault->marker.created_ms, first.created_ms);
    hv_vault_close(vault);
    vault = open_vault(0);
    ck_assert_str_eq(vault->marker.vault, first.vault);
    ck_assert_ptr_null(vault->lock);
    hv_vault_close(vault);
}
END_TEST

START_TEST(where_there_is_no_vault_a_reader_is_told_so_and_nothing_is_made)
{
    fails(HV_NOT_FOUND, 0, "there is no vault at '");
    fails(HV_NOT_FOUND, 0, "'hubvault run' makes one");
    fails(HV_NOT_FOUND, HV_VAULT_WRITE, "there is no vault at '");
    ck_assert_int_ne(access(store_dir, F_OK), 0);
    ck_assert_int_eq(mkdir(store_dir, 0700), 0);
    fails(HV_NOT_FOUND, 0, "there is no vault here (no 'vault.json')");
    ck_assert_int_eq(rmdir(store_dir), 0);
}
END_TEST

START_TEST(a_folder_that_holds_something_else_is_not_made_a_vault)
{
    char path[400];

    ck_assert_int_eq(mkdir(store_dir, 0700), 0);
    snprintf(path, sizeof path, "%s/thesis.txt", store_dir);
    fclose(fopen(path, "w"));
    fails(HV_USAGE, HV_VAULT_WRITE | HV_VAULT_CREATE, "no vault is made here, because there is no 'vault.json' but 'thesis.txt'");
    snprintf(path, sizeof path, "%s/vault.json", store_dir);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(without_its_index_a_vault_is_readable_only_by_those_who_need_none)
{
    hv_vault_close(open_vault(HV_VAULT_WRITE | HV_VAULT_CREATE | HV_VAULT_NO_INDEX));
    fails(HV_NOT_FOUND, 0, "'hubvault index rebuild' makes it from the vault");
    hv_vault *vault = open_vault(HV_VAULT_NO_INDEX);
    ck_assert_ptr_null(vault->index);
    hv_vault_close(vault);
}
END_TEST

START_TEST(an_index_of_another_vault_is_refused_with_the_way_out)
{
    char other[300];

    hv_vault_close(open_vault(HV_VAULT_WRITE | HV_VAULT_CREATE));
    snprintf(other, sizeof other, "%s/other", dir.path);
    options.store_dir = other;
    fails(HV_CORRUPT, HV_VAULT_WRITE | HV_VAULT_CREATE, "does not fit this vault, 'hubvault index rebuild' makes it anew");
    fails(HV_CORRUPT, 0, "does not fit this vault");
}
END_TEST

START_TEST(a_vault_of_a_newer_format_version_is_refused_as_such)
{
    write_marker("{\"format\":2,\"something\":\"new\"}\n");
    fails(HV_VERSION, 0, "'vault.json'");
    fails(HV_VERSION, HV_VAULT_WRITE | HV_VAULT_CREATE, "'vault.json'");
}
END_TEST

START_TEST(a_damaged_marker_is_not_replaced)
{
    write_marker("not a marker\n");
    fails(HV_CORRUPT, HV_VAULT_WRITE | HV_VAULT_CREATE, "'vault.json'");
    fails(HV_CORRUPT, 0, "'vault.json'");
}
END_TEST

START_TEST(a_second_writer_is_refused_by_the_number_of_the_first_and_readers_are_not)
{
    char pid[64];
    hv_vault *vault = open_vault(HV_VAULT_WRITE | HV_VAULT_CREATE | HV_VAULT_NO_INDEX);

    snprintf(pid, sizeof pid, "the vault is in use: process %ld is using it", (long)getpid());
    fails(HV_BUSY, HV_VAULT_WRITE | HV_VAULT_NO_INDEX, pid);
    hv_vault_close(open_vault(HV_VAULT_NO_INDEX));
    hv_vault_close(vault);
    hv_vault_close(open_vault(HV_VAULT_WRITE | HV_VAULT_NO_INDEX));
}
END_TEST

START_TEST(the_lock_of_a_killed_writer_is_free)
{
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        hv_vault *vault = NULL;
        if (hv_vault_open(&options, HV_VAULT_WRITE | HV_VAULT_CREATE | HV_VAULT_NO_INDEX, &vault, &err) == HV_OK)
            (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    fails(HV_BUSY, HV_VAULT_WRITE, "in use");
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    hv_vault_close(open_vault(HV_VAULT_WRITE));
    close(ready[0]);
    close(ready[1]);
}
END_TEST

START_TEST(a_lock_that_cannot_be_made_says_where)
{
    char path[400];

    snprintf(path, sizeof path, "%s/deep", dir.path);
    fclose(fopen(path, "w"));
    fails(HV_IO, HV_VAULT_WRITE | HV_VAULT_CREATE, path);
}
END_TEST

/* ---- the marker, over a store that fails ---- */

static const hv_rc unknown_answers[] = {HV_UNAVAILABLE, HV_IO};

/* Calls of making a marker: get, list, get, put, get. */
START_TEST(a_marker_whose_answer_got_lost_is_found_and_kept)
{
    hv_storage *mem = NULL, *fault = NULL;
    hv_vault_marker first, second;

    for (unsigned call = 0; call < 8; call++) {
        ck_hv_ok(hv_storage_mem_open(&mem, &err));
        hv_storage_fault_config config = {.inner = mem, .fail_call = call, .fail_with = unknown_answers[_i % 2], .takes_effect = _i >= 2};
        ck_hv_ok(hv_storage_fault_open(&config, &fault, &err));
        hv_rc rc = hv_vault_marker_settle(fault, true, &first, &err);
        bool fired = hv_storage_fault_fired(fault);
        ck_assert_msg(fired || call >= 4, "call %u was not reached", call);
        if (!fired)
            ck_assert_int_eq(rc, HV_OK);
        ck_hv_ok(hv_vault_marker_settle(mem, true, &second, &err));
        if (rc == HV_OK)
            ck_assert_str_eq(first.vault, second.vault);
        hv_storage_close(fault);
        hv_storage_close(mem);
    }
}
END_TEST

START_TEST(a_refused_marker_says_where_and_why)
{
    hv_storage *mem = NULL, *fault = NULL;
    hv_vault_marker marker;
    bool refused = false;

    for (unsigned call = 0; call < 5; call++) {
        ck_hv_ok(hv_storage_mem_open(&mem, &err));
        hv_storage_fault_config config = {.inner = mem, .fail_call = call, .fail_with = HV_AUTH};
        ck_hv_ok(hv_storage_fault_open(&config, &fault, &err));
        hv_rc rc = hv_vault_marker_settle(fault, true, &marker, &err);
        ck_assert(rc == (hv_storage_fault_fired(fault) ? HV_AUTH : HV_OK));
        refused = refused || strstr(err.msg, "cannot create 'vault.json'") != NULL;
        hv_storage_close(fault);
        hv_storage_close(mem);
    }
    ck_assert(refused);
}
END_TEST

START_TEST(an_empty_page_makes_an_empty_store_neither_full_nor_a_full_one_empty)
{
    HV_AUTO(hv_storage_close) hv_storage *mem = NULL;
    hv_slice junk = hv_slice_text("x");
    hv_vault_marker marker;

    ck_hv_ok(hv_storage_mem_open(&mem, &err));
    HV_AUTO(hv_storage_close) hv_storage *thin = thin_pages_open(mem);
    if (_i == 0) {
        ck_hv_ok(hv_vault_marker_settle(thin, true, &marker, &err));
    } else {
        ck_hv_ok(mem->ops->put_new(mem, "holiday.jpg", &junk, 1, NULL, &err));
        ck_hv_fails(HV_USAGE, hv_vault_marker_settle(thin, true, &marker, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "holiday.jpg"));
    }
    ck_assert_uint_eq(thin_pages_empty(thin), 1);
}
END_TEST

typedef struct contender {
    hv_storage *storage;
    hv_vault_marker marker;
    hv_rc rc;
} contender;

static void *
contend(void *arg)
{
    contender *self = arg;
    hv_err own;

    self->rc = hv_vault_marker_settle(self->storage, true, &self->marker, &own);
    return NULL;
}

START_TEST(those_who_make_a_vault_at_the_same_time_end_up_with_the_same_one)
{
    for (int round = 0; round < 50; round++) {
        contender all[4];
        pthread_t threads[4];
        hv_storage *mem = NULL;
        ck_hv_ok(hv_storage_mem_open(&mem, &err));
        for (int i = 0; i < 4; i++) {
            all[i] = (contender){.storage = mem};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, &all[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
            ck_assert_int_eq(all[i].rc, HV_OK);
            ck_assert_str_eq(all[i].marker.vault, all[0].marker.vault);
        }
        hv_storage_close(mem);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("vault");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_vault_that_is_made_once_is_the_same_for_every_later_opener);
    tcase_add_test(tests, where_there_is_no_vault_a_reader_is_told_so_and_nothing_is_made);
    tcase_add_test(tests, a_folder_that_holds_something_else_is_not_made_a_vault);
    tcase_add_test(tests, without_its_index_a_vault_is_readable_only_by_those_who_need_none);
    tcase_add_test(tests, an_index_of_another_vault_is_refused_with_the_way_out);
    tcase_add_test(tests, a_vault_of_a_newer_format_version_is_refused_as_such);
    tcase_add_test(tests, a_damaged_marker_is_not_replaced);
    tcase_add_test(tests, a_second_writer_is_refused_by_the_number_of_the_first_and_readers_are_not);
    tcase_add_test(tests, the_lock_of_a_killed_writer_is_free);
    tcase_add_test(tests, a_lock_that_cannot_be_made_says_where);
    tcase_add_loop_test(tests, a_marker_whose_answer_got_lost_is_found_and_kept, 0, 4);
    tcase_add_test(tests, a_refused_marker_says_where_and_why);
    tcase_add_loop_test(tests, an_empty_page_makes_an_empty_store_neither_full_nor_a_full_one_empty, 0, 2);
    tcase_add_test(tests, those_who_make_a_vault_at_the_same_time_end_up_with_the_same_one);
    return ck_hv_run("vault", tests);
}
