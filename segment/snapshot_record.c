/*
 * Head and content are written one behind the other, so that the content alone can be compared. Reading is matching the one spelling,
 * as for all records; what a spelling does not say (order, each once, not empty) is checked behind it.
 */
#include "segment/snapshot_record.h"

#include <inttypes.h>
#include <stdlib.h>

#include "segment/canonical_json.h"

enum { SNAPSHOT_FORMAT = 1 };

static const char topic_what[] = "snapshot of a topic", group_what[] = "snapshot of a group";

void
hv_topic_snapshot_clear(hv_topic_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        free(snapshot->settings[i].name);
        free(snapshot->settings[i].value);
    }
    free(snapshot->settings);
    *snapshot = (hv_topic_snapshot){.partitions = 0};
}

void
hv_group_snapshot_clear(hv_group_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        free(snapshot->positions[i].metadata);
    free(snapshot->positions);
    free(snapshot->group);
    *snapshot = (hv_group_snapshot){.group = NULL};
}

/* ---- making ---- */

static hv_rc
no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for a snapshot");
}

/* Room for one more element behind `count` of an array that grows by doubling from 8. */
static hv_rc
need_room(void *array, size_t count, size_t item, hv_err *err)
{
    void *elements;

    if (count == HV_SNAPSHOT_MAX_ENTRIES)
        return hv_err_set(err, HV_LIMIT, "a snapshot has at most %d entries", HV_SNAPSHOT_MAX_ENTRIES);
    if (count >= 8 ? (count & (count - 1)) != 0 : count != 0)
        return HV_OK;
    memcpy(&elements, array, sizeof elements);          /* whatever its element type: pointers to objects look alike here */
    elements = realloc(elements, (count < 8 ? 8 : count * 2) * item);
    if (elements == NULL)
        return no_memory(err);
    memcpy(array, &elements, sizeof elements);
    return HV_OK;
}

hv_rc
hv_topic_snapshot_add(hv_topic_snapshot *snapshot, const char *name, const char *value, bool own, hv_err *err)
{
    hv_rc rc = need_room(&snapshot->settings, snapshot->count, sizeof *snapshot->settings, err);
    hv_topic_setting added = {.own = own};

    if (rc == HV_OK && (strlen(name) > HV_SNAPSHOT_TEXT_MAX || strlen(value) > HV_SNAPSHOT_TEXT_MAX))
        rc = hv_err_set(err, HV_LIMIT, "a setting in a snapshot has at most %d bytes", HV_SNAPSHOT_TEXT_MAX);
    if (rc != HV_OK)
        return rc;
    added.name = strdup(name);
    added.value = strdup(value);
    if (added.name == NULL || added.value == NULL) {
        free(added.name);
        free(added.value);
        return no_memory(err);
    }
    snapshot->settings[snapshot->count++] = added;
    return HV_OK;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const hv_topic_setting *)a)->name, ((const hv_topic_setting *)b)->name);
}

void
hv_topic_snapshot_sort(hv_topic_snapshot *snapshot)
{
    if (snapshot->count > 0)
        qsort(snapshot->settings, snapshot->count, sizeof *snapshot->settings, by_name);
}

hv_rc
hv_group_snapshot_add(hv_group_snapshot *snapshot, int32_t partition, int64_t offset, hv_slice metadata, hv_err *err)
{
    hv_rc rc = need_room(&snapshot->positions, snapshot->count, sizeof *snapshot->positions, err);
    hv_group_position added = {.partition = partition, .offset = offset, .metadata_len = metadata.len};

    if (rc == HV_OK && metadata.len > HV_SNAPSHOT_TEXT_MAX)
        rc = hv_err_set(err, HV_LIMIT, "the metadata of a commit in a snapshot have at most %d bytes", HV_SNAPSHOT_TEXT_MAX);
    if (rc != HV_OK)
        return rc;
    if (metadata.len > 0) {
        added.metadata = malloc(metadata.len);
        if (added.metadata == NULL)
            return no_memory(err);
        memcpy(added.metadata, metadata.data, metadata.len);
    }
    snapshot->positions[snapshot->count++] = added;
    return HV_OK;
}

static int
by_partition(const void *a, const void *b)
{
    int32_t x = ((const hv_group_position *)a)->partition, y = ((const hv_group_position *)b)->partition;

    return x < y ? -1 : x > y;
}

void
hv_group_snapshot_sort(hv_group_snapshot *snapshot)
{
    if (snapshot->count > 0)
        qsort(snapshot->positions, snapshot->count, sizeof *snapshot->positions, by_partition);
}

/* ---- writing ---- */

static void
put_head(hv_buf *to, const hv_snapshot_head *head)
{
    hv_json_put_int_after(to, "{\"format\":", SNAPSHOT_FORMAT);
    hv_json_put_text_after(to, ",\"vault\":", head->vault);
    hv_json_put_text_after(to, ",\"hub\":", head->hub);
    hv_json_put_int_after(to, ",\"number\":", head->number);
    hv_json_put_int_after(to, ",\"taken\":", head->taken_ms);
}

void
hv_topic_snapshot_write_content(const hv_topic_snapshot *snapshot, hv_buf *to)
{
    hv_json_put_int_after(to, ",\"incarnation\":", snapshot->head.incarnation);
    hv_json_put_int_after(to, ",\"partitions\":", snapshot->partitions);
    hv_json_put_int_after(to, ",\"replication\":", snapshot->replication);
    hv_buf_put_text(to, snapshot->told ? ",\"settings\":[" : ",\"settings\":null}\n");
    for (size_t i = 0; snapshot->told && i < snapshot->count; i++) {
        hv_json_put_text_after(to, i > 0 ? ",[" : "[", snapshot->settings[i].name);
        hv_json_put_text_after(to, ",", snapshot->settings[i].value);
        hv_buf_put_text(to, snapshot->settings[i].own ? ",\"topic\"]" : ",\"default\"]");
    }
    if (snapshot->told)
        hv_buf_put_text(to, "]}\n");
}

void
hv_topic_snapshot_write(const hv_topic_snapshot *snapshot, hv_buf *to)
{
    put_head(to, &snapshot->head);
    hv_topic_snapshot_write_content(snapshot, to);
}

void
hv_group_snapshot_write_content(const hv_group_snapshot *snapshot, hv_buf *to)
{
    hv_json_put_int_after(to, ",\"incarnation\":", snapshot->head.incarnation);
    hv_json_put_text_after(to, ",\"group\":", snapshot->group);
    hv_buf_put_text(to, ",\"offsets\":[");
    for (size_t i = 0; i < snapshot->count; i++) {
        const hv_group_position *position = &snapshot->positions[i];
        hv_json_put_int_after(to, i > 0 ? ",[" : "[", position->partition);
        hv_json_put_int_after(to, ",", position->offset);
        hv_buf_put_byte(to, ',');
        hv_json_put_bytes(to, hv_slice_of(position->metadata, position->metadata_len));
        hv_buf_put_byte(to, ']');
    }
    hv_buf_put_text(to, "]}\n");
}

void
hv_group_snapshot_write(const hv_group_snapshot *snapshot, hv_buf *to)
{
    put_head(to, &snapshot->head);
    hv_group_snapshot_write_content(snapshot, to);
}

/* ---- reading ---- */

/* Without what every snapshot of this program has: HV_CORRUPT. */
static hv_rc
scan_head(hv_json_scan *scan, const char *what, hv_slice json, hv_snapshot_head *ret, hv_err *err)
{
    hv_err why;

    if (json.len > HV_SNAPSHOT_MAX)
        return hv_err_set(err, HV_CORRUPT, "%s: %zu bytes, more than %d", what, json.len, HV_SNAPSHOT_MAX);
    *scan = hv_json_scan_make(json, err);
    int64_t format = hv_json_scan_int_after(scan, "{\"format\":", 1, INT64_MAX);
    if (scan->rc == HV_OK && format > SNAPSHOT_FORMAT)
        return hv_err_set(err, HV_VERSION, "%s: format %" PRId64 " is newer than %d, the newest this program knows", what, format,
                          SNAPSHOT_FORMAT);
    hv_json_scan_text_after(scan, ",\"vault\":", ret->vault, sizeof ret->vault);
    hv_json_scan_text_after(scan, ",\"hub\":", ret->hub, sizeof ret->hub);
    ret->number = hv_json_scan_int_after(scan, ",\"number\":", 1, INT64_C(9999999999));
    ret->taken_ms = hv_json_scan_int_after(scan, ",\"taken\":", INT64_MIN, INT64_MAX);
    ret->incarnation = (uint32_t)hv_json_scan_int_after(scan, ",\"incarnation\":", 1, UINT32_MAX);
    if (scan->rc != HV_OK)
        return hv_err_prefix(err, "%s", what);
    if (!hv_vault_id_valid(ret->vault))
        return hv_err_set(err, HV_CORRUPT, "%s: the id of a vault is a UUID in lower case, not '%s'", what, ret->vault);
    return hv_hub_name_check(ret->hub, &why) == HV_OK ? HV_OK : hv_err_set(err, HV_CORRUPT, "%s: %s", what, why.msg);
}

/* A string of any bytes, in `scratch` until the next one. */
static hv_slice
scan_bytes(hv_json_scan *scan, const char *before, hv_buf *scratch)
{
    hv_json_scan_literal(scan, before);
    hv_buf_clear(scratch);
    hv_json_scan_bytes(scan, HV_SNAPSHOT_TEXT_MAX, scratch);
    return hv_buf_slice(scratch);
}

static bool
has_nul(hv_slice bytes)
{
    return memchr(bytes.data, '\0', bytes.len) != NULL;
}

static void
scan_setting(hv_json_scan *scan, hv_topic_snapshot *to, hv_buf *name, hv_buf *value)
{
    char source[8];

    hv_slice names = scan_bytes(scan, "[", name), values = scan_bytes(scan, ",", value);
    hv_json_scan_text_after(scan, ",", source, sizeof source);
    bool own = strcmp(source, "topic") == 0;
    if (scan->rc == HV_OK && (has_nul(names) || has_nul(values) || (!own && strcmp(source, "default") != 0)))
        (void)hv_json_scan_fail(scan, "a setting before this");
    hv_json_scan_literal(scan, "]");
    if (scan->rc == HV_OK)
        scan->rc = hv_topic_snapshot_add(to, names.len > 0 ? names.data : "", values.len > 0 ? values.data : "", own, scan->err);
    if (scan->rc == HV_OK && to->count > 1 && by_name(&to->settings[to->count - 2], &to->settings[to->count - 1]) >= 0)
        (void)hv_json_scan_fail(scan, "settings that ascend before this");
}

hv_rc
hv_topic_snapshot_parse(hv_slice json, hv_topic_snapshot *ret, hv_err *err)
{
    HV_AUTO(hv_topic_snapshot_clear) hv_topic_snapshot made = {.partitions = 0};
    HV_AUTO(hv_buf_free) hv_buf name = HV_BUF_INIT(HV_SNAPSHOT_TEXT_MAX);
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(HV_SNAPSHOT_TEXT_MAX);
    hv_json_scan scan;
    hv_rc rc = scan_head(&scan, topic_what, json, &made.head, err);

    if (rc != HV_OK)
        return rc;
    made.partitions = (int32_t)hv_json_scan_int_after(&scan, ",\"partitions\":", 1, INT32_MAX);
    made.replication = (int32_t)hv_json_scan_int_after(&scan, ",\"replication\":", 0, INT16_MAX);
    hv_json_scan_literal(&scan, ",\"settings\":");
    made.told = !hv_json_scan_null(&scan);
    if (made.told)
        hv_json_scan_literal(&scan, "[");
    for (size_t i = 0; made.told && hv_json_scan_more(&scan, i); i++)
        scan_setting(&scan, &made, &name, &value);
    hv_json_scan_literal(&scan, "}\n");
    if (hv_json_scan_end(&scan) != HV_OK)
        return hv_err_prefix(err, "%s", topic_what);
    *ret = made;
    made = (hv_topic_snapshot){.partitions = 0};
    return HV_OK;
}

static void
scan_position(hv_json_scan *scan, hv_group_snapshot *to, hv_buf *metadata)
{
    int32_t partition = (int32_t)hv_json_scan_int_after(scan, "[", 0, INT32_MAX);
    int64_t offset = hv_json_scan_int_after(scan, ",", 0, INT64_MAX);
    hv_slice bytes = scan_bytes(scan, ",", metadata);

    hv_json_scan_literal(scan, "]");
    if (scan->rc == HV_OK)
        scan->rc = hv_group_snapshot_add(to, partition, offset, bytes, scan->err);
    if (scan->rc == HV_OK && to->count > 1 && by_partition(&to->positions[to->count - 2], &to->positions[to->count - 1]) >= 0)
        (void)hv_json_scan_fail(scan, "partitions that ascend before this");
}

hv_rc
hv_group_snapshot_parse(hv_slice json, hv_group_snapshot *ret, hv_err *err)
{
    HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = {.group = NULL};
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_SNAPSHOT_TEXT_MAX);
    hv_json_scan scan;
    hv_rc rc = scan_head(&scan, group_what, json, &made.head, err);

    if (rc != HV_OK)
        return rc;
    hv_slice group = scan_bytes(&scan, ",\"group\":", &text);
    if (scan.rc == HV_OK && has_nul(group))
        (void)hv_json_scan_fail(&scan, "the name of a group before this");
    if (scan.rc == HV_OK && (made.group = strndup(group.data, group.len)) == NULL)
        scan.rc = no_memory(err);
    hv_json_scan_literal(&scan, ",\"offsets\":[");
    for (size_t i = 0; hv_json_scan_more(&scan, i); i++)
        scan_position(&scan, &made, &text);
    if (scan.rc == HV_OK && made.count == 0)
        (void)hv_json_scan_fail(&scan, "one partition or more before this");
    hv_json_scan_literal(&scan, "}\n");
    if (hv_json_scan_end(&scan) != HV_OK)
        return hv_err_prefix(err, "%s", group_what);
    *ret = made;
    made = (hv_group_snapshot){.group = NULL};
    return HV_OK;
}
