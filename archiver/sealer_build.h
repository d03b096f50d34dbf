/* From the blocks of a cut to the bytes of its segments: the part of the sealer that touches no store. */
#ifndef HV_ARCHIVER_SEALER_BUILD_H
#define HV_ARCHIVER_SEALER_BUILD_H

#include "archiver/sealer.h"

/* Make job->segments from job->cut. HV_NOMEM, HV_LIMIT; on failure nothing is made. */
hv_rc hv_sealer_build(const hv_sealer *sealer, hv_seal_job *job, hv_err *err) HV_MUST_USE;

#endif
