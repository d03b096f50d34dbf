/* Cuts to record: random ones that are complete and true, and small ones for single claims. */
#ifndef HV_TESTS_INDEX_INDEX_SAMPLES_H
#define HV_TESTS_INDEX_INDEX_SAMPLES_H

#include "common/buf.h"
#include "index/index.h"

#define SAMPLE_VAULT "0190c1f2-5a3b-7c4d-8e5f-001122334455"

/* Numbers that follow from a seed. */
typedef struct sample_rng {
    uint64_t state;
} sample_rng;

uint64_t sample_random(sample_rng *rng);
/* 0 .. bound - 1. */
int64_t sample_below(sample_rng *rng, int64_t bound);

hv_partition sample_partition(const char *hub, uint32_t incarnation, int32_t number);

/* How wild a random cut may be. */
typedef struct sample_shape {
    int max_segments;                   /* 1 or more */
    int max_blocks;                     /* per segment */
    int64_t max_length;                 /* offsets of the cut */
    int64_t time;                       /* about when its events are */
    int64_t time_spread;
    int outliers;                       /* one timestamp in so many is anything, 0: none */
    bool no_gaps;
} sample_shape;

/* Complete, true, beginning at first. Clear it with hv_index_cut_clear(). */
hv_index_cut sample_cut(sample_rng *rng, int64_t first, const sample_shape *shape);

/* One segment of class "default" with one block: count events at time, then nothing else. */
hv_index_cut sample_plain_cut(int64_t first, int64_t count, int64_t time);

/* Two segments, a gap, a missing offset: everything that is recorded of a cut; its length is 10. */
hv_index_cut sample_full_cut(int64_t first, int64_t time);

/* Every fact the same. */
bool sample_cuts_equal(const hv_index_cut *a, const hv_index_cut *b);

/* hv_index_dump() as one text; fails the test if it cannot. */
void sample_dump(hv_index *index, hv_buf *to);

/* Opens or fails the test. */
hv_index *sample_open(const char *dir, uint64_t map_bytes);

/* Records one cut or fails the test. */
void sample_add(hv_index *index, const hv_partition *partition, const hv_index_cut *cut);

#endif
