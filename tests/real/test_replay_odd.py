#!/usr/bin/env python3
"""What was captured from a real broker comes back: every form, range, filter and order of a replay, against brute force over what the
Java client saw in the hubs."""

import itertools
import random

import bed
import replay_forms

HUBS = ["odd.shapes", "odd.times", "odd.append-times", "odd.raw", "odd.codec.none", "odd.codec.gzip", "odd.codec.snappy", "odd.codec.lz4",
        "odd.codec.zstd", "odd.bulk", "odd.large", "odd.transactions", "odd.compacted", "odd.trimmed", "odd.again", "odd.growing"]
SEED = 7
I64 = (-2**63, 2**63 - 1)


class ReplayOdd(bed.Bed):
    stages = ("all",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dumps = cls.dump(HUBS, "original")
        cls.events = {hub: list(bed.canonical.read(path)) for hub, path in cls.dumps.items()}
        first = cls("test_offsets_choose_what_brute_force_chooses")
        first.setUp()
        first.config({"segment.max-bytes": "64K", "segment.block-bytes": "16K", "source.include": ",".join(HUBS)})
        first.hubvault("run", "--once")

    def setUp(self):
        self.vault = self.work / "vault"        # one for all tests: they only read
        self.config()
        self.dice = random.Random(SEED)
        self.count = 0

    def replay(self, *arguments, **options):
        """Into a new file, whose path is returned."""
        self.count += 1
        path = self.work / f"{self._testMethodName}-{self.count}"
        self.hubvault("replay", *arguments, "--out", path, **options)
        return path

    def lines(self, *arguments, **options):
        """(hub, event) in the order of the replay."""
        path = self.replay(*arguments, "--body", "base64", **options)
        return [(hub, event) for hub, _, event, _ in replay_forms.json_lines(path)]

    def assert_holds_everything(self, triples):
        """(hub, incarnation, event) by hub and partition in order of offset."""
        found = {hub: [event for _, _, event in group] for hub, group in itertools.groupby(triples, key=lambda triple: triple[0])}
        self.assertEqual(sorted(found), sorted(self.events))
        for hub, events in self.events.items():
            with self.subTest(hub=hub):
                self.assert_same(bed.compare.same_offsets, iter(events), iter(found[hub]))

    # ---- forms ----

    def test_json_lines_hold_every_byte(self):
        path = self.replay(*HUBS, "--body", "base64")
        self.assert_holds_everything((hub, incarnation, event) for hub, incarnation, event, _ in replay_forms.json_lines(path))

    def test_json_lines_keep_json_as_json_and_say_what_is_none(self):
        path = self.replay("odd.shapes")
        as_json = as_base64 = 0
        lines = list(replay_forms.json_lines(path))
        self.assertEqual(len(lines), len(self.events["odd.shapes"]))
        for (_, _, event, raw), original in zip(lines, self.events["odd.shapes"]):
            self.assertEqual(event._replace(value=None), original._replace(value=None))
            if "value_base64" in raw:
                self.assertEqual(event.value, original.value)
                self.assertNotIn("value", raw)
                as_base64 += 1
            elif raw["value"] is None:
                self.assertIsNone(original.value)
            else:
                self.assertEqual(raw["value"], replay_forms.parsed(original.value), original.where())
                as_json += 1
        self.assertGreater(as_json, 20)
        self.assertGreater(as_base64, 200)

    def test_an_avro_container_holds_everything_in_every_codec(self):
        for codec in ("zstandard", "deflate", "null"):
            with self.subTest(codec=codec):
                path = self.replay(*HUBS, "--sink", "avro", "--codec", codec)
                self.assert_holds_everything(replay_forms.avro_container(path))

    def test_raw_values_are_the_values(self):
        for hub in ("odd.shapes", "odd.large", "odd.bulk"):
            path = self.replay(hub, "--sink", "raw", "--separator", "length")
            self.assertEqual(list(replay_forms.length_prefixed(path)),
                             [event.value for event in self.events[hub] if event.value is not None])

    def test_the_same_request_gives_the_same_bytes(self):
        for form in ("jsonl", "avro"):
            first, second = self.replay("odd.*", "--sink", form), self.replay("odd.*", "--sink", form)
            self.assertEqual(first.read_bytes(), second.read_bytes())

    # ---- ranges and filters ----

    def test_times_choose_what_brute_force_chooses(self):
        for hub in ("odd.times", "odd.bulk", "odd.append-times", "odd.raw"):
            times = sorted(event.timestamp for event in self.events[hub])
            windows = [sorted(self.dice.choices(times, k=2)) for _ in range(12)]
            windows += [[time, time + 1] for time in self.dice.choices(times, k=4)] + [list(I64), [times[0], times[-1]], [0, 1]]
            for low, high in windows:
                if not I64[0] <= low < high <= I64[1]:
                    continue
                found = [event for _, event in self.lines(hub, "--from", f"@{low}", "--to", f"@{high}")]
                self.assertEqual(found, [event for event in self.events[hub] if low <= event.timestamp < high], (hub, low, high))

    def test_offsets_choose_what_brute_force_chooses(self):
        for hub in ("odd.bulk", "odd.compacted", "odd.transactions", "odd.trimmed"):
            end = max(event.offset for event in self.events[hub]) + 3
            for _ in range(12):
                low, high = sorted(self.dice.sample(range(end + 1), 2))
                found = [event for _, event in self.lines(hub, "--from-offset", low, "--to-offset", high)]
                self.assertEqual(found, [event for event in self.events[hub] if low <= event.offset < high], (hub, low, high))

    def test_keys_headers_and_partitions_choose_what_brute_force_chooses(self):
        def chosen(predicate):
            return [event for event in self.events["odd.bulk"] if predicate(event)]

        cases = [
            (("--key", "key-7"), lambda event: event.key == b"key-7"),
            (("--key", "key-7", "--key", "key-99"), lambda event: event.key in (b"key-7", b"key-99")),
            (("--key-glob", "key-1?"), lambda event: len(event.key) == 6 and event.key.startswith(b"key-1")),
            (("--key-base64", "a2V5LTc="), lambda event: event.key == b"key-7"),
            (("--header", "tag=t1"), lambda event: (b"tag", b"t1") in event.headers),
            (("--header", "none"), lambda event: False),
            (("--partition", "2"), lambda event: event.partition == 2),
            (("--partition", "2", "--key", "key-7", "--header", "trace"), lambda event: event.partition == 2 and event.key == b"key-7"),
        ]
        for flags, predicate in cases:
            with self.subTest(flags=flags):
                self.assertEqual([event for _, event in self.lines("odd.bulk", *flags)], chosen(predicate))
        account = [event for _, event in self.lines("odd.shapes", "--type", "uk.example.customer.*")]
        self.assertEqual(account, [event for event in self.events["odd.shapes"] if any(name == b"ce_type" for name, _ in event.headers)])
        self.assertEqual(len(account), 1)

    # ---- order, cursors ----

    def test_order_by_time_merges_all_partitions(self):
        hubs = ["odd.bulk", "odd.times", "odd.codec.gzip"]
        found = self.lines(*hubs, "--order", "time")
        # By the time of an event, but never before an earlier one of its partition: that is how a merge of sequences goes.
        heads = {(hub, partition): list(group) for hub in hubs
                 for partition, group in itertools.groupby(self.events[hub], key=lambda event: event.partition)}
        expected = []
        at = dict.fromkeys(heads, 0)
        while heads:
            place = min(heads, key=lambda where: (heads[where][at[where]].timestamp, where))
            expected.append((place[0], heads[place][at[place]]))
            at[place] += 1
            if at[place] == len(heads[place]):
                del heads[place]
        self.assertEqual(len(found), len(expected))
        for i, (got, wanted) in enumerate(zip(found, expected)):
            self.assertEqual(got, wanted, f"event {i} of the replay")

    def test_pieces_joined_by_cursors_are_the_whole(self):
        for order in ("offset", "time"):
            whole = self.lines("odd.bulk", "odd.compacted", "--order", order)
            cursor = self.work / f"cursor-{order}"
            pieces = []
            while True:
                limit = self.dice.choice((1, 7, 500, 4000))
                piece = self.lines("odd.bulk", "odd.compacted", "--order", order, "--cursor-file", cursor, "--limit", limit)
                self.assertLessEqual(len(piece), limit)
                pieces += piece
                if len(piece) < limit:
                    break
            self.assertEqual(pieces, whole)

    def test_a_dry_run_reads_no_event_and_knows_how_many_there_are(self):
        row, = self.table("replay", "odd.bulk", "--dry-run")
        self.assertEqual(row["events_min"], len(self.events["odd.bulk"]), row)

    def test_show_gives_one_event_and_names_a_gap(self):
        for event in self.dice.sample(self.events["odd.bulk"], 5):
            text = self.hubvault("show", "odd.bulk", event.partition, event.offset, "--output", "json").stdout
            self.assertIn(f'"offset":{event.offset}', text.replace(" ", ""))
        gap, = self.table("show", "odd.compacted", 0, 3, expect=3)
        self.assertEqual((gap["kind"], gap["cause"], gap["first"]), ("gap", "compaction", 0))


if __name__ == "__main__":
    bed.main()
