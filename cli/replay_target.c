/* From flags to a sink. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/replay_cli.h"

void
hv_replay_target_init(hv_replay_target *target)
{
    *target = (hv_replay_target){.fd = -1, .name = "standard output"};
    hv_options_init(&target->options);
}

void
hv_replay_target_close(hv_replay_target *target)
{
    hv_sink_close(target->sink);
    hv_offset_map_close(target->map);
    if (target->fd >= 0)
        (void)close(target->fd);
    hv_sources_close(target->sources);
    for (size_t i = 0; target->hubs != NULL && target->hubs[i] != NULL; i++)
        free(target->hubs[i]);
    free(target->hubs);
    free(target->topics);
    free(target->partitions);
    hv_options_clear(&target->options);
    target->sink = NULL;
}

/* Events are somebody's data: nobody else may read the file. */
static hv_rc
open_file(const char *path, hv_replay_target *to, hv_err *err)
{
    to->fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    to->name = path;
    if (to->fd >= 0)
        return HV_OK;
    if (errno == EEXIST)
        return hv_err_set(err, HV_EXISTS, "'%s' is there already; a replay writes to a new file", path);
    return hv_err_set(err, errno == ENOSPC || errno == EDQUOT ? HV_LIMIT : HV_IO, "cannot write '%s': %s", path, strerror(errno));
}

static hv_rc
open_raw(const hv_args *args, hv_sink_file to, hv_sink **ret, hv_err *err)
{
    const char *separator = hv_args_text(args, "--separator");
    hv_sink_raw_config config = {.to = to, .separator = hv_slice_of("\n", 1)};

    if (separator != NULL && strcmp(separator, "nul") == 0)
        config.separator = hv_slice_of("\0", 1);
    else if (separator != NULL && strcmp(separator, "none") == 0)
        config.separator = hv_slice_of("", 0);
    config.length_prefix = separator != NULL && strcmp(separator, "length") == 0;
    return hv_sink_raw_open(&config, ret, err);
}

static hv_rc
open_avro(const hv_args *args, hv_sink_file to, hv_sink **ret, hv_err *err)
{
    const char *codec = hv_args_text(args, "--codec");
    hv_sink_avro_config config = {.to = to, .codec = HV_CODEC_ZSTANDARD};

    if (codec != NULL && !hv_codec_parse(codec, &config.codec))
        return hv_err_set(err, HV_USAGE, "--codec takes zstandard, deflate or null, not '%s'", codec);
    return hv_sink_avro_open(&config, ret, err);
}

static hv_rc
open_sink(const hv_args *args, const char *kind, hv_sink_file to, hv_sink **ret, hv_err *err)
{
    const char *body = hv_args_text(args, "--body");

    if (strcmp(kind, "raw") == 0)
        return open_raw(args, to, ret, err);
    if (strcmp(kind, "avro") == 0)
        return open_avro(args, to, ret, err);
    return hv_sink_jsonl_open(&(hv_sink_jsonl_config){.to = to, .body_base64 = body != NULL && strcmp(body, "base64") == 0}, ret,
                              err);
}

hv_rc
hv_replay_target_open(const hv_cli *cli, hv_replay_target *target, hv_err *err)
{
    const char *path = hv_args_text(cli->args, "--out"), *kind = hv_args_text(cli->args, "--sink");
    hv_sink_file to = {.fd = -1};
    hv_rc rc = HV_OK;

    if (kind != NULL && strcmp(kind, "kafka") == 0)
        return hv_replay_target_kafka(cli, target, err);
    if (path != NULL) {
        rc = open_file(path, target, err);
        to = (hv_sink_file){.fd = target->fd, .name = path};
    } else {
        target->is_stdout = true;
        (void)fflush(cli->to);
        to = (hv_sink_file){.fd = fileno(cli->to), .name = target->name};
        if (to.fd < 0)
            rc = hv_err_set(err, HV_IO, "standard output cannot be written to: %s", strerror(errno));
    }
    return rc == HV_OK ? open_sink(cli->args, kind != NULL ? kind : "jsonl", to, &target->sink, err) : rc;
}

hv_rc
hv_replay_target_sync(const hv_replay_target *target, hv_err *err)
{
    if (target->fd >= 0 && fsync(target->fd) != 0 && errno != EINVAL && errno != EROFS)     /* a pipe or a device cannot */
        return hv_err_set(err, HV_IO, "cannot write '%s' to disk: %s", target->name, strerror(errno));
    return HV_OK;
}
