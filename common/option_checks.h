/*
 * What a text option may hold beyond its type, for the rows of the option table. HV_USAGE names the option
 * and says what would be right.
 */
#ifndef HV_COMMON_OPTION_CHECKS_H
#define HV_COMMON_OPTION_CHECKS_H

#include "common/err.h"

/* host:port, several separated by commas; [::1]:9092 too. */
hv_rc hv_option_check_bootstrap(const char *name, const char *value, hv_err *err);
hv_rc hv_option_check_hub(const char *name, const char *value, hv_err *err);
/* 1 to 256 characters without blanks: the limit of Event Hubs (event-hubs-quotas page of the vendor), stricter than Kafka. */
hv_rc hv_option_check_group(const char *name, const char *value, hv_err *err);
/* http:// or https:// and a host; no user name in it. */
hv_rc hv_option_check_url(const char *name, const char *value, hv_err *err);
/* Text without blanks. */
hv_rc hv_option_check_plain(const char *name, const char *value, hv_err *err);
/* The name of a property: [a-z0-9._-]. One that holds a secret or loads code is refused. */
hv_rc hv_option_check_rdkafka(const char *name, const char *value, hv_err *err);

/* An address and a port to listen on, or "off". */
hv_rc hv_option_check_listen(const char *name, const char *value, hv_err *err);
/* TEAM=GLOB. */
hv_rc hv_option_check_team(const char *name, const char *value, hv_err *err);

#endif
