/*
 * Looks for what would keep hubvault from working, before it does: every check is made, whatever the others find.
 *
 * Nothing is changed but one probe in the store, which is removed again. No secret is ever part of what a check says.
 */
#ifndef HV_SERVER_DOCTOR_H
#define HV_SERVER_DOCTOR_H

#include "common/options.h"

typedef enum hv_check_result { HV_CHECK_OK, HV_CHECK_SKIPPED, HV_CHECK_WARNING, HV_CHECK_FAILED } hv_check_result;

/* "ok", "skipped", "warning", "failed" */
const char *hv_check_result_text(hv_check_result result);

typedef struct hv_check {
    const char *name;                   /* "store", "clock" */
    hv_check_result result;
    char what[1280];                    /* what was found */
    const char *way_out;                /* what to do about it; empty where there is nothing to do */
} hv_check;

typedef struct hv_doctor_config {
    const hv_options *options;          /* complete */
    const char *config;                 /* path of the configuration file; NULL: none was read */
    bool offline;                       /* do not ask the source */
    void (*report)(void *arg, const hv_check *check);   /* for each check, in the order of the page */
    void *arg;
} hv_doctor_config;

typedef struct hv_doctor_totals {
    int ok, skipped, warnings, failed;
} hv_doctor_totals;

hv_doctor_totals hv_doctor_run(const hv_doctor_config *config);

#endif
