/*
 * Topics of a Kafka service: how they are configured, and making them.
 *
 * DescribeConfigs goes to the controller, and librdkafka waits for one for ever: a service that names none does not tell settings. So does
 * Event Hubs, which has no DescribeConfigs (event-hubs.md section 2).
 */
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "source/admin_kafka.h"

enum { ASK_AGAIN_MS = 50 };

/* ---- how it is configured ---- */

static hv_rc
count_partitions(hv_admin_kafka *kafka, const char *name, int timeout_ms, hv_admin_topic *topic, bool *controlled, hv_err *err)
{
    rd_kafka_t *rk = kafka->client->rk;
    const struct rd_kafka_metadata *answer = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, name, NULL);

    if (handle == NULL)
        return hv_err_set(err, HV_USAGE, "librdkafka refuses topic '%.250s': %s", name, rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle, &answer, timeout_ms);
    rd_kafka_topic_destroy(handle);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && answer->topic_cnt == 1)
        code = answer->topics[0].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && (answer->topic_cnt != 1 || answer->topics[0].partition_cnt == 0))
        code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        int32_t controller = rd_kafka_controllerid(rk, 0);
        topic->partitions = answer->topics[0].partition_cnt;
        topic->replication = answer->topics[0].partitions[0].replica_cnt;
        for (int b = 0; b < answer->broker_cnt; b++)
            *controlled = *controlled || answer->brokers[b].id == controller;
    }
    if (answer != NULL)
        rd_kafka_metadata_destroy(answer);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? HV_OK : hv_admin_kafka_explain(code, NULL, "ask for its partitions", err);
}

static hv_rc
take_setting(const rd_kafka_ConfigEntry_t *entry, hv_admin_topic *topic, hv_err *err)
{
    const char *name = rd_kafka_ConfigEntry_name(entry), *value = rd_kafka_ConfigEntry_value(entry);

    if (value == NULL || rd_kafka_ConfigEntry_is_sensitive(entry) == 1)
        return HV_OK;
    hv_admin_setting added = {.name = strdup(name), .value = strdup(value),
                              .own = rd_kafka_ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG};
    if (added.name == NULL || added.value == NULL) {
        free(added.name);
        free(added.value);
        return hv_err_set(err, HV_NOMEM, "no memory for a setting of a topic");
    }
    topic->settings[topic->count++] = added;
    return HV_OK;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const hv_admin_setting *)a)->name, ((const hv_admin_setting *)b)->name);
}

static hv_rc
take_resource(const rd_kafka_ConfigResource_t *resource, hv_admin_topic *topic, hv_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    size_t count = 0;
    hv_rc rc = HV_OK;

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return hv_admin_kafka_explain(code, rd_kafka_ConfigResource_error_string(resource), "ask for its settings", err);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    topic->settings = calloc(count + 1, sizeof *topic->settings);
    if (topic->settings == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu settings of a topic", count);
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        rc = take_setting(entries[i], topic, err);
    if (topic->count > 0)
        qsort(topic->settings, topic->count, sizeof *topic->settings, by_name);
    topic->told = rc == HV_OK;
    return rc;
}

static hv_rc
read_settings(hv_admin_kafka *kafka, const char *name, int timeout_ms, hv_admin_topic *topic, hv_err *err)
{
    HV_AUTO(hv_admin_call_end) hv_admin_call call = hv_admin_call_begin(kafka, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    size_t count = 0;

    rd_kafka_DescribeConfigs(kafka->client->rk, &resource, 1, call.options, call.queue);
    hv_rc rc = hv_admin_call_wait(&call, "ask for its settings", err);
    rd_kafka_ConfigResource_destroy(resource);
    if (rc != HV_OK)
        return rc;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(call.answer), &count);
    return count == 1 ? take_resource(resources[0], topic, err) : hv_err_set(err, HV_UNAVAILABLE, "an answer about %zu topics", count);
}

hv_rc
hv_admin_kafka_topic(hv_admin *admin, const char *name, int timeout_ms, hv_admin_topic *ret, hv_err *err)
{
    hv_admin_kafka *kafka = (hv_admin_kafka *)admin;
    HV_AUTO(hv_admin_topic_clear) hv_admin_topic topic = {.partitions = 0};
    int64_t until = hv_clock_boot_ms() + timeout_ms;
    bool controlled = false;

    hv_rc rc = count_partitions(kafka, name, timeout_ms, &topic, &controlled, err);
    int64_t left = until - hv_clock_boot_ms();
    if (rc == HV_OK && controlled) {
        rc = read_settings(kafka, name, left > 1 ? (int)left : 1, &topic, err);
        if (rc == HV_VERSION || rc == HV_AUTH)          /* its partitions are worth knowing all the same */
            rc = HV_OK;
    }
    if (rc != HV_OK)
        return hv_err_prefix(err, "topic '%.250s'", name);
    *ret = topic;
    topic = (hv_admin_topic){.partitions = 0};
    return HV_OK;
}

/* ---- making one ---- */

static hv_rc
fill_new(rd_kafka_NewTopic_t *made, const hv_admin_new_topic *topic, hv_err *err)
{
    for (size_t i = 0; i < topic->count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_NewTopic_set_config(made, topic->settings[i].name, topic->settings[i].value);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return hv_admin_kafka_explain(code, NULL, topic->settings[i].name, err);
    }
    return HV_OK;
}

static hv_rc
create(hv_admin_kafka *kafka, rd_kafka_NewTopic_t *made, int timeout_ms, hv_err *err)
{
    HV_AUTO(hv_admin_call_end) hv_admin_call call = hv_admin_call_begin(kafka, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
    char text[256];
    size_t count = 0;

    (void)rd_kafka_AdminOptions_set_operation_timeout(call.options, timeout_ms, text, sizeof text);
    rd_kafka_CreateTopics(kafka->client->rk, &made, 1, call.options, call.queue);
    hv_rc rc = hv_admin_call_wait(&call, "create it", err);
    if (rc != HV_OK)
        return rc;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(call.answer), &count);
    if (count != 1)
        return hv_err_set(err, HV_UNAVAILABLE, "an answer about %zu topics", count);
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? HV_OK
                                              : hv_admin_kafka_explain(code, rd_kafka_topic_result_error_string(results[0]), "create it", err);
}

/* A topic that was just made has leaders a moment later, and refuses what comes before. Who can tell where a log ends leads it. */
static hv_rc
wait_for_leaders(hv_admin_kafka *kafka, const hv_admin_new_topic *topic, int64_t until, hv_err *err)
{
    for (;;) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(topic->partitions);
        int64_t left = until - hv_clock_boot_ms();
        for (int32_t p = 0; p < topic->partitions; p++)
            rd_kafka_topic_partition_list_add(list, topic->name, p)->offset = RD_KAFKA_OFFSET_END;
        rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(kafka->client->rk, list, left > 1 ? (int)left : 1);
        for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
            code = list->elems[i].err;
        rd_kafka_topic_partition_list_destroy(list);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return HV_OK;
        if (hv_clock_boot_ms() >= until)
            return hv_err_set(err, HV_UNAVAILABLE, "it was created, but has no leaders yet: %s", rd_kafka_err2str(code));
        (void)nanosleep(&(struct timespec){.tv_nsec = ASK_AGAIN_MS * 1000000L}, NULL);
    }
}

hv_rc
hv_admin_kafka_create(hv_admin *admin, const hv_admin_new_topic *topic, int timeout_ms, hv_err *err)
{
    hv_admin_kafka *kafka = (hv_admin_kafka *)admin;
    int64_t until = hv_clock_boot_ms() + timeout_ms;
    char text[256];

    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(topic->name, topic->partitions, topic->replication, text, sizeof text);
    if (made == NULL)
        return hv_err_set(err, HV_USAGE, "topic '%.250s': %s", topic->name, text);
    hv_rc rc = fill_new(made, topic, err);
    if (rc == HV_OK)
        rc = create(kafka, made, timeout_ms, err);
    rd_kafka_NewTopic_destroy(made);
    if (rc == HV_OK)
        rc = wait_for_leaders(kafka, topic, until, err);
    return rc == HV_OK ? HV_OK : hv_err_prefix(err, "topic '%.250s'", topic->name);
}
