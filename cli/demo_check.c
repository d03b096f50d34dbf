#include "cli/demo_check.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static hv_rc
count_line(const char *line, size_t len, json_t *seen, hv_demo_count *count, hv_err *err)
{
    json_error_t why;
    char place[512];

    json_t *event = json_loadb(line, len, 0, &why);
    if (event == NULL)
        return hv_err_set(err, HV_CORRUPT, "a line of the replay is not JSON: %s", why.text);
    (void)snprintf(place, sizeof place, "%s/%lld/%lld", json_string_value(json_object_get(event, "hub")),
                   (long long)json_integer_value(json_object_get(event, "partition")),
                   (long long)json_integer_value(json_object_get(event, "offset")));
    count->events++;
    count->doubled += json_object_get(seen, place) != NULL;
    int failed = json_object_set_new(seen, place, json_true());
    json_decref(event);
    return failed == 0 ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory to count events");
}

hv_rc
hv_demo_count_lines(hv_slice lines, hv_demo_count *ret, hv_err *err)
{
    json_t *seen = json_object();
    const char *at = lines.data, *end = at + lines.len;
    hv_demo_count count = {0};
    hv_rc rc = seen == NULL ? hv_err_set(err, HV_NOMEM, "no memory to count events") : HV_OK;

    while (rc == HV_OK && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline == NULL ? (size_t)(end - at) : (size_t)(newline - at);
        rc = count_line(at, len, seen, &count, err);
        at += len + 1;
    }
    json_decref(seen);
    if (rc == HV_OK)
        *ret = count;
    return rc;
}

int64_t
hv_demo_count_segments(const char *dir)
{
    DIR *open_dir = opendir(dir);
    int64_t count = 0;
    char path[1024];

    if (open_dir == NULL)
        return 0;
    for (struct dirent *entry = readdir(open_dir); entry != NULL; entry = readdir(open_dir)) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.')
            continue;
        if (suffix != NULL && strcmp(suffix, ".avro") == 0) {
            count++;
            continue;
        }
        int len = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_type == DT_DIR && len > 0 && (size_t)len < sizeof path)
            count += hv_demo_count_segments(path);
    }
    closedir(open_dir);
    return count;
}
