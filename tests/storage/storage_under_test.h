/* Every driver, and the dir driver on file systems that lack something: a new driver adds one row. */
#ifndef HV_TESTS_STORAGE_STORAGE_UNDER_TEST_H
#define HV_TESTS_STORAGE_STORAGE_UNDER_TEST_H

#include "storage/drivers.h"
#include "tests/harness/scratch_dir.h"

typedef struct storage_under_test {
    hv_storage *storage;
    hv_storage *inner;                  /* of the fault driver; NULL for the others */
    scratch_dir dir;
    bool keeps_attributes;
} storage_under_test;

enum { STORAGES_UNDER_TEST = 7 };

/* Fails the test if it cannot. */
void storage_under_test_open(int which, storage_under_test *ret);
void storage_under_test_close(storage_under_test *test);

/* The whole blob put in one part; 1 MiB of room. */
hv_rc put_text(hv_storage *storage, const char *name, const char *text, hv_err *err);

#endif
