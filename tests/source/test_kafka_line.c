/* The Kafka protocol as far as we speak it ourselves, against a scripted broker, and against bytes that nobody should send. */
#include "source/kafka_line.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "source/kafka_wire.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

static hv_err err;

/* ---- a broker that answers each request with bytes made beforehand ---- */

enum { KEYS = 64 };

static struct {
    int listener;
    char address[64];
    pthread_t thread;
    pthread_mutex_t lock;               /* of what is taught and what was asked */
    hv_buf answers[KEYS];               /* by API key, without length and correlation id; empty: silence */
    char asked[KEYS][4096];             /* body of the last request of each key */
    size_t asked_len[KEYS];
    _Atomic int count[KEYS], connections;
    _Atomic bool wrong_correlation, huge_length;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
read_all(int fd, unsigned char *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t done = read(fd, to + got, len - got);
        if (done <= 0)
            return false;
        got += (size_t)done;
    }
    return true;
}

static void
answer(int fd, const unsigned char *head, int16_t api_key)
{
    HV_AUTO(hv_buf_free) hv_buf frame = HV_BUF_INIT(1 << 20);
    const hv_buf *body = &fake.answers[api_key];

    if (body->len == 0)
        return;
    hv_wire_put_i32(&frame, fake.huge_length ? INT32_MAX : (int32_t)(4 + body->len));
    hv_buf_put(&frame, head + 4, 4);
    hv_buf_put(&frame, body->data, body->len);
    frame.data[7] = (char)(frame.data[7] + fake.wrong_correlation);
    (void)send(fd, frame.data, frame.len, MSG_NOSIGNAL);
}

static void
serve(int fd)
{
    static unsigned char frame[1 << 20];

    while (read_all(fd, frame, 4)) {
        hv_wire_reader reader = hv_wire_reader_of(hv_slice_of(frame, 4));
        size_t len = (size_t)(uint32_t)hv_wire_i32(&reader);
        if (len < 10 || len > sizeof frame || !read_all(fd, frame, len))
            break;
        reader = hv_wire_reader_of(hv_slice_of(frame, len));
        int16_t api_key = hv_wire_i16(&reader);
        ck_assert(api_key >= 0 && api_key < KEYS);
        (void)hv_wire_bytes(&reader, 6);
        (void)hv_wire_string(&reader);
        (void)pthread_mutex_lock(&fake.lock);
        fake.asked_len[api_key] = (size_t)(reader.end - reader.at);
        if (fake.asked_len[api_key] < sizeof fake.asked[0])
            memcpy(fake.asked[api_key], reader.at, fake.asked_len[api_key]);
        fake.count[api_key]++;
        answer(fd, frame, api_key);
        (void)pthread_mutex_unlock(&fake.lock);
    }
    (void)close(fd);
}

static void *
run_fake(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept(fake.listener, NULL, NULL)) >= 0) {
        fake.connections++;
        serve(fd);
    }
    return NULL;
}

static scratch_dir dir;
static char secret_file[400];

static void
start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    for (int i = 0; i < KEYS; i++)
        fake.answers[i] = (hv_buf)HV_BUF_INIT(1 << 20);
    fake.listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fake.listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(fake.listener, 16), 0);
    ck_assert_int_eq(getsockname(fake.listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(fake.address, sizeof fake.address, "127.0.0.1:%d", ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&fake.thread, NULL, run_fake, NULL), 0);
    dir = scratch_dir_make();
    (void)snprintf(secret_file, sizeof secret_file, "%s/secret", dir.path);
    FILE *file = fopen(secret_file, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs("pass", file);
    (void)fclose(file);
}

static void
stop(void)
{
    (void)shutdown(fake.listener, SHUT_RDWR);
    ck_assert_int_eq(pthread_join(fake.thread, NULL), 0);
    (void)close(fake.listener);
    for (int i = 0; i < KEYS; i++)
        hv_buf_free(&fake.answers[i]);
    scratch_dir_remove(&dir);
}

/* ---- answers ---- */

/* The answer to requests of this key is made anew until taught() is called. */
static hv_buf *
teach(int16_t api_key)
{
    (void)pthread_mutex_lock(&fake.lock);
    hv_buf_clear(&fake.answers[api_key]);
    return &fake.answers[api_key];
}

static void
taught(void)
{
    (void)pthread_mutex_unlock(&fake.lock);
}

static void
expect_asked(int16_t api_key, hv_slice want)
{
    (void)pthread_mutex_lock(&fake.lock);
    hv_slice got = hv_slice_of(fake.asked[api_key], fake.asked_len[api_key]);
    ck_assert(hv_slice_equal(got, want));
    (void)pthread_mutex_unlock(&fake.lock);
}

static void
answer_versions(int16_t metadata)
{
    hv_buf *to = teach(18);

    hv_wire_put_i16(to, 0);
    hv_wire_put_i32(to, 2);
    hv_wire_put_i16(to, 3);
    hv_wire_put_i16(to, 0);
    hv_wire_put_i16(to, metadata);
    hv_wire_put_i16(to, 18);
    hv_wire_put_i16(to, 0);
    hv_wire_put_i16(to, 3);
    taught();
}

static void
answer_login(int16_t handshake_error, int16_t error)
{
    hv_buf *to = teach(17);

    hv_wire_put_i16(to, handshake_error);
    hv_wire_put_i32(to, 0);
    taught();
    to = teach(36);
    hv_wire_put_i16(to, error);
    hv_wire_put_i16(to, -1);
    hv_wire_put_i32(to, 0);
    taught();
}

static void
put_topic(hv_buf *to, const char *name, char id, int16_t error)
{
    hv_wire_put_i16(to, error);
    hv_wire_put_compact_string(to, name);
    for (int i = 0; i < 16; i++)
        hv_buf_put_byte(to, (unsigned char)(id == 0 ? 0 : id + i));
    hv_buf_put_byte(to, 0);
    hv_wire_put_varint(to, 2);          /* one partition */
    hv_wire_put_i16(to, 0);
    for (int i = 0; i < 3; i++)
        hv_wire_put_i32(to, 1);
    for (int i = 0; i < 3; i++) {       /* replicas, in sync, offline */
        hv_wire_put_varint(to, 2);
        hv_wire_put_i32(to, 1);
    }
    hv_wire_put_varint(to, 1);          /* a tag */
    hv_wire_put_varint(to, 5);
    hv_wire_put_varint(to, 3);
    hv_buf_put_text(to, "xyz");
    hv_wire_put_i32(to, 0);
    hv_wire_put_varint(to, 0);
}

static void
make_metadata(hv_buf *to)
{
    hv_buf_clear(to);
    hv_wire_put_varint(to, 0);
    hv_wire_put_i32(to, 0);
    hv_wire_put_varint(to, 2);          /* one broker */
    hv_wire_put_i32(to, 1);
    hv_wire_put_compact_string(to, "localhost");
    hv_wire_put_i32(to, 9092);
    hv_wire_put_varint(to, 0);
    hv_wire_put_varint(to, 0);
    hv_wire_put_compact_string(to, "cluster");
    hv_wire_put_i32(to, 1);
    hv_wire_put_varint(to, 5);
    put_topic(to, "orders", 0x10, 0);
    put_topic(to, "without", 0, 0);
    put_topic(to, "broken", 0x30, 3);
    put_topic(to, "unasked", 0x40, 0);
    hv_wire_put_varint(to, 0);
}

static void
make_hubs(hv_source_hub hubs[3])
{
    static const char *const names[] = {"orders", "without", "broken"};

    memset(hubs, 0, 3 * sizeof *hubs);
    for (int i = 0; i < 3; i++)
        (void)snprintf(hubs[i].name, sizeof hubs[i].name, "%s", names[i]);
}

/* ---- bytes ---- */

START_TEST(numbers_and_strings_come_back_as_they_were_put)
{
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(1000);
    static const uint32_t varints[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX};

    hv_wire_put_i16(&buf, -2);
    hv_wire_put_i32(&buf, INT32_MIN);
    for (int i = 0; i < 7; i++)
        hv_wire_put_varint(&buf, varints[i]);
    hv_wire_put_string(&buf, "abc");
    hv_wire_put_compact_string(&buf, "");
    hv_wire_reader reader = hv_wire_reader_of(hv_buf_slice(&buf));
    ck_assert_int_eq(hv_wire_i16(&reader), -2);
    ck_assert_int_eq(hv_wire_i32(&reader), INT32_MIN);
    for (int i = 0; i < 7; i++)
        ck_assert_uint_eq(hv_wire_varint(&reader), varints[i]);
    ck_assert(hv_slice_equal(hv_wire_string(&reader), hv_slice_text("abc")));
    ck_assert(hv_slice_equal(hv_wire_compact_string(&reader), hv_slice_text("")));
    ck_assert(!reader.failed && reader.at == reader.end);
    (void)hv_wire_bool(&reader);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(lengths_that_promise_more_than_there_is_fail_and_allocate_nothing)
{
    static const char *const bad[] = {"\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\5ab"};

    for (int i = 0; i < 4; i++) {
        hv_wire_reader reader = hv_wire_reader_of(hv_slice_text(bad[i]));
        ck_assert_uint_eq(hv_wire_compact_array(&reader, 2), 0);
        hv_wire_reader again = hv_wire_reader_of(hv_slice_text(bad[i]));
        ck_assert_ptr_null(hv_wire_compact_string(&again).data);
        ck_assert(reader.failed && again.failed);
    }
    hv_wire_reader null_array = hv_wire_reader_of(hv_slice_of("\xff\xff\xff\xff", 4));
    ck_assert_uint_eq(hv_wire_array(&null_array, 1), 0);
    ck_assert(!null_array.failed);
}
END_TEST

START_TEST(ids_are_taken_for_hubs_that_have_one)
{
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(4096);
    hv_source_hub hubs[3];

    make_metadata(&buf);
    make_hubs(hubs);
    ck_hv_ok(hv_kafka_parse_identities(hv_buf_slice(&buf), hubs, 3, &err));
    ck_assert_str_eq(hubs[0].identity, "101112131415161718191a1b1c1d1e1f");
    ck_assert_str_eq(hubs[1].identity, "");
    ck_assert_str_eq(hubs[2].identity, "");
}
END_TEST

START_TEST(cut_or_changed_metadata_never_crashes_and_a_cut_is_noticed)
{
    HV_AUTO(hv_buf_free) hv_buf buf = HV_BUF_INIT(4096);
    hv_source_hub hubs[3];

    make_metadata(&buf);
    for (size_t len = 0; len + 1 < buf.len; len++) {
        make_hubs(hubs);
        char *exact = malloc(len > 0 ? len : 1);        /* so that a sanitizer sees a byte too many */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, buf.data, len);
        ck_hv_fails(HV_UNAVAILABLE, hv_kafka_parse_identities(hv_slice_of(exact, len), hubs, 3, &err));
        free(exact);
    }
    for (size_t i = 0; i < buf.len; i++)
        for (int value = 0; value < 256; value += 5) {
            char before = buf.data[i];
            make_hubs(hubs);
            buf.data[i] = (char)value;
            hv_rc rc = hv_kafka_parse_identities(hv_buf_slice(&buf), hubs, 3, &err);
            ck_assert(rc == HV_OK || rc == HV_UNAVAILABLE);
            buf.data[i] = before;
        }
}
END_TEST

/* ---- the line ---- */

static hv_rc
open_line(hv_kafka_auth auth, int timeout_ms, hv_kafka_line **line)
{
    hv_kafka_config config = {.bootstrap = fake.address, .auth = auth, .user = "user", .password_file = secret_file};
    hv_kafka_settings settings = {0};
    hv_rc rc = hv_kafka_settings_copy(&config, &settings, &err);

    if (rc == HV_OK)
        rc = hv_kafka_line_open(&settings, timeout_ms, line, &err);
    hv_kafka_settings_clear(&settings);
    return rc;
}

START_TEST(a_login_sends_user_and_password_after_the_mechanism)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;

    answer_versions(12);
    answer_login(0, 0);
    ck_hv_ok(open_line(HV_KAFKA_AUTH_PLAIN, 5000, &line));
    expect_asked(17, hv_slice_of("\0\5PLAIN", 7));
    expect_asked(36, hv_slice_of("\0\0\0\12\0user\0pass", 14));
    ck_assert_int_eq(hv_kafka_line_version(line, 3), 12);
    ck_assert_int_eq(hv_kafka_line_version(line, 50), -1);
}
END_TEST

START_TEST(a_refused_login_is_a_matter_of_credentials_and_does_not_tell_them)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;

    answer_versions(12);
    answer_login(0, 58);
    ck_hv_fails(HV_AUTH, open_line(HV_KAFKA_AUTH_PLAIN, 5000, &line));
    ck_assert_ptr_null(strstr(err.msg, "pass"));
    answer_login(33, 0);
    ck_hv_fails(HV_AUTH, open_line(HV_KAFKA_AUTH_PLAIN, 5000, &line));
    ck_assert_int_eq(fake.count[36], 1);        /* no password to one that does not want PLAIN */
}
END_TEST

START_TEST(a_broker_that_says_nothing_costs_no_more_than_the_timeout)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;

    int64_t before = hv_clock_boot_ms();
    ck_hv_fails(HV_UNAVAILABLE, open_line(HV_KAFKA_AUTH_NONE, 300, &line));
    ck_assert_int_ge(hv_clock_boot_ms() - before, 290);
    ck_assert_int_lt(hv_clock_boot_ms() - before, 3000);
}
END_TEST

START_TEST(what_is_no_kafka_is_noticed)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;

    answer_versions(12);
    fake.wrong_correlation = true;
    ck_hv_fails(HV_UNAVAILABLE, open_line(HV_KAFKA_AUTH_NONE, 3000, &line));
    fake.wrong_correlation = false;
    fake.huge_length = true;
    ck_hv_fails(HV_LIMIT, open_line(HV_KAFKA_AUTH_NONE, 3000, &line));
    fake.huge_length = false;
    hv_wire_put_i16(teach(18), 0);
    hv_wire_put_i32(&fake.answers[18], 2);          /* of which only the first byte comes */
    hv_buf_put_byte(&fake.answers[18], 0);
    taught();
    ck_hv_fails(HV_VERSION, open_line(HV_KAFKA_AUTH_NONE, 3000, &line));
    hv_wire_put_i16(teach(18), 35);
    hv_wire_put_i32(&fake.answers[18], 0);
    taught();
    ck_hv_fails(HV_VERSION, open_line(HV_KAFKA_AUTH_NONE, 3000, &line));
}
END_TEST

START_TEST(the_next_broker_of_the_list_is_tried)
{
    HV_AUTO(hv_kafka_line_close) hv_kafka_line *line = NULL;
    char both[128], fine[sizeof fake.address];

    answer_versions(12);
    (void)snprintf(fine, sizeof fine, "%s", fake.address);
    (void)snprintf(both, sizeof both, "127.0.0.1:1,,%s", fine);
    hv_kafka_config config = {.bootstrap = both};
    hv_kafka_settings settings = {0};
    ck_hv_ok(hv_kafka_settings_copy(&config, &settings, &err));
    ck_hv_ok(hv_kafka_line_open(&settings, 5000, &line, &err));
    hv_kafka_settings_clear(&settings);
}
END_TEST

/* ---- identities of a source ---- */

static hv_kafka *
make_source(hv_kafka *k)
{
    hv_kafka_config config = {.bootstrap = fake.address};

    memset(k, 0, sizeof *k);
    ck_hv_ok(hv_kafka_settings_copy(&config, &k->settings, &err));
    return k;
}

START_TEST(a_broker_without_topic_ids_is_asked_once_and_hubs_have_none)
{
    hv_kafka k;
    hv_source_hub hubs[3];

    answer_versions(9);
    make_source(&k);
    for (int i = 0; i < 3; i++) {
        make_hubs(hubs);
        ck_hv_ok(hv_kafka_fill_identities(&k, hubs, 3, 3000, &err));
        ck_assert_str_eq(hubs[0].identity, "");
    }
    ck_assert_int_eq(fake.connections, 1);
    ck_assert_int_eq(fake.count[3], 0);
    hv_kafka_settings_clear(&k.settings);
}
END_TEST

START_TEST(ids_that_were_there_once_are_not_replaced_by_nothing_when_the_broker_is_away)
{
    hv_kafka k;
    hv_source_hub hubs[3];

    answer_versions(12);
    make_metadata(teach(3));
    taught();
    make_source(&k);
    make_hubs(hubs);
    ck_hv_ok(hv_kafka_fill_identities(&k, hubs, 3, 3000, &err));
    ck_assert_str_eq(hubs[0].identity, "101112131415161718191a1b1c1d1e1f");
    make_hubs(hubs);
    (void)teach(3);                     /* silence */
    taught();
    ck_hv_fails(HV_UNAVAILABLE, hv_kafka_fill_identities(&k, hubs, 3, 300, &err));
    make_metadata(teach(3));
    taught();
    ck_hv_ok(hv_kafka_fill_identities(&k, hubs, 3, 3000, &err));
    ck_assert_str_eq(hubs[0].identity, "101112131415161718191a1b1c1d1e1f");
    hv_kafka_settings_clear(&k.settings);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("kafka line");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, numbers_and_strings_come_back_as_they_were_put);
    tcase_add_test(tests, lengths_that_promise_more_than_there_is_fail_and_allocate_nothing);
    tcase_add_test(tests, ids_are_taken_for_hubs_that_have_one);
    tcase_add_test(tests, cut_or_changed_metadata_never_crashes_and_a_cut_is_noticed);
    tcase_add_test(tests, a_login_sends_user_and_password_after_the_mechanism);
    tcase_add_test(tests, a_refused_login_is_a_matter_of_credentials_and_does_not_tell_them);
    tcase_add_test(tests, a_broker_that_says_nothing_costs_no_more_than_the_timeout);
    tcase_add_test(tests, what_is_no_kafka_is_noticed);
    tcase_add_test(tests, the_next_broker_of_the_list_is_tried);
    tcase_add_test(tests, a_broker_without_topic_ids_is_asked_once_and_hubs_have_none);
    tcase_add_test(tests, ids_that_were_there_once_are_not_replaced_by_nothing_when_the_broker_is_away);
    return ck_hv_run("kafka line", tests);
}
