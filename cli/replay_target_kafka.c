/* From flags to a sink that sends into a Kafka service. */
#include <stdlib.h>

#include "cli/replay_cli.h"
#include "common/config_file.h"
#include "common/random.h"

static hv_rc
no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for the target");
}

static size_t
count_each(const hv_args *args, const char *flag)
{
    int count = 0;

    while (hv_args_each(args, flag, count) != NULL)
        count++;
    return (size_t)count;
}

/* The own source, that of another configuration, or a broker without any login. */
hv_rc
hv_replay_target_broker(const hv_cli *cli, hv_replay_target *to, hv_err *err)
{
    const char *bootstrap = hv_args_text(cli->args, "--bootstrap"), *path = hv_args_text(cli->args, "--target");

    if (bootstrap != NULL && path != NULL)
        return hv_err_set(err, HV_USAGE, "--bootstrap and --target both say where to send events; give one of them");
    if (bootstrap != NULL) {
        to->broker = (hv_kafka_config){.bootstrap = bootstrap};
        return HV_OK;
    }
    if (path == NULL)
        return hv_sources_describe(cli->options, &to->sources, &to->broker, err);
    hv_rc rc = hv_config_load(&to->options, path, err);
    if (rc == HV_OK)
        rc = hv_options_complete(&to->options, HV_NEED_SOURCE, err);
    return rc == HV_OK ? hv_sources_describe(&to->options, &to->sources, &to->broker, err) : rc;
}

static hv_rc
read_renames(const hv_cli *cli, hv_replay_target *to, hv_sink_kafka_config *config, hv_err *err)
{
    size_t count = count_each(cli->args, "--rename");

    to->topics = calloc(count + 1, sizeof *to->topics);
    to->hubs = calloc(count + 1, sizeof *to->hubs);
    if (to->topics == NULL || to->hubs == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const char *text = hv_args_each(cli->args, "--rename", (int)i), *equals = strchr(text, '=');
        if (equals == NULL)
            return hv_err_set(err, HV_USAGE, "--rename takes HUB=TOPIC, not '%.300s'", text);
        to->hubs[i] = strndup(text, (size_t)(equals - text));
        if (to->hubs[i] == NULL)
            return no_memory(err);
        to->topics[i] = (hv_kafka_topic_map){.hub = to->hubs[i], .topic = equals + 1};
    }
    config->topics = to->topics;
    config->topic_count = count;
    return HV_OK;
}

static hv_rc
read_partition_map(const hv_cli *cli, hv_replay_target *to, hv_sink_kafka_config *config, hv_err *err)
{
    size_t count = count_each(cli->args, "--partition-map");

    to->partitions = calloc(count + 1, sizeof *to->partitions);
    if (to->partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const char *text = hv_args_each(cli->args, "--partition-map", (int)i), *equals = strchr(text, '=');
        char from[32];
        int64_t number = -1, target;
        if (equals == NULL || (size_t)(equals - text) >= sizeof from)
            return hv_err_set(err, HV_USAGE, "--partition-map takes FROM=TO, two numbers, not '%.100s'", text);
        memcpy(from, text, (size_t)(equals - text));
        from[equals - text] = '\0';
        hv_rc rc = strcmp(from, "*") == 0 ? HV_OK : hv_args_parse_number(from, "--partition-map", 0, INT32_MAX, &number, err);
        if (rc == HV_OK)
            rc = hv_args_parse_number(equals + 1, "--partition-map", 0, INT32_MAX, &target, err);
        if (rc != HV_OK)
            return rc;
        to->partitions[i] = (hv_kafka_partition_map){.from = (int32_t)number, .to = (int32_t)target};
    }
    config->partitions = to->partitions;
    config->partition_count = count;
    return HV_OK;
}

/* Without one, a new one: then nothing is resumed, but a run that breaks off can be. */
static hv_rc
choose_id(const hv_cli *cli, hv_replay_target *to, hv_sink_kafka_config *config, hv_err *err)
{
    unsigned char random[6];

    config->id = hv_args_text(cli->args, "--id");
    if (config->id != NULL)
        return HV_OK;
    hv_rc rc = hv_random_fill(random, sizeof random, err);
    for (size_t i = 0; i < sizeof random; i++)
        (void)snprintf(to->id + 2 * i, 3, "%02x", random[i]);
    config->id = to->id;
    return rc;
}

hv_rc
hv_replay_target_kafka_describe(const hv_cli *cli, hv_replay_target *to, hv_err *err)
{
    hv_sink_kafka_config config = {.broker = &to->broker, .topic = hv_args_text(cli->args, "--topic"),
                                   .no_transactions = hv_args_has(cli->args, "--no-transactions")};

    if (hv_args_has(cli->args, "--out"))
        return hv_err_set(err, HV_USAGE, "--out names a file, but --sink kafka sends events to a service");
    hv_rc rc = hv_replay_target_broker(cli, to, err);
    if (rc == HV_OK)
        rc = read_renames(cli, to, &config, err);
    if (rc == HV_OK)
        rc = read_partition_map(cli, to, &config, err);
    if (rc == HV_OK)
        rc = choose_id(cli, to, &config, err);
    if (rc == HV_OK)
        to->kafka = config;
    return rc;
}

hv_rc
hv_replay_target_kafka(const hv_cli *cli, hv_replay_target *to, hv_err *err)
{
    const char *map = hv_args_text(cli->args, "--offset-map");

    hv_rc rc = hv_replay_target_kafka_describe(cli, to, err);
    if (rc == HV_OK && map != NULL)
        rc = hv_offset_map_open(map, &to->map, err);
    to->kafka.map = to->map;
    if (rc == HV_OK)
        rc = hv_sink_kafka_open(&to->kafka, &to->sink, err);
    if (rc != HV_OK)
        return rc;
    fprintf(cli->notes, "replay id: %s%s\n", to->kafka.id,
            to->kafka.no_transactions ? " (at least once: what was sent just before a crash may be sent again)" : "");
    return HV_OK;
}
