"""A replay into a hub of the real broker, killed at every step: each event is there once for those who read committed."""

import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "real"))
import canonical  # noqa: E402
import parts  # noqa: E402
import verify_exactly_once  # noqa: E402
from campaign_judge import Failure  # noqa: E402

TARGET = ["max.message.bytes", "10485760"]
TRIES = 4


def _command(running, topic, rate):
    words = ("replay", running.topic, "--sink", "kafka", "--id", topic, "--topic", topic)
    return words + ("--rate", str(rate)) if rate else words


def replay(campaign, running):
    """All cycles of the round. A place whose turn came when all had been sent is tried again with another target."""
    cycles = running.plan.cycles
    for attempt in range(TRIES):
        _replay_into(campaign, running, f"copy-{running.plan.number}-{attempt}", cycles)
        cycles = [cycle._replace(count=1) for cycle in cycles
                  if cycle.place not in ("tick", "time") and not running.results.at[cycle.place]]
        if not cycles:
            break


def _replay_into(campaign, running, topic, cycles):
    """Killed in each cycle, then to the end; the target is compared."""
    partitions = running.plan.kind.partitions
    parts.run_java("OddEvents", campaign.bootstrap, ":".join(["topic", topic, str(partitions), *TARGET]))
    archiver = running.archivers[0]
    rate = max(500, running.log.count // 4)         # some transactions, each a second long
    for cycle in cycles:
        kill_at = None if cycle.place == "time" else f"{cycle.place}:{cycle.count}"
        running.cycle = cycle
        running.start(archiver, _command(running, topic, rate), kill_at)
        running.await_replay(cycle, archiver)
        running.results.verbs["replay"] += 1
        campaign.progress(running)
    running.command(archiver, *_command(running, topic, None))
    _compare(campaign, running, topic)


def _compare(campaign, running, topic):
    folder = running.folder / "copies"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    parts.run_java("Dump", campaign.bootstrap, folder, topic)
    copies = {}
    for event in canonical.read(folder / f"{topic}.jsonl"):
        copies.setdefault(event.partition, []).append((event.timestamp, event.key, event.headers, verify_exactly_once.digest(event.value)))
    for partition, events in running.log.events.items():
        wanted = [events[offset] for offset in sorted(events)]
        if copies.get(partition, []) != wanted:
            there = copies.get(partition, [])
            running.judge.lost += len(set(wanted) - set(there))
            running.judge.doubled += len(there) - len(set(there))
            raise Failure(f"replay: partition {partition} has {len(there)} events, {len(wanted)} were sent, or they differ")
    running.results.numbers["events replayed"] += sum(len(events) for events in copies.values())
