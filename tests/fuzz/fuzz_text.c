/* Any text as a time, a length of time, a size, base64: what is taken prints as something that is taken again and means the same. */
#include <assert.h>

#include "common/base64.h"
#include "common/redact.h"
#include "common/size_text.h"
#include "common/time_text.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 200 };

static void
check_numbers(const char *text)
{
    hv_err err;
    int64_t first, again;

    if (hv_time_parse(text, 1795510800000, &first, &err) == HV_OK)
        assert(hv_time_parse(hv_time_format(first).text, 0, &again, &err) == HV_OK && again == first);
    if (hv_duration_parse(text, &first, &err) == HV_OK) {
        assert(first >= 0 && hv_duration_parse(hv_duration_format(first).text, &again, &err) == HV_OK && again == first);
        (void)hv_duration_round(first);
    }
    if (hv_size_parse(text, &first, &err) == HV_OK) {
        assert(first >= 0 && hv_size_parse(hv_size_format(first).text, &again, &err) == HV_OK && again == first);
        (void)hv_size_round((uint64_t)first);
    }
}

static void
check_base64(hv_slice bytes)
{
    for (int alphabet = 0; alphabet < 2; alphabet++) {
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1000), back = HV_BUF_INIT(1000);
        if (hv_base64_decode((hv_base64_alphabet)alphabet, bytes, &back)) {
            hv_base64_encode((hv_base64_alphabet)alphabet, hv_buf_slice(&back), &text);
            assert(hv_slice_equal(hv_buf_slice(&text), hv_slice_of(bytes.len > 0 ? bytes.data : "", bytes.len)));
        }
        hv_buf_clear(&text);
        hv_buf_clear(&back);
        hv_base64_encode((hv_base64_alphabet)alphabet, bytes, &text);
        assert(hv_base64_decode((hv_base64_alphabet)alphabet, hv_buf_slice(&text), &back));
        assert(back.len == bytes.len && (bytes.len == 0 || memcmp(back.data, bytes.data, bytes.len) == 0));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[MOST + 1];

    if (size > MOST)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_numbers(text);
    check_base64(hv_slice_of(data, size));
    hv_redact(text);
    assert(strlen(text) <= size);
    return 0;
}
