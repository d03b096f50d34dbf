/* What index/index.h promises of opening and writing, one sentence at a time; reading: test_index_lookup.c. */
#include <dirent.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/index_layout.h"
#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static const uint64_t map = 1 << 20;
static scratch_dir dir;
static hv_index *ix;
static hv_partition orders;             /* hub orders, incarnation 1, partition 0 */

static void
set_up(void)
{
    dir = scratch_dir_make();
    ix = sample_open(dir.path, map);
    orders = sample_partition("orders", 1, 0);
}

static void
tear_down(void)
{
    hv_index_close(ix);
    scratch_dir_remove(&dir);
}

static void
reopen(void)
{
    hv_index_close(ix);
    ix = sample_open(dir.path, map);
}

static void
add_plain(const hv_partition *partition, int64_t first, int64_t count, int64_t time)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_plain_cut(first, count, time);

    sample_add(ix, partition, &cut);
}

static hv_rc
try_cut(const hv_partition *partition, const hv_index_cut *cut, hv_err *err)
{
    hv_index_addition addition = {.partition = partition, .cut = cut};

    return hv_index_add(ix, &addition, 1, err);
}

static hv_rc
try_plain(const hv_partition *partition, int64_t first, int64_t count, hv_err *err)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_plain_cut(first, count, 5);

    return try_cut(partition, &cut, err);
}

static int64_t
position(const hv_partition *partition)
{
    int64_t at = -1;
    hv_err err;

    ck_hv_ok(hv_index_position(ix, partition, &at, &err));
    return at;
}

static void
expect_text(const hv_err *err, const char *text)
{
    ck_assert_msg(strstr(err->msg, text) != NULL, "'%s' is not in '%s'", text, err->msg);
}

/* ---- opening ---- */

static hv_rc
try_open(const char *path, bool read_only, const char *vault, hv_err *err)
{
    HV_AUTO(hv_index_close) hv_index *other = NULL;
    hv_index_config config = {.dir = path, .map_bytes = map, .read_only = read_only, .vault = vault};

    return hv_index_open(&config, &other, err);
}

START_TEST(a_folder_that_is_not_there_is_not_found)
{
    char path[sizeof dir.path + 16];
    hv_err err;

    (void)snprintf(path, sizeof path, "%s/absent", dir.path);
    ck_hv_fails(HV_NOT_FOUND, try_open(path, false, SAMPLE_VAULT, &err));
    ck_hv_fails(HV_NOT_FOUND, try_open(path, true, SAMPLE_VAULT, &err));
}
END_TEST

START_TEST(reading_a_folder_without_an_index_is_not_found_and_leaves_the_folder_empty)
{
    scratch_dir empty = scratch_dir_make();
    int entries = 0;
    hv_err err;

    ck_hv_fails(HV_NOT_FOUND, try_open(empty.path, true, NULL, &err));
    DIR *folder = opendir(empty.path);
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder) != NULL)
        entries++;
    closedir(folder);
    ck_assert_int_eq(entries, 2);       /* . and .. */
    scratch_dir_remove(&empty);
}
END_TEST

START_TEST(a_file_of_no_bytes_or_without_our_databases_is_not_an_index_to_read)
{
    scratch_dir other = scratch_dir_make();
    char path[sizeof other.path + 16];
    MDB_env *env;
    hv_err err;

    (void)snprintf(path, sizeof path, "%s/data.mdb", other.path);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_hv_fails(HV_NOT_FOUND, try_open(other.path, true, NULL, &err));
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_open(env, other.path, 0, 0640), 0);
    mdb_env_close(env);
    ck_hv_fails(HV_NOT_FOUND, try_open(other.path, true, NULL, &err));
    scratch_dir_remove(&other);
}
END_TEST

START_TEST(a_file_that_is_no_lmdb_file_is_damaged_and_to_be_rebuilt)
{
    scratch_dir other = scratch_dir_make();
    char path[sizeof other.path + 16];
    hv_err err;

    (void)snprintf(path, sizeof path, "%s/data.mdb", other.path);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 20000; i++)
        fputc('x', file);
    fclose(file);
    ck_hv_fails(HV_CORRUPT, try_open(other.path, false, SAMPLE_VAULT, &err));
    expect_text(&err, "rebuild");
    scratch_dir_remove(&other);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused)
{
    char path[6000];
    hv_err err;

    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    ck_hv_fails(HV_USAGE, try_open(path, false, SAMPLE_VAULT, &err));
    ck_hv_fails(HV_USAGE, try_open(path, true, NULL, &err));
}
END_TEST

START_TEST(an_index_belongs_to_the_vault_it_was_made_for)
{
    hv_err err;

    ck_assert_str_eq(hv_index_vault(ix), SAMPLE_VAULT);
    hv_index_close(ix);
    ix = NULL;
    ck_hv_fails(HV_CORRUPT, try_open(dir.path, false, "another-vault", &err));
    expect_text(&err, SAMPLE_VAULT);
    expect_text(&err, "another-vault");
    ck_hv_fails(HV_CORRUPT, try_open(dir.path, true, "another-vault", &err));
    ck_hv_ok(try_open(dir.path, false, SAMPLE_VAULT, &err));
}
END_TEST

START_TEST(who_only_reads_need_not_know_the_vault)
{
    hv_index_config config = {.dir = dir.path, .read_only = true};
    hv_err err;

    hv_index_close(ix);
    ck_hv_ok(hv_index_open(&config, &ix, &err));
    ck_assert_str_eq(hv_index_vault(ix), SAMPLE_VAULT);
}
END_TEST

/* As a later program would write it. */
static void
write_layout(uint64_t layout)
{
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(64);
    char name[] = "layout";
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;

    hv_ix_write_number(&value, layout, 4);
    hv_ix_seal(HV_IX_META, hv_slice_text(name), &value);
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 1), 0);
    ck_assert_int_eq(mdb_env_open(env, dir.path, 0, 0640), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    MDB_val key = {.mv_size = strlen(name), .mv_data = name}, data = {.mv_size = value.len, .mv_data = value.data};
    ck_assert_int_eq(mdb_put(txn, meta, &key, &data, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

START_TEST(an_index_of_another_layout_is_refused_and_to_be_rebuilt)
{
    hv_err err;

    hv_index_close(ix);
    ix = NULL;
    write_layout(HV_IX_LAYOUT + 1);
    ck_hv_fails(HV_VERSION, try_open(dir.path, false, SAMPLE_VAULT, &err));
    expect_text(&err, "rebuild");
    ck_hv_fails(HV_VERSION, try_open(dir.path, true, NULL, &err));
    write_layout(HV_IX_LAYOUT);
    ck_hv_ok(try_open(dir.path, true, NULL, &err));
}
END_TEST

START_TEST(what_was_recorded_is_there_after_closing_and_opening)
{
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(1 << 20), after = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);

    sample_add(ix, &orders, &cut);
    sample_dump(ix, &before);
    reopen();
    sample_dump(ix, &after);
    ck_assert_str_eq(before.data, after.data);
    ck_assert_int_eq(position(&orders), 10);
}
END_TEST

/* ---- incarnations ---- */

static hv_index_incarnation
sample_incarnation(const char *hub, uint32_t number)
{
    hv_index_incarnation incarnation = {.incarnation = number, .created_ms = 1700000000000, .cause = "first sight"};

    (void)snprintf(incarnation.hub, sizeof incarnation.hub, "%s", hub);
    (void)snprintf(incarnation.identity, sizeof incarnation.identity, "topic \"%s\"\n%" PRIu32, hub, number);
    return incarnation;
}

START_TEST(incarnations_come_by_hub_and_number_as_they_were_recorded)
{
    static const struct {
        const char *hub;
        uint32_t number;
    } sorted[] = {{"a", 1}, {"a", 2}, {"a", 300}, {"a.b", 1}, {"zz", 7}};
    static const size_t order[] = {4, 2, 3, 0, 1};
    hv_index_incarnation *all;
    size_t count;
    hv_err err;

    ck_hv_ok(hv_index_incarnations(ix, &all, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(all);
    for (size_t i = 0; i < 5; i++) {
        hv_index_incarnation one = sample_incarnation(sorted[order[i]].hub, sorted[order[i]].number);
        ck_hv_ok(hv_index_add_incarnation(ix, &one, &err));
    }
    reopen();
    ck_hv_ok(hv_index_incarnations(ix, &all, &count, &err));
    ck_assert_uint_eq(count, 5);
    for (size_t i = 0; i < 5; i++) {
        hv_index_incarnation want = sample_incarnation(sorted[i].hub, sorted[i].number);
        ck_assert_str_eq(all[i].hub, want.hub);
        ck_assert_uint_eq(all[i].incarnation, want.incarnation);
        ck_assert_int_eq(all[i].created_ms, want.created_ms);
        ck_assert_str_eq(all[i].cause, want.cause);
        ck_assert_str_eq(all[i].identity, want.identity);
    }
    free(all);
}
END_TEST

START_TEST(an_incarnation_may_be_recorded_again_but_not_with_other_facts)
{
    hv_index_incarnation one = sample_incarnation("orders", 1), other = one;
    hv_err err;

    ck_hv_ok(hv_index_add_incarnation(ix, &one, &err));
    ck_hv_ok(hv_index_add_incarnation(ix, &one, &err));
    other.created_ms++;
    ck_hv_fails(HV_CORRUPT, hv_index_add_incarnation(ix, &other, &err));
    expect_text(&err, "incarnation 1 of 'orders'");
    other = one;
    other.cause[0] = 'F';
    ck_hv_fails(HV_CORRUPT, hv_index_add_incarnation(ix, &other, &err));
    other = one;
    other.identity[0] = 'T';
    ck_hv_fails(HV_CORRUPT, hv_index_add_incarnation(ix, &other, &err));
    ck_hv_ok(hv_index_add_incarnation(ix, &one, &err));
}
END_TEST

START_TEST(of_several_incarnations_all_are_recorded_or_none)
{
    hv_index_incarnation some[] = {sample_incarnation("orders", 1), sample_incarnation("sales", 1), sample_incarnation("orders", 2)};
    hv_index_incarnation known = some[1], *all = NULL;
    size_t count;
    hv_err err;

    known.created_ms++;
    ck_hv_ok(hv_index_add_incarnation(ix, &known, &err));
    ck_hv_fails(HV_CORRUPT, hv_index_add_incarnations(ix, some, 3, &err));
    expect_text(&err, "incarnation 1 of 'sales'");
    ck_hv_ok(hv_index_incarnations(ix, &all, &count, &err));
    ck_assert_uint_eq(count, 1);
    free(all);
    some[1] = known;
    ck_hv_ok(hv_index_add_incarnations(ix, some, 3, &err));
    ck_hv_ok(hv_index_add_incarnations(ix, NULL, 0, &err));
    ck_hv_ok(hv_index_incarnations(ix, &all, &count, &err));
    ck_assert_uint_eq(count, 3);
    free(all);
}
END_TEST

/* ---- adding ---- */

START_TEST(a_partition_never_seen_is_at_0_and_its_first_cut_begins_there)
{
    hv_err err;

    ck_assert_int_eq(position(&orders), 0);
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 1, 10, &err));
    ck_assert_int_eq(position(&orders), 0);
    add_plain(&orders, 0, 10, 5);
    ck_assert_int_eq(position(&orders), 10);
}
END_TEST

START_TEST(partitions_incarnations_and_hubs_have_positions_of_their_own)
{
    hv_partition other = sample_partition("orders", 1, 1), again = sample_partition("orders", 2, 0),
                 longer = sample_partition("orders2", 1, 0);

    add_plain(&orders, 0, 10, 5);
    add_plain(&again, 0, 20, 5);
    ck_assert_int_eq(position(&orders), 10);
    ck_assert_int_eq(position(&other), 0);
    ck_assert_int_eq(position(&again), 20);
    ck_assert_int_eq(position(&longer), 0);
    add_plain(&longer, 0, 30, 5);
    ck_assert_int_eq(position(&orders), 10);
}
END_TEST

START_TEST(a_cut_that_leaves_a_hole_is_refused_with_both_ranges)
{
    hv_err err;

    add_plain(&orders, 0, 10, 5);
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 11, 5, &err));
    expect_text(&err, "11..16");
    expect_text(&err, "0..10");
    expect_text(&err, "orders, incarnation 1, partition 0");
    expect_text(&err, "hole");
}
END_TEST

START_TEST(a_cut_that_overlaps_is_refused_with_both_ranges)
{
    hv_err err;

    add_plain(&orders, 0, 10, 5);
    add_plain(&orders, 10, 10, 5);
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 19, 5, &err));
    expect_text(&err, "19..24");
    expect_text(&err, "10..20");
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 0, 30, &err));
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 0, 20, &err));
    expect_text(&err, "0..20");
    expect_text(&err, "0..10");
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 0, 9, &err));
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 5, 10, &err));
    expect_text(&err, "5..15");
    expect_text(&err, "0..10");
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, 12, 3, &err));
    expect_text(&err, "10..20");
    ck_assert_int_eq(position(&orders), 20);
}
END_TEST

START_TEST(a_cut_recorded_again_changes_nothing)
{
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(1 << 20), after = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_index_cut_clear) hv_index_cut first = sample_full_cut(0, 1000);
    HV_AUTO(hv_index_cut_clear) hv_index_cut second = sample_full_cut(10, 2000);

    sample_add(ix, &orders, &first);
    sample_add(ix, &orders, &second);
    sample_dump(ix, &before);
    sample_add(ix, &orders, &first);
    sample_add(ix, &orders, &second);
    sample_dump(ix, &after);
    ck_assert_str_eq(before.data, after.data);
}
END_TEST

/* Each changes one fact of sample_full_cut(0, ...) to another one that is possible. */
static void
change_fact(hv_index_cut *cut, int which)
{
    hv_index_segment *lead = &cut->segments[0], *sibling = &cut->segments[1];

    switch (which) {
    case 0: sibling->sha256[31] ^= 1; break;
    case 1: lead->merkle_root[0] ^= 1; break;
    case 2: lead->has_policy = !lead->has_policy; break;
    case 3: lead->has_policy = true, lead->policy[3] ^= 1; break;
    case 4: lead->size++; break;
    case 5: lead->data_start++; break;
    case 6: sibling->created_ms++; break;
    case 7: sibling->codec++; break;
    case 8: lead->min_timestamp_ms--; break;
    case 9: lead->max_timestamp_ms++; break;
    case 10: (void)snprintf(sibling->class_name, sizeof sibling->class_name, "other"); break;
    case 11: (void)snprintf(lead->class_name, sizeof lead->class_name, "other"); break;
    case 12: lead->blocks[1].position++; break;
    case 13: lead->blocks[1].length++; break;
    case 14: sibling->blocks[0].first_offset++; break;
    case 15: lead->blocks[0].count++; break;
    case 16: lead->blocks[1].min_timestamp_ms--; break;
    case 17: lead->blocks[1].max_timestamp_ms++; break;
    case 18: lead->blocks[1].sha256[7] ^= 1; break;
    case 19: lead->block_count--; break;
    case 20: cut->gaps[0].cause = HV_GAP_UNKNOWN; break;
    case 21: sibling->missing[0].cause = HV_GAP_UNKNOWN; break;
    case 22: cut->gaps[0].range.end++, lead->count--; break;
    case 23: sibling->missing[0].range.first++, sibling->missing[0].range.end++; break;
    case 24: sibling->missing_count--, sibling->count++; break;
    case 25: lead->count--, sibling->count++; break;
    default: ck_abort_msg("no fact %d", which);
    }
}

enum { FACTS = 26 };

START_TEST(every_fact_that_differs_from_what_is_recorded_is_refused)
{
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(1 << 20), after = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    HV_AUTO(hv_index_cut_clear) hv_index_cut changed = sample_full_cut(0, 1000);
    hv_err err;

    cut.segments[0].has_policy = changed.segments[0].has_policy = _i != 2;
    sample_add(ix, &orders, &cut);
    sample_dump(ix, &before);
    change_fact(&changed, _i);
    ck_hv_fails(HV_CORRUPT, try_cut(&orders, &changed, &err));
    expect_text(&err, "0..10");
    expect_text(&err, "recorded");
    sample_dump(ix, &after);
    ck_assert_str_eq(before.data, after.data);
}
END_TEST

START_TEST(every_fact_that_differs_shows_in_the_dump)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 20), other = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    HV_AUTO(hv_index_cut_clear) hv_index_cut changed = sample_full_cut(0, 1000);
    scratch_dir second_dir = scratch_dir_make();

    cut.segments[0].has_policy = changed.segments[0].has_policy = _i != 2;
    change_fact(&changed, _i);
    hv_index *second = sample_open(second_dir.path, map);
    sample_add(ix, &orders, &cut);
    sample_add(second, &orders, &changed);
    sample_dump(ix, &text);
    sample_dump(second, &other);
    ck_assert_str_ne(text.data, other.data);
    hv_index_close(second);
    scratch_dir_remove(&second_dir);
}
END_TEST

/* Each makes sample_full_cut(0, ...) impossible. */
static void
break_cut(hv_index_cut *cut, int which)
{
    hv_index_segment *lead = &cut->segments[0], *sibling = &cut->segments[1];

    switch (which) {
    case 0: lead->count++; break;
    case 1: lead->count--; break;
    case 2: lead->count = -1; break;
    case 3: lead->count = INT64_MAX; break;
    case 4: cut->range.end++; break;
    case 5: cut->range.end = 0; break;
    case 6: cut->range.first = -10; break;
    case 7: lead->is_lead = false; break;
    case 8: sibling->is_lead = true; break;
    case 9: memcpy(sibling->class_name, lead->class_name, sizeof sibling->class_name); break;
    case 10: sibling->class_name[0] = '\0'; break;
    case 11: (void)snprintf(sibling->class_name, sizeof sibling->class_name, "a/b"); break;
    case 12: sibling->missing[0].range = (hv_range){.first = 1, .end = 2}; break;
    case 13: sibling->missing[0].range = (hv_range){.first = 10, .end = 11}; break;
    case 14: cut->gaps[0].range.end = 0; break;
    case 15: cut->gaps[0].cause = HV_GAP_CAUSES; break;
    case 16: lead->min_timestamp_ms = lead->max_timestamp_ms + 1; break;
    case 17: lead->blocks[0].min_timestamp_ms = lead->blocks[0].max_timestamp_ms + 1; break;
    case 18: lead->blocks[0].count = 0; break;
    case 19: lead->blocks[1].first_offset = lead->blocks[0].first_offset; break;
    case 20: sibling->blocks[0].first_offset = 10; break;
    case 21: sibling->count = 0, lead->count = 7; break;        /* the sum is right, but the sibling kept its timestamps */
    case 22: lead->size = UINT64_MAX; break;
    case 23: cut->gaps[0].range = (hv_range){.first = -2, .end = 0}; break;
    default: ck_abort_msg("no way %d to break a cut", which);
    }
}

enum { WAYS_TO_BREAK = 24 };

START_TEST(a_cut_that_cannot_be_true_is_refused)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    hv_err err;

    break_cut(&cut, _i);
    ck_hv_fails(HV_CORRUPT, try_cut(&orders, &cut, &err));
    expect_text(&err, "orders, incarnation 1, partition 0");
    ck_assert_int_eq(position(&orders), 0);
}
END_TEST

START_TEST(a_lead_that_misses_offsets_or_a_cut_without_segments_is_refused)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    hv_index_cut empty = {.range = {.first = 0, .end = 10}};
    hv_index_segment sibling = cut.segments[1];
    hv_err err;

    ck_hv_fails(HV_CORRUPT, try_cut(&orders, &empty, &err));
    cut.segments[0].missing = sibling.missing;
    cut.segments[0].missing_count = sibling.missing_count;
    cut.segments[1].missing = NULL;
    cut.segments[1].missing_count = 0;
    ck_hv_fails(HV_CORRUPT, try_cut(&orders, &cut, &err));
}
END_TEST

START_TEST(siblings_out_of_order_are_refused)
{
    hv_index_segment segments[3] = {
        {.class_name = "default", .is_lead = true}, {.class_name = "b"}, {.class_name = "a"},
    };
    hv_gap all = {.range = {.first = 0, .end = 5}, .cause = HV_GAP_UNKNOWN};
    hv_index_cut cut = {.range = all.range, .segments = segments, .segment_count = 3, .gaps = &all, .gap_count = 1};
    hv_err err;

    ck_hv_fails(HV_CORRUPT, try_cut(&orders, &cut, &err));
    segments[1].class_name[0] = 'a';
    ck_hv_fails(HV_CORRUPT, try_cut(&orders, &cut, &err));
    segments[2].class_name[0] = 'b';
    ck_hv_ok(try_cut(&orders, &cut, &err));
}
END_TEST

START_TEST(nothing_of_a_call_is_recorded_if_one_of_its_cuts_is_refused)
{
    HV_AUTO(hv_buf_free) hv_buf before = HV_BUF_INIT(1 << 20), after = HV_BUF_INIT(1 << 20);
    HV_AUTO(hv_index_cut_clear) hv_index_cut good = sample_full_cut(0, 1000);
    HV_AUTO(hv_index_cut_clear) hv_index_cut bad = sample_full_cut(11, 1000);
    hv_partition fresh = sample_partition("fresh", 1, 0);
    hv_index_addition additions[] = {
        {.partition = &fresh, .cut = &good}, {.partition = &orders, .cut = &good}, {.partition = &orders, .cut = &bad},
    };
    hv_err err;

    sample_dump(ix, &before);
    ck_hv_fails(HV_CORRUPT, hv_index_add(ix, additions, 3, &err));
    sample_dump(ix, &after);
    ck_assert_str_eq(before.data, after.data);
    ck_hv_ok(hv_index_add(ix, additions, 2, &err));
    ck_assert_int_eq(position(&fresh), 10);
    ck_assert_int_eq(position(&orders), 10);
}
END_TEST

START_TEST(cuts_of_one_call_may_follow_one_another)
{
    hv_index_cut cuts[3] = {sample_full_cut(0, 1000), sample_full_cut(10, 1000), sample_full_cut(20, 1000)};
    hv_index_addition additions[3];
    hv_err err;

    for (size_t i = 0; i < 3; i++)
        additions[i] = (hv_index_addition){.partition = &orders, .cut = &cuts[i]};
    ck_hv_ok(hv_index_add(ix, additions, 3, &err));
    ck_assert_int_eq(position(&orders), 30);
    ck_hv_ok(hv_index_add(ix, additions, 0, &err));
    for (size_t i = 0; i < 3; i++)
        hv_index_cut_clear(&cuts[i]);
}
END_TEST

START_TEST(a_cut_up_to_the_last_offset_there_can_be_is_recorded_and_found)
{
    hv_index_segment lead = {.class_name = "none", .is_lead = true};
    hv_gap all = {.range = {.first = 0, .end = INT64_MAX}, .cause = HV_GAP_RETENTION};
    hv_index_cut cut = {.range = all.range, .segments = &lead, .segment_count = 1, .gaps = &all, .gap_count = 1}, got;
    hv_err err;

    ck_hv_ok(try_cut(&orders, &cut, &err));
    ck_assert_int_eq(position(&orders), INT64_MAX);
    ck_hv_ok(hv_index_find_offset(ix, &orders, INT64_MAX - 1, &got, &err));
    ck_assert(sample_cuts_equal(&cut, &got));
    hv_index_cut_clear(&got);
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_offset(ix, &orders, INT64_MAX, &got, &err));
    ck_hv_fails(HV_CORRUPT, try_plain(&orders, INT64_MAX - 1, 1, &err));
}
END_TEST

START_TEST(a_cut_of_a_hundred_thousand_blocks_and_gaps_comes_back_whole)
{
    enum { MANY = 100000 };
    hv_index_cut cut = sample_plain_cut(0, 2 * MANY, 7), got;
    hv_index_segment *lead = &cut.segments[0];
    hv_err err;

    lead->blocks = realloc(lead->blocks, MANY * sizeof *lead->blocks);
    cut.gaps = calloc(MANY, sizeof *cut.gaps);
    ck_assert(lead->blocks != NULL && cut.gaps != NULL);
    lead->count = MANY;
    lead->block_count = cut.gap_count = MANY;
    for (size_t i = 0; i < MANY; i++) {
        lead->blocks[i] = lead->blocks[0];
        lead->blocks[i].first_offset = (int64_t)(2 * i);
        lead->blocks[i].count = 1;
        cut.gaps[i] = (hv_gap){.range = {.first = (int64_t)(2 * i) + 1, .end = (int64_t)(2 * i) + 2}, .cause = HV_GAP_COMPACTION};
    }
    sample_add(ix, &orders, &cut);
    ck_hv_ok(hv_index_find_offset(ix, &orders, MANY, &got, &err));
    ck_assert(sample_cuts_equal(&cut, &got));
    hv_index_cut_clear(&got);
    hv_index_cut_clear(&cut);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_folder_that_is_not_there_is_not_found);
    tcase_add_test(tests, reading_a_folder_without_an_index_is_not_found_and_leaves_the_folder_empty);
    tcase_add_test(tests, a_file_of_no_bytes_or_without_our_databases_is_not_an_index_to_read);
    tcase_add_test(tests, a_file_that_is_no_lmdb_file_is_damaged_and_to_be_rebuilt);
    tcase_add_test(tests, a_path_that_is_too_long_is_refused);
    tcase_add_test(tests, an_index_belongs_to_the_vault_it_was_made_for);
    tcase_add_test(tests, who_only_reads_need_not_know_the_vault);
    tcase_add_test(tests, an_index_of_another_layout_is_refused_and_to_be_rebuilt);
    tcase_add_test(tests, what_was_recorded_is_there_after_closing_and_opening);
    tcase_add_test(tests, incarnations_come_by_hub_and_number_as_they_were_recorded);
    tcase_add_test(tests, an_incarnation_may_be_recorded_again_but_not_with_other_facts);
    tcase_add_test(tests, of_several_incarnations_all_are_recorded_or_none);
    tcase_add_test(tests, a_partition_never_seen_is_at_0_and_its_first_cut_begins_there);
    tcase_add_test(tests, partitions_incarnations_and_hubs_have_positions_of_their_own);
    tcase_add_test(tests, a_cut_that_leaves_a_hole_is_refused_with_both_ranges);
    tcase_add_test(tests, a_cut_that_overlaps_is_refused_with_both_ranges);
    tcase_add_test(tests, a_cut_recorded_again_changes_nothing);
    tcase_add_loop_test(tests, every_fact_that_differs_from_what_is_recorded_is_refused, 0, FACTS);
    tcase_add_loop_test(tests, every_fact_that_differs_shows_in_the_dump, 0, FACTS);
    tcase_add_loop_test(tests, a_cut_that_cannot_be_true_is_refused, 0, WAYS_TO_BREAK);
    tcase_add_test(tests, a_lead_that_misses_offsets_or_a_cut_without_segments_is_refused);
    tcase_add_test(tests, siblings_out_of_order_are_refused);
    tcase_add_test(tests, nothing_of_a_call_is_recorded_if_one_of_its_cuts_is_refused);
    tcase_add_test(tests, cuts_of_one_call_may_follow_one_another);
    tcase_add_test(tests, a_cut_up_to_the_last_offset_there_can_be_is_recorded_and_found);
    tcase_add_test(tests, a_cut_of_a_hundred_thousand_blocks_and_gaps_comes_back_whole);
    return ck_hv_run("index", tests);
}
