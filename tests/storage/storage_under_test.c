#include "tests/storage/storage_under_test.h"

#include <limits.h>

#include "storage/storage_meter.h"
#include "tests/harness/check_hv.h"
#include "tests/storage/wrapped_calls.h"

static hv_rc
open_dir(storage_under_test *test, hv_err *err)
{
    return hv_storage_dir_open(test->dir.path, true, &test->storage, err);
}

static hv_rc
open_dir_without_tmpfile(storage_under_test *test, hv_err *err)
{
    wrapped.no_tmpfile = true;
    return open_dir(test, err);
}

static hv_rc
open_dir_without_links(storage_under_test *test, hv_err *err)
{
    wrapped.no_tmpfile = wrapped.no_link = true;
    return open_dir(test, err);
}

static hv_rc
open_dir_without_attributes_and_types(storage_under_test *test, hv_err *err)
{
    wrapped.no_attributes = wrapped.no_types = true;
    test->keeps_attributes = false;
    return open_dir(test, err);
}

static hv_rc
open_mem(storage_under_test *test, hv_err *err)
{
    return hv_storage_mem_open(&test->storage, err);
}

static hv_rc
open_fault_that_never_fires(storage_under_test *test, hv_err *err)
{
    hv_rc rc = hv_storage_mem_open(&test->inner, err);

    if (rc != HV_OK)
        return rc;
    hv_storage_fault_config config = {.inner = test->inner, .fail_call = UINT_MAX, .fail_with = HV_INTERNAL};
    return hv_storage_fault_open(&config, &test->storage, err);
}

static hv_rc
open_meter(storage_under_test *test, hv_err *err)
{
    hv_storage *inner = NULL;
    hv_rc rc = hv_storage_mem_open(&inner, err);

    return rc == HV_OK ? hv_storage_meter_open(inner, &test->storage, err) : rc;
}

void
storage_under_test_open(int which, storage_under_test *ret)
{
    static hv_rc (*const rows[STORAGES_UNDER_TEST])(storage_under_test *test, hv_err *err) = {
        open_dir, open_dir_without_tmpfile, open_dir_without_links, open_dir_without_attributes_and_types, open_mem,
        open_fault_that_never_fires, open_meter,
    };
    hv_err err;

    wrapped_reset();
    *ret = (storage_under_test){.dir = scratch_dir_make(), .keeps_attributes = true};
    ck_hv_ok(rows[which](ret, &err));
}

void
storage_under_test_close(storage_under_test *test)
{
    wrapped_disarm();
    hv_storage_close(test->storage);
    hv_storage_close(test->inner);
    scratch_dir_remove(&test->dir);
}

hv_rc
put_text(hv_storage *storage, const char *name, const char *text, hv_err *err)
{
    hv_slice part = hv_slice_text(text);

    return storage->ops->put_new(storage, name, &part, 1, NULL, err);
}
