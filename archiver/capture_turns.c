/*
 * A backlog of many partitions is read deep instead of wide: some dozens of partitions take their turn until they have what was there when it
 * began, and then the next. Read all at once, each of a thousand partitions would have a block half full in memory, and the budget would
 * close cuts again and again that are hardly begun: many small segments, and requests to the broker that name every partition for little data.
 *
 * Nobody waits for ever: besides the turns, whoever waits first begins after a while anyway. A partition that has little to catch up with never waits.
 */
#include "archiver/capture.h"
#include "common/clock.h"

enum { TURNS = 64, DEEP_OFFSETS = 500, LONGEST_WAIT_MS = 1000 };

static bool
is_catching_up(const hv_captured *captured)
{
    return (captured->state == HV_CAPTURED_READING || captured->state == HV_CAPTURED_PROBING) &&
           (captured->assigned || captured->assign_at_boot_ms != 0) && captured->next < captured->turn_target;
}

bool
hv_captured_takes_turn(hv_captured *captured)
{
    hv_capture *capture = captured->capture;

    captured->waits_for_turn = false;
    if (captured->high - captured->next < DEEP_OFFSETS || captured->has_turn)
        return true;
    if (capture->turns >= TURNS) {
        captured->waits_for_turn = true;
        return false;
    }
    captured->has_turn = true;
    captured->turn_target = captured->high;
    capture->turns++;
    return true;
}

static void
end_turn(hv_captured *captured, void *arg)
{
    (void)arg;
    if (captured->waits_for_turn && ((captured->state != HV_CAPTURED_READING && captured->state != HV_CAPTURED_PROBING) || captured->assigned))
        captured->waits_for_turn = false;       /* something else came of it */
    if (!captured->has_turn || is_catching_up(captured))
        return;
    captured->has_turn = false;
    captured->capture->turns--;
}

static void
begin_turn(hv_captured *captured, void *arg)
{
    hv_capture *capture = captured->capture;
    int64_t now = *(const int64_t *)arg;
    bool overdue = now - capture->turn_boot_ms >= LONGEST_WAIT_MS;

    if (!captured->waits_for_turn)
        return;
    capture->quiet = false;
    if (capture->turns >= TURNS && !overdue)
        return;
    captured->waits_for_turn = false;
    captured->has_turn = true;
    captured->turn_target = captured->high;
    capture->turns++;
    capture->turn_boot_ms = now;
    hv_captured_assign_again(captured);
}

void
hv_capture_give_turns(hv_capture *capture, int64_t now_boot_ms)
{
    hv_capture_for_each(capture, end_turn, NULL);
    hv_capture_for_each(capture, begin_turn, &now_boot_ms);
}
