"""Where the fetched parts are, how their Java helpers are started, and free ports: what every script of this folder needs."""

import os
import pathlib
import random
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
PARTS = pathlib.Path(os.environ.get("HUBVAULT_REAL_DIR", TOP / "build" / "real"))
CLASS_PATH = f"{PARTS / 'classes'}{os.pathsep}{PARTS / 'libs' / '*'}"
STAMPS = ("libs.stamp", "venv.stamp", "classes.stamp")


def prepared():
    return all((PARTS / stamp).is_file() for stamp in STAMPS)


def use_venv():
    """Go on in the Python that has the Avro readers. Does nothing if this is it already."""
    python = PARTS / "venv" / "bin" / "python"
    if pathlib.Path(sys.prefix) != PARTS / "venv" and python.exists():
        os.execv(python, [str(python), *sys.argv])


def java(name, *arguments, options=()):
    """The command line of one Java helper. The client's log is silenced below errors."""
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", *options,
            "-cp", CLASS_PATH, name, *[str(argument) for argument in arguments]]


def run_java(name, *arguments, options=(), timeout=120):
    """Run a helper to its end; its standard output. Raises with its last words if it fails."""
    done = subprocess.run(java(name, *arguments, options=options), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name} {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def free_ports(count):
    """Loopback ports that nobody uses now. Taken below the range from which the kernel takes source ports of outgoing connections,
    so that no client of a busy machine grabs one before the server listens."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


class Process:
    """A pid file that is only ever used on the process it was written for: it holds the start time too."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    @staticmethod
    def _start_time(pid):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]

    def write(self, pid):
        self.path.write_text(f"{pid} {self._start_time(pid)}\n")

    def pid(self):
        """The pid if that very process still runs, else None."""
        try:
            pid, start_time = self.path.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if self._start_time(pid) == start_time else None

    def signal(self, number):
        pid = self.pid()
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return False
        return pid is not None
