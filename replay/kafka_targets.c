/*
 * Three sorted or short lists: topics that were asked for, targets, and sources with their positions. A target that several sources
 * go to carries the positions of all of them in each commit, because a commit replaces what was committed before.
 *
 * Positions are read with isolation read_committed: librdkafka then asks for stable offsets, so a transaction that an earlier run
 * left open, and that the service is about to abort, is waited for and not taken for an answer.
 */
#include "replay/kafka_targets.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/array.h"

typedef struct known_topic {
    char name[HV_HUB_SIZE];
    rd_kafka_topic_t *handle;           /* of the producer */
    int32_t partitions;
} known_topic;

typedef struct source {
    hv_partition from;
    size_t target;
    int64_t next;
} source;

struct hv_kafka_targets {
    hv_kafka_targets_config config;
    known_topic *topics;
    size_t topic_count, topic_room;
    hv_kafka_target *targets;
    size_t target_count, target_room, read_count;       /* of the first ones the positions are known */
    source *sources;
    size_t source_count, source_room;
    size_t last;                        /* source that was asked for last */
    int64_t sent_before;
};

hv_rc
hv_kafka_targets_new(const hv_kafka_targets_config *config, hv_kafka_targets **ret, hv_err *err)
{
    hv_kafka_targets *targets = calloc(1, sizeof *targets);

    if (targets == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the targets of a replay");
    targets->config = *config;
    *ret = targets;
    return HV_OK;
}

void
hv_kafka_targets_free(hv_kafka_targets *targets)
{
    if (targets == NULL)
        return;
    for (size_t i = 0; i < targets->topic_count; i++)
        rd_kafka_topic_destroy(targets->topics[i].handle);
    free(targets->topics);
    free(targets->targets);
    free(targets->sources);
    free(targets);
}

int64_t
hv_kafka_targets_sent_before(const hv_kafka_targets *targets)
{
    return targets->sent_before;
}

static int
timeout_of(const hv_kafka_targets *targets)
{
    return targets->config.sink->timeout_ms;
}

/* ---- names ---- */

hv_rc
hv_kafka_topic_name(const hv_sink_kafka_config *config, const char *hub, char ret[HV_HUB_SIZE], hv_err *err)
{
    static const char variable[] = "{hub}";
    HV_AUTO(hv_buf_free) hv_buf name = HV_BUF_INIT(8192);
    const char *pattern = config->topic != NULL ? config->topic : variable;

    for (size_t i = 0; i < config->topic_count; i++)
        if (strcmp(config->topics[i].hub, hub) == 0)
            pattern = config->topics[i].topic;
    for (const char *at = pattern; *at != '\0';) {
        bool found = strncmp(at, variable, sizeof variable - 1) == 0;
        hv_buf_put(&name, found ? hub : at, found ? strlen(hub) : 1);
        at += found ? sizeof variable - 1 : 1;
    }
    hv_rc rc = hv_buf_check(&name, err);
    if (rc == HV_OK)
        rc = hv_hub_name_check(name.len > 0 ? name.data : "", err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "topic for hub '%s'", hub);
    memcpy(ret, name.data, name.len + 1);
    return HV_OK;
}

int32_t
hv_kafka_topic_partition(const hv_sink_kafka_config *config, int32_t from)
{
    int32_t to = from;

    for (size_t i = 0; i < config->partition_count; i++) {
        if (config->partitions[i].from == from)
            return config->partitions[i].to;
        if (config->partitions[i].from == -1)
            to = config->partitions[i].to;
    }
    return to;
}

/* ---- asking the service ---- */

static hv_rc
count_partitions(hv_kafka_targets *targets, const char *name, int32_t *ret, hv_err *err)
{
    rd_kafka_t *rk = targets->config.group->rk;
    const struct rd_kafka_metadata *answer = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);

    if (topic == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for topic '%s'", name);
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, topic, &answer, timeout_of(targets));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && answer->topic_cnt == 1)
        code = answer->topics[0].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        *ret = answer->topic_cnt == 1 ? answer->topics[0].partition_cnt : 0;
    if (answer != NULL)
        rd_kafka_metadata_destroy(answer);
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && *ret > 0)
        return HV_OK;
    hv_rc rc = code == RD_KAFKA_RESP_ERR_NO_ERROR ? HV_NOT_FOUND : hv_kafka_client_rc(code);
    if (rc == HV_NOT_FOUND)
        return hv_err_set(err, rc, "the target has no topic '%s'; create it first", name);
    return hv_err_set(err, rc, "ask for topic '%s': %s", name, rd_kafka_err2str(code));
}

static hv_rc
need_topic(hv_kafka_targets *targets, const char *name, const known_topic **ret, hv_err *err)
{
    int32_t partitions = 0;

    for (size_t i = 0; i < targets->topic_count; i++)
        if (strcmp(targets->topics[i].name, name) == 0) {
            *ret = &targets->topics[i];
            return HV_OK;
        }
    hv_rc rc = count_partitions(targets, name, &partitions, err);
    if (rc != HV_OK)
        return rc;
    if (!hv_array_room(&targets->topics, targets->topic_count, &targets->topic_room, sizeof *targets->topics))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu topics", targets->topic_count + 1);
    known_topic *added = &targets->topics[targets->topic_count];
    *added = (known_topic){.handle = rd_kafka_topic_new(targets->config.producer->rk, name, NULL), .partitions = partitions};
    if (added->handle == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for topic '%s'", name);
    memcpy(added->name, name, strlen(name));
    targets->topic_count++;
    *ret = added;
    return HV_OK;
}

/*
 * Left to itself, librdkafka looks for the leaders of a producer's topics once in a second, and sends nothing before. One exchange for
 * all topics. (The consumer was asked first, because a producer's question makes a topic that is not there where the service allows that.)
 */
static hv_rc
find_leaders(const hv_kafka_targets *targets, hv_err *err)
{
    const struct rd_kafka_metadata *answer = NULL;

    rd_kafka_resp_err_t code = rd_kafka_metadata(targets->config.producer->rk, 0, NULL, &answer, timeout_of(targets));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return hv_err_set(err, hv_kafka_client_rc(code), "ask where events are sent to: %s", rd_kafka_err2str(code));
    rd_kafka_metadata_destroy(answer);
    return HV_OK;
}

/* ---- positions of an earlier run ---- */

/* Where a source is or has to be put. */
static size_t
place_of(const hv_kafka_targets *targets, const hv_partition *from, bool *found)
{
    size_t low = 0, high = targets->source_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hv_partition_compare(&targets->sources[middle].from, from);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static hv_rc
put_source(hv_kafka_targets *targets, const hv_partition *from, size_t target, int64_t next, hv_err *err)
{
    bool found;
    size_t at = place_of(targets, from, &found);

    if (!found) {
        if (!hv_array_room(&targets->sources, targets->source_count, &targets->source_room, sizeof *targets->sources))
            return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", targets->source_count + 1);
        memmove(&targets->sources[at + 1], &targets->sources[at], (targets->source_count - at) * sizeof *targets->sources);
        targets->source_count++;
        targets->sources[at] = (source){.from = *from, .target = target};
    }
    if (next > targets->sources[at].next)
        targets->sources[at].next = next;
    return HV_OK;
}

static hv_rc
take_positions(hv_kafka_targets *targets, size_t target, hv_slice text, hv_err *err)
{
    HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions before = {.positions = NULL};
    const hv_kafka_target *of = &targets->targets[target];

    hv_rc rc = hv_kafka_positions_parse(text, &before, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "consumer group 'hubvault-replay-%s' has a commit for partition %" PRId32 " of topic '%s'",
                             targets->config.sink->id, of->partition, of->topic);
    if (memcmp(before.request, targets->config.request, sizeof before.request) != 0)
        return hv_err_set(err, HV_USAGE,
                          "the id '%s' belongs to a replay of another request (vault, hubs, range, order or filters); "
                          "ranges that count from now differ each time: write out the times, or take another id",
                          targets->config.sink->id);
    if (before.events > targets->sent_before)
        targets->sent_before = before.events;
    for (size_t i = 0; rc == HV_OK && i < before.count; i++)
        rc = put_source(targets, &before.positions[i].from, target, before.positions[i].next, err);
    return rc;
}

static hv_rc
check_answer(const hv_kafka_targets *targets, rd_kafka_resp_err_t code, hv_err *err)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return HV_OK;
    return hv_err_set(err, hv_kafka_client_rc(code), "ask how far replay '%s' has come: %s", targets->config.sink->id,
                      rd_kafka_err2str(code));
}

/* Of all targets that were not read yet, in one exchange. */
hv_rc
hv_kafka_targets_read(hv_kafka_targets *targets, hv_err *err)
{
    size_t first = targets->read_count;

    if (first == targets->target_count)
        return HV_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)(targets->target_count - first));

    if (list == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for positions");
    for (size_t i = first; i < targets->target_count; i++)
        (void)rd_kafka_topic_partition_list_add(list, targets->targets[i].topic, targets->targets[i].partition);
    hv_rc rc = check_answer(targets, rd_kafka_committed(targets->config.group->rk, list, timeout_of(targets)), err);
    for (size_t i = first; rc == HV_OK && i < targets->target_count; i++) {
        const rd_kafka_topic_partition_t *entry =
            rd_kafka_topic_partition_list_find(list, targets->targets[i].topic, targets->targets[i].partition);
        assert(entry != NULL);
        rc = check_answer(targets, entry->err, err);
        if (rc == HV_OK && entry->offset >= 0)
            rc = take_positions(targets, i, hv_slice_of(entry->metadata != NULL ? entry->metadata : "", entry->metadata_size), err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (rc == HV_OK)
        targets->read_count = targets->target_count;
    return rc;
}

/* ---- targets ---- */

static hv_rc
need_target(hv_kafka_targets *targets, const known_topic *topic, int32_t partition, size_t *ret, hv_err *err)
{
    for (size_t i = 0; i < targets->target_count; i++)
        if (targets->targets[i].partition == partition && targets->targets[i].handle == topic->handle) {
            *ret = i;
            return HV_OK;
        }
    if (!hv_array_room(&targets->targets, targets->target_count, &targets->target_room, sizeof *targets->targets))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu targets", targets->target_count + 1);
    hv_kafka_target *added = &targets->targets[targets->target_count];
    *added = (hv_kafka_target){.handle = topic->handle, .partition = partition};
    memcpy(added->topic, topic->name, strlen(topic->name));
    *ret = targets->target_count++;
    return HV_OK;
}

static hv_rc
add_source(hv_kafka_targets *targets, const hv_partition *from, hv_err *err)
{
    const hv_sink_kafka_config *config = targets->config.sink;
    char name[HV_HUB_SIZE];
    const known_topic *topic;
    int32_t to = hv_kafka_topic_partition(config, from->number);
    size_t target;

    hv_rc rc = hv_kafka_topic_name(config, from->hub, name, err);
    if (rc == HV_OK)
        rc = need_topic(targets, name, &topic, err);
    if (rc != HV_OK)
        return rc;
    if (to < 0 || to >= topic->partitions)
        return hv_err_set(err, HV_USAGE,
                          "topic '%s' of the target has %" PRId32 " partitions, so partition %" PRId32 " of hub '%s' does not "
                          "fit; map it to another one, or give the topic more", name, topic->partitions, from->number, from->hub);
    rc = need_target(targets, topic, to, &target, err);
    return rc == HV_OK ? put_source(targets, from, target, 0, err) : rc;
}

hv_rc
hv_kafka_targets_add(hv_kafka_targets *targets, const hv_sink_source *sources, size_t count, bool also_empty, hv_err *err)
{
    size_t before = targets->topic_count;
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < count; i++)
        if (also_empty || !sources[i].empty)
            rc = add_source(targets, &sources[i].partition, err);
    return rc == HV_OK && targets->topic_count > before ? find_leaders(targets, err) : rc;
}

hv_rc
hv_kafka_targets_find(hv_kafka_targets *targets, const hv_partition *from, hv_kafka_target **ret, int64_t *next, hv_err *err)
{
    bool found = targets->last < targets->source_count
                 && hv_partition_compare(&targets->sources[targets->last].from, from) == 0;
    size_t at = found ? targets->last : place_of(targets, from, &found);

    if (!found) {
        hv_sink_source late = {.partition = *from};     /* it joined in while following */
        hv_rc rc = hv_kafka_targets_add(targets, &late, 1, true, err);
        if (rc == HV_OK)
            rc = hv_kafka_targets_read(targets, err);
        if (rc != HV_OK)
            return rc;
        at = place_of(targets, from, &found);
        assert(found);
    }
    targets->last = at;
    *ret = &targets->targets[targets->sources[at].target];
    *next = targets->sources[at].next;
    return HV_OK;
}

void
hv_kafka_targets_advance(hv_kafka_targets *targets, const hv_partition *from, int64_t next)
{
    source *at = &targets->sources[targets->last];

    assert(hv_partition_compare(&at->from, from) == 0);
    at->next = next;
    targets->targets[at->target].changed = true;
}

/* ---- commits ---- */

static hv_rc
put_metadata(hv_kafka_targets *targets, size_t target, int64_t events, rd_kafka_topic_partition_t *to, hv_err *err)
{
    HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions all = {.events = events};
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(2 * HV_KAFKA_POSITIONS_MAX);

    memcpy(all.request, targets->config.request, sizeof all.request);
    all.positions = calloc(targets->source_count + 1, sizeof *all.positions);
    if (all.positions == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for positions");
    for (size_t i = 0; i < targets->source_count; i++)
        if (targets->sources[i].target == target) {
            all.positions[all.count++] = (hv_kafka_position){.from = targets->sources[i].from, .next = targets->sources[i].next};
            to->offset = to->offset > targets->sources[i].next ? to->offset : targets->sources[i].next;
        }
    hv_rc rc = hv_kafka_positions_write(&all, &text, err);
    if (rc != HV_OK)
        return rc;
    to->metadata = malloc(text.len);
    if (to->metadata == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for positions");
    memcpy(to->metadata, text.data, text.len);
    to->metadata_size = text.len;
    return HV_OK;
}

hv_rc
hv_kafka_targets_offsets(hv_kafka_targets *targets, int64_t events, rd_kafka_topic_partition_list_t **ret, hv_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)targets->target_count);
    hv_rc rc = list != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for positions");

    for (size_t i = 0; rc == HV_OK && i < targets->target_count; i++) {
        const hv_kafka_target *target = &targets->targets[i];
        if (!target->changed)
            continue;
        rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, target->topic, target->partition);
        entry->offset = 0;
        rc = put_metadata(targets, i, events, entry, err);
    }
    if (rc == HV_OK)
        *ret = list;
    else if (list != NULL)
        rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

void
hv_kafka_targets_committed(hv_kafka_targets *targets)
{
    for (size_t i = 0; i < targets->target_count; i++)
        targets->targets[i].changed = false;
}
