"""Holds the vault of a round against what the broker has acknowledged, with nothing of hubvault.

look() may be called whenever no archiver runs: it reads segments that are new and holds everything that is there to the format and to
the log. final() reads all of it again, and then nothing may be missing.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "real"))
import canonical  # noqa: E402
import read_segments  # noqa: E402
import verify_exactly_once  # noqa: E402


class Failure(Exception):
    """hubvault broke a promise."""


class CachingVault(read_segments.Vault):
    """Reads a segment once as long as the very same file is there."""

    def __init__(self, folder, cache):
        self.cache = cache
        super().__init__(folder)

    def _segment(self, path):
        st = (self.folder / "segments" / path).stat()
        identity = (st.st_ino, st.st_size, st.st_mtime_ns)
        known = self.cache.get(path)
        if known is None or known[0] != identity:
            if known is not None:
                self.problems.append(f"{path}: was there before, and is another file now")
            before = len(self.problems)
            segment, events = super()._segment(path)
            contents = {event.offset: (event.timestamp, event.key, event.headers, verify_exactly_once.digest(event.value)) for event in events}
            if len(self.problems) == before:
                self.cache[path] = (identity, segment, events, contents)
            return segment, events
        self.segments[path] = known[1]
        return known[1], known[2]


class Log:
    """The log of a producer that may still be writing it: (partition) to {offset: content}."""

    def __init__(self, path):
        self.path, self.read_to = path, 0
        self.events = {}
        self.last = {}
        self.count = 0

    def read(self):
        with open(self.path, "rb") as file:
            file.seek(self.read_to)
            data = file.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.read_to += len(whole)
        for text in whole.decode().splitlines():
            raw = json.loads(text)
            event = canonical.parse(json.dumps(raw | {"timestampType": "CreateTime", "value": None}))
            place = self.events.setdefault(event.partition, {})
            if event.offset in place:
                raise ValueError(f"{self.path}: {event.where()} acknowledged twice")
            place[event.offset] = (event.timestamp, event.key, event.headers, raw["valueSha256"])
            self.last[event.partition] = max(event.offset, self.last.get(event.partition, -1))
            self.count += 1


class Judge:
    """`log` is that of the hub as it is now; with `many`, hubs of this name come and go, and each gets an incarnation of its own."""

    def __init__(self, folder, hub, log, many=False):
        self.folder, self.hub, self.log, self.many = folder, hub, log, many
        self.logs = {}                  # incarnation -> its log
        self.cache = {}
        self.incomplete = []            # partitions whose last cut lacks siblings
        self.tails = {}                 # (incarnation, partition) -> end of the last complete cut
        self.stored = self.gone = 0     # events in the vault; promised events of hubs that are gone
        self.lost = self.doubled = 0

    def forget(self, paths):
        """These are gone, and not by a fault of hubvault."""
        root = f"{self.folder}/segments/"
        for path in paths:
            self.cache.pop(path.removeprefix(root), None)

    def _compare(self, key, seen, gone, problems):
        """One partition, up to its tail. `gone` is what hubvault says went with its hub."""
        log = self.logs[key[1]]
        logged, last = log.events.get(key[2], {}), log.last.get(key[2], -1)
        for event, content in seen:
            wanted = logged.get(event.offset)
            if wanted is None and event.offset <= last:
                problems.append(f"{event.where()}: never acknowledged, but in the vault")
            elif wanted is not None and (wanted != content or event.type != "CreateTime"):
                problems.append(f"{event.where()}: {wanted} became {content}")
        offsets = [event.offset for event, _ in seen]
        there = set(offsets)
        self.doubled += len(offsets) - len(there)
        if len(offsets) != len(there):
            problems.append(f"{key}: offsets are there twice")
        missing = [offset for offset in logged if offset < self.tails[key[1:]] and offset not in there and not
                   (log is not self.log and any(first <= offset < end for first, end, _ in gone))]
        self.lost += len(missing)
        problems += [f"partition {key[2]} offset {offset}: acknowledged and below the position, but not in the vault" for offset in missing[:5]]

    def look(self):
        """Raises Failure. Tails are those of now afterwards."""
        if not (self.folder / "vault.json").exists():
            return                      # killed before there was a vault
        vault = CachingVault(self.folder, self.cache)
        self.log.read()                 # behind the listing, so what is listed has been acknowledged, or is just about to be
        paths = {path for cuts in vault.partitions.values() for names in cuts.values() for _, path in names}
        vault.problems += [f"{path}: was there and is gone" for path in self.cache.keys() - paths]
        stored = self.gone = 0
        self.incomplete = []
        for key in sorted(vault.partitions):
            # Nobody writes into an incarnation whose hub is gone, so a new one belongs to the hub that is there now.
            self.logs.setdefault(key[1], self.log)
            if key[0] != self.hub or (key[1] != 1 and not self.many):
                vault.problems.append(f"{key}: nobody asked for that")
                continue
            facts = {}
            events = list(vault.events(key, facts))
            contents = {}
            last_first = max(vault.partitions[key])
            for names in vault.partitions[key].values():
                for _, path in names:
                    contents.update(self.cache[path][3] if path in self.cache else {})
            self.tails[key[1:]] = self._tail(vault, key, facts, last_first)
            if self.tails[key[1:]] != facts["position"]:
                self.incomplete.append(key)
            gone = [gap for names in vault.partitions[key].values() for _, path in names if path in self.cache
                    for gap in self.cache[path][1].header["gaps"] + self.cache[path][1].header["missing"] if gap[2] == "re-created"]
            self.gone += sum(end - first for first, end, _ in gone)
            self._compare(key, [(event, contents.get(event.offset)) for event in events], gone, vault.problems)
            stored += len(events)
        self.stored = stored
        if vault.problems:
            raise Failure("; ".join(vault.problems[:8]))

    def _tail(self, vault, key, facts, last_first):
        """End of the last complete cut. The last cut may lack siblings, and then does not count."""
        names = dict(vault.partitions[key][last_first])
        lead = vault.segments.get(names.get("", ""))
        if lead is None:
            return facts["position"]
        promised = {name for name, _ in lead.header["classes"]}
        return facts["position"] if promised <= set(names) else last_first

    def final_of_many(self):
        """Every segment is read anew. Of hubs that are gone, what was sealed is there; of the last one, everything."""
        self.cache = {}
        self.look()
        if len(self.logs) < 2:
            raise Failure("no second incarnation was begun")
        if self.incomplete:
            raise Failure(f"cuts were never completed: {self.incomplete}")
        for partition, events in self.log.events.items():
            incarnation = max(self.logs)
            if self.logs[incarnation] is not self.log or self.tails.get((incarnation, partition), 0) <= max(events):
                raise Failure(f"partition {partition} of the last hub is not captured to its end")
        return self.stored

    def final(self, gaps_allowed):
        """Everything that was acknowledged is there, once and equal, and nothing else; every segment is read anew."""
        self.look()
        vault = read_segments.Vault(self.folder)
        logged = {(self.hub, partition): dict(events) for partition, events in self.log.events.items()}
        right = verify_exactly_once.verify(vault, logged)
        self.lost += sum(1 for problem in vault.problems if "acknowledged, but not in the vault" in problem)
        self.doubled += sum(1 for problem in vault.problems if "there twice" in problem)
        if not gaps_allowed:
            for segment in vault.segments.values():
                if segment.header["gaps"]:
                    vault.problems.append(f"{segment.path}: gaps {segment.header['gaps']}, and the hub has no holes")
        if vault.problems or right != self.log.count:
            raise Failure(f"{right} of {self.log.count} events are right; " + "; ".join(vault.problems[:8]))
        return right
