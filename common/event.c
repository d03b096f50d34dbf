#include "common/event.h"

bool
hv_event_equal(const hv_event *a, const hv_event *b)
{
    if (a->offset != b->offset || a->timestamp_ms != b->timestamp_ms || a->timestamp_type != b->timestamp_type ||
        a->header_count != b->header_count || !hv_slice_equal(a->key, b->key) || !hv_slice_equal(a->value, b->value))
        return false;
    for (size_t h = 0; h < a->header_count; h++)
        if (!hv_slice_equal(a->headers[h].name, b->headers[h].name) || !hv_slice_equal(a->headers[h].value, b->headers[h].value))
            return false;
    return true;
}
