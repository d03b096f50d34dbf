"""The test bed for scenarios: a broker, a vault, the hubvault binary, and the independent programs that judge.

A scenario is a unittest file whose classes derive from Bed and that ends in bed.main(). Everything lives in one work folder per class
below $HUBVAULT_REAL_WORK (default: build/real/work), which stays there when a test of the class fails.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts  # noqa: E402


def skip_unless_prepared():
    if parts.prepared():
        subprocess.run([parts.HERE / "prepare"], check=True)    # no fetching now, but helpers may have changed since
        return
    print("tests/real/prepare was not run")
    sys.exit(1 if os.environ.get("HUBVAULT_NO_SKIP") == "1" else 77)


skip_unless_prepared()
parts.use_venv()

import broker  # noqa: E402
import canonical  # noqa: E402
import compare  # noqa: E402
import read_segments  # noqa: E402
import verify_exactly_once  # noqa: E402

WORK = pathlib.Path(os.environ.get("HUBVAULT_REAL_WORK", parts.PARTS / "work"))
# A replay target has to take what the original took: any time, large events, for ever.
TARGET_SETTINGS = ["max.message.bytes", "10485760"]


def hubvault_path():
    return os.environ.get("HUBVAULT", str(parts.TOP / "build" / "cli" / "hubvault"))


class Running:
    """A hubvault that runs until it is stopped."""

    def __init__(self, process, log, command):
        self.process, self.log, self.command = process, log, command

    def end(self, signal_name="TERM", timeout=60):
        """Send the signal and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(getattr(signal, f"SIG{signal_name}"))
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.command}: no end {timeout} s after SIG{signal_name}; see {self.log}") from None

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern, timeout=60):
        """Until its log matches."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.command}: '{pattern}' never came; status {self.process.poll()}; {self.text()[-2000:]}")
            time.sleep(0.05)


class Bed(unittest.TestCase):
    secure = False              # also the SASL_SSL and OIDC listeners
    settings = ()               # further broker properties, "key=value"
    stages = ()                 # of OddEvents, once per class

    # ---- frame ----

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.hubvault_path = hubvault_path()
        cls.work = WORK / f"{cls.__name__}-{os.getpid()}"
        shutil.rmtree(cls.work, ignore_errors=True)
        cls.work.mkdir(parents=True)
        cls.children = []
        cls.broker = broker.Broker(cls.work / "kafka")
        cls.addClassCleanup(cls._end)
        cls.start_broker()
        if cls.stages:
            cls.odd(*cls.stages)

    @classmethod
    def start_broker(cls):
        cls.broker.start(secure=cls.secure, settings=cls.settings)

    @classmethod
    def _end(cls):
        for child in cls.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        cls.broker.kill()
        if cls.failed:
            print(f"work folder: {cls.work}", file=sys.stderr)
        else:
            shutil.rmtree(cls.work, ignore_errors=True)

    def run(self, result=None):
        before = (len(result.failures), len(result.errors))
        super().run(result)
        if (len(result.failures), len(result.errors)) != before:
            type(self).failed = True

    # ---- the hub side ----

    @classmethod
    def odd(cls, *stages, timeout=120):
        return parts.run_java("OddEvents", cls.broker.bootstrap, *stages, timeout=timeout)

    @classmethod
    def topics(cls):
        return cls.odd("topics").split()

    @classmethod
    def create_topics(cls, topics):
        """name -> partitions, for replays to go to."""
        cls.odd(*[":".join(["topic", name, str(partitions), *TARGET_SETTINGS]) for name, partitions in topics.items()])

    @classmethod
    def dump(cls, topics, folder):
        """Canonical lines of each topic as the Java client sees them: topic -> path."""
        folder = cls.work / folder
        folder.mkdir(parents=True, exist_ok=True)
        parts.run_java("Dump", cls.broker.bootstrap, folder, *topics)
        return {topic: folder / f"{topic}.jsonl" for topic in topics}

    @classmethod
    def start_java(cls, *arguments, **options):
        child = subprocess.Popen(parts.java(*arguments), text=True, **options)
        cls.children.append(child)
        return child

    # ---- hubvault ----

    def setUp(self):
        self.vault = self.work / f"vault-{self._testMethodName}"
        self.config()

    def config(self, settings=None, name="hubvault.conf"):
        """Write a configuration: the broker's plain listener and this test's own vault, and what is given here."""
        values = {"store.dir": self.vault, "index.dir": f"{self.vault}.index", "source.bootstrap": self.broker.bootstrap}
        values |= settings or {}
        (self.work / name).write_text("".join(f"{key} = {value}\n" for key, value in values.items()))

    def hubvault(self, *arguments, config="hubvault.conf", expect=0, timeout=120, env=None, stdin=None):
        """Run it to its end. Standard output and error stay apart; both are shown when the status is not the expected one."""
        command = [self.hubvault_path, "--config", str(self.work / config), *[str(argument) for argument in arguments]]
        done = subprocess.run(command, stdin=stdin or subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False,
                              env=os.environ | (env or {}))
        done.stdout, done.stderr = done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape")
        if expect is not None and done.returncode != expect:
            self.fail(f"{' '.join(command)}: exit {done.returncode}, expected {expect}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done

    def hubvault_start(self, *arguments, config="hubvault.conf", log="hubvault.log", stdout=None):
        command = [self.hubvault_path, "--config", str(self.work / config), *[str(argument) for argument in arguments]]
        path = self.work / log
        with open(path, "ab") as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or file, stderr=file)
        self.children.append(process)
        return Running(process, path, " ".join(command))

    # ---- judging ----

    def archive(self, *readers):
        """Read the vault without hubvault; every promise of the format must hold. Facts per (hub, incarnation, partition)."""
        target = self.work / "archive"
        shutil.rmtree(target, ignore_errors=True)
        vault = read_segments.Vault(self.vault, readers or ("fastavro",))
        facts = read_segments.read(vault, target)
        vault.close()
        self.assertEqual(vault.problems, [])
        self.archived = target
        self.hashes = {path: segment.sha256 for path, segment in vault.segments.items()}
        return {(fact["hub"], fact["incarnation"], fact["partition"]): fact for fact in facts}

    def wait_until_archived(self, dumps, incarnation=1, timeout=60):
        """Until a capture that runs has stored the last event of each partition in the dumps; what is right is for others to say."""
        ends = {}
        for topic, path in dumps.items():
            with path.open(encoding="utf-8") as lines:
                for event in map(json.loads, lines):
                    ends[topic, incarnation, event["partition"]] = event["offset"] + 1
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            facts = self.archive() if (self.vault / "vault.json").exists() else {}
            if all(key in facts and facts[key]["position"] >= end for key, end in ends.items()):
                return
            time.sleep(0.5)

    def assert_archive_equals(self, dumps, incarnation=1):
        """The last archive() against dumps of the hubs."""
        for topic, path in dumps.items():
            with self.subTest(topic=topic):
                copy = self.archived / topic / f"{incarnation}.jsonl"
                if not copy.exists():
                    self.assertEqual(path.stat().st_size, 0, f"{topic} is not in the archive")
                    continue
                self.assert_same(compare.same_offsets, canonical.read(path), canonical.read(copy))

    def assert_replayed(self, original, replayed, partition_map=None, added=()):
        self.assert_same(lambda a, b, report: compare.replayed(a, b, partition_map or {}, added, report),
                         canonical.read(original), canonical.read(replayed))

    def assert_same(self, function, left, right):
        report = compare.Report()
        function(left, right, report)
        self.assertEqual(report.differences, 0, "the differences stand above")

    def segment_files(self):
        return sorted(path.relative_to(self.vault).as_posix() for path in (self.vault / "segments").rglob("*.avro"))

    def table(self, *arguments, **options):
        """Rows of a command with --output json."""
        return [json.loads(line) for line in self.hubvault(*arguments, "--output", "json", **options).stdout.splitlines()]


class LiveBed(Bed):
    """With a producer that goes on while things happen to hubvault, and that knows afterwards what has to be there."""

    partitions = 4

    def produce(self, rate):
        """A live producer and where it logs."""
        self.odd(f"topic:live:{self.partitions}")
        log = self.work / "live.log"
        producer = self.start_java("Producer", self.broker.bootstrap, "live", self.partitions, rate, log, stdout=subprocess.PIPE)
        self.assertEqual(producer.stdout.readline(), "first\n")
        return producer, log

    def stop(self, producer):
        producer.send_signal(signal.SIGTERM)
        producer.wait(60)
        producer.stdout.close()

    def verify(self, log):
        """Every acknowledged event exactly once and equal, nothing else, and every promise of the format. How many there are."""
        vault = read_segments.Vault(self.vault, ("fastavro",))
        logged = verify_exactly_once.read_log(log)
        right = verify_exactly_once.verify(vault, logged)
        total = sum(len(place) for place in logged.values())
        print(f"{right} of {total} events exactly once and equal, in {len(vault.segments)} segments", flush=True)
        self.assertEqual(vault.problems, [])
        self.assertEqual(right, total)
        return total

    def wait_for_segment(self, running, limit):
        """Until a segment more than now is there; False when that takes too long or the process ends."""
        def count():
            return sum(1 for _ in (self.vault / "segments" / "hub=live").glob("*/*/*.avro"))

        before, deadline = count(), time.monotonic() + limit
        while running.process.poll() is None and time.monotonic() < deadline:
            if count() > before:
                return True
            time.sleep(0.002)
        return False


def main():
    unittest.main(verbosity=2)
