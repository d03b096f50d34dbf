/* What is the same for every driver. */
#include "storage/storage.h"

#include <assert.h>
#include <stdlib.h>

#include "storage/listing.h"
#include "storage/storage_driver.h"

/* Entries per page of a walk: the most a page of Azure's List Blobs has (learn.microsoft.com, "List Blobs", maxresults). */
enum { WALK_PAGE = 5000 };

void
hv_storage_close(hv_storage *storage)
{
    if (storage != NULL)
        storage->ops->close(storage);
}

void
hv_blob_list_free(hv_blob_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (hv_blob_list){.count = 0};
}

hv_rc
hv_blob_list_add(hv_blob_list *list, const char *name, uint64_t size, hv_err *err)
{
    if ((list->count & (list->count - 1)) == 0) {       /* room for 1, 2, 4, 8 ... entries: full at every power of two */
        size_t room = list->count == 0 ? 1 : list->count * 2;
        void *moved = realloc(list->entries, room * sizeof *list->entries);
        if (moved == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for a list of %zu blobs", room);
        list->entries = moved;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the name '%s'", name);
    list->entries[list->count++] = (struct hv_blob_entry){.name = copy, .size = size};
    return HV_OK;
}

hv_rc
hv_storage_room(hv_buf *ret, size_t n, char **room, hv_err *err)
{
    hv_rc rc = hv_buf_check(ret, err);

    if (rc != HV_OK)
        return rc;
    if (n > ret->max_len - ret->len)
        return hv_err_set(err, HV_LIMIT, "%zu bytes do not fit into the %zu that are left of a buffer of at most %zu", n,
                          ret->max_len - ret->len, ret->max_len);
    *room = hv_buf_reserve(ret, n);
    rc = hv_buf_check(ret, err);
    ret->failed = HV_OK;
    return rc;
}

static bool
is_name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("._=-", c) != NULL);
}

/* What is wrong with one part of a name, NULL if nothing is. */
static const char *
part_fault(const char *part, size_t len)
{
    if (len == 0)
        return "an empty part";
    if (len > HV_STORAGE_PART_MAX)
        return "a part that is too long";
    if (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))
        return "a part '.' or '..'";
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(part[i]))
            return "a character other than [A-Za-z0-9._=/-]";
    return NULL;
}

/* All parts, or for a prefix all but the last one, which need not be finished. */
static const char *
parts_fault(const char *name, bool is_prefix)
{
    const char *fault = hv_storage_begins(name, HV_STORAGE_RESERVED) ? "the reserved beginning '" HV_STORAGE_RESERVED "'" : NULL;

    while (fault == NULL) {
        const char *slash = strchr(name, '/');
        if (slash != NULL || !is_prefix)
            fault = part_fault(name, slash != NULL ? (size_t)(slash - name) : strlen(name));
        else if (*name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            fault = part_fault(name, strlen(name));
        if (slash == NULL)
            return fault;
        name = slash + 1;
    }
    return fault;
}

hv_rc
hv_storage_name_check(const char *name, hv_err *err)
{
    size_t len = strlen(name);

    if (len == 0 || len >= HV_STORAGE_NAME_SIZE)
        return hv_err_set(err, HV_USAGE, "the name of a blob has 1 to %d bytes, not %zu: '%.40s'", HV_STORAGE_NAME_SIZE - 1, len,
                          name);
    const char *fault = parts_fault(name, false);
    if (fault != NULL)
        return hv_err_set(err, HV_USAGE, "the name of a blob must not have %s: '%s'", fault, name);
    return HV_OK;
}

hv_rc
hv_storage_prefix_check(const char *prefix, hv_err *err)
{
    const char *fault = strlen(prefix) >= HV_STORAGE_NAME_SIZE ? "more bytes than a name" : parts_fault(prefix, true);

    if (fault != NULL)
        return hv_err_set(err, HV_USAGE, "the prefix of names must not have %s: '%.520s'", fault, prefix);
    return HV_OK;
}

hv_rc
hv_storage_get(hv_storage *storage, const char *name, hv_buf *ret, hv_err *err)
{
    /* One more than there is room for: if the blob has it, the driver says HV_LIMIT. */
    return storage->ops->get_range(storage, name, 0, ret->max_len - ret->len + 1, ret, err);
}

hv_rc
hv_storage_walk(hv_storage *storage, const char *prefix, hv_rc (*entry)(void *arg, const char *name, uint64_t size, hv_err *err),
                void *arg, hv_err *err)
{
    HV_AUTO(hv_listing_end) hv_listing listing = hv_listing_of(storage, &(hv_list_request){.prefix = prefix, .max = WALK_PAGE});
    const struct hv_blob_entry *one = NULL;

    hv_rc rc = hv_listing_next(&listing, &one, err);
    while (rc == HV_OK && one != NULL) {
        rc = entry(arg, one->name, one->size, err);
        if (rc == HV_OK)
            rc = hv_listing_next(&listing, &one, err);
    }
    return rc;
}
