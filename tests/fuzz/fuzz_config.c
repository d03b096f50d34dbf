/* A configuration file of any bytes: it is refused with one line, or taken; what was taken can be printed and taken again. */
#include <assert.h>

#include "common/config_file.h"
#include "tests/fuzz/fuzz_target.h"

/* Every value, printed as it would be written, must be accepted as it is and mean the same. */
static void
check_values(const hv_options *options)
{
    HV_AUTO(hv_options_clear) hv_options again;
    hv_option_place place = {.layer = HV_OPTION_FROM_COMMAND, .where = "again"};
    hv_err err;

    hv_options_init(&again);
    for (const hv_option *option = hv_option_table; option < hv_option_table + hv_option_count; option++) {
        HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(1 << 24), back = HV_BUF_INIT(1 << 24);
        bool pairs = option->type == HV_OPTION_PAIRS || option->type == HV_OPTION_FILE_PAIRS;
        hv_option_put_value(options, option, &value);
        assert(hv_buf_check(&value, &err) == HV_OK);
        if (value.len == 0 || value.len > HV_OPTION_VALUE_MAX || pairs)
            continue;
        assert(hv_options_set(&again, option->name, value.data, &place, &err) == HV_OK);
        hv_option_put_value(&again, option, &back);
        assert(hv_slice_equal(hv_buf_slice(&value), hv_buf_slice(&back)));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HV_AUTO(hv_options_clear) hv_options options;
    hv_err err = {0};

    hv_options_init(&options);
    if (hv_config_parse(&options, hv_slice_of(data, size), "fuzz.conf", "/folder", &err) != HV_OK) {
        assert(err.rc == HV_USAGE && strncmp(err.msg, "fuzz.conf:", 10) == 0 && strpbrk(err.msg, "\r\n") == NULL);
        return 0;
    }
    check_values(&options);
    if (hv_options_complete(&options, 0, &err) != HV_OK)
        assert(err.rc == HV_USAGE && err.msg[0] != '\0');
    return 0;
}
