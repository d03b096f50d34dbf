/*
 * The topic id tells a hub from one that was deleted and created again under its name. Kafka has it in metadata of version 10 and
 * later (KIP-516); librdkafka does not ask for it before 2.3.0, so we ask ourselves, over a connection of its own.
 *
 * A broker that has no topic ids (Event Hubs, Kafka before 2.8) is asked once an hour. Once ids were seen, failing to get them is a
 * failure of the question: whoever compares identities must not be told "unknown" because of a broken connection.
 */
#include <stdio.h>

#include "common/clock.h"
#include "source/kafka_line.h"
#include "source/kafka_wire.h"

enum {
    METADATA = 3,
    WITH_IDS = 10,                      /* the first version of metadata that has them */
    MAX_ANSWER = 64 << 20,
    ASK_AGAIN_MS = 3600 * 1000,
};

static hv_rc
make_request(const hv_source_hub *hubs, size_t count, hv_buf *to, hv_err *err)
{
    static const char no_id[16];

    hv_wire_put_varint(to, (uint32_t)count + 1);
    for (size_t i = 0; i < count; i++) {
        hv_buf_put(to, no_id, sizeof no_id);
        hv_wire_put_compact_string(to, hubs[i].name);
        hv_wire_put_varint(to, 0);
    }
    hv_buf_put_byte(to, 0);             /* create no topics */
    hv_buf_put_byte(to, 0);             /* tell no rights, neither of the cluster nor of topics */
    hv_buf_put_byte(to, 0);
    hv_wire_put_varint(to, 0);
    return hv_buf_check(to, err);
}

static void
skip_brokers(hv_wire_reader *reader)
{
    for (uint32_t left = hv_wire_compact_array(reader, 11); left > 0; left--) {
        (void)hv_wire_i32(reader);
        (void)hv_wire_compact_string(reader);
        (void)hv_wire_i32(reader);
        (void)hv_wire_compact_string(reader);
        hv_wire_skip_tags(reader);
    }
}

static void
skip_numbers(hv_wire_reader *reader)
{
    (void)hv_wire_bytes(reader, 4 * (size_t)hv_wire_compact_array(reader, 4));
}

static void
skip_partitions(hv_wire_reader *reader)
{
    for (uint32_t left = hv_wire_compact_array(reader, 18); left > 0; left--) {
        (void)hv_wire_bytes(reader, 2 + 4 + 4 + 4);
        skip_numbers(reader);
        skip_numbers(reader);
        skip_numbers(reader);
        hv_wire_skip_tags(reader);
    }
}

static void
keep_id(hv_slice name, hv_slice id, hv_source_hub *hubs, size_t count)
{
    static const char no_id[16];
    const unsigned char *bytes = id.data;

    if (id.len != sizeof no_id || memcmp(id.data, no_id, sizeof no_id) == 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (hv_slice_equal(hv_slice_text(hubs[i].name), name))
            for (size_t b = 0; b < id.len; b++)
                (void)snprintf(hubs[i].identity + 2 * b, 3, "%02x", (unsigned)bytes[b]);
}

/* False if the answer is damaged; `hubs` may have ids of it even then. */
static bool
read_topics(hv_slice answer, hv_source_hub *hubs, size_t count)
{
    hv_wire_reader reader = hv_wire_reader_of(answer);

    hv_wire_skip_tags(&reader);         /* of the header */
    (void)hv_wire_i32(&reader);         /* throttle time */
    skip_brokers(&reader);
    (void)hv_wire_compact_string(&reader);      /* cluster */
    (void)hv_wire_i32(&reader);         /* controller */
    for (uint32_t left = hv_wire_compact_array(&reader, 26); left > 0; left--) {
        int16_t error = hv_wire_i16(&reader);
        hv_slice name = hv_wire_compact_string(&reader), id = hv_wire_bytes(&reader, 16);
        (void)hv_wire_bool(&reader);    /* internal */
        skip_partitions(&reader);
        (void)hv_wire_i32(&reader);     /* rights */
        hv_wire_skip_tags(&reader);
        if (error == 0 && !reader.failed)
            keep_id(name, id, hubs, count);
    }
    return !reader.failed;
}

/* Read once for nobody: a hub that gets its id from the whole half of a damaged answer would later seem to have changed, or its
 * neighbours to have none. */
hv_rc
hv_kafka_parse_identities(hv_slice answer, hv_source_hub *hubs, size_t count, hv_err *err)
{
    if (!read_topics(answer, NULL, 0))
        return hv_err_set(err, HV_UNAVAILABLE, "the broker's metadata is damaged");
    (void)read_topics(answer, hubs, count);
    return HV_OK;
}

/* HV_VERSION if the broker has none. */
static hv_rc
ask_identities(hv_kafka *k, hv_source_hub *hubs, size_t count, int timeout_ms, hv_err *err)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;
    HV_AUTO(hv_buf_free) hv_buf request = HV_BUF_INIT(count * (HV_HUB_SIZE + 20) + 64), answer = HV_BUF_INIT(MAX_ANSWER);
    hv_rc rc = hv_kafka_line_open(&k->settings, timeout_ms, &line, err);

    if (rc == HV_OK && hv_kafka_line_version(line, METADATA) < WITH_IDS)
        rc = hv_err_set(err, HV_VERSION, "the broker has no topic ids");
    if (rc == HV_OK)
        rc = make_request(hubs, count, &request, err);
    if (rc == HV_OK)
        rc = hv_kafka_line_ask(line, METADATA, WITH_IDS, true, hv_buf_slice(&request), &answer, err);
    if (rc == HV_OK)
        rc = hv_kafka_parse_identities(hv_buf_slice(&answer), hubs, count, err);
    return rc;
}

hv_rc
hv_kafka_fill_identities(hv_kafka *k, hv_source_hub *hubs, size_t count, int timeout_ms, hv_err *err)
{
    if (count == 0 || hv_clock_boot_ms() < atomic_load(&k->no_identities_until_ms))
        return HV_OK;
    hv_rc rc = ask_identities(k, hubs, count, timeout_ms, err);
    if (rc == HV_OK) {
        for (size_t i = 0; i < count; i++)
            if (hubs[i].identity[0] != '\0')
                atomic_store(&k->has_identities, true);
        return HV_OK;
    }
    if (atomic_load(&k->has_identities))
        return hv_err_prefix(err, "ask for the ids of hubs");
    atomic_store(&k->no_identities_until_ms, hv_clock_boot_ms() + (rc == HV_VERSION ? ASK_AGAIN_MS : ASK_AGAIN_MS / 60));
    return HV_OK;
}
