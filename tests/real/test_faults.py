#!/usr/bin/env python3
"""The network, the machine or the broker misbehaves under a running capture and a running producer; nothing is lost or doubled.

    test_faults.py          answers that end in the middle, and resets; a broker that has lost the end of its log
    test_faults.py --long   also: partitions added, records deleted while nobody captures; a network that is gone, or late; one that is gone
                            without a word, a store that is slow for ten minutes. HUBVAULT_SLOW_S: another time.

It needs the preloaded library of shaken_process.c, which meson builds: HUBVAULT_SHAKEN names it.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

import bed
import tcp_proxy

LONG = "--long" in sys.argv
SLOW_S = int(os.environ.get("HUBVAULT_SLOW_S", "600"))
FAST = {"segment.max-bytes": "64K", "segment.max-age": "1s", "source.discovery-interval": "1s"}


class Faults(bed.LiveBed):
    def setUp(self):
        super().setUp()
        self.proxy = tcp_proxy.Proxy(self.broker.bootstrap)
        self.addCleanup(self.proxy.close)
        self.shaken = self.work / "shaken"
        self.shake(0, 0)

    def shake(self, fsync_ms, shift_s):
        new = self.work / "shaken.new"
        new.write_text(f"{fsync_ms} {shift_s}\n")
        new.rename(self.shaken)

    def start_shaken(self, *arguments):
        library = os.environ.get("HUBVAULT_SHAKEN", str(bed.parts.TOP / "build" / "tests" / "real" / "libshaken_process.so"))
        self.assertTrue(pathlib.Path(library).exists(), library)
        added = {"LD_PRELOAD": library, "SHAKEN": str(self.shaken)}
        os.environ.update(added)
        try:
            return self.hubvault_start(*arguments)
        finally:
            for name in added:
                del os.environ[name]

    def goes_on(self, running, limit=60):
        """Twice, because the first segment may have been on its way."""
        for _ in range(2):
            self.assertTrue(self.wait_for_segment(running, limit), running.text()[-3000:])

    def end_and_verify(self, running, producer, log):
        self.stop(producer)
        self.assertIsNone(running.process.poll(), running.text()[-2000:])
        self.assertEqual(running.end("TERM"), 0, running.text()[-2000:])
        self.hubvault("run", "--once")
        total = self.verify(log)
        self.hubvault("verify")
        return total

    def tool(self, name, *arguments):
        subprocess.run(bed.parts.java(f"org.apache.kafka.tools.{name}", "--bootstrap-server", self.broker.bootstrap, *arguments),
                       stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=60)

    def kcat(self, topic, partition, first, count):
        lines = "".join(f"{partition}-{first + i}\n" for i in range(count))
        subprocess.run(["kcat", "-b", self.broker.bootstrap, "-P", "-t", topic, "-p", str(partition)], input=lines, text=True, check=True,
                       timeout=60)

    def test_a_network_that_is_gone_late_halved_and_reset_costs_no_event(self):
        producer, log = self.produce(500)
        self.config(FAST | {"source.bootstrap": self.proxy.address})
        running = self.hubvault_start("run")
        self.goes_on(running)
        modes = ("drop", "delay", "halve", "reset") if LONG else ("halve",)     # each costs a way through the pauses of librdkafka
        for mode in modes:
            self.proxy.set(mode)
            time.sleep(2)
            self.proxy.set("pass")
            if mode in ("drop", "halve"):
                self.proxy.cut()
            self.goes_on(running)
        for what in ("dropped", "delayed", "halved", "reset") if LONG else ("halved", "reset"):
            self.assertGreater(self.proxy.counts[what], 0, self.proxy.counts)
        self.assertGreater(self.end_and_verify(running, producer, log), 1000)

    @unittest.skipUnless(LONG, "--long")
    def test_partitions_added_while_running_and_records_deleted_while_not_are_met_exactly(self):
        self.odd("topic:grown:1")
        self.kcat("grown", 0, 0, 30)
        self.config(FAST | {"source.include": "grown"})
        running = self.hubvault_start("run")
        self.kcat("grown", 0, 30, 10)
        self.tool("TopicCommand", "--alter", "--topic", "grown", "--partitions", "3")
        self.kcat("grown", 2, 0, 25)
        running.wait_for(r"grown/2|grown.*2", 30)
        time.sleep(2)
        self.assertEqual(running.end("TERM"), 0, running.text()[-2000:])
        facts = self.archive()
        self.assertEqual({key: fact["position"] for key, fact in facts.items()}, {("grown", 1, 0): 40, ("grown", 1, 2): 25})
        self.assert_archive_equals(self.dump(["grown"], "grown"))
        self.kcat("grown", 0, 40, 20)
        request = self.work / "delete.json"
        request.write_text(json.dumps({"version": 1, "partitions": [{"topic": "grown", "partition": 0, "offset": 53}]}))
        self.tool("DeleteRecordsCommand", "--offset-json-file", str(request))
        self.hubvault("run", "--once")
        facts = self.archive()
        self.assertEqual(facts["grown", 1, 0]["gaps"], [[40, 53, "retention"]])
        self.assertEqual(facts["grown", 1, 0]["position"], 60)

    @unittest.skipUnless(LONG, "--long")
    def test_long_a_network_that_is_gone_without_a_word_is_noticed(self):
        producer, log = self.produce(200)
        self.config(FAST | {"source.bootstrap": self.proxy.address})
        running = self.hubvault_start("run")
        self.goes_on(running)
        for mode in ("drop", "halve"):
            self.proxy.set(mode)
            time.sleep(20)
            self.proxy.set("pass")
            began = time.monotonic()
            self.goes_on(running, 200)
            print(f"{mode}: went on {time.monotonic() - began:.0f} s after the network was back", flush=True)
        self.end_and_verify(running, producer, log)

    @unittest.skipUnless(LONG, "--long")
    def test_long_a_store_that_is_slow_for_ten_minutes_stays_in_the_budget_and_catches_up(self):
        producer, log = self.produce(2000)
        self.config({"archiver.memory": "32M", "segment.max-age": "5s", "source.assignment": "group"})
        running = self.start_shaken("run")
        self.goes_on(running, 90)
        self.shake(60000, 0)
        most, began, before = 0, time.monotonic(), len(self.segment_files())
        status = pathlib.Path(f"/proc/{running.process.pid}/status")
        while time.monotonic() - began < SLOW_S:
            self.assertIsNone(running.process.poll(), running.text()[-2000:])
            rss = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            most = max(most, rss)
            time.sleep(1)
        during = len(self.segment_files()) - before
        self.shake(0, 0)
        began = time.monotonic()
        self.goes_on(running, 120)
        self.stop(producer)
        print(f"{SLOW_S} s: {most / 1024:.0f} MiB resident at most, {during} segments meanwhile; first ones {time.monotonic() - began:.0f} s after",
              flush=True)
        self.assertEqual(running.end("TERM", 120), 0, running.text()[-2000:])
        self.assertNotRegex(running.text(), "MAXPOLL|max.poll|session timed out")
        self.hubvault("run", "--once")
        self.verify(log)

    def test_a_broker_that_lost_the_end_of_its_log_begins_a_new_incarnation(self):
        self.odd("topic:shorter:1")
        self.kcat("shorter", 0, 0, 40)
        self.config({"source.include": "shorter"})
        self.hubvault("run", "--once")
        self.broker.stop()
        data, copy = self.broker.work / "data", self.work / "data-before"
        bed.shutil.copytree(data, copy)
        self.broker.start()
        self.kcat("shorter", 0, 40, 40)
        self.hubvault("run", "--once")
        whole = self.dump(["shorter"], "before-the-loss")
        self.broker.stop()
        bed.shutil.rmtree(data)
        copy.rename(data)
        self.broker.start()
        self.kcat("shorter", 0, 1000, 10)
        self.hubvault("run", "--once")
        self.archive()
        self.assert_archive_equals(whole, 1)
        self.assert_archive_equals(self.dump(["shorter"], "after-the-loss"), 2)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--long"]
    bed.main()
