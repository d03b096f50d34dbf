/* A folder for one test, removed with everything in it, read-only files too. */
#ifndef HV_TESTS_HARNESS_SCRATCH_DIR_H
#define HV_TESTS_HARNESS_SCRATCH_DIR_H

typedef struct scratch_dir {
    char path[256];
} scratch_dir;

/* Below $TMPDIR, else /tmp. Fails the test if it cannot. */
scratch_dir scratch_dir_make(void);
void scratch_dir_remove(const scratch_dir *dir);

/* For main(): scratch folders from now on in memory, where the machine has such a place and $TMPDIR names none. For tests that do
 * very many commits and do not look at what the disk does. */
void scratch_dir_use_memory(void);

#endif
