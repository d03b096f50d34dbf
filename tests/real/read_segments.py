#!/usr/bin/env python3
"""Reads a vault folder without hubvault: every segment by one or more Avro libraries, every promise of docs/FORMAT.md checked.

    read_segments.py VAULT [--reader fastavro|avro|java]... [--dump DIR] [--hub HUB]

Per partition: each offset exactly once and in order; cuts, class maps and gaps tile 0 to the position; block hashes, Merkle root and
lead hash follow from the bytes. With several readers all must see the same events (default: fastavro alone). --dump writes
DIR/HUB/INCARNATION.jsonl of canonical lines. Prints one JSON line a partition; problems go to standard error, exit status 1.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts  # noqa: E402

parts.use_venv()

import avro.datafile  # noqa: E402
import avro.io  # noqa: E402
import avro.schema  # noqa: E402
import fastavro  # noqa: E402
import fastavro.read  # noqa: E402

import canonical  # noqa: E402
import segment_checks  # noqa: E402

# A time outside of the years 1 to 9999 has no datetime; the number is what counts here.
fastavro.read.LOGICAL_READERS.pop("long-timestamp-millis", None)
INCARNATION_FIELDS = {"format", "vault", "hub", "incarnation", "cause", "identity", "created"}


# ---- readers: a path to a list of events ----

def made_event(record, partition, name):
    return canonical.Event(partition, record["offset"], record["timestamp"], canonical.TYPES[record["timestamp_type"]], record["key"],
                           tuple((name(header["name"]), header["value"]) for header in record["headers"]), record["value"])


def by_fastavro(path, partition):
    def name(text):
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

    with open(path, "rb") as file:
        return [made_event(record, partition, name) for record in fastavro.reader(file, handle_unicode_errors="surrogateescape")]


def plain(schema):
    """Less logical types, and text as bytes, which look the same when stored: nothing is interpreted."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if isinstance(schema, dict):
        return {key: plain(value) if key in ("type", "items", "fields") else value
                for key, value in schema.items() if key not in ("logicalType", "doc")}
    return "bytes" if schema == "string" else schema


def by_avro(path, partition):
    with open(path, "rb") as file, avro.datafile.DataFileReader(file, avro.io.DatumReader()) as reader:
        schema = avro.schema.parse(json.dumps(plain(json.loads(reader.get_meta("avro.schema")))))
        reader.datum_reader.writers_schema = reader.datum_reader.readers_schema = schema
        return [made_event(record, partition, bytes) for record in reader]


class ByJava:
    """One JVM for all files: paths go in, canonical lines come out, an empty line ends each file."""

    def __init__(self):
        self.process = subprocess.Popen(parts.java("ReadSegments"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8")

    def __call__(self, path, partition):
        self.process.stdin.write(f"{partition} {path}\n")
        self.process.stdin.flush()
        events = []
        for text in self.process.stdout:
            if text == "\n":
                return events
            events.append(canonical.parse(text))
        raise segment_checks.Damaged(f"Java Avro gave up, exit {self.process.wait()}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


class Vault:
    """A folder with vault.json and segments/."""

    def __init__(self, folder, readers=("fastavro",), hub=None):
        self.folder = pathlib.Path(folder)
        self.problems = []
        self.segments = {}              # path below segments/ -> Segment
        self.java = ByJava() if "java" in readers else None
        functions = {"fastavro": by_fastavro, "avro": by_avro, "java": self.java}
        self.readers = [(name, functions[name]) for name in readers]
        self.id = json.loads((self.folder / "vault.json").read_text())["vault"]
        self.partitions = collections.defaultdict(lambda: collections.defaultdict(list))
        self._find(hub)

    def close(self):
        if self.java is not None:
            self.java.close()

    def _find(self, hub):
        """Sort the paths by (hub, incarnation, partition) and first offset, leads first; the bytes are read later, one cut at a time."""
        root = self.folder / "segments"
        for file in sorted(root.rglob("*")) if root.is_dir() else []:
            if file.is_dir():
                continue
            path = file.relative_to(root).as_posix()
            match = segment_checks.NAME.fullmatch(path)
            if file.name == "incarnation.json":
                self._incarnation(file, path)
            elif match is None:
                self.problems.append(f"{path}: not a name of ours")
            elif hub is None or match["hub"] == hub:
                key = (match["hub"], int(match["incarnation"]), int(match["partition"]))
                self.partitions[key][int(match["first"])].append((match["class"] or "", path))

    def _incarnation(self, file, path):
        record = json.loads(file.read_text())
        if not set(record) <= INCARNATION_FIELDS or record["vault"] != self.id \
                or path != f"hub={record['hub']}/incarnation={record['incarnation']}/incarnation.json":
            self.problems.append(f"{path}: says {record}")

    def cut(self, first, names, last):
        """Segments of one cut, checked among themselves; their events, in order of offset."""
        loaded, events = [], []
        for _, path in sorted(names):
            try:
                segment, its_events = self._segment(path)
            except Exception as error:          # a reader may raise anything over damaged bytes, and that is the finding
                self.problems.append(f"{path}: {type(error).__name__}: {error}")
                continue
            loaded.append(segment)
            events += its_events
        if not loaded or not loaded[0].is_lead:
            self.problems.append(f"cut at {first} of {sorted(names)}: no lead")
            return None, events
        lead = loaded[0]
        for sibling in loaded[1:]:
            if sibling.is_lead or sibling.header["lead"] != lead.sha256:
                self.problems.append(f"{sibling.path}: not a sibling of the lead that lies there")
            for field in ("vault", "cut", "policy", "classes", "gaps"):
                if sibling.header[field] != lead.header[field]:
                    self.problems.append(f"{sibling.path}: {field} differs from that of the lead")
        promised, present = {name for name, _ in lead.header["classes"]}, {sibling.header["class"] for sibling in loaded[1:]}
        if present - promised or (promised - present and not last):
            self.problems.append(f"{lead.path}: siblings {sorted(promised)} promised, {sorted(present)} there")
        if len(loaded) > 1:
            events.sort(key=lambda event: event.offset)
        return lead, events

    def _segment(self, path):
        file = self.folder / "segments" / path
        segment = segment_checks.load(path, file.read_bytes(), self.problems)
        if segment.header["vault"] != self.id:
            self.problems.append(f"{path}: of vault {segment.header['vault']}")
        partition = segment.header["partition"]
        (_, reader), *others = self.readers
        events = reader(file, partition)
        for name, other in others:
            if other(file, partition) != events:
                self.problems.append(f"{path}: {name} sees other events than {self.readers[0][0]}")
        segment_checks.check_events(segment, [event.offset for event in events], [event.timestamp for event in events], self.problems)
        self.segments[path] = segment
        return segment, events

    def events(self, key, facts):
        """Every event of one partition in order of offset; `facts` gets what was seen on the way."""
        cuts = self.partitions[key]
        position, last_offset = 0, -1
        facts |= {"hub": key[0], "incarnation": key[1], "partition": key[2], "cuts": len(cuts), "segments": 0, "blocks": 0, "events": 0, "gaps": []}
        for first in sorted(cuts):
            if first != position:
                self.problems.append(f"{key}: a cut begins at {first}, the one before ended at {position}")
            lead, events = self.cut(first, cuts[first], first == max(cuts))
            facts["segments"] += len(cuts[first])
            facts["events"] += len(events)
            if lead is None:
                position = first
            else:
                position = lead.header["cut"][1]
                facts["gaps"] += lead.header["gaps"]
            facts["blocks"] += sum(len(self.segments[path].blocks) for _, path in cuts[first] if path in self.segments)
            for event in events:
                if event.offset <= last_offset:
                    self.problems.append(f"{key}: offset {event.offset} comes behind {last_offset}")
                last_offset = event.offset
                yield event
        facts["position"] = position

    def hubs(self):
        """(hub, incarnation) to its partition keys, in order."""
        found = collections.defaultdict(list)
        for key in sorted(self.partitions):
            found[key[:2]].append(key)
        return found


def dump_file(folder, hub, incarnation):
    path = pathlib.Path(folder) / hub / f"{incarnation}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w", encoding="utf-8", newline="\n")


def read(vault, dump=None, out=None):
    """Go through everything; facts per partition."""
    all_facts = []
    for (hub, incarnation), keys in vault.hubs().items():
        target = dump_file(dump, hub, incarnation) if dump else None
        for key in keys:
            facts = {}
            for event in vault.events(key, facts):
                if target:
                    target.write(canonical.line(event))
            all_facts.append(facts)
            if out:
                print(json.dumps(facts), file=out)
        if target:
            target.close()
    return all_facts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vault")
    parser.add_argument("--reader", action="append", choices=["fastavro", "avro", "java"])
    parser.add_argument("--dump")
    parser.add_argument("--hub")
    arguments = parser.parse_args()
    vault = Vault(arguments.vault, arguments.reader or ("fastavro",), arguments.hub)
    facts = read(vault, arguments.dump, sys.stdout)
    vault.close()
    for problem in vault.problems[:50]:
        print(f"problem: {problem}", file=sys.stderr)
    print(f"{len(vault.segments)} segments, {sum(fact['events'] for fact in facts)} events, {len(vault.problems)} problems", file=sys.stderr)
    return 1 if vault.problems else 0


if __name__ == "__main__":
    sys.exit(main())
