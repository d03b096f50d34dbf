/* A fuzzer does not find a SHA-256. These put the right hashes into a segment that it changed, so that what lies behind them is reached. */
#ifndef HV_TESTS_FUZZ_MEND_SEGMENT_H
#define HV_TESTS_FUZZ_MEND_SEGMENT_H

#include <stddef.h>

/* Overwrites "hubvault.check" with the right one, if all is where our writer puts it. */
void mend_check(char *bytes, size_t len);

/* The same for all hashes: those of the blocks that are there, the Merkle root over them, the check of the front. Nothing changes where
 * no front can be read. */
void mend_segment(char *bytes, size_t len);

#endif
