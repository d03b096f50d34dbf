/*
 * A vault as the options name it: the store with its marker, the local index that belongs to it, and the lock of those who write.
 */
#ifndef HV_SERVER_VAULT_H
#define HV_SERVER_VAULT_H

#include "common/options.h"
#include "index/index.h"
#include "segment/vault_marker.h"
#include "server/lock_file.h"
#include "storage/storage.h"

typedef struct hv_vault {
    hv_storage *storage;
    hv_index *index;                    /* NULL with HV_VAULT_NO_INDEX */
    hv_vault_marker marker;
    const char *index_dir;              /* of the options, which must outlive the vault */
    hv_lock_file *lock;                 /* NULL for readers */
} hv_vault;

enum {
    HV_VAULT_WRITE = 1,                 /* takes the lock, opens the index for writing, creates it if there is none */
    HV_VAULT_CREATE = 2,                /* with WRITE: makes store and marker if there are none */
    HV_VAULT_NO_INDEX = 4,              /* does not open the index; with WRITE the lock is taken all the same */
};

/*
 * Open what options.store_dir and options.index_dir name; both must be set. Without HV_VAULT_WRITE nothing is written anywhere but in
 * the table of readers of the index.
 *
 * HV_NOT_FOUND: there is no vault, or no index; the message says what to do. HV_USAGE: the folder is not empty and no vault, so none is
 * made there. HV_VERSION: the vault is of another format version. HV_BUSY: another process on this machine writes. HV_CORRUPT: the marker
 * is damaged, or the index is of another vault. Two that create the same vault at the same time end up with the same one.
 */
hv_rc hv_vault_open(const hv_options *options, unsigned how, hv_vault **ret, hv_err *err) HV_MUST_USE;

/* No other thread uses it any more. Accepts NULL. */
void hv_vault_close(hv_vault *vault);
HV_DEFINE_AUTO(hv_vault, hv_vault_close);

/* The part of it that is about the marker, for tests with a storage of their own: read it, or make it if `create`. */
hv_rc hv_vault_marker_settle(hv_storage *storage, bool create, hv_vault_marker *ret, hv_err *err) HV_MUST_USE;

#endif
