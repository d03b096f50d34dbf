/* A value is walked from where it begins, also if that was chunks ago: a valid one is odd in four chunks at the most (its sign, point and
 * exponent; a word is short), and an invalid one ends the judgement, so the walks are linear in all. */
#include "common/json_odd.h"

#include "common/json_scan.h"

bool
hv_json_take_escapes(hv_json_place *place, uint64_t backslashes, uint64_t *quotes)
{
    uint64_t escaped = place->escaped ? 1 : 0;

    backslashes &= ~escaped;
    place->escaped = false;
    while (backslashes != 0) {
        uint64_t bit = backslashes & -backslashes;
        const unsigned char *at = place->chunk + __builtin_ctzll(bit);
        if (at >= place->pair_end) {
            scanner scan = {.at = at + 1, .end = place->end};
            if (!take_escape(&scan))
                return false;
            place->pair_end = scan.at;
        }
        escaped |= bit << 1;
        place->escaped = bit >> 63 != 0;
        backslashes &= ~(bit | bit << 1);
    }
    *quotes &= ~escaped;
    return true;
}

uint64_t
hv_json_white_controls(hv_json_place *place, uint64_t controls)
{
    uint64_t white = 0;

    for (; controls != 0; controls &= controls - 1) {
        unsigned char c = place->chunk[__builtin_ctzll(controls)];
        if (c == '\n' || c == '\r')
            place->newline = true;
        if (c == '\n' || c == '\r' || c == '\t')
            white |= controls & -controls;
    }
    return white;
}

/* What may stand directly behind a bare value. */
static bool
ends_value(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ']' || c == '}';
}

static bool
value_holds(const hv_json_place *place, const unsigned char *at)
{
    scanner scan = {.at = at, .end = place->end};

    return take_bare(&scan) && (scan.at == scan.end || ends_value(*scan.at));
}

/* Of the value that the byte before the chunk belongs to. */
static const unsigned char *
start_of_value(const hv_json_place *place)
{
    const unsigned char *at = place->chunk;

    while (at > place->text && !ends_value(at[-1]) && at[-1] != '[' && at[-1] != '{' && at[-1] != ':' && at[-1] != '"')
        at--;
    return at;
}

bool
hv_json_bare_values_hold(const hv_json_place *place, uint64_t starts, bool goes_on)
{
    if (goes_on && !value_holds(place, start_of_value(place)))
        return false;
    for (; starts != 0; starts &= starts - 1)
        if (!value_holds(place, place->chunk + __builtin_ctzll(starts)))
            return false;
    return true;
}
