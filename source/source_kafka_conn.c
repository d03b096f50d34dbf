/*
 * One connection: a librdkafka handle with its callbacks.
 *
 * Nothing of a handle is needed to go on elsewhere: the table of entries knows where each partition stands, so a new handle takes
 * over without a gap, and a record that the old one still had is never handed out, because its handle is not asked any more.
 *
 * The last reference destroys the handle, in a thread of its own, because that may take for ever: with librdkafka 2.0.2
 * rd_kafka_destroy waits for a broker thread that never ends when a topic was deleted while its partitions were read. Nobody has to
 * wait for more than a moment; a handle that does not end is left behind. Hence its callbacks reach the source through a small
 * object that lives as long as any handle, and knows when the source is closed. One thing is waited for as long as it takes, since
 * it uses what belongs to others: a token provider that is being asked.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "source/source_kafka.h"

enum { CLOSE_WAIT_S = 2 };

struct hv_kafka_owner {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock`, except in new and free */
        hv_kafka *k;                    /* NULL: closed */
        unsigned connections;           /* handles that are not destroyed yet */
        unsigned calls;                 /* of the token provider, under way */
    } locked;
};

/* ---- owner ---- */

hv_rc
hv_kafka_owner_new(hv_kafka *k, hv_kafka_owner **ret, hv_err *err)
{
    pthread_condattr_t attributes;
    hv_kafka_owner *owner = calloc(1, sizeof *owner);

    if (owner == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a source");
    (void)pthread_mutex_init(&owner->lock, NULL);           /* none of these fails on Linux */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&owner->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    owner->locked.k = k;
    *ret = owner;
    return HV_OK;
}

static void
owner_free(hv_kafka_owner *owner)
{
    (void)pthread_cond_destroy(&owner->changed);
    (void)pthread_mutex_destroy(&owner->lock);
    free(owner);
}

hv_kafka *
hv_kafka_of_owner(hv_kafka_owner *owner)
{
    (void)pthread_mutex_lock(&owner->lock);
    hv_kafka *k = owner->locked.k;
    (void)pthread_mutex_unlock(&owner->lock);
    return k;
}

static void
add_connection(hv_kafka_owner *owner)
{
    (void)pthread_mutex_lock(&owner->lock);
    owner->locked.connections++;
    (void)pthread_mutex_unlock(&owner->lock);
}

static void
remove_connection(hv_kafka_owner *owner)
{
    (void)pthread_mutex_lock(&owner->lock);
    bool last = --owner->locked.connections == 0 && owner->locked.k == NULL;
    (void)pthread_cond_broadcast(&owner->changed);
    (void)pthread_mutex_unlock(&owner->lock);
    if (last)
        owner_free(owner);
}

void
hv_kafka_owner_leave(hv_kafka_owner *owner)
{
    struct timespec until;
    int waited = 0;

    if (owner == NULL)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CLOSE_WAIT_S;
    (void)pthread_mutex_lock(&owner->lock);
    while (owner->locked.connections > 0 && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&owner->changed, &owner->lock, &until);
    while (owner->locked.calls > 0)
        (void)pthread_cond_wait(&owner->changed, &owner->lock);
    owner->locked.k = NULL;
    bool last = owner->locked.connections == 0;
    (void)pthread_mutex_unlock(&owner->lock);
    if (last)
        owner_free(owner);
}

/* ---- callbacks ---- */

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    hv_kafka_owner *owner = rd_kafka_opaque(rk);

    (void)facility;
    (void)pthread_mutex_lock(&owner->lock);
    if (owner->locked.k != NULL && owner->locked.k->settings.log != NULL)
        owner->locked.k->settings.log(owner->locked.k->settings.log_arg, level, text);
    (void)pthread_mutex_unlock(&owner->lock);
}

static hv_rc
ask_provider(hv_kafka_owner *owner, hv_kafka_token *token, hv_err *err)
{
    (void)pthread_mutex_lock(&owner->lock);
    hv_kafka *k = owner->locked.k;
    owner->locked.calls += k != NULL;
    (void)pthread_mutex_unlock(&owner->lock);
    if (k == NULL)
        return hv_err_set(err, HV_CLOSED, "closed");
    hv_rc rc = k->settings.token(k->settings.token_arg, token, err);
    (void)pthread_mutex_lock(&owner->lock);
    owner->locked.calls--;
    (void)pthread_cond_broadcast(&owner->changed);
    (void)pthread_mutex_unlock(&owner->lock);
    return rc;
}

/* In librdkafka's background thread; may wait for the token provider. After a failure librdkafka asks again in 10 s. */
static void
on_token_wanted(rd_kafka_t *rk, const char *unused, void *owner)
{
    HV_AUTO(hv_token_clear) hv_kafka_token token = {0};
    hv_err err;
    char text[512];

    (void)unused;
    hv_rc rc = ask_provider(owner, &token, &err);
    if (rc != HV_OK)
        (void)rd_kafka_oauthbearer_set_token_failure(rk, err.msg);
    else if (rd_kafka_oauthbearer_set_token(rk, token.token, token.expires_ms, "hubvault", NULL, 0, text, sizeof text) != 0)
        (void)rd_kafka_oauthbearer_set_token_failure(rk, text);
}

/* ---- handles ---- */

static hv_rc
make_handle(hv_kafka *k, const hv_kafka_credentials *credentials, bool reads, rd_kafka_t **ret, hv_err *err)
{
    char text[512];
    rd_kafka_conf_t *conf = NULL;
    hv_rc rc = hv_kafka_conf_make(&k->settings, credentials, &conf, err);

    if (rc != HV_OK)
        return rc;
    rd_kafka_conf_set_opaque(conf, k->owner);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (reads)
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
hv_kafka_conn_open(hv_kafka *k, bool reads, hv_kafka_conn **ret, hv_err *err)
{
    HV_AUTO(hv_kafka_credentials_clear) hv_kafka_credentials credentials = {0};
    hv_rc rc = hv_kafka_credentials_read(&k->settings, &credentials, err);

    if (rc != HV_OK)
        return rc;
    hv_kafka_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a connection");
    rc = make_handle(k, &credentials, reads, &conn->rk, err);
    if (rc == HV_OK && (rc = finish_handle(k, conn->rk, err)) != HV_OK)
        destroy_handle(conn->rk);
    if (rc != HV_OK) {
        free(conn);
        return rc;
    }
    conn->queue = rd_kafka_queue_get_consumer(conn->rk);
    conn->credentials = credentials;
    credentials.password = (hv_secret){0};
    conn->owner = k->owner;
    add_connection(k->owner);
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

static void *
destroy_conn(void *arg)
{
    hv_kafka_conn *conn = arg;

    rd_kafka_queue_destroy(conn->queue);
    destroy_handle(conn->rk);
    hv_kafka_credentials_clear(&conn->credentials);
    remove_connection(conn->owner);
    free(conn);
    return NULL;
}

void
hv_kafka_conn_release(hv_kafka_conn *conn)
{
    pthread_t thread;

    if (conn == NULL || atomic_fetch_sub(&conn->references, 1) != 1)
        return;
    if (pthread_create(&thread, NULL, destroy_conn, conn) == 0)
        (void)pthread_detach(thread);
    else
        (void)destroy_conn(conn);
}

hv_rc
hv_kafka_reconnect(hv_kafka *k, hv_err *err)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *made = NULL;
    hv_rc rc = hv_kafka_conn_open(k, true, &made, err);

    if (rc != HV_OK)
        return hv_err_prefix(err, "connect anew");
    assert(k->poll.current == NULL);
    hv_kafka_drop_batch(k, NULL, 0);
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
    hv_kafka_asker_drop(k);
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
