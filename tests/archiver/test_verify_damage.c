/*
 * Every kind of damage of damage_list.h, with several seeds, to one rich vault: verification names exactly what was done, and nothing
 * else; and the vault that is put right again has no finding.
 *
 *     test_verify_damage                           every kind with SEEDS seeds, as a test
 *     test_verify_damage --rounds N [--seed S]     N rounds of a kind chosen by the seed; prints how often each kind was applied
 *     test_verify_damage --list                    the kinds
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archiver/snapshot_store.h"
#include "archiver/verify.h"
#include "tests/archiver/damage_list.h"

enum { SEEDS = 3, BLOBS_MAX = 200, TOLD_MAX = 2 * DAMAGE_EXPECTED_MAX, TEST_TIMEOUT_S = 120, ROUND_TIMEOUT_S = 3600 };

static const damage_kinds *const parts[] = {&damage_of_bytes, &damage_of_blobs, &damage_by_forgery, &damage_of_index};
enum { PARTS = sizeof parts / sizeof parts[0] };

static uint64_t long_rounds, long_seed = 1;
static bool met[HV_FINDING_KINDS];      /* expected of some damage, and told */

/* ---- the clean vault ---- */

typedef struct clean_blob {
    char *name;
    hv_buf bytes;
    hv_blob_attributes attributes;
} clean_blob;

static vault_maker maker;
static clean_blob clean[BLOBS_MAX];
static damage_target targets[BLOBS_MAX];
static size_t clean_count, target_count;

static hv_rc
keep_blob(void *arg, const char *name, uint64_t size, hv_err *unused)
{
    clean_blob *blob = &clean[clean_count++];
    hv_blob_properties properties;
    hv_err err;

    (void)arg, (void)size, (void)unused;
    ck_assert_uint_le(clean_count, BLOBS_MAX);
    *blob = (clean_blob){.name = strdup(name), .bytes = HV_BUF_INIT(64 << 20)};
    maker_read(&maker, name, &blob->bytes);
    ck_hv_ok(maker.storage->ops->properties(maker.storage, name, &properties, &err));
    blob->attributes = properties.attributes;
    return HV_OK;
}

static void
add_target(const clean_blob *blob)
{
    damage_target *target = &targets[target_count];
    size_t needed;
    hv_err err;

    *target = (damage_target){.parts = hv_name_parse(blob->name), .size = blob->bytes.len};
    if (target->parts.kind != HV_NAME_LEAD && target->parts.kind != HV_NAME_SIBLING)
        return;
    target_count++;
    memcpy(target->name.text, blob->name, strlen(blob->name) + 1);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&blob->bytes), &target->front, &needed, &err));
    target->is_sibling = target->front.header->is_sibling;
    target->has_siblings = target->front.header->class_count > 0;
    target->first_cut = target->parts.first == 0;
}

static bool
has_cut_at(const hv_partition *partition, int64_t first)
{
    for (size_t i = 0; i < target_count; i++)
        if (targets[i].parts.first == first && hv_partition_compare(&targets[i].parts.partition, partition) == 0)
            return true;
    return false;
}

static void
open_index_copy(void)
{
    char path[2][300];
    hv_err err;

    for (int i = 0; i < 2; i++)
        (void)snprintf(path[i], sizeof path[i], "%s/%s/data.mdb", maker.dir.path, i == 0 ? "index" : "copy");
    static const char *const made[] = {"copy", "rebuilt", "other"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        char dir[300];
        (void)snprintf(dir, sizeof dir, "%s/%s", maker.dir.path, made[i]);
        ck_hv_ok(hv_index_discard(dir, &err));
        ck_assert_int_eq(mkdir(dir, 0700), 0);
    }
    FILE *from = fopen(path[0], "rb"), *to = fopen(path[1], "wb");
    ck_assert(from != NULL && to != NULL);
    char piece[1 << 16];
    for (size_t n; (n = fread(piece, 1, sizeof piece, from)) > 0;)
        ck_assert_uint_eq(fwrite(piece, 1, n, to), n);
    ck_assert_int_eq(fclose(to) | fclose(from), 0);
    maker.index = maker_open_index(&maker, "copy");
}

static void
put_snapshots(void)
{
    hv_snapshots store = {.storage = maker.storage, .vault = MAKER_VAULT};
    hv_err err;

    for (int64_t number = 1; number <= DAMAGE_SNAPSHOTS; number++) {
        HV_AUTO(hv_group_snapshot_clear) hv_group_snapshot made = {.head = {.vault = MAKER_VAULT, .hub = DAMAGE_SNAPSHOT_HUB,
            .number = number, .taken_ms = number, .incarnation = 1}, .group = strdup(DAMAGE_GROUP)};
        ck_hv_ok(hv_group_snapshot_add(&made, 0, number, hv_slice_text("m"), &err));
        ck_hv_ok(hv_snapshots_put_group(&store, &made, &err));
    }
}

static void
setup(void)
{
    hv_err err;

    maker_setup(&maker, false);
    maker_rich_vault(&maker);
    put_snapshots();
    hv_index_close(HV_TAKE(maker.index));
    maker.index_too = false;
    clean_count = target_count = 0;
    ck_hv_ok(hv_storage_walk(maker.storage, "", keep_blob, NULL, &err));
    for (size_t i = 0; i < clean_count; i++)
        add_target(&clean[i]);
    for (size_t i = 0; i < target_count; i++)
        targets[i].last_cut = !has_cut_at(&targets[i].parts.partition, targets[i].front.header->cut.end);
    open_index_copy();
    for (size_t i = 0; i < target_count; i++) {
        int64_t position;
        ck_hv_ok(hv_index_position(maker.index, &targets[i].parts.partition, &position, &err));
        targets[i].indexed = targets[i].front.header->cut.end <= position;
    }
    hv_index_close(HV_TAKE(maker.index));
}

static void
teardown(void)
{
    for (size_t i = 0; i < target_count; i++)
        hv_segment_front_free(&targets[i].front);
    for (size_t i = 0; i < clean_count; i++) {
        hv_buf_free(&clean[i].bytes);
        free(clean[i].name);
    }
    maker_teardown(&maker);
}

static bool
is_clean_name(const char *name)
{
    for (size_t i = 0; i < clean_count; i++)
        if (strcmp(clean[i].name, name) == 0)
            return true;
    return false;
}

typedef struct name_list {
    char *at[BLOBS_MAX];
    size_t count;
} name_list;

static hv_rc
collect_strange(void *arg, const char *name, uint64_t size, hv_err *err)
{
    name_list *strange = arg;

    (void)size, (void)err;
    if (!is_clean_name(name))
        strange->at[strange->count++] = strdup(name);
    return HV_OK;
}

static void
restore(void)
{
    name_list strange = {.count = 0};
    hv_err err;

    ck_hv_ok(hv_storage_walk(maker.storage, "", collect_strange, &strange, &err));
    for (size_t i = 0; i < strange.count; i++) {
        maker_drop(&maker, strange.at[i]);
        free(strange.at[i]);
    }
    for (size_t i = 0; i < clean_count; i++) {
        hv_blob_properties properties;
        hv_slice bytes = hv_buf_slice(&clean[i].bytes);
        if (maker.storage->ops->properties(maker.storage, clean[i].name, &properties, &err) == HV_OK)
            maker_drop(&maker, clean[i].name);
        ck_hv_ok(maker.storage->ops->put_new(maker.storage, clean[i].name, &bytes, 1, &clean[i].attributes, &err));
    }
    hv_index_close(HV_TAKE(maker.index));
}

/* ---- what is found ---- */

typedef struct told_list {
    hv_finding at[TOLD_MAX];
    size_t count;
} told_list;

static void
keep_finding(void *arg, const hv_finding *finding)
{
    told_list *told = arg;

    ck_assert_uint_lt(told->count, TOLD_MAX);
    told->at[told->count++] = *finding;
}

static bool
fits(const damage_expected *expected, const hv_finding *finding)
{
    return expected->kind == finding->kind && strcmp(expected->blob, finding->blob) == 0 &&
           hv_partition_compare(&expected->partition, &finding->partition) == 0 &&
           (expected->offset == DAMAGE_ANY || expected->offset == finding->offset) &&
           (expected->position == DAMAGE_ANY || expected->position == finding->position) && finding->expected[0] != '\0' &&
           finding->found[0] != '\0';
}

static void
print_place(hv_buf *to, const char *what, hv_finding_kind kind, const char *blob, const hv_partition *partition, int64_t offset,
            int64_t position)
{
    hv_buf_printf(to, "\n  %s %s %s (%s/%u/%d) offset %" PRId64 " position %" PRId64, what, hv_finding_id(kind), blob, partition->hub,
                  partition->incarnation, partition->number, offset, position);
}

static void
differ(const damage *kind, uint64_t seed, bool quick, const damage_job *job, const told_list *told)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 20);

    for (size_t i = 0; i < job->expected_count; i++)
        print_place(&text, "wanted", job->expected[i].kind, job->expected[i].blob, &job->expected[i].partition, job->expected[i].offset,
                    job->expected[i].position);
    for (size_t i = 0; i < told->count; i++) {
        const hv_finding *f = &told->at[i];
        print_place(&text, "told", f->kind, f->blob, &f->partition, f->offset, f->position);
        hv_buf_printf(&text, ": expected %s, found %s", f->expected, f->found);
    }
    ck_abort_msg("%s, seed %" PRIu64 ", quick %d:%s", kind->name, seed, quick, text.data);
}

static void
check(const damage *kind, uint64_t seed, bool quick, const damage_job *job)
{
    static told_list told;
    bool matched[TOLD_MAX] = {false};
    hv_verify_facts facts = {0};
    hv_err err;
    hv_verify_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = maker.index, .quick = quick, .threads = 2,
        .report = keep_finding, .arg = &told};

    told.count = 0;
    hv_rc rc = hv_verify(&config, &facts, &err), wanted = job->expected_count > 0 ? HV_GAP : HV_OK;
    ck_assert_msg(rc == HV_GAP || rc == HV_OK, "%s, seed %" PRIu64 ": %s", kind->name, seed, err.msg);
    if (quick && kind->quick == DAMAGE_QUICK_OTHER) {
        ck_assert_uint_gt(told.count, 0);
        return;
    }
    if (quick && kind->quick == DAMAGE_QUICK_BLIND) {
        ck_assert_msg(told.count == 0, "%s, seed %" PRIu64 ": %s", kind->name, seed, hv_finding_id(told.at[0].kind));
        return;
    }
    if (rc != wanted || told.count != job->expected_count || facts.findings != (int64_t)told.count)
        differ(kind, seed, quick, job, &told);
    for (size_t i = 0; i < told.count; i++) {
        size_t e = 0;
        while (e < job->expected_count && (matched[e] || !fits(&job->expected[e], &told.at[i])))
            e++;
        if (e == job->expected_count)
            differ(kind, seed, quick, job, &told);
        matched[e] = met[told.at[i].kind] = true;
    }
}

static void
apply(const damage *kind, uint64_t seed)
{
    damage_job job = {.maker = &maker, .random = seed, .targets = targets, .target_count = target_count};

    open_index_copy();
    (void)damage_random(&job, 1);
    kind->apply(&job);
    ck_assert_uint_gt(job.expected_count, 0);
    check(kind, seed, false, &job);
    check(kind, seed, true, &job);
    restore();
}

static void
check_clean(void)
{
    static const damage nothing = {.name = "nothing", .quick = DAMAGE_QUICK_SAME};
    damage_job job = {.expected_count = 0};

    open_index_copy();
    check(&nothing, 0, false, &job);
    check(&nothing, 0, true, &job);
    hv_index_close(HV_TAKE(maker.index));
}

/* ---- tests ---- */

static const damage *
kind_at(size_t number)
{
    for (size_t p = 0; p < PARTS; number -= parts[p]->count, p++)
        if (number < parts[p]->count)
            return &parts[p]->at[number];
    return NULL;
}

START_TEST(each_of_thirty_and_more_kinds_of_damage_is_named_and_nothing_else_is)
{
    size_t count = 0;

    check_clean();
    for (; kind_at(count) != NULL; count++) {
        for (size_t other = 0; other < count; other++)
            ck_assert_str_ne(kind_at(other)->name, kind_at(count)->name);
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            apply(kind_at(count), seed * 1000003 + count);
    }
    check_clean();
    ck_assert_uint_ge(count, 30);
    for (unsigned kind = 0; kind < HV_FINDING_KINDS; kind++)    /* a blob that vanishes meanwhile: test_verify_live.c */
        ck_assert_msg(met[kind] || kind == HV_FINDING_BLOB_GONE, "no damage leads to %s", hv_finding_id(kind));
}
END_TEST

START_TEST(many_rounds)
{
    size_t kinds = 0;

    while (kind_at(kinds) != NULL)
        kinds++;
    uint64_t *applied = calloc(kinds, sizeof *applied);
    ck_assert_ptr_nonnull(applied);
    damage_job choice = {.random = long_seed};
    for (uint64_t round = 0; round < long_rounds; round++) {
        size_t kind = damage_random(&choice, kinds);
        apply(kind_at(kind), long_seed * 1000003 + round);
        applied[kind]++;
    }
    check_clean();
    for (size_t k = 0; k < kinds; k++)
        printf("%8" PRIu64 "  %s\n", applied[k], kind_at(k)->name);
    printf("%" PRIu64 " rounds, seed %" PRIu64 ", %zu kinds: each named, nothing else told\n", long_rounds, long_seed, kinds);
    free(applied);
}
END_TEST

int
main(int argc, char **argv)
{
    TCase *tests = tcase_create("verify damage");

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            for (size_t k = 0; kind_at(k) != NULL; k++)
                puts(kind_at(k)->name);
            return 0;
        }
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            long_rounds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            long_seed = strtoull(argv[++i], NULL, 10);
        else
            return 2;
    }
    tcase_add_checked_fixture(tests, setup, teardown);
    if (long_rounds > 0) {
        tcase_set_timeout(tests, ROUND_TIMEOUT_S);
        tcase_add_test(tests, many_rounds);
    } else {
        tcase_set_timeout(tests, TEST_TIMEOUT_S);
        tcase_add_test(tests, each_of_thirty_and_more_kinds_of_damage_is_named_and_nothing_else_is);
    }
    return ck_hv_run("verify damage", tests);
}
