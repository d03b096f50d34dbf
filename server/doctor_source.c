/* Whether the hubs can be found and read, by every credential. */
#include <stdlib.h>

#include "server/doctor_checks.h"
#include "server/sources.h"
#include "source/source_drivers.h"

static const char *
way_out_of(hv_rc rc)
{
    switch (rc) {
    case HV_AUTH: return "check the login and its rights: it must be allowed to read (Listen, Data Receiver, READ and DESCRIBE)";
    case HV_UNAVAILABLE: return "check source.bootstrap, source.tls, the network and the firewall";
    case HV_NOT_FOUND: return "check the name of the hub";
    default: return "";
    }
}

/* Names the first hub that cannot be read. */
static void
check_reading(hv_doctor *doctor, hv_source *source, const hv_source_hub *hubs, size_t hub_count, int32_t partitions)
{
    hv_source_watermarks *marks = calloc((size_t)partitions + 1, sizeof *marks);
    size_t count = 0;
    hv_err err;

    for (size_t h = 0; marks != NULL && h < hub_count; h++)
        for (int32_t p = 0; p < hubs[h].partitions; p++)
            marks[count++] = (hv_source_watermarks){.hub = hubs[h].name, .partition = p, .rc = HV_UNAVAILABLE};
    hv_rc rc = marks != NULL ? source->ops->watermarks(source, marks, count, (int)doctor->config->options->source_timeout_ms, &err)
                             : hv_err_set(&err, HV_NOMEM, "no memory for %d partitions", (int)partitions);
    size_t bad = 0;
    while (rc == HV_OK && bad < count && marks[bad].rc == HV_OK)
        bad++;
    if (rc != HV_OK)
        hv_doctor_say(doctor, "hubs", HV_CHECK_FAILED, way_out_of(rc), "%s", err.msg);
    else if (bad < count)
        hv_doctor_say(doctor, "hubs", HV_CHECK_FAILED, way_out_of(marks[bad].rc), "partition %d of hub '%s' cannot be asked: %s",
                      (int)marks[bad].partition, marks[bad].hub, hv_rc_meaning(marks[bad].rc));
    else
        hv_doctor_say(doctor, "hubs", HV_CHECK_OK, "", "%zu hub%s with %d partitions can be asked", hub_count, hub_count == 1 ? "" : "s",
                      (int)partitions);
    free(marks);
}

static void
check_one(hv_doctor *doctor, hv_source *source)
{
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    int32_t partitions = 0;
    hv_err err;

    hv_rc rc = source->ops->hubs(source, (int)doctor->config->options->source_timeout_ms, &hubs, &count, &err);
    if (rc != HV_OK) {
        hv_doctor_say(doctor, "source", HV_CHECK_FAILED, way_out_of(rc), "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < count; i++)
        partitions += hubs[i].partitions;
    if (count == 0) {
        hv_doctor_say(doctor, "source", HV_CHECK_WARNING, "check source.include, source.exclude and the rights of the login",
                      "%s answers, but there is no hub to capture", source->ops->location(source));
    } else {
        hv_doctor_say(doctor, "source", HV_CHECK_OK, "", "%s answers", source->ops->location(source));
        check_reading(doctor, source, hubs, count, partitions);
    }
    free(hubs);
}

void
hv_doctor_check_source(hv_doctor *doctor)
{
    const hv_options *options = doctor->config->options;
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    const char *warning = hv_source_kafka_version_warning(options->source_auth == HV_AUTH_OAUTH);
    size_t count;
    hv_err err;

    if (warning != NULL)
        hv_doctor_say(doctor, "librdkafka", HV_CHECK_WARNING, "install another version", "%s", warning);
    if (!hv_options_have_source(options)) {
        hv_doctor_say(doctor, "source", HV_CHECK_SKIPPED, "", "none is configured; this is enough for reading the vault");
        return;
    }
    if (doctor->config->offline) {
        hv_doctor_say(doctor, "source", HV_CHECK_SKIPPED, "", "not asked");
        return;
    }
    hv_rc rc = hv_sources_open(options, &sources, &err);
    if (rc != HV_OK) {
        hv_doctor_say(doctor, "source", HV_CHECK_FAILED, way_out_of(rc), "%s", err.msg);
        return;
    }
    hv_source *const *all = hv_sources_all(sources, &count);
    for (size_t i = 0; i < count; i++)
        check_one(doctor, all[i]);
}
