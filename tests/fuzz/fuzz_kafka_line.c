/*
 * What a broker answers, byte by byte: to our login and to the question for topic ids, over a connection that is not there (the dial
 * functions are ours); and any bytes as an answer with topic ids. The first byte chooses the login. An answer that is refused has told
 * nothing: no topic has an id of it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/dial.h"
#include "source/kafka_line.h"
#include "source/kafka_wire.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 16 << 10, HUBS = 3, METADATA = 3, LIMIT = 1 << 16 };

/* ---- the other side ---- */

struct hv_dial {
    const uint8_t *at, *end;
};

static struct hv_dial other_side;

hv_rc __wrap_hv_dial_open(const char *address, bool tls, const char *ca_file, int64_t until_boot_ms, hv_dial **ret, hv_err *err);
hv_rc __wrap_hv_dial_send(hv_dial *dial, hv_slice bytes, hv_err *err);
hv_rc __wrap_hv_dial_receive(hv_dial *dial, char *to, size_t len, hv_err *err);
void __wrap_hv_dial_close(hv_dial *dial);

hv_rc
__wrap_hv_dial_open(const char *address, bool tls, const char *ca_file, int64_t until_boot_ms, hv_dial **ret, hv_err *err)
{
    (void)tls, (void)ca_file, (void)until_boot_ms, (void)err;
    assert(strcmp(address, "broker:9092") == 0);
    *ret = &other_side;
    return HV_OK;
}

/* Every frame says how long it is. */
hv_rc
__wrap_hv_dial_send(hv_dial *dial, hv_slice bytes, hv_err *err)
{
    hv_wire_reader reader = hv_wire_reader_of(bytes);

    (void)dial, (void)err;
    assert(hv_wire_i32(&reader) == (int32_t)bytes.len - 4);
    return HV_OK;
}

hv_rc
__wrap_hv_dial_receive(hv_dial *dial, char *to, size_t len, hv_err *err)
{
    if ((size_t)(dial->end - dial->at) < len)
        return hv_err_set(err, HV_UNAVAILABLE, "broker:9092: the connection ended");
    memcpy(to, dial->at, len);
    dial->at += len;
    return HV_OK;
}

void
__wrap_hv_dial_close(hv_dial *dial)
{
    (void)dial;
}

static hv_rc
give_token(void *arg, hv_token *ret, hv_err *err)
{
    (void)arg;
    *ret = (hv_token){.token = strdup("a token")};
    return ret->token != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory");
}

/* ---- topic ids ---- */

static void
check_identities(hv_slice answer)
{
    hv_source_hub hubs[HUBS] = {{.name = "orders"}, {.name = "payments"}, {.name = "a"}};
    hv_err err;

    hv_rc rc = hv_kafka_parse_identities(answer, hubs, HUBS, &err);
    assert(rc == HV_OK || rc == HV_UNAVAILABLE);
    for (size_t i = 0; i < HUBS; i++) {
        size_t len = strlen(hubs[i].identity);
        assert(strspn(hubs[i].identity, "0123456789abcdef") == len && (len == 0 || (rc == HV_OK && len == 32)));
    }
}

/* Numbers and strings that are read can be written and read again. */
static void
check_wire(hv_slice bytes)
{
    HV_AUTO(hv_buf_free) hv_buf again = HV_BUF_INIT(8 * MOST);
    hv_wire_reader reader = hv_wire_reader_of(bytes);

    for (int kind = 0; reader.at < reader.end; kind = (kind + 1) % 3) {
        hv_wire_reader before = reader, back;
        char text[MOST + 1];
        hv_slice read = HV_SLICE_NULL, read_again = HV_SLICE_NULL;
        uint32_t number = kind == 0 ? hv_wire_varint(&reader) : 0;
        if (kind > 0)
            read = kind == 1 ? hv_wire_string(&reader) : hv_wire_compact_string(&reader);
        assert(reader.at <= reader.end && (!reader.failed || reader.at == reader.end));
        if (reader.failed)
            return;
        assert(reader.at > before.at);
        hv_buf_clear(&again);
        if (kind == 0) {
            hv_wire_put_varint(&again, number);
            back = hv_wire_reader_of(hv_buf_slice(&again));
            assert(hv_wire_varint(&back) == number && !back.failed && back.at == back.end);
        } else if (read.data != NULL && memchr(read.data, '\0', read.len) == NULL) {
            memcpy(text, read.data, read.len);
            text[read.len] = '\0';
            (kind == 1 ? hv_wire_put_string : hv_wire_put_compact_string)(&again, text);
            back = hv_wire_reader_of(hv_buf_slice(&again));
            read_again = kind == 1 ? hv_wire_string(&back) : hv_wire_compact_string(&back);
            assert(hv_slice_equal(read, read_again) && back.at == back.end);
        }
    }
}

static void
talk(const hv_kafka_settings *settings, hv_slice bytes)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;
    HV_AUTO(hv_buf_free) hv_buf answer = HV_BUF_INIT(LIMIT);
    hv_err err;

    other_side = (struct hv_dial){.at = bytes.data, .end = (const uint8_t *)bytes.data + bytes.len};
    hv_rc rc = hv_kafka_line_open(settings, 1000, &line, &err);
    assert((rc == HV_OK) == (line != NULL));
    if (rc != HV_OK) {
        assert(rc == HV_UNAVAILABLE || rc == HV_VERSION || rc == HV_AUTH || rc == HV_LIMIT);
        assert(strstr(err.msg, "a token") == NULL && strpbrk(err.msg, "\r\n") == NULL);
        return;
    }
    assert(hv_kafka_line_version(line, -1) == -1 && hv_kafka_line_version(line, INT16_MAX) == -1);
    while (hv_kafka_line_ask(line, METADATA, 10, true, hv_slice_text(""), &answer, &err) == HV_OK) {
        assert(answer.len <= LIMIT);
        check_identities(hv_buf_slice(&answer));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char broker[] = "broker:9092";
    hv_kafka_settings settings = {.bootstrap = broker, .token = give_token};

    if (size < 1 || size > MOST)
        return 0;
    hv_slice bytes = hv_slice_of(data + 1, size - 1);
    settings.auth = data[0] % 2 == 0 ? HV_KAFKA_AUTH_NONE : HV_KAFKA_AUTH_OAUTH;
    talk(&settings, bytes);
    check_identities(bytes);
    check_wire(bytes);
    return 0;
}
