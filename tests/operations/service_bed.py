"""A running `hubvault run` and everything around it: a mock broker, a service manager that listens, a log that is read as it grows."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HUBVAULT, MOCK_HUB, SHAKEN = (pathlib.Path(os.environ[name]).resolve() for name in ("HUBVAULT", "MOCK_HUB", "SHAKEN_LIBRARY"))
PATIENCE = 30 * float(os.environ.get("CK_TIMEOUT_MULTIPLIER", 1))


class Hub:
    """The broker."""

    def __init__(self):
        self.process = subprocess.Popen([MOCK_HUB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.bootstrap = self.process.stdout.readline().split()[1]

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer == "ok\n", answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Manager:
    """Listens where $NOTIFY_SOCKET points to; every datagram is kept with its time."""

    def __init__(self, address):
        self.address, self.messages, self.ended = address, [], False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(0.05)
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while not self.ended:
            try:
                self.messages.append((time.monotonic(), self.socket.recv(4096).decode()))
            except TimeoutError:
                pass

    def count(self, text, since=0):
        return sum(message.startswith(text) and at >= since for at, message in list(self.messages))

    def close(self):
        self.ended = True
        self.thread.join()
        self.socket.close()


class Service:
    """`hubvault run`, whose log is JSON."""

    def __init__(self, config, environment=(), arguments=(), journal=False):
        self.lines, self.raw = [], []
        read, write = os.pipe()
        environment = {"PATH": "/usr/bin:/bin", **dict(environment)}
        if journal:
            facts = os.fstat(write)
            environment["JOURNAL_STREAM"] = f"{facts.st_dev}:{facts.st_ino}"
        self.process = subprocess.Popen([HUBVAULT, "--config", config, *arguments, "run"], stderr=write, stdout=subprocess.DEVNULL,
                                        env=environment)
        os.close(write)
        self.thread = threading.Thread(target=self.read, args=(os.fdopen(read, errors="replace"),))
        self.thread.start()

    def read(self, stream):
        with stream:
            for line in stream:
                self.raw.append(line)
                if "{" in line:
                    self.lines.append(json.loads(line[line.index("{"):]))

    def all(self, event, **fields):
        return [line for line in list(self.lines) if line["event"] == event and fields.items() <= line.items()]

    def wait(self, event, count=1, **fields):
        wait_until(lambda: len(self.all(event, **fields)) >= count or self.process.poll() is not None, f"{event} {fields}", self.raw)
        found = self.all(event, **fields)
        assert len(found) >= count, f"ended without {event} {fields}: {''.join(self.raw)}"
        return found[-1]

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self, status=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.end(status)

    def end(self, status=0):
        ended = self.process.wait(PATIENCE)
        self.thread.join()
        assert status is None or ended == status, f"ended with {ended}: {''.join(self.raw)}"

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.thread.join()


def wait_until(true, what, context=()):
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, f"waited in vain for {what}: {''.join(context)}"
        time.sleep(0.02)


class Bed:
    """A folder with a configuration, and what runs in it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hubvault-test-"))
        self.config, self.running = self.folder / "hubvault.conf", []
        self.hub = Hub()

    def configure(self, **options):
        """Names with '_' for '.' and '__' for '-'."""
        all_options = {"store.dir": "vault", "index.dir": "index", "log.format": "json", "source.discovery-interval": "1s"}
        all_options["source.bootstrap"] = self.hub.bootstrap
        all_options |= {name.replace("__", "-").replace("_", "."): value for name, value in options.items()}
        self.config.write_text("".join(f"{name} = {value}\n" for name, value in all_options.items()))

    def manager(self, address=None):
        manager = Manager(address or str(self.folder / "notify"))
        self.running.append(manager.close)
        return manager

    def start(self, environment=(), **more):
        service = Service(self.config, environment, **more)
        self.running.append(lambda: service.process.poll() is None and service.kill())
        return service

    def query(self, *words):
        done = subprocess.run([HUBVAULT, "--config", self.config, "--output", "json", *words], capture_output=True, text=True, timeout=PATIENCE,
                              env={"PATH": "/usr/bin:/bin"})
        return [json.loads(line) for line in done.stdout.splitlines()]

    def close(self):
        for end in reversed(self.running):
            end()
        self.hub.close()
        shutil.rmtree(self.folder)
