/*
 * One sorted walk over the names of a vault, taken apart: what a name is, and which names make one cut.
 */
#ifndef HV_ARCHIVER_VAULT_WALK_H
#define HV_ARCHIVER_VAULT_WALK_H

#include "archiver/chain.h"
#include "segment/names.h"

/* All names that begin with "<first>." of one partition. */
typedef struct hv_walked_cut {
    hv_partition partition;
    int64_t first;
    hv_chain_names names;
} hv_walked_cut;

/* Called in the order of names; anything but HV_OK ends the walk and is returned. Cuts of a partition come one behind the other and
 * ascend; the record of an incarnation comes before its partitions. */
typedef struct hv_vault_visitor {
    void *arg;
    /* The names may be taken over: leave empty ones behind then. */
    hv_rc (*cut)(void *arg, hv_walked_cut *cut, hv_err *err);
    hv_rc (*incarnation)(void *arg, const char *hub, uint32_t incarnation, hv_err *err);
    /* None of ours. It is told before the cut whose place it lies in, if any, which has it as a stranger. */
    hv_rc (*foreign)(void *arg, const char *name, hv_err *err);
    /* The snapshots of one topic, or of one group on one hub, come one behind the other, the newest first. NULL: passed over. */
    hv_rc (*snapshot)(void *arg, const hv_name_parts *name, hv_err *err);
} hv_vault_visitor;

/* Everything under the prefix, which is "" or ends at a '/'. The marker of the vault is passed over. */
hv_rc hv_vault_walk(hv_storage *storage, const char *prefix, const hv_vault_visitor *visitor, hv_err *err) HV_MUST_USE;

#endif
