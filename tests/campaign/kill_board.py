"""What a killed process left in its board: see kill_points.h and struct board in kill_points.c."""

import pathlib
import struct

PLACES, READS = 128, 256
HEAD = struct.Struct(f"<QQQQ{PLACES}QQ")
READ = struct.Struct("<4q")
WANTED, WANTED_IN = 0, 8                # where they are


def arm(path, places, place, count):
    """Have a process that runs die at the count-th passage of this place from now on; None: at none."""
    number = 0 if place is None else PLACES if place == "tick" else places.index(place) + 1
    with open(path, "r+b", buffering=0) as board:
        for at, value in ((WANTED, 0), (WANTED_IN, count), (WANTED, number)):
            board.seek(at)
            board.write(struct.pack("<Q", value))


class Board:
    def __init__(self, path, places):
        data = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
        self.killed_at, self.ticks, self.passed, self.reads = None, 0, {}, {}
        if len(data) < HEAD.size:
            return                      # it died before it made one
        _, _, killed, self.ticks, *rest = HEAD.unpack_from(data)
        # A tick has no place of its own.
        self.killed_at = None if killed == 0 else "tick" if killed > len(places) else places[killed - 1]
        self.passed = {place: rest[p] for p, place in enumerate(places) if rest[p]}
        for r in range(rest[PLACES]):
            incarnation, partition, first, following = READ.unpack_from(data, HEAD.size + r * READ.size)
            self.reads[incarnation, partition] = (first, following)     # of the offsets that this process read
