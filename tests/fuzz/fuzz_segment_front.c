/*
 * The beginning of a blob, twice: as it is, and with its "hubvault.check" made right, because a fuzzer does not find a SHA-256. What is
 * asked for is more than there was, and what is accepted agrees with a second reading of just the front.
 */
#include <assert.h>
#include <stdlib.h>

#include "segment/segment_file.h"
#include "tests/fuzz/fuzz_target.h"

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

/* The value of the last entry `name` of a one-block map as we write it; null if it is not there. */
static hv_slice
find_value(hv_slice bytes, const char *name)
{
    const char *at = bytes.data, *end = at + bytes.len, *found = memmem(at, bytes.len, name, strlen(name));

    if (found == NULL)
        return HV_SLICE_NULL;
    const unsigned char *value = (const unsigned char *)found + strlen(name), *stop = (const unsigned char *)end;
    uint64_t len = 0;
    for (unsigned shift = 0; value < stop && shift < 28; shift += 7) {
        len |= (uint64_t)(*value & 0x7f) << shift;
        if (*value++ < 0x80)
            break;
    }
    len /= 2;
    return len > (uint64_t)(stop - value) ? HV_SLICE_NULL : hv_slice_of(value, len);
}

/* Overwrites the check with the right one, if all is where our writer puts it. */
static void
mend_check(char *bytes, size_t len)
{
    static const char *const names[] = {"avro.codec", "avro.schema", "hubvault.segment"};
    hv_slice all = hv_slice_of(bytes, len), parts[4], check = find_value(all, "hubvault.check");
    unsigned char hash[HV_SHA256_SIZE];
    char text[HV_SHA256_TEXT_SIZE];

    for (size_t i = 0; i < 3; i++)
        parts[i] = find_value(all, names[i]);
    if (parts[0].data == NULL || parts[1].data == NULL || parts[2].data == NULL || check.len != HV_SHA256_TEXT_SIZE - 1)
        return;
    const char *sync = (const char *)parts[2].data + parts[2].len + 1;
    if (bytes + len - sync < HV_SYNC_SIZE)
        return;
    parts[3] = hv_slice_of(sync, HV_SYNC_SIZE);
    hv_sha256(parts, 4, hash);
    hv_sha256_text(hash, text);
    memcpy(bytes + ((const char *)check.data - bytes), text, HV_SHA256_TEXT_SIZE - 1);
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
