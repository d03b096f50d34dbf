/* The answers of an admin as values. */
#include "source/admin.h"

#include <stdlib.h>
#include <string.h>

void
hv_admin_groups_clear(hv_admin_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++)
        free(groups->at[i].name);
    free(groups->at);
    *groups = (hv_admin_groups){.at = NULL};
}

void
hv_admin_commits_clear(hv_admin_commits *commits)
{
    for (size_t i = 0; i < commits->count; i++)
        free(commits->at[i].metadata);
    free(commits->at);
    *commits = (hv_admin_commits){.at = NULL};
}

hv_rc
hv_admin_commits_add(hv_admin_commits *commits, const char *topic, int32_t partition, int64_t offset, hv_slice metadata, hv_err *err)
{
    hv_admin_commit added = {.partition = partition, .offset = offset, .metadata_len = metadata.len};
    hv_rc rc = hv_hub_name_check(topic, err);

    if (rc != HV_OK)
        return rc;
    if (commits->count == commits->room) {
        size_t room = commits->room > 0 ? 2 * commits->room : 16;
        hv_admin_commit *moved = realloc(commits->at, room * sizeof *moved);
        if (moved == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for %zu commits", room);
        commits->at = moved;
        commits->room = room;
    }
    if (metadata.len > 0) {
        added.metadata = malloc(metadata.len);
        if (added.metadata == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for the metadata of a commit");
        memcpy(added.metadata, metadata.data, metadata.len);
    }
    memcpy(added.topic, topic, strlen(topic));
    commits->at[commits->count++] = added;
    return HV_OK;
}

static int
by_place(const void *a, const void *b)
{
    const hv_admin_commit *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);

    return order != 0 ? order : x->partition < y->partition ? -1 : x->partition > y->partition;
}

void
hv_admin_commits_sort(hv_admin_commits *commits)
{
    if (commits->count > 0)
        qsort(commits->at, commits->count, sizeof *commits->at, by_place);
}

const hv_admin_commit *
hv_admin_commits_find(const hv_admin_commits *commits, const char *topic, int32_t partition)
{
    hv_admin_commit wanted = {.partition = partition};

    if (commits->count == 0 || strlen(topic) >= sizeof wanted.topic)
        return NULL;
    memcpy(wanted.topic, topic, strlen(topic));
    return bsearch(&wanted, commits->at, commits->count, sizeof wanted, by_place);
}

void
hv_admin_topic_clear(hv_admin_topic *topic)
{
    for (size_t i = 0; i < topic->count; i++) {
        free(topic->settings[i].name);
        free(topic->settings[i].value);
    }
    free(topic->settings);
    *topic = (hv_admin_topic){.partitions = 0};
}
