/*
 * The names under a prefix one after the other, whatever pages they come in. Every reader of listings reads them by this: what a page
 * that is short or empty means is known here and in the drivers only.
 */
#ifndef HV_STORAGE_LISTING_H
#define HV_STORAGE_LISTING_H

#include "storage/storage.h"

typedef struct hv_listing {
    hv_storage *storage;
    hv_list_request request;            /* `max` is the size of a page; the texts are borrowed until the end */
    hv_blob_list page;
    size_t at;
    unsigned fruitless;                 /* empty pages in a row */
    bool ended;
    char last[HV_STORAGE_NAME_SIZE];
} hv_listing;

/* Nothing is asked yet. */
hv_listing hv_listing_of(hv_storage *storage, const hv_list_request *request);

/* What the next name is; NULL behind the last one. Lives until the next call. Codes as list(); HV_UNAVAILABLE too if the store says again
 * and again that there is more and gives nothing. */
hv_rc hv_listing_next(hv_listing *listing, const struct hv_blob_entry **ret, hv_err *err) HV_MUST_USE;

void hv_listing_end(hv_listing *listing);
HV_DEFINE_AUTO_VALUE(hv_listing, hv_listing_end);

/* Just the first name that the request asks for, whatever its `max`. HV_NOT_FOUND: there is none. */
hv_rc hv_listing_first(hv_storage *storage, const hv_list_request *request, char ret[HV_STORAGE_NAME_SIZE], hv_err *err) HV_MUST_USE;

#endif
