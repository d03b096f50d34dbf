/*
 * A store whose lists come in the thinnest pages that the contract allows: the first answer to each request is empty, and the next one has
 * one to three names, however many are wanted. Everything else is passed on.
 */
#ifndef HV_TESTS_HARNESS_THIN_PAGES_H
#define HV_TESTS_HARNESS_THIN_PAGES_H

#include "storage/storage.h"

/* inner is borrowed. Never fails. */
hv_storage *thin_pages_open(hv_storage *inner);

/* Pages so far that were empty though there was more, and pages that had fewer names than wanted though there were more. */
unsigned thin_pages_empty(hv_storage *thin);
unsigned thin_pages_short(hv_storage *thin);

#endif
