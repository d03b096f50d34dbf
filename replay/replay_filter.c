/* Cheap questions first; the type, which may need a walk through the body, last. */
#include "replay/replay_filter.h"

#include "common/glob.h"
#include "replay/cloud_event.h"

hv_rc
hv_event_filter_check(const hv_event_filter *filter, hv_err *err)
{
    if (filter->key_count > HV_FILTER_MAX || filter->header_count > HV_FILTER_MAX || filter->type_count > HV_FILTER_MAX)
        return hv_err_set(err, HV_USAGE, "at most %d keys, headers or types can be asked for at once", HV_FILTER_MAX);
    for (size_t i = 0; i < filter->header_count; i++)
        if (filter->headers[i].name.data == NULL)
            return hv_err_set(err, HV_USAGE, "a header is asked for by its name");
    return HV_OK;
}

static bool
key_matches(const hv_event_filter *filter, hv_slice key)
{
    if (key.data == NULL)
        return false;
    for (size_t i = 0; i < filter->key_count; i++) {
        const hv_key_filter *wanted = &filter->keys[i];
        if (wanted->is_glob ? hv_glob_match(wanted->bytes, key) : hv_slice_equal(wanted->bytes, key))
            return true;
    }
    return false;
}

static bool
header_matches(const hv_header_filter *wanted, const hv_event *event)
{
    for (size_t i = 0; i < event->header_count; i++) {
        const hv_header *header = &event->headers[i];
        if (hv_slice_equal(header->name, wanted->name) && (!wanted->has_value || hv_slice_equal(header->value, wanted->value)))
            return true;
    }
    return false;
}

static bool
type_matches(const hv_event_filter *filter, const hv_event *event, hv_buf *scratch)
{
    hv_slice type;

    if (!hv_cloud_event_type(event, scratch, &type))
        return false;
    for (size_t i = 0; i < filter->type_count; i++)
        if (hv_glob_match(filter->types[i], type))
            return true;
    return false;
}

hv_rc
hv_event_filter_match(const hv_event_filter *filter, const hv_event *event, hv_buf *scratch, bool *ret, hv_err *err)
{
    bool matches = filter->key_count == 0 || key_matches(filter, event->key);

    for (size_t i = 0; matches && i < filter->header_count; i++)
        matches = header_matches(&filter->headers[i], event);
    if (matches && filter->type_count > 0) {
        matches = type_matches(filter, event, scratch);
        hv_rc rc = hv_buf_check(scratch, err);
        if (rc != HV_OK)
            return rc;
    }
    *ret = matches;
    return HV_OK;
}

static void
write_slice(hv_slice slice, hv_buf *to)
{
    hv_buf_printf(to, "%c%zu:", slice.data == NULL ? 'n' : 'b', slice.len);
    hv_buf_put(to, slice.data, slice.len);
}

void
hv_event_filter_write(const hv_event_filter *filter, hv_buf *to)
{
    hv_buf_printf(to, "keys %zu ", filter->key_count);
    for (size_t i = 0; i < filter->key_count; i++) {
        hv_buf_put_byte(to, filter->keys[i].is_glob ? 'g' : 'e');
        write_slice(filter->keys[i].bytes, to);
    }
    hv_buf_printf(to, "headers %zu ", filter->header_count);
    for (size_t i = 0; i < filter->header_count; i++) {
        write_slice(filter->headers[i].name, to);
        hv_buf_put_byte(to, filter->headers[i].has_value ? '=' : '-');
        if (filter->headers[i].has_value)
            write_slice(filter->headers[i].value, to);
    }
    hv_buf_printf(to, "types %zu ", filter->type_count);
    for (size_t i = 0; i < filter->type_count; i++)
        write_slice(filter->types[i], to);
}
