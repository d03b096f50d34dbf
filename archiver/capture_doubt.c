/*
 * A hole in the offsets is believed when it has been seen twice.
 *
 * What a client passes over by mistake looks exactly like offsets that hold nothing (control records of transactions, what compaction or an
 * abort took away), and would be recorded as such for good. So the first holes of a partition are read a second time, by an assignment
 * of their own, before they are believed, and from then on one in many: where holes are usual they cost nothing, and where there are none by
 * nature, which is the rule, each is looked at. A second look that shows less than the first is no confirmation, and is repeated: what was seen once
 * is there, unless it was taken away meanwhile, and then that ends. If a hole was none, its events are captured, that is told, and the partition has to earn
 * its belief anew.
 */
#include <inttypes.h>

#include "archiver/capture.h"

enum { SEEN_TWICE = 4, THEN_ONE_IN = 256 };     /* holes of a partition */

static void
tell(hv_captured *captured, int64_t came, int64_t end)
{
    hv_err err;

    (void)hv_err_set(&err, HV_IO, "hub '%s', partition %" PRId32 ": offset %" PRId64 " was passed over, and came when everything below %" PRId64
                     " was read again: this release of librdkafka, or the broker, loses events", captured->id.hub, captured->id.number, came, end);
    hv_capture_trouble(captured->capture, captured, &err);
}

static void
look_again(hv_captured *captured, int64_t end, bool ends_at_event)
{
    hv_err err;

    captured->doubted_first = captured->next;
    captured->doubted_end = end;
    captured->doubted_event = ends_at_event;
    hv_rc rc = hv_captured_assign(captured, captured->next, &err);
    if (rc != HV_OK)
        hv_captured_assign_later(captured, rc, &err);
}

bool
hv_captured_doubts(hv_captured *captured, int64_t offset, bool is_event)
{
    bool second = captured->doubted_end > 0 && captured->doubted_first == captured->next;

    if (offset < captured->next)
        return false;
    if (second && captured->doubted_event && offset > captured->doubted_end) {
        look_again(captured, offset, is_event);     /* the event that was seen before is passed over now */
        return true;
    }
    if (second) {
        bool was_none = is_event && offset < captured->doubted_end;
        if (was_none)
            tell(captured, offset, captured->doubted_end);
        captured->holes = was_none ? 0 : captured->holes + 1;
        captured->doubted_end = 0;
        return false;
    }
    if (offset == captured->next)
        return false;
    if (captured->holes >= SEEN_TWICE && captured->holes++ % THEN_ONE_IN != 0)
        return false;
    look_again(captured, offset, is_event);
    return true;
}
