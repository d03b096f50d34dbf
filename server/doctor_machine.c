/* The clock, and what the system lets a process have. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "common/clock.h"
#include "common/size_text.h"
#include "common/time_text.h"
#include "server/doctor_checks.h"

#define EARLIEST_MS INT64_C(1704067200000)              /* 2024-01-01: older than the program */
#define LATEST_MS INT64_C(4102444800000)                /* 2100-01-01 */
#define TOLERANCE_MS (5 * 60 * 1000)

enum { FILES_AT_LEAST = 256, FILES_ENOUGH = 1024 };

void
hv_doctor_check_clock(hv_doctor *doctor)
{
    static const char set_it[] = "set the clock, and let NTP keep it";
    int64_t now = hv_clock_wall_ms();
    hv_time_text shown = hv_time_format(now);

    if (now < EARLIEST_MS || now > LATEST_MS)
        hv_doctor_say(doctor, "clock", HV_CHECK_FAILED, set_it, "it says %s, which cannot be", shown.text);
    else if (now + TOLERANCE_MS < doctor->newest_seal_ms)
        hv_doctor_say(doctor, "clock", HV_CHECK_FAILED, set_it, "it says %s, %s before the newest segment was sealed", shown.text,
                      hv_duration_round(doctor->newest_seal_ms - now).text);
    else if (!hv_clock_synchronised())
        hv_doctor_say(doctor, "clock", HV_CHECK_WARNING, "let NTP keep it", "it says %s, and nothing keeps it right", shown.text);
    else
        hv_doctor_say(doctor, "clock", HV_CHECK_OK, "", "it says %s, and is kept right", shown.text);
}

static void
check_files(hv_doctor *doctor)
{
    static const char raise[] = "ulimit -n 4096, or LimitNOFILE=4096 in the unit";
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;                         /* not reached: fails for an unknown limit only */
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= FILES_ENOUGH)
        hv_doctor_say(doctor, "open files", HV_CHECK_OK, "", "%" PRIu64 " are allowed", (uint64_t)limit.rlim_cur);
    else
        hv_doctor_say(doctor, "open files", limit.rlim_cur < FILES_AT_LEAST ? HV_CHECK_FAILED : HV_CHECK_WARNING, raise,
                      "only %" PRIu64 " are allowed; every broker, segment and log takes some", (uint64_t)limit.rlim_cur);
}

/* Of the control group (version 2, the one this process sees as its root); UINT64_MAX: no limit, or not to be seen. */
static uint64_t
group_memory(void)
{
    char text[32] = "";
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");

    if (file == NULL)
        return UINT64_MAX;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

static void
check_memory(hv_doctor *doctor)
{
    uint64_t budget = (uint64_t)doctor->config->options->archiver_memory;
    struct sysinfo info;

    if (sysinfo(&info) != 0)
        return;                         /* not reached: fails for a bad address only */
    uint64_t has = (uint64_t)info.totalram * info.mem_unit, group = group_memory();
    has = group < has ? group : has;
    if (budget > has / 2)
        hv_doctor_say(doctor, "memory", budget > has ? HV_CHECK_FAILED : HV_CHECK_WARNING, "lower archiver.memory",
                      "archiver.memory is %s of the %s there is, and more is needed beside it", hv_size_format((int64_t)budget).text,
                      hv_size_round(has).text);
    else
        hv_doctor_say(doctor, "memory", HV_CHECK_OK, "", "%s, of which events may take %s", hv_size_round(has).text,
                      hv_size_format((int64_t)budget).text);
}

static void
check_address_space(hv_doctor *doctor)
{
    const hv_options *options = doctor->config->options;
    uint64_t needed = (uint64_t)options->index_map_bytes + (uint64_t)options->archiver_memory * 2;
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < needed)
        hv_doctor_say(doctor, "address space", HV_CHECK_FAILED, "ulimit -v unlimited, or lower index.map-size",
                      "%s are allowed, the index and archiver.memory need %s", hv_size_round(limit.rlim_cur).text, hv_size_round(needed).text);
}

void
hv_doctor_check_limits(hv_doctor *doctor)
{
    check_files(doctor);
    check_memory(doctor);
    check_address_space(doctor);
}
