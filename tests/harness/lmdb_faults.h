/*
 * An LMDB that fails: a chosen call of the index reports an error. The dependency `lmdb_faults` of meson lets the linker put this between
 * our code and LMDB (--wrap), without a change to the product.
 */
#ifndef HV_TESTS_HARNESS_LMDB_FAULTS_H
#define HV_TESTS_HARNESS_LMDB_FAULTS_H

#include <stdbool.h>

typedef enum lmdb_faults_scope {
    LMDB_ALL_THREADS,
    LMDB_OTHER_THREADS,                 /* all but the calling one: its questions succeed and are not counted */
} lmdb_faults_scope;

/* Call number n from now on fails with `error`, counted from 0. A commit that fails has thrown its transaction away, as LMDB's own failures
 * do, unless it `takes_effect`: then it is carried out first. Other calls fail before their effect. */
void lmdb_faults_begin(lmdb_faults_scope scope, long n, int error, bool takes_effect);

/* All calls succeed again. Whether one has failed since lmdb_faults_begin(). */
bool lmdb_faults_end(void);

#endif
