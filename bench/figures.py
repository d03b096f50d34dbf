"""What the benchmarks share: running a command and taking its time, processor time and memory; medians; a table."""
import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
PARTS = pathlib.Path(os.environ.get("HUBVAULT_REAL_DIR", TOP / "build/real"))
WORK = PARTS / "bench-work"


def build():
    """A release build of its own; the program."""
    folder = TOP / "build/bench"
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), "--buildtype=release", "-Doptimization=2", "-Dwerror=false"], cwd=TOP, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(folder), "cli/hubvault"], check=True, stdout=subprocess.DEVNULL)
    return str(folder / "cli/hubvault")


def broker(*topics):
    address = subprocess.run([str(TOP / "bench/broker"), "start"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
    subprocess.run([str(TOP / "bench/broker"), "feed", *topics], check=True, stdout=sys.stderr)
    return address


def timed(command, shell=False):
    """(wall s, processor s); the program must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    run = subprocess.run(command, shell=shell, executable="/bin/bash" if shell else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        sys.exit(f"{command}: status {run.returncode}: {run.stderr[-1000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Run:
    """One run of a command: wall s, processor s, peak resident memory of its largest process in MB, what it printed."""

    def __init__(self, command, shell=False, ok=(0,)):
        with open(WORK / "stdout", "w+b") as out, open(WORK / "stderr", "w+b") as err:
            os.sync()                   # what the run before left dirty is not this one's to write
            began = time.monotonic()
            process = subprocess.Popen(command, shell=shell, executable="/bin/bash" if shell else None, stdout=out, stderr=err,
                                       stdin=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            self.wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read().decode(errors="replace"), err.read().decode(errors="replace")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_mb = usage.ru_maxrss * 1024 / 1e6
        if process.returncode not in ok:
            sys.exit(f"{command}: status {process.returncode}: {self.err[-1000:]}")


def medians(runs):
    return [median([getattr(run, field) for run in runs]) for field in ("wall", "cpu", "peak_mb")]


def java(name, *arguments):
    """What a Java helper of bench/ prints."""
    run = subprocess.run(["java", "-Xmx2g", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp",
                          f"{PARTS}/classes:{PARTS}/libs/*", name, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    if run.returncode != 0:
        sys.exit(f"{name} {arguments}: {run.stderr[-2000:]}")
    return run.stdout


def topic_digest(address, topic, *flags):
    """Digest of a topic that is fed once and never written again: kept for the next time."""
    kept = WORK / "digests" / "-".join([topic, *flags])
    if not kept.exists():
        text = java("Digest", "hub", address, topic, *flags)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text)
    return kept.read_text()


def totals(digest):
    """Events, and bytes of keys and values."""
    return [int(word) for word in digest.splitlines()[-1].split()[1:]]


def demand_equal(what, digest, expected):
    """No speed for a result that is not the topic."""
    if digest != expected:
        wrong = [line for line in digest.splitlines() if line not in expected.splitlines()]
        sys.exit(f"{what} is not what the topic holds: {wrong[:4]} ...")
    print(f"{what}: every event as in the topic", file=sys.stderr)


def rivals():
    """The driver program around OSO's engine."""
    return subprocess.run([str(TOP / "bench/rivals/prepare")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def goals(rows):
    """Rows of goal, measured, whether it is met."""
    print()
    table(["goal", "measured", "met"], [[goal, measured, "yes" if met else "**no**"] for goal, measured, met in rows])


def timed_to_nowhere(command):
    """(wall s, processor s) of a program that writes to /dev/null."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_mb(command):
    """Peak resident memory of one program, run once more for it."""
    run = subprocess.run(["/usr/bin/time", "-f", "%M", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return int(run.stderr.split()[-1]) / 1024


def median(values):
    return statistics.median(values)


def spread(values, form="{:.0f}"):
    return form.format(median(values)) + " (" + form.format(min(values)) + "–" + form.format(max(values)) + ")"


def fresh(name):
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release()}; load {os.getloadavg()[0]:.1f}"


def table(heads, rows):
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
