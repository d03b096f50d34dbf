/* Steps of the archiver, the index, verify and replay. */
#include <librdkafka/rdkafka.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archiver/archiver.h"
#include "archiver/engine.h"
#include "archiver/incarnation.h"
#include "archiver/rebuild.h"
#include "archiver/sealer.h"
#include "archiver/verify.h"
#include "index/index.h"
#include "server/vault.h"
#include "tests/campaign/kill_points.h"
#include "tests/campaign/kill_state.h"

static atomic_bool stopping, verifying;
static _Thread_local bool rebuilding, replacing, sealing;
static _Thread_local const char *transaction;           /* what the transaction of this thread writes; NULL: nothing of interest */

bool
kill_state_stopping(void)
{
    return atomic_load(&stopping);
}

bool
kill_state_verifying(void)
{
    return atomic_load(&verifying);
}

/* The body of a replacement that only says when the call begins and ends. */
#define AROUND(group, call) \
    do { \
        kill_point(group, "before"); \
        hv_rc rc_ = (call); \
        kill_point(group, "after"); \
        return rc_; \
    } while (0)

/* ---- index ---- */

#define WITHIN(word, call) \
    do { \
        const char *outer_ = transaction; \
        transaction = rebuilding ? "rebuild" : (word); \
        hv_rc rc_ = (call); \
        transaction = outer_; \
        return rc_; \
    } while (0)

hv_rc __real_hv_index_add(hv_index *index, const hv_index_addition *additions, size_t count, hv_err *err);
hv_rc __wrap_hv_index_add(hv_index *index, const hv_index_addition *additions, size_t count, hv_err *err);
hv_rc
__wrap_hv_index_add(hv_index *index, const hv_index_addition *additions, size_t count, hv_err *err)
{
    WITHIN("index.cut", __real_hv_index_add(index, additions, count, err));
}

hv_rc __real_hv_index_add_incarnation(hv_index *index, const hv_index_incarnation *incarnation, hv_err *err);
hv_rc __wrap_hv_index_add_incarnation(hv_index *index, const hv_index_incarnation *incarnation, hv_err *err);
hv_rc
__wrap_hv_index_add_incarnation(hv_index *index, const hv_index_incarnation *incarnation, hv_err *err)
{
    WITHIN("index.incarnation", __real_hv_index_add_incarnation(index, incarnation, err));
}

hv_rc __real_hv_index_open(const hv_index_config *config, hv_index **ret, hv_err *err);
hv_rc __wrap_hv_index_open(const hv_index_config *config, hv_index **ret, hv_err *err);
hv_rc
__wrap_hv_index_open(const hv_index_config *config, hv_index **ret, hv_err *err)
{
    WITHIN("index.open", __real_hv_index_open(config, ret, err));
}

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
    bool in_shutdown = transaction != NULL && kill_state_stopping(), in_release = transaction != NULL && kill_state_releasing();

    kill_point(transaction != NULL ? transaction : "other", "commit.before");
    if (in_shutdown)
        kill_point("shutdown", "commit.before");
    if (in_release)
        kill_point("group.release", "commit.before");
    int rc = __real_mdb_txn_commit(txn);
    kill_point(transaction != NULL ? transaction : "other", "commit.after");
    if (in_shutdown)
        kill_point("shutdown", "commit.after");
    if (in_release)
        kill_point("group.release", "commit.after");
    return rc;
}

/* Not replaced by the linker but found first by the loader: it is the shared library LMDB that calls this, after the pages of a
 * transaction are written and before the meta page that makes them count. */
int
fdatasync(int fd)
{
    kill_point(transaction != NULL ? transaction : "other", "sync.before");
    int failed = (int)syscall(SYS_fdatasync, fd);
    kill_point(transaction != NULL ? transaction : "other", "sync.after");
    return failed;
}

hv_rc __real_hv_rebuild(const hv_rebuild_config *config, hv_rebuild_facts *ret, hv_err *err);
hv_rc __wrap_hv_rebuild(const hv_rebuild_config *config, hv_rebuild_facts *ret, hv_err *err);
hv_rc
__wrap_hv_rebuild(const hv_rebuild_config *config, hv_rebuild_facts *ret, hv_err *err)
{
    rebuilding = true;
    kill_point("rebuild", "before");
    hv_rc rc = __real_hv_rebuild(config, ret, err);
    kill_point("rebuild", "after");
    rebuilding = false;
    return rc;
}

hv_rc __real_hv_index_replace(const char *dir, const char *with, hv_err *err);
hv_rc __wrap_hv_index_replace(const char *dir, const char *with, hv_err *err);
hv_rc
__wrap_hv_index_replace(const char *dir, const char *with, hv_err *err)
{
    replacing = true;
    kill_point("replace", "before");
    hv_rc rc = __real_hv_index_replace(dir, with, err);
    kill_point("replace", "after");
    replacing = false;
    return rc;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int
__wrap_rename(const char *from, const char *to)
{
    size_t len = strlen(to);
    int failed = __real_rename(from, to);

    if (replacing && failed == 0)
        kill_point("replace", len >= 8 && strcmp(to + len - 8, "lock.mdb") == 0 ? "lock-moved" : "data-moved");
    return failed;
}

/* ---- archiver ---- */

/* Classes by offset, so that everybody who reads an event gives it the same one. */
static const char *
classify(void *arg, const hv_partition *partition, const hv_event *event)
{
    static const char *const classes[] = {HV_CLASS_DEFAULT, "personal", "technical"};
    int64_t count = *(const int64_t *)arg;

    board_note_read(partition->incarnation, partition->number, event->offset);
    return classes[event->offset / 3 % count];
}

hv_rc __real_hv_archiver_start(const hv_archiver_config *config, hv_archiver **ret, hv_err *err);
hv_rc __wrap_hv_archiver_start(const hv_archiver_config *config, hv_archiver **ret, hv_err *err);
hv_rc
__wrap_hv_archiver_start(const hv_archiver_config *config, hv_archiver **ret, hv_err *err)
{
    static int64_t classes;
    hv_archiver_config changed = *config;

    classes = kill_setting("CAMPAIGN_CLASSES", 1);
    changed.classify = classify;
    changed.classify_arg = &classes;
    changed.max_bytes = (uint64_t)kill_setting("CAMPAIGN_CUT_BYTES", (int64_t)changed.max_bytes);
    changed.max_age_ms = kill_setting("CAMPAIGN_CUT_AGE_MS", changed.max_age_ms);
    changed.foreign_wait_ms = kill_setting("CAMPAIGN_FOREIGN_WAIT_MS", changed.foreign_wait_ms);
    AROUND("start", __real_hv_archiver_start(&changed, ret, err));
}

void __real_hv_archiver_stop(hv_archiver *archiver);
void __wrap_hv_archiver_stop(hv_archiver *archiver);
void
__wrap_hv_archiver_stop(hv_archiver *archiver)
{
    atomic_store(&stopping, true);
    kill_point("shutdown", "begin");
    __real_hv_archiver_stop(archiver);
}

hv_rc __real_hv_archiver_join(hv_archiver *archiver, hv_archiver_totals *ret, hv_err *err);
hv_rc __wrap_hv_archiver_join(hv_archiver *archiver, hv_archiver_totals *ret, hv_err *err);
hv_rc
__wrap_hv_archiver_join(hv_archiver *archiver, hv_archiver_totals *ret, hv_err *err)
{
    hv_rc rc = __real_hv_archiver_join(archiver, ret, err);

    kill_point("shutdown", "joined");
    return rc;
}

void __real_hv_vault_close(hv_vault *vault);
void __wrap_hv_vault_close(hv_vault *vault);
void
__wrap_hv_vault_close(hv_vault *vault)
{
    __real_hv_vault_close(vault);
    if (kill_state_stopping())
        kill_point("shutdown", "closed");
}

hv_rc __real_hv_incarnation_claim(const hv_chain *chain, hv_incarnation_record *record, hv_err *err);
hv_rc __wrap_hv_incarnation_claim(const hv_chain *chain, hv_incarnation_record *record, hv_err *err);
hv_rc
__wrap_hv_incarnation_claim(const hv_chain *chain, hv_incarnation_record *record, hv_err *err)
{
    AROUND("claim", __real_hv_incarnation_claim(chain, record, err));
}

hv_rc __real_hv_chain_look(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, hv_err *err);
hv_rc __wrap_hv_chain_look(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, hv_err *err);
hv_rc
__wrap_hv_chain_look(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, hv_err *err)
{
    if (kill_state_admitting() && !sealing)
        kill_point("group.admit", "look");
    hv_rc rc = __real_hv_chain_look(chain, partition, first, ret, err);
    if (rc == HV_OK)
        kill_point("adopt", sealing ? "sealing" : "looked");
    return rc;
}

hv_rc __real_hv_chain_look_on(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, int64_t *later,
                              hv_err *err);
hv_rc __wrap_hv_chain_look_on(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, int64_t *later,
                              hv_err *err);
hv_rc
__wrap_hv_chain_look_on(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, int64_t *later, hv_err *err)
{
    if (kill_state_admitting())
        kill_point("group.admit", "look");
    hv_rc rc = __real_hv_chain_look_on(chain, partition, first, ret, later, err);
    if (rc == HV_OK)
        kill_point("adopt", "looked");
    return rc;
}

hv_rc __real_hv_engine_record(hv_engine *engine, const hv_partition *partition, const hv_index_cut *cuts, size_t count, hv_err *err);
hv_rc __wrap_hv_engine_record(hv_engine *engine, const hv_partition *partition, const hv_index_cut *cuts, size_t count, hv_err *err);
hv_rc
__wrap_hv_engine_record(hv_engine *engine, const hv_partition *partition, const hv_index_cut *cuts, size_t count, hv_err *err)
{
    AROUND("adopt.record", __real_hv_engine_record(engine, partition, cuts, count, err));
}

hv_rc __real_hv_sealer_run(const hv_sealer *sealer, hv_seal_job *job, hv_err *err);
hv_rc __wrap_hv_sealer_run(const hv_sealer *sealer, hv_seal_job *job, hv_err *err);
hv_rc
__wrap_hv_sealer_run(const hv_sealer *sealer, hv_seal_job *job, hv_err *err)
{
    const char *group = job->fill.lead != NULL ? "fill" : "seal";

    sealing = true;
    kill_point(group, "before");
    hv_rc rc = __real_hv_sealer_run(sealer, job, err);
    kill_point(group, "after");
    sealing = false;
    return rc;
}

/* ---- verify ---- */

hv_rc __real_hv_verify(const hv_verify_config *config, hv_verify_facts *ret, hv_err *err);
hv_rc __wrap_hv_verify(const hv_verify_config *config, hv_verify_facts *ret, hv_err *err);
hv_rc
__wrap_hv_verify(const hv_verify_config *config, hv_verify_facts *ret, hv_err *err)
{
    atomic_store(&verifying, true);
    kill_point("verify", "begin");
    return __real_hv_verify(config, ret, err);
}

/* ---- replay into Kafka: found first by the loader or replaced by the linker, it is all the same ---- */

rd_kafka_error_t *__real_rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *
__wrap_rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms)
{
    kill_point("replay.init", "before");
    rd_kafka_error_t *error = __real_rd_kafka_init_transactions(rk, timeout_ms);
    kill_point("replay.init", "after");
    return error;
}

rd_kafka_error_t *__real_rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
                                                              const rd_kafka_consumer_group_metadata_t *group, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
                                                              const rd_kafka_consumer_group_metadata_t *group, int timeout_ms);
rd_kafka_error_t *
__wrap_rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
                                            const rd_kafka_consumer_group_metadata_t *group, int timeout_ms)
{
    kill_point("replay.offsets", "before");
    rd_kafka_error_t *error = __real_rd_kafka_send_offsets_to_transaction(rk, offsets, group, timeout_ms);
    kill_point("replay.offsets", "after");
    return error;
}

rd_kafka_error_t *__real_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *
__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms)
{
    kill_point("replay.commit", "before");
    rd_kafka_error_t *error = __real_rd_kafka_commit_transaction(rk, timeout_ms);
    kill_point("replay.commit", "after");
    return error;
}

int __real_rd_kafka_poll(rd_kafka_t *rk, int timeout_ms);
int __wrap_rd_kafka_poll(rd_kafka_t *rk, int timeout_ms);
int
__wrap_rd_kafka_poll(rd_kafka_t *rk, int timeout_ms)
{
    kill_point("replay", "produce");    /* the sink polls between events that it hands over */
    return __real_rd_kafka_poll(rk, timeout_ms);
}
