/* hubvault segments HUB [PARTITION]: the blobs that hold a hub, in the order of their offsets. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/pick.h"
#include "common/clock.h"
#include "segment/names.h"
#include "server/vault.h"

static const hv_column columns[] = {
    {.name = "hub", .json_only = true},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "partition", .type = HV_OUT_NUMBER, .heading = "PART."},
    {.name = "first_offset", .type = HV_OUT_NUMBER, .heading = "FIRST"},
    {.name = "end_offset", .type = HV_OUT_NUMBER, .heading = "END"},
    {.name = "class"},
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER, .heading = "GAPS"},
    {.name = "stored_bytes", .type = HV_OUT_SIZE, .heading = "STORED"},
    {.name = "blocks", .type = HV_OUT_NUMBER},
    {.name = "codec", .json_only = true},
    {.name = "oldest", .type = HV_OUT_TIME},
    {.name = "newest", .type = HV_OUT_TIME},
    {.name = "sealed", .type = HV_OUT_TIME},
    {.name = "sha256", .json_only = true},
    {.name = "name", .json_only = true},
};

typedef struct wanted {
    int64_t number;                     /* of the partition; -1: all */
    int64_t from_offset, to_offset;
    bool by_time;
    int64_t from_ms, to_ms;
} wanted;

static void
put_segment(hv_out *out, const hv_partition *partition, const hv_index_cut *cut, const hv_index_segment *segment)
{
    char hash[HV_SHA256_TEXT_SIZE];
    int64_t gaps = 0;

    for (size_t i = 0; segment->is_lead && i < cut->gap_count; i++)
        gaps += cut->gaps[i].range.end - cut->gaps[i].range.first;
    for (size_t i = 0; i < segment->missing_count; i++)
        gaps += segment->missing[i].range.end - segment->missing[i].range.first;
    hv_sha256_text(segment->sha256, hash);
    hv_blob_name name = segment->is_lead ? hv_name_of_lead(partition, cut->range.first)
                                         : hv_name_of_sibling(partition, cut->range.first, segment->class_name);
    hv_out_text(out, partition->hub);
    hv_out_number(out, partition->incarnation);
    hv_out_number(out, partition->number);
    hv_out_number(out, cut->range.first);
    hv_out_number(out, cut->range.end);
    hv_out_text(out, segment->class_name);
    hv_out_number(out, segment->count);
    hv_out_number(out, gaps);
    hv_out_number(out, (int64_t)segment->size);
    hv_out_number(out, (int64_t)segment->block_count);
    hv_out_text(out, hv_codec_name((hv_codec)segment->codec));
    if (segment->count > 0) {
        hv_out_number(out, segment->min_timestamp_ms);
        hv_out_number(out, segment->max_timestamp_ms);
    } else {
        hv_out_absent(out);
        hv_out_absent(out);
    }
    hv_out_number(out, segment->created_ms);
    hv_out_text(out, hash);
    hv_out_text(out, name.text);
    hv_out_row_end(out);
}

static bool
overlaps(const hv_index_segment *segment, const wanted *want)
{
    if (!want->by_time)
        return true;
    return segment->count > 0 && segment->max_timestamp_ms >= want->from_ms &&
           (segment->min_timestamp_ms < want->to_ms || want->to_ms == INT64_MAX);
}

static hv_rc
put_partition(hv_out *out, hv_index *index, const hv_partition *partition, const wanted *want, hv_err *err)
{
    int64_t at = want->from_offset;

    for (;;) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = {0};
        hv_rc rc = want->by_time ? hv_index_find_time(index, partition, at, want->from_ms, want->to_ms, &cut, err)
                                 : hv_index_find_offset(index, partition, at, &cut, err);
        if (rc == HV_NOT_FOUND || (rc == HV_OK && cut.range.first >= want->to_offset))
            return HV_OK;
        if (rc != HV_OK)
            return rc;
        for (size_t i = 0; i < cut.segment_count; i++)
            if (overlaps(&cut.segments[i], want))
                put_segment(out, partition, &cut, &cut.segments[i]);
        at = cut.range.end;
    }
}

static hv_rc
parse(const hv_cli *cli, wanted *want, hv_err *err)
{
    const char *number = hv_args_value(cli->args, 1);
    int64_t now = hv_clock_wall_ms();

    *want = (wanted){.number = -1, .to_offset = INT64_MAX, .from_ms = INT64_MIN, .to_ms = INT64_MAX};
    hv_rc rc = number != NULL ? hv_args_parse_number(number, "PARTITION", 0, INT32_MAX, &want->number, err) : HV_OK;
    if (rc == HV_OK)
        rc = hv_args_number(cli->args, "--from-offset", 0, INT64_MAX, &want->from_offset, err);
    if (rc == HV_OK)
        rc = hv_args_number(cli->args, "--to-offset", 0, INT64_MAX, &want->to_offset, err);
    if (rc == HV_OK)
        rc = hv_args_time(cli->args, "--from", now, &want->from_ms, err);
    if (rc == HV_OK)
        rc = hv_args_time(cli->args, "--to", now, &want->to_ms, err);
    want->by_time = hv_args_has(cli->args, "--from") || hv_args_has(cli->args, "--to");
    return rc;
}

static hv_rc
put_all(hv_cli *cli, hv_index *index, const char *hub, const wanted *want, hv_err *err)
{
    hv_index_partition_facts *facts = NULL;
    size_t count;
    uint32_t incarnation;
    bool found = want->number < 0;

    hv_rc rc = hv_pick_incarnation(index, hub, cli->args, &incarnation, err);
    if (rc == HV_OK)
        rc = hv_index_partitions(index, hub, &facts, &count, err);
    if (rc != HV_OK)
        return rc;
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count && rc == HV_OK; i++) {
        const hv_partition *partition = &facts[i].partition;
        if (partition->incarnation != incarnation || (want->number >= 0 && partition->number != want->number))
            continue;
        found = true;
        rc = put_partition(cli->out, index, partition, want, err);
    }
    free(facts);
    if (rc == HV_OK && !found)
        return hv_err_set(err, HV_NOT_FOUND, "nothing of partition %" PRId64 " of hub '%s' is in the vault", want->number, hub);
    return rc;
}

hv_rc
hv_cmd_segments(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    wanted want;

    hv_rc rc = parse(cli, &want, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, 0, &vault, err);
    return rc == HV_OK ? put_all(cli, vault->index, hv_args_value(cli->args, 0), &want, err) : rc;
}
