/*
 * The first HV_OUT_AHEAD rows of a table wait until the widths of its columns are known; what follows is printed with these widths, so a
 * million rows take no more memory than five hundred.
 *
 * stdio remembers the first write error of a stream, so single writes are not checked; hv_out_finish() asks once. fflush() alone would
 * not do: it reports only what was still buffered, not what an earlier flush lost.
 */
#include "cli/out.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "common/json_out.h"
#include "common/size_text.h"
#include "common/time_text.h"

enum { ROW_LIMIT = 64 << 20 };

void
hv_out_start(hv_out *out, FILE *to, bool json)
{
    *out = (hv_out){.to = to, .json = json, .row = HV_BUF_INIT(ROW_LIMIT)};
}

static bool
to_the_right(hv_out_type type)
{
    return type == HV_OUT_NUMBER || type == HV_OUT_SIZE || type == HV_OUT_DURATION;
}

/* Columns on a terminal: one per character, which is right for all we print. */
static size_t
width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t
last_shown(const hv_out *out)
{
    size_t last = 0;

    for (size_t i = 0; i < out->column_count; i++)
        last = out->columns[i].json_only ? last : i;
    return last;
}

/* Trailing blanks are of no use to anybody. */
static void
print_cell(hv_out *out, size_t i, const char *text)
{
    size_t pad = out->widths[i] > width_of(text) ? out->widths[i] - width_of(text) : 0;
    bool last = i == last_shown(out), right = to_the_right(out->columns[i].type);

    fprintf(out->to, "%*s%s%*s%s", right ? (int)pad : 0, "", text, right || last ? 0 : (int)pad, "", last ? "\n" : "  ");
}

static const char *
heading_of(const hv_column *column, char room[64])
{
    size_t i = 0;

    if (column->heading != NULL)
        return column->heading;
    for (; column->name[i] != '\0' && i < 63; i++)
        room[i] = column->name[i] == '_' ? ' ' : (char)toupper((unsigned char)column->name[i]);
    room[i] = '\0';
    return room;
}

static void
print_heading(hv_out *out)
{
    char room[64];

    for (size_t i = 0; i < out->column_count; i++)
        if (!out->columns[i].json_only)
            print_cell(out, i, heading_of(&out->columns[i], room));
}

static void
print_waiting(hv_out *out)
{
    const char *cell = out->row.data;

    for (size_t row = 0; row < out->waiting; row++)
        for (size_t i = 0; i < out->column_count; i++) {
            if (!out->columns[i].json_only)
                print_cell(out, i, cell);
            cell += strlen(cell) + 1;
        }
    out->waiting = 0;
    hv_buf_clear(&out->row);
}

static void
finish_table(hv_out *out)
{
    assert(out->at == 0);
    if (out->columns == NULL || out->json || out->row.failed != HV_OK)
        return;
    if (!out->streaming)
        print_heading(out);
    print_waiting(out);
    out->columns = NULL;
}

void
hv_out_table(hv_out *out, const hv_column *columns, size_t count)
{
    char room[64];

    assert(count > 0 && count <= HV_OUT_COLUMNS);
    finish_table(out);
    out->columns = columns;
    out->column_count = count;
    out->streaming = false;
    for (size_t i = 0; i < count; i++)
        out->widths[i] = width_of(heading_of(&columns[i], room));
}

/* A tab, newline or escape sequence inside a value must break neither the row nor the terminal. */
static void
put_plain(hv_buf *to, const char *value)
{
    size_t before = to->len;

    if (hv_utf8_valid(hv_slice_text(value)))
        hv_buf_put_text(to, value);
    else
        for (; *value != '\0'; value++)
            hv_buf_put_byte(to, (unsigned char)*value < 0x80 ? (unsigned char)*value : '?');
    for (size_t i = before; i < to->len; i++) {
        unsigned char c = (unsigned char)to->data[i];
        /* C1 control characters are C2 80 to C2 9F */
        bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)to->data[i + 1] < 0xa0);
        if (control && c == 0xc2)
            to->data[i + 1] = '?';
        if (control)
            to->data[i] = '?';
    }
}

/* NULL: absent. */
static void
put_cell(hv_out *out, const char *text)
{
    size_t before = out->row.len;

    put_plain(&out->row, text != NULL ? text : "-");
    if (out->row.failed == HV_OK && !out->streaming) {
        size_t width = width_of(out->row.data + before);
        out->widths[out->at] = width > out->widths[out->at] ? width : out->widths[out->at];
    }
    hv_buf_put_byte(&out->row, '\0');
    out->at++;
}

/* NULL: absent. */
static void
put_field(hv_out *out, const char *text, bool quoted)
{
    hv_buf_printf(&out->row, "%s\"%s\":", out->at == 0 ? "{" : ",", out->columns[out->at].name);
    if (quoted)
        hv_json_put_lossy(&out->row, hv_slice_text(text));
    else
        hv_buf_put_text(&out->row, text != NULL ? text : "null");
    out->at++;
}

void
hv_out_text(hv_out *out, const char *value)
{
    assert(out->at < out->column_count && out->columns[out->at].type == HV_OUT_TEXT);
    if (out->json)
        put_field(out, value, true);
    else
        put_cell(out, value);
}

void
hv_out_absent(hv_out *out)
{
    assert(out->at < out->column_count);
    if (out->json)
        put_field(out, NULL, false);
    else
        put_cell(out, NULL);
}

static void
put_number_field(hv_out *out, int64_t value)
{
    char text[32];

    if (out->columns[out->at].type == HV_OUT_TIME) {
        put_field(out, hv_time_format(value).text, true);
        return;
    }
    if (out->columns[out->at].type == HV_OUT_YES_NO)
        (void)snprintf(text, sizeof text, "%s", value != 0 ? "true" : "false");
    else
        (void)snprintf(text, sizeof text, "%" PRId64, value);
    put_field(out, text, false);
}

void
hv_out_number(hv_out *out, int64_t value)
{
    char text[32];

    assert(out->at < out->column_count && out->columns[out->at].type != HV_OUT_TEXT);
    if (out->json) {
        put_number_field(out, value);
        return;
    }
    switch (out->columns[out->at].type) {
    case HV_OUT_SIZE:
        put_cell(out, hv_size_round((uint64_t)value).text);
        break;
    case HV_OUT_DURATION:
        put_cell(out, hv_duration_round(value).text);
        break;
    case HV_OUT_TIME:
        put_cell(out, hv_time_format(value).text);
        break;
    case HV_OUT_YES_NO:
        put_cell(out, value != 0 ? "yes" : "no");
        break;
    case HV_OUT_TEXT: case HV_OUT_NUMBER:
        (void)snprintf(text, sizeof text, "%" PRId64, value);
        put_cell(out, text);
        break;
    }
}

void
hv_out_row_end(hv_out *out)
{
    assert(out->at == out->column_count);
    out->at = 0;
    if (out->row.failed != HV_OK)
        return;
    if (out->json) {
        hv_buf_put_text(&out->row, "}\n");
        fwrite(out->row.data, 1, out->row.len, out->to);
        hv_buf_clear(&out->row);
        return;
    }
    out->waiting++;
    if (!out->streaming && out->waiting < HV_OUT_AHEAD)
        return;
    if (!out->streaming)
        print_heading(out);
    out->streaming = true;
    print_waiting(out);
}

void
hv_out_say(hv_out *out, const char *fmt, ...)
{
    va_list args;

    if (out->json)
        return;
    finish_table(out);
    va_start(args, fmt);
    (void)vfprintf(out->to, fmt, args);
    va_end(args);
    fputc('\n', out->to);
}

hv_rc
hv_out_finish(hv_out *out, hv_err *err)
{
    finish_table(out);
    hv_rc rc = hv_buf_check(&out->row, err);
    hv_buf_free(&out->row);
    if (rc != HV_OK)
        return hv_err_prefix(err, "cannot keep the rows of a table");
    errno = 0;
    if (fflush(out->to) != 0 || ferror(out->to))
        return errno != 0 ? hv_err_set(err, HV_IO, "cannot write all output: %s", strerror(errno))
                          : hv_err_set(err, HV_IO, "cannot write all output");
    return HV_OK;
}
