/*
 * Consumer groups follow their events: from what groups had committed for a hub, and the offset map of a replay, to what they have to commit
 * for the topic that was filled. docs/REPLAY.md "Consumers move with their data".
 *
 * Committed is the next offset to be read. So a group goes on at the new offset of the first replayed event at or behind that.
 */
#ifndef HV_REPLAY_GROUP_MOVES_H
#define HV_REPLAY_GROUP_MOVES_H

#include "index/index.h"
#include "segment/snapshot_record.h"
#include "source/admin.h"
#include "source/source.h"
#include "storage/storage.h"

typedef enum hv_move_state {
    HV_MOVE_EVENT,                      /* goes on at an event */
    HV_MOVE_END,                        /* had read all that was replayed: goes on behind it */
    HV_MOVE_BEFORE,                     /* had not read events that lie before what was replayed: they would be passed over */
    HV_MOVE_LATER,                      /* the replay has not come so far */
    HV_MOVE_UNMAPPED,                   /* nothing of that partition was replayed */
} hv_move_state;

const char *hv_move_state_text(hv_move_state state);

/* One partition of one group. */
typedef struct hv_group_move {
    char *group;
    hv_partition from;
    int64_t committed;
    hv_move_state state;
    char topic[HV_HUB_SIZE];            /* these three unless it is unmapped; offset for EVENT, END and BEFORE */
    int32_t to;
    int64_t offset;
    int64_t event;                      /* old offset of the event that it goes on at, for EVENT and BEFORE */
    int64_t there;                      /* what the group has committed for the topic before; -1: nothing */
    bool lowered;                       /* several partitions went into one, and another one of them is behind: offset is that one's */
    bool done;                          /* the target says that it is committed */
    char *metadata;
    size_t metadata_len;
} hv_group_move;

/* What is to become of a group, which is moved as a whole or not at all. */
typedef enum hv_move_verdict {
    HV_GROUP_MOVES,
    HV_GROUP_IS_THERE,                  /* has committed just that already */
    HV_GROUP_ACTIVE,                    /* has members at the target, who own its commits */
    HV_GROUP_HAS_OTHER,                 /* has committed something else at the target */
    HV_GROUP_WOULD_SKIP,                /* HV_MOVE_BEFORE */
    HV_GROUP_TOO_EARLY,                 /* HV_MOVE_LATER */
    HV_GROUP_UNMAPPED,                  /* nothing of it is mapped */
} hv_move_verdict;

const char *hv_move_verdict_text(hv_move_verdict verdict);

typedef struct hv_group_moves {
    hv_group_move *moves;               /* by group, then by partition */
    size_t count;
} hv_group_moves;

void hv_group_moves_clear(hv_group_moves *moves);
HV_DEFINE_AUTO_VALUE(hv_group_moves, hv_group_moves_clear);

/* Reads the map. Snapshots of any number of groups and hubs. HV_USAGE: the map is of another vault. Codes of hv_offset_map_walk(). */
hv_rc hv_group_moves_plan(const char *map_path, const char *vault, const hv_group_snapshot *snapshots, size_t count, hv_group_moves *ret,
                          hv_err *err) HV_MUST_USE;

/* How the groups stand at the target: fills in `there`. */
typedef struct hv_move_group {
    size_t first, count;                /* of its moves */
    bool active;
    hv_move_verdict verdict;
} hv_move_group;

typedef struct hv_move_rules {
    bool overwrite;                     /* commit over what a group has committed there */
    bool allow_gap;                     /* HV_MOVE_BEFORE goes on at the first event that was replayed */
} hv_move_rules;

/* free() *ret: one element per group, in order. */
hv_rc hv_group_moves_judge(hv_group_moves *moves, hv_admin *target, const hv_move_rules *rules, int timeout_ms, hv_move_group **ret,
                           size_t *count, hv_err *err) HV_MUST_USE;

/* Commit for a group whose verdict is HV_GROUP_MOVES. HV_BUSY: somebody joined it meanwhile. */
hv_rc hv_group_moves_commit(hv_group_moves *moves, const hv_move_group *group, hv_admin *target, int timeout_ms, hv_err *err) HV_MUST_USE;

/* Ask the target what it has now: fills in `done`. HV_GAP: not all of that. For HV_GROUP_MOVES and HV_GROUP_IS_THERE. */
hv_rc hv_group_moves_check(hv_group_moves *moves, const hv_move_group *group, hv_admin *target, int timeout_ms, hv_err *err) HV_MUST_USE;

/*
 * Read the event at each new offset of a group from the target, and compare it with the archived one: key, value, headers. HV_GAP: it is
 * another one, or none. The source is polled by this thread only.
 */
hv_rc hv_group_moves_compare(const hv_group_moves *moves, const hv_move_group *group, hv_source *target, hv_index *index, hv_storage *storage,
                             int timeout_ms, hv_err *err) HV_MUST_USE;

#endif
