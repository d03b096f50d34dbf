/* The lengths in messages are those of the types, so they cannot go stale. */
#include "common/partition.h"

#include <string.h>

static bool
only_of(const char *text, bool (*allowed)(char))
{
    for (; *text != '\0'; text++)
        if (!allowed(*text))
            return false;
    return true;
}

static bool
is_class_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool
is_hub_char(char c)
{
    return is_class_char(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_';
}

hv_rc
hv_hub_name_check(const char *hub, hv_err *err)
{
    size_t len = strlen(hub);

    if (len == 0 || len >= HV_HUB_SIZE)
        return hv_err_set(err, HV_USAGE, "the name of a hub has 1 to %d bytes, not %zu: '%.40s'", HV_HUB_SIZE - 1, len, hub);
    if (!only_of(hub, is_hub_char) || strcmp(hub, ".") == 0 || strcmp(hub, "..") == 0)
        return hv_err_set(err, HV_USAGE, "the name of a hub has letters, digits, '.', '_' and '-' only, not '%s'", hub);
    return HV_OK;
}

hv_rc
hv_partition_make(const char *hub, uint32_t incarnation, int32_t number, hv_partition *ret, hv_err *err)
{
    hv_rc rc = hv_hub_name_check(hub, err);

    if (rc != HV_OK)
        return rc;
    if (number < 0)
        return hv_err_set(err, HV_USAGE, "the number of a partition is 0 or more, not %d", (int)number);
    *ret = (hv_partition){.incarnation = incarnation, .number = number};
    memcpy(ret->hub, hub, strlen(hub));
    return HV_OK;
}

int
hv_partition_compare(const hv_partition *a, const hv_partition *b)
{
    int by_hub = strcmp(a->hub, b->hub);

    if (by_hub != 0)
        return by_hub;
    if (a->incarnation != b->incarnation)
        return a->incarnation < b->incarnation ? -1 : 1;
    return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

hv_rc
hv_class_name_check(const char *class_name, hv_err *err)
{
    size_t len = strlen(class_name);

    if (len == 0 || len >= HV_CLASS_SIZE)
        return hv_err_set(err, HV_USAGE, "the name of a class has 1 to %d bytes, not %zu", HV_CLASS_SIZE - 1, len);
    if (!only_of(class_name, is_class_char) || class_name[0] < 'a')
        return hv_err_set(err, HV_USAGE, "the name of a class begins with a letter and has a-z, 0-9 and '-' only, not '%s'",
                          class_name);
    return HV_OK;
}

static const char *const cause_texts[] = {
#define CAUSE_TEXT(name, text, meaning) text,
    HV_GAP_CAUSE_LIST(CAUSE_TEXT)
#undef CAUSE_TEXT
};

const char *
hv_gap_cause_text(hv_gap_cause cause)
{
    return cause_texts[cause];
}

bool
hv_gap_cause_parse(const char *text, hv_gap_cause *ret)
{
    for (unsigned cause = 0; cause < HV_GAP_CAUSES; cause++)
        if (strcmp(text, cause_texts[cause]) == 0) {
            *ret = (hv_gap_cause)cause;
            return true;
        }
    return false;
}
