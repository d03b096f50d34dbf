/*
 * Text that decides how and where we log in: a connection string, the answer of a token endpoint, a URL. What is taken fits its fields and
 * cannot break out of a header or a message; what is refused leaves nothing behind, and what is said about it holds no part of a key.
 */
#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>

#include "common/http.h"
#include "common/token_answer.h"
#include "source/connection_string.h"
#include "tests/fuzz/fuzz_target.h"

enum { MOST = 8192, TEN_DAYS_MS = 10 * 24 * 3600 * 1000 };

static bool
is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* The name of a field, its value, and that the last field of that name has it: what a reader of the documentation would do. */
static bool
has_field(const char *text, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);

    for (const char *at = text; at != NULL; at = strchr(at, ';') != NULL ? strchr(at, ';') + 1 : NULL) {
        const char *from = at + strspn(at, " ");
        if (strncasecmp(from, name, name_len) == 0 && from[name_len] == '=' && strncmp(from + name_len + 1, value, value_len) == 0 &&
            (from[name_len + 1 + value_len] == ';' || from[name_len + 1 + value_len] == '\0'))
            return true;
    }
    return false;
}

static void
check_connection_string(const char *text)
{
    HV_AUTO(hv_connection_string_clear) hv_connection_string parsed = {.host = ""}, none = {.host = ""};
    hv_err err;

    hv_rc rc = hv_connection_string_parse(text, &parsed, &err);
    if (rc != HV_OK) {
        assert(rc == HV_USAGE && memcmp(&parsed, &none, sizeof none) == 0 && is_printable(err.msg));
        return;
    }
    assert(parsed.host[0] != '\0' && strpbrk(parsed.host, "/:; @") == NULL && is_printable(parsed.host));
    assert(parsed.key.text != NULL && parsed.key.len > 0 && strlen(parsed.key.text) == parsed.key.len);
    assert(has_field(text, "SharedAccessKey", parsed.key.text) && has_field(text, "SharedAccessKeyName", parsed.key_name));
    assert(parsed.entity_path[0] == '\0' || has_field(text, "EntityPath", parsed.entity_path));
}

static void
check_token_answer(hv_slice json)
{
    hv_token_answer answer = {.refresh_ms = 0};
    char why[300];
    hv_err err;

    hv_rc rc = hv_token_answer_parse(json, 1700000000000, &answer, &err);
    if (rc == HV_OK) {
        assert(answer.token.len > 0 && strlen(answer.token.text) == answer.token.len && is_printable(answer.token.text));
        assert(strpbrk(answer.token.text, " \r\n") == NULL);
        assert(answer.lifetime_ms > 0 && answer.lifetime_ms <= TEN_DAYS_MS);
        assert(answer.refresh_ms == -1 || (answer.refresh_ms > 0 && answer.refresh_ms <= answer.lifetime_ms));
    } else {
        assert(rc == HV_CORRUPT && answer.token.text == NULL && answer.lifetime_ms == 0 && is_printable(err.msg));
    }
    hv_secret_wipe(&answer.token);
    hv_token_error_text(json, why, sizeof why);
    assert(why[0] != '\0' && is_printable(why));
}

/* Is this machine, or its link, where curl would go? Then no proxy is used and a secret may go without TLS, so a yes has to be right. */
static void
check_url(const char *text)
{
    CURLU *url = curl_url();
    char *host = NULL;

    assert(url != NULL);
    if (hv_http_is_near(text) && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        assert(strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strncmp(host, "169.254.", 8) == 0 ||
               strcmp(host, "[::1]") == 0 || strncasecmp(host, "[fe80:", 6) == 0);
    curl_free(host);
    curl_url_cleanup(url);
}

static void
check_escaped(const char *text)
{
    HV_AUTO(hv_buf_free) hv_buf to = HV_BUF_INIT(4 * MOST);
    int len = 0;

    hv_http_put_escaped(&to, text);
    assert(to.failed == HV_OK && strpbrk(hv_buf_slice(&to).data, " \r\n/?#&=+\"<>") == NULL);
    char *back = curl_easy_unescape(NULL, hv_buf_slice(&to).data, (int)to.len, &len);
    assert(back != NULL && (size_t)len == strlen(text) && memcmp(back, text, (size_t)len) == 0);
    curl_free(back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MOST)
        return 0;
    char *text = malloc(size + 1);
    assert(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_connection_string(text);
    check_token_answer(hv_slice_of(text, size));
    check_url(text);
    check_escaped(text);
    free(text);
    return 0;
}
