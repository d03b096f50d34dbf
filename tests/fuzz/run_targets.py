"""The part of scripts/fuzz that runs what is built: one target after the other, or two side by side."""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
HOURS = HERE / "hours.json"             # what each target has had so far, added up over all runs with --keep
SLICE_S = 120                           # a target is run in slices, so that what was found is kept when the run is ended
MOST_FINDINGS = 5                       # of one run of one target: then something is broken that ought to be mended first
KEPT_BYTES = 40 << 10                   # of inputs per target in tests/fuzz/corpus, beyond the largest of those written by hand
LARGEST_KEPT = 8 << 10
OPTIONS = ["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=1100", "-use_value_profile=1", "-verbosity=1"]
ENVIRONMENT = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}

DESCRIPTION = """Runs libFuzzer targets and says what came of it: executions, speed, coverage (libFuzzer's edges and features), findings.
What is found stays in build-test/fuzz: corpora/TARGET holds every input that reached something new, findings/ the inputs that broke
something, logs/ what libFuzzer said, fuzz.json the table of this run. The exit status is 1 if there was a finding."""


def targets_of(build):
    return sorted(path.name for path in (build / "tests/fuzz").glob("fuzz_*") if path.is_file() and os.access(path, os.X_OK))


def count(folder):
    return sum(1 for path in folder.iterdir() if path.is_file())


class Target:
    def __init__(self, work, name):
        self.work, self.name = work, name
        self.binary = work / "build/tests/fuzz" / name
        self.corpus, self.seeds = work / "corpora" / name, HERE / "corpus" / name
        self.findings, self.log = work / "findings", work / "logs" / f"{name}.log"
        self.cpu_s = self.executions = self.edges = self.features = 0
        self.found = []
        for folder in (self.corpus, self.findings, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)

    def call(self, *arguments):
        """Runs the target; its output, and the CPU seconds it took."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            child = subprocess.Popen([str(self.binary), *map(str, arguments)], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                     env={**os.environ, **ENVIRONMENT})
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            return child.returncode, output.read(), usage.ru_utime + usage.ru_stime

    def options(self):
        dictionary = HERE / "dict" / f"{self.name}.dict"
        return OPTIONS + ([f"-dict={dictionary}"] if dictionary.exists() else [])

    def run_slice(self, seconds):
        before = set(self.findings.iterdir())
        status, output, cpu_s = self.call(*self.options(), f"-max_total_time={max(int(seconds), 1)}",
                                          f"-artifact_prefix={self.findings}/{self.name}-", self.corpus, self.seeds)
        with self.log.open("a") as log:
            log.write(output)
        self.cpu_s += cpu_s
        done = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
        self.executions += int(done.group(1)) if done else 0
        reached = re.findall(r"cov: (\d+) ft: (\d+)", output)
        if reached:
            self.edges, self.features = map(int, reached[-1])
        self.found += sorted(path.name for path in set(self.findings.iterdir()) - before)
        if status != 0 and not set(self.findings.iterdir()) - before:
            self.found.append(f"(exit status {status}, see {self.log})")

    def run(self, seconds):
        while self.cpu_s < seconds and len(self.found) < MOST_FINDINGS:
            self.run_slice(min(SLICE_S, seconds - self.cpu_s))
            yield

    def merge(self, into, *others):
        return self.call("-merge=1", "-verbosity=0", "-rss_limit_mb=2048", "-timeout=20",
                         f"-artifact_prefix={self.findings}/{self.name}-merge-", into, *others)

    def minimise(self):
        """Leaves those inputs of the corpus that are needed for all it reaches together with the seeds."""
        with tempfile.TemporaryDirectory(dir=self.work) as smaller:
            status, output, _ = self.merge(smaller, self.corpus, self.seeds)
            if status != 0:
                raise RuntimeError(f"{self.name}: the corpus cannot be minimised:\n{output[-2000:]}")
            shutil.rmtree(self.corpus)
            shutil.copytree(smaller, self.corpus)

    def keep(self):
        """Copies inputs that reach something new to tests/fuzz/corpus, the small ones first, as long as there is room."""
        self.seeds.mkdir(parents=True, exist_ok=True)
        had = sum(path.stat().st_size for path in self.seeds.glob("found_*"))
        with tempfile.TemporaryDirectory(dir=self.work) as scratch:
            new = pathlib.Path(scratch) / "seeds"
            shutil.copytree(self.seeds, new)
            old = {path.name for path in new.iterdir()}
            self.merge(new, self.corpus)
            fresh = sorted((path for path in new.iterdir() if path.name not in old), key=lambda path: path.stat().st_size)
            for path in fresh:
                size = path.stat().st_size
                if size > LARGEST_KEPT or had + size > KEPT_BYTES:
                    break
                had += size
                shutil.copy(path, self.seeds / f"found_{path.name[:12]}")

    def row(self):
        return {"target": self.name, "cpu_s": round(self.cpu_s, 1), "executions": self.executions,
                "per_s": round(self.executions / self.cpu_s) if self.cpu_s > 0 else 0, "edges": self.edges, "features": self.features,
                "inputs": count(self.corpus), "findings": self.found}


def add_hours(rows):
    hours = collections.defaultdict(lambda: {"cpu_s": 0, "executions": 0})
    if HOURS.exists():
        hours.update(json.loads(HOURS.read_text()))
    for row in rows:
        had = hours[row["target"]]
        hours[row["target"]] = {"cpu_s": round(had["cpu_s"] + row["cpu_s"]), "executions": had["executions"] + row["executions"],
                                "edges": row["edges"], "features": row["features"]}
    HOURS.write_text(json.dumps(hours, indent=1, sort_keys=True) + "\n")


def print_hours():
    print(f"{'target':<24} {'CPU min':>8} {'executions':>14} {'edges':>6} {'features':>9}")
    for name, had in sorted(json.loads(HOURS.read_text()).items()):
        print(f"{name:<24} {had['cpu_s'] / 60:>8.1f} {had['executions']:>14,} {had['edges']:>6} {had['features']:>9}")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="CPU seconds per target (default: 60)")
    parser.add_argument("--jobs", type=int, default=1, choices=[1, 2], help="how many targets run side by side")
    parser.add_argument("--keep", action="store_true", help="copy small new inputs to tests/fuzz/corpus, and add the time to tests/fuzz/hours.json")
    parser.add_argument("--hours", action="store_true", help="print what each target has had so far according to tests/fuzz/hours.json")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="such as fuzz_header; default: all")
    return parser.parse_intermixed_args()


def main():
    asked = arguments()
    if asked.hours:
        return print_hours()
    work = asked.work.resolve()
    built = subprocess.run(["ninja", "-C", str(work / "build"), *([f"tests/fuzz/{name}" for name in asked.targets] or ["fuzz_targets"])],
                           stdout=sys.stderr)
    if built.returncode != 0:
        return 1
    names, lock, rows = asked.targets or targets_of(work / "build"), threading.Lock(), []
    print(f"{'target':<24} {'CPU s':>8} {'executions':>14} {'per s':>8} {'edges':>6} {'features':>9} {'inputs':>7} findings")

    def work_on(name):
        target = Target(work, name)
        for _ in target.run(asked.seconds):
            (work / "logs" / f"{name}.json").write_text(json.dumps(target.row(), indent=1) + "\n")
        target.minimise()
        if asked.keep:
            target.keep()
        row = target.row()
        with lock:
            rows.append(row)
            print(f"{name:<24} {row['cpu_s']:>8.0f} {row['executions']:>14,} {row['per_s']:>8,} {row['edges']:>6} {row['features']:>9}"
                  f" {row['inputs']:>7} {' '.join(row['findings']) or 'none'}", flush=True)
            (work / "fuzz.json").write_text(json.dumps(rows, indent=1) + "\n")
            if asked.keep:
                add_hours([row])

    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        for done in [pool.submit(work_on, name) for name in names]:
            done.result()
    return 1 if any(row["findings"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
