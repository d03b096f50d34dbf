"""What a campaign does, as data that follows from its seed alone.

A campaign is a list of rounds. A round has one hub with its live producer, one kind of archiver, and a list of cycles; each cycle
ends with one SIGKILL. Cycles are numbered through the whole campaign.
"""

import random
import typing

REPLAY = "replay."
SNAPSHOT = "put.snapshot."              # of the settings of a topic, which the mock does not tell
# Which places can be reached by which rounds.
STARTS = ("put.marker.", "put.incarnation.", SNAPSHOT, "folder.", "claim.", "index.open.", "index.incarnation.", "start.")
CAPTURE = ("put.lead.", "index.cut.", "adopt.looked", "adopt.record.", "rebuild.", "replace.", "shutdown.", "verify.", "start.after")
SIBLINGS = ("put.sibling.", "fill.")
RIVALS = ("put.lead.exists", "adopt.sealing")
GROUP = ("group.",)
# What the short campaign over the real broker has of them, two of a line in one cycle, and what it leaves to that over the mock.
GROUP_SHORT = ("group.assigned.after", "group.admit.look",
               "group.lost.before", "group.lost.after",
               "group.revoked.after", "group.release.put.before",
               "group.release.commit.before", "group.released.after")
NEEDS_NO_BROKER = ("put.marker.", "index.open.", "rebuild.", "replace.", "verify.")
NAMED = ("group.assigned.", "group.admit.", "group.lost.", "group.leave.")      # a member with a name of its own seldom has to give


class Kind(typing.NamedTuple):
    name: str
    groups: tuple
    weight: int
    partitions: int = 4
    rate: int = 800
    classes: int = 1
    cut_bytes: int = 0                  # 0: as small as the configuration allows
    cut_age_ms: int = 0
    archivers: int = 1
    producer: str = "idempotent"        # or transactions, java
    real_only: bool = False
    member: str = ""                    # of a consumer group, by which the archivers share the partitions: dynamic, or named (KIP-345)


KINDS = [
    Kind("starts", STARTS, 3, partitions=2, rate=300, cut_bytes=8192, cut_age_ms=150),
    Kind("plain", CAPTURE, 2, rate=1500),
    Kind("tiny", CAPTURE + SIBLINGS, 4, classes=3, cut_bytes=4096, cut_age_ms=100),
    Kind("rivals", CAPTURE[:2] + SIBLINGS + RIVALS, 3, classes=2, cut_bytes=6144, cut_age_ms=120, archivers=2),
    Kind("wide", CAPTURE + SIBLINGS, 1, partitions=64, rate=1000, classes=2, cut_bytes=4096, cut_age_ms=300),
    Kind("transactions", CAPTURE + SIBLINGS, 2, classes=2, cut_bytes=8192, cut_age_ms=150, producer="transactions", real_only=True),
    Kind("recreated", ("put.incarnation.", "claim.", "put.lead.", "index.cut.", "rebuild.") + SIBLINGS, 2, classes=2, cut_bytes=8192,
         cut_age_ms=150, real_only=True),
    Kind("java", CAPTURE, 1, cut_bytes=16384, cut_age_ms=200, producer="java", real_only=True),
    Kind("group", GROUP + ("put.lead.", "put.sibling.", "index.cut."), 2, partitions=12, rate=800, classes=2, cut_bytes=6144,
         cut_age_ms=400, archivers=3, member="dynamic", real_only=True),
    Kind("group-named", NAMED + ("put.lead.", "index.cut."), 1, partitions=6, rate=600, classes=2, cut_bytes=6144, cut_age_ms=150,
         archivers=2, member="named", real_only=True),
    Kind("replay", (REPLAY,), 2, rate=1500, cut_bytes=32768, cut_age_ms=300, real_only=True),
]


class Cycle(typing.NamedTuple):
    number: int
    verb: str                           # run, shutdown, rebuild, verify, replay
    place: str                          # of hubvault_killed; "tick"; "time" for a SIGKILL from outside
    count: int                          # at the count-th passage
    seconds: float                      # of a "time"
    stop_after: float                   # of a shutdown: SIGTERM so late
    disk: str                           # afterwards: keep, lose, old
    power: bool                         # afterwards: what the vault has not synced is lost
    victim: int                         # of the archivers that share the vault
    product: bool                       # hubvault itself and not hubvault_killed, for kills from outside
    # With a group:
    move: str = ""                      # how another one goes away and comes back: leave, kill, pause
    also: str = ""                      # where one more dies, if it gets there
    away: float = 0                     # how long those that died stay away
    all_die: bool = False               # afterwards


class Round(typing.NamedTuple):
    number: int
    kind: Kind
    method: str                         # how files get their names
    seed: int                           # of the producer
    cycles: list


def places_of(kind, places):
    return [place for place in places if any(place.startswith(group) for group in kind.groups)
            and (place not in RIVALS or place in kind.groups)]


def places_for(broker, places, short=False):
    """What a campaign on this broker has to reach."""
    if broker == "mock":
        return [place for place in places if not place.startswith((REPLAY, SNAPSHOT, *GROUP))]
    return [place for place in places if not short or place in GROUP_SHORT or not place.startswith((*NEEDS_NO_BROKER, *GROUP))]


def verb_of(place, dice):
    for beginning, verb in (("shutdown.", "shutdown"), ("replace.", "rebuild"), ("verify.", "verify"), (REPLAY, "replay")):
        if place.startswith(beginning):
            return verb
    if place.startswith("rebuild."):
        return dice.choice(("rebuild", "run"))
    return "run"


def _count(place, dice):
    """A small number: every passage is one in a row of many, but a start passes some of them once."""
    once = ("put.marker.", "put.incarnation.", SNAPSHOT, "claim.", "index.open.", "index.incarnation.", "start.", "rebuild.", "replace.", "adopt.",
            "fill.", "shutdown.", "verify.begin", "folder.", "replay.init", "put.lead.exists", "group.")
    if any(place.startswith(beginning) for beginning in once):
        return 1
    return dice.choice((1, 1, 2) if place.startswith(("replay.offsets.", "replay.commit.")) else (1, 1, 2, 2, 3, 5, 8))


def _cycle(number, kind, place, dice):
    verb = verb_of(place, dice) if place not in ("tick", "time") else \
        REPLAY[:-1] if kind.groups == (REPLAY,) else dice.choice(("run",) * 8 + ("shutdown", "shutdown", "rebuild", "verify"))
    product = place == "time" and kind.archivers == 1 and kind.classes == 1 and dice.random() < 0.5
    return Cycle(number=number, verb=verb, place=place, count=int(2 ** dice.uniform(0, 9)) if place == "tick" else _count(place, dice),
                 seconds=dice.uniform(0.01, 0.9) * (2 if verb == "replay" else 1), stop_after=dice.uniform(0.4, 1.0),
                 disk=dice.choice(("keep",) * 5 + ("lose", "lose", "old", "old")), power=dice.random() < 0.2,
                 victim=dice.randrange(kind.archivers), product=product)


def _group_cycle(cycle, kind, places, dice):
    """Killed while others come and go."""
    moved = [place for place in places if place.startswith(GROUP) and not place.startswith(("group.lost.", "group.leave."))]
    also = dice.choice(moved) if kind.archivers > 2 and dice.random() < 0.5 else ""
    return cycle._replace(verb="run", move=dice.choice(("leave", "leave", "kill", "pause")), also=also, away=dice.choice((0, 0, 0.5, 1.5)),
                          all_die=dice.random() < 0.15)


def _cycles(number, kind, names, places, dice):
    made = [_cycle(number + i, kind, place, dice) for i, place in enumerate(names)]
    return [_group_cycle(cycle, kind, places, dice) for cycle in made] if kind.member else made


class Deck:
    """Places of one kind of round in an order of chance; all of them before the first one comes again."""

    def __init__(self, places, dice):
        self.places, self.dice, self.left = places, dice, []

    def take(self):
        if not self.left:
            self.left = list(self.places)
            self.dice.shuffle(self.left)
        return self.left.pop()


def _places_of_round(kind, deck, size, dice):
    """Three in five at named places, the others anywhere."""
    places = [deck.take() if dice.random() < 0.6 else dice.choice(("tick", "time", "time")) for _ in range(size)]
    if kind.name == "starts":           # a vault is used for as long as what is to be killed has not happened to it
        order = {group: number for number, group in enumerate(STARTS)}
        places.sort(key=lambda place: next((number for group, number in order.items() if place.startswith(group)), len(order)))
    return places


def make(seed, broker, places, cycles, only=None, round_size=25):
    """Rounds whose cycles are `cycles` in sum."""
    dice = random.Random(f"{seed}/{broker}")
    kinds = [kind for kind in KINDS if (broker == "real" or not kind.real_only) and only in (None, kind.name)]
    places = places_for(broker, places)
    decks = {kind.name: Deck(places_of(kind, places), dice) for kind in kinds}
    rounds, number, order = [], 0, []
    while kinds and number < cycles:
        if not order:
            order = [kind for kind in kinds for _ in range(kind.weight)]
            dice.shuffle(order)
            if not rounds:              # each kind early, so that a short campaign has them all
                order = kinds[::-1] + order
                order.reverse()
        kind = order.pop()
        size = min(round_size, cycles - number)
        names = _places_of_round(kind, decks[kind.name], size, dice)
        made = _cycles(number, kind, names, places, dice)
        rounds.append(Round(len(rounds), kind, dice.choice(("tmpfile", "tmpfile", "link", "rename")), dice.randrange(1 << 30), made))
        number += size
    return rounds


def _pairs(cycles):
    """With a group two die in one cycle, for half the time."""
    cycles = sorted(cycles, key=lambda cycle: GROUP_SHORT.index(cycle.place))
    return [first._replace(number=cycles[i].number, also=second.place, move="leave", away=0)
            for i, (first, second) in enumerate(zip(cycles[::2], cycles[1::2]))]


def make_covering(seed, broker, places, only=None):
    """The short campaign: every place that it has once, and some kills anywhere."""
    dice = random.Random(f"{seed}/{broker}/short")
    kinds = [kind for kind in KINDS if (broker == "real" or not kind.real_only) and kind.name not in ("wide", "java", "transactions", "recreated", "group-named")]
    places = places_for(broker, places, short=True)
    rounds, number, left = [], 0, set(places)
    for kind in sorted(kinds, key=lambda kind: kind.name != "rivals"):      # rivals first: only they reach some places
        mine = [place for place in places_of(kind, places) if place in left]
        if kind.name == "plain":
            mine = []
        elif kind.name == "rivals":
            mine = [place for place in mine if place in RIVALS or place.startswith("put.lead.")]
        elif kind.member:
            mine = [place for place in mine if place.startswith(GROUP)]
        left -= set(mine)
        dice.shuffle(mine)
        if kind.name == "starts":
            mine.sort(key=lambda place: next(number for number, group in enumerate(STARTS) if place.startswith(group)))
        mine += [dice.choice(("tick", "time")) for _ in range(6 if kind.name == "plain" else 0 if kind.member else 3)]
        made = _cycles(number, kind, mine, places, dice)
        if kind.member:
            made = _pairs(made)
        plan = Round(len(rounds), kind, dice.choice(("tmpfile", "link", "rename")), dice.randrange(1 << 30), made)
        if only in (None, kind.name):
            rounds.append(plan)
            number += len(made)
    assert not left, f"no round reaches {sorted(left)}"
    return rounds
