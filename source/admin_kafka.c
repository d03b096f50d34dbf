/*
 * Consumer groups of a Kafka service, by the admin operations of librdkafka.
 *
 * The handle is a consumer that never joins a group; librdkafka makes no difference for admin operations. A service that lacks an
 * operation is told by librdkafka itself, from the versions that the service says it has, before anything is sent.
 */
#include "source/admin_kafka.h"

#include <stdlib.h>

#include "source/source_drivers.h"

enum { LATER_MS = 500 };                /* librdkafka tells about its own timeouts a little late */

hv_admin_call
hv_admin_call_begin(hv_admin_kafka *kafka, rd_kafka_admin_op_t operation, int timeout_ms)
{
    char text[256];
    hv_admin_call call = {.options = rd_kafka_AdminOptions_new(kafka->client->rk, operation),
                          .queue = rd_kafka_queue_new(kafka->client->rk), .timeout_ms = timeout_ms};

    (void)rd_kafka_AdminOptions_set_request_timeout(call.options, timeout_ms, text, sizeof text);       /* only one out of range is refused */
    return call;
}

void
hv_admin_call_end(hv_admin_call *call)
{
    if (call->answer != NULL)
        rd_kafka_event_destroy(call->answer);
    rd_kafka_queue_destroy(call->queue);
    rd_kafka_AdminOptions_destroy(call->options);
}

hv_rc
hv_admin_kafka_rc(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return HV_AUTH;
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:           /* answered to a commit from outside of a group that has members */
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
        return HV_BUSY;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return HV_EXISTS;
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return HV_USAGE;
    case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
        return HV_LIMIT;
    default:
        return hv_kafka_client_rc(code);
    }
}

hv_rc
hv_admin_kafka_explain(rd_kafka_resp_err_t code, const char *text, const char *what, hv_err *err)
{
    return hv_err_set(err, hv_admin_kafka_rc(code), "%s: %s", what, text != NULL ? text : rd_kafka_err2str(code));
}

hv_rc
hv_admin_call_wait(hv_admin_call *call, const char *what, hv_err *err)
{
    call->answer = rd_kafka_queue_poll(call->queue, call->timeout_ms + LATER_MS);
    if (call->answer == NULL)
        return hv_err_set(err, HV_UNAVAILABLE, "%s: no answer in time", what);
    rd_kafka_resp_err_t code = rd_kafka_event_error(call->answer);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? HV_OK
                                              : hv_admin_kafka_explain(code, rd_kafka_event_error_string(call->answer), what, err);
}

/* ---- groups ---- */

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const hv_admin_group *)a)->name, ((const hv_admin_group *)b)->name);
}

static bool
is_active(rd_kafka_consumer_group_state_t state)
{
    return state == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE || state == RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE
           || state == RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE;
}

static hv_rc
take_groups(const rd_kafka_ListConsumerGroupsResult_t *const *valid, size_t count, hv_admin_groups *ret, hv_err *err)
{
    HV_AUTO(hv_admin_groups_clear) hv_admin_groups groups = {.at = calloc(count + 1, sizeof *groups.at)};
    const rd_kafka_ConsumerGroupListing_t *const *listed = (const void *)valid;

    for (size_t i = 0; groups.at != NULL && i < count; i++) {
        groups.at[i].name = strdup(rd_kafka_ConsumerGroupListing_group_id(listed[i]));
        if (groups.at[i].name == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for the name of a group");
        groups.at[i].active = is_active(rd_kafka_ConsumerGroupListing_state(listed[i]));
        groups.count = i + 1;
    }
    if (groups.at == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu groups", count);
    qsort(groups.at, groups.count, sizeof *groups.at, by_name);
    *ret = groups;
    groups = (hv_admin_groups){.at = NULL};
    return HV_OK;
}

static hv_rc
kafka_groups(hv_admin *admin, int timeout_ms, hv_admin_groups *ret, hv_err *err)
{
    static const char what[] = "list the consumer groups";
    hv_admin_kafka *kafka = (hv_admin_kafka *)admin;
    HV_AUTO(hv_admin_call_end) hv_admin_call call = hv_admin_call_begin(kafka, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, timeout_ms);
    size_t count = 0, failed = 0;

    rd_kafka_ListConsumerGroups(kafka->client->rk, call.options, call.queue);
    hv_rc rc = hv_admin_call_wait(&call, what, err);
    if (rc != HV_OK)
        return rc;
    const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(call.answer);
    const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &failed);
    if (failed > 0)                     /* of one broker, which coordinates groups that would be missing */
        return hv_admin_kafka_explain(rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]), what, err);
    const rd_kafka_ConsumerGroupListing_t **valid = rd_kafka_ListConsumerGroups_result_valid(result, &count);
    return take_groups((const void *)valid, count, ret, err);
}

/* ---- commits ---- */

static hv_rc
take_commits(const rd_kafka_topic_partition_list_t *list, hv_admin_commits *ret, hv_err *err)
{
    HV_AUTO(hv_admin_commits_clear) hv_admin_commits commits = {.at = NULL};
    hv_rc rc = HV_OK;

    for (int i = 0; rc == HV_OK && list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *entry = &list->elems[i];
        if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return hv_admin_kafka_explain(entry->err, NULL, "what it has committed for a partition", err);
        if (entry->offset >= 0)
            rc = hv_admin_commits_add(&commits, entry->topic, entry->partition, entry->offset,
                                      hv_slice_of(entry->metadata, entry->metadata_size), err);
    }
    if (rc != HV_OK)
        return rc;
    hv_admin_commits_sort(&commits);
    *ret = commits;
    commits = (hv_admin_commits){.at = NULL};
    return HV_OK;
}

static hv_rc
take_group(const rd_kafka_group_result_t *result, const char *what, hv_err *err)
{
    const rd_kafka_error_t *error = rd_kafka_group_result_error(result);

    return error == NULL ? HV_OK : hv_admin_kafka_explain(rd_kafka_error_code(error), rd_kafka_error_string(error), what, err);
}

static hv_rc
kafka_commits(hv_admin *admin, const char *group, int timeout_ms, hv_admin_commits *ret, hv_err *err)
{
    static const char what[] = "read its commits";
    hv_admin_kafka *kafka = (hv_admin_kafka *)admin;
    HV_AUTO(hv_admin_call_end) hv_admin_call call = hv_admin_call_begin(kafka, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout_ms);
    rd_kafka_ListConsumerGroupOffsets_t *asked = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);    /* NULL: all partitions */
    size_t count = 0;

    rd_kafka_ListConsumerGroupOffsets(kafka->client->rk, &asked, 1, call.options, call.queue);
    hv_rc rc = hv_admin_call_wait(&call, what, err);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    if (rc == HV_OK) {
        const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(call.answer), &count);
        rc = count == 1 ? take_group(results[0], what, err) : hv_err_set(err, HV_UNAVAILABLE, "an answer about %zu groups", count);
        if (rc == HV_OK)
            rc = take_commits(rd_kafka_group_result_partitions(results[0]), ret, err);
    }
    return rc == HV_OK ? HV_OK : hv_err_prefix(err, "consumer group '%.200s'", group);
}

static hv_rc
check_committed(const rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *entry = &list->elems[i];
        if (entry->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        (void)hv_admin_kafka_explain(entry->err, NULL, "commit for it", err);
        return hv_err_prefix(err, "partition %d of topic '%s'", (int)entry->partition, entry->topic);
    }
    return HV_OK;
}

static hv_rc
kafka_set_commits(hv_admin *admin, const char *group, const hv_admin_commits *commits, int timeout_ms, hv_err *err)
{
    static const char what[] = "commit for it";
    hv_admin_kafka *kafka = (hv_admin_kafka *)admin;
    HV_AUTO(hv_admin_call_end) hv_admin_call call =
        hv_admin_call_begin(kafka, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout_ms);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)commits->count);
    size_t count = 0;

    for (size_t i = 0; i < commits->count; i++) {
        const hv_admin_commit *commit = &commits->at[i];
        rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, commit->topic, commit->partition);
        entry->offset = commit->offset;
        entry->metadata = commit->metadata;     /* lent: the request gets a copy of the list */
        entry->metadata_size = commit->metadata_len;
    }
    rd_kafka_AlterConsumerGroupOffsets_t *asked = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].metadata = NULL;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AlterConsumerGroupOffsets(kafka->client->rk, &asked, 1, call.options, call.queue);
    hv_rc rc = hv_admin_call_wait(&call, what, err);
    rd_kafka_AlterConsumerGroupOffsets_destroy(asked);
    if (rc == HV_OK) {
        const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
            rd_kafka_event_AlterConsumerGroupOffsets_result(call.answer), &count);
        rc = count == 1 ? take_group(results[0], what, err) : hv_err_set(err, HV_UNAVAILABLE, "an answer about %zu groups", count);
        if (rc == HV_OK)
            rc = check_committed(rd_kafka_group_result_partitions(results[0]), err);
    }
    return rc == HV_OK ? HV_OK : hv_err_prefix(err, "consumer group '%.200s'", group);
}

/* ---- open, close ---- */

static void
kafka_close(hv_admin *admin)
{
    hv_admin_kafka *kafka = (hv_admin_kafka *)admin;

    hv_kafka_client_close(kafka->client);
    free(kafka);
}

static const hv_admin_ops kafka_ops = {
    .driver = "kafka", .groups = kafka_groups, .commits = kafka_commits, .set_commits = kafka_set_commits,
    .topic = hv_admin_kafka_topic, .create_topic = hv_admin_kafka_create, .close = kafka_close,
};

hv_rc
hv_admin_kafka_open(const hv_kafka_config *config, hv_admin **ret, hv_err *err)
{
    /* A consumer needs a name of a group; it never joins it. Producers would do as well, but cannot ask where logs end. */
    static const char *const properties[] = {"group.id", "hubvault-admin", "enable.auto.commit", "false", "isolation.level",
                                             "read_committed", "allow.auto.create.topics", "false"};
    hv_kafka_client_config client = {.broker = config, .type = RD_KAFKA_CONSUMER, .properties = properties,
                                     .property_count = sizeof properties / sizeof *properties};
    hv_admin_kafka *kafka = calloc(1, sizeof *kafka);

    if (kafka == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a connection");
    kafka->base.ops = &kafka_ops;
    hv_rc rc = hv_kafka_client_open(&client, &kafka->client, err);
    if (rc != HV_OK) {
        free(kafka);
        return rc;
    }
    *ret = &kafka->base;
    return HV_OK;
}

hv_rc
hv_admin_kafka_refresh(hv_admin *admin, hv_err *err)
{
    return hv_kafka_client_refresh(((hv_admin_kafka *)admin)->client, err);
}
