/* What a replay says: a bar while it runs, facts and cursor at its end. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "cli/replay_cli.h"

static bool
is_stopped(void *arg)
{
    return atomic_load(((hv_replay_report *)arg)->stop);
}

static void
show_bar(void *arg, const hv_replay_facts *facts)
{
    hv_replay_report *report = arg;
    int64_t elapsed = hv_progress_elapsed_ms(&report->progress);
    char live[64] = "";

    if (facts->live_events > 0)
        (void)snprintf(live, sizeof live, ", %" PRId64 " of them live", facts->live_events);
    hv_progress_show(&report->progress, facts->done, facts->live_events > 0 ? 0 : facts->total,
                     "%" PRId64 " events, %" PRId64 " per second%s",
                     facts->events_sent, elapsed > 0 ? facts->events_sent * 1000 / elapsed : 0, live);
}

static void
tell_damage(void *arg, const char *message)
{
    hv_replay_report *report = arg;

    hv_progress_clear(&report->progress);
    fprintf(report->cli->notes, "skipped: %s\n", message);
}

static void
tell_lost(void *arg, const hv_partition *partition, const hv_gap *gap)
{
    hv_replay_report *report = arg;

    hv_progress_clear(&report->progress);
    fprintf(report->cli->notes, "lost: offsets %" PRId64 " to %" PRId64 " of partition %" PRId32 " of '%s': %s\n", gap->range.first,
            gap->range.end - 1, partition->number, partition->hub, hv_gap_cause_text(gap->cause));
}

hv_replay_observer
hv_replay_report_observer(hv_replay_report *report)
{
    return (hv_replay_observer){.arg = report, .stopped = is_stopped, .progress = show_bar, .damaged = tell_damage,
                                .lost = tell_lost};
}

static const hv_column columns[] = {
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "live", .type = HV_OUT_NUMBER},
    {.name = "finished", .type = HV_OUT_YES_NO},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "blocks", .type = HV_OUT_NUMBER},
    {.name = "bytes_read", .type = HV_OUT_SIZE, .heading = "READ"},
    {.name = "gaps", .type = HV_OUT_NUMBER},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER},
    {.name = "skipped_blocks", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "skipped_events", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "lost_offsets", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "nulls_left_out", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "uncaptured_partitions", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "duration", .type = HV_OUT_DURATION, .heading = "TOOK"},
    {.name = "cursor", .json_only = true},
};

static void
put_facts(hv_out *out, const hv_replay_report *report, const hv_replay_facts *facts, const hv_sink_facts *sink,
          const hv_buf *cursor)
{
    hv_out_table(out, columns, sizeof columns / sizeof *columns);
    hv_out_number(out, facts->events_sent);
    hv_out_number(out, facts->live_events);
    hv_out_number(out, facts->finished);
    hv_out_number(out, facts->partitions);
    hv_out_number(out, facts->segments);
    hv_out_number(out, facts->blocks);
    hv_out_number(out, (int64_t)facts->bytes_read);
    hv_out_number(out, facts->gaps);
    hv_out_number(out, facts->gap_offsets);
    hv_out_number(out, facts->damaged_blocks);
    hv_out_number(out, facts->damaged_events);
    hv_out_number(out, facts->lost_offsets);
    hv_out_number(out, sink->skipped_nulls);
    hv_out_number(out, facts->uncaptured);
    hv_out_number(out, hv_progress_elapsed_ms(&report->progress));
    if (cursor->len > 0)
        hv_out_text(out, cursor->data);
    else
        hv_out_absent(out);
    hv_out_row_end(out);
}

/* For eyes: what is unusual, in words, and the cursor. */
static void
say_rest(hv_out *out, const hv_replay_facts *facts, const hv_sink_facts *sink, const hv_buf *cursor)
{
    if (sink->skipped_nulls > 0)
        hv_out_say(out, "%" PRId64 " events without a value were left out", sink->skipped_nulls);
    if (facts->uncaptured > 0)
        hv_out_say(out, "%" PRId64 " partitions are not captured up to the end of that range yet", facts->uncaptured);
    if (cursor->len > 0)
        hv_out_say(out, "cursor: %s", cursor->data);
}

/* Beside the old file first, so that a crash leaves the one or the other. */
static hv_rc
write_cursor_file(const char *path, const hv_buf *cursor, hv_err *err)
{
    char beside[4096];
    int len = snprintf(beside, sizeof beside, "%s.new", path);
    FILE *file = len > 0 && (size_t)len < sizeof beside ? fopen(beside, "we") : NULL;

    if (file == NULL)
        return hv_err_set(err, HV_IO, "cannot write '%s.new': %s", path, strerror(errno));
    bool written = fprintf(file, "%s\n", cursor->data) > 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int error = errno;
    if (fclose(file) != 0 || !written)
        return hv_err_set(err, error == ENOSPC || error == EDQUOT ? HV_LIMIT : HV_IO, "cannot write '%s': %s", beside,
                          strerror(error));
    if (rename(beside, path) != 0)
        return hv_err_set(err, HV_IO, "cannot rename '%s': %s", beside, strerror(errno));
    return HV_OK;
}

hv_rc
hv_replay_report_end(hv_replay_report *report, hv_replay *replay, const hv_replay_target *target, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    const hv_replay_facts *facts = hv_replay_facts_of(replay);
    const char *path = hv_args_text(report->cli->args, "--cursor-file");
    hv_out notes, *out = report->cli->out;
    hv_rc rc = HV_OK;

    hv_progress_clear(&report->progress);
    if (facts->flushed)
        rc = hv_replay_cursor(replay, &cursor, err);
    if (rc == HV_OK && path != NULL && facts->flushed)
        rc = write_cursor_file(path, &cursor, err);
    if (target->is_stdout) {
        hv_out_start(&notes, report->cli->notes, out->json);
        out = &notes;
    }
    put_facts(out, report, facts, &target->sink->facts, &cursor);
    say_rest(out, facts, &target->sink->facts, &cursor);
    hv_err unseen;                      /* what cannot be written to standard error cannot be told there either */
    if (target->is_stdout)
        (void)!hv_out_finish(&notes, &unseen);
    return rc;
}

static const hv_column forecast_columns[] = {
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "blocks", .type = HV_OUT_NUMBER},
    {.name = "requests", .type = HV_OUT_NUMBER},
    {.name = "bytes", .type = HV_OUT_SIZE, .heading = "TO READ"},
    {.name = "events_min", .type = HV_OUT_NUMBER, .heading = "EVENTS AT LEAST"},
    {.name = "events_max", .type = HV_OUT_NUMBER, .heading = "AT MOST"},
    {.name = "gaps", .type = HV_OUT_NUMBER},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER},
};

void
hv_replay_report_forecast(const hv_cli *cli, const hv_replay_forecast *forecast)
{
    hv_out_table(cli->out, forecast_columns, sizeof forecast_columns / sizeof *forecast_columns);
    hv_out_number(cli->out, forecast->partitions);
    hv_out_number(cli->out, forecast->segments);
    hv_out_number(cli->out, forecast->blocks);
    hv_out_number(cli->out, forecast->gets);
    hv_out_number(cli->out, (int64_t)forecast->bytes);
    hv_out_number(cli->out, forecast->events_min);
    hv_out_number(cli->out, forecast->events_max);
    hv_out_number(cli->out, forecast->gaps);
    hv_out_number(cli->out, forecast->gap_offsets);
    hv_out_row_end(cli->out);
}
