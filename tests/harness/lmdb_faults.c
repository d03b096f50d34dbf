/* The names __wrap_X and __real_X are the linker's. */
#include "tests/harness/lmdb_faults.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_long calls_left = -1;     /* until the one that fails; negative: none fails */
static atomic_bool fired;
static int error_now;                   /* these three: set while no other thread calls LMDB, or before it is let loose */
static bool effect_now, spares_thread;
static pthread_t spared;

void
lmdb_faults_begin(lmdb_faults_scope scope, long n, int error, bool takes_effect)
{
    error_now = error;
    effect_now = takes_effect;
    spares_thread = scope == LMDB_OTHER_THREADS;
    spared = pthread_self();
    atomic_store(&fired, false);
    atomic_store(&calls_left, n);
}

bool
lmdb_faults_end(void)
{
    atomic_store(&calls_left, -1);
    return atomic_load(&fired);
}

static bool
strikes(void)
{
    if (atomic_load(&calls_left) < 0 || (spares_thread && pthread_equal(pthread_self(), spared)) || atomic_fetch_sub(&calls_left, 1) != 0)
        return false;
    atomic_store(&fired, true);
    return true;
}

#define WRAPPED(function, declared, passed) \
    int __real_##function declared; \
    int __wrap_##function declared; \
    int __wrap_##function declared { return strikes() ? error_now : __real_##function passed; }

WRAPPED(mdb_txn_begin, (MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn), (env, parent, flags, txn))
WRAPPED(mdb_put, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags), (txn, dbi, key, data, flags))
WRAPPED(mdb_get, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data), (txn, dbi, key, data))
WRAPPED(mdb_cursor_get, (MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op), (cursor, key, data, op))
WRAPPED(mdb_cursor_open, (MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor), (txn, dbi, cursor))
WRAPPED(mdb_dbi_open, (MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi), (txn, name, flags, dbi))
WRAPPED(mdb_stat, (MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat), (txn, dbi, stat))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!strikes())
        return __real_mdb_txn_commit(txn);
    if (effect_now)
        (void)__real_mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return error_now;
}
