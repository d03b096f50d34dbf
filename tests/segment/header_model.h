/*
 * Headers from a table that says for each offset of a small cut who owns it: the table is what a header's own idea of its offsets is
 * compared with.
 */
#ifndef HV_TESTS_SEGMENT_HEADER_MODEL_H
#define HV_TESTS_SEGMENT_HEADER_MODEL_H

#include "segment/header.h"
#include "tests/segment/segment_builder.h"

enum { MAX_OFFSETS = 40 };

enum { OWNER_LEAD, OWNER_A, OWNER_B, OWNER_GAP, OWNER_OTHER_GAP, OWNERS };

typedef struct cut_model {
    int64_t first;
    size_t len;
    int owner[MAX_OFFSETS];
    bool is_missing[MAX_OFFSETS];       /* from the sibling that it was promised to */
} cut_model;

/* A header with room of its own for all it points to. */
typedef struct model_header {
    hv_segment_header header;
    hv_range a[MAX_OFFSETS], b[MAX_OFFSETS];
    hv_class_map classes[2];
    hv_gap gaps[MAX_OFFSETS], missing[MAX_OFFSETS];
    hv_block_ref blocks[MAX_OFFSETS];
    unsigned char schemas[3][HV_SHA256_SIZE];
} model_header;

cut_model random_cut(test_random *random);

/* The offsets that a segment of this owner holds; how many. */
size_t own_offsets(const cut_model *cut, int owner, int64_t ret[MAX_OFFSETS]);

/* The header of the lead or of a sibling, with random blocks. False if the cut cannot have such a segment. */
bool model_header_fill(model_header *m, const cut_model *cut, int owner, test_random *random);

/* Offsets 10 to 20: lead 10..13, gap 14..15, class a-class 16..18 without 17, class b 19, lead 20. */
void fill_example(model_header *m, int owner);

#endif
