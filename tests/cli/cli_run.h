/* Runs a command line inside of the test process, and keeps what it printed. */
#ifndef HV_TESTS_CLI_CLI_RUN_H
#define HV_TESTS_CLI_CLI_RUN_H

#include "common/buf.h"
#include "tests/harness/scratch_dir.h"

typedef struct cli_result {
    char *out, *notes;                  /* standard output and standard error */
    int status;
} cli_result;

void cli_result_clear(cli_result *result);
HV_DEFINE_AUTO_VALUE(cli_result, cli_result_clear);

/* The words behind "hubvault". The environment is empty but for what cli_setenv() was given. */
#define cli_run(...) cli_run_words((const char *const[]){__VA_ARGS__, NULL})
cli_result cli_run_words(const char *const *words);

/* NULL as value: not set. One variable at a time; the texts must outlive the runs. */
void cli_setenv(const char *name, const char *value);

/* Fail unless the command ended with this status and printed exactly this on each stream; texts named `like` need only be contained. */
#define cli_expect(result, want_status, want_out, want_notes) \
    do { \
        ck_assert_msg((result).status == (want_status), "status %d, wanted %d: %s", (result).status, (want_status), (result).notes); \
        ck_assert_str_eq((result).out, (want_out)); \
        ck_assert_str_eq((result).notes, (want_notes)); \
    } while (0)

#define cli_expect_like(text, like) ck_assert_msg(strstr((text), (like)) != NULL, "'%s' is not in:\n%s", (like), (text))

/* A small vault with an index in dir/vault and dir/index: hubs "orders" (incarnation 1, and 2 with partitions 0 and 1) and "sales". The same
 * bytes in every run but for the id of the vault. */
void cli_make_vault(const scratch_dir *dir);
/* The same, and one more segment of hub "sales", which was sealed then. */
void cli_make_vault_sealed_at(const scratch_dir *dir, int64_t sealed_ms);

/* Writes a file below dir with mode 0600; returns its path in a static buffer that the next call overwrites. */
const char *cli_write_file(const scratch_dir *dir, const char *name, const char *text);

#endif
