#include "common/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

hv_rc
hv_random_fill(void *to, size_t len, hv_err *err)
{
    unsigned char *at = to;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return hv_err_set(err, HV_IO, "no random bytes from the system: %s", strerror(errno));
        at += got;
        len -= (size_t)got;
    }
    return HV_OK;
}

int64_t
hv_random_jitter(int64_t ms)
{
    uint32_t random = 1u << 31;         /* the middle, if there are no random bytes */
    hv_err unneeded;

    (void)!hv_random_fill(&random, sizeof random, &unneeded);
    return ms * 3 / 4 + (int64_t)((double)ms / 2 * ((double)random / 4294967296.0));
}
