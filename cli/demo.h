/*
 * What the demo does its steps with: saying, showing a command, waiting, counting.
 */
#ifndef HV_CLI_DEMO_H
#define HV_CLI_DEMO_H

#include <sys/types.h>

#include "cli/cli.h"
#include "server/demo_broker.h"

enum { HV_DEMO_REPLAY_MAX = 64 << 20 };

typedef struct hv_demo {
    hv_cli *cli;
    hv_demo_broker *broker;
    char dir[512], config[600], store[600], index[600], log[600];
    pid_t archiver;                     /* 0: none runs */
    int step, sent;
} hv_demo;

/* The next numbered paragraph. */
void hv_demo_say(hv_demo *d, const char *fmt, ...) HV_PRINTF(2, 3);

/* Run one command with the configuration of the demo; show it and what it printed. `out` may be NULL. HV_INTERNAL if it fails. */
hv_rc hv_demo_show(hv_demo *d, const char *const *words, hv_buf *out, hv_err *err) HV_MUST_USE;

void hv_demo_sleep_ms(long ms);

/* Make the folder with its configuration; HV_EXISTS if it is there. */
hv_rc hv_demo_prepare_folder(hv_demo *d, hv_err *err) HV_MUST_USE;

/* Removes a folder of files; what cannot be removed is left. */
void hv_demo_remove_flat(const char *dir);

/* Replay everything and count. HV_GAP unless every event that was sent is there exactly once. The lines go to `lines`. */
hv_rc hv_demo_count_all(hv_demo *d, hv_buf *lines, hv_err *err) HV_MUST_USE;

/* Until the vault has so many segments. */
hv_rc hv_demo_wait_for_segments(hv_demo *d, int64_t wanted, hv_err *err) HV_MUST_USE;

#endif
