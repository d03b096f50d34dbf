/*
 * From a request to the partitions it means. The index is asked once for all partitions, so the ends of all of them are of one
 * moment.
 *
 * With a cursor "the newest incarnation" means: from the incarnation on that was the newest when the cursor's replay began. A hub
 * that was re-created meanwhile is thus finished first, and then its new life follows; nothing in between is lost.
 */
#include "replay/replay_plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/glob.h"

void
hv_replay_selection_clear(hv_replay_selection *selection)
{
    free(selection->patterns);
    free(selection->numbers);
    free(selection->hubs);
    free(selection->parts);
    *selection = (hv_replay_selection){.patterns = NULL};
}

/* ---- what is asked for ---- */

static hv_rc
check_bounds(const hv_replay_request *request, hv_err *err)
{
    if (request->from_offset.set && request->from_offset.value < 0)
        return hv_err_set(err, HV_USAGE, "an offset is 0 or more, not %" PRId64, request->from_offset.value);
    if (request->to_offset.set && request->to_offset.value < 0)
        return hv_err_set(err, HV_USAGE, "an offset is 0 or more, not %" PRId64, request->to_offset.value);
    if (request->from_offset.set && request->to_offset.set && request->from_offset.value >= request->to_offset.value)
        return hv_err_set(err, HV_USAGE,
                          "the offsets %" PRId64 " to %" PRId64 " are no range: the end is not included and must be greater",
                          request->from_offset.value, request->to_offset.value);
    if (request->to_time.set && request->to_time.value <= (request->from_time.set ? request->from_time.value : INT64_MIN))
        return hv_err_set(err, HV_USAGE, "the times given are no range: the end is not included and must be later than the start");
    if (request->follow && (request->to_offset.set || request->to_time.set))
        return hv_err_set(err, HV_USAGE, "a replay that follows the live hub has no end: leave out the upper bound");
    if (request->follow && request->incarnation != HV_REPLAY_NEWEST && request->incarnation != HV_REPLAY_ALL_INCARNATIONS)
        return hv_err_set(err, HV_USAGE, "only the newest incarnation of a hub is alive; a replay of another one cannot follow it");
    return HV_OK;
}

static hv_rc
check_numbers(const hv_replay_request *request, hv_err *err)
{
    if (request->limit < 0)
        return hv_err_set(err, HV_USAGE, "a limit is 0 or more, not %" PRId64, request->limit);
    if (request->events_per_second < 0)
        return hv_err_set(err, HV_USAGE, "a rate is 0 or more events per second, not %" PRId64, request->events_per_second);
    if (!(request->speed >= 0 && request->speed <= 1e9))
        return hv_err_set(err, HV_USAGE, "a speed is a factor from 0 to 1e9, not %g", request->speed);
    if (request->longest_pause_ms < 0)
        return hv_err_set(err, HV_USAGE, "the longest pause is 0 or more milliseconds, not %" PRId64, request->longest_pause_ms);
    for (size_t i = 0; i < request->partition_count; i++)
        if (request->partitions[i] < 0)
            return hv_err_set(err, HV_USAGE, "the number of a partition is 0 or more, not %" PRId32, request->partitions[i]);
    return hv_event_filter_check(&request->filter, err);
}

static bool
is_pattern_text(const char *text)
{
    for (; *text != '\0'; text++)
        if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9')
              || strchr("._-*?[]!^", *text) != NULL))
            return false;
    return true;
}

static hv_rc
take_patterns(const hv_replay_request *request, hv_replay_selection *to, hv_err *err)
{
    if (request->hub_count == 0 && request->cursor.data == NULL)
        return hv_err_set(err, HV_USAGE, "name the hubs to replay, or give '*' for all of them");
    if (request->hub_count > HV_REPLAY_MAX_HUBS)
        return hv_err_set(err, HV_USAGE, "at most %d hubs can be named, not %zu; use a glob", HV_REPLAY_MAX_HUBS,
                          request->hub_count);
    to->patterns = calloc(request->hub_count + 1, sizeof *to->patterns);
    if (to->patterns == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", request->hub_count);
    for (size_t i = 0; i < request->hub_count; i++) {
        size_t len = strlen(request->hubs[i]);
        if (len == 0 || len >= HV_HUB_SIZE || !is_pattern_text(request->hubs[i]))
            return hv_err_set(err, HV_USAGE,
                              "a hub is named by 1 to %d letters, digits, '.', '_', '-', and the glob signs *?[]!^, not '%.300s'",
                              HV_HUB_SIZE - 1, request->hubs[i]);
        memcpy(to->patterns[to->pattern_count++], request->hubs[i], len + 1);
    }
    return HV_OK;
}

static int
compare_numbers(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

static hv_rc
take_numbers(const hv_replay_request *request, hv_replay_selection *to, hv_err *err)
{
    if (request->partition_count == 0)
        return HV_OK;
    to->numbers = calloc(request->partition_count, sizeof *to->numbers);
    if (to->numbers == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", request->partition_count);
    memcpy(to->numbers, request->partitions, request->partition_count * sizeof *to->numbers);
    qsort(to->numbers, request->partition_count, sizeof *to->numbers, compare_numbers);
    for (size_t i = 0; i < request->partition_count; i++)
        if (i == 0 || to->numbers[i] != to->numbers[to->number_count - 1])
            to->numbers[to->number_count++] = to->numbers[i];
    return HV_OK;
}

static hv_rc
digest_filters(const hv_replay_request *request, hv_replay_selection *to, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(64 << 20);
    unsigned char hash[HV_SHA256_SIZE];

    hv_event_filter_write(&request->filter, &text);
    for (size_t i = 0; i < to->number_count; i++)
        hv_buf_printf(&text, "p%" PRId32, to->numbers[i]);
    hv_rc rc = hv_buf_check(&text, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "filters");
    hv_slice all = hv_buf_slice(&text);
    hv_sha256(&all, 1, hash);
    memcpy(to->filters, hash, sizeof to->filters);
    return HV_OK;
}

/* ---- cursor ---- */

static bool
same_patterns(const hv_replay_selection *asked, const hv_cursor *cursor)
{
    if (asked->pattern_count != cursor->pattern_count)
        return false;
    for (size_t i = 0; i < asked->pattern_count; i++)
        if (strcmp(asked->patterns[i], cursor->patterns[i]) != 0)
            return false;
    return true;
}

static bool
differs(hv_cursor_bound asked, hv_cursor_bound cursor)
{
    return asked.set && (!cursor.set || asked.value != cursor.value);
}

static hv_rc
fit_cursor(const hv_replay_request *request, const char *vault, const hv_cursor *cursor, const hv_replay_selection *asked,
           hv_err *err)
{
    hv_replay_order order = cursor->by_time ? HV_REPLAY_BY_TIME : HV_REPLAY_BY_OFFSET;

    if (strcmp(cursor->vault, vault) != 0)
        return hv_err_set(err, HV_USAGE, "this cursor belongs to the vault %s, but this is the vault %s", cursor->vault, vault);
    if (asked->pattern_count > 0 && !same_patterns(asked, cursor))
        return hv_err_set(err, HV_USAGE,
                          "this cursor was made for other hubs; leave out the hubs, or name the same in the same order");
    if (request->incarnation != HV_REPLAY_NEWEST && request->incarnation != cursor->incarnation)
        return hv_err_set(err, HV_USAGE, "this cursor was made for another incarnation; leave it out");
    if (differs(request->from_offset, cursor->from_offset) || differs(request->to_offset, cursor->to_offset)
        || differs(request->from_time, cursor->from_time) || differs(request->to_time, cursor->to_time))
        return hv_err_set(err, HV_USAGE, "this cursor was made for another range; leave out the range, it is in the cursor");
    if (request->order != HV_REPLAY_ORDER_DEFAULT && request->order != order)
        return hv_err_set(err, HV_USAGE, "this cursor was made for a replay in order of %s", cursor->by_time ? "time" : "offset");
    if (memcmp(asked->filters, cursor->filters, sizeof asked->filters) != 0)
        return hv_err_set(err, HV_USAGE,
                          "this cursor was made with other filters (partition, key, header, type); give the same ones again");
    if (request->follow && (cursor->to_offset.set || cursor->to_time.set))
        return hv_err_set(err, HV_USAGE, "this cursor is of a range with an end, which cannot be followed");
    return HV_OK;
}

static hv_rc
adopt_cursor(const hv_cursor *cursor, hv_replay_selection *to, hv_err *err)
{
    to->order = cursor->by_time ? HV_REPLAY_BY_TIME : HV_REPLAY_BY_OFFSET;
    to->incarnation = cursor->incarnation;
    to->from_offset = cursor->from_offset;
    to->to_offset = cursor->to_offset;
    to->from_time = cursor->from_time;
    to->to_time = cursor->to_time;
    if (to->pattern_count > 0)
        return HV_OK;
    free(to->patterns);
    to->patterns = calloc(cursor->pattern_count + 1, sizeof *to->patterns);
    if (to->patterns == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", cursor->pattern_count);
    if (cursor->pattern_count > 0)
        memcpy(to->patterns, cursor->patterns, cursor->pattern_count * sizeof *to->patterns);
    to->pattern_count = cursor->pattern_count;
    return HV_OK;
}

/* ---- what the vault has ---- */

typedef struct catalogue {
    hv_index_incarnation *incarnations;
    hv_index_partition_facts *partitions;
    size_t incarnation_count, partition_count;
} catalogue;

static void
free_catalogue(catalogue *all)
{
    free(all->incarnations);
    free(all->partitions);
}
HV_DEFINE_AUTO_VALUE(catalogue, free_catalogue);

static hv_rc
read_catalogue(hv_index *index, catalogue *ret, hv_err *err)
{
    hv_rc rc = hv_index_incarnations(index, &ret->incarnations, &ret->incarnation_count, err);

    return rc == HV_OK ? hv_index_partitions(index, NULL, &ret->partitions, &ret->partition_count, err) : rc;
}

bool
hv_replay_selects_hub(const hv_replay_selection *selection, const char *hub)
{
    for (size_t i = 0; i < selection->pattern_count; i++)
        if (hv_glob_match(hv_slice_text(selection->patterns[i]), hv_slice_text(hub)))
            return true;
    return false;
}

bool
hv_replay_selects_number(const hv_replay_selection *selection, int32_t number)
{
    return selection->number_count == 0
           || bsearch(&number, selection->numbers, selection->number_count, sizeof number, compare_numbers) != NULL;
}

/* There is room for one more. newest: of a hub that is known already, keep the greater incarnation; else the one it has. */
static void
note_hub(hv_replay_selection *to, const char *hub, uint32_t incarnation, bool newest)
{
    size_t at = to->hub_count;

    if (!hv_replay_selects_hub(to, hub))
        return;
    while (at > 0 && strcmp(to->hubs[at - 1].name, hub) > 0)
        at--;
    if (at > 0 && strcmp(to->hubs[at - 1].name, hub) == 0) {
        if (newest && to->hubs[at - 1].incarnation < incarnation)
            to->hubs[at - 1].incarnation = incarnation;
        return;
    }
    memmove(&to->hubs[at + 1], &to->hubs[at], (to->hub_count - at) * sizeof *to->hubs);
    to->hubs[at] = (hv_cursor_hub){.incarnation = incarnation};
    memcpy(to->hubs[at].name, hub, strlen(hub));
    to->hub_count++;
}

static hv_rc
find_hubs(const catalogue *all, hv_replay_selection *to, hv_err *err)
{
    to->hubs = calloc(all->incarnation_count + all->partition_count + 1, sizeof *to->hubs);
    if (to->hubs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the list of hubs");
    for (size_t i = 0; i < all->incarnation_count; i++)
        note_hub(to, all->incarnations[i].hub, all->incarnations[i].incarnation, true);
    for (size_t i = 0; i < all->partition_count; i++)
        note_hub(to, all->partitions[i].partition.hub, all->partitions[i].partition.incarnation, true);
    if (to->hub_count > HV_REPLAY_MAX_HUBS)
        return hv_err_set(err, HV_LIMIT, "%zu hubs match; one replay takes at most %d", to->hub_count, HV_REPLAY_MAX_HUBS);
    return HV_OK;
}

static const hv_cursor_hub *
hub_of_cursor(const hv_cursor *cursor, const char *name)
{
    for (size_t i = 0; cursor != NULL && i < cursor->hub_count; i++)
        if (strcmp(cursor->hubs[i].name, name) == 0)
            return &cursor->hubs[i];
    return NULL;
}

/* hubs[].incarnation holds the newest one; afterwards the first one that is wanted. */
static void
choose_incarnations(hv_replay_selection *to, const hv_cursor *cursor)
{
    for (size_t i = 0; i < to->hub_count; i++) {
        hv_cursor_hub *hub = &to->hubs[i];
        const hv_cursor_hub *before = hub_of_cursor(cursor, hub->name);
        if (to->incarnation == HV_REPLAY_ALL_INCARNATIONS)
            hub->incarnation = 1;
        else if (to->incarnation != HV_REPLAY_NEWEST)
            hub->incarnation = to->incarnation;
        else if (before != NULL && before->incarnation < hub->incarnation)
            hub->incarnation = before->incarnation;
    }
}

static bool
is_wanted(const hv_replay_selection *selection, const hv_partition *partition)
{
    for (size_t i = 0; i < selection->hub_count; i++) {
        const hv_cursor_hub *hub = &selection->hubs[i];
        if (strcmp(hub->name, partition->hub) != 0)
            continue;
        bool exact = selection->incarnation != HV_REPLAY_NEWEST && selection->incarnation != HV_REPLAY_ALL_INCARNATIONS;
        return (exact ? partition->incarnation == hub->incarnation : partition->incarnation >= hub->incarnation)
               && hv_replay_selects_number(selection, partition->number);
    }
    return false;
}

static hv_replay_part
make_part(const hv_replay_selection *selection, const hv_cursor *cursor, const hv_partition *partition, int64_t position)
{
    int64_t from = selection->from_offset.set ? selection->from_offset.value : 0;
    int64_t end = selection->to_offset.set && selection->to_offset.value < position ? selection->to_offset.value : position;
    int64_t next = cursor != NULL ? hv_cursor_next(cursor, partition, from) : from;

    if (next < from)
        next = from;
    if (end < next)
        end = next;
    return (hv_replay_part){.partition = *partition, .from = next, .end = end, .next = next, .position = position};
}

static hv_rc
find_parts(const catalogue *all, const hv_cursor *cursor, hv_replay_selection *to, hv_err *err)
{
    to->parts = calloc(all->partition_count + 1, sizeof *to->parts);
    if (to->parts == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", all->partition_count);
    for (size_t i = 0; i < all->partition_count; i++)
        if (is_wanted(to, &all->partitions[i].partition)) {
            to->parts[to->part_count] = make_part(to, cursor, &all->partitions[i].partition, all->partitions[i].range.end);
            to->parts[to->part_count++].empty = all->partitions[i].count == 0;
        }
    return HV_OK;
}

hv_rc
hv_replay_selection_need(hv_replay_selection *selection, const hv_partition *partition, size_t *ret, bool *added, hv_err *err)
{
    size_t low = 0, high = selection->part_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hv_partition_compare(&selection->parts[middle].partition, partition);
        if (order == 0) {
            *ret = middle;
            *added = false;
            return HV_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    hv_replay_part *parts = reallocarray(selection->parts, selection->part_count + 1, sizeof *parts);
    if (parts == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", selection->part_count + 1);
    selection->parts = parts;
    hv_cursor_hub *hubs = reallocarray(selection->hubs, selection->hub_count + 1, sizeof *hubs);
    if (hubs == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", selection->hub_count + 1);
    selection->hubs = hubs;
    note_hub(selection, partition->hub, partition->incarnation, false);
    memmove(&parts[low + 1], &parts[low], (selection->part_count - low) * sizeof *parts);
    parts[low] = make_part(selection, NULL, partition, 0);
    parts[low].empty = true;
    selection->part_count++;
    *ret = low;
    *added = true;
    return HV_OK;
}

/* A partition that was read from the live hub has a position before anything of it is archived: it must not be forgotten. */
static hv_rc
add_parts_of_cursor(const hv_cursor *cursor, hv_replay_selection *to, hv_err *err)
{
    for (size_t i = 0; i < cursor->position_count; i++) {
        const hv_cursor_position *position = &cursor->positions[i];
        hv_partition partition;
        size_t at;
        bool added;
        hv_rc rc = hv_partition_make(cursor->hubs[position->hub].name, position->incarnation, position->partition, &partition, err);
        if (rc == HV_OK)
            rc = hv_replay_selection_need(to, &partition, &at, &added, err);
        if (rc != HV_OK)
            return rc;
        if (added && position->next > to->parts[at].next)
            to->parts[at].from = to->parts[at].end = to->parts[at].next = position->next;
    }
    return HV_OK;
}

/* ---- what was asked for but is not there ---- */

static hv_rc
check_hubs_found(const hv_replay_selection *selection, hv_err *err)
{
    if (selection->hub_count == 0 && selection->pattern_count == 1)
        return hv_err_set(err, HV_NOT_FOUND, "this vault has no hub '%s'", selection->patterns[0]);
    if (selection->hub_count == 0)
        return hv_err_set(err, HV_NOT_FOUND, "this vault has none of the hubs that were named");
    for (size_t i = 0; i < selection->pattern_count; i++) {
        bool found = false;
        for (size_t j = 0; j < selection->hub_count && !found; j++)
            found = hv_glob_match(hv_slice_text(selection->patterns[i]), hv_slice_text(selection->hubs[j].name));
        if (!found)
            return hv_err_set(err, HV_NOT_FOUND, "this vault has no hub '%s'", selection->patterns[i]);
    }
    return HV_OK;
}

static hv_rc
check_parts_found(const hv_replay_selection *selection, hv_err *err)
{
    bool exact = selection->incarnation != HV_REPLAY_NEWEST && selection->incarnation != HV_REPLAY_ALL_INCARNATIONS;

    if (exact && selection->number_count == 0 && selection->part_count == 0)
        return hv_err_set(err, HV_NOT_FOUND, "nothing of an incarnation %" PRIu32 " of these hubs was captured",
                          selection->incarnation);
    for (size_t i = 0; i < selection->number_count; i++) {
        size_t j = 0;
        while (j < selection->part_count && selection->parts[j].partition.number != selection->numbers[i])
            j++;
        if (j == selection->part_count)
            return hv_err_set(err, HV_NOT_FOUND, "nothing of a partition %" PRId32 " of these hubs was captured",
                              selection->numbers[i]);
    }
    return HV_OK;
}

static void
make_window(hv_replay_selection *to)
{
    to->window = (hv_time_window){
        .limited = to->from_time.set || to->to_time.set,
        .first = to->from_time.set ? to->from_time.value : INT64_MIN,
        .last = to->to_time.set ? to->to_time.value - 1 : INT64_MAX,    /* greater than the start: checked */
    };
}

static hv_rc
take_request(const hv_replay_request *request, hv_replay_selection *to, hv_err *err)
{
    to->incarnation = request->incarnation;
    to->from_offset = request->from_offset;
    to->to_offset = request->to_offset;
    to->from_time = request->from_time;
    to->to_time = request->to_time;
    to->order = request->order == HV_REPLAY_ORDER_DEFAULT ? HV_REPLAY_BY_OFFSET : request->order;
    hv_rc rc = check_bounds(request, err);
    if (rc == HV_OK)
        rc = check_numbers(request, err);
    if (rc == HV_OK)
        rc = take_patterns(request, to, err);
    if (rc == HV_OK)
        rc = take_numbers(request, to, err);
    return rc == HV_OK ? digest_filters(request, to, err) : rc;
}

hv_rc
hv_replay_select(hv_index *index, const char *vault, const hv_replay_request *request, hv_replay_selection *ret, hv_err *err)
{
    HV_AUTO(hv_replay_selection_clear) hv_replay_selection selection = {.patterns = NULL};
    HV_AUTO(hv_cursor_clear) hv_cursor cursor = {.patterns = NULL};
    HV_AUTO(free_catalogue) catalogue all = {.incarnations = NULL};
    bool resumes = request->cursor.data != NULL;

    hv_rc rc = take_request(request, &selection, err);
    if (rc == HV_OK && resumes)
        rc = hv_cursor_parse(request->cursor, &cursor, err);
    if (rc == HV_OK && resumes)
        rc = fit_cursor(request, vault, &cursor, &selection, err);
    if (rc == HV_OK && resumes)
        rc = adopt_cursor(&cursor, &selection, err);
    if (rc == HV_OK)
        rc = read_catalogue(index, &all, err);
    if (rc == HV_OK)
        rc = find_hubs(&all, &selection, err);
    if (rc != HV_OK)
        return rc;
    make_window(&selection);
    choose_incarnations(&selection, resumes ? &cursor : NULL);
    rc = find_parts(&all, resumes ? &cursor : NULL, &selection, err);
    if (rc == HV_OK && resumes)
        rc = add_parts_of_cursor(&cursor, &selection, err);
    if (rc == HV_OK && !request->follow)
        rc = check_hubs_found(&selection, err);
    if (rc == HV_OK && !request->follow)
        rc = check_parts_found(&selection, err);
    if (rc != HV_OK)
        return rc;
    *ret = selection;
    selection = (hv_replay_selection){.patterns = NULL};
    return HV_OK;
}
