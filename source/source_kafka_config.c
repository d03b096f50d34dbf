/*
 * From our configuration to librdkafka's.
 *
 * Memory. librdkafka holds fetched records in one queue for all partitions as long as they are consumed through consumer_poll: its
 * two thresholds are compared with the length of the queue that the partitions forward to (rd_kafka_q_len follows the forwarding),
 * so they bound the connection, not the partition. The one in bytes counts values only (rko_len), so the one in records has to
 * bound keys, headers and librdkafka's own bookkeeping of about half a kilobyte each. A quarter of queue_bytes is for values, and
 * one record per KiB of that quarter is allowed: with keys and headers of 1 KiB on average the whole stays near queue_bytes. What
 * one fetch answer brings comes on top, per broker, and small compressed events grow a hundredfold when they are taken apart, hence
 * fetch answers are small: from 1 MiB on their size makes no difference on a local network; at a round trip of 30 ms, 2 MiB are 66
 * MB/s per broker.
 *
 * Speed. Before 2.2.0 the fetch thread of a broker sleeps up to a second when the queue passes a threshold, and nothing in the
 * public interface tells it that there is room again, except that rd_kafka_sasl_set_credentials wakes all broker threads, whatever
 * the security protocol. The poll thread does so each time it has consumed a part of the queue. From 2.2.0 on
 * fetch.queue.backoff.ms bounds the sleep as well. bench/source_speed.c has the numbers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "source/connection_string.h"
#include "source/source_kafka.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)

static const uint64_t default_queue_bytes = 64 * MIB;
static const int usual_fetch_wait_ms = 100;

/* ---- copying ---- */

static hv_rc
copy_text(const char *text, char **ret, hv_err *err)
{
    if (text == NULL)
        return HV_OK;
    *ret = strdup(text);
    return *ret != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for the configuration of a source");
}

static hv_rc
copy_texts(const char *const *texts, size_t count, char ***ret, size_t *ret_count, hv_err *err)
{
    hv_rc rc = HV_OK;

    if (count == 0)
        return HV_OK;
    *ret = calloc(count, sizeof **ret);
    if (*ret == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the configuration of a source");
    *ret_count = count;
    for (size_t i = 0; i < count && rc == HV_OK; i++)
        rc = copy_text(texts[i], &(*ret)[i], err);
    return rc;
}

static void
free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

hv_rc
hv_kafka_settings_filter(hv_kafka_settings *settings, const hv_kafka_config *globs, hv_err *err)
{
    hv_kafka_settings made = {0};

    hv_rc rc = copy_texts(globs->include, globs->include_count, &made.include, &made.include_count, err);
    if (rc == HV_OK)
        rc = copy_texts(globs->exclude, globs->exclude_count, &made.exclude, &made.exclude_count, err);
    if (rc == HV_OK) {
        const hv_kafka_settings former = *settings;
        settings->include = made.include;
        settings->include_count = made.include_count;
        settings->exclude = made.exclude;
        settings->exclude_count = made.exclude_count;
        made.include = former.include;
        made.include_count = former.include_count;
        made.exclude = former.exclude;
        made.exclude_count = former.exclude_count;
    }
    free_texts(made.include, made.include_count);
    free_texts(made.exclude, made.exclude_count);
    return rc;
}

void
hv_kafka_settings_clear(hv_kafka_settings *settings)
{
    free(settings->bootstrap);
    free(settings->ca_file);
    free(settings->user);
    free(settings->password_file);
    free(settings->connection_string_file);
    free(settings->group);
    free_texts(settings->include, settings->include_count);
    free_texts(settings->exclude, settings->exclude_count);
    free_texts(settings->hubs, settings->hub_count);
    free_texts(settings->extra, settings->extra_count);
    *settings = (hv_kafka_settings){0};
}

static hv_rc
check_config(const hv_kafka_config *config, hv_err *err)
{
    bool by_string = config->auth == HV_KAFKA_AUTH_CONNECTION_STRING;

    if (by_string && config->connection_string_file == NULL)
        return hv_err_set(err, HV_USAGE, "a connection string is wanted, but no file that holds it is named");
    if (!by_string && config->bootstrap == NULL)
        return hv_err_set(err, HV_USAGE, "no broker is named to connect to");
    if (config->auth == HV_KAFKA_AUTH_PLAIN && (config->user == NULL || config->password_file == NULL))
        return hv_err_set(err, HV_USAGE, "SASL PLAIN needs a user and a password file");
    if (config->auth == HV_KAFKA_AUTH_OAUTH && config->token == NULL)
        return hv_err_set(err, HV_USAGE, "OAUTHBEARER needs a token provider");
    if (config->extra_count % 2 != 0)
        return hv_err_set(err, HV_USAGE, "the librdkafka property '%s' has no value", config->extra[config->extra_count - 1]);
    for (size_t i = 0; i < config->hub_count; i++) {
        hv_rc rc = hv_hub_name_check(config->hubs[i], err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

hv_rc
hv_kafka_settings_copy(const hv_kafka_config *config, hv_kafka_settings *ret, hv_err *err)
{
    hv_rc rc = check_config(config, err);

    if (rc != HV_OK)
        return rc;
    *ret = (hv_kafka_settings){
        .auth = config->auth,
        .tls = config->tls,
        .token = config->token,
        .token_arg = config->token_arg,
        .queue_bytes = config->queue_bytes != 0 ? config->queue_bytes : default_queue_bytes,
        .stall_ms = config->stall_ms > 0 ? config->stall_ms : 60000,
        .fetch_wait_ms = config->fetch_wait_ms > 0 ? config->fetch_wait_ms : usual_fetch_wait_ms,
        .fetch_least_bytes = config->fetch_least_bytes > 0 ? config->fetch_least_bytes : 1,
        .patient = config->fetch_wait_ms > usual_fetch_wait_ms,
        .log = config->log,
        .log_arg = config->log_arg,
    };
    rc = copy_text(config->bootstrap, &ret->bootstrap, err);
    if (rc == HV_OK)
        rc = copy_text(config->ca_file, &ret->ca_file, err);
    if (rc == HV_OK)
        rc = copy_text(config->user, &ret->user, err);
    if (rc == HV_OK)
        rc = copy_text(config->password_file, &ret->password_file, err);
    if (rc == HV_OK)
        rc = copy_text(config->connection_string_file, &ret->connection_string_file, err);
    if (rc == HV_OK)
        rc = copy_text(config->group != NULL ? config->group : "hubvault", &ret->group, err);
    if (rc == HV_OK)
        rc = copy_texts(config->include, config->include_count, &ret->include, &ret->include_count, err);
    if (rc == HV_OK)
        rc = copy_texts(config->exclude, config->exclude_count, &ret->exclude, &ret->exclude_count, err);
    if (rc == HV_OK)
        rc = copy_texts(config->hubs, config->hub_count, &ret->hubs, &ret->hub_count, err);
    if (rc == HV_OK)
        rc = copy_texts(config->extra, config->extra_count, &ret->extra, &ret->extra_count, err);
    return rc;
}

/* ---- credentials ---- */

void
hv_kafka_credentials_clear(hv_kafka_credentials *credentials)
{
    hv_secret_wipe(&credentials->password);
    *credentials = (hv_kafka_credentials){0};
}

static hv_rc
read_connection_string(const hv_kafka_settings *settings, hv_kafka_credentials *made, hv_err *err)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string parsed = {0};
    hv_rc rc = hv_secret_read(settings->connection_string_file, "connection string", &made->password, err);

    if (rc != HV_OK)
        return rc;
    rc = hv_connection_string_parse(made->password.text, &parsed, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "'%s'", settings->connection_string_file);
    /* The fixed user name of the Kafka endpoint (azure-docs azure-event-hubs-apache-kafka-overview.md). */
    (void)snprintf(made->user, sizeof made->user, "$ConnectionString");
    (void)snprintf(made->host, sizeof made->host, "%s", parsed.host);
    (void)snprintf(made->entity_path, sizeof made->entity_path, "%s", parsed.entity_path);
    made->plaintext = parsed.emulator;
    return HV_OK;
}

hv_rc
hv_kafka_credentials_read(const hv_kafka_settings *settings, hv_kafka_credentials *ret, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials made = {0};
    hv_rc rc = HV_OK;

    switch (settings->auth) {
    case HV_KAFKA_AUTH_PLAIN:
        rc = hv_secret_read(settings->password_file, "password", &made.password, err);
        if (rc == HV_OK && strlen(settings->user) >= sizeof made.user)
            rc = hv_err_set(err, HV_USAGE, "the user name has more than %zu bytes", sizeof made.user - 1);
        if (rc == HV_OK)
            memcpy(made.user, settings->user, strlen(settings->user) + 1);
        break;
    case HV_KAFKA_AUTH_CONNECTION_STRING:
        rc = read_connection_string(settings, &made, err);
        break;
    case HV_KAFKA_AUTH_NONE:
    case HV_KAFKA_AUTH_OAUTH:
        break;
    }
    if (rc == HV_OK) {
        *ret = made;
        made.password = (hv_secret){0};
    }
    return rc;
}

hv_rc
hv_kafka_bootstrap(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials, char *ret, size_t size, hv_err *err)
{
    /* Event Hubs: 9093 for all brokers; the emulator: 9092. */
    int len = settings->bootstrap != NULL ? snprintf(ret, size, "%s", settings->bootstrap)
                                          : snprintf(ret, size, "%s:%d", credentials->host, credentials->plaintext ? 9092 : 9093);

    if (len < 0 || (size_t)len >= size)
        return hv_err_set(err, HV_USAGE, "the list of brokers has more than %zu bytes", size - 1);
    return HV_OK;
}

/* ---- librdkafka's configuration ---- */

hv_kafka_budget
hv_kafka_budget_of(uint64_t queue_bytes)
{
    int64_t bytes = queue_bytes < 4 * MIB ? 4 * MIB : queue_bytes > 1024 * MIB ? 1024 * MIB : (int64_t)queue_bytes;
    int64_t fetch = bytes / 32 < MIB ? MIB : bytes / 32 > 8 * MIB ? 8 * MIB : bytes / 32;

    return (hv_kafka_budget){
        .queue_kbytes = bytes / 4 / KIB,
        .queue_messages = bytes / 4 / KIB,
        .fetch_bytes = fetch,
        .wake_bytes = (uint64_t)bytes / 32,
    };
}

typedef struct property {
    const char *name, *value;
    bool optional;                      /* not known to every version of librdkafka */
} property;

static const property fixed_properties[] = {
    {"client.id", "hubvault", false},
    /* The position lives in the sealed segments; commits are a courtesy and have a connection of their own. */
    {"enable.auto.commit", "false", false},
    {"enable.auto.offset.store", "false", false},
    {"auto.offset.reset", "error", false},          /* never a silent jump */
    {"isolation.level", "read_committed", false},
    {"enable.partition.eof", "true", false},
    {"check.crcs", "true", false},
    {"allow.auto.create.topics", "false", false},   /* an archiver must not create hubs */
    /* Azure cuts idle connections after 240 s; timeouts of 10 s were seen to stall (event-hubs.md, sections 2 and 3). */
    {"connections.max.idle.ms", "180000", false},
    {"socket.keepalive.enable", "true", false},
    {"socket.timeout.ms", "60000", false},
    {"socket.nagle.disable", "true", false},
    {"log.connection.close", "false", false},
    {"metadata.max.age.ms", "180000", false},
    {"topic.metadata.refresh.interval.ms", "60000", false},
    {"topic.metadata.propagation.max.ms", "5000", false},   /* until a hub that is not there is said to be gone */
    {"reconnect.backoff.max.ms", "10000", false},
    {"fetch.error.backoff.ms", "100", false},
    {"fetch.queue.backoff.ms", "10", true},         /* from 2.2.0 */
};

static hv_rc
set_property(rd_kafka_conf_t *conf, const char *name, const char *value, bool optional, hv_err *err)
{
    char text[512];
    rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, name, value, text, sizeof text);

    if (res == RD_KAFKA_CONF_OK || (res == RD_KAFKA_CONF_UNKNOWN && optional))
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "librdkafka refuses the property '%s': %s", name, text);
}

static hv_rc
set_number(rd_kafka_conf_t *conf, const char *name, int64_t value, hv_err *err)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return set_property(conf, name, text, false, err);
}

static hv_rc
set_budget(rd_kafka_conf_t *conf, const hv_kafka_budget *budget, hv_err *err)
{
    hv_rc rc = set_number(conf, "queued.max.messages.kbytes", budget->queue_kbytes, err);

    if (rc == HV_OK)
        rc = set_number(conf, "queued.min.messages", budget->queue_messages, err);
    if (rc == HV_OK)
        rc = set_number(conf, "fetch.message.max.bytes", budget->fetch_bytes, err);
    if (rc == HV_OK)
        rc = set_number(conf, "fetch.max.bytes", budget->fetch_bytes, err);
    return rc;
}

bool
hv_kafka_speaks_tls(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials)
{
    bool by_string = settings->auth == HV_KAFKA_AUTH_CONNECTION_STRING && !credentials->plaintext;

    return settings->tls || settings->ca_file != NULL || by_string;
}

static const char *
protocol_of(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials)
{
    bool tls = hv_kafka_speaks_tls(settings, credentials);

    if (settings->auth == HV_KAFKA_AUTH_NONE)
        return tls ? "ssl" : "plaintext";
    return tls ? "sasl_ssl" : "sasl_plaintext";
}

hv_rc
hv_kafka_set_security(rd_kafka_conf_t *conf, const hv_kafka_settings *settings, const hv_kafka_credentials *credentials,
                      hv_err *err)
{
    hv_rc rc = set_property(conf, "security.protocol", protocol_of(settings, credentials), false, err);

    if (rc == HV_OK && settings->ca_file != NULL)
        rc = set_property(conf, "ssl.ca.location", settings->ca_file, false, err);
    if (rc == HV_OK && settings->auth == HV_KAFKA_AUTH_OAUTH)
        rc = set_property(conf, "sasl.mechanism", "OAUTHBEARER", false, err);
    if (rc != HV_OK || credentials->password.text == NULL)
        return rc;
    rc = set_property(conf, "sasl.mechanism", "PLAIN", false, err);
    if (rc == HV_OK)
        rc = set_property(conf, "sasl.username", credentials->user, false, err);
    if (rc == HV_OK)
        rc = set_property(conf, "sasl.password", credentials->password.text, false, err);
    return rc;
}

static hv_rc
set_all(rd_kafka_conf_t *conf, const hv_kafka_settings *settings, const hv_kafka_credentials *credentials, hv_err *err)
{
    char bootstrap[4096];
    hv_kafka_budget budget = hv_kafka_budget_of(settings->queue_bytes);
    hv_rc rc = hv_kafka_bootstrap(settings, credentials, bootstrap, sizeof bootstrap, err);

    if (rc == HV_OK)
        rc = set_property(conf, "bootstrap.servers", bootstrap, false, err);
    /* Even a consumer that never joins a group has to name one. */
    if (rc == HV_OK)
        rc = set_property(conf, "group.id", settings->group[0] != '\0' ? settings->group : "hubvault", false, err);
    for (size_t i = 0; i < sizeof fixed_properties / sizeof fixed_properties[0] && rc == HV_OK; i++)
        rc = set_property(conf, fixed_properties[i].name, fixed_properties[i].value, fixed_properties[i].optional, err);
    if (rc == HV_OK)
        rc = set_budget(conf, &budget, err);
    if (rc == HV_OK)
        rc = set_number(conf, "fetch.wait.max.ms", settings->fetch_wait_ms, err);       /* how late the end of a partition is told */
    if (rc == HV_OK)
        rc = set_number(conf, "fetch.min.bytes", settings->fetch_least_bytes, err);
    if (rc == HV_OK)
        rc = hv_kafka_set_security(conf, settings, credentials, err);
    for (size_t i = 0; i < settings->extra_count && rc == HV_OK; i += 2)
        rc = set_property(conf, settings->extra[i], settings->extra[i + 1], false, err);
    return rc;
}

hv_rc
hv_kafka_conf_make(const hv_kafka_settings *settings, const hv_kafka_credentials *credentials, rd_kafka_conf_t **ret, hv_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    hv_rc rc = set_all(conf, settings, credentials, err);

    if (rc != HV_OK)
        rd_kafka_conf_destroy(conf);
    else
        *ret = conf;
    return rc;
}
