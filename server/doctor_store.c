/*
 * The store, the index, and the disks they are on.
 *
 * Whether the store keeps its promises is tried out with one blob in a folder of its own below the reserved name, which no listing
 * shows: it is created, creating it again must say so, it is read back and removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/size_text.h"
#include "server/doctor_checks.h"
#include "server/vault.h"
#include "storage/drivers.h"
#include "storage/listing.h"

enum { SMB1_MAGIC = 0x517b, ENOUGH_SEGMENTS = 20 };

/* NULL for a file system on a disk of this machine. */
static const char *
odd_file_system(const char *path, bool *network)
{
    struct statfs fs;

    *network = false;
    if (statfs(path, &fs) != 0)
        return NULL;
    switch ((unsigned long)fs.f_type) {
    case NFS_SUPER_MAGIC: *network = true; return "NFS";
    case SMB1_MAGIC: case CIFS_SUPER_MAGIC: case SMB2_SUPER_MAGIC: *network = true; return "SMB";
    case FUSE_SUPER_MAGIC: return "FUSE";
    case TMPFS_MAGIC: case RAMFS_MAGIC: return "memory";
    default: return NULL;
    }
}

static void
check_space(hv_doctor *doctor, const char *name, const char *path)
{
    int64_t wanted = doctor->config->options->segment_max_bytes * ENOUGH_SEGMENTS;
    struct statvfs fs;

    if (statvfs(path, &fs) != 0) {
        hv_doctor_say(doctor, name, HV_CHECK_WARNING, "", "'%s': %s", path, strerror(errno));
        return;
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < (uint64_t)wanted)
        hv_doctor_say(doctor, name, HV_CHECK_FAILED, "make room", "'%s' has %s left, less than %d segments", path,
                      hv_size_round(free_bytes).text, ENOUGH_SEGMENTS);
    else if (fs.f_files > 0 && fs.f_favail < 10000)
        hv_doctor_say(doctor, name, HV_CHECK_WARNING, "make room for files (inodes)", "'%s' can take %" PRIu64 " more files only", path,
                      (uint64_t)fs.f_favail);
    else if ((uint64_t)fs.f_bavail * 20 < (uint64_t)fs.f_blocks)
        hv_doctor_say(doctor, name, HV_CHECK_WARNING, "make room", "'%s' has %s left, less than a twentieth of the disk", path,
                      hv_size_round(free_bytes).text);
    else
        hv_doctor_say(doctor, name, HV_CHECK_OK, "", "'%s' has %s left", path, hv_size_round(free_bytes).text);
}

/* ---- the probe ---- */

static hv_rc
try_storage(hv_storage *storage, hv_err *err)
{
    static const char name[] = "probe", bytes[] = "hubvault doctor";
    hv_slice part = hv_slice_text(bytes);
    hv_blob_attributes attributes = {0};
    HV_AUTO(hv_buf_free) hv_buf back = HV_BUF_INIT(100);

    hv_rc rc = storage->ops->put_new(storage, name, &part, 1, &attributes, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "cannot create a blob");
    rc = storage->ops->put_new(storage, name, &part, 1, &attributes, err);
    if (rc != HV_EXISTS)
        return hv_err_set(err, HV_CORRUPT, "creating a blob that exists was not refused, so something could be overwritten");
    rc = hv_storage_get(storage, name, &back, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "cannot read a blob back");
    if (!hv_slice_equal(hv_buf_slice(&back), part))
        return hv_err_set(err, HV_CORRUPT, "a blob reads back with other bytes");
    rc = storage->ops->delete_version(storage, name, "", err);
    return rc == HV_OK ? rc : hv_err_prefix(err, "cannot remove a blob");
}

/* The folder of the probe holds, besides the blob, what the driver keeps for itself; none of it matters any more. */
static void
remove_probe(const char *folder)
{
    char path[HV_OPTION_VALUE_MAX + 200];

    (void)snprintf(path, sizeof path, "%s/probe", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/%s/lock", folder, HV_STORAGE_RESERVED);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/%s", folder, HV_STORAGE_RESERVED);
    (void)rmdir(path);
    (void)rmdir(folder);
}

static hv_rc
probe(const char *store_dir, hv_err *err)
{
    char reserved[HV_OPTION_VALUE_MAX + 20], folder[HV_OPTION_VALUE_MAX + 100];
    hv_storage *storage = NULL;

    (void)snprintf(reserved, sizeof reserved, "%s/%s", store_dir, HV_STORAGE_RESERVED);
    (void)snprintf(folder, sizeof folder, "%s/doctor-%ld", reserved, (long)getpid());
    bool made = mkdir(reserved, 0700) == 0;
    hv_rc rc = hv_storage_dir_open(folder, true, &storage, err);
    if (rc == HV_OK)
        rc = try_storage(storage, err);
    hv_storage_close(storage);
    remove_probe(folder);
    if (made)
        (void)rmdir(reserved);
    return rc;
}

static void
check_writing(hv_doctor *doctor, const char *path)
{
    bool network;
    const char *odd = odd_file_system(path, &network);
    hv_err err;

    if (access(path, W_OK) != 0)
        hv_doctor_say(doctor, "store", HV_CHECK_WARNING, "run as the user the vault belongs to", "'%s' cannot be written by this user: reading "
                      "works, 'hubvault run' does not", path);
    else if (probe(path, &err) != HV_OK)
        hv_doctor_say(doctor, "store", HV_CHECK_FAILED, "use a file system that can", "'%s': %s", path, err.msg);
    else if (odd != NULL && strcmp(odd, "memory") == 0)
        hv_doctor_say(doctor, "store", HV_CHECK_WARNING, "name a folder on a disk", "'%s' lives in memory: it is gone with the machine", path);
    else
        hv_doctor_say(doctor, "store", HV_CHECK_OK, "", "'%s' creates without overwriting, keeps and gives back", path);
}

/* Whether a store without a marker holds anything, so that 'hubvault run' would not make a vault of it. */
static bool
holds_something(const char *store_dir)
{
    HV_AUTO(hv_storage_close) hv_storage *storage = NULL;
    char found[HV_STORAGE_NAME_SIZE];
    hv_err ignored;                     /* a folder that cannot be read is found by the other checks */

    return hv_storage_dir_open(store_dir, false, &storage, &ignored) == HV_OK &&
           hv_listing_first(storage, &(hv_list_request){.prefix = ""}, found, &ignored) == HV_OK;
}

static void
check_marker(hv_doctor *doctor, const hv_options *options)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    hv_err err;

    hv_rc rc = hv_vault_open(options, HV_VAULT_NO_INDEX, &vault, &err);
    if (rc == HV_NOT_FOUND && holds_something(options->store_dir))
        hv_doctor_say(doctor, "vault", HV_CHECK_FAILED, "name an empty or a new folder, or bring the marker back", "'%s' is no vault: there is "
                      "no 'vault.json', but something else", options->store_dir);
    else if (rc == HV_NOT_FOUND)
        hv_doctor_say(doctor, "vault", HV_CHECK_OK, "", "'%s' is empty; 'hubvault run' makes a vault there", options->store_dir);
    else if (rc != HV_OK)
        hv_doctor_say(doctor, "vault", HV_CHECK_FAILED, rc == HV_VERSION ? "use the version of hubvault that wrote it, or a newer one" : "",
                      "%s", err.msg);
    else
        hv_doctor_say(doctor, "vault", HV_CHECK_OK, "", "%s", vault->marker.vault);
}

void
hv_doctor_check_store(hv_doctor *doctor)
{
    const hv_options *options = doctor->config->options;
    struct stat st;

    if (options->store_dir == NULL) {
        hv_doctor_say(doctor, "store", HV_CHECK_FAILED, "set store.dir", "no vault is named");
        return;
    }
    if (stat(options->store_dir, &st) != 0 && errno == ENOENT) {
        hv_doctor_say(doctor, "store", HV_CHECK_OK, "", "there is no vault at '%s' yet; 'hubvault run' makes it", options->store_dir);
        return;
    }
    check_marker(doctor, options);
    check_writing(doctor, options->store_dir);
    check_space(doctor, "store space", options->store_dir);
}

/* ---- the index ---- */

static void
note_newest(hv_doctor *doctor, hv_index *index)
{
    hv_index_partition_facts *facts = NULL;
    size_t count;
    hv_err ignored;                     /* what an index that opens cannot tell is no part of this check */

    if (hv_index_partitions(index, NULL, &facts, &count, &ignored) != HV_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (facts[i].last_created_ms > doctor->newest_seal_ms)
            doctor->newest_seal_ms = facts[i].last_created_ms;
    free(facts);
}

static void
check_opening(hv_doctor *doctor, const hv_options *options)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    hv_index_stats stats;
    hv_err err;

    hv_rc rc = hv_vault_open(options, 0, &vault, &err);
    if (rc == HV_OK)
        rc = hv_index_stats_read(vault->index, &stats, &err);
    if (rc == HV_NOT_FOUND)
        hv_doctor_say(doctor, "index", HV_CHECK_WARNING, "hubvault index rebuild; or 'hubvault run', which does it by itself", "%s", err.msg);
    else if (rc != HV_OK)
        hv_doctor_say(doctor, "index", HV_CHECK_FAILED, "hubvault index rebuild", "%s", err.msg);
    else {
        hv_doctor_say(doctor, "index", HV_CHECK_OK, "", "'%s' fits the vault: %" PRId64 " segments, %s", options->index_dir, stats.segments,
                      hv_size_round(stats.file_bytes).text);
        note_newest(doctor, vault->index);
    }
}

void
hv_doctor_check_index(hv_doctor *doctor)
{
    const hv_options *options = doctor->config->options;
    bool network;
    struct stat st;

    if (options->index_dir == NULL || options->store_dir == NULL)
        return;                         /* said with the store */
    if (stat(options->index_dir, &st) != 0 && errno == ENOENT) {
        bool vault = stat(options->store_dir, &st) == 0;
        hv_doctor_say(doctor, "index", vault ? HV_CHECK_WARNING : HV_CHECK_OK, vault ? "hubvault index rebuild" : "",
                      "there is no index at '%s' yet", options->index_dir);
        return;
    }
    const char *odd = odd_file_system(options->index_dir, &network);
    if (network)
        hv_doctor_say(doctor, "index", HV_CHECK_FAILED, "set index.dir to a folder on a local disk", "'%s' is on %s, where the index does not "
                      "work", options->index_dir, odd);
    else
        check_opening(doctor, options);
    check_space(doctor, "index space", options->index_dir);
}
