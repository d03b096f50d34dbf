/*
 * Which hubs there are. With globs one metadata request for all topics; with a static list, or a credential for one hub, one
 * request per hub and never one for all: Event Hubs closes the connection of a hub-level credential that asks for more (for-kafka
 * issues 16 and 159).
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/glob.h"
#include "source/kafka_line.h"

enum { EXPLAIN_MS = 3000 };

static void
free_metadata(const struct rd_kafka_metadata *metadata)
{
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
}
HV_DEFINE_AUTO(const struct rd_kafka_metadata, free_metadata);

/* librdkafka says no more than "transport failure"; connecting ourselves tells what is wrong. */
static hv_rc
explain(hv_kafka *k, rd_kafka_resp_err_t code, bool all_topics, hv_err *err)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;

    if (hv_kafka_rc(code) == HV_UNAVAILABLE && hv_kafka_line_open(&k->settings, EXPLAIN_MS, &line, err) != HV_OK)
        return hv_err_prefix(err, "ask %s for its hubs", k->location);
    const char *hint = all_topics && k->settings.auth != HV_KAFKA_AUTH_NONE
                           ? " (if the credential is for one hub only, name the hubs instead of looking for them)"
                           : "";
    return hv_err_set(err, hv_kafka_rc(code), "ask %s for its hubs: %s%s", k->location, rd_kafka_err2str(code), hint);
}

static hv_rc
ask(hv_kafka *k, hv_kafka_conn *conn, rd_kafka_topic_t *topic, int timeout_ms, const struct rd_kafka_metadata **ret, hv_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_metadata(conn->rk, topic == NULL, topic, ret, timeout_ms);

    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? HV_OK : explain(k, code, topic == NULL, err);
}

/* Holding the lock. */
static bool
is_wanted(const hv_kafka *k, const char *name)
{
    hv_err ignored;

    if (strncmp(name, "__", 2) == 0 || hv_hub_name_check(name, &ignored) != HV_OK)
        return false;                   /* "__" begins topics of the broker itself: __consumer_offsets, __transaction_state */
    if (hv_glob_match_any((const char *const *)k->settings.exclude, k->settings.exclude_count, name))
        return false;
    return k->settings.include_count == 0 ||
           hv_glob_match_any((const char *const *)k->settings.include, k->settings.include_count, name);
}

static void
fill_hub(hv_source_hub *hub, const char *name, int partitions)
{
    *hub = (hv_source_hub){.partitions = partitions};
    memcpy(hub->name, name, strlen(name) + 1);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const hv_source_hub *)a)->name, ((const hv_source_hub *)b)->name);
}

static hv_rc
find_all(hv_kafka *k, hv_kafka_conn *conn, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err)
{
    HV_AUTO(free_metadata) const struct rd_kafka_metadata *metadata = NULL;
    hv_rc rc = ask(k, conn, NULL, timeout_ms, &metadata, err);

    if (rc != HV_OK)
        return rc;
    hv_source_hub *hubs = calloc((size_t)metadata->topic_cnt + 1, sizeof *hubs);
    if (hubs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %d hubs", metadata->topic_cnt);
    *count = 0;
    (void)pthread_mutex_lock(&k->lock);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        if (topic->partition_cnt > 0 && is_wanted(k, topic->topic))
            fill_hub(&hubs[(*count)++], topic->topic, topic->partition_cnt);
    }
    (void)pthread_mutex_unlock(&k->lock);
    qsort(hubs, *count, sizeof *hubs, by_name);
    *ret = hubs;
    return HV_OK;
}

static bool
has_controller(rd_kafka_t *rk, const struct rd_kafka_metadata *metadata)
{
    int32_t controller = rd_kafka_controllerid(rk, 0);

    for (int i = 0; i < metadata->broker_cnt; i++)
        if (metadata->brokers[i].id == controller)
            return true;
    return false;
}

hv_rc
hv_kafka_find(hv_kafka *k, hv_kafka_conn *conn, const char *hub, int timeout_ms, hv_kafka_found *ret, hv_err *err)
{
    HV_AUTO(free_metadata) const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(conn->rk, hub, NULL);

    if (topic == NULL)
        return hv_err_set(err, HV_USAGE, "librdkafka refuses hub '%s': %s", hub, rd_kafka_err2str(rd_kafka_last_error()));
    hv_rc rc = ask(k, conn, topic, timeout_ms, &metadata, err);
    rd_kafka_topic_destroy(topic);
    if (rc != HV_OK)
        return rc;
    hv_kafka_found found = {.has_controller = has_controller(conn->rk, metadata)};
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *at = &metadata->topics[i];
        if (strcmp(at->topic, hub) != 0)
            continue;
        found.partitions = at->partition_cnt;
        if (at->partition_cnt == 0 && at->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return hv_err_set(err, hv_kafka_rc(at->err), "hub '%s': %s", hub, rd_kafka_err2str(at->err));
    }
    *ret = found;
    return HV_OK;
}

/* Hubs that are not there, or may not be read, come with no partitions, unless that is so for all of them. */
static hv_rc
find_listed(hv_kafka *k, hv_kafka_conn *conn, const char *const *names, size_t name_count, int timeout_ms, hv_source_hub **ret,
            size_t *count, hv_err *err)
{
    int64_t until = hv_clock_boot_ms() + timeout_ms;
    size_t refused = 0;
    hv_source_hub *hubs = calloc(name_count, sizeof *hubs);

    if (hubs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", name_count);
    for (size_t i = 0; i < name_count; i++) {
        int64_t left = until - hv_clock_boot_ms();
        hv_kafka_found found = {0};
        hv_rc rc = hv_kafka_find(k, conn, names[i], left > 1 ? (int)left : 1, &found, err);
        refused += rc == HV_AUTH;
        if (rc != HV_OK && rc != HV_NOT_FOUND && (rc != HV_AUTH || refused == name_count)) {
            free(hubs);
            return rc;
        }
        fill_hub(&hubs[i], names[i], found.partitions);
    }
    *ret = hubs;
    *count = name_count;
    return HV_OK;
}

static hv_rc
find_hubs(hv_kafka *k, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = NULL;
    const char *only = k->only_hub;
    hv_rc rc = hv_kafka_ask_hold(k, &conn, err);

    if (rc != HV_OK)
        return rc;
    if (k->settings.hub_count > 0)
        rc = find_listed(k, conn, (const char *const *)k->settings.hubs, k->settings.hub_count, timeout_ms, ret, count, err);
    else if (only[0] != '\0')
        rc = find_listed(k, conn, &only, 1, timeout_ms, ret, count, err);
    else
        rc = find_all(k, conn, timeout_ms, ret, count, err);
    return hv_kafka_asked(k, conn, rc);
}

hv_rc
hv_kafka_hubs(hv_source *source, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    hv_source_hub *found = NULL;
    size_t found_count = 0;

    hv_rc rc = find_hubs(k, timeout_ms, &found, &found_count, err);
    if (rc != HV_OK)
        return rc;
    rc = hv_kafka_fill_identities(k, found, found_count, timeout_ms, err);
    if (rc != HV_OK) {
        free(found);
        return rc;
    }
    *ret = found;
    *count = found_count;
    return HV_OK;
}

hv_rc
hv_source_kafka_filter(hv_source *source, const char *const *include, size_t include_count, const char *const *exclude, size_t exclude_count,
                       hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    hv_kafka_config globs = {.include = include, .include_count = include_count, .exclude = exclude, .exclude_count = exclude_count};

    (void)pthread_mutex_lock(&k->lock);
    hv_rc rc = hv_kafka_settings_filter(&k->settings, &globs, err);
    (void)pthread_mutex_unlock(&k->lock);
    return rc;
}

hv_rc
hv_source_kafka_refresh(hv_source *source, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    hv_kafka *k = (hv_kafka *)source;

    hv_rc rc = hv_kafka_credentials_read(&k->settings, &credentials, err);
    if (rc == HV_OK)
        atomic_store(&k->refresh, true);
    return rc;
}
