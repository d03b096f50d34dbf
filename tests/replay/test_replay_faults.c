/*
 * Every read of the store and every call of LMDB that a replay makes fails in turn. It delivers everything exactly, or ends with an error
 * that names the thing; never less without a word. Whatever it ended with, what it delivered is what comes first, and the cursor goes on
 * right behind it.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>

#include "replay/replay.h"
#include "storage/drivers.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/lmdb_faults.h"
#include "tests/replay/vault_builder.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static vault_builder vault;
static hv_partition places[3];
static keeping_sink sink;
static kept_events wanted[2];           /* the whole, by offset and by time */

enum { EVENTS = 24, BY_TIME = 1 };

static int
by_time(const void *a, const void *b)
{
    const kept_event *left = a, *right = b;

    if (left->event.timestamp_ms != right->event.timestamp_ms)
        return left->event.timestamp_ms < right->event.timestamp_ms ? -1 : 1;
    return hv_partition_compare(&left->partition, &right->partition);
}

/* Two classes, gaps, cuts of 8 and blocks of 3. Times ascend, so that both orders are known. */
static void
make_vault(void)
{
    vault_open(&vault);
    places[0] = vault_partition("orders", 1, 0);
    places[1] = vault_partition("orders", 1, 1);
    places[2] = vault_partition("sale", 1, 0);
    vault_incarnation(&vault, "orders", 1, "");
    vault_incarnation(&vault, "sale", 1, "");
    for (int64_t p = 0; p < 3; p++)
        for (int64_t offset = 0; offset < EVENTS; offset++) {
            char text[64];
            hv_event event = {.offset = offset, .timestamp_ms = 1000 * offset + p, .timestamp_type = HV_TIMESTAMP_CREATE};
            (void)snprintf(text, sizeof text, "%d %d", (int)p, (int)offset);
            event.value = hv_slice_text(text);
            if (p == 1 && offset % 8 == 5)
                vault_gap(&vault, &places[p], (hv_gap){.range = {.first = offset, .end = offset + 1}, .cause = HV_GAP_COMPACTION});
            else
                vault_add(&vault, &places[p], &event, p == 0 && offset % 3 == 0 ? "personal" : NULL);
            if (offset % 8 == 7)
                vault_seal(&vault, &places[p], &(vault_seal_config){.events_per_block = 3});
        }
    wanted[0] = wanted[BY_TIME] = (kept_events){.items = NULL};
    for (size_t i = 0; i < vault.events.count; i++)
        for (int order = 0; order < 2; order++)
            kept_add(&wanted[order], &vault.events.items[i].partition, &vault.events.items[i].event, NULL);
    qsort(wanted[BY_TIME].items, wanted[BY_TIME].count, sizeof *wanted[BY_TIME].items, by_time);
    sink = keeping_sink_make();
}

static void
close_vault(void)
{
    (void)lmdb_faults_end();
    keeping_sink_clear(&sink);
    for (int order = 0; order < 2; order++)
        kept_clear(&wanted[order]);
    vault_close(&vault);
}

static void
forget_delivered(void)
{
    keeping_sink_clear(&sink);
    sink = keeping_sink_make();
}

static hv_replay_request
request_of(int order)
{
    static const char *const all[] = {"*"};

    return (hv_replay_request){.hubs = all, .hub_count = 1, .order = order == BY_TIME ? HV_REPLAY_BY_TIME : HV_REPLAY_BY_OFFSET};
}

static hv_rc
open_over(hv_storage *storage, const hv_replay_request *request, hv_replay **ret)
{
    hv_replay_config config = {.index = vault.index, .storage = storage, .vault = TEST_VAULT, .threads = 2, .run_bytes = 1};

    return hv_replay_open(&config, request, ret, &err);
}

/* The rest, by the cursor, with healthy parts: both together are the whole. */
static void
expect_the_rest(const hv_replay *broken, int order)
{
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    HV_AUTO(hv_replay_close) hv_replay *rest = NULL;
    hv_replay_request request = request_of(order);

    ck_assert(hv_replay_facts_of(broken)->flushed);
    ck_hv_ok(hv_replay_cursor(broken, &cursor, &err));
    request.cursor = hv_buf_slice(&cursor);
    ck_hv_ok(open_over(vault.storage, &request, &rest));
    ck_hv_ok(hv_replay_run(rest, &sink.base, &err));
    kept_expect_equal(&sink.events, &wanted[order]);
}

/* What the replay in the middle of a fault has come to. */
static void
judge(hv_replay *replay, hv_rc rc, int order, const char *names, const char *what)
{
    if (rc == HV_OK) {
        kept_expect_equal(&sink.events, &wanted[order]);
        return;
    }
    ck_assert_msg(strstr(err.msg, names) != NULL, "%s: '%s' does not name the thing", what, err.msg);
    expect_the_rest(replay, order);
}

static const struct store_way {
    hv_rc fails_with, ends_with;        /* HV_OK: it is got over */
    unsigned calls;
} store_ways[] = {
    {HV_UNAVAILABLE, HV_OK, 1},
    {HV_IO, HV_OK, 2},
    {HV_AUTH, HV_AUTH, 1},
    {HV_NOMEM, HV_NOMEM, 1},
    {HV_NOT_FOUND, HV_CORRUPT, 1},      /* the index knows it, so it is lost */
    {HV_CORRUPT, HV_CORRUPT, UINT32_MAX},
    {HV_AUTH, HV_AUTH, UINT32_MAX},
    {HV_INTERNAL, HV_INTERNAL, 1},
};
enum { STORE_WAYS = sizeof store_ways / sizeof *store_ways };

START_TEST(each_failing_read_of_the_store_is_got_over_or_ends_the_replay_with_the_name_of_the_segment)
{
    const struct store_way *way = &store_ways[_i / 2];
    int order = _i % 2;
    hv_replay_request request = request_of(order);
    unsigned call;

    for (call = 0;; call++) {
        hv_storage_fault_config config = {.inner = vault.storage, .fail_call = call, .fail_calls = way->calls, .fail_with = way->fails_with};
        HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
        HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
        char what[64];
        (void)snprintf(what, sizeof what, "call %u with %s", call, hv_rc_name(way->fails_with));
        ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
        ck_hv_ok(open_over(faulty, &request, &replay));
        hv_rc rc = hv_replay_run(replay, &sink.base, &err);
        bool fired = hv_storage_fault_fired(faulty);
        judge(replay, rc, order, "segments/hub=", what);
        forget_delivered();
        if (!fired)
            break;
        ck_assert_msg(rc == way->ends_with, "%s gave %s: %s", what, hv_rc_name(rc), rc == HV_OK ? "" : err.msg);
    }
    ck_assert_uint_gt(call, 20);
}
END_TEST

static const struct index_way {
    int error;
    hv_rc ends_with;
} index_ways[] = {{EIO, HV_IO}, {ENOMEM, HV_NOMEM}, {MDB_CORRUPTED, HV_CORRUPT}, {MDB_READERS_FULL, HV_LIMIT}};
enum { INDEX_WAYS = sizeof index_ways / sizeof *index_ways };

START_TEST(each_failing_call_of_the_index_ends_the_replay_with_its_name)
{
    const struct index_way *way = &index_ways[_i / 2];
    int order = _i % 2;
    hv_replay_request request = request_of(order);
    bool fired = true;
    long call;

    for (call = 0; fired; call++) {
        HV_AUTO(hv_replay_close) hv_replay *replay = NULL;
        char what[64];
        (void)snprintf(what, sizeof what, "call %ld of LMDB", call);
        lmdb_faults_begin(LMDB_ALL_THREADS, call, way->error, false);
        hv_rc rc = open_over(vault.storage, &request, &replay);
        bool opened = rc == HV_OK;
        if (opened)
            rc = hv_replay_run(replay, &sink.base, &err);
        fired = lmdb_faults_end();
        ck_assert_msg(rc == (fired ? way->ends_with : HV_OK), "%s gave %s: %s", what, hv_rc_name(rc), rc == HV_OK ? "" : err.msg);
        if (opened)
            judge(replay, rc, order, "index", what);
        else
            ck_assert(strstr(err.msg, "index") != NULL && sink.events.count == 0);
        forget_delivered();
    }
    ck_assert_int_gt(call, 30);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay faults");

    scratch_dir_use_memory();
    tcase_add_checked_fixture(tests, make_vault, close_vault);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_failing_read_of_the_store_is_got_over_or_ends_the_replay_with_the_name_of_the_segment, 0, 2 * STORE_WAYS);
    tcase_add_loop_test(tests, each_failing_call_of_the_index_ends_the_replay_with_its_name, 0, 2 * INDEX_WAYS);
    return ck_hv_run("replay faults", tests);
}
