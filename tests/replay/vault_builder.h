/*
 * Vaults for tests: a store in memory and an index, filled through the segment code with chosen events, classes, gaps and blocks;
 * and a sink that keeps what it is given. Failures end the test.
 */
#ifndef HV_TESTS_REPLAY_VAULT_BUILDER_H
#define HV_TESTS_REPLAY_VAULT_BUILDER_H

#include "index/index.h"
#include "replay/sink.h"
#include "segment/block.h"
#include "storage/storage.h"
#include "tests/harness/scratch_dir.h"

/* An event that owns its bytes, and where it stands. */
typedef struct kept_event {
    hv_partition partition;
    hv_event event;
    char class_name[HV_CLASS_SIZE];
    bool sealed;                        /* part of a stored cut */
} kept_event;

typedef struct kept_events {
    kept_event *items;
    size_t count, room;
} kept_events;

void kept_add(kept_events *to, const hv_partition *partition, const hv_event *event, const char *class_name);
void kept_clear(kept_events *events);
void kept_expect_equal(const kept_events *got, const kept_events *want);

typedef struct built_gap {
    hv_partition partition;
    hv_gap gap;
    char missing_in[HV_CLASS_SIZE];     /* empty: a gap of the cut; else promised to this sibling, but lost */
    bool sealed;
} built_gap;

typedef struct vault_builder {
    scratch_dir dir;
    hv_storage *storage;
    hv_index *index;
    hv_block_coder *coder;
    kept_events events;                 /* all, in the order in which they were added */
    built_gap *gaps;
    size_t gap_count, gap_room;
} vault_builder;

void vault_open(vault_builder *vault);
void vault_close(vault_builder *vault);

hv_partition vault_partition(const char *hub, uint32_t incarnation, int32_t number);
void vault_incarnation(vault_builder *vault, const char *hub, uint32_t incarnation, const char *identity);

/* Offsets of a partition must ascend; the next vault_seal() of the partition stores them. class_name NULL: "default". */
void vault_add(vault_builder *vault, const hv_partition *partition, const hv_event *event, const char *class_name);
/* The same with a text as value and a timestamp. */
void vault_add_text(vault_builder *vault, const hv_partition *partition, int64_t offset, int64_t timestamp_ms, const char *value);
void vault_gap(vault_builder *vault, const hv_partition *partition, hv_gap gap);
void vault_missing(vault_builder *vault, const hv_partition *partition, const char *class_name, hv_gap gap);

typedef struct vault_seal_config {
    int64_t end;                        /* of the cut; 0: behind the last event or gap */
    size_t events_per_block;            /* 0: 3 */
    hv_codec codec;
} vault_seal_config;

/* One cut of everything added since the last one. */
void vault_seal(vault_builder *vault, const hv_partition *partition, const vault_seal_config *config);

/* A store in memory cannot change: a copy in which one byte of a blob is another one, or a blob is cut off or missing. */
hv_storage *vault_damaged_copy(const vault_builder *vault, const char *blob, int64_t flip_at, int64_t cut_at);

/* A sink that keeps everything. */
typedef struct keeping_sink {
    hv_sink base;
    kept_events events;
    int flushes, ends, begins;
    int64_t fail_at;                    /* the event of this number fails; -1: none */
} keeping_sink;

keeping_sink keeping_sink_make(void);
void keeping_sink_clear(keeping_sink *sink);

#endif
