#!/usr/bin/env python3
"""Three archivers share the partitions of one broker by a consumer group and put them into one vault, each with its own index, its own
way to the broker and its own way to the store. They are killed, paused for longer than their session, cut off from the broker, cut off
from the store, leave and join; now and then an index is lost. Then every acknowledged event is in the vault once, and equal; `verify`
finds nothing with any of the three indexes; and each of them equals one that is rebuilt from the store.

    test_several_archivers.py                           a few seconds of faults after a plan, each kind once
    test_several_archivers.py --minutes 10 [--seed S]   at random, each archiver by itself; HUBVAULT_MINUTES and HUBVAULT_SEED do the same

separate.py says how the machines are kept apart.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import sys
import threading
import time

import bed
import separate

ARCHIVERS = 3
PARTITIONS = 12
RATE = 1500
SESSION = 3                     # seconds
SETTLE = 90

SETTINGS = {"source.assignment": "group", "source.session-timeout": f"{SESSION}s", "source.release-timeout": "2s",
            "source.discovery-interval": "2s", "archiver.follow-interval": "200ms", "segment.max-bytes": "64K",
            "segment.block-bytes": "16K", "segment.max-age": "1s"}

minutes = float(os.environ.get("HUBVAULT_MINUTES", "0"))
seed = int(os.environ.get("HUBVAULT_SEED", "0")) or random.randrange(1 << 30)


class Archiver:
    """One archiver on one machine, and the faults that befall it. Whoever finds that it ended by itself keeps that for the test."""

    def __init__(self, test, machine):
        self.test, self.machine = test, machine
        self.name = f"archiver-{machine.number}"
        self.index = test.work / f"index-{machine.number}"
        self.running = None
        self.counts = collections.Counter()
        self.problems = []
        settings = SETTINGS | {"store.dir": machine.view, "index.dir": self.index, "source.bootstrap": machine.bootstrap}
        test.config(settings, name=f"{self.name}.conf")
        self.log = test.work / f"{self.name}.log"

    def start(self):
        command = self.machine.command([self.test.hubvault_path, "--config", str(self.test.work / f"{self.name}.conf"), "run"])
        with open(self.log, "ab") as log:
            process = bed.subprocess.Popen(command, stdin=bed.subprocess.DEVNULL, stdout=log, stderr=log)
        self.test.children.append(process)
        self.running = bed.Running(process, self.log, " ".join(command))

    def end(self, signal_name):
        """It must have been running. SIGTERM has to end well."""
        if self.running.process.poll() is not None:
            self.problems.append(f"{self.name} ended by itself with {self.running.process.returncode}: {self.running.text()[-1500:]}")
        status = self.running.end(signal_name, timeout=120)
        if signal_name == "TERM" and status != 0:
            self.problems.append(f"{self.name}: SIGTERM ended with {status}: {self.running.text()[-1500:]}")

    # ---- faults; each ends with the archiver running and whole ----

    def kill(self, away, lose_index=False):
        self.end("KILL")
        if lose_index:
            self.counts["index lost"] += 1
            shutil.rmtree(self.index, ignore_errors=True)
        time.sleep(away)
        self.start()

    def pause(self, away):
        os.kill(self.running.process.pid, bed.signal.SIGSTOP)
        time.sleep(away)
        os.kill(self.running.process.pid, bed.signal.SIGCONT)

    def cut_broker(self, away):
        self.machine.cut_broker(True)
        time.sleep(away)
        self.machine.cut_broker(False)

    def cut_store(self, away):
        self.machine.cut_store(True)
        time.sleep(away)
        self.machine.cut_store(False)

    def leave(self, away):
        self.end("TERM")
        time.sleep(away)
        self.start()

    def suffer(self, kind, away, **options):
        if kind == "cut_store" and not self.machine.can_cut_store:
            kind = "kill"
        self.counts[kind] += 1
        getattr(self, kind)(away, **options)


def scheduled(archiver):
    """A few seconds in which everything happens once, to one or the other."""
    plans = {1: [("cut_store", 3.5), ("kill", 1)],
             2: [("pause", SESSION + 2), ("leave", 1)],
             3: [("cut_broker", SESSION + 2), ("kill", 0.5, {"lose_index": True})]}
    for kind, away, *options in plans[archiver.machine.number]:
        time.sleep(1)
        archiver.suffer(kind, away, **(options[0] if options else {}))


def at_random(archiver, dice, until):
    kinds = ["kill", "pause", "cut_broker", "cut_store", "leave", "leave"]
    while time.monotonic() < until:
        time.sleep(dice.uniform(0.5, 6))
        kind = dice.choice(kinds)
        longer = kind in ("pause", "cut_broker") and dice.random() < 0.7
        away = dice.uniform(0, 3) + (SESSION if longer else 0)
        options = {"lose_index": dice.random() < 0.1} if kind == "kill" else {}
        archiver.suffer(kind, away, **options)


class SeveralArchivers(bed.LiveBed):
    partitions = PARTITIONS

    @classmethod
    def start_broker(cls):
        """One listener for the producer, one for each machine."""
        cls.shared = cls.work / "vault"
        cls.machines = separate.machines(ARCHIVERS, cls.shared, cls.work / "views")
        for machine in cls.machines:
            cls.addClassCleanup(machine.close)          # before the work folder goes
            machine.open()
        cls.broker.make(settings=["group.min.session.timeout.ms=1000"])
        text = cls.broker.properties.read_text()
        for key, at in (("listeners", "listen"), ("advertised.listeners", "bootstrap")):
            more = ",".join(f"A{machine.number}://{getattr(machine, at)}" for machine in cls.machines)
            text = re.sub(rf"^{key}=(.*)$", rf"{key}=\1,{more}", text, flags=re.MULTILINE)
        more = ",".join(f"A{machine.number}:PLAINTEXT" for machine in cls.machines)
        text = re.sub(r"^(listener.security.protocol.map=.*)$", rf"\1,{more}", text, flags=re.MULTILINE)
        cls.broker.properties.write_text(text)
        cls.broker.start()

    def churn(self, archivers):
        until = time.monotonic() + minutes * 60

        def life(archiver):
            try:
                if minutes > 0:
                    at_random(archiver, random.Random(f"{seed} {archiver.machine.number}"), until)
                else:
                    scheduled(archiver)
            except Exception as error:          # pylint: disable=broad-except
                archiver.problems.append(f"{archiver.name}: {error!r}")

        lives = [threading.Thread(target=life, args=(archiver,)) for archiver in archivers]
        for thread in lives:
            thread.start()
        for thread in lives:
            thread.join()
        for archiver in archivers:
            if archiver.running.process.poll() is not None:
                archiver.problems.append(f"{archiver.name} has ended: {archiver.running.text()[-1500:]}")
        self.assertEqual([problem for archiver in archivers for problem in archiver.problems], [])

    def dump(self, archiver=None, index=None):
        """The index as text; of an archiver that runs, too."""
        arguments = ["--set", f"index.dir={index}"] if index else []
        name = f"{archiver.name}.conf" if archiver else "hubvault.conf"
        return self.hubvault(*arguments, "index", "dump", config=name).stdout

    def wait_until_followed(self, archivers, ends):
        """Until every running archiver's own index has everything; nothing else completes it."""
        deadline = time.monotonic() + SETTLE
        while True:
            positions = [self.positions(archiver) for archiver in archivers]
            if all(position == ends for position in positions):
                return
            if time.monotonic() > deadline:
                late = [{key: (position.get(key), end) for key, end in ends.items() if position.get(key) != end} for position in positions]
                self.fail(f"not followed within {SETTLE} s: {late}")
            time.sleep(0.25)

    def positions(self, archiver):
        ends = {}
        for row in self.table("segments", "live", config=f"{archiver.name}.conf"):
            ends[row["partition"]] = max(ends.get(row["partition"], 0), row["end_offset"])
        return ends

    def test_whatever_befalls_them_they_lose_and_double_nothing_and_know_all_of_it(self):
        kind = type(self.machines[0]).__name__.lower()
        print(f"seed {seed}, {minutes} minutes, {ARCHIVERS} machines, each a {kind}", flush=True)
        self.vault = self.shared
        producer, log = self.produce(RATE)
        archivers = [Archiver(self, machine) for machine in self.machines]
        for starters in (archivers[:1], archivers[1:]):         # the first one has everything, and has to give most of it up
            for archiver in starters:
                archiver.start()
            for archiver in starters:
                archiver.running.wait_for(r"partitions-assigned.* partitions=[1-9]")
        begun = time.monotonic()
        self.churn(archivers)
        lasted = time.monotonic() - begun
        self.stop(producer)
        ends = {}
        with open(log, encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                ends[event["partition"]] = max(ends.get(event["partition"], 0), event["offset"] + 1)
        self.wait_until_followed(archivers, ends)
        for archiver in archivers:
            archiver.end("TERM")
        self.assertEqual([problem for archiver in archivers for problem in archiver.problems], [])
        self.config({"store.dir": self.shared, "index.dir": self.work / "rebuilt"})
        total = self.verify(log)
        self.hubvault("index", "rebuild")
        rebuilt = self.dump()
        self.assertGreater(len(rebuilt.splitlines()), PARTITIONS * 2)
        for archiver in archivers:
            self.assertTrue(self.dump(archiver) == rebuilt, f"the index of {archiver.name} is not like the rebuilt one")
            self.hubvault("verify", config=f"{archiver.name}.conf", timeout=600)
        self.report(archivers, lasted, total)

    def report(self, archivers, lasted, total):
        logs = "".join(archiver.log.read_text(errors="replace") for archiver in archivers)
        counts = sum((archiver.counts for archiver in archivers), collections.Counter())
        told = {name: len(re.findall(rf"event={name}\b", logs))
                for name in ("partitions-assigned", "partitions-revoked", "partitions-lost", "cut-sealed", "cut-adopted")}
        print(f"{lasted:.0f} s: {dict(counts)}; {told}; {total} events", flush=True)
        wanted = {"kill", "pause", "cut_broker", "leave"} | ({"cut_store"} if self.machines[0].can_cut_store else set())
        self.assertLessEqual(wanted, set(counts))
        self.assertGreater(told["partitions-revoked"], 0)       # a run without any proves nothing
        self.assertGreater(told["partitions-lost"], 0)
        self.assertGreater(total, lasted * RATE / 4)


def main():
    global minutes, seed        # pylint: disable=global-statement
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--seed", type=int, default=seed)
    arguments, rest = parser.parse_known_args()
    minutes, seed = arguments.minutes, arguments.seed
    sys.argv = [sys.argv[0], *rest]
    bed.main()


if __name__ == "__main__":
    main()
