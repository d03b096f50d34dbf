/*
 * The beginning of a blob, twice: as it is, and with its "hubvault.check" made right, because a fuzzer does not find a SHA-256. What is
 * asked for is more than there was, and what is accepted agrees with a second reading of just the front.
 */
#include <assert.h>
#include <stdlib.h>

#include "segment/segment_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mend_segment.h"

static hv_rc
parse(hv_slice bytes)
{
    hv_err err;
    size_t needed = 0;
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0}, again = {0};
    hv_rc rc = hv_segment_front_parse(bytes, &front, &needed, &err);

    assert(rc == HV_OK || rc == HV_CORRUPT || rc == HV_LIMIT || rc == HV_VERSION);
    assert(rc == HV_OK || front.header == NULL);
    if (rc == HV_LIMIT)
        assert(needed > bytes.len && needed >= 2 * bytes.len && needed <= HV_SEGMENT_MAX_FRONT);
    if (rc == HV_OK) {
        assert(front.data_start <= bytes.len);
        assert(hv_segment_front_parse(hv_slice_of(bytes.data, front.data_start), &again, &needed, &err) == HV_OK);
        assert(hv_segment_front_parse(hv_slice_of(bytes.data, front.data_start - 1), &again, &needed, &err) == HV_LIMIT);
        hv_rc fits = hv_segment_front_fits(&front, "segments/hub=orders/incarnation=1/partition=0/00000000000000000000.avro",
                                           front.header->vault, &err);
        assert(fits == HV_OK || fits == HV_CORRUPT);
    }
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 20)
        return 0;
    (void)parse(hv_slice_of(data, size));
    char *mended = malloc(size);
    assert(mended != NULL);
    memcpy(mended, data, size);
    mend_check(mended, size);
    (void)parse(hv_slice_of(mended, size));
    free(mended);
    return 0;
}
