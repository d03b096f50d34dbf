/* What each sink for files writes, byte for byte where the bytes are promised. */
#include <avro.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base64.h"
#include "replay/sinks.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/segment/segment_builder.h"

static hv_err err;
static scratch_dir dir;
static char path[300];
static int fd;
static hv_sink *sink;
static hv_partition partition;

static void
open_file(void)
{
    dir = scratch_dir_make();
    (void)snprintf(path, sizeof path, "%s/out", dir.path);
    fd = open(path, O_CREAT | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_hv_ok(hv_partition_make("orders", 1, 2, &partition, &err));
}

static void
close_file(void)
{
    hv_sink_close(sink);
    sink = NULL;
    close(fd);
    scratch_dir_remove(&dir);
}

static hv_sink_file
to_file(void)
{
    return (hv_sink_file){.fd = fd, .name = "out"};
}

static void
begin(void)
{
    static const unsigned char request[8] = {1};
    hv_sink_start start = {.vault = TEST_VAULT, .request = request};

    ck_hv_ok(sink->ops->begin(sink, &start, &err));
}

static void
put(const hv_event *event)
{
    ck_hv_ok(sink->ops->event(sink, &partition, event, &err));
}

/* Everything written so far, with a NUL behind it. */
static hv_buf
contents(void)
{
    hv_buf all = HV_BUF_INIT(1 << 28);
    struct stat facts;

    ck_assert_int_eq(fstat(fd, &facts), 0);
    char *to = hv_buf_reserve(&all, (size_t)facts.st_size);
    ck_assert_ptr_nonnull(to);
    ck_assert_int_eq(pread(fd, to, (size_t)facts.st_size, 0), facts.st_size);
    all.len = (size_t)facts.st_size;
    to[all.len] = '\0';
    return all;
}

static void
expect_file(const void *bytes, size_t len)
{
    hv_buf all = contents();

    ck_assert_uint_eq(all.len, len);
    ck_assert_mem_eq(all.data, bytes, len);
    hv_buf_free(&all);
}

/* ---- JSON lines ---- */

static void
open_jsonl(bool body_base64)
{
    ck_hv_ok(hv_sink_jsonl_open(&(hv_sink_jsonl_config){.to = to_file(), .body_base64 = body_base64}, &sink, &err));
    begin();
}

#define OPENING "{\"hub\":\"orders\",\"incarnation\":1,\"partition\":2,\"offset\":"

static void
expect_body(hv_slice body, const char *want)
{
    char line[4096];

    put(&(hv_event){.offset = 7, .timestamp_ms = 0, .timestamp_type = HV_TIMESTAMP_CREATE, .value = body});
    ck_hv_ok(sink->ops->flush(sink, &err));
    int len = snprintf(line, sizeof line,
                       "%s7,\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"timestampType\":\"create\",\"key\":null,"
                       "\"headers\":[],%s}\n", OPENING, want);
    expect_file(line, (size_t)len);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
}

static void
expect_text_body(const char *body, const char *want)
{
    expect_body(hv_slice_text(body), want);
}

START_TEST(a_json_body_stays_json)
{
    open_jsonl(false);
    expect_text_body("{\"a\":[1,2.50,\"x\"]}", "\"value\":{\"a\":[1,2.50,\"x\"]}");
    expect_text_body("12345678901234567890123", "\"value\":12345678901234567890123");
    expect_text_body("\"text\"", "\"value\":\"text\"");
    expect_text_body("false", "\"value\":false");
}
END_TEST

START_TEST(a_null_body_is_null_and_nothing_else_is)
{
    open_jsonl(false);
    expect_body(HV_SLICE_NULL, "\"value\":null");
    expect_text_body("null", "\"value_base64\":\"bnVsbA==\"");
    expect_text_body(" null\n", "\"value_base64\":\"IG51bGwK\"");
    expect_text_body("", "\"value_base64\":\"\"");
}
END_TEST

START_TEST(newlines_between_tokens_become_blanks_so_that_a_line_stays_a_line)
{
    open_jsonl(false);
    expect_text_body("{\n  \"a\": 1,\r\n  \"b\": \"x\\ny\"\n}\n", "\"value\":{   \"a\": 1,    \"b\": \"x\\ny\" } ");
}
END_TEST

START_TEST(a_body_that_is_not_json_is_base64)
{
    open_jsonl(false);
    expect_text_body("plain", "\"value_base64\":\"cGxhaW4=\"");
    expect_text_body("{\"a\":1}x", "\"value_base64\":\"eyJhIjoxfXg=\"");
    expect_text_body("{\"a\":\"\xff\"}", "\"value_base64\":\"eyJhIjoi/yJ9\"");
    expect_body(hv_slice_of("\0", 1), "\"value_base64\":\"AA==\"");
}
END_TEST

START_TEST(with_body_base64_every_body_is_base64_but_null)
{
    open_jsonl(true);
    expect_text_body("{\"a\":1}", "\"value_base64\":\"eyJhIjoxfQ==\"");
    expect_body(HV_SLICE_NULL, "\"value\":null");
}
END_TEST

START_TEST(keys_and_headers_keep_nulls_empties_order_and_duplicates)
{
    const hv_header headers[] = {
        {.name = hv_slice_text("a"), .value = hv_slice_text("1")},   {.name = hv_slice_text("a"), .value = HV_SLICE_NULL},
        {.name = hv_slice_text(""), .value = hv_slice_text("")},     {.name = hv_slice_text("K\xc3\xa4se"),
                                                                      .value = hv_slice_text("\"\n")},
        {.name = hv_slice_of("\xff", 1), .value = hv_slice_of("\x80", 1)},
    };

    open_jsonl(false);
    put(&(hv_event){.offset = 1, .timestamp_ms = -1, .timestamp_type = HV_TIMESTAMP_NONE, .key = hv_slice_text(""),
                    .headers = headers, .header_count = 5});
    put(&(hv_event){.offset = 2, .timestamp_ms = 253402300800000, .timestamp_type = HV_TIMESTAMP_APPEND,
                    .key = hv_slice_of("\xc3", 1)});
    put(&(hv_event){.offset = INT64_MAX, .timestamp_ms = INT64_MIN, .timestamp_type = HV_TIMESTAMP_CREATE,
                    .key = hv_slice_text("k")});
    ck_hv_ok(sink->ops->end(sink, &err));
    static const char want[] =
        OPENING "1,\"timestamp\":\"1969-12-31T23:59:59.999Z\",\"timestampType\":\"none\",\"key\":\"\",\"headers\":["
        "{\"name\":\"a\",\"value\":\"1\"},{\"name\":\"a\",\"value\":null},{\"name\":\"\",\"value\":\"\"},"
        "{\"name\":\"K\xc3\xa4se\",\"value\":\"\\\"\\n\"},{\"name_base64\":\"/w==\",\"value_base64\":\"gA==\"}],\"value\":null}\n"
        OPENING "2,\"timestamp\":253402300800000,\"timestampType\":\"append\",\"key_base64\":\"ww==\",\"headers\":[],\"value\":null}\n"
        OPENING "9223372036854775807,\"timestamp\":-9223372036854775808,\"timestampType\":\"create\",\"key\":\"k\",\"headers\":[],"
        "\"value\":null}\n";
    expect_file(want, sizeof want - 1);
    ck_assert_uint_eq(sink->facts.bytes, sizeof want - 1);
    ck_assert_int_eq(sink->facts.events, 3);
}
END_TEST

/* What a line says about bytes under this name. */
static void
expect_bytes(json_t *object, const char *name, hv_slice want)
{
    HV_AUTO(hv_buf_free) hv_buf decoded = HV_BUF_INIT(1 << 20);
    char base64[64];
    json_t *text = json_object_get(object, name);

    (void)snprintf(base64, sizeof base64, "%s_base64", name);
    json_t *encoded = json_object_get(object, base64);
    ck_assert((text == NULL) != (encoded == NULL));
    if (encoded != NULL) {
        ck_assert(hv_base64_decode(HV_BASE64_STANDARD, hv_slice_text(json_string_value(encoded)), &decoded));
        ck_assert(hv_slice_equal(hv_buf_slice(&decoded), want));
    } else if (json_is_null(text)) {
        ck_assert_ptr_null(want.data);
    } else {
        ck_assert(hv_slice_equal(hv_slice_of(json_string_value(text), json_string_length(text)), want));
    }
}

START_TEST(any_event_can_be_read_back_from_its_line)
{
    test_random random = test_random_make(7);
    static test_event event;

    open_jsonl(true);
    for (int64_t offset = 0; offset < 300; offset++) {
        test_event_fill(&event, &random, offset);
        put(&event.event);
        ck_hv_ok(sink->ops->flush(sink, &err));
        hv_buf line = contents();
        json_error_t why;
        json_t *object = json_loadb(line.data, line.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
        ck_assert_msg(object != NULL, "%s: %s", why.text, line.data);
        ck_assert_int_eq(line.data[line.len - 1], '\n');
        ck_assert_ptr_null(memchr(line.data, '\n', line.len - 1));
        ck_assert_int_eq(json_integer_value(json_object_get(object, "offset")), offset);
        expect_bytes(object, "key", event.event.key);
        expect_bytes(object, "value", event.event.value);
        json_t *headers = json_object_get(object, "headers");
        ck_assert_uint_eq(json_array_size(headers), event.event.header_count);
        for (size_t i = 0; i < event.event.header_count; i++) {
            expect_bytes(json_array_get(headers, i), "name", event.event.headers[i].name);
            expect_bytes(json_array_get(headers, i), "value", event.event.headers[i].value);
        }
        json_decref(object);
        hv_buf_free(&line);
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    }
}
END_TEST

START_TEST(another_partition_is_named_in_its_lines)
{
    open_jsonl(false);
    put(&(hv_event){.offset = 0});
    partition.number = 3;
    put(&(hv_event){.offset = 0});
    ck_hv_ok(sink->ops->end(sink, &err));
    hv_buf all = contents();
    ck_assert_ptr_nonnull(strstr(all.data, "\"partition\":2,"));
    ck_assert_ptr_nonnull(strstr(all.data, "\"partition\":3,"));
    hv_buf_free(&all);
}
END_TEST

START_TEST(a_full_disk_is_a_failure)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    ck_assert_int_ge(full, 0);
    ck_hv_ok(hv_sink_jsonl_open(&(hv_sink_jsonl_config){.to = {.fd = full, .name = "/dev/full"}}, &sink, &err));
    begin();
    put(&(hv_event){.offset = 0});
    ck_hv_fails(HV_IO, sink->ops->end(sink, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "/dev/full"));
    close(full);
}
END_TEST

START_TEST(a_large_output_is_written_on_the_way)
{
    static char body[100000];

    memset(body, '7', sizeof body);
    open_jsonl(false);
    for (int i = 0; i < 20; i++)
        put(&(hv_event){.offset = i, .value = hv_slice_of(body, sizeof body)});
    hv_buf all = contents();
    ck_assert_uint_gt(all.len, 1500000);
    hv_buf_free(&all);
}
END_TEST

/* ---- raw values ---- */

static void
open_raw(hv_sink_raw_config config)
{
    config.to = to_file();
    ck_hv_ok(hv_sink_raw_open(&config, &sink, &err));
    begin();
    put(&(hv_event){.offset = 0, .value = hv_slice_text("one")});
    put(&(hv_event){.offset = 1, .value = HV_SLICE_NULL});
    put(&(hv_event){.offset = 2, .value = hv_slice_text("")});
    put(&(hv_event){.offset = 3, .value = hv_slice_of("t\0o", 3)});
    ck_hv_ok(sink->ops->end(sink, &err));
    ck_assert_int_eq(sink->facts.skipped_nulls, 1);
    ck_assert_int_eq(sink->facts.events, 3);
}

START_TEST(raw_values_are_separated_and_nulls_left_out_and_counted)
{
    open_raw((hv_sink_raw_config){.separator = hv_slice_text("\r\n")});
    expect_file("one\r\n\r\nt\0o\r\n", 12);
}
END_TEST

START_TEST(raw_values_may_have_nothing_between_them)
{
    open_raw((hv_sink_raw_config){.separator = hv_slice_text("")});
    expect_file("onet\0o", 6);
}
END_TEST

START_TEST(raw_values_with_lengths_tell_empty_values_apart)
{
    open_raw((hv_sink_raw_config){.length_prefix = true});
    expect_file("\0\0\0\3one\0\0\0\0\0\0\0\3t\0o", 18);
}
END_TEST

START_TEST(a_separator_that_is_too_long_is_refused)
{
    char separator[HV_RAW_SEPARATOR_MAX + 1] = {0};
    hv_sink_raw_config config = {.to = to_file(), .separator = hv_slice_of(separator, sizeof separator)};

    ck_hv_fails(HV_USAGE, hv_sink_raw_open(&config, &sink, &err));
}
END_TEST

/* ---- Avro ---- */

static avro_value_t
member(const avro_value_t *record, const char *name)
{
    avro_value_t value;

    ck_assert_int_eq(avro_value_get_by_name(record, name, &value, NULL), 0);
    return value;
}

static void
expect_optional(const avro_value_t *record, const char *name, hv_slice want)
{
    avro_value_t value = member(record, name), branch;
    const void *bytes;
    size_t len;

    ck_assert_int_eq(avro_value_get_current_branch(&value, &branch), 0);
    if (avro_value_get_type(&branch) == AVRO_NULL) {
        ck_assert_ptr_null(want.data);
        return;
    }
    ck_assert_int_eq(avro_value_get_bytes(&branch, &bytes, &len), 0);
    ck_assert(hv_slice_equal(hv_slice_of(len > 0 ? bytes : "", len), want));
}

static void
expect_record(const avro_value_t *record, const hv_partition *from, const hv_event *event)
{
    avro_value_t value = member(record, "hub"), header;
    const char *hub;
    int64_t number;
    int32_t small;
    size_t len;

    ck_assert_int_eq(avro_value_get_string(&value, &hub, &len), 0);
    ck_assert_str_eq(hub, from->hub);
    value = member(record, "partition");
    ck_assert_int_eq(avro_value_get_int(&value, &small), 0);
    ck_assert_int_eq(small, from->number);
    value = member(record, "incarnation");
    ck_assert_int_eq(avro_value_get_int(&value, &small), 0);
    ck_assert_int_eq(small, from->incarnation);
    value = member(record, "offset");
    ck_assert_int_eq(avro_value_get_long(&value, &number), 0);
    ck_assert_int_eq(number, event->offset);
    value = member(record, "timestamp");
    ck_assert_int_eq(avro_value_get_long(&value, &number), 0);
    ck_assert_int_eq(number, event->timestamp_ms);
    expect_optional(record, "key", event->key);
    expect_optional(record, "value", event->value);
    value = member(record, "headers");
    ck_assert_int_eq(avro_value_get_size(&value, &len), 0);
    ck_assert_uint_eq(len, event->header_count);
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(avro_value_get_by_index(&value, i, &header, NULL), 0);
        expect_optional(&header, "value", event->headers[i].value);
    }
}

START_TEST(avro_c_reads_the_container_and_finds_every_event)
{
    enum { EVENTS = 600 };
    test_random random = test_random_make(99);
    static test_event events[EVENTS];
    static hv_partition partitions[EVENTS];
    avro_file_reader_t reader;
    avro_value_t record;

    ck_hv_ok(hv_sink_avro_open(&(hv_sink_avro_config){.to = to_file(), .codec = (hv_codec)_i}, &sink, &err));
    begin();
    for (int i = 0; i < EVENTS; i++) {
        partition.number = i / 250;
        partition.incarnation = 1 + (uint32_t)(i / 400);
        partitions[i] = partition;
        test_event_fill(&events[i], &random, i);
        put(&events[i].event);
    }
    ck_hv_ok(sink->ops->end(sink, &err));
    ck_assert_msg(avro_file_reader(path, &reader) == 0, "%s", avro_strerror());
    avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    ck_assert_int_eq(avro_generic_value_new(iface, &record), 0);
    for (int i = 0; i < EVENTS; i++) {
        ck_assert_msg(avro_file_reader_read_value(reader, &record) == 0, "%d: %s", i, avro_strerror());
        expect_record(&record, &partitions[i], &events[i].event);
    }
    ck_assert_int_eq(avro_file_reader_read_value(reader, &record), EOF);
    avro_value_decref(&record);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    avro_file_reader_close(reader);
}
END_TEST

START_TEST(the_same_events_give_the_same_container)
{
    hv_buf first;

    for (int round = 0; round < 2; round++) {
        ck_hv_ok(hv_sink_avro_open(&(hv_sink_avro_config){.to = to_file()}, &sink, &err));
        begin();
        put(&(hv_event){.offset = 5, .value = hv_slice_text("x")});
        ck_hv_ok(sink->ops->end(sink, &err));
        hv_sink_close(HV_TAKE(sink));
        if (round == 0) {
            first = contents();
            ck_assert_int_eq(ftruncate(fd, 0), 0);
            ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        }
    }
    expect_file(first.data, first.len);
    hv_buf_free(&first);
}
END_TEST

START_TEST(a_level_that_the_codec_does_not_have_is_refused)
{
    hv_sink_avro_config config = {.to = to_file(), .codec = HV_CODEC_DEFLATE, .level = 13};

    ck_hv_fails(HV_USAGE, hv_sink_avro_open(&config, &sink, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replay_sinks");

    tcase_add_checked_fixture(tests, open_file, close_file);
    tcase_add_test(tests, a_json_body_stays_json);
    tcase_add_test(tests, a_null_body_is_null_and_nothing_else_is);
    tcase_add_test(tests, newlines_between_tokens_become_blanks_so_that_a_line_stays_a_line);
    tcase_add_test(tests, a_body_that_is_not_json_is_base64);
    tcase_add_test(tests, with_body_base64_every_body_is_base64_but_null);
    tcase_add_test(tests, keys_and_headers_keep_nulls_empties_order_and_duplicates);
    tcase_add_test(tests, any_event_can_be_read_back_from_its_line);
    tcase_add_test(tests, another_partition_is_named_in_its_lines);
    tcase_add_test(tests, a_full_disk_is_a_failure);
    tcase_add_test(tests, a_large_output_is_written_on_the_way);
    tcase_add_test(tests, raw_values_are_separated_and_nulls_left_out_and_counted);
    tcase_add_test(tests, raw_values_may_have_nothing_between_them);
    tcase_add_test(tests, raw_values_with_lengths_tell_empty_values_apart);
    tcase_add_test(tests, a_separator_that_is_too_long_is_refused);
    /* avro-c knows deflate and null, not zstandard */
    tcase_add_loop_test(tests, avro_c_reads_the_container_and_finds_every_event, HV_CODEC_DEFLATE, HV_CODEC_NULL + 1);
    tcase_add_test(tests, the_same_events_give_the_same_container);
    tcase_add_test(tests, a_level_that_the_codec_does_not_have_is_refused);
    return ck_hv_run("replay_sinks", tests);
}
