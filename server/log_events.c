#include "server/log_events.h"

static const hv_log_event events[] = {
#define ROW(name, level_name, id_text, msg_text, fields_text, meaning_text) \
    {.level = HV_LOG_##level_name, .id = id_text, .msg = msg_text, .fields = fields_text, .meaning = meaning_text},
    HV_LOG_EVENT_LIST(ROW)
#undef ROW
};

const hv_log_event *
hv_log_event_of(hv_log_event_id id)
{
    return &events[id];
}

void
hv_log_event_write(hv_log *log, hv_log_event_id id, const hv_log_field *fields, size_t count)
{
    hv_log_write(log, events[id].level, events[id].id, events[id].msg, fields, count);
}
