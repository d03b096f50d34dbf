/*
 * The LMDB environment of an index: opening, transactions, and a map that moves
 *
 * LMDB reads through one mapping of its file. Three things change that mapping or make it useless, and all of them are handled
 * here, so that no other file has to know:
 *
 *   - The map is full (MDB_MAP_FULL). The transaction is dropped, the map doubled, and the whole change runs again.
 *   - Another process enlarged the map (MDB_MAP_RESIZED when a transaction begins). It is mapped again in the new size.
 *   - The environment is broken: mapping it again failed, or LMDB could not write its meta page and refuses everything (MDB_PANIC).
 *     It is closed and opened again. Whether the last commit took effect is then what the file says; both is consistent, and a
 *     repetition of the same change is harmless either way.
 *
 * mdb_env_set_mapsize() with a transaction open returns 0 and leaves pointers into the old map behind. So every transaction holds
 * map_lock shared from its begin to its end, and whoever moves the map holds it exclusively. Writers of the lock go first, or a
 * stream of short readers could keep the map from ever growing. A thread must therefore not begin a transaction inside another one.
 * A reader waits for nothing else: not for the writing transaction, not for its fsync.
 *
 * Fully synced, without MDB_WRITEMAP: a full disk is then an error of commit (with it: SIGBUS), and a commit survives a crash of
 * the machine. MDB_NOTLS, because a thread of ours may well have two read transactions in two environments.
 *
 * The lock file is mapped and written through the mapping, and LMDB creates it with a hole; the first touch on a full disk would be
 * SIGBUS. So its space is allocated before LMDB sees it.
 *
 * What LMDB cannot survive, and thus we cannot: damaged inner pages. Values have checksums that cover their keys, so a value that
 * is read is the right one. But LMDB trusts the pointers inside of its pages: a flipped bit in one may end in abort() or SIGSEGV,
 * or hide entries; hv_ix_last_cut() and the dump notice the latter. One in the transaction number of a meta page brings back the
 * state of one transaction ago. The cure is always the same: throw the index away and rebuild it. (tests/index/test_index_damage.c)
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "index/index_internal.h"

enum {
    MAP_STEP = 64 << 10,                /* maps are multiples of this, whatever the page size */
    LOCK_FILE_BYTES = 8192,             /* what LMDB makes it for its default of 126 readers */
    MAX_RECOVERIES = 16,
};

static bool
disk_is_full(const hv_index *index)
{
    struct statvfs fs;

    return statvfs(index->dir, &fs) == 0 && fs.f_bavail == 0;
}

hv_rc
hv_ix_failed(const hv_index *index, int mdb_rc, const char *doing, hv_err *err)
{
    switch (mdb_rc) {
    case MDB_NOTFOUND:
    case ENOENT:
        return hv_err_set(err, HV_NOT_FOUND, "%s: there is no index in '%s'", doing, index->dir);
    case MDB_MAP_FULL:
        return hv_err_set(err, HV_LIMIT, "%s: the map of the index in '%s' is full", doing, index->dir);
    case MDB_READERS_FULL:
        return hv_err_set(err, HV_LIMIT, "%s: too many readers of the index in '%s' at once", doing, index->dir);
    case MDB_TXN_FULL:
        return hv_err_set(err, HV_LIMIT, "%s: too many cuts for one transaction of the index in '%s'", doing, index->dir);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return hv_err_set(err, HV_LIMIT, "%s: no space left for the index in '%s': %s", doing, index->dir, mdb_strerror(mdb_rc));
    case EIO:                           /* LMDB's name for a short write, too */
        if (disk_is_full(index))
            return hv_err_set(err, HV_LIMIT, "%s: no space left for the index in '%s'", doing, index->dir);
        break;
    case ENOMEM:
        return hv_err_set(err, HV_NOMEM, "%s: no memory for the index in '%s'", doing, index->dir);
    case MDB_VERSION_MISMATCH:
        return hv_err_set(err, HV_VERSION, "%s: the index in '%s' is of another version of LMDB: rebuild it", doing, index->dir);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return hv_err_set(err, HV_CORRUPT, "%s: the index in '%s' is damaged (%s): rebuild it", doing, index->dir,
                          mdb_strerror(mdb_rc));
    default:
        break;
    }
    return hv_err_set(err, HV_IO, "%s: index in '%s': %s", doing, index->dir, mdb_strerror(mdb_rc));
}

/* ---- opening ---- */

static void
abort_txn(MDB_txn *txn)
{
    if (txn != NULL)
        mdb_txn_abort(txn);
}

static void
close_env(hv_index *index)
{
    mdb_env_close(index->mapped.env);   /* accepts NULL */
    index->mapped.env = NULL;
}

typedef struct file_path {
    char text[4096];
} file_path;

static hv_rc
path_of(const hv_index *index, const char *name, file_path *ret, hv_err *err)
{
    if (snprintf(ret->text, sizeof ret->text, "%s/%s", index->dir, name) < (int)sizeof ret->text)
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "the path of the index is longer than %zu bytes: '%.100s'...", sizeof ret->text, index->dir);
}

/* LMDB begins a file by one write of two pages. A disk that was full then leaves less, which LMDB refuses for ever. */
static bool
is_unfinished(off_t size)
{
    return size < 2 * (off_t)sysconf(_SC_PAGESIZE);
}

/* Remove a file that never became an index, unless somebody is just making it: this is the lock by which LMDB itself finds out
 * whether it is alone (mdb_env_excl_lock() in its mdb.c). Closing the lock file gives it up. */
static int
remove_unfinished(int lock_fd, const char *data)
{
    struct flock alone = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    struct stat st;

    if (stat(data, &st) != 0 || !is_unfinished(st.st_size) || fcntl(lock_fd, F_SETLK, &alone) != 0)
        return 0;
    return stat(data, &st) == 0 && is_unfinished(st.st_size) && unlink(data) != 0 ? errno : 0;
}

/* Before LMDB opens the files to write. Whatever fails here but for want of space, LMDB reports better. */
static hv_rc
prepare_files(const hv_index *index, hv_err *err)
{
    file_path lock, data;
    struct stat st;

    hv_rc rc = path_of(index, "lock.mdb", &lock, err);
    if (rc == HV_OK)
        rc = path_of(index, "data.mdb", &data, err);
    if (rc != HV_OK)
        return rc;
    int fd = open(lock.text, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno == ENOSPC ? hv_ix_failed(index, errno, "create the lock file", err) : HV_OK;
    int failed = fstat(fd, &st) == 0 && st.st_size < LOCK_FILE_BYTES && fallocate(fd, 0, 0, LOCK_FILE_BYTES) != 0 ? errno : 0;
    if (failed != ENOSPC && failed != EDQUOT)
        failed = remove_unfinished(fd, data.text);
    close(fd);
    return failed == 0 ? HV_OK : hv_ix_failed(index, failed, "prepare the files", err);
}

/* LMDB would create files in a folder without an index even when it only reads. */
static hv_rc
require_file(const hv_index *index, hv_err *err)
{
    file_path data;
    struct stat st;
    hv_rc rc = path_of(index, "data.mdb", &data, err);

    if (rc != HV_OK)
        return rc;
    if (stat(data.text, &st) != 0)
        return hv_ix_failed(index, errno, "open", err);
    return is_unfinished(st.st_size) ? hv_ix_failed(index, ENOENT, "open", err) : HV_OK;
}

static hv_rc
put_meta(hv_ix_txn *txn, const char *name, hv_buf *value, hv_err *err)
{
    hv_ix_key key = hv_ix_key_text(name);

    hv_ix_seal(HV_IX_META, hv_slice_of(key.bytes, key.len), value);
    return hv_ix_put(txn, HV_IX_META, &key, value, err);
}

static hv_rc
make_meta(hv_ix_txn *txn, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf layout = HV_BUF_INIT(64), vault = HV_BUF_INIT(2 * HV_IX_VAULT_SIZE);

    hv_ix_write_number(&layout, HV_IX_LAYOUT, 4);
    hv_rc rc = put_meta(txn, "layout", &layout, err);
    if (rc != HV_OK)
        return rc;
    hv_ix_write_text(&vault, txn->index->vault);
    return put_meta(txn, "vault", &vault, err);
}

static hv_rc
check_vault(hv_ix_txn *txn, hv_err *err)
{
    hv_index *index = txn->index;
    hv_ix_key key = hv_ix_key_text("vault");
    hv_ix_reader value;
    char vault[HV_IX_VAULT_SIZE] = "";
    bool found;

    hv_rc rc = hv_ix_get(txn, HV_IX_META, &key, &found, &value, err);
    if (rc != HV_OK)
        return rc;
    if (!found)
        return hv_err_set(err, HV_CORRUPT, "the index in '%s' does not say which vault it is of: rebuild it", index->dir);
    hv_ix_read_text(&value, vault, sizeof vault);
    rc = hv_ix_reader_end(&value, HV_IX_META, err);
    if (rc != HV_OK)
        return rc;
    if (index->vault[0] == '\0')
        memcpy(index->vault, vault, sizeof vault);
    else if (strcmp(index->vault, vault) != 0)
        return hv_err_set(err, HV_CORRUPT, "the index in '%s' is of the vault '%s', not of '%s'", index->dir, vault, index->vault);
    return HV_OK;
}

/* Later layouts keep this one value as it is. */
static hv_rc
check_meta(hv_ix_txn *txn, hv_err *err)
{
    hv_index *index = txn->index;
    hv_ix_key key = hv_ix_key_text("layout");
    hv_ix_reader value;
    bool found;

    hv_rc rc = hv_ix_get(txn, HV_IX_META, &key, &found, &value, err);
    if (rc != HV_OK)
        return rc;
    if (!found)
        return index->read_only ? hv_ix_failed(index, MDB_NOTFOUND, "open", err) : make_meta(txn, err);
    uint64_t layout = hv_ix_read_number(&value, 4);
    if (layout != HV_IX_LAYOUT)
        return hv_err_set(err, HV_VERSION, "the index in '%s' has layout %" PRIu64 ", this program has %d: rebuild it", index->dir,
                          layout, HV_IX_LAYOUT);
    return check_vault(txn, err);
}

static hv_rc
commit(hv_ix_txn *txn, hv_err *err)
{
    int mdb_rc = mdb_txn_commit(HV_TAKE(txn->mdb));

    txn->full = mdb_rc == MDB_MAP_FULL;
    return mdb_rc == 0 ? HV_OK : hv_ix_failed(txn->index, mdb_rc, "commit", err);
}

static hv_rc
open_databases_once(hv_ix_txn *txn, hv_err *err)
{
    hv_index *index = txn->index;

    for (hv_ix_db db = 0; db < HV_IX_DBS; db++) {
        int mdb_rc = mdb_dbi_open(txn->mdb, hv_ix_db_name(db), index->read_only ? 0 : MDB_CREATE, &index->mapped.dbi[db]);
        txn->full = mdb_rc == MDB_MAP_FULL;
        if (mdb_rc != 0)
            return hv_ix_failed(index, mdb_rc, "open", err);
    }
    hv_rc rc = check_meta(txn, err);
    return rc == HV_OK ? commit(txn, err) : rc;
}

/* Move the map; exclusively. On failure LMDB has no map any more and would follow a null pointer, so the environment goes. */
static int
set_map(hv_index *index, size_t bytes)
{
    int mdb_rc = mdb_env_set_mapsize(index->mapped.env, bytes);

    if (mdb_rc != 0)
        close_env(index);
    return mdb_rc;
}

/* Exclusively. */
static hv_rc
grow(hv_index *index, hv_err *err)
{
    MDB_envinfo info;

    (void)mdb_env_info(index->mapped.env, &info);       /* fails for NULL only */
    assert(info.me_mapsize <= SIZE_MAX / 2 - MAP_STEP);         /* it is mapped: no kernel gives half of all addresses to one process */
    size_t bytes = (info.me_mapsize * 2 + MAP_STEP - 1) / MAP_STEP * MAP_STEP;
    index->map_bytes = info.me_mapsize;
    int mdb_rc = set_map(index, bytes);
    if (mdb_rc != 0)
        return hv_err_set(err, HV_LIMIT, "cannot enlarge the map of the index in '%s' from %zu to %zu bytes: %s", index->dir,
                          info.me_mapsize, bytes, mdb_strerror(mdb_rc));
    index->map_bytes = bytes;
    return HV_OK;
}

/* Exclusively. */
static hv_rc
open_databases(hv_index *index, hv_err *err)
{
    for (int tries = 0;; tries++) {
        hv_ix_txn txn = {.index = index};
        int mdb_rc = mdb_txn_begin(index->mapped.env, NULL, index->read_only ? MDB_RDONLY : 0, &txn.mdb);
        if (mdb_rc == MDB_MAP_RESIZED && tries < MAX_RECOVERIES) {
            mdb_rc = set_map(index, 0);
            if (mdb_rc == 0)
                continue;
        }
        if (mdb_rc != 0)
            return hv_ix_failed(index, mdb_rc, "open", err);
        hv_rc rc = open_databases_once(&txn, err);
        abort_txn(txn.mdb);
        if (rc != HV_OK && txn.full) {
            rc = grow(index, err);
            if (rc == HV_OK)
                continue;
        }
        return rc;
    }
}

/* Whether the file that was opened is the one in the folder now: hv_index_replace() may have put another one there meanwhile. */
static bool
is_current(const hv_index *index)
{
    char path[4096 + 16];
    struct stat open_one, named_one;
    int fd, len = snprintf(path, sizeof path, "%s/data.mdb", index->dir);

    if (len < 0 || len >= (int)sizeof path || stat(path, &named_one) != 0)
        return true;                    /* nothing better is there */
    if (mdb_env_get_fd(index->mapped.env, &fd) != 0 || fstat(fd, &open_one) != 0)
        return true;
    return open_one.st_dev == named_one.st_dev && open_one.st_ino == named_one.st_ino;
}

/* Exclusively, with no environment open. *replaced: this is not the index of the folder any more, whatever came of it. */
static hv_rc
open_env_once(hv_index *index, bool *replaced, hv_err *err)
{
    int dead;
    hv_rc rc = index->read_only ? require_file(index, err) : prepare_files(index, err);

    if (rc != HV_OK)
        return rc;
    int mdb_rc = mdb_env_create(&index->mapped.env);
    if (mdb_rc != 0)
        index->mapped.env = NULL;
    if (mdb_rc == 0)
        mdb_rc = mdb_env_set_mapsize(index->mapped.env, (size_t)index->map_bytes);
    if (mdb_rc == 0)
        mdb_rc = mdb_env_set_maxdbs(index->mapped.env, HV_IX_DBS);
    if (mdb_rc == 0)
        mdb_rc = mdb_env_open(index->mapped.env, index->dir, MDB_NOTLS | (index->read_only ? MDB_RDONLY : 0u), 0640);
    if (mdb_rc == 0)
        mdb_rc = mdb_reader_check(index->mapped.env, &dead);
    rc = mdb_rc == 0 ? open_databases(index, err) : hv_ix_failed(index, mdb_rc, "open", err);
    *replaced = index->mapped.env != NULL && !is_current(index);
    if (rc != HV_OK || *replaced)
        close_env(index);
    return rc;
}

/* Exclusively, with no environment open. */
static hv_rc
open_env(hv_index *index, hv_err *err)
{
    for (int tries = 0; tries < MAX_RECOVERIES; tries++) {
        bool replaced = false;
        hv_rc rc = open_env_once(index, &replaced, err);
        if (!replaced)
            return rc;
    }
    return hv_err_set(err, HV_BUSY, "the index in '%s' is replaced again and again", index->dir);
}

static hv_rc
make_lock(hv_index *index, hv_err *err)
{
    pthread_rwlockattr_t attr;

    int failed = pthread_rwlockattr_init(&attr);
    if (failed == 0) {
        failed = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        if (failed == 0)
            failed = pthread_rwlock_init(&index->map_lock, &attr);
        pthread_rwlockattr_destroy(&attr);
    }
    return failed == 0 ? HV_OK : hv_err_set(err, HV_IO, "create a lock: %s", strerror(failed));
}

hv_rc
hv_index_open(const hv_index_config *config, hv_index **ret, hv_err *err)
{
    assert(config->vault != NULL || config->read_only);
    assert(config->vault == NULL || (config->vault[0] != '\0' && strlen(config->vault) < HV_IX_VAULT_SIZE));

    hv_index *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for an index handle");
    hv_rc rc = make_lock(fresh, err);
    if (rc != HV_OK) {
        free(fresh);
        return rc;
    }
    HV_AUTO(hv_index_close) hv_index *index = fresh;
    index->dir = strdup(config->dir);
    if (index->dir == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for an index handle");
    index->read_only = config->read_only;
    index->map_bytes = config->read_only ? 0 : config->map_bytes;
    if (config->vault != NULL)
        memcpy(index->vault, config->vault, strlen(config->vault));
    rc = open_env(index, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(index);
    return rc;
}

void
hv_index_close(hv_index *index)
{
    if (index == NULL)
        return;
    close_env(index);
    pthread_rwlock_destroy(&index->map_lock);
    free(index->dir);
    free(index);
}

const char *
hv_index_vault(const hv_index *index)
{
    return index->vault;
}

/* ---- transactions ---- */

static void
lock(hv_index *index, bool exclusively)
{
    int failed = exclusively ? pthread_rwlock_wrlock(&index->map_lock) : pthread_rwlock_rdlock(&index->map_lock);

    assert(failed == 0);
    (void)failed;
}

static void
unlock(hv_index *index)
{
    pthread_rwlock_unlock(&index->map_lock);
}

/* Make another try possible after mdb_txn_begin() failed, or after the environment was lost; exclusively. Another thread may have
 * been faster: doing it twice does no harm. */
static hv_rc
recover(hv_index *index, int mdb_rc, hv_err *err)
{
    int dead = 0;

    if (index->mapped.env == NULL)
        return open_env(index, err);
    switch (mdb_rc) {
    case MDB_MAP_RESIZED:
        mdb_rc = set_map(index, 0);
        return mdb_rc == 0 ? HV_OK : hv_ix_failed(index, mdb_rc, "follow the growth of the map", err);
    case MDB_PANIC:
        close_env(index);
        return open_env(index, err);
    case MDB_READERS_FULL:
        (void)mdb_reader_check(index->mapped.env, &dead);
        return dead > 0 ? HV_OK : hv_ix_failed(index, mdb_rc, "begin", err);
    default:
        return hv_ix_failed(index, mdb_rc, "begin", err);
    }
}

static hv_rc
begin(hv_index *index, unsigned flags, hv_ix_txn *ret, hv_err *err)
{
    for (int tries = 0;; tries++) {
        MDB_txn *mdb = NULL;
        lock(index, false);
        bool lost = index->mapped.env == NULL;
        int mdb_rc = lost ? MDB_PANIC : mdb_txn_begin(index->mapped.env, NULL, flags, &mdb);
        if (mdb_rc == 0) {
            *ret = (hv_ix_txn){.index = index, .mdb = mdb};
            return HV_OK;
        }
        unlock(index);
        if (tries == MAX_RECOVERIES)
            return hv_ix_failed(index, mdb_rc, "begin", err);
        lock(index, true);
        hv_rc rc = lost && index->mapped.env != NULL ? HV_OK : recover(index, mdb_rc, err);
        unlock(index);
        if (rc != HV_OK)
            return rc;
    }
}

hv_rc
hv_ix_read(hv_index *index, hv_ix_txn *ret, hv_err *err)
{
    return begin(index, MDB_RDONLY, ret, err);
}

void
hv_ix_end(hv_ix_txn *txn)
{
    if (txn->index == NULL)
        return;
    abort_txn(txn->mdb);
    unlock(txn->index);
    *txn = (hv_ix_txn){.index = NULL};
}

hv_rc
hv_ix_write(hv_index *index, hv_rc (*change)(hv_ix_txn *txn, void *arg, hv_err *err), void *arg, hv_err *err)
{
    assert(!index->read_only);
    for (;;) {
        HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
        hv_rc rc = begin(index, 0, &txn, err);
        if (rc == HV_OK)
            rc = change(&txn, arg, err);
        if (rc == HV_OK)
            rc = commit(&txn, err);
        if (rc == HV_OK || !txn.full)
            return rc;
        hv_ix_end(&txn);
        lock(index, true);
        rc = index->mapped.env != NULL ? grow(index, err) : HV_OK;
        unlock(index);
        if (rc != HV_OK)
            return rc;
    }
}

/* ---- care ---- */

static int
count_line(const char *line, void *arg)
{
    int *lines = arg;

    (void)line;
    (*lines)++;
    return 0;
}

hv_rc
hv_index_stats_read(hv_index *index, hv_index_stats *ret, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    hv_index_stats stats = {.entries = 0};
    MDB_envinfo info;
    struct stat st;
    int fd, lines = 0;

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK)
        rc = hv_ix_count(&txn, HV_IX_CUTS, &stats.cuts, err);
    if (rc == HV_OK)
        rc = hv_ix_count(&txn, HV_IX_SEGMENTS, &stats.segments, err);
    for (hv_ix_db db = 0; rc == HV_OK && db < HV_IX_DBS; db++) {
        int64_t entries = 0;
        rc = hv_ix_count(&txn, db, &entries, err);
        stats.entries += entries;
    }
    if (rc != HV_OK)
        return rc;
    (void)mdb_env_info(index->mapped.env, &info);
    stats.map_bytes = info.me_mapsize;
    int mdb_rc = mdb_env_get_fd(index->mapped.env, &fd);
    if (mdb_rc == 0 && fstat(fd, &st) != 0)
        mdb_rc = errno;
    if (mdb_rc != 0)
        return hv_ix_failed(index, mdb_rc, "ask for the size", err);
    stats.file_bytes = (uint64_t)st.st_size;
    (void)mdb_reader_list(index->mapped.env, count_line, &lines);
    stats.readers = lines > 2 ? lines - 2 : 0;          /* less the heading and ourselves */
    *ret = stats;
    return HV_OK;
}

hv_rc
hv_index_check_readers(hv_index *index, int *ret, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    int dead = 0;
    hv_rc rc = hv_ix_read(index, &txn, err);            /* keeps the environment where it is */

    if (rc != HV_OK)
        return rc;
    int mdb_rc = mdb_reader_check(index->mapped.env, &dead);
    if (mdb_rc != 0)
        return hv_ix_failed(index, mdb_rc, "check readers", err);
    *ret = dead;
    return HV_OK;
}
