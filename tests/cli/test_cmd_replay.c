/* replay and show: to files, to standard output, into a broker; what they select, what they say, and what they refuse. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "segment/names.h"
#include "tests/archiver/vault_maker.h"
#include "tests/cli/cli_run.h"
#include "tests/harness/mock_broker.h"

/* Partition 0: 18 offsets, two of them a gap. Partition 1: five events. */
enum { EVENTS_0 = 16, EVENTS = 21 };

static vault_maker maker;
static char config[400], out_path[400];
static hv_partition orders0, orders1;

static void
setup(void)
{
    cli_setenv(NULL, NULL);
    maker_setup(&maker, true);
    orders0 = maker_partition("orders", 1, 0);
    orders1 = maker_partition("orders", 1, 1);
    maker_claim(&maker, "orders", 1);
    int64_t at = maker_cut(&maker, &orders0, 0, "ddrrdd");
    at = maker_cut(&maker, &orders0, at, "dd--dd");
    maker_cut(&maker, &orders0, at, "dddddd");
    maker_cut(&maker, &orders1, 0, "ddddd");
    hv_index_close(HV_TAKE(maker.index));       /* commands open it themselves */
    snprintf(config, sizeof config, "%s", cli_write_file(&maker.dir, "hubvault.conf", "store.dir = vault\nindex.dir = index\n"));
    snprintf(out_path, sizeof out_path, "%s/out", maker.dir.path);
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

/* What a command wrote to `out_path`, which is removed. */
static size_t
take_file(char *to, size_t size)
{
    FILE *file = fopen(out_path, "rb");

    ck_assert_ptr_nonnull(file);
    size_t len = fread(to, 1, size - 1, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(unlink(out_path), 0);
    ck_assert_uint_lt(len, size - 1);
    to[len] = '\0';
    return len;
}

static int
count_of(const char *text, size_t len, char c)
{
    int count = 0;

    for (size_t i = 0; i < len; i++)
        count += text[i] == c ? 1 : 0;
    return count;
}

static const char *
no_environment(const char *name)
{
    (void)name;
    return NULL;
}

/* ---- files and standard output ---- */

START_TEST(a_replay_to_a_file_writes_every_event_and_says_so)
{
    static char text[1 << 16];
    struct stat st;
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "replay", "--out", out_path);

    ck_assert_msg(table.status == 0, "%s", table.notes);
    ck_assert_str_eq(table.notes, "");
    cli_expect_like(table.out, "EVENTS  LIVE  FINISHED  PARTITIONS  SEGMENTS");
    cli_expect_like(table.out, "\ncursor: hv1.");
    ck_assert_int_eq(stat(out_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    size_t len = take_file(text, sizeof text);
    ck_assert_int_eq(count_of(text, len, '\n'), EVENTS);
    cli_expect_like(text, "{\"hub\":\"orders\",\"incarnation\":1,\"partition\":0,\"offset\":0,");
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "--output", "json", "replay", "orders", "--out", out_path);
    cli_expect_like(json.out, "{\"events\":21,\"live\":0,\"finished\":true,\"partitions\":2,");
    cli_expect_like(json.out, "\"gap_offsets\":2,");
    cli_expect_like(json.out, "\"cursor\":\"hv1.");
}
END_TEST

START_TEST(a_file_that_is_there_is_never_written_over)
{
    char text[100];

    (void)cli_write_file(&maker.dir, "out", "precious");
    HV_AUTO(cli_result_clear) cli_result there = cli_run("--config", config, "replay", "--out", out_path);
    HV_AUTO(cli_result_clear) cli_result nowhere = cli_run("--config", config, "replay", "--out", "/nowhere/at/all");
    ck_assert_int_eq(there.status, 4);
    cli_expect_like(there.notes, "is there already; a replay writes to a new file\n");
    (void)take_file(text, sizeof text);
    ck_assert_str_eq(text, "precious");
    ck_assert_int_eq(nowhere.status, 11);
    cli_expect_like(nowhere.notes, "cannot write '/nowhere/at/all': No such file or directory\n");
}
END_TEST

START_TEST(on_standard_output_there_are_events_and_nothing_else)
{
    static char text[1 << 16];
    const char *const words[] = {"--config", config, "replay", "--partition", "1", NULL};
    char *notes = NULL;
    size_t notes_len;
    FILE *to = fopen(out_path, "w"), *say = open_memstream(&notes, &notes_len);

    ck_assert(to != NULL && say != NULL);
    ck_assert_int_eq(hv_cli_main(&(hv_cli_start){.words = words, .to = to, .notes = say, .environment = no_environment}), 0);
    ck_assert(fclose(to) == 0 && fclose(say) == 0);
    size_t len = take_file(text, sizeof text);
    ck_assert_int_eq(count_of(text, len, '\n'), 5);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        ck_assert_int_eq(strncmp(line, "{\"hub\":\"orders\",", 16), 0);
    cli_expect_like(notes, "EVENTS");
    cli_expect_like(notes, "cursor: hv1.");
    free(notes);
    HV_AUTO(cli_result_clear) cli_result none = cli_run("--config", config, "replay");         /* a stream without a file behind it */
    ck_assert_int_eq(none.status, 11);
    cli_expect_like(none.notes, "standard output cannot be written to");
}
END_TEST

START_TEST(raw_values_are_separated_as_asked_for)
{
    static const struct {
        const char *word;
        int per_event, newlines, nuls;
    } forms[] = {{"newline", 1, 5, 0}, {"nul", 1, 0, 5}, {"none", 0, 0, 0}};
    static char text[1 << 16], plain[1 << 16];
    size_t none_len = 0, len = 0;

    for (size_t i = sizeof forms / sizeof forms[0]; i-- > 0;) {
        HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "replay", "--partition", "1", "--sink", "raw", "--separator",
                                                              forms[i].word, "--out", out_path);
        ck_assert_msg(result.status == 0, "%s", result.notes);
        len = take_file(text, sizeof text);
        if (none_len == 0) {
            none_len = len;
            memcpy(plain, text, len);
        }
        ck_assert_uint_eq(len, none_len + (size_t)forms[i].per_event * 5);
        ck_assert_int_eq(count_of(text, len, '\n'), forms[i].newlines);
        ck_assert_int_eq(count_of(text, len, '\0'), forms[i].nuls);
    }
    HV_AUTO(cli_result_clear) cli_result lengths = cli_run("--config", config, "replay", "--partition", "1", "--sink", "raw", "--separator",
                                                           "length", "--out", out_path);
    ck_assert_int_eq(lengths.status, 0);
    ck_assert_uint_eq(take_file(text, sizeof text), none_len + 4 * 5);
    ck_assert_int_eq(memcmp(text + 4, plain, 20), 0);
}
END_TEST

START_TEST(an_avro_container_has_the_codec_that_was_asked_for)
{
    static const char *const codecs[] = {"zstandard", "deflate", "null"};
    static char text[1 << 16];

    for (size_t i = 0; i < 3; i++) {
        HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "replay", "--sink", "avro", "--codec", codecs[i], "--out",
                                                              out_path);
        ck_assert_msg(result.status == 0, "%s", result.notes);
        size_t len = take_file(text, sizeof text);
        ck_assert_int_eq(memcmp(text, "Obj\001", 4), 0);
        ck_assert_ptr_nonnull(memmem(text, len, codecs[i], strlen(codecs[i])));
    }
}
END_TEST

START_TEST(bodies_come_as_base64_when_asked_for)
{
    static char text[1 << 16];
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "replay", "--limit", "1", "--body", "base64", "--out", out_path);

    ck_assert_int_eq(result.status, 0);
    (void)take_file(text, sizeof text);
    cli_expect_like(text, "\"value_base64\":\"eyJvZmZzZXQiOjAsIm5vaXNl");        /* {"offset":0,"noise */
}
END_TEST

/* ---- what is selected ---- */

static const struct selection {
    const char *words[6];
    int events;
} selections[] = {
    {{"--partition", "0"}, EVENTS_0},
    {{"--partition", "0", "--partition", "1"}, EVENTS},
    {{"--limit", "7"}, 7},
    {{"--from-offset", "12"}, 6},
    {{"--from-offset", "2", "--to-offset", "4"}, 4},
    {{"--from", "2023-11-14T22:13:20Z", "--to", "2023-11-14T22:13:20.001Z"}, 2},
    {{"--to", "2000-01-01"}, 0},
    {{"--from", "2000-01-01", "--order", "time"}, EVENTS},
    {{"--order", "offset", "--incarnation", "1"}, EVENTS},
    {{"--incarnation", "all"}, EVENTS},
    {{"--key-glob", "key-*"}, EVENTS},
    {{"--key-glob", "no*", "--key", "nobody"}, 0},
    {{"--key-base64", "a2V5LTA="}, 3},          /* key-0 */
    {{"--key", "key-0"}, 3},
    {{"--header", "trace=key-0"}, 1},
    {{"--header", "nothing"}, 0},
    {{"--type", "*"}, 0},
    {{"--rate", "100000", "--speed", "x1000000", "--longest-pause", "1s"}, EVENTS},
};

START_TEST(events_are_selected_by_what_the_flags_say)
{
    static char text[1 << 16];
    const char *words[12] = {"--config", config, "replay", "--out", out_path};

    for (int i = 0; i < 6 && selections[_i].words[i] != NULL; i++)
        words[5 + i] = selections[_i].words[i];
    HV_AUTO(cli_result_clear) cli_result result = cli_run_words(words);
    ck_assert_msg(result.status == 0, "%s", result.notes);
    ck_assert_int_eq(count_of(text, take_file(text, sizeof text), '\n'), selections[_i].events);
}
END_TEST

static const struct refusal {
    const char *words[4];
    const char *says;
} refusals[] = {
    {{"--partition", "x"}, "--partition"},
    {{"--speed", "fast"}, "--speed takes max, or a factor like x1 or x10, not 'fast'"},
    {{"--speed", "x0"}, "--speed takes"},
    {{"--speed", "x2y"}, "--speed takes"},
    {{"--incarnation", "0"}, "--incarnation"},
    {{"--limit", "0"}, "--limit"},
    {{"--rate", "-1"}, "--rate"},
    {{"--longest-pause", "5"}, "--longest-pause"},
    {{"--from", "yesterday"}, "--from"},
    {{"--to", "soon"}, "--to"},
    {{"--from-offset", "-1"}, "--from-offset"},
    {{"--key-base64", "a2V5LTA"}, "--key-base64 takes base64 with padding, not 'a2V5LTA'"},
    {{"--sink", "avro", "--codec", "lz4"}, "lz4"},
    {{"--cursor", "hv1.nonsense"}, "cursor"},
    {{"--sink", "kafka", "--out", "x"}, "--out names a file, but --sink kafka sends events to a service"},
    {{"--sink", "kafka"}, "no source is configured"},
};

START_TEST(a_flag_that_makes_no_sense_is_refused_in_one_line)
{
    const char *words[10] = {"--config", config, "replay", "orders"};

    for (int i = 0; i < 4 && refusals[_i].words[i] != NULL; i++)
        words[4 + i] = refusals[_i].words[i];
    HV_AUTO(cli_result_clear) cli_result result = cli_run_words(words);
    ck_assert_msg(result.status == 2, "status %d: %s", result.status, result.notes);
    cli_expect_like(result.notes, refusals[_i].says);
    ck_assert_str_eq(result.out, "");
    ck_assert_int_eq(count_of(result.notes, strlen(result.notes), '\n'), 1);
}
END_TEST

START_TEST(a_dry_run_says_what_would_be_read_and_writes_nothing)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "replay", "--dry-run", "--out", out_path);
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "--output", "json", "replay", "--dry-run");

    ck_assert_int_eq(table.status, 0);
    cli_expect_like(table.out, "PARTITIONS  SEGMENTS  BLOCKS  REQUESTS");
    ck_assert_int_ne(access(out_path, F_OK), 0);
    cli_expect_like(json.out, "{\"partitions\":2,\"segments\":5,");
    cli_expect_like(json.out, "\"events_min\":21,\"events_max\":21,\"gaps\":1,\"gap_offsets\":2}\n");
}
END_TEST

/* ---- cursors ---- */

START_TEST(a_cursor_file_makes_the_next_run_go_on)
{
    static char text[1 << 16];
    char path[400];

    snprintf(path, sizeof path, "%s/cursor", maker.dir.path);
    for (int run = 0; run < 3; run++) {
        static const int events[] = {8, EVENTS - 8, 0};
        HV_AUTO(cli_result_clear) cli_result result = run == 0
            ? cli_run("--config", config, "replay", "orders", "--limit", "8", "--cursor-file", path, "--out", out_path)
            : cli_run("--config", config, "replay", "--cursor-file", path, "--out", out_path);
        ck_assert_msg(result.status == 0, "%s", result.notes);
        ck_assert_int_eq(count_of(text, take_file(text, sizeof text), '\n'), events[run]);
    }
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, 1000, file));
    ck_assert_int_eq(fclose(file), 0);
    text[strcspn(text, "\n")] = '\0';
    HV_AUTO(cli_result_clear) cli_result again = cli_run("--config", config, "replay", "--cursor", text, "--out", out_path);
    ck_assert_int_eq(again.status, 0);
}
END_TEST

START_TEST(a_cursor_file_that_is_none_is_refused_and_one_that_cannot_be_written_is_told)
{
    char path[400];

    snprintf(path, sizeof path, "%s", cli_write_file(&maker.dir, "cursor", "\n"));
    HV_AUTO(cli_result_clear) cli_result empty = cli_run("--config", config, "replay", "--cursor-file", path, "--out", out_path);
    ck_assert_int_eq(empty.status, 2);
    cli_expect_like(empty.notes, "is empty; a cursor belongs there\n");
    HV_AUTO(cli_result_clear) cli_result folder = cli_run("--config", config, "replay", "--cursor-file", maker.dir.path, "--out", out_path);
    ck_assert_int_eq(folder.status, 11);
    cli_expect_like(folder.notes, "cannot read '");
    HV_AUTO(cli_result_clear) cli_result lost = cli_run("--config", config, "replay", "--cursor-file", "/nowhere/cursor", "--out", out_path);
    ck_assert_int_eq(lost.status, 11);
    cli_expect_like(lost.notes, "cannot write '/nowhere/cursor.new': ");
    ck_assert_int_eq(unlink(out_path), 0);
    snprintf(path, sizeof path, "%s/cursor2", maker.dir.path);
    (void)cli_write_file(&maker.dir, "cursor2", "hv1.nonsense\n");
    HV_AUTO(cli_result_clear) cli_result nonsense = cli_run("--config", config, "replay", "--cursor-file", path, "--out", out_path);
    ck_assert_int_eq(nonsense.status, 2);
}
END_TEST

/* ---- damage ---- */

START_TEST(a_damaged_block_stops_a_replay_or_is_skipped_and_told)
{
    static char text[1 << 16];
    hv_blob_name name = hv_name_of_lead(&orders0, 12);
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);

    maker_read(&maker, name.text, &bytes);
    maker_flip(&maker, name.text, bytes.len - 30);
    HV_AUTO(cli_result_clear) cli_result stops = cli_run("--config", config, "replay", "--partition", "0", "--out", out_path);
    ck_assert_int_eq(stops.status, 6);
    cli_expect_like(stops.notes, name.text);
    ck_assert_int_eq(count_of(text, take_file(text, sizeof text), '\n'), EVENTS_0 - 1);
    HV_AUTO(cli_result_clear) cli_result skips = cli_run("--config", config, "replay", "--partition", "0", "--damaged", "skip", "--out", out_path);
    ck_assert_int_eq(skips.status, 15);
    cli_expect_like(skips.notes, "skipped: ");
    cli_expect_like(skips.notes, "1 damaged blocks with up to 1 events were skipped\n");
    ck_assert_int_eq(count_of(text, take_file(text, sizeof text), '\n'), EVENTS_0 - 1);
}
END_TEST

/* ---- into a broker ---- */

static mock_broker *broker;

static void
setup_broker(void)
{
    setup();
    broker = mock_broker_start(1);
    mock_broker_topic(broker, "copy-orders", 2);
    mock_broker_topic(broker, "elsewhere", 4);
}

static void
teardown_broker(void)
{
    mock_broker_stop(broker);
    teardown();
}

/* How many events a partition of the broker has. */
static int64_t
events_in(const char *topic, int32_t partition)
{
    char text[512];
    int64_t low = -1, high = -1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    ck_assert_int_eq(rd_kafka_conf_set(conf, "bootstrap.servers", mock_broker_bootstrap(broker), text, sizeof text), RD_KAFKA_CONF_OK);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    ck_assert_ptr_nonnull(client);
    ck_assert_int_eq(rd_kafka_query_watermark_offsets(client, topic, partition, &low, &high, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(client);
    return high;
}

START_TEST(events_go_to_the_topic_that_the_pattern_names)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "replay", "--sink", "kafka", "--bootstrap",
                                                          mock_broker_bootstrap(broker), "--topic", "copy-{hub}", "--no-transactions");

    ck_assert_msg(result.status == 0, "%s", result.notes);
    ck_assert_int_eq(strncmp(result.notes, "replay id: ", 11), 0);
    cli_expect_like(result.notes, " (at least once: what was sent just before a crash may be sent again)\n");
    ck_assert_int_eq(events_in("copy-orders", 0), EVENTS_0);
    ck_assert_int_eq(events_in("copy-orders", 1), EVENTS - EVENTS_0);
}
END_TEST

START_TEST(hubs_are_renamed_and_partitions_mapped_and_a_run_under_the_same_name_has_nothing_left_to_do)
{
    for (int run = 0; run < 2; run++) {
        HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "--set", "source.rdkafka=client.id=test", "replay", "--sink",
            "kafka", "--bootstrap", mock_broker_bootstrap(broker), "--rename", "orders=elsewhere", "--partition-map", "0=3",
            "--partition-map", "*=2", "--id", "again", "--no-transactions");
        ck_assert_msg(result.status == 0, "%s", result.notes);
        cli_expect_like(result.notes, "replay id: again (");
        ck_assert_int_eq(events_in("elsewhere", 3), EVENTS_0);
        ck_assert_int_eq(events_in("elsewhere", 2), EVENTS - EVENTS_0);
    }
}
END_TEST

START_TEST(the_target_is_the_source_of_the_configuration_or_of_another_one)
{
    char path[400], text[400], source[300];

    snprintf(source, sizeof source, "source.bootstrap=%s", mock_broker_bootstrap(broker));
    HV_AUTO(cli_result_clear) cli_result own = cli_run("--config", config, "--set", source, "replay", "--sink", "kafka", "--partition", "1",
                                                       "--topic", "copy-orders", "--no-transactions");
    ck_assert_msg(own.status == 0, "%s", own.notes);
    ck_assert_int_eq(events_in("copy-orders", 1), EVENTS - EVENTS_0);
    snprintf(text, sizeof text, "source.bootstrap = %s\n", mock_broker_bootstrap(broker));
    snprintf(path, sizeof path, "%s", cli_write_file(&maker.dir, "target.conf", text));
    HV_AUTO(cli_result_clear) cli_result other = cli_run("--config", config, "replay", "--sink", "kafka", "--target", path, "--partition", "1",
                                                         "--topic", "elsewhere", "--no-transactions");
    ck_assert_msg(other.status == 0, "%s", other.notes);
    ck_assert_int_eq(events_in("elsewhere", 1), EVENTS - EVENTS_0);
}
END_TEST

static const struct refusal kafka_refusals[] = {
    {{"--target", "x.conf"}, "--bootstrap and --target both say where to send events; give one of them"},
    {{"--rename", "orders"}, "--rename takes HUB=TOPIC, not 'orders'"},
    {{"--partition-map", "0:1"}, "--partition-map takes FROM=TO, two numbers, not '0:1'"},
    {{"--partition-map", "x=1"}, "--partition-map"},
    {{"--partition-map", "0=x"}, "--partition-map"},
    {{"--partition-map", "00000000000000000000000000000000000000000=1"}, "--partition-map takes FROM=TO"},
};

START_TEST(a_target_that_makes_no_sense_is_refused_before_anything_is_sent)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "replay", "--sink", "kafka", "--bootstrap", "127.0.0.1:1",
                                                          kafka_refusals[_i].words[0], kafka_refusals[_i].words[1]);

    ck_assert_msg(result.status == 2, "status %d: %s", result.status, result.notes);
    cli_expect_like(result.notes, kafka_refusals[_i].says);
    ck_assert_int_eq(count_of(result.notes, strlen(result.notes), '\n'), 1);
}
END_TEST

START_TEST(the_configuration_of_a_target_has_to_be_there_and_to_name_a_source)
{
    char path[400];
    HV_AUTO(cli_result_clear) cli_result none = cli_run("--config", config, "replay", "--sink", "kafka", "--target", "/nowhere.conf");

    ck_assert_int_eq(none.status, 3);
    snprintf(path, sizeof path, "%s", cli_write_file(&maker.dir, "target.conf", "store.dir = x\n"));
    HV_AUTO(cli_result_clear) cli_result no_source = cli_run("--config", config, "replay", "--sink", "kafka", "--target", path);
    ck_assert_int_eq(no_source.status, 2);
    cli_expect_like(no_source.notes, "source");
}
END_TEST

/* ---- show ---- */

START_TEST(show_prints_one_event_with_its_place)
{
    HV_AUTO(cli_result_clear) cli_result table = cli_run("--config", config, "show", "orders", "0", "2");
    HV_AUTO(cli_result_clear) cli_result json = cli_run("--config", config, "--output", "json", "show", "orders", "0", "2", "--incarnation", "1");
    hv_blob_name name = hv_name_of_sibling(&orders0, 0, "red");

    ck_assert_msg(table.status == 0, "%s", table.notes);
    cli_expect_like(table.out, "offset");
    cli_expect_like(table.out, "\"{\\\"offset\\\":2,\\\"noise\\\":");
    cli_expect_like(table.out, name.text);
    cli_expect_like(table.out, "class           red\n");
    ck_assert_int_eq(json.status, 0);
    cli_expect_like(json.out, "{\"kind\":\"event\",\"segment\":\"segments/hub=orders/");
    cli_expect_like(json.out, ",\"class\":\"red\",\"block_position\":");
    cli_expect_like(json.out, "\"event\":{\"hub\":\"orders\",\"incarnation\":1,\"partition\":0,\"offset\":2,");
}
END_TEST

START_TEST(show_says_why_there_is_no_event)
{
    HV_AUTO(cli_result_clear) cli_result gap = cli_run("--config", config, "show", "orders", "0", "9");
    HV_AUTO(cli_result_clear) cli_result gap_json = cli_run("--config", config, "--output", "json", "show", "orders", "0", "9");
    HV_AUTO(cli_result_clear) cli_result ahead = cli_run("--config", config, "show", "orders", "1", "5");
    HV_AUTO(cli_result_clear) cli_result ahead_json = cli_run("--config", config, "--output", "json", "show", "orders", "1", "5");

    ck_assert_int_eq(gap.status, 3);
    cli_expect_like(gap.notes, "offset 9 of partition 0 of 'orders' holds no event; offsets 8 to 9 are a gap, cause: retention (segment '");
    cli_expect_like(gap_json.out, "{\"kind\":\"gap\",\"cause\":\"retention\",\"first\":8,\"end\":10,\"segment\":\"segments/");
    ck_assert_int_eq(ahead.status, 3);
    cli_expect_like(ahead.notes, "offset 5 of partition 1 of 'orders' is not captured yet: capture has come to 5\n");
    ck_assert_str_eq(ahead_json.out, "{\"kind\":\"not captured\",\"position\":5}\n");
}
END_TEST

START_TEST(show_refuses_what_is_no_place)
{
    static const char *const places[][3] = {{"orders", "x", "0"}, {"orders", "0", "-1"}, {"or/ders", "0", "0"}};

    for (size_t i = 0; i < 3; i++) {
        HV_AUTO(cli_result_clear) cli_result result = cli_run("--config", config, "show", places[i][0], places[i][1], places[i][2]);
        ck_assert_int_eq(result.status, 2);
        ck_assert_int_eq(count_of(result.notes, strlen(result.notes), '\n'), 1);
    }
}
END_TEST

static void
add_broker_tests(Suite *suite)
{
    TCase *tests = tcase_create("replay into a broker");

    tcase_add_checked_fixture(tests, setup_broker, teardown_broker);
    tcase_add_test(tests, events_go_to_the_topic_that_the_pattern_names);
    tcase_add_test(tests, hubs_are_renamed_and_partitions_mapped_and_a_run_under_the_same_name_has_nothing_left_to_do);
    tcase_add_test(tests, the_target_is_the_source_of_the_configuration_or_of_another_one);
    suite_add_tcase(suite, tests);
}

int
main(void)
{
    Suite *suite = suite_create("cmd_replay");
    TCase *tests = tcase_create("replay and show");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_replay_to_a_file_writes_every_event_and_says_so);
    tcase_add_test(tests, a_file_that_is_there_is_never_written_over);
    tcase_add_test(tests, on_standard_output_there_are_events_and_nothing_else);
    tcase_add_test(tests, raw_values_are_separated_as_asked_for);
    tcase_add_test(tests, an_avro_container_has_the_codec_that_was_asked_for);
    tcase_add_test(tests, bodies_come_as_base64_when_asked_for);
    tcase_add_loop_test(tests, events_are_selected_by_what_the_flags_say, 0, sizeof selections / sizeof selections[0]);
    tcase_add_loop_test(tests, a_flag_that_makes_no_sense_is_refused_in_one_line, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tests, a_dry_run_says_what_would_be_read_and_writes_nothing);
    tcase_add_test(tests, a_cursor_file_makes_the_next_run_go_on);
    tcase_add_test(tests, a_cursor_file_that_is_none_is_refused_and_one_that_cannot_be_written_is_told);
    tcase_add_test(tests, a_damaged_block_stops_a_replay_or_is_skipped_and_told);
    tcase_add_loop_test(tests, a_target_that_makes_no_sense_is_refused_before_anything_is_sent, 0,
                        sizeof kafka_refusals / sizeof kafka_refusals[0]);
    tcase_add_test(tests, the_configuration_of_a_target_has_to_be_there_and_to_name_a_source);
    tcase_add_test(tests, show_prints_one_event_with_its_place);
    tcase_add_test(tests, show_says_why_there_is_no_event);
    tcase_add_test(tests, show_refuses_what_is_no_place);
    suite_add_tcase(suite, tests);
    add_broker_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
