/* Asserting what verification finds in a vault of vault_maker.h. */
#ifndef HV_TESTS_ARCHIVER_VERIFY_CHECKS_H
#define HV_TESTS_ARCHIVER_VERIFY_CHECKS_H

#include "archiver/verify.h"
#include "tests/archiver/vault_maker.h"

/* What the last verification reported. */
typedef struct told_findings {
    int count;
    hv_finding last;
    char all[4096];                     /* for messages of failing tests, and to compare runs */
} told_findings;

extern told_findings told;

/* As hv_verify_config.report. */
void tell_finding(void *arg, const hv_finding *finding);

/* The whole vault against maker.index, which may be NULL. */
hv_rc verify_vault(vault_maker *m, bool quick, hv_verify_facts *facts, hv_err *err);

void ck_clean(vault_maker *m, bool quick, hv_verify_facts *facts);
/* One finding, this one. */
void ck_one(vault_maker *m, bool quick, hv_finding_kind kind, const char *blob);
/* The same by the whole check and by the quick one. */
void ck_finds(vault_maker *m, hv_finding_kind kind, const char *blob);
/* By the whole check; the quick one sees nothing. */
void ck_finds_in_depth(vault_maker *m, hv_finding_kind kind, const char *blob);

/* Partition 0 of "orders", incarnation 1; cuts [0, 6), [6, 12), [12, 18), each with a sibling "red"; one block per segment. */
void make_three_cuts(vault_maker *m);

/* Names there. Valid until the next call of the same function. */
const char *lead_at(int64_t first);
const char *sibling_at(int64_t first);
const char *record_of(uint32_t incarnation);

#endif
