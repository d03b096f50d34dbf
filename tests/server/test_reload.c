/* The configuration is read again while everything runs. */
#include "server/reload.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"
#include "tests/harness/scratch_dir.h"

enum { PATIENCE_MS = 60000 };

static scratch_dir dir;
static mock_broker *broker;
static hv_options options;
static hv_log *log_;
static char *printed;
static size_t printed_len;
static FILE *to;
static atomic_bool stop;
static atomic_uint reloads;
static atomic_int reads;
static const char *include, *age;       /* what the configuration says next; changed only when nobody reads */
static hv_rc fails;

static void
set(hv_options *what, const char *name, const char *value)
{
    hv_err err;

    ck_hv_ok(hv_options_set(what, name, value, &(hv_option_place){.layer = HV_OPTION_FROM_FILE, .where = "the test"}, &err));
}

static void
fill_options(hv_options *what)
{
    char path[400];

    hv_options_init(what);
    snprintf(path, sizeof path, "%s/vault", dir.path);
    set(what, "store.dir", path);
    snprintf(path, sizeof path, "%s/index", dir.path);
    set(what, "index.dir", path);
    set(what, "source.bootstrap", mock_broker_bootstrap(broker));
    set(what, "source.discovery-interval", "1d");
    set(what, "archiver.snapshot-interval", "0s");      /* listing groups leaks in librdkafka 2.0.2 */
    set(what, "source.include", include);
    set(what, "segment.max-age", age);
}

static hv_rc
read_options(void *arg, hv_options *ret, hv_err *err)
{
    hv_options made;

    (void)arg;
    if (fails != HV_OK) {
        atomic_fetch_add(&reads, 1);
        return hv_err_set(err, fails, "hubvault.conf:1:2: no");
    }
    fill_options(&made);
    ck_assert_int_eq(hv_options_complete(&made, HV_NEED_STORE | HV_NEED_INDEX | HV_NEED_SOURCE, err), HV_OK);
    *ret = made;
    atomic_fetch_add(&reads, 1);
    return HV_OK;
}

static void *
run(void *arg)
{
    hv_service_config config = {.options = &options, .log = log_, .stop = &stop, .reloads = &reloads, .read_options = read_options};
    hv_archiver_totals totals;
    hv_err err;

    (void)arg;
    ck_hv_ok(hv_service_run(&config, &totals, &err));
    return NULL;
}

static void
setup(void)
{
    hv_err err;

    dir = scratch_dir_make();
    broker = mock_broker_start(1);
    mock_broker_topic(broker, "orders", 2);
    mock_broker_topic(broker, "sales", 2);
    include = "orders";
    age = "1h";
    fails = HV_OK;
    atomic_store(&stop, false);
    atomic_store(&reloads, 0);
    atomic_store(&reads, 0);
    fill_options(&options);
    ck_hv_ok(hv_options_complete(&options, HV_NEED_STORE | HV_NEED_INDEX | HV_NEED_SOURCE, &err));
    to = open_memstream(&printed, &printed_len);
    ck_hv_ok(hv_log_new(&(hv_log_config){.to = to, .level = HV_LOG_INFO}, &log_, &err));
}

static void
teardown(void)
{
    hv_log_free(log_);
    fclose(to);
    free(printed);
    hv_options_clear(&options);
    mock_broker_stop(broker);
    scratch_dir_remove(&dir);
}

static bool
is_said(const char *text)
{
    flockfile(to);                      /* a memstream's text is what its last flush left */
    bool found = printed != NULL && strstr(printed, text) != NULL;
    funlockfile(to);
    return found;
}

static void
wait_for(const char *text)
{
    for (int ms = 0; ms < PATIENCE_MS && !is_said(text); ms += 10)
        usleep(10000);
    ck_assert_msg(is_said(text), "waited in vain for '%s'", text);
}

static void
reload(void)
{
    int before = atomic_load(&reads);

    atomic_fetch_add(&reloads, 1);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&reads) == before; ms += 5)
        usleep(5000);
    ck_assert_int_eq(atomic_load(&reads), before + 1);
}

START_TEST(settings_change_again_and_again_under_a_running_archiver)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
    wait_for("event=ready");
    for (int i = 0; i < 20; i++) {
        include = i % 2 == 0 ? "orders,sales" : "orders,s*";
        age = i % 2 == 0 ? "30m" : "40m";
        reload();
        mock_broker_fill(broker, "orders", i % 2, 20, 200);
    }
    wait_for("hub=sales");
    age = "1s";
    reload();
    wait_for("event=cut-sealed");
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    ck_assert(!is_said("event=reload-refused"));
    ck_assert(is_said("event=option-changed msg=\"option has another value from now on\" option=source.include old=orders new=\"orders,sales\""));
}
END_TEST

START_TEST(a_refusal_is_counted_and_the_next_success_is_too)
{
    hv_service_config service = {.options = &options, .log = log_, .reloads = &reloads, .read_options = read_options};
    HV_AUTO(hv_reload_free) hv_reload *made = NULL;
    hv_err err;

    ck_hv_ok(hv_reload_new(&(hv_reload_config){.service = &service}, &made, &err));
    ck_assert(!hv_reload_is_due(made));
    ck_assert_int_eq(hv_reload_facts_read(made).last_wall_ms, 0);
    atomic_fetch_add(&reloads, 1);
    ck_assert(hv_reload_is_due(made));
    fails = HV_USAGE;
    hv_reload_do(made, NULL);
    ck_assert(!hv_reload_is_due(made));
    hv_reload_facts facts = hv_reload_facts_read(made);
    ck_assert_int_eq(facts.done, 0);
    ck_assert_int_eq(facts.refused, 1);
    ck_assert(facts.last_refused);
    ck_assert_int_gt(facts.last_wall_ms, 0);
    ck_assert(is_said("event=reload-refused msg=\"configuration cannot be read again, and everything stays as it was\" "
                      "error=\"hubvault.conf:1:2: no\""));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("reload");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, settings_change_again_and_again_under_a_running_archiver);
    tcase_add_test(tests, a_refusal_is_counted_and_the_next_success_is_too);
    return ck_hv_run("reload", tests);
}
