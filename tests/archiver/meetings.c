#include "tests/archiver/meetings.h"

#include <unistd.h>

#include "segment/names.h"

static void
run_ok(rig *r)
{
    hv_err err;

    ck_hv_ok(rig_run_once(r, NULL, &err));
}

static void
lose_the_last_sibling(rig *r)
{
    HV_AUTO(hv_blob_list_free) hv_blob_list list = {0};
    hv_partition partition;
    hv_err err;

    ck_hv_ok(hv_partition_make(RIG_HUB, 1, 0, &partition, &err));
    hv_blob_name prefix = hv_prefix_of_partition(&partition);
    ck_hv_ok(r->storage->ops->list(r->storage, &(hv_list_request){.prefix = prefix.text, .max = 1000}, &list, &err));
    ck_assert_uint_gt(list.count, 1);
    const char *last = list.entries[list.count - 1].name;
    ck_assert_int_eq(hv_name_parse(last).kind, HV_NAME_SIBLING);
    ck_hv_ok(r->storage->ops->delete_version(r->storage, last, "", &err));
}

hv_storage *
meeting_setup(rig *r, meeting which, late_store *late)
{
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = -1});
    r->config.classify = rig_three_classes;
    r->config.max_bytes = 3000;
    r->config.block_bytes = 2000;
    r->config.uploaders = r->config.workers = 1;
    r->config.discovery_ms = 20;
    r->config.retry_ms = 1;
    rig_produce(r, 1, 0, 5);
    rig_skip(r, 1, 0, 2, 'x');
    rig_produce(r, 1, 0, 23);
    rig_produce(r, 1, 1, 3);
    if (which == MEET_NEW_HUB)
        return r->storage;
    run_ok(r);
    if (which == MEET_INCOMPLETE_CUT)
        lose_the_last_sibling(r);
    if (which != MEET_LATER_EVENTS)
        rig_lose_disk(r);
    rig_produce(r, 1, 0, 9);
    rig_produce(r, 1, 1, 2);
    if (which != MEET_RIVAL)
        return r->storage;
    r->config.max_bytes = 64 << 10;
    r->config.classify = NULL;
    late_store_make(late, r->storage);
    return &late->base;
}

static bool
is_captured(rig *r)
{
    for (uint32_t incarnation = 1; incarnation <= 2; incarnation++)
        for (int32_t p = 0; p < 2; p++)
            if (rig_position(r, incarnation, p) < r->log[incarnation - 1][p].end)
                return false;
    return true;
}

static void
wait_until_captured(rig *r, const char *what)
{
    for (int i = 0; i < 5000 && !is_captured(r); i++)
        usleep(2000);
    ck_assert_msg(is_captured(r), "%s: capture did not go on: %s", what, r->last_text);
}

void
meeting_run_on(rig *r, hv_storage *store, void (*meanwhile)(rig *r), void (*end_faults)(void), const char *what)
{
    hv_archiver *archiver = NULL;
    hv_err err;

    r->config.sources = &r->source;
    r->config.storage = store;
    r->config.once = false;
    r->config.max_age_ms = 10;
    memset(r->reports, 0, sizeof r->reports);
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    wait_until_captured(r, what);
    if (meanwhile != NULL) {
        meanwhile(r);
        wait_until_captured(r, what);
    }
    end_faults();
    hv_archiver_stop(archiver);
    hv_rc rc = hv_archiver_join(archiver, NULL, &err);
    ck_assert_msg(rc == HV_OK, "%s: %s: %s", what, hv_rc_name(rc), err.msg);
    ck_assert_msg(r->reports[HV_ARCHIVER_STOPPED] == 0, "%s: a partition was stopped: %s", what, r->last_text);
    rig_check_all_captured(r);
}

void
meeting_finish(rig *r)
{
    rig_reopen_index(r);
    rig_check(r);
    run_ok(r);
    rig_check_all_captured(r);
    rig_lose_disk(r);
    run_ok(r);
    rig_check_all_captured(r);
}
