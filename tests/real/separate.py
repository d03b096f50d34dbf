"""Machines on one machine: each has its own way to the broker and its own way to the store, and each way can be cut.

As root each machine is a network namespace with a link of its own to the broker, and sees the vault through a bind mount of its own. A
cut link is set down: packets vanish, nothing is reset. A cut store is a mount that has become read-only: every put fails.

Without root, or where namespaces are not to be had, each machine is a loopback address with a relay of its own to the broker. A cut
relay stops relaying and keeps its connections: bytes stay away, nothing is reset. The store cannot be cut there. HUBVAULT_NO_NAMESPACES=1
chooses this way.
"""

import os
import selectors
import socket
import subprocess
import tempfile
import threading

import parts

NETWORK = "198.18.213"          # of RFC 2544, for benchmarks: no route leads there


def run(*command):
    subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, check=True)


def have_namespaces():
    """Whether this process may make them, with a link, and mounts."""
    name = f"hvtry{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
        try:
            run("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
            run("ip", "link", "del", f"{name}a")
            with tempfile.TemporaryDirectory() as folder:
                run("mount", "--bind", folder, folder)
                run("umount", folder)
        finally:
            run("ip", "netns", "del", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Namespace:
    """A network namespace and a mount."""

    can_cut_store = True

    def __init__(self, number, vault, view):
        self.number, self.vault, self.view = number, vault, view
        self.name, self.link = f"hv{os.getpid()}-{number}", f"hv{os.getpid()}x{number}"
        self.address = f"{NETWORK}.{4 * number + 1}"            # of the broker, as seen from inside
        self.port = parts.free_ports(1)[0]
        self.listen = f"{self.address}:{self.port}"
        self.mounted = False

    def open(self):
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "addr", "add", f"{self.address}/30", "dev", self.link)
        run("ip", "link", "set", self.link, "up")
        run("ip", "-n", self.name, "addr", "add", f"{NETWORK}.{4 * self.number + 2}/30", "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        self.vault.mkdir(parents=True, exist_ok=True)
        self.view.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", self.vault, self.view)
        self.mounted = True

    def close(self):
        for command in (["umount", self.view], ["ip", "link", "del", self.link], ["ip", "netns", "del", self.name]):
            subprocess.run([str(word) for word in command], capture_output=True, check=False)

    def command(self, words):
        return ["ip", "netns", "exec", self.name, *words]

    @property
    def bootstrap(self):
        return self.listen

    def cut_broker(self, cut):
        run("ip", "link", "set", self.link, "down" if cut else "up")

    def cut_store(self, cut):
        run("mount", "-o", f"remount,bind,{'ro' if cut else 'rw'}", self.view)


class Relay:
    """A loopback address that relays to the broker, until it is cut."""

    can_cut_store = False

    def __init__(self, number, vault, view):
        self.number, self.view = number, vault
        ports = parts.free_ports(2)
        self.listen = f"127.0.0.1:{ports[0]}"
        self.bootstrap = f"127.0.0.{10 + number}:{ports[1]}"
        self.cut = threading.Event()
        self.ended = threading.Event()
        self.socket = None

    def open(self):
        host, port = self.bootstrap.split(":")
        self.socket = socket.create_server((host, int(port)))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.ended.set()
        if self.socket is not None:
            self.socket.close()

    def command(self, words):
        return words

    def cut_broker(self, cut):
        if cut:
            self.cut.set()
        else:
            self.cut.clear()

    def _accept(self):
        while not self.ended.is_set():
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        host, port = self.listen.split(":")
        try:
            server = socket.create_connection((host, int(port)))
        except OSError:
            client.close()
            return
        with client, server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while not self.ended.is_set():
                if self.cut.is_set():
                    self.ended.wait(0.05)
                    continue
                for key, _ in selector.select(0.2):
                    try:
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        key.data.sendall(data)
                    except OSError:
                        return


def machines(count, vault, views):
    """As many as wanted, not opened yet."""
    may = os.geteuid() == 0 and os.environ.get("HUBVAULT_NO_NAMESPACES") != "1"
    kind = Namespace if may and have_namespaces() else Relay
    return [kind(number, vault, views / str(number)) for number in range(1, count + 1)]
