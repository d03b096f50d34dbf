/*
 * Courtesy commits go over the second connection (source_kafka_asker.c): an offset commit that waits for its coordinator
 * keeps librdkafka from starting newly assigned partitions of the same handle (wait_commit_cnt in rdkafka_assignment.c), and
 * courtesy must not stop duty. They are collected and sent as one request every few seconds; Event Hubs allows 4 a second and
 * partition.
 */
#include <time.h>

#include "common/clock.h"
#include "source/source_kafka.h"

enum {
    COMMIT_EVERY_MS = 5000,
    CLOSE_WAIT_MS = 3000,
};

void
hv_kafka_commit(hv_source *source, const char *hub, int32_t partition, int64_t next_offset)
{
    hv_kafka *k = (hv_kafka *)source;
    hv_kafka_entry *entry = hv_kafka_find_entry(k, hub, partition);

    if (entry == NULL || k->settings.group[0] == '\0')
        return;
    entry->commit_next = next_offset;
    k->poll.commits_due = true;
}

static rd_kafka_topic_partition_list_t *
collect(hv_kafka *k)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);

    for (size_t i = 0; i < k->locked.hub_count; i++)
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++) {
            hv_kafka_entry *entry = k->locked.hubs[i]->entries[p];
            if (entry == NULL || entry->commit_next < 0)
                continue;
            rd_kafka_topic_partition_list_add(list, entry->hub->name, entry->partition)->offset = entry->commit_next;
            entry->commit_next = -1;
        }
    return list;
}

/* Whether the broker took them, within wait_ms. */
static bool
commit_and_wait(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int wait_ms)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);

    (void)rd_kafka_commit_queue(rk, list, queue, NULL, NULL);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, wait_ms);
    bool taken = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return taken;
}

/* The last ones, when there is no later: tried again while the coordinator is not ready, for a moment. */
static void
commit_last(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000000};
    int64_t until = hv_clock_boot_ms() + CLOSE_WAIT_MS, left;

    while ((left = until - hv_clock_boot_ms()) > 0 && !commit_and_wait(rk, list, (int)left))
        (void)nanosleep(&pause, NULL);
}

void
hv_kafka_serve_commits(hv_kafka *k, bool now)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *asker = NULL;
    hv_err ignored;

    if (!k->poll.commits_due || (!now && hv_clock_boot_ms() < k->poll.last_commit_ms + COMMIT_EVERY_MS))
        return;
    k->poll.last_commit_ms = hv_clock_boot_ms();
    k->poll.commits_due = false;
    rd_kafka_topic_partition_list_t *list = collect(k);
    if (list->cnt > 0 && hv_kafka_asker_hold(k, &asker, &ignored) == HV_OK) {
        if (now)
            commit_last(asker->rk, list);
        else
            (void)rd_kafka_commit(asker->rk, list, 1);
    }
    rd_kafka_topic_partition_list_destroy(list);
}
