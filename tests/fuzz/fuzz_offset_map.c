/* Any file as an offset map: it is refused, or told run by run, each one ascending in its source, and never counted past the largest offset. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replay/offset_map.h"
#include "tests/fuzz/fuzz_target.h"

typedef struct seen {
    uint32_t sources;
    int64_t runs;
} seen;

static hv_rc
see_source(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *err)
{
    seen *s = arg;

    (void)err;
    assert(number == s->sources);
    assert(source->from.incarnation > 0 && source->from.number >= 0 && source->to >= 0 && source->first >= 0 && source->begin >= 0);
    s->sources++;
    return HV_OK;
}

static hv_rc
see_run(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *err)
{
    seen *s = arg;

    (void)err;
    assert(source < s->sources);
    assert(old_first >= 0 && new_first >= 0 && count > 0);
    assert(old_first <= INT64_MAX - count && new_first <= INT64_MAX - count);
    s->runs++;
    return HV_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    static FILE *file;
    seen s = {.sources = 0};
    hv_offset_map_visitor visitor = {.arg = &s, .source = see_source, .run = see_run};
    hv_offset_map_head head;
    hv_err err;

    if (file == NULL) {
        file = tmpfile();
        assert(file != NULL);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    }
    int emptied = ftruncate(fileno(file), 0);
    ssize_t written = pwrite(fileno(file), data, size, 0);
    assert(emptied == 0 && written == (ssize_t)size);
    hv_rc rc = hv_offset_map_walk(path, &visitor, &head, &err);
    assert(rc == HV_OK || rc == HV_CORRUPT || rc == HV_VERSION);
    return 0;
}
