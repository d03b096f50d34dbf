/* Inside of the doctor: its checks. Only server/doctor*.c include this. */
#ifndef HV_SERVER_DOCTOR_CHECKS_H
#define HV_SERVER_DOCTOR_CHECKS_H

#include "server/doctor.h"

typedef struct hv_doctor {
    const hv_doctor_config *config;
    hv_doctor_totals totals;
    int64_t newest_seal_ms;             /* of the index, for the clock; 0: not known */
} hv_doctor;

void hv_doctor_say(hv_doctor *doctor, const char *name, hv_check_result result, const char *way_out, const char *fmt, ...)
    HV_PRINTF(5, 6);

void hv_doctor_check_config(hv_doctor *doctor);
void hv_doctor_check_credentials(hv_doctor *doctor);
void hv_doctor_check_store(hv_doctor *doctor);
void hv_doctor_check_index(hv_doctor *doctor);
void hv_doctor_check_clock(hv_doctor *doctor);
void hv_doctor_check_limits(hv_doctor *doctor);
void hv_doctor_check_source(hv_doctor *doctor);

#endif
