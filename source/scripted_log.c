/*
 * A record is one block of memory: counter, event, headers, bytes. The log holds pointers in offset order, so that finding is a
 * binary search and holes need no marker.
 */
#include "source/scripted_log.h"

#include <assert.h>
#include <stdlib.h>

struct hv_scripted_record {
    unsigned references;
    hv_event event;
    hv_header headers[];                /* then the bytes of all slices */
};

const hv_event *
hv_scripted_record_event(const hv_scripted_record *record)
{
    return &record->event;
}

hv_scripted_record *
hv_scripted_record_keep(hv_scripted_record *record)
{
    record->references++;
    return record;
}

void
hv_scripted_record_drop(hv_scripted_record *record)
{
    if (record != NULL && --record->references == 0)
        free(record);
}

static void *
never_null(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* An empty slice keeps an address of its own, so that it stays apart from a null one. */
static hv_slice
move_in(hv_slice slice, char **free_bytes)
{
    if (slice.data == NULL)
        return HV_SLICE_NULL;
    char *to = *free_bytes;
    if (slice.len > 0)
        memcpy(to, slice.data, slice.len);
    *free_bytes += slice.len + 1;
    return hv_slice_of(to, slice.len);
}

static hv_scripted_record *
record_new(const hv_event *event, int64_t offset)
{
    size_t bytes = event->key.len + 1 + event->value.len + 1;

    for (size_t i = 0; i < event->header_count; i++)
        bytes += event->headers[i].name.len + 1 + event->headers[i].value.len + 1;
    size_t size = sizeof(hv_scripted_record) + event->header_count * sizeof(hv_header);
    hv_scripted_record *record = never_null(calloc(1, size + bytes));
    char *free_bytes = (char *)record + size;

    record->references = 1;
    record->event = *event;
    record->event.offset = offset;
    record->event.key = move_in(event->key, &free_bytes);
    record->event.value = move_in(event->value, &free_bytes);
    record->event.headers = record->headers;
    for (size_t i = 0; i < event->header_count; i++)
        record->headers[i] = (hv_header){.name = move_in(event->headers[i].name, &free_bytes),
                                         .value = move_in(event->headers[i].value, &free_bytes)};
    return record;
}

/* Where the first record at or behind offset stands; count if there is none. */
static size_t
position_of(const hv_scripted_log *log, int64_t offset)
{
    size_t low = 0, high = log->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->records[middle]->event.offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
remove_records(hv_scripted_log *log, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        hv_scripted_record_drop(log->records[i]);
    if (to > from)
        memmove(log->records + from, log->records + to, (log->count - to) * sizeof *log->records);
    log->count -= to - from;
}

int64_t
hv_scripted_log_append(hv_scripted_log *log, const hv_event *event)
{
    if (log->count == log->allocated) {
        log->allocated = log->allocated == 0 ? 16 : log->allocated * 2;
        log->records = never_null(realloc(log->records, log->allocated * sizeof *log->records));
    }
    log->records[log->count++] = record_new(event, log->high);
    return log->high++;
}

void
hv_scripted_log_expire(hv_scripted_log *log, int64_t new_low)
{
    assert(new_low >= log->low && new_low <= log->high);
    remove_records(log, 0, position_of(log, new_low));
    log->low = new_low;
}

void
hv_scripted_log_truncate(hv_scripted_log *log, int64_t new_high)
{
    assert(new_high >= log->low && new_high <= log->high);
    remove_records(log, position_of(log, new_high), log->count);
    log->high = new_high;
}

void
hv_scripted_log_compact(hv_scripted_log *log, int64_t offset)
{
    size_t at = position_of(log, offset);

    if (at < log->count && log->records[at]->event.offset == offset)
        remove_records(log, at, at + 1);
}

hv_scripted_record *
hv_scripted_log_find(const hv_scripted_log *log, int64_t offset)
{
    size_t at = position_of(log, offset);

    return at < log->count ? log->records[at] : NULL;
}

void
hv_scripted_log_clear(hv_scripted_log *log)
{
    remove_records(log, 0, log->count);
    free(log->records);
    *log = (hv_scripted_log){0};
}
