/*
 * Names of one cut share the prefix "<first>.", so in a sorted listing they stand together, the lead anywhere among its siblings:
 * "<first>.a.avro" sorts before "<first>.avro". A cut is told when the first name behind it shows up.
 *
 * A name that is none of ours still belongs to the cut whose prefix it has, because a look at that cut finds it there and stops.
 */
#include "archiver/vault_walk.h"

#include <stdio.h>

typedef struct walk {
    const hv_vault_visitor *visitor;
    bool open;                          /* `cut` has names */
    hv_walked_cut cut;
} walk;

static hv_rc
end_cut(walk *w, hv_err *err)
{
    if (!w->open)
        return HV_OK;
    w->open = false;
    hv_rc rc = w->visitor->cut(w->visitor->arg, &w->cut, err);
    hv_chain_names_clear(&w->cut.names);
    return rc;
}

/* Go on with this cut, or begin it. */
static hv_rc
begin_cut(walk *w, const hv_name_parts *of, hv_err *err)
{
    if (w->open && w->cut.first == of->first && hv_partition_compare(&w->cut.partition, &of->partition) == 0)
        return HV_OK;
    hv_rc rc = end_cut(w, err);
    if (rc != HV_OK)
        return rc;
    w->cut = (hv_walked_cut){.partition = of->partition, .first = of->first};
    w->open = true;
    return HV_OK;
}

/* Whether the name begins like one of a cut: four folders, 20 digits, a dot. */
static bool
lies_in_cut(const char *name, hv_name_parts *ret)
{
    enum { FOLDERS = 4, DIGITS_AND_DOT = 21 };
    char lead[HV_BLOB_NAME_SIZE];
    const char *file = name;

    for (int i = 0; i < FOLDERS; i++) {
        file = strchr(file, '/');
        if (file == NULL)
            return false;
        file++;
    }
    if (strlen(file) < DIGITS_AND_DOT)
        return false;
    int len = snprintf(lead, sizeof lead, "%.*savro", (int)(file - name) + DIGITS_AND_DOT, name);
    if (len < 0 || len >= (int)sizeof lead)
        return false;
    *ret = hv_name_parse(lead);
    return ret->kind == HV_NAME_LEAD;
}

static hv_rc
foreign(walk *w, const char *name, hv_err *err)
{
    hv_name_parts of;
    bool in_cut = lies_in_cut(name, &of);
    hv_rc rc = in_cut ? begin_cut(w, &of, err) : end_cut(w, err);

    if (rc == HV_OK)
        rc = w->visitor->foreign(w->visitor->arg, name, err);
    if (rc == HV_OK && in_cut)
        rc = hv_chain_names_add(&w->cut.names, name, err);
    return rc;
}

static hv_rc
visit(void *arg, const char *name, uint64_t size, hv_err *err)
{
    walk *w = arg;
    hv_name_parts parts = hv_name_parse(name);
    hv_rc rc = HV_OK;

    (void)size;
    switch (parts.kind) {
    case HV_NAME_LEAD:
    case HV_NAME_SIBLING:
        rc = begin_cut(w, &parts, err);
        return rc == HV_OK ? hv_chain_names_add(&w->cut.names, name, err) : rc;
    case HV_NAME_FOREIGN:
        return foreign(w, name, err);
    default:
        rc = end_cut(w, err);
    }
    bool snapshot = parts.kind == HV_NAME_TOPIC_SNAPSHOT || parts.kind == HV_NAME_GROUP_SNAPSHOT;
    if (rc == HV_OK && snapshot && w->visitor->snapshot != NULL)
        rc = w->visitor->snapshot(w->visitor->arg, &parts, err);
    if (rc == HV_OK && parts.kind == HV_NAME_INCARNATION)
        rc = w->visitor->incarnation(w->visitor->arg, parts.partition.hub, parts.partition.incarnation, err);
    return rc;
}

hv_rc
hv_vault_walk(hv_storage *storage, const char *prefix, const hv_vault_visitor *visitor, hv_err *err)
{
    walk w = {.visitor = visitor};
    hv_rc rc = hv_storage_walk(storage, prefix, visit, &w, err);

    if (rc == HV_OK)
        rc = end_cut(&w, err);
    hv_chain_names_clear(&w.cut.names);
    return rc;
}
