/*
 * Incarnations of a hub: the create-only records in the store that tell one life of a hub from the next.
 */
#ifndef HV_ARCHIVER_INCARNATION_H
#define HV_ARCHIVER_INCARNATION_H

#include "archiver/chain.h"
#include "segment/vault_marker.h"

/* The record with this number. HV_NOT_FOUND: not claimed. HV_CORRUPT: not a record of this vault, hub and number. */
hv_rc hv_incarnation_read(const hv_chain *chain, const char *hub, uint32_t incarnation, hv_incarnation_record *ret, hv_err *err) HV_MUST_USE;

/* The newest record from number `from` on. HV_NOT_FOUND: none. */
hv_rc hv_incarnation_newest(const hv_chain *chain, const char *hub, uint32_t from, hv_incarnation_record *ret, hv_err *err) HV_MUST_USE;

/* Claim the number in *record. If somebody was faster, *record becomes what that one wrote. Repeating it is safe. */
hv_rc hv_incarnation_claim(const hv_chain *chain, hv_incarnation_record *record, hv_err *err) HV_MUST_USE;

/* As the index wants it. */
hv_index_incarnation hv_incarnation_entry(const hv_incarnation_record *record);

#endif
