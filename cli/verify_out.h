/* What verification says, as rows. */
#ifndef HV_CLI_VERIFY_OUT_H
#define HV_CLI_VERIFY_OUT_H

#include "archiver/verify.h"
#include "cli/out.h"

/* Once, before the first finding. */
void hv_verify_out_start(hv_out *out);
void hv_verify_out_finding(hv_out *out, const hv_finding *finding);
/* Every kind of finding there is, with its meaning and what to do. */
void hv_verify_out_kinds(hv_out *out);
void hv_verify_out_summary(hv_out *out, const hv_verify_facts *facts, int64_t duration_ms);

#endif
