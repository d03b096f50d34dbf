/* What every command has in common: finding it, its options, its help, its failures. */
#include <string.h>

#include "cli/cli.h"
#include "segment/header.h"
#include "tests/cli/cli_run.h"
#include "tests/harness/check_hv.h"

static scratch_dir dir;

static void
setup(void)
{
    dir = scratch_dir_make();
    cli_setenv(NULL, NULL);
}

static void
teardown(void)
{
    scratch_dir_remove(&dir);
}

static const struct refused {
    const char *words[6];
    int status;
    const char *says;
} refused[] = {
    {{NULL}, 2, "hubvault: no command given; hubvault --help lists what there is\n"},
    {{"optoins"}, 2, "hubvault: unknown command 'optoins'; did you mean 'options'?\n"},
    {{"frobnicate"}, 2, "hubvault: unknown command 'frobnicate'; hubvault --help lists what there is\n"},
    {{"options", "extra"}, 2, "hubvault: usage: hubvault options [OPTIONS]; see hubvault options --help\n"},
    {{"segments"}, 2, "hubvault: usage: hubvault segments HUB [PARTITION] [OPTIONS]; see hubvault segments --help\n"},
    {{"--offline", "options"}, 2, "hubvault: unknown option '--offline'; --help lists what there is\n"},
    {{"options", "--output", "xml"}, 2, "hubvault: --output takes table or json, not 'xml'\n"},
    {{"options", "--set", "segment.max-age"}, 2, "hubvault: --set takes NAME=VALUE, not 'segment.max-age'\n"},
    {{"options", "--set", "segment.max-age=64M"}, 2,
     "hubvault: --set: 'segment.max-age' takes a length of time like 90s, 15m, 2h or 7d, not '64M'\n"},
    {{"options", "--set", "segment.max-ages=1s"}, 2,
     "hubvault: --set: there is no option 'segment.max-ages'; did you mean 'segment.max-age'?\n"},
    {{"options", "--config", "/nowhere/hubvault.conf"}, 3,
     "hubvault: cannot open the configuration '/nowhere/hubvault.conf': No such file or directory\n"},
    {{"hubs"}, 2, "hubvault: option 'store.dir' is needed and not set; for example: store.dir = /var/lib/hubvault/vault\n"},
    {{"run", "--store", "/nowhere"}, 2,
     "hubvault: option 'source.bootstrap' is needed and not set; for example: source.bootstrap = kafka-1:9092,kafka-2:9092\n"},
    {{"hubs", "--store", "/nowhere"}, 3, "hubvault: there is no vault at '/nowhere'; 'hubvault run' makes one\n"},
};

START_TEST(a_bad_command_line_is_one_line_and_an_exit_status)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run_words(refused[_i].words);

    cli_expect(result, refused[_i].status, "", refused[_i].says);
}
END_TEST

START_TEST(a_message_is_one_line_whatever_was_typed)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("a\nb\x1b[2J");

    cli_expect(result, 2, "", "hubvault: unknown command 'a?b?[2J'; hubvault --help lists what there is\n");
}
END_TEST

START_TEST(a_secret_that_was_typed_is_not_repeated)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("options", "--set", "source.bootstrap=Endpoint=sb://x/;SharedAccessKey=c2VjcmV0");

    ck_assert_int_eq(result.status, 2);
    ck_assert_ptr_null(strstr(result.notes, "c2VjcmV0"));
}
END_TEST

START_TEST(a_bad_configuration_is_refused_with_file_and_line)
{
    char want[600];
    const char *path = cli_write_file(&dir, "hubvault.conf", "store.dir = vault\n\nsegment.max-aeg = 10s\n");
    HV_AUTO(cli_result_clear) cli_result result = cli_run("hubs", "--config", path);

    snprintf(want, sizeof want, "hubvault: %s:3:1: there is no option 'segment.max-aeg'; did you mean 'segment.max-age'?\n", path);
    cli_expect(result, 2, "", want);
}
END_TEST

START_TEST(settings_come_from_the_file_that_the_environment_names_and_the_command_line_wins)
{
    cli_setenv("HUBVAULT_CONFIG", cli_write_file(&dir, "hubvault.conf", "segment.max-age = 10s\nsegment.level = 3\n"));
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--set", "segment.level=5", "options", "--output=json");
    char want[600];

    ck_assert_int_eq(result.status, 0);
    snprintf(want, sizeof want, "{\"option\":\"segment.max-age\",\"value\":\"10s\",\"from\":\"%s/hubvault.conf:1\",\"default\":\"5m\"", dir.path);
    cli_expect_like(result.out, want);
    cli_expect_like(result.out, "{\"option\":\"segment.level\",\"value\":\"5\",\"from\":\"--set\",\"default\":\"1\",\"takes\":\"1 to 19\"");
    cli_expect_like(result.out, "{\"option\":\"store.dir\",\"value\":null,\"from\":\"default\"");
}
END_TEST

START_TEST(what_the_environment_of_a_workload_says_is_taken_and_named)
{
    cli_setenv("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555");
    HV_AUTO(cli_result_clear) cli_result result = cli_run("options");

    cli_expect_like(result.out, "11111111-2222-3333-4444-555555555555  $AZURE_CLIENT_ID\n");
}
END_TEST

START_TEST(store_and_index_have_short_cuts)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("options", "--store", "/v", "--index=/i", "--output", "json");

    cli_expect_like(result.out, "{\"option\":\"store.dir\",\"value\":\"/v\",\"from\":\"--store\"");
    cli_expect_like(result.out, "{\"option\":\"index.dir\",\"value\":\"/i\",\"from\":\"--index\"");
}
END_TEST

START_TEST(help_lists_every_command_every_option_and_every_exit_status)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--help");
    char status[32];

    ck_assert_int_eq(result.status, 0);
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++)
        cli_expect_like(result.out, verb->name);
    for (const hv_flag *flag = hv_global_flags; flag->name != NULL; flag++)
        cli_expect_like(result.out, flag->name);
    for (size_t i = 0; i < hv_option_count; i++)
        cli_expect_like(result.out, hv_option_table[i].name);
#define STATUS_IS_THERE(name, exit_status, retriable, meaning) \
    snprintf(status, sizeof status, "\n  %2d  ", exit_status); \
    cli_expect_like(result.out, status); \
    cli_expect_like(result.out, meaning);
    HV_RC_LIST(STATUS_IS_THERE)
#undef STATUS_IS_THERE
}
END_TEST

START_TEST(every_command_explains_itself_and_its_options)
{
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++) {
        char first[32], usage[64];
        const char *second = strchr(verb->name, ' ');
        snprintf(first, sizeof first, "%.*s", (int)strcspn(verb->name, " "), verb->name);
        snprintf(usage, sizeof usage, "Usage: hubvault %s", verb->name);
        HV_AUTO(cli_result_clear) cli_result result = second != NULL ? cli_run(first, second + 1, "--help") : cli_run(first, "--help");
        ck_assert_int_eq(result.status, 0);
        cli_expect_like(result.out, usage);
        for (const hv_flag *flag = verb->flags; flag != NULL && flag->name != NULL; flag++)
            cli_expect_like(result.out, flag->name);
    }
}
END_TEST

START_TEST(flags_do_not_collide_with_those_of_every_command_and_help_is_a_sentence)
{
    for (const hv_verb *verb = hv_verbs; verb->name != NULL; verb++) {
        ck_assert_int_ne(verb->help[strlen(verb->help) - 1], '.');
        for (const hv_flag *flag = verb->flags; flag != NULL && flag->name != NULL; flag++) {
            ck_assert_msg(flag->help[strlen(flag->help) - 1] == '.', "%s", flag->name);
            for (const hv_flag *global = hv_global_flags; global->name != NULL; global++)
                ck_assert_str_ne(global->name, flag->name);
        }
    }
}
END_TEST

/* The layers keep option words apart from the enumerations they stand for; run casts the one into the other. */
START_TEST(words_of_options_stand_in_the_order_of_what_they_mean)
{
    const hv_option *codec = hv_option_find("segment.codec"), *level = hv_option_find("log.level");
    static const char *const levels[] = {
#define LEVEL(name, text) [HV_LOG_##name] = text,
        HV_LOG_LEVEL_LIST(LEVEL)
#undef LEVEL
    };

    for (int i = 0; i < HV_CODECS; i++)
        ck_assert_str_eq(codec->words[i], hv_codec_name((hv_codec)i));
    ck_assert_ptr_null(codec->words[HV_CODECS]);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        ck_assert_str_eq(level->words[i], levels[i]);
    ck_assert_str_eq(level->words[level->fallback], "info");
}
END_TEST

START_TEST(the_version_is_printed)
{
    HV_AUTO(cli_result_clear) cli_result result = cli_run("--version");

    cli_expect(result, 0, "hubvault " HUBVAULT_VERSION "\n", "");
}
END_TEST

START_TEST(lost_output_ends_with_11)
{
    FILE *full = fopen("/dev/full", "w");
    char *notes = NULL;
    size_t notes_len;

    ck_assert_ptr_nonnull(full);
    FILE *to_notes = open_memstream(&notes, &notes_len);
    const char *const words[] = {"completion", NULL};
    int status = hv_cli_main(&(hv_cli_start){.words = words, .to = full, .notes = to_notes});
    fclose(to_notes);
    ck_assert_int_eq(status, 11);
    ck_assert_str_eq(notes, "hubvault: cannot write all output: No space left on device\n");
    free(notes);
    fclose(full);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("command line");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_bad_command_line_is_one_line_and_an_exit_status, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tests, a_message_is_one_line_whatever_was_typed);
    tcase_add_test(tests, a_secret_that_was_typed_is_not_repeated);
    tcase_add_test(tests, a_bad_configuration_is_refused_with_file_and_line);
    tcase_add_test(tests, settings_come_from_the_file_that_the_environment_names_and_the_command_line_wins);
    tcase_add_test(tests, what_the_environment_of_a_workload_says_is_taken_and_named);
    tcase_add_test(tests, store_and_index_have_short_cuts);
    tcase_add_test(tests, help_lists_every_command_every_option_and_every_exit_status);
    tcase_add_test(tests, every_command_explains_itself_and_its_options);
    tcase_add_test(tests, flags_do_not_collide_with_those_of_every_command_and_help_is_a_sentence);
    tcase_add_test(tests, words_of_options_stand_in_the_order_of_what_they_mean);
    tcase_add_test(tests, the_version_is_printed);
    tcase_add_test(tests, lost_output_ends_with_11);
    return ck_hv_run("command line", tests);
}
