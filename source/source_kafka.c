/*
 * The Kafka driver: open, poll, close. See source_kafka.h for its parts and threads.
 *
 * poll takes records from librdkafka in batches, since each call costs a lock and a look at the clock, and hands them out one by one. In
 * between, when the queue is empty or some hundred records have passed, it does what
 * is due: start partitions that wait, send courtesy commits, connect anew when the watch thread says that fetching has stalled.
 *
 * No offset is passed over silently. Where librdkafka goes on behind data that it could not read (a failed checksum, a codec or a
 * record format that it does not know), the partition is taken out and read again at the offset behind the last event delivered,
 * for as long as it takes; records behind the damage that are in the queue already are dropped with their assignment.
 */
#include "source/source_kafka.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

enum {
    UPKEEP_EVERY = 512,                 /* records */
    LONGEST_WAIT_MS = 250,              /* of one consumer_poll, so that upkeep is never far */
    STALE_RETRY_MS = 50,
};

/* ---- items ---- */

static void
fill_place(hv_source_item *item, const hv_kafka_entry *entry, hv_source_kind kind)
{
    item->kind = kind;
    item->tag = entry->tag;
    item->generation = entry->generation;
}

static void
set_partition_error(hv_kafka *k, hv_source_item *item, const hv_kafka_entry *entry, hv_rc rc, const char *reason)
{
    (void)hv_err_set(&item->err, rc, "partition %d of hub '%s': %s", (int)entry->partition, entry->hub->name, reason);
    hv_secret_redact(&k->locked.conn->credentials.password, item->err.msg);
    k->poll.auth_failed |= rc == HV_AUTH;
}

static bool
take_kept_error(hv_kafka *k, hv_source_item *item)
{
    if (k->poll.error_count == 0)
        return false;
    const struct hv_kafka_error *error = &k->poll.errors[k->poll.error_head];
    item->kind = error->kind;
    item->err = error->err;
    k->poll.error_head = (k->poll.error_head + 1) % HV_KAFKA_ERROR_RING;
    k->poll.error_count--;
    return true;
}

static bool
take_entry_error(hv_kafka *k, hv_source_item *item)
{
    for (size_t i = 0; i < k->locked.hub_count && k->poll.entry_errors > 0; i++)
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++) {
            hv_kafka_entry *entry = k->locked.hubs[i]->entries[p];
            if (entry == NULL || entry->error == 0)
                continue;
            hv_rc rc;
            fill_place(item, entry, hv_kafka_classify(entry->error, &rc));
            set_partition_error(k, item, entry, rc, rd_kafka_err2str(entry->error));
            hv_kafka_set_error(k, entry, 0);
            if (item->kind == HV_SOURCE_GONE)
                hv_kafka_stop(k, entry);
            return true;
        }
    return false;
}

/* The position lies outside the log, if this is about our position; an error of an earlier assignment, or one that was found beyond
 * offsets that hold nothing, is not, but librdkafka has stopped reading all the same. */
static bool
out_of_range(hv_kafka *k, hv_kafka_entry *entry, const rd_kafka_message_t *message, hv_source_item *item)
{
    int64_t next = atomic_load_explicit(&entry->next, memory_order_relaxed);

    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && message->offset != next) {
        hv_kafka_read_again(k, entry, STALE_RETRY_MS);
        return false;
    }
    hv_kafka_set_state(k, entry, HV_KAFKA_STOPPED);
    fill_place(item, entry, HV_SOURCE_OUT_OF_RANGE);
    (void)hv_err_set(&item->err, HV_GAP, "partition %d of hub '%s': offset %lld is not in the log: %s", (int)entry->partition,
                     entry->hub->name, (long long)next, rd_kafka_message_errstr(message));
    return true;
}

/* Whether librdkafka goes on behind the record that this error is about. */
static bool
passes_over(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
           code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED || code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
}

/* False if the error needs no item. */
static bool
error_item(hv_kafka *k, hv_kafka_entry *entry, const rd_kafka_message_t *message, hv_source_item *item)
{
    hv_rc rc;
    hv_source_kind kind = hv_kafka_classify(message->err, &rc);

    if (entry->state != HV_KAFKA_RUNNING)
        return false;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset < atomic_load_explicit(&entry->next, memory_order_relaxed))
            return false;
        atomic_store_explicit(&entry->next, message->offset, memory_order_relaxed);
        fill_place(item, entry, HV_SOURCE_END);
        item->offset = message->offset;
        return true;
    }
    if (kind == HV_SOURCE_OUT_OF_RANGE)
        return out_of_range(k, entry, message, item);
    if (passes_over(message->err))
        hv_kafka_read_again(k, entry, HV_KAFKA_RETRY_MS);
    if (kind == HV_SOURCE_GONE)
        hv_kafka_stop(k, entry);
    fill_place(item, entry, kind);
    set_partition_error(k, item, entry, rc, rd_kafka_message_errstr(message));
    return true;
}

/* An event that cannot be converted is never passed over either. */
static bool
event_item(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_message_t *message, hv_source_item *item, hv_err *err)
{
    if (entry->state != HV_KAFKA_RUNNING || message->offset < atomic_load_explicit(&entry->next, memory_order_relaxed))
        return false;                   /* offsets never run backwards */
    if (hv_kafka_event_of(k, message, &item->event, err) != HV_OK) {
        fill_place(item, entry, HV_SOURCE_TROUBLE);
        set_partition_error(k, item, entry, err->rc, err->msg);
        hv_kafka_read_again(k, entry, HV_KAFKA_RETRY_MS);
        return true;
    }
    fill_place(item, entry, HV_SOURCE_EVENT);
    atomic_store_explicit(&entry->next, message->offset + 1, memory_order_relaxed);
    return true;
}

static hv_kafka_entry *
entry_of(hv_kafka *k, const rd_kafka_message_t *message)
{
    hv_kafka_hub *hub = message->rkt != NULL ? hv_kafka_hub_of(k, message->rkt) : NULL;

    if (hub == NULL || message->partition < 0 || (size_t)message->partition >= hub->size)
        return NULL;
    return hub->entries[message->partition];
}

bool
hv_kafka_make_item(hv_kafka *k, rd_kafka_message_t *message, hv_source_item *item, hv_err *err)
{
    k->poll.current = message;
    hv_kafka_entry *entry = entry_of(k, message);
    if (entry == NULL) {
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && message->rkt == NULL)
            hv_kafka_keep_error(k, message->err, rd_kafka_message_errstr(message));
        return false;
    }
    return message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? event_item(k, entry, message, item, err)
                                                      : error_item(k, entry, message, item);
}

/* ---- poll ---- */

static void
release_current(hv_kafka *k)
{
    if (k->poll.current != NULL)
        rd_kafka_message_destroy(k->poll.current);
    k->poll.current = NULL;
}

static void
trouble(hv_kafka *k, hv_rc rc, const hv_err *err)
{
    if (rc != HV_OK)
        hv_kafka_keep_error(k, RD_KAFKA_RESP_ERR__FAIL, err->msg);
}

/* What the watch thread has found out. */
static void
take_missing(hv_kafka *k)
{
    for (size_t i = 0; i < k->locked.hub_count; i++)
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++) {
            hv_kafka_entry *entry = k->locked.hubs[i]->entries[p];
            if (entry == NULL)
                continue;
            (void)pthread_mutex_lock(&k->lock);
            bool missing = entry->missing && entry->state == HV_KAFKA_RUNNING;
            entry->missing = false;
            (void)pthread_mutex_unlock(&k->lock);
            if (missing)
                hv_kafka_set_error(k, entry, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
        }
}

static void
upkeep(hv_kafka *k)
{
    hv_err err;

    if (atomic_exchange(&k->has_missing, false))
        take_missing(k);

    trouble(k, hv_kafka_serve_waiting(k, &err), &err);
    hv_kafka_serve_commits(k, false);
    hv_kafka_asker_serve(k);
    if (k->poll.auth_failed || atomic_exchange(&k->refresh, false)) {
        k->poll.auth_failed = false;
        (void)hv_kafka_refresh_credentials(k);
    }
    if (atomic_exchange(&k->reconnect, false)) {
        hv_kafka_keep_error(k, RD_KAFKA_RESP_ERR__TIMED_OUT, "reading has stalled although there is more: connecting anew");
        trouble(k, hv_kafka_reconnect(k, &err), &err);
    }
}

static void
count_popped(hv_kafka *k, const rd_kafka_message_t *message)
{
    uint64_t popped = atomic_load_explicit(&k->popped, memory_order_relaxed) + 1;

    atomic_store_explicit(&k->popped, popped, memory_order_relaxed);
    k->poll.bytes_since_wake += message->len + message->key_len + HV_KAFKA_EVENT_OVERHEAD;
    if (k->poll.bytes_since_wake >= k->budget.wake_bytes) {
        k->poll.bytes_since_wake = 0;
        hv_kafka_wake_fetchers(k);
    }
    if (popped % UPKEEP_EVERY == 0)
        upkeep(k);
}

static hv_rc
fatal_error(hv_kafka *k, hv_err *err)
{
    char text[512];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(k->locked.conn->rk, text, sizeof text);

    return hv_err_set(err, hv_kafka_rc(code) == HV_AUTH ? HV_AUTH : HV_INTERNAL, "librdkafka gave up: %s: %s",
                      rd_kafka_err2name(code), text);
}

void
hv_kafka_drop_batch(hv_kafka *k, const char *hub, int32_t partition)
{
    for (size_t i = k->poll.batch_at; i < k->poll.batch_end; i++) {
        rd_kafka_message_t *message = k->poll.batch[i];
        if (message == NULL || (hub != NULL && (message->partition != partition || message->rkt == NULL ||
                                                strcmp(rd_kafka_topic_name(message->rkt), hub) != 0)))
            continue;
        rd_kafka_message_destroy(message);
        k->poll.batch[i] = NULL;
    }
}

/* Asked not to wait, librdkafka gives what is there; asked to wait for a batch, it would wait until the batch is full. */
static bool
fill_batch(hv_kafka *k)
{
    k->poll.fills_batch = true;
    ssize_t got = rd_kafka_consume_batch_queue(k->locked.conn->queue, 0, k->poll.batch, HV_KAFKA_BATCH);
    k->poll.fills_batch = false;

    k->poll.batch_at = 0;
    k->poll.batch_end = got > 0 ? (size_t)got : 0;
    return got > 0;
}

static rd_kafka_message_t *
from_batch(hv_kafka *k)
{
    while (k->poll.batch_at < k->poll.batch_end || fill_batch(k)) {
        rd_kafka_message_t *message = k->poll.batch[k->poll.batch_at];
        k->poll.batch[k->poll.batch_at++] = NULL;
        if (message != NULL)
            return message;
    }
    return NULL;
}

/* The next record or error that there is, waiting for up to wait_ms; NULL if there is none. */
static rd_kafka_message_t *
next_message(hv_kafka *k, int wait_ms)
{
    rd_kafka_message_t *message = from_batch(k);

    if (message == NULL && wait_ms > 0 && k->poll.error_count == 0 && k->poll.entry_errors == 0)
        message = rd_kafka_consumer_poll(k->locked.conn->rk, wait_ms);
    if (message != NULL)
        count_popped(k, message);
    else if (k->poll.error_count == 0 && k->poll.entry_errors == 0)     /* an error ends a poll early, empty or not */
        atomic_store_explicit(&k->empty_at_ms, hv_clock_boot_ms(), memory_order_relaxed);
    return message;
}

/* Whether there was something that made an item; looks at what is there, and waits once. */
static hv_rc
poll_once(hv_kafka *k, int wait_ms, hv_source_item *item, bool *found, hv_err *err)
{
    *found = take_kept_error(k, item) || take_entry_error(k, item);
    if (*found)
        return HV_OK;
    rd_kafka_message_t *message = next_message(k, wait_ms);
    if (message == NULL)
        return HV_OK;
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_message_destroy(message);
        return fatal_error(k, err);
    }
    *found = hv_kafka_make_item(k, message, item, err);
    if (!*found || item->kind != HV_SOURCE_EVENT)
        release_current(k);
    return HV_OK;
}

static hv_rc
kafka_poll(hv_source *source, int timeout_ms, hv_source_item *ret, hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    int64_t until = 0;
    int wait_ms = 0;

    assert(timeout_ms >= 0);
    release_current(k);
    ret->kind = HV_SOURCE_NOTHING;
    ret->tag = NULL;
    ret->generation = 0;
    if (atomic_load_explicit(&k->reconnect, memory_order_relaxed))
        upkeep(k);
    for (;;) {
        bool found;
        uint64_t before = atomic_load_explicit(&k->popped, memory_order_relaxed);
        hv_rc rc = poll_once(k, wait_ms, ret, &found, err);
        if (rc != HV_OK || found)
            return rc;
        if (atomic_load_explicit(&k->popped, memory_order_relaxed) != before)
            continue;                   /* it made no item; there may be more */
        upkeep(k);
        int64_t now = hv_clock_boot_ms();
        if (until == 0)
            until = now + timeout_ms;
        if (now >= until && k->poll.error_count == 0)
            return HV_OK;
        int64_t left = until > now ? until - now : 0;
        int64_t longest = k->poll.waiting > 0 ? STALE_RETRY_MS : LONGEST_WAIT_MS;
        wait_ms = (int)(left < longest ? left : longest);
    }
}

/* ---- open and close ---- */

static const char *
kafka_location(const hv_source *source)
{
    return ((const hv_kafka *)source)->location;
}

static void
kafka_close(hv_source *source)
{
    hv_kafka *k = (hv_kafka *)source;

    hv_kafka_watch_stop(k);
    if (k->locked.conn != NULL) {
        hv_kafka_serve_commits(k, true);
        hv_kafka_asker_drop(k);
        release_current(k);
        hv_kafka_drop_batch(k, NULL, 0);
        hv_kafka_drop_topics(k);
        hv_kafka_conn_release(k->locked.conn);
    }
    hv_kafka_owner_leave(k->owner);
    hv_kafka_drop_table(k);
    free(k->poll.headers);
    hv_kafka_settings_clear(&k->settings);
    (void)pthread_cond_destroy(&k->watch_wakes);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

static const hv_source_ops kafka_ops = {
    .driver = "kafka",
    .hubs = hv_kafka_hubs,
    .assign = hv_kafka_assign,
    .unassign = hv_kafka_unassign,
    .poll = kafka_poll,
    .watermarks = hv_kafka_watermarks,
    .known_watermarks = hv_kafka_known_watermarks,
    .hub_policy = hv_kafka_hub_policy,
    .commit = hv_kafka_commit,
    .location = kafka_location,
    .close = kafka_close,
};

static hv_rc
set_location(hv_kafka *k, hv_err *err)
{
    char bootstrap[sizeof k->location - sizeof "kafka:"];
    hv_rc rc = hv_kafka_bootstrap(&k->settings, &k->locked.conn->credentials, bootstrap, sizeof bootstrap, err);

    if (rc == HV_OK)
        (void)snprintf(k->location, sizeof k->location, "kafka:%s", bootstrap);
    return rc;
}

/* A credential for one hub must not be used to ask for more. */
static hv_rc
set_only_hub(hv_kafka *k, hv_err *err)
{
    const char *hub = k->locked.conn->credentials.entity_path;

    for (size_t i = 0; i < k->settings.hub_count && hub[0] != '\0'; i++)
        if (strcmp(k->settings.hubs[i], hub) != 0)
            return hv_err_set(err, HV_USAGE, "the connection string in '%s' is for hub '%s' only, not for '%s'",
                              k->settings.connection_string_file, hub, k->settings.hubs[i]);
    memcpy(k->only_hub, hub, strlen(hub) + 1);
    return HV_OK;
}

static hv_rc
init_locks(hv_kafka *k, hv_err *err)
{
    pthread_condattr_t attributes;

    if (pthread_mutex_init(&k->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0)
        return hv_err_set(err, HV_IO, "no lock for a source");
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&k->watch_wakes, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return HV_OK;
}

hv_rc
hv_source_kafka_open(const hv_kafka_config *config, hv_source **ret, hv_err *err)
{
    hv_kafka *k = calloc(1, sizeof *k);

    if (k == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a source");
    if (init_locks(k, err) != HV_OK) {
        free(k);
        return err->rc;
    }
    k->source.ops = &kafka_ops;
    HV_AUTO(hv_source_close) hv_source *source = &k->source;
    hv_rc rc = hv_kafka_settings_copy(config, &k->settings, err);
    if (rc == HV_OK) {
        k->budget = hv_kafka_budget_of(k->settings.queue_bytes);
        rc = hv_kafka_owner_new(k, &k->owner, err);
    }
    if (rc == HV_OK)
        rc = hv_kafka_conn_open(k, true, &k->locked.conn, err);
    if (rc == HV_OK)
        rc = set_location(k, err);
    if (rc == HV_OK)
        rc = set_only_hub(k, err);
    if (rc == HV_OK)
        rc = hv_kafka_watch_start(k, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(source);
    return rc;
}

const char *
hv_source_kafka_version_warning(bool oauth)
{
    return hv_kafka_version_warning(rd_kafka_version(), oauth);
}
