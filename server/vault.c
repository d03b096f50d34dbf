/*
 * The order of opening: lock, store, marker, index. The lock comes first so that two archivers on one machine do not both create things;
 * two on different machines may, and the create-only put of the marker decides between them: whoever comes second reads what is there.
 *
 * A marker is made only in a store that holds nothing else. A folder that was named by mistake thus stays as it is, and a vault that
 * lost its marker is not given a new identity, which its segments would contradict.
 */
#include "server/vault.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "segment/names.h"
#include "storage/drivers.h"
#include "storage/listing.h"

static hv_rc
read_marker(hv_storage *storage, hv_vault_marker *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_blob_properties properties;

    /* Properties promise that it is durable, as an index that names it will be. */
    hv_rc rc = storage->ops->properties(storage, HV_VAULT_MARKER_NAME, &properties, err);
    if (rc == HV_OK)
        rc = hv_storage_get(storage, HV_VAULT_MARKER_NAME, &json, err);
    if (rc == HV_OK)
        rc = hv_vault_marker_parse(hv_buf_slice(&json), ret, err);
    if (rc == HV_LIMIT)
        rc = hv_err_set(err, HV_CORRUPT, "it is longer than a marker can be");
    if (rc == HV_OK || rc == HV_NOT_FOUND)
        return rc;
    return hv_err_prefix(err, "%s: '%s'", storage->ops->location(storage), HV_VAULT_MARKER_NAME);
}

/* HV_OK if the store holds nothing at all, or the marker that somebody else has just made. */
static hv_rc
require_empty(hv_storage *storage, hv_err *err)
{
    char found[HV_STORAGE_NAME_SIZE];
    hv_vault_marker ignored;

    hv_rc rc = hv_listing_first(storage, &(hv_list_request){.prefix = ""}, found, err);
    if (rc != HV_OK)
        return rc == HV_NOT_FOUND ? HV_OK : rc;
    rc = read_marker(storage, &ignored, err);
    if (rc != HV_NOT_FOUND)
        return rc;
    return hv_err_set(err, HV_USAGE, "%s: no vault is made here, because there is no '%s' but '%s' and perhaps more; name an empty or a new "
                      "place", storage->ops->location(storage), HV_VAULT_MARKER_NAME, found);
}

static hv_rc
make_marker(hv_storage *storage, hv_vault_marker *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_RECORD_MAX);
    hv_vault_marker marker = {.created_ms = hv_clock_wall_ms()};

    hv_rc rc = require_empty(storage, err);
    if (rc == HV_OK)
        rc = hv_vault_id_make(marker.vault, err);
    if (rc != HV_OK)
        return rc;
    hv_vault_marker_write(&marker, &json);
    rc = hv_buf_check(&json, err);
    if (rc != HV_OK)
        return rc;
    hv_slice bytes = hv_buf_slice(&json);
    hv_blob_attributes attributes = {.has_sha256 = true};
    hv_sha256(&bytes, 1, attributes.sha256);
    rc = storage->ops->put_new(storage, HV_VAULT_MARKER_NAME, &bytes, 1, &attributes, err);
    if (rc != HV_OK && rc != HV_EXISTS && !hv_rc_retriable(rc))
        return hv_err_prefix(err, "%s: cannot create '%s'", storage->ops->location(storage), HV_VAULT_MARKER_NAME);
    /* Whatever the answer was, what is there now counts: ours, that of somebody quicker, or nothing. */
    hv_err put_err = *err;
    hv_rc read_rc = read_marker(storage, ret, err);
    if (read_rc == HV_NOT_FOUND && rc != HV_OK) {
        *err = put_err;
        return hv_err_prefix(err, "%s: cannot create '%s'", storage->ops->location(storage), HV_VAULT_MARKER_NAME);
    }
    return read_rc;
}

hv_rc
hv_vault_marker_settle(hv_storage *storage, bool create, hv_vault_marker *ret, hv_err *err)
{
    hv_rc rc = read_marker(storage, ret, err);

    if (rc != HV_NOT_FOUND)
        return rc;
    if (create)
        return make_marker(storage, ret, err);
    return hv_err_set(err, HV_NOT_FOUND, "%s: there is no vault here (no '%s'); 'hubvault run' makes one", storage->ops->location(storage),
                      HV_VAULT_MARKER_NAME);
}

/* Like mkdir -p. */
static hv_rc
make_folders(const char *path, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf part = HV_BUF_INIT(HV_OPTION_VALUE_MAX * 2);

    for (const char *at = path; *at != '\0';) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        hv_buf_clear(&part);
        hv_buf_put(&part, path, (size_t)(at - path));
        hv_rc rc = hv_buf_check(&part, err);
        if (rc != HV_OK)
            return rc;
        if (mkdir(part.data, 0750) != 0 && errno != EEXIST)
            return hv_err_set(err, HV_IO, "cannot make the folder '%s': %s", part.data, strerror(errno));
    }
    return HV_OK;
}

static hv_rc
take_lock(hv_vault *vault, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf path = HV_BUF_INIT(HV_OPTION_VALUE_MAX * 2);
    hv_rc rc = make_folders(vault->index_dir, err);

    if (rc != HV_OK)
        return rc;
    hv_buf_printf(&path, "%s/archiver.lock", vault->index_dir);
    rc = hv_buf_check(&path, err);
    if (rc == HV_OK)
        rc = hv_lock_file_take(path.data, &vault->lock, err);
    return rc == HV_BUSY ? hv_err_prefix(err, "the vault is in use") : rc;
}

static hv_rc
open_store(hv_vault *vault, const hv_options *options, bool create, hv_err *err)
{
    hv_rc rc = hv_storage_dir_open(options->store_dir, create, &vault->storage, err);

    if (rc == HV_NOT_FOUND)
        return hv_err_set(err, HV_NOT_FOUND, "there is no vault at '%s'; 'hubvault run' makes one", options->store_dir);
    return rc == HV_OK ? hv_vault_marker_settle(vault->storage, create, &vault->marker, err) : rc;
}

static hv_rc
open_index(hv_vault *vault, const hv_options *options, bool write, hv_err *err)
{
    hv_index_config config = {.dir = options->index_dir, .map_bytes = (uint64_t)options->index_map_bytes, .read_only = !write,
                              .vault = vault->marker.vault};
    hv_rc rc = hv_index_open(&config, &vault->index, err);

    if (rc == HV_NOT_FOUND)
        return hv_err_set(err, HV_NOT_FOUND, "there is no index in '%s'; 'hubvault index rebuild' makes it from the vault", options->index_dir);
    if (rc == HV_CORRUPT || rc == HV_VERSION)
        return hv_err_prefix(err, "the index in '%s' does not fit this vault, 'hubvault index rebuild' makes it anew", options->index_dir);
    return rc;
}

hv_rc
hv_vault_open(const hv_options *options, unsigned how, hv_vault **ret, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = calloc(1, sizeof *vault);
    bool write = (how & HV_VAULT_WRITE) != 0, create = (how & HV_VAULT_CREATE) != 0;

    assert(options->store_dir != NULL && options->index_dir != NULL && (write || !create));
    if (vault == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a vault");
    vault->index_dir = options->index_dir;
    hv_rc rc = write ? take_lock(vault, err) : HV_OK;
    if (rc == HV_OK)
        rc = open_store(vault, options, create, err);
    if (rc == HV_OK && (how & HV_VAULT_NO_INDEX) == 0)
        rc = open_index(vault, options, write, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(vault);
    return rc;
}

void
hv_vault_close(hv_vault *vault)
{
    if (vault == NULL)
        return;
    hv_index_close(vault->index);
    hv_storage_close(vault->storage);
    hv_lock_file_release(vault->lock);
    free(vault);
}
