#include "common/json_out.h"

#include "common/json_scan.h"

static void
put_escaped(hv_buf *to, unsigned char c)
{
    switch (c) {
    case '"': hv_buf_put(to, "\\\"", 2); break;
    case '\\': hv_buf_put(to, "\\\\", 2); break;
    case '\n': hv_buf_put(to, "\\n", 2); break;
    case '\r': hv_buf_put(to, "\\r", 2); break;
    case '\t': hv_buf_put(to, "\\t", 2); break;
    default: hv_buf_printf(to, "\\u%04x", c);
    }
}

static bool
put_string(hv_buf *to, hv_slice text, bool lossy)
{
    const unsigned char *at = text.data, *end = text.len > 0 ? at + text.len : at;
    size_t before = to->len;

    hv_buf_put_byte(to, '"');
    while (at < end) {
        const unsigned char *plain = at;
        size_t len = 1;
        at = skip_plain(at, end);
        while (at < end && *at >= 0x80 && (len = character_len(at, end)) > 0)
            at = skip_plain(at + len, end);
        hv_buf_put(to, plain, (size_t)(at - plain));
        if (len == 0 && !lossy) {
            if (to->data != NULL)
                to->data[to->len = before] = '\0';
            return false;
        }
        if (at < end && len == 0)
            hv_buf_put_text(to, "\xef\xbf\xbd");
        else if (at < end)
            put_escaped(to, *at);
        if (at < end)
            at++;
    }
    hv_buf_put_byte(to, '"');
    return true;
}

bool
hv_json_put_string(hv_buf *to, hv_slice text)
{
    return put_string(to, text, false);
}

void
hv_json_put_lossy(hv_buf *to, hv_slice text)
{
    (void)put_string(to, text, true);
}
