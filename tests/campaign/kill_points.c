#include "tests/campaign/kill_points.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The stages of one put, whatever is put. */
#define PUT_PLACES(what) \
    "put." what ".before", "put." what ".temp", "put." what ".written", "put." what ".sync.before", "put." what ".sync.after", \
    "put." what ".link.before", "put." what ".link.after", "put." what ".folder.before", "put." what ".folder.after", \
    "put." what ".created"

static const char *const places[] = {
    PUT_PLACES("marker"),
    PUT_PLACES("incarnation"),
    PUT_PLACES("lead"),
    PUT_PLACES("sibling"),
    PUT_PLACES("snapshot"),
    "put.lead.exists",
    "folder.made", "folder.sync.before", "folder.sync.after",
    "claim.before", "claim.after",
    "index.open.commit.before", "index.open.commit.after",
    "index.incarnation.commit.before", "index.incarnation.commit.after",
    "index.cut.commit.before", "index.cut.sync.before", "index.cut.sync.after", "index.cut.commit.after",
    "rebuild.before", "rebuild.commit.before", "rebuild.commit.after", "rebuild.after",
    "replace.before", "replace.lock-moved", "replace.data-moved", "replace.after",
    "start.before", "start.after",
    "adopt.looked", "adopt.record.before", "adopt.record.after", "adopt.sealing",
    "fill.before", "fill.after",
    "shutdown.begin", "shutdown.put.before", "shutdown.put.after", "shutdown.commit.before", "shutdown.commit.after",
    "shutdown.joined", "shutdown.closed",
    "verify.begin", "verify.read",
    "replay.init.before", "replay.init.after", "replay.produce", "replay.offsets.before", "replay.offsets.after",
    "replay.commit.before", "replay.commit.after",
    "group.assigned.before", "group.assigned.after",
    "group.admit.asked", "group.admit.look", "group.admit.before", "group.admit.after",
    "group.revoked.before", "group.revoked.after",
    "group.release.put.before", "group.release.put.after", "group.release.commit.before", "group.release.commit.after",
    "group.released.before", "group.released.after",
    "group.lost.before", "group.lost.after",
    "group.leave.before", "group.leave.after",
};

enum { PLACES = sizeof places / sizeof places[0], BOARD_PLACES = 128, BOARD_READS = 256, NO_PLACE = -1, ANY_PLACE = -2 };

/* Read by kill_board.py; little-endian there, as on every machine that this runs on. */
typedef struct board {
    _Atomic uint64_t wanted;            /* written from outside: 1 + number of the place to die at, BOARD_PLACES for any; 0: none */
    _Atomic uint64_t wanted_in;         /* the same: at so many passages from then on */
    _Atomic uint64_t killed;            /* 1 + number of the place; 0: not by itself */
    _Atomic uint64_t ticks;
    _Atomic uint64_t passed[BOARD_PLACES];
    _Atomic uint64_t reads;
    struct {
        int64_t incarnation, partition, first, next;
    } read[BOARD_READS];
} board;

_Static_assert(PLACES <= BOARD_PLACES, "a counter for each place");

static struct {
    board *board;
    int journal;
    int place;
    uint64_t number;
} armed = {.journal = -1, .place = NO_PLACE};
static pthread_once_t once = PTHREAD_ONCE_INIT;

int64_t
kill_setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoll(text, NULL, 10);
}

static int
find_place(const char *name, size_t len)
{
    for (int p = 0; p < PLACES; p++)
        if (strlen(places[p]) == len && memcmp(places[p], name, len) == 0)
            return p;
    return NO_PLACE;
}

static void
give_up(const char *what)
{
    fprintf(stderr, "hubvault_killed: %s\n", what);
    _exit(99);
}

static void
arm(void)
{
    const char *kill_at = getenv("CAMPAIGN_KILL"), *file = getenv("CAMPAIGN_BOARD"), *journal = getenv("CAMPAIGN_JOURNAL");

    if (kill_at != NULL) {
        const char *colon = strchr(kill_at, ':');
        if (colon == NULL)
            give_up("CAMPAIGN_KILL is PLACE:N");
        armed.place = strncmp(kill_at, "tick:", 5) == 0 ? ANY_PLACE : find_place(kill_at, (size_t)(colon - kill_at));
        armed.number = strtoull(colon + 1, NULL, 10);
        if (armed.place == NO_PLACE || armed.number == 0)
            give_up("CAMPAIGN_KILL names no place");
    }
    if (file != NULL) {
        int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || ftruncate(fd, sizeof *armed.board) != 0)
            give_up("cannot make the board");
        void *map = mmap(NULL, sizeof *armed.board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            give_up("cannot map the board");
        (void)close(fd);
        armed.board = map;
    }
    if (journal != NULL && (armed.journal = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
        give_up("cannot open the journal");
}

static void __attribute__((constructor))
print_places(void)
{
    if (getenv("CAMPAIGN_PLACES") == NULL)
        return;
    for (int p = 0; p < PLACES; p++)
        puts(places[p]);
    (void)fflush(stdout);
    _exit(0);
}

/* Whether somebody has written into the board that this passage is to be the last. */
static bool
told_to_die(int place)
{
    uint64_t wanted = armed.board == NULL ? 0 : atomic_load(&armed.board->wanted);

    if (wanted == 0 || (wanted != BOARD_PLACES && wanted != (uint64_t)(place == NO_PLACE ? 0 : place + 1)))
        return false;
    return atomic_fetch_sub(&armed.board->wanted_in, 1) == 1;
}

void
kill_point(const char *group, const char *step)
{
    static _Atomic uint64_t passed[PLACES], ticks;
    char name[80];

    (void)pthread_once(&once, arm);
    int len = snprintf(name, sizeof name, "%s.%s", group, step);
    assert(len > 0 && len < (int)sizeof name);
    int place = find_place(name, (size_t)len);
    uint64_t tick = atomic_fetch_add(&ticks, 1) + 1, here = place == NO_PLACE ? 0 : atomic_fetch_add(&passed[place], 1) + 1;
    if (armed.board != NULL) {
        atomic_store(&armed.board->ticks, tick);
        if (place != NO_PLACE)
            atomic_fetch_add(&armed.board->passed[place], 1);
    }
    bool told = told_to_die(place), any = told ? atomic_load(&armed.board->wanted) == BOARD_PLACES : armed.place == ANY_PLACE;
    bool now = armed.place == ANY_PLACE ? tick == armed.number : place != NO_PLACE && place == armed.place && here == armed.number;
    if (!now && !told)
        return;
    if (armed.board != NULL)
        atomic_store(&armed.board->killed, any ? BOARD_PLACES : (uint64_t)place + 1);
    (void)kill(getpid(), SIGKILL);
    for (;;)                            /* this thread goes no further, whichever the kernel ends first */
        (void)pause();
}

void
board_note_read(uint32_t incarnation, int32_t partition, int64_t offset)
{
    (void)pthread_once(&once, arm);
    board *shared = armed.board;
    if (shared == NULL)
        return;
    uint64_t count = atomic_load(&shared->reads), r = 0;
    while (r < count && (shared->read[r].incarnation != incarnation || shared->read[r].partition != partition))
        r++;
    if (r == BOARD_READS)
        return;
    if (r == count) {                   /* one thread reads from the hub, so nobody else adds */
        shared->read[r].incarnation = incarnation;
        shared->read[r].partition = partition;
        shared->read[r].first = offset;
        atomic_store(&shared->reads, count + 1);
    }
    shared->read[r].next = offset + 1;
}

int64_t
journal_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void
journal_write(char kind, int64_t time, uint64_t number, const char *path)
{
    char line[4096 + 80];

    (void)pthread_once(&once, arm);
    if (armed.journal < 0)
        return;
    int len = snprintf(line, sizeof line, "%c %lld %llu %s\n", kind, (long long)time, (unsigned long long)number, path);
    if (len <= 0 || len >= (int)sizeof line || write(armed.journal, line, (size_t)len) != len)
        give_up("cannot write the journal");
}
