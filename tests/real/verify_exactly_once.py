#!/usr/bin/env python3
"""Holds a vault against the log of Producer.java: each acknowledged event is there once, with equal key, value, headers and time, and
nothing else is.

    verify_exactly_once.py VAULT LOG [--reader fastavro|avro|java]...

Everything that read_segments.py checks is checked too. Exit status 0, or 1 with the problems on standard error.
"""

import argparse
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts  # noqa: E402

parts.use_venv()

import canonical  # noqa: E402
import read_segments  # noqa: E402


def read_log(path):
    """(topic, partition) to {offset: content}; an offset that was acknowledged twice is the broker's fault, and an error here."""
    logged = {}
    with open(path, encoding="utf-8") as file:
        for text in file:
            raw = json.loads(text)
            event = canonical.parse(json.dumps(raw | {"timestampType": "CreateTime", "value": None}))
            place = logged.setdefault((raw["topic"], raw["partition"]), {})
            if event.offset in place:
                raise ValueError(f"{path}: {raw['topic']} {event.where()} acknowledged twice")
            place[event.offset] = (event.timestamp, event.key, event.headers, raw["valueSha256"])
    return logged


def digest(value):
    return None if value is None else hashlib.sha256(value).hexdigest()


def verify(vault, logged):
    """Problems are added to those of the vault; the number of events that are right."""
    right = 0
    for topic in {topic for topic, _ in logged}:
        if any(key[0] == topic and key[1] != 1 for key in vault.partitions):
            vault.problems.append(f"{topic}: more than one incarnation")
    for topic, partition in sorted(logged):
        left = logged[topic, partition]
        seen = set()
        facts = {}
        for event in vault.events((topic, 1, partition), facts):
            content = (event.timestamp, event.key, event.headers, digest(event.value))
            if event.offset in seen:
                vault.problems.append(f"{topic} {event.where()}: there twice")
            elif event.offset not in left:
                vault.problems.append(f"{topic} {event.where()}: never acknowledged")
            elif left[event.offset] != content or event.type != "CreateTime":
                vault.problems.append(f"{topic} {event.where()}: {left[event.offset]} became {content}")
            else:
                right += 1
            seen.add(event.offset)
        for offset in sorted(left.keys() - seen)[:10]:
            vault.problems.append(f"{topic} partition {partition} offset {offset}: acknowledged, but not in the vault")
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vault")
    parser.add_argument("log")
    parser.add_argument("--reader", action="append", choices=["fastavro", "avro", "java"])
    arguments = parser.parse_args()
    logged = read_log(arguments.log)
    vault = read_segments.Vault(arguments.vault, arguments.reader or ("fastavro",))
    right = verify(vault, logged)
    vault.close()
    for problem in vault.problems[:50]:
        print(f"problem: {problem}", file=sys.stderr)
    total = sum(len(place) for place in logged.values())
    print(f"{right} of {total} events exactly once and equal, in {len(vault.segments)} segments; {len(vault.problems)} problems")
    return 0 if right == total and not vault.problems else 1


if __name__ == "__main__":
    sys.exit(main())
