/*
 * The topic id tells a hub from one that was deleted and created again under its name. librdkafka hands it out from 2.3.0 on
 * (rd_kafka_DescribeTopics); with an older one, or a broker that has no topic ids, the identity stays empty.
 */
#include "source/source_kafka.h"

#if RD_KAFKA_VERSION >= 0x020300ff

#include <stdio.h>
#include <stdlib.h>

static void
take_identity(const rd_kafka_TopicDescription_t *topic, hv_source_hub *hubs, size_t count)
{
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(topic);

    if (id == NULL || (rd_kafka_Uuid_most_significant_bits(id) == 0 && rd_kafka_Uuid_least_significant_bits(id) == 0))
        return;
    for (size_t i = 0; i < count; i++)
        if (strcmp(hubs[i].name, rd_kafka_TopicDescription_name(topic)) == 0)
            (void)snprintf(hubs[i].identity, sizeof hubs[i].identity, "%016llx%016llx",
                           (unsigned long long)rd_kafka_Uuid_most_significant_bits(id),
                           (unsigned long long)rd_kafka_Uuid_least_significant_bits(id));
}

static void
take_answer(rd_kafka_event_t *event, hv_source_hub *hubs, size_t count)
{
    const rd_kafka_DescribeTopics_result_t *result = event != NULL ? rd_kafka_event_DescribeTopics_result(event) : NULL;
    size_t topics = 0;

    if (result == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    const rd_kafka_TopicDescription_t **described = rd_kafka_DescribeTopics_result_topics(result, &topics);
    for (size_t i = 0; i < topics; i++)
        if (rd_kafka_TopicDescription_error(described[i]) == NULL)
            take_identity(described[i], hubs, count);
}

void
hv_kafka_fill_identities(hv_kafka_conn *conn, hv_source_hub *hubs, size_t count, int timeout_ms)
{
    const char **names = calloc(count + 1, sizeof *names);
    size_t wanted = 0;
    char text[256];

    for (size_t i = 0; names != NULL && i < count; i++)
        if (hubs[i].partitions > 0)
            names[wanted++] = hubs[i].name;
    if (wanted > 0) {
        rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, wanted);
        rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(conn->rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        rd_kafka_queue_t *queue = rd_kafka_queue_new(conn->rk);
        (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
        rd_kafka_DescribeTopics(conn->rk, topics, options, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
        take_answer(event, hubs, count);
        if (event != NULL)
            rd_kafka_event_destroy(event);
        rd_kafka_queue_destroy(queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_TopicCollection_destroy(topics);
    }
    free(names);
}

#else

void
hv_kafka_fill_identities(hv_kafka_conn *conn, hv_source_hub *hubs, size_t count, int timeout_ms)
{
    (void)conn, (void)hubs, (void)count, (void)timeout_ms;
}

#endif
