#include "common/json_out.h"

#include <jansson.h>

#include "common/json_wide.h"
#include "tests/harness/check_hv.h"

#define S(literal) {literal, sizeof literal - 1}

static const struct text {
    const char *data;
    size_t len;
} valid[] = {
    S("0"), S("-0"), S("1"), S("-12.5e+3"), S("1E9"), S("0.0"), S("1e400"), S("12345678901234567890123"), S("true"), S("false"), S("null"),
    S("\"\""), S("\"a\""), S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), S("\"\\ud83d\\ude00\""), S("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""),
    S("\"\x7f\""), S("\"\\u0000\""), S("[]"), S("{}"), S(" [ ] "), S("\t{ }\r\n"), S("[1,2,3]"), S("{\"a\":1}"), S("{\"a\":1,\"a\":2}"),
    S("{\"a\":{\"b\":[{},[],{\"c\":null}]}}"), S("[[],[[]],{}]"), S("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""), S("\"0123456\\n\""),
    S("\"01234567\\n\""), S("\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\""), S("\"\\uFFFF\""), S("{\"\":0}"),
};
enum { VALID = sizeof valid / sizeof *valid };

START_TEST(json_is_recognised)
{
    bool newline;

    ck_assert_msg(hv_json_valid(hv_slice_of(valid[_i].data, valid[_i].len), &newline), "%s", valid[_i].data);
}
END_TEST

static const struct text invalid[] = {
    S(""), S(" "), S("\0"), S("01"), S("-"), S("+1"), S("1."), S(".5"), S("1e"), S("1e+"), S("0x1"), S("1 2"), S("NaN"), S("Infinity"),
    S("-Infinity"), S("tru"), S("True"), S("truee"), S("nul"), S("\""), S("\"a"), S("'a'"), S("\"\\\""), S("\"\\x\""), S("\"\\u12\""),
    S("\"\\u12g4\""), S("\"\\ud800\""), S("\"\\udc00\""), S("\"\\ud800\\u0041\""), S("\"\\ud800x\""), S("\"\\ud800\\ud800\""), S("\"\n\""),
    S("\"\t\""), S("\"\0\""), S("\"\x1f\""), S("\"01234567\x1f\""), S("[1,]"), S("[,1]"), S("[1 2]"), S("["), S("]"), S("[[]"), S("[]]"),
    S("[}"), S("{]"), S("{"), S("}"), S("{\"a\"}"), S("{\"a\":}"), S("{\"a\":1,}"), S("{,}"), S("{a:1}"), S("{1:1}"), S("{\"a\":1 \"b\":2}"),
    S("{\"a\":1}}"), S("{\"a\" 1}"), S("{\"a\":1]"), S("[1}"), S("\xef\xbb\xbf{}"), S("\"\xff\""), S("\"\xc0\x80\""), S("\"\xed\xa0\x80\""),
    S("\"\xf4\x90\x80\x80\""), S("\"\xe2\x82\""), S("\"\xc3"), S("//\n1"), S("1 //"), S("1,"), S("\v1"), S("1\f"), S("1\0"), S("\xc2\xa0""1"),
    S("\"\\"), S("\"\\u"), S("{\"a\":1,\"b\"}"), S("[1,2"), S("\"a\"b"),
};
enum { INVALID = sizeof invalid / sizeof *invalid };

START_TEST(what_is_no_json_is_refused_and_writes_nothing)
{
    bool newline = true;

    ck_assert_msg(!hv_json_valid(hv_slice_of(invalid[_i].data, invalid[_i].len), &newline), "%s", invalid[_i].data);
    ck_assert(newline);
}
END_TEST

START_TEST(no_bytes_at_all_are_no_json)
{
    bool newline;

    ck_assert(!hv_json_valid(HV_SLICE_NULL, &newline));
}
END_TEST

START_TEST(a_line_break_between_tokens_is_reported_an_escaped_one_is_not)
{
    bool newline;

    ck_assert(hv_json_valid(hv_slice_text("{\"a\":\n1}"), &newline) && newline);
    ck_assert(hv_json_valid(hv_slice_text("1\r"), &newline) && newline);
    ck_assert(hv_json_valid(hv_slice_text("[\"\\n\", 1]\t"), &newline) && !newline);
}
END_TEST

/* What hv_json_valid() says, after every way that this machine has was seen to say the same. */
static bool
valid_in_every_way(hv_slice bytes, bool *newline)
{
    bool got = hv_json_valid(bytes, newline);

    for (hv_json_way way = hv_json_best_way(); way <= HV_JSON_BYTES; way++) {
        bool also_newline = got && !*newline;
        if (hv_json_valid_by(way, bytes, &also_newline) != got || (got && also_newline != *newline))
            ck_abort_msg("way %d says other than %d %d: %.*s", way, got, *newline, (int)bytes.len, (const char *)bytes.data);
    }
    return got;
}

static bool
nested_is_valid(size_t depth, const char *open, const char *middle, const char *close)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 20);
    bool newline;

    for (size_t i = 0; i < depth; i++)
        hv_buf_put_text(&text, open);
    hv_buf_put_text(&text, middle);
    for (size_t i = 0; i < depth; i++)
        hv_buf_put_text(&text, close);
    return valid_in_every_way(hv_buf_slice(&text), &newline);
}

START_TEST(nesting_is_followed_to_the_limit_and_refused_beyond_it)
{
    ck_assert(nested_is_valid(HV_JSON_MAX_DEPTH, "[", "1", "]"));
    ck_assert(!nested_is_valid(HV_JSON_MAX_DEPTH + 1, "[", "1", "]"));
    ck_assert(nested_is_valid(HV_JSON_MAX_DEPTH / 2, "[{\"a\":", "1", "}]"));
    ck_assert(!nested_is_valid(100000, "{\"a\":", "1", "}"));
    ck_assert(!nested_is_valid(HV_JSON_MAX_DEPTH / 2, "[{\"a\":", "1", "]}"));
}
END_TEST

/* jansson refuses what we refuse and more: numbers beyond a double; and it knows no byte order mark either. */
START_TEST(mutated_documents_are_judged_as_jansson_judges_them)
{
    static const char alphabet[] = "{}[]\",:\\u0dD8eE+-.19 tfnrls\n\x01\xc3\xa9\xf0";
    const char *seed = "{\"a\":[1,-2.5e3,true,false,null,\"x\\n\\u00e9\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":[[],{}]},\"d\":\"plain text here\"}";
    unsigned random = 12345, agreed_valid = 0;
    char text[256];

    for (int round = 0; round < 60000; round++) {
        size_t len = strlen(seed);
        bool newline;
        memcpy(text, seed, len + 1);
        for (int change = round % 4; change >= 0; change--) {
            random = random * 1103515245 + 12345;
            size_t at = (random >> 8) % len;
            random = random * 1103515245 + 12345;
            if ((random >> 16) % 3 == 0) {
                memmove(text + at, text + at + 1, len - at - 1);
                len--;
            } else {
                text[at] = alphabet[(random >> 8) % (sizeof alphabet - 1)];
            }
        }
        json_t *parsed = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        bool got = hv_json_valid(hv_slice_of(text, len), &newline);
        ck_assert_msg(got == (parsed != NULL), "%.*s: we say %d", (int)len, text, got);
        agreed_valid += got;
        json_decref(parsed);
    }
    ck_assert_uint_gt(agreed_valid, 1000);
}
END_TEST

/* Eight bytes are looked at at once: two odd neighbours at every place of them, and the bytes next to the odd ones. */
START_TEST(odd_bytes_are_found_wherever_they_stand)
{
    static const unsigned char odd[] = {0x00, 0x01, 0x1f, 0x20, 0x21, '"', '#', '[', '\\', ']', 'a', 0x7e, 0x7f, 0x80, 0xc3, 0xff};
    unsigned judged[2] = {0, 0};

    for (size_t at = 1; at < 24; at++)
        for (size_t i = 0; i < sizeof odd; i++)
            for (size_t j = 0; j < sizeof odd; j++) {
                char text[27] = "\"aaaaaaaaaaaaaaaaaaaaaaaa\"";
                bool newline;
                text[at] = (char)odd[i];
                text[at + 1] = (char)odd[j];
                json_t *parsed = json_loadb(text, 26, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
                bool got = hv_json_valid(hv_slice_of(text, 26), &newline);
                if (got != (parsed != NULL))
                    ck_abort_msg("%02x %02x at %zu: we say %d", odd[i], odd[j], at, got);
                judged[got]++;
                json_decref(parsed);
            }
    ck_assert(judged[0] > 1000 && judged[1] > 1000);
}
END_TEST

/* Documents of several chunks of 64 bytes, of every kind of token, shifted so that each token meets each border. */
static const char *const long_seeds[] = {
    "{\"id\":\"e55523bf-b09c\",\"n\":0,\"list\":[{\"p\":\"P-431\",\"q\":9},{\"p\":\"P-1\",\"q\":10},{}],\"t\":[true,false,null,-0.5e-7,[[],[1,23,0]]],\"e\":\"\"}",
    " {\n \"a\" : [ 1 , 2.50 , \"x\" ] ,\r\n\t\"b\" : { \"c\" : { } , \"d\" : [ ] } ,\n \"long name with blanks: [1,2]\" : \"{\\\"k\\\":[1,\\\"\\\\\\\"]}\" }\n ",
    "[\"\\u00e9\\ud83d\\ude00\\\\\\/\\b\",\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 text that goes on and on, beyond one chunk and into the next one\",12345678901234567890,\"z\"]",
    "[[[[[[[[0]]]]]]],{\"a\":{\"a\":{\"a\":{\"a\":[{\"a\":-1}]}}}},\"tail\",1e5,100,0,0,7,\"a:b\",\"c,d\",[],{},[{}],{\"\":0},\"\\\\\",\"\\\"\"]",
};
enum { LONG_SEEDS = sizeof long_seeds / sizeof *long_seeds };

START_TEST(long_mutated_documents_are_judged_as_jansson_judges_them_wherever_chunks_end)
{
    static const char alphabet[] = "{}[]\",:\\u0dD8eE+-.19 tfnrls\n\t\x01\xc3\xa9\xf0";
    const char *seed = long_seeds[_i];
    unsigned random = 4711, agreed[2] = {0, 0};
    char text[512];

    for (int round = 0; round < 40000; round++) {
        size_t shift = (size_t)round % 64, len = shift + strlen(seed);
        bool newline;
        memset(text, ' ', shift);
        memcpy(text + shift, seed, len - shift);
        for (int change = round / 64 % 4; change > 0; change--) {
            random = random * 1103515245 + 12345;
            size_t at = shift + (random >> 8) % (len - shift);
            random = random * 1103515245 + 12345;
            char c = alphabet[(random >> 8) % (sizeof alphabet - 1)];
            if ((random >> 20) % 3 == 0) {
                memmove(text + at, text + at + 1, len - at - 1);
                len--;
            } else if ((random >> 20) % 3 == 1) {
                memmove(text + at + 1, text + at, len - at);
                text[at] = c;
                len++;
            } else {
                text[at] = c;
            }
        }
        char *exact = malloc(len);      /* so that a sanitizer sees what is read behind the end */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, text, len);
        json_error_t why;
        json_t *parsed = json_loadb(exact, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
        bool got = valid_in_every_way(hv_slice_of(exact, len), &newline);
        bool too_large = parsed == NULL && json_error_code(&why) == json_error_numeric_overflow;
        ck_assert_msg(too_large || got == (parsed != NULL), "%.*s: we say %d", (int)len, exact, got);
        if (got && !newline)
            ck_assert(memchr(exact, '\n', len) == NULL && memchr(exact, '\r', len) == NULL);
        agreed[got]++;
        json_decref(parsed);
        free(exact);
    }
    ck_assert_uint_gt(agreed[0], 10000);
    ck_assert_uint_gt(agreed[1], 10000);
}
END_TEST

/* Of many tokens and chunks, more than are cut and judged at a time; with one change somewhere, or none. */
START_TEST(documents_of_thousands_of_tokens_are_judged_as_jansson_judges_them)
{
    static const char alphabet[] = "{}[]\",:\\0-.1 t\n\x01\xc3";
    unsigned random = 815, agreed[2] = {0, 0};

    for (int round = 0; round < 1500; round++) {
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 16);
        bool newline = false;
        for (int i = round % 67; i > 0; i--)
            hv_buf_put_byte(&text, ' ');
        hv_buf_put_text(&text, "{\"list\":[");
        for (int i = 0; i < 24 + round % 5; i++)
            hv_buf_printf(&text, "%s{\"p\":[%d,[{}]],\"text %.*s\":{\"n\":%d.5,\"t\":true},\"\":[[],[]]}", i > 0 ? "," : "", i,
                          (int)(random % 70), "some words that make it longer, and some more words behind these ones", i * 37);
        hv_buf_put_text(&text, "],\"end\":null}");
        random = random * 1103515245 + 12345;
        size_t at = (random >> 8) % text.len;
        random = random * 1103515245 + 12345;
        if (round % 8 > 0)
            text.data[at] = alphabet[(random >> 8) % (sizeof alphabet - 1)];
        json_t *parsed = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        bool got = valid_in_every_way(hv_buf_slice(&text), &newline);
        ck_assert_msg(got == (parsed != NULL), "%s: we say %d", text.data, got);
        agreed[got]++;
        json_decref(parsed);
    }
    ck_assert_uint_gt(agreed[0], 300);
    ck_assert_uint_gt(agreed[1], 300);
}
END_TEST

START_TEST(what_stands_behind_the_end_is_refused_wherever_that_is)
{
    static const char *const behind[] = {"", ",1", "]", "1", "[]", ":1", "\"\""};

    for (int count = 20; count < 200; count++)
        for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
            HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1000);
            bool newline = false;
            hv_buf_put_text(&text, "[  0");
            for (int more = 0; more < count; more++)
                hv_buf_put_text(&text, more % 5 > 0 ? ",1" : ",[]");
            hv_buf_put_text(&text, "]");
            hv_buf_put_text(&text, behind[i]);
            if (valid_in_every_way(hv_buf_slice(&text), &newline) != (i == 0))
                ck_abort_msg("%s", text.data);
        }
}
END_TEST

START_TEST(a_text_of_nothing_but_tokens_is_refused_within_its_room)
{
    static char text[3 * 2048 + 100];   /* enough for room for as many tokens as there may be at once to be too little */
    bool newline = false;

    for (size_t blanks = 0; blanks < 2; blanks++) {
        memset(text, ',', sizeof text);
        memcpy(text, "[0", 2);
        if (blanks == 1)
            memset(text + 63, ' ', 2048 - 63);
        ck_assert(!valid_in_every_way(hv_slice_of(text, sizeof text), &newline));
    }
}
END_TEST

START_TEST(a_number_with_a_zero_in_front_is_refused_wherever_the_chunk_ends)
{
    static const char *const texts[] = {"[00]", "[01]", "[-01]", "[0 0]", "[1.5", "[0]", "[10]", "[0.5]", "[-0]", "[1e5]"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t shift = 58; shift < 66; shift++) {
            char text[80];
            bool newline;
            size_t len = shift + strlen(texts[i]);
            memset(text, ' ', sizeof text);
            memcpy(text + shift, texts[i], strlen(texts[i]));
            if (valid_in_every_way(hv_slice_of(text, len), &newline) != (i >= 5))
                ck_abort_msg("%s at %zu", texts[i], shift);
        }
}
END_TEST

START_TEST(a_long_text_with_escaped_line_breaks_fits_on_one_line_and_one_with_real_ones_does_not)
{
    static const char one[] = "{\"text\":\"a\\nb\\r and so on, until there is more than one chunk of it, and still no line ends\",\"n\":1}";
    bool newline = true;

    ck_assert(valid_in_every_way(hv_slice_text(one), &newline) && !newline);
    for (size_t breaks = 0; breaks < 2; breaks++) {
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1000);
        hv_buf_put_text(&text, one);
        for (int i = 0; i < 200; i++)
            hv_buf_put_byte(&text, ' ');
        hv_buf_put_byte(&text, breaks == 0 ? '\n' : '\r');
        newline = false;
        ck_assert(valid_in_every_way(hv_buf_slice(&text), &newline) && newline);
    }
}
END_TEST

START_TEST(a_string_is_escaped_no_more_than_needed_and_parses_back_to_the_same_bytes)
{
    static const char all[] = "quote \" backslash \\ slash / tab \t nl \n cr \r bell \x07 del \x7f nul \0 \xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80 end";
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1000);

    ck_assert(hv_json_put_string(&text, hv_slice_of(all, sizeof all - 1)));
    ck_assert_str_eq(text.data, "\"quote \\\" backslash \\\\ slash / tab \\t nl \\n cr \\r bell \\u0007 del \x7f nul \\u0000 \xc3\xa9 \xe2\x80\xa8 "
                     "\xf0\x9f\x98\x80 end\"");
    json_t *parsed = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    ck_assert_ptr_nonnull(parsed);
    ck_assert(hv_slice_equal(hv_slice_of(json_string_value(parsed), json_string_length(parsed)), hv_slice_of(all, sizeof all - 1)));
    json_decref(parsed);
}
END_TEST

START_TEST(a_null_slice_is_an_empty_string)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(10);

    ck_assert(hv_json_put_string(&text, HV_SLICE_NULL));
    ck_assert_str_eq(text.data, "\"\"");
}
END_TEST

static const struct text bad_utf8[] = {
    S("\x80"), S("\xff"), S("\xc0\xaf"), S("\xc1\xbf"), S("\xc3"), S("\xe0\x9f\xbf"), S("\xed\xa0\x80"), S("\xed\xbf\xbf"), S("\xf0\x8f\xbf\xbf"),
    S("\xf4\x90\x80\x80"), S("\xf5\x80\x80\x80"), S("\xe2\x82"), S("\xf0\x9f\x98"), S("\xe2\x28\xa1"), S("plain \xc3( text"),
    S("12345678\x80"), S("1234567\x80"), S("\xc3\xa9\xa9"),
};
enum { BAD_UTF8 = sizeof bad_utf8 / sizeof *bad_utf8 };

START_TEST(invalid_utf8_is_found_by_both_and_leaves_the_buffer_as_it_was)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(100);
    hv_slice bytes = hv_slice_of(bad_utf8[_i].data, bad_utf8[_i].len);

    ck_assert(!hv_utf8_valid(bytes));
    hv_buf_put_text(&text, "before");
    ck_assert(!hv_json_put_string(&text, bytes));
    ck_assert_str_eq(text.data, "before");
}
END_TEST

START_TEST(every_code_point_is_valid_in_its_shortest_form_and_surrogates_are_not)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(100);
    unsigned wrong = 0;

    for (unsigned code = 0; code <= 0x10ffff; code++) {
        char bytes[5];
        int len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (int i = len - 1, rest = (int)code; i >= 0; i--, rest >>= 6)
            bytes[i] = (char)(i > 0 ? 0x80 | (rest & 0x3f) : (int)lead[len] | rest);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        hv_buf_clear(&text);
        if (hv_utf8_valid(hv_slice_of(bytes, (size_t)len)) == surrogate || hv_json_put_string(&text, hv_slice_of(bytes, (size_t)len)) == surrogate)
            wrong++;
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(for_eyes_bytes_that_are_no_utf8_become_the_replacement_character)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(100);

    hv_json_put_lossy(&text, hv_slice_text("a\xff" "b\xc3"));
    ck_assert_str_eq(text.data, "\"a\xef\xbf\xbd" "b\xef\xbf\xbd\"");
}
END_TEST

START_TEST(a_string_that_finds_no_room_fails_in_the_buffer)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(4);

    ck_assert(hv_json_put_string(&text, hv_slice_text("abc")));
    ck_hv_fails(HV_LIMIT, hv_buf_check(&text, &err));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("json out");
    tcase_add_loop_test(tests, json_is_recognised, 0, VALID);
    tcase_add_loop_test(tests, what_is_no_json_is_refused_and_writes_nothing, 0, INVALID);
    tcase_add_test(tests, no_bytes_at_all_are_no_json);
    tcase_add_test(tests, a_line_break_between_tokens_is_reported_an_escaped_one_is_not);
    tcase_add_test(tests, nesting_is_followed_to_the_limit_and_refused_beyond_it);
    tcase_add_test(tests, mutated_documents_are_judged_as_jansson_judges_them);
    tcase_add_test(tests, odd_bytes_are_found_wherever_they_stand);
    tcase_add_loop_test(tests, long_mutated_documents_are_judged_as_jansson_judges_them_wherever_chunks_end, 0, LONG_SEEDS);
    tcase_add_test(tests, documents_of_thousands_of_tokens_are_judged_as_jansson_judges_them);
    tcase_add_test(tests, what_stands_behind_the_end_is_refused_wherever_that_is);
    tcase_add_test(tests, a_text_of_nothing_but_tokens_is_refused_within_its_room);
    tcase_add_test(tests, a_number_with_a_zero_in_front_is_refused_wherever_the_chunk_ends);
    tcase_add_test(tests, a_long_text_with_escaped_line_breaks_fits_on_one_line_and_one_with_real_ones_does_not);
    tcase_add_test(tests, a_string_is_escaped_no_more_than_needed_and_parses_back_to_the_same_bytes);
    tcase_add_test(tests, a_null_slice_is_an_empty_string);
    tcase_add_loop_test(tests, invalid_utf8_is_found_by_both_and_leaves_the_buffer_as_it_was, 0, BAD_UTF8);
    tcase_add_test(tests, every_code_point_is_valid_in_its_shortest_form_and_surrogates_are_not);
    tcase_add_test(tests, for_eyes_bytes_that_are_no_utf8_become_the_replacement_character);
    tcase_add_test(tests, a_string_that_finds_no_room_fails_in_the_buffer);
    return ck_hv_run("json out", tests);
}
