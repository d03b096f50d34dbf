/*
 * From the configuration to sources: one per credential.
 */
#ifndef HV_SERVER_SOURCES_H
#define HV_SERVER_SOURCES_H

#include "common/options.h"
#include "source/admin.h"
#include "source/kafka_config.h"
#include "source/membership.h"
#include "source/source.h"

/* All of them, and what they need while they live. */
typedef struct hv_sources hv_sources;

/* Opens a source per hub of source.hub-credential, or else one for everything. HV_USAGE without a source in the options. */
hv_rc hv_sources_open(const hv_options *options, hv_sources **ret, hv_err *err) HV_MUST_USE;
/* The same for somebody who stays and for whom a second does not matter: while little arrives, brokers are asked about once a second. */
hv_rc hv_sources_open_unhurried(const hv_options *options, hv_sources **ret, hv_err *err) HV_MUST_USE;
void hv_sources_close(hv_sources *sources);
HV_DEFINE_AUTO(hv_sources, hv_sources_close);

/* The connection the options describe, for another client than a source: nothing is opened. What *config points to lives as long as *ret,
 * and as the options. HV_USAGE without a source in the options. */
hv_rc hv_sources_describe(const hv_options *options, hv_sources **ret, hv_kafka_config *config, hv_err *err) HV_MUST_USE;

/* Borrowed; live as long as the sources. */
hv_source *const *hv_sources_all(const hv_sources *sources, size_t *count);

/* For questions about groups and settings, with the credential of source number `at`. Must be closed before the sources. */
hv_rc hv_sources_open_admin(const hv_sources *sources, size_t at, hv_admin **ret, hv_err *err) HV_MUST_USE;

/*
 * Make every source a member of the consumer group of the options, or of the one of this vault; what is a member of nothing captures
 * everything. *ret has one membership per source, lives as long as the sources, and is NULL with source.assignment = all. Once.
 */
hv_rc hv_sources_join(hv_sources *sources, const hv_options *options, const char *vault, hv_membership *const **ret,
                      hv_err *err) HV_MUST_USE;

/* What of new options a running source takes over: the globs of source.include and source.exclude. HV_NOMEM. */
hv_rc hv_sources_reload(const hv_sources *sources, const hv_options *options, hv_err *err) HV_MUST_USE;

/* Secrets are read from their files again. The first failure; what could be read is in use all the same, and old secrets are where it
 * could not. */
hv_rc hv_sources_refresh(const hv_sources *sources, hv_err *err) HV_MUST_USE;

/* The one that has the hub: by its credential, else the first. */
hv_source *hv_sources_for_hub(const hv_sources *sources, const char *hub);

#endif
