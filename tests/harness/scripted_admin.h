/*
 * A messaging service that exists only for hv_admin: groups, commits and topics that a test sets, and failures on demand. All functions may
 * be called from any thread.
 */
#ifndef HV_TESTS_HARNESS_SCRIPTED_ADMIN_H
#define HV_TESTS_HARNESS_SCRIPTED_ADMIN_H

#include "source/admin.h"

hv_admin *scripted_admin_new(void);

/* Replaces what was there under that name. */
void scripted_admin_topic(hv_admin *admin, const char *name, int32_t partitions, int32_t replication, bool told);
void scripted_admin_drop_topic(hv_admin *admin, const char *name);
void scripted_admin_setting(hv_admin *admin, const char *topic, const char *name, const char *value, bool own);
void scripted_admin_commit(hv_admin *admin, const char *group, const char *topic, int32_t partition, int64_t offset, const char *metadata);
void scripted_admin_forget(hv_admin *admin, const char *group);
void scripted_admin_active(hv_admin *admin, const char *group, bool active);

/* Every call of this kind ("groups", "commits", "set_commits", "topic", "create_topic") fails from now on; HV_OK: no more. */
void scripted_admin_fail(hv_admin *admin, const char *kind, hv_rc rc);
/* Lets calls wait until it is told otherwise. */
void scripted_admin_hang(hv_admin *admin, bool hang);
int scripted_admin_calls(hv_admin *admin, const char *kind);
/* Called in the middle of each call of that kind, with nothing locked; NULL: no more. */
void scripted_admin_during(hv_admin *admin, const char *kind, void (*act)(void *arg), void *arg);

#endif
