/*
 * Snapshots of consumer groups and topics beside a running service.
 */
#ifndef HV_SERVER_SNAPSHOTS_H
#define HV_SERVER_SNAPSHOTS_H

#include "common/heartbeat.h"
#include "common/log.h"
#include "common/options.h"
#include "server/sources.h"
#include "server/vault.h"

typedef struct hv_snapshot_service hv_snapshot_service;
struct hv_board;

/* *ret is NULL where archiver.snapshot-interval is 0. With `thread` rounds are made until it is closed. All handles are borrowed. Fails only
 * for want of memory or threads: what is wrong with a service is logged, and nothing else. */
hv_rc hv_snapshots_open(const hv_options *options, hv_log *log, struct hv_board *board, const hv_vault *vault, const hv_sources *sources,
                        bool thread, hv_snapshot_service **ret, hv_err *err) HV_MUST_USE;

/* One round now, for a service that has no thread. What fails is logged. Accepts NULL. */
void hv_snapshots_take(hv_snapshot_service *service);

/* Of its thread, or of hv_snapshots_take(); lives as long as the service. NULL for a service of NULL. */
const hv_heart *hv_snapshots_heart(const hv_snapshot_service *service);

/* Secrets are read from their files again, see hv_sources_refresh(). Any thread. HV_OK for a service of NULL. */
hv_rc hv_snapshots_refresh(const hv_snapshot_service *service, hv_err *err) HV_MUST_USE;

/* Accepts NULL. */
void hv_snapshots_close(hv_snapshot_service *service);
HV_DEFINE_AUTO(hv_snapshot_service, hv_snapshots_close);

#endif
