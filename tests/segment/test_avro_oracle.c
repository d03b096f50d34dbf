/*
 * avro-c, which shares no code with us, reads what we write. It has no zstandard (Debian's 1.11.1), so null and deflate only.
 */
#include <avro.h>
#include <stdio.h>

#include "segment/segment_file.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 26, EVENTS = 700 };

static void
must(int failed)
{
    ck_assert_msg(failed == 0, "avro-c: %s", avro_strerror());
}

static avro_value_t
field(const avro_value_t *record, const char *name)
{
    avro_value_t value = {0};

    must(avro_value_get_by_name(record, name, &value, NULL));
    return value;
}

static int64_t
long_field(const avro_value_t *record, const char *name)
{
    avro_value_t value = field(record, name);
    int64_t number = 0;

    must(avro_value_get_long(&value, &number));
    return number;
}

/* A union of null and bytes. */
static bool
optional_equals(const avro_value_t *record, const char *name, hv_slice expected)
{
    avro_value_t value = field(record, name), branch;
    const void *data = NULL;
    size_t len = 0;
    int which = -1;

    must(avro_value_get_discriminant(&value, &which));
    if (which == 0)
        return expected.data == NULL;
    must(avro_value_get_current_branch(&value, &branch));
    must(avro_value_get_bytes(&branch, &data, &len));
    return expected.data != NULL && len == expected.len && (len == 0 || memcmp(data, expected.data, len) == 0);
}

static void
expect_headers(const avro_value_t *record, const hv_event *event)
{
    avro_value_t headers = field(record, "headers");
    size_t count = 0;

    must(avro_value_get_size(&headers, &count));
    ck_assert_uint_eq(count, event->header_count);
    for (size_t i = 0; i < count; i++) {
        avro_value_t header, name;
        const char *text = NULL;
        size_t size = 0;
        must(avro_value_get_by_index(&headers, i, &header, NULL));
        name = field(&header, "name");
        must(avro_value_get_string(&name, &text, &size));
        ck_assert_uint_eq(size, event->headers[i].name.len + 1);        /* avro-c counts the NUL */
        ck_assert_mem_eq(text, event->headers[i].name.data, size - 1);
        ck_assert(optional_equals(&header, "value", event->headers[i].value));
    }
}

static void
expect_event(const avro_value_t *record, const hv_event *event)
{
    avro_value_t type = field(record, "timestamp_type"), seal = field(record, "seal");
    int symbol = -1, branch = -1;

    ck_assert_int_eq(long_field(record, "offset"), event->offset);
    ck_assert_int_eq(long_field(record, "timestamp"), event->timestamp_ms);
    must(avro_value_get_enum(&type, &symbol));
    ck_assert_int_eq(symbol, (int)event->timestamp_type);
    ck_assert(optional_equals(record, "key", event->key));
    expect_headers(record, event);
    ck_assert(optional_equals(record, "value", event->value));
    must(avro_value_get_discriminant(&seal, &branch));
    ck_assert_int_eq(branch, 0);
}

static void
write_file(const char *path, hv_slice bytes)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    ck_assert_int_eq(fclose(file), 0);
}

static void
expect_file(const char *path, const test_event *events, size_t count)
{
    avro_file_reader_t reader;

    must(avro_file_reader(path, &reader));
    avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
    avro_value_iface_t *class = avro_generic_class_from_schema(schema);
    avro_value_t record;

    must(avro_generic_value_new(class, &record));
    for (size_t i = 0; i < count; i++) {
        must(avro_value_reset(&record));
        must(avro_file_reader_read_value(reader, &record));
        expect_event(&record, &events[i].event);
    }
    ck_assert_int_eq(avro_file_reader_read_value(reader, &record), EOF);
    avro_value_decref(&record);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
    must(avro_file_reader_close(reader));
}

static void
both_readers_see_what_was_written(hv_codec codec, uint64_t seed)
{
    test_random random = test_random_make(seed);
    size_t count = 1 + test_random_below(&random, EVENTS);
    test_event *made = malloc(count * sizeof *made);
    hv_event *events = malloc(count * sizeof *events);
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    scratch_dir dir = scratch_dir_make();
    char path[300];

    ck_assert(made != NULL && events != NULL);
    for (size_t i = 0; i < count; i++) {
        test_event_fill(&made[i], &random, (int64_t)i);
        events[i] = made[i].event;
    }
    test_segment_build(&(test_segment_config){.header = test_header_make(codec, 0, (int64_t)count), .events = events, .event_count = count,
                                              .events_per_block = 1 + test_random_below(&random, 200)}, &blob, NULL);
    test_segment_expect(hv_buf_slice(&blob), events, count);
    (void)snprintf(path, sizeof path, "%s/segment.avro", dir.path);
    write_file(path, hv_buf_slice(&blob));
    expect_file(path, made, count);
    scratch_dir_remove(&dir);
    free(events);
    free(made);
}

START_TEST(avro_c_and_we_read_the_same_random_events_without_compression)
{
    both_readers_see_what_was_written(HV_CODEC_NULL, (uint64_t)_i);
}
END_TEST

START_TEST(avro_c_and_we_read_the_same_random_events_with_deflate)
{
    both_readers_see_what_was_written(HV_CODEC_DEFLATE, 1000 + (uint64_t)_i);
}
END_TEST

START_TEST(avro_c_accepts_the_schema_and_finds_every_field_in_its_place)
{
    static const char *const fields[] = {"offset", "timestamp", "timestamp_type", "key", "headers", "value", "seal"};
    avro_schema_t schema;

    must(avro_schema_from_json_length(hv_event_schema, strlen(hv_event_schema), &schema));
    ck_assert_str_eq(avro_schema_name(schema), "Event");
    ck_assert_str_eq(avro_schema_namespace(schema), "hubvault.v1");
    ck_assert_uint_eq(avro_schema_record_size(schema), sizeof fields / sizeof fields[0]);
    for (int i = 0; i < 7; i++)
        ck_assert_str_eq(avro_schema_record_field_name(schema, i), fields[i]);
    avro_schema_decref(schema);
}
END_TEST

START_TEST(the_embedded_schema_is_one_line_without_blanks_or_docs)
{
    ck_assert_ptr_null(strpbrk(hv_event_schema, " \n\t"));
    ck_assert_ptr_null(strstr(hv_event_schema, "\"doc\""));
    ck_assert_ptr_nonnull(strstr(hv_event_schema, "\"logicalType\":\"timestamp-millis\""));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("avro oracle");
    tcase_add_loop_test(tests, avro_c_and_we_read_the_same_random_events_without_compression, 0, 20);
    tcase_add_loop_test(tests, avro_c_and_we_read_the_same_random_events_with_deflate, 0, 20);
    tcase_add_test(tests, avro_c_accepts_the_schema_and_finds_every_field_in_its_place);
    tcase_add_test(tests, the_embedded_schema_is_one_line_without_blanks_or_docs);
    return ck_hv_run("avro oracle", tests);
}
