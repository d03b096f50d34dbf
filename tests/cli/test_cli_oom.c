/*
 * Let the n-th allocation of a command fail, for n = 0, 1, 2 ... until it needs fewer than n. The linker's --wrap replaces the allocation
 * functions for our own code only. Leaks on these paths are found by the sanitizer build of this test.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "tests/cli/cli_run.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/oom.h"

static const char *
environment(const char *name)
{
    (void)name;
    return NULL;
}

static scratch_dir dir;
static char config[400];

static void
setup(void)
{
    dir = scratch_dir_make();
    cli_make_vault(&dir);
    snprintf(config, sizeof config, "%s", cli_write_file(&dir, "hubvault.conf", "store.dir = vault\nindex.dir = index\nsource.include = a,b\n"
             "source.exclude = c\nsource.auth = connection-string\nsource.hub-credential = orders=x\n"));
}

static void
teardown(void)
{
    (void)oom_end();
    scratch_dir_remove(&dir);
}

static const char *const commands[][5] = {
    {"options", "--output", "json", "--set", "source.include=d"},
    {"options", "--format", "man"},
    {"hubs"},
    {"hubs", "--partitions", "--output", "json"},
    {"segments", "orders", "0", "--output", "json"},
    {"segments", "orders", "--from", "now-1d"},
    {"status", "--offline"},
    {"status", "--gaps"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* Nothing but the command may run while memory is short: Check allocates, too, and is linked in. False: allocation n was not reached. */
static bool
run_starved(const char *const *words, long n, int *status, char notes[2000])
{
    char *out = NULL, *said = NULL;
    size_t out_len, said_len;
    FILE *to = open_memstream(&out, &out_len), *to_notes = open_memstream(&said, &said_len);
    hv_cli_start start = {.words = words, .to = to, .notes = to_notes, .environment = environment};

    ck_assert(to != NULL && to_notes != NULL);
    oom_begin(OOM_THIS_THREAD, n, 1);
    *status = hv_cli_main(&start);
    bool reached = oom_end();
    fclose(to);
    fclose(to_notes);
    snprintf(notes, 2000, "%s", said);
    free(out);
    free(said);
    return reached;
}

START_TEST(a_command_without_memory_says_so_in_one_line_and_ends_with_10)
{
    const char *words[8] = {"--config", config};
    char notes[2000];
    int status;
    long n = 0;

    for (int i = 0; i < 5 && commands[_i][i] != NULL; i++)
        words[2 + i] = commands[_i][i];
    for (; n < 5000 && run_starved(words, n, &status, notes); n++) {
        ck_assert_msg(status == 10, "allocation %ld: %d %s", n, status, notes);
        ck_assert_ptr_eq(strchr(notes, '\n'), notes + strlen(notes) - 1);
    }
    ck_assert_msg(status == 0, "%s", notes);
    ck_assert_int_ge(n, 10);
    ck_assert_int_lt(n, 5000);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("commands without memory");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_command_without_memory_says_so_in_one_line_and_ends_with_10, 0, COMMANDS);
    return ck_hv_run("commands without memory", tests);
}
