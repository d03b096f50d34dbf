/*
 * A store behind a gate: puts pass, are refused for a while, or wait until somebody opens. Reading passes in most modes.
 */
#ifndef HV_TESTS_ARCHIVER_GATE_STORAGE_H
#define HV_TESTS_ARCHIVER_GATE_STORAGE_H

#include "storage/storage.h"

typedef enum gate_mode {
    GATE_OPEN,
    GATE_REFUSES,                       /* puts: HV_UNAVAILABLE, and nothing is stored */
    GATE_HOLDS,                         /* puts wait, and are carried out when the mode changes */
    GATE_HOLDS_SIBLINGS,                /* the same, but leads and records pass */
    GATE_CUT,                           /* everything: HV_UNAVAILABLE */
    GATE_HOLDS_ALL,                     /* as GATE_HOLDS, and reading waits, too */
} gate_mode;

/* inner is borrowed. Never fails. */
hv_storage *gate_open(hv_storage *inner);
void gate_set(hv_storage *gate, gate_mode mode);
/* Puts that were asked for, those that wait now, and leads that were stored. */
unsigned gate_puts(hv_storage *gate);
unsigned gate_waiting(hv_storage *gate);
unsigned gate_leads(hv_storage *gate);

#endif
