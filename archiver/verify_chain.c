/*
 * The tiling of one partition: each cut begins where the one before it ended, the first one at 0.
 *
 * Behind a hole the chain goes on at the cut that is there. Behind an overlap it may go on from either of the two ends, so neither is
 * told again. Behind a cut whose range nobody can read any more, the next beginning is taken as it is.
 */
#include <inttypes.h>

#include "archiver/verify_internal.h"

void
hv_verify_chain_begin(hv_verify_chain *chain, const hv_partition *partition)
{
    *chain = (hv_verify_chain){.open = true, .partition = *partition, .end_known = true, .other_end = -1};
}

static hv_finding
about(const hv_verify_chain *chain, const hv_verify_item *item, hv_finding_kind kind)
{
    hv_blob_name lead = hv_name_of_lead(&item->walked.partition, item->walked.first);
    hv_finding finding = hv_finding_make(kind, lead.text, &chain->partition);

    finding.offset = chain->end;
    hv_finding_expect(&finding, "a cut that begins at offset %" PRId64, chain->end);
    hv_finding_find(&finding, "one that begins at %" PRId64, item->walked.first);
    return finding;
}

static void
move_on(hv_verify_chain *chain, const hv_verify_item *item)
{
    chain->end_known = item->has_range;
    chain->end = item->has_range ? item->range.end : item->walked.first;
    chain->other_end = -1;
}

void
hv_verify_chain_add(hv_verify_run *run, hv_verify_chain *chain, hv_verify_item *item, bool *fits)
{
    int64_t first = item->walked.first;

    hv_verify_tell_all(run, &chain->lacking);
    *fits = !chain->end_known || first >= chain->end || first == chain->other_end;
    if (!*fits) {
        hv_finding finding = about(chain, item, HV_FINDING_OVERLAP);
        hv_verify_tell(run, &finding);
    } else if (chain->end_known && first != chain->end && first != chain->other_end) {
        hv_finding finding = about(chain, item, HV_FINDING_HOLE);
        chain->hole = (hv_range){.first = chain->end, .end = first};
        hv_verify_tell(run, &finding);
    }
    hv_verify_tell_all(run, &item->findings);
    if (*fits)
        move_on(chain, item);
    else if (item->has_range)
        chain->other_end = item->range.end;
    hv_findings_clear(&chain->lacking);
    chain->lacking = item->lacking;
    item->lacking = (hv_findings){.count = 0};
}

void
hv_verify_chain_end(hv_verify_run *run, hv_verify_chain *chain, bool recorded)
{
    if (recorded)
        hv_verify_tell_all(run, &chain->lacking);
    else if (chain->lacking.count > 0)
        hv_verify_facts_of(run)->incomplete++;
    hv_findings_clear(&chain->lacking);
    chain->open = false;
}
