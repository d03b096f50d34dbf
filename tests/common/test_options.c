#include "common/options.h"

#include "tests/harness/check_hv.h"

static hv_options options;
static hv_err err;

static const hv_option_place from_file = {.layer = HV_OPTION_FROM_FILE, .where = "hubvault.conf:12", .folder = "/etc/hubvault"};
static const hv_option_place from_file_later = {.layer = HV_OPTION_FROM_FILE, .where = "hubvault.conf:20", .folder = "/etc/hubvault"};
static const hv_option_place from_command = {.layer = HV_OPTION_FROM_COMMAND, .where = "--set"};
static const hv_option_place from_environment = {.layer = HV_OPTION_FROM_ENVIRONMENT, .where = "$AZURE_CLIENT_ID"};

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

static void
set(const char *name, const char *value)
{
    ck_hv_ok(hv_options_set(&options, name, value, &from_file, &err));
}

START_TEST(every_type_of_value_is_taken_as_it_is_written)
{
    set("segment.max-bytes", "128K");
    set("segment.max-age", "2h");
    set("segment.level", "7");
    set("segment.codec", "deflate");
    set("archiver.group-commit", "yes");
    set("source.group", "auditors");
    set("source.include", "orders, sales-*");
    set("source.include", "accounts");
    ck_assert_int_eq(options.segment_max_bytes, 128 * 1024);
    ck_assert_int_eq(options.segment_max_age_ms, 7200000);
    ck_assert_int_eq(options.segment_level, 7);
    ck_assert_int_eq(options.segment_codec, HV_OPTION_CODEC_DEFLATE);
    ck_assert(options.archiver_group_commit);
    ck_assert_str_eq(options.source_group, "auditors");
    ck_assert_uint_eq(options.source_include.count, 3);
    ck_assert_str_eq(options.source_include.items[0], "orders");
    ck_assert_str_eq(options.source_include.items[1], "sales-*");
    ck_assert_str_eq(options.source_include.items[2], "accounts");
}
END_TEST

START_TEST(every_option_has_its_default)
{
    ck_assert_int_eq(options.segment_max_bytes, 8 << 20);
    ck_assert_int_eq(options.segment_max_age_ms, 300000);
    ck_assert_ptr_null(options.store_dir);
    ck_assert_str_eq(options.source_group, "hubvault");
    ck_assert_uint_eq(options.source_include.count, 1);
    ck_assert_str_eq(options.source_include.items[0], "*");
    ck_assert_uint_eq(options.source_exclude.count, 0);
    ck_assert(!options.archiver_group_commit);
}
END_TEST

START_TEST(a_relative_path_counts_from_the_folder_of_its_file_and_from_here_on_the_command_line)
{
    set("store.dir", "vault");
    set("source.ca-file", "/ca.pem");
    set("source.hub-credential", "orders=keys/orders");
    ck_assert_str_eq(options.store_dir, "/etc/hubvault/vault");
    ck_assert_str_eq(options.source_ca_file, "/ca.pem");
    ck_assert_str_eq(options.source_hub_credentials.items[0], "orders=/etc/hubvault/keys/orders");
    ck_hv_ok(hv_options_set(&options, "store.dir", "vault", &from_command, &err));
    ck_assert_str_eq(options.store_dir, "vault");
}
END_TEST

START_TEST(a_credential_lies_in_the_folder_of_the_service_manager)
{
    options.credentials_dir = "/run/credentials/hubvault.service";
    set("source.password-file", "credential:kafka");
    set("source.hub-credential", "orders=credential:orders.key");
    set("source.hub-credential", "sales=/etc/sales");
    ck_assert_str_eq(options.source_password_file, "/run/credentials/hubvault.service/kafka");
    ck_assert_str_eq(options.source_hub_credentials.items[0], "orders=/run/credentials/hubvault.service/orders.key");
    ck_assert_str_eq(options.source_hub_credentials.items[1], "sales=/etc/sales");
}
END_TEST

START_TEST(a_credential_without_a_service_manager_stays_as_it_is_written)
{
    set("source.password-file", "credential:kafka");
    set("source.hub-credential", "orders=credential:orders.key");
    ck_assert_str_eq(options.source_password_file, "credential:kafka");
    ck_assert_str_eq(options.source_hub_credentials.items[0], "orders=credential:orders.key");
}
END_TEST

START_TEST(only_the_path_of_a_secret_may_be_a_credential)
{
    options.credentials_dir = "/run/credentials/hubvault.service";
    set("source.ca-file", "credential:ca");
    set("source.group", "credential:group");
    ck_assert_str_eq(options.source_ca_file, "/etc/hubvault/credential:ca");
    ck_assert_str_eq(options.source_group, "credential:group");
}
END_TEST

static const struct refused {
    const char *name, *value, *says;
} refused[] = {
    {"segment.max-bytes", "-1", "takes a size like 64K, 8M or 1G, not '-1'"},
    {"segment.max-bytes", "64MB", "takes a size like"},
    {"segment.max-bytes", "64h", "takes a size like"},
    {"segment.max-bytes", "64m", "takes a size like"},
    {"segment.max-bytes", "1", "'segment.max-bytes' is from 64K to 1G, not '1'"},
    {"segment.max-bytes", "2G", "is from 64K to 1G, not '2G'"},
    {"segment.max-bytes", "99999999999999999999", "takes a size like"},
    {"segment.max-bytes", "9999999999999G", "takes a size like"},
    {"segment.max-bytes", "", "'segment.max-bytes' needs a value: size like"},
    {"segment.max-age", "64M", "'segment.max-age' takes a length of time like 90s, 15m, 2h or 7d, not '64M'"},
    {"segment.max-age", "90", "takes a length of time"},
    {"segment.max-age", "2d", "is from 1s to 1d, not '2d'"},
    {"segment.level", "1K", "'segment.level' takes a number, not '1K'"},
    {"segment.level", "20", "is from 1 to 19, not '20'"},
    {"segment.codec", "zstd", "'segment.codec' is zstandard, deflate or null, not 'zstd'"},
    {"segment.codec", "deflat", "did you mean 'deflate'?"},
    {"archiver.group-commit", "maybe", "'archiver.group-commit' is yes or no, not 'maybe'"},
    {"source.password-file", "credential:", "'source.password-file' takes credential: and a plain name, not 'credential:'"},
    {"source.password-file", "credential:../kafka", "takes credential: and a plain name"},
    {"source.password-file", "credential:..", "takes credential: and a plain name"},
    {"source.password-file", "credential:a/b", "takes credential: and a plain name"},
    {"source.hub-credential", "orders=credential:/etc/shadow", "takes credential: and a plain name"},
    {"source.include", "a,,b", "separated by commas, and one of them is empty"},
    {"source.include", "a,", "one of them is empty"},
    {"source.hubs", "a b", "letters, digits"},
    {"source.hub-credential", "orders", "takes NAME=FILE, not 'orders'"},
    {"source.hub-credential", "orders=", "takes NAME=FILE"},
    {"source.hub-credential", "=x", "takes NAME=FILE"},
    {"source.hub-credential", "or ders=x", "letters, digits"},
    {"source.rdkafka", "sasl.password=x", "logins stand in files"},
    {"source.rdkafka", "plugin.library.paths=x", "nothing is loaded into this program"},
    {"source.rdkafka", "Bad Name=x", "the name of a librdkafka property"},
    {"source.bootstrap", "localhost", "takes host:port"},
    {"source.bootstrap", "localhost:0", "takes host:port"},
    {"source.bootstrap", "localhost:65536", "takes host:port"},
    {"source.bootstrap", "localhost:9092,", "takes host:port"},
    {"source.bootstrap", "a:1, b:2", "takes host:port"},
    {"source.bootstrap", "http://a:1", "takes host:port"},
    {"source.bootstrap", ":9092", "takes host:port"},
    {"source.bootstrap", "[]:9092", "takes host:port"},
    {"source.group", "a b", "text without blanks"},
    {"oauth.authority", "login.example.com", "takes an address like https://login.example.com"},
    {"oauth.authority", "https://", "takes an address"},
    {"oauth.authority", "https://user@host", "takes an address"},
    {"source.user", "a\nb", "control character (0x0a)"},
};
enum { REFUSED = sizeof refused / sizeof *refused };

START_TEST(a_wrong_value_is_refused_with_its_place_the_value_and_what_would_be_right_and_changes_nothing)
{
    const hv_option *option = hv_option_find(refused[_i].name);
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(10000), after = HV_BUF_INIT(10000);

    ck_assert_ptr_nonnull(option);
    hv_option_put_value(&options, option, &before);
    ck_hv_fails(HV_USAGE, hv_options_set(&options, refused[_i].name, refused[_i].value, &from_file, &err));
    hv_option_put_value(&options, option, &after);
    ck_assert(hv_slice_equal(hv_buf_slice(&before), hv_buf_slice(&after)));
    ck_assert_msg(strstr(err.msg, refused[_i].says) != NULL, "%s", err.msg);
    ck_assert_msg(strncmp(err.msg, "hubvault.conf:12: ", 18) == 0, "%s", err.msg);
    ck_assert_int_eq(options.origins[option - hv_option_table].layer, HV_OPTION_DEFAULT);
}
END_TEST

static const char *const brokers[] = {"localhost:9092", "a.b-c_d:1,10.0.0.1:65535", "[::1]:9092", "[fe80::1]:9092,x:1"};

START_TEST(names_and_addresses_of_brokers_are_taken)
{
    set("source.bootstrap", brokers[_i]);
    ck_assert_str_eq(options.source_bootstrap, brokers[_i]);
}
END_TEST

START_TEST(a_misspelt_option_is_refused_with_the_nearest_name)
{
    ck_hv_fails(HV_USAGE, hv_options_set(&options, "segment.max-byte", "1M", &from_file, &err));
    ck_assert_str_eq(err.msg, "hubvault.conf:12: there is no option 'segment.max-byte'; did you mean 'segment.max-bytes'?");
    ck_hv_fails(HV_USAGE, hv_options_set(&options, "quite something else", "1M", &from_file, &err));
    ck_assert_str_eq(err.msg, "hubvault.conf:12: there is no option 'quite something else'; 'hubvault options' lists all");
}
END_TEST

START_TEST(a_scalar_set_twice_in_files_is_refused_with_both_lines_and_the_first_stays)
{
    set("segment.max-age", "10s");
    ck_hv_fails(HV_USAGE, hv_options_set(&options, "segment.max-age", "20s", &from_file_later, &err));
    ck_assert_str_eq(err.msg, "hubvault.conf:20: 'segment.max-age' is set already, at hubvault.conf:12");
    ck_assert_int_eq(options.segment_max_age_ms, 10000);
}
END_TEST

START_TEST(the_command_line_wins_over_the_file_whichever_comes_first_and_its_last_word_counts)
{
    ck_hv_ok(hv_options_set(&options, "segment.max-age", "30s", &from_command, &err));
    set("segment.max-age", "10s");
    ck_assert_int_eq(options.segment_max_age_ms, 30000);
    ck_hv_ok(hv_options_set(&options, "segment.max-age", "40s", &from_command, &err));
    ck_assert_int_eq(options.segment_max_age_ms, 40000);
}
END_TEST

START_TEST(a_list_on_the_command_line_takes_the_place_of_the_one_in_the_file)
{
    set("source.include", "a,b");
    ck_hv_ok(hv_options_set(&options, "source.include", "c", &from_command, &err));
    ck_hv_ok(hv_options_set(&options, "source.include", "d", &from_command, &err));
    ck_assert_uint_eq(options.source_include.count, 2);
    ck_assert_str_eq(options.source_include.items[0], "c");
    ck_assert_str_eq(options.source_include.items[1], "d");
}
END_TEST

START_TEST(a_refused_list_leaves_the_one_before_whole)
{
    set("source.hubs", "a,b");
    ck_hv_fails(HV_USAGE, hv_options_set(&options, "source.hubs", "c,d,e f", &from_command, &err));
    ck_assert_uint_eq(options.source_hubs.count, 2);
    ck_assert_str_eq(options.source_hubs.items[1], "b");
    ck_hv_fails(HV_USAGE, hv_options_set(&options, "source.hubs", "c,,", &from_file, &err));
    ck_assert_uint_eq(options.source_hubs.count, 2);
}
END_TEST

START_TEST(a_list_has_a_limit)
{
    HV_AUTO(hv_buf_free) hv_buf many = HV_BUF_INIT(HV_OPTION_VALUE_MAX);

    for (int i = 0; i < 2000; i++)
        hv_buf_put_text(&many, i > 0 ? ",a" : "a");
    for (int i = 0; i < 5; i++)
        set("source.exclude", many.data);
    ck_hv_fails(HV_USAGE, hv_options_set(&options, "source.exclude", "a", &from_file, &err));
    ck_assert_uint_eq(options.source_exclude.count, HV_OPTION_ITEMS_MAX);
}
END_TEST

START_TEST(every_default_is_a_value_that_its_own_option_accepts)
{
    for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count; option++) {
        HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(10000);
        hv_option_put_value(&options, option, &value);
        if (value.len > 0)
            ck_hv_ok(hv_options_set(&options, option->name, value.data, &from_file, &err));
        if (option->example != NULL)
            ck_hv_ok(hv_options_set(&options, option->name, option->example, &from_command, &err));
    }
}
END_TEST

/* ---- how options fit together ---- */

START_TEST(the_index_stands_beside_the_vault_unless_it_is_said)
{
    set("store.dir", "/data/vault/");
    ck_hv_ok(hv_options_complete(&options, HV_NEED_STORE | HV_NEED_INDEX, &err));
    ck_assert_str_eq(options.index_dir, "/data/vault.index");
}
END_TEST

START_TEST(what_a_command_needs_must_be_set)
{
    ck_hv_ok(hv_options_complete(&options, 0, &err));
    ck_hv_fails(HV_USAGE, hv_options_complete(&options, HV_NEED_STORE, &err));
    ck_assert_str_eq(err.msg, "option 'store.dir' is needed and not set; for example: store.dir = /var/lib/hubvault/vault");
    ck_hv_fails(HV_USAGE, hv_options_complete(&options, HV_NEED_INDEX, &err));
    ck_hv_fails(HV_USAGE, hv_options_complete(&options, HV_NEED_SOURCE, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "option 'source.bootstrap' is needed"));
    ck_assert(!hv_options_have_source(&options));
    set("source.bootstrap", "a:1");
    ck_hv_ok(hv_options_complete(&options, HV_NEED_SOURCE, &err));
    ck_assert(hv_options_have_source(&options));
}
END_TEST

START_TEST(an_index_folder_alone_is_enough_for_reading_the_index)
{
    set("index.dir", "/x");
    ck_hv_ok(hv_options_complete(&options, HV_NEED_INDEX, &err));
}
END_TEST

START_TEST(tls_is_on_wherever_there_is_a_login_unless_it_is_said)
{
    ck_hv_ok(hv_options_complete(&options, 0, &err));
    ck_assert(!options.source_tls);
    set("source.auth", "oauth");
    ck_hv_ok(hv_options_complete(&options, 0, &err));
    ck_assert(options.source_tls);
    set("source.tls", "no");
    ck_hv_ok(hv_options_complete(&options, 0, &err));
    ck_assert(!options.source_tls);
}
END_TEST

static const struct combination {
    const char *settings[8];            /* name, value, ... */
    const char *says;                   /* NULL: it is fine */
} combinations[] = {
    {{"source.auth", "plain"}, "option 'source.user' is needed with source.auth = plain"},
    {{"source.auth", "plain", "source.user", "u"}, "option 'source.password-file' is needed with source.auth = plain"},
    {{"source.auth", "plain", "source.user", "u", "source.password-file", "f"}, NULL},
    {{"source.user", "u"}, "hubvault.conf:12: 'source.user' has no effect with source.auth = none"},
    {{"source.password-file", "u"}, "'source.password-file' has no effect with source.auth = none"},
    {{"source.auth", "connection-string"}, "option 'source.connection-string-file' is needed with source.auth = connection-string"},
    {{"source.auth", "connection-string", "source.connection-string-file", "f"}, NULL},
    {{"source.auth", "connection-string", "source.hub-credential", "a=f"}, NULL},
    {{"source.auth", "connection-string", "source.hub-credential", "a=f", "source.hub-credential", "a=g"}, "names hub 'a' twice"},
    {{"source.auth", "connection-string", "source.hub-credential", "a=f", "source.hub-credential", "ab=g"}, NULL},
    {{"source.auth", "connection-string", "source.hub-credential", "a=f", "source.hubs", "b"}, "'source.hubs' cannot be set as well"},
    {{"source.auth", "connection-string", "source.hub-credential", "a=f", "source.connection-string-file", "b"},
     "'source.connection-string-file' cannot be set as well"},
    {{"source.hub-credential", "a=f"}, "'source.hub-credential' has no effect with source.auth = none"},
    {{"source.auth", "oauth"}, NULL},
    {{"source.auth", "oauth", "oauth.client-id", "x"}, NULL},
    {{"source.auth", "oauth", "oauth.method", "client-secret"}, "option 'oauth.tenant' is needed with oauth.method = client-secret"},
    {{"source.auth", "oauth", "oauth.token-file", "f"}, "'oauth.token-file' has no effect with oauth.method = managed-identity"},
    {{"source.auth", "oauth", "oauth.method", "workload-identity", "oauth.tenant", "t", "oauth.client-id", "c"},
     "option 'oauth.token-file' is needed with oauth.method = workload-identity"},
    {{"oauth.tenant", "t"}, "'oauth.tenant' has no effect with source.auth = none"},
    {{"segment.codec", "deflate", "segment.level", "13"}, "'segment.level' is from 1 to 12 with segment.codec = deflate, not 13"},
    {{"segment.codec", "zstandard", "segment.level", "13"}, NULL},
};
enum { COMBINATIONS = sizeof combinations / sizeof *combinations };

START_TEST(what_does_not_fit_together_is_refused_and_what_fits_is_not)
{
    const struct combination *tried = &combinations[_i];

    set("source.bootstrap", "a:1");
    for (int i = 0; i < 8 && tried->settings[i] != NULL; i += 2)
        set(tried->settings[i], tried->settings[i + 1]);
    if (tried->says == NULL) {
        ck_hv_ok(hv_options_complete(&options, HV_NEED_SOURCE, &err));
    } else {
        ck_hv_fails(HV_USAGE, hv_options_complete(&options, HV_NEED_SOURCE, &err));
        ck_assert_msg(strstr(err.msg, tried->says) != NULL, "%s", err.msg);
    }
}
END_TEST

START_TEST(the_environment_fills_in_yields_to_the_file_and_may_be_of_no_effect)
{
    ck_hv_ok(hv_options_set(&options, "oauth.client-id", "env", &from_environment, &err));
    ck_hv_ok(hv_options_complete(&options, 0, &err));
    ck_assert_str_eq(options.oauth_client_id, "env");
    set("oauth.client-id", "file");
    ck_assert_str_eq(options.oauth_client_id, "file");
    ck_hv_ok(hv_options_set(&options, "oauth.client-id", "env", &from_environment, &err));
    ck_assert_str_eq(options.oauth_client_id, "file");
}
END_TEST

/* ---- the pages ---- */

START_TEST(both_pages_name_every_option)
{
    for (int form = HV_DOCUMENT_MARKDOWN; form <= HV_DOCUMENT_SCDOC; form++) {
        char *page = NULL;
        size_t len;
        FILE *to = open_memstream(&page, &len);
        ck_assert_ptr_nonnull(to);
        ck_hv_ok(hv_options_document((hv_option_document)form, to, &err));
        fclose(to);
        for (size_t i = 0; i < hv_option_count; i++)
            ck_assert_msg(strstr(page, hv_option_table[i].name) != NULL, "%s", hv_option_table[i].name);
        free(page);
    }
}
END_TEST

START_TEST(names_of_options_are_unique_and_every_one_explains_itself)
{
    for (size_t i = 0; i < hv_option_count; i++) {
        ck_assert_ptr_eq(hv_option_find(hv_option_table[i].name), &hv_option_table[i]);
        ck_assert_uint_gt(strlen(hv_option_table[i].help), 10);
        ck_assert_int_eq(hv_option_table[i].help[strlen(hv_option_table[i].help) - 1], '.');
        ck_assert((hv_option_table[i].words != NULL) == (hv_option_table[i].type == HV_OPTION_ENUM));
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("options");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_type_of_value_is_taken_as_it_is_written);
    tcase_add_test(tests, every_option_has_its_default);
    tcase_add_test(tests, a_credential_lies_in_the_folder_of_the_service_manager);
    tcase_add_test(tests, a_credential_without_a_service_manager_stays_as_it_is_written);
    tcase_add_test(tests, only_the_path_of_a_secret_may_be_a_credential);
    tcase_add_test(tests, a_relative_path_counts_from_the_folder_of_its_file_and_from_here_on_the_command_line);
    tcase_add_loop_test(tests, a_wrong_value_is_refused_with_its_place_the_value_and_what_would_be_right_and_changes_nothing, 0, REFUSED);
    tcase_add_loop_test(tests, names_and_addresses_of_brokers_are_taken, 0, sizeof brokers / sizeof *brokers);
    tcase_add_test(tests, a_misspelt_option_is_refused_with_the_nearest_name);
    tcase_add_test(tests, a_scalar_set_twice_in_files_is_refused_with_both_lines_and_the_first_stays);
    tcase_add_test(tests, the_command_line_wins_over_the_file_whichever_comes_first_and_its_last_word_counts);
    tcase_add_test(tests, a_list_on_the_command_line_takes_the_place_of_the_one_in_the_file);
    tcase_add_test(tests, a_refused_list_leaves_the_one_before_whole);
    tcase_add_test(tests, a_list_has_a_limit);
    tcase_add_test(tests, every_default_is_a_value_that_its_own_option_accepts);
    tcase_add_test(tests, the_index_stands_beside_the_vault_unless_it_is_said);
    tcase_add_test(tests, what_a_command_needs_must_be_set);
    tcase_add_test(tests, an_index_folder_alone_is_enough_for_reading_the_index);
    tcase_add_test(tests, tls_is_on_wherever_there_is_a_login_unless_it_is_said);
    tcase_add_loop_test(tests, what_does_not_fit_together_is_refused_and_what_fits_is_not, 0, COMBINATIONS);
    tcase_add_test(tests, the_environment_fills_in_yields_to_the_file_and_may_be_of_no_effect);
    tcase_add_test(tests, both_pages_name_every_option);
    tcase_add_test(tests, names_of_options_are_unique_and_every_one_explains_itself);
    return ck_hv_run("options", tests);
}
