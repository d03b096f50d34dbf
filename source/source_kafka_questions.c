/*
 * Questions to the broker, from any thread.
 *
 * Watermarks: a look-up of offsets "by time" takes the protocol's special times -2 (earliest) and -1 (latest) as well (Kafka
 * protocol, ListOffsets), so two calls ask for all partitions at once, with one request per leader each; librdkafka has no call of
 * that name before 2.3.0. Since we read committed events only, "latest" is the last stable offset. If one leader does not answer in
 * time, the whole call fails and may be repeated.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "source/source_kafka.h"

enum { EARLIEST = -2, LATEST = -1 };

static void
free_list(rd_kafka_topic_partition_list_t *list)
{
    if (list != NULL)
        rd_kafka_topic_partition_list_destroy(list);
}
HV_DEFINE_AUTO(rd_kafka_topic_partition_list_t, free_list);

static void
take_offset(hv_source_watermarks *asked, const rd_kafka_topic_partition_t *answer, int64_t time)
{
    asked->rc = hv_kafka_rc(answer->err);
    if (asked->rc != HV_OK && asked->rc != HV_NOT_FOUND && asked->rc != HV_AUTH)
        asked->rc = HV_UNAVAILABLE;
    if (asked->rc == HV_OK && answer->offset < 0)
        asked->rc = HV_UNAVAILABLE;
    if (asked->rc == HV_OK)
        *(time == EARLIEST ? &asked->low : &asked->high) = answer->offset;
}

/* Asks about those whose rc is HV_OK. librdkafka keeps the order of the list. */
static hv_rc
ask_offsets(hv_kafka_conn *conn, hv_source_watermarks *asked, size_t count, int64_t time, int timeout_ms, hv_err *err)
{
    HV_AUTO(free_list) rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

    for (size_t i = 0; i < count; i++)
        if (asked[i].rc == HV_OK)
            rd_kafka_topic_partition_list_add(list, asked[i].hub, asked[i].partition)->offset = time;
    if (list->cnt == 0)
        return HV_OK;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(conn->rk, list, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)     /* the latter: none exists */
        return hv_err_set(err, hv_kafka_rc(code), "ask for the %s offsets of %d partitions: %s",
                          time == EARLIEST ? "first" : "last", list->cnt, rd_kafka_err2str(code));
    int at = 0;
    for (size_t i = 0; i < count; i++) {
        if (asked[i].rc != HV_OK)
            continue;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[at].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            list->elems[at].err = code;
        take_offset(&asked[i], &list->elems[at++], time);
    }
    return HV_OK;
}

static int
left_of(int64_t until)
{
    int64_t left = until - hv_clock_boot_ms();

    return left > 1 ? (int)left : 1;
}

static hv_rc
ask_both(hv_kafka_conn *conn, hv_source_watermarks *asked, size_t count, int64_t until, hv_err *err)
{
    for (size_t i = 0; i < count; i++)
        asked[i].rc = HV_OK;
    hv_rc rc = ask_offsets(conn, asked, count, EARLIEST, left_of(until), err);
    if (rc == HV_OK)
        rc = ask_offsets(conn, asked, count, LATEST, left_of(until), err);
    for (size_t i = 0; i < count && rc != HV_OK; i++)
        asked[i].rc = HV_UNAVAILABLE;
    return rc;
}

/* Has librdkafka learn who leads the partitions of a hub. */
static bool
find_leaders(hv_kafka_conn *conn, const char *hub, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(conn->rk, hub, NULL);

    if (topic == NULL)
        return false;
    bool found = rd_kafka_metadata(conn->rk, 0, topic, &metadata, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (found)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return found;
}

/* Whether it is worth asking again, because of leaders that may have moved. Of a hub that a handle does not read it goes on asking the one that it
 * knows, for metadata.max.age.ms, though that says that it leads nothing (seen with 2.0.2). */
static bool
find_moved_leaders(hv_kafka_conn *conn, const hv_source_watermarks *asked, size_t count, int64_t until)
{
    const char *last = "";
    bool found = false;

    for (size_t i = 0; i < count && until - hv_clock_boot_ms() > 1; i++)
        if (asked[i].rc == HV_UNAVAILABLE && strcmp(asked[i].hub, last) != 0) {
            last = asked[i].hub;
            found |= find_leaders(conn, last, left_of(until));
        }
    return found;
}

hv_rc
hv_kafka_watermarks(hv_source *source, hv_source_watermarks *asked, size_t count, int timeout_ms, hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = NULL;
    int64_t until = hv_clock_boot_ms() + timeout_ms;

    hv_rc rc = hv_kafka_ask_hold(k, &conn, err);
    if (rc != HV_OK) {
        for (size_t i = 0; i < count; i++)
            asked[i].rc = HV_UNAVAILABLE;
        return rc;
    }
    rc = ask_both(conn, asked, count, until, err);
    if (find_moved_leaders(conn, asked, count, until))
        rc = ask_both(conn, asked, count, until, err);
    return hv_kafka_asked(k, conn, rc);
}

bool
hv_kafka_known_watermarks(hv_source *source, const char *hub, int32_t partition, int64_t *low, int64_t *high)
{
    hv_kafka *k = (hv_kafka *)source;
    int64_t known_low = -1, known_high = -1;

    (void)pthread_mutex_lock(&k->lock);
    bool known = hv_kafka_find_entry(k, hub, partition) != NULL;    /* librdkafka would begin to look for any other */
    (void)pthread_mutex_unlock(&k->lock);
    if (!known)
        return false;
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = hv_kafka_conn_hold(k);
    if (rd_kafka_get_watermark_offsets(conn->rk, hub, partition, &known_low, &known_high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        known_low < 0 || known_high < 0)
        return false;
    *low = known_low;
    *high = known_high;
    return true;
}

/* ---- policy ---- */

static void
take_config(const rd_kafka_ConfigEntry_t *entry, hv_source_hub_policy *policy)
{
    const char *name = rd_kafka_ConfigEntry_name(entry), *value = rd_kafka_ConfigEntry_value(entry);

    if (value == NULL)
        return;
    if (strcmp(name, "cleanup.policy") == 0)
        policy->cleanup = strstr(value, "compact") != NULL ? HV_SOURCE_CLEANUP_COMPACT
                          : strcmp(value, "delete") == 0   ? HV_SOURCE_CLEANUP_DELETE
                                                           : HV_SOURCE_CLEANUP_UNKNOWN;
    if (strcmp(name, "retention.ms") == 0)
        policy->retention_ms = strtoll(value, NULL, 10);
}

static bool
expires(const rd_kafka_ConfigEntry_t *const *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0)
            return value != NULL && strstr(value, "delete") != NULL;
    }
    return true;
}

static hv_rc
take_resource(const rd_kafka_ConfigResource_t *resource, hv_source_hub_policy *ret, hv_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    hv_source_hub_policy policy = {.cleanup = HV_SOURCE_CLEANUP_UNKNOWN, .retention_ms = -1};
    size_t count = 0;

    if (hv_kafka_rc(code) == HV_NOT_FOUND)
        return hv_err_set(err, HV_NOT_FOUND, "hub '%s' does not exist", rd_kafka_ConfigResource_name(resource));
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        take_config(entries[i], &policy);
    if (policy.retention_ms < 0 || !expires((const rd_kafka_ConfigEntry_t *const *)entries, count))
        policy.retention_ms = -1;       /* a hub that is only compacted forgets nothing because of its age */
    *ret = policy;
    return HV_OK;
}

static hv_rc
take_configs(rd_kafka_event_t *event, hv_source_hub_policy *ret, hv_err *err)
{
    const rd_kafka_DescribeConfigs_result_t *result = event != NULL ? rd_kafka_event_DescribeConfigs_result(event) : NULL;
    size_t count = 0;

    if (result == NULL)
        return hv_err_set(err, HV_UNAVAILABLE, "the broker did not answer in time");
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (hv_kafka_rc(code) == HV_UNAVAILABLE)
        return hv_err_set(err, HV_UNAVAILABLE, "%s", rd_kafka_event_error_string(event));
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1)
        return take_resource(resources[0], ret, err);
    *ret = (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_UNKNOWN, .retention_ms = -1};
    return HV_OK;                       /* refused, or not supported */
}

static hv_rc
describe_hub(hv_kafka_conn *conn, const char *hub, int timeout_ms, hv_source_hub_policy *ret, hv_err *err)
{
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, hub);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(conn->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(conn->rk);
    char text[256];

    (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
    rd_kafka_DescribeConfigs(conn->rk, &resource, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 100);
    hv_rc rc = take_configs(event, ret, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return rc;
}

/* librdkafka sends this question to the controller, and waits for one for ever. A broker that names none does not answer it. */
hv_rc
hv_kafka_hub_policy(hv_source *source, const char *hub, int timeout_ms, hv_source_hub_policy *ret, hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = NULL;
    int64_t until = hv_clock_boot_ms() + timeout_ms;
    hv_kafka_found found = {0};

    hv_rc rc = hv_kafka_ask_hold(k, &conn, err);
    if (rc == HV_OK)
        rc = hv_kafka_find(k, conn, hub, timeout_ms, &found, err);
    if (rc == HV_OK && found.has_controller)
        rc = describe_hub(conn, hub, left_of(until), ret, err);
    else if (rc == HV_OK)
        *ret = (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_UNKNOWN, .retention_ms = -1};
    return hv_kafka_asked(k, conn, rc) == HV_OK ? HV_OK : hv_err_prefix(err, "ask for the policy of hub '%s'", hub);
}
