#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOST_WORDS = 62 };

/* argv[0] is the program itself, found by the kernel however it was called. */
static hv_rc
spawn(const char *const *words, posix_spawn_file_actions_t *files, pid_t *ret, hv_err *err)
{
    union {
        const char *in[MOST_WORDS + 2];
        char *out[MOST_WORDS + 2];
    } argv = {.in = {"hubvault"}};      /* posix_spawn() does not change what it takes as not const */
    size_t count = 1;

    for (; words[count - 1] != NULL && count <= MOST_WORDS; count++)
        argv.in[count] = words[count - 1];
    argv.in[count] = NULL;
    int failure = posix_spawn(ret, "/proc/self/exe", files, NULL, argv.out, environ);
    return failure == 0 ? HV_OK : hv_err_set(err, HV_IO, "cannot start hubvault again: %s", strerror(failure));
}

static hv_rc
wait_for(pid_t child, int *exit_status, hv_err *err)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return hv_err_set(err, HV_IO, "cannot wait for process %d: %s", (int)child, strerror(errno));
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return HV_OK;
}

static hv_rc
read_all(int from, hv_buf *out, hv_err *err)
{
    char piece[16384];

    for (;;) {
        ssize_t got = read(from, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return hv_err_set(err, HV_IO, "cannot read what a command printed: %s", strerror(errno));
        if (got == 0)
            return hv_buf_check(out, err);
        hv_buf_put(out, piece, (size_t)got);
    }
}

hv_rc
hv_child_run(const char *const *words, bool notes, hv_buf *out, int *exit_status, hv_err *err)
{
    posix_spawn_file_actions_t files;
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return hv_err_set(err, HV_IO, "cannot make a pipe: %s", strerror(errno));
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    if (notes)
        (void)posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    else
        (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    hv_rc rc = spawn(words, &files, &child, err);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)close(ends[1]);
    if (rc == HV_OK) {
        rc = read_all(ends[0], out, err);
        hv_err wait_err;
        hv_rc waited = wait_for(child, exit_status, &wait_err);
        if (rc == HV_OK && waited != HV_OK) {
            *err = wait_err;
            rc = waited;
        }
    }
    (void)close(ends[0]);
    return rc;
}

hv_rc
hv_child_start(const char *const *words, const char *log_path, pid_t *ret, hv_err *err)
{
    posix_spawn_file_actions_t files;

    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    (void)posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    hv_rc rc = spawn(words, &files, ret, err);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

hv_rc
hv_child_end(pid_t child, int signal_number, hv_err *err)
{
    int unneeded;

    if (kill(child, signal_number) != 0)
        return hv_err_set(err, HV_IO, "cannot signal process %d: %s", (int)child, strerror(errno));
    return wait_for(child, &unneeded, err);
}
