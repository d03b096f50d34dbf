#include "common/base64.h"

#include "tests/harness/check_hv.h"

/* RFC 4648 section 10. */
static const struct vector {
    const char *bytes, *standard, *url;
} vectors[] = {
    {"", "", ""}, {"f", "Zg==", "Zg"}, {"fo", "Zm8=", "Zm8"}, {"foo", "Zm9v", "Zm9v"}, {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"}, {"foobar", "Zm9vYmFy", "Zm9vYmFy"}, {"\xfb\xff\xbf", "+/+/", "-_-_"},
};
enum { VECTORS = sizeof vectors / sizeof *vectors };

START_TEST(the_vectors_of_the_rfc_encode_and_decode)
{
    const char *const want[] = {vectors[_i].standard, vectors[_i].url};

    for (int alphabet = 0; alphabet < 2; alphabet++) {
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(100);
        HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(100);
        hv_base64_encode((hv_base64_alphabet)alphabet, hv_slice_text(vectors[_i].bytes), &text);
        ck_assert(hv_slice_equal(hv_buf_slice(&text), hv_slice_text(want[alphabet])));
        ck_assert(hv_base64_decode((hv_base64_alphabet)alphabet, hv_buf_slice(&text), &bytes));
        ck_assert(hv_slice_equal(hv_buf_slice(&bytes), hv_slice_text(vectors[_i].bytes)));
    }
}
END_TEST

START_TEST(every_byte_at_every_place_comes_back)
{
    for (int alphabet = 0; alphabet < 2; alphabet++)
        for (unsigned byte = 0; byte < 256; byte++)
            for (size_t len = 1; len <= 7; len++) {
                HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(100);
                HV_AUTO(hv_buf_free) hv_buf back = HV_BUF_INIT(100);
                unsigned char bytes[7] = {0};
                bytes[len - 1] = (unsigned char)byte;
                bytes[0] ^= 0xff;
                hv_base64_encode((hv_base64_alphabet)alphabet, hv_slice_of(bytes, len), &text);
                ck_assert(hv_base64_decode((hv_base64_alphabet)alphabet, hv_buf_slice(&text), &back));
                ck_assert(hv_slice_equal(hv_buf_slice(&back), hv_slice_of(bytes, len)));
            }
}
END_TEST

static const struct refused {
    hv_base64_alphabet alphabet;
    const char *text;
} refused[] = {
    {HV_BASE64_STANDARD, "Zg"}, {HV_BASE64_STANDARD, "Zg="}, {HV_BASE64_STANDARD, "Zh=="}, {HV_BASE64_STANDARD, "Zm9="},
    {HV_BASE64_STANDARD, "===="}, {HV_BASE64_STANDARD, "Z==="}, {HV_BASE64_STANDARD, "-_-_"}, {HV_BASE64_STANDARD, "Zm 9v"},
    {HV_BASE64_STANDARD, "Zm9v\n"}, {HV_BASE64_STANDARD, "Zg==Zg=="}, {HV_BASE64_STANDARD, "="},
    {HV_BASE64_URL, "Zg=="}, {HV_BASE64_URL, "Z"}, {HV_BASE64_URL, "Zh"}, {HV_BASE64_URL, "Zm9"}, {HV_BASE64_URL, "+/+/"},
    {HV_BASE64_URL, "Zm9vZ"}, {HV_BASE64_URL, "Zm9v="},
};
enum { REFUSED = sizeof refused / sizeof *refused };

START_TEST(text_that_no_encoder_makes_is_refused_and_leaves_the_buffer_as_it_was)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(100);

    hv_buf_put_text(&bytes, "before");
    ck_assert(!hv_base64_decode(refused[_i].alphabet, hv_slice_text(refused[_i].text), &bytes));
    ck_assert_str_eq(bytes.data, "before");
}
END_TEST

START_TEST(a_lack_of_room_is_kept_in_the_buffer)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf small = HV_BUF_INIT(5), tiny = HV_BUF_INIT(3);

    hv_base64_encode(HV_BASE64_STANDARD, hv_slice_text("foob"), &small);
    ck_hv_fails(HV_LIMIT, hv_buf_check(&small, &err));
    ck_assert(hv_base64_decode(HV_BASE64_STANDARD, hv_slice_text("Zm9vYg=="), &tiny));
    ck_hv_fails(HV_LIMIT, hv_buf_check(&tiny, &err));
    ck_assert_uint_eq(small.len + tiny.len, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("base64");
    tcase_add_loop_test(tests, the_vectors_of_the_rfc_encode_and_decode, 0, VECTORS);
    tcase_add_test(tests, every_byte_at_every_place_comes_back);
    tcase_add_loop_test(tests, text_that_no_encoder_makes_is_refused_and_leaves_the_buffer_as_it_was, 0, REFUSED);
    tcase_add_test(tests, a_lack_of_room_is_kept_in_the_buffer);
    return ck_hv_run("base64", tests);
}
