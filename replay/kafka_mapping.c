/*
 * Delivery reports give the offset of each event. A service that takes a repeated batch for a duplicate may answer without one; then
 * the transaction is given up, and the events are sent again by the next run.
 */
#include "replay/kafka_mapping.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/array.h"

void
hv_kafka_mapping_clear(hv_kafka_mapping *mapping)
{
    free(mapping->sent);
    *mapping = (hv_kafka_mapping){.map = NULL};
}

/* ---- begin ---- */

/* Where the target partitions end now. One request per leader; isolation read_committed: the last stable offset. */
static hv_rc
ask_ends(hv_kafka_client *group, hv_mapped_source *sources, size_t count, int timeout_ms, hv_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    hv_rc rc = HV_OK;

    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_partition_list_find(list, sources[i].topic, sources[i].to) == NULL)
            rd_kafka_topic_partition_list_add(list, sources[i].topic, sources[i].to)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = list->cnt > 0 ? rd_kafka_offsets_for_times(group->rk, list, timeout_ms) : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t i = 0; rc == HV_OK && i < count; i++) {
        const rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_find(list, sources[i].topic, sources[i].to);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = entry->err;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            rc = hv_err_set(err, hv_kafka_client_rc(code), "ask where partition %" PRId32 " of topic '%s' ends: %s", sources[i].to,
                            sources[i].topic, rd_kafka_err2str(code));
        sources[i].begin = entry->offset > 0 ? entry->offset : 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static hv_rc
fill_sources(hv_kafka_targets *targets, const hv_sink_start *start, hv_mapped_source *sources, int64_t *next,
             hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < start->source_count; i++) {
        hv_kafka_target *target;
        sources[i] = (hv_mapped_source){.from = start->sources[i].partition, .first = start->sources[i].next};
        rc = hv_kafka_targets_find(targets, &sources[i].from, &target, &next[i], err);
        if (rc != HV_OK)
            break;
        memcpy(sources[i].topic, target->topic, sizeof sources[i].topic);
        sources[i].to = target->partition;
    }
    return rc;
}

hv_rc
hv_kafka_mapping_begin(hv_kafka_mapping *mapping, hv_kafka_targets *targets, hv_kafka_client *group, const hv_sink_start *start,
                       const char *id, bool exact, int timeout_ms, hv_err *err)
{
    hv_mapped_source *sources = calloc(start->source_count + 1, sizeof *sources);
    int64_t *next = calloc(start->source_count + 1, sizeof *next);
    hv_offset_map_head head = {.finished = false};

    hv_rc rc = sources != NULL && next != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for an offset map");
    if (rc == HV_OK)
        rc = fill_sources(targets, start, sources, next, err);
    if (rc == HV_OK)
        rc = ask_ends(group, sources, start->source_count, timeout_ms, err);
    if (rc == HV_OK) {
        (void)snprintf(head.vault, sizeof head.vault, "%s", start->vault);
        (void)snprintf(head.id, sizeof head.id, "%s", id);
        memcpy(head.request, start->request, sizeof head.request);
        rc = hv_offset_map_begin(mapping->map, &head, sources, next, start->source_count, hv_kafka_targets_sent_before(targets), exact, err);
    }
    free(sources);
    free(next);
    return rc;
}

/* ---- events ---- */

static hv_rc
need_source(hv_kafka_mapping *mapping, const hv_partition *from, const hv_kafka_target *target, int64_t old_offset, uint32_t *ret,
            hv_err *err)
{
    hv_rc rc = hv_offset_map_find_source(mapping->map, from, ret, err);
    hv_mapped_source joined = {.from = *from, .to = target->partition, .first = old_offset};

    if (rc != HV_NOT_FOUND)
        return rc;
    memcpy(joined.topic, target->topic, sizeof joined.topic);
    rc = hv_offset_map_add_source(mapping->map, &joined, err);
    return rc == HV_OK ? hv_offset_map_find_source(mapping->map, from, ret, err) : rc;
}

hv_rc
hv_kafka_mapping_sending(hv_kafka_mapping *mapping, const hv_partition *from, const hv_kafka_target *target, int64_t old_offset,
                         size_t *ret, hv_err *err)
{
    hv_kafka_sent sent = {.old_offset = old_offset, .new_offset = -1};
    hv_rc rc = need_source(mapping, from, target, old_offset, &sent.source, err);

    if (rc != HV_OK)
        return rc;
    if (!hv_array_room(&mapping->sent, mapping->count, &mapping->room, sizeof *mapping->sent))
        return hv_err_set(err, HV_NOMEM, "no memory for the offsets of %zu events", mapping->count + 1);
    *ret = mapping->count;
    mapping->sent[mapping->count++] = sent;
    return HV_OK;
}

hv_rc
hv_kafka_mapping_write(hv_kafka_mapping *mapping, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < mapping->count; i++) {
        const hv_kafka_sent *sent = &mapping->sent[i];
        if (sent->new_offset < 0)
            return hv_err_set(err, HV_UNAVAILABLE, "the service did not say which offset the event of offset %" PRId64 " got",
                              sent->old_offset);
        rc = hv_offset_map_add(mapping->map, sent->source, sent->old_offset, sent->new_offset, err);
    }
    mapping->count = 0;
    return rc == HV_OK ? hv_offset_map_write(mapping->map, err) : rc;
}
