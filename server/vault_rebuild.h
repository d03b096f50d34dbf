/*
 * Making the index of a vault anew: beside the old one, and then in its place.
 */
#ifndef HV_SERVER_VAULT_REBUILD_H
#define HV_SERVER_VAULT_REBUILD_H

#include "archiver/rebuild.h"
#include "common/options.h"

typedef struct hv_vault_rebuild_config {
    const hv_options *options;          /* store.dir, index.dir, index.map-size */
    const char *into;                   /* make it in this folder instead, and leave the old one alone; NULL: replace the old one */
    bool partial;                       /* replace an old one even if partitions of the new one are cut short by a problem */
    void (*problem)(void *arg, const hv_partition *partition, const hv_err *err);       /* as in hv_rebuild_config, like all below */
    void (*progress)(void *arg, const hv_rebuild_facts *so_far);
    void *arg;
    const atomic_bool *stop;
} hv_vault_rebuild_config;

/*
 * HV_OK: the new index is in its place. HV_GAP: there were problems; *replaced tells whether it is in its place, which it is if no partition
 * is cut short, if there was no old one, or with `partial`; the facts are written, too. HV_BUSY: another process writes to the vault, or still reads the old index after
 * a minute of waiting. HV_EXISTS: there is an index in `into` already. Whatever else is returned, the old index is as it was.
 */
hv_rc hv_vault_rebuild(const hv_vault_rebuild_config *config, hv_rebuild_facts *ret, bool *replaced, hv_err *err) HV_MUST_USE;

#endif
