#include "storage/listing.h"

#include <assert.h>

enum { FRUITLESS_PAGES = 1000 };

hv_listing
hv_listing_of(hv_storage *storage, const hv_list_request *request)
{
    return (hv_listing){.storage = storage, .request = *request};
}

void
hv_listing_end(hv_listing *listing)
{
    hv_blob_list_free(&listing->page);
}

/* An empty page says nothing of where it ends: the same is asked again, and the driver gets further (storage.h). */
static hv_rc
next_page(hv_listing *listing, hv_err *err)
{
    hv_list_request request = listing->request;

    if (listing->page.count > 0) {
        const char *name = listing->page.entries[listing->page.count - 1].name;
        size_t len = strlen(name);
        assert(len < sizeof listing->last);
        memcpy(listing->last, name, len + 1);
        hv_blob_list_free(&listing->page);
    }
    listing->at = 0;
    if (listing->last[0] != '\0') {
        request.from = listing->last;
        request.after = true;
    }
    hv_rc rc = listing->storage->ops->list(listing->storage, &request, &listing->page, err);
    if (rc != HV_OK)
        return rc;
    listing->ended = !listing->page.more;
    listing->fruitless = listing->page.count > 0 ? 0 : listing->fruitless + 1;
    if (!listing->ended && listing->fruitless == FRUITLESS_PAGES)
        return hv_err_set(err, HV_UNAVAILABLE, "listing '%s' gave %u empty pages in a row", request.prefix, listing->fruitless);
    return HV_OK;
}

hv_rc
hv_listing_next(hv_listing *listing, const struct hv_blob_entry **ret, hv_err *err)
{
    while (listing->at == listing->page.count) {
        if (listing->ended) {
            *ret = NULL;
            return HV_OK;
        }
        hv_rc rc = next_page(listing, err);
        if (rc != HV_OK)
            return rc;
    }
    *ret = &listing->page.entries[listing->at++];
    return HV_OK;
}

hv_rc
hv_listing_first(hv_storage *storage, const hv_list_request *request, char ret[HV_STORAGE_NAME_SIZE], hv_err *err)
{
    HV_AUTO(hv_listing_end) hv_listing listing = hv_listing_of(storage, request);
    const struct hv_blob_entry *entry = NULL;

    listing.request.max = 1;
    hv_rc rc = hv_listing_next(&listing, &entry, err);
    if (rc != HV_OK)
        return rc;
    if (entry == NULL)
        return hv_err_set(err, HV_NOT_FOUND, "there is no name below '%s'", request->prefix);
    memcpy(ret, entry->name, strlen(entry->name) + 1);
    return HV_OK;
}
