/* A service that is told to stop before it has begun to capture. */
#include <stdio.h>

#include "server/service.h"
#include "tests/archiver/vault_maker.h"

static vault_maker maker;
static hv_options options;
static char store[320], index_dir[320];

static void
setup(void)
{
    const hv_option_place place = {.layer = HV_OPTION_FROM_FILE, .where = "the test"};
    hv_err err;

    maker_setup(&maker, true);
    snprintf(store, sizeof store, "%s/vault", maker.dir.path);
    snprintf(index_dir, sizeof index_dir, "%s/lost", maker.dir.path);
    hv_options_init(&options);
    options.store_dir = store;
    options.index_dir = index_dir;
    ck_hv_ok(hv_options_set(&options, "source.bootstrap", "127.0.0.1:1", &place, &err));
    hv_partition partition = maker_partition("orders", 1, 0);
    maker_claim(&maker, "orders", 1);
    maker_plain_cut(&maker, &partition, 0, 10);
}

static void
teardown(void)
{
    hv_options_clear(&options);
    maker_teardown(&maker);
}

START_TEST(told_to_stop_while_a_lost_index_is_rebuilt_it_ends_well)
{
    HV_AUTO(hv_log_free) hv_log *log = NULL;
    hv_log_config quiet = {.level = HV_LOG_ERROR, .to = stderr};
    atomic_bool stop = true;
    hv_archiver_totals totals = {.events = 1};
    hv_err err;

    ck_hv_ok(hv_log_new(&quiet, &log, &err));
    hv_service_config config = {.options = &options, .log = log, .stop = &stop};
    ck_hv_ok(hv_service_run(&config, &totals, &err));
    ck_assert_int_eq(totals.events, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("rebuild");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, told_to_stop_while_a_lost_index_is_rebuilt_it_ends_well);
    return ck_hv_run("service stop", tests);
}
