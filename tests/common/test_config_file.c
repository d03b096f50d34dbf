#include "common/config_file.h"

#include <sys/stat.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"

static hv_options options;
static hv_err err;

static void
setup(void)
{
    hv_options_init(&options);
}

static void
teardown(void)
{
    hv_options_clear(&options);
}

static hv_rc
parse(const char *text)
{
    return hv_config_parse(&options, hv_slice_text(text), "hubvault.conf", "/etc/hubvault", &err);
}

START_TEST(lines_set_options_blanks_and_comments_do_not_count)
{
    ck_hv_ok(parse("# the vault\nstore.dir = vault\n\n  \t segment.max-age=10s\t\r\n   # more\n#\n"));
    ck_hv_ok(parse("index.dir = index\nsource.exclude = a\nsource.exclude = b"));
    ck_assert_str_eq(options.store_dir, "/etc/hubvault/vault");
    ck_assert_str_eq(options.index_dir, "/etc/hubvault/index");
    ck_assert_int_eq(options.segment_max_age_ms, 10000);
    ck_assert_uint_eq(options.source_exclude.count, 2);
}
END_TEST

START_TEST(an_empty_file_sets_nothing)
{
    ck_hv_ok(parse(""));
    ck_hv_ok(parse("\n\n#\n"));
    ck_assert_ptr_null(options.store_dir);
}
END_TEST

#define S(literal) literal, sizeof literal - 1

static const struct refused {
    const char *text;
    size_t len;
    const char *says;
} refused[] = {
    {S("store.dir = a\nindex.dirs = b\n"), "hubvault.conf:2:1: there is no option 'index.dirs'; did you mean 'index.dir'?"},
    {S("\n\nsegment.max-age = 64M\n"), "hubvault.conf:3:19: 'segment.max-age' takes a length of time like 90s, 15m, 2h or 7d, not '64M'"},
    {S("segment.max-age = 1s\n#\nsegment.max-age = 2s\n"), "hubvault.conf:3:19: 'segment.max-age' is set already, at hubvault.conf:1"},
    {S("store.dir\n"), "hubvault.conf:1:1: a line is 'name = value' or a comment that begins with '#', not 'store.dir'"},
    {S("\t [store]\n"), "hubvault.conf:1:3: a line is 'name = value'"},
    {S("store.dir =\n"), "hubvault.conf:1:12: 'store.dir' needs a value"},
    {S("= x\n"), "hubvault.conf:1:1: there is no option ''"},
    {S("store.dir = /a # b\n"), "hubvault.conf:1:16: a comment needs a line of its own, it cannot follow the value of 'store.dir'"},
    {S("store.dir = /a\t#b\n"), "hubvault.conf:1:16: a comment needs a line of its own"},
    {S("store.dir = /a\0b\n"), "hubvault.conf:1:15: there is a control character (0x00)"},
    {S("store.dir = /a\x1b[2J\n"), "hubvault.conf:1:15: there is a control character (0x1b)"},
    {S("store.dir = /a\rb\n"), "hubvault.conf:1:15: there is a control character (0x0d)"},
    {S("# \xff\n"), "hubvault.conf:1:1: this is not UTF-8 text"},
    {S("\xef\xbb\xbfstore.dir = /a\n"), "hubvault.conf:1:1: there is no option"},
    {S("store.dir = a\tb\n"), "hubvault.conf:1:13: 'store.dir' has a control character (0x09)"},
};

START_TEST(a_bad_line_is_refused_with_file_and_line_and_what_would_be_right)
{
    ck_hv_fails(HV_USAGE, hv_config_parse(&options, hv_slice_of(refused[_i].text, refused[_i].len), "hubvault.conf", NULL, &err));
    ck_assert_msg(strncmp(err.msg, refused[_i].says, strlen(refused[_i].says)) == 0, "%s", err.msg);
}
END_TEST

START_TEST(a_line_has_a_limit)
{
    static char text[HV_CONFIG_MAX_LINE + 100];

    memset(text, 'x', HV_CONFIG_MAX_LINE + 1);
    text[0] = '#';
    ck_hv_fails(HV_USAGE, parse(text));
    ck_assert_ptr_nonnull(strstr(err.msg, "hubvault.conf:1:8193: a line has 8192 bytes at most"));
    text[HV_CONFIG_MAX_LINE] = '\0';
    ck_hv_ok(parse(text));
}
END_TEST

/* Any bytes get an answer; ASan and UBSan look on. */
START_TEST(random_bytes_are_refused_or_taken_but_never_more)
{
    static const char pieces[][24] = {"store.dir", "segment.max-age", " = ", "10s", "\n", "\r\n", "#", "\0", "=", "source.include", ",", "a",
                                      "\xff", "64M", " ", "\t", "source.hub-credential", "a=b", "source.rdkafka", "\xc3\xa9"};
    unsigned random = 1, taken = 0;

    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t len = 0;
        hv_options fresh;
        while (len < 200) {
            random = random * 1103515245 + 12345;
            const char *piece = pieces[(random >> 16) % (sizeof pieces / sizeof *pieces)];
            size_t piece_len = *piece == '\0' ? 1 : strlen(piece);
            memcpy(text + len, piece, piece_len);
            len += piece_len;
            if ((random >> 8) % 8 == 0)
                break;
        }
        hv_options_init(&fresh);
        taken += hv_config_parse(&fresh, hv_slice_of(text, len), "random", "/x", &err) == HV_OK;
        hv_options_clear(&fresh);
    }
    ck_assert_uint_gt(taken, 100);
    ck_assert_uint_lt(taken, 19000);
}
END_TEST

static void
write_file(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_file_is_loaded_and_its_paths_count_from_its_folder)
{
    scratch_dir dir = scratch_dir_make();
    char path[300], want[300];

    snprintf(path, sizeof path, "%s/hubvault.conf", dir.path);
    snprintf(want, sizeof want, "%s/vault", dir.path);
    write_file(path, "store.dir = vault\n", 18);
    ck_hv_ok(hv_config_load(&options, path, &err));
    ck_assert_str_eq(options.store_dir, want);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(a_missing_file_a_folder_and_a_file_that_is_too_long_are_refused_by_name)
{
    scratch_dir dir = scratch_dir_make();
    char path[300];
    static char comments[HV_CONFIG_MAX_BYTES + 1];

    snprintf(path, sizeof path, "%s/hubvault.conf", dir.path);
    ck_hv_fails(HV_NOT_FOUND, hv_config_load(&options, path, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, path));
    ck_hv_fails(HV_USAGE, hv_config_load(&options, dir.path, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "is not a file"));
    for (size_t i = 0; i < sizeof comments; i++)
        comments[i] = i % 100 == 99 ? '\n' : '#';
    write_file(path, comments, sizeof comments);
    ck_hv_fails(HV_USAGE, hv_config_load(&options, path, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "it has more than 1048576 bytes"));
    write_file(path, comments, sizeof comments - 1);
    ck_hv_ok(hv_config_load(&options, path, &err));
    scratch_dir_remove(&dir);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("config file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lines_set_options_blanks_and_comments_do_not_count);
    tcase_add_test(tests, an_empty_file_sets_nothing);
    tcase_add_loop_test(tests, a_bad_line_is_refused_with_file_and_line_and_what_would_be_right, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tests, a_line_has_a_limit);
    tcase_add_test(tests, random_bytes_are_refused_or_taken_but_never_more);
    tcase_add_test(tests, a_file_is_loaded_and_its_paths_count_from_its_folder);
    tcase_add_test(tests, a_missing_file_a_folder_and_a_file_that_is_too_long_are_refused_by_name);
    return ck_hv_run("config file", tests);
}
