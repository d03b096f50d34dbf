#include "tests/harness/scratch_dir.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

scratch_dir
scratch_dir_make(void)
{
    scratch_dir dir;
    const char *parent = getenv("TMPDIR");

    int len = snprintf(dir.path, sizeof dir.path, "%s/hubvault-test-XXXXXX", parent != NULL ? parent : "/tmp");
    ck_assert_int_lt(len, (int)sizeof dir.path);
    ck_assert_ptr_nonnull(mkdtemp(dir.path));
    return dir;
}

static int
make_removable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void
scratch_dir_remove(const scratch_dir *dir)
{
    ck_assert_int_eq(nftw(dir->path, make_removable, 16, FTW_PHYS), 0);
    ck_assert_int_eq(nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void
scratch_dir_use_memory(void)
{
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}
