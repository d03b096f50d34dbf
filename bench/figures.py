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
