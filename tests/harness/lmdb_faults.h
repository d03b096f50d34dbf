/*
 * A call of LMDB that fails. A test that has the dependency `lmdb_faults` of meson gets all the calls below from here: the linker puts them in
 * their places (--wrap), without a change to the product.
 */
#ifndef HV_TESTS_HARNESS_LMDB_FAULTS_H
#define HV_TESTS_HARNESS_LMDB_FAULTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct lmdb_fault_state {
    atomic_long left;                   /* calls until the one that fails; negative: none fails */
    int error;
    bool takes_effect;                  /* a commit that fails is durable all the same */
    atomic_bool fired;
    pthread_t not_failing;              /* the test's own questions; 0: everybody's calls count */
} lmdb_fault_state;

extern lmdb_fault_state lmdb_fault;

#endif
