/*
 * The file grows by lines that are synchronised before the transaction that they tell about is committed. If the process dies between the
 * two, the file knows offsets of a transaction that was aborted. They are told apart without a mark of their own: the target says up to
 * which offset each source is committed, and only the last transaction can lie above. A run that goes on therefore writes the file anew,
 * without what lies above, beside the old one, and lets it take the old one's place.
 *
 * As many events as earlier runs committed must be in the file; that proves that it is the file that they wrote, and that no line was
 * lost.
 */
#include "replay/offset_map.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "segment/canonical_json.h"

enum { PATH_SIZE = 4096, TEXT_MAX = 16 << 20, FULL = 1 << 20, RUNS_PER_LINE = 1 << 16, MAP_FORMAT = 1 };

/* Events of one source that are next to each other before and behind. */
typedef struct map_run {
    uint32_t source;
    int64_t old_first, new_first, count;
} map_run;

typedef struct known_source {
    hv_mapped_source is;
    size_t last;                        /* its last run among `runs`, plus one; 0: none */
} known_source;

struct hv_offset_map {
    char path[PATH_SIZE];
    int fd;
    known_source *sources;
    size_t source_count, source_room;
    uint32_t found;                     /* asked for last */
    map_run *runs;                      /* remembered, not written */
    size_t run_count, run_room;
    hv_buf text;
};

static hv_rc
failed(const hv_offset_map *map, const char *what, hv_err *err)
{
    int error = errno;

    return hv_err_set(err, error == ENOSPC || error == EDQUOT ? HV_LIMIT : HV_IO, "%s offset map '%s': %s", what, map->path, strerror(error));
}

/* ---- lines ---- */

static void
put_number(hv_buf *to, const char *before, int64_t number)
{
    hv_buf_put_text(to, before);
    hv_json_put_int(to, number);
}

static void
put_head(hv_buf *to, const hv_offset_map_head *head)
{
    put_number(to, "{\"offset-map\":", MAP_FORMAT);
    hv_buf_put_text(to, ",\"vault\":");
    hv_json_put_text(to, head->vault);
    hv_buf_put_text(to, ",\"id\":");
    hv_json_put_text(to, head->id);
    hv_buf_put_text(to, ",\"request\":\"");
    for (size_t i = 0; i < sizeof head->request; i++)
        hv_buf_printf(to, "%02x", head->request[i]);
    hv_buf_put_text(to, "\"}\n");
}

static void
put_source(hv_buf *to, size_t number, const hv_mapped_source *source)
{
    put_number(to, "{\"source\":", (int64_t)number);
    hv_buf_put_text(to, ",\"from\":[");
    hv_json_put_text(to, source->from.hub);
    put_number(to, ",", source->from.incarnation);
    put_number(to, ",", source->from.number);
    hv_buf_put_text(to, "],\"to\":[");
    hv_json_put_text(to, source->topic);
    put_number(to, ",", source->to);
    put_number(to, "],\"first\":", source->first);
    put_number(to, ",\"begin\":", source->begin);
    hv_buf_put_text(to, "}\n");
}

/* The run behind another one: what was skipped and how many follow, or, where the new offsets do not go on, from scratch. */
static void
put_run(hv_buf *to, const map_run *run, const map_run *before)
{
    if (before != NULL && run->new_first == before->new_first + before->count) {
        put_number(to, ",", run->old_first - before->old_first - before->count);
        put_number(to, ",", run->count);
        return;
    }
    put_number(to, before != NULL ? "],[" : "[", run->old_first);
    put_number(to, ",", run->new_first);
    put_number(to, ",", run->count);
}

static int
by_source(const void *a, const void *b)
{
    const map_run *x = a, *y = b;

    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    return x->old_first < y->old_first ? -1 : x->old_first > y->old_first;
}

static hv_rc
write_text(hv_offset_map *map, int fd, hv_err *err)
{
    hv_rc rc = hv_buf_check(&map->text, err);

    for (size_t done = 0; rc == HV_OK && done < map->text.len;) {
        ssize_t written = write(fd, map->text.data + done, map->text.len - done);
        if (written < 0 && errno != EINTR)
            rc = failed(map, "write", err);
        done += written > 0 ? (size_t)written : 0;
    }
    hv_buf_clear(&map->text);
    return rc;
}

/* What is remembered, as lines: one or more per source. */
static hv_rc
write_runs(hv_offset_map *map, int fd, hv_err *err)
{
    hv_rc rc = HV_OK;

    if (map->run_count > 0)
        qsort(map->runs, map->run_count, sizeof *map->runs, by_source);
    for (size_t i = 0, in_line = 0; rc == HV_OK && i < map->run_count; i++) {
        const map_run *run = &map->runs[i];
        if (in_line == 0) {
            put_number(&map->text, "{\"runs\":", run->source);
            hv_buf_put_text(&map->text, ",\"at\":[");
        }
        put_run(&map->text, run, in_line > 0 ? run - 1 : NULL);
        in_line++;
        map->sources[run->source].last = 0;
        if (i + 1 == map->run_count || run[1].source != run->source || in_line == RUNS_PER_LINE) {
            hv_buf_put_text(&map->text, "]]}\n");
            in_line = 0;
        }
        if (map->text.len >= FULL && in_line == 0)
            rc = write_text(map, fd, err);
    }
    map->run_count = 0;
    return rc == HV_OK ? write_text(map, fd, err) : rc;
}

/* ---- open, close ---- */

/* Whether the path still leads to this file: whoever held the lock before us may have replaced it. */
static bool
is_file_of(int fd, const char *path)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static hv_rc
open_locked(const hv_offset_map *map, const char *path, int flags, int *ret, hv_err *err)
{
    int fd = open(path, flags | O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0)
        return failed(map, "open", err);
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    bool busy = locked ? !is_file_of(fd, path) : errno == EWOULDBLOCK;
    if (locked && !busy) {
        *ret = fd;
        return HV_OK;
    }
    hv_rc rc = busy ? hv_err_set(err, HV_BUSY, "another replay writes offset map '%s'", map->path) : failed(map, "lock", err);
    (void)close(fd);
    return rc;
}

hv_rc
hv_offset_map_open(const char *path, hv_offset_map **ret, hv_err *err)
{
    HV_AUTO(hv_offset_map_close) hv_offset_map *map = calloc(1, sizeof *map);

    if (map == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for an offset map");
    map->fd = -1;
    map->text = (hv_buf)HV_BUF_INIT(TEXT_MAX);
    if (strlen(path) + sizeof ".new" > sizeof map->path)
        return hv_err_set(err, HV_USAGE, "the path of the offset map is too long");
    memcpy(map->path, path, strlen(path) + 1);
    hv_rc rc = open_locked(map, path, 0, &map->fd, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(map);
    return rc;
}

void
hv_offset_map_close(hv_offset_map *map)
{
    if (map == NULL)
        return;
    if (map->fd >= 0)
        (void)close(map->fd);
    hv_buf_free(&map->text);
    free(map->sources);
    free(map->runs);
    free(map);
}

/* ---- remembering ---- */

static hv_rc
know_source(hv_offset_map *map, const hv_mapped_source *source, hv_err *err)
{
    if (!hv_array_room(&map->sources, map->source_count, &map->source_room, sizeof *map->sources))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu sources of an offset map", map->source_count + 1);
    map->sources[map->source_count++] = (known_source){.is = *source};
    return HV_OK;
}

hv_rc
hv_offset_map_add_source(hv_offset_map *map, const hv_mapped_source *source, hv_err *err)
{
    hv_rc rc = know_source(map, source, err);

    if (rc == HV_OK) {
        put_source(&map->text, map->source_count - 1, source);
        rc = write_text(map, map->fd, err);
    }
    return rc;
}

hv_rc
hv_offset_map_find_source(hv_offset_map *map, const hv_partition *from, uint32_t *ret, hv_err *err)
{
    for (size_t i = 0; i < map->source_count; i++) {
        uint32_t at = (uint32_t)((map->found + i) % map->source_count);
        if (hv_partition_compare(&map->sources[at].is.from, from) != 0)
            continue;
        *ret = map->found = at;
        return HV_OK;
    }
    return hv_err_set(err, HV_NOT_FOUND, "the offset map does not know partition %" PRId32 " of hub '%s'", from->number, from->hub);
}

/* One run, whose events are all above what is remembered of the source. */
static hv_rc
add_run(hv_offset_map *map, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *err)
{
    known_source *known = &map->sources[source];
    map_run *last = known->last > 0 ? &map->runs[known->last - 1] : NULL;

    assert(source < map->source_count);
    assert(last == NULL || old_first >= last->old_first + last->count);
    if (last != NULL && old_first == last->old_first + last->count && new_first == last->new_first + last->count) {
        last->count += count;
        return HV_OK;
    }
    if (!hv_array_room(&map->runs, map->run_count, &map->run_room, sizeof *map->runs))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu runs of an offset map", map->run_count + 1);
    map->runs[map->run_count++] = (map_run){.source = source, .old_first = old_first, .new_first = new_first, .count = count};
    known->last = map->run_count;
    return HV_OK;
}

hv_rc
hv_offset_map_add(hv_offset_map *map, uint32_t source, int64_t old_offset, int64_t new_offset, hv_err *err)
{
    return add_run(map, source, old_offset, new_offset, 1, err);
}

hv_rc
hv_offset_map_write(hv_offset_map *map, hv_err *err)
{
    hv_rc rc = map->run_count > 0 ? write_runs(map, map->fd, err) : HV_OK;

    if (rc == HV_OK && fdatasync(map->fd) != 0)
        rc = failed(map, "synchronise", err);
    return rc;
}

hv_rc
hv_offset_map_finish(hv_offset_map *map, hv_err *err)
{
    hv_buf_put_text(&map->text, "{\"finished\":true}\n");
    hv_rc rc = write_text(map, map->fd, err);

    return rc == HV_OK ? hv_offset_map_write(map, err) : rc;
}

/* ---- beginning, and going on ---- */

/* The old file on its way into a new one. */
typedef struct resuming {
    hv_offset_map *map;
    const hv_mapped_source *sources;
    const int64_t *next;
    size_t count;
    int64_t *begins;                    /* of `sources`, as the old file has them; -1: it does not know the source */
    size_t *numbers;                    /* of a source of the old file: where it stands in `sources` */
    size_t old_count, old_room;
    int fd;                             /* of the new file; -1: there is none yet */
    int64_t events;
    bool exact;                         /* the number of events proves that nothing is missing */
} resuming;

/* What a loss of power leaves of lines that were not synchronised can be anything. It lies at the end and was not committed; the number of
 * events proves that. */
static hv_rc
walk_to_damage(const resuming *r, const hv_offset_map_visitor *visitor, hv_offset_map_head *ret, hv_err *err)
{
    hv_rc rc = hv_offset_map_walk(r->map->path, visitor, ret, err);

    return rc == HV_CORRUPT && r->exact && r->old_count > 0 ? HV_OK : rc;
}

static hv_rc
meet_source(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *err)
{
    resuming *r = arg;

    if (number < r->old_count)
        return HV_OK;                   /* of the second walk */
    if (!hv_array_room(&r->numbers, r->old_count, &r->old_room, sizeof *r->numbers))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu sources of an offset map", r->old_count + 1);
    for (size_t i = 0; i < r->count; i++) {
        if (hv_partition_compare(&r->sources[i].from, &source->from) != 0)
            continue;
        if (strcmp(r->sources[i].topic, source->topic) != 0 || r->sources[i].to != source->to)
            return hv_err_set(err, HV_USAGE, "partition %" PRId32 " of hub '%s' went to partition %" PRId32 " of topic '%s' before",
                              source->from.number, source->from.hub, source->to, source->topic);
        r->begins[i] = source->begin;
        r->numbers[r->old_count++] = i;
        return HV_OK;
    }
    return hv_err_set(err, HV_USAGE, "partition %" PRId32 " of hub '%s' was replayed before, and is not now", source->from.number,
                      source->from.hub);
}

static hv_rc
keep_run(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *err)
{
    resuming *r = arg;
    size_t at = r->numbers[source];
    int64_t kept = old_first >= r->next[at] ? 0 : r->next[at] - old_first < count ? r->next[at] - old_first : count;
    const known_source *known = &r->map->sources[at];

    if (kept == 0)
        return HV_OK;
    if (known->last > 0 && old_first < r->map->runs[known->last - 1].old_first + r->map->runs[known->last - 1].count)
        return hv_err_set(err, HV_CORRUPT, "offset %" PRId64 " comes twice", old_first);
    r->events += kept;
    hv_rc rc = add_run(r->map, (uint32_t)at, old_first, new_first, kept, err);
    return rc == HV_OK && r->map->run_count >= RUNS_PER_LINE ? write_runs(r->map, r->fd, err) : rc;
}

static hv_rc
check_same(const hv_offset_map *map, const hv_offset_map_head *now, const hv_offset_map_head *before, hv_err *err)
{
    if (strcmp(now->vault, before->vault) == 0 && strcmp(now->id, before->id) == 0
        && memcmp(now->request, before->request, sizeof now->request) == 0)
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "'%s' is the offset map of replay '%s'%s", map->path, before->id,
                      strcmp(now->id, before->id) == 0 ? " with another request" : "");
}

static hv_rc
write_front(hv_offset_map *map, int fd, const hv_offset_map_head *head, resuming *r, hv_err *err)
{
    put_head(&map->text, head);
    for (size_t i = 0; i < r->count; i++) {
        hv_mapped_source source = r->sources[i];
        if (r->begins[i] >= 0)
            source.begin = r->begins[i];
        hv_rc rc = know_source(map, &source, err);
        if (rc != HV_OK)
            return rc;
        put_source(&map->text, i, &source);
    }
    return write_text(map, fd, err);
}

/* The name of the folder of a path. */
static hv_rc
sync_folder(const hv_offset_map *map, hv_err *err)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(map->path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - map->path);

    memcpy(folder, map->path, len);
    folder[len] = '\0';
    int fd = open(slash == NULL ? "." : len == 0 ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    hv_rc rc = synced ? HV_OK : failed(map, "synchronise the folder of", err);
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

/* The new file stands beside the old one, whole and durable, and takes its name. */
static hv_rc
replace(hv_offset_map *map, const char *beside, int fd, hv_err *err)
{
    if (fsync(fd) != 0 || rename(beside, map->path) != 0) {
        hv_rc rc = failed(map, "replace", err);
        (void)close(fd);
        return rc;
    }
    (void)close(map->fd);
    map->fd = fd;                       /* locked since it was made */
    return sync_folder(map, err);
}

static hv_rc
write_anew(hv_offset_map *map, const hv_offset_map_head *head, bool empty, resuming *r, hv_err *err)
{
    hv_offset_map_visitor visitor = {.arg = r, .source = meet_source, .run = keep_run};
    hv_offset_map_head before;
    char beside[PATH_SIZE + sizeof ".new"];

    (void)snprintf(beside, sizeof beside, "%s.new", map->path);
    hv_rc rc = open_locked(map, beside, O_TRUNC, &r->fd, err);
    if (rc != HV_OK)
        return rc;
    rc = write_front(map, r->fd, head, r, err);
    if (rc == HV_OK && !empty)
        rc = walk_to_damage(r, &visitor, &before, err);
    if (rc == HV_OK)
        rc = write_runs(map, r->fd, err);
    if (rc != HV_OK) {
        (void)close(r->fd);
        (void)unlink(beside);
        return rc;
    }
    return replace(map, beside, r->fd, err);
}

static hv_rc
check_count(const hv_offset_map *map, const resuming *r, int64_t sent_before, hv_err *err)
{
    if (r->events == sent_before || (!r->exact && (sent_before == 0 || r->events > 0)))
        return HV_OK;
    return hv_err_set(err, HV_USAGE,
                      "offset map '%s' holds %" PRId64 " of the %" PRId64 " events that earlier runs of this replay sent: give the file that "
                      "they wrote, or begin anew under another id and into a new topic", map->path, r->events, sent_before);
}

static hv_rc
count_run(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *err)
{
    resuming *r = arg;
    int64_t below = r->next[r->numbers[source]] - old_first;

    (void)new_first, (void)err;
    r->events += below <= 0 ? 0 : below < count ? below : count;
    return HV_OK;
}

/* Nothing is changed unless everything fits. */
static hv_rc
begin(hv_offset_map *map, const hv_offset_map_head *head, int64_t sent_before, resuming *r, hv_err *err)
{
    hv_offset_map_visitor counts = {.arg = r, .source = meet_source, .run = count_run};
    hv_offset_map_head before;
    off_t size = lseek(map->fd, 0, SEEK_END);
    hv_rc rc = size < 0 ? failed(map, "look at", err) : HV_OK;

    if (rc == HV_OK && size > 0) {
        rc = hv_offset_map_read_head(map->path, &before, err);
        if (rc == HV_OK)
            rc = check_same(map, head, &before, err);
        if (rc == HV_OK)
            rc = walk_to_damage(r, &counts, &before, err);
    }
    if (rc == HV_OK)
        rc = check_count(map, r, sent_before, err);
    r->events = 0;
    return rc == HV_OK ? write_anew(map, head, size == 0, r, err) : rc;
}

hv_rc
hv_offset_map_begin(hv_offset_map *map, const hv_offset_map_head *head, const hv_mapped_source *sources, const int64_t *next,
                    size_t count, int64_t sent_before, bool exact, hv_err *err)
{
    resuming r = {.map = map, .sources = sources, .next = next, .count = count, .fd = -1, .exact = exact};

    r.begins = malloc((count + 1) * sizeof *r.begins);
    if (r.begins == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu sources of an offset map", count);
    for (size_t i = 0; i < count; i++)
        r.begins[i] = -1;
    hv_rc rc = begin(map, head, sent_before, &r, err);
    free(r.begins);
    free(r.numbers);
    return rc;
}
