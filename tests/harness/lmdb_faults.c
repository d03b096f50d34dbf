#include "tests/harness/lmdb_faults.h"

#include <lmdb.h>

lmdb_fault_state lmdb_fault = {.left = -1};

static bool
must_fail(void)
{
    if (pthread_equal(pthread_self(), lmdb_fault.not_failing) || atomic_load(&lmdb_fault.left) < 0 ||
        atomic_fetch_sub(&lmdb_fault.left, 1) != 0)
        return false;
    atomic_store(&lmdb_fault.fired, true);
    return true;
}

int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn);
int __real_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags);
int __real_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int __real_mdb_txn_commit(MDB_txn *txn);
int __real_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op);
int __real_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn);
int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op);
int __wrap_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);

int
__wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn)
{
    return must_fail() ? lmdb_fault.error : __real_mdb_txn_begin(env, parent, flags, txn);
}

int
__wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags)
{
    return must_fail() ? lmdb_fault.error : __real_mdb_put(txn, dbi, key, data, flags);
}

int
__wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    return must_fail() ? lmdb_fault.error : __real_mdb_get(txn, dbi, key, data);
}

int
__wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op)
{
    return must_fail() ? lmdb_fault.error : __real_mdb_cursor_get(cursor, key, data, op);
}

int
__wrap_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
    return must_fail() ? lmdb_fault.error : __real_mdb_cursor_open(txn, dbi, cursor);
}

/* A commit that fails before its effect has thrown the transaction away, as LMDB's own failures do. */
int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!must_fail())
        return __real_mdb_txn_commit(txn);
    if (lmdb_fault.takes_effect)
        (void)__real_mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return lmdb_fault.error;
}
