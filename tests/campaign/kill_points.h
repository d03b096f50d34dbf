/*
 * Where a process of the campaign dies, and what it leaves behind for the judge.
 *
 * hubvault_killed is hubvault, from the same objects, with some calls replaced by the linker (--wrap). Each replacement tells where
 * the process is; at the place that the environment names, the process kills itself:
 *
 *   CAMPAIGN_KILL=PLACE:N   at the N-th passage of PLACE. "tick" is a passage of any place.
 *   CAMPAIGN_BOARD=FILE     counters and reading positions, in memory shared with the file, so that they outlive the process; a place to
 *                           die at may be written into it while the process runs
 *   CAMPAIGN_JOURNAL=FILE   what was named and what was synced in the vault, for whoever plays a loss of power
 *   CAMPAIGN_CLASSES=N, CAMPAIGN_CUT_BYTES=N, CAMPAIGN_CUT_AGE_MS=N, CAMPAIGN_FOREIGN_WAIT_MS=N
 *                           what the configuration cannot say: classes by offset, cuts smaller than allowed
 *   CAMPAIGN_METHOD=link|rename     the file system lacks what the better ways to name a file need
 *   CAMPAIGN_PLACES=1       print the names of all places and end
 */
#ifndef HV_TESTS_CAMPAIGN_KILL_POINTS_H
#define HV_TESTS_CAMPAIGN_KILL_POINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The place is "GROUP.STEP". A name that is not in the table of places counts as a tick and nothing else. */
void kill_point(const char *group, const char *step);

/* Of the environment; `otherwise` if it is not set. */
int64_t kill_setting(const char *name, int64_t otherwise);

/* An event was read from the hub. */
void board_note_read(uint32_t incarnation, int32_t partition, int64_t offset);

/* Nanoseconds of CLOCK_MONOTONIC, the same for all processes of this machine. */
int64_t journal_now(void);
/* One line: KIND TIME NUMBER PATH. Written at once, so that it is there whatever happens next. */
void journal_write(char kind, int64_t time, uint64_t number, const char *path);

#endif
