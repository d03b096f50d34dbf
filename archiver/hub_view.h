/*
 * Which hubs a source has now, and which incarnation of each is captured.
 */
#ifndef HV_ARCHIVER_HUB_VIEW_H
#define HV_ARCHIVER_HUB_VIEW_H

#include "index/index.h"
#include "source/source.h"

typedef struct hv_hub_view {
    hv_source_hub *hubs;                /* by name */
    size_t hub_count;
    hv_index_incarnation *incarnations; /* by hub and number */
    size_t incarnation_count;
} hv_hub_view;

void hv_hub_view_clear(hv_hub_view *view);
HV_DEFINE_AUTO_VALUE(hv_hub_view, hv_hub_view_clear);

/* Ask both. */
hv_rc hv_hub_view_look(hv_source *source, hv_index *index, int timeout_ms, hv_hub_view *ret, hv_err *err) HV_MUST_USE;

/* 0: the source does not have the hub, it is not captured yet, or it is another one than the newest incarnation that the index knows. */
uint32_t hv_hub_view_incarnation(const hv_hub_view *view, const char *hub);

#endif
