/* Any bytes as JSON: judged as jansson judges them, but for what the header of json_out.h says; and any bytes as a JSON string. */
#include <assert.h>

#include <jansson.h>

#include "common/json_out.h"
#include "tests/fuzz/fuzz_target.h"

static void
check_validity(hv_slice bytes)
{
    json_error_t why;
    bool newline = false;
    bool valid = hv_json_valid(bytes, &newline);
    json_t *parsed = json_loadb(bytes.data, bytes.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);

    if (valid && parsed == NULL)
        assert(json_error_code(&why) == json_error_numeric_overflow);
    if (!valid && parsed != NULL)
        /* Nested too deep for us; or jansson takes a NUL behind the value for the end, because its token of the end is 0. */
        assert(bytes.len > HV_JSON_MAX_DEPTH || memchr(bytes.data, '\0', bytes.len) != NULL);
    if (valid && !newline)
        assert(memchr(bytes.data, '\n', bytes.len) == NULL && memchr(bytes.data, '\r', bytes.len) == NULL);
    json_decref(parsed);
}

static void
check_string(hv_slice bytes)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 26);
    bool newline;

    if (!hv_json_put_string(&text, bytes)) {
        assert(!hv_utf8_valid(bytes) && text.len == 0);
        hv_json_put_lossy(&text, bytes);
        assert(hv_json_valid(hv_buf_slice(&text), &newline) && !newline);
        return;
    }
    assert(hv_utf8_valid(bytes) && hv_json_valid(hv_buf_slice(&text), &newline) && !newline);
    json_t *parsed = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert(parsed != NULL && json_string_length(parsed) == bytes.len);
    assert(bytes.len == 0 || memcmp(json_string_value(parsed), bytes.data, bytes.len) == 0);
    json_decref(parsed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 20)
        return 0;
    check_validity(hv_slice_of(data, size));
    check_string(hv_slice_of(data, size));
    return 0;
}
