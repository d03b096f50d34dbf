#!/usr/bin/env python3
"""Every odd event that a real broker can hold is captured, and three independent readers see what the Java client saw in the hub."""

import bed

HUBS = ("odd.bulk", "odd.compacted", "odd.transactions", "odd.times")
NUL_NAMES = "odd.nul-names"
TRANSACTIONS, COMPACTED, TRIMMED = "odd.transactions", "odd.compacted", "odd.trimmed"


def holes(dump):
    """Offsets below the last event that hold none: partition -> ranges."""
    found, position = {}, {}
    for event in bed.canonical.read(dump):
        begin = position.get(event.partition, 0)
        if begin < event.offset:
            found.setdefault(event.partition, []).append([begin, event.offset])
        position[event.partition] = event.offset + 1
    return found


class CaptureOdd(bed.Bed):
    stages = ("all",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dumps = cls.dump(cls.topics(), "original")
        cls.nul_names = cls.dumps.pop(NUL_NAMES)

    def test_three_readers_see_in_the_archive_what_the_java_client_sees_in_the_hubs(self):
        self.hubvault("run", "--once")
        self.archive("fastavro", "avro", "java")
        self.assert_archive_equals(self.dumps)

    def test_deflate_and_uncompressed_segments_hold_the_same(self):
        for codec in ("deflate", "null"):
            with self.subTest(codec=codec):
                self.vault = self.work / f"vault-{codec}"
                self.config({"segment.codec": codec})
                self.hubvault("run", "--once")
                self.archive("fastavro", "avro", "java")
                self.assert_archive_equals(self.dumps)

    def test_small_segments_and_blocks_hold_the_same(self):
        self.config({"segment.max-bytes": "64K", "segment.block-bytes": "4K"})
        self.hubvault("run", "--once")
        facts = self.archive()
        self.assert_archive_equals(self.dumps)
        # How many cuts that makes depends on how fast the store is; how many blocks does not.
        self.assertGreater(facts["odd.bulk", 1, 0]["blocks"], 500)

    def test_each_hole_is_a_gap_with_its_cause(self):
        self.hubvault("run", "--once")
        facts = self.archive()
        for topic, cause in ((TRANSACTIONS, "transaction"), (COMPACTED, "compaction"), (TRIMMED, "retention")):
            for partition, ranges in holes(self.dumps[topic]).items():
                with self.subTest(topic=topic, partition=partition):
                    self.assertEqual(facts[topic, 1, partition]["gaps"], [[*piece, cause] for piece in ranges])

    def test_a_header_name_with_a_nul_byte_costs_at_most_what_stands_behind_it(self):
        # librdkafka hands names over as C strings.
        self.hubvault("run", "--once")
        self.archive()
        originals = list(bed.canonical.read(self.nul_names))
        copies = list(bed.canonical.read(self.archived / NUL_NAMES / "1.jsonl"))
        self.assertEqual(len(copies), len(originals))
        for original, copy in zip(originals, copies):
            self.assertEqual(copy._replace(headers=()), original._replace(headers=()))
            self.assertEqual(len(copy.headers), len(original.headers))
            for (name, value), (copied_name, copied_value) in zip(original.headers, copy.headers):
                self.assertIn(copied_name, (name, name.split(b"\0")[0]))
                self.assertEqual(copied_value, value)

    def test_a_second_run_adds_nothing(self):
        self.hubvault("run", "--once")
        before = self.segment_files()
        self.assertGreater(len(before), len(self.dumps))
        self.hubvault("run", "--once")
        self.assertEqual(self.segment_files(), before)

    def test_segments_are_read_only_files(self):
        self.hubvault("run", "--once")
        for name in self.segment_files():
            self.assertEqual((self.vault / name).stat().st_mode & 0o777, 0o444, name)

    def test_include_and_exclude_choose_hubs(self):
        self.config({"source.include": "odd.codec.*,odd.bulk", "source.exclude": "*.zstd"})
        self.hubvault("run", "--once")
        hubs = {hub for hub, _, _ in self.archive()}
        self.assertEqual(hubs, {"odd.bulk", "odd.codec.none", "odd.codec.gzip", "odd.codec.snappy", "odd.codec.lz4"})

    def test_the_index_names_the_hash_of_each_segment(self):
        self.hubvault("run", "--once")
        self.archive()
        rows = [row for hub in self.dumps for row in self.table("segments", hub, expect=None)]
        self.assertEqual({row["name"].removeprefix("segments/"): row["sha256"] for row in rows},
                         {path: digest for path, digest in self.hashes.items() if f"hub={NUL_NAMES}/" not in path})

    def test_the_index_is_rebuilt_from_the_segments(self):
        self.hubvault("run", "--once")
        self.hubvault("verify")
        segments = [self.table("segments", hub) for hub in HUBS]
        index = self.work / f"{self.vault.name}.index"
        bed.shutil.rmtree(index)
        self.hubvault("index", "rebuild")
        self.assertEqual([self.table("segments", hub) for hub in HUBS], segments)
        self.hubvault("verify")
        before = self.segment_files()
        self.hubvault("run", "--once")
        self.assertEqual(self.segment_files(), before)


if __name__ == "__main__":
    bed.main()
