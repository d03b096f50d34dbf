/*
 * "hv1 <request, 16 hex digits> <events>" and then for each source " <hub>/<incarnation>/<partition>=<next>". Text, so that an
 * operator who looks at the consumer group of a replay can read it. Names of hubs have neither blank nor slash nor equals sign.
 */
#include "replay/kafka_positions.h"

#include <inttypes.h>
#include <stdlib.h>

#define PREFIX "hv1 "

void
hv_kafka_positions_clear(hv_kafka_positions *positions)
{
    free(positions->positions);
    *positions = (hv_kafka_positions){.positions = NULL};
}

hv_rc
hv_kafka_positions_write(const hv_kafka_positions *positions, hv_buf *to, hv_err *err)
{
    size_t before = to->len;

    hv_buf_put_text(to, PREFIX);
    for (size_t i = 0; i < HV_KAFKA_REQUEST_SIZE; i++)
        hv_buf_printf(to, "%02x", positions->request[i]);
    hv_buf_printf(to, " %" PRId64, positions->events);
    for (size_t i = 0; i < positions->count && to->len - before <= HV_KAFKA_POSITIONS_MAX; i++) {
        const hv_kafka_position *position = &positions->positions[i];
        hv_buf_printf(to, " %s/%" PRIu32 "/%" PRId32 "=%" PRId64, position->from.hub, position->from.incarnation,
                      position->from.number, position->next);
    }
    hv_rc rc = hv_buf_check(to, err);
    if (rc == HV_OK && to->len - before > HV_KAFKA_POSITIONS_MAX)
        rc = hv_err_set(err, HV_LIMIT, "the positions of %zu partitions that go into one do not fit the %d bytes of a commit",
                        positions->count, HV_KAFKA_POSITIONS_MAX);
    if (rc != HV_OK && to->len > before)
        to->len = before;
    return rc;
}

typedef struct parser {
    const char *at, *end;
} parser;

static bool
take(parser *parse, char wanted)
{
    if (parse->at == parse->end || *parse->at != wanted)
        return false;
    parse->at++;
    return true;
}

static bool
take_number(parser *parse, int64_t max, int64_t *ret)
{
    const char *first = parse->at;
    int64_t number = 0;

    for (; parse->at < parse->end && *parse->at >= '0' && *parse->at <= '9'; parse->at++) {
        int digit = *parse->at - '0';
        if (number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret = number;
    return parse->at > first;
}

static bool
take_request(parser *parse, unsigned char *ret)
{
    for (size_t i = 0; i < 2 * HV_KAFKA_REQUEST_SIZE; i++, parse->at++) {
        if (parse->at == parse->end)
            return false;
        char c = *parse->at;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        ret[i / 2] = (unsigned char)(ret[i / 2] << 4 | digit);
    }
    return true;
}

static bool
take_position(parser *parse, hv_kafka_position *ret)
{
    const char *slash = parse->at < parse->end ? memchr(parse->at, '/', (size_t)(parse->end - parse->at)) : NULL;
    char hub[HV_HUB_SIZE] = "";
    int64_t incarnation, number;
    hv_err err;

    if (slash == NULL || (size_t)(slash - parse->at) >= sizeof hub)
        return false;
    memcpy(hub, parse->at, (size_t)(slash - parse->at));
    parse->at = slash + 1;
    return take_number(parse, UINT32_MAX, &incarnation) && take(parse, '/') && take_number(parse, INT32_MAX, &number)
           && take(parse, '=') && take_number(parse, INT64_MAX, &ret->next)
           && hv_partition_make(hub, (uint32_t)incarnation, (int32_t)number, &ret->from, &err) == HV_OK;
}

static size_t
count_blanks(const parser *parse)
{
    size_t count = 0;

    for (const char *at = parse->at; at < parse->end; at++)
        count += *at == ' ' ? 1 : 0;
    return count;
}

hv_rc
hv_kafka_positions_parse(hv_slice text, hv_kafka_positions *ret, hv_err *err)
{
    HV_AUTO(hv_kafka_positions_clear) hv_kafka_positions made = {.positions = NULL};
    parser parse = {.at = text.data};
    size_t prefix = strlen(PREFIX);

    if (text.len > HV_KAFKA_POSITIONS_MAX || text.len < prefix || memcmp(text.data, PREFIX, prefix) != 0)
        return hv_err_set(err, HV_USAGE, "it was not written by a replay of hubvault");
    parse.end = parse.at + text.len;
    parse.at += prefix;
    bool good = take_request(&parse, made.request) && take(&parse, ' ') && take_number(&parse, INT64_MAX, &made.events);
    made.positions = calloc(count_blanks(&parse) + 1, sizeof *made.positions);
    if (made.positions == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for positions");
    while (good && parse.at < parse.end)
        good = take(&parse, ' ') && take_position(&parse, &made.positions[made.count++]);
    if (!good)
        return hv_err_set(err, HV_USAGE, "it was not written by a replay of hubvault");
    *ret = made;
    made = (hv_kafka_positions){.positions = NULL};
    return HV_OK;
}
