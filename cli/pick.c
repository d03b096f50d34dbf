#include "cli/pick.h"

#include <stdlib.h>

#include "common/nearest.h"

typedef struct known_hubs {
    hv_index_incarnation *all;          /* by hub and number */
    size_t count;
} known_hubs;

static const char *
hub_at(const void *arg, size_t i)
{
    const known_hubs *known = arg;

    return i < known->count ? known->all[i].hub : NULL;
}

static hv_rc
refuse(const known_hubs *known, const char *hub, hv_err *err)
{
    const char *meant = hv_nearest(hub, hub_at, known);

    if (known->count == 0)
        return hv_err_set(err, HV_NOT_FOUND, "there is no hub '%.250s' in the vault; it is empty", hub);
    return hv_err_set(err, HV_NOT_FOUND, "there is no hub '%.250s' in the vault%s%s%s", hub, meant != NULL ? "; did you mean '" : "",
                      meant != NULL ? meant : "", meant != NULL ? "'?" : "; 'hubvault hubs' lists all");
}

static hv_rc
pick(const known_hubs *known, const char *hub, int64_t wanted, uint32_t *ret, hv_err *err)
{
    uint32_t newest = 0;

    for (size_t i = 0; i < known->count; i++) {
        if (strcmp(known->all[i].hub, hub) != 0)
            continue;
        newest = known->all[i].incarnation;
        if (newest == wanted) {
            *ret = newest;
            return HV_OK;
        }
    }
    if (newest == 0)
        return refuse(known, hub, err);
    if (wanted != 0)
        return hv_err_set(err, HV_NOT_FOUND, "hub '%s' has incarnations 1 to %u, not %u", hub, newest, (unsigned)wanted);
    *ret = newest;
    return HV_OK;
}

hv_rc
hv_pick_incarnation(hv_index *index, const char *hub, const hv_args *args, uint32_t *ret, hv_err *err)
{
    known_hubs known = {0};
    int64_t wanted = 0;

    hv_rc rc = args != NULL ? hv_args_number(args, "--incarnation", 1, UINT32_MAX, &wanted, err) : HV_OK;
    if (rc == HV_OK)
        rc = hv_index_incarnations(index, &known.all, &known.count, err);
    if (rc != HV_OK)
        return rc;
    rc = pick(&known, hub, wanted, ret, err);
    free(known.all);
    return rc;
}
