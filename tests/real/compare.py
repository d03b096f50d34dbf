#!/usr/bin/env python3
"""Compares two dumps of canonical lines, field by field.

    compare.py same-offsets A B     an archive and its hub: the same events at the same offsets, nothing more, nothing less
    compare.py replayed A B         an original and its replay: per partition the same sequence of events; offsets may differ. A
                                    time that the broker had set comes back as the same time, set by the producer.

--partition-map 0:1,1:0 for replays that move partitions. --added-header NAME: one such header behind the original ones is allowed
to be new in B. Exit status 0 equal, 1 different (what and where on standard output), 2 not comparable.
"""

import argparse
import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import canonical  # noqa: E402

SHOWN = 10
FIELDS = ("timestamp", "type", "key", "headers", "value")


def short(value):
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:150]}... ({len(text)} characters)"


class Report:
    def __init__(self):
        self.differences = 0

    def add(self, text):
        self.differences += 1
        if self.differences <= SHOWN:
            print(text)

    def fields(self, a, b, place):
        for name, left, right in zip(FIELDS, a, b):
            if left != right:
                self.add(f"{place}: {name} {short(left)} became {short(right)}")


def same_offsets(left, right, report):
    """Merge of two sorted sequences."""
    count = 0
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[:2] < b[:2]):
            report.add(f"{a.where()}: only in the first")
            a = next(left, None)
        elif a is None or b[:2] < a[:2]:
            report.add(f"{b.where()}: only in the second")
            b = next(right, None)
        else:
            report.fields(a.content(), b.content(), a.where())
            count += 1
            a, b = next(left, None), next(right, None)
    return count


def without_added(headers, count, added):
    """Less the last `count` headers, if they are what a replay puts behind the original ones: each name at most once."""
    kept, extra = headers[:len(headers) - count], [name for name, _ in headers[len(headers) - count:]]
    return kept if len(set(extra)) == count and set(extra) <= set(added) else headers


def as_replayed(event):
    """What a replay makes of an event: the producer sets the time now."""
    return event._replace(type="CreateTime")


def replayed(left, right, partition_map, added, report):
    count = 0
    originals = {}
    for event in left:
        originals.setdefault(partition_map.get(event.partition, event.partition), []).append(event)
    for sequence in originals.values():
        sequence.sort(key=lambda event: (event.partition, event.offset))
    copies = {partition: list(group) for partition, group in itertools.groupby(right, key=lambda event: event.partition)}
    for partition in sorted(originals.keys() | copies.keys()):
        first, second = originals.get(partition, []), copies.get(partition, [])
        if len(first) != len(second):
            report.add(f"partition {partition}: {len(first)} events became {len(second)}")
        for a, b in zip(first, second):
            # An original header may bear the name of an added one: take away only as many as there are too many.
            if len(b.headers) > len(a.headers):
                b = b._replace(headers=without_added(b.headers, len(b.headers) - len(a.headers), added))
            if as_replayed(a).content() != b.content():
                report.fields(as_replayed(a).content(), b.content(), f"{a.where()} -> {b.where()}")
                break                   # one missing event would shift all that follow
            count += 1
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["same-offsets", "replayed"])
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--partition-map", default="")
    parser.add_argument("--added-header", action="append", default=[])
    arguments = parser.parse_args()
    report = Report()
    left, right = canonical.read(arguments.a), canonical.read(arguments.b)
    if arguments.mode == "same-offsets":
        count = same_offsets(left, right, report)
    else:
        pairs = [pair.split(":") for pair in arguments.partition_map.split(",") if pair]
        added = [name.encode() for name in arguments.added_header]
        count = replayed(left, right, {int(a): int(b) for a, b in pairs}, added, report)
    if report.differences > SHOWN:
        print(f"... and {report.differences - SHOWN} more")
    print(f"{count} events compared, {report.differences} differences")
    return 1 if report.differences else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, KeyError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        sys.exit(2)
