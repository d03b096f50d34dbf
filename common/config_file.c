/*
 * The whole text is read first, up to its limit, and checked line by line; a line is copied into a buffer of its own, so that names and
 * values are C strings without a NUL inside: that character is refused before.
 */
#include "common/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json_out.h"

static const char *
skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

static void
cut_blanks_behind(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    text[len] = '\0';
}

static hv_rc
check_bytes(hv_slice line, const char *where, hv_err *err)
{
    const unsigned char *bytes = line.data;

    if (line.len > HV_CONFIG_MAX_LINE)
        return hv_err_set(err, HV_USAGE, "%s:%d: a line has %d bytes at most, not %zu", where, HV_CONFIG_MAX_LINE + 1, HV_CONFIG_MAX_LINE,
                          line.len);
    for (size_t i = 0; i < line.len; i++)
        if ((bytes[i] < 0x20 && bytes[i] != '\t') || bytes[i] == 0x7f)
            return hv_err_set(err, HV_USAGE, "%s:%zu: there is a control character (0x%02x)", where, i + 1, bytes[i]);
    if (!hv_utf8_valid(line))
        return hv_err_set(err, HV_USAGE, "%s:1: this is not UTF-8 text", where);
    return HV_OK;
}

/* text: one line, checked, without its end; it is taken apart in place. *place is that of the line. */
static hv_rc
parse_line(hv_options *options, char *text, hv_option_place *place, hv_err *err)
{
    const char *first = skip_blanks(text);

    if (*first == '\0' || *first == '#')
        return HV_OK;
    char *name = text + (first - text), *equals = strchr(name, '=');
    place->name_column = (unsigned)(name - text) + 1;
    if (equals == NULL)
        return hv_err_set(err, HV_USAGE, "%s:%u: a line is 'name = value' or a comment that begins with '#', not '%.100s'", place->where,
                          place->name_column, name);
    *equals = '\0';
    cut_blanks_behind(name);
    char *value = equals + 1 + strspn(equals + 1, " \t");
    cut_blanks_behind(value);
    place->column = (unsigned)(value - text) + 1;
    const char *comment = strstr(value, " #") != NULL ? strstr(value, " #") : strstr(value, "\t#");
    if (comment != NULL)
        return hv_err_set(err, HV_USAGE, "%s:%zu: a comment needs a line of its own, it cannot follow the value of '%.100s'", place->where,
                          (size_t)(comment - text) + 2, name);
    return hv_options_set(options, name, value, place, err);
}

hv_rc
hv_config_parse(hv_options *options, hv_slice text, const char *name, const char *folder, hv_err *err)
{
    const char *at = text.data, *end = text.len > 0 ? at + text.len : at;
    HV_AUTO(hv_buf_free) hv_buf line = HV_BUF_INIT(HV_CONFIG_MAX_LINE), where = HV_BUF_INIT(HV_CONFIG_MAX_LINE);

    for (unsigned number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        hv_buf_clear(&where);
        hv_buf_printf(&where, "%s:%u", name, number);
        hv_rc rc = hv_buf_check(&where, err);
        if (rc == HV_OK)
            rc = check_bytes(hv_slice_of(at, len > 0 && newline != NULL && at[len - 1] == '\r' ? len - 1 : len), where.data, err);
        if (rc != HV_OK)
            return rc;
        hv_buf_clear(&line);
        hv_buf_put(&line, at, len > 0 && at[len - 1] == '\r' ? len - 1 : len);
        rc = hv_buf_check(&line, err);
        if (rc == HV_OK)
            rc = parse_line(options, line.data, &(hv_option_place){.layer = HV_OPTION_FROM_FILE, .where = where.data, .folder = folder}, err);
        if (rc != HV_OK)
            return rc;
        at += newline != NULL ? len + 1 : len;
    }
    return HV_OK;
}

static hv_rc
read_all(int fd, const char *path, hv_buf *ret, hv_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return hv_err_set(err, HV_IO, "cannot look at '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        return hv_err_set(err, HV_USAGE, "'%s' is not a file", path);
    for (;;) {
        char piece[4096];
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return hv_err_set(err, HV_IO, "cannot read '%s': %s", path, strerror(errno));
        if (got == 0)
            return hv_buf_check(ret, err);
        hv_buf_put(ret, piece, (size_t)got);
        if (ret->failed == HV_LIMIT)
            return hv_err_set(err, HV_USAGE, "'%s' is too long for a configuration: it has more than %d bytes", path, HV_CONFIG_MAX_BYTES);
    }
}

hv_rc
hv_config_load(hv_options *options, const char *path, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_CONFIG_MAX_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return hv_err_set(err, errno == ENOENT || errno == ENOTDIR ? HV_NOT_FOUND : HV_IO, "cannot open the configuration '%s': %s", path,
                          strerror(errno));
    hv_rc rc = read_all(fd, path, &text, err);
    (void)close(fd);
    if (rc != HV_OK)
        return rc;

    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the name of a folder");
    rc = hv_config_parse(options, hv_buf_slice(&text), path, folder, err);
    free(folder);
    return rc;
}
