/* The file is read into a block of the largest size, so that no copy of a part of it is left behind by growing. */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SHORTEST_TO_REDACT = 4 };

void
hv_secret_wipe(hv_secret *secret)
{
    if (secret->text != NULL)
        explicit_bzero(secret->text, secret->len);
    free(secret->text);
    *secret = (hv_secret){0};
}

hv_rc
hv_secret_set(hv_secret *secret, const char *text, size_t len, hv_err *err)
{
    char *copy = malloc(len + 1);

    if (copy == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a secret of %zu bytes", len);
    memcpy(copy, text, len);
    copy[len] = '\0';
    hv_secret_wipe(secret);
    *secret = (hv_secret){.text = copy, .len = len};
    return HV_OK;
}

/* At most size bytes; -1 on failure, with errno. */
static ssize_t
read_file(const char *path, char *to, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    while (used < size && got > 0) {
        got = read(fd, to + used, size - used);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            used += (size_t)got;
    }
    int failed = got < 0 ? errno : 0;
    (void)close(fd);
    errno = failed;
    return got < 0 ? -1 : (ssize_t)used;
}

static hv_rc
check_text(const char *text, size_t len, const char *path, const char *what, hv_err *err)
{
    if (len == 0)
        return hv_err_set(err, HV_USAGE, "the %s file '%s' is empty", what, path);
    if (len > HV_SECRET_MAX)
        return hv_err_set(err, HV_USAGE, "the %s file '%s' has more than %d bytes", what, path, HV_SECRET_MAX);
    if (memchr(text, '\0', len) != NULL || memchr(text, '\n', len) != NULL || memchr(text, '\r', len) != NULL)
        return hv_err_set(err, HV_USAGE, "the %s file '%s' has to be one line of text", what, path);
    return HV_OK;
}

hv_rc
hv_secret_read(const char *path, const char *what, hv_secret *ret, hv_err *err)
{
    enum { SIZE = HV_SECRET_MAX + 3 };  /* "\r\n" behind the longest, and one to see that there is more */
    char *bytes;

    if (strncmp(path, HV_CREDENTIAL_PREFIX, sizeof HV_CREDENTIAL_PREFIX - 1) == 0)
        return hv_err_set(err, HV_NOT_FOUND, "the %s is '%s', and $CREDENTIALS_DIRECTORY is not set: the service manager sets it for the service",
                          what, path);
    bytes = malloc(SIZE);
    if (bytes == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to read the %s file '%s'", what, path);
    ssize_t got = read_file(path, bytes, SIZE);
    if (got < 0) {
        int failed = errno;
        free(bytes);
        return hv_err_set(err, failed == ENOENT ? HV_NOT_FOUND : HV_IO, "cannot read the %s file '%s': %s", what, path,
                          strerrordesc_np(failed));
    }
    size_t len = (size_t)got;
    len -= len > 0 && bytes[len - 1] == '\n';
    len -= len > 0 && bytes[len - 1] == '\r';
    hv_rc rc = check_text(bytes, len, path, what, err);
    if (rc == HV_OK)
        rc = hv_secret_set(ret, bytes, len, err);
    explicit_bzero(bytes, (size_t)got);
    free(bytes);
    return rc;
}

void
hv_secret_redact(const hv_secret *secret, char *text)
{
    if (secret->text == NULL || secret->len < SHORTEST_TO_REDACT)
        return;
    for (char *at = text; (at = strstr(at, secret->text)) != NULL; at += secret->len)
        memset(at, '*', secret->len);
}
