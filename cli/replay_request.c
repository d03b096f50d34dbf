/* From flags to a request. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/replay_cli.h"
#include "common/base64.h"
#include "common/clock.h"

void
hv_replay_words_clear(hv_replay_words *words)
{
    free(words->hubs);
    free(words->partitions);
    free(words->keys);
    free(words->headers);
    free(words->types);
    hv_buf_free(&words->decoded);
    hv_buf_free(&words->cursor);
    *words = (hv_replay_words){.hubs = NULL};
}

static size_t
count_each(const hv_args *args, const char *flag)
{
    int count = 0;

    while (hv_args_each(args, flag, count) != NULL)
        count++;
    return (size_t)count;
}

static hv_rc
no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for the request");
}

static hv_rc
read_hubs(const hv_cli *cli, hv_replay_words *to, hv_err *err)
{
    size_t count = (size_t)hv_args_count(cli->args);

    to->hubs = calloc(count + 1, sizeof *to->hubs);
    if (to->hubs == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        to->hubs[i] = hv_args_value(cli->args, (int)i);
    if (count == 0 && to->request.cursor.data == NULL)
        to->hubs[count++] = "*";
    to->request.hubs = to->hubs;
    to->request.hub_count = count;
    return HV_OK;
}

static hv_rc
read_partitions(const hv_cli *cli, hv_replay_words *to, hv_err *err)
{
    size_t count = count_each(cli->args, "--partition");

    to->partitions = calloc(count + 1, sizeof *to->partitions);
    if (to->partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        hv_rc rc = hv_args_parse_number(hv_args_each(cli->args, "--partition", (int)i), "--partition", 0, INT32_MAX, &number, err);
        if (rc != HV_OK)
            return rc;
        to->partitions[i] = (int32_t)number;
    }
    to->request.partitions = to->partitions;
    to->request.partition_count = count;
    return HV_OK;
}

/* Keys in base64 are decoded into one buffer; it may move while it grows, so their slices are made afterwards. */
static hv_rc
decode_keys(const hv_cli *cli, hv_replay_words *to, size_t at, size_t count, hv_err *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = to->decoded.len;
        const char *text = hv_args_each(cli->args, "--key-base64", (int)i);
        if (!hv_base64_decode(HV_BASE64_STANDARD, hv_slice_text(text), &to->decoded))
            return hv_err_set(err, HV_USAGE, "--key-base64 takes base64 with padding, not '%.100s'", text);
        to->keys[at + i].bytes.len = to->decoded.len - before;
    }
    hv_rc rc = hv_buf_check(&to->decoded, err);
    const char *start = hv_buf_slice(&to->decoded).data;
    for (size_t i = 0; rc == HV_OK && i < count; start += to->keys[at + i].bytes.len, i++)
        to->keys[at + i].bytes.data = start;
    return rc;
}

static hv_rc
read_keys(const hv_cli *cli, hv_replay_words *to, hv_err *err)
{
    size_t exact = count_each(cli->args, "--key"), globs = count_each(cli->args, "--key-glob");
    size_t encoded = count_each(cli->args, "--key-base64");

    to->keys = calloc(exact + globs + encoded + 1, sizeof *to->keys);
    if (to->keys == NULL)
        return no_memory(err);
    for (size_t i = 0; i < exact; i++)
        to->keys[i].bytes = hv_slice_text(hv_args_each(cli->args, "--key", (int)i));
    for (size_t i = 0; i < globs; i++)
        to->keys[exact + i] = (hv_key_filter){.is_glob = true, .bytes = hv_slice_text(hv_args_each(cli->args, "--key-glob",
                                                                                                   (int)i))};
    to->request.filter.keys = to->keys;
    to->request.filter.key_count = exact + globs + encoded;
    return decode_keys(cli, to, exact + globs, encoded, err);
}

static hv_rc
read_headers_and_types(const hv_cli *cli, hv_replay_words *to, hv_err *err)
{
    size_t headers = count_each(cli->args, "--header"), types = count_each(cli->args, "--type");

    to->headers = calloc(headers + 1, sizeof *to->headers);
    to->types = calloc(types + 1, sizeof *to->types);
    if (to->headers == NULL || to->types == NULL)
        return no_memory(err);
    for (size_t i = 0; i < headers; i++) {
        const char *text = hv_args_each(cli->args, "--header", (int)i), *equals = strchr(text, '=');
        size_t len = equals != NULL ? (size_t)(equals - text) : strlen(text);
        to->headers[i] = (hv_header_filter){.name = hv_slice_of(text, len), .has_value = equals != NULL,
                                            .value = equals != NULL ? hv_slice_text(equals + 1) : HV_SLICE_NULL};
    }
    for (size_t i = 0; i < types; i++)
        to->types[i] = hv_slice_text(hv_args_each(cli->args, "--type", (int)i));
    to->request.filter.headers = to->headers;
    to->request.filter.header_count = headers;
    to->request.filter.types = to->types;
    to->request.filter.type_count = types;
    return HV_OK;
}

static hv_rc
read_bounds(const hv_cli *cli, hv_replay_request *to, hv_err *err)
{
    const hv_args *args = cli->args;
    int64_t now = hv_clock_wall_ms();

    to->from_time.set = hv_args_has(args, "--from");
    to->to_time.set = hv_args_has(args, "--to");
    to->from_offset.set = hv_args_has(args, "--from-offset");
    to->to_offset.set = hv_args_has(args, "--to-offset");
    hv_rc rc = hv_args_time(args, "--from", now, &to->from_time.value, err);
    if (rc == HV_OK)
        rc = hv_args_time(args, "--to", now, &to->to_time.value, err);
    if (rc == HV_OK)
        rc = hv_args_number(args, "--from-offset", 0, INT64_MAX, &to->from_offset.value, err);
    if (rc == HV_OK)
        rc = hv_args_number(args, "--to-offset", 0, INT64_MAX, &to->to_offset.value, err);
    return rc;
}

static hv_rc
read_speed(const hv_cli *cli, hv_replay_request *to, hv_err *err)
{
    const char *text = hv_args_text(cli->args, "--speed");
    char *end;

    if (text == NULL || strcmp(text, "max") == 0)
        return HV_OK;
    to->speed = text[0] == 'x' && text[1] >= '0' && text[1] <= '9' ? strtod(text + 1, &end) : 0;
    if (!(to->speed > 0) || *end != '\0')
        return hv_err_set(err, HV_USAGE, "--speed takes max, or a factor like x1 or x10, not '%s'", text);
    return HV_OK;
}

static hv_rc
read_numbers(const hv_cli *cli, hv_replay_request *to, hv_err *err)
{
    const char *incarnation = hv_args_text(cli->args, "--incarnation");
    int64_t number = 0;
    hv_rc rc = HV_OK;

    if (incarnation != NULL && strcmp(incarnation, "all") == 0)
        to->incarnation = HV_REPLAY_ALL_INCARNATIONS;
    else
        rc = hv_args_number(cli->args, "--incarnation", 1, UINT32_MAX - 1, &number, err);
    if (number > 0)
        to->incarnation = (uint32_t)number;
    if (rc == HV_OK)
        rc = hv_args_number(cli->args, "--limit", 1, INT64_MAX, &to->limit, err);
    if (rc == HV_OK)
        rc = hv_args_number(cli->args, "--rate", 1, 1000000000, &to->events_per_second, err);
    if (rc == HV_OK)
        rc = hv_args_duration(cli->args, "--longest-pause", &to->longest_pause_ms, err);
    return rc == HV_OK ? read_speed(cli, to, err) : rc;
}

static hv_rc
read_cursor_file(const char *path, hv_buf *to, hv_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *at = NULL;
    ssize_t took = 1;

    if (fd < 0)
        return errno == ENOENT ? HV_OK : hv_err_set(err, HV_IO, "cannot read '%s': %s", path, strerror(errno));
    while (took > 0 && (at = hv_buf_reserve(to, 4096)) != NULL) {
        took = read(fd, at, 4096);
        to->len += took > 0 ? (size_t)took : 0;
    }
    int error = took < 0 ? errno : 0;
    (void)close(fd);
    if (error != 0)
        return hv_err_set(err, HV_IO, "cannot read '%s': %s", path, strerror(error));
    while (to->len > 0 && (to->data[to->len - 1] == '\n' || to->data[to->len - 1] == '\r'))
        to->len--;
    hv_rc rc = hv_buf_check(to, err);
    if (rc == HV_OK && to->len == 0)
        return hv_err_set(err, HV_USAGE, "'%s' is empty; a cursor belongs there", path);
    return rc == HV_OK ? HV_OK : hv_err_prefix(err, "'%s'", path);
}

static hv_rc
read_cursor(const hv_cli *cli, hv_replay_words *to, hv_err *err)
{
    const char *text = hv_args_text(cli->args, "--cursor"), *path = hv_args_text(cli->args, "--cursor-file");
    hv_rc rc = HV_OK;

    if (text != NULL)
        to->request.cursor = hv_slice_text(text);       /* wins: the file may hold that of an earlier run */
    else if (path != NULL)
        rc = read_cursor_file(path, &to->cursor, err);
    if (rc == HV_OK && to->cursor.len > 0)
        to->request.cursor = hv_buf_slice(&to->cursor);
    return rc;
}

hv_rc
hv_replay_words_read(const hv_cli *cli, hv_replay_words *ret, hv_err *err)
{
    HV_AUTO(hv_replay_words_clear) hv_replay_words words = {.decoded = HV_BUF_INIT(64 << 20),
                                                            .cursor = HV_BUF_INIT(HV_CURSOR_MAX_TEXT + 2)};
    const char *order = hv_args_text(cli->args, "--order"), *damaged = hv_args_text(cli->args, "--damaged");

    words.request.order = order == NULL                ? HV_REPLAY_ORDER_DEFAULT
                          : strcmp(order, "time") == 0 ? HV_REPLAY_BY_TIME
                                                       : HV_REPLAY_BY_OFFSET;
    words.request.skip_damaged = damaged != NULL && strcmp(damaged, "skip") == 0;
    words.request.follow = hv_args_has(cli->args, "--follow");
    hv_rc rc = read_cursor(cli, &words, err);
    if (rc == HV_OK)
        rc = read_hubs(cli, &words, err);
    if (rc == HV_OK)
        rc = read_partitions(cli, &words, err);
    if (rc == HV_OK)
        rc = read_keys(cli, &words, err);
    if (rc == HV_OK)
        rc = read_headers_and_types(cli, &words, err);
    if (rc == HV_OK)
        rc = read_bounds(cli, &words.request, err);
    if (rc == HV_OK)
        rc = read_numbers(cli, &words.request, err);
    if (rc != HV_OK)
        return rc;
    *ret = words;
    words = (hv_replay_words){.hubs = NULL};
    return HV_OK;
}
