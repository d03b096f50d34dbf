/*
 * The new index grows in a folder inside that of the old one, so both are on one file system and a rename puts it in its place. The lock of
 * those who write is held all the while; readers go on with the old index until the last moment, and then are waited for.
 *
 * What a run that was killed left in that folder is thrown away by the next one.
 */
#include "server/vault_rebuild.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "server/vault.h"

enum { WAIT_FOR_READERS_MS = 60000, LOOK_AGAIN_MS = 50 };

static hv_rc
make_folder(const char *path, hv_err *err)
{
    if (mkdir(path, 0750) == 0 || errno == EEXIST)
        return HV_OK;
    return hv_err_set(err, errno == ENOSPC || errno == EDQUOT ? HV_LIMIT : HV_IO, "cannot make the folder '%s': %s", path,
                      strerror(errno));
}

/* HV_OK and HV_GAP: the index is there and closed. */
static hv_rc
build(const hv_vault_rebuild_config *config, const hv_vault *vault, const char *dir, hv_rebuild_facts *facts, hv_err *err)
{
    HV_AUTO(hv_index_close) hv_index *index = NULL;
    hv_index_config opening = {.dir = dir, .map_bytes = (uint64_t)config->options->index_map_bytes, .vault = vault->marker.vault};

    hv_rc rc = make_folder(dir, err);
    if (rc == HV_OK)
        rc = hv_index_open(&opening, &index, err);
    if (rc != HV_OK)
        return rc;
    hv_rebuild_config rebuild = {.storage = vault->storage, .vault = vault->marker.vault, .index = index, .problem = config->problem,
        .progress = config->progress, .arg = config->arg, .stop = config->stop};
    return hv_rebuild(&rebuild, facts, err);
}

static bool
is_stopped(const hv_vault_rebuild_config *config)
{
    return config->stop != NULL && atomic_load(config->stop);
}

static hv_rc
put_in_place(const hv_vault_rebuild_config *config, const char *made, hv_err *err)
{
    int64_t until = hv_clock_boot_ms() + WAIT_FOR_READERS_MS;
    const struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};

    for (;;) {
        hv_rc rc = hv_index_replace(config->options->index_dir, made, err);
        if (rc != HV_BUSY || hv_clock_boot_ms() >= until || is_stopped(config))
            return rc;
        (void)nanosleep(&pause, NULL);
    }
}

static hv_rc
rebuild_in_place(const hv_vault_rebuild_config *config, hv_rebuild_facts *ret, bool *replaced, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_buf_free) hv_buf made = HV_BUF_INIT(HV_OPTION_VALUE_MAX * 2);
    hv_rebuild_facts facts = {0};
    hv_err unused;

    hv_rc rc = hv_vault_open(config->options, HV_VAULT_WRITE | HV_VAULT_NO_INDEX, &vault, err);
    hv_buf_printf(&made, "%s/.rebuild", config->options->index_dir);
    if (rc == HV_OK)
        rc = hv_buf_check(&made, err);
    if (rc == HV_OK)
        rc = hv_index_discard(made.data, err);
    if (rc != HV_OK)
        return rc;
    hv_rc built = build(config, vault, made.data, &facts, err);
    bool wanted = built == HV_OK || (built == HV_GAP && (facts.stopped == 0 || config->partial || !hv_index_exists(config->options->index_dir)));
    hv_err why = *err;
    rc = wanted ? put_in_place(config, made.data, err) : built;
    if (!wanted || rc != HV_OK)
        (void)!hv_index_discard(made.data, &unused);    /* the next run does it, if this cannot */
    if (wanted && rc != HV_OK)
        return rc;
    *replaced = wanted;
    if (built == HV_OK || built == HV_GAP)
        *ret = facts;
    *err = why;
    return built;
}

static hv_rc
rebuild_into(const hv_vault_rebuild_config *config, hv_rebuild_facts *ret, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;

    if (hv_index_exists(config->into))
        return hv_err_set(err, HV_EXISTS, "there is an index in '%s' already", config->into);
    hv_rc rc = hv_vault_open(config->options, HV_VAULT_NO_INDEX, &vault, err);
    return rc == HV_OK ? build(config, vault, config->into, ret, err) : rc;
}

hv_rc
hv_vault_rebuild(const hv_vault_rebuild_config *config, hv_rebuild_facts *ret, bool *replaced, hv_err *err)
{
    *replaced = false;
    return config->into != NULL ? rebuild_into(config, ret, err) : rebuild_in_place(config, ret, replaced, err);
}
