/* What a fuzz target is: libFuzzer's entry point. It aborts, by an assert or a sanitizer, when something is wrong with the input's way
 * through our code; what our code says about the input does not matter. */
#ifndef HV_TESTS_FUZZ_FUZZ_TARGET_H
#define HV_TESTS_FUZZ_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
