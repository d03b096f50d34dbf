#!/usr/bin/env python3
"""One Apache Kafka broker (KRaft, one node, loopback only) in a work folder.

    broker.py start --work DIR [--port N] [--secure] [--set KEY=VALUE]...   make it if new, start it, wait until it answers
    broker.py stop --work DIR       SIGTERM, and wait for the end
    broker.py kill --work DIR       SIGKILL, and wait for the end
    broker.py pause|resume --work DIR   SIGSTOP and SIGCONT: a broker that hangs but keeps its connections
    broker.py wait --work DIR       until it answers a metadata request
    broker.py show --work DIR       ports and files as JSON

The folder keeps everything: data, certificates, ports, log, pid. A second start goes on with the same data and ports. With --secure
there are two more listeners: SASL_SSL (PLAIN and unsigned OAUTHBEARER) and OIDC (signed OAUTHBEARER, keys of token_server.py).
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts  # noqa: E402
import token_server  # noqa: E402

CLUSTER = "hubvaulttestbench00000w"
# What an Event Hubs client sends: this user name, and the whole connection string as the password.
EVENT_HUBS_USER = "$ConnectionString"
CONNECTION_STRING = "Endpoint=sb://localhost/;SharedAccessKeyName=listen;SharedAccessKey=k3y+/w1th0dd=="
# The same for one hub alone; accepted by the OIDC listener, which takes PLAIN as well.
ENTITY = "odd.shapes"
HUB_CONNECTION_STRING = f"{CONNECTION_STRING};EntityPath={ENTITY}"
WRONG_CONNECTION_STRING = CONNECTION_STRING.replace("k3y", "bad")
# The broker cuts a token connection after this time unless the client logs in again.
REAUTH_MS = 10000

BASICS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "message.max.bytes": "10485760",
    "group.initial.rebalance.delay.ms": "0",
    # Retention, deletion, compaction and time-outs of transactions within seconds.
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.backoff.ms": "500",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A killed broker comes back when its old session has expired.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
}


class Broker:
    def __init__(self, work):
        self.work = pathlib.Path(work).resolve()
        self.process = parts.Process(self.work / "pid")
        self.properties = self.work / "server.properties"
        self.log = self.work / "broker.log"
        self.ca_file = self.work / "ca.pem"
        self.child = None               # if this process started it

    # --- facts ---

    def facts(self):
        return json.loads((self.work / "facts.json").read_text())

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.facts()['port']}"

    @property
    def sasl_bootstrap(self):
        return f"localhost:{self.facts()['sasl_port']}"

    @property
    def oidc_bootstrap(self):
        return f"localhost:{self.facts()['oidc_port']}"

    # --- making ---

    def make(self, port=None, secure=False, settings=()):
        self.work.mkdir(parents=True, exist_ok=True)
        ports = parts.free_ports(5)
        facts = {"port": port or ports[0], "controller_port": ports[1], "secure": secure}
        if secure:
            facts |= {"sasl_port": ports[2], "oidc_port": ports[3], "token_port": ports[4], "ca_file": str(self.ca_file)}
            self._make_certificates()
            token_server.make_key(self.work / "token")
        properties = BASICS | self._listeners(facts) | {"log.dirs": str(self.work / "data")}
        if secure:
            properties |= self._security(facts)
        properties |= dict(setting.split("=", 1) for setting in settings)
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        (self.work / "facts.json").write_text(json.dumps(facts, indent=1))
        done = subprocess.run(parts.java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", self.properties),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"format: {done.stdout}{done.stderr}")

    @staticmethod
    def _listeners(facts):
        listeners = {"PLAINTEXT": f"127.0.0.1:{facts['port']}"}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        if facts["secure"]:
            listeners |= {"SASL_SSL": f"localhost:{facts['sasl_port']}", "OIDC": f"localhost:{facts['oidc_port']}"}
            protocols |= {"SASL_SSL": "SASL_SSL", "OIDC": "SASL_SSL"}
        advertised = ",".join(f"{name}://{address}" for name, address in listeners.items())
        return {
            "controller.quorum.voters": f"1@127.0.0.1:{facts['controller_port']}",
            "listeners": f"{advertised},CONTROLLER://127.0.0.1:{facts['controller_port']}",
            "advertised.listeners": advertised,
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        }

    def _make_certificates(self):
        """A certificate authority, and a certificate for localhost as one PEM file, key first, as Kafka wants it."""
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.work, stdin=subprocess.DEVNULL, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
                "-subj", "/CN=hubvault test authority")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=localhost")
        (self.work / "names.cnf").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", "names.cnf", "-out", "broker.crt")
        whole = "".join((self.work / name).read_text() for name in ("broker.key", "broker.crt", "ca.pem"))
        (self.work / "broker.pem").write_text(whole)

    def _security(self, facts):
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        bearer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
        handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.work / "broker.pem"),
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
            "listener.name.sasl_ssl.plain.sasl.jaas.config":
                f'{plain} required user_{EVENT_HUBS_USER}="{CONNECTION_STRING}" user_bob="pw";',
            "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": f'{bearer} required unsecuredLoginStringClaim_sub="broker";',
            "listener.name.sasl_ssl.oauthbearer.connections.max.reauth.ms": str(REAUTH_MS),
            "listener.name.oidc.sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
            "listener.name.oidc.plain.sasl.jaas.config": f'{plain} required user_{EVENT_HUBS_USER}="{HUB_CONNECTION_STRING}";',
            "listener.name.oidc.oauthbearer.sasl.jaas.config": f"{bearer} required;",
            "listener.name.oidc.oauthbearer.sasl.server.callback.handler.class": handler,
            "listener.name.oidc.sasl.oauthbearer.jwks.endpoint.url": self._jwks_url(),
            "listener.name.oidc.sasl.oauthbearer.expected.audience": token_server.AUDIENCE,
            "listener.name.oidc.sasl.oauthbearer.expected.issuer": token_server.issuer(facts["token_port"]),
            "listener.name.oidc.oauthbearer.connections.max.reauth.ms": str(REAUTH_MS),
        }

    def _jwks_url(self):
        return (self.work / "token" / "jwks.json").as_uri()

    # --- running ---

    def start(self, port=None, secure=False, settings=(), heap="512m", timeout=90):
        """Start it, made first if the folder is new; returns when it answers."""
        if self.process.pid() is not None:
            return
        if not self.properties.exists():
            self.make(port, secure, settings)
        options = [f"-Xms{heap}", f"-Xmx{heap}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        if self.facts()["secure"]:
            options.append(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._jwks_url()}")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(["java", *options, "-cp", parts.CLASS_PATH, "kafka.Kafka", str(self.properties)],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.work, start_new_session=True)
        self.process.write(self.child.pid)
        self.wait(timeout)

    def answers(self):
        return subprocess.run(["kcat", "-b", self.bootstrap, "-L", "-m", "1"], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False).returncode == 0

    def wait(self, timeout=90):
        deadline = time.monotonic() + timeout
        while not self.answers():
            if self.process.pid() is None:
                raise RuntimeError(f"the broker ended: {self.log.read_text(errors='replace')[-3000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker did not answer in {timeout} s")
            time.sleep(0.1)

    def _end(self, number, timeout):
        self.process.signal(number)
        deadline = time.monotonic() + timeout
        while self.process.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        if self.child is not None:
            self.child.wait()           # only collects its status
            self.child = None
        return True

    def stop(self, timeout=30):
        """Orderly; a broker that does not end in time is killed, which is an error."""
        self.process.signal(signal.SIGCONT)
        if not self._end(signal.SIGTERM, timeout):
            self._end(signal.SIGKILL, timeout)
            raise RuntimeError(f"the broker did not stop in {timeout} s and was killed")

    def kill(self, timeout=10):
        if not self._end(signal.SIGKILL, timeout):
            raise RuntimeError("the broker survived SIGKILL")

    def pause(self):
        self.process.signal(signal.SIGSTOP)

    def resume(self):
        self.process.signal(signal.SIGCONT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["start", "stop", "kill", "pause", "resume", "wait", "show"])
    parser.add_argument("--work", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--secure", action="store_true")
    parser.add_argument("--heap", default="512m")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    broker = Broker(arguments.work)
    if arguments.verb == "start":
        if not parts.prepared():
            sys.exit("broker.py: run tests/real/prepare first")
        broker.start(arguments.port, arguments.secure, arguments.settings, arguments.heap)
        print(broker.bootstrap)
    elif arguments.verb == "show":
        print(json.dumps(broker.facts() | {"pid": broker.process.pid()}))
    else:
        getattr(broker, arguments.verb)()


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"broker.py: {error}")
