/* Changing entries of an index behind its back, with checksums that are right. */
#ifndef HV_TESTS_ARCHIVER_INDEX_TAMPER_H
#define HV_TESTS_ARCHIVER_INDEX_TAMPER_H

#include "index/index_internal.h"

typedef struct index_tampering {
    hv_ix_db db;
    hv_partition partition;
    int64_t first;                      /* of the cut whose entry it is; -1: the first one of the partition */
    void (*change)(hv_buf *value);      /* without its checksum; NULL: remove the entry */
    bool damage;                        /* leave the old checksum: change one bit only */
} index_tampering;

void index_tamper(hv_index *index, const index_tampering *how);

#endif
