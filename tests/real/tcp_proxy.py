"""A TCP proxy on loopback between clients and one Kafka broker that is announced as 127.0.0.1: PORT. In what the broker says its port is
replaced by the proxy's own, so that clients stay here. How it treats connections can be changed while they live:

    pass       everything goes through
    drop       nothing goes through, in no direction, and nobody is told: a network that is gone. New connections are taken and starve
    delay      everything goes through, half a second late
    halve      half of the next thing that the broker says goes through, and then nothing any more
    reset      connections, old and new, are reset at once

What was dropped is lost, so a connection that lived through `drop` or `halve` is of no use afterwards; cut() resets all that there are, as
a router does that has forgotten them.
"""

import contextlib
import socket
import struct
import threading
import time

LATE_S = 0.5


class Proxy:
    def __init__(self, target):
        host, port = target.split(":")
        self.target = (host, int(port))
        self.mode = "pass"
        self.counts = {"connections": 0, "dropped": 0, "halved": 0, "delayed": 0, "reset": 0}
        self.lock = threading.Lock()
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.theirs = host.encode() + struct.pack(">i", self.target[1])
        self.ours = host.encode() + struct.pack(">i", self.port)
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode):
        self.mode = mode
        if mode == "reset":
            self.cut()

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            for end in pair:
                self._reset(end)

    def close(self):
        self.listener.close()
        self.cut()

    def _count(self, what):
        with self.lock:
            self.counts[what] += 1

    def _reset(self, end):
        self._count("reset")
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RD)        # wakes the thread that reads
        with contextlib.suppress(OSError):
            end.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self._count("connections")
            if self.mode == "reset":
                self._reset(client)
                continue
            try:
                server = socket.create_connection(self.target, 5)
            except OSError:
                self._reset(client)
                continue
            server.settimeout(None)
            with self.lock:
                self.pairs.add((client, server))
            for source, sink, says in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, says), daemon=True).start()

    def _pump(self, source, sink, from_broker):
        starving = False
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if from_broker:
                    data = data.replace(self.theirs, self.ours)
                mode = self.mode
                if starving or mode == "drop":
                    self._count("dropped")
                    continue
                if mode == "delay":
                    self._count("delayed")
                    time.sleep(LATE_S)
                if mode == "halve" and from_broker:
                    self._count("halved")
                    data, starving = data[:len(data) // 2], True
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.close()
