#include "server/metric_table.h"

static const hv_metric metrics[] = {
#define ROW(id, name_text, type_name, labels_text, help_text) \
    {.name = name_text, .type = HV_METRIC_##type_name, .labels = labels_text, .help = help_text},
    HV_METRIC_LIST(ROW)
#undef ROW
};

const hv_metric *
hv_metric_of(hv_metric_id id)
{
    return &metrics[id];
}

const char *
hv_metric_type_text(hv_metric_type type)
{
    static const char *const texts[] = {"counter", "gauge", "histogram"};

    return texts[type];
}
