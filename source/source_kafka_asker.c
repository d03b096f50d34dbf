/*
 * The second connection of a source: for commits, and for questions if fetches wait long at the broker.
 *
 * A broker answers the requests of one connection in order (Kafka protocol, "Network"), and librdkafka sends fetches and everything else for
 * a broker over one connection. So what must not wait behind a fetch needs another handle. It reads nothing, which makes it easy to
 * replace: whoever uses the old one holds a reference to it, and the last one ends it. That is all that is ever done to it. A new
 * one has the secret that is in its file then, so it is replaced when the secret of the reading connection has been, and after
 * a question that failed, because a connection that was opened anew may have been refused for its old secret. Tokens are asked for by
 * each handle itself.
 *
 * A handle costs a thread and one per broker that it knows, one for the coordinator of its group, and a connection to each broker that
 * has been asked; idle ones are closed after connections.max.idle.ms, but for one that librdkafka keeps.
 */
#include "common/clock.h"
#include "source/source_kafka.h"

enum { REPLACE_AFTER_MS = 10000 };      /* not each question of an outage makes a handle */

/* Takes the present one out if it is of no use any more. Returns what has to be released, or NULL. Holding the lock. */
static hv_kafka_conn *
take_useless(hv_kafka *k)
{
    if (k->locked.asker == NULL || !k->locked.asker_failed || hv_clock_boot_ms() - k->locked.asker_since_ms < REPLACE_AFTER_MS)
        return NULL;
    return HV_TAKE(k->locked.asker);
}

/* NULL if there is none. */
static hv_kafka_conn *
hold_present(hv_kafka *k)
{
    (void)pthread_mutex_lock(&k->lock);
    hv_kafka_conn *useless = take_useless(k), *conn = k->locked.asker;
    if (conn != NULL)
        (void)atomic_fetch_add(&conn->references, 1);
    (void)pthread_mutex_unlock(&k->lock);
    hv_kafka_conn_release(useless);
    return conn;
}

hv_rc
hv_kafka_asker_hold(hv_kafka *k, hv_kafka_conn **ret, hv_err *err)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *made = NULL;
    hv_kafka_conn *conn = hold_present(k);

    if (conn != NULL) {
        *ret = conn;
        return HV_OK;
    }
    hv_rc rc = hv_kafka_conn_open(k, false, &made, err);
    if (rc != HV_OK) {                  /* HV_NOT_FOUND, for a file, would be taken for the answer to the question */
        (void)hv_err_prefix(err, "connect to ask");
        return err->rc = rc == HV_NOMEM ? HV_NOMEM : HV_UNAVAILABLE;
    }
    (void)pthread_mutex_lock(&k->lock);
    if (k->locked.asker == NULL) {      /* else somebody was faster */
        k->locked.asker = HV_TAKE(made);
        k->locked.asker_since_ms = hv_clock_boot_ms();
        k->locked.asker_failed = false;
    }
    *ret = k->locked.asker;
    (void)atomic_fetch_add(&k->locked.asker->references, 1);
    (void)pthread_mutex_unlock(&k->lock);
    return HV_OK;
}

hv_rc
hv_kafka_ask_hold(hv_kafka *k, hv_kafka_conn **ret, hv_err *err)
{
    if (k->settings.patient)
        return hv_kafka_asker_hold(k, ret, err);
    *ret = hv_kafka_conn_hold(k);
    return HV_OK;
}

hv_rc
hv_kafka_asked(hv_kafka *k, const hv_kafka_conn *conn, hv_rc rc)
{
    (void)pthread_mutex_lock(&k->lock);
    if (conn != NULL && conn == k->locked.asker)
        k->locked.asker_failed = rc == HV_UNAVAILABLE;
    (void)pthread_mutex_unlock(&k->lock);
    return rc;
}

void
hv_kafka_asker_serve(hv_kafka *k)
{
    HV_AUTO(hv_kafka_conn_release) hv_kafka_conn *conn = hold_present(k);
    rd_kafka_message_t *message;

    while (conn != NULL && (message = rd_kafka_consumer_poll(conn->rk, 0)) != NULL)
        rd_kafka_message_destroy(message);
}

void
hv_kafka_asker_drop(hv_kafka *k)
{
    (void)pthread_mutex_lock(&k->lock);
    hv_kafka_conn *conn = HV_TAKE(k->locked.asker);
    (void)pthread_mutex_unlock(&k->lock);
    hv_kafka_conn_release(conn);
}
