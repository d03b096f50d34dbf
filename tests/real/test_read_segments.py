#!/usr/bin/env python3
"""The verifier itself is verified: a small vault is made here with Python libraries alone, all readers accept it, and each way of
damaging it is named. Needs no broker."""

import copy
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts  # noqa: E402

if __name__ == "__main__":
    if not parts.prepared():
        print("tests/real/prepare was not run")
        sys.exit(1 if os.environ.get("HUBVAULT_NO_SKIP") == "1" else 77)
    parts.use_venv()

import fastavro  # noqa: E402
import zstandard  # noqa: E402

import canonical  # noqa: E402
import read_segments  # noqa: E402
import segment_checks  # noqa: E402
import verify_exactly_once  # noqa: E402

VAULT = "01234567-89ab-4cde-8f01-23456789abcd"
SYNC = bytes(range(16))
SCHEMA_TEXT = (parts.TOP / "docs" / "FORMAT.md").read_text().split("```schema\n")[1].split("\n```")[0]
PLAIN_SCHEMA = json.loads(SCHEMA_TEXT)
SCHEMA = fastavro.parse_schema(PLAIN_SCHEMA)


def event(offset):
    odd = offset % 3
    return {"offset": offset, "timestamp": 1000 + offset * 7 % 50, "timestamp_type": "create", "key": [None, b"", b"k"][odd],
            "headers": [{"name": "n", "value": None}, {"name": "", "value": b""}][:odd], "value": [b"v", None, b""][odd], "seal": None}


def long(value):
    value, out = (value << 1) ^ (value >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def text(data):
    return long(len(data)) + data


def block(events, schema):
    raw = io.BytesIO()
    for one in events:
        fastavro.schemaless_writer(raw, schema, one)
    return long(len(events)) + text(zstandard.ZstdCompressor().compress(raw.getvalue())) + SYNC


def segment(header, events, per_block=4, change=None, schema=SCHEMA):
    """Bytes of a segment of these events or offsets; change(header) may lie at the last moment."""
    header = copy.deepcopy(header)
    events = [event(one) if isinstance(one, int) else one for one in events]
    groups = [events[i:i + per_block] for i in range(0, len(events), per_block)]
    stored = [block(group, schema) for group in groups]
    times = [one["timestamp"] for group in groups for one in group]
    position, table = 0, []
    for group, data in zip(groups, stored):
        low, high = min(one["timestamp"] for one in group), max(one["timestamp"] for one in group)
        table.append([position, len(data), group[0]["offset"], len(group), low, high, hashlib.sha256(data).hexdigest()])
        position += len(data)
    header |= {"count": len(events), "min_timestamp": min(times, default=0), "max_timestamp": max(times, default=0),
               "merkle_root": segment_checks.merkle_root([hashlib.sha256(data).digest() for data in stored]).hex(),
               "blocks_bytes": position, "blocks": table}
    if change:
        change(header)
    metadata = {"avro.codec": "zstandard", "avro.schema": SCHEMA_TEXT}
    metadata["hubvault.segment"] = json.dumps(header, separators=(",", ":"))
    metadata["hubvault.check"] = hashlib.sha256("".join(metadata.values()).encode() + SYNC).hexdigest()
    front = segment_checks.MAGIC + long(len(metadata)) + b"".join(text(key.encode()) + text(value.encode()) for key, value in metadata.items())
    return front + long(0) + SYNC + b"".join(stored)


def header(first, end, class_name="default", **fields):
    return {"format": 1, "vault": VAULT, "hub": "h", "incarnation": 1, "partition": 0, "class": class_name, "policy": None, "created": 5,
            "cut": [first, end], "classes": [], "gaps": [], "lead": None, "missing": [], "schemas": []} | fields


class ReadSegments(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        (self.folder / "vault.json").write_text(json.dumps({"format": 1, "vault": VAULT, "created": 1}))
        self.here = self.folder / "segments" / "hub=h" / "incarnation=1" / "partition=0"
        self.here.mkdir(parents=True)

    def put(self, first, data, suffix=""):
        (self.here / f"{first:020d}{suffix}.avro").write_bytes(data)

    def two_cuts(self, change=None, sibling_change=None):
        """0..20 with two classes, a gap, and a promise that could not be kept; 20..30 with a leading gap."""
        classes, gaps = [["pii", [[3, 5], [10, 12]]]], [[7, 9, "compaction"]]
        lead = segment(header(0, 20, classes=classes, gaps=gaps), [0, 1, 2, 5, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19], change=change)
        self.put(0, lead)
        lead_hash = hashlib.sha256(lead).hexdigest()
        sibling = header(0, 20, "pii", classes=classes, gaps=gaps, lead=lead_hash, missing=[[11, 12, "retention"]])
        self.put(0, segment(sibling, [3, 4, 10], change=sibling_change), ".pii")
        self.put(20, segment(header(20, 30, gaps=[[20, 25, "transaction"]]), [25, 26, 27, 28, 29]))

    def check(self, *readers):
        vault = read_segments.Vault(self.folder, readers or ("fastavro",))
        self.facts = read_segments.read(vault, self.folder)
        vault.close()
        return vault.problems

    def assert_named(self, words):
        problems = self.check()
        self.assertTrue(any(words in problem for problem in problems), problems)

    def test_a_sound_vault_is_read_alike_by_all_readers(self):
        self.two_cuts()
        self.assertEqual(self.check("fastavro", "avro", "java"), [])
        self.assertEqual((self.facts[0]["position"], self.facts[0]["events"], self.facts[0]["segments"]), (30, 22, 3))
        events = list(canonical.read(self.folder / "h" / "1.jsonl"))
        self.assertEqual([one.offset for one in events], [*range(0, 7), 9, 10, *range(12, 20), *range(25, 30)])
        for one in events:
            made = event(one.offset)
            self.assertEqual((one.timestamp, one.type, one.key, one.value), (made["timestamp"], "CreateTime", made["key"], made["value"]))
            self.assertEqual(one.headers, tuple((pair["name"].encode(), pair["value"]) for pair in made["headers"]))

    def test_times_without_a_date_and_names_that_are_no_text_are_read_alike(self):
        odd = [event(0), event(1) | {"timestamp": -2**63}, event(2) | {"timestamp": 2**63 - 1, "headers": [{"name": b"\xff", "value": None}]}]
        raw = json.loads(json.dumps(PLAIN_SCHEMA))
        raw["fields"][4]["type"]["items"]["fields"][0]["type"] = "bytes"        # the same when stored
        for one in odd[:2]:
            one["headers"] = [{"name": pair["name"].encode(), "value": pair["value"]} for pair in one["headers"]]
        self.put(0, segment(header(0, 3), odd, schema=fastavro.parse_schema(raw)))
        self.assertEqual(self.check("fastavro", "avro", "java"), [])
        events = list(canonical.read(self.folder / "h" / "1.jsonl"))
        self.assertEqual([one.timestamp for one in events], [1000, -2**63, 2**63 - 1])
        self.assertEqual(events[2].headers, ((b"\xff", None),))

    def test_a_changed_byte_in_a_block_is_named(self):
        self.two_cuts()
        path = self.here / f"{20:020d}.avro"
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
        self.assert_named("SHA-256")

    def test_a_missing_cut_is_named(self):
        self.two_cuts()
        (self.here / f"{0:020d}.avro").unlink()
        (self.here / f"{0:020d}.pii.avro").unlink()
        self.assert_named("a cut begins at 20, the one before ended at 0")

    def test_a_missing_sibling_is_named(self):
        self.two_cuts()
        (self.here / f"{0:020d}.pii.avro").unlink()
        self.assert_named("siblings ['pii'] promised, [] there")

    def test_a_missing_lead_is_named(self):
        self.two_cuts()
        (self.here / f"{0:020d}.avro").unlink()
        self.assert_named("no lead")

    def test_a_sibling_of_another_lead_is_named(self):
        self.two_cuts()
        self.put(0, segment(header(0, 20, classes=[["pii", [[3, 5], [10, 12]]]], gaps=[[7, 9, "compaction"]], created=6),
                            [0, 1, 2, 5, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19]))
        self.assert_named("not a sibling of the lead")

    def test_a_hole_that_no_gap_declares_is_named(self):
        self.two_cuts()
        self.put(30, segment(header(30, 40), [30, 31, 33, 34, 35, 36, 37, 38, 39]))
        self.assert_named("its events are not those of 30 to 40")

    def test_an_event_beyond_the_cut_is_named(self):
        self.two_cuts()
        self.put(30, segment(header(30, 32), [30, 31, 32]))
        self.assert_named("3 events, 2 of them expected")

    def test_an_overlapping_cut_is_named(self):
        self.two_cuts()
        self.put(25, segment(header(25, 35), list(range(25, 35))))
        self.assert_named("comes behind")

    def test_overlapping_gap_and_class_map_are_named(self):
        self.put(0, segment(header(0, 10, classes=[["pii", [[2, 6]]]], gaps=[[5, 7, "compaction"]]), [0, 1, 7, 8, 9]))
        self.assert_named("overlap at 5")

    def test_a_foreign_file_is_named(self):
        self.two_cuts()
        (self.here / "00000000000000000030.avro.tmp").write_bytes(b"")
        self.assert_named("not a name of ours")

    def test_a_header_that_lies_is_named(self):
        lies = [("merkle_root", "0" * 64, "merkle_root"), ("count", 13, "count"), ("max_timestamp", 9999, "max_timestamp"),
                ("blocks_bytes", 1, "blocks_bytes"), ("partition", 1, "partition"), ("hub", "g", "hub"), ("cut", [1, 20], "cut"),
                ("vault", VAULT.replace("0", "1"), "vault"), ("class", "pii", "class"), ("format", 2, "format")]
        for field, value, words in lies:
            with self.subTest(field=field):
                self.two_cuts(change=lambda made, field=field, value=value: made.update({field: value}))
                self.assert_named(words)

    def test_a_front_that_was_changed_is_named(self):
        for old, new, words in ((b'"created":5', b'"created":6', "hubvault.check is not"), (b'"created":5', b'"created": ', "Error"),
                                (b"avro.codec", b"avro.codek", "file metadata"), (SYNC, SYNC[::-1], "sync marker")):
            with self.subTest(change=old):
                self.two_cuts()
                path = self.here / f"{20:020d}.avro"
                path.write_bytes(path.read_bytes().replace(old, new, 1))
                self.assert_named(words)

    def test_a_block_table_that_lies_is_named(self):
        for column, words in ((0, "block table"), (1, "block table"), (2, "does not begin there"), (3, "block table"), (4, "its times"),
                              (5, "its times"), (6, "block table")):
            with self.subTest(column=column):
                def change(made, column=column):
                    value = made["blocks"][1][column]
                    made["blocks"][1][column] = "0" * 64 if column == 6 else value + 1
                self.two_cuts(change=change)
                self.assert_named(words)

    def test_a_truncated_file_is_named(self):
        self.two_cuts()
        path = self.here / f"{20:020d}.avro"
        path.write_bytes(path.read_bytes()[:-1])
        self.assert_named("Damaged")

    # ---- verify_exactly_once.py ----

    def verify(self, change):
        """The sound vault against a log of what is in it, changed by change(lines); the problems, and how many events were right."""
        self.two_cuts()
        held = [*range(0, 7), 9, 10, *range(12, 20), *range(25, 30)]
        lines = []
        for one in map(event, held):
            canonical_event = canonical.Event(0, one["offset"], one["timestamp"], "CreateTime", one["key"],
                                              tuple((pair["name"].encode(), pair["value"]) for pair in one["headers"]), None)
            value = one["value"]
            lines.append(json.loads(canonical.line(canonical_event)) | {
                "topic": "h", "valueSha256": None if value is None else hashlib.sha256(value).hexdigest()})
        change(lines)
        log = self.folder / "log"
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        vault = read_segments.Vault(self.folder)
        right = verify_exactly_once.verify(vault, verify_exactly_once.read_log(log))
        return vault.problems, right

    def test_a_vault_that_holds_what_was_acknowledged_is_right(self):
        self.assertEqual(self.verify(lambda lines: None), ([], 22))

    def test_any_difference_from_what_was_acknowledged_is_named(self):
        cases = {
            "never acknowledged": lambda lines: lines.pop(5),
            "acknowledged, but not in the vault": lambda lines: lines.append(lines[0] | {"offset": 30}),
            "became": lambda lines: lines[3].update(timestamp=lines[3]["timestamp"] + 1),
            "offset 4: ": lambda lines: lines[4].update(key="eA=="),
            "offset 5: ": lambda lines: lines[5].update(headers=lines[5]["headers"][::-1]),
            "offset 6: ": lambda lines: lines[6].update(valueSha256=None),
        }
        for words, change in cases.items():
            with self.subTest(words=words):
                problems, right = self.verify(change)
                self.assertTrue(any(words in problem for problem in problems), problems)
                self.assertLess(right, 23 - ("not in" not in words))

    def test_known_answers_of_the_merkle_tree(self):
        leaves = [bytes([i]) * 32 for i in range(3)]
        leaf = [hashlib.sha256(b"\0" + one).digest() for one in leaves]
        pair = hashlib.sha256(b"\1" + leaf[0] + leaf[1]).digest()
        self.assertEqual(segment_checks.merkle_root([]).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        self.assertEqual(segment_checks.merkle_root(leaves), hashlib.sha256(b"\1" + pair + leaf[2]).digest())


if __name__ == "__main__":
    unittest.main()
