/* Verification beside an archiver: what is stored or recorded while it runs is no fault. */
#include <stdio.h>

#include "archiver/rebuild.h"
#include "segment/names.h"
#include "tests/archiver/verify_checks.h"

static vault_maker maker;
static hv_partition orders0;

static void
setup(void)
{
    maker_setup(&maker, false);
    orders0 = maker_partition("orders", 1, 0);
    make_three_cuts(&maker);
}

static void
teardown(void)
{
    maker_teardown(&maker);
}

/* A store that does something when it is asked for the first page of names, before or after that page is made; and hides a name there. */
typedef struct meddling {
    hv_storage base;
    hv_storage *inner;
    void (*before)(void), (*after)(void);
    const char *hidden;
    int lists;
} meddling;

static hv_rc
meddling_get(hv_storage *storage, const char *name, uint64_t position, size_t len, hv_buf *ret, hv_err *err)
{
    hv_storage *inner = ((meddling *)storage)->inner;

    return inner->ops->get_range(inner, name, position, len, ret, err);
}

static hv_rc
meddling_properties(hv_storage *storage, const char *name, hv_blob_properties *ret, hv_err *err)
{
    hv_storage *inner = ((meddling *)storage)->inner;

    return inner->ops->properties(inner, name, ret, err);
}

static void
hide(hv_blob_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->entries[i].name, name) == 0) {
            free(list->entries[i].name);
            memmove(&list->entries[i], &list->entries[i + 1], (list->count - i - 1) * sizeof *list->entries);
            list->count--;
            return;
        }
    ck_abort_msg("there is no '%s' to hide", name);
}

static hv_rc
meddling_list(hv_storage *storage, const hv_list_request *request, hv_blob_list *ret, hv_err *err)
{
    meddling *m = (meddling *)storage;
    bool first = m->lists++ == 0;

    if (first && m->before != NULL)
        m->before();
    hv_rc rc = m->inner->ops->list(m->inner, request, ret, err);
    if (rc == HV_OK && first && m->hidden != NULL)
        hide(ret, m->hidden);
    if (first && m->after != NULL)
        m->after();
    return rc;
}

static const hv_storage_ops meddling_ops = {.driver = "meddling", .get_range = meddling_get, .properties = meddling_properties,
                                            .list = meddling_list};

static void
ck_clean_with(meddling *m, void (*progress)(void *arg, const hv_verify_facts *facts), hv_verify_facts *facts)
{
    hv_verify_config config = {.storage = &m->base, .vault = MAKER_VAULT, .index = maker.index, .report = tell_finding,
        .progress = progress, .threads = 2};
    hv_err err;

    m->base.ops = &meddling_ops;
    m->inner = maker.storage;
    told = (told_findings){.count = 0};
    hv_rc rc = hv_verify(&config, facts, &err);
    ck_assert_msg(rc == HV_OK && told.count == 0, "%s: %s%s", hv_rc_name(rc), rc == HV_OK ? "" : err.msg, told.all);
    ck_assert_int_ge(m->lists, 1);
}

static void
capture_one_more(void)
{
    maker_cut(&maker, &orders0, 18, "ddrrdd");
}

static void
capture_a_new_hub(void)
{
    hv_partition zebra = maker_partition("zebra", 1, 3);

    maker_claim(&maker, "zebra", 1);
    maker_cut(&maker, &zebra, 0, "ddrrdd");
    maker_claim(&maker, "orders", 2);
}

START_TEST(a_cut_that_was_stored_and_recorded_behind_the_listing_is_newer)
{
    meddling m = {.after = capture_one_more};
    hv_verify_facts facts;

    ck_clean_with(&m, NULL, &facts);
    ck_assert_int_eq(facts.newer, 1);
    ck_assert_int_eq(facts.cuts, 3);
}
END_TEST

START_TEST(a_hub_that_appeared_behind_the_listing_is_newer)
{
    meddling m = {.after = capture_a_new_hub};
    hv_verify_facts facts;

    ck_clean_with(&m, NULL, &facts);
    ck_assert_int_eq(facts.newer, 1);
}
END_TEST

static void
index_catches_up(void *arg, const hv_verify_facts *so_far)
{
    hv_rebuild_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = maker.index};
    hv_rebuild_facts facts;
    hv_err err;

    (void)arg;
    if (so_far->cuts == 5)
        ck_hv_ok(hv_rebuild(&config, &facts, &err));
}

START_TEST(cuts_that_are_recorded_after_they_were_compared_are_compared_again)
{
    meddling m = {.lists = 0};
    hv_verify_facts facts;

    maker.index_too = false;
    maker_cut(&maker, &orders0, 18, "ddrrdd");
    maker_cut(&maker, &orders0, 24, "ddrrdd");
    ck_clean_with(&m, index_catches_up, &facts);
    ck_assert_int_eq(facts.newer, 2);
    ck_assert_int_eq(facts.cuts, 5);
}
END_TEST

static void
index_catches_up_wrongly(void *arg, const hv_verify_facts *so_far)
{
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
    hv_chain chain = {.storage = maker.storage, .vault = MAKER_VAULT};
    hv_index_addition addition = {.partition = &orders0, .cut = &cut.facts};
    hv_err err;

    (void)arg;
    if (so_far->cuts != 4)
        return;
    ck_hv_ok(hv_chain_look(&chain, &orders0, 18, &cut, &err));
    cut.facts.segments[0].created_ms++;
    ck_hv_ok(hv_index_add(maker.index, &addition, 1, &err));
}

START_TEST(cuts_that_are_recorded_late_and_wrong_are_found)
{
    hv_verify_config config = {.storage = maker.storage, .vault = MAKER_VAULT, .index = maker.index, .report = tell_finding,
        .progress = index_catches_up_wrongly, .threads = 2};
    hv_verify_facts facts;
    hv_err err;

    maker.index_too = false;
    maker_cut(&maker, &orders0, 18, "ddrrdd");
    told = (told_findings){.count = 0};
    ck_hv_fails(HV_GAP, hv_verify(&config, &facts, &err));
    ck_assert_msg(told.count == 1 && told.last.kind == HV_FINDING_INDEX_OTHER_FACTS, "%s", told.all);
}
END_TEST

START_TEST(a_sibling_that_the_listing_passed_by_is_asked_for)
{
    hv_blob_name middle = hv_name_of_sibling(&orders0, 6, "red"), last = hv_name_of_sibling(&orders0, 12, "red");
    const char *const names[] = {middle.text, last.text, lead_at(6)};
    hv_verify_facts facts;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        meddling m = {.hidden = names[i]};
        ck_clean_with(&m, NULL, &facts);
        ck_assert_int_eq(facts.segments, 6);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("verify live");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_cut_that_was_stored_and_recorded_behind_the_listing_is_newer);
    tcase_add_test(tests, a_hub_that_appeared_behind_the_listing_is_newer);
    tcase_add_test(tests, cuts_that_are_recorded_after_they_were_compared_are_compared_again);
    tcase_add_test(tests, cuts_that_are_recorded_late_and_wrong_are_found);
    tcase_add_test(tests, a_sibling_that_the_listing_passed_by_is_asked_for);
    return ck_hv_run("verify live", tests);
}
