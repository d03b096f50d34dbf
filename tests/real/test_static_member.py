#!/usr/bin/env python3
"""An archiver with a name of its own in the consumer group (source.assignment-instance, KIP-345) is killed and comes back within its session:
it has its partitions again, and the other archiver is neither given nor robbed of anything meanwhile.
"""

import re
import time

import bed

SESSION = 5                     # seconds: longer than a restart, even on a machine that is busy
PARTITIONS = 4
ASSIGNED = r"event=partitions-assigned\b"
CHANGED = r"event=partitions-(?:assigned|revoked|lost)\b"


class StaticMember(bed.LiveBed):
    partitions = PARTITIONS
    settings = ("group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=1000")

    def start(self, name, log=None):
        return self.hubvault_start("run", config=f"{name}.conf", log=log or f"{name}.log")

    def test_a_named_archiver_that_is_back_within_its_session_has_its_partitions_without_a_rebalance(self):
        for name in ("one", "two"):
            self.config({"source.assignment": "group", "source.assignment-instance": name, "source.session-timeout": f"{SESSION}s",
                         "source.discovery-interval": "1s", "segment.max-age": "1s", "index.dir": self.work / f"index-{name}"},
                        name=f"{name}.conf")
        producer, log = self.produce(100)
        one = self.start("one")
        one.wait_for(rf"{ASSIGNED}.* partitions={PARTITIONS}\b")
        two = self.start("two")
        two.wait_for(rf"{ASSIGNED}.* partitions={PARTITIONS // 2}\b")
        time.sleep(1)
        before = len(re.findall(CHANGED, one.text()))
        killed = time.monotonic()
        two.end("KILL")
        two = self.start("two", log="two-again.log")
        two.wait_for(rf"{ASSIGNED}.* partitions={PARTITIONS // 2}\b", timeout=SESSION)
        print(f"back with its partitions after {time.monotonic() - killed:.1f} s of a session of {SESSION} s", flush=True)
        self.assertTrue(self.wait_for_segment(two, 10))
        time.sleep(1)
        self.assertEqual(len(re.findall(CHANGED, one.text())), before)
        self.assertEqual(len(re.findall(CHANGED, two.text())), 1)
        self.stop(producer)
        for running in (two, one):
            self.assertEqual(running.end("TERM"), 0)
        self.config({"index.dir": self.work / "index-one"})
        self.hubvault("run", "--once")
        self.verify(log)


if __name__ == "__main__":
    bed.main()
