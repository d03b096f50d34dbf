/*
 * Writers are killed at random moments. Afterwards every name that can be seen is a whole blob, every blob that was reported stored
 * is there, and the next one to open the vault finds nothing in its way.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/storage/storage_under_test.h"
#include "tests/storage/wrapped_calls.h"

enum { KILLS = 50, LARGEST = 200000, METHODS = 3 };

static char bytes[LARGEST];

static void
attributes_of(const char *name, const hv_slice *parts, hv_blob_attributes *ret)
{
    *ret = (hv_blob_attributes){.has_sha256 = true, .has_nonce = true};
    hv_sha256(parts, 3, ret->sha256);
    (void)snprintf((char *)ret->nonce, sizeof ret->nonce, "%.15s", name);
}

/* The writer: puts until it is killed, and tells through the pipe the number of each blob that is stored. */
static void
put_for_ever(const char *path, int pipe_end, unsigned first)
{
    hv_err err;
    hv_storage *storage;

    ck_hv_ok(hv_storage_dir_open(path, true, &storage, &err));
    for (unsigned i = first;; i++) {
        char name[64];
        hv_blob_attributes attributes;
        (void)snprintf(name, sizeof name, "a/%u/%08u", i % 7, i);
        hv_slice parts[] = {hv_slice_text(name), hv_slice_of(bytes, i * 7919 % LARGEST), hv_slice_text("end")};
        attributes_of(name, parts, &attributes);
        ck_hv_ok(storage->ops->put_new(storage, name, parts, 3, &attributes, &err));
        ck_assert_int_eq(write(pipe_end, &i, sizeof i), sizeof i);
    }
}

static void
wait_for_report(int pipe_end)
{
    struct pollfd poll_fd = {.fd = pipe_end, .events = POLLIN};

    ck_assert_int_eq(poll(&poll_fd, 1, 30000), 1);
}

/* The next number that is free; `stored` grows by those that were reported. Some writers die before they have put anything. */
static unsigned
run_and_kill(const char *path, unsigned first, bool early, unsigned *stored)
{
    int ends[2];
    unsigned number, next = first;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        put_for_ever(path, ends[1], first);
        _exit(1);
    }
    close(ends[1]);
    if (!early)
        wait_for_report(ends[0]);
    struct timespec wait = {.tv_nsec = random() % 20 * 1000000L + random() % 1000000L};
    (void)nanosleep(&wait, NULL);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(ends[0], &number, sizeof number) == sizeof number) {
        ck_assert_uint_eq(number, next);
        next = number + 1;
        ++*stored;
    }
    close(ends[0]);
    return next;
}

typedef struct seen {
    hv_storage *storage;
    unsigned count, highest;
} seen;

static hv_rc
check_whole(void *arg, const char *name, uint64_t size, hv_err *err)
{
    seen *self = arg;
    HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(LARGEST + 100);
    hv_blob_properties properties;
    unsigned char hash[HV_SHA256_SIZE];

    hv_rc rc = hv_storage_get(self->storage, name, &got, err);
    if (rc == HV_OK)
        rc = self->storage->ops->properties(self->storage, name, &properties, err);
    if (rc != HV_OK)
        return rc;
    unsigned number = (unsigned)strtoul(strrchr(name, '/') + 1, NULL, 10);
    ck_assert_uint_eq(size, strlen(name) + number * 7919 % LARGEST + 3);
    ck_assert_uint_eq(got.len, size);
    ck_assert(strncmp(got.data, name, strlen(name)) == 0 && strcmp(got.data + got.len - 3, "end") == 0);
    hv_slice whole = hv_buf_slice(&got);
    hv_sha256(&whole, 1, hash);
    ck_assert(properties.attributes.has_sha256 && properties.attributes.has_nonce);
    ck_assert_mem_eq(hash, properties.attributes.sha256, sizeof hash);
    self->count++;
    if (number > self->highest)
        self->highest = number;
    return HV_OK;
}

static int
count_temp_files(const char *vault)
{
    char path[300];
    int count = 0;

    (void)snprintf(path, sizeof path, "%s/.tmp", vault);
    DIR *entries = opendir(path);
    if (entries == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0;
    closedir(entries);
    return count;
}

START_TEST(whatever_instruction_a_writer_dies_at_what_can_be_seen_is_whole)
{
    hv_err err;
    scratch_dir dir = scratch_dir_make();
    unsigned first = 0, stored = 0, unreported = 0;
    int leftovers = 0;

    wrapped_reset();
    wrapped.no_tmpfile = _i > 0;
    wrapped.no_link = _i > 1;
    memset(bytes, 'x', sizeof bytes);
    srandom(4711);
    for (int i = 0; i < KILLS; i++) {
        unsigned next = run_and_kill(dir.path, first, i % 4 == 0, &stored);
        leftovers += count_temp_files(dir.path);
        seen found = {.highest = 0};
        ck_hv_ok(hv_storage_dir_open(dir.path, true, &found.storage, &err));
        ck_assert_int_eq(count_temp_files(dir.path), 0);
        ck_hv_ok(hv_storage_walk(found.storage, "", check_whole, &found, &err));
        hv_storage_close(found.storage);
        /* One more than was reported, if it died between the last step and its report. */
        ck_assert(found.count == stored || found.count == stored + 1);
        if (found.count == stored + 1) {
            unreported++;
            stored++;
            next++;
        }
        first = next;
        ck_assert_uint_eq(first, found.count);
        ck_assert(found.count == 0 || found.highest == found.count - 1);
    }
    printf("%u blobs stored, %u of them not reported, %d temporary files left behind\n", stored, unreported, leftovers);
    ck_assert_uint_ge(stored, KILLS / 4 * 3);   /* or nothing was killed at work */
    ck_assert(_i == 0 || leftovers > 0);
    scratch_dir_remove(&dir);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("storage dir kill");
    tcase_add_loop_test(tests, whatever_instruction_a_writer_dies_at_what_can_be_seen_is_whole, 0, METHODS);
    return ck_hv_run("storage dir kill", tests);
}
