/* Makes events and whole segments for tests, and compares. Failures end the test. */
#ifndef HV_TESTS_SEGMENT_SEGMENT_BUILDER_H
#define HV_TESTS_SEGMENT_SEGMENT_BUILDER_H

#include "segment/segment_file.h"

#define TEST_VAULT "0b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10"

/* xorshift64*, so that a seed gives the same events everywhere. */
typedef struct test_random {
    uint64_t state;
} test_random;

test_random test_random_make(uint64_t seed);
uint64_t test_random_next(test_random *random);
uint64_t test_random_below(test_random *random, uint64_t bound);

/* An event with everything it borrows. */
typedef struct test_event {
    hv_event event;
    hv_header headers[8];
    unsigned char bytes[4096];
    size_t used;
} test_event;

/* Nulls, empties, duplicate and odd headers, odd timestamps, bytes of every value: all are likely. */
void test_event_fill(test_event *event, test_random *random, int64_t offset);

bool test_events_equal(const hv_event *a, const hv_event *b);

/* What a segment is made of. Everything not set is the simplest possible. */
typedef struct test_segment_config {
    hv_segment_header header;           /* facts; blocks and what follows from them is filled in. Nothing in it is freed. */
    const hv_event *events;
    size_t event_count, events_per_block;
    int level;                          /* 0: 1 */
} test_segment_config;

/* A header of vault TEST_VAULT, hub "orders", incarnation 1, partition 0, class "default", created 1700000000000, cut [first, end). */
hv_segment_header test_header_make(hv_codec codec, int64_t first, int64_t end);

/* The whole blob, appended to ret; sha256 may be NULL. */
void test_segment_build(const test_segment_config *config, hv_buf *ret, unsigned char *sha256);

/* The front of a segment with this header, whatever it says: docs/FORMAT.md section 5 once more, without what hv_segment_assemble() would
 * refuse to write. Appended to `to`. */
void test_front_write(const hv_segment_header *header, const unsigned char sync[HV_SYNC_SIZE], hv_buf *to);

/* The sync marker that test segments have. */
extern const unsigned char test_sync[HV_SYNC_SIZE];

/* Opens block i of a whole blob into raw. */
hv_rc test_block_open(hv_block_coder *coder, const hv_segment_front *front, hv_slice blob, size_t i, hv_buf *raw, hv_err *err);

/* Parses the blob and compares all its events, in order. */
void test_segment_expect(hv_slice blob, const hv_event *events, size_t count);

#endif
