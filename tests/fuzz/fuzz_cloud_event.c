/* Any bytes as the body of a structured CloudEvent whose type is asked for; jansson says the same about what we find. */
#include <assert.h>
#include <jansson.h>

#include "common/json_out.h"
#include "replay/cloud_event.h"
#include "replay/json_envelope.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 1 << 16 };

/* jansson does not take everything that we do (numbers beyond a double, 2048 levels), so only what it takes is compared. */
static void
check_member(hv_slice body)
{
    HV_AUTO(hv_buf_free) hv_buf type = HV_BUF_INIT(MOST);
    bool found = hv_json_string_member(body, "type", &type), has_newline;
    json_error_t why;
    json_t *parsed = json_loadb(body.data, body.len, JSON_ALLOW_NUL, &why);

    assert(!found || hv_json_valid(body, &has_newline));
    if (parsed != NULL && hv_json_valid(body, &has_newline)) {
        json_t *member = json_object_get(parsed, "type");
        assert(found == json_is_string(member));
        if (found)
            assert(hv_slice_equal(hv_buf_slice(&type), hv_slice_of(json_string_value(member), json_string_length(member))));
    }
    json_decref(parsed);
}

/* Whatever the bytes are, the envelope around them is one line of JSON. */
static void
check_envelope(hv_slice bytes)
{
    HV_AUTO(hv_buf_free) hv_buf line = HV_BUF_INIT(8 * MOST), opening = HV_BUF_INIT(1000);
    hv_header header = {.name = bytes, .value = bytes};
    hv_event event = {.offset = 1, .key = bytes, .value = bytes, .headers = &header, .header_count = 1};
    bool has_newline = false;

    hv_json_put_opening(&opening, &(hv_partition){.hub = "h", .incarnation = 1});
    hv_json_put_event(&line, hv_buf_slice(&opening), &event, false);
    assert(line.failed == HV_OK);
    assert(memchr(line.data, '\n', line.len) == NULL && memchr(line.data, '\r', line.len) == NULL);
    assert(hv_json_valid(hv_buf_slice(&line), &has_newline) && !has_newline);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hv_slice input = hv_slice_of(size > 0 ? (const void *)data : "", size);

    if (size > MOST)
        return 0;
    check_member(input);
    check_envelope(input);
    return 0;
}
