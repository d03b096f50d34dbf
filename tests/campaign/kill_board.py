"""What a killed process left in its board: see kill_points.h and struct board in kill_points.c."""

import pathlib
import struct

PLACES, READS = 128, 256
HEAD = struct.Struct(f"<QQ{PLACES}QQ")
READ = struct.Struct("<4q")


class Board:
    def __init__(self, path, places):
        data = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
        self.killed_at, self.ticks, self.passed, self.reads = None, 0, {}, {}
        if len(data) < HEAD.size:
            return                      # it died before it made one
        killed, self.ticks, *rest = HEAD.unpack_from(data)
        # A tick has no place of its own.
        self.killed_at = None if killed == 0 else "tick" if killed > len(places) else places[killed - 1]
        self.passed = {place: rest[p] for p, place in enumerate(places) if rest[p]}
        for r in range(rest[PLACES]):
            incarnation, partition, first, following = READ.unpack_from(data, HEAD.size + r * READ.size)
            self.reads[incarnation, partition] = (first, following)     # of the offsets that this process read
