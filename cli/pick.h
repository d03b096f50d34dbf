/* Which hub and incarnation a command means. */
#ifndef HV_CLI_PICK_H
#define HV_CLI_PICK_H

#include "cli/args.h"
#include "index/index.h"

/* The incarnation that the flag --incarnation names (args NULL: there is no such flag), else the newest one of the hub. HV_NOT_FOUND if the vault does not have it; a
 * misspelt hub is told the nearest name. */
hv_rc hv_pick_incarnation(hv_index *index, const char *hub, const hv_args *args, uint32_t *ret, hv_err *err) HV_MUST_USE;

#endif
