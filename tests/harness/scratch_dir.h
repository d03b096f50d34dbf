/* A folder for one test, removed with everything in it, read-only files too. */
#ifndef HV_TESTS_HARNESS_SCRATCH_DIR_H
#define HV_TESTS_HARNESS_SCRATCH_DIR_H

typedef struct scratch_dir {
    char path[256];
} scratch_dir;

/* Below $TMPDIR, else /tmp. Fails the test if it cannot. */
scratch_dir scratch_dir_make(void);
void scratch_dir_remove(const scratch_dir *dir);

#endif
