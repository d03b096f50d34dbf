#!/usr/bin/env python3
"""Replays into hubs of a real broker, compared field by field with the originals; replays that are killed; replays that go on live."""

import random
import time

import bed
import replay_forms

HUBS = ["odd.shapes", "odd.times", "odd.append-times", "odd.raw", "odd.codec.none", "odd.codec.gzip", "odd.codec.snappy", "odd.codec.lz4",
        "odd.codec.zstd", "odd.bulk", "odd.large", "odd.transactions", "odd.compacted", "odd.trimmed", "odd.again", "odd.growing"]


class ReplayHub(bed.LiveBed):
    stages = ("all",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dumps = cls.dump(HUBS, "original")
        cls.sizes = {hub: 1 + max(event.partition for event in bed.canonical.read(path)) for hub, path in cls.dumps.items()}
        first = cls("test_every_odd_hub_comes_back_equal_field_by_field")
        first.setUp()
        first.config({"source.include": ",".join(HUBS)})
        first.hubvault("run", "--once")

    def setUp(self):
        super().setUp()
        self.vault = self.work / "vault"        # one for all replays of what is there: they only read
        self.config()

    def copies(self, hubs, word):
        """New empty hubs for these to go to: hub -> name."""
        names = {hub: f"copy.{word}.{i}" for i, hub in enumerate(hubs)}
        self.create_topics({names[hub]: self.sizes[hub] for hub in hubs})
        return names

    def assert_copied(self, names, **options):
        copies = self.dump(names.values(), "copies")
        for hub, name in names.items():
            with self.subTest(hub=hub):
                self.assert_replayed(self.dumps[hub], copies[name], **options)

    def test_every_odd_hub_comes_back_equal_field_by_field(self):
        names = self.copies(HUBS, "all")
        renames = [word for hub, name in names.items() for word in ("--rename", f"{hub}={name}")]
        self.hubvault("replay", *HUBS, "--sink", "kafka", "--id", "all", *renames)
        self.assert_copied(names)

    def test_without_transactions_it_is_the_same(self):
        names = self.copies(HUBS, "plain")
        renames = [word for hub, name in names.items() for word in ("--rename", f"{hub}={name}")]
        self.hubvault("replay", *HUBS, "--sink", "kafka", "--id", "plain", "--no-transactions", *renames)
        self.assert_copied(names)

    def test_a_second_run_under_the_same_id_sends_nothing(self):
        names = self.copies(["odd.bulk", "odd.shapes"], "twice")
        for _ in range(2):
            self.hubvault("replay", *names, "--sink", "kafka", "--id", "twice", *[
                word for hub, name in names.items() for word in ("--rename", f"{hub}={name}")])
        self.assert_copied(names)

    def test_partitions_go_where_the_map_says(self):
        names = self.copies(["odd.shapes"], "map")
        self.hubvault("replay", "odd.shapes", "--sink", "kafka", "--id", "map", "--topic", names["odd.shapes"], "--partition-map", "0=2",
                      "--partition-map", "1=0", "--partition-map", "2=1")
        self.assert_copied(names, partition_map={0: 2, 1: 0, 2: 1})

    def test_a_hub_with_too_few_partitions_is_refused_before_anything_is_sent(self):
        self.create_topics({"copy.narrow": 2})
        done = self.hubvault("replay", "odd.bulk", "--sink", "kafka", "--id", "narrow", "--topic", "copy.narrow", expect=2)
        self.assertEqual(len([line for line in done.stderr.splitlines() if line.startswith("hubvault:")]), 1, done.stderr)
        self.assertEqual(self.dump(["copy.narrow"], "copies")["copy.narrow"].stat().st_size, 0)

    def killed_after(self, command, seconds):
        running = self.hubvault_start(*command)
        time.sleep(seconds)
        alive = running.process.poll() is None
        running.end("KILL")
        return alive

    def test_a_replay_that_is_killed_twenty_times_sends_each_event_once(self):
        names = self.copies(["odd.bulk"], "killed")
        command = ("replay", "odd.bulk", "--sink", "kafka", "--id", "killed", "--topic", names["odd.bulk"], "--rate", "1500")
        dice = random.Random(5)
        kills, before = 0, 0
        for _ in range(20):             # from before the first transaction to behind the second
            kills += self.killed_after(command, dice.uniform(0.1, 3))
        for longer in (0, 4, 8, 16, 32, 64, 128):       # on a slow machine nothing may have been committed yet
            if longer > 0:
                kills += self.killed_after(command, longer)
            before = self.dump(names.values(), "between")[names["odd.bulk"]].read_text().count("\n")
            if before > 1000:
                break
        self.hubvault(*command)
        self.assertGreater(kills, 3)
        self.assertGreater(before, 1000)        # or no kill hit a run that had committed something
        self.assert_copied(names)

    # ---- onto the live hub ----

    def test_following_joins_archive_and_live_hub_without_gap_or_duplicate(self):
        """Capture and producer go on; the follower begins in the archive, is stopped once and goes on from its cursor."""
        self.vault = self.work / "vault-live"
        self.config({"source.include": "live", "segment.max-age": "1s", "segment.max-bytes": "64K"})
        producer, log = self.produce(1000)
        capture = self.hubvault_start("run", log="capture.log")
        self.assertTrue(self.wait_for_segment(capture, 60), capture.text()[-2000:])
        pieces = [self.work / "follow-1", self.work / "follow-2"]
        for piece in pieces:
            follower = self.hubvault_start("replay", "live", "--follow", "--cursor-file", self.work / "cursor", "--out", piece, "--body",
                                           "base64", log=f"{piece.name}.log")
            time.sleep(6)
            if piece == pieces[-1]:
                self.stop(producer)
                time.sleep(8)
            self.assertIsNone(follower.process.poll(), follower.text()[-2000:])
            self.assertEqual(follower.end("TERM"), 0, follower.text()[-2000:])
        self.assertEqual(capture.end("TERM"), 0, capture.text()[-2000:])
        self.verify(log)
        seen = {}
        for piece in pieces:
            for _, _, event, _ in replay_forms.json_lines(piece):
                seen.setdefault(event.partition, []).append(event)
        hub = self.dump(["live"], "live")["live"]
        original = list(bed.canonical.read(hub))
        self.assertGreater(len(original), 5000)
        self.assertEqual([event for partition in sorted(seen) for event in seen[partition]], original)


if __name__ == "__main__":
    bed.main()
