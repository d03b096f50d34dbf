/* Records of incarnations, in a store that tells durable from visible. */
#include <stdlib.h>

#include "archiver/incarnation.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"

#define VAULT "11111111-2222-4333-8444-555555555555"

/* The store of somebody who died before his put was answered: what is there can be read, and is durable when its properties were told. */
typedef struct unsynced_store {
    hv_storage base;
    hv_storage *inner;
    bool durable;
} unsynced_store;

static hv_rc
tell_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    unsynced_store *store = (unsynced_store *)storage;
    hv_rc rc = store->inner->ops->properties(store->inner, name, ret, err);

    store->durable = store->durable || rc == HV_OK;
    return rc;
}

static hv_rc
read_range(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    unsynced_store *store = (unsynced_store *)storage;

    return store->inner->ops->get_range(store->inner, name, position, len, ret, err);
}

START_TEST(a_record_that_is_read_is_durable)
{
    const hv_storage_ops ops = {.driver = "unsynced", .get_range = read_range, .properties = tell_properties};
    HV_AUTO(hv_storage_close) hv_storage *inner = NULL;
    hv_incarnation_record record = {.vault = VAULT, .hub = "orders", .incarnation = 1, .created_ms = 1700000000000}, read;
    hv_err err;

    ck_hv_ok(hv_storage_mem_open(&inner, &err));
    hv_chain chain = {.storage = inner, .vault = VAULT};
    ck_hv_ok(hv_incarnation_claim(&chain, &record, &err));
    unsynced_store store = {.base = {.ops = &ops}, .inner = inner};
    chain.storage = &store.base;
    ck_hv_ok(hv_incarnation_newest(&chain, "orders", 1, &read, &err));
    ck_assert_uint_eq(read.incarnation, 1);
    ck_assert(store.durable);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("incarnation");

    tcase_add_test(tests, a_record_that_is_read_is_durable);
    return ck_hv_run("incarnation", tests);
}
