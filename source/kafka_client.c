/* One librdkafka handle, without any of the machinery of a source. */
#include "source/kafka_client.h"

#include <stdlib.h>

#include "source/source_kafka.h"

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const hv_kafka_client *client = rd_kafka_opaque(rk);

    (void)facility;
    if (client != NULL && client->config.broker->log != NULL)
        client->config.broker->log(client->config.broker->log_arg, level, text);
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;                           /* every call of ours says by itself what failed */
    (void)code;
    (void)reason;
    (void)opaque;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    const hv_kafka_client *client = opaque;

    client->config.delivered(rk, message, client->config.arg);
}

static void
on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    const hv_kafka_client *client = opaque;

    client->config.rebalance(rk, what, partitions, client->config.arg);
}

/* In librdkafka's background thread. After a failure librdkafka asks again in 10 s. */
static void
on_token_wanted(rd_kafka_t *rk, const char *unused, void *opaque)
{
    const hv_kafka_config *broker = ((hv_kafka_client *)opaque)->config.broker;
    HV_AUTO(hv_token_clear) hv_kafka_token token = {0};
    hv_err err;
    char text[512];

    (void)unused;
    if (broker->token(broker->token_arg, &token, &err) != HV_OK)
        (void)rd_kafka_oauthbearer_set_token_failure(rk, err.msg);
    else if (rd_kafka_oauthbearer_set_token(rk, token.token, token.expires_ms, "hubvault", NULL, 0, text, sizeof text) != 0)
        (void)rd_kafka_oauthbearer_set_token_failure(rk, text);
}

/* Interceptors can be added while a handle is made, and only then. */
static rd_kafka_resp_err_t
on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text, size_t size)
{
    const hv_kafka_client *client = opaque;

    (void)conf;
    (void)text;
    (void)size;
    return rd_kafka_interceptor_add_on_send(rk, "hubvault", client->config.on_send, client->config.arg);
}

static hv_rc
set(rd_kafka_conf_t *conf, const char *name, const char *value, hv_err *err)
{
    char text[512];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "librdkafka refuses the property '%s': %s", name, text);
}

static hv_rc
set_all(rd_kafka_conf_t *conf, const hv_kafka_client_config *config, const hv_kafka_settings *settings, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    char bootstrap[4096];

    hv_rc rc = hv_kafka_credentials_read(settings, &credentials, err);
    if (rc == HV_OK)
        rc = hv_kafka_bootstrap(settings, &credentials, bootstrap, sizeof bootstrap, err);
    if (rc == HV_OK)
        rc = set(conf, "bootstrap.servers", bootstrap, err);
    if (rc == HV_OK)
        rc = set(conf, "client.id", "hubvault", err);
    /* Azure cuts idle connections after 240 s (event-hubs.md section 3). */
    if (rc == HV_OK)
        rc = set(conf, "connections.max.idle.ms", "180000", err);
    if (rc == HV_OK)
        rc = set(conf, "socket.keepalive.enable", "true", err);
    if (rc == HV_OK)
        rc = hv_kafka_set_security(conf, settings, &credentials, err);
    for (size_t i = 0; i < config->property_count && rc == HV_OK; i += 2)
        rc = set(conf, config->properties[i], config->properties[i + 1], err);
    for (size_t i = 0; i < settings->extra_count && rc == HV_OK; i += 2)
        rc = set(conf, settings->extra[i], settings->extra[i + 1], err);
    return rc;
}

static hv_rc
make_handle(hv_kafka_client *client, const hv_kafka_settings *settings, hv_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[512];

    hv_rc rc = set_all(conf, &client->config, settings, err);
    if (rc != HV_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (client->config.delivered != NULL)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (client->config.rebalance != NULL)
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    if (client->config.on_send != NULL)
        (void)rd_kafka_conf_interceptor_add_on_new(conf, "hubvault", on_new,
                                                   client);   /* fails for a second one of that name only */
    if (settings->auth == HV_KAFKA_AUTH_OAUTH) {
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token_wanted);
        rd_kafka_conf_enable_sasl_queue(conf, 1);
    }
    client->rk = rd_kafka_new(client->config.type, conf, text, sizeof text);
    if (client->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return hv_err_set(err, HV_USAGE, "librdkafka refuses the configuration: %s", text);
    }
    if (settings->auth != HV_KAFKA_AUTH_OAUTH)
        return HV_OK;
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(client->rk);
    if (error == NULL)
        return HV_OK;
    (void)hv_err_set(err, HV_INTERNAL, "librdkafka cannot refresh tokens by itself: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return HV_INTERNAL;
}

hv_rc
hv_kafka_client_open(const hv_kafka_client_config *config, hv_kafka_client **ret, hv_err *err)
{
    HV_AUTO(hv_kafka_client_close) hv_kafka_client *client = calloc(1, sizeof *client);
    hv_kafka_settings settings = {0};

    if (client == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a connection");
    client->config = *config;
    hv_rc rc = hv_kafka_settings_copy(config->broker, &settings, err);
    if (rc == HV_OK)
        rc = make_handle(client, &settings, err);
    hv_kafka_settings_clear(&settings);
    if (rc == HV_OK)
        *ret = HV_TAKE(client);
    return rc;
}

void
hv_kafka_client_close(hv_kafka_client *client)
{
    if (client == NULL)
        return;
    if (client->rk != NULL && client->config.type == RD_KAFKA_PRODUCER)
        (void)rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (client->rk != NULL)
        rd_kafka_destroy_flags(client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);      /* a group was left before, if any */
    free(client);
}

hv_rc
hv_kafka_client_refresh(hv_kafka_client *client, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    hv_kafka_settings settings = {0};
    rd_kafka_error_t *error = NULL;

    hv_rc rc = hv_kafka_settings_copy(client->config.broker, &settings, err);
    if (rc == HV_OK)
        rc = hv_kafka_credentials_read(&settings, &credentials, err);
    hv_kafka_settings_clear(&settings);
    if (rc == HV_OK && credentials.password.text != NULL)
        error = rd_kafka_sasl_set_credentials(client->rk, credentials.user, credentials.password.text);
    if (error == NULL)
        return rc;
    (void)hv_err_set(err, HV_INTERNAL, "librdkafka does not take a secret: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return HV_INTERNAL;
}

hv_rc
hv_kafka_client_rc(rd_kafka_resp_err_t code)
{
    return hv_kafka_rc(code);
}
