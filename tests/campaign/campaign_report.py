#!/usr/bin/env python3
"""campaign_report.py RESULTS.json...: the table of docs/RELIABILITY.md from what campaign.py --report wrote."""

import json
import pathlib
import sys

ROWS = [
    ("seed", lambda r: r["seed"]),
    ("SIGKILLs", lambda r: r["kills"]),
    ("… by itself at a named place", lambda r: r["kills_by"].get("place", 0)),
    ("… of that in the life of a group", lambda r: sum(at["kills"] for place, at in r["places"].items() if place.startswith("group."))),
    ("… by itself at a passage of chance", lambda r: r["kills_by"].get("tick", 0)),
    ("… from outside at a time of chance", lambda r: r["kills_by"].get("time", 0)),
    ("rounds, each with a hub of its own", lambda r: sum(r["rounds"].values())),
    ("vaults captured to the end, verified and compared", lambda r: r["numbers"].get("vaults", 0)),
    ("events acknowledged and compared", lambda r: r["numbers"].get("events", 0)),
    ("events replayed and compared", lambda r: r["numbers"].get("events replayed", 0)),
    ("hubs deleted and created again", lambda r: r["numbers"].get("hubs re-created", 0)),
    ("offsets that a lead promised and that went with their hub", lambda r: r["numbers"].get("gone with their hub", 0)),
    ("segments", lambda r: r["numbers"].get("segments", 0)),
    ("members of a group paused, for longer than their session unless another one died meanwhile", lambda r: r["numbers"].get("paused", 0)),
    ("… that left it in good order", lambda r: r["numbers"].get("left", 0)),
    ("**events lost**", lambda r: r["numbers"]["lost"]),
    ("**events doubled**", lambda r: r["numbers"]["doubled"]),
    ("index thrown away", lambda r: _disks(r, "lose")),
    ("old copy of the index put back", lambda r: _disks(r, "old")),
    ("loss of power played", lambda r: _disks(r, "power")),
    ("names that it took away", lambda r: r["numbers"].get("names lost with power", 0)),
    ("partitions read again from before their last sealed cut", lambda r: r["numbers"].get("sealed again", 0)),
    ("events of open cuts read again, in sum", lambda r: r["numbers"].get("read again", 0)),
    ("… by one restart and partition, at most", lambda r: r["most_read_again"]),
    ("named places that were never reached", lambda r: len(r["missed"])),
    ("failures", lambda r: len(r["failures"])),
    ("duration, s", lambda r: r["seconds"]),
]


def _disks(report, word):
    return sum(count for what, count in report["disks"].items() if word in what)


def table(header, rows):
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


def main():
    reports = [json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:]]
    names = [report["broker"] for report in reports]
    print("\n".join(table(["", *names], [[name, *[value(report) for report in reports]] for name, value in ROWS])))
    print()
    kinds = sorted({kind for report in reports for kind in report["rounds"]})
    print("\n".join(table(["rounds", *names], [[kind, *[report["rounds"].get(kind, 0) for report in reports]] for kind in kinds])))
    print()
    places = max((report["places"] for report in reports), key=len)
    rows = []
    for place in places:
        cells = [report["places"].get(place) for report in reports]
        rows.append([f"`{place}`", *["–" if cell is None else f"{cell['kills']} of {cell['passed']}" for cell in cells]])
    print("\n".join(table(["place: died there, of passages", *names], rows)))
    for report in reports:
        for failure in report["failures"]:
            print(f"\nFailed on {report['broker']}, cycle {failure['cycle']}: {failure['what']}\nagain: `{failure['repeat']}`")


if __name__ == "__main__":
    main()
