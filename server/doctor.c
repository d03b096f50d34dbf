#include <stdarg.h>

#include "common/redact.h"
#include "server/doctor_checks.h"

const char *
hv_check_result_text(hv_check_result result)
{
    static const char *const texts[] = {[HV_CHECK_OK] = "ok", [HV_CHECK_SKIPPED] = "skipped", [HV_CHECK_WARNING] = "warning",
                                        [HV_CHECK_FAILED] = "failed"};
    return texts[result];
}

void
hv_doctor_say(hv_doctor *doctor, const char *name, hv_check_result result, const char *way_out, const char *fmt, ...)
{
    hv_check check = {.name = name, .result = result, .way_out = way_out};
    int *counts[] = {[HV_CHECK_OK] = &doctor->totals.ok, [HV_CHECK_SKIPPED] = &doctor->totals.skipped,
                     [HV_CHECK_WARNING] = &doctor->totals.warnings, [HV_CHECK_FAILED] = &doctor->totals.failed};
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(check.what, sizeof check.what, fmt, args);
    va_end(args);
    hv_redact(check.what);
    ++*counts[result];
    doctor->config->report(doctor->config->arg, &check);
}

hv_doctor_totals
hv_doctor_run(const hv_doctor_config *config)
{
    hv_doctor doctor = {.config = config};

    hv_doctor_check_config(&doctor);
    hv_doctor_check_credentials(&doctor);
    hv_doctor_check_store(&doctor);
    hv_doctor_check_index(&doctor);
    hv_doctor_check_clock(&doctor);
    hv_doctor_check_limits(&doctor);
    hv_doctor_check_source(&doctor);
    return doctor.totals;
}
