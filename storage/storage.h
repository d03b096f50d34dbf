/*
 * Blob storage: what every driver promises. The contract fits a remote blob service as well as a folder.
 *
 * A driver fills in hv_storage_ops, embeds hv_storage as its first member and is made by a function of drivers.h. Every operation
 * is required; a driver that cannot keep a promise fails when it is opened. All operations but close may be called from any
 * number of threads at once.
 *
 * Names: 1 to 511 of [A-Za-z0-9._=/-] in parts of 1 to 255 between '/', no part "." or "..", the first not beginning with
 * ".tmp", which is for the drivers; others are HV_USAGE, and so is a prefix that no name can begin with. Names are compared and
 * sorted as bytes. A name is never a folder of other names too: with "a/b" there, "a" cannot be put (HV_USAGE), nor the other way round.
 */
#ifndef HV_STORAGE_STORAGE_H
#define HV_STORAGE_STORAGE_H

#include "common/buf.h"
#include "common/sha256.h"

typedef struct hv_storage hv_storage;

enum { HV_STORAGE_NONCE_SIZE = 16, HV_STORAGE_NAME_SIZE = 512, HV_STORAGE_PART_MAX = 255, HV_STORAGE_VERSION_SIZE = 64 };

#define HV_STORAGE_RESERVED ".tmp"

/* Kept beside the bytes where the store can. `nonce` is random per put attempt chain: it tells our own earlier try from another's. */
typedef struct hv_blob_attributes {
    bool has_sha256, has_nonce;
    unsigned char sha256[HV_SHA256_SIZE];       /* of the whole blob */
    unsigned char nonce[HV_STORAGE_NONCE_SIZE];
} hv_blob_attributes;

typedef struct hv_blob_properties {
    uint64_t size;
    int64_t created_ms;                 /* clock of the store; for a folder the time of the file */
    hv_blob_attributes attributes;      /* what the store could not keep is absent: absent means unknown */
    char version[HV_STORAGE_VERSION_SIZE];      /* empty where the store has no versions */
} hv_blob_properties;

/*
 * Names and sizes of one page, sorted. While `more` is set, a page may hold fewer names than were asked for, and none at all: Azure
 * answers so where it has passed over much that does not count (learn.microsoft.com, "List Blobs": a NextMarker without blobs). The next
 * page is asked for with `from` = the last name and `after` = true; behind an empty page, with the same request again. A driver that is
 * asked the same again gets further than before, or does not answer with an empty page for good. Readers use storage/listing.h.
 */
typedef struct hv_blob_list {
    struct hv_blob_entry {
        char *name;
        uint64_t size;
    } *entries;
    size_t count;
    bool more;                          /* there may be more, however few these are */
} hv_blob_list;

void hv_blob_list_free(hv_blob_list *list);
HV_DEFINE_AUTO_VALUE(hv_blob_list, hv_blob_list_free);

typedef struct hv_list_request {
    const char *prefix;                 /* "" for everything; need not end at a '/' */
    const char *from;                   /* NULL, or: only names >= from (> from if `after`) */
    bool after;
    size_t max;                         /* entries per page at most, 1 or more */
} hv_list_request;

typedef struct hv_storage_ops {
    const char *driver;

    /*
     * Store the concatenation of `parts` under name if nothing is there: one step, all or nothing. `attributes` may be NULL.
     *
     * HV_OK: created, durable, and these are the bytes.
     * HV_EXISTS: something durable has that name; it may be equal bytes, even our own from an earlier try. The caller looks.
     * HV_POLICY, HV_AUTH, HV_LIMIT (no space, no quota), HV_USAGE: refused, nothing was stored.
     * HV_UNAVAILABLE, HV_IO, HV_NOMEM: unknown; the bytes may be there, now or later. The caller looks. Putting the same again is safe.
     */
    hv_rc (*put_new)(hv_storage *storage, const char *name, const hv_slice *parts, size_t part_count,
                     const hv_blob_attributes *attributes, hv_err *err);

    /* Append up to `len` bytes of the blob from `position` on to ret; fewer only where the blob ends. HV_NOT_FOUND, HV_LIMIT if ret
     * has no room; on failure ret holds what it held before. */
    hv_rc (*get_range)(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err);

    /* HV_NOT_FOUND if the name is free now. What is reported to exist is durable. */
    hv_rc (*properties)(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err);

    /* One page. Names that are listed are durable. A vault without that prefix is an empty page. */
    hv_rc (*list)(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err);

    /* Remove one version ("" where the store has none). HV_NOT_FOUND; HV_POLICY if it is under a lock or hold. On HV_OK it is durably gone. */
    hv_rc (*delete_version)(hv_storage *storage, const char *name, const char *version, hv_err *err);

    /* Where this is, for messages: "dir:/var/lib/hubvault/vault". Lives as long as the handle. */
    const char *(*location)(const hv_storage *storage);

    /* No operation may be running. */
    void (*close)(hv_storage *storage);
} hv_storage_ops;

struct hv_storage {
    const hv_storage_ops *ops;
};

/* Accepts NULL. */
void hv_storage_close(hv_storage *storage);
HV_DEFINE_AUTO(hv_storage, hv_storage_close);

/* HV_USAGE unless the name obeys the rule above. Every driver calls it first. */
hv_rc hv_storage_name_check(const char *name, hv_err *err) HV_MUST_USE;

/* The whole blob, HV_LIMIT if it is longer than ret admits. */
hv_rc hv_storage_get(hv_storage *storage, const char *name, hv_buf *ret, hv_err *err) HV_MUST_USE;

/* Calls entry() for every name under prefix, page by page, in order, until it returns anything but HV_OK; that is returned. */
hv_rc hv_storage_walk(hv_storage *storage, const char *prefix, hv_rc (*entry)(void *arg, const char *name, uint64_t size, hv_err *err),
                      void *arg, hv_err *err) HV_MUST_USE;

#endif
