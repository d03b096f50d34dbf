/*
 * One cut: its segments one by one, then each sibling against the lead.
 *
 * The lead says which segments there have to be. Where it is lost or damaged, a sibling still says where the cut ends (capture
 * protocol, rule 14), so that the chain can be followed on.
 *
 * A name that the listing lacks is asked for before it is told: siblings of the last cut may come while the listing goes on, and a
 * sibling whose name sorts before that of its lead may be passed by before both are there.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/verify_internal.h"
#include "common/array.h"

/* One name of the cut. */
typedef struct member {
    char class_name[HV_CLASS_SIZE];     /* empty: the lead */
    bool promised;                      /* by the lead; set for it, too */
    bool there;
    hv_verified_segment segment;
} member;

typedef struct members {
    member *at;                         /* the lead first, siblings in the order of class names */
    size_t count, room;
} members;

static void
members_clear(members *all)
{
    for (size_t i = 0; i < all->count; i++)
        hv_verified_segment_clear(&all->at[i].segment);
    free(all->at);
}
HV_DEFINE_AUTO_VALUE(members, members_clear);

void
hv_verify_item_free(void *arg)
{
    hv_verify_item *item = arg;

    if (item == NULL)
        return;
    hv_chain_names_clear(&item->walked.names);
    hv_findings_clear(&item->findings);
    hv_findings_clear(&item->lacking);
    hv_index_cut_clear(&item->facts);
    free(item->hash_known);
    free(item);
}

static hv_blob_name
name_of(const hv_verify_item *item, const member *m)
{
    return m->class_name[0] == '\0' ? hv_name_of_lead(&item->walked.partition, item->walked.first)
                                    : hv_name_of_sibling(&item->walked.partition, item->walked.first, m->class_name);
}

static hv_rc
add_member(members *all, const char *class_name, bool promised, hv_err *err)
{
    if (!hv_array_room(&all->at, all->count, &all->room, sizeof *all->at))
        return hv_err_set(err, HV_NOMEM, "no memory for the segments of a cut");
    all->at[all->count] = (member){.promised = promised};
    memcpy(all->at[all->count++].class_name, class_name, strlen(class_name) + 1);
    return HV_OK;
}

static bool
is_listed(const hv_chain_names *names, const char *class_name)
{
    for (size_t i = 0; i < names->class_count; i++)
        if (strcmp(names->classes[i], class_name) == 0)
            return true;
    return false;
}

static bool
is_promised(const hv_segment_header *lead, const char *class_name)
{
    for (size_t c = 0; c < lead->class_count; c++)
        if (strcmp(lead->classes[c].class_name, class_name) == 0)
            return true;
    return false;
}

static hv_rc
find_out(const hv_verify_tools *tools, const char *name, bool *there, hv_err *err)
{
    hv_storage *storage = tools->config->storage;
    hv_blob_properties properties;
    hv_rc rc = storage->ops->properties(storage, name, &properties, err);

    *there = rc == HV_OK;
    return rc == HV_NOT_FOUND ? HV_OK : rc;
}

static hv_rc
verify_member(hv_verify_tools *tools, hv_verify_item *item, member *m, bool listed, hv_err *err)
{
    hv_blob_name name = name_of(item, m);

    m->there = listed;
    if (!listed) {
        hv_rc rc = find_out(tools, name.text, &m->there, err);
        if (rc != HV_OK)
            return rc;
    }
    if (!m->there || !m->promised)      /* what is not promised is no part of the vault, whatever is in it */
        return HV_OK;
    return hv_verify_segment(tools, &item->walked.partition, name.text, &item->findings, &item->counts, &m->segment, err);
}

static int
by_class(const void *a, const void *b)
{
    return strcmp(((const member *)a)->class_name, ((const member *)b)->class_name);
}

/* Siblings that are listed or promised. */
static hv_rc
collect_siblings(const hv_verify_item *item, const hv_segment_header *lead, members *all, hv_err *err)
{
    const hv_chain_names *names = &item->walked.names;
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < names->class_count; i++)
        rc = add_member(all, names->classes[i], lead == NULL || is_promised(lead, names->classes[i]), err);
    for (size_t c = 0; rc == HV_OK && lead != NULL && c < lead->class_count; c++)
        if (!is_listed(names, lead->classes[c].class_name))
            rc = add_member(all, lead->classes[c].class_name, true, err);
    if (rc == HV_OK)
        qsort(all->at + 1, all->count - 1, sizeof *all->at, by_class);
    return rc;
}

/* ---- against the lead ---- */

static hv_finding
about(const hv_verify_item *item, const member *m, hv_finding_kind kind)
{
    hv_finding finding = hv_finding_make(kind, name_of(item, m).text, &item->walked.partition);

    finding.offset = item->walked.first;
    return finding;
}

static hv_rc
tell_absent(hv_verify_item *item, const member *m, hv_err *err)
{
    bool is_lead = m->class_name[0] == '\0';
    hv_finding finding = about(item, m, is_lead ? HV_FINDING_MISSING_LEAD : HV_FINDING_MISSING_SIBLING);

    hv_finding_expect(&finding, is_lead ? "the lead of the cut" : "the segment that the lead promises");
    hv_finding_find(&finding, "no such blob");
    return hv_findings_add(is_lead ? &item->findings : &item->lacking, &finding, err);
}

static hv_rc
tell_unpromised(hv_verify_item *item, const char *blob, hv_err *err)
{
    hv_finding finding = hv_finding_make(HV_FINDING_UNPROMISED_SIBLING, blob, &item->walked.partition);

    finding.offset = item->walked.first;
    hv_finding_expect(&finding, "no such class in this cut");
    hv_finding_find(&finding, "a segment of it");
    return hv_findings_add(&item->findings, &finding, err);
}

/* A cut with more siblings than a class map can promise: the listing told the first one too many. */
static hv_rc
tell_too_many(hv_verify_item *item, hv_err *err)
{
    const char *stranger = item->walked.names.stranger;

    if (stranger == NULL || hv_name_parse(stranger).kind != HV_NAME_SIBLING)
        return HV_OK;                   /* foreign names are told by the walk */
    return tell_unpromised(item, stranger, err);
}

static hv_rc
tell_other_cut(hv_verify_item *item, const member *m, const hv_segment_header *lead, hv_err *err)
{
    const hv_segment_header *header = m->segment.front.header;
    hv_finding finding = about(item, m, HV_FINDING_OTHER_CUT);

    hv_finding_expect(&finding, "offsets %" PRId64 " to %" PRId64 ", %zu further classes, %zu gaps, as the lead says", lead->cut.first,
                      lead->cut.end, lead->class_count, lead->gap_count);
    hv_finding_find(&finding, "%" PRId64 " to %" PRId64 ", %zu and %zu, or others of them, or another policy", header->cut.first,
                    header->cut.end, header->class_count, header->gap_count);
    return hv_findings_add(&item->findings, &finding, err);
}

static hv_rc
tell_other_lead(hv_verify_item *item, const member *m, const unsigned char *lead_sha256, hv_err *err)
{
    hv_finding finding = about(item, m, HV_FINDING_OTHER_LEAD);
    char of_lead[HV_SHA256_TEXT_SIZE], stated[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(lead_sha256, of_lead);
    hv_sha256_text(m->segment.front.header->lead_sha256, stated);
    hv_finding_expect(&finding, "a lead of SHA-256 %s", of_lead);
    hv_finding_find(&finding, "%s", stated);
    return hv_findings_add(&item->findings, &finding, err);
}

static hv_rc
compare_with_lead(hv_verify_item *item, const member *m, const hv_verified_segment *lead, hv_err *err)
{
    const hv_segment_header *header = m->segment.front.header;

    if (!m->there)
        return tell_absent(item, m, err);
    if (!m->promised)
        return tell_unpromised(item, name_of(item, m).text, err);
    if (!m->segment.usable)
        return HV_OK;
    if (!hv_chain_same_cut(header, lead->front.header))
        return tell_other_cut(item, m, lead->front.header, err);
    if (lead->hash_known && memcmp(header->lead_sha256, lead->sha256, HV_SHA256_SIZE) != 0)
        return tell_other_lead(item, m, lead->sha256, err);
    return HV_OK;
}

/* ---- what is known of the cut then ---- */

static void
take_range(hv_verify_item *item, const members *all)
{
    for (size_t i = 0; i < all->count && !item->has_range; i++)
        if (all->at[i].segment.usable) {
            item->has_range = true;
            item->range = all->at[i].segment.front.header->cut;
        }
}

/* Facts as the index should have them. Unpromised segments are none of the cut. */
static hv_rc
take_facts(hv_verify_item *item, const members *all, hv_err *err)
{
    const hv_segment_header *lead = all->at[0].segment.front.header;
    hv_index_cut *facts = &item->facts;

    facts->range = lead->cut;
    facts->segments = calloc(all->count, sizeof *facts->segments);
    item->hash_known = calloc(all->count, sizeof *item->hash_known);
    facts->gaps = malloc(lead->gap_count * sizeof *facts->gaps + 1);
    if (facts->segments == NULL || item->hash_known == NULL || facts->gaps == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the facts of a cut");
    if (lead->gap_count > 0)
        memcpy(facts->gaps, lead->gaps, lead->gap_count * sizeof *facts->gaps);
    facts->gap_count = lead->gap_count;
    for (size_t i = 0; i < all->count; i++) {
        const hv_verified_segment *segment = &all->at[i].segment;
        if (!all->at[i].promised)
            continue;
        hv_rc rc = hv_chain_facts(segment->front.header, segment->front.data_start, segment->sha256,
                                  &facts->segments[facts->segment_count], err);
        if (rc != HV_OK)
            return rc;
        item->hash_known[facts->segment_count++] = segment->hash_known;
    }
    item->whole = true;
    return HV_OK;
}

static bool
all_usable(const members *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->at[i].promised && !all->at[i].segment.usable)
            return false;
    return true;
}

hv_rc
hv_verify_cut(hv_verify_tools *tools, hv_verify_item *item, hv_err *err)
{
    HV_AUTO(members_clear) members all = {0};
    const hv_chain_names *names = &item->walked.names;

    hv_rc rc = add_member(&all, "", true, err);
    if (rc == HV_OK)
        rc = verify_member(tools, item, &all.at[0], names->has_lead, err);
    if (rc == HV_OK && !all.at[0].there && names->class_count == 0)
        return HV_OK;                   /* foreign names only, which are told already: no cut */
    const hv_segment_header *lead = rc == HV_OK && all.at[0].segment.usable ? all.at[0].segment.front.header : NULL;
    if (rc == HV_OK)
        rc = collect_siblings(item, lead, &all, err);
    for (size_t i = 1; rc == HV_OK && i < all.count; i++)
        rc = verify_member(tools, item, &all.at[i], is_listed(names, all.at[i].class_name), err);
    if (rc == HV_OK && !all.at[0].there)
        rc = tell_absent(item, &all.at[0], err);
    int64_t told = item->findings.total;
    for (size_t i = 1; rc == HV_OK && lead != NULL && i < all.count; i++)
        rc = compare_with_lead(item, &all.at[i], &all.at[0].segment, err);
    if (rc == HV_OK)
        rc = tell_too_many(item, err);
    if (rc != HV_OK)
        return rc;
    item->is_there = true;
    take_range(item, &all);
    return all_usable(&all) && item->findings.total == told ? take_facts(item, &all, err) : HV_OK;
}
