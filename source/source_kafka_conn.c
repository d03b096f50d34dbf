/*
 * One connection: a librdkafka handle with its callbacks.
 *
 * The last reference destroys the handle, in whichever thread that is; librdkafka's own threads never hold one. Nothing of a handle is
 * needed to go on elsewhere: the table of entries knows where each partition stands, so a new handle takes over without a gap, and a
 * record that the old one still had is never handed out, because its handle is not asked any more.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "source/source_kafka.h"

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    hv_kafka *k = rd_kafka_opaque(rk);

    (void)facility;
    if (k != NULL && k->settings.log != NULL)
        k->settings.log(k->settings.log_arg, level, text);
}

/* In librdkafka's background thread; may wait for the token provider. After a failure librdkafka asks again in 10 s. */
static void
on_token_wanted(rd_kafka_t *rk, const char *unused, void *source)
{
    hv_kafka *k = source;
    HV_AUTO(hv_token_clear) hv_kafka_token token = {0};
    hv_err err;
    char text[512];

    (void)unused;
    hv_rc rc = k->settings.token(k->settings.token_arg, &token, &err);
    if (rc != HV_OK) {
        (void)rd_kafka_oauthbearer_set_token_failure(rk, err.msg);
        return;
    }
    if (rd_kafka_oauthbearer_set_token(rk, token.token, token.expires_ms, "hubvault", NULL, 0, text, sizeof text) != 0)
        (void)rd_kafka_oauthbearer_set_token_failure(rk, text);
}

static hv_rc
make_handle(hv_kafka *k, const hv_kafka_credentials *credentials, rd_kafka_t **ret, hv_err *err)
{
    char text[512];
    rd_kafka_conf_t *conf = NULL;
    hv_rc rc = hv_kafka_conf_make(&k->settings, credentials, &conf, err);

    if (rc != HV_OK)
        return rc;
    rd_kafka_conf_set_opaque(conf, k);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, hv_kafka_on_error);
    if (k->settings.auth == HV_KAFKA_AUTH_OAUTH) {
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token_wanted);
        rd_kafka_conf_enable_sasl_queue(conf, 1);
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return hv_err_set(err, HV_USAGE, "librdkafka refuses the configuration: %s", text);
    }
    *ret = rk;
    return HV_OK;
}

static void
destroy_handle(rd_kafka_t *rk)
{
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);   /* no group was joined, so none is left */
}

static hv_rc
finish_handle(hv_kafka *k, rd_kafka_t *rk, hv_err *err)
{
    (void)rd_kafka_poll_set_consumer(rk);
    if (k->settings.auth != HV_KAFKA_AUTH_OAUTH)
        return HV_OK;
    /* Tokens are refreshed while nobody polls, too. */
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(rk);
    if (error == NULL)
        return HV_OK;
    (void)hv_err_set(err, HV_INTERNAL, "librdkafka cannot refresh tokens by itself: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return HV_INTERNAL;
}

hv_rc
hv_kafka_conn_open(hv_kafka *k, hv_kafka_conn **ret, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    hv_rc rc = hv_kafka_credentials_read(&k->settings, &credentials, err);

    if (rc != HV_OK)
        return rc;
    hv_kafka_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a connection");
    rc = make_handle(k, &credentials, &conn->rk, err);
    if (rc == HV_OK && (rc = finish_handle(k, conn->rk, err)) != HV_OK)
        destroy_handle(conn->rk);
    if (rc != HV_OK) {
        free(conn);
        return rc;
    }
    conn->credentials = credentials;
    credentials.password = (hv_secret){0};
    atomic_init(&conn->references, 1);
    *ret = conn;
    return HV_OK;
}

hv_kafka_conn *
hv_kafka_conn_hold(hv_kafka *k)
{
    (void)pthread_mutex_lock(&k->lock);
    hv_kafka_conn *conn = k->locked.conn;
    (void)atomic_fetch_add(&conn->references, 1);
    (void)pthread_mutex_unlock(&k->lock);
    return conn;
}

void
hv_kafka_conn_release(hv_kafka_conn *conn)
{
    if (conn == NULL || atomic_fetch_sub(&conn->references, 1) != 1)
        return;
    destroy_handle(conn->rk);
    hv_kafka_credentials_clear(&conn->credentials);
    free(conn);
}

hv_rc
hv_kafka_reconnect(hv_kafka *k, hv_err *err)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *made = NULL;
    hv_rc rc = hv_kafka_conn_open(k, &made, err);

    if (rc != HV_OK)
        return hv_err_prefix(err, "connect anew");
    hv_kafka_drop_topics(k);
    (void)pthread_mutex_lock(&k->lock);
    hv_kafka_conn *old = k->locked.conn;
    k->locked.conn = HV_TAKE(made);
    (void)pthread_mutex_unlock(&k->lock);
    hv_kafka_conn_release(old);
    return hv_kafka_assign_all(k, err);
}

bool
hv_kafka_refresh_credentials(hv_kafka *k)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials fresh = {0};
    hv_kafka_credentials *used = &k->locked.conn->credentials;
    hv_err err;

    if (hv_kafka_credentials_read(&k->settings, &fresh, &err) != HV_OK || fresh.password.text == NULL ||
        strcmp(fresh.password.text, used->password.text) == 0)
        return false;
    hv_secret_wipe(&used->password);
    used->password = fresh.password;
    fresh.password = (hv_secret){0};
    hv_kafka_wake_fetchers(k);
    return true;
}

void
hv_kafka_wake_fetchers(hv_kafka *k)
{
    const hv_kafka_credentials *credentials = &k->locked.conn->credentials;
    const char *password = credentials->password.text != NULL ? credentials->password.text : "";
    rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(k->locked.conn->rk, credentials->user, password);

    if (error != NULL)
        rd_kafka_error_destroy(error);
}
